"""Induced currents of Garfield++ behind our amplifier, noise and digitiser.

What to use when
----------------
- `garfield_waveforms`: events of a file as `Waveforms` with full truth.
- `amplified_mV`: their voltages without noise, before the digitiser.

A current comes as means over bins, so every bin is a charge spread evenly over its width. The amplifier's answer to
such a box is tabulated in steps of 1/32 of a sample, as that to a single electron is, and every bin adds its answer
where it lies between two samples: the digitiser may have any rate and its clock any jitter. Poor approximation: the bin
does not say when in it the charge came, so structure below its width is smeared.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.config import resolved
from townsend.errors import InputError
from townsend.experiments.drifttube.reading.garfield_file import GarfieldEvents
from townsend.experiments.drifttube.simulation.digitizer import check_window, digitize, draw_jitter, step_mV
from townsend.experiments.drifttube.simulation.electronics import check_resolution, impulse_response
from townsend.experiments.drifttube.simulation.noise import draw_noise, draw_wander, noise_spectrum
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import STEPS_PER_SAMPLE, superpose
from townsend.experiments.drifttube.simulation.streams import BLOCK, stream
from townsend.sample.provenance import Provenance
from townsend.sample.waveforms import Truth, Waveforms

__all__ = ["amplified_mV", "box_response", "garfield_waveforms"]

_SPREADS = 5  # of the jitter by which a record may end later
NO_SEED = -1  # stands for the run: the tracks are of no seed of ours

Floats = NDArray[np.float64]
Drawn = NDArray[np.floating[Any]]


@cache
def box_response(settings: DriftTubeSettings, bin_ns: float) -> Floats:
    """Return the answer [mV] to 1 fC that comes evenly from 0 to `bin_ns`, as `signal.Response.table_mV`."""
    digitizer = settings.digitizer
    step_ns = 1 / (digitizer.sampling_rate_GHz * STEPS_PER_SAMPLE)
    check_resolution(settings.electronics, step_ns, digitizer.samples / digitizer.sampling_rate_GHz)
    edges_ns = step_ns * np.arange((digitizer.samples + 1) * STEPS_PER_SAMPLE + 1, dtype=np.float64)
    middles = impulse_response(edges_ns[:-1] + step_ns / 2, settings.electronics)
    area = np.append(0.0, np.cumsum(middles)) * step_ns
    output = (area - np.interp(edges_ns - bin_ns, edges_ns, area, left=0.0)) / bin_ns
    output *= settings.electronics.transimpedance_mV_per_uA
    rows = output[:-1].reshape(digitizer.samples + 1, STEPS_PER_SAMPLE).T
    return np.ascontiguousarray(np.vstack([rows[:, :-1], rows[:1, 1:]]))


def amplified_mV(events: GarfieldEvents, settings: DriftTubeSettings, start: int, stop: int, late_ns: Floats) -> Floats:
    """Return (stop - start, samples) voltages behind the amplifier, signals going up.

    Arguments:
        events: of a file; start, stop: which of them.
        settings: electronics, digitizer.
        late_ns: (stop - start,) how much later than `pretrigger_ns` each track passes.

    Raises InputError when the currents end before the record does.
    """
    digitizer = settings.digitizer
    _check_reach(events, digitizer)
    row, column = np.nonzero(events.current_uA[start:stop])
    charge_fC = events.current_uA[start:stop][row, column].astype(np.float64) * events.bin_ns
    begins_ns = events.start_ns + events.bin_ns * column + digitizer.pretrigger_ns + late_ns[row]
    signal_mV = np.zeros((stop - start, digitizer.samples))
    table_mV = box_response(settings, events.bin_ns)
    superpose(row, begins_ns * digitizer.sampling_rate_GHz, charge_fC, table_mV, signal_mV)
    return signal_mV


def _check_reach(events: GarfieldEvents, digitizer: DigitizerSettings) -> None:
    margin_ns = _SPREADS * digitizer.trigger_jitter_ns
    record_ns = digitizer.samples / digitizer.sampling_rate_GHz - digitizer.pretrigger_ns + margin_ns
    if events.end_ns < record_ns - 1e-9:
        rule = f"currents must reach to the end of the record, {record_ns:g} ns after the track"
        msg = f"{rule} (got {events.end_ns:g} ns); lower digitizer.samples or compute them for longer"
        raise InputError(msg)


def garfield_waveforms(
    events: GarfieldEvents,
    settings: DriftTubeSettings,
    start: int = 0,
    stop: int | None = None,
    *,
    first: int = 0,
    max_drift_ns: float | None = None,
) -> Waveforms:
    """Return events `start` to `stop` (excluded) as the digitiser sees them, with their truth.

    Arguments:
        events: of a file.
        settings: electronics, noise, digitizer and the seed of the noise; tracks and tube are not used.
        start, stop: 0 <= start < stop; all by default.
        first: number of the file's first event in the sample; it names the random numbers of each event.
        max_drift_ns: longest drift time of the sample; the latest arrival in the file by default.

    Raises InputError when the record does not hold the drift or the currents end before it.
    """
    stop = len(events) if stop is None else stop
    digitizer = settings.digitizer
    if max_drift_ns is None:
        max_drift_ns = float(events.electron_time_ns.max(initial=0.0))
    check_window(digitizer, max_drift_ns)
    number = np.arange(first + start, first + stop, dtype=np.int32)
    late_ns = _drawn(settings, "jitter", number, lambda random: draw_jitter(digitizer, BLOCK, random))
    noise, spectrum = settings.noise, noise_spectrum(settings.noise, digitizer)
    voltage_mV = digitizer.polarity * amplified_mV(events, settings, start, stop, late_ns)
    samples = digitizer.samples
    voltage_mV += _drawn(settings, "noise", number, lambda random: draw_noise(spectrum, BLOCK, samples, random))
    voltage_mV += _drawn(settings, "wander", number, lambda random: draw_wander(noise, digitizer, BLOCK, random))
    return Waveforms(
        samples=digitize(voltage_mV, digitizer),
        volts_per_count=step_mV(digitizer) * 1e-3,
        sampling_rate_ghz=digitizer.sampling_rate_GHz,
        polarity=digitizer.polarity,
        t0_ns=digitizer.pretrigger_ns,
        max_drift_ns=max_drift_ns,
        event=number,
        channel=np.zeros_like(number),
        track=number,
        run=np.full_like(number, NO_SEED),
        provenance=Provenance("read garfield", resolved(settings)),
        truth=_truth(events, start, stop, digitizer.pretrigger_ns + late_ns),
    )


def _drawn(
    settings: DriftTubeSettings, step: str, number: NDArray[np.int32], draw: Callable[[np.random.Generator], Drawn]
) -> Floats:
    """Return what `draw` gives for whole blocks, for events of consecutive numbers: the same however they are cut."""
    blocks = range(int(number[0]) // BLOCK, int(number[-1]) // BLOCK + 1)
    whole = np.concatenate([draw(stream(settings.seed, step, block)) for block in blocks])
    return np.asarray(whole[number - blocks.start * BLOCK], np.float64)


def _truth(events: GarfieldEvents, start: int, stop: int, passage_ns: Floats) -> Truth:
    chosen = (events.electron_event >= start) & (events.electron_event < stop)
    event, time_ns = events.electron_event[chosen] - start, events.electron_time_ns[chosen]
    order = np.lexsort((time_ns, event))
    electrons, clusters = events.electrons[start:stop], events.clusters[start:stop]
    before = int(events.clusters[:start].sum())
    of_clusters = slice(before, before + int(clusters.sum()))

    def listed(values: NDArray[np.generic], kind: str) -> ak.Array:
        return ak.unflatten(values[chosen][order].astype(kind), electrons)

    return Truth(
        electron_time_ns=ak.unflatten((time_ns + passage_ns[event])[order].astype(np.float32), electrons),
        electron_cluster=listed(events.electron_cluster, "int32"),
        electron_charge_fC=listed(events.electron_charge_fC, "float32"),
        cluster_radius_cm=ak.unflatten(events.cluster_radius_cm[of_clusters].astype(np.float32), clusters),
        cluster_size=ak.unflatten(events.cluster_size[of_clusters].astype(np.int32), clusters),
        impact_cm=events.impact_cm[start:stop].astype(np.float32),
        path_cm=events.path_cm[start:stop].astype(np.float32),
    )
