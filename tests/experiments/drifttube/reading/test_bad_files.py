"""What a user sees of `townsend read` when a file or an option cannot be used: one sentence, and nothing written."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from townsend.experiments.drifttube.reading.write import write_sciencedb

Refused = Callable[..., str]
FIRST, SECOND = "primary-secondary-noise", "noise-primary-secondary"
WAVE = [[0.1] * 40, [0.2] * 40, [0.3] * 40]


def with_value(value: float) -> list[list[float]]:
    return [WAVE[0], [*WAVE[1][:5], value, *WAVE[1][6:]], WAVE[2]]


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"tree": "signals"}, r'must hold a TTree "signal"; did you mean "signals"\?'),
        ({"wf_i": None}, r'must have a branch "wf_i" in tree "signal"'),
        ({"wf_i": None, "wf": WAVE}, r'must have a branch "wf_i" in tree "signal"; did you mean "wf"\?'),
        ({"tag": None, "tags": [[0], [0], [0]]}, r'must have a branch "tag" in tree "signal"; did you mean "tags"\?'),
        ({"wf_i": np.ones(3)}, r'must store "wf_i" as a list of numbers, such as vector<double> \(got double\)'),
        ({"sampling_rate": [[1.0], [1.0], [1.0]]}, r'must store "sampling_rate" as one number \(got double\[\]\)'),
        ({"wf_i": [WAVE[0], WAVE[1][:30], WAVE[2]]}, r"as many samples .* \(got 40 in entry 0, 30 in entry 1\)"),
        ({"wf_i": [[], [], []]}, r"1 to \d+ samples a waveform \(got 0 in entry 0\)"),
        ({"wf_i": with_value(np.nan)}, r'finite "wf_i" \(got 1 NaN or infinite samples in entry 1\)'),
        ({"wf_i": with_value(-np.inf)}, r'finite "wf_i" \(got 1 NaN or infinite samples in entry 1\)'),
        ({"wf_i": with_value(1e308)}, r"finite in volts \(got 1e\+308 times 1000\)"),
        (
            {"time": [[5.0, 9.0, 20.0], [-3.0, 8.0], [7.0, 30.0]]},
            r'"time" >= 0, the number of a sample \(got -3 in entry 1',
        ),
        ({"time": [[5.0, 9.0, 20.0], [np.nan, 8.0], [7.0, 30.0]]}, r'"time" >= 0, the number of a sample \(got nan'),
        ({"time": [[5.0, 9.0, 20.0], [np.inf, 8.0], [7.0, 30.0]]}, r'finite "time" \(got inf in entry 1'),
        ({"tag": [[0, 1, 2], [0, 7], [0, 2]]}, r'"tag" 0, 1 or 2 \(got 7 in entry 1, 1 such values'),
        ({"tag": [[0, 1, 2], [0, 0.5], [0, 2]]}, r'"tag" 0, 1 or 2 \(got 0\.5 in entry 1'),
        ({"tag": [[0, 1, 2], [0], [0, 2]]}, r'one "tag" for each "time" \(got 2 and 1 in entry 1\)'),
        (
            {"sampling_rate": np.array([1.0, 1.0, 1.2])},
            r'one "sampling_rate" in all entries \(got 1 to 1\.2 in entries 0',
        ),
        ({"sampling_rate": np.zeros(3)}, r'"sampling_rate" > 0 \(got 0\)'),
        ({"sampling_rate": None}, r'a branch "sampling_rate" \(it has none\); set `sampling_rate_GHz`'),
    ],
)
def test_files(
    changes: dict[str, Any], rule: str, foreign: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "read.yaml").write_text("volts_per_unit: 1000.0\ncheck_tags: false")
    options = ("--format", "littlepi", "--tags", FIRST, "--config", tmp_path / "read.yaml")
    sentence = refused("read", foreign(**changes), *options, "-o", tmp_path / "mc")
    assert re.search(rule, sentence), sentence
    assert not (tmp_path / "mc").exists()


def test_good_files_are_taken(foreign: Callable[..., Path], tmp_path: Path, townsend: Callable[..., Any]) -> None:
    (tmp_path / "read.yaml").write_text("check_tags: false")
    command = ("read", foreign(), "--format", "littlepi", "--tags", FIRST, "--config", tmp_path / "read.yaml")
    ended = townsend(*command, "-o", tmp_path / "mc")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.startswith("3 waveforms of 1 littlepi files in ")


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        (("--format", "littlepi"), r"must be said \(got nothing\)"),
        (("--format", "littlepi", "--tags", "noise-first"), r"known meanings of 0, 1 and 2 \(got noise-first\)"),
        (
            ("--format", "sciencdb", "--tags", SECOND),
            r'format must be one .* \(got sciencdb\); did you mean "sciencedb"\?',
        ),
        (("--format", "garfield", "--tags", SECOND), r"--tags is for littlepi and sciencedb files"),
        (("--format", "littlepi", "--tags", SECOND), r"where noise is listed|some clusters|secondaries to a primary"),
    ],
    ids=["no meaning", "unknown meaning", "unknown format", "meaning of currents", "wrong meaning"],
)
def test_options(
    options: tuple[str, ...], rule: str, foreign: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    noisy = {"time": [list(range(40))] * 3, "tag": [[0, 0, 1] + [2] * 37] * 3}
    sentence = refused("read", foreign(**noisy), *options, "-o", tmp_path / "mc")
    assert re.search(rule, sentence), sentence


def test_an_unknown_setting_is_named_with_its_line(
    foreign: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    (tmp_path / "read.yaml").write_text("polarity: -1\nt0: 224.0\n")
    command = ("read", foreign(), "--format", "littlepi", "--tags", FIRST, "--config", tmp_path / "read.yaml")
    sentence = refused(*command, "-o", tmp_path / "mc")
    assert re.search(r't0: unknown key \(.*read\.yaml line 2\); did you mean "t0_ns"', sentence), sentence


def test_a_torn_file(foreign: Callable[..., Path], tmp_path: Path, refused: Refused) -> None:
    path = foreign()
    path.write_bytes(path.read_bytes()[:2000])
    sentence = refused("read", path, "--format", "littlepi", "--tags", FIRST, "-o", tmp_path / "mc")
    assert "must be a whole ROOT file" in sentence


def test_damaged_bytes_are_read_or_refused_in_one_sentence(
    foreign: Callable[..., Path], tmp_path: Path, townsend: Callable[..., Any], one_sentence: Callable[[str], str]
) -> None:
    path = foreign()
    content = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(5)
    outcomes = set()
    for number in range(40):
        damaged = content.copy()
        damaged[random.integers(len(content), size=4)] = random.integers(256, size=4)
        path.write_bytes(damaged.tobytes())
        ended = townsend("read", path, "--format", "littlepi", "--tags", FIRST, "-o", tmp_path / f"mc-{number}")
        outcomes.add(ended.status)
        assert ended.status in (0, 2), ended
        if ended.status == 2:
            one_sentence(ended.err)
    assert 2 in outcomes


@pytest.mark.parametrize("names", [["none.root"], ["foreign.root", "foreign.root"]])
def test_missing_and_repeated_files(
    names: list[str], foreign: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    foreign()
    files = [tmp_path / name for name in names]
    sentence = refused("read", *files, "--format", "littlepi", "--tags", FIRST, "-o", tmp_path / "mc")
    assert re.search("must be a file that exists|must be given once", sentence)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        (
            {"wf_i": [row[:30] for row in WAVE]},
            r"alike in samples a waveform \(got 40 in .*one\.root, 30 in .*two\.root",
        ),
        ({"sampling_rate": np.full(3, 2.0)}, r'alike in "sampling_rate" \(got 1\.0 in .*one\.root, 2\.0 in'),
        ({"time": None, "tag": None}, r"alike in listed arrivals \(got True in .*one\.root, False in"),
    ],
)
def test_files_that_differ(
    changes: dict[str, Any], rule: str, foreign: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    files = foreign(name="one.root"), foreign(name="two.root", **changes)
    sentence = refused("read", *files, "--format", "littlepi", "--tags", FIRST, "-o", tmp_path / "mc")
    assert re.search(rule, sentence), sentence


def test_a_rate_that_may_be_a_step(simulated: Any, tmp_path: Path, refused: Refused) -> None:
    write_sciencedb(simulated[:5], tmp_path / "sim.root", momentum_GeV=10.0)
    command = ("read", tmp_path / "sim.root", "--format", "sciencedb", "--tags", SECOND)
    sentence = refused(*command, "-o", tmp_path / "mc")
    assert re.search(r"1\.5 GS/s as the published files \(got 1\); it may be a step in ns", sentence)


def test_a_number_of_clusters_that_disagrees(simulated: Any, tmp_path: Path, refused: Refused) -> None:
    write_sciencedb(simulated[:5], tmp_path / "sim.root", momentum_GeV=10.0)
    (tmp_path / "read.yaml").write_text("sampling_rate_GHz: 1.0")
    command = ("read", tmp_path / "sim.root", "--format", "sciencedb", "--config", tmp_path / "read.yaml")
    sentence = refused(*command, "--tags", FIRST, "-o", tmp_path / "mc")
    assert re.search(r"0 of 5 waveforms agree\); say --tags noise-primary-secondary, with which all of them", sentence)


def test_an_empty_tree(tmp_path: Path, refused: Refused) -> None:
    with uproot.recreate(tmp_path / "none.root") as file:
        file.mktree("signal", {"wf_i": "var * float64", "sampling_rate": "float64"})
    sentence = refused("read", tmp_path / "none.root", "--format", "littlepi", "-o", tmp_path / "mc")
    assert "at least one entry" in sentence
