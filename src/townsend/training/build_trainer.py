"""Fits of Keras networks that a user's `build(hp)` returns, with their layers kept beside their weights.

What to use when
----------------
- `BuildTrainer`: the `Trainer` of `network: build` with `--build file.py`.

The trainer of Keras networks does the work. The first of a `Progress`'s weights is the network's architecture, so that
whoever rebuilds a trained network reads it from the record and never runs the user's file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from townsend.networks.build_file import BuildFile, architecture_json
from townsend.tasks.base import Arrays
from townsend.training.hyperparameters import split
from townsend.training.losses import outputs_of
from townsend.training.progress import Progress, Trainer
from townsend.training.records import Fit, Rung

__all__ = ["BuildTrainer"]


class BuildTrainer:
    """Trains what a file builds; see `townsend.training.progress.Trainer`.

    Arguments:
        build: the user's file.
        loss: the task's.
        inner: trains Keras networks that `build` makes.
    """

    def __init__(self, build: BuildFile, loss: str, inner: Trainer) -> None:
        self._build, self._loss = build, loss
        self._inner = inner

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        """Return the fits in groups that are trained together."""
        return self._inner.packs(fits, arrays)

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        """Yield the fits of a pack once they stand at the rung or have ended."""
        bare = [(fit, None if progress is None else _bare(progress)) for fit, progress in pack]
        for fit, progress in self._inner.advance(bare, arrays, rung):
            if len(progress.weights):
                _, of_network = split(fit.hyperparameters)
                of_fold = arrays[fit.fold]
                shape, outputs = of_fold.splits["train"].x.shape[1:], outputs_of(self._loss, of_fold.facts)
                network = self._build.make(of_network, shape, fit.seed, outputs)
                layers = np.frombuffer(architecture_json(network), np.uint8)
                yield fit, replace(progress, weights=[layers, *progress.weights])
            else:
                yield fit, progress

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that the kept weights of a fit give to n examples."""
        return self._inner.scores(fit, _bare(progress), x, arrays)


def _bare(progress: Progress) -> Progress:
    return replace(progress, weights=list(progress.weights[1:]))
