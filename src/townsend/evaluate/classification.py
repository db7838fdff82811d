"""Figures of merit of a score that separates signal (label 1) from background (label 0).

What to use when
----------------
- `auc`: how well the score orders the examples, without a threshold; exact with ties and signed weights.
- `roc`: the curve behind it, thinned for a figure (`townsend.evaluate.curves` has it with event weights).
- `confusion`, then `.precision`, `.recall`, `.f1` ...: at one threshold, at the prevalence of the examples given.
- `balanced`: the same table re-weighted to as much signal as background (to compare with published
  figures made on a balanced set); no example is thrown away.
- `FIGURES`: the threshold figures as functions of an array of counts, for errors by resampling.

An example counts as predicted signal when score >= threshold. Figures whose denominator is empty (no
example predicted signal, no signal at all) are 0.0, never NaN, as scikit-learn with `zero_division=0`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import astuple, dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.weights import checked_weights

__all__ = [
    "FIGURES",
    "Confusion",
    "Roc",
    "auc",
    "balanced",
    "balanced_counts",
    "checked",
    "confusion",
    "ratio",
    "roc",
]

Floats = NDArray[np.float64]


class Roc(NamedTuple):
    """Points of a ROC curve, from (0, 0) to (1, 1); `threshold[0]` is infinite (nothing accepted)."""

    fpr: Floats
    tpr: Floats
    threshold: Floats


def checked(scores: ArrayLike, labels: ArrayLike) -> tuple[Floats, NDArray[np.bool_]]:
    """Return flat float64 scores and boolean labels.

    Raises InputError for unequal lengths, NaN scores, labels other than 0 and 1, or one class only.
    """
    values = np.asarray(scores, dtype=np.float64).reshape(-1)
    truth = np.asarray(labels).reshape(-1)
    if len(values) != len(truth):
        msg = f"scores and labels must have one entry an example (got {len(values)} and {len(truth)}); check the split"
        raise InputError(msg)
    if np.isnan(values).any():
        msg = f"scores must be numbers (got {int(np.isnan(values).sum())} NaN); the network diverged, train it again"
        raise InputError(msg)
    signal = truth == 1
    if not (signal | (truth == 0)).all():
        msg = f"labels must be 0 or 1 (got {truth[~signal & (truth != 0)][0]}); check the column of targets"
        raise InputError(msg)
    if signal.all() or not signal.any():
        found = "no signal" if not signal.any() else "no background"
        msg = f"labels must hold both classes (got {found} among {len(truth)}); give more examples or check the labels"
        raise InputError(msg)
    return values, signal


def auc(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the area under the ROC curve: the probability that a signal scores above a background.

    The weighted sum over all pairs, ties counted half, divided by the product of the summed weights
    (Mann and Whitney 1947, doi:10.1214/aoms/1177730491). With weights of both signs the result may leave [0, 1].

    Arguments:
        scores: (n,) any real numbers, infinities allowed.
        labels: (n,) 1 for signal, 0 for background.
        weights: (n,) finite, of any sign; None for 1 each.

    Raises InputError as `checked`, or when the weights of a class sum to zero.
    """
    values, signal = checked(scores, labels)
    weight = checked_weights(weights, len(values), signal)
    _, rank = np.unique(values, return_inverse=True)
    positive = np.bincount(rank, weights=np.where(signal, weight, 0.0))
    negative = np.bincount(rank, weights=np.where(signal, 0.0, weight))
    total = float(positive.sum() * negative.sum())
    below = np.cumsum(negative) - negative
    return float(np.dot(positive, below + 0.5 * negative)) / total


def roc(scores: ArrayLike, labels: ArrayLike, points: int = 2000) -> Roc:
    """Return the ROC curve in at most `points` (>= 2) points.

    Points inside straight pieces are dropped first; what is still too long is thinned evenly along the curve,
    both ends kept. Each point kept lies exactly on the curve.
    """
    values, signal = checked(scores, labels)
    order = np.argsort(-values, kind="stable")
    last_of_tie = np.append(np.flatnonzero(np.diff(values[order])), len(values) - 1)
    accepted = np.cumsum(signal[order])[last_of_tie]
    true_positive = np.append(0, accepted)
    false_positive = np.append(0, last_of_tie + 1 - accepted)
    threshold = np.append(np.inf, values[order][last_of_tie])
    kept = _corners(false_positive, true_positive)
    fpr = false_positive[kept] / (~signal).sum()
    tpr = true_positive[kept] / signal.sum()
    if len(kept) > points:
        along = fpr + tpr
        rows = np.unique(np.searchsorted(along, np.linspace(0.0, along[-1], points)).clip(max=len(kept) - 1))
        fpr, tpr, kept = fpr[rows], tpr[rows], kept[rows]
    return Roc(fpr, tpr, threshold[kept])


