"""Where a sample, a sweep or a model comes from: the settings, seed and versions that made it."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

__all__ = ["Provenance", "versions"]

_REPORTED = ("townsend", "numpy", "scipy", "numba", "uproot", "awkward", "keras", "jax", "optuna")


def versions() -> dict[str, str]:
    """Return the installed versions of Python and of every package that can change a number."""
    found = {"python": platform.python_version()}
    for package in _REPORTED:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


@dataclass(frozen=True)
class Provenance:
    """What made a file.

    Arguments:
        kind: what the settings describe, for example "simulate drifttube".
        settings: the resolved configuration, JSON-like.
        seed: the seed of the run, or None for measured data.
        sources: name -> SHA-256 of the files read.
        versions: package -> version.
    """

    kind: str
    settings: Mapping[str, Any]
    seed: int | None = None
    sources: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=versions)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Provenance:
        """Return the provenance written by `to_json`."""
        return Provenance(**value)
