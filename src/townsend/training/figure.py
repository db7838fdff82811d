"""One figure by which fits are compared at a rung, whatever loss they are trained with.

What to use when
----------------
- `rung_figure`: AUC of a classification, mean squared error of a regression, on the examples of `monitor`.
- `better_first`: the order of figures, those that are no numbers last.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from townsend.training.losses import is_classification

__all__ = ["better_first", "rung_figure"]


def rung_figure(loss: str, scores: NDArray[np.float32], y: NDArray[np.float32]) -> float:
    """Return the figure of n scores; NaN where scores are not finite or one class is absent.

    Arguments:
        loss: the task's, which tells a classification (targets 0 and 1) from a regression.
        scores, y: (n,).

    The AUC is the share of pairs that are in order, ties counting half (Mann and Whitney 1947).
    """
    if not np.all(np.isfinite(scores)):
        return math.nan
    if not is_classification(loss):
        return float(np.mean((scores.astype(np.float64) - y) ** 2))
    from scipy.stats import rankdata

    positive = y > 0.5
    signal, background = int(positive.sum()), int((~positive).sum())
    if not signal or not background:
        return math.nan
    ranks = rankdata(scores)[positive].sum()
    return float((ranks - signal * (signal + 1) / 2) / (signal * background))


def better_first(loss: str, figures: Sequence[float]) -> list[int]:
    """Return the places of the figures from the best to the worst; equals in their order, what is no number last."""
    sign = -1.0 if is_classification(loss) else 1.0
    return sorted(range(len(figures)), key=lambda i: (math.isnan(figures[i]), sign * figures[i], i))
