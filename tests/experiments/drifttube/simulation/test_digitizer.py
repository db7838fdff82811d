"""The converter saturates and never wraps; the jitter moves whole waveforms, the same ones in every cut."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.digitizer import check_window, digitize, draw_jitter, step_mV
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, DriftTubeSettings, NoiseSettings
from townsend.experiments.drifttube.simulation.simulate import longest_drift_ns, simulate_waveforms

STEADY = DriftTubeSettings(noise=NoiseSettings(spectrum="none"))
JITTERED = STEADY.model_copy(update={"digitizer": DigitizerSettings(trigger_jitter_ns=3.0)})


def test_an_adc_saturates_and_never_wraps():
    digitizer = DigitizerSettings(bits=8, full_scale_V=0.256)
    counts = digitize(np.array([[-1e6, -1.4, 0.4, 0.6, 1e6]]), digitizer)
    assert counts.tolist() == [[-128, -1, 0, 1, 127]]


@given(
    voltage_mV=st.lists(st.floats(-1e200, 1e200) | st.sampled_from([-np.inf, np.inf]), min_size=1, max_size=20),
    bits=st.integers(4, 16),
    full_scale_V=st.floats(1e-3, 10),
    offset_mV=st.floats(-2e4, 2e4),
)
def test_counts_rise_with_the_voltage_up_to_both_ends(voltage_mV, bits, full_scale_V, offset_mV):
    digitizer = DigitizerSettings(bits=bits, full_scale_V=full_scale_V, offset_mV=offset_mV)
    voltage = np.sort(np.array(voltage_mV))
    counts = digitize(voltage, digitizer).astype(int)
    assert np.all(np.diff(counts) >= 0)
    limit = 2 ** (bits - 1)
    position = (voltage + offset_mV) / step_mV(digitizer)
    assert np.all(counts[position >= limit] == limit - 1)
    assert np.all(counts[position <= -limit] == -limit)
    inside = np.abs(position) <= limit - 1
    assert np.all(np.abs(counts[inside] - position[inside]) <= 0.5 + 1e-9)


@pytest.mark.parametrize("bits", [4, 8, 12, 16])
def test_a_waveform_of_either_polarity_saturates_at_its_end(bits):
    for polarity in (1, -1):
        digitizer = DigitizerSettings(bits=bits, full_scale_V=0.01, polarity=polarity)
        samples = simulate_waveforms(STEADY.model_copy(update={"digitizer": digitizer}), 0, 20).samples.astype(int)
        limit = 2 ** (bits - 1)
        assert (samples.max() if polarity == 1 else -1 - samples.min()) == limit - 1
        assert np.all(polarity * samples > -0.1 * limit - 1)  # nothing has wrapped to the other side


@pytest.mark.parametrize("rate_GHz", [0.5, 0.7, 1.2, 2.5, 5.0])
def test_at_every_sampling_rate_a_waveform_holds_the_same_charge(rate_GHz):
    digitizer = DigitizerSettings(sampling_rate_GHz=rate_GHz, samples=int(1024 * rate_GHz), full_scale_V=4.0)
    found = simulate_waveforms(STEADY.model_copy(update={"digitizer": digitizer}), 0, 20)
    usual = simulate_waveforms(STEADY.model_copy(update={"digitizer": DigitizerSettings(full_scale_V=4.0)}), 0, 20)
    area = found.millivolts().sum(axis=1) / rate_GHz
    np.testing.assert_allclose(area, usual.millivolts().sum(axis=1), rtol=0.01)
    assert ak.array_equal(found.truth.electron_time_ns, usual.truth.electron_time_ns)


def test_no_jitter_draws_nothing():
    random = np.random.default_rng(1)
    assert not draw_jitter(DigitizerSettings(), 100, random).any()
    assert random.random() == np.random.default_rng(1).random()


def test_the_jitter_has_the_rms_that_was_asked_for():
    late_ns = draw_jitter(DigitizerSettings(trigger_jitter_ns=3.0), 100_000, np.random.default_rng(1))
    assert late_ns.std() == pytest.approx(3.0, rel=0.01)
    assert late_ns.mean() == pytest.approx(0.0, abs=0.04)


def test_all_arrivals_of_a_waveform_are_late_together_and_nothing_else_changes():
    late, steady = simulate_waveforms(JITTERED, 0, 400), simulate_waveforms(STEADY, 0, 400)
    shift_ns = late.truth.electron_time_ns - steady.truth.electron_time_ns
    assert ak.max(ak.max(shift_ns, axis=1) - ak.min(shift_ns, axis=1)) < 2e-4  # single precision
    per_track = ak.to_numpy(ak.mean(shift_ns, axis=1))
    assert per_track.std() == pytest.approx(3.0, rel=0.15)
    for name in ("electron_cluster", "electron_charge_fC", "cluster_radius_cm", "impact_cm"):
        assert ak.array_equal(getattr(late.truth, name), getattr(steady.truth, name)), name
    assert late.t0_ns == steady.t0_ns == 224.0


def test_the_waveform_moves_with_its_truth():
    """The samples' centre of gravity about the peak follows the arrivals; the tail that leaves the record is small."""
    late, steady = simulate_waveforms(JITTERED, 0, 50), simulate_waveforms(STEADY, 0, 50)
    clock = np.arange(1024)
    half = [np.array([np.interp(0.5, np.cumsum(w) / w.sum(), clock) for w in s.millivolts()]) for s in (late, steady)]
    shift_ns = ak.to_numpy(ak.mean(late.truth.electron_time_ns - steady.truth.electron_time_ns, axis=1))
    np.testing.assert_allclose(half[0] - half[1], shift_ns, atol=0.6)
    assert np.abs(shift_ns).max() > 3


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (249, 251), (300, 500)])
def test_a_jittered_track_is_the_same_in_every_cut(start, stop):
    whole, part = simulate_waveforms(JITTERED, 0, 500), simulate_waveforms(JITTERED, start, stop)
    assert np.array_equal(part.samples, whole.samples[start:stop])
    assert ak.array_equal(part.truth.electron_time_ns, whole.truth.electron_time_ns[start:stop])


def test_a_jitter_for_which_the_record_is_too_short_is_refused():
    before = DigitizerSettings(pretrigger_ns=10.0, trigger_jitter_ns=2.5)
    with pytest.raises(InputError, match=r"pretrigger_ns must be at least 5 times trigger_jitter_ns, here 12\.5 ns"):
        check_window(before, 150.0)
    after = DigitizerSettings(samples=400, trigger_jitter_ns=10.0)
    with pytest.raises(
        InputError, match=r"\(got 176 ns after the track, the drift takes 150 ns and 5 times the trigger"
    ):
        check_window(after, 150.0)
    check_window(after, 125.0)
    with pytest.raises(InputError, match="5 times the trigger jitter 200 ns"):
        simulate_waveforms(
            STEADY.model_copy(update={"digitizer": DigitizerSettings(samples=500, trigger_jitter_ns=40)}), 0, 1
        )


def test_without_jitter_the_record_must_hold_the_drift():
    longest_ns = longest_drift_ns(STEADY)
    check_window(DigitizerSettings(samples=224 + int(np.ceil(longest_ns))), longest_ns)
    with pytest.raises(InputError, match=r"past the longest drift time .*the drift takes \d+ ns\); raise digitizer"):
        check_window(DigitizerSettings(samples=224 + int(longest_ns)), longest_ns)
