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

PUT_IN = {
    "offset": 2.0,
    "slope": 1.5,
    "per_100ns": 1.2,
    "per_100ns_squared": -0.8,
    "variance_floor": 1.0,
    "variance_per_cluster": 0.2,
}


def made_by_hand(**changes):
    """A calibration with known parameters."""
    return Calibration(**{**PUT_IN, "first_from_ns": 0.0, "first_to_ns": 175.0, **changes})


def sample(n=4000, seed=1):
    """Predictions, their truth around known means with a known variance, first arrivals, impact parameters."""
    random = np.random.default_rng(seed)
    predicted, impact_cm = random.uniform(3, 12, n), random.uniform(-0.4, 0.4, n)
    first_ns = 175 * (np.abs(impact_cm) / 0.4) ** 1.5
    mean, error = made_by_hand().apply(predicted, first_ns)
    return predicted, mean + random.normal(0, error), first_ns, impact_cm


def as_one(predicted):
    """First arrivals that tell nothing: there remains the straight line."""
    return np.full(len(predicted), 30.0)


# ---- the number and its variance


def test_a_parabola_without_scatter_is_found_exactly():
    predicted, _, first_ns, _ = sample(200)
    u = first_ns / 100
    truth = 2.5 + 0.5 * predicted + 3 * u - 1.5 * u**2
    fitted = fit_calibration(predicted, truth, first_ns)
    for name, value in {"offset": 2.5, "slope": 0.5, "per_100ns": 3, "per_100ns_squared": -1.5}.items():
        assert getattr(fitted, name) == pytest.approx(value, abs=1e-9), name
    assert (fitted.first_from_ns, fitted.first_to_ns) == (first_ns.min(), first_ns.max())
    number, error = fitted.apply(predicted, first_ns)
    np.testing.assert_allclose(number, truth, rtol=1e-6)
    np.testing.assert_allclose(error, 1 / np.sqrt(12), rtol=1e-6)  # the smallest, of a whole number


def test_parameters_lie_within_their_errors_of_what_was_put_in():
    columns = sample()[:3]
    fitted, errors = fit_calibration(*columns), calibration_errors(*columns)
    assert errors.keys() == PUT_IN.keys()
    for name, value in PUT_IN.items():
        assert errors[name] > 0
        assert abs(getattr(fitted, name) - value) < 4 * errors[name], name


def test_errors_are_those_of_repeated_samples():
    fitted = [fit_calibration(*sample(seed=seed)[:3]) for seed in range(2, 102)]
    said = calibration_errors(*sample()[:3])
    for name in said:
        spread = np.std([getattr(each, name) for each in fitted], ddof=1)
        # A hundred samples tell a spread to 7 %.
        assert said[name] == pytest.approx(spread, rel=0.25), name


def test_the_mean_is_right_at_every_predicted_number_not_at_every_true_one():
    random = np.random.default_rng(3)
    truth = random.normal(15, 4, 40000)  # Gaussian in both: the relation is a straight line
    predicted = truth + random.normal(0, 3, len(truth))
    first_ns = as_one(predicted)
    number, _ = fit_calibration(predicted, truth, first_ns).apply(predicted, first_ns)
    for low in (8, 12, 16, 20):
        chosen = (number >= low) & (number < low + 2)
        # 1,400 waveforms and more a bin, spread 2.4: the mean is known to 0.065.
        assert np.mean(number[chosen] - truth[chosen]) == pytest.approx(0, abs=0.26)
    few, many = truth <= 8, truth >= 24
    assert np.mean(number[few] - truth[few]) > 2
    assert np.mean(number[many] - truth[many]) < -2


def test_the_first_arrival_takes_away_a_bias_along_the_impact_parameter_that_a_line_leaves():
    random = np.random.default_rng(8)
    impact_cm = random.uniform(-0.4, 0.4, 40000)
    distance = np.abs(impact_cm) / 0.4
    path = np.sqrt(1 - 0.95 * distance**2)
    truth = random.poisson(19 * path).astype(float)
    # A network that is drawn to the mean where peaks lie close, and one noise peak in a hundred before the electrons.
    predicted = truth - 1.5 * (distance - 0.5) * truth / 10 + random.normal(0, 2.5, len(truth))
    first_ns = np.clip(175 * distance**1.5 + random.exponential(8, len(truth)), 0, 175)
    first_ns = np.where(random.uniform(size=len(truth)) < 0.01, random.uniform(0, first_ns), first_ns)
    third = thirds(impact_cm)[1]

    def bias(first):
        number, _ = fit_calibration(predicted, truth, first).apply(predicted, first)
        off = [(number - truth)[third == each].mean() / truth[third == each].mean() for each in range(3)]
        return np.abs(off).max()

    assert bias(as_one(predicted)) > 0.03
    assert bias(first_ns) < 0.01


