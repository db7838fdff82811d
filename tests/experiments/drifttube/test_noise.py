"""Noise: level and spectrum."""

from __future__ import annotations

import numpy as np
import pytest
from pydantic import ValidationError

from townsend.experiments.drifttube.noise import amplitude_spectrum, draw_noise, noise_rms_mV
from townsend.experiments.drifttube.settings import DigitizerSettings, NoiseSettings

FAST = DigitizerSettings(sampling_rate_GHz=2.5, samples=2500)


def test_measured_noise_has_the_level_of_the_real_traces_at_their_rate():
    """0.48-0.66 mV a channel, mean 0.54 over 18 channels."""
    assert noise_rms_mV(NoiseSettings(), FAST) == pytest.approx(0.541, abs=0.005)


def test_a_slower_digitiser_sees_the_part_below_its_nyquist_frequency():
    slow = noise_rms_mV(NoiseSettings(), DigitizerSettings())
    assert 0.3 < slow < noise_rms_mV(NoiseSettings(), FAST)


@pytest.mark.parametrize("samples", [1000, 1001])
def test_drawn_noise_has_the_level_announced(samples):
    digitizer = DigitizerSettings(samples=samples)
    noise = NoiseSettings(spectrum="measured", rms_mV=0.7)
    drawn = draw_noise(amplitude_spectrum(noise, digitizer), 400, samples, np.random.default_rng(1))
    assert noise_rms_mV(noise, digitizer) == pytest.approx(0.7)
    assert drawn.std() == pytest.approx(0.7, rel=0.02)


def test_drawn_noise_has_the_spectrum_of_the_table():
    amplitude = amplitude_spectrum(NoiseSettings(), FAST)
    drawn = draw_noise(amplitude, 300, 2500, np.random.default_rng(2))
    power = np.mean(np.abs(np.fft.rfft(drawn, axis=1)) ** 2, axis=0) / 2500
    for low, high in ((20, 50), (50, 100), (100, 200), (200, 400), (700, 1000)):
        band = slice(low, high)  # bins are 1 MHz wide
        assert power[band].sum() == pytest.approx((amplitude[band] ** 2).sum(), rel=0.05)


def test_white_noise_is_white():
    digitizer = DigitizerSettings()
    drawn = draw_noise(
        amplitude_spectrum(NoiseSettings(spectrum="white", rms_mV=1.0), digitizer), 400, 1024, np.random.default_rng(3)
    )
    neighbours = np.mean(drawn[:, 1:] * drawn[:, :-1]) / drawn.var()
    assert abs(neighbours) < 0.01


def test_none_is_silent():
    assert not draw_noise(
        amplitude_spectrum(NoiseSettings(spectrum="none"), FAST), 3, 2500, np.random.default_rng(4)
    ).any()


def test_white_noise_needs_a_level():
    with pytest.raises(ValidationError, match="rms_mV must be given for white noise"):
        NoiseSettings(spectrum="white")


def test_real_traces_have_this_spectrum(real_traces):
    """The shipped table against the traces it came from: each band within 10 %; no band ends in a pick-up line."""
    with np.load(real_traces) as file:
        voltage_mV = file["voltage_V"].astype(float) * 1e3
    quiet = voltage_mV[voltage_mV.max(axis=1) < 5]
    quiet -= quiet.mean(axis=1, keepdims=True)
    samples = quiet.shape[1]
    power = np.mean(np.abs(np.fft.rfft(quiet, axis=1)) ** 2, axis=0)
    digitizer = DigitizerSettings(sampling_rate_GHz=2.5, samples=samples)
    expected = amplitude_spectrum(NoiseSettings(), digitizer) ** 2 * samples
    frequency_MHz = np.fft.rfftfreq(samples, 0.4e-3)
    for low, high in ((25, 50), (50, 150), (150, 400), (400, 700), (700, 900), (900, 1250)):
        band = (frequency_MHz >= low) & (frequency_MHz < high)
        assert power[band].sum() == pytest.approx(expected[band].sum(), rel=0.1), (low, high)
