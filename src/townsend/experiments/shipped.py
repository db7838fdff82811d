"""Configurations that come with townsend, found by their file name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from townsend.errors import InputError, did_you_mean

__all__ = ["find_config", "shipped_configs"]


def shipped_configs() -> dict[str, Path]:
    """Return file name -> path of every shipped sweep."""
    root = Path(str(files(__package__)))
    return {path.name: path for path in sorted(root.glob("*/sweeps/*.yaml"))}


def find_config(path: Path) -> Path:
    """Return `path` if it exists, else the shipped configuration of that name.

    Raises InputError, naming the nearest shipped one, when there is neither.
    """
    if path.exists():
        return path
    shipped = shipped_configs()
    if str(path) in shipped:
        return shipped[str(path)]
    msg = f"{path} must exist or be a shipped configuration{did_you_mean(path.name, shipped)}"
    raise InputError(msg)
