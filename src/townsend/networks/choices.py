"""Choices traced inside a program: activations and dropout rates of a network, so that fits of a shape share one.

What to use when
----------------
- `choices_of`: the choices of a network, as arguments of a program.
- `deciding`: around a call of a twin while a program is traced; its layers then take their choices from these.
- `switched`: an activation by its number; `dropped`: dropout at a traced rate.

Layers of a twin (see `townsend.networks.twin`) called outside of `deciding` compute what those of its network compute.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.networks.backend import jax_keras

if TYPE_CHECKING:
    import keras

__all__ = [
    "FUNCTIONS",
    "MONOTONE",
    "Choices",
    "choices_of",
    "deciding",
    "decisions",
    "dropout_layers",
    "dropped",
    "switchable_layers",
    "switched",
]

MONOTONE = (
    *("linear", "relu", "leaky_relu", "elu", "selu", "sigmoid", "softplus", "tanh"),
    *("hard_sigmoid", "relu6", "softsign"),
)
FUNCTIONS = (*MONOTONE, "gelu", "mish", "silu")


class Choices(NamedTuple):
    """What may differ between networks that share a program, in the order of their layers.

    Arguments:
        activations: (k,) places in `FUNCTIONS`, one for each of `switchable_layers`.
        dropout: (m,) shares in [0, 1), one for each of `dropout_layers`.
    """

    activations: NDArray[np.int32]
    dropout: NDArray[np.float32]


class Decisions(NamedTuple):
    """What layers of a twin read while a program is traced."""

    choices: Choices
    weight: Any


_decisions: ContextVar[Decisions | None] = ContextVar("decisions", default=None)


def choices_of(network: keras.Model) -> Choices:
    """Return the choices of a network on the JAX backend."""
    chosen = [_functions().index(layer.activation) for layer in switchable_layers(network)]
    rates = [layer.rate for layer in dropout_layers(network)]
    return Choices(np.asarray(chosen, np.int32), np.asarray(rates, np.float32))


@contextmanager
def deciding(choices: Choices, weight: Any = None) -> Iterator[None]:
    """Let the layers of twins take their choices from `choices` inside the block.

    Arguments:
        choices: arrays, traced or not.
        weight: (batch,) of the examples; those of weight zero do not enter the statistics of batch normalization.
            None: all do.
    """
    token = _decisions.set(Decisions(choices, weight))
    try:
        yield
    finally:
        _decisions.reset(token)


def decisions() -> Decisions | None:
    """Return what is decided at the moment; None outside of `deciding`."""
    return _decisions.get()


def switchable_layers(network: keras.Model) -> list[Any]:
    """Return the Dense, Conv1D and Activation layers whose activation is one of `FUNCTIONS`.

    A linear one counts only where it is an output of the network: before a batch normalization it is no choice.
    """
    layers = jax_keras().layers
    outputs = {id(tensor) for tensor in network.outputs}

    def may_be_switched(layer: Any) -> bool:
        if type(layer) not in (layers.Dense, layers.Conv1D, layers.Activation) or layer.activation not in _functions():
            return False
        return layer.activation is not _functions()[0] or any(id(node.outputs[0]) in outputs for node in _nodes(layer))

    return [layer for layer in network.layers if may_be_switched(layer)]


def dropout_layers(network: keras.Model) -> list[Any]:
    """Return the plain Dropout layers, a rate of zero included where the layer has a seed nevertheless."""
    stock = jax_keras().layers.Dropout

    def is_plain(layer: Any) -> bool:
        return (
            type(layer) is stock and layer.noise_shape is None and layer.rate < 1 and hasattr(layer, "seed_generator")
        )

    return [layer for layer in network.layers if is_plain(layer)]


def switched(place: Any, x: Any, monotone: bool = False) -> Any:
    """Return the activation `FUNCTIONS[place]` of x.

    Arguments:
        place: whole number, traced.
        x: of any shape.
        monotone: whether the place is known to be one of `MONOTONE`.
    """
    return _switch(len(MONOTONE) if monotone else len(FUNCTIONS))(place, x)


def dropped(rate: Any, x: Any, seeds: Any) -> Any:
    """Return x with a share switched off and the rest scaled up, with the numbers of Keras' own layer.

    Arguments:
        rate: share in [0, 1), traced; at zero no random numbers are drawn, and x is returned bit for bit.
        x: of any shape.
        seeds: Keras' seed generator; its next seed is taken at every rate.
    """
    import jax

    seed, kept = seeds.next(), 1 - rate
    mask = jax.lax.cond(
        rate > 0,
        lambda: jax.random.bernoulli(seed, p=kept, shape=x.shape),
        lambda: jax.numpy.ones(x.shape, bool),
    )
    return jax.lax.select(mask, x / kept, jax.numpy.zeros_like(x))


@cache
def _functions() -> tuple[Callable[[Any], Any], ...]:
    return tuple(getattr(jax_keras().activations, name) for name in FUNCTIONS)


@cache
def _switch(count: int) -> Any:
    """Return the switch over the first functions.

    Its gradient needs one array, the slope, which the same branch computes; JAX's own gradient of a switch would store
    what each of the branches needs.
    """
    import jax

    def with_slope(function: Callable[[Any], Any]) -> Callable[[Any], tuple[Any, Any]]:
        return lambda x: jax.jvp(function, (x,), (jax.numpy.ones_like(x),))

    functions = _functions()[:count]
    slopes = [with_slope(function) for function in functions]

    @jax.custom_jvp
    def switch(place: Any, x: Any) -> Any:
        return jax.lax.switch(place, functions, x)

    @switch.defjvp
    def _(primals: Any, tangents: Any) -> tuple[Any, Any]:
        y, slope = jax.lax.switch(primals[0], slopes, primals[1])
        return y, slope * tangents[1]

    return switch


def _nodes(layer: Any) -> list[Any]:
    return list(layer._inbound_nodes)
