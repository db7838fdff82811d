"""Found peaks against true arrivals: merging what cannot be resolved, and optimal one-to-one matching.

What to use when
----------------
- `merge_arrivals`: truth that a finder can hope for, given its double-pulse time.
- `match`: the one-to-one assignment of one waveform; `match_lists`: of many waveforms, flat.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from townsend.errors import InputError

__all__ = ["check_tolerance", "match", "match_lists", "merge_arrivals"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def check_tolerance(tolerance_ns: float) -> None:
    """Raise InputError unless the tolerance is a finite number above zero."""
    if not (np.isfinite(tolerance_ns) and tolerance_ns > 0):
        msg = f"tolerance_ns must be above 0 (got {tolerance_ns:g}); 2 ns is the project's definition"
        raise InputError(msg)


def merge_arrivals(row: Ints, time_ns: Floats, weight: Floats, double_pulse_ns: float) -> tuple[Ints, Floats]:
    """Return waveform and time of arrivals after merging those closer than the double-pulse time.

    An arrival joins the group opened by the first arrival less than `double_pulse_ns` before it; the group's time
    is the mean weighted by `weight`.

    Arguments:
        row: (n,) waveform of each arrival, ascending.
        time_ns: (n,) ascending within a waveform.
        weight: (n,) > 0, the charge.
        double_pulse_ns: >= 0; 0 merges equal times only.
    """
    group = _groups(row.astype(np.int64), time_ns.astype(np.float64), double_pulse_ns)
    if len(group) == 0:
        return row[:0].astype(np.int64), time_ns[:0].astype(np.float64)
    total = np.bincount(group, weights=weight)
    merged = np.bincount(group, weights=weight * time_ns) / total
    first = np.flatnonzero(np.diff(group, prepend=-1))
    return row[first].astype(np.int64), merged


@njit(cache=True)
def _groups(row: Ints, time_ns: Floats, double_pulse_ns: float) -> Ints:
    group = np.empty(len(row), np.int64)
    number, opened_row, opened_ns = -1, -1, 0.0
    for i in range(len(row)):
        gap = time_ns[i] - opened_ns
        if row[i] != opened_row or not (gap < double_pulse_ns or gap == 0.0):
            number, opened_row, opened_ns = number + 1, row[i], time_ns[i]
        group[i] = number
    return group


@njit(cache=True)
def match(found_ns: Floats, true_ns: Floats, tolerance_ns: float) -> Ints:
    """Return, for each found time, the index of its true time or -1.

    The assignment is one-to-one within the tolerance; it has the most pairs and, among those, the smallest sum of
    distances. For sorted times such an assignment never crosses, so a table over prefixes finds it
    (Needleman and Wunsch, J. Mol. Biol. 48 (1970) 443, with distance as score).

    Arguments:
        found_ns: (n,) ascending; true_ns: (m,) ascending; tolerance_ns: > 0, inclusive.
    """
    n, m = len(found_ns), len(true_ns)
    pair = tolerance_ns * (min(n, m) + 1) + 1.0  # one pair more outweighs any sum of distances
    best = np.zeros((n + 1, m + 1))
    for i in range(1, n + 1):
        for j in range(1, m + 1):
            value = max(best[i - 1, j], best[i, j - 1])
            distance = abs(found_ns[i - 1] - true_ns[j - 1])
            if distance <= tolerance_ns:
                value = max(value, best[i - 1, j - 1] + pair - distance)
            best[i, j] = value
    partner = np.full(n, -1, np.int64)
    i, j = n, m
    while i > 0 and j > 0:
        if best[i, j] == best[i - 1, j]:
            i -= 1
        elif best[i, j] == best[i, j - 1]:
            j -= 1
        else:
            i -= 1
            j -= 1
            partner[i] = j
    return partner


def match_lists(found_row: Ints, found_ns: Floats, true_row: Ints, true_ns: Floats, tolerance_ns: float) -> Ints:
    """Return, for each found time of many waveforms, the index of its true time in the flat list, or -1.

    Rows ascend; times ascend within a row. Raises InputError for a tolerance that is not above 0.
    """
    check_tolerance(tolerance_ns)
    return np.asarray(
        _match_lists(
            found_row.astype(np.int64),
            found_ns.astype(np.float64),
            true_row.astype(np.int64),
            true_ns.astype(np.float64),
            tolerance_ns,
        )
    )


@njit(cache=True)
def _match_lists(found_row: Ints, found_ns: Floats, true_row: Ints, true_ns: Floats, tolerance_ns: float) -> Ints:
    partner = np.full(len(found_row), -1, np.int64)
    start = 0
    while start < len(found_row):
        stop = np.searchsorted(found_row, found_row[start], side="right")
        low = np.searchsorted(true_row, found_row[start], side="left")
        high = np.searchsorted(true_row, found_row[start], side="right")
        local = match(found_ns[start:stop], true_ns[low:high], tolerance_ns)
        for k in range(stop - start):
            if local[k] >= 0:
                partner[start + k] = local[k] + low
        start = stop
    return partner
