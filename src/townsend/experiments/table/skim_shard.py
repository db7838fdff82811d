"""What a worker of `townsend skim` does: the events of one file that pass the cuts.

A shard is done when its description, which holds its cut-flow, has been renamed into place; the file of events was
there before. Both depend on the input and the settings alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.config import parse
from townsend.experiments.table.cut_flow import CutFlow
from townsend.experiments.table.events import ROWS, Reader, Source
from townsend.experiments.table.settings import TableSettings
from townsend.files import write_json
from townsend.sample.column_writer import open_column_writer
from townsend.sample.columns import Friend, open_columns
from townsend.sample.expression import numbers, parse_expression

__all__ = ["LABEL", "OWN", "WEIGHT", "SkimWork", "column_names", "skim_shard"]

LABEL, WEIGHT = "class_index", "event_weight"
OWN = (LABEL, WEIGHT, "event_group", "source_file", "source_entry")
"""Columns that every skim has beside features and what is kept."""


@dataclass(frozen=True)
class SkimWork:
    """One file of one source.

    Arguments:
        settings: of the table, JSON-like.
        classes: the classes that are in this file.
        path: of it; friends: of the trees joined to it; tree: name of its tree, or None.
        number: of the file among all.
        keep: further columns.
        suffix: of the file written, .root or .parquet.
    """

    settings: Mapping[str, Any]
    classes: tuple[str, ...]
    path: Path
    friends: tuple[Path, ...]
    tree: str | None
    number: int
    keep: tuple[str, ...]
    suffix: str

    @property
    def stem(self) -> str:
        """Return the name of what is written, without a suffix."""
        return f"skim-{self.number:05d}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        friends = [str(path) for path in self.friends]
        lists = {"classes": list(self.classes), "keep": list(self.keep), "friends": friends}
        return {**vars(self), **lists, "settings": dict(self.settings), "path": str(self.path)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> SkimWork:
        """Return the work written by `to_json`."""
        friends = tuple(Path(path) for path in value["friends"])
        lists = {"classes": tuple(value["classes"]), "keep": tuple(value["keep"]), "friends": friends}
        return SkimWork(**{**value, **lists, "path": Path(value["path"])})


def skim_shard(work: SkimWork, folder: Path) -> None:
    """Write the events of a file that pass, and their cut-flow, into `folder`.

    Raises InputError when the file cannot be read or lacks a column.
    """
    settings = parse(TableSettings, work.settings)
    reader, columns = Reader(settings), column_names(settings)
    friends = [Friend((path,), friend.tree) for path, friend in zip(work.friends, settings.friends, strict=True)]
    opened = open_columns([work.path], work.tree, friends, settings.columns)
    index = {name: number for number, name in enumerate(settings.classes)}
    source = Source(opened, {name: (index[name], settings.classes[name]) for name in work.classes})
    kept = {name: parse_expression(f"`{name}`") for name in work.keep}
    names = reader.names(source) | frozenset(work.keep)
    opened.check(names)
    flows = {name: CutFlow.empty(len(settings.cuts)) for name in work.classes}
    with open_column_writer(folder / f"{work.stem}{work.suffix}", tree="events") as writer:
        for chunk in opened.iterate(names, rows=ROWS):
            events = reader.events(source, chunk, flows)
            rows = events.entry - chunk.start
            made: dict[str, NDArray[Any]] = {
                column: events.values[:, place] for place, column in enumerate(columns.values())
            }
            made |= {name: numbers(one, chunk.columns, chunk.rows)[rows] for name, one in kept.items()}
            made[LABEL], made[WEIGHT] = events.label.astype(np.int32), events.weight
            if events.group is not None:
                made["event_group"] = events.group
            made["source_file"] = np.full(len(rows), work.number, np.int32)
            made["source_entry"] = events.entry
            writer.extend(made)
    write_json(folder / f"{work.stem}.json", {"flows": {name: flow.to_json() for name, flow in flows.items()}})


def column_names(settings: TableSettings) -> dict[str, str]:
    """Return feature -> column of a skim, which is a plain name in any program."""
    found: dict[str, str] = {}
    taken = set(OWN)
    for name in settings.expressions:
        plain = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_") or "feature"
        plain = f"x_{plain}" if plain[0].isdigit() else plain
        column, number = plain, 1
        while column in taken:
            number += 1
            column = f"{plain}_{number}"
        taken.add(column)
        found[name] = column
    return found
