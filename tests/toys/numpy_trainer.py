"""A trainer of NumPy's for tests of all that is not training: its worker processes load neither Keras nor JAX.

What to use when
----------------
- `NumpyTrainer`: logistic regression by steps of a seeded batch an epoch.
- `train_with_numpy`: lets it take the place of Keras in this process; called by a toy task as it is loaded.
- `in_a_worker`: whether this process is a worker, the only place where a toy may do so: others go on with other tests.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from townsend.tasks.base import Arrays
from townsend.training import bracket
from townsend.training.interruption import stop_requested
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

__all__ = ["EPOCHS", "RATE", "NumpyTrainer", "in_a_worker", "train_with_numpy"]

EPOCHS = 8  # of every fit, whatever the sweep says
RATE = "learning_rate"

Before = Callable[[Fit, int, Mapping[str, Any]], None]


class NumpyTrainer:
    """See `townsend.training.progress.Trainer`.

    Arguments:
        before: called before each epoch with the fit, the epoch counted from 1, and the facts of the arrays.
    """

    def __init__(self, before: Before) -> None:
        self._before = before

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        return [[fit] for fit in fits]

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        for fit, found in pack:
            at = found or Progress(None, curves={"loss": np.zeros(0, np.float32)}, state={"w": np.zeros(7)})
            data, watched = arrays[fit.fold].splits["train"], arrays[fit.fold].splits["monitor"]
            weights, losses = np.array(at.state["w"]), list(at.curves["loss"])
            while len(losses) < min(rung.epochs, EPOCHS) and not stop_requested():
                epoch = len(losses) + 1
                self._before(fit, epoch, arrays[fit.fold].facts)
                rows = np.random.default_rng((fit.seed, epoch)).integers(0, len(data), 16)
                scores = _scores(weights, data.x[rows])
                gradient = _with_one(data.x[rows]).T @ (scores - data.y[rows]) / len(rows)
                weights -= float(fit.hyperparameters.get(RATE, 0.1)) * gradient
                losses.append(float(np.mean((scores - data.y[rows]) ** 2)))
            figure = float(np.mean((_scores(weights, watched.x) > 0.5) == (watched.y > 0.5)))
            ended = len(losses) == EPOCHS
            yield (
                fit,
                Progress(
                    Outcome.FINISHED if ended else None,
                    curves={"loss": np.array(losses, np.float32)},
                    weights=[weights],
                    state={"w": weights},
                    figure=figure,
                    figures=(*at.figures, figure) if ended or len(losses) == rung.epochs else at.figures,
                    parameters=len(weights),
                    epochs=len(losses),
                    best_epoch=len(losses),
                ),
            )

    def scores(self, fit: Fit, progress: Progress, x: Any, arrays: Sequence[Arrays]) -> Any:
        return _scores(np.asarray(progress.weights[0]), x).astype(np.float32)


def in_a_worker() -> bool:
    return "townsend.worker" in sys.orig_argv


def train_with_numpy(before: Before = lambda *given: None) -> None:
    bracket.open_trainer = lambda *given: NumpyTrainer(before)
    bracket.keep_compiled = lambda folder: None


def _with_one(x: Any) -> Any:
    return np.column_stack([x[..., 0], np.ones(len(x))])


def _scores(weights: Any, x: Any) -> Any:
    return 1 / (1 + np.exp(-_with_one(x) @ weights))
