"""A bracket that is asked to stop rests at the epoch it is at, and ends as one that never was, to the last bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.tasks.registry import find_task
from townsend.training import bracket, keras_trainer
from townsend.training.bracket import BracketWork, train_bracket
from townsend.training.checkpoint import read_checkpoint
from townsend.training.interruption import Interrupted, forget_stop, request_stop, stop_requested
from townsend.training.keras_trainer import TrainSettings
from townsend.training.lanes import Alone, SideBySide
from townsend.training.record_file import read_bracket_record
from townsend.training.records import Bracket, Fit, FitRecord, Outcome, Rung

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

GIVEN = {"topology": "2 3 1", "activations": "relu sigmoid", "dropout": 0.3, "optimizer": "adam", "batch_size": 100}
PLATEAU = {"schedule": "plateau", "schedule_patience": 1}
CHANGES: tuple[dict[str, Any], ...] = ({"learning_rate": 0.003}, {"optimizer": "nesterov", **PLATEAU}, {"epochs": 3})
RUNGS = (Rung(2, keep=2), Rung(4, keep=2))

# With so many units, programs for two and for three members round differently: members must stay together.
WIDE = {**GIVEN, "topology": "5 17 1"}
WILD = {"optimizer": "sgd", "learning_rate": 1e38}
TOGETHER: tuple[dict[str, Any], ...] = ({}, {"epochs": 2}, WILD, {"optimizer": "rmsprop", **PLATEAU})

Ask = Callable[[], None]


@pytest.fixture(autouse=True)
def _nobody_asks() -> Iterator[None]:
    yield
    forget_stop()


@pytest.fixture
def run(bump_sample: Path, tmp_path: Path) -> Callable[[str], Path]:
    """Make folders of the same sweep."""
    task = find_task("bump")
    arrays = task.prepare(bump_sample, task.settings({}), 1)

    def make(name: str) -> Path:
        arrays.save(tmp_path / name / "arrays")
        return tmp_path / name

    return make


def alone(rungs: tuple[Rung, ...] = ()) -> BracketWork:
    fits = tuple(Fit(trial, trial + 100, {**GIVEN, **changes}) for trial, changes in enumerate(CHANGES))
    return BracketWork(Bracket(0, fits, rungs), "bump", "lstm", TrainSettings(5, 5))


def together(rungs: tuple[Rung, ...] = ()) -> BracketWork:
    fits = tuple(Fit(trial, trial + 100, {**WIDE, **changes}) for trial, changes in enumerate(TOGETHER))
    return BracketWork(Bracket(0, fits, rungs), "bump", "lstm", TrainSettings(5, 5), side_by_side=True)


WAYS = [alone, pytest.param(together, marks=pytest.mark.slow)]


def interrupted(run: Path, work: BracketWork, epoch: int, ask: Ask = request_stop) -> bool:
    """Train a bracket that is asked to stop in an epoch of this call; return whether it was interrupted.

    Epochs count from 1; 0 stands for the time before the first one, when its program is compiled.
    """
    trained = 0

    def asking(real: Any) -> Any:
        def train(*given: Any) -> Any:
            nonlocal trained
            trained += 1
            if trained == epoch:
                ask()
            return real(*given)

        return train

    def compile_watch(*given: Any) -> Any:
        if epoch == 0:
            ask()
        return keras_compile_watch(*given)

    keras_compile_watch = keras_trainer.compile_watch
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras_trainer, "compile_watch", compile_watch)
        for lanes in (Alone, SideBySide):
            patch.setattr(lanes, "run", asking(lanes.run))
        try:
            train_bracket(run, work)
        except Interrupted:
            assert trained == epoch, "it went on for more than the epoch it was at"
            return True
        finally:
            forget_stop()
    return False


def assert_same(one: Path, two: Path) -> None:
    """Check that two folders hold the same bracket to the last bit, but for times and attempts."""
    found, due = (read_bracket_record(each, 0) for each in (one, two))
    assert found.complete
    assert due.complete
    assert [told(fit) for fit in found.fits] == [told(fit) for fit in due.fits]
    assert set(found.arrays) == set(due.arrays)
    for name, values in due.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values, err_msg=name, strict=True)
    for fit in found.fits:
        assert len(found.arrays[f"{fit.label}.loss"]) == fit.epochs, "the curve has every epoch once"
    assert not (one / "checkpoints" / "0000").exists()


def told(fit: FitRecord) -> str:
    """Return what a record says, as text since NaN is no equal of itself."""
    varying = ("wall_s", "cpu_s", "compile_s", "peak_memory_mb", "attempts")
    return repr({name: value for name, value in fit.to_json().items() if name not in varying})


def test_stop_is_asked_for_heard_and_taken_back() -> None:
    assert not stop_requested()
    request_stop()
    request_stop()
    assert stop_requested()
    forget_stop()
    assert not stop_requested()


@pytest.mark.parametrize("rungs", [(), RUNGS], ids=["to the end", "halved"])
@pytest.mark.parametrize("work", WAYS)
def test_bracket_interrupted_in_every_epoch_ends_as_one_that_was_not(
    work: Callable[..., BracketWork], rungs: tuple[Rung, ...], run: Callable[[str], Path]
) -> None:
    undisturbed, found = run("undisturbed"), run("found")
    train_bracket(undisturbed, work(rungs))
    times = 0
    while interrupted(found, work(rungs), epoch=1):
        times += 1
    assert times >= 5 - 1
    assert_same(found, undisturbed)


@pytest.mark.parametrize("work", WAYS)
@pytest.mark.parametrize("epochs", [(0,), (2,), (3, 1), (0, 0, 4)])
def test_bracket_interrupted_now_and_then_ends_as_one_that_was_not(
    work: Callable[..., BracketWork], epochs: tuple[int, ...], run: Callable[[str], Path]
) -> None:
    undisturbed, found = run("undisturbed"), run("found")
    train_bracket(undisturbed, work(RUNGS))
    assert all(interrupted(found, work(RUNGS), epoch) for epoch in epochs)
    train_bracket(found, work(RUNGS))
    assert_same(found, undisturbed)


@pytest.mark.slow
def test_members_that_have_ended_wait_for_their_pack(run: Callable[[str], Path]) -> None:
    found = run("found")
    assert interrupted(found, together(), epoch=3)
    rests = [read_checkpoint(found, 0, str(trial)) for trial in range(len(TOGETHER))]
    assert [rest.epochs for rest in rests if rest] == [3, 2, 1, 3]
    assert {rest.outcome for rest in rests if rest} == {None}
    assert read_bracket_record(found, 0).fits == ()
    train_bracket(found, together())
    record = {fit.trial: fit for fit in read_bracket_record(found, 0).fits}
    assert (record[1].outcome, record[1].epochs) == (Outcome.FINISHED, 2)
    assert record[2].detail == "the loss was not finite in epoch 1, with sgd at the learning rate 1e+38"


def test_rest_on_the_way_is_no_rung(run: Callable[[str], Path]) -> None:
    found = run("found")
    for epochs, figures in ((0, 0), (1, 0), (1, 1)):
        assert interrupted(found, alone(RUNGS), epochs)
        rest = read_checkpoint(found, 0, "0")
        assert rest is not None
        assert len(rest.figures) == figures
    assert rest.epochs == 2 == RUNGS[0].epochs
    assert rest.figures == (rest.figure,)


def test_stop_before_the_bracket_begins_starts_nothing(run: Callable[[str], Path]) -> None:
    found = run("found")
    request_stop()
    with pytest.raises(Interrupted, match=r"bracket 0 .* \(0 of its 3 fits have ended, .*\); repeat the command"):
        train_bracket(found, alone())
    record = read_bracket_record(found, 0)
    assert (record.started, record.at_work, record.complete) == ({}, (), False)
    assert not (found / "checkpoints").exists()


def test_what_has_ended_is_on_disk_and_told_before_the_bracket_leaves(
    run: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bracket, "_HOLD_S", 1000.0)
    found, heard = run("found"), list[FitRecord | None]()

    def report(record: FitRecord | None) -> None:
        heard.append(record)
        if record is None:
            assert read_checkpoint(found, 0, "1")

    real = train_bracket
    monkeypatch.setattr(f"{__name__}.train_bracket", lambda run, work: real(run, work, report))
    assert interrupted(found, alone(), epoch=5 + 2)
    record = read_bracket_record(found, 0)
    assert [fit.trial for fit in record.fits] == [0]
    assert heard == [None, record.fits[0]]
    assert (record.at_work, record.started) == (("1",), {"0": 1, "1": 1})
    train_bracket(found, alone())
    assert [fit.attempts for fit in read_bracket_record(found, 0).fits] == [1, 2, 1]


def test_bracket_that_has_nothing_left_to_do_is_completed(run: Callable[[str], Path]) -> None:
    found = run("found")
    assert not interrupted(found, alone(), epoch=5 + 5 + 3)
    assert read_bracket_record(found, 0).complete


def test_signal_is_a_way_to_ask(run: Callable[[str], Path]) -> None:
    undisturbed, found = run("undisturbed"), run("found")
    before = signal.signal(signal.SIGTERM, lambda number, frame: request_stop())
    try:
        assert interrupted(found, alone(), 4, lambda: os.kill(os.getpid(), signal.SIGTERM))
    finally:
        signal.signal(signal.SIGTERM, before)
    for each in (undisturbed, found):
        train_bracket(each, alone())
    assert_same(found, undisturbed)


def test_estimator_is_trained_to_its_end_and_the_next_one_is_not_begun(
    run: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    found, fits = run("found"), tuple(Fit(trial, trial, {"n_estimators": 3}) for trial in range(2))
    work = BracketWork(Bracket(0, fits), "bump", "random_forest", TrainSettings(1, 1))
    with monkeypatch.context() as patch:
        patch.setattr(bracket, "reset_peak_memory", request_stop)
        with pytest.raises(Interrupted):
            train_bracket(found, work)
    forget_stop()
    assert [fit.outcome for fit in read_bracket_record(found, 0).fits] == [Outcome.FINISHED]
    train_bracket(found, work)
    assert [fit.trial for fit in read_bracket_record(found, 0).fits] == [0, 1]
