from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.evaluate.bootstrap import bootstrap_figures
from townsend.evaluate.classification import FIGURES
from townsend.evaluate.linearised import (
    combined,
    grouped_events,
    linearised_figures,
    of_cells,
    of_sums,
)


def counts_of_groups(rng: np.random.Generator, groups: int = 400) -> np.ndarray:
    """tp, fp, fn, tn of groups that share a luck, with signed sums."""
    size = rng.poisson(5 * rng.gamma(3, 1 / 3, groups))
    weight = rng.choice([1.0, -0.4], (groups, 4), p=[0.85, 0.15])
    return rng.multinomial(size, [0.3, 0.1, 0.1, 0.5]) * weight


def test_errors_agree_with_the_bootstrap():
    counts = counts_of_groups(np.random.default_rng(3))
    fast, slow = linearised_figures(counts, FIGURES), bootstrap_figures(counts, FIGURES, 2000)
    assert fast.keys() == slow.keys()
    for name, metric in fast.items():
        assert metric.value == pytest.approx(slow[name].value, abs=1e-12)
        assert metric.error == pytest.approx(slow[name].error, rel=0.08), name  # 2000 resamples: 1.6 %


def test_the_error_of_a_share_is_binomial_and_that_of_a_mean_the_standard_error():
    rng = np.random.default_rng(1)
    passed = (rng.random(500) < 0.7).astype(np.intp)
    share = of_cells(lambda sums: sums[..., 1] / sums.sum(axis=-1), passed, 2, grouped_events(500)).metric
    p = passed.mean()
    assert share == (pytest.approx(p), pytest.approx(np.sqrt(p * (1 - p) / 500), rel=1e-6))
    values = rng.normal(3, 2, 500)
    mean = of_sums(lambda sums: sums[..., 1] / sums[..., 0], [np.ones(500), values], grouped_events(500)).metric
    assert mean == (pytest.approx(values.mean()), pytest.approx(values.std() / np.sqrt(500), rel=1e-6))


def test_the_gradient_is_that_of_leaving_a_group_out():
    rng = np.random.default_rng(2)
    cell, number = rng.integers(0, 4, 3000), rng.integers(0, 200, 3000)
    weight = rng.normal(1, 1, 3000)
    events = grouped_events(3000, weight, number)
    found = of_cells(FIGURES["f1"], cell, 4, events)
    without = [np.bincount(cell[number != g], weight[number != g], 4) for g in range(200)]
    left_out = found.value - FIGURES["f1"](np.array(without))
    assert found.by_group == pytest.approx(left_out, rel=0.1, abs=1e-5)
    assert np.abs(left_out).min() < 1e-3 < np.abs(left_out).max()


def test_a_figure_minus_itself_is_zero_and_sure():
    cell = np.array([0, 1, 2, 3, 0, 3])
    one = of_cells(FIGURES["accuracy"], cell, 4, grouped_events(6))
    assert combined([one, one], [1, -1]).metric == (0, 0)
    assert combined([one, one], [0.5, 0.5]).metric == one.metric


def test_a_group_counts_once():
    rng = np.random.default_rng(5)
    cell = rng.integers(0, 4, 300)
    once = of_cells(FIGURES["f1"], cell, 4, grouped_events(300)).metric
    thrice = of_cells(
        FIGURES["f1"], np.repeat(cell, 3), 4, grouped_events(900, None, np.repeat(np.arange(300), 3))
    ).metric
    assert thrice == pytest.approx(once)


def test_products_of_groups_are_those_of_their_sums():
    rng = np.random.default_rng(6)
    cell, group, values = rng.integers(0, 3, 50), rng.integers(0, 7, 50), rng.normal(size=50)
    table = np.array([[values[(group == g) & (cell == c)].sum() for c in range(3)] for g in range(7)])
    assert grouped_events(50, None, group).products_in(cell, 3, values) == pytest.approx(table.T @ table)
    alone = grouped_events(50).products_in(cell, 3, values)
    assert alone == pytest.approx(grouped_events(50, None, np.arange(50)).products_in(cell, 3, values))


def test_an_infinite_figure_has_no_error():
    counts = [[1.0, 0.0], [2.0, 0.0]]
    with np.errstate(divide="ignore"):
        metric = linearised_figures(counts, {"ratio": lambda sums: np.divide(sums[..., 0], sums[..., 1])})["ratio"]
    assert np.isinf(metric.value)
    assert np.isnan(metric.error)


def test_too_few_groups_are_refused():
    with pytest.raises(InputError, match="at least 2 events"):
        grouped_events(1)
    with pytest.raises(InputError, match="at least 2 groups"):
        grouped_events(3, None, [1, 1, 1])
    with pytest.raises(InputError, match="one entry an example"):
        grouped_events(3, None, [1, 2])