def test_the_calibration_of_a_central_beam_does_not_run_away_elsewhere():
    predicted, truth, first_ns, _ = sample()
    near = first_ns < 12
    fitted = fit_calibration(predicted[near], truth[near], first_ns[near])
    assert fitted.first_to_ns == first_ns[near].max() < 12
    last, far = (fitted.apply([8.0], [time_ns])[0] for time_ns in (fitted.first_to_ns, 175.0))
    assert far == last


@pytest.mark.parametrize(
    "first_ns",
    [
        lambda predicted: np.full(len(predicted), 7.3),
        lambda predicted: np.where(np.arange(len(predicted)) % 2, 7.3, 8.3),
        lambda predicted: 10 * predicted - 20,
    ],
    ids=["constant", "two values", "a line in the prediction"],
)
def test_first_arrivals_that_tell_nothing_of_their_own_are_left_out(first_ns):
    predicted, truth, _, _ = sample()
    given_ns = first_ns(predicted)
    fitted = fit_calibration(predicted, truth, given_ns)
    assert (fitted.per_100ns, fitted.per_100ns_squared) == (0, 0)
    slope, offset = np.polyfit(predicted, truth, 1)
    assert (fitted.slope, fitted.offset) == (pytest.approx(slope), pytest.approx(offset))
    errors = calibration_errors(predicted[:400], truth[:400], given_ns[:400])
    assert errors["slope"] > 0
    assert np.isfinite(list(errors.values())).all()


def test_resamples_with_hardly_any_difference_do_not_fail():
    predicted = np.append(np.full(120, 7.0), 9.0)  # every third resample has no 9
    truth = np.random.default_rng(9).normal(14, 2, len(predicted))
    assert np.isfinite(list(calibration_errors(predicted, truth, as_one(predicted)).values())).all()


@given(
    *[st.floats(-20, 20), st.floats(-3, 3), st.floats(-50, 50), st.floats(-50, 50)],
    *[st.floats(0, 9), st.floats(0, 3), st.floats(-100, 100), st.floats(0, 176)],
)
def test_numbers_are_never_negative_and_errors_always_positive(
    offset, slope, per_100ns, squared, floor, per_cluster, predicted, first_ns
):
    calibration = Calibration(offset, slope, per_100ns, squared, 0.0, 160.0, floor, per_cluster)
    number, error = calibration.apply([predicted, 0.0], [first_ns, np.nan])
    assert number.dtype == error.dtype == np.float32
    assert (number >= 0).all()
    assert (error > 0).all()
    assert number[1] == 0


def test_what_has_no_peak_stays_0_and_does_not_bend_the_line():
    columns = sample()[:3]
    with_none = [np.append(column, np.full(1000, more)) for column, more in zip(columns, (0, 3, np.nan), strict=True)]
    fitted, without = fit_calibration(*with_none), fit_calibration(*columns)
    for name in ("offset", "slope", "per_100ns", "per_100ns_squared", "first_from_ns", "first_to_ns"):
        assert getattr(fitted, name) == getattr(without, name), name
    assert fitted.variance_floor > without.variance_floor  # its error is what there is to say of it
    assert made_by_hand().apply(np.zeros(3), np.full(3, np.nan))[0].tolist() == [0, 0, 0]


@given(st.integers(1, 40))
def test_a_number_does_not_depend_on_what_stands_beside_it(size):
    predicted = np.random.default_rng(0).normal(10, 4, 40).astype(np.float32)
    first_ns = np.random.default_rng(1).uniform(0, 176, 40).astype(np.float32)
    calibration = made_by_hand(slope=1.1)
    whole = calibration.apply(predicted, first_ns)
    cuts = [slice(start, start + size) for start in range(0, 40, size)]
    parts = [calibration.apply(predicted[cut], first_ns[cut]) for cut in cuts]
    for index in (0, 1):
        np.testing.assert_array_equal(np.concatenate([part[index] for part in parts]), whole[index])


