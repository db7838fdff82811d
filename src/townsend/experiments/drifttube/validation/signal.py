"""Induced currents before any electronics: ours against single avalanches and 2,450 events of Garfield++.

Two kinds of rows. From the reference's own electrons and avalanches: only the shape of the pulse is ours. Two figures
are made of the differences, bin by bin of 1 ns: the largest difference of the mean waveforms over the peak of the
mean waveform; and of each event the mean of the absolute differences, from its first arrival to 20 ns after its last,
over the event's own peak, then the mean over the events. From our own electrons: the whole chain, at the impact
parameters of the reference.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.validation.arrivals import SETTINGS
from townsend.experiments.drifttube.validation.currents import (
    THRESHOLD_UA,
    charges,
    collected,
    current_table,
    currents,
    peak_currents,
    times_over_threshold,
)
from townsend.experiments.drifttube.validation.electrons import (
    copies_of,
    first_arrivals,
    last_arrivals,
    our_electrons,
)
from townsend.experiments.drifttube.validation.mean_pulse import (
    BINS,
    KNOTS_NS,
    in_bins,
    mean_pulse,
    mean_pulse_error,
)
from townsend.experiments.drifttube.validation.reference_files import (
    WAVEFORM_FILES,
    Reference,
    SinglePulse,
    Waveforms,
)
from townsend.experiments.drifttube.validation.statistics import DECILES, Resampling, Values, compare
from townsend.experiments.drifttube.validation.verdicts import Label, Row, point_row, worst_row

__all__ = [
    "GROUP",
    "arrival_of",
    "mean_pulse_row",
    "mean_waveforms",
    "pulse_bins",
    "pulse_row",
    "signal_rows",
    "waveform_rows",
]

Floats = NDArray[np.float64]

GROUP = "signal"
PULSE_LIMIT_PERCENT = 3.0
WAVEFORM_LIMIT_PERCENT = 2.0
DISTRIBUTION_LIMIT_PERCENT = 5.0
_AFTER_LAST_NS = 20
_EARLY_BINS = 10  # in which a pulse changes
_JUST_AFTER_NS = 1e-9  # at the arrival itself the electrons' share is there
_FITTED_EVENTS = 250
_QUANTITIES = (
    ("charge of a track within 1,024 ns", "fC", charges),
    ("peak current of a track", "uA", peak_currents),
    (f"time over {THRESHOLD_UA:g} uA", "ns", times_over_threshold),
)


def signal_rows(reference: Reference, tracks: int, seed: int, settings: DriftTubeSettings = SETTINGS) -> list[Row]:
    """Return the rows of this group.

    Arguments:
        reference: the files.
        tracks: twice about how many of ours; rounded to whole copies of the reference's events.
        seed: of ours and of the resampling.
        settings: of ours.
    """
    waveforms = [reference.waveforms(name) for name in WAVEFORM_FILES]
    table = current_table(settings, waveforms[0].current_uA.shape[1])
    pulses = [mean_pulse(given) for given in waveforms]
    rows = [mean_pulse_row(given, pulse, settings) for given, pulse in zip(waveforms, pulses, strict=True)]
    rows.append(pulse_row(reference.single_pulse(), pulses[-1], settings))
    for given in waveforms:
        rows += waveform_rows(given, table)
    return rows + _distribution_rows(waveforms, table, tracks, seed, settings)


def arrival_of(pulse: SinglePulse) -> float:
    """Return when the single electron arrives: in the bin of the electrons' current, as late as the ions' allows.

    In that bin the ions flow only from the arrival on, with about the current of the next one.
    """
    here = int(np.argmax(pulse.electrons_fC))
    width_ns = np.diff(pulse.end_ns, prepend=0.0)
    rate = pulse.ions_fC / width_ns
    return float(pulse.end_ns[here] - width_ns[here] * min(rate[here] / rate[here + 1], 1.0))


def pulse_bins(pulse: SinglePulse, settings: DriftTubeSettings) -> tuple[Floats, Floats, Floats]:
    """Return ends of 1 ns bins [ns] and the mean current [uA] in them, the reference's and ours."""
    ends_ns = np.arange(0.0, np.floor(pulse.end_ns[-1]) + 1)
    known_ns = np.append(0.0, pulse.end_ns)
    charge_fC = np.append(0.0, np.cumsum(pulse.electrons_fC + pulse.ions_fC))
    theirs = np.diff(np.interp(ends_ns, known_ns, charge_fC))
    ours = pulse.avalanche_fC * np.diff(collected(ends_ns - arrival_of(pulse), settings))
    return ends_ns[1:], theirs, ours


def mean_pulse_row(given: Waveforms, pulse: Floats, settings: DriftTubeSettings) -> Row:
    """Return the row of the mean pulse of all avalanches, worst of its bins of 1 ns."""
    theirs, error, ours = (
        in_bins(pulse),
        mean_pulse_error(given),
        in_bins(collected(KNOTS_NS + _JUST_AFTER_NS, settings)),
    )
    points = [
        point_row(
            Label(GROUP, "mean pulse", f"{k} to {k + 1} ns", "% of charge"),
            (100 * float(theirs[k]), 100 * float(error[k])),
            (100 * float(ours[k]), 0.0),
            PULSE_LIMIT_PERCENT,
            whole=100 * float(theirs.max()),
        )
        for k in range(BINS)
    ]
    avalanches = f"{len(given.electrons.track):,} avalanches at every place in a bin of 1 ns"
    note = "the ions' constants were fitted to these" if len(given.current_uA) == _FITTED_EVENTS else ""
    return worst_row(Label(GROUP, "mean pulse, % of its peak", avalanches, "% of charge"), points, note=note)


