"""Oscilloscope traces in NPZ, as test beams hand them round.

What to use when
----------------
- `read_npz`: the traces as `Waveforms`; every header is judged before anything is allocated.
- `read_arrays`: the arrays of an archive with other keys, judged in the same way.

Keys: `voltage_V` (n, s) float, `event` and `channel` (n,) integers, `sampling_rate_ghz` scalar, and where times were
stored `time_ns` (s,) or (n, s), which must be uniform. Other keys are left unread.
"""

from __future__ import annotations

import logging
import math
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

from townsend.errors import InputError, did_you_mean
from townsend.files import sha256_of
from townsend.sample.fixed_point import to_fixed_point
from townsend.sample.provenance import Provenance
from townsend.sample.waveforms import Waveforms

__all__ = ["MAXIMUM_LENGTH", "MAXIMUM_SAMPLES", "read_arrays", "read_npz"]

logger = logging.getLogger(__name__)

MAXIMUM_LENGTH = 1 << 20  # samples in a waveform
MAXIMUM_SAMPLES = 1 << 28  # samples in one array: 2 GiB of float64
UNKNOWN = -1  # tracks and runs, which the format does not name

_REQUIRED = ("voltage_V", "event", "channel", "sampling_rate_ghz")
_STEP_TOLERANCE = 1e-2  # of one sampling step: float32 times round by less
_SPAN_TOLERANCE = 1e-3  # of the whole waveform


def read_npz(path: Path, polarity: int = 1, saturation_run: int = 8) -> Waveforms:
    """Return the traces of an NPZ file; `t0_ns` and `max_drift_ns` are NaN, `track` and `run` -1: not known.

    Arguments:
        path: the file.
        polarity: +1 where signals go up, -1 where they go down.
        saturation_run: samples (>= 2) on end at a flat top or bottom that make a waveform saturated:
            refused where the level is the highest or lowest of the file, else logged as a warning.

    Raises InputError when the file is missing, damaged, pickled, claims more than fits, or its values break a rule.
    """
    if polarity not in (-1, 1):
        msg = f"polarity must be +1 or -1 (got {polarity}); say which way the signals go"
        raise InputError(msg)
    if saturation_run < 2:
        msg = f"saturation_run must be at least 2 samples (got {saturation_run}); raise it"
        raise InputError(msg)
    found = read_arrays(path, _REQUIRED, ("time_ns",))
    rate_ghz = _rate(found["sampling_rate_ghz"], path)
    volts = _volts(found["voltage_V"], path)
    event, channel = (_identifiers(found[name], name, len(volts), path) for name in ("event", "channel"))
    if "time_ns" in found:
        _check_times(found["time_ns"], volts.shape, rate_ghz, path)
    _check_saturation(volts, saturation_run, path)
    samples, volts_per_count = to_fixed_point(volts)
    unknown = np.full(len(samples), UNKNOWN, np.int32)
    return Waveforms(
        samples=samples,
        volts_per_count=volts_per_count,
        sampling_rate_ghz=rate_ghz,
        polarity=polarity,
        t0_ns=math.nan,
        max_drift_ns=math.nan,
        event=event,
        channel=channel,
        track=unknown,
        run=unknown,
        provenance=Provenance("measured traces", {"polarity": polarity}, sources={path.name: sha256_of([path])}),
    )


# ---- from the file to arrays


def read_arrays(path: Path, required: Iterable[str], optional: Iterable[str] = ()) -> dict[str, NDArray[Any]]:
    """Return arrays of an NPZ archive, none of them pickled and none larger than its header may claim.

    Arguments:
        path: the file.
        required, optional: their keys; of the optional ones those that are there.

    Raises InputError when the file is missing, damaged, pickled, claims more than fits, or lacks a required key.
    """
    if not path.is_file():
        msg = f"{path} must be an NPZ file that exists; check its name"
        raise InputError(msg)
    with _readable(path), zipfile.ZipFile(path) as archive:
        members = {name.removesuffix(".npy"): name for name in archive.namelist()}
        wanted = list(required)
        for key in wanted:
            if key not in members:
                msg = f'{path} must hold "{key}"{did_you_mean(key, members)}'
                raise InputError(msg)
        wanted += [key for key in optional if key in members]
        for key in wanted:
            with archive.open(members[key]) as stream:
                _check_header(stream, archive.getinfo(members[key]).file_size, key, path)
        return {key: _array(archive, members[key]) for key in wanted}


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    # RuntimeError: an encrypted member; NotImplementedError: a compression that Python does not know.
    damage = (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, RuntimeError, NotImplementedError)
    try:
        yield
    except damage as error:
        text = " ".join(str(error).split())[:120]
        msg = f"{path} must be a whole NPZ file ({type(error).__name__}: {text}); copy or make it again"
        raise InputError(msg) from None


def _check_header(stream: IO[bytes], size: int, key: str, path: Path) -> None:
    """Refuse an array by what its header claims, before it is allocated."""
    readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
    version = npy.read_magic(stream)
    if version not in readers:
        msg = f'{path} must store "{key}" in NPY format 1.0 or 2.0 (got {version}); write it with numpy.savez'
        raise InputError(msg)
    shape, _, kind = readers[version](stream)
    if kind.hasobject:
        msg = f'{path} must store "{key}" as numbers (got pickled objects, which may run code); save plain arrays'
        raise InputError(msg)
    count = math.prod(shape)
    if any(side < 0 for side in shape) or count > MAXIMUM_SAMPLES:
        msg = (
            f'{path} must have at most {MAXIMUM_SAMPLES} values in "{key}" (its header claims {shape}); split the file'
        )
        raise InputError(msg)
    claimed = stream.tell() + count * kind.itemsize
    if claimed != size:
        msg = (
            f'{path} must hold as many bytes of "{key}" as its header claims (got {size}, not {claimed}); make it again'
        )
        raise InputError(msg)


