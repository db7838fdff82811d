"""Values of hyperparameters that several families take, and the seeds of their layers.

What to use when
----------------
- `whole_numbers`, `activations`, `dropout_rate`: parse and check one hyperparameter.
- `layer_seeds`: one seed a layer from the seed of a fit.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from townsend.errors import ConfigError, did_you_mean

__all__ = ["ACTIVATIONS", "activations", "dropout_rate", "layer_seeds", "whole_numbers"]

ACTIVATIONS = (
    "elu",
    "gelu",
    "hard_sigmoid",
    "leaky_relu",
    "linear",
    "mish",
    "prelu",
    "relu",
    "relu6",
    "selu",
    "sigmoid",
    "silu",
    "softplus",
    "softsign",
    "tanh",
)


def layer_seeds(seed: int, count: int) -> list[int]:
    """Return one seed a layer, so that no layer's numbers depend on another's or on the process."""
    return [int(word) for word in np.random.SeedSequence(seed).generate_state(count) >> 1]


def whole_numbers(text: Any, count: int, largest: int, rule: str, example: str) -> list[int]:
    """Return `count` numbers from 1 to `largest`, written in one text.

    Raises ConfigError with `rule` and `example` on anything else.
    """
    parts = text.split() if isinstance(text, str) else []
    sizes = [int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 8]
    if len(parts) != count or len(sizes) != count or not all(1 <= size <= largest for size in sizes):
        msg = f'{rule} from 1 to {largest} in one text (got {text!r}); write "{example}"'
        raise ConfigError(msg)
    return sizes


def activations(text: Any, layers: str, example: str) -> tuple[str, str]:
    """Return two names of Keras activations, written in one text; `layers` says whose they are.

    Raises ConfigError on another number of names, or a name not in `ACTIVATIONS`.
    """
    names = text.split() if isinstance(text, str) else []
    if len(names) != 2:
        msg = f'activations must be two names in one text, {layers} (got {text!r}); write "{example}"'
        raise ConfigError(msg)
    for name in names:
        if name not in ACTIVATIONS:
            msg = f'activations must be known ones (got "{name}"){did_you_mean(name, ACTIVATIONS)}'
            raise ConfigError(msg)
    return names[0], names[1]


def dropout_rate(value: Any) -> float:
    """Return the share of a layer that is switched off in training.

    Raises ConfigError unless it is a number in [0, 1).
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1:
        msg = f"dropout must be a number in [0, 1) (got {value!r}); the slides use 0.1 and 0.0"
        raise ConfigError(msg)
    return float(value)
