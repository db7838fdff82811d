"""Families of scikit-learn estimators: hyperparameters under the names that scikit-learn gives them -> an estimator.

What to use when
----------------
- `mlp`: dense layers on flat inputs (MLPClassifier, MLPRegressor), trained by scikit-learn with its own early stopping.
- `random_forest`: many trees, each on a random draw of the examples; hardly anything to tune, good to compare with.
- `gradient_boosting`: trees that each mend what is left by those before (HistGradientBoosting*); quick, and on flat
  inputs of a few dozen numbers often the best.
- `check_estimator_hyperparameters`: is this configuration one of the family? `make_estimator`: the estimator itself.

All hyperparameters are optional and have scikit-learn's defaults, but that boosting stops early only where
`n_iter_no_change` is given, and then by the loss on `monitor`, never on a part of the training examples. Inputs are
flat rows: none of these families knows that neighbouring samples belong together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from townsend.errors import ConfigError, did_you_mean

__all__ = ["ESTIMATORS", "check_estimator_hyperparameters", "estimator_cost", "estimator_names", "make_estimator"]

Check = Callable[[str, Any], Any]
_MOST_LAYERS = 20
_LARGEST_LAYER = 65536


def _whole(least: int, most: int, usual: str) -> Check:
    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            msg = f"{name} must be a whole number from {least} to {most} (got {value!r}); {usual} is usual"
            raise ConfigError(msg)
        return value

    return check


def _number(rule: str, holds: Callable[[float], bool], usual: str) -> Check:
    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not holds(value):
            msg = f"{name} must be a number {rule} (got {value!r}); {usual} is usual"
            raise ConfigError(msg)
        return float(value)

    return check


def _one_of(*choices: str) -> Check:
    def check(name: str, value: Any) -> str:
        if value not in choices:
            msg = f'{name} must be a known one (got "{value}"){did_you_mean(str(value), choices)}'
            raise ConfigError(msg)
        return str(value)

    return check


def _layers(name: str, value: Any) -> tuple[int, ...]:
    parts = str(value).split() if isinstance(value, str | int) and not isinstance(value, bool) else []
    sizes = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 8)
    if not 1 <= len(parts) == len(sizes) <= _MOST_LAYERS or not all(1 <= size <= _LARGEST_LAYER for size in sizes):
        rule = f"{name} must be 1 to {_MOST_LAYERS} numbers from 1 to {_LARGEST_LAYER} in one text"
        msg = f'{rule} (got {value!r}); write "64 32"'
        raise ConfigError(msg)
    return sizes


def _share_or(*choices: str) -> Check:
    share = _number("in (0, 1]", lambda value: 0 < value <= 1, "0.3")

    def check(name: str, value: Any) -> Any:
        return _one_of(*choices)(name, value) if isinstance(value, str) else share(name, value)

    return check


@dataclass(frozen=True)
class _Family:
    """One kind of estimator: where its classes are, what may be set, and what is always set."""

    module: str
    stem: str
    checks: Mapping[str, Check]
    fixed: Mapping[str, Any]
    growth: Mapping[str, float]


_SHARE = _number("in (0, 1]", lambda value: 0 < value <= 1, "1.0")
_ABOVE_0 = _number("above 0", lambda value: value > 0, "0.001 to 0.1")
_FROM_0 = _number("of at least 0", lambda value: value >= 0, "0.0001")
_FAMILIES: Mapping[str, _Family] = {
    "mlp": _Family(
        "sklearn.neural_network",
        "MLP",
        {
            "hidden_layer_sizes": _layers,
            "activation": _one_of("identity", "logistic", "tanh", "relu"),
            "solver": _one_of("adam", "sgd", "lbfgs"),
            "alpha": _FROM_0,
            "batch_size": _whole(1, 1 << 20, "200"),
            "learning_rate": _one_of("constant", "invscaling", "adaptive"),
            "learning_rate_init": _ABOVE_0,
            "momentum": _number("in [0, 1]", lambda value: 0 <= value <= 1, "0.9"),
            "max_iter": _whole(1, 1_000_000, "200"),
            "n_iter_no_change": _whole(1, 1_000_000, "10"),
            "tol": _ABOVE_0,
        },
        {},
        {"max_iter": 200},
    ),
    "random_forest": _Family(
        "sklearn.ensemble",
        "RandomForest",
        {
            "n_estimators": _whole(1, 100_000, "100"),
            "max_depth": _whole(1, 10_000, "10 to 30"),
            "min_samples_split": _whole(2, 1 << 30, "2"),
            "min_samples_leaf": _whole(1, 1 << 30, "1 to 20"),
            "max_features": _share_or("sqrt", "log2"),
            "max_leaf_nodes": _whole(2, 1 << 30, "1000"),
            "max_samples": _SHARE,
        },
        {"n_jobs": 1},
        {"n_estimators": 100, "max_depth": 20},
    ),
    "gradient_boosting": _Family(
        "sklearn.ensemble",
        "HistGradientBoosting",
        {
            "learning_rate": _ABOVE_0,
            "max_iter": _whole(1, 100_000, "100"),
            "max_leaf_nodes": _whole(2, 1 << 20, "31"),
            "max_depth": _whole(1, 10_000, "3 to 10"),
            "min_samples_leaf": _whole(1, 1 << 30, "20"),
            "l2_regularization": _FROM_0,
            "max_features": _SHARE,
            "max_bins": _whole(2, 255, "255"),
            "n_iter_no_change": _whole(1, 100_000, "10"),
        },
        {"early_stopping": False},
        {"max_iter": 100, "max_leaf_nodes": 31},
    ),
}
ESTIMATORS = tuple(_FAMILIES)
"""Names of the families."""


def estimator_names(family: str) -> tuple[str, ...]:
    """Return all hyperparameters of a family, each of which may be left out."""
    return tuple(_FAMILIES[family].checks)


def check_estimator_hyperparameters(family: str, hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError unless all hyperparameters are known to the family, with values in their ranges."""
    _checked(family, hyperparameters)


