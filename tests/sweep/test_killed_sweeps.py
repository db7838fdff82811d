"""Sweeps with halving that are killed at drawn moments, most of them inside a write, and go on to the same board."""

from __future__ import annotations

import itertools
import json
import os
import random
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_site import installed

from townsend.config import parse
from townsend.errors import BusyError
from townsend.sweep import lease
from townsend.sweep.board import board, comparable
from townsend.sweep.coordinator import sweep
from townsend.sweep.records import read_records, read_weights
from townsend.sweep.settings import SweepSettings
from townsend.training.records import Outcome

pytestmark = [pytest.mark.slow]

GRID = {
    "topology": ["2 3 1"],
    "activations": ["relu sigmoid"],
    "dropout": [0.0],
    "optimizer": ["sgd"],
    "batch_size": [16],
    "learning_rate": [0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0, 30.0],
}
COMMAND = """
import json, sys
from pathlib import Path
from townsend.config import parse
from townsend.errors import TownsendError
from townsend.sweep.coordinator import sweep
from townsend.sweep.settings import SweepSettings
try:
    sweep(parse(SweepSettings, json.loads(sys.argv[1])), Path(sys.argv[2]), jobs=1)
except TownsendError as error:
    sys.exit(str(error))
"""
RUNS = 7  # folders, each killed three times


@pytest.fixture(scope="module")
def killed_task(tmp_path_factory: pytest.TempPathFactory, toy_tasks: None) -> Any:
    """Install the task of `toys/toy_killed.py`, beside the other toys, for the processes that tests start."""
    with installed(tmp_path_factory.mktemp("killed"), "killed", "toy_killed"):
        yield


