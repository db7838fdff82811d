"""Whole sweeps of a toy task: what they leave, how they go on, and how they end when something is wrong."""

from __future__ import annotations

import errno
import json
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_site import installed

from townsend.config import parse
from townsend.engines.base import Message, News, WorkUnit
from townsend.errors import BusyError, ConfigError, InputError
from townsend.sweep import coordinator as room
from townsend.sweep.board import board as read_board
from townsend.sweep.board import comparable
from townsend.sweep.coordinator import sweep
from townsend.sweep.folder import tidy
from townsend.sweep.lease import hold
from townsend.sweep.records import read_arrays, read_curves, read_records, read_weights, run_info
from townsend.sweep.settings import SweepSettings
from townsend.tasks.base import Arrays
from townsend.training.bracket import BracketWork, train_bracket
from townsend.training.records import FitRecord, Outcome

GRID = {
    "topology": ["3 4 1", "2 3 1"],
    "activations": ["relu sigmoid"],
    "dropout": [0.1],
    "optimizer": ["adam", "sgd"],
    "batch_size": [64],
}
ONE = {**GRID, "topology": ["2 3 1"], "optimizer": ["sgd"]}
LEARNING = {**GRID, "learning_rate": {"low": 1e-3, "high": 0.1, "log": True}}


def settings(sample: Path, **changes: Any) -> SweepSettings:
    given = {"task": "bump", "sample": str(sample), "space": GRID, "epochs": 3, "patience": 2, "bracket_size": 2}
    return parse(SweepSettings, {**given, **changes})


class InProcess:
    """Stands for the local engine where processes do not matter: units run in `poll`."""

    def __init__(self, site: None, run: Path, jobs: int, build: Path | None = None) -> None:
        self.units: list[WorkUnit] = []

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *error: object) -> None:
        self.units = []

    def submit(self, unit: WorkUnit) -> None:
        self.units.append(unit)

    def poll(self, timeout_s: float) -> list[Message]:
        unit = self.units.pop(0)
        heard: list[Message] = []
        train_bracket(
            unit.folder,
            BracketWork.from_json(unit.arguments),
            lambda record: heard.append(Message(unit.name, News.PROGRESS, body=record.to_json())),
        )
        return [*heard, Message(unit.name, News.DONE)]


@pytest.fixture
def in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "open_engine", InProcess)


def board(run: Path) -> list[FitRecord]:
    """All that must not depend on how the work was cut, killed and resumed."""
    machine = {"wall_s": 0.0, "cpu_s": 0.0, "compile_s": 0.0, "peak_memory_mb": 0.0, "host": "", "attempts": 1}
    return [replace(record, **machine) for record in read_records(run)]


@pytest.mark.slow
def test_sweep_leaves_a_record_curves_and_weights_of_every_configuration_however_it_is_cut(
    bump_sample: Path, tmp_path: Path
) -> None:
    heard: list[tuple[int, int]] = []
    run = sweep(settings(bump_sample), tmp_path / "run", jobs=2, progress=lambda *numbers: heard.append(numbers))
    records = read_records(run)
    assert [record.trial for record in records] == [0, 1, 2, 3]
    assert {record.outcome for record in records} == {Outcome.FINISHED}
    assert heard == [(done, 4) for done in range(5)]
    curves = read_curves(run, 2)
    assert set(curves) == {"loss", "monitor_loss", "accuracy", "monitor_accuracy", "learning_rate", "curve.scores"}
    assert len(curves["loss"]) == 3
    assert sum(weight.size for weight in read_weights(run, 2)) == records[2].parameters
    assert run_info(run).trials == 4
    assert len(read_arrays(run).splits["validation"]) == 200
    assert not (run / "coordinator.lease").exists()

    alone = sweep(settings(bump_sample, bracket_size=1), tmp_path / "alone", jobs=1)
    assert [len(list((each / "records").glob("*.json"))) for each in (alone, run)] == [4, 2]
    assert comparable(read_board(alone)) == comparable(read_board(run))
    for trial in range(4):
        for one, two in zip(read_weights(alone, trial), read_weights(run, trial), strict=True):
            np.testing.assert_array_equal(one, two)


def test_finished_sweep_is_not_repeated(bump_sample: Path, tmp_path: Path, in_process: None) -> None:
    given = settings(bump_sample, space=ONE, epochs=1)
    run = sweep(given, tmp_path / "run", jobs=1)
    before = {path: path.read_bytes() for path in (run / "records").iterdir()}
    heard: list[tuple[int, int]] = []
    assert sweep(given, run, jobs=1, progress=lambda *numbers: heard.append(numbers)) == run
    assert {path: path.read_bytes() for path in (run / "records").iterdir()} == before
    assert heard == [(1, 1)]


