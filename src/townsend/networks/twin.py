"""Twins: a network again, with some of its layers computed in another way that XLA runs faster on a processor.

What to use when
----------------
- `for_training`: to train inside one compiled loop.
- `for_inference`: to apply a trained network, one compiled call a batch.

A twin has the variables of its network: the same number, order, shapes and values, seeds of dropout included. It is
never saved; a `.keras` file holds stock layers only.

Why, with times of one core: inside a loop of a compiled program XLA's convolution is slow, and its gradient far slower
(an epoch of 1,500 examples of 1,024 bins, batch 150: 64 s, against 2 s as slices and one matrix product). Outside of a
loop it is the faster one, so that applying a network keeps it. Keras' loop over the steps of an LSTM is slow when it
only goes forward (96 units: 40,000 windows of 15 samples a second, against 105,000 when the steps are written out), yet
not when it is trained.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from townsend.networks.backend import jax_keras
from townsend.networks.choices import MONOTONE, dropout_layers, switchable_layers
from townsend.networks.twin_layers import (
    call_dropout,
    call_switched,
    convolve,
    normalise,
    pool,
    remade,
    remember,
)

if TYPE_CHECKING:
    import keras

__all__ = ["for_inference", "for_training", "moved_activations"]

_LONGEST_WRITTEN_OUT = 64  # steps; compiling takes about 0.1 s a step
_SEEDED_RATE = 0.5  # Keras gives a layer a seed only at a rate above zero
_Make = Callable[[Any], Any]


def for_training(network: keras.Model) -> keras.Model:
    """Return a twin whose Conv1D and MaxPooling1D layers are quick to train, and which `deciding` reaches.

    Arguments:
        network: on the JAX backend. Convolutions stay as they are unless they are "valid", of stride and dilation 1,
            undivided and channels last; so do poolings unless they are "valid", without overlap and channels last.

    An activation between a convolution and its pooling is applied after the pooling where it is monotone, which halves
    its cost and changes no maximum.
    """
    moved = moved_activations(network)
    places = _places(network)
    replaced = _with_choices(network, places)

    def convolution(layer: Any) -> Any:
        made = remade(layer, convolve, activation="linear")
        if layer.name not in moved:
            made.place, made.own = places.get(layer.name), layer.activation
        return made

    def pooling(layer: Any) -> Any:
        made = remade(layer, pool)
        for convolution, after in moved.items():
            if after == layer.name:
                made.place, made.monotone = places.get(convolution), True
                made.own = network.get_layer(convolution).activation
        return made

    for layer in network.layers:
        if _is_plain_convolution(layer):
            replaced[layer.name] = convolution
        elif _is_plain_pooling(layer):
            replaced[layer.name] = pooling
    return _twin(network, replaced)


def for_inference(network: keras.Model) -> keras.Model:
    """Return a twin whose LSTM layers are quick to apply, and which `deciding` reaches.

    Arguments:
        network: on the JAX backend. An LSTM stays as it is unless it reads few steps, forward, and gives its last
            state alone.
    """
    replaced = _with_choices(network, _places(network))
    for layer in network.layers:
        if _is_plain_lstm(layer):
            replaced[layer.name] = lambda lstm: remade(lstm, remember)
    return _twin(network, replaced)


def moved_activations(network: keras.Model) -> dict[str, str]:
    """Return convolution -> pooling, of those whose activation `for_training` applies after the pooling."""
    convolutions = [layer for layer in network.layers if _is_plain_convolution(layer)]
    poolings = {layer.name for layer in network.layers if _is_plain_pooling(layer)}
    fed: dict[int, list[str]] = {id(tensor): ["output of the network"] for tensor in network.outputs}
    for layer in network.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                fed.setdefault(id(tensor), []).append(layer.name)
    found = {}
    for layer in convolutions:
        readers = fed.get(id(layer.output), []) if len(layer._inbound_nodes) == 1 else []
        if len(readers) == 1 and readers[0] in poolings and layer.activation.__name__ in MONOTONE:
            found[layer.name] = readers[0]
    return found


def _places(network: keras.Model) -> dict[str, int]:
    """Return which of the traced choices is the one of a layer, by its name."""
    return {
        layer.name: place
        for layers in (switchable_layers(network), dropout_layers(network))
        for place, layer in enumerate(layers)
    }


def _with_choices(network: keras.Model, places: Mapping[str, int]) -> dict[str, _Make]:
    """Return how to remake the layers that only have a choice and else stay what they are."""

    def activation(layer: Any) -> Any:
        made = remade(layer, call_switched, activation="linear")
        made.place, made.own = places[layer.name], layer.activation
        return made

    def dropout(layer: Any) -> Any:
        made = remade(layer, call_dropout, rate=_SEEDED_RATE)
        made.place, made.own_rate = places[layer.name], layer.rate
        return made

    return {
        **{layer.name: activation for layer in switchable_layers(network)},
        **{layer.name: dropout for layer in dropout_layers(network)},
        **{layer.name: lambda layer: remade(layer, normalise) for layer in network.layers if _is_plain_norm(layer)},
    }


def _twin(network: keras.Model, replaced: Mapping[str, _Make]) -> keras.Model:
    """Return a copy of the network in which layers of these names are made anew."""
    if not replaced:
        return network

    def copy(layer: Any) -> Any:
        return replaced.get(layer.name, lambda same: same.__class__.from_config(same.get_config()))(layer)

    twin = jax_keras().models.clone_model(network, clone_function=copy)
    for one, other in zip(twin.variables, network.variables, strict=True):
        one.assign(other.value)
    return twin


def _is_plain_convolution(layer: Any) -> bool:
    return (
        type(layer) is jax_keras().layers.Conv1D
        and (layer.padding, layer.data_format, layer.groups) == ("valid", "channels_last", 1)
        and tuple(layer.strides) == tuple(layer.dilation_rate) == (1,)
        and layer.dtype_policy.name == "float32"
    )


def _is_plain_pooling(layer: Any) -> bool:
    return (
        type(layer) is jax_keras().layers.MaxPooling1D
        and (layer.padding, layer.data_format) == ("valid", "channels_last")
        and tuple(layer.strides) == tuple(layer.pool_size)
    )


def _is_plain_lstm(layer: Any) -> bool:
    if type(layer) is not jax_keras().layers.LSTM or layer.dtype_policy.name != "float32":
        return False
    unusual = layer.return_sequences or layer.return_state or layer.go_backwards or layer.stateful
    reads_more = isinstance(layer.input, list)  # a mask, or a first state
    if unusual or reads_more or layer.dropout or layer.recurrent_dropout:
        return False
    steps = layer.input.shape[1]
    return steps is not None and steps <= _LONGEST_WRITTEN_OUT


def _is_plain_norm(layer: Any) -> bool:
    if type(layer) is not jax_keras().layers.BatchNormalization:
        return False
    return layer.axis in (-1, len(layer.input.shape) - 1) and not getattr(layer, "renorm", False)
