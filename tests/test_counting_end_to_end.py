"""The whole line at small scale through its commands: from a simulation to a page about counted clusters."""

from __future__ import annotations

import contextlib
import html
import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from engine_here import open_engine_here

from townsend.cli import main
from townsend.experiments.drifttube.reconstruction.output import NUMBERS, TRUTH, read_reconstructed
from townsend.files import read_sealed
from townsend.sample.reader import read_sample
from townsend.sample.root_io import write_root
from townsend.sweep.board import board
from townsend.sweep.records import read_arrays, run_info

pytestmark = [
    pytest.mark.slow,
    # Keras asks NumPy for arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

PEAKS = """\
task: drifttube-peaks
epochs: 4
bracket_size: 1
task_settings: {windows: 1500, validation_waveforms: 40, test_waveforms: 60}
space:
  optimizer: [adam]
  learning_rate: [0.01]
  activations: [relu sigmoid]
  topology: [4 8 1]
  batch_size: [150]
  dropout: [0.0]
"""
CLUSTERS = """\
task: drifttube-clusters
network: cnn
epochs: 6
bracket_size: 2
space:
  optimizer: [adam, rmsprop]
  activations: [relu selu]
  filters: [4 8]
  batch_size: [50]
  dropout: [0.0]
"""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Run:
    """Folders that the commands have left in one folder, and what they said."""

    folder: Path
    said: dict[str, str]

    def __getattr__(self, name: str) -> Path:
        return self.folder / name.replace("_", "-")


def command(*arguments: object) -> str:
    """Run a command in this process, and return what it printed."""
    out, err = io.StringIO(), io.StringIO()
    with (
        pytest.MonkeyPatch.context() as patch,
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        for room in ("sweep.coordinator", "experiments.drifttube.reconstruction.run"):
            patch.setattr(f"townsend.{room}.open_engine", open_engine_here)
        patch.setattr(sys, "argv", ["townsend", *map(str, arguments)])
        with pytest.raises(SystemExit) as end:
            main()
    assert (end.value.code, err.getvalue()) == (0, ""), arguments
    return out.getvalue()


def go(folder: Path, seed: int) -> Run:
    """Go the whole way; simulations have the seeds `seed`, `seed` + 1 ..., sweeps have `seed`."""
    (folder / "peaks.yaml").write_text(PEAKS)
    (folder / "clusters.yaml").write_text(CLUSTERS)
    for number, (name, waveforms, impact) in enumerate(
        (
            ("mc-finder", 250, "central"),
            ("mc-clusters", 300, "uniform"),
            ("mc-calibration", 150, "uniform"),
            ("mc-test", 120, "uniform"),
        )
    ):
        options = ("-n", waveforms, "--seed", seed + number, "--impact", impact, "--jobs", 1)
        command("simulate", "drifttube", *options, "-o", folder / name)
    common = ("--seed", seed, "--jobs", 1)
    said = {}
    command("sweep", folder / "peaks.yaml", "--sample", folder / "mc-finder", *common, "-o", folder / "peaks-run")
    said["finder"] = command("choose", folder / "peaks-run", "-o", folder / "finder")
    behind = ("--sample", folder / "mc-clusters", "--finder", folder / "finder")
    command("sweep", folder / "clusters.yaml", *behind, *common, "-o", folder / "clusters-run")
    said["board"] = command("board", folder / "clusters-run")
    said["clusteriser"] = command("choose", folder / "clusters-run", "-o", folder / "clusteriser")
    both = (folder / "finder", folder / "clusteriser")
    said["assemble"] = command(
        "assemble", *both, "--calibrate", folder / "mc-calibration", "--jobs", 1, "-o", folder / "reco"
    )
    given = (folder / "reco", folder / "mc-test", "--jobs", 1)
    said["reconstruct"] = command("reconstruct", *given, "-o", folder / "out")
    said["report"] = command("report", folder, "-o", folder / "report.html")
    return Run(folder, said)


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return go(tmp_path_factory.mktemp("line"), 11)


@pytest.fixture(scope="module")
def other_line(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The same with other seeds."""
    return go(tmp_path_factory.mktemp("other"), 71)


def text_of(page: Path) -> str:
    """What a reader sees of a page: without elements, styles and scripts."""
    body = re.sub(r"<(style|script)\b.*?</\1>", "", page.read_text(), flags=re.DOTALL)
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", body)).split())


def verdicts_of(run: Run) -> Iterator[str]:
    for card in (run.finder, run.clusteriser, run.reco):
        yield from (verdict["sentence"] for verdict in read_sealed(card / "card.json")["verdicts"])
    yield from (verdict["sentence"] for verdict in json.loads((run.out / "summary.json").read_text())["verdicts"])


# ---- the sweep of clusterisers


def test_both_configurations_are_ranked_beside_the_references(line: Run) -> None:
    table = board(line.clusters_run)
    assert {row.hyperparameters["optimizer"] for row in table.rows} == {"adam", "rmsprop"}
    errors = [row.metrics["mse"].value for row in table.ranked]
    assert errors == sorted(errors)
    for row in table.ranked:
        assert row.threshold is None
        assert row.metrics["mse.ceiling"] == row.metrics["boosted_perfect.mse"]
        # The same references stand beside each network.
        assert row.metrics["path.mse"] == table.rows[0].metrics["path.mse"]
    assert "threshold" not in line.said["board"]
    assert re.search(r"trial \d leads: mse", line.said["board"])


def test_clusteriser_saw_only_waveforms_that_its_finder_did_not(line: Run) -> None:
    facts = read_sealed(line.clusteriser / "card.json")["facts"]
    assert (facts["sample_seed"], facts["finder_sample_seed"]) == (12, 11)
    assert "seed" in facts["unseen_by_the_finder"]


def test_moved_finder_goes_on_and_another_is_refused(
    line: Run, tmp_path: Path, townsend: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Path(shutil.copytree(line.clusters_run, tmp_path / "run"))
    moved = Path(shutil.copytree(line.finder, tmp_path / "moved"))
    monkeypatch.setattr("townsend.engines.local.LocalEngine.submit", lambda *given: pytest.fail("trained again"))
    again = ("sweep", line.folder / "clusters.yaml", "--sample", line.mc_clusters, "--seed", 11, "-o", run)
    ended = townsend(*again, "--finder", moved)
    assert (ended.status, ended.err) == (0, "")
    assert run_info(run) == run_info(line.clusters_run)
    card = json.loads((line.finder / "card.json").read_text())
    (moved / "card.json").write_text(json.dumps({**card, "threshold": 0.01}))
    assert "it was edited" in townsend(*again, "--finder", moved).err
    ended = townsend(*again, "--finder", line.clusteriser)
    assert ended.status == 2
    assert "or what its task reads beside it, has other contents" in ended.err


def test_networks_open_in_plain_keras_where_townsend_cannot_be_imported(line: Run, tmp_path: Path) -> None:
    test = read_arrays(line.clusters_run).splits["test"]
    np.save(tmp_path / "x.npy", test.x)
    code = (
        "import sys; sys.modules['townsend'] = None\n"
        "import keras, numpy\n"
        f"model = keras.saving.load_model({str(line.clusteriser / 'model.keras')!r}, safe_mode=True)\n"
        f"scores = model.predict(numpy.load({str(tmp_path / 'x.npy')!r}), verbose=0)[:, 0]\n"
        f"numpy.save({str(tmp_path / 'scores.npy')!r}, scores)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with np.load(line.clusteriser / "test.npz", allow_pickle=False) as kept:
        # Other batches are summed in another order: rounding of numbers near 15.
        np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), kept["scores"], rtol=1e-5, atol=1e-4)
        np.testing.assert_array_equal(kept["y"], test.y)


# ---- the reconstruction


def test_reconstruction_has_learnt_to_count(line: Run) -> None:
    found = read_reconstructed(line.out)
    assert found.true_clusters is not None
    assert len(found) == 120
    # Two seeds gave 0.74 and 0.82; numbers without a relation to the truth have 0 +- 0.09.
    assert np.corrcoef(found.n_clusters, found.true_clusters)[0, 1] > 0.4
    # The mean is right within spread / sqrt(120), and as much again for the 150 waveforms of the calibration.
    off = found.n_clusters - found.true_clusters
    assert abs(off.mean()) < 5 * off.std() / np.sqrt(len(found))


def test_one_piece_and_shards_give_equal_contents(line: Run, tmp_path: Path) -> None:
    waveforms = read_sample(line.mc_test)
    write_root(waveforms, tmp_path / "whole.root")
    for number, (start, stop) in enumerate(((0, 1), (1, 50), (50, 113), (113, 120))):
        write_root(waveforms[start:stop], tmp_path / f"part-{number}.root")
    for name in ("whole", "part-*"):
        command("reconstruct", line.reco, tmp_path / f"{name}.root", "--jobs", 1, "-o", tmp_path / name[:4])
    contents = [read_reconstructed(folder) for folder in (line.out, tmp_path / "whol", tmp_path / "part")]
    for other in contents[1:]:
        for name in {*NUMBERS, *TRUTH} - {"file", "row"}:
            np.testing.assert_array_equal(getattr(other, name), getattr(contents[0], name))
        for mine, its in zip(other.peaks(), contents[0].peaks(), strict=True):
            assert ak.to_list(mine) == ak.to_list(its)
    figures = [
        np.array([[np.nan if part is None else part for part in pair] for pair in found.summary["figures"].values()])
        for found in contents
    ]
    for other in figures[1:]:
        # Means are summed block by block: equal but for rounding.
        np.testing.assert_allclose(other, figures[0], rtol=1e-12, atol=1e-12)


# ---- the page


def test_figures_of_every_step_exist(line: Run) -> None:
    names = {
        "finder": {"roc.png", "confusion.png", "scores.png", "training-curves.png"},
        "clusteriser": {"predicted-against-true.png", "residuals.png", "training-curves.png"},
        "clusters-run": {"configurations-mse.png", "configurations-mae.png"},
    }
    for folder, expected in names.items():
        pictures = {path.name: path for path in (line.folder / folder / "figures").iterdir()}
        assert expected <= pictures.keys()
        assert all(path.read_bytes().startswith(PNG) for path in pictures.values())


def test_commands_show_the_verdicts_of_what_they_made(line: Run) -> None:
    for name in ("finder", "clusteriser", "reco"):
        said = " ".join(line.said["assemble" if name == "reco" else name].split())
        for verdict in read_sealed(line.folder / name / "card.json")["verdicts"]:
            assert " ".join(verdict["sentence"].split()[:6]) in said
    assert str(line.folder / "report.html") in line.said["report"]


def test_page_names_every_verdict_and_shows_figures(line: Run) -> None:
    page = (line.folder / "report.html").read_text()
    text = text_of(line.folder / "report.html")
    sentences = list(verdicts_of(line))
    assert len(sentences) > 10
    for sentence in sentences:
        assert " ".join(sentence.split()) in text, sentence
    assert page.count("<svg") + page.count("data:image/") > 8
    assert "does not hold" not in text
    for step in (
        "townsend simulate drifttube -n 120 --seed 14 --impact uniform -o mc-test",
        "townsend sweep clusters-run.yaml --sample mc-clusters --finder finder -o clusters-run",
        "townsend assemble finder clusteriser --calibrate mc-calibration -o reco",
        "townsend reconstruct reco mc-test -o out",
    ):
        assert step in text


def test_other_seeds_give_another_report_with_other_figures(line: Run, other_line: Run) -> None:
    pages = [(run.folder / "report.html").read_text() for run in (line, other_line)]
    titles = [re.findall(r"<h2[^>]*>(.*?)</h2>", page) for page in pages]
    assert titles[0] == titles[1]
    assert pages[0] != pages[1]
    summaries = [json.loads((run.out / "summary.json").read_text())["figures"] for run in (line, other_line)]
    assert summaries[0].keys() == summaries[1].keys()
    measured = [name for name in summaries[0] if summaries[0][name] != summaries[1][name]]
    assert len(measured) > len(summaries[0]) / 2
    assert {sentence.split()[0] for sentence in verdicts_of(line)} & {s.split()[0] for s in verdicts_of(other_line)}
