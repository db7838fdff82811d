"""When the first electron of a track arrived: what the data themselves tell of its distance from the wire.

What to use when
----------------
- `first_arrival_ns`: of found peaks, for the calibration of the number of clusters.

The nearest cluster drifts least, so that its time grows with the distance of the track from the wire: the drift-time
relation that trackers use. Clusters are some distance apart along the track, hence the first of them lies beyond the
point of closest approach, most so where clusters are few.
"""

from __future__ import annotations

import awkward as ak
import numpy as np
from numpy.typing import NDArray

__all__ = ["EARLIEST_NS", "first_arrival_ns"]

EARLIEST_NS = -2.0
"""Earliest peak, since the passage of the track, that may be an electron: times are found to about 2 ns."""


def first_arrival_ns(time_ns: ak.Array, t0_ns: float, max_drift_ns: float) -> NDArray[np.float32]:
    """Return the (n,) time of the first found peak since the passage of the track, NaN where no peak was found.

    Peaks more than 2 ns before the track are noise and left out. Where peaks were found but all of them are noise, the
    longest drift time stands: no electron came earlier. Times are clipped to [0, longest drift time], since no electron
    comes at another.

    A noise peak between the track and its first electron is taken for the electron. The error of `t0_ns` is one of all
    first arrivals.

    Arguments:
        time_ns: (n, ragged) arrivals on the waveform's clock.
        t0_ns: passage of the track on the same clock.
        max_drift_ns: longest drift time.
    """
    since = time_ns - t0_ns
    first = ak.min(since[since >= EARLIEST_NS], axis=1)
    found = np.asarray(ak.to_numpy(ak.fill_none(first, max_drift_ns)), np.float64)
    clipped = np.clip(found, 0.0, max_drift_ns)
    return np.where(ak.to_numpy(ak.num(time_ns)) > 0, clipped, np.nan).astype(np.float32)
