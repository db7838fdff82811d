"""Figures of merit of predicted numbers, with errors from whole groups.

What to use when
----------------
- `regression_figures`: all of them in one pass, by name.
- `REGRESSION_FIGURES`: the same as functions of sums, for `townsend.evaluate.bootstrap.bootstrap_figures`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.bootstrap import BOOTSTRAP_SEED, RESAMPLES, bootstrap_figures
from townsend.tasks.base import Metric

__all__ = ["REGRESSION_FIGURES", "regression_figures", "regression_sums"]

Floats = NDArray[np.float64]


def _mse(sums: Floats) -> Floats:
    return np.asarray(sums[..., 4] / sums[..., 0])


def _mae(sums: Floats) -> Floats:
    return np.asarray(sums[..., 5] / sums[..., 0])


def _bias(sums: Floats) -> Floats:
    return np.asarray(sums[..., 3] / sums[..., 0])


def _r2(sums: Floats) -> Floats:
    spread = sums[..., 2] - sums[..., 1] ** 2 / sums[..., 0]
    return np.asarray(1 - sums[..., 4] / np.where(spread > 0, spread, np.nan))


def _mse_per_mean(sums: Floats) -> Floats:
    return np.asarray(sums[..., 4] / np.where(sums[..., 1] == 0, np.nan, sums[..., 1]))


def _relative_bias(sums: Floats) -> Floats:
    return np.asarray(sums[..., 3] / np.where(sums[..., 1] == 0, np.nan, sums[..., 1]))


REGRESSION_FIGURES: Mapping[str, Callable[[Floats], Floats]] = {
    "mse": _mse,
    "mae": _mae,
    "bias": _bias,
    "r2": _r2,
    "mse_per_mean": _mse_per_mean,
    "relative_bias": _relative_bias,
}
"""Name -> function of sums (..., 6) as `regression_sums` gives them.

Mean squared and mean absolute error; mean of predicted minus true; share of the truth's variance that is explained
(against the mean of the same examples, so it may be negative); the mean squared error and the bias over the mean truth.
A figure that does not exist (truth without spread, or of mean zero) is NaN.
"""


def regression_sums(predicted: ArrayLike, truth: ArrayLike, group: ArrayLike) -> Floats:
    """Return (groups, 6) sums of 1, truth, truth^2, difference, difference^2, |difference|, groups ascending.

    Arguments:
        predicted, truth: (n,) finite numbers; group: (n,) labels, examples of one group are not independent.

    Raises InputError when lengths differ, nothing is given, or a number is not finite.
    """
    guess, true = (np.asarray(column, np.float64).reshape(-1) for column in (predicted, truth))
    labels = np.asarray(group).reshape(-1)
    if not len(guess) == len(true) == len(labels) or len(true) == 0:
        sizes = f"got {len(guess)}, {len(true)} and {len(labels)}"
        msg = f"predicted, truth and group must have one entry an example, at least one ({sizes}); check the split"
        raise InputError(msg)
    if not (np.isfinite(guess).all() and np.isfinite(true).all()):
        bad = int(np.count_nonzero(~(np.isfinite(guess) & np.isfinite(true))))
        msg = f"predicted and true numbers must be finite (got {bad} of {len(true)} that are not); train again"
        raise InputError(msg)
    difference = guess - true
    columns = (np.ones(len(true)), true, true**2, difference, difference**2, np.abs(difference))
    number = np.unique(labels, return_inverse=True)[1].reshape(-1)
    return np.stack([np.bincount(number, weights=column) for column in columns], axis=1)


def regression_figures(
    predicted: ArrayLike,
    truth: ArrayLike,
    group: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> dict[str, Metric]:
    """Return every figure of `REGRESSION_FIGURES`, its error by resampling whole groups.

    Arguments: as `regression_sums`, at least two groups; resamples: number of them; seed: of the draws.

    Raises InputError as `regression_sums`, and for fewer than two groups.
    """
    return bootstrap_figures(regression_sums(predicted, truth, group), REGRESSION_FIGURES, resamples, seed)
