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
from townsend.experiments.drifttube.drift import DriftRelation, drift_relation
from townsend.experiments.drifttube.ionization import draw_clusters
from townsend.experiments.drifttube.noise import amplitude_spectrum, draw_noise
from townsend.experiments.drifttube.settings import DigitizerSettings, DriftTubeSettings
from townsend.experiments.drifttube.signal import Response, draw_avalanches, single_electron_response, superpose
from townsend.experiments.drifttube.streams import BLOCK, stream
from townsend.files import read_json, write_json
from townsend.sample.provenance import Provenance
from townsend.sample.root_io import count_waveforms, write_root
from townsend.sample.waveforms import Truth, Waveforms

__all__ = ["SHARD", "digitize", "longest_drift_ns", "simulate_drifttube", "simulate_shard", "simulate_waveforms"]

SHARD = 8 * BLOCK
_SPREADS = 4  # diffusion beyond the mean drift time from the wall: one electron in 30,000 of those from there


@cache
def _drift(settings: DriftTubeSettings) -> DriftRelation:
    return drift_relation(settings.tube)


@cache
def _response(settings: DriftTubeSettings) -> Response:
    return single_electron_response(settings)


def longest_drift_ns(settings: DriftTubeSettings) -> float:
    """Return the time after which no electron arrives: the mean from the wall and four standard deviations."""
    relation = _drift(settings)
    return float(relation.time_ns[-1] + _SPREADS * relation.spread_ns[-1])