class Sweep:
    """A sweep in processes of its own, whose writes and epochs are counted in `notes`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.run, self.notes, self.sample = folder / "run", folder / "notes", folder / "sample"
        self.notes.mkdir()
        self.sample.mkdir()
        (self.sample / "bump.json").write_text('{"height": 1.0}')

    def go(self, *kills: dict[str, Any]) -> subprocess.CompletedProcess[str]:
        given = {"task": "killed", "sample": str(self.sample), "space": GRID, "epochs": 8, "bracket_size": 4}
        given["halving"] = {"least": 2, "factor": 2}
        (self.notes / "kills").write_text("".join(json.dumps(kill) + "\n" for kill in kills))
        return subprocess.run(
            [sys.executable, "-c", COMMAND, json.dumps(given), str(self.run)],
            env={**os.environ, "TOWNSEND_TEST_KILLS": str(self.notes)},
            capture_output=True,
            text=True,
            check=False,
        )

    def lines(self, name: str) -> list[str]:
        path = self.notes / name
        return path.read_text().splitlines() if path.exists() else []

    def ended(self) -> dict[str, dict[str, Any]]:
        if not (self.run / "sweep.json").exists():
            return {}
        return {record.label: record.to_json() for record in read_records(self.run)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, killed_task: None) -> Sweep:
    """The same sweep, undisturbed."""
    made = Sweep(tmp_path_factory.mktemp("whole") / "sweep")
    ended = made.go()
    assert ended.returncode == 0, ended.stderr
    return made


def assert_same(found: Sweep, whole: Sweep) -> None:
    assert comparable(board(found.run)) == comparable(board(whole.run))
    for record in read_records(whole.run):
        if record.outcome is Outcome.FINISHED:
            for one, other in zip(
                read_weights(found.run, record.trial), read_weights(whole.run, record.trial), strict=True
            ):
                np.testing.assert_array_equal(one, other)
    assert not list(found.run.rglob(".*")), "half-written files are left"
    assert not (found.run / "coordinator.lease").exists()
    assert not list(found.run.glob("checkpoints/*/*")), "checkpoints of complete brackets are left"


def test_undisturbed_sweep_halves_and_trains_no_epoch_twice(whole: Sweep) -> None:
    outcomes = [record.outcome for record in read_records(whole.run)]
    assert set(outcomes) == {Outcome.FINISHED, Outcome.PRUNED}
    trained = whole.lines("trained")
    assert len(trained) == len(set(trained)) == sum(record.epochs for record in read_records(whole.run))


@pytest.mark.timeout(600)  # thirty processes after one another
def test_sweep_killed_at_twenty_moments_leaves_what_an_undisturbed_one_leaves(whole: Sweep, tmp_path: Path) -> None:
    seed = int(os.environ.get("TOWNSEND_TEST_SEED") or random.SystemRandom().randrange(10**6))
    print(f"TOWNSEND_TEST_SEED={seed} draws the same moments")  # noqa: T201 - shown when the test fails
    draw = random.Random(seed)
    own = sum(line.startswith("coordinator") for line in whole.lines("writes"))
    of_worker = workers_writes(whole)
    early = range(1, len(of_worker) // 2)
    kinds = [[i for i in early if (of_worker[i - 1] == "records") is records] for records in (False, True)]
    killed: list[str] = []
    for number in range(RUNS):
        made = Sweep(tmp_path / str(number))
        plans = [
            {"role": "coordinator", "count": draw.randint(1, own), "victim": "self"},
            {"role": "worker", "count": draw.choice(kinds[number % 2]), "victim": "parent"},
            {"role": "worker", "count": draw.randint(1, len(of_worker) // 3), "victim": "self"},
        ]
        for plan in plans:
            kept, before = made.ended(), len(made.lines("trained"))
            ended = made.go({**plan, "moment": draw.choice(["torn", "whole", "renamed"])})
            now, trained = made.ended(), made.lines("trained")[before:]
            # Wall time, CPU time and attempts are in a record: one made again would not have the same.
            assert {label: now.get(label) for label in kept} == kept, ended.stderr
            assert not {line.split()[0] for line in trained} & set(kept), "a finished fit was trained again"
        ended = made.go()
        assert ended.returncode == 0, ended.stderr
        assert_same(made, whole)
        killed += made.lines("killed")
        # A kill costs at most the way of one fit since its last rest.
        repeated = len(made.lines("trained")) - len(set(made.lines("trained")))
        assert repeated <= 4 * len(made.lines("killed"))
    print("\n".join(killed))  # noqa: T201
    assert len(killed) >= 0.9 * 3 * RUNS, "moments were missed"


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_torn_checkpoint_is_made_again_silently(whole: Sweep, tmp_path: Path, share: float) -> None:
    made = Sweep(tmp_path / "sweep")
    third = [i for i, line in enumerate(workers_writes(whole), start=1) if line != "records"][2]
    made.go({"role": "worker", "count": third, "victim": "parent", "moment": "renamed"})
    found = sorted(made.run.glob("checkpoints/*/*.npz"))
    assert found
    os.truncate(found[0], int(share * found[0].stat().st_size))
    ended = made.go()
    assert ended.returncode == 0, ended.stderr
    assert_same(made, whole)


@pytest.mark.parametrize("kind", ["json", "npz"])
def test_torn_record_is_one_sentence_and_its_remedy_helps(whole: Sweep, tmp_path: Path, kind: str) -> None:
    made = Sweep(tmp_path / "sweep")
    arrays = [i for i, line in enumerate(workers_writes(whole), start=1) if line == "records"]
    made.go({"role": "worker", "count": arrays[-2], "victim": "parent", "moment": "torn"})
    torn = max((made.run / "records").glob(f"[0-9]*.{kind}"), key=lambda path: path.stat().st_mtime_ns)
    os.truncate(torn, torn.stat().st_size // 2)
    ended = made.go()
    assert ended.returncode == 1
    assert f"{torn} must be" in ended.stderr
    assert "delete it" in ended.stderr
    assert "Traceback" not in ended.stderr
    for path in (made.run / "records").glob(f"{torn.stem}.*"):
        path.unlink()
    ended = made.go()
    assert ended.returncode == 0, ended.stderr
    assert_same(made, whole)


@pytest.mark.parametrize("skew_h", [-5, 5])
def test_second_coordinator_is_refused_whatever_the_clock_of_the_first(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, skew_h: int
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.1)
    run, done = tmp_path / "run", threading.Event()
    run.mkdir()
    path = run / "coordinator.lease"
    path.write_bytes(lease._encoded(holder := lease.Holder("farm-17", "another", 4711, 9, "u")))

    def live() -> None:
        """Beat as a coordinator on another machine of the shared disk does: in place, so that it can always be read."""
        with path.open("r+b", buffering=0) as file:
            for beat in itertools.count():
                os.pwrite(file.fileno(), lease._encoded(replace(holder, beat=beat)), 0)
                os.utime(path, (time.time() + 3600 * skew_h,) * 2)
                if done.wait(0.05):
                    return

    other = threading.Thread(target=live)
    other.start()
    try:
        with pytest.raises(BusyError, match="process 4711 on farm-17 is at work in it"):
            sweep(parse(SweepSettings, {"task": "bump", "sample": str(bump_sample), "space": GRID}), run, jobs=1)
    finally:
        done.set()
        other.join()
    assert [found.name for found in run.iterdir()] == ["coordinator.lease"]


def workers_writes(made: Sweep) -> list[str]:
    """Folder of each write of a worker: `records`, or the number of a bracket for its checkpoints."""
    return [folder for role, folder in map(str.split, made.lines("writes")) if role == "worker"]