def estimator_cost(family: str, hyperparameters: Mapping[str, Any]) -> float:
    """Return about how long a configuration takes to train, in any unit; only compared."""
    cost = 1.0
    for name, usual in _FAMILIES[family].growth.items():
        cost *= hyperparameters.get(name, usual) or usual
    return cost * (math.prod(_layers("", hyperparameters.get("hidden_layer_sizes", "100"))) if family == "mlp" else 1)


def make_estimator(family: str, hyperparameters: Mapping[str, Any], *, classification: bool, seed: int) -> Any:
    """Return an unfitted scikit-learn estimator that uses one thread.

    Arguments:
        family: one of `ESTIMATORS`.
        hyperparameters: some of `estimator_names(family)`; one that is None has its default.
        classification: whether it tells the classes 0 and 1 apart; else it estimates a number.
        seed: any number >= 0; decides all its random numbers.

    Raises ConfigError on an unknown or bad hyperparameter.
    """
    from importlib import import_module

    given = _checked(family, hyperparameters)
    of_family = _FAMILIES[family]
    settings = {**of_family.fixed, **given}
    if "n_iter_no_change" in given and "early_stopping" in of_family.fixed:
        settings["early_stopping"] = True
    kind = getattr(
        import_module(of_family.module), f"{of_family.stem}{'Classifier' if classification else 'Regressor'}"
    )
    return kind(**settings, random_state=int(np.random.SeedSequence(seed).generate_state(1)[0]))


def _checked(family: str, hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    checks = _FAMILIES[family].checks
    for name in hyperparameters:
        if name not in checks:
            msg = f'hyperparameter of "{family}" must be a known one (got "{name}"){did_you_mean(name, checks)}'
            raise ConfigError(msg)
    return {name: checks[name](name, value) for name, value in hyperparameters.items() if value is not None}
