"""From electrons to clusters by time alone: neighbours closer than diffusion spreads them belong together.

What to use when
----------------
- `associate`: the number of clusters of many waveforms, from times of electrons (true ones, or peaks found).

The rule is the classical one of the beam tests of the Bari and Lecce groups: electrons of one cluster spread by
diffusion, which grows as the square root of the drift time. Poor approximations: neighbouring clusters closer than
the cut become one, and a cluster whose electrons lie further apart becomes two.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError

__all__ = ["associate", "check_cut_scale"]


def check_cut_scale(scale: float) -> None:
    """Raise InputError unless the scale of the cut is a finite number, 0 or more."""
    if not (np.isfinite(scale) and scale >= 0):
        msg = f"cut_scale must be 0 or more (got {scale:g}); published values lie between 0.20 and 0.30 ns^1/2"
        raise InputError(msg)


def associate(
    row: NDArray[np.integer], time_ns: NDArray[np.floating], waveforms: int, scale: float
) -> NDArray[np.int64]:
    """Return (waveforms,) number of clusters.

    In order of time, an electron opens a new cluster where t_i - t_(i-1) > scale * sqrt(t_i).

    Arguments:
        row: (n,) waveform of each electron, 0 <= row < waveforms, in any order.
        time_ns: (n,) arrival since the track passed: a time on the waveform's clock less t0, and less the delay of
            the response where it comes from a peak. What lies before the passage (noise) counts as at 0.
        waveforms: how many there are; one without electrons has no cluster.
        scale: of the cut [ns^1/2], >= 0; 0 counts distinct times.

    Raises InputError for a scale that is negative or not finite.
    """
    check_cut_scale(scale)
    order = np.lexsort((time_ns, row))
    ordered = row[order].astype(np.int64)
    since_ns = np.maximum(time_ns[order].astype(np.float64), 0.0)
    opens = np.ones(len(ordered), np.bool_)
    opens[1:] = (np.diff(ordered) != 0) | (np.diff(since_ns) > scale * np.sqrt(since_ns[1:]))
    return np.bincount(ordered[opens], minlength=waveforms)
