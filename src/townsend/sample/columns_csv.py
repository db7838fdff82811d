"""Columns of CSV files, and of other texts with numbers in columns.

What to use when
----------------
- `open_csv_columns`: the columns of a file.

Lines end in LF, CR or CRLF; a byte-order mark and a `#` before the header are ignored, and empty lines. Cells are
parted by tabs, semicolons, commas or any number of blanks: the first of these that the first line has. Empty cells,
`NA` and `nan` are NaN. Columns are of whole numbers, numbers, or true and false, as the first rows have it; others are
listed as text. A few megabytes are held at a time.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from townsend.errors import InputError
from townsend.sample.column_file import TEXT, ColumnFile, Pieces, regroup
from townsend.sample.columns_parquet import arrow_numbers

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["open_csv_columns"]

_BLOCK_BYTES = 4 << 20
_LONGEST_LINE = 16 << 20

_FIRST_LINE = re.compile(rb"\n*([^\n]*)\n")
_EMPTY_LINES = re.compile(rb"\n{2,}")
_BLANKS = re.compile(rb"[ \t]+")
_MARGINS = re.compile(rb"^ | $", re.MULTILINE)


def open_csv_columns(path: Path, names: Sequence[str] | None) -> ColumnFile:
    """Return the columns of a CSV file.

    Arguments:
        path: of the file.
        names: of its columns, where it has no header line.

    Raises InputError when the file is missing or binary, has neither header nor names, has both, or its first rows are
    not alike.
    """
    with _readable(path):
        layout = _layout(path, names)
        types: Mapping[str, str] = dict.fromkeys(layout.names, "float64")
        entries = 0
        for block in _blocks(layout):
            types = types if entries else _infer(layout, block)
            entries += block.rows.count(b"\n")

    def read(wanted: tuple[str, ...], rows: int) -> Pieces:
        with _readable(path):
            yield from regroup(_pieces(layout, types, wanted), rows)

    return ColumnFile(path, None, entries, types, read)


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        msg = f"{path} must be a readable file ({error.strerror}); check its name"
        raise InputError(msg) from None


# ---- lines


@dataclass(frozen=True)
class _Layout:
    """How a file is laid out; `delimiter` is a blank where any number of blanks part cells."""

    path: Path
    delimiter: str
    header: bool
    names: tuple[str, ...]


@dataclass(frozen=True)
class _Block:
    """Some lines of a file.

    Arguments:
        number: of the first line.
        lines: as in the file, but for their ends.
        rows: the lines that are not empty, each ended by LF.
    """

    number: int
    lines: bytes
    rows: bytes


def _layout(path: Path, names: Sequence[str] | None) -> _Layout:
    found = _FIRST_LINE.match(next(_lines(path), b""))
    try:
        line = found[1].decode().strip() if found else ""
    except UnicodeDecodeError:
        line = "\0"
    if "\0" in line:
        msg = f"{path} must be a ROOT, Parquet or CSV file (its first bytes are no text); convert it"
        raise InputError(msg)
    words = line.removeprefix("#").strip()
    delimiter = next((mark for mark in "\t;," if mark in words), " ")
    cells = _cells(words, delimiter)
    shown = f"first line: {line[:100]!r}"
    header = not any(map(_is_number, cells))
    if names is None:
        if not words or not header:
            msg = f"{path} must begin with a header line, or `columns` must name its columns ({shown}); add one of them"
            raise InputError(msg)
        names = [cell or f"column {place}" for place, cell in enumerate(cells, 1)]
    elif words and header:
        msg = f"{path} must begin with numbers where `columns` names its columns ({shown}); leave one of them out"
        raise InputError(msg)
    if words and len(names) != len(cells):
        msg = f"`columns` must name all {len(cells)} columns of {path} (got {len(names)} names; {shown}); correct them"
        raise InputError(msg)
    if len(set(names)) < len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        msg = f'columns of {path} must have different names (got "{twice}" twice); rename one'
        raise InputError(msg)
    return _Layout(path, delimiter, bool(words) and header, tuple(names))


def _cells(line: str, delimiter: str) -> list[str]:
    cells = line.split() if delimiter == " " else next(csv.reader([line], delimiter=delimiter), [])
    return [cell.strip() for cell in cells]


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _lines(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file as blocks of whole lines, all ended by LF, without a byte-order mark."""
    with path.open("rb") as stream:
        if stream.read(3) != b"\xef\xbb\xbf":
            stream.seek(0)
        rest = b""
        while data := stream.read(_BLOCK_BYTES):
            while data.endswith(b"\r") and (after := stream.read(1)):  # CR and LF of one end may be parted here
                data += after
            if b"\r" in data:
                data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            whole, end, rest = (rest + data).rpartition(b"\n")
            if len(rest) > _LONGEST_LINE:
                msg = (
                    f"{path} must have lines of at most {_LONGEST_LINE >> 20} MiB (got a longer one); is it a CSV file?"
                )
                raise InputError(msg)
            if end:
                yield whole + end
        if rest:
            yield rest + b"\n"


