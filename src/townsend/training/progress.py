"""Where a fit stands between two rungs, or at its end: what a trainer returns and goes on from.

What to use when
----------------
- `Progress`: a fit at rest.
- `Trainer`: the protocol of what trains the fits of a bracket.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from townsend.tasks.base import Arrays
from townsend.training.records import Fit, Outcome, Rung

__all__ = ["Progress", "Trainer"]


@dataclass(frozen=True)
class Progress:
    """A fit at rest.

    Arguments:
        outcome: how it ended (finished, stopped early, diverged); None while it may go on.
        detail: a sentence on a fit that diverged, else "".
        curves: `loss`, `monitor_loss`, ...: one value an epoch.
        weights: of the epoch with the lowest monitored loss, in the order of Keras `get_weights`; or what else stores
            the model. None kept: the first epoch diverged, or is still to come.
        state: all else that going on needs, as arrays; empty where the fit has ended.
        figure: on `monitor`, of `weights`: AUC of a classification, mean squared error of a regression; NaN: none.
        figures: the same at each rung that the fit has reached, and at its end; a rest on the way adds none.
        parameters: trainable parameters.
        epochs: epochs trained; best_epoch: the one whose weights were kept.
        wall_s, cpu_s: of the whole training; compile_s: share of wall_s spent compiling.
    """

    outcome: Outcome | None
    detail: str = ""
    curves: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    weights: Sequence[NDArray[Any]] = ()
    state: Mapping[str, NDArray[Any]] = field(default_factory=dict)
    figure: float = float("nan")
    figures: tuple[float, ...] = ()
    parameters: int = 0
    epochs: int = 0
    best_epoch: int = 0
    wall_s: float = 0.0
    cpu_s: float = 0.0
    compile_s: float = 0.0


class Trainer(Protocol):
    """Trains fits of one kind of model; `arrays` holds those of each fold, with the splits `train` and `monitor`."""

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        """Return the fits in groups, each of which `advance` trains together."""
        ...

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        """Yield the fits of a pack once they stand at the rung or have ended; the same arguments give the same bits.

        Where a stop is requested (`townsend.training.interruption`), a trainer that can go on from any epoch lets all
        of a pack rest on the way, their outcome None and their `figures` as before; another one goes on, or raises
        `Interrupted`.

        Arguments:
            pack: fits, with where they stand; None for one that is to begin.
            arrays: of each fold.
            rung: how far to go; one beyond a fit's last epoch trains it to its end.
        """
        ...

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that the kept weights of a fit give to n examples."""
        ...
