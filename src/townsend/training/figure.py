"""One figure by which fits are compared at a rung, whatever loss they are trained with.

What to use when
----------------
- `rung_figure`: AUC of a classification (of more than two classes, the mean of the AUCs of each against all others),
  mean squared error of a regression, on the examples of `monitor`.
- `better_first`: the order of figures, those that are no numbers last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from townsend.training.losses import is_classification, is_multiclass

__all__ = ["better_first", "rung_figure"]


def rung_figure(
    loss: str, scores: NDArray[np.float32], y: NDArray[np.float32], weight: NDArray[np.float32] | None = None
) -> float:
    """Return the figure of n scores; NaN where scores are not finite or one class is absent.

    Arguments:
        loss: the task's, which tells a classification (targets 0, 1, ...) from a regression.
        scores, y: (n,); with more than two classes, scores are (n, K).
        weight: (n,) of either sign; None: 1 each.

    The AUC is the share of pairs that are in order, ties counting half (Mann and Whitney 1947); with weights a pair
    counts as much as their product, also where that is negative, and the AUC may leave [0, 1].
    """
    if not np.all(np.isfinite(scores)):
        return math.nan
    if not is_classification(loss):
        return float(np.average((scores.astype(np.float64) - y) ** 2, weights=weight))
    if is_multiclass(loss):
        ones = np.ones(len(y)) if weight is None else weight.astype(np.float64)
        return float(np.mean([_weighted_auc(of_class, y == k, ones) for k, of_class in enumerate(scores.T)]))
    if weight is not None:
        return _weighted_auc(scores, y > 0.5, weight.astype(np.float64))
    from scipy.stats import rankdata

    positive = y > 0.5
    signal, background = int(positive.sum()), int((~positive).sum())
    if not signal or not background:
        return math.nan
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - signal * (signal + 1) / 2) / (signal * background))


def _weighted_auc(scores: NDArray[np.float32], positive: NDArray[np.bool_], weight: NDArray[np.float64]) -> float:
    place = np.unique(scores, return_inverse=True)[1]
    signal, background = (np.bincount(place, np.where(of_class, weight, 0)) for of_class in (positive, ~positive))
    pairs = signal.sum() * background.sum()
    if pairs == 0:
        return math.nan
    return float(signal @ (background.cumsum() - background / 2) / pairs)


def better_first(loss: str, figures: Sequence[float]) -> list[int]:
    """Return the places of the figures from the best to the worst; equals in their order, what is no number last."""
    sign = -1.0 if is_classification(loss) else 1.0
    return sorted(range(len(figures)), key=lambda i: (math.isnan(figures[i]), sign * figures[i], i))