def _array(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as stream:
        values: NDArray[Any] = npy.read_array(stream, allow_pickle=False)
        stream.read(1)  # at its end the archive compares the checksum
    return values


# ---- rules for the values


def _rate(value: NDArray[Any], path: Path) -> float:
    if value.size != 1 or value.dtype.kind not in "fiu" or not 0 < float(value.item()) < math.inf:
        got = value.item() if value.size == 1 else f"an array of shape {value.shape}"
        msg = f"{path} must have one sampling_rate_ghz > 0 (got {got}); give samples per ns"
        raise InputError(msg)
    return float(value.item())


def _volts(values: NDArray[Any], path: Path) -> NDArray[np.float64]:
    if values.ndim != 2 or values.dtype.kind != "f" or 0 in values.shape or values.shape[1] > MAXIMUM_LENGTH:
        got = f"got {values.dtype} {values.shape}"
        msg = (
            f"{path} must have float voltage_V of shape (waveforms, 1 to {MAXIMUM_LENGTH} samples) ({got}); convert it"
        )
        raise InputError(msg)
    with np.errstate(over="ignore"):  # a longdouble beyond float64 becomes infinite and is named below
        volts = values.astype(np.float64)
    bad = np.count_nonzero(~np.isfinite(volts), axis=1)
    if bad.any():
        first = int(np.argmax(bad > 0))
        got = f"got {bad[first]} NaN or infinite samples in waveform {first}, {np.count_nonzero(bad)} such waveforms"
        msg = f"{path} must have finite voltage_V ({got}); leave them out"
        raise InputError(msg)
    return volts


def _identifiers(values: NDArray[Any], name: str, count: int, path: Path) -> NDArray[np.int32]:
    if values.shape != (count,) or values.dtype.kind not in "iu":
        msg = (
            f"{path} must have one integer {name} a waveform (got {values.dtype} {values.shape} for {count} waveforms)"
        )
        raise InputError(msg)
    limits = np.iinfo(np.int32)
    if values.min() < limits.min or values.max() > limits.max:
        msg = f"{path} must have {name} within 32 bits (got {values.min()} to {values.max()}); number them anew"
        raise InputError(msg)
    return values.astype(np.int32)


def _check_times(time_ns: NDArray[Any], shape: tuple[int, ...], rate_ghz: float, path: Path) -> None:
    """Refuse times that do not advance by one sampling step each."""
    if time_ns.dtype.kind not in "fiu" or time_ns.shape not in (shape, shape[1:]):
        msg = f"{path} must have time_ns of shape {shape[1:]} or {shape} (got {time_ns.dtype} {time_ns.shape})"
        raise InputError(msg)
    rows = np.atleast_2d(time_ns.astype(np.float64))
    if not np.isfinite(rows).all():
        msg = f"{path} must have finite time_ns (got NaN or infinite ones); leave time_ns out if sampling is uniform"
        raise InputError(msg)
    if shape[1] < 2:
        return
    steps = np.diff(rows, axis=1) * rate_ghz
    worst = np.max(np.abs(steps - 1), axis=1)
    stretched = np.abs(np.mean(steps, axis=1) - 1)
    bad = (worst > _STEP_TOLERANCE) | (stretched > _SPAN_TOLERANCE)
    if bad.any():
        first = int(np.argmax(bad))
        found = np.diff(rows[first])
        got = f"got {found.min():.6g} to {found.max():.6g} ns, mean {found.mean():.6g} ns, in waveform {first}"
        msg = f"{path} must be sampled uniformly, every {1 / rate_ghz:.6g} ns ({got}); interpolate it or mend the rate"
        raise InputError(msg)


def _check_saturation(volts: NDArray[np.float64], run: int, path: Path) -> None:
    """Refuse flat tops and bottoms at the end of the file's range; warn of those at the end of a waveform's own.

    Equal samples alone do not mean saturation: a noiseless baseline is flat, and a coarse digitiser repeats its lowest
    count. So the level must also stand clear of the baseline, by five times the noise and by three digitiser steps.
    Where other waveforms go beyond a flat top, one channel had a shorter range than they: its pulse heights are
    lost, but not its leading edges nor the other waveforms, so it is named and kept.
    """
    for sign, end in ((1, "top"), (-1, "bottom")):
        signed = sign * volts
        levels = signed.max(axis=1)
        for index, level in enumerate(levels):
            length = _longest_run(signed[index] == level)
            if length < run or not _stands_clear(signed[index], level):
                continue
            got = f"{length} samples on end at {sign * level:.6g} V, a flat {end}, in waveform {index}"
            if level == levels.max():
                msg = f"{path} must not be saturated (got {got}); leave such waveforms out or raise saturation_run"
                raise InputError(msg)
            logger.warning("%s: %s: its channel was saturated; heights there are too small", path, got)


def _longest_run(hits: NDArray[np.bool_]) -> int:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], hits, [False]]).astype(np.int8)))
    return int(np.max(edges[1::2] - edges[::2], initial=0))


def _stands_clear(signed: NDArray[np.float64], level: float) -> bool:
    baseline = float(np.median(signed))
    noise = 1.4826 * float(np.median(np.abs(signed - baseline)))
    step = float(np.min(np.diff(np.unique(signed)), initial=math.inf))
    return level - baseline > max(5 * noise, 3 * step)
