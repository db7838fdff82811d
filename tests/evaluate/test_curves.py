from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, det_curve, precision_recall_curve, roc_curve

from townsend.evaluate.bootstrap import numbered
from townsend.evaluate.classification import auc
from townsend.evaluate.curves import (
    average_precision,
    average_precision_by_group,
    det,
    precision_recall,
    thinned,
    weighted_roc,
)
from townsend.evaluate.linearised import GroupedEvents, grouped_events

# Few distinct scores, so that ties are common.
EVENTS = st.lists(
    st.tuples(st.integers(-3, 3), st.booleans(), st.floats(0.125, 8, width=16), st.sampled_from([1, 1, -1])),
    min_size=2,
    max_size=25,
).filter(lambda rows: len({row[1] for row in rows}) == 2)


def columns(rows):
    scores, labels, sizes, signs = (np.array(column, float) for column in zip(*rows, strict=True))
    return scores, labels, sizes, sizes * signs


def usable(labels, weights):
    assume(abs(weights[labels == 1].sum()) > 0.01)
    assume(abs(weights[labels == 0].sum()) > 0.01)


@settings(max_examples=50)
@given(EVENTS)
def test_roc_with_positive_weights_is_scikit_learns(rows):
    scores, labels, weights, _ = columns(rows)
    curve = weighted_roc(scores, labels, weights)
    fpr, tpr, threshold = roc_curve(labels, scores, sample_weight=weights, drop_intermediate=False)
    for found, expected in zip(curve, (fpr, tpr, threshold), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-12)


@given(EVENTS)
def test_signed_roc_points_are_sums_and_its_area_is_the_auc(rows):
    scores, labels, _, weights = columns(rows)
    usable(labels, weights)
    curve = weighted_roc(scores, labels, weights, points=None)
    assert len(curve.fpr) == len(set(scores)) + 1
    for x, y, cut in zip(*curve, strict=True):
        for share, label in ((x, 0), (y, 1)):
            of_class = weights * (labels == label)
            assert share == pytest.approx(of_class[scores >= cut].sum() / of_class.sum(), abs=1e-9)
    area = auc(scores, labels, weights)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(area, abs=1e-9 * max(1, abs(area)))


def test_a_signed_roc_goes_back_where_the_weights_do():
    curve = weighted_roc([4, 3, 2, 1], [1, 0, 0, 1], [1, 3, -1, 1])
    assert curve.fpr.tolist() == [0, 0, 1.5, 1, 1]
    assert curve.tpr.tolist() == [0, 0.5, 0.5, 0.5, 1]


@settings(max_examples=50)
@given(EVENTS)
def test_precision_recall_with_positive_weights_is_scikit_learns(rows):
    scores, labels, weights, _ = columns(rows)
    curve = precision_recall(scores, labels, weights)
    precision, recall, threshold = precision_recall_curve(labels, scores, sample_weight=weights)
    np.testing.assert_allclose(curve.precision, precision[::-1], atol=1e-12)
    np.testing.assert_allclose(curve.recall, recall[::-1], atol=1e-12)
    np.testing.assert_array_equal(curve.threshold[1:], threshold[::-1])
    assert curve.undefined == 0
    assert average_precision(scores, labels, weights) == pytest.approx(
        average_precision_score(labels, scores, sample_weight=weights), abs=1e-12
    )


@given(EVENTS)
def test_signed_average_precision_is_the_mean_precision_of_signal(rows):
    scores, labels, _, weights = columns(rows)
    usable(labels, weights)
    total, undefined = 0.0, set()
    for score, label, weight in zip(scores, labels, weights, strict=True):
        kept = scores >= score
        accepted = weights[kept].sum()
        undefined |= {score} if accepted <= 0 else set()
        if label and accepted != 0:
            total += weight * weights[kept & (labels == 1)].sum() / accepted
    expected = total / weights[labels == 1].sum()
    assert average_precision(scores, labels, weights) == pytest.approx(expected, rel=1e-9, abs=1e-9)
    assert precision_recall(scores, labels, weights).undefined == len(undefined)


@settings(max_examples=50)
@given(EVENTS)
def test_det_holds_scikit_learns_points(rows):
    scores, labels, weights, _ = columns(rows)
    curve = det(scores, labels, weights)
    found = {threshold: (fpr, fnr) for fpr, fnr, threshold in zip(*curve, strict=True)}
    for fpr, fnr, threshold in zip(*det_curve(labels, scores, sample_weight=weights), strict=True):
        assert found[threshold] == (pytest.approx(fpr, abs=1e-12), pytest.approx(fnr, abs=1e-12))


@settings(max_examples=40)
@given(EVENTS)
def test_an_event_moves_average_precision_by_its_derivative(rows):
    scores, labels, weights, _ = columns(rows)
    moved = average_precision_by_group(scores, labels == 1, grouped_events(len(scores), weights))
    assert moved.value == pytest.approx(average_precision(scores, labels, weights))
    for row in range(len(scores)):
        step = np.zeros(len(scores))
        step[row] = 1e-5 * weights[row]
        up, down = (average_precision(scores, labels, weights + way * step) for way in (1, -1))
        assert moved.by_group[row] == pytest.approx((up - down) / 2e-5, abs=1e-6)


def test_the_error_of_average_precision_is_that_of_the_bootstrap():
    rng = np.random.default_rng(8)
    group = np.repeat(np.arange(300), rng.poisson(5, 300))
    signal = rng.random(len(group)) < 0.3
    scores = rng.normal(signal + 0.7 * rng.normal(size=300)[group], 1).round(1)
    weights = rng.choice([1, -0.3], len(group), p=[0.9, 0.1])
    number, groups = numbered(group)
    found = average_precision_by_group(scores, signal, GroupedEvents(weights, number, groups)).metric
    draws = [np.bincount(rng.integers(0, groups, groups), minlength=groups)[number] for _ in range(500)]
    resampled = np.std([average_precision(scores, signal, weights * drawn) for drawn in draws], ddof=1)
    assert found.error == pytest.approx(resampled, rel=0.12)


def test_a_long_curve_is_thinned_to_exact_points_with_both_tails():
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 100_000)
    scores, weights = rng.normal(labels * 1.5), rng.choice([1.0, -0.2], 100_000, p=[0.9, 0.1])
    whole, thin = (weighted_roc(scores, labels, weights, points) for points in (None, 500))
    assert 300 < len(thin.fpr) <= 500
    assert {*zip(*thin, strict=True)} <= {*zip(*whole, strict=True)}
    assert (thin.fpr[0], thin.tpr[-1]) == (0, pytest.approx(1))
    assert np.trapezoid(thin.tpr, thin.fpr) == pytest.approx(auc(scores, labels, weights), abs=1e-4)
    assert thin.threshold[:5].tolist() == whole.threshold[:5].tolist()
    assert thin.threshold[-5:].tolist() == whole.threshold[-5:].tolist()


@given(st.integers(1, 400), st.integers(8, 60))
def test_thinning_keeps_the_ends_and_the_limit(size, points):
    kept = thinned(np.linspace(0, 1, size) ** 3, np.linspace(0, 1, size), points)
    assert (kept[0], kept[-1]) == (0, size - 1)
    assert len(kept) <= max(points, 1)
    assert (np.diff(kept) > 0).all()
