"""The delay from an arrival to the top of its pulse, found in overlapping pulses."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from townsend.experiments.drifttube.reading.pulse import PulseFit
from townsend.experiments.drifttube.reading.tags import MEANINGS, Tagged

MEANING = MEANINGS["primary-secondary-noise"]


def waveforms(times, top=4.3, length=300):
    """Gaussian pulses, highest `top` samples after each time, each with a slow tail."""
    clock = np.arange(length)
    wave = np.full((len(times), length), 7.0)
    for row, each in enumerate(times):
        for time in each:
            since = clock - time - top
            wave[row] += np.exp(-((since / 3) ** 2)) + 0.3 * np.exp(-(((since - 12) / 8) ** 2))
    return wave


def fitted(times, wave):
    index = ak.values_astype(ak.Array(times), np.float64)
    fit = PulseFit()
    fit.add(wave, Tagged(index, ak.zeros_like(index, dtype=np.int64), None), MEANING)
    return fit.delay()


def test_a_lone_pulse_has_its_own_delay():
    assert fitted([[50.0], [100.0]], waveforms([[50.0], [100.0]])) == pytest.approx(4.3, abs=0.1)


def test_overlapping_pulses_have_the_delay_of_one():
    random = np.random.default_rng(2)
    starts = [np.sort(random.integers(30, 150, 8)) for _ in range(40)]
    times = [np.sort(np.concatenate([start, start + random.integers(1, 5, 8)])).tolist() for start in starts]
    wave = waveforms(times)
    assert fitted(times, wave) == pytest.approx(4.3, abs=0.15)


def test_fractions_of_a_sample_are_taken_off():
    times = [[50.5], [100.5]]
    assert fitted(times, waveforms(times)) == pytest.approx(4.3, abs=0.1)


def test_without_electrons_there_is_no_delay():
    assert PulseFit().delay() == 0.0
