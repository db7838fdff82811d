"""Fits of Keras networks, trained epoch by epoch in compiled programs, with patience, best weights and rests.

What to use when
----------------
- `KerasTrainer`: the `Trainer` of network families; advances fits to a rung, from where they stand.
- `TrainSettings`: how long a fit may train.

Losses are those of the examples alone, without the penalties of L1 and L2, so that configurations can be compared. The
loss on `monitor` decides which weights are kept and when patience ends; where fits stand at a rung is judged by the AUC
or the mean squared error on `monitor`, which means the same whatever loss a fit is trained with.
"""

from __future__ import annotations

import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.choices import choices_of
from townsend.networks.programs import architecture
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Split
from townsend.training.epochs import Given, State, compile_epochs, compile_watch, epoch_order, start
from townsend.training.figure import rung_figure
from townsend.training.hyperparameters import TrainingHyperparameters, batch_of, check_loss, split
from townsend.training.lanes import Alone, Epoch, Lanes, SideBySide
from townsend.training.losses import is_classification
from townsend.training.optimizers import rates
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung
from townsend.training.schedules import rate

if TYPE_CHECKING:
    import keras

__all__ = ["KerasTrainer", "TrainSettings"]

Make = Callable[[Mapping[str, Any], tuple[int, ...], int], "keras.Model"]

_CURVES = ("loss", "monitor_loss", "accuracy", "monitor_accuracy", "learning_rate")
_OF_CLASSES = ("accuracy", "monitor_accuracy")


@dataclass(frozen=True)
class TrainSettings:
    """How long a fit may train, where its hyperparameters do not say so.

    Arguments:
        epochs: passes through the training examples, at most; >= 1.
        patience: epochs without a lower monitored loss after which training stops; >= 1.
    """

    epochs: int
    patience: int


