"""What a user sees when a Reconstruction, its data or its output cannot be used: one sentence, nothing spoilt."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from engine_here import open_engine_here
from hand_made import CALIBRATION_SEED, CLUSTERISER_SEED, FINDER_SEED, seal_again, write_clusteriser, write_finder

from townsend.api import assemble, simulate_drifttube
from townsend.config import parse
from townsend.experiments.drifttube.reconstruction.output import read_reconstructed
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.files import read_sealed, sha256_of, write_json
from townsend.sample.reader import read_sample
from townsend.sample.root_io import write_root
from townsend.sample.waveforms import Waveforms

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = [
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
    pytest.mark.usefixtures("engine_here"),
]

Refused = Callable[..., str]


@dataclass(frozen=True)
class Parts:
    """Good folders; not to be changed."""

    finder: Path
    clusteriser: Path
    sample: Path
    reco: Path


def simulated(folder: Path, waveforms: int, seed: int, **digitizer: Any) -> Path:
    settings = {"seed": seed, "track": {"impact": "uniform"}, "digitizer": digitizer}
    return simulate_drifttube(waveforms, folder, parse(DriftTubeSettings, settings))


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> Parts:
    place = tmp_path_factory.mktemp("parts")
    finder = write_finder(place / "finder")
    clusteriser = write_clusteriser(place / "clusteriser", finder)
    sample = simulated(place / "mc", 120, CALIBRATION_SEED)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("townsend.experiments.drifttube.reconstruction.run.open_engine", open_engine_here)
        return Parts(finder, clusteriser, sample, assemble(finder, clusteriser, sample, place / "reco"))


@pytest.fixture
def copy(parts: Parts, tmp_path: Path) -> Parts:
    """The same folders, which a test may spoil."""
    return Parts(*[Path(shutil.copytree(folder, tmp_path / folder.name)) for folder in vars(parts).values()])


@pytest.fixture(scope="module")
def waveforms(parts: Parts) -> Waveforms:
    return read_sample(parts.sample)[:20]


@pytest.fixture
def written(waveforms: Waveforms, tmp_path: Path) -> Callable[..., Path]:
    """Write the waveforms with changes: (name, changes) -> path."""

    def write(name: str, number: int = 20, **changes: Any) -> Path:
        write_root(replace(waveforms[:number], **changes), tmp_path / name)
        return tmp_path / name

    return write


def to_assemble(parts: Parts, output: Path, **others: Path) -> tuple[object, ...]:
    given = {**vars(parts), **others}
    return "assemble", given["finder"], given["clusteriser"], "--calibrate", given["sample"], "-o", output


def edit(card: Path, text: str, to: str) -> None:
    """Change a card as one would in an editor."""
    before = card.read_text()
    assert text in before
    card.write_text(before.replace(text, to, 1))


# ---- parts that do not fit each other


@pytest.mark.parametrize(
    ("facts", "rule"),
    [
        (
            {"finder_sha256": "0" * 64},
            "trained on the peaks of this finder (trained behind 000000000000, the",
        ),
        ({"finder_threshold": 0.25}, "trained at the finder's threshold (got 0.25, the finder's is 0.5)"),
        ({"sampling_rate_ghz": 2.0}, "trained at the finder's sampling rate (got 2, the finder's is 1)"),
    ],
    ids=["another finder", "threshold", "sampling rate"],
)
def test_clusteriser_that_does_not_fit_its_finder(
    facts: dict[str, Any], rule: str, parts: Parts, tmp_path: Path, refused: Refused
) -> None:
    other = write_clusteriser(tmp_path / "other", parts.finder, **facts)
    assert rule in refused(*to_assemble(parts, tmp_path / "reco", clusteriser=other))


def test_networks_in_the_wrong_order(parts: Parts, tmp_path: Path, refused: Refused) -> None:
    command = to_assemble(parts, tmp_path / "reco", finder=parts.clusteriser, clusteriser=parts.finder)
    assert 'must hold a model of task "drifttube-peaks" (got "drifttube-clusters")' in refused(*command)


def test_folders_that_are_no_networks(parts: Parts, tmp_path: Path, refused: Refused) -> None:
    for part in ("finder", "clusteriser"):
        for folder in (tmp_path / "none", parts.sample, parts.reco):
            sentence = refused(*to_assemble(parts, tmp_path / "reco", **{part: folder}))
            assert folder.name in sentence
            assert re.search("must exist|must be a folder made by `townsend choose`", sentence)


def test_finder_and_clusteriser_exchanged_inside_a_reconstruction(
    copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    other = write_finder(tmp_path / "other", delay_ns=5.0)
    shutil.copyfile(other / "card.json", copy.reco / "finder" / "card.json")
    command = ("reconstruct", copy.reco, written("data.root"), "-o", tmp_path / "out")
    assert "must hold the finder that was assembled (its contents are another's)" in refused(*command)
    shutil.copyfile(copy.finder / "card.json", copy.reco / "finder" / "card.json")
    shutil.copyfile(copy.finder / "model.keras", copy.reco / "clusteriser" / "model.keras")
    assert "must hold the clusteriser that was assembled" in refused(*command)


# ---- cards that were edited


def test_edited_cards(copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused) -> None:
    data, out = written("data.root"), tmp_path / "out"
    edit(copy.finder / "card.json", '"threshold": 0.5', '"threshold": 0.4')
    edit(copy.clusteriser / "card.json", '"mean_clusters": 18.0', '"mean_clusters": 19.0')
    for command in (
        to_assemble(copy, out, clusteriser=Path("unread")),
        ("find-peaks", copy.finder, data, "-o", out),
        ("sweep", "clusters.yaml", "--sample", copy.sample, "--finder", copy.finder, "-o", out),
    ):
        assert re.search(r"finder/card\.json must be as .* it was edited\)", refused(*command))
    shutil.rmtree(copy.finder)
    shutil.copytree(copy.reco / "finder", copy.finder)
    assert re.search(r"clusteriser/card\.json must be .* edited", refused(*to_assemble(copy, out)))


@pytest.mark.parametrize("card", ["card.json", "finder/card.json", "clusteriser/card.json"])
def test_edited_card_of_a_reconstruction(
    card: str, copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    edit(copy.reco / card, '"sample": "', '"sample": "0')
    command = ("reconstruct", copy.reco, written("data.root"), "-o", tmp_path / "out")
    assert f"{copy.reco / card} must be as townsend wrote it (its seal does not match: it was edited)" in refused(
        *command
    )


@pytest.mark.parametrize("value", ["-1e300", "null", "[]", '"many"'])
def test_edited_calibration_with_a_good_seal(
    value: str, copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    card = copy.reco / "card.json"
    calibration = read_sealed(card)["calibration"]
    seal_again(card, calibration={**calibration, "variance_floor": json.loads(value)})
    sentence = refused("reconstruct", copy.reco, written("data.root"), "-o", tmp_path / "out")
    assert re.search("a calibration must (have|be)", sentence)


def test_torn_cards(copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused) -> None:
    command = ("reconstruct", copy.reco, written("data.root"), "-o", tmp_path / "out")
    card = copy.reco / "card.json"
    whole = card.read_text()
    for text in ("", "{", "[]", "null", "{}", '{"seal": "0"}', whole[: len(whole) // 2], "\x00" * 20):
        card.write_text(text)
        assert f"{card} must be" in refused(*command)
    card.unlink()
    assert f"{card} must exist" in refused(*command)


# ---- networks that are no plain data


def hostile(model: Path, kind: str, marker: Path) -> None:
    """Put a network in place of another of the same input, with a layer that runs code or that nobody knows."""
    import keras

    class Unregistered(keras.layers.Dense):  # type: ignore[misc]
        pass

    def code(x: Any) -> Any:
        Path(place).touch()
        return 2 * x

    place = str(marker)
    shape = read_sealed(model.parent / "card.json")["input_shape"]
    layer = keras.layers.Lambda(code, name="odd") if kind == "Lambda" else Unregistered(2, name="odd")
    layers = keras.layers
    keras.Sequential([layers.Input(shape), layers.Flatten(), layer, layers.Dense(1)]).save(model)
    marker.unlink(missing_ok=True)


@pytest.fixture(params=["Lambda", "Unregistered"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def is_refusal_of(kind: str, sentence: str) -> bool:
    return bool(re.search(rf'model\.keras must be made of stock Keras layers .*"{kind}" .* in layer "odd"', sentence))


def test_hostile_finder(kind: str, copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused) -> None:
    hostile(copy.finder / "model.keras", kind, tmp_path / "ran")
    behind = write_clusteriser(tmp_path / "behind", copy.finder)
    data, out = written("data.root"), tmp_path / "out"
    for command in (
        ("find-peaks", copy.finder, data, "-o", out),
        ("sweep", "clusters.yaml", "--sample", copy.sample, "--finder", copy.finder, "-o", out),
        to_assemble(copy, tmp_path / "joined", clusteriser=behind),
    ):
        new = out if command[0] == "sweep" else None
        assert is_refusal_of(kind, refused(*command, new=new))
    assert not list(out.rglob("*.npy")), "arrays were made"


def test_hostile_clusteriser(kind: str, copy: Parts, tmp_path: Path, refused: Refused) -> None:
    hostile(copy.clusteriser / "model.keras", kind, tmp_path / "ran")
    assert is_refusal_of(kind, refused(*to_assemble(copy, tmp_path / "joined")))


@pytest.mark.parametrize("part", ["finder", "clusteriser"])
def test_hostile_network_in_a_reconstruction(
    part: str, kind: str, copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    model = copy.reco / part / "model.keras"
    hostile(model, kind, tmp_path / "ran")
    out = tmp_path / "out"
    command = ("reconstruct", copy.reco, written("data.root"), "-o", out)
    assert f"must hold the {part} that was assembled" in refused(*command)
    # The same by somebody who knows how folders are sealed.
    sha256 = sha256_of([model])
    for name in ("finder", "clusteriser"):
        known = {**read_sealed(copy.reco / "card.json")[name]}
        if name == part:
            known["sha256"] = sha256
        elif part == "finder":
            inner = copy.reco / "clusteriser" / "card.json"
            seal_again(inner, facts={**read_sealed(inner)["facts"], "finder_sha256": sha256})
            known["card_seal"] = read_sealed(inner)["seal"]
        seal_again(copy.reco / "card.json", **{name: known})
    assert is_refusal_of(kind, refused(*command, new=out))
    assert not list(out.glob("clusters-*.root"))


# ---- empty events


def test_waveforms_of_zeros_count_nothing(
    parts: Parts, waveforms: Waveforms, written: Callable[..., Path], tmp_path: Path, townsend: Callable[..., Any]
) -> None:
    data = written("zeros.root", samples=np.zeros_like(waveforms.samples), truth=None)
    ended = townsend("reconstruct", parts.reco, data, "-o", tmp_path / "out")
    assert (ended.status, ended.err) == (0, "")
    found = read_reconstructed(tmp_path / "out")
    assert len(found) == 20
    for numbers in (found.n_peaks, found.n_clusters, found.n_clusters_uncalibrated, found.deriv_clusters):
        assert not numbers.any()
    assert np.isfinite(found.n_clusters_error).all()


def without_electrons(waveforms: Waveforms) -> Waveforms:
    assert waveforms.truth is not None
    ragged = {name: value[:, :0] for name, value in vars(waveforms.truth).items() if isinstance(value, ak.Array)}
    noise = np.random.default_rng(3).integers(-2, 3, waveforms.samples.shape).astype(np.int16)
    return replace(waveforms, samples=noise, truth=replace(waveforms.truth, **ragged))


def test_tracks_without_an_electron_are_counted(
    parts: Parts, waveforms: Waveforms, tmp_path: Path, townsend: Callable[..., Any]
) -> None:
    write_root(without_electrons(waveforms), tmp_path / "none.root")
    ended = townsend("reconstruct", parts.reco, tmp_path / "none.root", "-o", tmp_path / "out")
    assert (ended.status, ended.err) == (0, "")
    found = read_reconstructed(tmp_path / "out")
    assert found.true_clusters is not None
    assert not found.true_clusters.any()


def test_nothing_to_calibrate_with(parts: Parts, tmp_path: Path, refused: Refused) -> None:
    sample, every = tmp_path / "mc", read_sample(parts.sample)
    command = to_assemble(parts, tmp_path / "reco", sample=sample)
    assert "mc must be a folder that exists" in refused(*command)
    write_root(every[:0], sample / "waveforms-00000.root")
    assert "must hold at least one waveform (got none)" in refused(*command)
    write_root(every[:50], sample / "waveforms-00000.root")
    assert re.search(r"at least 100 .*\(got 50", refused(*command))
    write_root(without_electrons(every), sample / "waveforms-00000.root")
    assert "at least 100 waveforms with peaks and truth (got 0 of 120); simulate more" in refused(*command)
    write_root(replace(every, truth=None), sample / "waveforms-00000.root")
    assert "must hold simulated truth to calibrate with (it holds none)" in refused(*command)


def test_calibration_on_tracks_that_a_network_was_trained_on(parts: Parts, tmp_path: Path, refused: Refused) -> None:
    for seed, who in ((FINDER_SEED, "the finder"), (CLUSTERISER_SEED, "the clusteriser")):
        sample = simulated(tmp_path / f"mc{seed}", 100, seed)
        sentence = refused(*to_assemble(parts, tmp_path / "reco", sample=sample))
        assert f"must be separate from what {who} was trained on (both are of seed {seed}" in sentence
        assert "simulate with another --seed" in sentence


# ---- data that do not fit


def test_mixed_sampling_rates_in_one_pattern(
    parts: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    written("run-1.root"), written("run-2.root", sampling_rate_ghz=2.0)
    sentence = refused("reconstruct", parts.reco, tmp_path / "run-*.root", "-o", tmp_path / "out")
    assert re.search(r"alike in sampling rate \(got 1 GS/s in .*run-1\.root, 2 GS/s in .*run-2\.root\)", sentence)


@pytest.mark.parametrize(
    ("changes", "config", "rule"),
    [
        (
            {"sampling_rate_ghz": 2.0},
            "",
            r"must have the model's sampling rate, 1 GS/s \(got 2\); set `resample: true`",
        ),
        ({"sampling_rate_ghz": 1.2345}, "resample: true", "cannot be"),
        ({"polarity": -1}, "", r"signals that go up after its polarity \(-1\) is applied .*; write the file with pol"),
        ({"t0_ns": 900.0}, "", r"needed 900 to \d+ ns\); record longer"),
        ({}, "t0_ns: 1000", r"needed 1000 to \d+ ns\); record longer"),
        ({"t0_ns": float("nan")}, "", "must say when the track passed.*; set `t0_ns`"),
        ({}, "thresold: 0.4", r'thresold: unknown key .*did you mean "threshold"\?'),
        ({}, "polarity: 2", "polarity: must be 1 or -1"),
        ({}, "scale: 0", "scale: must be greater than 0"),
        ({}, "resample: perhaps", "resample: must be"),
        ({}, "saturation_run: 1", "saturation_run: must be greater than or equal to 2"),
    ],
    ids=str,
)
def test_data_or_settings_that_do_not_fit(
    changes: dict[str, Any],
    config: str,
    rule: str,
    parts: Parts,
    written: Callable[..., Path],
    tmp_path: Path,
    refused: Refused,
) -> None:
    (tmp_path / "how.yaml").write_text(config or "{}")
    data = written("data.root", **changes)
    command = ("reconstruct", parts.reco, data, "--config", tmp_path / "how.yaml", "-o", tmp_path / "out")
    sentence = refused(*command)
    assert re.search(rule, sentence), sentence


def test_window_too_short_for_the_model(
    parts: Parts, waveforms: Waveforms, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    data = written("short.root", samples=waveforms.samples[:, :390], truth=None)
    sentence = refused("reconstruct", parts.reco, data, "-o", tmp_path / "out")
    assert re.search(r"got 0 to 390 ns, needed 224 to 400 ns\); record longer", sentence), sentence


def test_files_that_cannot_be_read(
    parts: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    good = written("good.root")
    (tmp_path / "torn.root").write_bytes(good.read_bytes()[:5000])
    (tmp_path / "text.root").write_text("not a ROOT file")
    (tmp_path / "nothing.root").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    write_root(read_sample(parts.sample)[:0], tmp_path / "empty.root")
    np.savez(tmp_path / "none.npz", voltage_V=np.zeros((0, 1024)), sampling_rate_ghz=1.0)
    for given, rule in (
        ("torn.root", "must be a whole ROOT file"),
        ("text.root", "must be"),
        ("nothing.root", "must be"),
        ("folder", "must hold files waveforms-"),
        ("empty.root", "must hold at least one waveform"),
        ("none.npz", "must"),
        ("absent.root", "check its name"),
        ("absent-*.root", "must match at least one file"),
    ):
        # A good file before the bad one: nothing may have been begun.
        sentence = refused("reconstruct", parts.reco, good, tmp_path / given, "-o", tmp_path / "out")
        assert given in sentence
        assert rule in sentence
    assert "must be given once" in refused("reconstruct", parts.reco, good, good, "-o", tmp_path / "out")


def test_reconstruction_folders_that_are_none(
    parts: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    data = written("data.root")
    for folder, rule in (
        (tmp_path / "none", "must be a folder made by `townsend assemble`"),
        (data, "must be a folder made by `townsend assemble`"),
        (parts.sample, "must exist"),
        (parts.finder, "it is made by `townsend choose`"),
    ):
        assert rule in refused("reconstruct", folder, data, "-o", tmp_path / "out")


# ---- outputs


def test_outputs_that_hold_something_else(
    copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused
) -> None:
    thesis, data = tmp_path / "thesis", written("data.root")
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("years of work")
    assert "holds thesis.tex" in refused(*to_assemble(copy, thesis))
    assert "holds thesis.tex" in refused("reconstruct", copy.reco, data, "-o", thesis)
    for folder in (copy.finder, copy.sample):
        assert "must be new, empty or made by" in refused(*to_assemble(copy, folder))
    for folder in (copy.reco, copy.finder, copy.sample):
        assert "must be new, empty or of the same" in refused("reconstruct", copy.reco, data, "-o", folder)
    assert "must be a folder" in refused(*to_assemble(copy, data))
    assert "must be a folder" in refused("reconstruct", copy.reco, data, "-o", data)
    (copy.reco / "thesis.tex").write_text("years of work")
    assert "holds thesis.tex" in refused(*to_assemble(copy, copy.reco))


def test_outputs_that_cannot_be_written(
    parts: Parts,
    written: Callable[..., Path],
    tmp_path: Path,
    refused: Refused,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data, locked = written("data.root"), tmp_path / "locked"
    make = Path.mkdir

    def guarded(path: Path, *given: Any, **named: Any) -> None:
        if path.is_relative_to(locked):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        make(path, *given, **named)

    monkeypatch.setattr(Path, "mkdir", guarded)
    for output in (locked / "out", data / "out"):
        for command in (to_assemble(parts, output), ("reconstruct", parts.reco, data, "-o", output)):
            sentence = refused(*command)
            assert re.search("Permission denied|Not a directory|File exists", sentence), sentence
            assert str(output.parent) in sentence


def test_output_is_continued_with_the_same_alone(
    copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused, townsend: Callable[..., Any]
) -> None:
    data, out = written("data.root"), tmp_path / "out"
    assert townsend("reconstruct", copy.reco, data, "-o", out).status == 0
    (tmp_path / "how.yaml").write_text("scale: 1.1")
    for command, what in (
        (("reconstruct", copy.reco, data, "--config", tmp_path / "how.yaml"), "another settings"),
        (("reconstruct", copy.reco, data, written("more.root")), "another files"),
    ):
        assert f"must be continued with what it was begun with ({what} now)" in refused(*command, "-o", out)
    seal_again(copy.reco / "card.json", verdicts=[])
    assert "(another reconstruction now)" in refused("reconstruct", copy.reco, data, "-o", out)


# ---- reports


def test_folders_without_a_run(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    (tmp_path / "other" / "thesis").mkdir(parents=True)
    (tmp_path / "other" / "thesis" / "thesis.tex").write_text("years of work")
    for name in ("empty", "none", "file", "other"):
        sentence = refused("report", tmp_path / name, "-o", tmp_path / "report.html")
        assert f"{tmp_path / name} must" in sentence


def test_pages_that_are_not_ours(parts: Parts, tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "thesis.html").write_text("<!DOCTYPE html><p>years of work</p>")
    (tmp_path / "empty.html").write_text("")
    (tmp_path / "folder.html").mkdir()
    (tmp_path / "link.html").symlink_to(tmp_path / "elsewhere.html")
    for name, rule in (
        ("thesis.html", "must be new or a report made before (it is another file)"),
        ("empty.html", "must be new or a report made before"),
        ("folder.html", "must be a file (it is a folder)"),
        ("link.html", "must be new or a report made before"),
        ("thesis.html/report.html", "must lie in a folder"),
    ):
        assert rule in refused("report", parts.sample, "-o", tmp_path / name)


def test_report_of_edited_parts(copy: Parts, tmp_path: Path, refused: Refused) -> None:
    for folder in (copy.finder, copy.clusteriser):
        shutil.rmtree(folder)
    command = ("report", tmp_path, "-o", tmp_path / "report.html")
    edit(copy.reco / "card.json", '"sample": "', '"sample": "0')
    assert re.search(r"reco/card\.json must be as townsend wrote it .*edited", refused(*command))
    shutil.rmtree(copy.reco)
    description = json.loads((copy.sample / "simulation.json").read_text())
    write_json(copy.sample / "simulation.json", {**description, "settings": "none"})
    (copy.sample / "simulation.yaml").write_text("tube: {radius: 1}")
    assert "mc" in refused(*command)


# ---- names


HOSTILE = "\x1b]0;title\x07\x1b[31m<script>alert(1)\n'; rm -rf ~ #"
"""A file name that POSIX allows."""


def test_names_cannot_steer_the_terminal(
    copy: Parts, written: Callable[..., Path], tmp_path: Path, refused: Refused, townsend: Callable[..., Any]
) -> None:
    data, out = written(f"{HOSTILE}[1].root"), tmp_path / f"{HOSTILE}-out"
    sentence = refused("reconstruct", copy.reco, tmp_path / f"{HOSTILE}[2].root", "-o", out)
    assert "\x1b" not in sentence
    assert "\\x1b]0;title\\x07" in sentence
    reco = copy.reco.rename(tmp_path / f"{HOSTILE}-reco")
    ended = townsend("reconstruct", reco, data, "-o", out)
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    assert len(read_reconstructed(out)) == 20


def test_names_are_text_in_a_report(copy: Parts, tmp_path: Path, townsend: Callable[..., Any]) -> None:
    run = tmp_path / f"{HOSTILE}-run"
    run.mkdir()
    copy.sample.rename(run / f"{HOSTILE}-mc")
    ended = townsend("report", run, "-o", tmp_path / "report.html")
    assert (ended.status, ended.err) == (0, "")
    assert "\x1b" not in ended.out
    page = (tmp_path / "report.html").read_text()
    assert "<script>alert" not in page
    assert "\x1b" not in page
    assert "&lt;script&gt;alert(1)" in page
