"""Tables of events in files, read a few rows at a time.

What to use when
----------------
- `open_columns`: ROOT, Parquet or CSV files, with trees joined to them entry by entry.
- `Columns.iterate`: the rows of some columns, in pieces that fit in memory.
- `Columns.check`: whether these columns can be read, before hours are spent.

Columns are numbers, one an event, or lists of numbers; `expression` makes of them what an analysis needs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from townsend.errors import InputError, did_you_mean
from townsend.sample.column_file import ColumnFile, is_readable, no_rows
from townsend.sample.columns_csv import open_csv_columns
from townsend.sample.columns_parquet import open_parquet_columns
from townsend.sample.columns_root import open_root_columns

__all__ = ["Chunk", "Columns", "Friend", "open_columns"]

_MOST_NAMES = 60  # in a message


@dataclass(frozen=True)
class Friend:
    """Files with as many entries as those to which they are joined, one for each.

    Arguments:
        files: in the order of the files that they go with; they may be the same files.
        tree: name of their tree; None where a file holds one only, and for Parquet and CSV.
    """

    files: Sequence[Path]
    tree: str | None = None


@dataclass(frozen=True)
class Chunk:
    """Some rows of a file.

    Arguments:
        file: its index.
        start: number of the first row in the file.
        rows: how many.
        columns: name -> (rows,) numbers, or awkward array of as many lists of numbers.
    """

    file: int
    start: int
    rows: int
    columns: Mapping[str, Any]


@dataclass(frozen=True)
class Columns:
    """Columns of some files; `open_columns` makes it.

    Arguments:
        files: in order; tree, friends: as they were given.
        entries: rows of each file.
        types: column -> its type in the first file, in words; a name that several trees have stands as `TREE.column`
            of each, where files without trees are `main`, `friend1` and so on.
    """

    files: tuple[Path, ...]
    tree: str | None
    friends: tuple[Friend, ...]
    entries: tuple[int, ...]
    types: Mapping[str, str]
    _tables: tuple[tuple[ColumnFile, ...], ...] = field(repr=False)  # of each file: its own and those of its friends
    _places: Mapping[str, tuple[int, str]] = field(repr=False)  # column -> which of these, and its name there
    _shared: Mapping[str, str] = field(repr=False)  # name that several have -> what to say instead

    def check(self, names: Iterable[str]) -> None:
        """Raise InputError, naming the nearest, unless every file has all these columns and they can be read."""
        self._check(frozenset(names), range(len(self.files)))

    def _check(self, names: frozenset[str], files: Iterable[int]) -> None:
        for name in sorted(names):
            place, column = self._place(name)
            first = self._tables[0][place]
            for file in files:
                table, known = self._tables[file][place], first.types[column]
                words = table.types.get(column)
                if words is None:
                    nearest = _nearest(column, table.types)
                    msg = f'{table.path} must have a column "{column}", as {first.path} has{nearest}'
                    raise InputError(msg)
                if not is_readable(words):
                    rule = f'column "{name}" must hold numbers or lists of numbers'
                    msg = f"{rule} (got {words} in {table.path}); use another"
                    raise InputError(msg)
                if table.entries and words.startswith("list") != known.startswith("list"):
                    got = f"got {words} in {table.path} and {known} in {first.path}"
                    msg = f'column "{name}" must be of one kind in all files ({got}); read them apart'
                    raise InputError(msg)

    def iterate(self, names: Iterable[str], rows: int = 100_000, files: Iterable[int] | None = None) -> Iterator[Chunk]:
        """Yield rows of some columns in order, never across files; of an empty file one piece without rows.

        Arguments:
            names: of the columns; none gives the rows alone.
            rows: at most so many (>= 1) at a time.
            files: indices of the files to read; all by default.

        Raises InputError as `check` does for these files, and when one is damaged or has changed since it was opened.
        """
        if rows < 1:
            msg = f"rows must be at least 1 (got {rows}); raise it"
            raise InputError(msg)
        wanted, chosen = frozenset(names), range(len(self.files)) if files is None else tuple(files)
        self._check(wanted, chosen)
        for file in chosen:
            yield from self._chunks(file, wanted, rows)

    def _chunks(self, file: int, names: frozenset[str], rows: int) -> Iterator[Chunk]:
        entries, tables = self.entries[file], self._tables[file]
        places = {name: self._place(name) for name in sorted(names)}
        if entries == 0:
            types = {name: self._tables[0][place].types[column] for name, (place, column) in places.items()}
            yield Chunk(file, 0, 0, {name: no_rows(words) for name, words in types.items()})
            return
        with ExitStack() as stack:
            streams = {
                place: stack.enter_context(closing(tables[place].read(tuple(columns), rows)))
                for place, columns in _by_place(places.values()).items()
            }
            for start in range(0, entries, rows):
                size = min(rows, entries - start)
                pieces = {place: next(stream, {}) for place, stream in streams.items()}
                found = {name: pieces[place].get(column, ()) for name, (place, column) in places.items()}
                for name, values in found.items():
                    if len(values) != size:
                        path = tables[places[name][0]].path
                        got = f"got {len(values)} rows from {start} on, {size} were there"
                        msg = f"{path} must stay as it was when it was opened ({got}); start again"
                        raise InputError(msg)
                yield Chunk(file, start, size, found)

    def _place(self, name: str) -> tuple[int, str]:
        """Return which of a file's tables holds a column, and its name there."""
        if name in self._shared:
            msg = f'column "{name}" must be told from others of its name (got `{name}`); say {self._shared[name]}'
            raise InputError(msg)
        if name not in self._places:
            msg = f'{self.files[0]} must have a column "{name}"{_nearest(name, self.types)}'
            raise InputError(msg)
        return self._places[name]


