"""The long short-term memory network of the cluster-counting slides: LSTM, Flatten, Dense, Dropout, Dense.

Hyperparameters
---------------
- `topology`: three numbers in one text, "96 128 1": LSTM units, units of the hidden layer, outputs (always 1).
- `activations`: two names, "relu sigmoid": of the hidden layer and of the output. The LSTM keeps tanh and sigmoid.
- `dropout`: share of the hidden layer switched off in training, in [0, 1).

An output activation that leaves [0, 1], such as SELU, is built as asked: its output is a score, not a probability.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from townsend.errors import ConfigError, did_you_mean
from townsend.networks.backend import any_keras

if TYPE_CHECKING:
    import keras

__all__ = ["ACTIVATIONS", "NAMES", "SHAPE_NAMES", "build", "check", "cost"]

NAMES = ("topology", "activations", "dropout")
SHAPE_NAMES = ("topology",)
ACTIVATIONS = (
    "elu",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "mish",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)
_LARGEST_LAYER = 65536


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError on a bad value."""
    _topology(hyperparameters["topology"])
    _activations(hyperparameters["activations"])
    _dropout(hyperparameters["dropout"])


def cost(hyperparameters: Mapping[str, Any]) -> int:
    """Return the multiplications of one sample of a window, but for those with its few channels."""
    units, hidden, _ = _topology(hyperparameters["topology"])
    return units * (4 * units + hidden)


def build(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int) -> keras.Model:
    """Return the untrained network.

    Arguments:
        hyperparameters: `topology`, `activations`, `dropout`.
        input_shape: (samples, channels) of one window.
        seed: decides the initial weights and the dropout.

    Raises ConfigError on a bad value or an input of another rank.
    """
    units, hidden, outputs = _topology(hyperparameters["topology"])
    hidden_activation, output_activation = _activations(hyperparameters["activations"])
    if len(input_shape) != 2:
        msg = f'network "lstm" takes windows of shape (samples, channels) (got {input_shape}); choose another network'
        raise ConfigError(msg)
    loaded = any_keras()
    layers, initial = loaded.layers, loaded.initializers
    kernel, recurrent, cell, dense, dropout, output = _layer_seeds(seed, 6)
    window = loaded.Input(input_shape, name="window")
    x = layers.LSTM(
        units,
        kernel_initializer=initial.GlorotUniform(seed=kernel),
        recurrent_initializer=initial.Orthogonal(seed=recurrent),
        seed=cell,
        name="lstm",
    )(window)
    x = layers.Flatten(name="flatten")(x)
    x = layers.Dense(
        hidden, activation=hidden_activation, kernel_initializer=initial.GlorotUniform(seed=dense), name="dense"
    )(x)
    x = layers.Dropout(_dropout(hyperparameters["dropout"]), seed=dropout, name="dropout")(x)
    x = layers.Dense(
        outputs, activation=output_activation, kernel_initializer=initial.GlorotUniform(seed=output), name="dense_1"
    )(x)
    return loaded.Model(window, x, name="lstm_network")


def _layer_seeds(seed: int, count: int) -> list[int]:
    """Return one seed a layer, so that no layer's numbers depend on another's or on the process."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count) >> 1]


def _topology(text: Any) -> tuple[int, int, int]:
    parts = text.split() if isinstance(text, str) else []
    sizes = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 8]
    if len(parts) != 3 or len(sizes) != 3 or not all(1 <= size <= _LARGEST_LAYER for size in sizes):
        rule = f"topology must be three layer sizes from 1 to {_LARGEST_LAYER} in one text"
        msg = f'{rule} (got {text!r}); write "96 128 1"'
        raise ConfigError(msg)
    if sizes[2] != 1:
        msg = f"topology must end in 1, since a target is one number (got {text!r}); write {parts[0]} {parts[1]} 1"
        raise ConfigError(msg)
    return sizes[0], sizes[1], sizes[2]


def _activations(text: Any) -> tuple[str, str]:
    names = text.split() if isinstance(text, str) else []
    if len(names) != 2:
        msg = f'activations must be two names in one text, hidden and output layer (got {text!r}); write "relu sigmoid"'
        raise ConfigError(msg)
    for name in names:
        if name not in ACTIVATIONS:
            msg = f'activations must be known ones (got "{name}"){did_you_mean(name, ACTIVATIONS)}'
            raise ConfigError(msg)
    return names[0], names[1]


def _dropout(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        msg = f"dropout must be a number in [0, 1) (got {value!r}); the slides use 0.1 and 0.0"
        raise ConfigError(msg)
    return float(value)
