"""The rules of the verdicts, at their edges."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.validation.verdicts import Judgement, Label, interval_row, point_row, worst_row

LABEL = Label("group", "quantity", "population", "ns")
OK, UNDECIDED, FAIL = Judgement


@pytest.mark.parametrize(
    ("interval", "reference_half", "expected"),
    [
        ((-2.9, 2.9), 2.9, OK),
        ((-1.0, 3.0), 2.0, OK),  # the edge belongs to it
        ((-1.0, 3.1), 2.0, UNDECIDED),
        ((-3.1, 1.0), 2.0, UNDECIDED),
        ((0.9, 3.1), 1.1, FAIL),  # the reference could tell
        ((-4.9, 5.1), 5.0, UNDECIDED),
        ((-1.0, 9.0), 5.0, UNDECIDED),  # value beyond, but zero inside
        ((0.1, 9.9), 4.9, FAIL),  # value beyond, zero outside
        ((-9.9, -0.1), 4.9, FAIL),
        ((np.nan, np.nan), np.nan, FAIL),
    ],
)
def test_intervals(interval, reference_half, expected):
    value = 1 + np.mean(interval) / 100
    row = interval_row(LABEL, (1.0, 0.0), (value, 0.0), interval, reference_half, 3.0)
    assert row.judgement is expected
    assert row.judgement is not UNDECIDED or "known to ±" in row.note


@pytest.mark.parametrize(
    ("ours", "error", "expected"),
    [
        (10.3, 0.0, OK),
        (9.7, 0.0, OK),
        (10.31, 0.0, FAIL),
        (10.35, 0.05, UNDECIDED),
        (10.5, 0.05, FAIL),
        (np.nan, 1, FAIL),
    ],
)
def test_points(ours, error, expected):
    assert point_row(LABEL, (10.0, error), (ours, 0.0), 3.0 + 1e-9).judgement is expected


def test_an_error_of_ours_excuses_nothing():
    assert point_row(LABEL, (10.0, 0.0), (10.5, 1.0), 3.0).judgement is FAIL


def test_an_absolute_limit_is_in_the_unit_of_the_values():
    row = point_row(LABEL, (100.0, 0.0), (100.4, 0.0), 0.5, absolute=True)
    assert (row.judgement, row.difference, row.of_limit) == (OK, pytest.approx(0.4), "ns")


def test_a_limit_may_count_from_another_whole():
    assert point_row(LABEL, (1.0, 0.0), (1.1, 0.0), 2.0, whole=10.0).difference == pytest.approx(1.0)


def test_a_summary_shows_the_gravest_point_and_counts_all():
    points = [
        point_row(Label("group", "quantity", f"at {i}", "ns"), (10.0, error), (ours, 0.0), 3.0)
        for i, (ours, error) in enumerate([(10.1, 0.0), (10.9, 1.0), (10.4, 0.0), (10.35, 0.0), (10.0, 0.0)])
    ]
    row = worst_row(LABEL, points)
    assert row.judgement is FAIL
    assert row.ours == 10.4
    assert row.note.startswith("worst at at 2; 2 ok, 1 undecided, 2 FAIL")
    assert row.points == tuple(points)


def test_a_summary_of_nothing_is_refused():
    with pytest.raises(InputError, match="at least one point"):
        worst_row(LABEL, [])
