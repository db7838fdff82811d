"""Distributions of flat electron lists and induced currents: closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.validation.currents import (
    THRESHOLD_UA,
    charges,
    collected,
    current_table,
    currents,
    peak_currents,
    times_over_threshold,
)
from townsend.experiments.drifttube.validation.electrons import (
    TrackElectrons,
    arrival_times,
    copies_of,
    first_arrivals,
    last_arrivals,
    our_electrons,
    separations,
    sizes,
    spreads,
)

SETTINGS = DriftTubeSettings()
ELECTRONS = TrackElectrons(
    impact_cm=np.zeros(3),  # the track in the middle has none
    track=np.array([0, 0, 0, 0, 2]),
    cluster=np.array([4, 4, 7, 4, 9]),
    time_ns=np.array([10.0, 14.0, 11.5, 12.0, 80.0]),
    charge_fC=np.array([1.0, 2.0, 3.0, 4.0, 5.0]),
)


def test_quantities_of_a_few_electrons():
    assert arrival_times(ELECTRONS).value.tolist() == [10.0, 14.0, 11.5, 12.0, 80.0]
    assert first_arrivals(ELECTRONS).value.tolist() == [10.0, 80.0]
    assert first_arrivals(ELECTRONS).track.tolist() == [0, 2]
    assert last_arrivals(ELECTRONS).value.tolist() == [14.0, 80.0]
    assert separations(ELECTRONS).value.tolist() == [1.5]
    assert spreads(ELECTRONS).value.tolist() == [pytest.approx(2.0)]  # of 10, 12, 14
    assert sizes(ELECTRONS).value.tolist() == [3, 1, 1]
    assert sizes(ELECTRONS, 2).value.tolist() == [2, 1, 1]
    assert sizes(ELECTRONS).track.tolist() == [0, 0, 2]


def test_copies_hold_about_the_wanted_tracks_but_four_at_least():
    assert (copies_of(10_000, 100_000), copies_of(10_000, 1)) == (10, 4)


def test_our_tracks_have_the_given_impact_parameters_and_differ_from_copy_to_copy():
    impact = np.array([0.05, -0.3, 0.39])
    one, other = our_electrons(impact, SETTINGS, 2, 1, "test")
    assert not np.array_equal(one.time_ns, other.time_ns)
    again = next(our_electrons(impact, SETTINGS, 2, 1, "test"))
    np.testing.assert_array_equal(one.time_ns, again.time_ns)
    closest = first_arrivals(one)
    assert np.all(np.diff(closest.value) > 0)  # farther from the wire, later


@pytest.mark.parametrize("arrival_ns", [0.001, 3.25, 7.999, 12.5])
def test_the_current_of_one_electron_is_the_charge_collected_in_each_bin(arrival_ns):
    one = TrackElectrons(np.zeros(1), np.zeros(1, int), np.zeros(1, int), np.array([arrival_ns]), np.array([30.0]))
    found = currents(one, current_table(SETTINGS, 200))[0]
    at_edges = np.where(np.arange(201) > arrival_ns, collected(np.arange(201.0) - arrival_ns, SETTINGS), 0.0)
    np.testing.assert_allclose(found, 30 * np.diff(at_edges), atol=2e-3 * found.max())


def test_the_charge_is_that_collected_by_the_end():
    found = charges(currents(ELECTRONS, current_table(SETTINGS, 300))).value
    share = collected(300 - ELECTRONS.time_ns, SETTINGS)
    np.testing.assert_allclose(found, np.bincount(ELECTRONS.track, ELECTRONS.charge_fC * share, 3), rtol=1e-3)
    assert found[1] == 0.0


def test_peak_and_time_over_threshold_of_a_triangle():
    """It crosses the threshold a quarter of a bin after the first middle and before the last."""
    height = 4 * THRESHOLD_UA
    triangle = np.array([[0.0, 0.0, height, 0.0, 0.0]])
    assert peak_currents(triangle).value.tolist() == [height]
    assert times_over_threshold(triangle).value.tolist() == [pytest.approx(1.5)]


def test_a_current_that_stays_above_is_above_all_the_time_and_one_below_never():
    flat = np.array([np.full(11, 1.5 * THRESHOLD_UA), np.full(11, 0.5 * THRESHOLD_UA)])
    assert times_over_threshold(flat).value.tolist() == [10.0, 0.0]
