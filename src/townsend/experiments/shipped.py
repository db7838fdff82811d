"""Configurations that come with townsend, found by their file name."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

from townsend.errors import InputError, did_you_mean

__all__ = ["find_config", "shipped_analyses", "shipped_configs"]


def shipped_configs() -> dict[str, Path]:
    """Return file name -> path of every shipped sweep."""
    return _shipped("sweeps")


def shipped_analyses() -> dict[str, Path]:
    """Return file name -> path of every shipped analysis, for `townsend train`."""
    return _shipped("analyses")


def _shipped(folder: str) -> dict[str, Path]:
    root = Path(str(files(__package__)))
    return {path.name: path for path in sorted(root.glob(f"*/{folder}/*.yaml"))}


def find_config(path: Path) -> Path:
    """Return `path` if it exists, else the shipped configuration of that name.

    Raises InputError, naming the nearest shipped one, when there is neither.
    """
    if path.exists():
        return path
    shipped = shipped_configs() | shipped_analyses()
    if str(path) in shipped:
        return shipped[str(path)]
    msg = f"{path} must exist or be a shipped configuration{did_you_mean(path.name, shipped)}"
    raise InputError(msg)
