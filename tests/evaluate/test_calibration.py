from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chi2 as chi_squared
from scipy.stats import kstest

from townsend.evaluate.calibration import calibration_test, calibration_verdict


def calibrated_events(rng: np.random.Generator, kind: str, events: int = 1500):
    """Two Gaussians with their exact probability of signal, for counts, signed natural weights, or groups."""
    labels = rng.random(events) < 0.3
    x = rng.normal(1.5 * labels, 1)
    odds = 0.3 / 0.7 * np.exp(1.5 * x - 1.125)
    if kind == "counts":
        return odds / (1 + odds), labels, None, None
    # Signal weighs a tenth of background, one weight in ten is negative, and weights grow with the score.
    weights = np.where(labels, 0.1, 1.0) * rng.gamma(2, 0.5, events) * rng.choice([1, -1], events, p=[0.9, 0.1])
    weights = weights * np.where(x > 1, 5.0, 1.0)
    scores = 0.1 * odds / (1 + 0.1 * odds)
    if kind == "signed":
        return scores, labels, weights, None
    copies = np.repeat(np.arange(events), rng.integers(1, 4, events))
    return scores[copies], labels[copies], weights[copies], copies


@pytest.mark.parametrize("kind", ["counts", "signed", "groups"])
def test_p_values_of_calibrated_scores_are_uniform(kind):
    rng = np.random.default_rng(1)
    p_values = [calibration_test(*calibrated_events(rng, kind)).p for _ in range(150)]
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert np.mean(np.array(p_values) < 0.01) <= 0.04


def test_a_bin_by_hand():
    # One bin: 40 events scored 0.3 and 20 signals; variance 40 x 0.3 x 0.7.
    found = calibration_test([0.3] * 40, [1] * 20 + [0] * 20)
    assert found.chi2 == pytest.approx((20 - 12) ** 2 / 8.4)
    assert (found.ndf, found.bins) == (1, 1)
    assert found.p == pytest.approx(chi_squared.sf(64 / 8.4, 1))
    doubled = calibration_test([0.3] * 80, [1] * 40 + [0] * 40, group=np.repeat(np.arange(40), 2))
    assert doubled.chi2 == pytest.approx(found.chi2)
    halved = calibration_test([0.3] * 40, [1] * 20 + [0] * 20, np.full(40, 0.5))
    assert halved.chi2 == pytest.approx(found.chi2)


def test_ignoring_groups_or_the_natural_weights_would_be_caught():
    rng = np.random.default_rng(2)
    scores, labels, weights, group = calibrated_events(rng, "groups", 4000)
    grouped, single = calibration_test(scores, labels, weights, group), calibration_test(scores, labels, weights)
    assert grouped.chi2 < 0.7 * single.chi2
    assert calibration_test(scores, labels, None, group).p < 1e-6


def test_verdicts():
    rng = np.random.default_rng(3)
    scores, labels, *_ = calibrated_events(rng, "counts", 5000)
    good, sharper = calibration_verdict(scores, labels), calibration_verdict(scores**2, labels)
    assert good.ok
    assert good.sentence.startswith("calibrated: chi-squared ")
    assert not sharper.ok
    assert sharper.sentence.startswith("not calibrated: chi-squared ")
    assert "no probabilities at these weights" in sharper.sentence
    outside = calibration_verdict(10 * scores, labels)
    assert not outside.ok
    assert "lie outside [0, 1]" in outside.sentence
    few = calibration_verdict([0.2, 0.8], [0, 1])
    assert not few.ok
    assert "cannot be judged" in few.sentence


def test_scores_of_zero_and_one_are_right_or_impossible():
    labels = np.repeat([0, 1], 50)
    assert calibration_test(labels.astype(float), labels).p == 1
    wrong = labels.astype(float)
    wrong[[0, -1]] = 1.0, 0.0
    assert calibration_test(wrong, labels).p == 0


def test_bins_that_cancel_are_merged_and_told():
    rng = np.random.default_rng(4)
    scores, labels, weights, _ = calibrated_events(rng, "signed", 4000)
    weights = np.where(scores < np.quantile(scores, 0.1), -0.05, weights)
    assert "1 of 10 bins have no positive sum of weights" in calibration_verdict(scores, labels, weights).sentence
