"""Sweeps of Keras networks whose checkpoints are torn by a kill or a full disk, and that go on to the same board."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_site import installed

from townsend.sweep.board import board, comparable
from townsend.sweep.records import read_records, read_weights
from townsend.training.records import Outcome

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]  # processes that load Keras, one after the other

SETTINGS = """\
task: killed
network: dense
epochs: 4
bracket_size: 4
halving: {least: 1, factor: 2}
space:
  layers: ["3"]
  activations: [relu sigmoid]
  dropout: [0.2]
  optimizer: [adam]
  batch_size: [50]
  learning_rate: [0.001, 0.003, 0.01, 0.02, 0.03, 0.05, 0.1, 0.2]
"""


@pytest.fixture(scope="module")
def killed_task(tmp_path_factory: pytest.TempPathFactory, toy_tasks: None) -> Any:
    """Install the task of `toys/toy_killed.py`, with Keras as its trainer, for the processes that tests start."""
    with installed(tmp_path_factory.mktemp("killed"), "killed", "toy_killed") as patch:
        patch.setenv("TOWNSEND_TEST_TRAINER", "keras")
        yield


class Sweep:
    """A sweep that `townsend sweep` runs in processes of its own, whose writes are counted in `notes`."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.run, self.notes, self.sample = folder / "run", folder / "notes", folder / "sample"
        self.notes.mkdir()
        self.sample.mkdir()
        (self.sample / "bump.json").write_text('{"height": 1.0}')
        settings = folder / "sweep.yaml"
        settings.write_text(SETTINGS)
        self.command = [sys.executable, "-m", "townsend", "sweep", settings, "--sample", self.sample, "--jobs", "1"]
        self.command += ["-o", self.run]

    def go(self, *kills: dict[str, Any], around: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        """Run the command, as the last words of another one where `around` begins it; processes die at these writes."""
        (self.notes / "kills").write_text("".join(json.dumps(kill) + "\n" for kill in kills))
        return subprocess.run(
            [*around, *map(str, self.command)],
            env={**os.environ, "TOWNSEND_TEST_KILLS": str(self.notes)},
            capture_output=True,
            text=True,
            check=False,
        )

    def lines(self, name: str) -> list[str]:
        path = self.notes / name
        return path.read_text().splitlines() if path.exists() else []

    def records(self) -> dict[str, dict[str, Any]]:
        """Everything that is told of the fits that have ended; times are in it, so one trained again would differ."""
        return {record.label: record.to_json() for record in read_records(self.run)}


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory, killed_task: None) -> Sweep:
    """The same sweep, undisturbed."""
    made = Sweep(tmp_path_factory.mktemp("whole") / "sweep")
    ended = made.go()
    assert ended.returncode == 0, ended.stderr
    assert {record.outcome for record in read_records(made.run)} == {Outcome.FINISHED, Outcome.PRUNED}
    return made


def checkpoint_writes(made: Sweep) -> list[tuple[int, str]]:
    """The worker's writes that were checkpoints: which write it was, counted from 1, and of which bracket."""
    of_worker = [folder for role, folder in map(str.split, made.lines("writes")) if role == "worker"]
    return [(count, folder) for count, folder in enumerate(of_worker, start=1) if folder != "records"]


def assert_same(found: Sweep, whole: Sweep) -> None:
    assert comparable(board(found.run)) == comparable(board(whole.run))
    best = board(whole.run).best
    assert best is not None
    for one, other in zip(read_weights(found.run, best.trial), read_weights(whole.run, best.trial), strict=True):
        np.testing.assert_array_equal(one, other, strict=True)
    assert not list(found.run.rglob(".*")), "half-written files are left"
    assert not list(found.run.glob("checkpoints/*/*")), "checkpoints of complete brackets are left"


