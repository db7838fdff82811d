"""Cuts as fits: what a sweep's thresholds are worth, with nothing fitted.

What to use when
----------------
- `CutsTrainer`: the `Trainer` of `network: cuts`; the sampler of the sweep does what training does elsewhere.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from townsend.networks.cuts import Cuts, cuts_bytes, cuts_of, make_cuts
from townsend.tasks.base import Arrays, Split
from townsend.training.figure import rung_figure
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

__all__ = ["CutsTrainer"]


class CutsTrainer:
    """Judges selections one after the other; see `townsend.training.progress.Trainer`.

    Arguments:
        loss: the task's, name of a Keras loss.

    What a `Progress` of it holds: `weights`, one array, the bytes of the JSON of its cuts; `parameters`, the number of
    thresholds; `curves`, the share on the wrong side of the cuts, one value. At a rung in data its figure is the one it
    ends with, as no training example has a part in it.
    """

    def __init__(self, loss: str) -> None:
        self._loss = loss

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        """Return each fit by itself."""
        return [[fit] for fit in fits]

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        """Yield each fit once it is judged; it has ended where the rung is not in a share of the data.

        Raises InputError when a split is missing or empty, and as `make_cuts`.
        """
        for fit, before in pack:
            wall, cpu = time.perf_counter(), time.process_time()
            train, monitor = arrays[fit.fold].filled("train"), arrays[fit.fold].filled("monitor")
            cuts = make_cuts(fit.hyperparameters, arrays[fit.fold].facts.get("features"), train.x.shape[1:])
            figure = rung_figure(self._loss, cuts.scores(monitor.x), np.asarray(monitor.y), monitor.weight)
            yield (
                fit,
                Progress(
                    outcome=Outcome.FINISHED if rung.fraction >= 1 else None,
                    curves={"loss": _wrong(cuts, train), "monitor_loss": _wrong(cuts, monitor)},
                    weights=[np.frombuffer(cuts_bytes(cuts), np.uint8)],
                    figure=figure,
                    figures=(*(before.figures if before else ()), figure),
                    parameters=len(cuts.thresholds),
                    epochs=1,
                    best_epoch=1,
                    wall_s=time.perf_counter() - wall,
                    cpu_s=time.process_time() - cpu,
                ),
            )

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that the cuts of a fit give to n examples."""
        return cuts_of(progress.weights[0].tobytes()).scores(x)


def _wrong(cuts: Cuts, split: Split) -> NDArray[np.float32]:
    """Return the weighted share of the examples on the wrong side, as a curve of one value."""
    return np.array([np.average(cuts.scores(split.x) != (split.y > 0.5), weights=split.weight)], np.float32)
