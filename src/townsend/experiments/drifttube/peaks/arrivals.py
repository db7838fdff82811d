"""Flat lists of true arrivals, from the truth of a simulated sample.

What to use when
----------------
- `electrons`: every electron that arrives within the record.
- `visible_electrons`: those whose pulse stands out of the noise.
- `clusters_in_record`: the label of cluster counting.
"""

from __future__ import annotations

from typing import NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.sample.waveforms import Truth

__all__ = ["Electrons", "clusters_in_record", "electrons", "visible_electrons"]


class Electrons(NamedTuple):
    """(n,) waveform, arrival on the waveform's clock [ns], avalanche charge [fC] and cluster of each electron."""

    row: NDArray[np.int64]
    time_ns: NDArray[np.float64]
    charge_fC: NDArray[np.float64]
    cluster: NDArray[np.int64]


def electrons(truth: Truth, record_ns: float = np.inf) -> Electrons:
    """Return all electrons that arrive in [0, record_ns), in order of waveform and time."""
    row = np.repeat(np.arange(len(truth.impact_cm)), ak.to_numpy(ak.num(truth.electron_time_ns)))
    time_ns = ak.to_numpy(ak.flatten(truth.electron_time_ns)).astype(np.float64)
    charge_fC = ak.to_numpy(ak.flatten(truth.electron_charge_fC)).astype(np.float64)
    cluster = ak.to_numpy(ak.flatten(truth.electron_cluster)).astype(np.int64)
    inside = (time_ns >= 0) & (time_ns < record_ns)
    return Electrons(row[inside], time_ns[inside], charge_fC[inside], cluster[inside])


def visible_electrons(truth: Truth, visible_fC: float) -> Electrons:
    """Return the electrons whose avalanche has more than `visible_fC`, and those of unknown charge, as of 1 fC."""
    found = electrons(truth)
    visible = ~(found.charge_fC <= visible_fC)
    charge_fC = np.where(np.isnan(found.charge_fC), 1.0, found.charge_fC)  # none outweighs another where they merge
    return Electrons(found.row[visible], found.time_ns[visible], charge_fC[visible], found.cluster[visible])


def clusters_in_record(truth: Truth, record_ns: float) -> NDArray[np.int64]:
    """Return (waveforms,) number of primary clusters with at least one electron arriving in [0, record_ns)."""
    found = electrons(truth, record_ns)
    most = int(found.cluster.max(initial=0)) + 1
    seen = np.unique(found.row * most + found.cluster)
    return np.bincount(seen // most, minlength=len(truth.impact_cm))
