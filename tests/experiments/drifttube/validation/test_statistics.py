"""Figures of distributions and their intervals: closed forms, coverage on a toy, and intervals that are too short."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.drifttube.validation.statistics import (
    DECILES,
    Figure,
    Resampling,
    Values,
    compare,
    figures_of,
)
from townsend.experiments.drifttube.validation.verdicts import Judgement, Label

TRACKS, A_TRACK = 200, 6
LABEL = Label("toy", "value", "tracks", "ns")


def toy(random, scale=1.0):
    """Values of tracks at impact parameters of their own, alike within a track."""
    impact = np.linspace(0, 1, TRACKS)
    of_track = random.gamma(4.0, 0.25, TRACKS) * (2 - impact)
    value = scale * of_track[:, None] * random.gamma(9.0, 1 / 9, (TRACKS, A_TRACK))
    return impact, Values(value.ravel(), np.repeat(np.arange(TRACKS), A_TRACK))


def test_figures_have_their_closed_forms():
    values = Values(np.arange(1.0, 11.0), np.arange(10))
    figures = (*DECILES, Figure("share", 3.0))
    np.testing.assert_allclose(figures_of(values, figures), [5.5, 1, 5, 9, 0.3])


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=40), st.floats(0.01, 0.99))
def test_a_quantile_is_the_smallest_value_that_enough_reach(numbers, level):
    found = figures_of(Values(np.array(numbers), np.arange(len(numbers))), (Figure("quantile", level),))[0]
    assert np.mean(np.array(numbers) <= found) >= level - 1e-9
    assert np.mean(np.array(numbers) < found) <= level + 1e-9


def test_an_empty_sample_has_no_figures():
    assert np.isnan(figures_of(Values(np.zeros(0), np.zeros(0, np.int64)), DECILES)).all()


def test_weights_repeat_and_drop_tracks_and_keep_their_number_on_average():
    resampling = Resampling(np.linspace(-1, 1, 1000), 1, resamples=300)
    assert resampling.weights.min() == 0.0
    np.testing.assert_allclose(resampling.weights.sum(axis=1), 1000)
    np.testing.assert_allclose(resampling.weights.mean(), 1.0)


def test_the_variance_of_a_mean_has_no_bias():
    """Within strata of n tracks the plain bootstrap has (n - 1) / n of it: here 25, one drawn 24 times."""
    random = np.random.default_rng(2)
    ratios = []
    for _ in range(60):
        values = Values(random.standard_normal(50), np.arange(50))
        drawn = Resampling(np.arange(50.0), int(random.integers(1 << 30)), 300).figures(values, (Figure("mean"),))
        ratios.append(drawn.var() * 50)
    assert np.mean(ratios) == pytest.approx(1.0, abs=0.06)  # 60 estimates of 50 numbers: 0.03


def coverage(split):
    """Share of 95 % intervals of a toy's figures that hold the truth; `split`: values taken as tracks of their own."""
    random = np.random.default_rng(3)
    truth = np.mean([figures_of(toy(random)[1], DECILES) for _ in range(1000)], axis=0)
    held = []
    for seed in range(200):
        impact, values = toy(random)
        if split:
            impact, values = np.repeat(impact, A_TRACK), Values(values.value, np.arange(len(values.value)))
        low, high = np.quantile(Resampling(impact, seed, 200).figures(values, DECILES), [0.025, 0.975], axis=0)
        held.append((low <= truth) & (truth <= high))
    return np.mean(held, axis=0)


def test_intervals_cover_the_truth():
    """0.93 to 0.95 with 800 toys; 200 leave 1.8 %."""
    assert np.all(coverage(split=False) > 0.89)


def test_intervals_that_forget_the_tracks_would_be_seen_to_be_short():
    assert coverage(split=True)[0] < 0.80


@pytest.mark.parametrize(("scale", "expected"), [(1.0, {Judgement.OK}), (1.3, {Judgement.FAIL})])
def test_a_wrong_scale_fails_and_the_right_one_does_not(scale, expected):
    random = np.random.default_rng(4)
    impact, reference = toy(random)
    ours = [toy(random, scale)[1] for _ in range(40)]
    rows = compare(LABEL, reference, ours, Resampling(impact, 1), DECILES, 20.0)
    assert {row.judgement for row in rows} == expected
    assert [row.quantity for row in rows] == ["value, mean", *(f"value, {p} % quantile" for p in (10, 50, 90))]


def test_few_tracks_of_the_reference_leave_a_row_undecided():
    random = np.random.default_rng(5)
    impact, reference = toy(random)
    rows = compare(LABEL, reference, [toy(random)[1] for _ in range(40)], Resampling(impact, 1), DECILES, 2.0)
    assert {row.judgement for row in rows} == {Judgement.UNDECIDED}
    assert all("the reference itself is known to ±" in row.note for row in rows)
