"""Volts as int16 counts of the finest common step."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["step_of", "to_fixed_point"]

FULL_SCALE = 32767


def step_of(largest_volts: float) -> float:
    """Return the size of one count [V] with which `largest_volts`, >= 0, is 32767 counts."""
    step = largest_volts / FULL_SCALE
    return step if step >= np.finfo(np.float64).tiny else 1.0 / FULL_SCALE  # nothing but zeros: any step will do


def to_fixed_point(volts: NDArray[np.floating[Any]]) -> tuple[NDArray[np.int16], float]:
    """Return counts and the size of one count [V], such that the largest |V| is 32767 counts.

    Arguments:
        volts: finite, of any shape; the rounding error is at most half a count.
    """
    step = step_of(float(np.max(np.abs(volts), initial=0.0)))
    return np.rint(volts / np.float64(step)).astype(np.int16), step
