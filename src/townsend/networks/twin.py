"""Twins: a network again, with some of its layers computed in another way that XLA runs faster on a processor.

What to use when
----------------
- `for_training`: to train inside one compiled loop.
- `for_inference`: to apply a trained network, one compiled call a batch.

A twin has the variables of its network: the same number, order, shapes and values, seeds of dropout included. It is
never saved; a `.keras` file holds stock layers only. Inside of `townsend.networks.choices.deciding` it takes its
activations, dropout rates and the examples that count for batch normalization from there.

An activation between a convolution and its pooling is applied after the pooling where it is monotone, which halves its
cost and changes no maximum.

Why, with times of one core: inside a loop of a compiled program XLA's convolution is slow, and its gradient far slower
(an epoch of 1,500 examples of 1,024 bins, batch 150: 64 s, against 2 s as slices and one matrix product). Outside of a
loop it is the faster one, so that applying a network keeps it. Keras' loop over the steps of an LSTM is slow when it
only goes forward (96 units: 40,000 windows of 15 samples a second, against 105,000 when the steps are written out), yet
not when it is trained.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from townsend.networks.backend import jax_keras
from townsend.networks.traced import (
    dropout_layers,
    is_plain_convolution,
    is_plain_pooling,
    moved_activations,
    switchable_layers,
)
from townsend.networks.twin_layers import call_dropped, call_switched, convolve, normalise, pool, remade, remember

if TYPE_CHECKING:
    import keras

__all__ = ["for_inference", "for_training"]

_LONGEST_WRITTEN_OUT = 64  # steps; compiling takes about 0.1 s a step
_SEEDED_RATE = 0.5  # Keras gives a layer its seed only at a rate above zero


def for_training(network: keras.Model) -> keras.Model:
    """Return a twin whose Conv1D and MaxPooling1D layers are quick to train; the network itself where it has no need.

    Arguments:
        network: on the JAX backend. Convolutions stay as they are unless they are "valid", of stride and dilation 1,
            undivided and channels last; so do poolings unless they are "valid", without overlap and channels last.
    """

    def quick(layer: Any) -> Callable[..., Any] | None:
        if is_plain_convolution(layer):
            return convolve
        return pool if is_plain_pooling(layer) else None

    return _twin(network, quick)


def for_inference(network: keras.Model) -> keras.Model:
    """Return a twin whose LSTM layers are quick to apply; the network itself where it has no need of one.

    Arguments:
        network: on the JAX backend. An LSTM stays as it is unless it reads few steps, forward, and gives its last
            state alone.
    """
    return _twin(network, lambda layer: remember if _is_plain_lstm(layer) else None)


def _twin(network: keras.Model, quick: Callable[[Any], Callable[..., Any] | None]) -> keras.Model:
    """Return a copy of the network whose layers have the calls that `quick` returns, and those of their choices."""
    moved = moved_activations(network)
    late = {pooling: network.get_layer(name) for name, pooling in moved.items()}
    switches = {layer.name: place for place, layer in enumerate(switchable_layers(network))}
    rates = {layer.name: place for place, layer in enumerate(dropout_layers(network))}

    def call_of(layer: Any) -> Callable[..., Any] | None:
        found = quick(layer)
        if found is None and layer.name in {*switches, *moved, *late}:
            return call_switched
        if found is None and layer.name in rates:
            return call_dropped
        return normalise if found is None and _is_plain_normalization(layer) else found

    calls = {layer.name: call for layer in network.layers if (call := call_of(layer)) is not None}
    if not calls:
        return network

    def copy(layer: Any) -> Any:
        call = calls.get(layer.name)
        if call is None:
            return type(layer).from_config(layer.get_config())
        if call is call_dropped:
            return remade(layer, call, rates[layer.name], layer.rate, rate=_SEEDED_RATE)
        changed = {"activation": "linear"} if hasattr(layer, "activation") and call is not remember else {}
        if layer.name in moved:
            return remade(layer, call, None, jax_keras().activations.linear, **changed)
        chooser = late.get(layer.name, layer)
        own = getattr(chooser, "activation", jax_keras().activations.linear)
        return remade(layer, call, switches.get(chooser.name), own, **changed)

    twin = jax_keras().models.clone_model(network, clone_function=copy)
    for one, other in zip(twin.variables, network.variables, strict=True):
        one.assign(other.value)
    return twin


def _is_plain_lstm(layer: Any) -> bool:
    if type(layer) is not jax_keras().layers.LSTM or layer.dtype_policy.name != "float32":
        return False
    unusual = layer.return_sequences or layer.return_state or layer.go_backwards or layer.stateful
    reads_more = isinstance(layer.input, list)  # a mask, or a first state
    if unusual or reads_more or layer.dropout or layer.recurrent_dropout:
        return False
    steps = layer.input.shape[1]
    return steps is not None and steps <= _LONGEST_WRITTEN_OUT


def _is_plain_normalization(layer: Any) -> bool:
    if type(layer) is not jax_keras().layers.BatchNormalization or len(layer._inbound_nodes) != 1:
        return False
    return layer.axis in (-1, len(layer.input.shape) - 1) and not getattr(layer, "renorm", False)
