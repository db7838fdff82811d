"""A bracket: each fit ends in one of the known ways, the best go on, all is on disk at once and never repeated."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError
from townsend.tasks.base import Fold
from townsend.tasks.registry import find_task
from townsend.training.bracket import BracketWork, train_bracket
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.record_file import BracketRecord, folds_folders, read_bracket_record, record_path
from townsend.training.records import Bracket, Fit, FitRecord, Outcome, Rung

GIVEN = {"topology": "2 3 1", "activations": "relu sigmoid", "dropout": 0.0, "optimizer": "sgd", "batch_size": 100}
RATES = (0.001, 0.3, 0.01, 0.1, 0.0001, 0.03)


def prepared(sample: Path, run: Path, folds: int = 1, **task_settings: Any) -> Path:
    task = find_task("bump")
    for fold, folder in enumerate(folds_folders(run, folds)):
        part = Fold(fold, folds) if folds > 1 else None
        task.prepare(sample, task.settings(task_settings), 1, part).save(folder)
    return run


def work(*fits: Fit, epochs: int = 1, rungs: tuple[Rung, ...] = (), folds: int = 1) -> BracketWork:
    return BracketWork(Bracket(0, fits, rungs), "bump", "lstm", TrainSettings(epochs, epochs), folds)


def fit(trial: int, **changes: Any) -> Fit:
    return Fit(trial, trial + 100, {**GIVEN, **changes})


def halved(folds: int = 1) -> BracketWork:
    """Six rates, of which three go on after one epoch and one after two, to five epochs."""
    fits = [
        Fit(trial, 100 * fold + trial, {**GIVEN, "learning_rate": rate}, fold)
        for trial, rate in enumerate(RATES)
        for fold in range(folds)
    ]
    return work(*fits, epochs=5, rungs=(Rung(1, keep=3), Rung(2, keep=1)), folds=folds)


def ended(run: Path) -> list[tuple[int, Outcome, str]]:
    return [(record.trial, record.outcome, record.detail) for record in read_bracket_record(run, 0).fits]


def interrupt(monkeypatch: pytest.MonkeyPatch, when: Callable[[int], bool]) -> None:
    """Let the trainer be interrupted at some of its calls, counted from 0."""
    real, calls = KerasTrainer.advance, iter(range(1000))

    def advance(self: Any, *arguments: Any) -> Any:
        if when(next(calls)):
            raise KeyboardInterrupt
        return real(self, *arguments)

    monkeypatch.setattr(KerasTrainer, "advance", advance)


def test_work_survives_json() -> None:
    for each in (work(fit(0), fit(1)), halved(folds=2)):
        assert BracketWork.from_json(each.to_json()) == each


def test_finished_fit_is_reported_when_it_is_on_disk_and_not_repeated(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    heard: list[FitRecord | None] = []

    def report(record: FitRecord | None) -> None:
        assert record in read_bracket_record(run, 0).fits
        heard.append(record)

    train_bracket(run, work(fit(3)), report)
    assert [record.trial for record in heard if record] == [3]
    assert read_bracket_record(run, 0).complete
    before = record_path(run, 0).read_bytes()
    train_bracket(run, work(fit(3)), report)
    assert len(heard) == 1
    assert record_path(run, 0).read_bytes() == before


def test_error_in_one_fit_is_recorded_and_the_next_one_begins(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    ends = iter([MemoryError("no room"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), RuntimeError("odd")])
    real = KerasTrainer.advance

    def advance(self: Any, *arguments: Any) -> Any:
        error = next(ends, None)
        if error is not None:
            raise error
        return real(self, *arguments)

    monkeypatch.setattr(KerasTrainer, "advance", advance)
    train_bracket(run, work(fit(0), fit(1), fit(2), fit(3)))
    assert ended(run) == [
        (0, Outcome.OUT_OF_MEMORY, "MemoryError: no room"),
        (1, Outcome.OUT_OF_MEMORY, "RuntimeError: RESOURCE_EXHAUSTED: Out of memory"),
        (2, Outcome.FAILED, "RuntimeError: odd"),
        (3, Outcome.FINISHED, ""),
    ]
    assert read_bracket_record(run, 0).complete


def test_interrupted_bracket_goes_on_with_the_fit_it_was_at(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    with monkeypatch.context() as patch:
        interrupt(patch, lambda call: call == 1)
        with pytest.raises(KeyboardInterrupt):
            train_bracket(run, work(fit(0), fit(1)))
    found = read_bracket_record(run, 0)
    assert (found.ended, found.started, found.at_work, found.complete) == ({"0"}, {"0": 1, "1": 1}, ("1",), False)
    train_bracket(run, work(fit(0), fit(1)))
    assert [record.attempts for record in read_bracket_record(run, 0).fits] == [1, 2]
    assert {name.split(".")[0] for name in read_bracket_record(run, 0).arrays} == {"0", "1"}


@pytest.mark.slow
def test_the_best_go_on_from_where_they_stand(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    rests: list[FitRecord | None] = []
    train_bracket(run, halved(), rests.append)
    found = {record.trial: record for record in read_bracket_record(run, 0).fits}
    assert sorted(record.epochs for record in found.values()) == [1, 1, 1, 2, 2, 5]
    outcomes = [found[trial].outcome for trial in sorted(found, key=lambda trial: -found[trial].epochs)]
    assert outcomes == [Outcome.FINISHED] + [Outcome.PRUNED] * 5
    for rung in (0, 1):
        left = [record.figures[rung] for record in found.values() if len(record.figures) == rung + 1]
        on = [record.figures[rung] for record in found.values() if len(record.figures) > rung + 1]
        assert max(left) <= min(on)  # AUC on `monitor`
    assert rests.count(None) == 6 + 3  # the last one ends instead
    assert not (run / "checkpoints" / "0000").exists()
    first = next(record for record in found.values() if record.epochs == 1)
    assert first.detail.endswith("of 6 after 1 epoch; 3 went on")
    assert all(record.attempts == 1 for record in found.values())
    best = next(record for record in found.values() if record.outcome is Outcome.FINISHED)
    alone = prepared(bump_sample, tmp_path / "alone")
    train_bracket(alone, work(halved().bracket.fits[best.trial], epochs=5))
    same = read_bracket_record(alone, 0).arrays
    assert all(np.array_equal(same[name], read_bracket_record(run, 0).arrays[name]) for name in same)


@pytest.mark.slow
@pytest.mark.parametrize("calls", [1, 4, 7, 9])
def test_interrupted_halving_ends_as_one_that_was_not(
    calls: int, bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    undisturbed, run = (prepared(bump_sample, tmp_path / name) for name in ("undisturbed", "run"))
    train_bracket(undisturbed, halved())
    with monkeypatch.context() as patch:
        interrupt(patch, lambda call: call == calls)
        with pytest.raises(KeyboardInterrupt):
            train_bracket(run, halved())
    checkpoints = sorted((run / "checkpoints" / "0000").iterdir())
    checkpoints[-1].write_bytes(b"torn")
    train_bracket(run, halved())
    one, two = (read_bracket_record(each, 0) for each in (undisturbed, run))
    assert _compared(one) == _compared(two)
    assert all(np.array_equal(one.arrays[name], two.arrays[name]) for name in one.arrays)


def _compared(record: BracketRecord) -> list[tuple[Any, ...]]:
    rows = [(fit.label, fit.outcome, fit.detail, fit.figures, fit.metrics) for fit in record.fits]
    return sorted(rows, key=lambda row: row[0])


@pytest.mark.slow
def test_folds_of_a_configuration_go_on_together(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run", folds=2)
    train_bracket(run, halved(folds=2))
    fits = read_bracket_record(run, 0).fits
    epochs = {trial: {record.epochs for record in fits if record.trial == trial} for trial in range(len(RATES))}
    assert sorted(map(sorted, epochs.values())) == [[1], [1], [1], [2], [2], [5]]
    assert len({record.label for record in fits}) == 12


def test_degenerate_network_keeps_its_figures_and_says_why(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run", degenerate="all signal")
    train_bracket(run, work(fit(0)))
    assert ended(run) == [(0, Outcome.DEGENERATE, "all signal")]
    assert "accuracy" in read_bracket_record(run, 0).fits[0].metrics


def test_diverged_fit_is_not_judged_and_never_goes_on(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    wild = fit(0, activations="linear linear", learning_rate=1e38, batch_size=10)
    train_bracket(run, work(wild, fit(1), rungs=(Rung(1, keep=1),), epochs=2))
    record = {record.trial: record for record in read_bracket_record(run, 0).fits}
    assert record[0].detail == "the loss was not finite in epoch 1, with sgd at the learning rate 1e+38"
    assert record[0].metrics == {}
    assert record[1].outcome is Outcome.FINISHED
    assert not any(name.startswith("0.weight") for name in read_bracket_record(run, 0).arrays)


def test_condition_the_user_can_mend_stops_the_bracket(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    with pytest.raises(ConfigError, match="topology"):
        train_bracket(run, work(fit(0, topology="2")))
    with pytest.raises(InputError, match=r"arrays\.json must exist"):
        train_bracket(tmp_path / "nowhere", work(fit(0)))
