from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.reconstruction.calibration import (
    Calibration,
    calibration_errors,
    fit_calibration,
)
from townsend.experiments.drifttube.reconstruction.calibration_check import (
    bias_verdict,
    check_calibration,
    pull_figures,
    pull_verdict,
    thirds,
)
from townsend.tasks.base import Metric


def sample(n=4000, seed=1, offset=2.0, slope=1.5, floor=1.0, per_cluster=0.2):
    """Predictions whose truth lies around a known line with a known variance."""
    random = np.random.default_rng(seed)
    predicted = random.uniform(3, 12, n)
    mean = offset + slope * predicted
    return predicted, mean + random.normal(0, np.sqrt(floor + per_cluster * mean)), random.uniform(-0.4, 0.4, n)


# ---- the line and its variance


def test_a_line_without_scatter_is_found_exactly():
    predicted = np.linspace(1, 9, 200)
    fitted = fit_calibration(predicted, 2.5 + 0.5 * predicted)
    assert fitted.offset == pytest.approx(2.5, abs=1e-9)
    assert fitted.slope == pytest.approx(0.5, abs=1e-9)
    number, error = fitted.apply(predicted)
    np.testing.assert_allclose(number, 2.5 + 0.5 * predicted, rtol=1e-6)
    np.testing.assert_allclose(error, 1 / np.sqrt(12), rtol=1e-6)  # the smallest, of a whole number


def test_parameters_lie_within_their_errors_of_what_was_put_in():
    predicted, truth, _ = sample()
    fitted, errors = fit_calibration(predicted, truth), calibration_errors(predicted, truth)
    for name, value in {"offset": 2.0, "slope": 1.5, "variance_floor": 1.0, "variance_per_cluster": 0.2}.items():
        assert errors[name] > 0
        assert abs(getattr(fitted, name) - value) < 4 * errors[name], name


def test_errors_are_those_of_repeated_samples():
    fitted = [fit_calibration(*sample(seed=seed)[:2]) for seed in range(2, 102)]
    said = calibration_errors(*sample()[:2])
    for name in said:
        spread = np.std([getattr(each, name) for each in fitted], ddof=1)
        # A hundred samples tell a spread to 7 %.
        assert said[name] == pytest.approx(spread, rel=0.25), name


def test_the_mean_is_right_at_every_predicted_number_not_at_every_true_one():
    random = np.random.default_rng(3)
    truth = random.normal(15, 4, 40000)  # Gaussian in both: the relation is a straight line
    predicted = truth + random.normal(0, 3, len(truth))
    number, _ = fit_calibration(predicted, truth).apply(predicted)
    for low in (8, 12, 16, 20):
        chosen = (number >= low) & (number < low + 2)
        # 1,400 waveforms and more a bin, spread 2.4: the mean is known to 0.065.
        assert np.mean(number[chosen] - truth[chosen]) == pytest.approx(0, abs=0.26)
    few, many = truth <= 8, truth >= 24
    assert np.mean(number[few] - truth[few]) > 2
    assert np.mean(number[many] - truth[many]) < -2


@given(st.floats(-20, 20), st.floats(-3, 3), st.floats(0, 9), st.floats(0, 3), st.floats(-100, 100))
def test_numbers_are_never_negative_and_errors_always_positive(offset, slope, floor, per_cluster, predicted):
    number, error = Calibration(offset, slope, floor, per_cluster).apply([predicted, 0.0])
    assert number.dtype == error.dtype == np.float32
    assert (number >= 0).all()
    assert (error > 0).all()
    assert number[1] == 0


def test_what_has_no_peak_stays_0_and_does_not_bend_the_line():
    predicted, truth, _ = sample()
    with_none = np.append(predicted, np.zeros(1000)), np.append(truth, np.full(1000, 3.0))
    fitted, without = fit_calibration(*with_none), fit_calibration(predicted, truth)
    assert (fitted.offset, fitted.slope) == (without.offset, without.slope)
    assert fitted.variance_floor > without.variance_floor  # its error is what there is to say of it
    assert Calibration(5.0, 1.0, 1.0, 1.0).apply(np.zeros(3))[0].tolist() == [0, 0, 0]


@given(st.integers(1, 40))
def test_a_number_does_not_depend_on_what_stands_beside_it(size):
    predicted = np.random.default_rng(0).normal(10, 4, 40).astype(np.float32)
    calibration = Calibration(0.3, 1.1, 0.7, 0.05)
    whole = calibration.apply(predicted)
    parts = [calibration.apply(predicted[start : start + size]) for start in range(0, 40, size)]
    for index in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[index] for part in parts]), whole[index])


def test_variances_are_never_negative():
    random = np.random.default_rng(4)
    predicted = random.uniform(5, 20, 3000)
    shrinking = predicted + random.normal(0, 1, 3000) * (25 - predicted) / 5  # less scatter for more clusters
    fitted = fit_calibration(predicted, shrinking)
    assert fitted.variance_per_cluster == 0
    assert fitted.variance_floor > 0


# ---- what cannot be fitted


