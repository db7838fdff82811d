"""The hyperparameters of a fit that belong to training and not to the network.

What to use when
----------------
- `split`: part one configuration into training and network hyperparameters, with the training ones checked.
- `shape_key`: what two configurations must share to have arrays of the same shapes.

Known: `optimizer` (sgd, rmsprop, adam), `batch_size`, and optionally `learning_rate` (else Keras' default).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from townsend.errors import ConfigError, did_you_mean

__all__ = ["OPTIMIZERS", "REQUIRED", "TrainingHyperparameters", "shape_key", "split"]

OPTIMIZERS = ("adam", "rmsprop", "sgd")
REQUIRED = ("optimizer", "batch_size")
_NAMES = (*REQUIRED, "learning_rate")
_LARGEST_BATCH = 1 << 20


@dataclass(frozen=True)
class TrainingHyperparameters:
    """How a network is trained.

    Arguments:
        optimizer: one of `OPTIMIZERS`, with Keras' defaults.
        batch_size: examples a step, >= 1.
        learning_rate: > 0, or None for Keras' default of the optimizer.
    """

    optimizer: str
    batch_size: int
    learning_rate: float | None = None


def split(hyperparameters: Mapping[str, Any]) -> tuple[TrainingHyperparameters, dict[str, Any]]:
    """Return the training hyperparameters, and all others, which belong to the network.

    Raises ConfigError on a missing or bad value.
    """
    for name in REQUIRED:
        if name not in hyperparameters:
            msg = f'training needs the hyperparameter "{name}"; add it to the space'
            raise ConfigError(msg)
    training = TrainingHyperparameters(
        _optimizer(hyperparameters["optimizer"]),
        _batch_size(hyperparameters["batch_size"]),
        _learning_rate(hyperparameters.get("learning_rate")),
    )
    return training, {name: value for name, value in hyperparameters.items() if name not in _NAMES}


def shape_key(hyperparameters: Mapping[str, Any], network_names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what two configurations must share to have arrays of the same shapes."""
    return tuple(str(hyperparameters.get(name)) for name in (*network_names, "batch_size"))


def _optimizer(value: Any) -> str:
    if value not in OPTIMIZERS:
        msg = f'optimizer must be a known one (got "{value}"){did_you_mean(str(value), OPTIMIZERS)}'
        raise ConfigError(msg)
    return str(value)


def _batch_size(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= _LARGEST_BATCH:
        msg = f"batch_size must be a whole number from 1 to {_LARGEST_BATCH} (got {value!r}); the slides use 150"
        raise ConfigError(msg)
    return value


def _learning_rate(value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < float("inf"):
        msg = f"learning_rate must be a number above 0 (got {value!r}); 0.001 is usual"
        raise ConfigError(msg)
    return float(value)
