from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from sklearn import metrics

from townsend.errors import InputError
from townsend.evaluate.regression_table import regression_table

NUMBERS = arrays(np.float64, 20, elements=st.floats(0.125, 100, width=16))
WEIGHTS = arrays(np.float64, 20, elements=st.floats(0.125, 8, width=16))
SIGNS = arrays(np.float64, 20, elements=st.sampled_from([1.0, 1.0, -1.0]))

SCIKIT_LEARNS = {
    "mse": metrics.mean_squared_error,
    "rmse": metrics.root_mean_squared_error,
    "mae": metrics.mean_absolute_error,
    "median_absolute_error": metrics.median_absolute_error,
    "r2": metrics.r2_score,
    "explained_variance": metrics.explained_variance_score,
    "mape": metrics.mean_absolute_percentage_error,
    "msle": metrics.mean_squared_log_error,
    "poisson_deviance": metrics.mean_poisson_deviance,
}


@settings(max_examples=30)
@given(NUMBERS, NUMBERS, WEIGHTS)
def test_values_with_positive_weights_are_scikit_learns(predicted, truth, weights):
    assume(np.ptp(truth) > 0.1)
    for given_weights in (weights, None):
        table = regression_table(predicted, truth, given_weights)
        for name, figure in SCIKIT_LEARNS.items():
            expected = figure(truth, predicted, sample_weight=given_weights)
            assert table.row(name).value == pytest.approx(expected, rel=1e-12, abs=1e-12), name
        assert table.row("max_error").value == metrics.max_error(truth, predicted)
        assert table.row("bias").value == pytest.approx(np.average(predicted - truth, weights=given_weights))


@settings(max_examples=30)
@given(NUMBERS, NUMBERS, WEIGHTS, SIGNS)
def test_values_with_signed_weights_are_their_definitions(predicted, truth, sizes, signs):
    weights = sizes * signs
    total = weights.sum()
    assume(abs(total) > 1)
    off = predicted - truth
    table = regression_table(predicted, truth, weights)

    def mean(values):
        return np.sum(weights * values) / total

    variance = mean((truth - mean(truth)) ** 2) * np.sign(total)
    expected = {"bias": mean(off), "mse": mean(off**2), "mae": mean(np.abs(off)), "mape": mean(np.abs(off) / truth)}
    expected["rmse"] = math.sqrt(mean(off**2)) if mean(off**2) >= 0 else math.nan
    if abs(variance) > 1:
        signed = np.sign(total) * variance
        spread = mean((off - mean(off)) ** 2)
        expected["r2"] = 1 - mean(off**2) / signed if variance > 0 else math.nan
        expected["explained_variance"] = 1 - spread / signed if variance > 0 else math.nan
    for name, value in expected.items():
        assert table.row(name).value == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name
    if (weights < 0).any():
        assert math.isnan(table.row("median_absolute_error").value)
        assert table.row("median_absolute_error").method == "undefined: signed weights have no median"


@pytest.mark.parametrize("negative", [0.0, 0.1])
def test_errors_are_those_of_the_bootstrap_by_group(negative):
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(400), rng.poisson(4, 400))
    truth = rng.gamma(4, 3, len(group))
    predicted = truth * np.exp(0.2 * rng.normal(size=400)[group] + 0.2 * rng.normal(size=len(group)))
    weights = rng.gamma(3, 1, len(group)) * np.where(rng.random(len(group)) < negative, -1, 1)
    table = regression_table(predicted, truth, weights, group)
    draws = [np.bincount(rng.integers(0, 400, 400), minlength=400)[group] for _ in range(200)]
    repeated = [regression_table(predicted, truth, weights * drawn) for drawn in draws]
    for row in table.rows:
        if math.isfinite(row.error):
            spread = np.std([one.row(row.name).value for one in repeated], ddof=1)
            assert row.error == pytest.approx(spread, rel=0.2), row.name  # 200 resamples: 5 %
    unknown = {row.name for row in table.rows if math.isnan(row.error)}
    assert unknown == {"max_error"} | ({"median_absolute_error"} if negative else set())
    assert table.row("max_error").weights == "ignored"


def test_figures_that_do_not_exist_say_why():
    table = regression_table([1.0, -2.0, 3.0], [0.0, 0.0, 0.0])
    reasons = {
        "r2": "the truth has no spread",
        "explained_variance": "the truth has no spread",
        "mape": "some true numbers are zero",
        "msle": "some numbers are not above -1",
        "poisson_deviance": "it needs true numbers of zero or more",
    }
    for name, reason in reasons.items():
        assert math.isnan(table.row(name).value), name
        assert table.row(name).method.startswith(f"undefined: {reason}"), name
    assert table.row("mse").value == pytest.approx(14 / 3)
    assert table.to_json()["figures"][0]["name"] == "bias"


def test_large_offsets_lose_no_digits():
    rng = np.random.default_rng(2)
    truth = rng.normal(1e6, 1, 500)
    predicted = truth + rng.normal(0, 0.5, 500)
    table = regression_table(predicted, truth)
    assert table.row("r2").value == pytest.approx(metrics.r2_score(truth, predicted), rel=1e-9)
    assert table.row("r2").value == pytest.approx(0.75, abs=0.06)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([1.0, 2.0], [1.0]), "one entry an example .got 2 and 1"),
        (([1.0, np.nan], [1.0, 2.0]), "must be finite .got 1 of 2"),
        (([1.0, 2.0], [1.0, 2.0], [1, -1]), "sum to zero"),
        (([1.0, 2.0], [1.0, 2.0], [0, 0]), "must not all be zero"),
        (([1.0], [1.0]), "at least 2 events"),
        (([1.0, 2.0], [1.0, 2.0], None, [3, 3]), "at least 2 groups"),
    ],
)
def test_what_cannot_be_judged_is_refused(arguments, words):
    with pytest.raises(InputError, match=words):
        regression_table(*arguments)
