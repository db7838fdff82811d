"""One file with columns, whatever its format.

What to use when
----------------
- `ColumnFile`: what `columns_root`, `columns_parquet` and `columns_csv` make of a file, and `columns` reads.
- `type_words`, `is_readable`, `no_rows`: the words in which types of columns are told.
- `regroup`: pieces of any sizes as pieces of one size.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import DTypeLike

from townsend.sample.expression_lists import Ragged

__all__ = ["TEXT", "ColumnFile", "Pieces", "is_readable", "no_rows", "regroup", "type_words"]

TEXT = "text"

Pieces = Generator[dict[str, Any], None, None]

_READABLE = re.compile(r"(list of )?(bool|u?int(8|16|32|64)|float(16|32|64))")


@dataclass(frozen=True)
class ColumnFile:
    """A file whose columns can be read.

    Arguments:
        path: of the file.
        name: of its tree, if its format has such.
        entries: rows of every column.
        types: column -> words, as `type_words` gives them for what can be read, `TEXT`, or others.
        read: yields some columns, at least one and all readable, in pieces of so many rows and at the end what is left,
            as (n,) arrays or awkward arrays of lists. Raises InputError where the file is damaged.
    """

    path: Path
    name: str | None
    entries: int
    types: Mapping[str, str]
    read: Callable[[tuple[str, ...], int], Pieces]


def type_words(kind: DTypeLike, lists: bool = False) -> str:
    """Return how the type of a column of numbers, or of lists of such, is told: `float32`, `list of float32`."""
    return f"{'list of ' if lists else ''}{np.dtype(kind).newbyteorder('=')}"


def is_readable(words: str) -> bool:
    """Return whether a column is of numbers or of lists of numbers."""
    return _READABLE.fullmatch(words) is not None


def no_rows(words: str) -> Any:
    """Return a readable column without rows."""
    kind = words.removeprefix("list of ")
    empty = np.empty(0, kind)
    return empty if kind == words else Ragged(empty, np.empty(0, np.int64)).to_awkward()


def regroup(pieces: Iterator[dict[str, Any]], rows: int) -> Iterator[dict[str, Any]]:
    """Yield the same columns in pieces of `rows` rows and at the end what is left."""
    parts: list[dict[str, Any]] = []
    held = 0
    for piece in pieces:
        size, start = len(next(iter(piece.values()))), 0
        while held + size - start >= rows:
            stop = start + rows - held
            yield _joined([*parts, _cut(piece, start, stop)])
            parts, held, start = [], 0, stop
        if start < size:
            parts.append(_cut(piece, start, size))
            held += size - start
    if parts:
        yield _joined(parts)


def _cut(piece: dict[str, Any], start: int, stop: int) -> dict[str, Any]:
    return {name: column[start:stop] for name, column in piece.items()}


def _joined(parts: list[dict[str, Any]]) -> dict[str, Any]:
    if len(parts) == 1:
        return parts[0]
    columns = {name: [part[name] for part in parts] for name in parts[0]}
    return {
        name: ak.concatenate(column) if isinstance(column[0], ak.Array) else np.concatenate(column)
        for name, column in columns.items()
    }
