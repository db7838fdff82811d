"""The hyperparameters of a fit that belong to training and not to the network.

What to use when
----------------
- `split`: part one configuration into training and network hyperparameters, with the training ones checked.
- `check_loss`: is a loss one that the task can be trained with, and which?
- `batch_of`: examples a step, once the number of examples is known.
- `shape_key`: what two configurations must share to have arrays of the same shapes.

`NAMES` are the known ones; all but `REQUIRED` may be left out. One that has no part in a configuration (momentum with
adam, schedule_decay with a constant rate) is checked and then not used, so that a grid can give it to all.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from townsend.errors import ConfigError, did_you_mean
from townsend.training.losses import ALIASES, CLASSIFICATION, MULTICLASS, REGRESSION, is_classification, known

__all__ = [
    "ALL",
    "NAMES",
    "OPTIMIZERS",
    "REQUIRED",
    "SCHEDULES",
    "TrainingHyperparameters",
    "batch_of",
    "check_loss",
    "shape_key",
    "split",
]

OPTIMIZERS = ("sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw")
SCHEDULES = ("constant", "decay", "cosine", "plateau")
REQUIRED = ("optimizer", "batch_size")
ALL = "all"
_LARGEST_BATCH = 1 << 20
_LOSSES = tuple(dict.fromkeys((*CLASSIFICATION, *REGRESSION, *ALIASES, MULTICLASS)))


@dataclass(frozen=True)
class TrainingHyperparameters:
    """How a network is trained.

    Arguments:
        optimizer: one of `OPTIMIZERS`.
        batch_size: examples a step, from 1 to 2^20; "all" for the whole training set in each.
        learning_rate: > 0; None for Keras' default (0.01 for sgd, momentum and nesterov, else 0.001).
        momentum: share of the last step that is made again, in [0, 1); used by momentum and nesterov.
        weight_decay: share of every variable, times the learning rate, that a step takes away (Loshchilov & Hutter
            2019); >= 0; None for Keras' default (0.004 for adamw, else 0).
        l1, l2: factors of the sums of |w| and w^2 over all kernels, added to the loss; >= 0; both: an elastic net.
        schedule: one of `SCHEDULES`, see `townsend.training.schedules`.
        schedule_decay: factor of the rate, an epoch for "decay" (None: 0.95), a step down for "plateau" (None: 0.5);
            in (0, 1).
        schedule_patience: epochs without a lower monitored loss before "plateau" steps down, >= 1.
        loss: a loss of the task's kind, see `townsend.training.losses`; None for the task's own.
        epochs: passes at most, >= 1; None for the sweep's.
        patience: epochs without a lower monitored loss before training stops, >= 1; None for the sweep's.
    """

    optimizer: str
    batch_size: int | str
    learning_rate: float | None = None
    momentum: float = 0.9
    weight_decay: float | None = None
    l1: float = 0.0
    l2: float = 0.0
    schedule: str = "constant"
    schedule_decay: float | None = None
    schedule_patience: int = 5
    loss: str | None = None
    epochs: int | None = None
    patience: int | None = None


NAMES = tuple(field.name for field in fields(TrainingHyperparameters))


def split(hyperparameters: Mapping[str, Any]) -> tuple[TrainingHyperparameters, dict[str, Any]]:
    """Return the training hyperparameters, and all others, which belong to the network.

    What is left out, or None, has its default. Raises ConfigError on a missing or bad value; whether the loss is of the
    task's kind is for `check_loss`.
    """
    for name in REQUIRED:
        if name not in hyperparameters:
            msg = f'training needs the hyperparameter "{name}"; add it to the space'
            raise ConfigError(msg)
    given = {name: hyperparameters[name] for name in NAMES if hyperparameters.get(name) is not None or name in REQUIRED}
    training = TrainingHyperparameters(**{name: _CHECKS[name](name, value) for name, value in given.items()})
    return training, {name: value for name, value in hyperparameters.items() if name not in NAMES}


def check_loss(name: str | None, task_loss: str) -> str:
    """Return the name in `losses.known(task_loss)` of a loss that may be written short; None is the task's own.

    Raises ConfigError when the task cannot be trained with it.
    """
    losses = known(task_loss)
    wanted = ALIASES.get(name or task_loss, name or task_loss)
    if wanted not in losses:
        kind = "classification" if is_classification(task_loss) else "regression"
        msg = f'loss must be one of a {kind}, as the task is (got "{name}"){did_you_mean(wanted, losses)}'
        raise ConfigError(msg)
    return wanted


def batch_of(training: TrainingHyperparameters, examples: int) -> int:
    """Return the examples a step.

    Arguments:
        training: with its batch_size.
        examples: number of training examples, >= 1.

    Raises ConfigError when a batch is larger than that.
    """
    if training.batch_size == ALL:
        return examples
    size = int(training.batch_size)
    if size > examples:
        rule = f"batch_size must fit the sample (got {size:,}, training has {examples:,} examples)"
        msg = f'{rule}; lower it, write "{ALL}" for one step an epoch, or take a larger sample'
        raise ConfigError(msg)
    return size


def shape_key(hyperparameters: Mapping[str, Any], network_names: tuple[str, ...]) -> tuple[str, ...]:
    """Return what two configurations must share to have arrays of the same shapes."""
    return tuple(str(hyperparameters.get(name)) for name in (*network_names, "batch_size"))


def _one_of(choices: tuple[str, ...]) -> Callable[[str, Any], str]:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            msg = f'{name} must be a known one (got "{value}"){did_you_mean(str(value), choices)}'
            raise ConfigError(msg)
        return str(value)

    return check


def _number(rule: str, holds: Callable[[float], bool], example: str) -> Callable[[str, Any], float]:
    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not holds(value):
            msg = f"{name} must be a number {rule} (got {value!r}); {example} is usual"
            raise ConfigError(msg)
        return float(value)

    return check


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _count(name: str, value: Any) -> int:
    if not _is_whole(value) or value < 1:
        msg = f"{name} must be a whole number of epochs, at least 1 (got {value!r}); leave it out for the default"
        raise ConfigError(msg)
    return int(value)


def _batch_size(name: str, value: Any) -> int | str:
    if value == ALL or (_is_whole(value) and 1 <= value <= _LARGEST_BATCH):
        return value  # type: ignore[no-any-return]
    rule = f'{name} must be a whole number from 1 to {_LARGEST_BATCH:,}, or "{ALL}"'
    msg = f"{rule} (got {value!r}); the slides use 150"
    raise ConfigError(msg)


_PENALTY = _number("of at least 0", lambda value: value >= 0, "0.0001")
_CHECKS: Mapping[str, Callable[[str, Any], Any]] = {
    "optimizer": _one_of(OPTIMIZERS),
    "batch_size": _batch_size,
    "learning_rate": _number("above 0", lambda value: value > 0, "0.001"),
    "momentum": _number("in [0, 1)", lambda value: 0 <= value < 1, "0.9"),
    "weight_decay": _number("of at least 0", lambda value: value >= 0, "0.004"),
    "l1": _PENALTY,
    "l2": _PENALTY,
    "schedule": _one_of(SCHEDULES),
    "schedule_decay": _number("in (0, 1)", lambda value: 0 < value < 1, "0.95"),
    "schedule_patience": _count,
    "loss": _one_of(_LOSSES),
    "epochs": _count,
    "patience": _count,
}