def test_sweep_with_conditions_trains_what_has_its_place_and_is_not_repeated(
    bump_sample: Path, tmp_path: Path, in_process: None
) -> None:
    rate = {"values": [0.01, 0.02], "when": {"optimizer": ["sgd"]}}
    space = {**ONE, "optimizer": ["sgd", "adam"], "learning_rate": rate}
    given = settings(bump_sample, space=space, epochs=1, bracket_size=3)
    run = sweep(given, tmp_path / "run", jobs=1)
    rates = sorted(str(record.hyperparameters.get("learning_rate")) for record in read_records(run))
    assert rates == ["0.01", "0.02", "None"]
    heard: list[tuple[int, int]] = []
    sweep(given, run, jobs=1, progress=lambda *numbers: heard.append(numbers))
    assert heard == [(3, 3)]
    assert read_board(run).hyperparameters.count("learning_rate") == 1


def test_order_of_ends_does_not_change_results(
    bump_sample: Path, tmp_path: Path, in_process: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    given = {"space": LEARNING, "sampler": "tpe", "trials": 4, "lag": 2, "epochs": 1}
    forward = sweep(settings(bump_sample, **given), tmp_path / "forward", jobs=1)

    class Backward(InProcess):
        def poll(self, timeout_s: float) -> list[Message]:
            self.units.reverse()
            return super().poll(timeout_s)

    monkeypatch.setattr(room, "open_engine", Backward)
    backward = sweep(settings(bump_sample, **given), tmp_path / "backward", jobs=1)
    assert board(forward) == board(backward)
    assert len(board(forward)) == 4


COMMAND = """
import json, sys
from pathlib import Path
from townsend.config import parse
from townsend.sweep.coordinator import sweep
from townsend.sweep.settings import SweepSettings
sweep(parse(SweepSettings, json.loads(sys.argv[1])), Path(sys.argv[2]), jobs=2)
"""


@pytest.fixture(scope="module")
def quick_workers(tmp_path_factory: pytest.TempPathFactory, toy_tasks: None) -> Iterator[None]:
    """Install the task `farm`, whose networks NumPy trains: what is shown here does not depend on who trains."""
    with installed(tmp_path_factory.mktemp("quick"), "farm", "toy_farm"):
        yield


@pytest.mark.slow
@pytest.mark.parametrize(("sampler", "trials"), [("grid", 4), ("tpe", 4), ("walk", 14)])
def test_sweep_killed_at_a_random_moment_goes_on_to_the_same_board(
    bump_sample: Path, tmp_path: Path, quick_workers: None, sampler: str, trials: int
) -> None:
    seed = time.time_ns() % 2**32
    print(f"seed of the kills: {seed}")  # noqa: T201 - to repeat a failure
    random = np.random.default_rng(seed)
    space = GRID if sampler == "grid" else LEARNING
    searched = {"space": space, "sampler": sampler, "trials": trials, "lag": 2, "epochs": 8, "patience": 8}
    given = settings(bump_sample, task="farm", task_settings={"epoch_s": 0.05}, **searched)
    command = [sys.executable, "-c", COMMAND, given.model_dump_json(), str(tmp_path / "killed")]

    began = time.monotonic()
    whole = sweep(given, tmp_path / "whole", jobs=2)
    lasted = time.monotonic() - began
    for _ in range(2):
        process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        try:
            process.wait(timeout=random.uniform(0.1, lasted))
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
    killed = sweep(given, tmp_path / "killed", jobs=2)
    assert board(killed) == board(whole)
    for trial in range(trials):
        for one, two in zip(read_weights(killed, trial), read_weights(whole, trial), strict=True):
            np.testing.assert_array_equal(one, two)
    leftovers = [path.name for path in killed.rglob(".*")]
    assert leftovers == []


@pytest.mark.slow
@pytest.mark.parametrize(("kills", "outcomes"), [(1, ["finished"] * 2), (2, ["finished", "lost"])])
def test_killed_worker_is_replaced_and_twice_killed_fit_is_lost(
    bump_sample: Path, tmp_path: Path, quick_workers: None, kills: int, outcomes: list[str]
) -> None:
    trouble = {"kill_file": str(tmp_path / "kills"), "kill_times": kills}
    space = {**GRID, "topology": ["2 3 1"]}
    given = settings(bump_sample, task="farm", space=space, task_settings=trouble)
    run = sweep(given, tmp_path / "run", jobs=1)
    records = read_records(run)
    assert sorted(record.outcome.value for record in records) == outcomes
    first = max(records, key=lambda record: record.attempts)
    assert sorted(record.attempts for record in records) == [1, 2]
    if kills == 2:
        assert first.outcome is Outcome.LOST
        assert first.detail == "the process died twice (SIGKILL)"
        with pytest.raises(InputError, match="must have kept weights"):
            read_weights(run, first.trial)


def test_workers_that_cannot_start_stop_the_sweep_and_spoil_no_record(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as broken:
        broken.setattr("townsend.engines.local.sys.executable", "/bin/false")
        with pytest.raises(InputError, match=r"worker processes must live until they train .* see .*logs"):
            sweep(settings(bump_sample, space=ONE), tmp_path / "run", jobs=1)
    assert read_records(tmp_path / "run") == []


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"epochs": 4}, r"epochs: was 3, now 4"),
        ({"task_settings": {"examples": 100}}, r"task_settings\.examples: was 200, now 100"),
        ({"space": {**GRID, "dropout": [0.2]}}, r"space\.dropout: was \[0\.1\], now \[0\.2\]"),
    ],
)
def test_folder_of_other_settings_is_refused_and_the_difference_named(
    bump_sample: Path, tmp_path: Path, in_process: None, change: dict[str, Any], sentence: str
) -> None:
    run = made(bump_sample, tmp_path)
    with pytest.raises(InputError, match=sentence):
        sweep(settings(bump_sample, **change), run)


