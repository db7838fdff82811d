"""Keras' optimizers as pure functions of which even the rule is a variable: one compiled program serves them all.

What to use when
----------------
- `rates`: what decides the steps of a fit, as numbers that a compiled program takes.
- `fresh`, `update`: one step after the other.
- `penalty`: what L1 and L2 add to the loss.

Keras' own optimizers carry rule, momentum and weight decay as constants, so that every other value is compiled anew.
The formulas, the order of operations and the constants here are those of Keras 3, and the tests hold them to it. sgd is
the plain step; momentum and nesterov (Sutskever et al. 2013) go on in the direction they have; rmsprop (Hinton 2012)
divides each gradient by its usual size; adam (Kingma & Ba 2015) does both; adamw is adam with weight decay
(Loshchilov & Hutter 2019), which every other rule takes as well.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from townsend.training.hyperparameters import OPTIMIZERS, TrainingHyperparameters

__all__ = ["Rates", "Slots", "fresh", "penalty", "rates", "update"]

_EPSILON = 1e-7
_RHO = 0.9
_BETA_1 = 0.9
_BETA_2 = 0.999
_ADAMW_DECAY = 0.004

_Rule = Callable[..., tuple[Any, Any, Any]]


class Rates(NamedTuple):
    """What decides the steps of a fit: scalars, all of them variables of a compiled program.

    Arguments:
        optimizer: int32, a place in `OPTIMIZERS`.
        learning_rate, momentum, weight_decay, l1, l2: float32, as in `TrainingHyperparameters`.
    """

    optimizer: Any
    learning_rate: Any
    momentum: Any
    weight_decay: Any
    l1: Any
    l2: Any


class Slots(NamedTuple):
    """What an optimizer remembers.

    Arguments:
        first: moving means of the gradients (adam) or last steps (momentum, nesterov), in the variables' shapes.
        second: moving means of the squared gradients (rmsprop, adam), likewise.
        steps: int32, steps made.
    """

    first: list[Any]
    second: list[Any]
    steps: Any


def rates(training: TrainingHyperparameters, learning_rate: float) -> Rates:
    """Return the rates of a fit in an epoch.

    Arguments:
        training: hyperparameters.
        learning_rate: of the epoch, as `schedules.rate` returns it.
    """
    default = _ADAMW_DECAY if training.optimizer == "adamw" else 0.0
    return Rates(
        np.int32(OPTIMIZERS.index(training.optimizer)),
        np.float32(learning_rate),
        np.float32(training.momentum),
        np.float32(default if training.weight_decay is None else training.weight_decay),
        np.float32(training.l1),
        np.float32(training.l2),
    )


def fresh(trainable: Sequence[Any]) -> Slots:
    """Return what an optimizer remembers before its first step on float32 variables."""
    import jax.numpy as jnp

    first, second = ([jnp.zeros_like(variable) for variable in trainable] for _ in range(2))
    return Slots(first, second, jnp.zeros((), jnp.int32))


def update(rates: Rates, slots: Slots, gradients: Sequence[Any], trainable: Sequence[Any]) -> tuple[list[Any], Slots]:
    """Return the variables after one step, and what the optimizer remembers of it.

    Arguments:
        rates: of this step.
        slots: as `fresh` or the last step returned them.
        gradients, trainable: float32 arrays, in pairs of the same shape.

    Weight decay comes before the step and takes from all variables, biases included, as Keras does it.
    """
    import jax
    import jax.numpy as jnp

    steps = slots.steps + 1
    decayed = [variable - variable * rates.weight_decay * rates.learning_rate for variable in trainable]
    # As one long vector: all rules for each variable by itself cost a second or two of compiling and run no faster.
    columns = [jnp.concatenate([part.ravel() for part in of]) for of in (gradients, decayed, slots.first, slots.second)]
    moved, first, second = jax.lax.switch(rates.optimizer, _RULES, rates, steps, *columns)
    ends = np.cumsum([variable.size for variable in trainable])[:-1]

    def cut(vector: Any) -> list[Any]:
        parts = jnp.split(vector, ends)
        return [part.reshape(variable.shape) for part, variable in zip(parts, trainable, strict=True)]

    return cut(moved), Slots(cut(first), cut(second), steps)


def penalty(rates: Rates, trainable: Sequence[Any]) -> Any:
    """Return what is added to the loss: l1 sum |w| + l2 sum w^2 over the variables of two axes and more.

    These are the kernels; biases and the scales of a normalisation have one axis and are left alone. The slopes of a
    PReLU behind a convolution have two and count as a kernel.
    """
    import jax.numpy as jnp

    kernels = [variable for variable in trainable if variable.ndim >= 2]
    absolute = sum(jnp.sum(jnp.abs(kernel)) for kernel in kernels)
    return rates.l1 * absolute + rates.l2 * sum(jnp.sum(jnp.square(kernel)) for kernel in kernels)


def _sgd(rates: Rates, steps: Any, gradient: Any, variable: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
    return variable - gradient * rates.learning_rate, first, second


def _momentum(rates: Rates, steps: Any, gradient: Any, variable: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
    step = first * rates.momentum - gradient * rates.learning_rate
    return variable + step, step, second


def _nesterov(rates: Rates, steps: Any, gradient: Any, variable: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
    step = first * rates.momentum - gradient * rates.learning_rate
    return variable + (step * rates.momentum - gradient * rates.learning_rate), step, second


def _rmsprop(rates: Rates, steps: Any, gradient: Any, variable: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
    import jax.numpy as jnp

    second = _RHO * second + (1 - _RHO) * jnp.square(gradient)
    return variable - rates.learning_rate * gradient / jnp.sqrt(second + _EPSILON), first, second


def _adam(rates: Rates, steps: Any, gradient: Any, variable: Any, first: Any, second: Any) -> tuple[Any, Any, Any]:
    import jax.numpy as jnp

    count = jnp.asarray(steps, variable.dtype)
    unbias_1, unbias_2 = (1 - jnp.power(jnp.asarray(beta, count.dtype), count) for beta in (_BETA_1, _BETA_2))
    alpha = rates.learning_rate * jnp.sqrt(unbias_2) / unbias_1
    first = first + (gradient - first) * (1 - _BETA_1)
    second = second + (jnp.square(gradient) - second) * (1 - _BETA_2)
    return variable - first * alpha / (jnp.sqrt(second) + _EPSILON), first, second


_RULES: tuple[_Rule, ...] = (_sgd, _momentum, _nesterov, _rmsprop, _adam, _adam)  # in the order of OPTIMIZERS
