"""Matching against brute force, merging against its definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.matching import match, match_lists, merge_arrivals

times = st.lists(st.integers(0, 60).map(lambda tenths: tenths / 4), max_size=9).map(lambda t: np.array(sorted(t)))


def brute_force(found, true, tolerance):
    """Most pairs, then least distance, by the Hungarian method on a padded table."""
    if len(found) == 0 or len(true) == 0:
        return 0, 0.0
    distance = np.abs(found[:, None] - true[None, :])
    bonus = 1e4
    rows, columns = linear_sum_assignment(np.where(distance <= tolerance, distance - bonus, 0.0))
    chosen = distance[rows, columns] <= tolerance
    return int(chosen.sum()), float(distance[rows, columns][chosen].sum())


@given(times, times, st.sampled_from([0.25, 1.0, 2.0, 5.0]))
def test_matching_is_optimal(found, true, tolerance):
    partner = match(found, true, tolerance)
    pairs = partner >= 0
    assert len(set(partner[pairs])) == pairs.sum()
    distance = np.abs(found[pairs] - true[partner[pairs]])
    assert np.all(distance <= tolerance)
    number, total = brute_force(found, true, tolerance)
    assert pairs.sum() == number
    assert distance.sum() == pytest.approx(total, abs=1e-9)


@given(times, times)
def test_swapping_found_and_true_finds_as_many(found, true):
    assert (match(found, true, 2.0) >= 0).sum() == (match(true, found, 2.0) >= 0).sum()


def test_a_chain_of_neighbours_is_matched_without_a_nearest_neighbour_stealing():
    """Nearest neighbours would pair 2.0 with 1.9 alone and lose 0.0."""
    assert match(np.array([0.0, 2.0]), np.array([1.9, 3.9]), 2.0).tolist() == [0, 1]


def test_lists_are_matched_waveform_by_waveform():
    partner = match_lists(
        np.array([0, 1, 1, 3]),
        np.array([5.0, 1.0, 9.0, 2.0]),
        np.array([1, 1, 2, 3]),
        np.array([1.5, 30.0, 5.0, 2.0]),
        2.0,
    )
    assert partner.tolist() == [-1, 0, -1, 3]


@pytest.mark.parametrize("tolerance", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_tolerance_that_is_not_above_zero_is_refused(tolerance):
    nothing = np.zeros(0, np.int64), np.zeros(0)
    with pytest.raises(InputError, match="tolerance_ns must be above 0"):
        match_lists(*nothing, *nothing, tolerance)


def test_merging_opens_a_group_with_its_first_arrival():
    """0.0, 1.5 and 1.9 are one; 3.0 is 3.0 after the opening and starts the next, with 4.9 but not 5.0."""
    row = np.zeros(6, np.int64)
    merged_row, merged = merge_arrivals(row, np.array([0.0, 1.5, 1.9, 3.0, 4.9, 5.0]), np.ones(6), 2.0)
    np.testing.assert_allclose(merged, [3.4 / 3, 3.95, 5.0])
    assert merged_row.tolist() == [0, 0, 0]


def test_merged_time_is_the_mean_weighted_by_charge():
    _, merged = merge_arrivals(np.zeros(2, np.int64), np.array([10.0, 11.0]), np.array([3.0, 1.0]), 2.0)
    assert merged == pytest.approx([10.25])


def test_waveforms_are_not_merged_with_each_other():
    row, merged = merge_arrivals(np.array([0, 1]), np.array([5.0, 5.0]), np.ones(2), 2.0)
    assert row.tolist() == [0, 1]
    assert merged.tolist() == [5.0, 5.0]


@given(times)
def test_no_two_opening_arrivals_are_closer_than_the_double_pulse_time(arrivals):
    row = np.zeros(len(arrivals), np.int64)
    _, merged = merge_arrivals(row, arrivals, np.ones(len(arrivals)), 2.0)
    assert len(merged) <= len(arrivals)
    if len(arrivals):
        assert len(merged) >= np.ceil((arrivals[-1] - arrivals[0] + 1e-9) / 1e3)
        assert arrivals[0] <= merged[0]
        assert merged[-1] <= arrivals[-1]
        assert np.all(np.diff(merged) > 0)


def test_reference_truth_has_the_known_ceiling(reference):
    """F1 of a perfect finder with 2 / 3 ns double-pulse resolution against all electrons: 0.74 / 0.68."""
    truth = np.load(reference / "truth_mu10GeV_45deg_10000trk.npz")
    event, time_ns = truth["el_event"].astype(np.int64), truth["el_arrival_ns"].astype(float)
    order = np.lexsort((time_ns, event))
    event, time_ns = event[order], time_ns[order]
    for double_pulse_ns, expected in ((2.0, 0.74), (3.0, 0.68)):
        kept, _ = merge_arrivals(event, time_ns, np.ones(len(event)), double_pulse_ns)
        share = len(kept) / len(event)
        assert 2 * share / (1 + share) == pytest.approx(expected, abs=0.005)  # quoted to two digits
