"""Noise of the read-out: none, white, or with the spectrum measured on test-beam channels without a hit.

The measured spectrum comes from 2.5 GS/s oscilloscope traces of helium drift tubes in the 2023 CERN beam test
(0.54 mV rms up to 1.25 GHz, pick-up near 100, 480 and 796 MHz). A digitiser of rate f sees the part below f/2, as it
does behind an anti-alias filter. Poor approximation: narrow lines are drawn as Gaussian noise of their band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.settings import DigitizerSettings, NoiseSettings
from townsend.experiments.drifttube.tables import noise_table

__all__ = ["amplitude_spectrum", "draw_noise", "noise_rms_mV"]


def amplitude_spectrum(noise: NoiseSettings, digitizer: DigitizerSettings) -> NDArray[np.float64]:
    """Return (samples // 2 + 1,) standard deviation of every Fourier amplitude for unit white input."""
    frequency_GHz = np.fft.rfftfreq(digitizer.samples, 1 / digitizer.sampling_rate_GHz)
    if noise.spectrum == "none":
        return np.zeros(len(frequency_GHz))
    if noise.spectrum == "white":
        density = np.ones(len(frequency_GHz))
    else:
        density = np.interp(frequency_GHz, *noise_table(), right=0.0)
    density[0] = 0.0  # the baseline is the digitiser's affair
    amplitude = np.sqrt(density * digitizer.sampling_rate_GHz / 2)
    if noise.rms_mV is not None:
        amplitude *= noise.rms_mV / _rms(amplitude, digitizer.samples)
    return np.asarray(amplitude)


def noise_rms_mV(noise: NoiseSettings, digitizer: DigitizerSettings) -> float:
    """Return the standard deviation [mV] of the noise."""
    return _rms(amplitude_spectrum(noise, digitizer), digitizer.samples)


def _rms(amplitude: NDArray[np.float64], samples: int) -> float:
    twice = amplitude[1:-1] if samples % 2 == 0 else amplitude[1:]
    once = amplitude[-1] ** 2 if samples % 2 == 0 else 0.0
    return float(np.sqrt((2 * np.sum(twice**2) + once) / samples))


def draw_noise(
    amplitude: NDArray[np.float64], waveforms: int, samples: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return (waveforms, samples) Gaussian noise [mV] with the given amplitude spectrum."""
    if not amplitude.any():
        return np.zeros((waveforms, samples))
    white = random.standard_normal((waveforms, samples))
    return np.asarray(np.fft.irfft(np.fft.rfft(white, axis=1) * amplitude, n=samples, axis=1))
