"""Volts as int16 counts of the finest common step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["to_fixed_point"]

FULL_SCALE = 32767


def to_fixed_point(volts: NDArray[np.floating[Any]]) -> tuple[NDArray[np.int16], float]:
    """Return counts and the size of one count [V], such that the largest |V| is 32767 counts.

    Arguments:
        volts: finite, of any shape; the rounding error is at most half a count.
    """
    largest = float(np.max(np.abs(volts), initial=0.0))
    step = largest / FULL_SCALE
    if step < np.finfo(np.float64).tiny:  # nothing but zeros: any step will do
        step = 1.0 / FULL_SCALE
    return np.rint(volts / np.float64(step)).astype(np.int16), step
