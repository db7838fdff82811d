"""All that a sweep has left so far, read once, for those who export or draw it.

What to use when
----------------
- `read_history`: board, space and epoch curves of a sweep, also while it runs.
- `space_of`: the space that a sweep searches, as it was written; `drawn_from`: what each value was taken from.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from townsend.errors import InputError
from townsend.sweep.board import Board, board
from townsend.sweep.conditions import Drawn, plain
from townsend.sweep.hyperparameter import Hyperparameter, Range, Space, Tied, Values
from townsend.sweep.records import RunInfo, run_info
from townsend.training.record_file import arrays_path, read_bracket_record
from townsend.training.records import FitRecord

__all__ = ["CURVES", "Curves", "History", "drawn_from", "read_history", "space_of"]

CURVES = ("loss", "monitor_loss", "accuracy", "monitor_accuracy", "learning_rate")
"""Curves with one value an epoch; a fit has some of them."""

Curves = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class History:
    """What a sweep has left so far.

    Arguments:
        run: its folder.
        board: one row a configuration.
        space: what it searches; empty where the settings hold none.
        curves: trial -> curves of its first fit (fold 0, repeat 0).
        ended: trial -> when the record of its bracket was last written, seconds since 1970.
    """

    run: Path
    board: Board
    space: Space
    curves: Mapping[int, Curves]
    ended: Mapping[int, float]


def read_history(run: Path) -> History:
    """Return what the sweep in folder `run` has left so far.

    Raises InputError when the folder holds no sweep or a file is damaged.
    """
    info = run_info(run)
    curves: dict[int, Curves] = {}
    ended: dict[int, float] = {}
    for path in sorted((run / "records").glob("[0-9]*.json")):
        fits = read_bracket_record(run, int(path.stem), arrays=False).fits
        ended |= dict.fromkeys((fit.trial for fit in fits), path.stat().st_mtime)
        curves |= _curves(arrays_path(run, int(path.stem)), fits)
    return History(run, board(run), space_of(info), curves, ended)


def _curves(path: Path, fits: tuple[FitRecord, ...]) -> dict[int, Curves]:
    """Return the curves of each trial's first fit; weights, by far the larger part of the file, are not read."""
    first = {fit.trial: fit.label for fit in sorted(fits, key=lambda fit: (fit.fold, fit.repeat), reverse=True)}
    if not fits or not path.exists():
        return {}
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            names = set(archive.files)
            return {
                trial: {name: archive[f"{label}.{name}"] for name in CURVES if f"{label}.{name}" in names}
                for trial, label in first.items()
            }
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        msg = f"{path} must be an archive as townsend wrote it ({error}); delete it with its .json and repeat the sweep"
        raise InputError(msg) from None


def space_of(info: RunInfo) -> Space:
    """Return the space that a sweep searches.

    Raises InputError when `sweep.json` was edited.
    """
    try:
        return TypeAdapter(dict[str, Hyperparameter]).validate_python(info.settings.get("space", {}))
    except ValidationError as error:
        msg = f"the space in sweep.json must be as townsend wrote it ({error.errors()[0]['msg']}); restore the file"
        raise InputError(msg) from None


def drawn_from(space: Space) -> dict[str, Drawn]:
    """Return what each hyperparameter takes its value from, in the order of the space.

    A list holds the value `otherwise` too; a tied one has the list or range of the other.
    """
    found = plain(space)
    for name, form in space.items():
        of = found.get(name)
        otherwise = form.otherwise if isinstance(form, Range | Values) else None
        if of is not None and not isinstance(of, Range) and otherwise is not None and otherwise not in of:
            found[name] = [*of, otherwise]
    return {name: found[_source(space, name)] for name in space}


def _source(space: Space, name: str) -> str:
    form = space[name]
    return _source(space, form.same_as) if isinstance(form, Tied) else name
