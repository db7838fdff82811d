"""A folder of shards that belongs to one command: the same command goes on in it, any other is refused.

What to use when
----------------
- `described`: what an earlier run wrote of the folder; `check_folder`: refuses one that holds something else.
- `claim`: make the folder one's own, before any shard is written.
- `missing_shards`: the files of a sample that are not yet whole, and the waveforms of each.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.streams import BLOCK
from townsend.files import read_json, write_json
from townsend.sample.root_io import count_waveforms

__all__ = ["SHARD", "check_folder", "claim", "described", "missing_shards"]

SHARD = 8 * BLOCK


def described(output: Path, name: str) -> dict[str, Any] | None:
    """Return the description that was written into a folder, None where there is none.

    Raises InputError when it is no description.
    """
    path = output / name
    if not path.exists():
        return None
    value = read_json(path)
    if not isinstance(value, dict):
        msg = f"{path} must be as townsend wrote it (it holds no settings); restore it or choose another folder"
        raise InputError(msg)
    return value


def check_folder(output: Path, name: str) -> None:
    """Raise InputError unless a folder without the description `name` is new or empty, but for half-written files."""
    if output.is_dir():
        half_written = {path.name for path in _half_written(output, name)}
        others = sorted({path.name for path in output.iterdir()} - half_written)
        if others:
            msg = f"{output} must be an empty or new folder (it holds {others[0]}); choose another"
            raise InputError(msg)
    elif output.exists() or output.is_symlink():
        msg = f"{output} must be a folder (it is a file); choose another name"
        raise InputError(msg)


def claim(output: Path, name: str, description: dict[str, Any]) -> None:
    """Write the description of a folder, first of all its files, and remove what killed processes left."""
    write_json(output / name, description)
    for left in _half_written(output, name):
        left.unlink(missing_ok=True)


def missing_shards(output: Path, waveforms: int) -> dict[Path, tuple[int, int]]:
    """Return the shards of a sample that are not whole, with the waveforms (first, last + 1) that each must hold."""
    wanted = {
        output / f"waveforms-{number:05d}.root": (start, min(start + SHARD, waveforms))
        for number, start in enumerate(range(0, waveforms, SHARD))
    }
    return {path: (start, stop) for path, (start, stop) in wanted.items() if _held(path) != stop - start}


def _held(shard: Path) -> int:
    """Return how many waveforms a shard holds, 0 where it is missing or damaged."""
    try:
        return count_waveforms(shard)
    except InputError:
        return 0


def _half_written(output: Path, name: str) -> list[Path]:
    """Return what killed processes left of files that they were writing."""
    patterns = (f".{Path(name).stem}.*", ".waveforms-*.root")
    return [path for pattern in patterns for path in output.glob(pattern)]
