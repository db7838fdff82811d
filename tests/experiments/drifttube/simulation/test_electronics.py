"""The amplifier: closed forms, convolutions done another way, what is said of a digitiser that is too slow."""

from __future__ import annotations

import logging
import re

import numpy as np
import pytest
from scipy.signal import fftconvolve

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.electronics import (
    aliased_share,
    check_resolution,
    impulse_response,
    low_pass,
    warn_of_aliasing,
)
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, DriftTubeSettings, ElectronicsSettings
from townsend.experiments.drifttube.simulation.signal import single_electron_response
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube, simulate_shard, simulate_waveforms

STEP = 0.005
TIME = STEP * np.arange(80_000)
CRITICAL_NS = 1 / (2 * np.pi * 0.072)  # the time constant of 72 MHz


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


@pytest.mark.parametrize("coupling_time_ns", [0.5, CRITICAL_NS, CRITICAL_NS * (1 + 2e-6), 10.0, 300.0])
@pytest.mark.parametrize("width_MHz", [20.0, 72.0, 144.0, 144.00001, 400.0])
def test_a_high_pass_takes_off_a_convolution_with_an_exponential(width_MHz, coupling_time_ns):
    """To 2e-4 of the peak, also where poles of both fall together and the closed form is a limit."""
    electronics = ElectronicsSettings(width_MHz=width_MHz, coupling_time_ns=coupling_time_ns)
    alone = low_pass(TIME, electronics)
    middle = (
        np.exp(-(TIME + STEP / 2) / coupling_time_ns)
        * -np.expm1(-STEP / coupling_time_ns)
        * np.exp(STEP / coupling_time_ns / 2)
    )
    removed = np.append(0.0, fftconvolve((alone[1:] + alone[:-1]) / 2, middle)[: len(TIME) - 1])
    expected = alone - removed
    found = impulse_response(TIME, electronics)
    np.testing.assert_allclose(found, expected, atol=2e-4 * alone.max())


def test_a_high_pass_leaves_no_area():
    electronics = ElectronicsSettings(coupling_time_ns=10.0)
    assert np.trapezoid(impulse_response(TIME, electronics), TIME) == pytest.approx(0.0, abs=1e-4)
    assert np.trapezoid(impulse_response(TIME, ElectronicsSettings()), TIME) == pytest.approx(1.0, abs=1e-4)


def test_a_slow_high_pass_changes_the_pulse_by_its_share_of_time():
    slow = impulse_response(TIME, ElectronicsSettings(coupling_time_ns=1e6))
    np.testing.assert_allclose(slow, low_pass(TIME, ElectronicsSettings()), atol=2e-6)


def test_a_high_pass_makes_the_waveform_swing_below_its_baseline():
    response = single_electron_response(DriftTubeSettings(electronics=ElectronicsSettings(coupling_time_ns=20.0)))
    assert response.table_mV.min() < -0.05 * response.table_mV.max()
    plain = single_electron_response(DriftTubeSettings())
    assert response.delay_ns < plain.delay_ns


def test_a_filter_faster_than_the_steps_is_refused():
    fast = DriftTubeSettings(electronics=ElectronicsSettings(frequency_MHz=3000.0))
    with pytest.raises(InputError, match=r"frequency_MHz must be at most 2546 for steps of 0\.03125 ns \(got 3000\)"):
        single_electron_response(fast)
    at_5 = fast.model_copy(update={"digitizer": DigitizerSettings(sampling_rate_GHz=5.0)})
    single_electron_response(at_5)


def test_a_filter_at_the_limit_has_its_area_on_the_steps():
    electronics = ElectronicsSettings(frequency_MHz=2546.0, width_MHz=2546.0)
    check_resolution(electronics, 1 / 32, 1024.0)
    middle_ns = (np.arange(10_000) + 0.5) / 32
    assert low_pass(middle_ns, electronics).sum() / 32 == pytest.approx(1.0, abs=0.011)


def test_energy_above_half_the_rate_is_that_of_an_exponential():
    """|1/(1 + i w tau)|^2 leaves 1 - 2/pi arctan(w tau) above w; sampled, some of it is folded already."""
    tau = 10.0
    share, enough_GHz = aliased_share(np.exp(-np.arange(200_000) * 2e-3 / tau), 2e-3, 1.0)
    assert share == pytest.approx(1 - 2 / np.pi * np.arctan(np.pi * tau), rel=0.03)
    assert enough_GHz == pytest.approx(2 * np.tan(0.99 * np.pi / 2) / (2 * np.pi * tau), rel=0.03)


def told(frequency_MHz, rate_GHz, caplog):
    settings = DriftTubeSettings(
        electronics=ElectronicsSettings(frequency_MHz=frequency_MHz, width_MHz=frequency_MHz),
        digitizer=DigitizerSettings(sampling_rate_GHz=rate_GHz),
    )
    table_mV = single_electron_response(settings).table_mV
    warned = warn_of_aliasing(table_mV, settings.electronics, settings.digitizer)
    assert warned == bool(caplog.messages)
    return caplog.messages


@pytest.mark.parametrize(("frequency_MHz", "rate_GHz"), [(72.0, 1.0), (72.0, 0.5), (200.0, 1.0), (1000.0, 5.0)])
def test_a_digitiser_fast_enough_is_passed_over_in_silence(frequency_MHz, rate_GHz, caplog):
    assert told(frequency_MHz, rate_GHz, caplog) == []


def test_a_digitiser_too_slow_is_told_with_numbers(caplog):
    (message,) = told(200.0, 0.5, caplog)
    found = re.fullmatch(
        r"(\S+) % of the energy of a single electron's pulse lies above 250 MHz, half of "
        r"digitizer\.sampling_rate_GHz = 0\.5, and is folded back \(the amplifier has -3 dB at (\S+) MHz\); "
        r"sample at (\S+) GS/s or more for 1 %",
        message,
    )
    assert found is not None, message
    assert 2 < float(found[1]) < 5
    # Of w0^2/(s^2 + w s + w0^2) at Q = 1, whose highest value is 4/3 of that at 0: (1 - x)^2 + x = 3/2, x = (f/f0)^2.
    assert float(found[2]) == pytest.approx(200 * np.sqrt((1 + np.sqrt(3)) / 2), abs=1.5)
    caplog.clear()
    assert told(200.0, 1.02 * float(found[3]), caplog) == []
    assert told(200.0, 0.95 * float(found[3]), caplog) != []


def test_no_digitiser_is_named_that_the_settings_refuse(caplog):
    (message,) = told(2500.0, 1.0, caplog)
    assert message.endswith("lower the bandwidth for 1 %")


def test_a_simulation_warns_once_and_its_shards_not_at_all(tmp_path, caplog):
    settings = DriftTubeSettings(
        electronics=ElectronicsSettings(frequency_MHz=230.0, width_MHz=230.0),
        digitizer=DigitizerSettings(sampling_rate_GHz=0.5),
    )
    with caplog.at_level(logging.WARNING, logger="townsend"):
        simulate_shard(settings, 0, 5, tmp_path / "one.root")
        assert caplog.messages == []
        simulate_drifttube(5, tmp_path / "mc", settings)
        simulate_waveforms(settings, 0, 5)
    assert len(caplog.messages) == 1
