"""Families of scikit-learn estimators: hyperparameters under the names that scikit-learn gives them -> an estimator.

What to use when
----------------
- `linear`: least squares on the targets, with a penalty (Ridge); of two classes, on 0 and 1, which is Fisher's
  discriminant. No iterations, nothing to tune: the least that any other family must beat.
- `logistic`: logistic regression, the probability of the same linear cut; `l1_ratio` 1 drops features.
- `likelihood`: the product of one density a feature and class, so correlations are ignored; `density` "bins" (quantiles
  and CategoricalNB) or "gauss" (GaussianNB).
- `gaussian_process`: a smooth function of few examples, with its noise; at most `MOST_OF_GAUSSIAN_PROCESS` of them.
- `mlp`: dense layers on flat inputs (MLPClassifier, MLPRegressor), trained by scikit-learn with its own early stopping.
- `random_forest`: many trees, each on a random draw of the examples; hardly anything to tune, good to compare with.
- `gradient_boosting`: trees that each mend what is left by those before (HistGradientBoosting*); quick, and on flat
  inputs of a few dozen numbers often the best.
- `check_estimator_hyperparameters`: is this configuration one of the family? `make_estimator`: the estimator itself.

All hyperparameters are optional and have scikit-learn's defaults, but that boosting stops early only where
`n_iter_no_change` is given, and then by the loss on `monitor`, never on a part of the training examples; that densities
have 20 bins; and that a Gaussian process has the kernel constant x RBF + white noise, whose parameters are fitted and
begin at `length_scale` and `noise_level`. Inputs are flat rows: none of these families knows that neighbouring samples
belong together. Which event weights a family can take is for `townsend.training.estimator_fit`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

import numpy as np

from townsend.errors import ConfigError, did_you_mean
from townsend.networks.estimator_checks import Check, layers, number, one_of, share_or, whole

__all__ = [
    "ESTIMATORS",
    "MOST_OF_GAUSSIAN_PROCESS",
    "check_estimator_hyperparameters",
    "estimator_cost",
    "estimator_names",
    "is_scaled",
    "make_estimator",
]

MOST_OF_GAUSSIAN_PROCESS = 2000
"""Training examples of a Gaussian process: of two classes, 1,000 take 13 s on a core, and time grows with the cube."""
_BINS = 20

Make = Callable[[dict[str, Any], bool, int], Any]
"""(hyperparameters, classification, random state) -> unfitted estimator."""


@dataclass(frozen=True)
class _Family:
    """One kind of estimator.

    Arguments:
        make: returns one.
        checks: what may be set.
        growth: hyperparameters with which the time to train grows, and their usual values.
        scaled: whether it is trained on standardised inputs, where the arrays have a scaling.
        regression: whether it can estimate a number.
    """

    make: Make
    checks: Mapping[str, Check]
    growth: Mapping[str, float] = field(default_factory=dict)
    scaled: bool = True
    regression: bool = True


def _pair(module: str, stem: str, **fixed: Any) -> Make:
    """Return what makes a classifier or regressor whose names begin with `stem`."""

    def make(given: dict[str, Any], classification: bool, state: int) -> Any:
        settings = {**fixed, **given}
        if "n_iter_no_change" in given and "early_stopping" in fixed:
            settings["early_stopping"] = True
        kind = getattr(import_module(module), f"{stem}{'Classifier' if classification else 'Regressor'}")
        return kind(**settings, random_state=state)

    return make


def _linear(given: dict[str, Any], classification: bool, state: int) -> Any:
    from sklearn.linear_model import Ridge

    return Ridge(**given)


def _logistic(given: dict[str, Any], classification: bool, state: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(**given, solver="saga" if given.get("l1_ratio") else "lbfgs", random_state=state)


def _likelihood(given: dict[str, Any], classification: bool, state: int) -> Any:
    from sklearn.naive_bayes import CategoricalNB, GaussianNB
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import KBinsDiscretizer

    def chosen(*names: str) -> dict[str, Any]:
        return {name: given[name] for name in names if name in given}

    if given.get("density") == "gauss":
        return GaussianNB(**chosen("var_smoothing"))
    bins = given.get("n_bins", _BINS)
    discretizer = KBinsDiscretizer(bins, encode="ordinal", quantile_method="averaged_inverted_cdf", subsample=None)
    return Pipeline([("bins", discretizer), ("bayes", CategoricalNB(min_categories=bins, **chosen("alpha")))])


def _gaussian_process(given: dict[str, Any], classification: bool, state: int) -> Any:
    from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
    from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel

    kernel = ConstantKernel() * RBF(given.get("length_scale", 1.0)) + WhiteKernel(given.get("noise_level", 0.1))
    restarts = given.get("n_restarts_optimizer", 0)
    if classification:
        return GaussianProcessClassifier(kernel, n_restarts_optimizer=restarts, random_state=state)
    return GaussianProcessRegressor(kernel, n_restarts_optimizer=restarts, random_state=state, normalize_y=True)


_SHARE = number("in (0, 1]", lambda value: 0 < value <= 1, "1.0")
_ABOVE_0 = number("above 0", lambda value: value > 0, "0.001 to 0.1")
_FROM_0 = number("of at least 0", lambda value: value >= 0, "0.0001")
_NEAR_1 = number("from 1e-5 to 1e5", lambda value: 1e-5 <= value <= 1e5, "0.1 to 10")
_FAMILIES: Mapping[str, _Family] = {
    "linear": _Family(_linear, {"alpha": number("of at least 0", lambda value: value >= 0, "1.0")}),
    "logistic": _Family(
        _logistic,
        {
            "C": number("above 0", lambda value: value > 0, "0.01 to 100"),
            "l1_ratio": number("in [0, 1]", lambda value: 0 <= value <= 1, "0"),
            "max_iter": whole(1, 1_000_000, "100"),
            "tol": _ABOVE_0,
        },
        {"max_iter": 100},
        regression=False,
    ),
    "likelihood": _Family(
        _likelihood,
        {
            "density": one_of("bins", "gauss"),
            "n_bins": whole(2, 1000, f"{_BINS}"),
            "alpha": number("above 0", lambda value: value > 0, "1.0"),
            "var_smoothing": _FROM_0,
        },
        regression=False,
    ),
    "gaussian_process": _Family(
        _gaussian_process,
        {"length_scale": _NEAR_1, "noise_level": _NEAR_1, "n_restarts_optimizer": whole(0, 100, "0")},
        {"n_restarts_optimizer": 1},
    ),
    "mlp": _Family(
        _pair("sklearn.neural_network", "MLP"),
        {
            "hidden_layer_sizes": layers,
            "activation": one_of("identity", "logistic", "tanh", "relu"),
            "solver": one_of("adam", "sgd", "lbfgs"),
            "alpha": _FROM_0,
            "batch_size": whole(1, 1 << 20, "200"),
            "learning_rate": one_of("constant", "invscaling", "adaptive"),
            "learning_rate_init": _ABOVE_0,
            "momentum": number("in [0, 1]", lambda value: 0 <= value <= 1, "0.9"),
            "max_iter": whole(1, 1_000_000, "200"),
            "n_iter_no_change": whole(1, 1_000_000, "10"),
            "tol": _ABOVE_0,
        },
        {"max_iter": 200},
    ),
    "random_forest": _Family(
        _pair("sklearn.ensemble", "RandomForest", n_jobs=1),
        {
            "n_estimators": whole(1, 100_000, "100"),
            "max_depth": whole(1, 10_000, "10 to 30"),
            "min_samples_split": whole(2, 1 << 30, "2"),
            "min_samples_leaf": whole(1, 1 << 30, "1 to 20"),
            "max_features": share_or("sqrt", "log2"),
            "max_leaf_nodes": whole(2, 1 << 30, "1000"),
            "max_samples": _SHARE,
        },
        {"n_estimators": 100, "max_depth": 20},
        scaled=False,
    ),
    "gradient_boosting": _Family(
        _pair("sklearn.ensemble", "HistGradientBoosting", early_stopping=False),
        {
            "learning_rate": _ABOVE_0,
            "max_iter": whole(1, 100_000, "100"),
            "max_leaf_nodes": whole(2, 1 << 20, "31"),
            "max_depth": whole(1, 10_000, "3 to 10"),
            "min_samples_leaf": whole(1, 1 << 30, "20"),
            "l2_regularization": _FROM_0,
            "max_features": _SHARE,
            "max_bins": whole(2, 255, "255"),
            "n_iter_no_change": whole(1, 100_000, "10"),
        },
        {"max_iter": 100, "max_leaf_nodes": 31},
        scaled=False,
    ),
}
ESTIMATORS = tuple(_FAMILIES)
"""Names of the families."""


def estimator_names(family: str) -> tuple[str, ...]:
    """Return all hyperparameters of a family, each of which may be left out."""
    return tuple(_FAMILIES[family].checks)


def is_scaled(family: str) -> bool:
    """Whether a family is trained on standardised inputs, where the arrays have a scaling; trees need none."""
    return _FAMILIES[family].scaled


def check_estimator_hyperparameters(
    family: str, hyperparameters: Mapping[str, Any], *, classification: bool = True
) -> None:
    """Raise ConfigError unless all hyperparameters are known to the family, with values in their ranges.

    Also where a family that only tells classes apart is to estimate a number.
    """
    _checked(family, hyperparameters, classification)


def estimator_cost(family: str, hyperparameters: Mapping[str, Any]) -> float:
    """Return about how long a configuration takes to train, in any unit; only compared."""
    cost = 1.0
    for name, usual in _FAMILIES[family].growth.items():
        cost *= hyperparameters.get(name, usual) or usual
    return cost * (math.prod(layers("", hyperparameters.get("hidden_layer_sizes", "100"))) if family == "mlp" else 1)


def make_estimator(family: str, hyperparameters: Mapping[str, Any], *, classification: bool, seed: int) -> Any:
    """Return an unfitted scikit-learn estimator that uses one thread.

    Arguments:
        family: one of `ESTIMATORS`.
        hyperparameters: some of `estimator_names(family)`; one that is None has its default, one that has no part in
            the estimator (bins of Gaussian densities) is checked and not used.
        classification: whether it tells the classes 0 and 1 apart; else it estimates a number.
        seed: any number >= 0; decides all its random numbers.

    Raises ConfigError on an unknown or bad hyperparameter, or a family that cannot do it.
    """
    given = _checked(family, hyperparameters, classification)
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    return _FAMILIES[family].make(given, classification, state)


def _checked(family: str, hyperparameters: Mapping[str, Any], classification: bool) -> dict[str, Any]:
    checks = _FAMILIES[family].checks
    if not classification and not _FAMILIES[family].regression:
        others = ", ".join(name for name, other in _FAMILIES.items() if other.regression)
        msg = f'network "{family}" needs a task that tells classes apart (this one estimates a number); choose {others}'
        raise ConfigError(msg)
    for name in hyperparameters:
        if name not in checks:
            msg = f'hyperparameter of "{family}" must be a known one (got "{name}"){did_you_mean(name, checks)}'
            raise ConfigError(msg)
    return {name: checks[name](name, value) for name, value in hyperparameters.items() if value is not None}