class KerasTrainer:
    """Trains networks of one family; see `townsend.training.progress.Trainer`.

    Arguments:
        make: (hyperparameters of the network, input shape, seed) -> untrained network.
        loss: the task's, name of a Keras loss.
        settings: epochs and patience.
        side_by_side: train fits of equal shapes as one `vmap` program, which pays on a GPU; else one after the other.
    """

    def __init__(self, make: Make, loss: str, settings: TrainSettings, *, side_by_side: bool = False) -> None:
        self._make = make
        self._loss = loss
        self._settings = settings
        self._side_by_side = side_by_side
        self._data: dict[tuple[int, str], _Data] = {}

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        """Return the fits in groups that are trained together."""
        if not self._side_by_side:
            return [[fit] for fit in fits]
        groups: dict[tuple[Any, ...], list[Fit]] = defaultdict(list)
        for fit in fits:
            training, _ = split(fit.hyperparameters)
            alike = architecture(self._network(fit, arrays)), training.batch_size, training.loss
            groups[fit.fold, *alike].append(fit)
        return list(groups.values())

    def advance(
        self, fits: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        """Yield the fits of one pack once they stand at the rung or have ended; the same arguments give the same bits.

        Raises InputError when a split is missing or empty, ConfigError on a batch that the sample cannot fill.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        pack = fits[0][0]
        data, watched = self._split(pack.fold, "train", arrays), self._split(pack.fold, "monitor", arrays)
        members = [self._member(fit, progress, arrays, len(data)) for fit, progress in fits]
        first = members[0]
        batch = batch_of(first.training, len(data))
        stacked = len(members) if self._side_by_side else 0
        train, seconds = compile_epochs(first.network, batch, first.loss, len(data), stacked)
        watch, more = compile_watch(first.network, first.loss, watched.x, watched.y)
        states = [member.state for member in members]
        lanes: Lanes = (
            SideBySide(train, data.on_device, watch, states)
            if stacked
            else Alone(train, data.on_device, watch, states[0])
        )
        _train(members, lanes, rung, len(data), batch)
        for member, stand in zip(members, lanes.stands(), strict=True):
            member.state = stand.state
            if stand.best is not None:
                member.weights = _weights(member.network, stand.best.state)
                member.figure = rung_figure(self._loss, stand.best.scores, watched.y)
        share = 1 / len(members)
        for member in members:
            member.wall_s += (time.perf_counter() - wall) * share
            member.cpu_s += (time.process_time() - cpu) * share
            member.compile_s += (seconds + more) * share
            yield member.fit, member.at_rest(is_classification(self._loss))

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that the kept weights of a fit give to n examples."""
        network = self._network(fit, arrays)
        network.set_weights(progress.weights)
        return forward(network, x)

    def _network(self, fit: Fit, arrays: Sequence[Arrays]) -> keras.Model:
        _, of_network = split(fit.hyperparameters)
        shape = arrays[fit.fold].splits["train"].x.shape[1:]
        return self._make(of_network, shape, fit.seed)

    def _split(self, fold: int, name: str, arrays: Sequence[Arrays]) -> _Data:
        if (fold, name) not in self._data:
            self._data[fold, name] = _Data(arrays[fold].filled(name))
        return self._data[fold, name]

    def _member(self, fit: Fit, progress: Progress | None, arrays: Sequence[Arrays], examples: int) -> _Member:
        training, _ = split(fit.hyperparameters)
        epochs = training.epochs or self._settings.epochs
        patience = training.patience or self._settings.patience
        loss = check_loss(training.loss, self._loss)
        member = _Member(fit, training, epochs, patience, loss, self._network(fit, arrays))
        if progress is not None:
            member.go_on_from(progress)
        return member


class _Data:
    """The examples of a split, where programs read them."""

    def __init__(self, split: Split) -> None:
        self.x = np.asarray(split.x, np.float32)
        self.y = np.asarray(split.y, np.float32)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def on_device(self) -> tuple[Any, Any]:
        import jax.numpy as jnp

        return jnp.asarray(self.x), jnp.asarray(self.y)


@dataclass
class _Member:
    """A fit in training."""

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
        return self.outcome is None and self.epoch < min(rung.epochs, self.epochs)

    def hear(self, figures: Sequence[float]) -> bool:
        """Take the curves' values of an epoch; return whether it is the best so far."""
        self.epoch += 1
        for name, value in zip(_CURVES, figures, strict=True):
            self.curves[name].append(value)
        loss, watched, learning_rate = self.curves["loss"][-1], self.curves["monitor_loss"], figures[-1]
        if not (math.isfinite(loss) and math.isfinite(watched[-1])):
            self.outcome = Outcome.DIVERGED
            rule = f"the loss was not finite in epoch {self.epoch}"
            self.detail = f"{rule}, with {self.training.optimizer} at the learning rate {learning_rate:g}"
            return False
        best = self.best_epoch == 0 or watched[-1] < watched[self.best_epoch - 1]
        if best:
            self.best_epoch = self.epoch
        if self.epoch == self.epochs:
            self.outcome = Outcome.FINISHED
        elif self.epoch - self.best_epoch >= self.patience:
            self.outcome = Outcome.STOPPED_EARLY
        return best

    def at_rest(self, classes: bool) -> Progress:
        """Return where it stands."""
        names = [name for name in _CURVES if classes or name not in _OF_CLASSES]
        return Progress(
            outcome=self.outcome,
            detail=self.detail,
            curves={name: np.array(self.curves[name], np.float32) for name in names},
            weights=self.weights,
            state=_stored(self.state) if self.outcome is None else {},
            figure=self.figure,
            figures=(*self.figures, math.nan if self.outcome is Outcome.DIVERGED else self.figure),
            parameters=sum(math.prod(variable.shape) for variable in self.network.trainable_variables),
            epochs=self.epoch,
            best_epoch=self.best_epoch,
            wall_s=self.wall_s,
            cpu_s=self.cpu_s,
            compile_s=self.compile_s,
        )

    def go_on_from(self, progress: Progress) -> None:
        """Stand where `at_rest` was called."""
        self.epoch, self.best_epoch, self.figure = progress.epochs, progress.best_epoch, progress.figure
        self.outcome, self.detail = progress.outcome, progress.detail
        self.wall_s, self.cpu_s, self.compile_s = progress.wall_s, progress.cpu_s, progress.compile_s
        self.curves = {name: [float(value) for value in progress.curves.get(name, ())] for name in _CURVES}
        self.weights, self.figures = progress.weights, progress.figures
        self.state = _restored(progress.state, self.state)


def _train(members: Sequence[_Member], lanes: Lanes, rung: Rung, examples: int, batch: int) -> None:
    """Let members of equal shapes train until they stand at the rung or have ended."""
    while any(running := [member.running(rung) for member in members]):
        epochs, batches = [], 0
        for member in members:
            order, weight, batches = epoch_order(examples, batch, member.fit.seed, member.epoch + 1, rung.fraction)
            epochs.append(Epoch(member.given(), order, weight))
        figures = lanes.run(epochs, batches)
        rates_now = [float(epoch.given.rates.learning_rate) for epoch in epochs]
        lanes.keep(
            [
                going and member.hear((*seen, now))
                for member, going, seen, now in zip(members, running, figures, rates_now, strict=True)
            ]
        )


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


def _weights(network: keras.Model, state: State) -> list[NDArray[Any]]:
    """Return the weights of a state in the order of Keras `get_weights`."""
    values = {id(v): value for v, value in zip(network.trainable_variables, state.trainable, strict=True)}
    values |= {id(v): value for v, value in zip(network.non_trainable_variables, state.other, strict=True)}
    return [np.asarray(values[id(variable)]) for variable in network.weights]
