"""Fits at rest on disk: where those of a bracket stand that have not ended.

What to use when
----------------
- `write_checkpoint`, `read_checkpoint`: one fit, whole or not at all.
- `remove_checkpoints`: of a bracket that is complete.

A file a fit, in `checkpoints/BRACKET/` of the sweep's folder; a bracket's record, once complete, needs none of them.
One that is torn counts as absent: its fit is trained again from its start, to the same bits.
"""

from __future__ import annotations

import json
import logging
import shutil
import zipfile
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.files import atomic_path
from townsend.training.progress import Progress
from townsend.training.records import Outcome

__all__ = ["checkpoints_folder", "read_checkpoint", "remove_checkpoints", "write_checkpoint"]

log = logging.getLogger(__name__)

_ARRAYS = ("curves", "weights", "state")
_PLAIN = tuple(field.name for field in fields(Progress) if field.name not in (*_ARRAYS, "outcome"))


def checkpoints_folder(run: Path, bracket: int) -> Path:
    """Return the folder of a bracket's checkpoints."""
    return run / "checkpoints" / f"{bracket:04d}"


def write_checkpoint(run: Path, bracket: int, label: str, progress: Progress) -> None:
    """Write where a fit stands, whole or not at all."""
    plain = {name: getattr(progress, name) for name in _PLAIN} | {"outcome": progress.outcome}
    arrays = {f"curve.{name}": values for name, values in progress.curves.items()}
    arrays |= {f"state.{name}": values for name, values in progress.state.items()}
    arrays |= {f"weight{i}": values for i, values in enumerate(progress.weights)}
    arrays["progress"] = np.frombuffer(json.dumps(plain).encode(), np.uint8)
    with atomic_path(checkpoints_folder(run, bracket) / f"{label}.npz") as temporary:
        np.savez(temporary, allow_pickle=False, **arrays)


def read_checkpoint(run: Path, bracket: int, label: str) -> Progress | None:
    """Return where a fit stands; None where nothing, or nothing whole, was written."""
    path = checkpoints_folder(run, bracket) / f"{label}.npz"
    if not path.exists():
        return None
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            found = {name: archive[name] for name in archive.files}
        plain: dict[str, Any] = json.loads(found.pop("progress").tobytes())
        outcome = plain.pop("outcome")
        return Progress(
            **{**plain, "figures": tuple(plain["figures"])},
            outcome=None if outcome is None else Outcome(outcome),
            curves=_named(found, "curve."),
            state=_named(found, "state."),
            weights=[found[f"weight{i}"] for i in range(sum(name.startswith("weight") for name in found))],
        )
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile) as error:
        log.warning("%s is torn (%s): its fit begins again", path, error)
        return None


def remove_checkpoints(run: Path, bracket: int) -> None:
    """Remove the checkpoints of a bracket."""
    shutil.rmtree(checkpoints_folder(run, bracket), ignore_errors=True)


def _named(found: dict[str, NDArray[Any]], prefix: str) -> dict[str, NDArray[Any]]:
    return {name.removeprefix(prefix): values for name, values in found.items() if name.startswith(prefix)}
