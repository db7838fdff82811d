"""The two files of a bracket: what goes in comes out, and damage is named."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.tasks.base import Metric
from townsend.training.record_file import (
    BracketRecord,
    arrays_path,
    read_bracket_record,
    record_path,
    write_bracket_record,
)
from townsend.training.records import FitRecord, Outcome

ENDED = FitRecord(
    trial=12,
    seed=2**53 - 1,
    hyperparameters={"topology": "8 16 1", "dropout": 0.1},
    outcome=Outcome.STOPPED_EARLY,
    metrics={"auc": Metric(0.9, 0.01), "f1": Metric(math.nan, math.inf)},
    threshold=math.inf,
    figures=(0.7, math.nan),
)


def filled() -> BracketRecord:
    begun = BracketRecord(3).starting(["12"]).starting(["12"]).starting(["12"]).starting(["13", "13-1-0"])
    return begun.with_fits([(ENDED, {"loss": np.array([0.5, 0.4], np.float32)})])


def test_record_comes_back_as_it_was_written(tmp_path: Path) -> None:
    write_bracket_record(tmp_path, filled())
    found = read_bracket_record(tmp_path, 3)
    fit = found.fits[0]
    assert (found.bracket, found.complete, found.ended, found.at_work) == (3, False, {"12"}, ("13", "13-1-0"))
    assert found.started == {"12": 3, "13": 1, "13-1-0": 1}
    assert (fit.trial, fit.seed, fit.outcome) == (12, 2**53 - 1, Outcome.STOPPED_EARLY)
    assert fit.attempts == 2  # set going three times, once from a rung
    assert fit.figures[0] == 0.7
    assert math.isnan(fit.figures[1])
    assert fit.metrics["auc"] == Metric(0.9, 0.01)
    assert math.isnan(fit.metrics["f1"].value)
    assert fit.threshold is None  # as every number that is not finite, which JSON does not have
    assert list(found.arrays) == ["12.loss"]
    np.testing.assert_array_equal(found.arrays["12.loss"], np.array([0.5, 0.4], np.float32))
    assert sorted(path.name for path in (tmp_path / "records").iterdir()) == ["0003.json", "0003.npz"]


@pytest.mark.parametrize("threshold", [None, 0.0, 0.1 + 0.2], ids=["regression", "zero", "to the last bit"])
def test_threshold_comes_back_as_it_was_chosen(threshold: float | None, tmp_path: Path) -> None:
    write_bracket_record(tmp_path, BracketRecord(3).with_fits([(replace(ENDED, threshold=threshold), {})]))
    assert read_bracket_record(tmp_path, 3).fits[0].threshold == threshold


def test_bracket_that_has_not_begun_is_empty(tmp_path: Path) -> None:
    assert read_bracket_record(tmp_path, 3) == BracketRecord(3)


def test_arrays_of_a_fit_that_the_json_does_not_know_are_not_taken(tmp_path: Path) -> None:
    write_bracket_record(tmp_path, filled())
    before = record_path(tmp_path, 3).read_bytes()
    later = FitRecord(12, 1, {}, Outcome.FINISHED, fold=1)  # of the same trial
    write_bracket_record(tmp_path, filled().with_fits([(later, {"loss": np.zeros(2)})]))
    record_path(tmp_path, 3).write_bytes(before)  # as after a kill between the two files
    assert list(read_bracket_record(tmp_path, 3).arrays) == ["12.loss"]


def test_curves_may_have_dots_in_their_names(tmp_path: Path) -> None:
    write_bracket_record(tmp_path, BracketRecord(0).with_fits([(ENDED, {"curve.roc.fpr": np.zeros(2)})]))
    assert list(read_bracket_record(tmp_path, 0).arrays) == ["12.curve.roc.fpr"]


@pytest.mark.parametrize(
    "text", ["{", '{"fits": []}', '{"fits": [{}], "started": {}, "at_work": [], "complete": true}', "[]"]
)
def test_damaged_record_is_named(tmp_path: Path, text: str) -> None:
    write_bracket_record(tmp_path, filled())
    record_path(tmp_path, 3).write_text(text)
    with pytest.raises(InputError, match=r"0003\.json must be"):
        read_bracket_record(tmp_path, 3)


def test_damaged_arrays_are_named(tmp_path: Path) -> None:
    write_bracket_record(tmp_path, filled())
    whole = arrays_path(tmp_path, 3).read_bytes()
    arrays_path(tmp_path, 3).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(InputError, match=r"0003\.npz must be an archive"):
        read_bracket_record(tmp_path, 3)
