"""Look through public files once before anything is written: check every value, find what holds for all of them.

What to use when
----------------
- `scan`: all files; refuses what cannot be read, returns scale, rate, length and delay.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from townsend.config import Closed
from townsend.errors import InputError
from townsend.experiments.drifttube.reading.foreign import ForeignTree, Piece, open_tree
from townsend.experiments.drifttube.reading.layouts import RATE, Layout, ReadSettings
from townsend.experiments.drifttube.reading.pulse import PulseFit
from townsend.experiments.drifttube.reading.tags import Meaning, Tally, find_meaning
from townsend.sample.fixed_point import step_of

__all__ = ["PublicFacts", "scan"]

_SAME_RATE = 1e-6


class PublicFacts(Closed):
    """What holds for all waveforms of some files.

    Arguments:
        entries: of each file; samples: of each waveform.
        volts_per_count: > 0; sampling_rate_ghz: samples a ns.
        delay_ns: from a listed arrival to the top of its pulse, None without arrivals.
    """

    entries: tuple[int, ...]
    samples: int
    volts_per_count: float
    sampling_rate_ghz: float
    delay_ns: float | None


def scan(
    files: Sequence[Path],
    layout: Layout,
    tags: str | None,
    settings: ReadSettings,
    progress: Callable[[int], None] = lambda seen: None,
) -> PublicFacts:
    """Return what holds for all waveforms of some files.

    Arguments:
        files: at least one; layout: of `LAYOUTS`; settings: what the layout leaves open.
        tags: name of the meaning of their tags; None is refused where they list arrivals.
        progress: called with the number of waveforms after each piece.

    Raises InputError when one cannot be read, two differ in length, rate or presence of truth, or their contents
    contradict what the tags are said to mean.
    """
    tally, pulse, largest = Tally.empty(), PulseFit(), 0.0
    entries: list[int] = []
    first: tuple[Path, Piece] | None = None
    meaning: Meaning | None = None
    for path in files:
        with open_tree(path, layout) as tree:
            entries.append(tree.entries)
            for piece in tree.pieces():
                first = first or (path, piece)
                _check_alike(first, tree, piece)
                largest = max(largest, float(np.abs(piece.wave).max()))
                if piece.tagged is not None:
                    meaning = meaning or find_meaning(tags)
                    tally.add(piece.tagged, str(path), piece.start)
                    pulse.add(settings.polarity * piece.wave, piece.tagged, meaning)
                progress(len(piece.wave))
    assert first is not None  # noqa: S101 - there is a file, and no file is empty
    largest_V = largest * settings.volts_per_unit
    if not np.isfinite(largest_V):
        msg = (
            f"samples must be finite in volts (got {largest:g} times {settings.volts_per_unit:g}); lower volts_per_unit"
        )
        raise InputError(msg)
    if meaning is not None and settings.check_tags:
        tally.check(meaning, layout.clusters)
    rate_ghz = _rate(first[0], first[1].rate, layout, settings)
    measured_ns = None if meaning is None else pulse.delay() / rate_ghz
    return PublicFacts(
        entries=tuple(entries),
        samples=first[1].wave.shape[1],
        volts_per_count=step_of(largest_V),
        sampling_rate_ghz=rate_ghz,
        delay_ns=measured_ns if settings.delay_ns is None else settings.delay_ns,
    )


def _check_alike(first: tuple[Path, Piece], tree: ForeignTree, piece: Piece) -> None:
    path, head = first
    for name, expected, got in (
        ("samples a waveform", head.wave.shape[1], piece.wave.shape[1]),
        (f'"{RATE}"', head.rate, piece.rate),
        ("listed arrivals", head.tagged is not None, tree.truth),
    ):
        if expected != got:
            differ = f"got {expected} in {path}, {got} in {tree.path}, entry {piece.start}"
            msg = f"files read together must be alike in {name} ({differ}); read them apart"
            raise InputError(msg)


def _rate(path: Path, stored: float | None, layout: Layout, settings: ReadSettings) -> float:
    """Return the sampling rate; the public codes use the branch both as a rate and as a step, so a trap is named."""
    if settings.sampling_rate_GHz is not None:
        return settings.sampling_rate_GHz
    if stored is None:
        published = f"; the published files have {layout.rate_GHz:g}" if layout.rate_GHz else ""
        msg = f'{path} must have a branch "{RATE}" (it has none); set `sampling_rate_GHz` in a --config file{published}'
        raise InputError(msg)
    if not 0 < stored < np.inf:
        msg = f'{path} must have "{RATE}" > 0 (got {stored:g}); set `sampling_rate_GHz` in a --config file'
        raise InputError(msg)
    if layout.rate_GHz is not None and abs(stored / layout.rate_GHz - 1) > _SAME_RATE:
        rule = f'{path} must have "{RATE}" {layout.rate_GHz:g} GS/s as the published files (got {stored:g})'
        msg = f"{rule}; it may be a step in ns: set `sampling_rate_GHz` in a --config file"
        raise InputError(msg)
    return stored
