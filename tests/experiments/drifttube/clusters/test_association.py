"""Association in time against its definition, and properties that hold for any list."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.clusters.association import associate

WAVEFORMS = 3
electrons = st.lists(
    st.tuples(st.integers(0, WAVEFORMS - 1), st.integers(-80, 800).map(lambda quarters: quarters / 4)), max_size=20
).map(lambda pairs: (np.array([r for r, _ in pairs], np.int64), np.array([t for _, t in pairs], np.float64)))
scales = st.sampled_from([0.0, 0.1, 0.25, 0.3, 1.0])


def by_hand(row, time_ns, waveforms, scale):
    number = []
    for waveform in range(waveforms):
        before, clusters = None, 0
        for t in sorted(max(t, 0.0) for r, t in zip(row, time_ns, strict=True) if r == waveform):
            clusters += before is None or t - before > scale * t**0.5
            before = t
        number.append(clusters)
    return number


@given(electrons, scales)
def test_it_is_the_rule_applied_one_electron_at_a_time(found, scale):
    assert associate(*found, WAVEFORMS, scale).tolist() == by_hand(*found, WAVEFORMS, scale)


def test_the_cut_is_taken_at_the_later_electron_and_excluded():
    """At 100 ns the cut of 0.3 ns^1/2 is 3 ns: a gap of 3 joins, one of 3.25 parts (at 100.25 ns the cut is 3.004)."""
    row = np.zeros(2, np.int64)
    assert associate(row, np.array([97.0, 100.0]), 1, 0.3).tolist() == [1]
    assert associate(row, np.array([97.0, 100.25]), 1, 0.3).tolist() == [2]


def test_a_chain_of_close_electrons_is_one_cluster_however_long():
    assert associate(np.zeros(50, np.int64), 100 + 2.0 * np.arange(50), 1, 0.25).tolist() == [1]


@given(electrons)
def test_scale_zero_counts_distinct_times(found):
    row, time_ns = found
    distinct = [len(np.unique(np.maximum(time_ns[row == waveform], 0))) for waveform in range(WAVEFORMS)]
    assert associate(*found, WAVEFORMS, 0.0).tolist() == distinct


@given(electrons, scales, scales)
def test_a_wider_cut_never_counts_more(found, one, other):
    assert np.all(associate(*found, WAVEFORMS, max(one, other)) <= associate(*found, WAVEFORMS, min(one, other)))


@given(electrons, scales, st.integers(1, 400).map(lambda quarters: quarters / 4))
def test_electrons_of_the_drift_shifted_later_never_make_more_clusters(found, scale, shift_ns):
    """The gaps stay while the cut grows with the drift time; without a cut nothing changes."""
    row, time_ns = found[0], np.abs(found[1])
    shifted = associate(row, time_ns + shift_ns, WAVEFORMS, scale)
    assert np.all(shifted <= associate(row, time_ns, WAVEFORMS, scale))
    np.testing.assert_array_equal(
        associate(row, time_ns + shift_ns, WAVEFORMS, 0.0), associate(row, time_ns, WAVEFORMS, 0.0)
    )


@given(electrons, scales)
def test_there_are_no_more_clusters_than_electrons_and_one_at_least_where_there_are_any(found, scale):
    number = associate(*found, WAVEFORMS, scale)
    peaks = np.bincount(found[0], minlength=WAVEFORMS)
    assert np.all(number <= peaks)
    np.testing.assert_array_equal(number > 0, peaks > 0)


@given(electrons, scales, st.randoms(use_true_random=False))
def test_the_order_of_the_lists_does_not_matter(found, scale, random):
    order = np.array(random.sample(range(len(found[0])), len(found[0])), np.int64)
    shuffled = associate(found[0][order], found[1][order], WAVEFORMS, scale)
    np.testing.assert_array_equal(shuffled, associate(*found, WAVEFORMS, scale))


def test_noise_before_the_track_is_one_cluster_at_its_passage():
    time_ns = np.array([-50.0, -20.0, 0.0, 40.0])
    assert associate(np.zeros(4, np.int64), time_ns, 1, 0.25).tolist() == [2]


def test_waveforms_without_electrons_have_no_cluster():
    assert associate(np.array([2]), np.array([5.0]), 4, 0.25).tolist() == [0, 0, 1, 0]
    assert associate(np.zeros(0, np.int64), np.zeros(0), 2, 0.25).tolist() == [0, 0]


@pytest.mark.parametrize("scale", [-0.1, float("nan"), float("inf")])
def test_a_scale_that_is_negative_or_not_finite_is_refused(scale):
    with pytest.raises(InputError, match="cut_scale must be 0 or more"):
        associate(np.zeros(1, np.int64), np.ones(1), 1, scale)
