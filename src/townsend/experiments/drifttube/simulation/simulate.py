"""From a track to digitised samples, block by block.

What to use when
----------------
- `simulate_drifttube`: a sample on disk, in shards that are whole or absent; goes on after a kill.
- `simulate_waveforms`: any range of tracks in memory, the same ones that the sample on disk has.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import DTypeLike, NDArray

from townsend.config import dump_yaml, resolved
from townsend.engines.base import News, WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.site import Site
from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.digitizer import check_window, digitize, draw_jitter, step_mV
from townsend.experiments.drifttube.simulation.drift import DriftRelation, drift_relation, survive
from townsend.experiments.drifttube.simulation.electronics import warn_of_aliasing
from townsend.experiments.drifttube.simulation.ionization import Clusters, draw_clusters, draw_electrons
from townsend.experiments.drifttube.simulation.noise import (
    Spectrum,
    draw_noise,
    draw_wander,
    noise_files,
    noise_spectrum,
)
from townsend.experiments.drifttube.simulation.sample_folder import check_folder, claim, described, missing_shards
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import (
    Response,
    draw_avalanches,
    single_electron_response,
    superpose,
)
from townsend.experiments.drifttube.simulation.streams import BLOCK, stream
from townsend.files import sha256_of
from townsend.sample.provenance import Provenance
from townsend.sample.root_io import write_root
from townsend.sample.waveforms import Truth, Waveforms

__all__ = ["longest_drift_ns", "simulate_drifttube", "simulate_shard", "simulate_waveforms"]

_DESCRIPTION = "simulation.json"
_SPREADS = 4  # diffusion beyond the mean drift time from the wall: one electron in 30,000 of those from there


class _Prepared(NamedTuple):
    """What holds for all tracks of a simulation."""

    drift: DriftRelation
    response: Response
    noise: Spectrum
    sources: Mapping[str, str]


def _prepared(settings: DriftTubeSettings) -> _Prepared:
    return _prepare(settings, tuple(_sources(settings).items()))


@lru_cache(maxsize=4)
def _prepare(settings: DriftTubeSettings, sources: tuple[tuple[str, str], ...]) -> _Prepared:
    """Prepare a simulation once for as long as its settings and the files that they name stay the same."""
    drift = drift_relation(settings.tube)
    response = single_electron_response(settings)
    response = replace(response, table_mV=response.table_mV.astype(np.float32))  # as fine as the noise, twice as fast
    spectrum = noise_spectrum(settings.noise, settings.digitizer)
    return _Prepared(drift, response, spectrum, dict(sources))


@cache
def _warn_once(settings: DriftTubeSettings) -> None:
    warn_of_aliasing(_prepared(settings).response.table_mV, settings.electronics, settings.digitizer)


def longest_drift_ns(settings: DriftTubeSettings) -> float:
    """Return the time after which no electron arrives: the mean from the wall and four standard deviations."""
    relation = _prepared(settings).drift
    return float(relation.time_ns[-1] + _SPREADS * relation.spread_ns[-1])


def simulate_waveforms(settings: DriftTubeSettings, start: int, stop: int) -> Waveforms:
    """Return tracks `start` to `stop` (excluded) of the sample that `settings` names.

    Arguments:
        settings: the simulation; its seed names the sample.
        start, stop: 0 <= start < stop; the same track is the same in every range.

    Logs a warning when the digitiser is too slow for the pulse. Raises InputError when the range is empty or the record
    is shorter than the drift.
    """
    if not 0 <= start < stop:
        msg = f"start must lie in 0 <= start < stop (got {start} and {stop}); ask for at least one waveform"
        raise InputError(msg)
    whole = _waveforms(settings, start, stop)
    _warn_once(settings)
    return whole


def _waveforms(settings: DriftTubeSettings, start: int, stop: int) -> Waveforms:
    check_window(settings.digitizer, longest_drift_ns(settings))
    prepared = _prepared(settings)
    blocks = [_block(settings, prepared, number) for number in range(start // BLOCK, (stop - 1) // BLOCK + 1)]
    offset = start // BLOCK * BLOCK
    rows = slice(start - offset, stop - offset)
    numbers = np.arange(start, stop, dtype=np.int32)
    return Waveforms(
        samples=np.concatenate([block.samples for block in blocks])[rows],
        volts_per_count=step_mV(settings.digitizer) * 1e-3,
        sampling_rate_ghz=settings.digitizer.sampling_rate_GHz,
        polarity=settings.digitizer.polarity,
        t0_ns=settings.digitizer.pretrigger_ns,
        max_drift_ns=longest_drift_ns(settings),
        event=numbers,
        channel=np.zeros_like(numbers),
        track=numbers,
        run=np.full_like(numbers, settings.seed),
        provenance=Provenance("simulate drifttube", resolved(settings), settings.seed, prepared.sources),
        truth=_truth(blocks)[rows],
    )


class _Block(NamedTuple):
    """Tracks of one block, flat: digitised samples and the truth behind them."""

    samples: NDArray[np.int16]
    clusters: Clusters
    size: NDArray[np.int64]
    cluster: NDArray[np.int64]
    time_ns: NDArray[np.float64]
    charge_fC: NDArray[np.float64]


def _block(settings: DriftTubeSettings, prepared: _Prepared, number: int) -> _Block:
    def random(step: str) -> np.random.Generator:
        return stream(settings.seed, step, number)

    digitizer = settings.digitizer
    clusters = draw_clusters(settings, BLOCK, random("ionization"))
    cluster, radius_cm = draw_electrons(clusters, settings, random("deltas"))
    size = np.bincount(cluster, minlength=len(clusters.size))
    drift_ns = prepared.drift.draw(radius_cm, random("drift"))
    arrives = survive(prepared.drift, settings.drift, radius_cm, drift_ns, random("losses"))
    cluster, drift_ns = cluster[arrives], drift_ns[arrives]
    charge_fC = draw_avalanches(settings.avalanche, len(cluster), random("avalanche"))

    order = np.lexsort((drift_ns, clusters.track[cluster]))
    cluster, charge_fC = cluster[order], charge_fC[order]
    track = clusters.track[cluster]
    late_ns = draw_jitter(digitizer, BLOCK, random("jitter"))
    time_ns = drift_ns[order] + digitizer.pretrigger_ns + late_ns[track]

    voltage_mV = draw_noise(prepared.noise, BLOCK, digitizer.samples, random("noise"))
    if settings.noise.wander_mV > 0:
        voltage_mV += draw_wander(settings.noise, digitizer, BLOCK, random("wander"))
    arrival = time_ns * digitizer.sampling_rate_GHz
    superpose(track, arrival, digitizer.polarity * charge_fC, prepared.response.table_mV, voltage_mV)
    return _Block(digitize(voltage_mV, digitizer), clusters, size, cluster, time_ns, charge_fC)


def _truth(blocks: Sequence[_Block]) -> Truth:
    """Return the truth of consecutive blocks."""

    def joined(values: Iterable[NDArray[Any]], kind: DTypeLike) -> NDArray[Any]:
        return np.concatenate([value.astype(kind) for value in values])

    tracks = [block.clusters.track for block in blocks]
    per_track = [np.bincount(track, minlength=BLOCK) for track in tracks]
    number = np.concatenate(per_track)
    first = [np.cumsum(counted) - counted for counted in per_track]  # cluster of each track, counted in its block
    of_electron = [block.clusters.track[block.cluster] for block in blocks]
    electrons = np.concatenate([np.bincount(track, minlength=BLOCK) for track in of_electron])
    cluster = [block.cluster - start[track] for block, start, track in zip(blocks, first, of_electron, strict=True)]
    return Truth(
        electron_time_ns=ak.unflatten(joined((block.time_ns for block in blocks), np.float32), electrons),
        electron_cluster=ak.unflatten(joined(cluster, np.int32), electrons),
        electron_charge_fC=ak.unflatten(joined((block.charge_fC for block in blocks), np.float32), electrons),
        cluster_radius_cm=ak.unflatten(joined((block.clusters.radius_cm for block in blocks), np.float32), number),
        cluster_size=ak.unflatten(joined((block.size for block in blocks), np.int32), number),
        impact_cm=joined((block.clusters.impact_cm for block in blocks), np.float32),
        path_cm=joined((block.clusters.path_cm for block in blocks), np.float32),
    )


def simulate_shard(
    settings: DriftTubeSettings, start: int, stop: int, path: Path, described: str | None = None
) -> None:
    """Write tracks `start` to `stop` to a ROOT file, whole or not at all.

    Arguments:
        settings: the simulation, with names of files as they are here.
        start, stop: tracks, as in `simulate_waveforms`.
        path: of the ROOT file.
        described: JSON of `settings` and `sources` as the user has named the files, where copies of them are read.
    """
    # Not `simulate_waveforms`, whose warning would come from every process.
    waveforms = _waveforms(settings, start, stop)
    if described is not None:
        waveforms = replace(waveforms, provenance=_as_described(waveforms.provenance, json.loads(described)))
    write_root(waveforms, path)


def _as_described(found: Provenance, described: Mapping[str, Any]) -> Provenance:
    """Return a provenance with the user's names of files, and the hashes of what was read."""
    sources = dict(zip(described["sources"], found.sources.values(), strict=True))
    return replace(found, settings=described["settings"], sources=sources)


