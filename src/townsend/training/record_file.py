"""The record of a bracket on disk: what has ended so far, whole at every moment.

What to use when
----------------
- `read_bracket_record`: how far a bracket has come; an empty record where nothing has been written.
- `write_bracket_record`: replace the record; arrays first, since the JSON file is the truth.
- `record_path`, `arrays_path`: where a bracket's two files are.
- `bracket_files`: all that a bracket reads and writes of its own.
- `folds_folders`: where the arrays are that a sweep's networks are trained on.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.files import atomic_path, read_json, write_json
from townsend.training.checkpoint import checkpoints_folder
from townsend.training.records import FitRecord

__all__ = [
    "BracketRecord",
    "arrays_path",
    "bracket_files",
    "folds_folders",
    "read_bracket_record",
    "record_path",
    "write_bracket_record",
]


@dataclass(frozen=True)
class BracketRecord:
    """How far a bracket has come.

    Arguments:
        bracket: its number.
        fits: records of the fits that have ended, in the order of the bracket.
        started: label -> how often the fit was set going, at its start and from rungs; also of one that has not ended.
        at_work: labels of the fits that were set going last.
        complete: whether no fit is left to do.
        arrays: curves and weights of the fits, `f"{label}.{name}"`.
    """

    bracket: int
    fits: tuple[FitRecord, ...] = ()
    started: Mapping[str, int] = field(default_factory=dict)
    at_work: tuple[str, ...] = ()
    complete: bool = False
    arrays: Mapping[str, NDArray[Any]] = field(default_factory=dict)

    @property
    def ended(self) -> frozenset[str]:
        """Return the labels of the fits that need no more work."""
        return frozenset(record.label for record in self.fits)

    def starting(self, labels: Sequence[str]) -> BracketRecord:
        """Return the record with these fits set going once more."""
        counted = {label: self.started.get(label, 0) + 1 for label in labels}
        return replace(self, started={**self.started, **counted}, at_work=tuple(labels))

    def with_fits(self, ended: Iterable[tuple[FitRecord, Mapping[str, NDArray[Any]]]]) -> BracketRecord:
        """Return the record with more ended fits; their attempts and the names of their arrays are filled in.

        A fit that rested r times on its way was set going r times more than it was attempted.
        """
        fits, arrays = list(self.fits), dict(self.arrays)
        for record, values in ended:
            rests = max(0, len(record.figures) - 1)
            fits.append(replace(record, attempts=max(1, self.started.get(record.label, 0) - rests)))
            arrays |= {f"{record.label}.{name}": array for name, array in values.items()}
        return replace(self, fits=tuple(fits), arrays=arrays)


def record_path(run: Path, bracket: int) -> Path:
    """Return the JSON file of a bracket's record."""
    return run / "records" / f"{bracket:04d}.json"


def arrays_path(run: Path, bracket: int) -> Path:
    """Return the file of a bracket's curves and weights."""
    return record_path(run, bracket).with_suffix(".npz")


def bracket_files(bracket: int) -> tuple[str, ...]:
    """Return the files and folders that a bracket writes, and goes on from, relative to the sweep's folder."""
    record = record_path(Path(), bracket)
    return str(record), str(arrays_path(Path(), bracket)), str(checkpoints_folder(Path(), bracket))


def folds_folders(run: Path, folds: int) -> list[Path]:
    """Return the folder of the arrays of each fold."""
    return [run / "arrays"] if folds == 1 else [run / "arrays" / f"fold-{fold}" for fold in range(folds)]


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
        started = {str(label): int(count) for label, count in value["started"].items()}
        at_work, complete = tuple(map(str, value["at_work"])), bool(value["complete"])
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        msg = f"{path} must be a record as townsend wrote it ({error}); delete it and repeat the sweep's command"
        raise InputError(msg) from None
    found = _read_arrays(arrays_path(run, bracket), {fit.label for fit in fits}) if arrays else {}
    return BracketRecord(bracket, fits, started, at_work, complete, found)


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
            "started": dict(record.started),
            "at_work": list(record.at_work),
            "fits": [fit.to_json() for fit in record.fits],
        },
    )


def _read_arrays(path: Path, labels: set[str]) -> dict[str, NDArray[Any]]:
    if not labels or not path.exists():
        return {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files if name.split(".")[0] in labels}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path} must be an archive as townsend wrote it ({error}); delete it with its .json and repeat the sweep"
        raise InputError(msg) from None
