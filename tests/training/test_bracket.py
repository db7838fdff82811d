"""A bracket: each fit ends in one of the known ways, is on disk at once, and is never repeated."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from townsend.errors import ConfigError, InputError
from townsend.tasks.registry import find_task
from townsend.training import bracket as room
from townsend.training.bracket import BracketWork, train_bracket
from townsend.training.keras_trainer import TrainSettings
from townsend.training.record_file import read_bracket_record, record_path
from townsend.training.records import Bracket, Fit, FitRecord, Outcome

GIVEN = {"topology": "2 3 1", "activations": "relu sigmoid", "dropout": 0.0, "optimizer": "sgd", "batch_size": 100}


def prepared(sample: Path, run: Path, **task_settings: Any) -> Path:
    task = find_task("bump")
    task.prepare(sample, task.settings(task_settings), 1).save(run / "arrays")
    return run


def work(*fits: Fit) -> BracketWork:
    return BracketWork(Bracket(0, fits), "bump", "lstm", TrainSettings(1, 1))


def fit(trial: int, **changes: Any) -> Fit:
    return Fit(trial, trial + 100, {**GIVEN, **changes})


def ended(run: Path) -> list[tuple[int, Outcome, str]]:
    return [(record.trial, record.outcome, record.detail) for record in read_bracket_record(run, 0).fits]


def test_work_survives_json() -> None:
    assert BracketWork.from_json(work(fit(0), fit(1)).to_json()) == work(fit(0), fit(1))


def test_finished_fit_is_reported_when_it_is_on_disk_and_not_repeated(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    heard: list[FitRecord] = []

    def report(record: FitRecord) -> None:
        assert record in read_bracket_record(run, 0).fits
        heard.append(record)

    train_bracket(run, work(fit(3)), report)
    assert [record.trial for record in heard] == [3]
    assert (heard[0].seed, heard[0].epochs, heard[0].best_epoch, heard[0].attempts) == (103, 1, 1, 1)
    assert heard[0].metrics["accuracy"].value > 0
    assert heard[0].peak_memory_mb > 50
    assert heard[0].host
    before = record_path(run, 0).read_bytes()
    train_bracket(run, work(fit(3)), report)
    assert len(heard) == 1
    assert record_path(run, 0).read_bytes() == before


def test_error_in_one_fit_is_recorded_and_the_next_one_begins(
    bump_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    ends = iter([MemoryError("no room"), RuntimeError("RESOURCE_EXHAUSTED: Out of memory"), RuntimeError("odd")])
    real = room.train

    def train(*arguments: Any) -> Any:
        error = next(ends, None)
        if error is not None:
            raise error
        return real(*arguments)

    monkeypatch.setattr(room, "train", train)
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
    real = room.train

    def train(*arguments: Any) -> Any:
        if arguments[0].trial == 1:
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(room, "train", train)
    with pytest.raises(KeyboardInterrupt):
        train_bracket(run, work(fit(0), fit(1)))
    found = read_bracket_record(run, 0)
    assert (found.ended, found.attempts, found.complete) == ({0}, {0: 1, 1: 1}, False)
    monkeypatch.setattr(room, "train", real)
    train_bracket(run, work(fit(0), fit(1)))
    assert [record.attempts for record in read_bracket_record(run, 0).fits] == [1, 2]
    assert {name.split(".")[0] for name in read_bracket_record(run, 0).arrays} == {"0", "1"}


def test_degenerate_network_keeps_its_figures_and_says_why(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run", degenerate="all signal")
    train_bracket(run, work(fit(0)))
    assert ended(run) == [(0, Outcome.DEGENERATE, "all signal")]
    assert "accuracy" in read_bracket_record(run, 0).fits[0].metrics


def test_diverged_fit_is_not_judged(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    train_bracket(run, work(fit(0, activations="linear linear", learning_rate=1e38, batch_size=10)))
    assert ended(run) == [(0, Outcome.DIVERGED, "the loss was not finite in epoch 1")]
    assert read_bracket_record(run, 0).fits[0].metrics == {}
    assert not any("weight" in name for name in read_bracket_record(run, 0).arrays)


def test_condition_the_user_can_mend_stops_the_bracket(bump_sample: Path, tmp_path: Path) -> None:
    run = prepared(bump_sample, tmp_path / "run")
    with pytest.raises(ConfigError, match="topology"):
        train_bracket(run, work(fit(0, topology="2")))
    with pytest.raises(InputError, match=r"arrays\.json must exist"):
        train_bracket(tmp_path / "nowhere", work(fit(0)))
