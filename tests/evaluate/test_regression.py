from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn.metrics import mean_absolute_error, mean_squared_error, r2_score

from townsend.errors import InputError
from townsend.evaluate.regression import REGRESSION_FIGURES, regression_figures, regression_sums

numbers = arrays(np.float64, 30, elements=st.floats(-100, 100, width=32))


@given(numbers, numbers)
def test_values_are_those_of_scikit_learn(predicted, truth):
    sums = regression_sums(predicted, truth, np.arange(30)).sum(axis=0)
    found = {name: float(figure(sums)) for name, figure in REGRESSION_FIGURES.items()}
    assert found["mse"] == pytest.approx(mean_squared_error(truth, predicted), rel=1e-9, abs=1e-9)
    assert found["mae"] == pytest.approx(mean_absolute_error(truth, predicted), rel=1e-9, abs=1e-9)
    assert found["bias"] == pytest.approx(float(np.mean(predicted - truth)), abs=1e-9)
    if np.std(truth) > 0.1:
        assert found["r2"] == pytest.approx(r2_score(truth, predicted), rel=1e-6, abs=1e-6)


def test_the_mean_as_prediction_explains_nothing():
    truth = np.array([10.0, 20.0, 30.0, 40.0])
    found = regression_figures(np.full(4, 25.0), truth, np.arange(4))
    assert found["r2"].value == 0
    assert found["bias"].value == 0
    assert found["mse"].value == 125
    assert found["mse_per_mean"].value == 5


def test_a_constant_offset_is_bias_and_nothing_else():
    truth = np.arange(1.0, 51.0)
    found = regression_figures(truth + 2, truth, np.arange(50))
    assert found["bias"] == (2.0, 0.0)
    assert found["mse"].value == pytest.approx(4)
    assert found["relative_bias"].value == pytest.approx(2 / 25.5)


def test_figures_that_do_not_exist_are_nan():
    found = regression_figures(np.array([1.0, 2.0, 3.0]), np.zeros(3), np.arange(3))
    assert math.isnan(found["r2"].value)
    assert math.isnan(found["mse_per_mean"].value)
    assert found["mse"].value == pytest.approx(14 / 3)


def test_the_error_of_the_bias_is_that_of_a_mean():
    rng = np.random.default_rng(3)
    difference = rng.normal(0.3, 2.0, 4000)
    truth = rng.poisson(18, 4000)
    found = regression_figures(truth + difference, truth, np.arange(4000))
    assert found["bias"].error == pytest.approx(2.0 / math.sqrt(4000), rel=0.1)


def test_examples_that_come_in_groups_have_larger_errors():
    rng = np.random.default_rng(3)
    shared = np.repeat(rng.normal(0, 1, 100), 10)
    truth = rng.poisson(18, 1000)
    alone = regression_figures(truth + shared, truth, np.arange(1000))["bias"].error
    together = regression_figures(truth + shared, truth, np.repeat(np.arange(100), 10))["bias"].error
    assert together == pytest.approx(math.sqrt(10) * alone, rel=0.2)


@pytest.mark.parametrize(
    ("predicted", "truth", "sentence"),
    [
        ([1.0], [1.0, 2.0], "one entry an example"),
        ([], [], "at least one"),
        ([1.0, math.nan], [1.0, 2.0], "must be finite .got 1 of 2"),
    ],
)
def test_bad_columns_are_refused_in_one_sentence(predicted, truth, sentence):
    with pytest.raises(InputError, match=sentence):
        regression_sums(predicted, truth, np.arange(len(truth)))
