"""One fit: a Keras network trained epoch by epoch in compiled programs, with patience and its best weights."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.tasks.base import Arrays, Split
from townsend.training.epochs import compile_epochs, epoch_order, in_chunks
from townsend.training.hyperparameters import split
from townsend.training.records import Fit, Outcome

if TYPE_CHECKING:
    import keras

__all__ = ["TrainSettings", "TrainedFit", "train"]

_CLASSIFICATION = ("binary_crossentropy", "binary_focal_crossentropy")


@dataclass(frozen=True)
class TrainSettings:
    """How long a fit may train.

    Arguments:
        epochs: passes through the training examples, at most; >= 1.
        patience: epochs without a lower monitored loss after which training stops; >= 1.
    """

    epochs: int
    patience: int


@dataclass(frozen=True)
class TrainedFit:
    """What training has made of a network.

    Arguments:
        outcome: finished, stopped early or diverged.
        curves: `loss`, `monitor_loss` and, for a classification, `accuracy`, `monitor_accuracy`: one value an epoch.
        weights: of the epoch with the lowest monitored loss, in the order of Keras `get_weights`.
        parameters: trainable parameters.
        epochs: epochs trained; best_epoch: the one whose weights were kept (0: none, since the first one diverged).
        wall_s, cpu_s: of the whole training; compile_s: share of wall_s spent compiling.
    """

    outcome: Outcome
    curves: Mapping[str, NDArray[np.float32]]
    weights: list[NDArray[Any]]
    parameters: int
    epochs: int
    best_epoch: int
    wall_s: float
    cpu_s: float
    compile_s: float


def train(fit: Fit, network: keras.Model, loss: str, settings: TrainSettings, arrays: Arrays) -> TrainedFit:
    """Train `network` on the split `train`, watching `monitor`, and leave its best weights in it.

    Arguments:
        fit: its hyperparameters name optimizer, batch size and learning rate; its seed decides the order of examples.
        network: as built from the fit's seed.
        loss: name of a Keras loss.
        settings: epochs and patience.
        arrays: with the splits `train` and `monitor`.

    The same arguments give the same bits on the same processor. Training ends as diverged at the epoch whose loss is
    not finite.

    Raises InputError when a split is missing or empty.
    """
    wall, cpu = time.perf_counter(), time.process_time()
    training, _ = split(fit.hyperparameters)
    data, watched = _filled(arrays, "train"), _filled(arrays, "monitor")
    programs = compile_epochs(network, training, loss, len(data), len(watched))
    x, y = _on_device(data)
    chunks = in_chunks(watched.x, watched.y)
    state = programs.start(network, training.learning_rate)
    names = ("loss", "monitor_loss", "accuracy", "monitor_accuracy")
    curves: dict[str, list[float]] = {name: [] for name in names}
    best, best_epoch, epoch, outcome = state, 0, 0, Outcome.FINISHED
    for epoch in range(1, settings.epochs + 1):
        order, weight = epoch_order(len(data), training.batch_size, fit.seed, epoch)
        state, train_loss, train_accuracy = programs.train(state, x, y, order, weight)
        monitor_loss, monitor_accuracy = programs.monitor(state.trainable, state.other, *chunks)
        for name, value in zip(names, (train_loss, monitor_loss, train_accuracy, monitor_accuracy), strict=True):
            curves[name].append(float(value))
        if not (math.isfinite(curves["loss"][-1]) and math.isfinite(curves["monitor_loss"][-1])):
            outcome = Outcome.DIVERGED
            break
        if best_epoch == 0 or curves["monitor_loss"][-1] < curves["monitor_loss"][best_epoch - 1]:
            best, best_epoch = state, epoch
        if epoch - best_epoch >= settings.patience and epoch < settings.epochs:
            outcome = Outcome.STOPPED_EARLY
            break
    for variable, value in zip(network.trainable_variables, best.trainable, strict=True):
        variable.assign(value)
    for variable, value in zip(network.non_trainable_variables, best.other, strict=True):
        variable.assign(value)
    shown = names if loss in _CLASSIFICATION else names[:2]
    return TrainedFit(
        outcome=outcome,
        curves={name: np.array(curves[name], np.float32) for name in shown},
        weights=[np.asarray(variable.value) for variable in network.weights] if best_epoch else [],
        parameters=sum(math.prod(variable.shape) for variable in network.trainable_variables),
        epochs=epoch,
        best_epoch=best_epoch,
        wall_s=time.perf_counter() - wall,
        cpu_s=time.process_time() - cpu,
        compile_s=programs.compile_s,
    )


def _filled(arrays: Arrays, name: str) -> Split:
    found = arrays.splits.get(name)
    if found is None or len(found) == 0:
        msg = f'training needs at least one example in the split "{name}" (got none); take a larger sample'
        raise InputError(msg)
    return found


def _on_device(data: Split) -> tuple[Any, Any]:
    import jax.numpy as jnp

    return jnp.asarray(np.asarray(data.x, np.float32)), jnp.asarray(np.asarray(data.y, np.float32))
