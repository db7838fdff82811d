"""Whole epochs as one compiled program: no Python between batches.

What to use when
----------------
- `compile_epochs`: the training and monitoring programs of a network, compiled once for equal networks.
- `epoch_order`: which examples make which batch of an epoch.

An epoch is a `lax.scan` over batches through Keras' stateless calls, so its arithmetic is that of Keras `fit` with the
same batches; convolutions are those of the network's twin, which are quick in a loop. Weights, optimizer state and
learning rate are arguments of a program and no part of it. The last, shorter batch is filled up with examples of weight
zero.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.networks.backend import jax_keras
from townsend.networks.programs import architecture, keep
from townsend.networks.twin import for_training
from townsend.training.hyperparameters import TrainingHyperparameters

if TYPE_CHECKING:
    import keras

__all__ = ["Epochs", "State", "compile_epochs", "epoch_order", "in_chunks"]

_CHUNK = 512  # examples a forward pass: 30,000 at once fall out of the processor's cache and take four times as long
_ORDER_STREAM = 1  # keeps the shuffling apart from every other use of a fit's seed


class State(NamedTuple):
    """What changes from batch to batch: arrays in Keras' order."""

    trainable: list[Any]
    other: list[Any]
    optimizer: list[Any]


@dataclass(frozen=True)
class Epochs:
    """Compiled programs of one kind of network.

    Arguments:
        fresh_optimizer: state of the optimizer before its first step.
        rate_index: where in that state the learning rate stands.
        train: (state, x, y, order, weight) -> (state, loss, accuracy), as `fit` would show them.
        monitor: (trainable, other, x, y, weight) -> (loss, accuracy), on examples `in_chunks`.
        compile_s: seconds that compiling took, 0 for programs that were kept.
    """

    fresh_optimizer: list[Any]
    rate_index: int
    train: Callable[..., tuple[State, Any, Any]]
    monitor: Callable[..., tuple[Any, Any]]
    compile_s: float = 0.0

    def start(self, network: keras.Model, learning_rate: float | None) -> State:
        """Return the state of `network` before its first epoch."""
        optimizer = list(self.fresh_optimizer)
        if learning_rate is not None:
            optimizer[self.rate_index] = optimizer[self.rate_index] * 0 + learning_rate
        return State(*_variables(network), optimizer)


def compile_epochs(
    network: keras.Model, training: TrainingHyperparameters, loss: str, examples: int, monitored: int
) -> Epochs:
    """Return the compiled programs for `network`.

    Arguments:
        network: as `build_network` returns it; its weights and seeds do not matter.
        training: optimizer and batch size.
        loss: name of a Keras loss.
        examples, monitored: numbers of training and of monitoring examples.
    """
    key = (architecture(network), training.optimizer, training.batch_size, loss, examples, monitored)
    programs, seconds = keep(key, lambda: _compile(network, training, loss, examples, monitored))
    return replace(programs, compile_s=seconds)


def epoch_order(examples: int, batch_size: int, seed: int, epoch: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Return which examples make which batch of an epoch: a function of the arguments alone.

    Arguments:
        examples: number of training examples.
        batch_size: examples a step.
        seed: of the fit.
        epoch: from 1.

    Returns: (batches, batch_size) indices; weights of the same shape, 0 where the last batch is filled up and else 1.
    """
    key = np.random.SeedSequence((seed, _ORDER_STREAM, epoch)).generate_state(2, np.uint64)
    order = np.random.Generator(np.random.Philox(key=key)).permutation(examples).astype(np.int32)
    return _in_rows(order, batch_size), _in_rows(np.ones(examples, np.float32), batch_size)


def in_chunks(*columns: NDArray[Any]) -> tuple[NDArray[np.float32], ...]:
    """Return columns of n examples, and their weights last, cut into (chunks, chunk, ...) as `Epochs.monitor` takes."""
    weight = np.ones(len(columns[0]), np.float32)
    return tuple(_in_rows(np.asarray(column, np.float32), _CHUNK) for column in (*columns, weight))


def _compile(
    network: keras.Model, training: TrainingHyperparameters, loss: str, examples: int, monitored: int
) -> Epochs:
    import jax

    network = for_training(network)  # the same variables in the same order
    optimizer = jax_keras().optimizers.get(training.optimizer)
    optimizer.build(network.trainable_variables)
    judge = _judge(loss)

    def step(state: State, batch: tuple[Any, Any, Any]) -> tuple[State, Any]:
        x, y, weight = batch

        def objective(trainable: Any) -> tuple[Any, Any]:
            scores, other = network.stateless_call(trainable, state.other, x, training=True)
            sums = judge(scores, y, weight)
            return sums[0] / weight.sum(), (other, sums)

        gradients, (other, sums) = jax.grad(objective, has_aux=True)(state.trainable)
        trainable, moments = optimizer.stateless_apply(state.optimizer, gradients, state.trainable)
        return State(trainable, other, moments), sums

    def train(state: State, x: Any, y: Any, order: Any, weight: Any) -> tuple[State, Any, Any]:
        state, (losses, hits) = jax.lax.scan(step, state, (x[order], y[order], weight))
        return state, losses.sum() / weight.sum(), hits.sum() / weight.sum()

    def monitor(trainable: Any, other: Any, x: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        def chunk(columns: tuple[Any, Any, Any]) -> tuple[Any, Any]:
            scores, _ = network.stateless_call(trainable, other, columns[0], training=False)
            return judge(scores, columns[1], columns[2])

        losses, hits = jax.lax.map(chunk, (x, y, weight))
        return losses.sum() / weight.sum(), hits.sum() / weight.sum()

    fresh = [variable.value for variable in optimizer.variables]
    rate = next(i for i, variable in enumerate(optimizer.variables) if variable is optimizer.learning_rate)
    state = State(*_variables(network), fresh)
    one = np.zeros(tuple(network.inputs[0].shape[1:]), np.float32)
    x, y = np.broadcast_to(one, (examples, *one.shape)), np.zeros(examples, np.float32)
    chunks = in_chunks(np.broadcast_to(one, (monitored, *one.shape)), np.zeros(monitored, np.float32))
    return Epochs(
        fresh,
        rate,
        jax.jit(train).lower(state, x, y, *epoch_order(examples, training.batch_size, 0, 1)).compile(),
        jax.jit(monitor).lower(state.trainable, state.other, *chunks).compile(),
    )


def _judge(loss: str) -> Callable[[Any, Any, Any], tuple[Any, Any]]:
    """Return a function that sums the loss, and the examples on the right side of 1/2, over a batch."""
    keras = jax_keras()
    found = keras.losses.get(loss)
    example_loss = found.call if isinstance(found, keras.losses.Loss) else found

    def judge(scores: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        hits = (scores[:, 0] > 0.5) == (y > 0.5)
        return (example_loss(y[:, None], scores) * weight).sum(), (hits * weight).sum()

    return judge


def _variables(network: keras.Model) -> tuple[list[Any], list[Any]]:
    """Return the values of the trainable and of all other variables."""
    trainable = [variable.value for variable in network.trainable_variables]
    return trainable, [variable.value for variable in network.non_trainable_variables]


def _in_rows(values: NDArray[Any], length: int) -> NDArray[Any]:
    """Cut `values` into rows of `length`, the last one filled up with zeros."""
    rows = -(-len(values) // length)
    filled = np.zeros((rows * length, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return filled.reshape(rows, length, *values.shape[1:])
