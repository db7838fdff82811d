"""Arrival times of the electrons of whole tracks: ours against 10,000 tracks of Garfield++.

Both have the same impact parameters. Garfield++'s tracks were drifted with steps four times longer than those of its
x-t files, so that its arrivals are late: 2.4 % at 0.01 cm, 1.1 % at 0.09 cm, 0.5 % at 0.19 cm and 0.13 to 0.23 % from
0.29 cm on (`reference/PROVENANCE.md`). Ours are made as late as that before they are compared, and the note of a row
says what comes out without it; it matters for arrivals close to the wire.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np

from townsend.experiments.drifttube.simulation.drift import drift_relation
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings
from townsend.experiments.drifttube.validation.electrons import (
    TrackElectrons,
    arrival_times,
    copies_of,
    first_arrivals,
    last_arrivals,
    our_electrons,
    separations,
    sizes,
    spreads,
)
from townsend.experiments.drifttube.validation.reference_files import Reference
from townsend.experiments.drifttube.validation.statistics import DECILES, Figure, Resampling, compare, figures_of
from townsend.experiments.drifttube.validation.verdicts import Label, Row

__all__ = ["GROUP", "LIMIT_PERCENT", "SETTINGS", "arrival_rows", "delayed"]

GROUP = "arrivals"
LIMIT_PERCENT = 3.0
SETTINGS = DriftTubeSettings(track=TrackSettings(impact="uniform"))
"""The reference's set-up: muons of 10 GeV/c, 90/10, 45 degrees, 1460 V, W = 39.51 eV."""

_LATENESS = ((0.01, 0.024), (0.09, 0.011), (0.19, 0.005), (0.29, 0.0018), (0.40, 0.0018))
"""Distance from the wire [cm] of an electron, and the share by which the reference's coarse steps make it late."""

_LARGEST = 100
_TIMES = (
    ("arrival of an electron", arrival_times),
    ("first arrival of a track", first_arrivals),
    ("last arrival of a track", last_arrivals),
)
_OTHERS = (
    ("time between clusters' first electrons", "ns", separations, (*DECILES, Figure("share", 2.0))),
    ("spread inside a cluster of two or more", "ns", spreads, DECILES),
    ("electrons of a cluster in the tube", "", sizes, (Figure("mean"), Figure("share", 1))),
    (f"the same, {_LARGEST} at most", "", partial(sizes, largest=_LARGEST), (Figure("mean"),)),
)


def arrival_rows(reference: Reference, tracks: int, seed: int, settings: DriftTubeSettings = SETTINGS) -> list[Row]:
    """Return the rows of this group.

    Arguments:
        reference: the files.
        tracks: half of about how many of ours; rounded to whole copies of the reference's tracks.
        seed: of ours and of the resampling.
        settings: of ours.
    """
    theirs = reference.tracks()
    number = len(theirs.impact_cm)
    as_they_are = list(
        our_electrons(theirs.impact_cm, settings, copies_of(number, 2 * tracks), seed, "validate arrivals")
    )
    ours = [delayed(copy, settings) for copy in as_they_are]
    resampling = Resampling(theirs.impact_cm, seed)
    rows = []
    for quantity, of in _TIMES:
        label = Label(GROUP, quantity, f"{number:,} tracks, coarse steps", "ns")
        plain = np.mean([figures_of(of(copy), DECILES) for copy in as_they_are], axis=0)
        notes = [f"without coarse steps {100 * share:+.2f} %" for share in plain / figures_of(of(theirs), DECILES) - 1]
        rows += compare(label, of(theirs), [of(copy) for copy in ours], resampling, DECILES, LIMIT_PERCENT, notes)
    for quantity, unit, of, figures in _OTHERS:
        label = Label(GROUP, quantity, f"{number:,} tracks, coarse steps", unit)
        rows += compare(label, of(theirs), [of(copy) for copy in ours], resampling, figures, LIMIT_PERCENT)
    return rows


def delayed(electrons: TrackElectrons, settings: DriftTubeSettings) -> TrackElectrons:
    """Return electrons as late as the reference's coarse steps would have made them, by their distance at the start."""
    relation = drift_relation(settings.tube)
    start_cm = np.interp(electrons.time_ns, relation.time_ns, relation.radius_cm)
    late = np.interp(start_cm, *np.transpose(_LATENESS))
    return replace(electrons, time_ns=electrons.time_ns * (1 + late))
