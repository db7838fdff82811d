"""Efficiency, purity and their ceilings on hand-made waveforms."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.experiments.drifttube.peaks.figures_of_merit import (
    PEAK_FIGURES,
    FoundPeaks,
    TruthList,
    best_threshold,
    ceiling,
    count_matches,
)

TRUTH = TruthList(np.array([0, 0, 0, 2]), np.array([10.0, 30.0, 50.0, 20.0]), waveforms=3)
FOUND = FoundPeaks(np.array([0, 0, 1, 2, 2]), np.array([11.0, 33.0, 5.0, 20.0, 21.0]))


def test_matches_are_counted_by_waveform():
    """Waveform 0: 11 fits 10, 33 is 3 ns off; 1: nothing to find; 2: one of two fits."""
    assert count_matches(FOUND, TRUTH, 2.0).tolist() == [[1, 2, 3], [0, 1, 0], [1, 2, 1]]


def test_figures_follow_from_the_counts():
    sums = count_matches(FOUND, TRUTH, 2.0).sum(axis=0)
    figures = {name: float(figure(sums)) for name, figure in PEAK_FIGURES.items()}
    assert figures == pytest.approx(
        {"efficiency": 2 / 4, "purity": 2 / 5, "f1": 4 / 9, "efficiency_x_purity": 2 / 4 * 2 / 5}
    )


def test_nothing_found_is_zero_and_not_an_error():
    empty = FoundPeaks(np.zeros(0, np.int64), np.zeros(0))
    sums = count_matches(empty, TRUTH, 2.0).sum(axis=0)
    assert [float(figure(sums)) for figure in PEAK_FIGURES.values()] == [0.0, 0.0, 0.0, 0.0]


def test_the_ceiling_against_itself_is_one():
    assert set(ceiling(TRUTH, TRUTH, 2.0).values()) == {1.0}


def test_the_ceiling_against_all_electrons_counts_those_merged_away():
    every = TruthList(np.array([0, 0, 0]), np.array([10.0, 11.0, 30.0]), waveforms=1)
    merged = TruthList(np.array([0, 0]), np.array([10.5, 30.0]), waveforms=1)
    assert ceiling(merged, every, 2.0)["efficiency"] == pytest.approx(2 / 3)
    assert ceiling(merged, every, 2.0)["purity"] == 1.0


def test_the_best_threshold_is_where_f1_peaks():
    scores = np.linspace(0, 1, 101, dtype=np.float32)
    labels = np.ones(101, np.float32)
    assert best_threshold(scores, labels, lambda at: -abs(at - 0.45)) == pytest.approx(0.45, abs=0.02)


def test_of_equal_thresholds_the_highest_is_taken():
    scores = np.linspace(0, 1, 101, dtype=np.float32)
    assert best_threshold(scores, np.ones(101, np.float32), lambda at: 1.0) == pytest.approx(0.9, abs=0.01)
