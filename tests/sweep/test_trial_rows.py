from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from townsend.sweep.trial_rows import SPREAD, measured_optimism, trial_rows
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

AUC, MSE = Objective("auc", maximise=True), Objective("mse", maximise=False)


def fit(
    trial: int, fold: int = 0, repeat: int = 0, figure: float = 0.9, error: float = 0.01, **given: Any
) -> FitRecord:
    values: dict[str, Any] = {
        "hyperparameters": {"dropout": 0.1 * trial},
        "outcome": Outcome.FINISHED,
        "parameters": 50,
        "epochs": 10,
        "best_epoch": 8,
        "metrics": {"auc": Metric(figure, error)},
        "threshold": 0.5,
    }
    return FitRecord(trial, 100 * trial + 10 * fold + repeat, **{**values, "fold": fold, "repeat": repeat, **given})


def fits(figures: np.ndarray, error: float = 0.01, name: str = "auc") -> list[FitRecord]:
    """(trials, folds, repeats) figures as records."""
    return [
        fit(trial, fold, repeat, metrics={name: Metric(float(value), error)})
        for (trial, fold, repeat), value in np.ndenumerate(figures)
    ]


def only(records: list[FitRecord], folds: int, repeats: int) -> FitRecord:
    rows = trial_rows(records, folds, repeats, "auc")
    assert len(rows) == 1
    return rows[0]


def test_one_fit_a_configuration_is_its_own_row():
    records = [fit(2), fit(0, outcome=Outcome.DIVERGED), fit(1)]
    assert trial_rows(records, 1, 1, "auc") == records


def test_a_row_sums_what_was_spent_and_averages_what_was_found():
    records = [
        fit(3, 0, 0, 0.90, wall_s=1.0, cpu_s=2.0, peak_memory_mb=70.0, attempts=1, best_epoch=4, host="b"),
        fit(3, 0, 1, 0.94, wall_s=2.0, cpu_s=3.0, peak_memory_mb=90.0, attempts=2, best_epoch=9, host="a"),
        fit(3, 1, 0, 0.91, wall_s=3.0, cpu_s=4.0, peak_memory_mb=80.0, threshold=0.7, best_epoch=5, host="a"),
        fit(3, 1, 1, 0.93, wall_s=4.0, cpu_s=5.0, epochs=20, outcome=Outcome.STOPPED_EARLY, best_epoch=6, host="a"),
    ]
    row = only(records[::-1], 2, 2)
    assert (row.wall_s, row.cpu_s, row.peak_memory_mb, row.attempts) == (10.0, 14.0, 90.0, 2)
    assert (row.epochs, row.best_epoch, row.host) == (10, 5, "a, b")
    assert row.threshold == pytest.approx(0.55)
    assert row.metrics["auc"].value == pytest.approx(0.92)
    assert (row.outcome, row.detail) == (Outcome.STOPPED_EARLY, "")
    assert (row.trial, row.seed, row.label) == (3, 300, "3")


def test_statistical_errors_average_over_folds_and_not_over_seeds():
    """Equal figures: nothing but the statistical errors is left, of four parts or of one."""
    assert only(fits(np.full((1, 4, 1), 0.9)), 4, 1).metrics["auc"].error == pytest.approx(0.01 / 2)
    assert only(fits(np.full((1, 1, 4), 0.9)), 1, 4).metrics["auc"].error == pytest.approx(0.01)
    assert only(fits(np.full((1, 4, 9), 0.9)), 4, 9).metrics["auc"].error == pytest.approx(0.01 / 2)


def test_seeds_without_statistical_error_have_the_textbook_error_of_a_mean():
    figures = np.array([0.90, 0.93, 0.91, 0.96])
    row = only(fits(figures.reshape(1, 1, 4), error=0.0), 1, 4)
    assert row.metrics["auc"].error == pytest.approx(np.std(figures, ddof=1) / 2)
    spread = row.metrics["auc" + SPREAD]
    assert spread.value == pytest.approx(np.std(figures, ddof=1))
    assert spread.error == pytest.approx(spread.value / math.sqrt(6))


def test_the_spread_between_seeds_knows_nothing_of_the_parts():
    figures = np.array([[[0.90, 0.92], [0.70, 0.72]]])  # the second part is hard
    spread = only(fits(figures), 2, 2).metrics["auc" + SPREAD]
    assert spread.value == pytest.approx(0.01 * math.sqrt(2))
    assert spread.error == pytest.approx(spread.value / 2)


