"""Candidates, windows and the selection of peaks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.candidates import cut_windows, find_candidates, select_peaks

traces = st.lists(st.integers(-50, 50), min_size=20, max_size=60).map(lambda v: np.array([v], np.float32))


@given(traces)
def test_candidates_bend_down_and_have_room_for_a_window(trace):
    row, sample = find_candidates(trace, 5, 9)
    w = trace[0]
    expected = [i for i in range(5, len(w) - 9) if w[i] - w[i - 1] > w[i + 1] - w[i]]
    assert sample.tolist() == expected
    assert not row.any()


@given(traces, st.integers(1, 5))
def test_a_shift_in_time_shifts_the_candidates(trace, shift):
    shifted = np.concatenate([np.repeat(trace[:, :1], shift, axis=1), trace], axis=1)
    inner = [int(i) for i in find_candidates(trace, 5, 9)[1] if i > 5]
    moved = [int(i) - shift for i in find_candidates(shifted, 5, 9)[1] if i - shift > 5]
    assert inner == moved


@given(traces, st.sampled_from([0.5, 2.0, 4.0]), st.integers(-100, 100))
def test_candidates_do_not_depend_on_scale_or_baseline(trace, scale, baseline):
    np.testing.assert_array_equal(find_candidates(trace, 5, 9)[1], find_candidates(trace * scale + baseline, 5, 9)[1])


def test_windows_hold_the_candidate_at_its_place_and_no_mean():
    trace = np.arange(30, dtype=np.float32)[None] ** 2
    window = cut_windows(trace, np.array([0]), np.array([12]), 5, 9)
    expected = trace[0, 7:22]
    np.testing.assert_allclose(window[0], expected - expected.mean())


def test_a_window_longer_than_the_waveform_is_refused():
    with pytest.raises(InputError, match=r"window must fit the waveform \(got 15 samples, waveform has 9\)"):
        find_candidates(np.zeros((1, 9), np.float32), 5, 9)


def test_of_close_candidates_the_best_stays():
    row = np.array([0, 0, 0, 0, 1])
    sample = np.array([10, 11, 12, 20, 11])
    scores = np.array([0.7, 0.9, 0.8, 0.6, 0.95], np.float32)
    assert select_peaks(row, sample, scores, 0.5, 2).tolist() == [False, True, False, True, True]


def test_a_dropped_candidate_drops_nobody():
    """12 falls to 11; 13 is then free, since its only better neighbour is gone."""
    row, sample = np.zeros(3, np.int64), np.array([11, 12, 13])
    scores = np.array([0.9, 0.8, 0.7], np.float32)
    assert select_peaks(row, sample, scores, 0.5, 2).tolist() == [True, False, True]


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 10)), min_size=1, max_size=30, unique_by=lambda c: c[0]))
def test_selected_peaks_are_apart_and_every_other_has_a_better_neighbour(candidates):
    candidates.sort()
    sample = np.array([s for s, _ in candidates])
    scores = np.array([q / 10 for _, q in candidates], np.float32)
    row = np.zeros(len(sample), np.int64)
    kept = select_peaks(row, sample, scores, 0.3, 3)
    assert np.all(np.diff(sample[kept]) >= 3)
    for i in np.flatnonzero((scores >= 0.3) & ~kept):
        near = kept & (np.abs(sample - sample[i]) < 3)
        assert np.any(scores[near] >= scores[i])


@given(st.integers(1, 4))
def test_all_above_threshold_stay_without_a_separation(seed):
    random = np.random.default_rng(seed)
    sample = np.arange(20)
    scores = random.random(20).astype(np.float32)
    kept = select_peaks(np.zeros(20, np.int64), sample, scores, 0.4, 1)
    np.testing.assert_array_equal(kept, scores >= 0.4)