@pytest.mark.parametrize(
    ("change", "height", "sentence"),
    [({"epochs": 4}, 3.0, r"epochs: was 3, now 4"), ({}, 2.0, r"has other contents.*choose a new folder")],
)
def test_folder_with_records_is_refused_as_well_when_its_arrays_were_removed(
    bump_sample: Path, tmp_path: Path, in_process: None, change: dict[str, Any], height: float, sentence: str
) -> None:
    run = made(bump_sample, tmp_path)
    (run / "arrays" / "arrays.json").unlink()
    (bump_sample / "bump.json").write_text(json.dumps({"height": height}))
    before = (run / "sweep.json").read_bytes(), (run / "sweep.yaml").read_bytes()
    with pytest.raises(InputError, match=sentence):
        sweep(settings(bump_sample, **change), run)
    assert ((run / "sweep.json").read_bytes(), (run / "sweep.yaml").read_bytes()) == before
    assert not (run / "arrays" / "arrays.json").exists()


def test_removed_arrays_are_made_again_and_the_board_is_the_same(
    bump_sample: Path, tmp_path: Path, in_process: None
) -> None:
    run = made(bump_sample, tmp_path)
    shutil.rmtree(run / "arrays")
    before = (run / "sweep.json").read_bytes()
    assert board(sweep(settings(bump_sample), run, jobs=1)) == board(
        sweep(settings(bump_sample), tmp_path / "whole", jobs=1)
    )
    assert (run / "sweep.json").read_bytes() == before


def test_folder_of_another_version_is_refused(bump_sample: Path, tmp_path: Path, in_process: None) -> None:
    run = made(bump_sample, tmp_path)
    info = json.loads((run / "sweep.json").read_text())
    info["versions"]["townsend"] = "0.0.9"
    (run / "sweep.json").write_text(json.dumps(info))
    with pytest.raises(InputError, match=r"made by 0\.0\.9, this is .*choose a new folder"):
        sweep(settings(bump_sample), run)


def test_folder_of_another_sample_is_refused_but_a_moved_one_is_welcome(
    bump_sample: Path, tmp_path: Path, in_process: None
) -> None:
    run = made(bump_sample, tmp_path)
    moved = bump_sample.rename(tmp_path / "moved")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "bump.json").write_text('{"height": 2.0}')
    with pytest.raises(InputError, match=r"elsewhere, or what .* beside it, has other contents.*choose a new folder"):
        sweep(settings(tmp_path / "elsewhere"), run)
    assert sweep(settings(moved), run) == run


def test_folder_that_holds_other_things_is_refused(bump_sample: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "thesis.tex").write_text("")
    with pytest.raises(InputError, match=r"must be new, empty, or the folder of a sweep \(it holds thesis\.tex\)"):
        sweep(settings(bump_sample), run)
    assert [path.name for path in run.iterdir()] == ["thesis.tex"]
    with pytest.raises(InputError, match="must be a folder that can be written"):
        sweep(settings(bump_sample), run / "thesis.tex")


