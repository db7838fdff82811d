"""Columns of Parquet files.

What to use when
----------------
- `open_parquet_columns`: the columns of a file.
- `arrow_numbers`: an Arrow column of numbers as an array.

Missing numbers are NaN and missing lists empty. However large row groups are, a few rows are held at a time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError, TownsendError
from townsend.sample.column_file import TEXT, ColumnFile, Pieces, is_readable, regroup, type_words
from townsend.sample.expression_lists import Ragged

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["arrow_numbers", "open_parquet_columns"]

_ARROW_NAMES = {"halffloat": "float16", "float": "float32", "double": "float64", "null": "float64"}
_ROWS_AT_A_TIME = 65_536
_BUFFER_BYTES = 1 << 20  # of each column; without a buffer whole row groups are held


def open_parquet_columns(path: Path) -> ColumnFile:
    """Return the columns of a Parquet file; raises InputError when it is missing or damaged."""
    with _open(path) as file:
        schema = file.schema_arrow
        types = {field.name: _type(field.type) for field in schema}
        entries = int(file.metadata.num_rows)

    def read(names: tuple[str, ...], rows: int) -> Pieces:
        with _open(path) as file:
            yield from regroup(_pieces(file, names, min(rows, _ROWS_AT_A_TIME)), rows)

    return ColumnFile(path, None, entries, types, read)


@contextmanager
def _open(path: Path) -> Iterator[Any]:
    """Yield an open file; what reading it raises inside becomes one sentence."""
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path, pre_buffer=False, buffer_size=_BUFFER_BYTES) as file:
            yield file
    except TownsendError:
        raise
    except Exception as error:  # damaged bytes surface as almost any exception
        first_line = ascii((str(error).strip().splitlines() or [""])[0][:120])[1:-1]
        msg = f"{path} must be a whole Parquet file ({type(error).__name__}: {first_line}); copy or make it again"
        raise InputError(msg) from error


def _pieces(file: Any, names: tuple[str, ...], rows: int) -> Iterator[dict[str, Any]]:
    for batch in file.iter_batches(batch_size=rows, columns=list(names), use_threads=False):
        yield {name: _column(batch.column(name), name) for name in names}


def _type(kind: pa.DataType) -> str:
    from pyarrow import types

    if types.is_string(kind) or types.is_large_string(kind):
        return TEXT
    lists = types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind)
    inner = kind.value_type if lists else kind
    name = _ARROW_NAMES.get(str(inner), str(inner))
    return type_words(name, lists) if is_readable(name) else str(kind)


def _column(column: pa.Array, name: str) -> Any:
    """Return a column as an array or as lists."""
    import pyarrow.compute as pc
    from pyarrow import types

    if not (types.is_list(column.type) or types.is_large_list(column.type) or types.is_fixed_size_list(column.type)):
        return arrow_numbers(column, name)
    counts = pc.fill_null(pc.list_value_length(column), 0)
    return Ragged(arrow_numbers(pc.list_flatten(column), name), counts.to_numpy().astype(np.int64)).to_awkward()


def arrow_numbers(column: pa.Array, name: str) -> NDArray[Any]:
    """Return an Arrow column of numbers, shape (n,); where some are missing, float64 with NaN.

    Raises InputError when one of true and false has missing values.
    """
    import pyarrow as pa

    if column.null_count == 0 and not pa.types.is_null(column.type):
        return np.asarray(column.to_numpy(zero_copy_only=False))
    if pa.types.is_boolean(column.type):
        msg = f'column "{name}" must be true or false in every row (got {column.null_count} missing); fill them in'
        raise InputError(msg)
    return np.asarray(column.cast(pa.float64()).to_numpy(zero_copy_only=False))
