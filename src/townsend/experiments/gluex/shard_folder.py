"""A folder of ROOT shards that belongs to one command: the same command goes on in it, any other is refused.

What to use when
----------------
- `claim`: make a folder this sample's, before any shard is written, or refuse one that holds something else.
- `missing_shards`: the files of a sample that are not yet whole, and the rows of each.
- `write_shard`: one of them, whole or absent.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import uproot
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.gluex.streams import BLOCK
from townsend.files import atomic_path, read_json, write_json
from townsend.sample.provenance import Provenance
from townsend.sample.root_io import open_root

__all__ = ["SHARD", "claim", "missing_shards", "write_shard"]

SHARD = 20 * BLOCK

_DESCRIPTION = "simulation.json"
_METADATA = "townsend"


def claim(output: Path, tree: str, rows: int, settings: Mapping[str, Any]) -> None:
    """Write what a folder is to hold, first of all its files, and remove what killed processes left.

    Arguments:
        output: folder; empty, absent, or of the same sample with no more rows.
        tree: of the shards, which names the sample.
        rows: of the whole sample.
        settings: resolved.

    Raises InputError when the folder holds something else.
    """
    wanted = {"tree": tree, "settings": dict(settings), "rows": rows}
    path = output / _DESCRIPTION
    half_written = [*output.glob(f".{path.stem}.*"), *output.glob(f".{tree}-*.root")]
    if path.exists():
        found = read_json(path)
        same = isinstance(found, dict) and {**found, "rows": 0} == {**wanted, "rows": 0}
        if not same or found["rows"] > rows:
            held = f"{found.get('rows')} {found.get('tree')}" if isinstance(found, dict) else "something else"
            msg = (
                f"{output} must be empty or hold the same simulation (it holds {held}, of other settings or more than "
                f"{rows}); choose another folder"
            )
            raise InputError(msg)
    elif output.is_dir():
        others = sorted({entry.name for entry in output.iterdir()} - {entry.name for entry in half_written})
        if others:
            msg = f"{output} must be an empty or new folder (it holds {others[0]}); choose another"
            raise InputError(msg)
    elif output.exists() or output.is_symlink():
        msg = f"{output} must be a folder (it is a file); choose another name"
        raise InputError(msg)
    write_json(path, wanted)
    for left in half_written:
        left.unlink(missing_ok=True)


def missing_shards(output: Path, tree: str, rows: int) -> dict[Path, tuple[int, int]]:
    """Return the shards of a sample that are not whole, with the rows (first, last + 1) that each must hold."""
    wanted = {
        output / f"{tree}-{number:05d}.root": (start, min(start + SHARD, rows))
        for number, start in enumerate(range(0, rows, SHARD))
    }
    return {path: (start, stop) for path, (start, stop) in wanted.items() if _held(path, tree) != stop - start}


def _held(shard: Path, tree: str) -> int:
    """Return how many rows a shard holds, 0 where it is missing or damaged."""
    try:
        with open_root(shard) as file:
            return int(file[tree].num_entries)
    except InputError:
        return 0


def write_shard(path: Path, trees: Mapping[str, Mapping[str, NDArray[Any]]], provenance: Provenance) -> None:
    """Write trees of columns of equal length, whole or not at all; where they come from stands beside them as JSON."""
    with atomic_path(path) as temporary, uproot.recreate(temporary, compression=uproot.ZSTD(1)) as file:
        for name, columns in trees.items():
            file.mktree(name, {column: values.dtype for column, values in columns.items()}).extend(dict(columns))
        file[_METADATA] = json.dumps(provenance.to_json(), allow_nan=False)