@pytest.mark.parametrize(
    ("folds", "repeats", "statistical", "between"),
    [(5, 1, 1.0, 0.5), (1, 4, 1.0, 0.5), (3, 3, 1.0, 1.0), (5, 2, 0.2, 1.0)],
)
def test_the_error_is_that_of_many_repetitions(folds, repeats, statistical, between):
    """Parts fluctuate for all their seeds, fits each for themselves. The estimate is 9 % too large at worst: it cannot
    be below the statistical error."""
    random = np.random.default_rng(1)
    rows = [
        only(fits(figures[np.newaxis], statistical), folds, repeats).metrics["auc"]
        for figures in statistical * random.normal(size=(2000, folds, 1))
        + between * random.normal(size=(2000, folds, repeats))
    ]
    true = math.sqrt(statistical**2 / folds + between**2 / (folds * repeats))
    assert np.std([row.value for row in rows]) == pytest.approx(true, rel=0.06)
    estimated = math.sqrt(np.mean([row.error**2 for row in rows]))
    assert 0.95 * true < estimated < 1.12 * true


def test_one_bad_fit_spoils_its_configuration_and_says_so():
    records = fits(np.full((1, 3, 2), 0.9))
    records[3] = replace(records[3], outcome=Outcome.DEGENERATE, detail="one class")
    records[4] = replace(records[4], outcome=Outcome.DIVERGED, detail="the loss was not finite in epoch 2", metrics={})
    row = only(records, 3, 2)
    assert row.outcome is Outcome.DIVERGED
    assert row.detail == "1 of 6 fits diverged, first on fold 2, repeat 0: the loss was not finite in epoch 2"
    assert row.metrics == {}


def test_a_configuration_has_no_row_before_its_last_fit():
    records = fits(np.full((3, 2, 2), 0.9))
    rows = trial_rows([record for record in records if record.label != "1-1-1"], 2, 2, "auc")
    assert [row.trial for row in rows] == [0, 2]


def test_only_metrics_of_all_fits_are_averaged():
    records = fits(np.full((1, 2, 1), 0.9))
    for_all = {**records[0].metrics, "f1": Metric(0.8, 0.1)}
    records[0] = replace(records[0], metrics={**for_all, "fixed.r2": Metric(0.5, 0.1)})
    records[1] = replace(records[1], metrics=for_all)
    assert list(only(records, 2, 1).metrics) == ["auc", "auc" + SPREAD, "f1"]


# ---- how optimistic the best of n is


def expected_largest(number: int) -> float:
    return float(np.random.default_rng(7).normal(size=(20_000, number)).max(axis=1).mean())


@pytest.mark.parametrize(("number", "folds", "objective"), [(20, 5, AUC), (20, 3, MSE), (6, 2, AUC)])
def test_the_best_of_equals_flatters_by_the_largest_of_n_normal_numbers(number, folds, objective):
    """Parts differ in difficulty by three times the noise, which must not matter."""
    random = np.random.default_rng(3)
    found = []
    for _ in range(100):
        figures = random.normal(size=(number, folds, 1)) + 3 * random.normal(size=(1, folds, 1))
        optimism = measured_optimism(fits(figures, 1.0, objective.metric), objective)
        assert optimism is not None
        found.append(optimism.value)
    expected = expected_largest(number) / math.sqrt(folds)
    assert abs(np.mean(found) - expected) < 4 * np.std(found) / 10
    assert np.std(found) < expected  # the test can tell it from none


def test_a_clear_leader_does_not_flatter():
    random = np.random.default_rng(5)
    clear = np.arange(10).reshape(-1, 1, 1) + 0.01 * random.normal(size=(10, 5, 1))
    optimism = measured_optimism(fits(clear), AUC)
    assert optimism is not None
    assert abs(optimism.value) < 1e-9  # the same one leads on all parts, so its losses add up to nothing
    assert optimism.error > 0


def test_seeds_are_averaged_before_the_parts_choose():
    figures = np.zeros((2, 2, 2))
    figures[0, :, 0], figures[0, :, 1], figures[1] = 3.0, -1.0, 0.9  # on average, the first is the better
    optimism = measured_optimism(fits(figures), AUC)
    assert optimism == Metric(0.0, 0.0)


def test_optimism_needs_folds_and_two_usable_configurations():
    assert measured_optimism([], AUC) is None
    assert measured_optimism(fits(np.random.default_rng(1).random((9, 1, 3))), AUC) is None
    two = fits(np.random.default_rng(1).random((2, 3, 1)))
    assert measured_optimism(two, AUC) is not None
    assert measured_optimism(two[:-1], AUC) is None
    assert measured_optimism([*two[:-1], replace(two[-1], outcome=Outcome.DIVERGED)], AUC) is None
    assert measured_optimism(two, MSE) is None