@pytest.mark.parametrize(
    ("predicted", "truth", "rule"),
    [
        (np.arange(99) + 1.0, np.arange(99), r"at least 100 waveforms .*got 99 of 99\); simulate more"),
        (np.append(np.arange(99) + 1.0, [0, 0]), np.arange(101), r"got 99 of 101"),
        (np.full(200, 7.5), np.arange(200), r"must differ .*got 7\.5 for all 200\); choose another clusteriser"),
        (np.arange(200), np.arange(201), r"equally many \(got 200 and 201\)"),
        (np.append(np.arange(200.0), np.nan), np.arange(201), r"finite \(got 1 of 201"),
    ],
    ids=["few", "few with peaks", "constant", "lengths", "nan"],
)
def test_what_cannot_be_fitted_is_refused(predicted, truth, rule):
    with pytest.raises(InputError, match=rule):
        fit_calibration(predicted, truth)


def test_parameters_come_back_from_json_and_others_are_refused():
    calibration = Calibration(0.1, 1.2, 0.3, 0.04)
    value = calibration.to_json()
    assert Calibration.from_json({**value, "other": 1}) == calibration
    for change in ({"slope": None}, {"slope": float("nan")}, {"variance_floor": -1.0}, {"offset": "one"}):
        with pytest.raises(InputError, match="assemble the reconstruction again"):
            Calibration.from_json({**value, **change})
    with pytest.raises(InputError, match="slope"):
        Calibration.from_json({name: number for name, number in value.items() if name != "slope"})


# ---- what it is worth


def test_a_good_calibration_gets_good_verdicts_and_the_bias_before_is_told():
    predicted, truth, impact_cm = sample()
    check = check_calibration(predicted, truth, impact_cm)
    assert all(verdict.ok for verdict in check.verdicts()), check.verdicts()
    mean = truth[1::2].mean()
    assert check.bias["before"].value == pytest.approx(predicted[1::2].mean() - mean)
    assert check.relative["before"].value == pytest.approx(predicted[1::2].mean() / mean - 1)
    assert check.relative["before"].value < -20 * check.relative["before"].error
    assert abs(check.relative["after"].value) < 3 * check.relative["after"].error
    assert [third["waveforms"] for third in check.thirds] == pytest.approx([667, 667, 667], abs=60)
    assert check.pull_width.value == pytest.approx(1, abs=0.05)


def test_bias_is_judged_on_waveforms_that_the_fit_did_not_see():
    predicted, truth, impact_cm = sample(n=400)
    truth[1::2] += 3  # the judged half
    check = check_calibration(predicted, truth, impact_cm)
    assert check.bias["after"].value == pytest.approx(-3, abs=0.6)
    assert not check.verdicts()[0].ok


def test_a_bias_that_depends_on_the_impact_parameter_is_noted():
    predicted, truth, impact_cm = sample()
    truth = truth + np.where(np.abs(impact_cm) > 0.3, 2.0, -0.5)
    verdicts = check_calibration(predicted, truth, impact_cm).verdicts()
    assert [verdict.ok for verdict in verdicts[:2]] == [True, False]
    assert "not within 2%" in verdicts[1].sentence
    assert "0.400 cm" in verdicts[1].sentence


def test_errors_of_the_bias_are_those_of_repeated_samples():
    checks = [check_calibration(*sample(n=600, seed=seed)) for seed in range(40)]
    for name in ("before", "after"):
        spread = np.std([check.relative[name].value for check in checks], ddof=1)
        said = np.mean([check.relative[name].error for check in checks])
        # Forty samples tell a spread to 11 %.
        assert said == pytest.approx(spread, rel=0.4), name


def test_wrong_error_bars_are_noted():
    random = np.random.default_rng(5)
    good = random.normal(0, 1, 5000)
    assert pull_verdict(*pull_figures(good)).ok
    for bad in (1.15 * good, good + 0.1):
        assert not pull_verdict(*pull_figures(bad)).ok
    mean, width = pull_figures(good)
    assert mean.error == pytest.approx(1 / np.sqrt(5000), rel=0.05)
    assert width.error == pytest.approx(1 / np.sqrt(2 * 5000), rel=0.05)  # of a Gaussian


@pytest.mark.parametrize(
    ("after", "ok", "judged"),
    [
        (Metric(0.009, 0.001), True, "within 1%"),
        (Metric(-0.03, 0.02), True, "too few waveforms to tell 1%"),
        (Metric(0.02, 0.005), False, "not within 1%"),
    ],
)
def test_bias_verdicts(after, ok, judged):
    verdict = bias_verdict("all waveforms", Metric(-0.17, 0.01), after, 0.01)
    assert verdict.ok is ok
    assert verdict.sentence.endswith(judged)
    assert "(-17.00 ± 1.00) % before" in verdict.sentence


def test_thirds_hold_equally_many_and_a_pencil_beam_has_one():
    impact_cm = np.random.default_rng(6).uniform(-0.4, 0.4, 3000)
    limits, number = thirds(impact_cm)
    assert np.bincount(number).tolist() == [1000, 1000, 1000]
    for index, (low, high) in enumerate(limits):
        inside = np.abs(impact_cm[number == index])
        assert low <= inside.min() <= inside.max() <= high
    predicted, truth, _ = sample(n=400)
    check = check_calibration(predicted, truth, np.zeros(400))
    assert len(check.thirds) == 1
    assert check.thirds[0]["waveforms"] == 200