def _by_place(places: Iterable[tuple[int, str]]) -> dict[int, dict[str, None]]:
    found: dict[int, dict[str, None]] = {}
    for place, column in places:
        found.setdefault(place, {})[column] = None
    return found


def _nearest(name: str, known: Iterable[str]) -> str:
    names = [ascii(word)[1:-1] for word in known]  # names of a damaged file may not be text
    found = did_you_mean(name, names)
    return f"; none of its {len(names)} is near" if found.startswith("; known") and len(names) > _MOST_NAMES else found


def open_columns(
    files: Sequence[Path],
    tree: str | None = None,
    friends: Sequence[Friend] = (),
    names: Sequence[str] | None = None,
) -> Columns:
    """Return the columns of files.

    Arguments:
        files: at least one; of ROOT, Parquet or CSV, told apart by content.
        tree: in ROOT files, its name with the folders inside the file; None where each holds one only.
        friends: joined to them.
        names: of the columns of CSV files without a header line.

    Raises InputError when a file is missing, damaged or of another format, has no such tree, or a friend has another
    number of entries.
    """
    if not files:
        msg = "at least one file must be given (got none); name one"
        raise InputError(msg)
    for friend in friends:
        if len(friend.files) != len(files):
            msg = f"a friend must have one file for each (got {len(friend.files)} for {len(files)} files); name as many"
            raise InputError(msg)
    tables: list[tuple[ColumnFile, ...]] = []
    for index, path in enumerate(files):
        joined = [_open(path, tree, names), *(_open(Path(f.files[index]), f.tree, None) for f in friends)]
        for other in joined[1:]:
            if other.entries != joined[0].entries:
                got = f"got {other.entries} in {_title(other)}, {joined[0].entries} in {_title(joined[0])}"
                msg = f"a friend must have as many entries as what it is joined to ({got}); name the one that fits"
                raise InputError(msg)
        if tables:  # thousands of files may have thousands of columns: equal types are held once
            pairs = zip(joined, tables[0], strict=True)
            joined = [replace(new, types=old.types) if new.types == old.types else new for new, old in pairs]
        tables.append(tuple(joined))
    types, places, shared = _names(tables[0])
    entries = tuple(table[0].entries for table in tables)
    return Columns(tuple(files), tree, tuple(friends), entries, types, tuple(tables), places, shared)


def _open(path: Path, tree: str | None, names: Sequence[str] | None) -> ColumnFile:
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        msg = f"{path} must be a readable file ({error.strerror}); check its name"
        raise InputError(msg) from None
    root = magic == b"root" or path.suffix == ".root"
    parquet = magic == b"PAR1" or path.suffix == ".parquet"
    if names is not None and (root or parquet):
        msg = f"`columns` must be left out for files that name their columns (got {path}); leave it out"
        raise InputError(msg)
    if root:
        return open_root_columns(path, tree)
    if tree is not None:
        msg = f'`tree` must be left out for files without trees (got "{tree}" for {path}); leave it out'
        raise InputError(msg)
    return open_parquet_columns(path) if parquet else open_csv_columns(path, names)


def _title(table: ColumnFile) -> str:
    return f'tree "{table.name}" of {table.path}' if table.name else str(table.path)


def _names(tables: Sequence[ColumnFile]) -> tuple[dict[str, str], dict[str, tuple[int, str]], dict[str, str]]:
    """Return the types, places and names that are shared, of the columns of a table and its friends."""
    labels: list[str] = []
    for place, table in enumerate(tables):
        label = table.name.rpartition("/")[2] if table.name else "main" if place == 0 else f"friend{place}"
        labels.append(label if label not in labels else f"friend{place}")
    counts = Counter(column for table in tables for column in table.types)
    types: dict[str, str] = {}
    places: dict[str, tuple[int, str]] = {}
    qualified: dict[str, tuple[int, str]] = {}
    shared: dict[str, list[str]] = {}
    for place, (label, table) in enumerate(zip(labels, tables, strict=True)):
        for column, words in table.types.items():
            full = f"{label}.{column}"
            qualified[full] = (place, column)
            if counts[column] > 1:
                shared.setdefault(column, []).append(f"`{full}`")
            else:
                places[column] = (place, column)
            types[full if counts[column] > 1 else column] = words
    return types, qualified | places, {name: " or ".join(others) for name, others in shared.items()}
