"""Which layers of a network have an activation or a dropout rate that a program takes as an argument.

What to use when
----------------
- `switchable_layers`, `dropout_layers`: those layers, in the order of the network.
- `moved_activations`: of which layers the activation is applied after a pooling.
- `functions`: what an activation's number stands for.

An activation is switched where it reads one number a unit, or stands between a convolution and its pooling and is
monotone, so that it moves behind the pooling. Elsewhere it is a fixed part of the program: measured on one core, a
switch over whole convolutions (150 x 1,021 x 32) costs a seventh of an epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from townsend.networks.backend import jax_keras

if TYPE_CHECKING:
    import keras

__all__ = [
    "FUNCTIONS",
    "MONOTONE",
    "dropout_layers",
    "functions",
    "is_plain_convolution",
    "is_plain_pooling",
    "moved_activations",
    "switchable_layers",
]

MONOTONE = ("linear", "relu", "leaky_relu", "elu", "selu", "sigmoid", "softplus", "tanh")
FUNCTIONS = (*MONOTONE, "gelu")  # each more takes compiling time; rarer ones are compiled into a program of their own


@cache
def functions() -> tuple[Callable[[Any], Any], ...]:
    """Return Keras' own functions of the names in `FUNCTIONS`."""
    return tuple(getattr(jax_keras().activations, name) for name in FUNCTIONS)


def switchable_layers(network: keras.Model) -> list[Any]:
    """Return the Dense, Conv1D and Activation layers whose activation a program takes as an argument.

    A linear one counts only at an output of the network; before a batch normalization it is no choice.
    """
    layers, moved = jax_keras().layers, moved_activations(network)
    outputs = {id(tensor) for tensor in network.outputs}

    def is_switchable(layer: Any) -> bool:
        if type(layer) not in (layers.Dense, layers.Conv1D, layers.Activation) or len(layer._inbound_nodes) != 1:
            return False
        small = layer.name in moved or len(layer.output.shape) == 2
        first = 0 if id(layer.output) in outputs else 1
        return small and layer.activation in functions()[first:]

    return [layer for layer in network.layers if is_switchable(layer)]


def dropout_layers(network: keras.Model) -> list[Any]:
    """Return the Dropout layers whose rate a program takes as an argument: those with a seed, at a rate of zero too."""
    stock = jax_keras().layers.Dropout

    def is_plain(layer: Any) -> bool:
        return (
            type(layer) is stock and layer.noise_shape is None and layer.rate < 1 and hasattr(layer, "seed_generator")
        )

    return [layer for layer in network.layers if is_plain(layer)]


def moved_activations(network: keras.Model) -> dict[str, str]:
    """Return the names layer -> pooling of those activations that may as well come after the pooling."""
    fed: dict[int, list[str]] = {id(tensor): ["output of the network"] for tensor in network.outputs}
    for layer in network.layers:
        for node in layer._inbound_nodes:
            for tensor in node.input_tensors:
                fed.setdefault(id(tensor), []).append(layer.name)
    poolings = {layer.name for layer in network.layers if is_plain_pooling(layer)}
    found = {}
    for layer in network.layers:
        if not (is_plain_convolution(layer) or type(layer) is jax_keras().layers.Activation):
            continue
        readers = fed.get(id(layer.output), []) if len(layer._inbound_nodes) == 1 else []
        if len(readers) == 1 and readers[0] in poolings and layer.activation in functions()[: len(MONOTONE)]:
            found[layer.name] = readers[0]
    return found


def is_plain_convolution(layer: Any) -> bool:
    """Return whether a layer is a Conv1D that `convolve` computes."""
    return (
        type(layer) is jax_keras().layers.Conv1D
        and (layer.padding, layer.data_format, layer.groups) == ("valid", "channels_last", 1)
        and tuple(layer.strides) == tuple(layer.dilation_rate) == (1,)
        and layer.dtype_policy.name == "float32"
    )


def is_plain_pooling(layer: Any) -> bool:
    """Return whether a layer is a MaxPooling1D that `pool` computes."""
    return (
        type(layer) is jax_keras().layers.MaxPooling1D
        and (layer.padding, layer.data_format) == ("valid", "channels_last")
        and tuple(layer.strides) == tuple(layer.pool_size)
    )
