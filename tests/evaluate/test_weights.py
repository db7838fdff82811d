from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.evaluate.weights import (
    Yield,
    checked_weights,
    effective_size,
    summary_of,
    yield_of,
    yields_by_class,
)

WEIGHTS = st.lists(st.floats(-10, 10, allow_nan=False, width=32), min_size=1, max_size=20)


@given(WEIGHTS)
def test_a_yield_is_the_sum_and_the_root_of_the_squares(weights):
    assert yield_of(weights).value == pytest.approx(sum(weights), abs=1e-9)
    assert yield_of(weights).error ** 2 == pytest.approx(sum(w * w for w in weights), abs=1e-9)


def test_the_error_of_a_yield_is_the_spread_of_repeated_experiments():
    rng = np.random.default_rng(4)
    sums = [rng.choice([1.0, -0.5], rng.poisson(200), p=[0.8, 0.2]).sum() for _ in range(3000)]
    one = yield_of(rng.choice([1.0, -0.5], 20_000, p=[0.8, 0.2]))
    assert np.std(sums) == pytest.approx(one.error / 10, rel=0.05)  # a hundred times the events


def test_counter_events_of_one_group_cancel_before_they_are_squared():
    assert yield_of([1, -1, 3], [7, 7, 8]) == Yield(3.0, 3.0)
    assert yield_of([1, -1, 3]) == Yield(3.0, pytest.approx(np.sqrt(11)))


def test_effective_size_of_equal_weights_is_their_number_and_signs_cost():
    assert effective_size(np.full(50, 0.3)) == pytest.approx(50)
    assert effective_size([1] * 75 + [-1] * 25) == pytest.approx(25)
    assert effective_size([0.0, 0.0]) == 0


def test_yields_of_classes_and_cuts():
    weights, labels, group = [1, -2, 4, 8], [0, 1, 1, 2], [0, 1, 1, 2]
    assert yields_by_class(weights, labels, 4) == ((1, 1), (2, pytest.approx(np.sqrt(20))), (8, 8), (0, 0))
    assert yields_by_class(weights, labels, 3, kept=[True, False, True, False]) == ((1, 1), (4, 4), (0, 0))
    assert yields_by_class(weights, labels, 2, group=group)[1] == (2, 2)


@pytest.mark.parametrize(
    ("weights", "classes", "words"),
    [
        ([1, 2], None, "one finite number an example .got 2 for 3"),
        ([1, np.nan, np.inf], None, "got 2 NaN or infinite"),
        ([0, 0, 0], None, "must not all be zero"),
        ([1, -1, 5], [0, 0, 1], "weights of class 0 must not sum to zero"),
        ([0.1, 0.2, -0.3], [1, 1, 1], "weights of class 1 must not sum to zero"),  # 5.6e-17
    ],
)
def test_weights_that_cannot_be_used_are_refused(weights, classes, words):
    with pytest.raises(InputError, match=words):
        checked_weights(weights, 3, classes)


def test_weights_are_described():
    assert checked_weights(None, 2).tolist() == [1, 1]
    assert summary_of(None, 3).sentence == "3 events of weight one"
    assert summary_of([1, 1, 2], 3).kind == "positive"
    signed = summary_of([3, 3, 3, -1], 4)
    assert (signed.kind, signed.negative, signed.negative_share) == ("signed", 1, pytest.approx(0.1))
    assert "1 of them negative with 10.0 % of the sum of |w|" in signed.sentence
    assert signed.to_json()["effective_size"] == pytest.approx(64 / 28)