def test_second_coordinator_is_refused(bump_sample: Path, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with hold(tmp_path / "run"), pytest.raises(BusyError, match="must have one coordinator"):
        sweep(settings(bump_sample), tmp_path / "run")


def test_what_killed_processes_left_is_removed(tmp_path: Path) -> None:
    (tmp_path / "records").mkdir()
    with hold(tmp_path):
        dead = json.loads((tmp_path / "coordinator.lease").read_text()) | {"pid": 2**22 + 1}
        (tmp_path / ".coordinator.dead.lease").write_text(json.dumps(dead))
        (tmp_path / "records" / ".0000.json.part").write_text("{")
        tidy(tmp_path)
        assert sorted(path.name for path in tmp_path.rglob("*")) == ["coordinator.lease", "records"]


def test_sweep_without_a_usable_configuration_ends_with_one_sentence(
    bump_sample: Path, tmp_path: Path, in_process: None
) -> None:
    given = settings(bump_sample, task_settings={"degenerate": "all signal"}, epochs=1)
    with pytest.raises(InputError, match=r"no usable configuration.*got 4 degenerate; trial 0: all signal"):
        sweep(given, tmp_path / "run", jobs=1)
    assert len(read_records(tmp_path / "run")) == 4


def test_bad_space_and_backend_are_refused_before_a_folder_is_made(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match='got "lion"'):
        sweep(settings(bump_sample, space={**GRID, "optimizer": ["adam", "lion"]}), tmp_path / "run")
    with pytest.raises(InputError, match=r'"bumb".*did you mean "bump"'):
        sweep(settings(bump_sample, task="bumb"), tmp_path / "run")
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    with pytest.raises(InputError, match="training needs Keras on JAX"):
        sweep(settings(bump_sample), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "error", [OSError(errno.ENOSPC, "No space left on device"), OSError("500 requested and 12 written")]
)
def test_disk_full_while_preparing_is_one_sentence(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError
) -> None:
    def save(arrays: Arrays, folder: Path) -> None:
        raise error

    monkeypatch.setattr(Arrays, "save", save)
    with pytest.raises(InputError, match=r"the disk of .*run must have room .*free some and repeat"):
        sweep(settings(bump_sample), tmp_path / "run")
    assert not (tmp_path / "run" / "coordinator.lease").exists()


def test_disk_full_in_a_worker_is_the_same_sentence(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Full(InProcess):
        def poll(self, timeout_s: float) -> list[Message]:
            return [Message(self.units[0].name, News.FAILED, "OSError: full", {"errno": errno.ENOSPC})]

    monkeypatch.setattr(room, "open_engine", Full)
    with pytest.raises(InputError, match="must have room for records"):
        sweep(settings(bump_sample), tmp_path / "run")


def test_refusal_of_a_worker_is_passed_on(bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Refusing(InProcess):
        def poll(self, timeout_s: float) -> list[Message]:
            return [Message(self.units[0].name, News.REFUSED, "rule (value); remedy")]

    monkeypatch.setattr(room, "open_engine", Refusing)
    with pytest.raises(InputError, match=r"^rule \(value\); remedy$"):
        sweep(settings(bump_sample), tmp_path / "run")


def test_records_of_another_plan_are_refused(bump_sample: Path, tmp_path: Path, in_process: None) -> None:
    run = made(bump_sample, tmp_path)
    path = next((run / "records").glob("*.json"))
    record = json.loads(path.read_text())
    record["fits"][0]["seed"] += 1
    path.write_text(json.dumps(record))
    with pytest.raises(InputError, match=r"0\d+\.json must hold the fits that the settings plan"):
        sweep(settings(bump_sample), run)


def test_folder_without_a_sweep_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be the folder of a sweep"):
        read_records(tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match=r"sweep\.json must be as townsend wrote it"):
        run_info(tmp_path)


def test_trial_that_has_not_ended_is_named(bump_sample: Path, tmp_path: Path, in_process: None) -> None:
    run = made(bump_sample, tmp_path)
    with pytest.raises(InputError, match=r"trial must have ended .*\(got 99\)"):
        read_curves(run, 99)


def made(sample: Path, tmp_path: Path) -> Path:
    """Folder of a sweep that was stopped after its first bracket."""

    class Stop(Exception):
        pass

    def stop(done: int, planned: int) -> None:
        if done == 2:
            raise Stop

    with pytest.raises(Stop):
        sweep(settings(sample), tmp_path / "run", jobs=1, progress=stop)
    return tmp_path / "run"
