"""Peak candidates of a waveform, the windows cut around them, and the peaks kept from their scores.

What to use when
----------------
- `find_candidates`: samples with negative second difference, about half of all.
- `cut_windows`: what a network sees of each.
- `select_peaks`: candidates above a threshold that no better candidate lies close to.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from townsend.errors import InputError

__all__ = ["check_window", "cut_windows", "find_candidates", "select_peaks"]


def check_window(before: int, after: int, samples: int) -> None:
    """Raise InputError unless a window fits into a waveform of `samples` samples."""
    width = before + 1 + after
    if width > samples:
        msg = (
            f"window must fit the waveform (got {width} samples, waveform has {samples}); "
            "lower `before` or `after`, or check the sampling rate"
        )
        raise InputError(msg)


def find_candidates(
    millivolts: NDArray[np.float32], before: int, after: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return waveform and sample of every candidate, ascending.

    A candidate is a sample i with w[i] - w[i-1] > w[i+1] - w[i] around which a whole window fits.

    Arguments:
        millivolts: (waveforms, samples) with signals going up.
        before, after: samples of the window on either side, >= 1.
    """
    check_window(before, after, millivolts.shape[1])
    rise = np.diff(millivolts, axis=1)
    bends = np.zeros(millivolts.shape, dtype=np.bool_)
    bends[:, 1:-1] = rise[:, :-1] > rise[:, 1:]
    bends[:, :before] = False
    bends[:, millivolts.shape[1] - after :] = False
    row, sample = np.nonzero(bends)
    return row, sample


def cut_windows(
    millivolts: NDArray[np.float32], row: NDArray[np.int64], sample: NDArray[np.int64], before: int, after: int
) -> NDArray[np.float32]:
    """Return (candidates, before + 1 + after) windows in mV, each with its mean taken off."""
    views = np.lib.stride_tricks.sliding_window_view(millivolts, before + 1 + after, axis=1)
    windows = views[row, sample - before]
    return np.asarray(windows - windows.mean(axis=1, keepdims=True), dtype=np.float32)


def select_peaks(
    row: NDArray[np.int64],
    sample: NDArray[np.int64],
    scores: NDArray[np.float32],
    threshold: float,
    separation: int,
) -> NDArray[np.bool_]:
    """Return which candidates are peaks: at least `threshold`, and the best within `separation` samples.

    Of candidates closer than `separation` samples in one waveform the one with the higher score stays, the earlier
    one of equals. `separation` <= 1 keeps all above threshold.
    """
    keep = np.flatnonzero(scores >= threshold)
    kept = _best_apart(row[keep], sample[keep], scores[keep].astype(np.float64), separation)
    selected = np.zeros(len(scores), dtype=np.bool_)
    selected[keep[kept]] = True
    return selected


@njit(cache=True)
def _best_apart(
    row: NDArray[np.int64], sample: NDArray[np.int64], scores: NDArray[np.float64], separation: int
) -> NDArray[np.bool_]:
    kept = np.zeros(len(row), np.bool_)
    dropped = np.zeros(len(row), np.bool_)
    for i in np.argsort(-scores, kind="mergesort"):
        if dropped[i]:
            continue
        kept[i] = True
        for step in (-1, 1):
            j = i + step
            while 0 <= j < len(row) and row[j] == row[i] and abs(sample[j] - sample[i]) < separation:
                dropped[j] = True
                j += step
    return kept
