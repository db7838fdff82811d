"""The long short-term memory network of the cluster-counting slides: LSTM, Flatten, Dense, Dropout, Dense.

Hyperparameters
---------------
- `topology`: three numbers in one text, "96 128 1": LSTM units, units of the hidden layer, outputs (always 1).
- `activations`: two names, "relu sigmoid": of the hidden layer and of the output. The LSTM keeps tanh and sigmoid.
- `dropout`: share of the hidden layer switched off in training, in [0, 1).

Optional: `initializer`, `batch_norm`, see `townsend.networks.blocks`.

An output activation that leaves [0, 1], such as SELU, is built as asked: its output is a score, not a probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from townsend.errors import ConfigError
from townsend.networks.backend import any_keras
from townsend.networks.blocks import (
    OPTIONAL,
    PLAIN,
    activated,
    activation_parameters,
    check_optional,
    dropout_layer,
    hidden,
    hidden_parameters,
    initializer,
)
from townsend.networks.values import ACTIVATIONS, activations, dropout_rate, layer_seeds, whole_numbers

if TYPE_CHECKING:
    import keras

__all__ = ["ACTIVATIONS", "NAMES", "OPTIONAL", "SHAPE_NAMES", "build", "check", "cost", "parameters"]

NAMES = ("topology", "activations", "dropout")
SHAPE_NAMES = ("topology", "batch_norm")
_LARGEST_LAYER = 65536


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError on a bad value."""
    _topology(hyperparameters["topology"])
    _activations(hyperparameters["activations"])
    dropout_rate(hyperparameters["dropout"])
    check_optional(hyperparameters)


def cost(hyperparameters: Mapping[str, Any]) -> int:
    """Return the multiplications of one sample of a window, but for those with its few channels."""
    units, width, _ = _topology(hyperparameters["topology"])
    return units * (4 * units + width)


def parameters(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...]) -> int:
    """Return the trainable parameters; four gates of the LSTM, each with the channels, its own units and a bias."""
    units, width, outputs = _topology(hyperparameters["topology"])
    of_hidden, of_output = _activations(hyperparameters.get("activations", PLAIN))
    layers = 4 * units * (input_shape[1] + units + 1) + width * (units + 1) + outputs * (width + 1)
    further = hidden_parameters(width, of_hidden, hyperparameters) + activation_parameters(outputs, of_output)
    return layers + further


def build(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int) -> keras.Model:
    """Return the untrained network.

    Arguments:
        hyperparameters: as above.
        input_shape: (samples, channels) of one window.
        seed: decides the initial weights and the dropout.

    Raises ConfigError on a bad value or an input of another rank.
    """
    units, width, outputs = _topology(hyperparameters["topology"])
    of_hidden, of_output = _activations(hyperparameters["activations"])
    if len(input_shape) != 2:
        msg = f'network "lstm" takes windows of shape (samples, channels) (got {input_shape}); choose another network'
        raise ConfigError(msg)
    loaded = any_keras()
    layers, initial = loaded.layers, loaded.initializers
    kernel, recurrent, cell, first, dropout, last = layer_seeds(seed, 6)

    def dense(activation: str) -> Any:
        return layers.Dense(
            width, activation=activation, kernel_initializer=initializer(hyperparameters, first), name="dense"
        )

    def output(activation: str) -> Any:
        return layers.Dense(
            outputs, activation=activation, kernel_initializer=initializer(hyperparameters, last), name="dense_1"
        )

    window = loaded.Input(input_shape, name="window")
    x = layers.LSTM(
        units,
        kernel_initializer=initial.GlorotUniform(seed=kernel),
        recurrent_initializer=initial.Orthogonal(seed=recurrent),
        seed=cell,
        name="lstm",
    )(window)
    x = layers.Flatten(name="flatten")(x)
    x = hidden(x, dense, of_hidden, "", hyperparameters)
    x = dropout_layer(dropout_rate(hyperparameters["dropout"]), dropout, "dropout")(x)
    x = activated(x, output, of_output, "_1")
    return loaded.Model(window, x, name="lstm_network")


def _topology(text: Any) -> tuple[int, int, int]:
    units, hidden, outputs = whole_numbers(text, 3, _LARGEST_LAYER, "topology must be three layer sizes", "96 128 1")
    if outputs != 1:
        remedy = f"write {units} {hidden} 1"
        msg = f"topology must end in 1, since a target is one number (got {text!r}); {remedy}"
        raise ConfigError(msg)
    return units, hidden, outputs


def _activations(text: Any) -> tuple[str, str]:
    return activations(text, "hidden and output layer", "relu sigmoid")
