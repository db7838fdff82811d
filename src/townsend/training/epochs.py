"""Whole epochs as one compiled program: no Python between batches, one program for all fits of a shape.

What to use when
----------------
- `compile_epochs`: the training program of a network, compiled once for all that may share it.
- `Watched`: the loss and the scores of `monitor` between epochs.
- `epoch_order`: which examples make which batch of an epoch.

An epoch is a loop over batches through Keras' stateless calls, so its arithmetic is that of Keras `fit` with the same
batches; convolutions are those of the network's twin, which are quick in a loop. Weights and slots of the optimizer
are arguments of a program and no part of it, and so is what a configuration decides beside shapes and loss: optimizer,
rates, penalties, activations, dropout. The last, shorter batch is filled up with examples that do not count.

Where examples are weighted, the loss of a batch is sum(w loss) / number of its examples. The sum of the weights of a
batch, which may be zero or negative where weights have both signs, divides nothing; nor do weights enter the statistics
of batch normalization. What is reported is divided by the sum of the weights of all examples of the epoch.

Members side by side (`vmap`) are one program over stacked arguments; on a processor a loop over them is faster.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.networks.choices import Choices, choices_of, deciding
from townsend.networks.programs import architecture, keep
from townsend.networks.stored import Forward, forward_program
from townsend.networks.twin import for_training
from townsend.training.hyperparameters import TrainingHyperparameters
from townsend.training.losses import example_loss
from townsend.training.optimizers import Rates, Slots, fresh, penalty, rates, update

if TYPE_CHECKING:
    import keras

__all__ = ["Given", "State", "Train", "Watched", "compile_epochs", "compile_watch", "epoch_order", "start"]

_ORDER_STREAM = 1  # keeps the shuffling apart from every other use of a fit's seed
_PART_STREAM = 5  # and the choice of a part of the examples, which is the same for all fits


class State(NamedTuple):
    """What changes from batch to batch: arrays in Keras' order."""

    trainable: list[Any]
    other: list[Any]
    slots: Slots


class Given(NamedTuple):
    """What a configuration decides and no shape depends on."""

    rates: Rates
    choices: Choices


Train = Callable[..., tuple[State, Any, Any]]
"""(state, given, x, y, order, filled, batches) -> (state, loss, accuracy), as `fit` would show them.

Compiled for weighted examples, it takes their weights after y.
"""


@dataclass(frozen=True)
class Watched:
    """The examples of `monitor`, and how a network of one kind is judged on them.

    Arguments:
        x, y: n examples.
        scores: as `forward_program` returns it: quicker than a training program that only goes forward.
        losses: (y, scores) -> losses.
        weight: of the examples, None: 1 each.
    """

    x: NDArray[np.float32]
    y: NDArray[np.float32]
    scores: Forward
    losses: Callable[[Any, Any], Any]
    weight: NDArray[np.float32] | None = None

    def judge(self, state: State, given: Given) -> tuple[float, float, NDArray[np.float32]]:
        """Return loss, accuracy (the share on the right side of 1/2, or of the right class) and scores."""
        found = self.scores(given.choices, state.trainable, state.other, self.x)
        scores = found.reshape(len(found), -1)
        losses, hits = np.asarray(self.losses(self.y, scores)), right(scores, self.y)
        if self.weight is None:
            return float(losses.mean()), float(np.mean(hits)), found
        loss, accuracy = (float(np.average(values, weights=self.weight)) for values in (losses.astype(float), hits))
        return loss, accuracy, found


def start(network: keras.Model) -> State:
    """Return the state of `network` before its first epoch."""
    trainable = [variable.value for variable in network.trainable_variables]
    return State(trainable, [variable.value for variable in network.non_trainable_variables], fresh(trainable))


def compile_epochs(
    network: keras.Model, batch_size: int, loss: str, examples: int, members: int = 0, *, weighted: bool = False
) -> tuple[Train, float]:
    """Return the compiled program for `network`, and the seconds that took; 0 for one that was kept.

    Arguments:
        network: as `build_network` returns it; its weights, seeds, activations and dropout do not matter.
        batch_size: examples a step.
        loss: as `check_loss` returns it.
        examples: number of training examples.
        members: fits side by side in one program, with stacked states, `Given`s and orders; 0: one fit, not stacked.
        weighted: whether the examples have weights.
    """
    key = (architecture(network), batch_size, loss, examples, members, weighted)
    return keep(key, lambda: _compile(network, batch_size, loss, examples, members, weighted))


def compile_watch(
    network: keras.Model, loss: str, x: NDArray[Any], y: NDArray[Any], weight: NDArray[Any] | None = None
) -> tuple[Watched, float]:
    """Return how networks like this one are judged on n examples, and the seconds that compiling took."""
    scores, seconds = forward_program(network)
    losses = _compiled_loss(loss)
    return Watched(np.asarray(x, np.float32), np.asarray(y, np.float32), scores, losses, weight), seconds


@cache
def _compiled_loss(loss: str) -> Callable[[Any, Any], Any]:
    import jax

    compiled: Callable[[Any, Any], Any] = jax.jit(example_loss(loss))
    return compiled


