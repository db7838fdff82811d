"""What a task is: the only thing the engine knows of an experiment.

What to use when
----------------
- `Task`: the protocol an experiment implements; registered as an entry point of group `townsend.tasks`.
- `Arrays`, `Split`: what a task makes of a sample, and all that a trainer ever sees.
- `Evaluation`, `Metric`: what a task makes of a network's scores.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.files import atomic_path, read_json, write_json

__all__ = ["CEILING", "Arrays", "Evaluation", "Fold", "Metric", "Objective", "Split", "Task"]


CEILING = ".ceiling"
"""`<metric>.ceiling` is the best value that a metric of the same evaluation could have."""
_NEAR_ONE = 1e-3  # of float32 weights of both signs, whose sum is much smaller than that of their sizes


class Metric(NamedTuple):
    """A figure and its statistical error (one standard deviation)."""

    value: float
    error: float


@dataclass(frozen=True)
class Objective:
    """The metric by which configurations are ranked, and its good direction."""

    metric: str
    maximise: bool


@dataclass(frozen=True)
class Split:
    """n examples of one named set.

    Arguments:
        x: (n, ...) float32 inputs of the network.
        y: (n,) float32 targets.
        group: (n,) int32 waveform or event of each example; resampling and splitting never cut a group.
        extra: name -> array of what the task needs to judge predictions, of any length.
        weight: (n,) float32 of either sign, with the mean 1: how much each example counts in training. None: 1 each.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    group: NDArray[np.int32]
    extra: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    weight: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.x)


@dataclass(frozen=True)
class Arrays:
    """Named splits, and the facts that a model must carry to be applied elsewhere.

    Splits: `train` and `monitor` (epoch by epoch, early stopping), `validation` (selects), `test` (read once).

    Facts that training heeds: `scaling`, {"mean": [...], "scale": [...]}, one number a feature: inputs are standardised
    for training, while `x` and what a stored model takes are not; `features`, their names.
    """

    splits: Mapping[str, Split]
    facts: Mapping[str, Any]

    def filled(self, name: str) -> Split:
        """Return a split that training needs.

        Raises InputError when it is missing or empty, or its weights are not finite or have another mean than 1.
        """
        found = self.splits.get(name)
        if found is None or len(found) == 0:
            msg = f'training needs at least one example in the split "{name}" (got none); take a larger sample'
            raise InputError(msg)
        if found.weight is not None:
            mean = float(np.mean(found.weight, dtype=np.float64))
            if found.weight.shape != found.y.shape or not abs(mean - 1) <= _NEAR_ONE:
                rule = f'weights of the split "{name}" must be one number an example, with the mean 1'
                msg = f"{rule} (got {found.weight.size} of mean {mean:g} for {len(found)}); divide them by their mean"
                raise InputError(msg)
        return found

    def save(self, folder: Path) -> None:
        """Write one `.npy` an array and, last, `arrays.json`, by which a whole folder is known."""
        index: dict[str, list[str]] = {}
        for name, split in self.splits.items():
            columns: dict[str, NDArray[Any]] = {"x": split.x, "y": split.y, "group": split.group}
            if split.weight is not None:
                columns["weight"] = split.weight
            columns |= {f"extra-{column}": values for column, values in split.extra.items()}
            index[name] = sorted(columns)
            for column, values in columns.items():
                with atomic_path(folder / f"{name}.{column}.npy") as temporary:
                    np.save(temporary, values, allow_pickle=False)
        write_json(folder / "arrays.json", {"splits": index, "facts": dict(self.facts)})

    @staticmethod
    def load(folder: Path) -> Arrays:
        """Open a folder written by `save`, memory-mapped.

        Raises InputError when a file is missing or damaged.
        """
        index = read_json(folder / "arrays.json")
        splits = {}
        for name, columns in index["splits"].items():
            found = {column: _open(folder / f"{name}.{column}.npy") for column in columns}
            extra = {column.removeprefix("extra-"): found[column] for column in columns if column.startswith("extra-")}
            splits[name] = Split(found["x"], found["y"], found["group"], extra, found.get("weight"))
        return Arrays(splits, index["facts"])


def _open(path: Path) -> NDArray[Any]:
    try:
        return np.asanyarray(np.load(path, mmap_mode="r", allow_pickle=False))
    except (OSError, ValueError) as error:
        msg = f"{path} must be a NumPy array as townsend wrote it ({error}); delete the folder {path.parent} and repeat"
        raise InputError(msg) from None


@dataclass(frozen=True)
class Evaluation:
    """What a network's scores on one split are worth.

    Arguments:
        metrics: name -> figure with error, in the order in which a board shows them.
        threshold: the working point at which threshold-dependent metrics hold; None for a regression.
        degenerate: an explanation when the network predicts one class or one number only, else "".
        curves: name -> array for figures (for example `roc.fpr`, `roc.tpr`).
    """

    metrics: Mapping[str, Metric]
    threshold: float | None
    degenerate: str = ""
    curves: Mapping[str, NDArray[Any]] = field(default_factory=dict)


@dataclass(frozen=True)
class Fold:
    """Which part of a sample selects: part `index` of `of` equal parts of all that is not test; the others train.

    `index` None: nothing selects any more, all but test trains.
    """

    index: int | None
    of: int


class Task(Protocol):
    """Turns a sample into arrays and scores into figures of merit.

    Attributes:
        name: as registered, for example "drifttube-peaks".
        objective: metric of `Evaluation.metrics` that ranks configurations on `validation`.
        loss: name of a Keras loss.
        metrics: metric that is always measured and can be an objective -> whether larger is better.
        places: settings of the task that only say where something is; `fingerprint` tells what is there.
    """

    name: str
    objective: Objective
    loss: str
    metrics: Mapping[str, bool]
    places: tuple[str, ...]

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the task, defaults filled in; raises ConfigError on an unknown or bad one."""
        ...

    def fingerprint(self, sample: Path, settings: Mapping[str, Any]) -> str:
        """Return a hash of all outside the settings that decides the arrays: the sample, and what `places` hold."""
        ...

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        """Read a sample folder and return its arrays; same arguments, same bits.

        With a fold, the test set is the one without folds, and what is not test is dealt anew. Where nothing selects
        (`fold.index` None) there is no split `validation`, and `monitor` is a part of `train`.
        """
        ...

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        """Judge `scores` of `split`; choose the threshold on it when `threshold` is None."""
        ...
