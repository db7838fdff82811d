"""The stop rule: exact where it can be counted, an upper estimate where the tail is light, poor where it is heavy."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.sweep.gain import expected_gain, should_stop
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

AUC = Objective("auc", maximise=True)
Parent = Callable[[np.random.Generator, tuple[int, int]], Any]


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=8), st.booleans())
def test_it_is_the_mean_over_all_halves(figures: list[float], maximise: bool) -> None:
    best = max if maximise else min
    halves = [best(half) for half in itertools.combinations(figures, len(figures) // 2)]
    expected = abs(best(figures) - np.mean(halves))
    assert expected_gain(figures, maximise=maximise) == pytest.approx(expected, abs=1e-12)


@given(st.lists(st.floats(-5, 5), min_size=2, max_size=200), st.floats(0.1, 10), st.floats(-10, 10))
def test_it_has_the_units_of_the_figures(figures: list[float], scale: float, shift: float) -> None:
    gain = expected_gain(figures, maximise=True)
    moved = [scale * figure + shift for figure in figures]
    assert expected_gain(moved, maximise=True) == pytest.approx(scale * gain, abs=1e-9)
    assert expected_gain([-each for each in moved], maximise=False) == pytest.approx(scale * gain, abs=1e-9)
    assert gain >= 0


def test_equal_figures_promise_nothing_and_a_hundred_thousand_are_no_trouble() -> None:
    assert expected_gain([0.7] * 50, maximise=True) == 0.0
    figures = np.arange(100_000.0)  # the best of half of 0 ... n - 1: (n / 2) (n + 1) / (n / 2 + 1) - 1
    assert expected_gain(figures, maximise=True) == pytest.approx(99_999 - (50_000 * 100_001 / 50_001 - 1), rel=1e-6)


def harmonic(number: int) -> float:
    return math.fsum(1 / k for k in range(1, number + 1))


PARENTS: dict[str, tuple[Parent, bool]] = {
    "uniform": (lambda draws, shape: draws.random(shape), True),
    "normal": (lambda draws, shape: draws.standard_normal(shape), True),
    "exponential": (lambda draws, shape: draws.exponential(size=shape), True),
    "heavy": (lambda draws, shape: draws.pareto(2.5, shape), False),
}


@pytest.mark.parametrize("name", PARENTS)
def test_what_the_next_doubling_brings(name: str) -> None:
    """Said and done, for 8,000 sweeps of 64 trials; done: the mean best of 128 less that of 64."""
    parent, light = PARENTS[name]
    sweeps = parent(np.random.default_rng(8), (8000, 128))
    said = np.array([expected_gain(row[:64], maximise=True) for row in sweeps])
    done = sweeps.max(axis=1) - sweeps[:, :64].max(axis=1)
    error = math.hypot(said.std(), done.std()) / math.sqrt(len(sweeps))
    if name == "exponential":
        assert abs(said.mean() - done.mean()) < 4 * error
        expected = harmonic(64) - harmonic(32)  # the mean best of n is the n-th harmonic number (Renyi 1953)
        assert abs(said.mean() - expected) < 4 * said.std() / math.sqrt(len(sweeps))
        assert abs(expected - math.log(2)) < 0.01
    elif light:
        assert said.mean() > done.mean() + 3 * error
        assert said.mean() < 3 * done.mean()
    else:
        assert said.mean() < done.mean()  # where the rule is poor


def rows(values: list[float], outcome: Outcome = Outcome.FINISHED, error: float = 0.01) -> list[FitRecord]:
    metrics = [{"auc": Metric(value, error)} if outcome.usable else {} for value in values]
    return [FitRecord(n, 0, {}, outcome, metrics=each) for n, each in enumerate(metrics)]


def test_it_stops_when_less_than_so_many_errors_are_promised() -> None:
    values = np.linspace(0.5, 0.9, 20).tolist()
    gain = expected_gain(values, maximise=True)
    assert should_stop(rows(values), AUC, 1.001 * gain / 0.01)
    assert not should_stop(rows(values), AUC, 0.999 * gain / 0.01)
    less_is_better = Objective("auc", maximise=False)
    assert should_stop(rows([1 - value for value in values]), less_is_better, 1.001 * gain / 0.01)


def test_it_needs_ten_usable_figures_and_an_error() -> None:
    assert should_stop(rows([0.5] * 10), AUC, 0.1)
    assert not should_stop(rows([0.5] * 9) + rows([0.0] * 50, Outcome.PRUNED), AUC, 0.1)
    assert not should_stop(rows([0.5] * 9 + [math.nan]), AUC, 0.1)
    assert not should_stop(rows([0.5] * 10, error=0.0), AUC, 0.1)
    assert not should_stop(rows([0.5] * 10, error=math.nan), AUC, 0.1)
    assert not should_stop([], AUC, 0.1)


def test_what_was_stopped_counts_as_the_worst_and_what_was_lost_not_at_all() -> None:
    values = np.linspace(0.5, 0.9, 20).tolist()
    with_pruned = expected_gain(values + [0.5] * 30, maximise=True)
    assert with_pruned > expected_gain(values, maximise=True)  # the same best was had by more than twice the trials
    for outcome, gain in ((Outcome.PRUNED, with_pruned), (Outcome.LOST, expected_gain(values, maximise=True))):
        ended = rows(values) + rows([0.0] * 30, outcome)
        assert should_stop(ended, AUC, 1.001 * gain / 0.01)
        assert not should_stop(ended, AUC, 0.999 * gain / 0.01)
