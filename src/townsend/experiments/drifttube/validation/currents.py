"""Induced current before any electronics, in bins of 1 ns as Garfield++ writes it, and what is measured on it.

What to use when
----------------
- `currents`: waveforms of given electrons and avalanches.
- `charges`, `peak_currents`, `times_over_threshold`: one number a track.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.simulation.induction import electron_share, induced_charge
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import superpose
from townsend.experiments.drifttube.validation.electrons import TrackElectrons
from townsend.experiments.drifttube.validation.statistics import Values

__all__ = [
    "THRESHOLD_UA",
    "charges",
    "collected",
    "current_table",
    "currents",
    "peak_currents",
    "times_over_threshold",
]

Floats = NDArray[np.float64]

THRESHOLD_UA = 2.0
"""About the highest bin of one avalanche of mean size."""
_STEPS = 64


def collected(time_ns: Floats, settings: DriftTubeSettings) -> Floats:
    """Return the share of an avalanche's charge that has been induced a time after its arrival, 0 before it."""
    electrons = np.where(time_ns >= 0, electron_share(settings.tube), 0.0)
    return electrons + induced_charge(time_ns, settings.tube, settings.signal)


def current_table(settings: DriftTubeSettings, bins: int) -> Floats:
    """Return (steps + 1, bins + 1) the charge of an avalanche of 1 fC in bins that end step / steps + bin ns later.

    The layout is that of `signal.superpose`; the last row is the limit from the left, where the electrons' charge still
    lies in the first bin.
    """
    ends_ns = np.arange(_STEPS + 1)[:, None] / _STEPS + np.arange(bins + 1)
    table = collected(ends_ns, settings) - collected(ends_ns - 1, settings)
    table[-1, 0] = collected(np.ones(1), settings)[0]
    return np.ascontiguousarray(table)


def currents(electrons: TrackElectrons, table: Floats) -> Floats:
    """Return (tracks, bins) the induced current [uA = fC/ns], positive; bin k is from k to k + 1 ns after the track.

    Arguments:
        electrons: with charges.
        table: of `current_table`, for as many bins.
    """
    bins = table.shape[1] - 1
    ending_at = np.zeros((len(electrons.impact_cm), bins + 1))  # column k: the bin that ends at k ns
    superpose(electrons.track, electrons.time_ns, electrons.charge_fC, table, ending_at)
    return ending_at[:, 1:]


def charges(current_uA: Floats) -> Values:
    """Return the charge of each track within its record [fC]."""
    return _of_tracks(current_uA.sum(axis=1))


def peak_currents(current_uA: Floats) -> Values:
    """Return the highest bin of each track [uA]."""
    return _of_tracks(current_uA.max(axis=1))


def times_over_threshold(current_uA: Floats) -> Values:
    """Return how long the current of each track is above `THRESHOLD_UA` [ns].

    The current runs straight between the middles of the bins, so that times are not whole numbers.
    """
    left, right = current_uA[:, :-1] - THRESHOLD_UA, current_uA[:, 1:] - THRESHOLD_UA
    above, below = np.maximum(left, right), np.minimum(left, right)
    step = above - below
    share = np.where(below >= 0, 1.0, np.maximum(above, 0.0) / np.where(step > 0, step, 1.0))
    return _of_tracks(share.sum(axis=1))


def _of_tracks(value: Floats) -> Values:
    return Values(value, np.arange(len(value)))
