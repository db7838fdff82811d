from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from townsend.experiments.drifttube.reconstruction.first_arrival import first_arrival_ns

T0_NS, LONGEST_NS = 224.0, 175.0


def found(*times_ns):
    """First arrival of one waveform with peaks at these times since the track."""
    given = ak.Array([[time + T0_NS for time in times_ns], [0.0]])  # a second one, so that the list is one of numbers
    return float(first_arrival_ns(given, T0_NS, LONGEST_NS)[0])


def test_it_is_the_earliest_peak_whatever_their_order():
    assert found(80.0, 31.0, 150.0) == 31


def test_noise_before_the_track_is_ignored():
    assert found(-100.0, -2.5, 31.0, 80.0) == 31


def test_a_peak_as_early_as_times_are_wrong_is_the_first_electron_and_comes_with_the_track():
    assert found(-1.5, 31.0) == found(-2.0, 31.0) == 0


def test_noise_alone_before_the_track_says_that_no_electron_came_earlier_than_the_last():
    assert found(-100.0, -50.0) == LONGEST_NS


def test_nothing_comes_after_the_longest_drift():
    assert found(400.0) == LONGEST_NS


def test_without_a_peak_there_is_none():
    assert np.isnan(found())


@pytest.mark.parametrize("size", [1, 7, 60])
def test_it_depends_on_its_own_waveform_alone(size):
    random = np.random.default_rng(2)
    number = random.integers(0, 4, 60)
    times = ak.unflatten(random.uniform(0, 500, number.sum()), number)
    whole = first_arrival_ns(times, T0_NS, LONGEST_NS)
    parts = [first_arrival_ns(times[start : start + size], T0_NS, LONGEST_NS) for start in range(0, 60, size)]
    assert whole.dtype == np.float32
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    np.testing.assert_array_equal(np.isnan(whole), number == 0)


def test_times_of_single_precision_and_an_array_without_a_peak_are_taken():
    none = ak.unflatten(np.empty(0, np.float32), np.zeros(3, np.int64))
    assert np.isnan(first_arrival_ns(none, T0_NS, LONGEST_NS)).all()
    some = ak.values_astype(ak.Array([[T0_NS + 3.5]]), np.float32)
    assert first_arrival_ns(some, T0_NS, LONGEST_NS).tolist() == [3.5]
