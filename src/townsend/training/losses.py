"""The losses that a task can be trained with: Keras' own.

What to use when
----------------
- `is_classification`: whether a task tells classes apart, by its own loss; `is_multiclass`: more than two.
- `outputs_of`: how many numbers its models give an example.
- `known`: the losses that a task of that kind can take.
- `example_loss`: one of them as a function, for a compiled program.

A loss is part of the program and no variable of it, unlike optimizer and rates: the switch over all of them and over
their gradients takes longer to compile than a whole program of one, and few sweeps search over losses.

Classification, targets 0 and 1: the cross-entropies ask for scores in (0, 1), so for a sigmoid output; the focal one
(Lin et al. 2017, gamma 2) gives less weight to examples that are right already. The hinge losses ask for scores on
both sides of 0, so for a linear or tanh output, and know the classes as -1 and +1; a sigmoid output still trains, but
an example of class 0 then never costs less than 1. Regression: the mean squared error is lowest at the mean of the
target, the mean absolute error at its median; Huber (delta 1) and log-cosh are squared near 0 and absolute far away,
in units of the target. More than two classes, targets 0, 1, 2, ...: the cross-entropy of one probability a class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from townsend.errors import InputError
from townsend.networks.backend import jax_keras

__all__ = [
    "ALIASES",
    "CLASSIFICATION",
    "MULTICLASS",
    "REGRESSION",
    "example_loss",
    "is_classification",
    "is_multiclass",
    "known",
    "outputs_of",
]

CLASSIFICATION = (
    "binary_crossentropy",
    "binary_focal_crossentropy",
    "hinge",
    "squared_hinge",
    "mean_squared_error",
)
REGRESSION = ("mean_squared_error", "mean_absolute_error", "huber", "log_cosh")
MULTICLASS = "sparse_categorical_crossentropy"
ALIASES = {"mse": "mean_squared_error", "mae": "mean_absolute_error"}
_SIGNED = ("hinge", "squared_hinge")
_FEWEST_CLASSES = 3


def is_classification(task_loss: str) -> bool:
    """Return whether a task tells classes apart: its own loss is one that no regression can take."""
    return task_loss in (*CLASSIFICATION, MULTICLASS) and task_loss not in REGRESSION


def is_multiclass(task_loss: str) -> bool:
    """Return whether a task tells more than two classes apart."""
    return task_loss == MULTICLASS


def outputs_of(task_loss: str, facts: Mapping[str, Any]) -> int:
    """Return how many numbers a model gives an example: one, or one a class where there are more than two.

    Arguments:
        task_loss: of the task.
        facts: of its arrays; with more than two classes, `classes` are their names.

    Raises InputError when those names are missing.
    """
    if not is_multiclass(task_loss):
        return 1
    names = facts.get("classes", ())
    if len(names) < _FEWEST_CLASSES:
        rule = f"a task with the loss {MULTICLASS} needs the names of {_FEWEST_CLASSES} classes or more in its facts"
        msg = f"{rule} (got {len(names)}); for two classes take binary_crossentropy"
        raise InputError(msg)
    return len(names)


def known(task_loss: str) -> tuple[str, ...]:
    """Return the losses that a task can take, in fixed order: those of its kind, and its own."""
    own = ALIASES.get(task_loss, task_loss)
    if is_multiclass(own):
        return (own,)
    kind = CLASSIFICATION if is_classification(own) else REGRESSION
    return kind if own in kind else (*kind, own)


def example_loss(name: str) -> Callable[[Any, Any], Any]:
    """Return a function (y, scores) -> losses for a compiled program.

    Arguments:
        name: of a loss, as `townsend.training.hyperparameters.check_loss` returns it.

    `y` are n targets, `scores` (n, 1) outputs of a network, (n, K) of one for K classes; what comes back are n losses,
    neither summed nor weighted.
    """
    keras = jax_keras()
    found = keras.losses.get(name)
    formula = found.call if isinstance(found, keras.losses.Loss) else found
    if is_multiclass(name):
        return lambda y, scores: formula(y, scores)
    if name in _SIGNED:  # Keras maps 0 and 1 to -1 and +1 only in batches where it finds nothing else
        return lambda y, scores: formula(2 * y[:, None] - 1, scores)
    return lambda y, scores: formula(y[:, None], scores)
