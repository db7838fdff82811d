"""Which of many points no other one betters in every respect (Pareto 1906)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["front"]


def front(points: NDArray[np.float64], maximise: Sequence[bool]) -> NDArray[np.bool_]:
    """Return which points are on the front: no other is as good in both objectives and better in one.

    Points that are equal are on it together; one with a NaN is never on it. In O(n log n).

    Arguments:
        points: (n, 2) values of two objectives.
        maximise: for each of the two, whether larger is better.
    """
    better = points * np.where(np.asarray(maximise), 1.0, -1.0)
    kept = np.zeros(len(points), dtype=bool)
    index = np.flatnonzero(np.isfinite(better).all(axis=1))
    index = index[np.lexsort((-better[index, 1], -better[index, 0]))]
    if not len(index):
        return kept
    first, second = better[index].T
    starts = np.concatenate([[True], first[1:] != first[:-1]])
    group = np.cumsum(starts) - 1
    highest = second[starts]  # in each group of equal first values, as they are sorted
    before = np.concatenate([[-np.inf], np.maximum.accumulate(highest)[:-1]])
    kept[index] = (second == highest[group]) & (second > before[group])
    return kept