def pulse_row(pulse: SinglePulse, mean: Floats, settings: DriftTubeSettings) -> Row:
    """Return the row of the pulse of one avalanche, worst of its bins of 1 ns.

    Its error is how far the reference's mean pulse lies from it, which is from the same program at the same settings.
    """
    ends_ns, theirs, ours = pulse_bins(pulse, settings)
    apart = theirs[:BINS] - pulse.avalanche_fC * in_bins(mean, arrival_of(pulse))
    error = float(np.sqrt(np.mean(apart[:_EARLY_BINS] ** 2)))
    points = [
        point_row(
            Label(GROUP, "pulse of one avalanche", f"{end - 1:.0f} to {end:.0f} ns", "uA"),
            (float(their), error),
            (float(our), 0.0),
            PULSE_LIMIT_PERCENT,
            whole=float(theirs.max()),
        )
        for end, their, our in zip(ends_ns, theirs, ours, strict=True)
    ]
    label = Label(GROUP, "pulse of one avalanche, % of its peak", f"{len(points)} bins of 1 ns", "uA")
    spread = "how far the reference's own mean pulse lies from it"
    note = f"arrival at {arrival_of(pulse):.2f} ns, from the file's own ions; error: {spread}"
    return worst_row(label, points, note=note)


def mean_waveforms(given: Waveforms, table: Floats) -> tuple[Floats, Floats, Floats]:
    """Return (bins,) the reference's mean current, ours from its electrons, and the error of their difference [uA]."""
    difference = currents(given.electrons, table) - given.current_uA
    theirs = given.current_uA.mean(axis=0)
    error = difference.std(axis=0, ddof=1) / np.sqrt(len(difference))
    return theirs, theirs + difference.mean(axis=0), error


def waveform_rows(given: Waveforms, table: Floats) -> list[Row]:
    """Return the rows of waveforms made from the reference's electrons and avalanches."""
    population = f"{len(given.current_uA):,} events, the reference's electrons"
    theirs, ours, error = mean_waveforms(given, table)
    bins = [
        point_row(
            Label(GROUP, "mean waveform", f"{k} to {k + 1} ns", "uA"),
            (float(theirs[k]), float(error[k])),
            (float(ours[k]), 0.0),
            WAVEFORM_LIMIT_PERCENT,
            whole=float(theirs.max()),
        )
        for k in range(len(theirs))
    ]
    mean = worst_row(Label(GROUP, "mean waveform, % of its peak", population, "uA"), bins)

    difference = _differences(given, table)
    each = point_row(
        Label(GROUP, "mean |difference| of an event, % of its peak", population, "%"),
        (0.0, 0.0),
        (float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))),
        WAVEFORM_LIMIT_PERCENT,
        absolute=True,
    )
    return [mean, each]


def _differences(given: Waveforms, table: Floats) -> Floats:
    """Return for each event with electrons the mean absolute difference over its signal, in per cent of its peak."""
    first, last = first_arrivals(given.electrons), last_arrivals(given.electrons)
    theirs = given.current_uA[first.track]
    difference = np.abs(currents(given.electrons, table)[first.track] - theirs)
    bins = np.arange(theirs.shape[1])
    after, before = np.floor(first.value)[:, None], (last.value + _AFTER_LAST_NS)[:, None]
    signal = (bins >= after) & (bins < before)
    mean = (difference * signal).sum(axis=1) / signal.sum(axis=1)
    return np.asarray(100 * mean / theirs.max(axis=1))


def _distribution_rows(
    waveforms: list[Waveforms], table: Floats, tracks: int, seed: int, settings: DriftTubeSettings
) -> list[Row]:
    current_uA = np.concatenate([given.current_uA for given in waveforms])
    impact_cm = np.concatenate([given.electrons.impact_cm for given in waveforms])
    theirs = [of(current_uA) for _, _, of in _QUANTITIES]
    copies = copies_of(len(impact_cm), tracks // 2)
    ours: list[list[Values]] = [[] for _ in _QUANTITIES]
    for copy in our_electrons(impact_cm, settings, copies, seed, "validate signal"):
        current_uA = currents(copy, table)
        for (_, _, of), found in zip(_QUANTITIES, ours, strict=True):
            found.append(of(current_uA))
    resampling = Resampling(impact_cm, seed)
    population = f"{len(impact_cm):,} events, our electrons"
    rows = []
    for (quantity, unit, _), their, our in zip(_QUANTITIES, theirs, ours, strict=True):
        label = Label(GROUP, quantity, population, unit)
        rows += compare(label, their, our, resampling, DECILES, DISTRIBUTION_LIMIT_PERCENT)
    return rows
