"""What a worker of `townsend reconstruct` does: one block of one file.

A block is done when its file has been renamed into place. What is in it depends on its rows, the reconstruction and the
settings alone: not on the other blocks, the number of workers, or the moment at which another process was killed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.peaks.deriv import DEFAULT_PRESET, DERIV_PRESETS, count_deriv_clusters
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.reconstruction.blocks import Block, hits, read_block, saturated
from townsend.experiments.drifttube.reconstruction.folder import Reconstruction, load_reconstruction
from townsend.experiments.drifttube.reconstruction.output import write_shard
from townsend.sample.waveforms import Waveforms

__all__ = ["ShardWork", "reconstruct_shard"]

_MOST_NAMED = 20


@dataclass(frozen=True)
class ShardWork:
    """One block of one input file.

    Arguments:
        reconstruction: folder; seal: of its card, as the coordinator saw it.
        threshold: in place of the finder's own, or None.
        file: index of the input; block: its rows; t0_ns: passage of the track.
    """

    reconstruction: Path
    seal: str
    threshold: float | None
    file: int
    block: Block
    t0_ns: float

    @property
    def waveforms(self) -> int:
        """Return how many waveforms the block has."""
        return self.block.stop - self.block.start

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        block = {**asdict(self.block), "path": str(self.block.path)}
        return {**asdict(self), "reconstruction": str(self.reconstruction), "block": block}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> ShardWork:
        """Return the work written by `to_json`; other keys are left unread."""
        given = {name: value[name] for name in ("seal", "threshold", "file", "t0_ns")}
        block = Block(**{**value["block"], "path": Path(value["block"]["path"])})
        return ShardWork(reconstruction=Path(value["reconstruction"]), block=block, **given)


@lru_cache(maxsize=1)  # a worker serves one reconstruction
def _loaded(folder: Path, seal: str, threshold: float | None) -> Reconstruction:
    found = load_reconstruction(folder, threshold)
    if found.card["seal"] != seal:
        msg = f"{folder} must not change while it is used (its card was replaced); run the same command again"
        raise InputError(msg)
    return found


def reconstruct_shard(work: ShardWork, output: Path) -> None:
    """Count the clusters of a block and write them to `output`.

    Raises InputError when the reconstruction or the file cannot be used.
    """
    reconstruction = _loaded(work.reconstruction, work.seal, work.threshold)
    block = work.block
    stored, waveforms = read_block(block, reconstruction.finder.facts)
    counted = reconstruction(waveforms, work.t0_ns, block.scale)
    columns = {
        "file": np.full(len(stored), work.file),
        "row": np.arange(block.start, block.stop),
        **{name: getattr(stored, name) for name in ("event", "channel", "track", "run")},
        "n_peaks": ak.to_numpy(ak.num(counted.time_ns)),
        "n_clusters": counted.number,
        "n_clusters_error": counted.error,
        "n_clusters_uncalibrated": counted.predicted,
        "first_arrival_ns": counted.first_ns,
        "deriv_clusters": _deriv_clusters(waveforms, work, reconstruction.finder.facts),
        "peak_time_ns": counted.time_ns,
        "peak_score": counted.score,
        **_truth(stored),
    }
    write_shard(output, columns, _counts(stored, block))


def _deriv_clusters(waveforms: Waveforms, work: ShardWork, facts: PeakFacts) -> NDArray[np.int64]:
    """Return what a threshold on the derivative and association in time count, with the preset as published."""
    return count_deriv_clusters(
        waveforms.millivolts() * np.float32(work.block.scale),
        waveforms.sampling_rate_ghz,
        DERIV_PRESETS[DEFAULT_PRESET],
        t0_ns=work.t0_ns,
        delay_ns=facts.delay_ns,
        max_drift_ns=facts.max_drift_ns,
    )


def _truth(stored: Waveforms) -> dict[str, NDArray[Any]]:
    if stored.truth is None:
        return {}
    record_ns = stored.samples.shape[1] / stored.sampling_rate_ghz
    truth = stored.truth
    return {
        "true_clusters": clusters_in_record(truth, record_ns),
        "impact_cm": truth.impact_cm,
        "path_cm": truth.path_cm,
    }


def _counts(stored: Waveforms, block: Block) -> dict[str, Any]:
    """Return what the summary says of the waveforms as such; the first saturated ones are named."""
    flat = np.flatnonzero(saturated(stored, block.saturation_run))
    found = hits(stored)
    named = [int(row) + block.start for row in flat[:_MOST_NAMED]]
    return {"saturated": len(flat), "saturated_rows": named, "hit": found.hit, "down": found.down}
