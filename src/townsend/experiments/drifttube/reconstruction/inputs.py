"""What is given to `townsend reconstruct`: files told apart and judged before any work.

What to use when
----------------
- `ReconstructSettings`: how waveforms are brought to what the networks were trained on.
- `expand`: names, folders and patterns as files.
- `open_inputs`: all files, checked against each other and against the model.
- `townsend.experiments.drifttube.reconstruction.blocks.read_block`: some rows of one of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from townsend.config import Closed
from townsend.errors import InputError
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.reconstruction.blocks import Hits, hits, is_root
from townsend.files import sha256_of
from townsend.sample.reader import read_waveforms, sample_files
from townsend.sample.resample import resample
from townsend.sample.root_io import count_waveforms, read_root
from townsend.sample.waveforms import Waveforms

__all__ = ["InputFile", "ReconstructSettings", "expand", "open_inputs"]

_HEAD = 200  # waveforms by which a file is judged
_FEWEST_HITS = 3  # by which polarity is judged


class ReconstructSettings(Closed):
    """How waveforms are brought to what the networks were trained on."""

    polarity: Literal[1, -1] = Field(1, description="of NPZ traces: +1 where signals go up, -1 where they go down")
    scale: float = Field(1.0, gt=0, description="factor on the voltage: gain of the simulation / gain of the set-up")
    threshold: float | None = Field(None, description="score of a peak; null takes the model's own")
    t0_ns: float | None = Field(
        None, ge=0, description="passage of the track on the waveform's clock; null takes the file's"
    )
    resample: bool = Field(False, description="bring other sampling rates to the model's")
    saturation_run: int = Field(8, ge=2, description="samples on end at a flat top that make a waveform saturated")


@dataclass(frozen=True)
class InputFile:
    """One file of waveforms.

    Arguments:
        path, sha256: where and what it is.
        waveforms: > 0; samples: of each waveform.
        sampling_rate_ghz: as stored.
        t0_ns: passage of the track, from the settings or the file; max_drift_ns: the file's own, NaN where unknown.
        truth: whether it holds simulated truth.
    """

    path: Path
    sha256: str
    waveforms: int
    samples: int
    sampling_rate_ghz: float
    t0_ns: float
    max_drift_ns: float
    truth: bool

    def to_json(self) -> dict[str, Any]:
        """Return what `reconstruction.json` says of the file."""
        return {"path": str(self.path), "sha256": self.sha256, "waveforms": self.waveforms}


def expand(names: Sequence[str | Path]) -> list[Path]:
    """Return the files that names, folders of shards and patterns (*, ?, [...]) stand for, in order.

    Raises InputError for a pattern without a match, a folder without shards, a file named twice, or no name at all.
    """
    found: list[Path] = []
    for name in names:
        path = Path(name)
        if not path.exists() and any(sign in str(name) for sign in "*?["):
            found += [inner for match in _matches(path) for inner in _files(match)]
        else:
            found += _files(path)
    if not found:
        msg = "at least one file of waveforms must be given (got none); name ROOT or NPZ files or folders of shards"
        raise InputError(msg)
    seen: set[Path] = set()
    for path in found:
        if path.resolve() in seen:
            msg = f"{path} must be given once (it is among the files twice); its waveforms would count twice"
            raise InputError(msg)
        seen.add(path.resolve())
    return found


def _matches(pattern: Path) -> list[Path]:
    root = Path(pattern.anchor) if pattern.is_absolute() else Path()
    relative = pattern.relative_to(pattern.anchor) if pattern.is_absolute() else pattern
    matches = sorted(root.glob(str(relative)))
    if not matches:
        msg = f"{pattern} must match at least one file (it matches none); check the folder and the pattern"
        raise InputError(msg)
    return matches


def _files(path: Path) -> list[Path]:
    return sample_files(path) if path.is_dir() else [path]


# ---- judged before any work


def open_inputs(
    paths: Sequence[Path], settings: ReconstructSettings, peak: PeakFacts, cluster: ClusterFacts
) -> list[InputFile]:
    """Return the files, each opened and checked.

    Arguments:
        paths: of `expand`; settings: of the reconstruction; peak, cluster: facts of the model.

    Raises InputError when one cannot be read or is empty, two differ in sampling rate, length or presence of truth, or
    rate, polarity or window does not fit the model.
    """
    opened = [_opened(path, settings) for path in paths]
    for file, _ in opened:
        _check_alike(opened[0][0], file)
    for file, (first, found) in opened:
        _check_rate(file, first, settings, peak)
        _check_window(file, peak, cluster)
        _check_polarity(file, first.polarity, found)
    # Last, since it reads everything: a mistake is named at once.
    return [replace(file, sha256=sha256_of([file.path])) for file, _ in opened]


def _opened(path: Path, settings: ReconstructSettings) -> tuple[InputFile, tuple[Waveforms, Hits]]:
    """Return what is known of a file, its first waveform, and the hits of its first ones."""
    if is_root(path):
        number, head = count_waveforms(path), read_root(path, stop=_HEAD)
    else:
        whole = read_waveforms(path, settings.polarity, settings.saturation_run)
        number, head = len(whole), whole[:_HEAD]
    if number == 0:
        msg = f"{path} must hold at least one waveform (got none); leave it out"
        raise InputError(msg)
    file = InputFile(
        path=path.absolute(),
        sha256="",
        waveforms=number,
        samples=head.samples.shape[1],
        sampling_rate_ghz=head.sampling_rate_ghz,
        t0_ns=head.t0_ns if settings.t0_ns is None else settings.t0_ns,
        max_drift_ns=head.max_drift_ns,
        truth=head.truth is not None,
    )
    first = replace(head, truth=None)[np.array([0])]  # a copy: a slice would keep all of them
    return file, (first, hits(head))


def _check_alike(first: InputFile, file: InputFile) -> None:
    for name, expected, got in (
        ("sampling rate", f"{first.sampling_rate_ghz:g} GS/s", f"{file.sampling_rate_ghz:g} GS/s"),
        ("record length", f"{first.samples} samples", f"{file.samples} samples"),
        ("truth", _truth(first), _truth(file)),
    ):
        if expected != got:
            rule = f"files reconstructed together must be alike in {name}"
            msg = f"{rule} (got {expected} in {first.path}, {got} in {file.path}); reconstruct them one after the other"
            raise InputError(msg)


def _truth(file: InputFile) -> str:
    return "simulated truth" if file.truth else "no truth"


def _check_rate(file: InputFile, first: Waveforms, settings: ReconstructSettings, peak: PeakFacts) -> None:
    rate = peak.sampling_rate_ghz
    if file.sampling_rate_ghz == rate:
        return
    if not settings.resample:
        rule = f"{file.path} must have the model's sampling rate, {rate:g} GS/s (got {file.sampling_rate_ghz:g})"
        msg = f"{rule}; set `resample: true` or use a reconstruction made for {file.sampling_rate_ghz:g} GS/s"
        raise InputError(msg)
    try:
        resample(first, rate)
    except InputError as error:
        msg = f"{file.path} must be brought to the model's sampling rate, {rate:g} GS/s, and cannot be: {error}"
        raise InputError(msg) from None


def _check_window(file: InputFile, peak: PeakFacts, cluster: ClusterFacts) -> None:
    length_ns = file.samples / file.sampling_rate_ghz
    if not np.isfinite(file.t0_ns):
        rule = f"{file.path} must say when the track passed, since its format does not"
        msg = f"{rule}; set `t0_ns` to that time on the waveform's clock (0 ns = first sample)"
        raise InputError(msg)
    end_ns = file.t0_ns + cluster.max_drift_ns
    if file.t0_ns < 0 or length_ns < end_ns or length_ns * peak.sampling_rate_ghz < peak.width:
        rule = f"{file.path} must record from the track's passage to the model's longest drift time after it"
        got = f"got 0 to {length_ns:.0f} ns, needed {file.t0_ns:.0f} to {end_ns:.0f} ns"
        msg = f"{rule} ({got}); record longer, mend `t0_ns`, or use a reconstruction for a shorter drift"
        raise InputError(msg)


def _check_polarity(file: InputFile, polarity: int, found: Hits) -> None:
    if found.hit >= _FEWEST_HITS and found.down > found.hit / 2:
        rule = f"{file.path} must have signals that go up after its polarity ({polarity:+d}) is applied"
        got = f"got {found.down} of {found.hit} waveforms with a hit that go down"
        written = f"write the file with polarity {-polarity:+d}"
        msg = f"{rule} ({got}); {written if is_root(file.path) else f'set `polarity: {-polarity}`'}"
        raise InputError(msg)
