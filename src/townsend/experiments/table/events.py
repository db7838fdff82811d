"""From files to the events of a table, piece by piece: cuts, features, labels, weights.

What to use when
----------------
- `open_sources`: what classes are read from; classes that share files are read together.
- `iterate_events`: the events that pass the cuts, in pieces of bounded size, and the cut-flow on the way.
- `Reader`: the same for columns that are already in memory, of which nobody knows the class: what applies a model.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.table.cut_flow import CutFlow
from townsend.experiments.table.settings import ClassSettings, Description, Files, TableSettings
from townsend.sample.columns import Chunk, Columns, Friend, open_columns
from townsend.sample.expression import Expression, mask, numbers, parse_expression, with_aliases

__all__ = ["ROWS", "Events", "Reader", "Source", "iterate_events", "open_source", "open_sources"]

ROWS = 100_000
"""Entries read at a time."""

_IN_CACHE = 4096  # rows that are turned from columns into events at a time
_LARGEST_GROUP = 2.0**53  # beyond, float64 does not tell whole numbers apart


@dataclass(frozen=True)
class Source:
    """Files that are read together, and the classes in them.

    Arguments:
        columns: the files, open.
        classes: name -> (index among all classes, settings).
    """

    columns: Columns
    classes: Mapping[str, tuple[int, ClassSettings]]


@dataclass(frozen=True)
class Events:
    """n events that pass the cuts, in the order of their entries.

    Arguments:
        values: (n, k) features, float32.
        label: (n,) index of the class.
        weight: (n,) before any scaling to luminosity.
        group: (n,) what `group` gives, or None.
        file: index of the file in its source; entry: (n,) number of each entry in that file.
    """

    values: NDArray[np.float32]
    label: NDArray[np.int16]
    weight: NDArray[np.float64]
    group: NDArray[np.int64] | None
    file: int
    entry: NDArray[np.int64]

    @property
    def arrays(self) -> tuple[NDArray[Any], ...]:
        """All that has one row an event."""
        every = (self.values, self.label, self.weight, self.group, self.entry)
        return tuple(values for values in every if values is not None)

    def __getitem__(self, rows: NDArray[Any] | slice) -> Events:
        """Return the chosen events."""
        group = None if self.group is None else self.group[rows]
        return Events(self.values[rows], self.label[rows], self.weight[rows], group, self.file, self.entry[rows])


def open_sources(table: Description) -> list[Source]:
    """Return what the classes of a table are read from.

    Raises InputError when a file is missing, cannot be read or lacks a column, naming the nearest one.
    """
    shared: dict[tuple[Files, str | None], dict[str, tuple[int, ClassSettings]]] = {}
    for index, (name, one) in enumerate(table.settings.classes.items()):
        place = (one.files or table.settings.files, one.tree or table.settings.tree)
        shared.setdefault(place, {})[name] = (index, one)
    found = []
    for (files, tree), classes in shared.items():
        unnamed = [name for name, (_, one) in classes.items() if one.where is None]
        if unnamed and len(classes) > 1:
            rule = "classes in the same files must be told apart"
            msg = f'{rule} (got {", ".join(classes)} in {files}, and no condition for "{unnamed[0]}"); give it `where`'
            raise InputError(msg)
        source = Source(open_source(table, files, tree), classes)
        Reader(table.settings).check(source)
        found.append(source)
    return found


def open_source(table: Description, files: Files, tree: str | None) -> Columns:
    """Return files of a table, open, with the table's friends and column names."""
    paths = table.paths(files)
    friends = [
        Friend(table.paths(friend.files) if friend.files else paths, friend.tree) for friend in table.settings.friends
    ]
    return open_columns(paths, tree, friends, table.settings.columns)


