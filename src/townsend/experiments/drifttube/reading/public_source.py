"""Waveforms of public files, any range of them; `read` writes them into shards.

What to use when
----------------
- `PublicSource.waveforms`: entries of all files in order, as `Waveforms`; `scan` finds first what holds for all.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from townsend.config import resolved
from townsend.experiments.drifttube.reading.foreign import Piece, open_tree
from townsend.experiments.drifttube.reading.layouts import LAYOUTS, ReadSettings
from townsend.experiments.drifttube.reading.scan import PublicFacts
from townsend.experiments.drifttube.reading.tags import find_meaning, truth_of
from townsend.sample.provenance import Provenance
from townsend.sample.reader import join_truth
from townsend.sample.waveforms import Waveforms

__all__ = ["PublicSource"]

NO_SEED = -1  # stands for the run: the tracks are of no seed of ours


@dataclass(frozen=True)
class PublicSource:
    """Files in one of the public layouts.

    Arguments:
        files: in order; sha256: of each, by name.
        name: of `LAYOUTS`; tags: name of the meaning of their tags, None for data; settings: what they leave open.
        facts: what `scan` found.
    """

    files: tuple[Path, ...]
    sha256: Mapping[str, str]
    name: str
    tags: str | None
    settings: ReadSettings
    facts: PublicFacts

    def __len__(self) -> int:
        """Return the number of waveforms."""
        return sum(self.facts.entries)

    def waveforms(self, start: int, stop: int) -> Waveforms:
        """Return waveforms `start` to `stop` of all files, 0 <= start < stop <= len; raises InputError as `scan`."""
        facts, settings = self.facts, self.settings
        step = facts.volts_per_count / settings.volts_per_unit
        samples, truths = [], []
        for piece in self._pieces(start, stop):
            samples.append(np.rint(piece.wave / step).astype(np.int16))
            if piece.tagged is not None:
                truths.append(truth_of(piece.tagged, find_meaning(self.tags), facts.sampling_rate_ghz))
        number = np.arange(start, stop, dtype=np.int32)
        known = {**resolved(settings), "delay_ns": facts.delay_ns}
        return Waveforms(
            samples=np.concatenate(samples),
            volts_per_count=facts.volts_per_count,
            sampling_rate_ghz=facts.sampling_rate_ghz,
            polarity=settings.polarity,
            t0_ns=math.nan if settings.t0_ns is None else settings.t0_ns,
            max_drift_ns=math.nan if settings.max_drift_ns is None else settings.max_drift_ns,
            event=number,
            channel=np.zeros_like(number),
            track=number,
            run=np.full_like(number, NO_SEED),
            provenance=Provenance(f"read {self.name}", {"tags": self.tags, **known}, sources=self.sha256),
            truth=join_truth(truths) if truths else None,
        )

    def _pieces(self, start: int, stop: int) -> Iterator[Piece]:
        first = 0
        for path, entries in zip(self.files, self.facts.entries, strict=True):
            inside = range(max(start - first, 0), min(stop - first, entries))
            if inside:
                with open_tree(path, LAYOUTS[self.name]) as tree:
                    yield from tree.pieces(inside.start, inside.stop)
            first += entries