def epoch_order(
    examples: int, batch_size: int, seed: int, epoch: int, fraction: float = 1.0
) -> tuple[NDArray[np.int32], NDArray[np.float32], int]:
    """Return which examples make which batch of an epoch: a function of the arguments alone.

    Arguments:
        examples: number of training examples.
        batch_size: examples a step.
        seed: of the fit.
        epoch: from 1.
        fraction: share of the examples that the epoch takes; the same ones for all fits, a larger share holds them all.

    Returns: (batches, batch_size) indices; numbers of the same shape, 0 where a batch is filled up and else 1; number
    of batches that hold examples.
    """
    taken = max(1, round(examples * fraction))
    order = _random(seed, _ORDER_STREAM, epoch).permutation(taken).astype(np.int32)
    if taken < examples:
        order = _random(0, _PART_STREAM, 0).permutation(examples).astype(np.int32)[order]
    rows = -(-examples // batch_size)
    return (
        _in_rows(order, batch_size, rows),
        _in_rows(np.ones(taken, np.float32), batch_size, rows),
        -(-taken // batch_size),
    )


def right(scores: Any, y: Any) -> Any:
    """Return which of n examples, scores (n, 1) or (n, K), are on the right side of 1/2, or of the right class."""
    return (scores[:, 0] > 0.5) == (y > 0.5) if scores.shape[1] == 1 else scores.argmax(axis=1) == y


def _random(seed: int, stream: int, number: int) -> np.random.Generator:
    key = np.random.SeedSequence((seed, stream, number)).generate_state(2, np.uint64)
    return np.random.Generator(np.random.Philox(key=key))


def _compile(network: keras.Model, batch_size: int, loss: str, examples: int, members: int, weighted: bool) -> Train:
    import jax

    train = _program(for_training(network), loss, weighted=weighted)
    one = np.zeros(tuple(network.inputs[0].shape[1:]), np.float32)
    data = [np.broadcast_to(one, (examples, *one.shape)), *[np.zeros(examples, np.float32)] * (1 + weighted)]
    state, given = start(network), Given(rates(TrainingHyperparameters("sgd", batch_size), 0.0), choices_of(network))
    order, filled, batches = epoch_order(examples, batch_size, 0, 1)
    if members:
        train = jax.vmap(train, in_axes=(0, 0, *[None] * len(data), 0, 0, None))
        state, given, order, filled = jax.tree.map(
            lambda leaf: np.broadcast_to(leaf, (members, *np.shape(leaf))), (state, given, order, filled)
        )
    compiled: Train = jax.jit(train).lower(state, given, *data, order, filled, batches).compile()
    return compiled


def _program(twin: keras.Model, loss: str, *, weighted: bool) -> Train:
    """Return the function to be compiled, for one fit."""
    import jax

    losses = example_loss(loss)

    def judge(scores: Any, y: Any, weight: Any) -> tuple[Any, Any]:
        """Sum the loss, and the examples that are right, over a batch."""
        hits = right(scores, y)
        return (losses(y, scores) * weight).sum(), (hits * weight).sum()

    def step(state: State, given: Given, x: Any, y: Any, filled: Any, weight: Any) -> tuple[State, Any]:
        def objective(trainable: Any) -> tuple[Any, Any]:
            with deciding(given.choices, filled):
                scores, other = twin.stateless_call(trainable, state.other, x, training=True)
            sums = judge(scores, y, weight)
            return sums[0] / filled.sum() + penalty(given.rates, trainable), (other, sums)

        gradients, (other, sums) = jax.grad(objective, has_aux=True)(state.trainable)
        trainable, slots = update(given.rates, state.slots, gradients, state.trainable)
        return State(trainable, other, slots), sums

    def train_weighted(
        state: State, given: Given, x: Any, y: Any, weight: Any, order: Any, filled: Any, batches: Any
    ) -> tuple[State, Any, Any]:
        counts = filled if weight is None else filled * weight[order]

        def batch(number: Any, carried: tuple[State, Any, Any]) -> tuple[State, Any, Any]:
            state, losses, hits = carried
            rows = order[number]
            state, sums = step(state, given, x[rows], y[rows], filled[number], counts[number])
            return state, losses + sums[0], hits + sums[1]

        state, losses, hits = jax.lax.fori_loop(0, batches, batch, (state, np.float32(0), np.float32(0)))
        return state, losses / counts.sum(), hits / counts.sum()

    def train(
        state: State, given: Given, x: Any, y: Any, order: Any, filled: Any, batches: Any
    ) -> tuple[State, Any, Any]:
        return train_weighted(state, given, x, y, None, order, filled, batches)

    return train_weighted if weighted else train


def _in_rows(values: NDArray[Any], length: int, rows: int | None = None) -> NDArray[Any]:
    """Cut `values` into rows of `length`, filled up with zeros; as many rows as it takes, or `rows`."""
    rows = -(-len(values) // length) if rows is None else rows
    filled = np.zeros((rows * length, *values.shape[1:]), values.dtype)
    filled[: len(values)] = values
    return filled.reshape(rows, length, *values.shape[1:])
