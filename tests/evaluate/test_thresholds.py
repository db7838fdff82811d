from __future__ import annotations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from townsend.errors import InputError
from townsend.evaluate.significance import asimov_significance
from townsend.evaluate.thresholds import CRITERIA, choose_threshold, scan_thresholds

EVENTS = st.lists(
    st.tuples(st.integers(-4, 4), st.booleans(), st.sampled_from([1.0, 2.0, 0.5, -1.0])), min_size=2, max_size=25
).filter(lambda rows: len({row[1] for row in rows}) == 2)


def by_hand(name, s, b, all_s, all_b, error):
    """Each criterion from the yields accepted and in all, NaN where it is undefined."""
    no_yields = s < 0 or b < 0 or s + b <= 0
    tpr, fpr = s / all_s, b / all_b
    match name:
        case "corner_distance":
            return np.hypot(1 - tpr, fpr)
        case "youden":
            return tpr - fpr
        case "accuracy":
            return (s + all_b - b) / (all_s + all_b) if all_s + all_b else 0.0
        case "f1":
            return np.nan if no_yields else 2 * s / (s + b + all_s) if s + b + all_s else 0.0
        case "efficiency_x_purity":
            return np.nan if no_yields else tpr * s / (s + b)
        case "s_over_sqrt_s_plus_b":
            return np.nan if no_yields else s / np.sqrt(s + b)
        case "s_over_sqrt_b":
            return np.nan if s < 0 or b <= 0 else s / np.sqrt(b)
        case "asimov":
            return np.nan if s < 0 or b <= 0 else np.sqrt(max(2 * ((s + b) * np.log1p(s / b) - s), 0))
        case _:
            return float(asimov_significance(s, b, error))


@settings(max_examples=60)
@given(EVENTS)
def test_the_scan_is_every_cut_by_hand(rows):
    scores, labels, weights = (np.array(column, float) for column in zip(*rows, strict=True))
    all_s, all_b = (weights[labels == label].sum() for label in (1, 0))
    assume(all_s != 0)
    assume(all_b != 0)
    scan = scan_thresholds(scores, labels, weights, 0.2)
    assert scan.tried == len(scan.threshold) == len(set(scores))
    for name, criterion in CRITERIA.items():
        expected = []
        for cut in scan.threshold:
            kept = scores >= cut
            s, b = (weights[kept & (labels == label)].sum() for label in (1, 0))
            statistical = np.sqrt(np.sum(weights[kept & (labels == 0)] ** 2))
            expected.append(by_hand(name, s, b, all_s, all_b, np.hypot(statistical, 0.2 * b)))
        np.testing.assert_allclose(scan.curves[name], expected, rtol=1e-7, atol=1e-7, err_msg=name)
        best = scan.best[name]
        assert best.undefined == np.isnan(expected).sum()
        if best.undefined == len(expected):
            assert np.isnan(best.threshold)
            assert best.to_json()["threshold"] is None
            with pytest.raises(InputError, match="defined at one threshold or more"):
                choose_threshold(scores, labels, weights, name)
        else:
            good = np.nanmax(expected) if criterion.maximise else np.nanmin(expected)
            assert best.value == pytest.approx(good, abs=1e-7)
            assert choose_threshold(scores, labels, weights, name, 0.2) == best.threshold
            kept = scores >= best.threshold
            assert best.signal.value == pytest.approx(weights[kept & (labels == 1)].sum())
            assert best.tpr == pytest.approx(best.signal.value / all_s)
            assert best.background.error**2 == pytest.approx(np.sum(weights[kept & (labels == 0)] ** 2))


def test_thresholds_of_two_gaussians_are_where_theory_puts_them():
    rng = np.random.default_rng(2)
    labels = np.repeat([0, 1], 50_000)
    scores = rng.normal(labels * 2.0)
    best = scan_thresholds(scores, labels).best
    # Equal widths and numbers: right in the middle for all three.
    for name in ("youden", "accuracy", "corner_distance"):
        assert best[name].threshold == pytest.approx(1.0, abs=0.1), name
    assert best["youden"].value == pytest.approx(2 * norm.cdf(1) - 1, abs=0.005)
    # Ten times as much background moves the best accuracy to where the densities are equal: 1 + ln(10) / 2.
    weighted = choose_threshold(scores, labels, np.where(labels, 1.0, 10.0), "accuracy")
    assert weighted == pytest.approx(1 + np.log(10) / 2, abs=0.1)
    assert choose_threshold(scores, labels, np.where(labels, 1.0, 10.0), "youden") == best["youden"].threshold


def test_the_strictest_of_equal_thresholds_wins():
    assert choose_threshold([3, 2, 1, 0], [1, 0, 1, 0], criterion="youden") == 3


def test_negative_background_is_never_chosen_for_significance():
    # The strictest cut keeps a signal and a background of -0.999: S + B is nearly zero, S / sqrt(S + B) would be 31.
    scores, labels, weights = [5, 5, 4, 3, 2, 1], [1, 0, 1, 0, 0, 1], [1, -0.999, 9, 2, 5, 1]
    scan = scan_thresholds(scores, labels, weights)
    for name in ("s_over_sqrt_s_plus_b", "asimov", "s_over_sqrt_b", "f1", "efficiency_x_purity"):
        assert scan.best[name].threshold < 4, name
        assert scan.best[name].undefined >= 1, name


def test_an_error_of_the_background_makes_the_cut_looser():
    rng = np.random.default_rng(7)
    labels = (rng.random(20_000) < 0.5).astype(int)
    scores, weights = rng.normal(labels * 1.5), np.where(labels, 0.01, 1.0)
    scan, uncertain = (scan_thresholds(scores, labels, weights, share) for share in (0.0, 0.3))
    assert uncertain.best["asimov_with_error"].value < scan.best["asimov_with_error"].value < scan.best["asimov"].value
    assert uncertain.best["asimov"] == scan.best["asimov"]


def test_a_long_scan_is_thinned_around_its_best_points():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 2, 30_000)
    scores = rng.normal(labels)
    scan = scan_thresholds(scores, labels, points=100)
    assert scan.tried == 30_000
    assert len(scan.threshold) <= 100 + len(CRITERIA)
    assert {best.threshold for best in scan.best.values()} <= set(scan.threshold)
    assert (np.diff(scan.threshold) < 0).all()
    assert len(scan.tpr) == len(scan.fpr) == len(scan.curves["f1"]) == len(scan.threshold)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"criterion": "f2"}, 'must be known .got "f2".; did you mean "f1"'),
        ({"background_uncertainty": -0.1}, "zero or more .got -0.1"),
        ({"weights": [1, 1, -1]}, "class 0 must not sum to zero"),
    ],
)
def test_what_cannot_be_scanned_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        choose_threshold([1, 2, 3], [1, 0, 0], **arguments)
