"""A task whose networks NumPy trains, slowly or with an appetite for memory where it is told to, on whatever farm.

Settings: `epoch_s`, how long each epoch takes; `slow_s`, that of the trial of learning rate 1; `hungry_mb`, what the
trial of learning rate 3 fills in its second half; `poison`, whether the trial of learning rate 10 ends its process.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from toy_task import BumpTask

from townsend.tasks.base import Arrays, Fold
from townsend.training import bracket
from townsend.training.interruption import stop_requested
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

EPOCHS = 8
SLOW, HUNGRY, POISON = 1.0, 3.0, 10.0
KNOWN: Mapping[str, Any] = {"epoch_s": 0.0, "slow_s": 0.0, "hungry_mb": 0, "poison": False}


class FarmTask(BumpTask):
    name = "farm"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**KNOWN, **given}

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        made = super().prepare(sample, super().settings({}), seed, fold)
        return replace(made, facts={**made.facts, **settings})


class FarmTrainer:
    """Logistic regression by steps of a seeded batch an epoch; see `townsend.training.progress.Trainer`."""

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        return [[fit] for fit in fits]

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        for fit, found in pack:
            at = found or Progress(None, curves={"loss": np.zeros(0, np.float32)}, state={"w": np.zeros(7)})
            split, facts = arrays[fit.fold].splits, arrays[fit.fold].facts
            weights, losses = np.array(at.state["w"]), list(at.curves["loss"])
            while len(losses) < min(rung.epochs, EPOCHS) and not stop_requested():
                epoch = len(losses) + 1
                _make_trouble(float(fit.hyperparameters["learning_rate"]), epoch, facts)
                rows = np.random.default_rng((fit.seed, epoch)).integers(0, len(split["train"]), 16)
                scores = _scores(weights, split["train"].x[rows])
                step = _with_one(split["train"].x[rows]).T @ (scores - split["train"].y[rows]) / len(rows)
                weights -= float(fit.hyperparameters["learning_rate"]) * step
                losses.append(float(np.mean((scores - split["train"].y[rows]) ** 2)))
            figure = float(np.mean((_scores(weights, split["monitor"].x) > 0.5) == (split["monitor"].y > 0.5)))
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


def _make_trouble(rate: float, epoch: int, facts: Mapping[str, Any]) -> None:
    time.sleep(facts["slow_s"] if rate == SLOW and facts["slow_s"] else facts["epoch_s"])
    if rate == HUNGRY and facts["hungry_mb"] and epoch > EPOCHS // 2:
        filled = np.ones(int(facts["hungry_mb"] * 1e6 / 8))
        time.sleep(8)  # longer than batch systems take to look
        del filled
    if rate == POISON and facts["poison"]:
        os.kill(os.getpid(), signal.SIGKILL)


def _with_one(x: Any) -> Any:
    return np.column_stack([x[..., 0], np.ones(len(x))])


def _scores(weights: Any, x: Any) -> Any:
    return 1 / (1 + np.exp(-_with_one(x) @ weights))


bracket.open_trainer = lambda *given: FarmTrainer()
bracket.keep_compiled = lambda folder: None
task = FarmTask()
