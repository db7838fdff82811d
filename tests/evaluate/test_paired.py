from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.stats import binomtest, chi2

from townsend.errors import InputError
from townsend.evaluate.bootstrap import clustered_auc
from townsend.evaluate.classification import auc
from townsend.evaluate.classification_table import classification_table
from townsend.evaluate.paired import compare_models, mcnemar


def two_models(rng: np.random.Generator, groups: int = 600, gain: float = 0.3):
    """Scores of two models that share most of their noise, of events in groups, with weights of both signs."""
    group = np.repeat(np.arange(groups), rng.poisson(3, groups))
    labels = (rng.random(len(group)) < 0.4).astype(int)
    shared = rng.normal(labels, 1) + 0.6 * rng.normal(size=groups)[group]
    a = shared + gain * labels + 0.3 * rng.normal(size=len(group))
    b = shared + 0.3 * rng.normal(size=len(group))
    return a, b, labels, group, rng.choice([1.5, 0.5, -0.5], len(group), p=[0.6, 0.3, 0.1])


def test_one_event_a_group_is_delongs_covariance():
    a, b, labels, _, _ = two_models(np.random.default_rng(1), 30)
    signal, background = labels == 1, labels == 0
    of_signal, of_background = [], []
    for scores in (a, b):
        above = (scores[signal][:, None] > scores[background]).astype(float)
        of_signal.append(above.mean(axis=1))
        of_background.append(above.mean(axis=0))
    covariance = np.cov(of_signal) / signal.sum() + np.cov(of_background) / background.sum()
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    row = compare_models(a, b, labels).rows[0]
    assert row.name == "auc"
    assert row.difference.value == pytest.approx(auc(a, labels) - auc(b, labels))
    assert row.difference.error == pytest.approx(np.sqrt(variance))
    assert row.a == clustered_auc(a, labels, np.arange(len(a)))
    assert row.difference.error < 0.7 * np.hypot(row.a.error, row.b.error)


def test_weighted_errors_of_differences_are_those_of_the_bootstrap_by_group():
    rng = np.random.default_rng(2)
    a, b, labels, group, weights = two_models(rng)
    found = compare_models(a, b, labels, group, weights, 0.4, 0.6)
    draws = [np.bincount(rng.integers(0, 600, 600), minlength=600)[group] for _ in range(150)]
    repeated = [compare_models(a, b, labels, None, weights * drawn, 0.4, 0.6).rows for drawn in draws]
    differences = [[row.difference.value for row in rows] for rows in repeated]
    first, second = (classification_table(s, labels, cut, weights, group) for s, cut in ((a, 0.4), (b, 0.6)))
    for row, spread in zip(found.rows, np.std(differences, axis=0, ddof=1), strict=True):
        assert (row.a, row.b) == (first.row(row.name).metric, second.row(row.name).metric), row.name
        assert row.difference.value == pytest.approx(row.a.value - row.b.value)
        assert row.difference.error == pytest.approx(spread, rel=0.2), row.name  # 150 resamples: 6 %


def test_p_values_of_equal_models_are_uniform():
    rng = np.random.default_rng(3)
    found = [compare_models(a, b, y, g, w) for a, b, y, g, w in (two_models(rng, 150, gain=0) for _ in range(120))]
    p_values = np.array([(one.rows[0].p, one.mcnemar.p) for one in found])
    assert np.mean(p_values < 0.5, axis=0) == pytest.approx([0.5, 0.5], abs=0.15)  # three standard deviations: 0.14
    assert (np.mean(p_values < 0.05, axis=0) < 0.12).all()


def test_the_better_model_is_named():
    a, b, labels, group, weights = two_models(np.random.default_rng(4))
    found = compare_models(a, b, labels, group, weights, names=("LSTM", "cut"))
    assert found.verdict.ok
    assert found.verdict.sentence.startswith("LSTM better than cut by 0.0")
    assert "p " in found.verdict.sentence
    other = compare_models(b, a, labels, group, weights, names=("cut", "LSTM"))
    assert other.verdict == found.verdict
    assert other.rows[0].difference.value == -found.rows[0].difference.value
    assert found.to_json()["mcnemar"]["method"] == found.mcnemar.method


def test_a_model_cannot_be_told_from_itself_whatever_its_scale():
    a, _, labels, group, weights = two_models(np.random.default_rng(5), 50)
    found = compare_models(a, np.exp(a), labels, group, weights, 0.0, 1.0)
    assert not found.verdict.ok
    assert "A and B cannot be told apart" in found.verdict.sentence
    for row in found.rows:
        assert row.difference == pytest.approx((0, 0), abs=1e-12)
    assert found.mcnemar.p == found.rows[0].p == 1


def test_mcnemar_is_the_exact_binomial_test():
    for only_a, only_b in itertools.product([0, 1, 5, 12], repeat=2):
        right_a = np.repeat([True, True, False, False], [7, only_a, only_b, 3])
        right_b = np.repeat([True, False, True, False], [7, only_a, only_b, 3])
        found = mcnemar(right_a, right_b)
        expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
        assert (found.only_a, found.only_b, found.p) == (only_a, only_b, pytest.approx(expected))


def test_weighted_mcnemar_of_weights_of_one_is_the_chi_squared():
    right_a, right_b = np.repeat([True, False], [30, 12]), np.repeat([False, True], [30, 12])
    found = mcnemar(right_a, right_b, np.ones(42))
    assert found.p == pytest.approx(chi2.sf((30 - 12) ** 2 / 42, 1))
    doubled = mcnemar(np.repeat(right_a, 2), np.repeat(right_b, 2), group=np.repeat(np.arange(42), 2))
    assert doubled.p == pytest.approx(found.p)
    assert doubled.only_a == 60


def test_scores_of_different_events_are_refused():
    with pytest.raises(InputError, match="one entry an example"):
        compare_models([0.1, 0.2], [0.1, 0.2, 0.3], [0, 1])
