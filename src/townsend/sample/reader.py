"""Any traces, whatever their format.

What to use when
----------------
- `read_waveforms`: a ROOT or NPZ file, or a folder of shards, told apart by content.
- `sample_files`: the shards of a folder.
- `read_sample`: all shards of a folder as one `Waveforms`.
- `sample_fingerprint`: a hash of what the shards hold; ROOT files of equal contents differ in their dates.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np

from townsend.errors import InputError
from townsend.sample.npz_io import read_npz
from townsend.sample.root_io import iterate_root, read_root
from townsend.sample.waveforms import Truth, Waveforms

__all__ = ["SHARDS", "join_truth", "read_sample", "read_waveforms", "sample_files", "sample_fingerprint"]

SHARDS = "waveforms-*.root"

_COMMON = ("volts_per_count", "sampling_rate_ghz", "polarity", "t0_ns", "max_drift_ns")
_COLUMNS = ("samples", "event", "channel", "track", "run")


def read_waveforms(path: Path, polarity: int = 1, saturation_run: int = 8) -> Waveforms:
    """Return the waveforms of a file or of a folder of shards.

    Arguments:
        path: ROOT or NPZ file, or folder.
        polarity: of NPZ traces, +1 where signals go up; ROOT files carry their own.
        saturation_run: of NPZ traces, samples on end at a flat top or bottom that make a waveform saturated.

    Raises InputError when it is missing, of another format, or cannot be read.
    """
    if path.is_dir():
        return read_sample(path)
    kind = _kind(path)
    if kind == ".root":
        return read_root(path)
    if kind == ".npz":
        return read_npz(path, polarity, saturation_run)
    msg = f"{path} must be a ROOT or NPZ file or a folder of {SHARDS} (its first bytes are neither's); convert it"
    raise InputError(msg)


def _kind(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        msg = f"{path} must be a readable file or folder ({error.strerror}); check its name"
        raise InputError(msg) from None
    if magic == b"root":
        return ".root"
    return ".npz" if magic[:2] == b"PK" else path.suffix.lower()  # the reader says what is wrong with a damaged file


def sample_files(folder: Path) -> list[Path]:
    """Return the shards of a sample, sorted by name.

    Raises InputError when the folder is missing or holds none.
    """
    if not folder.is_dir():
        msg = f"{folder} must be a folder that exists; check its name"
        raise InputError(msg)
    files = sorted(folder.glob(SHARDS))
    if not files:
        msg = f"{folder} must hold files {SHARDS} (got none); simulate into it or check its name"
        raise InputError(msg)
    return files


def read_sample(folder: Path) -> Waveforms:
    """Return all shards of a sample in order of name; the provenance is that of the first.

    Raises InputError when there is none, one cannot be read, or one differs from the first in scale, rate, polarity,
    length, time of the track, drift time or presence of truth.
    """
    files = sample_files(folder)
    parts = [read_root(file) for file in files]
    first = parts[0]
    for file, part in zip(files, parts, strict=True):
        _check_alike(files[0], first, file, part)
    if len(parts) == 1:
        return first
    truths = [part.truth for part in parts if part.truth is not None]
    columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
    return replace(first, **columns, truth=join_truth(truths) if truths else None)


def sample_fingerprint(folder: Path) -> str:
    """Return the SHA-256 of the samples, identifiers, scales and truth of all shards, in order of name.

    Raises InputError when there is none or one cannot be read.
    """
    digest = hashlib.sha256()
    for part in iterate_root(sample_files(folder)):
        digest.update(repr([getattr(part, name) for name in _COMMON]).encode())
        columns = [getattr(part, name) for name in _COLUMNS]
        for column in columns if part.truth is None else [*columns, *vars(part.truth).values()]:
            form, _, buffers = ak.to_buffers(ak.to_packed(ak.Array(column)))
            digest.update(form.to_json().encode())
            for name in sorted(buffers):
                digest.update(np.ascontiguousarray(buffers[name]).tobytes())
    return digest.hexdigest()


def join_truth(truths: list[Truth]) -> Truth:
    """Return the truth of one waveform after the other."""

    def joined(name: str) -> Any:
        columns = [getattr(truth, name) for truth in truths]
        return np.concatenate(columns) if isinstance(columns[0], np.ndarray) else ak.concatenate(columns)

    return Truth(**{name: joined(name) for name in vars(truths[0])})


def _check_alike(first_file: Path, first: Waveforms, file: Path, part: Waveforms) -> None:
    def facts(waveforms: Waveforms) -> dict[str, Any]:
        shared = {name: getattr(waveforms, name) for name in _COMMON}
        return shared | {"samples a waveform": waveforms.samples.shape[1], "truth": waveforms.truth is not None}

    for name, expected in facts(first).items():
        got = facts(part)[name]
        if got != expected and not (math.isnan(got) and math.isnan(expected)):
            difference = f"{name}: got {got}, {first_file.name} has {expected}"
            msg = f"{file} must be alike the other shards of its sample ({difference}); take it out of the folder"
            raise InputError(msg)
