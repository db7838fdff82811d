"""A task whose networks NumPy trains in no time, in processes that are killed at the writes the environment names.

`TOWNSEND_TEST_KILLS` names a folder. Every epoch trained is a line of `trained` in it, every write one of `writes`. Its
file `kills` is a list of JSON lines {role, count, moment, victim}: the process of that role ("coordinator" or "worker")
dies, or kills its parent, at its count-th write; `moment` is "torn" (half of the file is written), "whole" (not yet
renamed) or "renamed". With `TOWNSEND_TEST_TRAINER=keras` the networks are those of Keras, which note no epochs.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from toy_task import BumpTask

from townsend import files
from townsend.tasks.base import Arrays
from townsend.training import bracket
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

EPOCHS = 8
RATE = "learning_rate"


class NumpyTrainer:
    """Logistic regression by steps of a seeded batch an epoch; see `townsend.training.progress.Trainer`."""

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        return [[fit] for fit in fits]

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        for fit, found in pack:
            at = found or Progress(None, curves={"loss": np.zeros(0, np.float32)}, state={"w": np.zeros(7)})
            data, watched = arrays[fit.fold].splits["train"], arrays[fit.fold].splits["monitor"]
            weights, losses = np.array(at.state["w"]), list(at.curves["loss"])
            for epoch in range(at.epochs + 1, min(rung.epochs, EPOCHS) + 1):
                rows = np.random.default_rng((fit.seed, epoch)).integers(0, len(data), 16)
                scores = _scores(weights, data.x[rows])
                gradient = _with_one(data.x[rows]).T @ (scores - data.y[rows]) / len(rows)
                weights -= float(fit.hyperparameters[RATE]) * gradient
                losses.append(float(np.mean((scores - data.y[rows]) ** 2)))
                _note("trained", f"{fit.label} {epoch}")
            figure = float(np.mean((_scores(weights, watched.x) > 0.5) == (watched.y > 0.5)))
            yield (
                fit,
                Progress(
                    Outcome.FINISHED if len(losses) == EPOCHS else None,
                    curves={"loss": np.array(losses, np.float32)},
                    weights=[weights],
                    state={"w": weights},
                    figure=figure,
                    figures=(*at.figures, figure),
                    parameters=len(weights),
                    epochs=len(losses),
                    best_epoch=len(losses),
                ),
            )

    def scores(self, fit: Fit, progress: Progress, x: Any, arrays: Sequence[Arrays]) -> Any:
        return _scores(np.asarray(progress.weights[0]), x).astype(np.float32)


class KilledTask(BumpTask):
    name = "killed"


def _with_one(x: Any) -> Any:
    return np.column_stack([x[..., 0], np.ones(len(x))])


def _scores(weights: Any, x: Any) -> Any:
    return 1 / (1 + np.exp(-_with_one(x) @ weights))


def _note(name: str, line: str) -> None:
    with (Path(os.environ["TOWNSEND_TEST_KILLS"]) / name).open("a") as stream:
        stream.write(line + "\n")


def _install() -> None:
    """Take the place of Keras, unless it is wanted, and look at every write of this process."""
    role = "worker" if Path(sys.argv[0]).name == "worker.py" else "coordinator"
    flush, written = files._flush_to_disk, 0

    def flush_or_die(path: Path) -> None:
        nonlocal written
        flush(path)
        written += 1
        _note("writes", f"{role} {path.parent.name}")
        plan = Path(os.environ["TOWNSEND_TEST_KILLS"]) / "kills"
        lines = plan.read_text().splitlines() if plan.exists() else []
        kill = json.loads(lines[0]) if lines else {}
        if (kill.get("role"), kill.get("count")) != (role, written):
            return
        plan.write_text("".join(line + "\n" for line in lines[1:]))
        _note("killed", f"{kill} at {path}")
        if kill["moment"] == "torn":
            os.truncate(path, path.stat().st_size // 2)
        if kill["moment"] == "renamed":
            stem = path.stem.removeprefix(".").rpartition(".")[0]
            path.replace(path.with_name(stem + path.suffix))
        if kill["victim"] == "parent":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    files._flush_to_disk = flush_or_die
    if os.environ.get("TOWNSEND_TEST_TRAINER") != "keras":
        bracket.open_trainer = lambda *given: NumpyTrainer()
        bracket.keep_compiled = lambda folder: None
    bracket._HOLD_S = 0.0  # every step is a write, at which a process can be killed


task = KilledTask()
if "TOWNSEND_TEST_KILLS" in os.environ:
    _install()
