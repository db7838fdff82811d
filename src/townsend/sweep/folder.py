"""The folder of a sweep: made once, and opened again only with the same settings, version and sample.

What to use when
----------------
- `open_folder`: make or open it; raises when it was made with something else.
- `forget_arrays`: let other settings begin where the former were refused.
- `tidy`: remove what killed processes left half-written.
"""

from __future__ import annotations

import logging
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from townsend.config import dump_yaml, resolved
from townsend.engines.ledger import JOBS
from townsend.errors import InputError
from townsend.files import fingerprint, write_json
from townsend.sample.provenance import versions
from townsend.sweep.lease import tidy_leases
from townsend.sweep.records import RunInfo, run_info
from townsend.sweep.settings import SweepSettings
from townsend.tasks.base import Objective, Task
from townsend.training.losses import is_classification

__all__ = ["forget_arrays", "make_folder", "open_folder", "tidy"]

log = logging.getLogger(__name__)

_OWN = ("coordinator.lease", "logs", JOBS, "sweep.yaml")
_WHERE_ONLY = ("sample",)  # its contents are compared, not its place
_WRITTEN = ("", "arrays", "brackets", "records")


def make_folder(run: Path) -> None:
    """Make the folder `run`, or accept one that is empty or a sweep's.

    Raises InputError when it holds other things.
    """
    try:
        run.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in run.iterdir() if path.name not in _OWN and path.name[0] != ".")
    except OSError as error:
        msg = f"{run} must be a folder that can be written ({error.strerror}); choose another"
        raise InputError(msg) from None
    if others and not (run / "sweep.json").is_file():
        msg = f"{run} must be new, empty, or the folder of a sweep (it holds {others[0]}); choose a new folder"
        raise InputError(msg)


def open_folder(
    run: Path,
    settings: SweepSettings,
    contents: str,
    task: Task,
    objectives: Sequence[Objective],
    trials: int,
    build: str = "",
) -> None:
    """Write what the sweep is made with, or compare it with what the folder was made with.

    Arguments:
        run: folder.
        settings: resolved, those of the task included.
        contents: fingerprint of the sample and of all else the task reads.
        task: its `places` may move.
        objectives: the first ranks.
        trials: number of configurations.
        build: SHA-256 of the user's file that builds the networks, else "".

    Raises InputError, naming each difference, when the folder was made with something else.
    """
    values = resolved(settings)
    if not _is_begun(run):
        mark = fingerprint(_compared(values, task.places))
        ranking, *further = objectives
        up = is_classification(task.loss)  # at a rung, AUC or mean squared error
        info = RunInfo(values, mark, versions(), contents, trials, ranking, tuple(further), up, build=build)
        dump_yaml(settings, run / "sweep.yaml")
        write_json(run / "sweep.json", {name: value for name, value in asdict(info).items() if name != "stopped"})
        return
    info = run_info(run)
    was, now = info.versions.get("townsend", "unknown"), versions().get("townsend", "unknown")
    if was != now:
        rule = f"{run} must be continued by the townsend that made it"
        msg = f"{rule} (made by {was}, this is {now}); install {was} or choose a new folder"
        raise InputError(msg)
    differences = _differences(_compared(info.settings, task.places), _compared(values, task.places))
    if differences:
        shown = ", ".join(f"{name}: was {before!r}, now {after!r}" for name, before, after in differences)
        rule = f"{run} must be continued with the settings it was made with"
        msg = f"{rule} ({shown}); restore them or choose a new folder"
        raise InputError(msg)
    if info.build != build:
        rule = f"{run} must be continued with the file that builds its networks"
        msg = f"{rule} (--build: SHA-256 was {info.build[:12]}, now {build[:12]}); restore it or choose a new folder"
        raise InputError(msg)
    if info.sample != contents:
        rule = f"{run} must be continued on the sample it was made with"
        msg = f"{rule} ({settings.sample}, or what its task reads beside it, has other contents)"
        raise InputError(msg + "; restore it or choose a new folder")
    changed = {name: number for name, number in versions().items() if info.versions.get(name) != number}
    if changed:
        log.warning("%s was made with other versions than %s; numbers may differ in the last digits", run, changed)


def tidy(run: Path) -> None:
    """Remove what killed processes left half-written; only for the one coordinator of the folder."""
    tidy_leases(run)
    for folder in (*(run / name for name in _WRITTEN), *run.glob("arrays/*"), *run.glob("checkpoints/*")):
        for path in folder.glob(".*"):
            if path.is_file() and not path.name.endswith(".lease"):
                path.unlink(missing_ok=True)


def forget_arrays(run: Path) -> None:
    """Remove the arrays of a sweep that was refused before anything was trained, so that mended settings can begin."""
    if not any((run / "records").glob("*.json")):
        shutil.rmtree(run / "arrays", ignore_errors=True)


def _is_begun(run: Path) -> bool:
    """Whether the folder holds what depends on its settings: arrays, or records of which the arrays were removed."""
    return any((run / "arrays").glob("**/arrays.json")) or any((run / "records").glob("*.json"))


def _compared(values: Mapping[str, Any], places: Sequence[str]) -> dict[str, Any]:
    """Return what must not change: not the places of the sample and of what the task reads, which may move."""
    of_task = {name: value for name, value in values["task_settings"].items() if name not in places}
    return {name: value for name, value in values.items() if name not in _WHERE_ONLY} | {"task_settings": of_task}


def _differences(was: Mapping[str, Any], now: Mapping[str, Any], above: str = "") -> list[tuple[str, Any, Any]]:
    """Return (dotted name, value before, value now) of all that differs; None stands for a missing one."""
    found: list[tuple[str, Any, Any]] = []
    for name in sorted({*was, *now}):
        before, after = was.get(name), now.get(name)
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            found += _differences(before, after, f"{above}{name}.")
        elif before != after:
            found.append((f"{above}{name}", before, after))
    return found
