"""Electrons of many tracks as flat lists, those of the reference and ours at the same impact parameters.

What to use when
----------------
- `our_electrons`: simulate copies of the reference's tracks.
- `arrival_times`, `first_arrivals`, `last_arrivals`, `separations`, `spreads`, `sizes`: the distributions compared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.simulation.drift import drift_relation, survive
from townsend.experiments.drifttube.simulation.ionization import clusters_at, draw_electrons
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import draw_avalanches
from townsend.experiments.drifttube.simulation.streams import stream
from townsend.experiments.drifttube.validation.statistics import Values

__all__ = [
    "LEAST_COPIES",
    "TrackElectrons",
    "arrival_times",
    "copies_of",
    "first_arrivals",
    "last_arrivals",
    "our_electrons",
    "separations",
    "sizes",
    "spreads",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

LEAST_COPIES = 4


@dataclass(frozen=True)
class TrackElectrons:
    """Electrons that reach the wire.

    Arguments:
        impact_cm: (tracks,) impact parameters.
        track: (electrons,) track of each, counted from 0.
        cluster: (electrons,) its cluster, counted through all tracks.
        time_ns: (electrons,) arrival after the passage of the track.
        charge_fC: (electrons,) of its avalanche; empty where there was none.
    """

    impact_cm: Floats
    track: Ints
    cluster: Ints
    time_ns: Floats
    charge_fC: Floats


def copies_of(tracks: int, wanted: int) -> int:
    """Return how many copies of a reference of `tracks` tracks hold about `wanted` tracks, at least `LEAST_COPIES`."""
    return max(LEAST_COPIES, round(wanted / tracks))


def our_electrons(
    impact_cm: Floats, settings: DriftTubeSettings, copies: int, seed: int, name: str
) -> Iterator[TrackElectrons]:
    """Simulate tracks at given impact parameters, all of them `copies` times.

    Arguments:
        impact_cm: (tracks,) below the tube's radius.
        settings: of the simulation; its beam is not asked.
        seed, name: name the random streams.
    """
    relation = drift_relation(settings.tube)
    for copy in range(copies):
        random = stream(seed, name, copy)
        clusters = clusters_at(impact_cm, settings, random)
        cluster, radius_cm = draw_electrons(clusters, settings, random)
        time_ns = relation.draw(radius_cm, random)
        kept = survive(relation, settings.drift, radius_cm, time_ns, random)
        cluster = cluster[kept]
        charge_fC = draw_avalanches(settings.avalanche, len(cluster), random)
        yield TrackElectrons(impact_cm, clusters.track[cluster], cluster, time_ns[kept], charge_fC)


def _by_cluster(electrons: TrackElectrons) -> tuple[Ints, Ints, Ints]:
    """Return the track of each cluster that has electrons, the cluster of each electron and their numbers."""
    _, first, cluster, number = np.unique(electrons.cluster, return_index=True, return_inverse=True, return_counts=True)
    return electrons.track[first], cluster, number


def arrival_times(electrons: TrackElectrons) -> Values:
    """Return the arrivals of all electrons [ns]."""
    return Values(electrons.time_ns, electrons.track)


def first_arrivals(electrons: TrackElectrons) -> Values:
    """Return the first arrival of each track that has one [ns]."""
    first = np.full(len(electrons.impact_cm), np.inf)
    np.minimum.at(first, electrons.track, electrons.time_ns)
    return _finite(first)


def last_arrivals(electrons: TrackElectrons) -> Values:
    """Return the last arrival of each track that has one [ns]."""
    last = np.full(len(electrons.impact_cm), -np.inf)
    np.maximum.at(last, electrons.track, electrons.time_ns)
    return _finite(last)


def _finite(of_track: Floats) -> Values:
    track = np.flatnonzero(np.isfinite(of_track))
    return Values(of_track[track], track)


def separations(electrons: TrackElectrons) -> Values:
    """Return the times between the first electrons of clusters that follow one another in a track [ns]."""
    track, cluster, _ = _by_cluster(electrons)
    first = np.full(len(track), np.inf)
    np.minimum.at(first, cluster, electrons.time_ns)
    order = np.lexsort((first, track))
    same = np.diff(track[order]) == 0
    return Values(np.diff(first[order])[same], track[order][1:][same])


def spreads(electrons: TrackElectrons) -> Values:
    """Return the standard deviation (n - 1) of the arrivals within each cluster of two electrons or more [ns]."""
    track, cluster, number = _by_cluster(electrons)
    mean = np.bincount(cluster, electrons.time_ns) / number
    squares = np.bincount(cluster, (electrons.time_ns - mean[cluster]) ** 2)
    several = number >= 2
    return Values(np.sqrt(squares[several] / (number[several] - 1)), track[several])


def sizes(electrons: TrackElectrons, largest: float = np.inf) -> Values:
    """Return the electrons of each cluster that has any, larger ones counted as `largest`."""
    track, _, number = _by_cluster(electrons)
    return Values(np.minimum(number, largest).astype(np.float64), track)
