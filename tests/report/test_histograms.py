"""Contents, densities and ratios of histograms of weighted events, with their errors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from townsend.report.histograms import (
    Bins,
    outside,
    robust_edges,
    shape_ratio,
    unit_area,
    weighted_bins,
    weighted_density,
)

EDGES = np.array([0.0, 1.0, 3.0])


def test_bins_are_sums_of_weights_and_roots_of_sums_of_squares() -> None:
    found = weighted_bins([0.5, 0.5, 2.0, 3.0, 7.0, np.nan], [2.0, -1.0, 3.0, 4.0, 9.0, 9.0], EDGES)
    assert found.content.tolist() == [1, 7]
    assert found.error == pytest.approx([np.sqrt(5), 5])


def test_a_density_has_the_area_of_the_share_inside() -> None:
    found = weighted_density([0.5, 2.0, 2.0, 9.0], [1.0, 1.0, 1.0, 1.0], EDGES)
    assert found.content == pytest.approx([0.25, 0.25])
    assert found.content @ np.diff(EDGES) == pytest.approx(0.75)
    assert found.error == pytest.approx([0.25, np.sqrt(2) / 8])
    assert unit_area(Bins(np.array([1.0, 6.0]), np.ones(2)), EDGES).content == pytest.approx([1 / 7, 3 / 7])
    assert unit_area(Bins(np.zeros(2), np.zeros(2)), EDGES).content.tolist() == [0, 0]


def test_one_wild_value_does_not_stretch_the_bins_and_a_rare_class_is_seen() -> None:
    rng = np.random.default_rng(0)
    values = np.concatenate([rng.normal(0, 1, 5000), rng.normal(20, 1, 50), [1e9, np.inf, np.nan]])
    label = np.repeat([0, 1, 0], [5000, 50, 3])
    edges = robust_edges(values, label)
    assert -4 < edges[0] < -2
    assert 21 < edges[-1] < 24
    share, wrong = outside(values, edges)
    assert share == pytest.approx(np.mean((values[:5051] < edges[0]) | (values[:5051] > edges[-1])))
    assert share > 0
    assert wrong == 2


def test_whole_numbers_have_bins_of_equally_many() -> None:
    values = np.repeat(np.arange(5), 100)
    assert robust_edges(values, np.zeros(500)).tolist() == [-0.5, 0.5, 1.5, 2.5, 3.5, 4.5]
    many = np.arange(500)
    widths = np.diff(robust_edges(many, np.zeros(500)))
    assert set(widths) == {13}  # 495 numbers between the quantiles, in at most 40 bins


@pytest.mark.parametrize("values", [[], [np.nan], [2.5, 2.5], [1e300, 1e300, -1e300]])
def test_edges_ascend_whatever_the_values(values: list[float]) -> None:
    edges = robust_edges(values, np.zeros(len(values)))
    assert np.all(np.diff(edges) > 0)
    assert np.isfinite(edges).all()


def _ratio(weight: NDArray[np.float64], place: NDArray[np.intp], kept: NDArray[np.bool_]) -> NDArray[np.float64]:
    every, passed = np.bincount(place, weight, 3), np.bincount(place, weight * kept, 3)
    return np.asarray((passed / passed.sum()) / (every / every.sum()))


@given(st.integers(0, 1000), st.booleans())
def test_the_error_of_a_shape_ratio_is_that_of_its_derivatives(seed: int, signed: bool) -> None:
    rng = np.random.default_rng(seed)
    place, weight = np.arange(60) % 3, rng.uniform(0.5, 2, 60)
    if signed:
        weight[rng.choice(60, 6, replace=False)] *= -0.5
    kept = (rng.random(60) < 0.6) | (np.arange(60) < 6)
    found = shape_ratio(
        weighted_bins(place[kept], weight[kept], np.arange(4) - 0.5), weighted_bins(place, weight, np.arange(4) - 0.5)
    )
    assert found.content == pytest.approx(_ratio(weight, place, kept))
    variance = np.zeros(3)
    for event in range(60):
        step = np.zeros(60)
        step[event] = 1e-5 * weight[event]
        slope = (_ratio(weight + step, place, kept) - _ratio(weight - step, place, kept)) / 2e-5
        variance += slope**2
    assert found.error == pytest.approx(np.sqrt(variance), rel=1e-4, abs=1e-6)


def test_all_selected_is_a_ratio_of_one_without_error_and_no_events_have_none() -> None:
    every = Bins(np.array([5.0, 7.0, 0.0]), np.sqrt([5.0, 7.0, 0.0]))
    same = shape_ratio(every, every)
    assert same.content[:2] == pytest.approx([1, 1])
    assert same.error[:2] == pytest.approx([0, 0], abs=1e-7)
    assert np.isnan(same.content[2])
    assert np.isnan(same.error[2])
    assert np.isnan(shape_ratio(Bins(np.zeros(3), np.zeros(3)), every).content).all()
