"""A network of Dense layers, for tables of events and for quick studies of any inputs.

Hyperparameters
---------------
- `layers`: units of the hidden layers, one to eight numbers in one text: "64 32".
- `activations`: two names, "relu sigmoid": of the hidden layers and of the output; "relu softmax" for more than two
  classes.
- `dropout`: share of every hidden layer switched off in training, in [0, 1).

Optional: `initializer`, `batch_norm`, see `townsend.networks.blocks`.

Inputs of a higher rank, such as windows, are flattened. The output is one number, or one a class where there are more
than two.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

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
from townsend.networks.values import activations, dropout_rate, layer_seeds, whole_numbers

if TYPE_CHECKING:
    import keras

__all__ = ["NAMES", "OPTIONAL", "SHAPE_NAMES", "SHORTEST_INPUT", "build", "check", "cost", "parameters"]

NAMES = ("layers", "activations", "dropout")
SHAPE_NAMES = ("layers", "batch_norm")
SHORTEST_INPUT = 1
_MOST_LAYERS = 8
_LARGEST_LAYER = 65536
_SOFTMAX = "softmax"


def check(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError on a bad value."""
    _sizes(hyperparameters["layers"])
    _activations(hyperparameters["activations"])
    dropout_rate(hyperparameters["dropout"])
    check_optional(hyperparameters)


def cost(hyperparameters: Mapping[str, Any]) -> int:
    """Return the multiplications of an example of one number."""
    return sum(before * after for before, after in pairwise([1, *_sizes(hyperparameters["layers"]), 1]))


def parameters(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...]) -> int:
    """Return the trainable parameters of a network with one output."""
    sizes = _sizes(hyperparameters["layers"])
    of_hidden, of_output = _activations(hyperparameters.get("activations", PLAIN))
    layers = sum((before + 1) * after for before, after in pairwise([math.prod(input_shape), *sizes, 1]))
    further = sum(hidden_parameters(size, of_hidden, hyperparameters) for size in sizes)
    return layers + further + activation_parameters(1, of_output)


def build(hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int, outputs: int = 1) -> keras.Model:
    """Return the untrained network.

    Arguments:
        hyperparameters: as above.
        input_shape: of one example.
        seed: decides the initial weights and the dropout.
        outputs: numbers that it gives an example.

    Raises ConfigError on a bad value.
    """
    sizes = _sizes(hyperparameters["layers"])
    of_hidden, of_output = _activations(hyperparameters["activations"])
    loaded = any_keras()
    seeds = layer_seeds(seed, 2 * len(sizes) + 1)

    def dense(units: int, suffix: str) -> Callable[[str], Any]:
        start = initializer(hyperparameters, seeds.pop())
        return lambda name: loaded.layers.Dense(units, activation=name, kernel_initializer=start, name=f"dense{suffix}")

    values = loaded.Input(input_shape, name="values")
    x = loaded.layers.Flatten(name="flatten")(values) if len(input_shape) > 1 else values
    for number, units in enumerate(sizes):
        suffix = f"_{number}" if number else ""
        x = hidden(x, dense(units, suffix), of_hidden, suffix, hyperparameters)
        x = dropout_layer(dropout_rate(hyperparameters["dropout"]), seeds.pop(), f"dropout{suffix}")(x)
    suffix = f"_{len(sizes)}"
    return loaded.Model(values, activated(x, dense(outputs, suffix), of_output, suffix), name="dense_network")


def _sizes(text: Any) -> list[int]:
    written = str(text) if isinstance(text, int) and not isinstance(text, bool) else text  # YAML reads "64" as a number
    count = len(written.split()) if isinstance(written, str) else 0
    rule = f"layers must be one to {_MOST_LAYERS} layer sizes"
    return whole_numbers(written, min(max(count, 1), _MOST_LAYERS), _LARGEST_LAYER, rule, "64 32")


def _activations(text: Any) -> tuple[str, str]:
    hidden_layers, _, output = text.rpartition(" ") if isinstance(text, str) else ("", "", "")
    if output == _SOFTMAX:  # no choice for hidden layers
        return activations(f"{hidden_layers} linear", "hidden layers and output", "relu softmax")[0], _SOFTMAX
    return activations(text, "hidden layers and output", "relu sigmoid")
