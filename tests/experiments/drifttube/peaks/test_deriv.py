"""DERIV against its definition written out, and on pulses whose time and height are known."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.deriv import (
    DEFAULT_PRESET,
    DERIV_PRESETS,
    DerivSettings,
    count_deriv_clusters,
    find_deriv_peaks,
)

CUTS = DERIV_PRESETS["jan2023"]  # n3 and n4 above 0: every cut is at work
NOISE_MV = 0.5
presets = pytest.mark.parametrize("preset", sorted(DERIV_PRESETS))


def noise(waveforms, samples, seed=1):
    return NOISE_MV * np.random.default_rng(seed).standard_normal((waveforms, samples))


def pulse(samples, rate_ghz, peak_ns, height_mV, width_ns=1.0):
    """A symmetric pulse: its highest sample is the one nearest to its time."""
    t = np.arange(samples) / rate_ghz
    return height_mV * np.exp(-0.5 * ((t - peak_ns) / width_ns) ** 2)


def by_hand(y, dt, cuts):
    """The four cuts of one waveform, sample by sample."""
    first = round(cuts.baseline_ns / dt)
    rms = y[:first].std()
    y = y - y[:first].mean()
    factor = 1 if cuts.errors == "propagated" else 2
    s1, s2 = factor * rms / (2**0.5 * dt), factor**2 * rms / (2 * dt**2)

    def slope(i):
        return (y[i + 1] - y[i - 1]) / (2 * dt)

    def passes(i):
        level = abs(slope(i)) < 2 * cuts.n3 * s1 or slope(i - 1) > cuts.n3 * s1 or slope(i + 1) < -cuts.n3 * s1
        return (
            y[i] > cuts.n1 * rms
            and y[i] - (y[i - 1] + y[i + 1]) / 2 > cuts.n2 * rms
            and level
            and (slope(i + 1) - slope(i - 1)) / (2 * dt) < -cuts.n4 * s2
        )

    found, run = [], []
    for i in range(2, len(y)):
        if i < len(y) - 2 and passes(i):
            run.append(i)
        elif run:
            found.append(max(run, key=lambda j: y[j]))
            run = []
    return found


@pytest.mark.parametrize("errors", ["propagated", "testbeam2023"])
@pytest.mark.parametrize("rate_ghz", [1.0, 2.5])
@pytest.mark.parametrize("n3_n4", [(0.0, 0.0), (0.1, 0.1), (0.6, 0.8), (2.0, 0.0)])
def test_it_is_the_four_cuts_applied_one_sample_at_a_time(errors, rate_ghz, n3_n4):
    """Low cuts on noise with pulses: many samples pass, some in runs, and each cut decides for some of them."""
    cuts = DerivSettings(0.3, 1.0, 0.3, *n3_n4, errors=errors)
    waveforms = noise(40, 400)
    for row, waveform in enumerate(waveforms):
        waveform += pulse(400, rate_ghz, (60 + row) / rate_ghz, 5.0)
    row, sample = find_deriv_peaks(waveforms, rate_ghz, cuts)
    expected = [by_hand(waveform, 1 / rate_ghz, cuts) for waveform in waveforms]
    assert len(row) > 100
    assert [sample[row == number].tolist() for number in range(40)] == expected


def test_the_two_public_versions_of_the_errors_part_where_slopes_count():
    waveforms = noise(200, 1000) + pulse(1000, 1.0, 400, 8.0, width_ns=3.0)
    found = {
        errors: len(find_deriv_peaks(waveforms, 1.0, DerivSettings(0.3, 5, 0.3, 0.5, 1.0, errors=errors))[0])
        for errors in ("propagated", "testbeam2023")
    }
    assert found["propagated"] > 1.5 * found["testbeam2023"] > 0


@presets
def test_noise_alone_has_hardly_a_peak(preset):
    """Six standard deviations of an uncertain rms: with 25 samples its error is 14 %, and t-like tails remain."""
    row, _ = find_deriv_peaks(noise(1000, 1024), 1.0, DERIV_PRESETS[preset])
    assert len(row) < 20


@presets
@pytest.mark.parametrize("rate_ghz", [1.0, 1.5, 2.0])
def test_one_large_pulse_is_one_peak_at_its_time(preset, rate_ghz):
    """60 standard deviations high, 1 ns wide: bends by 5 at 2 GS/s, far above the cut of 1.2."""
    samples = round(200 * rate_ghz)
    row, sample = find_deriv_peaks(
        pulse(samples, rate_ghz, 80, 30.0) + noise(50, samples), rate_ghz, DERIV_PRESETS[preset]
    )
    assert row.tolist() == list(range(50))
    assert np.all(np.abs(sample / rate_ghz - 80) <= 0.5)


@presets
def test_two_pulses_apart_are_two_peaks_and_two_clusters(preset):
    waveforms = pulse(200, 1.0, 80, 30.0) + pulse(200, 1.0, 95, 20.0) + noise(50, 200)
    row, sample = find_deriv_peaks(waveforms, 1.0, DERIV_PRESETS[preset])
    assert np.bincount(row).tolist() == [2] * 50
    assert set(sample.tolist()) <= {79, 80, 81, 94, 95, 96}
    assert count_deriv_clusters(waveforms, 1.0, DERIV_PRESETS[preset], t0_ns=40, delay_ns=0).tolist() == [2] * 50


def test_a_pulse_below_the_height_cut_is_not_found():
    small, large = (pulse(200, 1.0, 80, sigmas * NOISE_MV) + noise(50, 200) for sigmas in (3, 20))
    assert len(find_deriv_peaks(small, 1.0, CUTS)[0]) == 0
    assert len(find_deriv_peaks(large, 1.0, CUTS)[0]) == 50


@given(st.integers(-500, 500), st.integers(-6, 6), st.sampled_from(sorted(DERIV_PRESETS)))
def test_baseline_and_unit_do_not_matter(shift_mV, power, preset):
    """Powers of two and whole numbers on a coarse grid: equal to the last bit."""
    waveforms = np.rint(64 * (pulse(200, 1.0, 80, 8.0) + noise(10, 200))) / 64
    settings = replace(DERIV_PRESETS[preset], baseline_ns=32)  # a mean over 32 samples is exact too
    one = find_deriv_peaks(waveforms, 1.0, settings)
    assert len(one[0]) > 0
    other = find_deriv_peaks(2.0**power * (waveforms + shift_mV), 1.0, settings)
    np.testing.assert_array_equal(one, other)


def test_slopes_and_their_errors_scale_alike_with_the_sampling_rate():
    """The same samples called slower or faster, with as many samples of baseline, have the same peaks."""
    waveforms = pulse(200, 1.0, 80, 8.0) + noise(10, 200)
    slow = find_deriv_peaks(waveforms, 1.0, CUTS)
    fast = find_deriv_peaks(waveforms, 4.0, replace(CUTS, baseline_ns=CUTS.baseline_ns / 4))
    np.testing.assert_array_equal(slow, fast)


def test_many_waveforms_are_searched_as_each_alone():
    waveforms = pulse(200, 1.0, 80, 8.0) + noise(600, 200)
    row, sample = find_deriv_peaks(waveforms, 1.0, CUTS)
    assert np.all(np.diff(row * 200 + sample) > 0)
    for number in (0, 255, 256, 599):
        _, alone = find_deriv_peaks(waveforms[number : number + 1], 1.0, CUTS)
        np.testing.assert_array_equal(sample[row == number], alone)


def test_no_waveform_has_no_peak():
    row, sample = find_deriv_peaks(np.zeros((0, 200), np.float32), 1.0, CUTS)
    assert len(row) == len(sample) == 0


def test_a_flat_waveform_has_no_peak():
    assert len(find_deriv_peaks(np.full((3, 200), 7.0), 1.0, CUTS)[0]) == 0


def test_peaks_after_the_longest_drift_are_left_out_on_demand():
    waveforms = pulse(600, 1.0, 80, 30.0) + pulse(600, 1.0, 400, 30.0) + noise(5, 600)
    everywhere = count_deriv_clusters(waveforms, 1.0, CUTS, t0_ns=50, delay_ns=5)
    limited = count_deriv_clusters(waveforms, 1.0, CUTS, t0_ns=50, delay_ns=5, max_drift_ns=180)
    assert everywhere.tolist() == [2] * 5
    assert limited.tolist() == [1] * 5


def test_peaks_are_associated_from_the_passage_of_the_track_less_the_delay():
    """6 ns apart: at 144 ns after the track the cut of 0.6 ns^1/2 is 7.2 ns, at 64 ns it is 4.8 ns."""
    waveforms = pulse(400, 1.0, 194, 30.0) + pulse(400, 1.0, 200, 30.0) + noise(5, 400)
    wide = replace(CUTS, cut_scale=0.6)
    early, late, delayed = (
        count_deriv_clusters(waveforms, 1.0, wide, t0_ns=t0_ns, delay_ns=delay_ns).tolist()
        for t0_ns, delay_ns in ((136, 0), (56, 0), (56, 80))
    )
    assert (early, late, delayed) == ([2] * 5, [1] * 5, [2] * 5)


def test_presets_are_the_published_cuts():
    cuts = {name: (s.cut_scale, s.n1, s.n2, s.n3, s.n4) for name, s in DERIV_PRESETS.items()}
    assert cuts == {
        "nov2021": (0.26, 10, 1.0, 0.2, 0.2),
        "july2022": (0.20, 10, 1.2, 0, 0),
        "jan2023": (0.26, 8, 1.1, 0.1, 0.1),
        "hv_scan": (0.22, 8, 1.1, 0.05, 0.025),
        "2024": (0.30, 6, 1.2, 0, 0),
    }
    assert DEFAULT_PRESET in cuts


@pytest.mark.parametrize(
    ("samples", "rate_ghz", "message"),
    [
        (25, 1.0, r"must be longer than the 25 ns that give their baseline \(got 25 samples, 25 ns\)"),
        (60, 2.5, r"\(got 60 samples, 24 ns\)"),
        (200, 0.0, "sampling_rate_ghz must be above 0"),
        (200, float("nan"), "sampling_rate_ghz must be above 0"),
    ],
)
def test_records_without_room_for_a_baseline_are_refused(samples, rate_ghz, message):
    with pytest.raises(InputError, match=message):
        find_deriv_peaks(np.zeros((2, samples)), rate_ghz, CUTS)


@pytest.mark.parametrize("bad", [{"n1": -1.0}, {"n4": float("nan")}, {"baseline_ns": 0.0}, {"cut_scale": -0.1}])
def test_settings_that_cannot_be_meant_are_refused(bad):
    with pytest.raises(InputError, match=next(iter(bad))):
        replace(CUTS, **bad)


@pytest.mark.parametrize(
    "unknown", [{"t0_ns": float("nan")}, {"delay_ns": float("nan")}, {"max_drift_ns": float("nan")}]
)
def test_counting_needs_to_know_the_passage_of_the_track(unknown):
    with pytest.raises(InputError, match="must be known to associate peaks"):
        count_deriv_clusters(np.zeros((1, 200)), 1.0, CUTS, **({"t0_ns": 0.0, "delay_ns": 0.0} | unknown))


def test_thousands_of_waveforms_take_a_second():
    """Some 50,000 a second on one core; the limit leaves room for a busy machine."""
    waveforms = noise(4000, 1024).astype(np.float32)
    started = time.process_time()
    find_deriv_peaks(waveforms, 1.0, CUTS)
    assert time.process_time() - started < 2
