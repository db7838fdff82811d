"""Noise of the read-out: none, white, as measured on test-beam channels without a hit, or from your own preset.

What to use when
----------------
- `noise_spectrum`, `draw_noise`: what noise is made of, and noise.
- `noise_rms_mV`: its level in the digitiser's band.
- `preset_spectrum`: what noise is made of, from a preset in memory.
- `draw_wander`: slow drift of the baseline, on top of it; `ornstein_uhlenbeck`: the process behind it.
- `noise_files`: what files outside townsend a sample's noise depends on.

A measured spectrum is a smooth floor, drawn as Gaussian noise of that power in every Fourier bin, and pick-up lines.
A line narrower than a bin (1 / record) is a sinusoid of measured level and random phase in every waveform, a wider one
is Gaussian noise with a Gaussian profile. A digitiser of rate f sees the part below f / 2, as it does behind an
anti-alias filter; above half the sampling rate of the measured traces nothing is known and nothing drawn, which the log
says. Poor approximations: lines keep their level from waveform to waveform; channels are all alike, while the test
beam's differ by 15 %; noise of one event is independent between channels, while pick-up is not; the Gaussian part is
periodic over the record.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import lru_cache
from math import sqrt
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft
from scipy.signal import lfilter
from scipy.special import erf

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.noise_preset import (
    Line,
    Preset,
    preset_files,
    read_preset,
    shipped_preset,
)
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, NoiseSettings

__all__ = [
    "Spectrum",
    "draw_noise",
    "draw_wander",
    "noise_files",
    "noise_rms_mV",
    "noise_spectrum",
    "ornstein_uhlenbeck",
    "preset_spectrum",
]

logger = logging.getLogger(__name__)

_WITHOUT_FILE = ("white", "none")
_FWHM = 2.3548  # of a Gaussian, in standard deviations


@dataclass(frozen=True, eq=False)
class Spectrum:
    """What noise at a digitiser's rate is made of.

    Arguments:
        amplitude: (samples // 2 + 1,) of the Gaussian part: standard deviation of every Fourier amplitude for unit
            white input.
        line_GHz, line_rms_mV: (lines,) sinusoids; line_rms_mV is the level of each.
        waves: (2 * lines, samples) cosine and sine of each, at its amplitude.
    """

    amplitude: NDArray[np.float64]
    line_GHz: NDArray[np.float64]
    line_rms_mV: NDArray[np.float64]
    waves: NDArray[np.float32]

    def rms_mV(self) -> float:
        """Return the standard deviation of the noise."""
        samples = self.waves.shape[1]
        power = self.amplitude**2
        both = 2 * np.sum(power) - power[0] - (power[-1] if samples % 2 == 0 else 0.0)
        return sqrt(float(both) / samples + float(np.sum(self.line_rms_mV**2)))


def noise_spectrum(noise: NoiseSettings, digitizer: DigitizerSettings) -> Spectrum:
    """Return what the noise of a digitiser is made of.

    Raises InputError or ConfigError when a preset cannot be used, or `rms_mV` is asked of one without any power in the
    digitiser's band.
    """
    if noise.spectrum in _WITHOUT_FILE:
        bins = digitizer.samples // 2 + 1
        flat = np.ones(bins) if noise.spectrum == "white" else np.zeros(bins)
        flat[0] = 0.0  # the baseline is the digitiser's affair
        spectrum = _spectrum(flat, [], digitizer.samples, digitizer.sampling_rate_GHz)
        return _at_level(spectrum, noise) if noise.spectrum == "white" else spectrum
    return _from_file(read_preset(_file(noise)), noise, digitizer.samples, digitizer.sampling_rate_GHz)


@lru_cache(maxsize=64)
def _from_file(preset: Preset, noise: NoiseSettings, samples: int, rate_GHz: float) -> Spectrum:
    known_GHz = preset.frequency_GHz[-1]
    if rate_GHz / 2 > known_GHz * (1 + 1e-6):
        logger.warning(
            "%s: noise is known up to %.0f MHz only; between that and %.0f MHz, half of digitizer.sampling_rate_GHz, "
            "none is drawn",
            _file(noise).name,
            1e3 * known_GHz,
            500 * rate_GHz,
        )
    return _at_level(preset_spectrum(preset, samples, rate_GHz), noise)


def preset_spectrum(preset: Preset, samples: int, rate_GHz: float) -> Spectrum:
    """Return what a preset's noise is made of, at its own level, for records of `samples` at `rate_GHz`."""
    step_GHz = rate_GHz / samples
    edges_GHz = np.asarray(step_GHz * (np.arange(samples // 2 + 2) - 0.5), np.float64)
    edges_GHz[0] = 0.0
    edges_GHz[-1] = min(edges_GHz[-1], rate_GHz / 2)
    power = np.diff(_cumulative(preset, edges_GHz))
    narrow = []
    for line in preset.facts.lines:
        if line.width_MHz <= 1e3 * step_GHz:
            narrow += [line] if 1e-3 * line.frequency_MHz < rate_GHz / 2 else []
            continue
        deviations = (edges_GHz - 1e-3 * line.frequency_MHz) / (1e-3 * line.width_MHz / _FWHM)
        power += line.rms_mV**2 * np.diff(erf(deviations / np.sqrt(2))) / 2
    power[0] = 0.0
    width_GHz = np.full(len(power), step_GHz)
    width_GHz[-1] = edges_GHz[-1] - edges_GHz[-2]
    # A bin's power over its width is the density; at half the rate the bin is half as wide and counts once.
    return _spectrum(np.sqrt(power / width_GHz * rate_GHz / 2), narrow, samples, rate_GHz)


def _cumulative(preset: Preset, edges_GHz: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the power [mV^2] of the floor from 0 to each edge; its density is straight between rows."""
    frequency, density = preset.frequency_GHz, preset.floor_mV2_per_GHz
    if frequency[0] > 0:
        frequency, density = np.append(0.0, frequency), np.append(density[0], density)
    fine = np.unique(np.concatenate([frequency, edges_GHz]))
    value = np.interp(fine, frequency, density, right=0.0)
    value[fine > frequency[-1]] = 0.0
    summed = np.concatenate([[0.0], np.cumsum(np.diff(fine) * (value[1:] + value[:-1]) / 2)])
    return np.asarray(np.interp(edges_GHz, fine, summed))


def _spectrum(amplitude: NDArray[np.float64], lines: list[Line], samples: int, rate_GHz: float) -> Spectrum:
    frequency = np.array([1e-3 * line.frequency_MHz for line in lines])
    rms = np.array([line.rms_mV for line in lines])
    phase = 2 * np.pi * np.outer(frequency, np.arange(samples) / rate_GHz)
    waves = np.sqrt(2) * np.concatenate([rms[:, None] * np.cos(phase), rms[:, None] * np.sin(phase)])
    return Spectrum(amplitude, frequency, rms, waves.astype(np.float32))


def _at_level(spectrum: Spectrum, noise: NoiseSettings) -> Spectrum:
    if noise.rms_mV is None:
        return spectrum
    own = spectrum.rms_mV()
    if own == 0:
        rule = "noise.rms_mV must be left out where the preset has no power in the digitiser's band"
        msg = f"{rule} (got {noise.rms_mV:g} for {noise.spectrum}); take a preset of a faster digitiser"
        raise InputError(msg)
    factor = noise.rms_mV / own
    return Spectrum(
        spectrum.amplitude * factor,
        spectrum.line_GHz,
        spectrum.line_rms_mV * factor,
        (spectrum.waves * factor).astype(np.float32),
    )


def noise_rms_mV(noise: NoiseSettings, digitizer: DigitizerSettings) -> float:
    """Return the standard deviation [mV] of the noise, without the wander of the baseline."""
    return noise_spectrum(noise, digitizer).rms_mV()


def noise_files(noise: NoiseSettings) -> tuple[Path, ...]:
    """Return the files of the user's that the noise is read from: YAML and CSV of a preset, none for a shipped one.

    Raises InputError or ConfigError when the YAML cannot be used.
    """
    return () if noise.spectrum in ("measured", *_WITHOUT_FILE) else preset_files(_file(noise))


def _file(noise: NoiseSettings) -> Path:
    return shipped_preset() if noise.spectrum == "measured" else Path(noise.spectrum)


def draw_noise(spectrum: Spectrum, waveforms: int, samples: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return (waveforms, samples) noise [mV] of the given spectrum.

    Arguments:
        spectrum: made for records of `samples`.
        waveforms: > 0.
        random: one normal number a sample is drawn, then one phase a line.
    """
    if not spectrum.amplitude.any() and not len(spectrum.line_GHz):
        return np.zeros((waveforms, samples), np.float32)
    amplitude = (spectrum.amplitude * np.sqrt(samples / 2)).astype(np.float32)
    if samples % 2 == 0:
        amplitude[-1] *= np.float32(np.sqrt(2))  # real there: all of its power is in one number
    normal = random.standard_normal((waveforms, 2 * len(amplitude)), dtype=np.float32)
    drawn = irfft(normal.view(np.complex64) * amplitude, n=samples, axis=1)
    if len(spectrum.line_GHz):
        phase = random.uniform(0, 2 * np.pi, (waveforms, len(spectrum.line_GHz)))
        drawn += np.concatenate([np.cos(phase), -np.sin(phase)], axis=1).astype(np.float32) @ spectrum.waves
    return np.asarray(drawn)


def draw_wander(
    noise: NoiseSettings, digitizer: DigitizerSettings, waveforms: int, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return (waveforms, samples) slow drift of the baseline [mV], zeros where `wander_mV` is 0.

    A stationary Ornstein-Uhlenbeck process: Gaussian with standard deviation `wander_mV` at every time, correlation
    exp(-t / wander_time_ns), independent between waveforms.
    """
    shape = (waveforms, digitizer.samples)
    if noise.wander_mV == 0:
        return np.zeros(shape)
    return ornstein_uhlenbeck(shape, noise.wander_mV, digitizer.sampling_rate_GHz * noise.wander_time_ns, random)


def ornstein_uhlenbeck(
    shape: tuple[int, int], rms: float, time: float, random: np.random.Generator
) -> NDArray[np.float64]:
    """Return rows of a stationary Gaussian process with standard deviation `rms` and correlation exp(-steps / time)."""
    kick = rms * random.standard_normal(shape)
    kick[:, 1:] *= np.sqrt(-np.expm1(-2 / time))
    return np.asarray(lfilter([1.0], [1.0, -np.exp(-1 / time)], kick, axis=1))
