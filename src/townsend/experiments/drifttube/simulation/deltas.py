"""Where the electrons of a cluster lie: along the path of the delta electron that made them.

An energy transfer T frees an electron that sets out at the angle of a collision with a free one, cos^2 = T / (T + 2 m),
and leaves an ionisation electron behind after each W of energy, until none is left. With k electrons still to come,
its next step is long `STEP_UM` x k^`STEP_POWER`, and its direction turns by `TURN` / k in the mean of 1 - cos: a range
that grows as T^1.7 and a path that curls up at its end. A delta electron that reaches the tube is gone.

Both constants of the step were fitted to the 250 Garfield++ events with positions of all electrons (Heed, 90/10). Of
0.6, 0.9 and 1.3 the turn is the one nearest to the radial extent of clusters in the 2,200 events. Other gases are
scaled by their density. Poor approximations: small clusters (photo-electrons and Auger electrons) are drawn as one path
too; it starts at right angles to the track, also where a photo-electron would not.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = ["follow_deltas"]

STEP_UM = 0.68
STEP_POWER = 0.68
TURN = 0.6
ELECTRON_MASS_EV = 510998.95
"""CODATA 2018."""


@njit(cache=True)
def follow_deltas(
    x_cm: NDArray[np.float64],
    y_cm: NDArray[np.float64],
    size: NDArray[np.int64],
    sine: float,
    step_cm: float,
    W_eV: float,
    tube_cm: float,
    uniform: NDArray[np.float64],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the cluster and the distance from the wire [cm] of each electron that is inside the tube.

    Arguments:
        x_cm, y_cm: (clusters,) positions across the wire; tracks run along y and, by `sine`, along the wire.
        size: (clusters,) electrons, >= 1.
        sine: of the angle between tracks and wire.
        step_cm: step before the last electron.
        W_eV: energy an electron.
        tube_cm: inner radius.
        uniform: (2 for each electron of a cluster of two or more,) random numbers in [0, 1).
    """
    cluster = np.empty(size.sum(), np.int64)
    radius_cm = np.empty(size.sum(), np.float64)
    kept = 0
    used = 0
    cosine = np.sqrt(1 - sine**2)
    for i in range(len(size)):
        if size[i] == 1:
            cluster[kept] = i
            radius_cm[kept] = np.hypot(x_cm[i], y_cm[i])
            kept += 1
            continue
        transfer_eV = size[i] * W_eV
        bend, turn = np.sqrt(transfer_eV / (transfer_eV + 2 * ELECTRON_MASS_EV)), 2 * np.pi * uniform[used]
        u, v, w = _turned(0.0, sine, cosine, bend, turn)
        x, y = x_cm[i], y_cm[i]
        for j in range(size[i]):
            left = size[i] - j
            if j > 0:
                bend = max(-1.0, 1 + TURN / left * np.log(1 - uniform[used + 2 * j + 1]))
                u, v, w = _turned(u, v, w, bend, 2 * np.pi * uniform[used + 2 * j])
            length = step_cm * left**STEP_POWER
            x += length * u
            y += length * v
            distance = np.hypot(x, y)
            if distance >= tube_cm:
                break
            cluster[kept] = i
            radius_cm[kept] = distance
            kept += 1
        used += 2 * size[i]
    return cluster[:kept], radius_cm[:kept]


@njit(cache=True)
def _turned(u: float, v: float, w: float, cosine: float, turn: float) -> tuple[float, float, float]:
    """Return the unit vector at an angle of the given cosine to (u, v, w), turned about it."""
    sine = np.sqrt(max(0.0, 1 - cosine**2))
    a, b = sine * np.cos(turn), sine * np.sin(turn)
    across = np.hypot(u, v)
    if across < 1e-9:
        return a, b, np.copysign(cosine, w)
    return (
        cosine * u + (a * u * w - b * v) / across,
        cosine * v + (a * v * w + b * u) / across,
        cosine * w - a * across,
    )
