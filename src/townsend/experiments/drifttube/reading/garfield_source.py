"""Events of any number of Garfield++ files as one sample, a range at a time.

What to use when
----------------
- `scan_garfield`: looks through files before anything is written.
- `GarfieldSource.waveforms`: events of all files in order, as `Waveforms`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from townsend.config import Closed
from townsend.errors import InputError
from townsend.experiments.drifttube.reading.garfield_file import GarfieldEvents, read_garfield
from townsend.experiments.drifttube.reading.garfield_signals import garfield_waveforms
from townsend.experiments.drifttube.simulation.electronics import warn_of_aliasing
from townsend.experiments.drifttube.simulation.noise import noise_files
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import single_electron_response
from townsend.sample.provenance import Provenance
from townsend.sample.reader import join_truth
from townsend.sample.waveforms import Waveforms

__all__ = ["GarfieldFacts", "GarfieldSource", "electronics_files", "scan_garfield"]

_COLUMNS = ("samples", "event", "channel", "track", "run")


class GarfieldFacts(Closed):
    """What holds for all events of some files.

    Arguments:
        entries: events of each file; max_drift_ns: the latest arrival in any.
    """

    entries: tuple[int, ...]
    max_drift_ns: float


@lru_cache(maxsize=1)
def _events(path: Path) -> GarfieldEvents:
    return read_garfield(path)


def electronics_files(settings: DriftTubeSettings) -> tuple[Path, ...]:
    """Return the user's files from which the electronics and their noise are read."""
    response = settings.electronics.impulse_response
    return (*([] if response is None else [Path(response)]), *noise_files(settings.noise))


def scan_garfield(
    files: Sequence[Path], settings: DriftTubeSettings, progress: Callable[[int], None] = lambda seen: None
) -> GarfieldFacts:
    """Return what holds for all events of some files; logs a warning when the digitiser is too slow for the pulse.

    Raises InputError when one cannot be read or holds no event, or the record does not hold their drift or is longer
    than their currents.
    """
    warn_of_aliasing(single_electron_response(settings).table_mV, settings.electronics, settings.digitizer)
    entries, latest_ns = [], 0.0
    for path in files:
        events = _events(path)
        if len(events) == 0:
            msg = f"{path} must hold at least one event (got none); leave the file out"
            raise InputError(msg)
        garfield_waveforms(events, settings, 0, 1)  # a setting that cannot work is refused now
        entries.append(len(events))
        latest_ns = max(latest_ns, float(events.electron_time_ns.max(initial=0.0)))
        progress(len(events))
    return GarfieldFacts(entries=tuple(entries), max_drift_ns=latest_ns)


@dataclass(frozen=True)
class GarfieldSource:
    """Files of Garfield++.

    Arguments:
        files: in order; sha256: of each, by name.
        settings: electronics, noise, digitizer and the seed of the noise.
        facts: what `scan_garfield` found.
    """

    files: tuple[Path, ...]
    sha256: Mapping[str, str]
    settings: DriftTubeSettings
    facts: GarfieldFacts

    def __len__(self) -> int:
        """Return the number of waveforms."""
        return sum(self.facts.entries)

    def waveforms(self, start: int, stop: int) -> Waveforms:
        """Return waveforms `start` to `stop` of all files, 0 <= start < stop <= len; raises InputError as `scan`."""
        parts, first = [], 0
        for path, entries in zip(self.files, self.facts.entries, strict=True):
            inside = range(max(start - first, 0), min(stop - first, entries))
            if inside:
                parts.append(
                    garfield_waveforms(
                        _events(path),
                        self.settings,
                        inside.start,
                        inside.stop,
                        first=first,
                        max_drift_ns=self.facts.max_drift_ns,
                    )
                )
            first += entries
        columns: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _COLUMNS}
        truth = join_truth([part.truth for part in parts if part.truth is not None])
        provenance = Provenance("read garfield", parts[0].provenance.settings, sources=self.sha256)
        return replace(parts[0], **columns, truth=truth, provenance=provenance)