def simulate_waveforms(settings: DriftTubeSettings, start: int, stop: int) -> Waveforms:
    """Return tracks `start` to `stop` (excluded) of the sample that `settings` names.

    Arguments:
        settings: the simulation; its seed names the sample.
        start, stop: 0 <= start < stop; the same track is the same in every range.

    Raises InputError when the range is empty or the record is shorter than the drift.
    """
    if not 0 <= start < stop:
        msg = f"start must lie in 0 <= start < stop (got {start} and {stop}); ask for at least one waveform"
        raise InputError(msg)
    _check_window(settings)
    blocks = [_block(settings, number) for number in range(start // BLOCK, (stop - 1) // BLOCK + 1)]
    offset = start // BLOCK * BLOCK
    rows = slice(start - offset, stop - offset)
    numbers = np.arange(start, stop, dtype=np.int32)
    truth = {name: _join([getattr(truth, name) for _, truth in blocks])[rows] for name in vars(blocks[0][1])}
    return Waveforms(
        samples=np.concatenate([samples for samples, _ in blocks])[rows],
        volts_per_count=_step_mV(settings.digitizer) * 1e-3,
        sampling_rate_ghz=settings.digitizer.sampling_rate_GHz,
        polarity=settings.digitizer.polarity,
        t0_ns=settings.digitizer.pretrigger_ns,
        max_drift_ns=longest_drift_ns(settings),
        event=numbers,
        channel=np.zeros_like(numbers),
        track=numbers,
        run=np.full_like(numbers, settings.seed),
        provenance=Provenance("simulate drifttube", resolved(settings), settings.seed),
        truth=Truth(**truth),
    )


def _check_window(settings: DriftTubeSettings) -> None:
    digitizer = settings.digitizer
    window_ns = digitizer.samples / digitizer.sampling_rate_GHz - digitizer.pretrigger_ns
    needed_ns = longest_drift_ns(settings)
    if window_ns < needed_ns:
        msg = (
            f"the record must reach past the longest drift time (got {window_ns:.0f} ns after the track, "
            f"the drift takes {needed_ns:.0f} ns); raise digitizer.samples or lower digitizer.pretrigger_ns"
        )
        raise InputError(msg)


def _join(parts: list[ak.Array] | list[NDArray[np.float32]]) -> ak.Array | NDArray[np.float32]:
    return np.concatenate(parts) if isinstance(parts[0], np.ndarray) else ak.concatenate(parts)


def _block(settings: DriftTubeSettings, number: int) -> tuple[NDArray[np.int16], Truth]:
    def random(step: str) -> np.random.Generator:
        return stream(settings.seed, step, number)

    digitizer = settings.digitizer
    clusters = draw_clusters(settings, BLOCK, random("ionization"))
    cluster = np.repeat(np.arange(len(clusters.track)), clusters.size)
    drift_ns = _drift(settings).draw(clusters.radius_cm[cluster], random("drift"))
    charge_fC = draw_avalanches(settings.avalanche, len(cluster), random("avalanche"))

    order = np.lexsort((drift_ns, clusters.track[cluster]))
    cluster, charge_fC = cluster[order], charge_fC[order]
    track, time_ns = clusters.track[cluster], drift_ns[order] + digitizer.pretrigger_ns

    signal_mV = np.zeros((BLOCK, digitizer.samples))
    superpose(track, time_ns * digitizer.sampling_rate_GHz, charge_fC, _response(settings).table_mV, signal_mV)
    amplitude = amplitude_spectrum(settings.noise, digitizer)
    noise_mV = draw_noise(amplitude, BLOCK, digitizer.samples, random("noise"))

    clusters_per_track = np.bincount(clusters.track, minlength=BLOCK)
    electrons_per_track = np.bincount(track, minlength=BLOCK)
    first_cluster = np.cumsum(clusters_per_track) - clusters_per_track
    truth = Truth(
        electron_time_ns=ak.unflatten(time_ns.astype(np.float32), electrons_per_track),
        electron_cluster=ak.unflatten((cluster - first_cluster[track]).astype(np.int32), electrons_per_track),
        electron_charge_fC=ak.unflatten(charge_fC.astype(np.float32), electrons_per_track),
        cluster_radius_cm=ak.unflatten(clusters.radius_cm.astype(np.float32), clusters_per_track),
        cluster_size=ak.unflatten(clusters.size.astype(np.int32), clusters_per_track),
        impact_cm=clusters.impact_cm.astype(np.float32),
        path_cm=clusters.path_cm.astype(np.float32),
    )
    return digitize(digitizer.polarity * signal_mV + noise_mV, digitizer), truth


def _step_mV(digitizer: DigitizerSettings) -> float:
    return float(1e3 * digitizer.full_scale_V / 2**digitizer.bits)


def digitize(voltage_mV: NDArray[np.float64], digitizer: DigitizerSettings) -> NDArray[np.int16]:
    """Return counts of an ADC centred on 0 V; what lies beyond its range saturates."""
    limit = 2 ** (digitizer.bits - 1)
    counts = np.rint((voltage_mV + digitizer.offset_mV) / _step_mV(digitizer))
    return np.clip(counts, -limit, limit - 1).astype(np.int16)


def simulate_shard(settings: DriftTubeSettings, start: int, stop: int, path: Path) -> None:
    """Write tracks `start` to `stop` to a ROOT file, whole or not at all."""
    write_root(simulate_waveforms(settings, start, stop), path)


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
    shards = {
        output / f"waveforms-{number:05d}.root": (start, min(start + SHARD, waveforms))
        for number, start in enumerate(range(0, waveforms, SHARD))
    }
    missing = {path: (start, stop) for path, (start, stop) in shards.items() if _held(path) != stop - start}
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


def _held(shard: Path) -> int:
    """Return how many waveforms a shard holds, 0 where it is missing or damaged."""
    try:
        return count_waveforms(shard)
    except InputError:
        return 0


def _claim(output: Path, waveforms: int, settings: DriftTubeSettings) -> None:
    """Make the folder this sample's, or raise InputError when it holds something else."""
    description = output / "simulation.json"
    wanted = {"settings": resolved(settings), "waveforms": waveforms}
    if description.exists():
        found = read_json(description)
        if found["settings"] != wanted["settings"] or found["waveforms"] > waveforms:
            msg = (
                f"{output} must be empty or hold the same simulation (it holds {found['waveforms']} waveforms of "
                f"seed {found['settings']['seed']}, other settings or more waveforms); choose another folder"
            )
            raise InputError(msg)
    elif output.exists():
        others = sorted({path.name for path in output.iterdir()} - {path.name for path in _half_written(output)})
        if others:
            msg = f"{output} must be an empty or new folder (it holds {others[0]}); choose another"
            raise InputError(msg)
    write_json(description, wanted)  # first: from here on the folder is known as this sample's
    for left in _half_written(output):
        left.unlink()
    dump_yaml(settings, output / "simulation.yaml")


def _half_written(output: Path) -> list[Path]:
    """Return what killed processes left of files that they were writing."""
    return [path for pattern in (".simulation.*", ".waveforms-*.root") for path in output.glob(pattern)]
