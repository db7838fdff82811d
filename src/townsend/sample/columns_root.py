"""Columns of ROOT files: TTree and RNTuple.

What to use when
----------------
- `open_root_columns`: a tree of a file, by name or as the only one.

Numbers, arrays of fixed or own length in a branch and `std::vector` of numbers are read; other branches are listed
with their types. One basket (TTree) or cluster (RNTuple) must fit in memory beside the rows that are asked for.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from uproot.behaviors.RNTuple import HasFields
from uproot.interpretation.numerical import Numerical

from townsend.errors import InputError, did_you_mean
from townsend.sample.column_file import TEXT, ColumnFile, Pieces, type_words
from townsend.sample.expression_lists import Ragged
from townsend.sample.root_io import open_root

__all__ = ["open_root_columns"]

_NUMBERS = {"bool", *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)), "float32", "float64"}
_TREES = {"TTree", "TNtuple", "TNtupleD"}


def open_root_columns(path: Path, tree: str | None) -> ColumnFile:
    """Return the columns of a tree.

    Arguments:
        path: ROOT file.
        tree: its name, with the folders inside the file: `a/b/events`; None where the file holds one only.

    Raises InputError when the file is missing or damaged, or has no such tree.
    """
    with open_root(path) as file:
        name = _tree_name(file, path, tree)
        found = file[name]
        types, entries = _types(found), int(found.num_entries)

    def read(names: tuple[str, ...], rows: int) -> Pieces:
        with open_root(path) as file:
            yield from _pieces(file[name], names, rows)

    return ColumnFile(path, name, entries, types, read)


def _tree_name(file: Any, path: Path, tree: str | None) -> str:
    kinds = file.classnames(cycle=False, recursive=True)
    trees = [name for name, kind in kinds.items() if kind in _TREES or "RNTuple" in kind]
    if tree in trees:
        return str(tree)
    if tree is not None:
        nearest = did_you_mean(tree, [ascii(name)[1:-1] for name in trees]) or "; it holds none"
        msg = f'{path} must hold a tree "{tree}"{nearest}'
        raise InputError(msg)
    if len(trees) != 1:
        msg = f"{path} must hold one tree, or `tree` must say which (got {', '.join(trees) or 'none'}); name one"
        raise InputError(msg)
    return str(trees[0])


def _types(tree: Any) -> dict[str, str]:
    """Return the types of the branches that hold values, or of the fields of an RNTuple, by name."""
    if isinstance(tree, HasFields):
        form, _ = tree.to_akform()
        return {name: _of_form(form.content(name), str(tree[name].typename)) for name in form.fields}
    found: dict[str, str] = {}
    for branch in tree.itervalues(recursive=True):
        if len(branch.branches) == 0:
            name = str(branch.name)  # of split objects too: `Jet.PT`, not `Jet/Jet.PT`
            found[name] = "one of several branches of this name" if name in found else _of_branch(branch)
    return found


def _of_branch(branch: Any) -> str:
    interpretation = branch.interpretation
    lists = isinstance(interpretation, uproot.AsJagged)
    inner = interpretation.content if lists else interpretation
    if isinstance(interpretation, uproot.AsStrings):
        return TEXT
    if not isinstance(inner, Numerical):
        return str(branch.typename)
    kind = np.dtype(inner.numpy_dtype)
    depth = lists + len(kind.shape)
    if kind.base.kind not in "biuf" or depth > 1:
        return str(branch.typename)
    return type_words(kind.base, lists=depth == 1)


def _of_form(form: Any, typename: str) -> str:
    """Return the type of a field of an RNTuple, from the layout that awkward will give it."""
    if form.parameter("__array__") == "string":
        return TEXT
    lists = form.is_list
    inner = form.content if lists else form
    typename = typename or "structure"
    if not inner.is_numpy or inner.inner_shape or inner.parameters or inner.primitive not in _NUMBERS:
        return typename
    return type_words(inner.primitive, lists)


def _pieces(tree: Any, names: tuple[str, ...], rows: int) -> Iterator[dict[str, Any]]:
    wanted = frozenset(names)
    for piece in tree.iterate(filter_name=wanted.__contains__, step_size=rows, library="ak"):
        yield {name: _column(piece[name]) for name in names}


def _column(column: ak.Array) -> Any:
    if column.ndim == 1:
        return np.asarray(column)
    return Ragged.of(column).to_awkward()  # plain, also where all lists are of one length
