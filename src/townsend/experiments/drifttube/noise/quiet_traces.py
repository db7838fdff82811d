"""The quiet parts of many traces, out of files of any kind.

What to use when
----------------
- `read_quiet`: files in, quiet stretches out.
- `MeasureNoiseSettings`: how they are found and what is made of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NoReturn

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from townsend.config import Closed
from townsend.errors import InputError
from townsend.experiments.drifttube.noise.adc_step import Step, adc_step
from townsend.experiments.drifttube.noise.quiet_time import find_quiet
from townsend.experiments.drifttube.noise.welch import SHORTEST
from townsend.experiments.drifttube.reconstruction.blocks import is_root
from townsend.files import sha256_of
from townsend.sample.reader import read_waveforms
from townsend.sample.root_io import read_root
from townsend.sample.waveforms import Waveforms

__all__ = ["MeasureNoiseSettings", "QuietTraces", "read_quiet"]

_EXACT = ("simulate drifttube", "read garfield")  # kinds of provenance whose count is the digitiser's own
_ALIKE = 1e-2  # of two steps, which are then one
_CHUNK = 1000  # waveforms in double precision at a time


class MeasureNoiseSettings(Closed):
    """How noise is told from pulses, and lines from the floor."""

    polarity: Literal[1, -1] = Field(1, description="of NPZ traces: +1 where signals go up, -1 where they go down")
    saturation_run: int = Field(8, ge=2, description="samples on end at a flat top that make a trace saturated")
    waveforms: int = Field(20000, ge=2, description="read at most, the first ones of all files together")
    hit_sigma: float = Field(7.0, ge=4, description="a pulse leaves the baseline by this many times the noise")
    guard_ns: float = Field(50.0, ge=0, description="before a pulse that is not taken as quiet")
    segment_ns: float | None = Field(
        None, gt=0, description="length of a piece that is transformed, 1 / resolution; null chooses it"
    )
    false_lines: float = Field(0.01, gt=0, le=1, description="expected number of bins taken for a line by chance")


@dataclass(frozen=True)
class QuietTraces:
    """Quiet stretches, one a waveform that has one.

    Arguments:
        stretches: (n,) samples before the first pulse [mV], as the digitiser stores them.
        channel: (n,) of each.
        hit: (n,) whether a pulse comes after it.
        polarity: +1 where pulses go up.
        rate_ghz: samples a ns.
        waveforms, with_hit: read, and of them with a pulse.
        cut_fraction: of all samples read, those that are in no stretch.
        step_uV, level_spacing_uV: of the digitiser, None where not seen.
        files: name -> SHA-256 of what was read.
    """

    stretches: list[NDArray[np.float64]]
    channel: NDArray[np.int32]
    hit: NDArray[np.bool_]
    polarity: int
    rate_ghz: float
    waveforms: int
    with_hit: int
    cut_fraction: float
    step_uV: float | None
    level_spacing_uV: float | None
    files: dict[str, str]


@dataclass(frozen=True)
class _Found:
    """What one file holds; `constant` counts waveforms whose samples are all equal, which say nothing."""

    stretches: list[NDArray[np.float64]]
    channel: NDArray[np.int32]
    hit: NDArray[np.bool_]
    waveforms: int
    with_hit: int
    constant: int
    samples: int
    step_uV: Step


def read_quiet(paths: Sequence[Path], settings: MeasureNoiseSettings) -> QuietTraces:
    """Return the quiet stretches of all waveforms of all files.

    Arguments:
        paths: ROOT or NPZ files.
        settings: `waveforms` of them are read at most.

    Raises InputError when a file cannot be used, two differ in sampling rate or polarity, or fewer than two waveforms
    have a quiet stretch of 32 samples.
    """
    found: list[_Found] = []
    files: dict[str, str] = {}
    first: Waveforms | None = None
    for path, waveforms in _read(paths, settings):
        first = waveforms[:0] if first is None else first
        _check_alike(paths[0], first, path, waveforms)
        found.append(_found(waveforms, settings))
        name = path.name if path.name not in files else str(path)
        files[name] = sha256_of([path])
    stretches = [stretch for part in found for stretch in part.stretches]
    if first is None or len(stretches) < 2:
        _refuse(paths[0], found)
    return QuietTraces(
        stretches=stretches,
        channel=np.concatenate([part.channel for part in found]),
        hit=np.concatenate([part.hit for part in found]),
        polarity=first.polarity,
        rate_ghz=first.sampling_rate_ghz,
        waveforms=sum(part.waveforms for part in found),
        with_hit=sum(part.with_hit for part in found),
        cut_fraction=1 - sum(map(len, stretches)) / sum(part.samples for part in found),
        step_uV=_common([part.step_uV.step for part in found]),
        level_spacing_uV=_common([part.step_uV.spacing for part in found]),
        files=files,
    )


def _read(paths: Sequence[Path], settings: MeasureNoiseSettings) -> Iterator[tuple[Path, Waveforms]]:
    """Yield each file with its first waveforms, until enough are read."""
    left = settings.waveforms
    for path in paths:
        if left <= 0:
            return
        if is_root(path):
            waveforms = read_root(path, stop=left)
        else:
            waveforms = read_waveforms(path, settings.polarity, settings.saturation_run)[:left]
        left -= len(waveforms)
        yield path, waveforms


def _check_alike(first_path: Path, first: Waveforms, path: Path, waveforms: Waveforms) -> None:
    for name, expected, got in (
        ("sampling rate", f"{first.sampling_rate_ghz:g} GS/s", f"{waveforms.sampling_rate_ghz:g} GS/s"),
        ("polarity", f"{first.polarity:+d}", f"{waveforms.polarity:+d}"),
    ):
        if expected != got:
            msg = (
                f"files measured together must be alike in {name} (got {expected} in {first_path}, {got} in {path}); "
                f"measure them one after the other"
            )
            raise InputError(msg)


def _found(waveforms: Waveforms, settings: MeasureNoiseSettings) -> _Found:
    rows = np.flatnonzero(waveforms.samples.min(axis=1) < waveforms.samples.max(axis=1))
    stretches: list[NDArray[np.float64]] = []
    kept: list[int] = []
    hit = np.zeros(len(waveforms), np.bool_)
    step_mV = 1e3 * waveforms.volts_per_count
    # A channel's noise level is found among these: a larger sample is taken piece by piece.
    for start in range(0, len(rows), _CHUNK):
        chosen = rows[start : start + _CHUNK]
        millivolts = waveforms.samples[chosen].astype(np.float64) * step_mV
        quiet = find_quiet(
            millivolts,
            waveforms.channel[chosen],
            waveforms.sampling_rate_ghz,
            sigma=settings.hit_sigma,
            guard_ns=settings.guard_ns,
            step_mV=step_mV,
        )
        hit[chosen] = quiet.hit
        for row, trace, stop in zip(chosen, millivolts, quiet.stop, strict=True):
            if stop >= SHORTEST:
                kept.append(int(row))
                stretches.append(trace[:stop].copy())
    return _Found(
        stretches=stretches,
        channel=waveforms.channel[kept],
        hit=hit[kept],
        waveforms=len(waveforms),
        with_hit=int(np.count_nonzero(hit)),
        constant=len(waveforms) - len(rows),
        samples=waveforms.samples.size,
        step_uV=_step_uV(waveforms, rows),
    )


def _step_uV(waveforms: Waveforms, rows: NDArray[np.intp]) -> Step:
    found = adc_step(waveforms.samples[rows[:_CHUNK]], rounded=waveforms.provenance.kind not in _EXACT)
    count_uV = 1e6 * waveforms.volts_per_count
    return Step(*(None if value is None else value * count_uV for value in found))


def _common(values: list[float | None]) -> float | None:
    """Return the value that all have, None where they differ or one has none."""
    known = [value for value in values if value is not None]
    if len(known) < len(values) or np.ptp(known) > _ALIKE * max(known):
        return None
    return float(np.median(known))


def _refuse(path: Path, found: list[_Found]) -> NoReturn:
    """Raise the sentence that says why nothing could be measured."""
    number, constant = sum(part.waveforms for part in found), sum(part.constant for part in found)
    usable = sum(len(part.stretches) for part in found)
    if number < 2:
        msg = f"{path} and what is given with it must hold at least two waveforms (got {number}); record more"
    elif number - constant < 2:
        msg = (
            f"{path} must hold waveforms that move (got {constant} of {number} whose samples are all equal: saturated, "
            f"switched off, or noise below one step of the digitiser); record them in a finer range"
        )
    else:
        msg = (
            f"{path} must hold at least two waveforms with {SHORTEST} quiet samples before any pulse (got {usable} of "
            f"{number}); record more before the trigger, or lower guard_ns"
        )
    raise InputError(msg)
