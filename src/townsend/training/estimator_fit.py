"""How each family of estimators is fitted, and which event weights it can take.

What to use when
----------------
- `check_fit`: can a configuration be trained on these examples? Asked before any training, and by `fit_estimator`.
- `fit_estimator`: train a scikit-learn estimator in place, on weights of either sign.

Weights enter with their sign, or the fit is refused; nothing is clipped or dropped:
- `logistic`, `likelihood`: a sum over the examples, so any sign. `logistic` divides by the sum of all weights. A bin of
  `likelihood` whose weights sum to less than zero has no density: the fit fails and says so.
- `linear`: scikit-learn takes square roots of weights, so it is solved here by its normal equations.
- `mlp`: scikit-learn divides the loss of each batch by the sum of its weights, which may be about zero, and turns the
  sign of a batch in which it is negative. So negative weights need all examples in each step: `solver: lbfgs`, or a
  `batch_size` of all of them.
- `gradient_boosting`: sums of first and second derivatives in each leaf, so any sign. Leaves whose sum of second
  derivatives is below 0.001 are never made, but those just above it are, with huge values: where many weights are
  negative, raise `min_samples_leaf` and `l2_regularization`. Beyond 200,000 examples scikit-learn draws those that set
  the bins in proportion to their weights; no negative ones then.
- `random_forest`: draws examples in proportion to their weights; no negative ones.
- `gaussian_process`: knows no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.estimators import MOST_OF_GAUSSIAN_PROCESS

__all__ = ["Examples", "check_fit", "fit_estimator"]

_MLP_BATCH = 200
_MOST_OF_SIGNED_BOOSTING = 200_000


class Examples(NamedTuple):
    """What an estimator is trained on, or watched on.

    Arguments:
        x: (n, k) rows, standardised where the family needs it.
        y: (n,) classes as whole numbers, or numbers to estimate.
        weight: (n,) of either sign; None: 1 each.
    """

    x: NDArray[np.float32]
    y: NDArray[Any]
    weight: NDArray[np.float32] | None


def check_fit(
    family: str, hyperparameters: Mapping[str, Any], examples: int, weight: NDArray[np.float32] | None
) -> None:
    """Raise InputError unless a family can be trained on so many examples with such weights.

    Arguments:
        family: one of `townsend.networks.estimators.ESTIMATORS`.
        hyperparameters: checked.
        examples: number of training examples; weight: of them, None: 1 each.
    """
    if family == "gaussian_process" and examples > MOST_OF_GAUSSIAN_PROCESS:
        rule = f"gaussian_process must have at most {MOST_OF_GAUSSIAN_PROCESS:,} training examples (got {examples:,})"
        msg = f"{rule}, as its time grows with their cube; take fewer in the settings of the task, or choose mlp"
        raise InputError(msg)
    if weight is None:
        return
    if family == "gaussian_process" and weight.min() != weight.max():
        rule = "gaussian_process must have training weights that are all equal, as scikit-learn's takes none"
        msg = f"{rule} (got {weight.min():g} to {weight.max():g}); train without weights, or choose logistic or mlp"
        raise InputError(msg)
    if weight.min() >= 0:
        return
    negative = f"got {int((weight < 0).sum()):,} negative ones of {len(weight):,}"
    if family == "random_forest":
        rule = "random_forest must have training weights of at least 0, as it draws examples in proportion to them"
        msg = f"{rule} ({negative}); choose gradient_boosting, logistic, mlp or dense, which heed the sign"
        raise InputError(msg)
    if family == "gradient_boosting" and examples > _MOST_OF_SIGNED_BOOSTING:
        most = f"{_MOST_OF_SIGNED_BOOSTING:,}"
        rule = f"gradient_boosting must have at most {most} training examples where training weights are negative"
        msg = f"{rule} (got {examples:,}); lower `most_events` of the table or `train_fraction`, or choose dense"
        raise InputError(msg)
    batch = hyperparameters.get("batch_size") or _MLP_BATCH
    if family == "mlp" and hyperparameters.get("solver") != "lbfgs" and batch < examples:
        rule = f"mlp must see all {examples:,} examples in each step where training weights are negative"
        msg = f"{rule} ({negative}, batches of {batch:,}); write `solver: [lbfgs]`, or choose dense"
        raise InputError(msg)


def fit_estimator(
    family: str, hyperparameters: Mapping[str, Any], model: Any, train: Examples, monitor: Examples
) -> None:
    """Train an estimator, as `make_estimator` returns it, in place.

    Arguments:
        family, hyperparameters: of the model.
        train: examples; monitor: those by which boosting stops early, where it does.

    Raises InputError as `check_fit`, and when the weights of a class do not sum to more than 0; ValueError when a model
    cannot be made of these weights with these hyperparameters, and whatever scikit-learn raises.
    """
    check_fit(family, hyperparameters, len(train.y), train.weight)
    weight = train.weight
    if weight is not None:
        _check_sums(train.y, weight, classes=hasattr(model, "predict_proba"))
    if family == "linear":
        _solve_least_squares(model, train)
        return
    given: dict[str, Any] = {} if weight is None or family == "gaussian_process" else {"sample_weight": weight}
    if getattr(model, "early_stopping", False):
        given |= {"X_val": monitor.x, "y_val": monitor.y}
        given |= {} if monitor.weight is None else {"sample_weight_val": monitor.weight}
    # In float32, lbfgs ends at an error of 1e-4 of the probabilities.
    x: NDArray[Any] = train.x.astype(np.float64) if family == "logistic" else train.x
    if hasattr(model, "steps"):  # bins, which depend on the examples and not on their weights, and then densities
        (_, bins), (_, model) = model.steps
        _set_bins(bins, x)
        x = bins.transform(x)
    with np.errstate(invalid="ignore", divide="ignore"):  # logarithms of what `_check_densities` refuses
        model.fit(x, train.y, **given)
    if family == "likelihood":
        _check_densities(model)


def _check_sums(y: NDArray[Any], weight: NDArray[np.float32], *, classes: bool) -> None:
    """Raise InputError unless the weights of each class, or of all examples, sum to more than 0."""
    for label in np.unique(y) if classes else (None,):
        total = float(weight.sum(dtype=np.float64) if label is None else weight[y == label].sum(dtype=np.float64))
        if total <= 0:
            rule = f"training weights{'' if label is None else f' of class {label}'} must sum to more than 0"
            msg = f"{rule} (got {total:g}); take a larger sample, or check the signs of the weights"
            raise InputError(msg)


def _solve_least_squares(model: Any, train: Examples) -> None:
    """Put the solution of min sum_i w_i (y_i - b - x_i a)^2 + alpha |a|^2 into a Ridge; the intercept is not penalised.

    The normal equations hold for weights of either sign as long as their matrix is positive definite; without any
    penalty, inputs that differ much in scale lose digits in them.
    """
    from scipy.linalg import LinAlgError, cho_factor, cho_solve

    x, y = train.x.astype(np.float64), train.y.astype(np.float64)
    weight = np.ones(len(y)) if train.weight is None else train.weight.astype(np.float64)
    centre, mean = weight @ x / weight.sum(), weight @ y / weight.sum()
    weighted = (x - centre) * weight[:, None]
    matrix = weighted.T @ (x - centre) + model.alpha * np.eye(x.shape[1])
    try:
        slope = cho_solve(cho_factor(matrix), weighted.T @ (y - mean))
    except LinAlgError:
        rule = "linear must find a weighted spread of the examples above 0 in every direction"
        msg = f"{rule} (not so with alpha {model.alpha:g}); raise alpha, or leave out features that follow from others"
        raise ValueError(msg) from None
    model.coef_, model.intercept_ = slope, float(mean - centre @ slope)
    model.n_features_in_, model.n_iter_, model.solver_ = x.shape[1], None, "cholesky"


def _set_bins(bins: Any, x: NDArray[np.float32]) -> None:
    """Give a KBinsDiscretizer its edges: quantiles, or around each value of a feature that has few of them.

    Its own quantiles would put the two largest of few values into one bin, so that a feature of two had no effect.
    """
    edges = np.empty(x.shape[1], object)
    for number, column in enumerate(x.T.astype(np.float64)):
        values = np.unique(column)
        inner = (values[1:] + values[:-1]) / 2
        if len(values) > bins.n_bins:
            shares = np.arange(1, bins.n_bins) / bins.n_bins
            inner = np.unique(np.quantile(column, shares, method="averaged_inverted_cdf"))
        edges[number] = np.concatenate([values[:1], inner, values[-1:]])
    bins.bin_edges_, bins.n_bins_ = edges, np.array([len(of_feature) - 1 for of_feature in edges])
    bins.n_features_in_ = x.shape[1]


def _check_densities(bayes: Any) -> None:
    """Raise ValueError unless all densities of a likelihood are above 0."""
    found = [bayes.var_ > 0] if hasattr(bayes, "var_") else [np.isfinite(part) for part in bayes.feature_log_prob_]
    if not all(part.all() for part in found):
        rule = "densities of likelihood must be above 0 everywhere"
        msg = f"{rule} (weights of one do not sum to that); lower n_bins or raise alpha, or take a larger sample"
        raise ValueError(msg)
