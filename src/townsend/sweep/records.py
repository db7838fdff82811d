"""Reading what a sweep has left in its folder.

What to use when
----------------
- `read_records`: one `FitRecord` a fit, sorted by trial, fold and repeat; also while the sweep runs.
- `read_curves`: the epoch curves and evaluation curves of one fit.
- `read_weights`: the best weights of one fit, in the order of Keras `get_weights`.
- `write_stopped`: note that a sweep ends before all that was planned.
- `run_info`: the settings, versions and sample of a sweep.
- `read_arrays`: the arrays its networks were trained on.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.files import read_json, write_json
from townsend.tasks.base import Arrays, Objective
from townsend.training.record_file import folds_folders, read_bracket_record
from townsend.training.records import FitRecord, fit_label

__all__ = ["RunInfo", "read_arrays", "read_curves", "read_records", "read_weights", "run_info", "write_stopped"]


_STOPPED = "stopped.json"


@dataclass(frozen=True)
class RunInfo:
    """What a sweep folder was made with.

    Arguments:
        settings: the resolved settings, as in `sweep.yaml`.
        fingerprint: short hash of those settings that decide a number.
        versions: package -> version that made the folder.
        sample: fingerprint of the sample, and of all else the task reads.
        trials: number of configurations planned.
        objective: the metric that ranks configurations; further: the one beside it, if any.
        figures_maximise: whether a larger figure at a rung is better.
        stopped: why the sweep has ended before all that was planned; None where it has not.
        build: SHA-256 of the user's file that builds the networks, else "".
    """

    settings: Mapping[str, Any]
    fingerprint: str
    versions: Mapping[str, str]
    sample: str
    trials: int
    objective: Objective
    further: tuple[Objective, ...] = ()
    figures_maximise: bool = True
    stopped: str | None = None
    build: str = ""


def run_info(run: Path) -> RunInfo:
    """Return what the sweep in folder `run` was made with.

    Raises InputError when the folder holds no sweep.
    """
    if not (run / "sweep.json").is_file():
        msg = f"{run} must be the folder of a sweep (it has no sweep.json); name a folder made by `townsend sweep`"
        raise InputError(msg)
    value = read_json(run / "sweep.json")
    try:
        objective, *further = (Objective(**each) for each in (value["objective"], *value.get("further", ())))
        info = RunInfo(**{**value, "objective": objective, "further": tuple(further)})
        if not (run / _STOPPED).is_file():
            return info
        stopped = read_json(run / _STOPPED)
        return replace(info, trials=int(stopped["trials"]), stopped=str(stopped["because"]))
    except (KeyError, TypeError, ValueError) as error:
        msg = f"{run / 'sweep.json'} must be as townsend wrote it ({error}); restore it or start a new folder"
        raise InputError(msg) from None


def write_stopped(run: Path, trials: int, because: str) -> None:
    """Note that a sweep ends after so many configurations, and why."""
    write_json(run / _STOPPED, {"trials": trials, "because": because})


def read_arrays(run: Path, fold: int = 0) -> Arrays:
    """Return the arrays on which the networks of a fold of sweep `run` were trained, memory-mapped."""
    return Arrays.load(folds_folders(run, int(run_info(run).settings.get("folds", 1)))[fold])


def read_records(run: Path) -> list[FitRecord]:
    """Return the records of all fits that have ended so far, sorted by trial, fold and repeat.

    Raises InputError when the folder holds no sweep or a record is damaged.
    """
    run_info(run)
    found = [record for number in _numbers(run) for record in read_bracket_record(run, number, arrays=False).fits]
    return sorted(found, key=lambda record: (record.trial, record.fold, record.repeat))


def read_curves(run: Path, trial: int, fold: int = 0, repeat: int = 0) -> dict[str, NDArray[Any]]:
    """Return the curves of one fit.

    Names: `loss`, `monitor_loss`, `learning_rate`, and `accuracy`, `monitor_accuracy` where the task is a
    classification (one value an epoch), and `curve.<name>` for each curve of the task's evaluation.
    """
    found = _stored(run, fit_label(trial, fold, repeat))
    return {name: values for name, values in found.items() if not name.startswith("weight")}


def read_weights(run: Path, trial: int, fold: int = 0, repeat: int = 0) -> list[NDArray[Any]]:
    """Return the best weights of one fit, in the order of Keras `get_weights`.

    Raises InputError when the fit left none (it was pruned, diverged, failed or was lost).
    """
    label = fit_label(trial, fold, repeat)
    found = {name: values for name, values in _stored(run, label).items() if name.startswith("weight")}
    if not found:
        msg = f"trial {label} of {run} must have kept weights (it left none); choose a trial whose outcome is finished"
        raise InputError(msg)
    return [found[f"weight{i}"] for i in range(len(found))]


def _numbers(run: Path) -> list[int]:
    return sorted(int(path.stem) for path in (run / "records").glob("[0-9]*.json"))


def _stored(run: Path, label: str) -> dict[str, NDArray[Any]]:
    """Return the arrays of one fit, without its label in front of their names."""
    prefix = f"{label}."
    for number in _numbers(run):
        if label in read_bracket_record(run, number, arrays=False).ended:
            arrays = read_bracket_record(run, number).arrays
            return {name.removeprefix(prefix): array for name, array in arrays.items() if name.startswith(prefix)}
    msg = f"trial must have ended in {run} (got {label}); see the numbers on its board"
    raise InputError(msg)
