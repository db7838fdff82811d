from __future__ import annotations

import math
from dataclasses import replace
from fractions import Fraction

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample.fixed_point import to_fixed_point
from townsend.sample.resample import resample

EDGE_NS = 50.0  # longer than the filter reaches at any rate below


@pytest.fixture
def traces(make_waveforms):
    """Make waveforms of given voltages at a given rate."""

    def make(volts, rate_ghz: float):
        samples, step = to_fixed_point(np.atleast_2d(np.asarray(volts, float)))
        empty = make_waveforms(None, count=len(samples), length=samples.shape[1])
        return replace(empty, samples=samples, volts_per_count=step, sampling_rate_ghz=rate_ghz)

    return make


def volts_and_times(waveforms):
    times_ns = np.arange(waveforms.samples.shape[1]) / waveforms.sampling_rate_ghz
    inner = (times_ns > EDGE_NS) & (times_ns < times_ns[-1] - EDGE_NS)
    return (waveforms.samples * waveforms.volts_per_count)[:, inner], times_ns[inner]


@pytest.mark.parametrize(("old_ghz", "new_ghz"), [(2.5, 1.0), (1.0, 2.5), (5.0, 1.0), (1.2, 1.0), (1.0, 2.0)])
def test_a_sine_below_nyquist_keeps_amplitude_and_phase(traces, old_ghz, new_ghz):
    times_ns = np.arange(int(1000 * old_ghz)) / old_ghz
    for frequency_ghz in np.array([0.05, 0.4, 0.85]) * min(old_ghz, new_ghz) / 2:
        found = resample(traces(0.02 * np.sin(2 * np.pi * frequency_ghz * times_ns + 0.3), old_ghz), new_ghz)
        volts, new_times_ns = volts_and_times(found)
        # The filter's ripple is 1e-3; a shift by a hundredth of a sample would give 1e-2.
        expected = 0.02 * np.sin(2 * np.pi * frequency_ghz * new_times_ns + 0.3)
        np.testing.assert_allclose(volts[0], expected, atol=2e-3 * 0.02)


@pytest.mark.parametrize(("old_ghz", "new_ghz"), [(2.5, 1.0), (5.0, 1.0), (1.2, 1.0)])
def test_a_sine_above_the_new_nyquist_is_gone(traces, old_ghz, new_ghz):
    times_ns = np.arange(int(1000 * old_ghz)) / old_ghz
    for frequency_ghz in np.array([1.01, 1.1, old_ghz / new_ghz - 0.01]) * new_ghz / 2:
        sine = np.sin(2 * np.pi * frequency_ghz * times_ns)
        volts, _ = volts_and_times(resample(traces(sine, old_ghz), new_ghz))
        assert np.abs(volts).max() < 10 ** (-55 / 20)


def test_equal_rates_change_nothing(make_waveforms):
    waveforms = make_waveforms()
    assert resample(waveforms, 1.0) is waveforms


@given(st.floats(-1, 1), st.sampled_from([(2.5, 1.0), (1.0, 3.0), (1.0, 0.7), (0.9, 1.0)]), st.integers(1, 60))
def test_a_constant_stays_constant_up_to_its_ends(make_waveforms, level, rates, length):
    samples, step = to_fixed_point(np.full((1, length), level))
    waveforms = replace(
        make_waveforms(None, count=1), samples=samples, volts_per_count=step, sampling_rate_ghz=rates[0]
    )
    found = resample(waveforms, rates[1])
    np.testing.assert_allclose(found.samples * found.volts_per_count, level, rtol=1e-6, atol=1e-12)
    assert found.samples.shape[1] == math.ceil(length * Fraction(rates[1] / rates[0]).limit_denominator(100))


def test_a_slow_pulse_keeps_its_time_height_and_ends(traces):
    times_ns = np.arange(2500) / 2.5
    height = 0.03 * np.exp(-(((times_ns - 400) / 8) ** 2)) + 1e-3 * times_ns / 1000
    found = resample(traces(height, 2.5), 1.0)
    volts = found.samples[0] * found.volts_per_count
    assert len(volts) == 1000
    assert np.argmax(volts) == 400
    assert volts.max() == pytest.approx(height.max(), rel=1e-3)
    np.testing.assert_allclose(volts, np.interp(np.arange(1000), times_ns, height), atol=5e-5)


def test_there_and_back_is_where_we_started(traces):
    random = np.random.default_rng(1)
    spectrum = np.zeros(501, complex)
    spectrum[1:150] = random.normal(size=149) + 1j * random.normal(size=149)
    volts = np.fft.irfft(spectrum)
    back = resample(resample(traces(volts, 1.0), 2.5), 1.0)
    found, times_ns = volts_and_times(back)
    np.testing.assert_allclose(found[0], volts[times_ns.round().astype(int)], atol=2e-3 * np.abs(volts).max())


def test_truth_times_and_identifiers_stay(make_waveforms):
    waveforms = make_waveforms(length=40)
    found = resample(waveforms, 0.5)
    assert found.sampling_rate_ghz == 0.5
    assert found.samples.shape == (3, 20)
    assert found.t0_ns == 200.0
    assert found.polarity == -1
    assert found.event.tolist() == waveforms.event.tolist()
    assert ak.to_list(found.truth.electron_time_ns) == ak.to_list(waveforms.truth.electron_time_ns)
    assert found.provenance.settings["source"] == waveforms.provenance.to_json()
    assert found.provenance.settings["to_ghz"] == 0.5


def test_overshoot_never_wraps_round(traces):
    square = np.where(np.arange(1000) % 100 < 50, 1.0, -1.0)
    volts, _ = volts_and_times(resample(traces(square, 1.0), 0.8))
    assert 1.05 < np.abs(volts).max() < 1.3  # Gibbs: 9 % of the step of 2, each side


def test_no_waveforms_are_no_fault(make_waveforms):
    assert resample(make_waveforms([], length=10), 2.0).samples.shape == (0, 20)


@pytest.mark.parametrize(
    ("rate_ghz", "sentence"),
    [
        (0.0, "must be a finite number > 0"),
        (-1.0, "must be a finite number > 0"),
        (math.nan, "must be a finite number > 0"),
        (math.inf, "must be a finite number > 0"),
        (math.pi, r"terms up to 256 \(got 3\.14159 / 1, nearest"),
        (1.0001, "terms up to 256"),
        (257.0, "terms up to 256"),
        (1e-9, "terms up to 256"),
    ],
)
def test_rates_that_cannot_be_reached_are_named(make_waveforms, rate_ghz, sentence):
    with pytest.raises(InputError, match=sentence):
        resample(make_waveforms(), rate_ghz)


def test_results_beyond_the_cap_are_refused(make_waveforms):
    with pytest.raises(InputError, match="at most 1048576 samples"):
        resample(make_waveforms(None, count=1, length=5000), 256.0)
