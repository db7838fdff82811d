"""Choices traced inside a program: activations and dropout rates of a network, so that fits of a shape share one.

What to use when
----------------
- `choices_of`: the choices of a network, as arguments of a program.
- `deciding`: around a call of a twin while a program is traced; its layers then take their choices from these.
- `decisions`: what the layers of a twin read.

Layers of a twin (see `townsend.networks.twin`) called outside of `deciding` compute what those of its network compute.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.networks.traced import dropout_layers, functions, switchable_layers

if TYPE_CHECKING:
    import keras

__all__ = ["Choices", "Decisions", "choices_of", "deciding", "decisions"]


class Choices(NamedTuple):
    """What may differ between networks that share a program, in the order of their layers.

    Arguments:
        activations: (k,) places in `traced.FUNCTIONS`, one for each of `traced.switchable_layers`.
        dropout: (m,) shares in [0, 1), one for each of `traced.dropout_layers`.
    """

    activations: NDArray[np.int32]
    dropout: NDArray[np.float32]


class Decisions(NamedTuple):
    """What layers of a twin read while a program is traced: choices, and weights of examples or None."""

    choices: Choices
    weight: Any


_decisions: ContextVar[Decisions | None] = ContextVar("decisions", default=None)


def choices_of(network: keras.Model) -> Choices:
    """Return the choices of a network on the JAX backend."""
    chosen = [functions().index(layer.activation) for layer in switchable_layers(network)]
    rates = [layer.rate for layer in dropout_layers(network)]
    return Choices(np.asarray(chosen, np.int32), np.asarray(rates, np.float32))


@contextmanager
def deciding(choices: Choices, weight: Any = None) -> Iterator[None]:
    """Let the layers of twins take their choices from `choices` inside the block.

    Arguments:
        choices: arrays, traced or not.
        weight: (batch,) of the examples, at least one of them not zero; those of weight zero do not enter the
            statistics of batch normalization. None: all do.
    """
    token = _decisions.set(Decisions(choices, weight))
    try:
        yield
    finally:
        _decisions.reset(token)


def decisions() -> Decisions | None:
    """Return what is decided at the moment; None outside of `deciding`."""
    return _decisions.get()
