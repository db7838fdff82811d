"""From a track to digitised samples, block by block.

What to use when
----------------
- `simulate_drifttube`: a sample on disk, in shards that are whole or absent; goes on after a kill.
- `simulate_waveforms`: any range of tracks in memory, the same ones that the sample on disk has.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.config import dump_yaml, resolved
from townsend.engines.base import News, WorkUnit
from townsend.engines.local import LocalEngine
from townsend.errors import InputError
from townsend.experiments.drifttube.digitizer import check_window, digitize, draw_jitter, step_mV
from townsend.experiments.drifttube.drift import DriftRelation, drift_relation, survive
from townsend.experiments.drifttube.electronics import warn_of_aliasing
from townsend.experiments.drifttube.ionization import Clusters, draw_clusters, draw_electrons
from townsend.experiments.drifttube.noise import Spectrum, draw_noise, draw_wander, noise_files, noise_spectrum
from townsend.experiments.drifttube.sample_folder import check_folder, claim, described, missing_shards
from townsend.experiments.drifttube.settings import DriftTubeSettings
from townsend.experiments.drifttube.signal import Response, draw_avalanches, single_electron_response, superpose
from townsend.experiments.drifttube.streams import BLOCK, stream
from townsend.files import sha256_of
from townsend.sample.provenance import Provenance
from townsend.sample.root_io import write_root
from townsend.sample.waveforms import Truth, Waveforms

__all__ = ["longest_drift_ns", "simulate_drifttube", "simulate_shard", "simulate_waveforms"]

_DESCRIPTION = "simulation.json"
_SPREADS = 4  # diffusion beyond the mean drift time from the wall: one electron in 30,000 of those from there


@cache
def _drift(settings: DriftTubeSettings) -> DriftRelation:
    return drift_relation(settings.tube)


@cache
def _response(settings: DriftTubeSettings) -> Response:
    return single_electron_response(settings)


@cache
def _noise(settings: DriftTubeSettings) -> Spectrum:
    return noise_spectrum(settings.noise, settings.digitizer)


@cache
def _warn_once(settings: DriftTubeSettings) -> None:
    warn_of_aliasing(_response(settings).table_mV, settings.electronics, settings.digitizer)


def longest_drift_ns(settings: DriftTubeSettings) -> float:
    """Return the time after which no electron arrives: the mean from the wall and four standard deviations."""
    relation = _drift(settings)
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
    blocks = [_block(settings, number) for number in range(start // BLOCK, (stop - 1) // BLOCK + 1)]
    offset = start // BLOCK * BLOCK
    rows = slice(start - offset, stop - offset)
    numbers = np.arange(start, stop, dtype=np.int32)
    truth = {name: _join([getattr(truth, name) for _, truth in blocks])[rows] for name in vars(blocks[0][1])}
    return Waveforms(
        samples=np.concatenate([samples for samples, _ in blocks])[rows],
        volts_per_count=step_mV(settings.digitizer) * 1e-3,
        sampling_rate_ghz=settings.digitizer.sampling_rate_GHz,
        polarity=settings.digitizer.polarity,
        t0_ns=settings.digitizer.pretrigger_ns,
        max_drift_ns=longest_drift_ns(settings),
        event=numbers,
        channel=np.zeros_like(numbers),
        track=numbers,
        run=np.full_like(numbers, settings.seed),
        provenance=Provenance("simulate drifttube", resolved(settings), settings.seed, _sources(settings)),
        truth=Truth(**truth),
    )


def _join(parts: list[ak.Array] | list[NDArray[np.float32]]) -> ak.Array | NDArray[np.float32]:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else ak.concatenate(parts)


def _block(settings: DriftTubeSettings, number: int) -> tuple[NDArray[np.int16], Truth]:
    def random(step: str) -> np.random.Generator:
        return stream(settings.seed, step, number)

    digitizer = settings.digitizer
    clusters = draw_clusters(settings, BLOCK, random("ionization"))
    cluster, radius_cm = draw_electrons(clusters, settings, random("deltas"))
    size = np.bincount(cluster, minlength=len(clusters.size))
    drift_ns = _drift(settings).draw(radius_cm, random("drift"))
    arrives = survive(_drift(settings), settings.drift, radius_cm, drift_ns, random("losses"))
    cluster, drift_ns = cluster[arrives], drift_ns[arrives]
    charge_fC = draw_avalanches(settings.avalanche, len(cluster), random("avalanche"))

    order = np.lexsort((drift_ns, clusters.track[cluster]))
    cluster, charge_fC = cluster[order], charge_fC[order]
    track = clusters.track[cluster]
    late_ns = draw_jitter(digitizer, BLOCK, random("jitter"))
    time_ns = drift_ns[order] + digitizer.pretrigger_ns + late_ns[track]

    signal_mV = np.zeros((BLOCK, digitizer.samples))
    superpose(track, time_ns * digitizer.sampling_rate_GHz, charge_fC, _response(settings).table_mV, signal_mV)
    noise_mV = draw_noise(_noise(settings), BLOCK, digitizer.samples, random("noise"))
    wander_mV = draw_wander(settings.noise, digitizer, BLOCK, random("wander"))

    counts = digitize(digitizer.polarity * signal_mV + noise_mV + wander_mV, digitizer)
    return counts, _truth(clusters, cluster, time_ns, charge_fC, size)


def _truth(
    clusters: Clusters,
    cluster: NDArray[np.int64],
    time_ns: NDArray[np.float64],
    charge_fC: NDArray[np.float64],
    size: NDArray[np.int64],
) -> Truth:
    track = clusters.track[cluster]
    clusters_per_track = np.bincount(clusters.track, minlength=BLOCK)
    electrons_per_track = np.bincount(track, minlength=BLOCK)
    first_cluster = np.cumsum(clusters_per_track) - clusters_per_track
    return Truth(
        electron_time_ns=ak.unflatten(time_ns.astype(np.float32), electrons_per_track),
        electron_cluster=ak.unflatten((cluster - first_cluster[track]).astype(np.int32), electrons_per_track),
        electron_charge_fC=ak.unflatten(charge_fC.astype(np.float32), electrons_per_track),
        cluster_radius_cm=ak.unflatten(clusters.radius_cm.astype(np.float32), clusters_per_track),
        cluster_size=ak.unflatten(size.astype(np.int32), clusters_per_track),
        impact_cm=clusters.impact_cm.astype(np.float32),
        path_cm=clusters.path_cm.astype(np.float32),
    )


def simulate_shard(settings: DriftTubeSettings, start: int, stop: int, path: Path) -> None:
    """Write tracks `start` to `stop` to a ROOT file, whole or not at all."""
    # Not `simulate_waveforms`, whose warning would come from every process.
    write_root(_waveforms(settings, start, stop), path)


def simulate_drifttube(
    waveforms: int,
    output: Path,
    settings: DriftTubeSettings,
    *,
    jobs: int = 1,
    progress: Callable[[int], None] = lambda made: None,
) -> Path:
    """Simulate a sample into a folder of shards; the same command goes on where a kill left it.

    Arguments:
        waveforms: number of tracks, > 0; a larger number than before adds to the folder.
        output: folder; empty, absent, or made by the same settings.
        settings: the simulation.
        jobs: processes, > 0.
        progress: called with the number of waveforms after each shard.

    Returns the folder. Raises InputError when the folder holds another sample.
    """
    simulate_waveforms(settings, 0, 1)  # a setting that cannot work is refused before anything is written
    _claim(output, waveforms, settings)
    missing = missing_shards(output, waveforms)
    progress(waveforms - sum(stop - start for start, stop in missing.values()))
    if not missing:
        return output
    if jobs == 1 or len(missing) == 1:
        for path, (start, stop) in missing.items():
            simulate_shard(settings, start, stop, path)
            progress(stop - start)
        return output
    with LocalEngine(min(jobs, len(missing)), output / "logs") as engine:
        for path, (start, stop) in missing.items():
            arguments = {"settings": resolved(settings), "start": start, "stop": stop, "file": path.name}
            engine.submit(WorkUnit(path.name, "simulate_shard", arguments, output))
        while engine.outstanding:
            for message in engine.poll(1.0):
                if message.news is not News.DONE:
                    msg = f"{output / message.unit} could not be made ({message.detail}); see {output / 'logs'}"
                    raise InputError(msg)
                start, stop = missing[output / message.unit]
                progress(stop - start)
    return output


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
