"""Fits of Keras networks, trained epoch by epoch in compiled programs, with patience, best weights and rests.

What to use when
----------------
- `KerasTrainer`: the `Trainer` of network families; advances fits to a rung, from where they stand.
- `TrainSettings`: how long a fit may train.

Losses are those of the examples alone, without the penalties of L1 and L2, so that configurations can be compared. The
loss on `monitor` decides which weights are kept and when patience ends; where fits stand at a rung is judged by the AUC
or the mean squared error on `monitor`, which means the same whatever loss a fit is trained with.

Examples count as much as their weights say, and inputs are standardised where the facts of the arrays hold a scaling;
the weights that a fit keeps are those of the network behind the scaling.

Where a stop is requested (`townsend.training.interruption`), a pack rests after the epoch that it is at.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.networks.programs import architecture
from townsend.networks.scaling import Scaling, scaling_of, standardised
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Split
from townsend.training.epochs import State, compile_epochs, compile_watch, epoch_order
from townsend.training.figure import rung_figure
from townsend.training.hyperparameters import batch_of, check_loss, split
from townsend.training.interruption import stop_requested
from townsend.training.lanes import Alone, Epoch, Lanes, SideBySide
from townsend.training.losses import is_classification, outputs_of
from townsend.training.member import Member
from townsend.training.progress import Progress
from townsend.training.records import Fit, Rung

if TYPE_CHECKING:
    import keras

__all__ = ["KerasTrainer", "TrainSettings"]

Make = Callable[[Mapping[str, Any], tuple[int, ...], int, int], "keras.Model"]


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
        make: (hyperparameters of the network, input shape, seed, outputs) -> untrained network.
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

        Where a stop is requested before that, all of them rest at the epoch they are at, those that have ended too.

        Raises InputError when a split is missing or empty, ConfigError on a batch that the sample cannot fill.
        """
        wall, cpu = time.perf_counter(), time.process_time()
        pack = fits[0][0]
        data, watched = self._split(pack.fold, "train", arrays), self._split(pack.fold, "monitor", arrays)
        members = [self._member(fit, progress, arrays, len(data)) for fit, progress in fits]
        first = members[0]
        batch = batch_of(first.training, len(data))
        stacked = len(members) if self._side_by_side else 0
        weighted = data.weight is not None
        train, seconds = compile_epochs(first.network, batch, first.loss, len(data), stacked, weighted=weighted)
        watch, more = compile_watch(first.network, first.loss, watched.x, watched.y, watched.weight)
        states = [member.state for member in members]
        lanes: Lanes = (
            SideBySide(train, data.on_device, watch, states)
            if stacked
            else Alone(train, data.on_device, watch, states[0])
        )
        reached = _train(members, lanes, rung, len(data), batch)
        for member, stand in zip(members, lanes.stands(), strict=True):
            member.state = stand.state
            if stand.best is not None:
                member.weights = _weights(member.network, stand.best.state)
                member.figure = rung_figure(self._loss, stand.best.scores, watched.y, watched.weight)
        share = 1 / len(members)
        for member in members:
            member.wall_s += (time.perf_counter() - wall) * share
            member.cpu_s += (time.process_time() - cpu) * share
            member.compile_s += (seconds + more) * share
            yield member.fit, member.at_rest(classes=is_classification(self._loss), reached=reached)

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that the kept weights of a fit give to n examples."""
        network = self._network(fit, arrays)
        network.set_weights(progress.weights)
        scaling = scaling_of(arrays[fit.fold].facts, network.input_shape[1:])
        return forward(network, standardised(x, scaling))

    def _network(self, fit: Fit, arrays: Sequence[Arrays]) -> keras.Model:
        _, of_network = split(fit.hyperparameters)
        of_fold = arrays[fit.fold]
        shape, outputs = of_fold.splits["train"].x.shape[1:], outputs_of(self._loss, of_fold.facts)
        return self._make(of_network, shape, fit.seed, outputs)

    def _split(self, fold: int, name: str, arrays: Sequence[Arrays]) -> _Data:
        if (fold, name) not in self._data:
            split = arrays[fold].filled(name)
            self._data[fold, name] = _Data(split, scaling_of(arrays[fold].facts, split.x.shape[1:]))
        return self._data[fold, name]

    def _member(self, fit: Fit, progress: Progress | None, arrays: Sequence[Arrays], examples: int) -> Member:
        training, _ = split(fit.hyperparameters)
        epochs = training.epochs or self._settings.epochs
        patience = training.patience or self._settings.patience
        loss = check_loss(training.loss, self._loss)
        member = Member(fit, training, epochs, patience, loss, self._network(fit, arrays))
        if progress is not None:
            member.go_on_from(progress)
        return member


class _Data:
    """The examples of a split, where programs read them."""

    def __init__(self, split: Split, scaling: Scaling | None) -> None:
        self.x = np.asarray(standardised(split.x, scaling), np.float32)
        self.y = np.asarray(split.y, np.float32)
        self.weight = None if split.weight is None else np.asarray(split.weight, np.float32)

    def __len__(self) -> int:
        return len(self.y)

    @cached_property
    def on_device(self) -> tuple[Any, ...]:
        """What a program reads: x and y, and the weights where there are some."""
        import jax.numpy as jnp

        columns = (self.x, self.y) if self.weight is None else (self.x, self.y, self.weight)
        return tuple(jnp.asarray(column) for column in columns)


def _train(members: Sequence[Member], lanes: Lanes, rung: Rung, examples: int, batch: int) -> bool:
    """Let members of equal shapes train until they stand at the rung or have ended, and return True.

    Returns False where a stop was requested before that.
    """
    while any(running := [member.running(rung) for member in members]):
        if stop_requested():
            return False
        epochs, batches = [], 0
        for member in members:
            order, filled, batches = epoch_order(examples, batch, member.fit.seed, member.epoch + 1, rung.fraction)
            epochs.append(Epoch(member.given(), order, filled))
        figures = lanes.run(epochs, batches)
        rates_now = [float(epoch.given.rates.learning_rate) for epoch in epochs]
        lanes.keep(
            [
                going and member.hear((*seen, now))
                for member, going, seen, now in zip(members, running, figures, rates_now, strict=True)
            ]
        )
    return True


def _weights(network: keras.Model, state: State) -> list[NDArray[Any]]:
    """Return the weights of a state in the order of Keras `get_weights`."""
    values = {id(v): value for v, value in zip(network.trainable_variables, state.trainable, strict=True)}
    values |= {id(v): value for v, value in zip(network.non_trainable_variables, state.other, strict=True)}
    return [np.asarray(values[id(variable)]) for variable in network.weights]
