"""A fit of a Keras network in training: what it needs for its next epoch, what it hears of each, and how it rests.

What to use when
----------------
- `Member`: one fit of a pack; `at_rest` and `go_on_from` are each other's inverse, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.choices import choices_of
from townsend.training.epochs import Given, State, start
from townsend.training.hyperparameters import TrainingHyperparameters
from townsend.training.optimizers import rates
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung
from townsend.training.schedules import rate

if TYPE_CHECKING:
    import keras

__all__ = ["Member"]

_CURVES = ("loss", "monitor_loss", "accuracy", "monitor_accuracy", "learning_rate")
_OF_CLASSES = ("accuracy", "monitor_accuracy")


@dataclass
class Member:
    """A fit in training.

    Arguments:
        fit: as in its bracket; training: its hyperparameters.
        epochs: passes at most; patience: passes without a lower monitored loss after which it ends.
        loss: as `check_loss` returns it.
        network: untrained; says which shapes the state has.
    """

    fit: Fit
    training: TrainingHyperparameters
    epochs: int
    patience: int
    loss: str
    network: keras.Model
    epoch: int = 0
    best_epoch: int = 0
    figure: float = math.nan
    outcome: Outcome | None = None
    detail: str = ""
    curves: dict[str, list[float]] = field(default_factory=lambda: {name: [] for name in _CURVES})
    wall_s: float = 0.0
    cpu_s: float = 0.0
    compile_s: float = 0.0

    def __post_init__(self) -> None:
        self.state: State = start(self.network)
        self.weights: Sequence[NDArray[Any]] = []
        self.figures: tuple[float, ...] = ()

    def given(self) -> Given:
        """Return what its configuration decides of its next epoch."""
        now = rate(self.training, self.epoch + 1, self.epochs, self.curves["monitor_loss"])
        return Given(rates(self.training, now), choices_of(self.network))

    def running(self, rung: Rung) -> bool:
        """Return whether it has epochs to train before the rung."""
        return self.outcome is None and self.epoch < min(rung.epochs, self.epochs)

    def hear(self, figures: Sequence[float]) -> bool:
        """Take the curves' values of an epoch; return whether it is the best so far."""
        self.epoch += 1
        for name, value in zip(_CURVES, figures, strict=True):
            self.curves[name].append(value)
        watched = self.curves["monitor_loss"]
        best = self._finite() and (self.best_epoch == 0 or watched[-1] < watched[self.best_epoch - 1])
        if best:
            self.best_epoch = self.epoch
        self._end_if_due()
        return best

    def at_rest(self, *, classes: bool, reached: bool) -> Progress:
        """Return where it stands.

        Arguments:
            classes: whether accuracies mean something.
            reached: whether its pack has come to the rung. Else a stop was requested, and all members rest, those that
                have ended too: a program for fewer members may round otherwise.
        """
        names = [name for name in _CURVES if classes or name not in _OF_CLASSES]
        outcome = self.outcome if reached else None
        at_rung = (math.nan if outcome is Outcome.DIVERGED else self.figure,) if reached else ()
        return Progress(
            outcome=outcome,
            detail=self.detail if reached else "",
            curves={name: np.array(self.curves[name], np.float32) for name in names},
            weights=self.weights,
            state=_stored(self.state) if outcome is None else {},
            figure=self.figure,
            figures=(*self.figures, *at_rung),
            parameters=sum(math.prod(variable.shape) for variable in self.network.trainable_variables),
            epochs=self.epoch,
            best_epoch=self.best_epoch,
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            compile_s=self.compile_s,
        )

    def go_on_from(self, progress: Progress) -> None:
        """Stand where `at_rest` was called.

        Raises InputError when the state does not fit the network.
        """
        self.epoch, self.best_epoch, self.figure = progress.epochs, progress.best_epoch, progress.figure
        self.wall_s, self.cpu_s, self.compile_s = progress.wall_s, progress.cpu_s, progress.compile_s
        self.curves = {name: [float(value) for value in progress.curves.get(name, ())] for name in _CURVES}
        self.weights, self.figures = progress.weights, progress.figures
        self.state = _restored(progress.state, self.state)
        if self.epoch:
            self._end_if_due()

    def _finite(self) -> bool:
        return math.isfinite(self.curves["loss"][-1]) and math.isfinite(self.curves["monitor_loss"][-1])

    def _end_if_due(self) -> None:
        """Note how it has ended, if it has: a function of what rests, so that it need not rest itself."""
        if not self._finite():
            self.outcome = Outcome.DIVERGED
            rule = f"the loss was not finite in epoch {self.epoch}"
            rate_then = self.curves["learning_rate"][-1]
            self.detail = f"{rule}, with {self.training.optimizer} at the learning rate {rate_then:g}"
        elif self.epoch == self.epochs:
            self.outcome = Outcome.FINISHED
        elif self.epoch - self.best_epoch >= self.patience:
            self.outcome = Outcome.STOPPED_EARLY


def _stored(state: State) -> dict[str, NDArray[Any]]:
    """Return a state as named arrays."""
    import jax

    return {str(i): np.asarray(leaf) for i, leaf in enumerate(jax.tree.leaves(state))}


def _restored(stored: Mapping[str, NDArray[Any]], like: State) -> State:
    """Return a state from its named arrays.

    Raises InputError when they do not fit the network.
    """
    import jax

    leaves, structure = jax.tree.flatten(like)
    found = [stored.get(str(i)) for i in range(len(leaves))]
    if any(one is None or one.shape != np.shape(leaf) for one, leaf in zip(found, leaves, strict=True)):
        msg = "a checkpoint must fit its network (shapes differ); delete the folder checkpoints and repeat the sweep"
        raise InputError(msg)
    state: State = jax.tree.unflatten(structure, found)
    return state