def _corners(x: NDArray[np.intp], y: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return the indices where the polygon (x, y) turns, both ends included."""
    dx, dy = np.diff(x), np.diff(y)
    turns = dx[1:] * dy[:-1] != dx[:-1] * dy[1:]
    return np.concatenate(([0], np.flatnonzero(turns) + 1, [len(x) - 1]))


def ratio(numerator: ArrayLike, denominator: ArrayLike) -> Floats:
    """Return numerator / denominator, 0.0 where the denominator is zero."""
    top, bottom = np.broadcast_arrays(np.asarray(numerator, np.float64), np.asarray(denominator, np.float64))
    return np.asarray(np.divide(top, bottom, out=np.zeros(top.shape), where=bottom != 0), np.float64)


def _precision(counts: Floats) -> Floats:
    return ratio(counts[..., 0], counts[..., 0] + counts[..., 1])


def _recall(counts: Floats) -> Floats:
    return ratio(counts[..., 0], counts[..., 0] + counts[..., 2])


def _f1(counts: Floats) -> Floats:
    return ratio(2 * counts[..., 0], 2 * counts[..., 0] + counts[..., 1] + counts[..., 2])


def _accuracy(counts: Floats) -> Floats:
    return ratio(counts[..., 0] + counts[..., 3], counts.sum(axis=-1))


def _efficiency_x_purity(counts: Floats) -> Floats:
    return _precision(counts) * _recall(counts)


FIGURES: Mapping[str, Callable[[Floats], Floats]] = {
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
    "accuracy": _accuracy,
    "efficiency_x_purity": _efficiency_x_purity,
}
"""Name -> function of counts (..., 4), ordered tp, fp, fn, tn; the one place where each figure is defined."""


@dataclass(frozen=True)
class Confusion:
    """Examples (or sums of weights) by truth and prediction.

    Arguments:
        tp: signal predicted signal; fp: background predicted signal.
        fn: signal predicted background; tn: background predicted background.
    """

    tp: float
    fp: float
    fn: float
    tn: float

    @property
    def counts(self) -> Floats:
        """Return (4,) tp, fp, fn, tn, the order that `FIGURES` take."""
        return np.array(astuple(self), dtype=np.float64)

    @property
    def prevalence(self) -> float:
        """Return the share of signal among all examples."""
        return float(ratio(self.tp + self.fn, self.tp + self.fp + self.fn + self.tn))

    @property
    def precision(self) -> float:
        """Return the share of signal among what is predicted signal; 0.0 when nothing is."""
        return float(_precision(self.counts))

    @property
    def purity(self) -> float:
        """Return `precision` under its name in physics."""
        return self.precision

    @property
    def recall(self) -> float:
        """Return the share of signal that is predicted signal; 0.0 without signal."""
        return float(_recall(self.counts))

    @property
    def efficiency(self) -> float:
        """Return `recall` under its name in physics."""
        return self.recall

    @property
    def f1(self) -> float:
        """Return the harmonic mean of precision and recall; 0.0 when nothing is true or predicted signal."""
        return float(_f1(self.counts))

    @property
    def accuracy(self) -> float:
        """Return the share of right predictions; 0.0 without examples."""
        return float(_accuracy(self.counts))

    @property
    def efficiency_x_purity(self) -> float:
        """Return recall times precision."""
        return float(_efficiency_x_purity(self.counts))


def confusion(scores: ArrayLike, labels: ArrayLike, threshold: float, weights: ArrayLike | None = None) -> Confusion:
    """Return the table of truth and prediction; predicted signal is score >= threshold.

    Scores are compared in double precision, so that a threshold written to JSON acts as it did when chosen.
    Weights may be of either sign; the cells are then sums with that sign.

    Raises InputError as `checked`, and when the weights cannot be used.
    """
    values, signal = checked(scores, labels)
    table = np.bincount(
        2 * (~signal).astype(np.intp) + (values < threshold),
        weights=None if weights is None else checked_weights(weights, len(values)),
        minlength=4,
    )
    tp, fn, fp, tn = (float(count) for count in table)
    return Confusion(tp, fp, fn, tn)


def balanced_counts(counts: ArrayLike) -> Floats:
    """Return counts (..., 4) re-weighted to as much signal as background, with the same total.

    An absent class stays absent.
    """
    table = np.asarray(counts, dtype=np.float64)
    signal = table[..., [0]] + table[..., [2]]
    background = table[..., [1]] + table[..., [3]]
    half = 0.5 * (signal + background)
    scale = np.concatenate([ratio(half, signal), ratio(half, background)] * 2, axis=-1)
    # Columns are tp, fp, fn, tn: signal and background alternate.
    return np.asarray(table * scale, np.float64)


def balanced(table: Confusion) -> Confusion:
    """Return the table re-weighted to a prevalence of one half; nothing is drawn or dropped."""
    tp, fp, fn, tn = (float(count) for count in balanced_counts(table.counts))
    return Confusion(tp, fp, fn, tn)