def _blocks(layout: _Layout) -> Iterator[_Block]:
    number, header = 1, layout.header
    for lines in _lines(layout.path):
        if header and (found := _FIRST_LINE.match(lines)):
            number, header = number + found[0].count(b"\n"), False
            lines = lines[found.end() :]
        rows = lines
        if layout.delimiter == " ":
            rows = _MARGINS.sub(b"", _BLANKS.sub(b" ", rows))
        if b"\n\n" in rows:
            rows = _EMPTY_LINES.sub(b"\n", rows)
        rows = rows.removeprefix(b"\n")
        if rows:
            yield _Block(number, lines, rows)
        number += lines.count(b"\n")


# ---- numbers


def _infer(layout: _Layout, block: _Block) -> dict[str, str]:
    """Return the types of columns by the rows of a block."""
    import pyarrow as pa

    try:
        table = _parse(layout, block, layout.names, {})
    except pa.ArrowInvalid as error:
        _refuse(layout, block, {}, str(error))
    words = {pa.int64(): "int64", pa.float64(): "float64", pa.bool_(): "bool", pa.null(): "float64"}
    return {field.name: words.get(field.type) or _text(layout, block, field.name) for field in table.schema}


def _text(layout: _Layout, block: _Block, name: str) -> str:
    """Return the type of a column that is not of numbers, with the first cell that shows it."""
    place = layout.names.index(name)
    missing = _missing()
    for number, cells in _numbered(layout, block):
        if cells and not _is_number(cells[place]) and cells[place] not in missing:
            return f'{TEXT} ("{cells[place]}" in line {number})'
    return TEXT


def _numbered(layout: _Layout, block: _Block) -> Iterator[tuple[int, list[str]]]:
    """Yield the number of each line of a block and its cells."""
    for number, line in enumerate(block.lines.decode(errors="replace").split("\n"), block.number):
        yield number, _cells(line, layout.delimiter)


def _missing() -> set[str]:
    """Return the cells that Arrow takes for missing ones."""
    from pyarrow.csv import ConvertOptions

    return set(ConvertOptions().null_values)


def _pieces(layout: _Layout, types: Mapping[str, str], wanted: Sequence[str]) -> Iterator[dict[str, Any]]:
    for block in _blocks(layout):
        table = _numbers(layout, block, {name: types[name] for name in wanted})
        yield {name: arrow_numbers(table.column(name), name) for name in wanted}


def _numbers(layout: _Layout, block: _Block, types: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa

    try:
        return _parse(layout, block, tuple(types), types)
    except pa.ArrowInvalid:
        # Whole numbers of the first rows may be others further down; each column is then as its block has it.
        others = {name: words for name, words in types.items() if words != "int64"}
    try:
        table = _parse(layout, block, tuple(types), others)
    except pa.ArrowInvalid as error:
        _refuse(layout, block, types, str(error))
    if not all(
        field.type in (pa.int64(), pa.float64(), pa.null()) for field in table.schema if field.name not in others
    ):
        _refuse(layout, block, types, "")
    return table


def _parse(layout: _Layout, block: _Block, wanted: Sequence[str], types: Mapping[str, str]) -> pa.Table:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    table = arrow_csv.read_csv(
        pa.BufferReader(block.rows),
        arrow_csv.ReadOptions(use_threads=False, block_size=len(block.rows) + 1, column_names=layout.names),
        arrow_csv.ParseOptions(delimiter=layout.delimiter),
        arrow_csv.ConvertOptions(
            include_columns=wanted, column_types={name: pa.from_numpy_dtype(np.dtype(t)) for name, t in types.items()}
        ),
    )
    if table.num_rows != block.rows.count(b"\n"):
        msg = "a quoted cell goes on in the next line"
        raise pa.ArrowInvalid(msg)
    return table


def _refuse(layout: _Layout, block: _Block, types: Mapping[str, str], reason: str) -> NoReturn:
    """Say which line of a block cannot be read."""
    missing, path = _missing(), layout.path
    for number, cells in _numbered(layout, block):
        if cells and len(cells) != len(layout.names):
            got = f"got {len(cells)} in line {number}"
            msg = f"{path} must have {len(layout.names)} cells in every line ({got}); correct the file"
            raise InputError(msg)
        for name, cell in zip(layout.names, cells, strict=False):
            wanted = types.get(name)
            if wanted == "bool" and cell.lower() not in ("true", "false", "0", "1"):
                msg = f'{path} must have true or false in column "{name}" (got "{cell}" in line {number}); correct it'
                raise InputError(msg)
            if wanted in ("int64", "float64") and not _is_number(cell) and cell not in missing:
                msg = f'{path} must have numbers in column "{name}" (got "{cell}" in line {number}); correct the file'
                raise InputError(msg)
    msg = f"{path} must be a CSV file of numbers ({reason} from line {block.number} on); correct the file"
    raise InputError(msg)
