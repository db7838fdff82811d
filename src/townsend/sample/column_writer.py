"""New columns written piece by piece as ROOT, Parquet or CSV.

What to use when
----------------
- `open_column_writer`: a file that takes columns a few rows at a time; its format follows its suffix.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import uproot
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.files import atomic_path

__all__ = ["METADATA", "SUFFIXES", "ColumnWriter", "open_column_writer"]

METADATA = "townsend"
"""Name of the TObjString beside the tree that holds the metadata as JSON."""

_Columns = Mapping[str, NDArray[Any]]
_Types = Mapping[str, np.dtype[Any]]
_Write = Callable[[_Columns], None]


class ColumnWriter:
    """What `open_column_writer` yields.

    Arguments:
        path: of the file, for messages.
        start: begins the file for columns of some types and returns what writes them.
    """

    def __init__(self, path: Path, start: Callable[[_Types], _Write]) -> None:
        self._path = path
        self._start = start
        self._types: _Types | None = None
        self._write: _Write

    def extend(self, columns: _Columns) -> None:
        """Add rows.

        Arguments:
            columns: name -> (n,) numbers, or true and false; n may be 0. The first piece decides names and types.

        Raises InputError when columns are none, differ in length or from the first piece, or are not numbers.
        """
        types = {name: column.dtype for name, column in columns.items()}
        lengths = {len(column) for column in columns.values()}
        plain = all(column.ndim == 1 and column.dtype.kind in "biuf" for column in columns.values())
        if len(lengths) != 1 or not plain:
            shapes = ", ".join(f"{name} {column.dtype} {column.shape}" for name, column in columns.items())
            msg = f"{self._path} must be given columns of numbers of one length (got {shapes or 'none'}); change them"
            raise InputError(msg)
        if self._types is None:
            self._types, self._write = types, self._start(types)
        if types != self._types:
            msg = (
                f"{self._path} must be given the same columns each time (got {types} after {self._types}); keep to them"
            )
            raise InputError(msg)
        if lengths != {0}:
            self._write(columns)

    @property
    def empty(self) -> bool:
        """Whether no columns have been given yet."""
        return self._types is None


@contextmanager
def open_column_writer(
    path: Path, metadata: Mapping[str, str] | None = None, tree: str = "scores"
) -> Iterator[ColumnWriter]:
    """Yield what writes columns to a file, which appears, or replaces an earlier one, when all is well at the end.

    Arguments:
        path: its suffix is .root, .parquet or .csv.
        metadata: texts about the whole: in ROOT one TObjString `townsend`, JSON; in Parquet its own key-value
            metadata; CSV has no place for them.
        tree: name of the TTree in ROOT.

    Raises InputError for another suffix, or when no columns were given; OSError when the disk is full.
    """
    if path.suffix not in _FORMATS:
        msg = f"{path} must end in {', '.join(SUFFIXES)} (got {path.suffix or 'no suffix'}); rename it"
        raise InputError(msg)
    with atomic_path(path) as temporary, ExitStack() as stack:

        def start(types: _Types) -> _Write:
            return stack.enter_context(_FORMATS[path.suffix](temporary, types, metadata or {}, tree))

        writer = ColumnWriter(path, start)
        yield writer
        if writer.empty:
            msg = f"{path} must be given columns (got none); give them without rows where there are none"
            raise InputError(msg)


@contextmanager
def _root(path: Path, types: _Types, metadata: Mapping[str, str], tree: str) -> Iterator[_Write]:
    with uproot.recreate(path, compression=uproot.ZSTD(1)) as file:
        if metadata:
            file[METADATA] = json.dumps(dict(metadata))
        yield file.mktree(tree, dict(types)).extend


@contextmanager
def _parquet(path: Path, types: _Types, metadata: Mapping[str, str], tree: str) -> Iterator[_Write]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    schema = _schema(types).with_metadata(dict(metadata))
    with pq.ParquetWriter(path, schema, compression="zstd") as file:
        yield lambda columns: file.write_table(pa.table(dict(columns), schema=schema))


@contextmanager
def _csv(path: Path, types: _Types, metadata: Mapping[str, str], tree: str) -> Iterator[_Write]:
    import pyarrow as pa
    from pyarrow.csv import CSVWriter, WriteOptions

    with path.open("w", encoding="utf-8", newline="") as text:
        csv.writer(text, lineterminator="\n").writerow(types)
    schema = _schema(types)
    with path.open("ab") as stream, CSVWriter(stream, schema, write_options=WriteOptions(include_header=False)) as file:
        yield lambda columns: file.write_table(pa.table(dict(columns), schema=schema))


def _schema(types: _Types) -> Any:
    import pyarrow as pa

    return pa.schema([(name, pa.from_numpy_dtype(kind)) for name, kind in types.items()])


_FORMATS: Mapping[str, Callable[..., AbstractContextManager[_Write]]] = {
    ".root": _root,
    ".parquet": _parquet,
    ".csv": _csv,
}
SUFFIXES = tuple(_FORMATS)