@pytest.mark.parametrize(
    ("moment", "victim", "number"),
    [("torn", "parent", 1), ("torn", "self", 4), ("whole", "parent", 5), ("renamed", "parent", -1)],
)
def test_sweep_of_networks_that_is_killed_in_a_checkpoint_goes_on_to_the_same_board(
    whole: Sweep, tmp_path: Path, moment: str, victim: str, number: int
) -> None:
    count, folder = checkpoint_writes(whole)[number]
    made = Sweep(tmp_path / "sweep")
    ended = made.go({"role": "worker", "count": count, "moment": moment, "victim": victim})
    (killed,) = made.lines("killed")
    assert f"checkpoints/{folder}/." in killed
    if victim == "parent":  # else the engine itself has gone on, in a new process
        kept, left = made.records(), list(made.run.glob("checkpoints/*/.*"))
        assert ended.returncode != 0
        assert len(left) == (moment != "renamed")
        ended = made.go()
        assert {label: made.records()[label] for label in kept} == kept, "a finished fit was trained again"
    assert ended.returncode == 0, ended.stderr
    assert_same(made, whole)


SMALL = """
checkpoints=$1 between=$2 bytes=$3; shift 3
mount -t tmpfs -o size=$bytes tmpfs "$checkpoints" || exit 99
"$@"
status=$?
cp -r "$checkpoints" "$checkpoints/../records" "$between"
mount -o remount,size=16m "$checkpoints"
[ $status = 2 ] && "$@" 2> "$between/second"
"""


@pytest.fixture
def disk_of() -> Callable[[Path, Path, int], tuple[str, ...]]:
    """What to put around a command for two runs: on a small file system of its own in a folder, and on a larger one.

    What is on it, and the records beside it, are copied in between. Needs no rights where the kernel allows it.
    """
    words = ("unshare", "-Urm", "sh", "-c")
    if (
        shutil.which("unshare") is None
        or subprocess.run(
            [*words, "mount -t tmpfs -o size=64k tmpfs /mnt && mount -o remount,size=1m /mnt"],
            capture_output=True,
            check=False,
        ).returncode
    ):
        pytest.skip("a full disk: this system does not let a user mount a small one (unshare -Urm)")
    return lambda folder, between, size: (*words, SMALL, "sh", str(folder), str(between), str(size))


def test_disk_that_is_full_in_a_checkpoint_is_one_sentence_and_room_is_all_that_is_needed(
    whole: Sweep,
    tmp_path: Path,
    disk_of: Callable[[Path, Path, int], tuple[str, ...]],
    one_sentence: Callable[[str], str],
) -> None:
    writes = checkpoint_writes(whole)
    count, folder = next(write for write in writes if write[1] != writes[0][1])  # the first of the second bracket
    made = Sweep(tmp_path / "sweep")
    made.go({"role": "worker", "count": count, "moment": "renamed", "victim": "parent"})
    kept = made.records()
    assert len(kept) == 4
    (first,) = made.run.glob("checkpoints/*/*.npz")
    between = tmp_path / "between"
    between.mkdir()
    room = int(2.5 * first.stat().st_size)  # for two of the four
    ended = made.go(around=disk_of(made.run / "checkpoints", between, room))
    sentence = one_sentence(ended.stderr)
    assert re.search(r"the disk of .*run must have room for records \(it is full\); free some and repeat", sentence)
    assert len(list((between / "checkpoints" / folder).iterdir())) == 2, "whole ones are kept, and nothing else"
    for path in (between / "records").iterdir():
        if not path.stem.startswith(folder):
            assert path.read_bytes() == (made.run / "records" / path.name).read_bytes()
    assert ended.returncode == 0, (between / "second").read_text()
    found = made.records()
    assert {label: found[label] for label in kept} == kept, "a finished fit was trained again"
    # The small disk hid the first one's checkpoint, and had no room for the third one's.
    assert [record["attempts"] for label, record in found.items() if label not in kept] == [2, 1, 2, 1]
    shutil.rmtree(first.parent)  # below the mount
    assert_same(made, whole)
