"""Induced current, amplifier and superposition: closed forms, Garfield++'s avalanche, properties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.drifttube.settings import (
    AvalancheSettings,
    DigitizerSettings,
    DriftTubeSettings,
    ElectronicsSettings,
    SignalSettings,
    TubeSettings,
)
from townsend.experiments.drifttube.signal import (
    draw_avalanches,
    induced_charge,
    low_pass,
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


def test_collected_charge_agrees_with_garfield(reference):
    """1 % of the avalanche's charge from 0.3 to 1,000 ns, electrons and ions together."""
    table = np.genfromtxt(reference / "single_electron_pulse_gain2e5.csv", delimiter=",", names=True)
    width_ns = np.where(table["t_ns"] < 10, 0.1, 1.0)
    collected = -np.cumsum(table["total_fC_per_ns"] * width_ns)
    avalanche_fC, arrival_ns = 2e5 * 1.602176634e-4, 0.33
    after = table["t_ns"] > 0.5
    end_ns = (table["t_ns"] + width_ns / 2)[after]
    ours = SETTINGS.signal.electron_fraction + induced_charge(end_ns - arrival_ns, SETTINGS.tube, SETTINGS.signal)
    np.testing.assert_allclose(ours, collected[after] / avalanche_fC, atol=0.01)


def test_all_charge_is_collected_in_the_end():
    late = induced_charge(np.array([1e9]), TubeSettings(), SignalSettings())[0]
    assert late + SignalSettings().electron_fraction == pytest.approx(1.0, abs=1e-9)


def test_nothing_is_induced_before_the_arrival():
    early = induced_charge(np.array([-5.0, 0.0]), TubeSettings(), SignalSettings())
    np.testing.assert_allclose(early, 0.0, atol=1e-15)


@pytest.mark.parametrize("width_MHz", [20.0, 72.0, 144.0, 400.0])
def test_the_amplifier_has_unit_area_whatever_its_damping(width_MHz):
    time_ns = np.arange(0, 400, 0.01)
    pulse = low_pass(time_ns, ElectronicsSettings(frequency_MHz=72.0, width_MHz=width_MHz))
    assert np.trapezoid(pulse, time_ns) == pytest.approx(1.0, abs=2e-4)


def test_critical_damping_has_its_closed_form():
    time_ns = np.linspace(0, 50, 100)
    pulse = low_pass(time_ns, ElectronicsSettings(frequency_MHz=72.0, width_MHz=144.0))
    omega = 2 * np.pi * 0.072
    np.testing.assert_allclose(pulse, omega**2 * time_ns * np.exp(-omega * time_ns), atol=1e-6)


def test_response_without_ions_is_the_amplifier_alone():
    """Electrons make the whole charge: the waveform is the impulse response at the exact distance."""
    settings = SETTINGS.model_copy(update={"signal": SignalSettings(electron_fraction=0.999999)})
    response = single_electron_response(settings)
    out = np.zeros((1, 256))
    superpose(np.zeros(1, np.int64), np.array([20.3]), np.array([2.0]), response.table_mV, out)
    time_ns = np.arange(256) - 20.3
    expected = 2.0 * settings.electronics.transimpedance_mV_per_uA * low_pass(time_ns, settings.electronics)
    np.testing.assert_allclose(out[0], expected, atol=2e-3 * expected.max())


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
