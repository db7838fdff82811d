"""The record of a bracket on disk: what has ended so far, whole at every moment.

What to use when
----------------
- `read_bracket_record`: how far a bracket has come; an empty record where nothing has been written.
- `write_bracket_record`: replace the record; arrays first, since the JSON file is the truth.
- `record_path`, `arrays_path`: where a bracket's two files are.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.files import atomic_path, read_json, write_json
from townsend.training.records import FitRecord

__all__ = ["BracketRecord", "arrays_path", "read_bracket_record", "record_path", "write_bracket_record"]


@dataclass(frozen=True)
class BracketRecord:
    """How far a bracket has come.

    Arguments:
        bracket: its number.
        fits: records of the fits that have ended, in the order of the bracket.
        attempts: trial -> how often its training was started; also of one that has not ended.
        complete: whether no fit is left to do.
        arrays: curves and weights of the fits, `f"{trial}.{name}"`.
    """

    bracket: int
    fits: tuple[FitRecord, ...] = ()
    attempts: Mapping[int, int] = field(default_factory=dict)
    complete: bool = False
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def ended(self) -> frozenset[int]:
        """Return the trials that need no more work."""
        return frozenset(record.trial for record in self.fits)

    def started(self, trial: int) -> BracketRecord:
        """Return the record with one more attempt at `trial`."""
        return replace(self, attempts={**self.attempts, trial: self.attempts.get(trial, 0) + 1})

    def with_fit(self, record: FitRecord, arrays: Mapping[str, NDArray[Any]], *, complete: bool) -> BracketRecord:
        """Return the record with one more ended fit; its attempts and the names of its arrays are filled in."""
        counted = replace(record, attempts=max(1, self.attempts.get(record.trial, 0)))
        named = {f"{record.trial}.{name}": values for name, values in arrays.items()}
        return replace(self, fits=(*self.fits, counted), arrays={**self.arrays, **named}, complete=complete)


def record_path(run: Path, bracket: int) -> Path:
    """Return the JSON file of a bracket's record."""
    return run / "records" / f"{bracket:04d}.json"


def arrays_path(run: Path, bracket: int) -> Path:
    """Return the file of a bracket's curves and weights."""
    return record_path(run, bracket).with_suffix(".npz")


def read_bracket_record(run: Path, bracket: int, *, arrays: bool = True) -> BracketRecord:
    """Return the record of a bracket, empty where nothing has been written; `arrays` False leaves those out.

    Raises InputError when a file is damaged.
    """
    path = record_path(run, bracket)
    if not path.exists():
        return BracketRecord(bracket)
    value = read_json(path)
    try:
        fits = tuple(FitRecord.from_json(fit) for fit in value["fits"])
        attempts = {int(trial): int(count) for trial, count in value["attempts"].items()}
        complete = bool(value["complete"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"{path} must be a record as townsend wrote it ({error}); delete it and repeat the sweep's command"
        raise InputError(msg) from None
    found = _read_arrays(arrays_path(run, bracket), {fit.trial for fit in fits}) if arrays else {}
    return BracketRecord(bracket, fits, attempts, complete, found)


def write_bracket_record(run: Path, record: BracketRecord, *, arrays: bool = True) -> None:
    """Replace a bracket's record, whole or not at all; `arrays` False leaves the file of arrays as it is."""
    if arrays:
        with atomic_path(arrays_path(run, record.bracket)) as temporary:
            np.savez(temporary, allow_pickle=False, **record.arrays)
    write_json(
        record_path(run, record.bracket),
        {
            "bracket": record.bracket,
            "complete": record.complete,
            "attempts": {str(trial): count for trial, count in record.attempts.items()},
            "fits": [fit.to_json() for fit in record.fits],
        },
    )


def _read_arrays(path: Path, trials: set[int]) -> dict[str, NDArray[Any]]:
    if not trials or not path.exists():
        return {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if int(name.split(".")[0]) in trials}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path} must be an archive as townsend wrote it ({error}); delete it with its .json and repeat the sweep"
        raise InputError(msg) from None
