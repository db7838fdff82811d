"""Waveforms as `townsend reconstruct` takes them: some rows of a file, at the model's sampling rate.

What to use when
----------------
- `Block`, `read_block`: rows of a file. ROOT files are read so, whatever their size; an NPZ file is read whole, because
  its format has no blocks.
- `hits`: which waveforms hold a signal, and which way it goes.
- `saturated`: which waveforms reach the end of their digitiser's range.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.sample.reader import read_waveforms
from townsend.sample.resample import resample
from townsend.sample.root_io import read_root
from townsend.sample.waveforms import Waveforms

__all__ = ["Block", "Hits", "hits", "is_root", "read_block", "saturated"]

_HIT_SIGMA = 10.0
_STEPS = 256  # in which a resampled voltage as large as a typical pulse is counted


def is_root(path: Path) -> bool:
    """Return whether a file begins as ROOT files do; raises InputError when it cannot be read."""
    try:
        with path.open("rb") as stream:
            return stream.read(4) == b"root"
    except OSError as error:
        msg = f"{path} must be a readable file ({error.strerror}); check its name"
        raise InputError(msg) from None


class Hits(NamedTuple):
    """How many waveforms have a hit, and how many of those go down rather than up."""

    hit: int
    down: int


def hits(waveforms: Waveforms) -> Hits:
    """Count the waveforms with a sample 10 noise rms off their median, the rms taken from the median deviation."""
    millivolts = waveforms.millivolts()
    off = millivolts - np.median(millivolts, axis=1, keepdims=True)
    rms = 1.4826 * np.median(np.abs(off), axis=1)
    up, down = off.max(axis=1), -off.min(axis=1)
    hit = np.maximum(up, down) > _HIT_SIGMA * rms
    return Hits(int(np.count_nonzero(hit)), int(np.count_nonzero(hit & (down > up))))


def saturated(waveforms: Waveforms, run: int) -> NDArray[np.bool_]:
    """Return (n,) whether a waveform stays at its highest or lowest count for `run` samples on end.

    That level must stand clear of the median by five times the noise and three counts: a noiseless baseline is flat.
    """
    counts = waveforms.samples.astype(np.int32)
    middle = np.median(counts, axis=1)
    noise = 1.4826 * np.median(np.abs(counts - middle[:, None]), axis=1)
    found = np.zeros(len(counts), bool)
    for level in (counts.max(axis=1), counts.min(axis=1)):
        clear = np.abs(level - middle) > np.maximum(5 * noise, 3)
        so_far = np.cumsum(np.pad(counts == level[:, None], ((0, 0), (1, 0))), axis=1, dtype=np.int32)
        found |= clear & np.any(so_far[:, run:] - so_far[:, :-run] == run, axis=1)
    return found


@dataclass(frozen=True)
class Block:
    """Rows `start` to `stop` (excluded) of the file `path`.

    Arguments:
        polarity, saturation_run: of NPZ traces, see `read_waveforms`.
        scale: factor on the voltage by which it is comparable with the model's training.
    """

    path: Path
    start: int
    stop: int
    polarity: int
    saturation_run: int
    scale: float


def read_block(block: Block, peak: PeakFacts) -> tuple[Waveforms, Waveforms]:
    """Return the rows as stored, and at the sampling rate of the model that `peak` describes.

    A resampled waveform does not depend on its neighbours: its baseline (median) is taken off and its volts are rounded
    to 1/256 of a typical pulse; beyond 127 of those it is cut off.

    Raises InputError when the file cannot be read.
    """
    if is_root(block.path):
        stored = read_root(block.path, start=block.start, stop=block.stop)
    else:
        stored = _whole(block.path, block.polarity, block.saturation_run)[block.start : block.stop]
    if stored.sampling_rate_ghz == peak.sampling_rate_ghz:
        return stored, stored
    step_V = peak.scale_mV * 1e-3 / block.scale / _STEPS
    return stored, _one_by_one(stored, peak.sampling_rate_ghz, step_V)


@lru_cache(maxsize=1)
def _whole(path: Path, polarity: int, saturation_run: int) -> Waveforms:
    return read_waveforms(path, polarity, saturation_run)


def _one_by_one(stored: Waveforms, rate_ghz: float, step_V: float) -> Waveforms:
    limit = np.iinfo(np.int16).max
    rows = []
    for index in range(len(stored)):
        made = resample(stored[index : index + 1], rate_ghz)
        counts = made.samples[0].astype(np.float64)
        steps = (counts - np.median(counts)) * (made.volts_per_count / step_V)
        rows.append(np.clip(np.rint(steps), -limit, limit).astype(np.int16))
    return replace(stored, samples=np.stack(rows), volts_per_count=step_V, sampling_rate_ghz=rate_ghz)