def simulate_drifttube(
    waveforms: int,
    output: Path,
    settings: DriftTubeSettings,
    *,
    jobs: int = 1,
    site: Site | None = None,
    progress: Callable[[int], None] = lambda made: None,
) -> Path:
    """Simulate a sample into a folder of shards; the same command goes on where a kill left it.

    Arguments:
        waveforms: number of tracks, > 0; a larger number than before adds to the folder.
        output: folder; empty, absent, or made by the same settings.
        settings: the simulation.
        jobs: processes on this machine, > 0.
        site: batch system that simulates instead, see `townsend.engines.site.find_site`.
        progress: called with the number of waveforms after each shard.

    Returns the folder. Raises InputError when the folder holds another sample.
    """
    simulate_waveforms(settings, 0, 1)  # a setting that cannot work is refused before anything is written
    _claim(output, waveforms, settings)
    missing = missing_shards(output, waveforms)
    progress(waveforms - sum(stop - start for start, stop in missing.values()))
    if not missing:
        return output
    if site is None and (jobs == 1 or len(missing) == 1):
        for path, (start, stop) in missing.items():
            simulate_shard(settings, start, stop, path)
            progress(stop - start)
        return output
    sources = _sources(settings)
    with open_engine(site, output.absolute(), min(jobs, len(missing))) as engine:
        for path, (start, stop) in missing.items():
            engine.submit(_unit(settings, sources, start, stop, path))
        while engine.outstanding:
            for message in engine.poll(1.0):
                if message.news is not News.DONE:
                    rule = f"{output / message.unit} could not be made ({message.detail})"
                    msg = f"{rule}; see the logs in {output}, mend and repeat"
                    raise InputError(msg)
                start, stop = missing[output / message.unit]
                progress(stop - start)
    return output


