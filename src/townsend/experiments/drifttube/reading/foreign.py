"""Entries of a tree of waveforms that another program wrote, a few at a time.

What to use when
----------------
- `open_tree`: the tree of a file, its branches judged by their types before anything is read.
- `ForeignTree.pieces`: its entries, or some of them, judged by their values.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from townsend.errors import InputError, did_you_mean
from townsend.experiments.drifttube.reading.layouts import INDEX, RATE, TAG, WAVE, Layout
from townsend.experiments.drifttube.reading.tags import Tagged
from townsend.sample.root_io import MAXIMUM_LENGTH, open_root

__all__ = ["ForeignTree", "Piece", "open_tree"]

_STEP_BYTES = 8 << 20  # of samples held at once, as float64; lists of noise bumps take as much again and more
_FIRST = 16  # entries read to learn how long a waveform is


@dataclass(frozen=True)
class Piece:
    """Some entries of a tree.

    Arguments:
        start: number of the first of them in its file.
        wave: (n, samples) in the file's unit, finite.
        rate: what the branch `sampling_rate` says of all of them, None where there is none.
        tagged: listed arrivals and noise bumps, None for data.
    """

    start: int
    wave: NDArray[np.float64]
    rate: float | None
    tagged: Tagged | None


@dataclass(frozen=True)
class ForeignTree:
    """An open tree of waveforms; made by `open_tree`.

    Arguments:
        path: of its file; layout: which it follows; entries: > 0; truth: whether it lists arrivals.
        tree: of uproot.
    """

    path: Path
    layout: Layout
    entries: int
    truth: bool
    tree: Any

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[Piece]:
        """Yield entries `start` to `stop`, in pieces of bounded size; raises InputError where a value breaks a rule."""
        stop = self.entries if stop is None else stop
        position, step = start, _FIRST
        while position < stop:
            piece = self._piece(position, min(position + step, stop))
            yield piece
            position += len(piece.wave)
            step = max(1, _STEP_BYTES // (8 * piece.wave.shape[1]))

    def _piece(self, start: int, stop: int) -> Piece:
        names = [WAVE, *([RATE] if RATE in self.tree else [])]
        if self.truth:
            names += [INDEX, TAG, *([] if self.layout.clusters is None else [self.layout.clusters])]
        columns = {name: self.tree[name].array(entry_start=start, entry_stop=stop, library="ak") for name in names}
        rate = None
        if RATE in columns:
            rates = np.unique(_numbers(columns[RATE]))
            if len(rates) != 1:
                got = f"got {rates[0]:g} to {rates[-1]:g} in entries {start} to {stop - 1}"
                msg = f'{self.path} must have one "{RATE}" in all entries ({got}); read them apart'
                raise InputError(msg)
            rate = float(rates[0])
        tagged = self._tagged(columns, start) if self.truth else None
        return Piece(start, self._wave(columns[WAVE], start), rate, tagged)

    def _wave(self, lists: ak.Array, start: int) -> NDArray[np.float64]:
        lengths = ak.to_numpy(ak.num(lists))
        other = np.flatnonzero(lengths != lengths[0])
        if len(other):
            got = f"got {lengths[0]} in entry {start}, {lengths[other[0]]} in entry {start + other[0]}"
            msg = f"{self.path} must have as many samples in every waveform ({got}); cut them to one length"
            raise InputError(msg)
        if not 1 <= lengths[0] <= MAXIMUM_LENGTH:
            msg = f"{self.path} must have 1 to {MAXIMUM_LENGTH} samples a waveform (got {lengths[0]} in entry {start})"
            raise InputError(msg)
        wave = _numbers(lists).reshape(len(lengths), -1)
        bad = np.count_nonzero(~np.isfinite(wave), axis=1)
        if bad.any():
            first = int(np.argmax(bad > 0))
            got = f"got {bad[first]} NaN or infinite samples in entry {start + first}"
            msg = f'{self.path} must have finite "{WAVE}" ({got}); leave such waveforms out'
            raise InputError(msg)
        return wave

    def _tagged(self, columns: Mapping[str, ak.Array], start: int) -> Tagged:
        number = ak.to_numpy(ak.num(columns[INDEX]))
        others = ak.to_numpy(ak.num(columns[TAG]))
        if (number != others).any():
            i = int(np.argmax(number != others))
            got = f"got {number[i]} and {others[i]} in entry {start + i}"
            msg = f'{self.path} must have one "{TAG}" for each "{INDEX}" ({got}); make the file again'
            raise InputError(msg)
        row = start + np.repeat(np.arange(len(number)), number)
        index, tag = _numbers(columns[INDEX]), _numbers(columns[TAG])
        self._check(index >= 0, index, row, f'"{INDEX}" >= 0, the number of a sample')  # NaN is none
        self._check(np.isfinite(index), index, row, f'finite "{INDEX}"')
        self._check(np.isin(tag, (0, 1, 2)), tag, row, f'"{TAG}" 0, 1 or 2')
        clusters = None
        if self.layout.clusters is not None:
            given = _numbers(columns[self.layout.clusters])
            rule = f'"{self.layout.clusters}" a whole number >= 0'
            self._check((given >= 0) & (given == np.rint(given)), given, start + np.arange(len(given)), rule)
            clusters = given.astype(np.int64)
        return Tagged(ak.unflatten(index, number), ak.unflatten(tag.astype(np.int64), number), clusters)

    def _check(self, good: NDArray[np.bool_], values: NDArray[np.float64], entry: NDArray[np.int64], rule: str) -> None:
        if not good.all():
            i = int(np.argmin(good))
            got = f"got {values[i]:g} in entry {entry[i]}, {np.count_nonzero(~good)} such values there"
            msg = f"{self.path} must have {rule} ({got}); make the file again, or read its good entries"
            raise InputError(msg)


@contextmanager
def open_tree(path: Path, layout: Layout) -> Iterator[ForeignTree]:
    """Yield the tree of a file.

    Arguments:
        path: ROOT file; layout: of `LAYOUTS`.

    Raises InputError when the file is missing or damaged, the tree or a branch is missing or of another type, or there
    is no entry.
    """
    with open_root(path) as file:
        trees = {key for key, kind in file.classnames(cycle=False, recursive=True).items() if kind == "TTree"}
        if layout.tree not in trees:
            msg = f'{path} must hold a TTree "{layout.tree}"{_nearest(layout.tree, trees) or "; it holds none"}'
            raise InputError(msg)
        tree = file[layout.tree]
        branches = set(tree.keys(recursive=False))
        truth = bool(branches & {INDEX, TAG})  # neither is there in files of data
        lists = [WAVE, *([INDEX, TAG] if truth else [])]
        numbers = [layout.clusters] if truth and layout.clusters is not None else []
        for name in (*lists, *numbers):
            if name not in branches:
                msg = f'{path} must have a branch "{name}" in tree "{layout.tree}"{_nearest(name, branches)}'
                raise InputError(msg)
        for name in (*lists, *numbers, *({RATE} & branches)):
            _check_kind(tree[name], name in lists, path)
        if tree.num_entries < 1:
            msg = f'{path} must have at least one entry in tree "{layout.tree}" (got none); leave the file out'
            raise InputError(msg)
        yield ForeignTree(path, layout, int(tree.num_entries), truth, tree)


def _check_kind(branch: Any, is_list: bool, path: Path) -> None:
    """Refuse a branch of anything but numbers by its type alone, before uproot makes objects of what the file says."""
    interpretation = branch.interpretation
    content = interpretation.content if isinstance(interpretation, uproot.AsJagged) else interpretation
    plain = isinstance(content, uproot.AsDtype) and content.to_dtype.base.kind in "fiu"
    listed = content is not interpretation or (plain and len(content.to_dtype.shape) == 1)
    if not plain or listed != is_list:
        wanted = "a list of numbers, such as vector<double>" if is_list else "one number"
        msg = f'{path} must store "{branch.name}" as {wanted} (got {branch.typename}); convert the file'
        raise InputError(msg)


def _numbers(column: ak.Array) -> NDArray[np.float64]:
    """Return all numbers of a column, flat."""
    return np.asarray(ak.to_numpy(ak.flatten(column, axis=None))).astype(np.float64)


def _nearest(name: str, known: set[str]) -> str:
    return did_you_mean(name, [ascii(word)[1:-1] for word in known])  # names of a damaged file may not be text
