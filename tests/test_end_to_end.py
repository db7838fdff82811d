"""The whole line at small scale, and a sweep that is killed at a random moment and goes on."""

from __future__ import annotations

import csv
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from townsend.api import board, choose, find_peaks, simulate_drifttube, sweep
from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.report.figures import draw_board, draw_model
from townsend.sample.reader import read_sample
from townsend.sweep.board import comparable, write_csv
from townsend.sweep.records import read_arrays, read_records, read_weights
from townsend.sweep.settings import load_sweep

pytestmark = [
    pytest.mark.slow,
    # Keras asks NumPy for arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

SWEEP = """\
task: drifttube-peaks
epochs: 3
patience: 3
bracket_size: 2
task_settings: {windows: 1500, validation_waveforms: 40, test_waveforms: 60}
space:
  optimizer: [adam, sgd]
  activations: [relu sigmoid]
  topology: [8 16 1, 4 8 1]
  batch_size: [150]
  dropout: [0.0]
"""
PNG = b"\x89PNG\r\n\x1a\n"


@dataclass(frozen=True)
class Line:
    """What the commands have left, one folder each."""

    sample: Path
    config: Path
    run: Path
    model: Path
    peaks: Path
    sweep_s: float


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """Go the whole way once."""
    folder = tmp_path_factory.mktemp("line")
    config = folder / "small.yaml"
    config.write_text(SWEEP)
    sample = simulate_drifttube(400, folder / "mc", DriftTubeSettings(seed=11), jobs=2)
    began = time.monotonic()
    run = sweep(load_sweep(config, {"sample": str(sample)}), folder / "run", jobs=2)
    sweep_s = time.monotonic() - began
    write_csv(board(run), run / "board.csv")
    draw_board(run, run / "figures")
    model = choose(run, folder / "model")
    draw_model(model)
    find_peaks(model, sample, folder / "peaks", FindPeaksSettings(pictures=3))
    return Line(sample, config, run, model, folder / "peaks", sweep_s)


def is_picture(path: Path) -> bool:
    return path.stat().st_size > 5000 and path.read_bytes()[:8] == PNG


def test_sample_holds_waveforms_with_truth(line: Line) -> None:
    waveforms = read_sample(line.sample)
    assert waveforms.samples.shape == (400, 1024)
    assert waveforms.truth is not None
    assert waveforms.provenance.seed == 11
    assert waveforms.event.tolist() == list(range(400))


def test_board_has_a_row_of_every_configuration(line: Line) -> None:
    with (line.run / "board.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted((row["optimizer"], row["topology"]) for row in rows) == [
        ("adam", "4 8 1"),
        ("adam", "8 16 1"),
        ("sgd", "4 8 1"),
        ("sgd", "8 16 1"),
    ]
    figures = [float(row["auc_all"]) for row in rows if row["outcome"] == "finished"]
    assert figures == sorted(figures, reverse=True)
    assert all(0 < float(row["auc_all.error"]) < 0.1 for row in rows)
    assert all(float(row["cpu_s"]) > 0 and float(row["peak_memory_mb"]) > 0 for row in rows)
    assert all(is_picture(path) for path in (line.run / "figures").iterdir())
    assert (line.run / "figures" / "roc.png").is_file()


def test_best_network_has_learnt(line: Line) -> None:
    # Three other seeds gave 0.87 to 0.93 for the best of the four; a network that has not learnt has 0.2 to 0.7.
    best = board(line.run).best
    assert best is not None
    assert best.metrics["auc_all"].value > 0.8


def test_card_has_facts_and_figures_with_errors(line: Line) -> None:
    card = json.loads((line.model / "card.json").read_text())
    assert card["facts"].items() >= {"sampling_rate_ghz": 1.0, "before": 5, "after": 9, "tolerance_ns": 2.0}.items()
    value, error = card["test"]["metrics"]["auc_all"]
    before, _ = card["validation"]["metrics"]["auc_all"]
    assert 0.5 < value <= 1
    assert 0 < error < 0.1
    assert value != before
    assert card["validation"]["selection_biased"]
    assert card["trial"] == board(line.run).best.trial  # type: ignore[union-attr]
    assert "auc_all" in (line.model / "README.md").read_text()
    pictures = sorted((line.model / "figures").iterdir())
    assert [path.name for path in pictures] == ["confusion.png", "roc.png", "scores.png", "training-curves.png"]
    assert all(map(is_picture, pictures))


def test_network_opens_in_plain_keras_where_townsend_cannot_be_imported(line: Line, tmp_path: Path) -> None:
    test = read_arrays(line.run).splits["test"]
    np.save(tmp_path / "x.npy", test.x[:500])
    code = (
        "import sys; sys.modules['townsend'] = None\n"
        "import keras, numpy\n"
        f"model = keras.saving.load_model({str(line.model / 'model.keras')!r}, safe_mode=True)\n"
        f"scores = model.predict(numpy.load({str(tmp_path / 'x.npy')!r}), verbose=0)[:, 0]\n"
        f"numpy.save({str(tmp_path / 'scores.npy')!r}, scores)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    with np.load(line.model / "test.npz", allow_pickle=False) as kept:
        np.testing.assert_allclose(np.load(tmp_path / "scores.npy"), kept["scores"][:500], rtol=0, atol=1e-5)
        np.testing.assert_array_equal(kept["y"], test.y)


def peaks_in(folder: Path) -> dict[str, Any]:
    with uproot.open(folder / "peaks.root") as file:
        tree = file["peaks"]
        branches = ["event", "channel", "run", "hit", "time_ns", "score"]
        assert {*branches, "ntime_ns", "nscore"} == set(tree.keys())  # with the lengths by which ROOT reads lists
        return {name: tree[name].array() for name in branches}


def test_peaks_of_simulated_waveforms(line: Line) -> None:
    found = peaks_in(line.peaks)
    threshold = json.loads((line.model / "card.json").read_text())["threshold"]
    assert found["event"].tolist() == list(range(400))
    times = [np.asarray(times) for times in found["time_ns"]]
    assert np.mean([len(t) for t in times]) > 3
    assert all(np.all(np.diff(t) > 0) for t in times)
    everything = np.concatenate(times)
    assert np.mean((everything > 220) & (everything < 500)) > 0.8  # the drift begins at 224 ns and ends before 500
    assert all(np.all(np.asarray(scores) >= np.float32(threshold)) for scores in found["score"])
    summary = json.loads((line.peaks / "summary.json").read_text())
    assert summary["waveforms"] == 400
    pictures = list((line.peaks / "figures").iterdir())
    assert len(pictures) == 3
    assert all(map(is_picture, pictures))


def test_peaks_of_real_traces(line: Line, real_traces: Path, tmp_path: Path) -> None:
    found = find_peaks(line.model, real_traces, tmp_path / "real", FindPeaksSettings(pictures=1))
    kept = peaks_in(tmp_path / "real")
    assert len(kept["event"]) == len(found.hit) == 24
    assert kept["hit"].tolist() == found.hit.tolist()
    assert 0 < found.hit.sum() < 24
    # Channels without a hit hold noise: far fewer peaks than those with one.
    assert found.rate_per_us(hit=True) > 3 * found.rate_per_us(hit=False)


# ---- killed and gone on


def command(line: Line, run: Path) -> list[str]:
    start = [sys.executable, "-m", "townsend", "sweep", str(line.config), "--sample", str(line.sample)]
    return [*start, "--jobs", "2", "-o", str(run)]


def killed(arguments: list[str], after_s: float) -> int:
    """Start a command, kill it with SIGKILL when `after_s` have passed, and return its status."""
    with subprocess.Popen(arguments, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            process.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            process.kill()
    return process.returncode


def ended_records(run: Path) -> dict[int, dict[str, Any]]:
    return {record.trial: record.to_json() for record in read_records(run)} if (run / "sweep.json").exists() else {}


def test_sweep_killed_at_random_moments_leaves_what_an_uninterrupted_one_leaves(line: Line, tmp_path: Path) -> None:
    seed = int(os.environ.get("TOWNSEND_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"TOWNSEND_TEST_SEED={seed} draws the same moments")  # noqa: T201 - shown when the test fails
    moments = random.Random(seed)
    run, kills = tmp_path / "killed", 0
    kept: dict[int, dict[str, Any]] = {}
    for after_s in (moments.uniform(0, line.sweep_s), moments.uniform(0.3, 0.8) * line.sweep_s):
        kills += killed(command(line, run), after_s) == -signal.SIGKILL
        now = ended_records(run)
        assert {trial: now.get(trial) for trial in kept} == kept
        kept = now
    print(f"{kills} kills, {len(kept)} of 4 fits had ended before the last run")  # noqa: T201
    subprocess.run(command(line, run), check=True, capture_output=True)

    finished = ended_records(run)
    # Wall time, CPU time, host and attempts are in the records: a fit done again would not have the same.
    assert {trial: finished[trial] for trial in kept} == kept
    assert all(finished[trial]["attempts"] <= 1 + kills for trial in finished)
    assert comparable(board(run)) == comparable(board(line.run))
    assert len(finished) == 4
    for trial in finished:
        for left, right in zip(read_weights(run, trial), read_weights(line.run, trial), strict=True):
            np.testing.assert_array_equal(left, right)
    assert not list(run.rglob(".*")), "half-written files are left"
    assert not (run / "coordinator.lease").exists()
