"""The convolutional network of the cluster-counting slides: twice Conv1D and MaxPooling1D, then Flatten and two Dense.

Hyperparameters
---------------
- `filters`: two numbers in one text, "32 64": filters of the first and of the second convolution, each 4 bins long.
- `activations`: two names, "relu selu": of the first and of the second convolution.
- `dropout`: share of the dense layer of 32 switched off in training, in [0, 1).

Optional: `initializer`, `batch_norm`, see `townsend.networks.blocks`.

The slides' table of layers gives every shape; two things it leaves open are our reading. Dropout stands after the dense
layer of 32, where their LSTM has it, and that layer has ReLU, as in the public code from which the slides grew. The
output is linear: a number of clusters has no upper end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from townsend.errors import ConfigError
from townsend.networks.backend import any_keras
from townsend.networks.blocks import (
    OPTIONAL,
    PLAIN,
    check_optional,
    dropout_layer,
    hidden,
    hidden_parameters,
    initializer,
)
from townsend.networks.values import activations, dropout_rate, layer_seeds, whole_numbers

if TYPE_CHECKING:
    import keras

__all__ = ["NAMES", "OPTIONAL", "SHAPE_NAMES", "SHORTEST_INPUT", "build", "check", "cost", "parameters"]

NAMES = ("filters", "activations", "dropout")
SHAPE_NAMES = ("filters", "batch_norm")
SHORTEST_INPUT = 13  # bins: 13 -> 10 -> 5 -> 2 -> 1
_KERNEL = 4
_POOL = 2
_HIDDEN = 32
_MOST_FILTERS = 4096


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError on a bad value."""
    _filters(hyperparameters["filters"])
    _activations(hyperparameters["activations"])
    dropout_rate(hyperparameters["dropout"])
    check_optional(hyperparameters)


def cost(hyperparameters: Mapping[str, Any]) -> int:
    """Return the multiplications of four bins of an input of one channel."""
    first, second = _filters(hyperparameters["filters"])
    return 4 * _KERNEL * first + 2 * _KERNEL * first * second + _HIDDEN * second


def parameters(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...]) -> int:
    """Return the trainable parameters, most of which join the bins that are left to the dense layer.

    Raises ConfigError on an input of another rank or too short.
    """
    _check_input(input_shape)
    first, second = _filters(hyperparameters["filters"])
    bins, channels = input_shape
    for _ in (first, second):
        bins = (bins - _KERNEL + 1) // _POOL
    convolutions = first * (_KERNEL * channels + 1) + second * (_KERNEL * first + 1)
    names = (*_activations(hyperparameters.get("activations", PLAIN)), "relu")
    further = [
        hidden_parameters(units, name, hyperparameters)
        for units, name in zip((first, second, _HIDDEN), names, strict=True)
    ]
    return convolutions + _HIDDEN * (bins * second + 1) + _HIDDEN + 1 + sum(further)


def build(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int) -> keras.Model:
    """Return the untrained network.

    Arguments:
        hyperparameters: as above.
        input_shape: (bins, channels) of one example, at least `SHORTEST_INPUT` bins.
        seed: decides the initial weights and the dropout.

    Raises ConfigError on a bad value, or an input of another rank or too short.
    """
    filters = _filters(hyperparameters["filters"])
    of_convolutions = _activations(hyperparameters["activations"])
    _check_input(input_shape)
    loaded = any_keras()
    layers = loaded.layers
    first, second, third, dropout, last = layer_seeds(seed, 5)

    def convolution(number: int, kernel_seed: int, suffix: str) -> Callable[[str], Any]:
        return lambda activation: layers.Conv1D(
            number,
            _KERNEL,
            activation=activation,
            kernel_initializer=initializer(hyperparameters, kernel_seed),
            name=f"conv1d{suffix}",
        )

    def dense(activation: str) -> Any:
        return layers.Dense(
            _HIDDEN, activation=activation, kernel_initializer=initializer(hyperparameters, third), name="dense"
        )

    bins = loaded.Input(input_shape, name="bins")
    x = bins
    for suffix, number, activation, kernel in zip(("", "_1"), filters, of_convolutions, (first, second), strict=True):
        x = hidden(x, convolution(number, kernel, suffix), activation, suffix, hyperparameters)
        x = layers.MaxPooling1D(_POOL, name=f"max_pooling1d{suffix}")(x)
    x = layers.Flatten(name="flatten")(x)
    x = hidden(x, dense, "relu", "_2", hyperparameters)
    x = dropout_layer(dropout_rate(hyperparameters["dropout"]), dropout, "dropout")(x)
    output = layers.Dense(1, kernel_initializer=initializer(hyperparameters, last), name="dense_1")
    return loaded.Model(bins, output(x), name="cnn_network")


def _check_input(input_shape: tuple[int, ...]) -> None:
    if len(input_shape) != 2:
        msg = f'network "cnn" takes inputs of shape (bins, channels) (got {input_shape}); choose another network'
        raise ConfigError(msg)
    if input_shape[0] < SHORTEST_INPUT:
        msg = f'network "cnn" needs at least {SHORTEST_INPUT} bins (got {input_shape[0]}); take longer inputs'
        raise ConfigError(msg)


def _filters(text: Any) -> tuple[int, int]:
    first, second = whole_numbers(text, 2, _MOST_FILTERS, "filters must be two numbers", "32 64")
    return first, second


def _activations(text: Any) -> tuple[str, str]:
    return activations(text, "first and second convolution", "relu selu")