def test_variances_are_never_negative():
    random = np.random.default_rng(4)
    predicted = random.uniform(5, 20, 3000)
    shrinking = predicted + random.normal(0, 1, 3000) * (25 - predicted) / 5  # less scatter for more clusters
    fitted = fit_calibration(predicted, shrinking, as_one(predicted))
    assert fitted.variance_per_cluster == 0
    assert fitted.variance_floor > 0


# ---- what cannot be fitted


@pytest.mark.parametrize(
    ("predicted", "truth", "rule"),
    [
        (np.arange(99) + 1.0, np.arange(99), r"at least 100 waveforms .*got 99 of 99\); simulate more"),
        (np.append(np.arange(99) + 1.0, [0, 0]), np.arange(101), r"got 99 of 101"),
        (np.full(200, 7.5), np.arange(200), r"must differ .*got 7\.5 for all 200\); choose another clusteriser"),
        (np.arange(200), np.arange(201), r"equally many \(got 200, 201 and 200\)"),
        (np.append(np.arange(200.0), np.nan), np.arange(201), r"finite \(got 1 of 201"),
    ],
    ids=["few", "few with peaks", "constant", "lengths", "nan"],
)
def test_what_cannot_be_fitted_is_refused(predicted, truth, rule):
    with pytest.raises(InputError, match=rule):
        fit_calibration(predicted, truth, as_one(predicted))


def test_first_arrivals_that_are_missing_are_refused():
    predicted, truth, first_ns, _ = sample(200)
    with pytest.raises(InputError, match=r"equally many \(got 200, 200 and 199\)"):
        fit_calibration(predicted, truth, first_ns[1:])
    first_ns[5] = np.nan
    with pytest.raises(InputError, match=r"first arrivals must be finite .*got 1 of 200 that are not"):
        fit_calibration(predicted, truth, first_ns)


def test_parameters_come_back_from_json_and_others_are_refused():
    calibration = made_by_hand()
    value = calibration.to_json()
    assert Calibration.from_json({**value, "other": 1}) == calibration
    bad = ({"slope": None}, {"slope": float("nan")}, {"variance_floor": -1.0}, {"offset": "one"}, {"first_to_ns": -1})
    for change in bad:
        with pytest.raises(InputError, match="assemble the reconstruction again"):
            Calibration.from_json({**value, **change})
    with pytest.raises(InputError, match="slope"):
        Calibration.from_json({name: number for name, number in value.items() if name != "slope"})


# ---- what it is worth


def test_a_good_calibration_gets_good_verdicts_and_the_bias_before_is_told():
    predicted, truth, first_ns, impact_cm = sample()
    check = check_calibration(predicted, truth, first_ns, impact_cm)
    assert all(verdict.ok for verdict in check.verdicts()), check.verdicts()
    mean = truth[1::2].mean()
    assert check.bias["before"].value == pytest.approx(predicted[1::2].mean() - mean)
    assert check.relative["before"].value == pytest.approx(predicted[1::2].mean() / mean - 1)
    assert check.relative["before"].value < -20 * check.relative["before"].error
    assert abs(check.relative["after"].value) < 3 * check.relative["after"].error
    assert [third["waveforms"] for third in check.thirds] == pytest.approx([667, 667, 667], abs=60)
    assert check.pull_width.value == pytest.approx(1, abs=0.05)


def test_bias_is_judged_on_waveforms_that_the_fit_did_not_see():
    predicted, truth, first_ns, impact_cm = sample(n=400)
    truth[1::2] += 3  # the judged half
    check = check_calibration(predicted, truth, first_ns, impact_cm)
    assert check.bias["after"].value == pytest.approx(-3, abs=0.6)
    assert not check.verdicts()[0].ok


def test_a_bias_that_depends_on_the_impact_parameter_is_noted():
    predicted, truth, first_ns, impact_cm = sample()
    truth = truth + np.where(np.abs(impact_cm) > 0.3, 2.0, -0.5)
    verdicts = check_calibration(predicted, truth, as_one(first_ns), impact_cm).verdicts()
    assert [verdict.ok for verdict in verdicts[:2]] == [True, False]
    assert "not within 2 %" in verdicts[1].sentence
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
        (Metric(0.009, 0.001), True, "within 1 %"),
        (Metric(-0.03, 0.02), True, "too few waveforms to tell 1 %"),
        (Metric(0.02, 0.005), False, "not within 1 %"),
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
    predicted, truth, first_ns, _ = sample(n=400)
    check = check_calibration(predicted, truth, first_ns, np.zeros(400))
    assert len(check.thirds) == 1
    assert check.thirds[0]["waveforms"] == 200
