"""The mean pulse of all avalanches of a reference file, taken out of its waveforms.

What to use when
----------------
- `mean_pulse`: the share of an avalanche's charge collected up to a time after its arrival.
- `in_bins`: that in bins of 1 ns, for a given or for every place of the arrival within its bin.

Waveforms are sums of one pulse, each electron's at its own time and height, so the pulse follows from them by least
squares. It is taken as straight between `KNOTS_NS`, which lie closer than Garfield++ steps.
"""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.validation.reference_files import Waveforms

__all__ = ["BINS", "KNOTS_NS", "in_bins", "mean_pulse", "mean_pulse_error"]

Floats = NDArray[np.float64]

# fmt: off
KNOTS_NS = np.array([
    0.0, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.4, 1.8, 2.2, 2.7, 3.3, 4.0, 5.0, 6.5, 8.0, 10.0, 13.0, 17.0, 22.0, 30.0,
    40.0, 60.0, 100.0, 200.0, 400.0,
])
# fmt: on
BINS = 40
"""Bins of 1 ns in which pulses are compared."""
_PHASES = np.arange(20) / 20


def mean_pulse(given: Waveforms) -> Floats:
    """Return (knots,) the share of the charge collected at each of `KNOTS_NS` after the arrival.

    The first is the share at the arrival itself, which electrons induce.
    """
    ends_ns = np.arange(KNOTS_NS[-1] + 1)
    bins = len(ends_ns) - 1
    squares, products = np.zeros((len(KNOTS_NS), len(KNOTS_NS))), np.zeros(len(KNOTS_NS))
    electrons = given.electrons
    starts = np.searchsorted(electrons.track, np.arange(len(given.current_uA) + 1))
    for event, (first, last) in enumerate(pairwise(starts)):
        since_ns = ends_ns[:, None] - electrons.time_ns[first:last]
        charges = np.broadcast_to(electrons.charge_fC[first:last], since_ns.shape)
        design = np.diff(_hats(since_ns, charges), axis=0)
        squares += design.T @ design
        products += design.T @ given.current_uA[event, :bins]
    return np.asarray(np.linalg.solve(squares, products))


def _hats(since_ns: Floats, weights: Floats) -> Floats:
    """Return (times, knots) how much each knot's value counts at each time, summed over electrons."""
    row, _ = np.nonzero(since_ns > 0)
    since, weight = since_ns[since_ns > 0], weights[since_ns > 0]
    left = np.clip(np.searchsorted(KNOTS_NS, since, side="right") - 1, 0, len(KNOTS_NS) - 2)
    share = (since - KNOTS_NS[left]) / (KNOTS_NS[left + 1] - KNOTS_NS[left])
    hats = np.zeros((len(since_ns), len(KNOTS_NS)))
    np.add.at(hats, (row, left), weight * (1 - share))
    np.add.at(hats, (row, left + 1), weight * share)
    return hats


def mean_pulse_error(given: Waveforms) -> Floats:
    """Return (BINS,) the standard deviation of `in_bins` of the mean pulse, from the two halves of the events."""
    events = np.arange(len(given.current_uA))
    halves = [in_bins(mean_pulse(_events(given, events[start::2]))) for start in (0, 1)]
    return np.full(BINS, np.sqrt(np.mean((halves[0] - halves[1]) ** 2)) / 2)


def _events(given: Waveforms, events: NDArray[np.intp]) -> Waveforms:
    electrons = given.electrons
    kept = np.isin(electrons.track, events)
    fewer = replace(
        electrons,
        impact_cm=electrons.impact_cm[events],
        track=np.searchsorted(events, electrons.track[kept]),
        cluster=electrons.cluster[kept],
        time_ns=electrons.time_ns[kept],
        charge_fC=electrons.charge_fC[kept],
    )
    return Waveforms(given.current_uA[events], fewer)


def in_bins(collected: Floats, phase_ns: float | None = None) -> Floats:
    """Return (BINS,) the share of the charge in each bin of 1 ns, of an arrival `phase_ns` after the first bin begins.

    Arguments:
        collected: (knots,) as `mean_pulse` returns it.
        phase_ns: 0 to 1; None for the mean over all of them.
    """
    phases = _PHASES if phase_ns is None else np.array([phase_ns])
    since_ns = np.arange(BINS + 1.0) - phases[:, None]
    reached = np.where(since_ns > 0, np.interp(since_ns, KNOTS_NS, collected), 0.0)
    return np.asarray(np.diff(reached, axis=1).mean(axis=0))
