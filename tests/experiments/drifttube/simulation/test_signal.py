"""Induced current and superposition: closed forms, Garfield++'s avalanche, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.drifttube.simulation.electronics import low_pass
from townsend.experiments.drifttube.simulation.induction import electron_share
from townsend.experiments.drifttube.simulation.settings import (
    AvalancheSettings,
    DigitizerSettings,
    DriftTubeSettings,
    ElectronicsSettings,
    SignalSettings,
)
from townsend.experiments.drifttube.simulation.signal import (
    draw_avalanches,
    single_electron_response,
    superpose,
)

SETTINGS = DriftTubeSettings(digitizer=DigitizerSettings(samples=256, pretrigger_ns=20.0))
RESPONSE = single_electron_response(SETTINGS)


def waveform(arrivals, charges, samples=256):
    out = np.zeros((1, samples))
    row = np.zeros(len(arrivals), np.int64)
    superpose(row, np.asarray(arrivals, float), np.asarray(charges, float), RESPONSE.table_mV, out)
    return out[0]


def test_response_to_ions_at_rest_is_the_amplifier_alone():
    """Electrons induce all there is: the waveform is the impulse response at the exact distance."""
    settings = SETTINGS.model_copy(update={"signal": SignalSettings(ion_mobility_cm2_per_Vs=1e-9)})
    response = single_electron_response(settings)
    out = np.zeros((1, 256))
    superpose(np.zeros(1, np.int64), np.array([20.3]), np.array([2.0]), response.table_mV, out)
    time_ns = np.arange(256) - 20.3
    charge_fC = 2.0 * electron_share(settings.tube)
    expected = charge_fC * settings.electronics.transimpedance_mV_per_uA * low_pass(time_ns, settings.electronics)
    np.testing.assert_allclose(out[0], expected, atol=2e-3 * expected.max())


@pytest.mark.parametrize("gain", [0.01, 2.0, 500.0])
def test_the_gain_scales_the_response_and_nothing_else(gain):
    more = ElectronicsSettings(transimpedance_mV_per_uA=gain * SETTINGS.electronics.transimpedance_mV_per_uA)
    response = single_electron_response(SETTINGS.model_copy(update={"electronics": more}))
    np.testing.assert_allclose(response.table_mV, gain * RESPONSE.table_mV, rtol=1e-12, atol=1e-15 * gain)
    assert response.delay_ns == RESPONSE.delay_ns


def test_delay_is_where_the_pulse_is_highest():
    pulse = waveform([50.0], [1.0])
    assert abs(np.argmax(pulse) - 50.0 - RESPONSE.delay_ns) <= 0.5


def test_avalanches_have_polya_mean_and_variance():
    charge_fC = draw_avalanches(AvalancheSettings(), 200_000, np.random.default_rng(1))
    mean_fC = 2e5 * 1.602176634e-4
    assert charge_fC.mean() == pytest.approx(mean_fC, rel=0.01)
    assert charge_fC.var() / mean_fC**2 == pytest.approx(1 / 1.5, rel=0.02)


@given(arrival=st.floats(-100, 300), shift=st.integers(1, 40))
def test_a_shift_by_whole_samples_shifts_the_waveform(arrival, shift):
    early, late = waveform([arrival], [1.0]), waveform([arrival + shift], [1.0])
    if arrival >= 0:
        assert np.all(late[:shift][np.arange(shift) < arrival] == 0.0)
    np.testing.assert_allclose(late[shift:], early[:-shift], atol=1e-9)


@given(st.lists(st.tuples(st.floats(-50, 300), st.floats(0, 100)), max_size=8), st.floats(0.1, 10))
def test_waveforms_are_linear_in_the_charge(electrons, factor):
    arrivals, charges = [a for a, _ in electrons], [q for _, q in electrons]
    whole = waveform(arrivals, charges)
    np.testing.assert_allclose(waveform(arrivals, [factor * q for q in charges]), factor * whole, atol=1e-9)
    apart = sum((waveform([a], [q]) for a, q in electrons), np.zeros(256))
    np.testing.assert_allclose(whole, apart, atol=1e-9)


def test_arrivals_after_the_record_leave_nothing():
    assert not waveform([256.0, 1000.0], [1.0, 1.0]).any()