class Reader:
    """The expressions of a table, parsed once.

    Arguments:
        settings: of the table.
    """

    def __init__(self, settings: TableSettings) -> None:
        self._aliases = {name: parse_expression(text) for name, text in settings.aliases.items()}
        self.cuts = [self._parsed(text) for text in settings.cuts]
        self.features = {name: self._parsed(text) for name, text in settings.expressions.items()}
        self._weight = settings.weight
        self._group = self._parsed(settings.group) if settings.group else None

    def _parsed(self, text: str) -> Expression:
        return with_aliases(parse_expression(text), self._aliases)

    def check(self, source: Source) -> None:
        """Raise InputError, naming the nearest one, when an expression reads a column that the files lack."""
        source.columns.check(self.names(source))

    def names(self, source: Source) -> frozenset[str]:
        """Return the columns that are read of a source."""
        of_classes = [
            self._parsed(text)
            for _, one in source.classes.values()
            for text in (one.where, one.weight or self._weight)
            if text is not None
        ]
        group = [self._group] if self._group else []
        every = [*self.cuts, *self.features.values(), *of_classes, *group]
        return frozenset().union(*(expression.names for expression in every))

    def passed(self, columns: Mapping[str, Any], rows: int) -> NDArray[np.int64]:
        """Return (rows,) how many cuts each event passes before the first it fails."""
        found, alive = np.zeros(rows, np.int64), np.ones(rows, np.bool_)
        for cut in self.cuts:
            alive &= mask(cut, columns, rows)
            found += alive
        return found

    def values(self, columns: Mapping[str, Any], rows: int) -> NDArray[np.float32]:
        """Return (rows, k) features; what is not finite stays so."""
        by_feature = np.empty((len(self.features), rows), np.float32)
        with np.errstate(over="ignore"):
            for place, expression in enumerate(self.features.values()):
                by_feature[place] = numbers(expression, columns, rows)
        found = np.empty((rows, len(self.features)), np.float32)
        for start in range(0, rows, _IN_CACHE):  # twice as fast as writing a feature after the other
            found[start : start + _IN_CACHE] = by_feature[:, start : start + _IN_CACHE].T
        return found

    def events(self, source: Source, chunk: Chunk, flows: dict[str, CutFlow]) -> Events:
        """Return the events of a chunk that pass; add its events to the cut-flows.

        Raises InputError when an event is of two classes, or a weight or group is no number.
        """
        columns, rows = chunk.columns, chunk.rows
        label, weight = np.full(rows, -1, np.int16), np.zeros(rows)
        passed = self.passed(columns, rows)
        for name, (index, one) in source.classes.items():
            mine = mask(self._parsed(one.where), columns, rows) if one.where else np.ones(rows, np.bool_)
            self._check_disjoint(source, label, mine, name, chunk)
            label[mine] = index
            text = one.weight or self._weight
            given = numbers(self._parsed(text), columns, rows)[mine] if text else np.ones(int(mine.sum()))
            _check_weights(given, str(text), source, chunk, np.flatnonzero(mine))
            weight[mine] = given
            flows[name] = flows[name] + CutFlow.of(given, passed[mine], len(self.cuts))
        group, values = self._groups(columns, rows), self.values(columns, rows)
        every = Events(values, label, weight, group, chunk.file, chunk.start + np.arange(rows, dtype=np.int64))
        kept = np.flatnonzero((label >= 0) & (passed == len(self.cuts)))
        return every if len(kept) == rows else every[kept]

    def _check_disjoint(
        self, source: Source, label: NDArray[np.int16], mine: NDArray[np.bool_], name: str, chunk: Chunk
    ) -> None:
        both = np.flatnonzero(mine & (label >= 0))
        if len(both):
            other = next(known for known, (index, _) in source.classes.items() if index == label[both[0]])
            where = f"entry {chunk.start + both[0]} of {source.columns.files[chunk.file]}"
            msg = f"an event must be of one class (got {other} and {name} for {where}); narrow their `where`"
            raise InputError(msg)

    def _groups(self, columns: Mapping[str, Any], rows: int) -> NDArray[np.int64] | None:
        if self._group is None:
            return None
        found = numbers(self._group, columns, rows)
        whole = np.isfinite(found) & (found == np.rint(found)) & (np.abs(found) < _LARGEST_GROUP)
        if not whole.all():
            msg = f"group must be a whole number below 2^53 (got {found[~whole][0]:g}); name the event's number"
            raise InputError(msg)
        return found.astype(np.int64)


def _check_weights(
    given: NDArray[np.float64], text: str, source: Source, chunk: Chunk, entries: NDArray[np.intp]
) -> None:
    bad = np.flatnonzero(~np.isfinite(given))
    if len(bad):
        where = f"entry {chunk.start + entries[bad[0]]} of {source.columns.files[chunk.file]}"
        msg = f"weight must be a finite number (got {given[bad[0]]} from {text} in {where}); cut such events away"
        raise InputError(msg)


def iterate_events(source: Source, reader: Reader, flows: dict[str, CutFlow]) -> Iterator[Events]:
    """Yield the events of a source in order, some `ROWS` entries at a time.

    Arguments:
        source: as `open_sources` returns it.
        reader: of its table.
        flows: class -> cut-flow, to which what is read is added.
    """
    for chunk in source.columns.iterate(reader.names(source), rows=ROWS):
        yield reader.events(source, chunk, flows)
