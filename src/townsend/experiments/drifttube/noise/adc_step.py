"""The step of a digitiser, seen in the samples it has written.

What to use when
----------------
- `adc_step`: the smallest common difference of all samples, and how far apart the levels are that really occur.

A file may have rounded the samples since (float32, or a reader's own fixed-point scale), so that differences are
multiples of the step only nearly. All samples u lie on a lattice of step s where |mean exp(2 pi i u / s)| is near 1;
the largest such s is the answer. The levels that occur may be further apart: a converter of fewer bits whose codes
were calibrated or written in finer units.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Step", "adc_step"]

_COHERENT = 0.97  # of |mean exp|: steps of 4 counts and more, whose rounding error is uniform, reach 0.90 to 1
_SMALLEST = 6.0  # counts; sin(pi/6) / (pi/6) = 0.955, and a lattice any finer cannot be told from rounding
_LEVELS = 400


class Step(NamedTuple):
    """Both in counts of the file; None where no lattice is seen, or fewer than two levels occur."""

    step: float | None
    spacing: float | None


def adc_step(counts: NDArray[np.int16], *, rounded: bool) -> Step:
    """Return the step of the digitiser.

    Arguments:
        counts: samples as read, of any shape.
        rounded: whether a reader chose the count, so that it says nothing of the digitiser.
    """
    levels = np.unique(counts).astype(np.float64)
    if len(levels) < 2:
        return Step(None, None)
    gaps = np.diff(levels)
    centre = np.searchsorted(levels, np.median(counts))
    near = levels[max(0, centre - _LEVELS // 2) : centre + _LEVELS // 2]
    spacing = float(np.median(np.diff(near)))
    if rounded:
        return Step(_lattice(near, levels), spacing)
    return Step(float(np.gcd.reduce(gaps.astype(np.int64))), spacing)


def _lattice(near: NDArray[np.float64], levels: NDArray[np.float64]) -> float | None:
    """Return the largest step of which all levels are multiples but for rounding; found near, refined on all."""
    span = near[-1] - near[0]
    largest = float(np.min(np.diff(near)[np.diff(near) > 1], initial=np.inf)) + 1
    if not np.isfinite(largest) or largest < _SMALLEST:
        return None
    per_count = np.arange(1 / largest, 1 / _SMALLEST, 0.1 / span)
    good = np.flatnonzero(_coherence(near, per_count) > _COHERENT)
    if not len(good):
        return None
    found = per_count[good[0]]
    for values in (near, levels):  # the nearest maximum, ever sharper
        width = 0.5 / (values[-1] - values[0])
        around = found + np.linspace(-width, width, 101)
        found = around[np.argmax(_coherence(values, around))]
    return float(1 / found)


def _coherence(values: NDArray[np.float64], per_count: NDArray[np.float64]) -> NDArray[np.float64]:
    turned = [np.abs(np.mean(np.exp(2j * np.pi * inverse * values))) for inverse in per_count]
    return np.asarray(turned)