def _unit(settings: DriftTubeSettings, sources: Mapping[str, str], start: int, stop: int, path: Path) -> WorkUnit:
    """Return the work behind one file.

    It names the user's files twice: in `settings`, where names of copies may take their place, and in `described`, a
    text with the names that the sample is to tell.
    """
    named = resolved(settings)
    described = json.dumps({"settings": named, "sources": dict(sources)})
    arguments = {"settings": named, "start": start, "stop": stop, "file": path.name, "described": described}
    folder = path.parent.absolute()
    return WorkUnit(path.name, "simulate_shard", arguments, folder, inputs=tuple(sources), outputs=(path.name,))


def _claim(output: Path, waveforms: int, settings: DriftTubeSettings) -> None:
    """Make the folder this sample's, or raise InputError when it holds something else."""
    wanted = {"settings": resolved(settings), "sources": _sources(settings), "waveforms": waveforms}
    found = described(output, _DESCRIPTION)
    if found is None:
        check_folder(output, _DESCRIPTION)
    elif found | {"waveforms": 0} != wanted | {"waveforms": 0} or found["waveforms"] > waveforms:
        msg = (
            f"{output} must be empty or hold the same simulation (it holds {found['waveforms']} waveforms of seed "
            f"{found['settings']['seed']}, other settings, other files or more waveforms); choose another folder"
        )
        raise InputError(msg)
    claim(output, _DESCRIPTION, wanted)
    dump_yaml(settings, output / "simulation.yaml")


def _sources(settings: DriftTubeSettings) -> dict[str, str]:
    """Return the user's files that a simulation reads, with their SHA-256."""
    gas, response = settings.tube.gas, settings.electronics.impulse_response
    files = [Path(name) for name in (gas if gas.endswith(".gas") else None, response) if name is not None]
    return {str(path): sha256_of([path]) for path in (*files, *noise_files(settings.noise))}
