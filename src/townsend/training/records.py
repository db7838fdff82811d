"""What one training leaves behind, and the closed list of ways it can end."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from townsend.tasks.base import Metric

__all__ = ["SENTENCES", "Bracket", "Fit", "FitRecord", "Outcome", "Rung", "fit_label"]


class Outcome(StrEnum):
    """How a fit ended; `SENTENCES` says it in words."""

    FINISHED = "finished"
    STOPPED_EARLY = "stopped early"
    PRUNED = "pruned"
    DEGENERATE = "degenerate"
    DIVERGED = "diverged"
    OUT_OF_MEMORY = "out of memory"
    OUT_OF_TIME = "out of time"
    LOST = "lost"
    FAILED = "failed"

    @property
    def usable(self) -> bool:
        """Whether the fit left a network that may be chosen."""
        return self in (Outcome.FINISHED, Outcome.STOPPED_EARLY)


SENTENCES: Mapping[Outcome, str] = {
    Outcome.FINISHED: "trained for all epochs asked for",
    Outcome.STOPPED_EARLY: "the monitored loss had not improved for `patience` epochs",
    Outcome.PRUNED: "others of its bracket were better at a rung, so it was trained no further",
    Outcome.DEGENERATE: "the network predicts one class, or one number, only; its figures mean nothing",
    Outcome.DIVERGED: "the loss became NaN or infinite; lower the learning rate",
    Outcome.OUT_OF_MEMORY: "the process was killed for want of memory; ask for more or lower the batch size",
    Outcome.OUT_OF_TIME: "the job's time did not suffice to get any further; ask for more hours",
    Outcome.LOST: "the process ended without a word, again and again; look at the machine's log",
    Outcome.FAILED: "an error stopped the training; its text is in `detail`",
}


@dataclass(frozen=True)
class Fit:
    """One training to be done: a configuration on one fold, once; its seed is f(sweep seed, trial, fold, repeat)."""

    trial: int
    seed: int
    hyperparameters: Mapping[str, Any]
    fold: int = 0
    repeat: int = 0

    @property
    def label(self) -> str:
        """Return the name of its files and arrays."""
        return fit_label(self.trial, self.fold, self.repeat)


@dataclass(frozen=True)
class Rung:
    """A moment at which the fits of a bracket are compared.

    Arguments:
        epochs: passes that a fit has made when it is reached.
        keep: configurations that go on from here, at least 1; None for all.
        fraction: share of the training examples that a pass on the way to this rung takes, in (0, 1].
    """

    epochs: int
    keep: int | None = None
    fraction: float = 1.0


@dataclass(frozen=True)
class Bracket:
    """Fits trained side by side by one process; at each rung the best go on from where they stand.

    Arguments:
        number: of the bracket.
        fits: all folds and repeats of a configuration stand in one bracket.
        rungs: in order of epochs; none where all fits are trained to their end.
    """

    number: int
    fits: tuple[Fit, ...]
    rungs: tuple[Rung, ...] = ()


def fit_label(trial: int, fold: int, repeat: int) -> str:
    """Return "17" for a fit that is its trial's only one or first one, else "17-FOLD-REPEAT"."""
    return str(trial) if fold == repeat == 0 else f"{trial}-{fold}-{repeat}"


@dataclass(frozen=True)
class FitRecord:
    """What one fit left behind.

    Arguments:
        trial, seed, hyperparameters: as in `Fit`.
        outcome: how it ended; detail: the error's text or the reason of a degenerate row.
        parameters: trainable parameters of the network.
        epochs: epochs trained; best_epoch: the epoch whose weights were kept (1 = first).
        metrics: name -> figure with error, on `validation`.
        threshold: working point chosen on `validation`; None for a regression.
        wall_s, cpu_s: of training, evaluation left out; compile_s: share of wall_s (not of cpu_s) spent compiling.
        peak_memory_mb: highest resident memory of the process during the fit.
        host: machine; attempts: how often the fit was started.
        fold, repeat: as in `Fit`.
        figures: figure on `monitor` at each rung that the fit has reached, and at its end (AUC or mean squared error).
    """

    trial: int
    seed: int
    hyperparameters: Mapping[str, Any]
    outcome: Outcome
    detail: str = ""
    parameters: int = 0
    epochs: int = 0
    best_epoch: int = 0
    metrics: Mapping[str, Metric] = field(default_factory=dict)
    threshold: float | None = None
    wall_s: float = 0.0
    cpu_s: float = 0.0
    compile_s: float = 0.0
    peak_memory_mb: float = 0.0
    host: str = ""
    attempts: int = 1
    fold: int = 0
    repeat: int = 0
    figures: tuple[float, ...] = ()

    @property
    def label(self) -> str:
        """Return the label of its fit."""
        return fit_label(self.trial, self.fold, self.repeat)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; metrics become [value, error], and what is not finite becomes None."""
        return {
            **asdict(self),
            "outcome": self.outcome.value,
            "metrics": {name: [_finite(number) for number in metric] for name, metric in self.metrics.items()},
            "threshold": None if self.threshold is None else _finite(self.threshold),
            "figures": [_finite(figure) for figure in self.figures],
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> FitRecord:
        """Return the record written by `to_json`; None becomes NaN in a metric."""
        metrics = {name: Metric(*map(_number, pair)) for name, pair in value["metrics"].items()}
        figures = tuple(_number(figure) for figure in value["figures"])
        return FitRecord(**{**value, "outcome": Outcome(value["outcome"]), "metrics": metrics, "figures": figures})


def _finite(number: float) -> float | None:
    return float(number) if math.isfinite(number) else None


def _number(stored: float | None) -> float:
    return math.nan if stored is None else stored
