"""A whole table of events in memory, or, of more events than fit, a random part that stands for all.

What to use when
----------------
- `read_table`: the events that pass the cuts, checked and weighted.
- `table_fingerprint`: a hash of the description and of what is in the files.

Memory is bounded by `most_events`, not by the files: each event has a random key of its own, a hash of its place, and
those with the smallest keys are kept. Which ones depends on nothing else, however the files are read; the weights of
those that are kept are scaled so that each class has the yield of all its events.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.config import resolved
from townsend.errors import InputError
from townsend.experiments.table.checks import check_features, check_weights
from townsend.experiments.table.cut_flow import CutFlow
from townsend.experiments.table.events import ROWS, Events, Reader, iterate_events, open_sources
from townsend.experiments.table.settings import Description, TableSettings
from townsend.files import fingerprint
from townsend.sample.provenance import Provenance
from townsend.sample.table import Table

__all__ = ["ReadTable", "luminosity_factors", "read_table", "table_fingerprint"]

_PB_PER_FB = 1000.0  # 1 / fb is 1000 / pb
_WHERE_ONLY = ("files", "friends")  # of what is hashed: contents count, not names


@dataclass(frozen=True)
class ReadTable:
    """What reading gives.

    Arguments:
        table: the events held in memory.
        flows: class -> cut-flow of all events, with final weights.
        events: that pass the cuts, of which `table` may hold a part.
    """

    table: Table
    flows: Mapping[str, CutFlow]
    events: int


def read_table(description: Description) -> ReadTable:
    """Return the events of a table.

    Raises InputError when files cannot be read or lack a column, a class has no event left, its weights do not sum to
    more than zero, or a feature is constant, no number, or the label itself.
    """
    settings = description.settings
    sources, reader = open_sources(description), Reader(settings)
    flows = {name: CutFlow.empty(len(settings.cuts)) for name in settings.classes}
    entries = sum(sum(source.columns.entries) for source in sources)
    kept = _Kept(settings.most_events, entries, len(reader.features), grouped=settings.group is not None)
    number = 0
    for source in sources:
        for events in iterate_events(source, reader, flows):
            kept.add(number + events.file, events)
        number += len(source.columns.files)
    _check_classes(flows, settings)
    scaled = {
        name: flow.scaled(factor)
        for (name, flow), factor in zip(flows.items(), luminosity_factors(settings, flows).values(), strict=True)
    }
    events = kept.events()
    weight = _weights(events, scaled, settings)
    group = np.arange(len(events.label)) if events.group is None else np.unique(events.group, return_inverse=True)[1]
    table = Table(
        features=tuple(reader.features),
        classes=tuple(settings.classes),
        values=events.values,
        label=events.label,
        weight=weight,
        group=group.reshape(-1).astype(np.int32),
        weighted=settings.weighted,
        provenance=Provenance("table", resolved(settings)),
    )
    check_features(table)
    check_weights(table)
    return ReadTable(table, scaled, kept.seen)


def luminosity_factors(settings: TableSettings, flows: Mapping[str, CutFlow]) -> dict[str, float]:
    """Return class -> luminosity x cross-section / sum of generated weights; 1 where none is asked for.

    Raises InputError when the generated weights of a class do not sum to more than zero.
    """
    found = {}
    for name, one in settings.classes.items():
        if settings.luminosity_per_fb is None or one.cross_section_pb is None:
            found[name] = 1.0
            continue
        generated = one.generated or float(flows[name].weights[0])
        if not generated > 0:
            rule = f'generated weights of class "{name}" must sum to more than 0 to be scaled to a luminosity'
            msg = f"{rule} (got {generated:g}); check `weight`, or give `generated`"
            raise InputError(msg)
        found[name] = settings.luminosity_per_fb * _PB_PER_FB * one.cross_section_pb / generated
    return found


def table_fingerprint(description: Description) -> str:
    """Return a SHA-256 of the description, without the names of files, and of what the files hold."""
    settings = resolved(description.settings)
    plain = {name: value for name, value in settings.items() if name not in _WHERE_ONLY}
    plain["classes"] = {
        name: {key: value for key, value in one.items() if key not in _WHERE_ONLY}
        for name, one in settings["classes"].items()
    }
    digest = hashlib.sha256(fingerprint(plain).encode())
    for files in _all_files(description):
        for path in files:
            with path.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()


def _all_files(description: Description) -> list[tuple[Path, ...]]:
    settings = description.settings
    of_classes = [one.files or settings.files for one in settings.classes.values()]
    of_friends = [friend.files for friend in settings.friends if friend.files]
    return [description.paths(files) for files in dict.fromkeys([*of_classes, *of_friends])]


class _Kept:
    """The events of the smallest keys, in the order of their places, as long as these are added in order.

    Arguments:
        most: events to keep.
        entries: that may be added; features: of each; grouped: whether they have groups.
    """

    def __init__(self, most: int, entries: int, features: int, *, grouped: bool) -> None:
        self._most = most
        room = min(entries, most + max(most // 4, ROWS))  # filled once and never joined, so that nothing is held twice
        self._key = np.empty(room, np.uint64)
        self._events = Events(
            np.empty((room, features), np.float32),
            np.empty(room, np.int16),
            np.empty(room),
            np.empty(room, np.int64) if grouped else None,
            0,
            np.empty(room, np.int64),
        )
        self._held = 0
        self._largest = np.uint64(np.iinfo(np.uint64).max)  # key of any event that may still be kept
        self.seen = 0

    def add(self, file: int, events: Events) -> None:
        """Take in at most `ROWS` events of one file."""
        key = _mixed(((np.int64(file) << np.int64(40)) + events.entry).astype(np.uint64))
        self.seen += len(key)
        low = key <= self._largest
        if not low.all():
            key, events = key[low], events[low]
        if self._held + len(key) > len(self._key):
            self._drop()
        here = slice(self._held, self._held + len(key))
        self._key[here] = key
        for into, values in zip(self._events.arrays, events.arrays, strict=True):
            into[here] = values
        self._held = here.stop

    def events(self) -> Events:
        """Return what is kept."""
        if self._held > self._most:
            self._drop()
        return self._events[: self._held]

    def _drop(self) -> None:
        """Keep the events of the smallest keys, of which no two are equal."""
        self._largest = np.partition(self._key[: self._held], self._most - 1)[self._most - 1]
        rows = np.flatnonzero(self._key[: self._held] <= self._largest)
        self._held = len(rows)
        for start in range(0, len(rows), ROWS):  # a kept row moves forward only, so no copy of all is needed
            here, part = slice(start, start + ROWS), rows[start : start + ROWS]
            for values in (self._key, *self._events.arrays):
                values[: len(rows)][here] = values[part]


def _mixed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return keys in random order: the finalizer of SplitMix64 (Steele, Lea and Flood 2014), one to one."""
    with np.errstate(over="ignore"):
        mixed = values + np.uint64(0x9E3779B97F4A7C15)
        mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return np.asarray(mixed ^ (mixed >> np.uint64(31)))


def _check_classes(flows: Mapping[str, CutFlow], settings: TableSettings) -> None:
    for name, flow in flows.items():
        if flow.entries[-1]:
            continue
        if not flow.entries[0]:
            rule, remedy = "(got none before any cut)", "check its files and its `where`"
        else:
            last = settings.cuts[int(np.argmin(flow.entries)) - 1]
            rule, remedy = f"(got {flow.entries[0]}, none after {last})", "loosen that cut"
        msg = f'class "{name}" must have events {rule}; {remedy}'
        raise InputError(msg)


def _weights(events: Events, flows: Mapping[str, CutFlow], settings: TableSettings) -> NDArray[np.float64]:
    """Return weights with which each class has the yield of all its events, kept or not."""
    if not settings.weighted:
        return events.weight
    weight = events.weight.copy()
    for index, (name, flow) in enumerate(flows.items()):
        mine = events.label == index
        total, target = float(weight[mine].sum()), float(flow.weights[-1])
        if not (total > 0 and target > 0):
            rule = f'weights of class "{name}" must sum to more than 0'
            msg = f"{rule} (got {target:g} of {int(mine.sum())} events); check `weight`, or give it more events"
            raise InputError(msg)
        weight[mine] *= target / total
    return weight
