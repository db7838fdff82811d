from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.calibration import calibration_curve
from sklearn.metrics import brier_score_loss

from townsend.errors import InputError
from townsend.evaluate.reliability import brier_parts, reliability

EVENTS = st.lists(
    st.tuples(st.floats(0, 1, width=16), st.booleans(), st.floats(0.125, 8, width=16)), min_size=2, max_size=60
).filter(lambda rows: len({row[1] for row in rows}) == 2)


def columns(rows):
    return tuple(np.array(column, float) for column in zip(*rows, strict=True))


@settings(max_examples=50)
@given(EVENTS)
def test_bins_are_scikit_learns(rows):
    scores, labels, _ = columns(rows)
    curve = reliability(scores, labels, bins=5, by="width")
    observed, mean = calibration_curve(labels, scores, n_bins=5)
    filled = curve.events > 0
    # scikit-learn puts a score on an edge into the lower bin.
    if not np.isin(scores, curve.edges[1:-1]).any():
        np.testing.assert_allclose(curve.observed[filled], observed, atol=1e-12)
        np.testing.assert_allclose(curve.mean_score[filled], mean, atol=1e-12)
    assert np.isnan(curve.observed[~filled]).all()
    assert curve.events.sum() == len(scores)


@settings(max_examples=50)
@given(EVENTS, st.integers(1, 6))
def test_parts_of_the_brier_score_sum_to_it(rows, bins):
    scores, labels, weights = columns(rows)
    parts = brier_parts(scores, labels, weights, bins)
    assert parts.brier == pytest.approx(brier_score_loss(labels, scores, sample_weight=weights), abs=1e-12)
    total = parts.reliability - parts.resolution + parts.uncertainty + parts.within
    assert total == pytest.approx(parts.brier, abs=1e-12)
    assert min(parts.reliability, parts.resolution, parts.uncertainty) >= 0


def test_bins_by_hand_with_weights_and_groups():
    curve = reliability([0.1, 0.3, 0.3, 0.9], [0, 1, 0, 1], [1, 3, -0.5, 2], [0, 1, 1, 2], bins=2, by="width")
    assert curve.edges.tolist() == [0, 0.5, 1]
    assert curve.weight.tolist() == [3.5, 2]
    assert curve.mean_score.tolist() == pytest.approx([0.85 / 3.5, 0.9])
    assert curve.observed.tolist() == pytest.approx([3 / 3.5, 1])
    # Sums of w (label - share) in the first bin: group 0 has -6/7, group 1 has 3/7 + 3/7.
    assert curve.error.tolist() == pytest.approx([np.sqrt(2) * 6 / 7 / 3.5, 0])
    assert curve.expected_error == pytest.approx((3 - 0.85 + 2 * 0.1) / 5.5)


def test_the_error_of_a_share_is_binomial():
    rng = np.random.default_rng(1)
    scores = rng.random(3000)
    labels = (rng.random(3000) < scores).astype(int)
    curve = reliability(scores, labels)
    assert len(curve.events) == 10
    assert curve.events.tolist() == [300] * 10
    assert curve.error == pytest.approx(np.sqrt(curve.observed * (1 - curve.observed) / 300))


def test_calibrated_scores_lie_on_the_diagonal_and_parts_tell_resolution():
    rng = np.random.default_rng(2)
    scores = rng.random(40_000)
    labels = (rng.random(40_000) < scores).astype(int)
    parts = brier_parts(scores, labels, bins=50)
    assert parts.reliability < 5e-4
    assert parts.resolution == pytest.approx(1 / 12, rel=0.05)  # variance of a uniform probability
    assert parts.uncertainty == pytest.approx(0.25, rel=0.01)
    assert reliability(scores, labels).expected_error < 0.01
    assert reliability(scores**2, labels).expected_error == pytest.approx(1 / 6, abs=0.01)  # mean of p - p^2


def test_bins_without_a_positive_sum_are_told():
    scores, labels, weights = [0.1, 0.2, 0.8, 0.9], [0, 1, 0, 1], [1, -2, 1, 3]
    curve = reliability(scores, labels, weights, bins=2, by="width")
    assert curve.undefined == 1
    assert np.isnan(curve.observed).tolist() == [True, False]
    assert curve.to_json()["observed"] == [None, pytest.approx(3 / 4)]
    assert curve.expected_error == pytest.approx(abs(3 / 4 - 3.5 / 4))
    parts = brier_parts(scores, labels, weights, bins=2)
    assert np.isnan(parts.reliability)
    assert parts.brier == pytest.approx((0.01 - 2 * 0.64 + 0.64 + 3 * 0.01) / 3)


def test_equal_scores_share_a_bin():
    curve = reliability([0.5] * 4 + [0.7], [0, 1, 1, 0, 1])
    assert sorted(curve.events[curve.events > 0]) == [1, 4]
    assert reliability([0.5] * 4, [0, 1, 1, 1]).observed.tolist() == [0.75]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"scores": [0.1, 1.2]}, "must lie in .0, 1. .got 1 scores outside"),
        ({"bins": 0}, "at least one bin .got 0"),
        ({"by": "quantiles"}, 'did you mean "quantile"'),
        ({"weights": [1, np.nan]}, "one finite number"),
    ],
)
def test_what_has_no_curve_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        reliability(**({"scores": [0.1, 0.2], "labels": [0, 1]} | arguments))
