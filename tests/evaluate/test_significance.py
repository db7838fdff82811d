from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from scipy.stats import norm, poisson

from townsend.evaluate.significance import asimov_significance, s_over_sqrt_b, s_over_sqrt_s_plus_b

YIELDS = st.floats(0.1, 1000)


@given(YIELDS, YIELDS)
def test_a_known_background_gives_equation_97(s, b):
    expected = np.sqrt(2 * ((s + b) * np.log(1 + s / b) - s))
    assert asimov_significance(s, b) == pytest.approx(expected, rel=1e-6)


@given(YIELDS, YIELDS, st.floats(0.02, 2))
def test_an_uncertain_background_gives_cowans_equation_20(s, b, relative):
    v = (relative * b) ** 2
    first = (s + b) * np.log((s + b) * (b + v) / (b * b + (s + b) * v))
    expected = np.sqrt(2 * (first - b * b / v * np.log(1 + v * s / (b * (b + v)))))
    assert asimov_significance(s, b, relative * b) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(("s", "b", "error"), [(10, 20, 4), (3, 1, 0.5), (50, 400, 30)])
def test_it_is_the_profile_likelihood_ratio_of_two_counts(s, b, error):
    tau = b / error**2

    def twice_minus_log(background, signal):
        return -2 * (
            (s + b) * np.log(signal + background)
            - signal
            - background
            + tau * b * np.log(background)
            - tau * background
        )

    fitted = minimize_scalar(twice_minus_log, bounds=(0.5 * b, b + s), args=(0.0,), method="bounded").fun
    assert asimov_significance(s, b, error) == pytest.approx(np.sqrt(fitted - twice_minus_log(b, s)), rel=1e-5)


def test_a_vanishing_error_and_a_small_signal_are_limits():
    assert asimov_significance(5.0, 30.0, 1e-7) == pytest.approx(float(asimov_significance(5.0, 30.0)), rel=1e-9)
    assert asimov_significance(1e-6, 1e6, 0.0) == pytest.approx(1e-9, rel=1e-6)  # the plain formula gives 0
    assert asimov_significance(1e-3, 1e4, 50.0) == pytest.approx(1e-3 / np.sqrt(1e4 + 2500), rel=1e-5)
    assert s_over_sqrt_b(1e-3, 1e4) == pytest.approx(float(asimov_significance(1e-3, 1e4)), rel=1e-5)


def test_it_is_the_median_of_experiments():
    s, b = 20, 50
    counts = np.arange(200)
    median = counts[np.searchsorted(poisson.cdf(counts, s + b), 0.5)]
    assert asimov_significance(s, b) == pytest.approx(norm.isf(poisson.sf(median - 1, b)), abs=0.15)


def test_where_there_is_no_experiment_there_is_no_significance():
    s, b = [1, -1, 1, 1, 0, 0], [-0.5, 2, 0, -2, 0, 3]
    assert np.isnan(s_over_sqrt_s_plus_b(s, b)).tolist() == [True, True, False, True, True, False]
    assert np.isnan(s_over_sqrt_b(s, b)).tolist() == [True, True, True, True, True, False]
    for error in (0.0, 0.3):
        assert np.isnan(asimov_significance(s, b, error)).tolist() == [True, True, True, True, True, False]
    assert asimov_significance(0, 3) == 0
    assert s_over_sqrt_s_plus_b(16, 0) == 4
