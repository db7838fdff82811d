"""Charge induced by one avalanche: conservation, Garfield++'s pulse, limits."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.induction import electron_share, gas_gain, induced_charge
from townsend.experiments.drifttube.simulation.settings import SignalSettings, TubeSettings
from townsend.experiments.drifttube.validation.mean_pulse import KNOTS_NS, in_bins, mean_pulse
from townsend.experiments.drifttube.validation.reference_files import WAVEFORM_FILES, Reference

TUBE, SIGNAL = TubeSettings(), SignalSettings()


@pytest.fixture(scope="module")
def mean_share():
    """Share of the charge collected by the mean of 45,750 avalanches of Garfield++, which nothing was fitted to."""
    return mean_pulse(Reference().waveforms(WAVEFORM_FILES[1]))


def ours(signal=SIGNAL):
    just_after_ns = KNOTS_NS + 1e-9
    return electron_share(TUBE) + induced_charge(just_after_ns, TUBE, signal)


def worst_bin(theirs, signal=SIGNAL):
    bins = in_bins(theirs)
    return np.abs(in_bins(ours(signal)) - bins).max() / bins.max()


def test_the_pulse_of_an_electron_agrees_with_garfield(mean_share):
    """In bins of 1 ns, within 3 % of the highest, for every place of the arrival in its bin; 2.7 % reached."""
    assert worst_bin(mean_share) < 0.03


def test_another_mobility_would_be_seen(mean_share):
    assert worst_bin(mean_share, SignalSettings(ion_mobility_cm2_per_Vs=12.0)) > 0.04


def test_collected_charge_agrees_with_garfield(mean_share):
    """0.6 % of the avalanche's charge at every time up to 400 ns."""
    np.testing.assert_allclose(ours(), mean_share, atol=0.006)


def test_all_charge_is_collected_in_the_end():
    late = induced_charge(np.array([1e9]), TUBE, SIGNAL)[0]
    assert late + electron_share(TUBE) == pytest.approx(1.0, abs=1e-6)


def test_nothing_is_induced_before_the_arrival():
    np.testing.assert_allclose(induced_charge(np.array([-5.0, 0.0]), TUBE, SIGNAL), 0.0, atol=1e-12)


def test_electrons_induce_four_per_cent():
    """Garfield++ with fine steps: 3.95 %, with its usual steps 4.1 %."""
    assert electron_share(TUBE) == pytest.approx(0.0395, abs=0.001)


@pytest.mark.parametrize(
    ("voltage_V", "gain"), [(1200, 4.3e4), (1300, 1.4e5), (1400, 4.7e5), (1460, 9.6e5), (1500, 1.6e6)]
)
def test_gain_of_the_gas_table_follows_the_voltage(voltage_V, gain):
    """An integral of the same table by others; 15 %, since it interpolates in another way where the table is coarse."""
    assert gas_gain(TubeSettings(voltage_V=float(voltage_V))) == pytest.approx(gain, rel=0.15)


def test_a_wire_that_does_not_multiply_is_refused():
    with pytest.raises(InputError, match=r"must multiply electrons \(got a gain of 1 from the gas table at 400 V\)"):
        electron_share(TubeSettings(voltage_V=400.0, wire_radius_cm=0.02))
