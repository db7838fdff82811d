"""A task whose networks NumPy trains, slowly or with an appetite for memory where it is told to, on whatever farm.

Settings: `epoch_s`, how long each epoch takes; `slow_s`, that of the trial of learning rate 1; `hungry_mb`, what the
trial of learning rate 3 fills in its second half, `hungry_s` long an epoch; `poison`, whether the trial of learning
rate 10 ends its process; and those of `toy_task`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy_trainer import EPOCHS, RATE, in_a_worker, train_with_numpy
from toy_task import BumpTask

from townsend.tasks.base import Arrays, Evaluation, Fold
from townsend.training.records import Fit

SLOW, HUNGRY, POISON = 1.0, 3.0, 10.0
# Batch systems take less than `hungry_s` to look.
KNOWN: Mapping[str, Any] = {"epoch_s": 0.0, "slow_s": 0.0, "hungry_mb": 0, "hungry_s": 8.0, "poison": False}


class FarmTask(BumpTask):
    name = "farm"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        return {**KNOWN, **given}

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        made = super().prepare(sample, super().settings({}), seed, fold)
        return replace(made, facts={**made.facts, **settings})

    def evaluate(self, arrays: Arrays, split: str, scores: Any, threshold: float | None) -> Evaluation:
        """Judge as any task does, in a process without the libraries that this task is there to spare."""
        loaded = {"jax", "keras", "sklearn"} & set(sys.modules) if in_a_worker() else set()
        if loaded:
            msg = f"a worker of the task farm must not load {', '.join(sorted(loaded))}"
            raise RuntimeError(msg)
        return super().evaluate(arrays, split, scores, threshold)


def _make_trouble(fit: Fit, epoch: int, facts: Mapping[str, Any]) -> None:
    rate = float(fit.hyperparameters.get(RATE, 0.0))
    time.sleep(facts["slow_s"] if rate == SLOW and facts["slow_s"] else facts["epoch_s"])
    if rate == HUNGRY and facts["hungry_mb"] and epoch > EPOCHS // 2:
        filled = np.ones(int(facts["hungry_mb"] * 1e6 / 8))
        time.sleep(facts["hungry_s"])
        del filled
    if rate == POISON and facts["poison"]:
        os.kill(os.getpid(), signal.SIGKILL)


task = FarmTask()
if in_a_worker():
    train_with_numpy(_make_trouble)
