"""Curves over all thresholds, with event weights of either sign: ROC, precision and recall, DET.

What to use when
----------------
- `weighted_roc`: signal against background accepted; its exact area is `townsend.evaluate.classification.auc`.
- `precision_recall`: purity against efficiency, which depends on how much background there is; `average_precision` sums
  it up.
- `det`: both errors, false positive and false negative rate (NIST's detection error trade-off).
- `levels`: the sums behind all of them; `thinned`: which points a figure needs.

All start at the strictest threshold. With weights of both signs the sum accepted may fall when more is accepted: the
curves are then not monotone and may leave [0, 1]. They are given as they are, never sorted, clipped or made convex,
since each point alone is the unbiased estimate; sorting would bias the area.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.classification import Roc, checked, ratio
from townsend.evaluate.linearised import GroupedEvents, Linearised
from townsend.evaluate.weights import checked_weights

__all__ = [
    "Det",
    "Levels",
    "PrecisionRecall",
    "accepted",
    "average_precision",
    "average_precision_by_group",
    "det",
    "levels",
    "precision_recall",
    "thinned",
    "weighted_roc",
]

Floats = NDArray[np.float64]


class Levels(NamedTuple):
    """Sums of weights accepted at every distinct score, strictest first.

    Arguments:
        threshold: (m,) distinct scores, descending; an event is accepted when its score is at least that.
        signal, background: (m,) sums of weights accepted; the last ones are the totals.
        rank: (n,) index of each event's own score among the thresholds.
    """

    threshold: Floats
    signal: Floats
    background: Floats
    rank: NDArray[np.intp]


class PrecisionRecall(NamedTuple):
    """Points of precision against recall, from (recall 0, precision 1) at an infinite threshold.

    Arguments:
        undefined: number of thresholds, among all, where the weights accepted do not sum to more than zero; precision
            there is no share (0.0 where the sum is zero), but part of the curve.
    """

    precision: Floats
    recall: Floats
    threshold: Floats
    undefined: int


class Det(NamedTuple):
    """Points of false negative against false positive rate; `threshold[0]` is infinite (nothing accepted)."""

    fpr: Floats
    fnr: Floats
    threshold: Floats


def levels(values: Floats, signal: NDArray[np.bool_], weight: Floats) -> Levels:
    """Return the sums of weights accepted at every distinct score; one sort.

    Arguments: (n,) as `townsend.evaluate.classification.checked` and `checked_weights` return them.
    """
    ascending, number = np.unique(values, return_inverse=True)
    rank = len(ascending) - 1 - number.reshape(-1)
    return Levels(ascending[::-1], *accepted(rank, signal, weight), rank)


def accepted(rank: NDArray[np.intp], signal: NDArray[np.bool_], weight: Floats) -> tuple[Floats, Floats]:
    """Return (m,) sums of weights of signal and of background accepted at each threshold.

    Arguments: rank, signal, weight: (n,) as in `Levels`.
    """
    of_signal = np.bincount(rank, weights=np.where(signal, weight, 0.0))
    of_background = np.bincount(rank, weights=np.where(signal, 0.0, weight))
    return np.cumsum(of_signal), np.cumsum(of_background)


def _checked_levels(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None) -> Levels:
    values, signal = checked(scores, labels)
    return levels(values, signal, checked_weights(weights, len(values), signal))


def weighted_roc(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, points: int | None = 2000
) -> Roc:
    """Return the ROC curve from (0, 0) to (1, 1), every point exact.

    The trapezoids below all points (`points=None`) sum to the exact AUC, whatever the signs of the weights: a vertical
    step adds nothing, a diagonal one counts ties half, and a step to the left takes area back.

    Arguments:
        scores, labels, weights: as `townsend.evaluate.classification.auc`.
        points: most points to return, chosen by `thinned`; None for all.

    Raises InputError as `auc`.
    """
    found = _checked_levels(scores, labels, weights)
    fpr, tpr = _from_zero(found.background / found.background[-1]), _from_zero(found.signal / found.signal[-1])
    kept = thinned(fpr, tpr, points)
    return Roc(fpr[kept], tpr[kept], np.append(np.inf, found.threshold)[kept])


def precision_recall(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, points: int | None = 2000
) -> PrecisionRecall:
    """Return precision and recall at every distinct score.

    Arguments, errors: as `weighted_roc`.
    """
    found = _checked_levels(scores, labels, weights)
    total = found.signal + found.background
    precision = np.append(1.0, ratio(found.signal, total))
    recall = _from_zero(found.signal / found.signal[-1])
    kept = thinned(recall, precision, points)
    undefined = int(np.count_nonzero(total <= 0))
    return PrecisionRecall(precision[kept], recall[kept], np.append(np.inf, found.threshold)[kept], undefined)


def det(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, points: int | None = 2000) -> Det:
    """Return both error rates at every distinct score.

    Martin et al., Eurospeech (1997) 1895; draw it with both axes on normal deviates, where two Gaussians give a line.
    Rates of zero, and those that signed weights take out of (0, 1), have no place on such axes: leave them out and say
    so. Arguments, errors: as `weighted_roc`.
    """
    curve = weighted_roc(scores, labels, weights, points)
    return Det(curve.fpr, 1.0 - curve.tpr, curve.threshold)


def average_precision(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None) -> float:
    """Return the sum over thresholds t, strictest first, of (recall(t) - recall(t before)) precision(t).

    The same as the weighted mean, over signal events, of the precision at their own score; no interpolation. With
    signed weights it is that sum with its signs: terms where recall falls count negative, and a precision whose
    denominator is near zero makes it large; `precision_recall(...).undefined` tells how many thresholds are concerned.

    Arguments, errors: as `townsend.evaluate.classification.auc`.
    """
    return _area(_checked_levels(scores, labels, weights))


def _area(found: Levels) -> float:
    precision = ratio(found.signal, found.signal + found.background)
    return float(np.diff(found.signal, prepend=0.0) @ precision / found.signal[-1])


def average_precision_by_group(values: Floats, signal: NDArray[np.bool_], events: GroupedEvents) -> Linearised:
    """Return average precision and how much each group moves it: its exact derivative with each event's weight.

    An event moves the precision at its own and every looser threshold, and signal also adds its own term.

    Arguments: (n,) as `townsend.evaluate.classification.checked` returns them.
    """
    found = levels(values, signal, events.weight)
    value, total = _area(found), found.signal + found.background
    precision, inverse = ratio(found.signal, total), ratio(1.0, total)
    step = np.diff(found.signal, prepend=0.0)
    by_background = -np.cumsum((step * precision * inverse)[::-1])[::-1]
    by_signal = np.cumsum((step * inverse)[::-1])[::-1] + by_background + precision - value
    slope = np.where(signal, by_signal[found.rank], by_background[found.rank]) / found.signal[-1]
    return Linearised(value, events.by_group(events.weight * slope))


def _from_zero(curve: Floats) -> Floats:
    return np.append(0.0, curve)


def thinned(x: Floats, y: Floats, points: int | None) -> NDArray[np.intp]:
    """Return the indices of at most `points` (>= 8) points of a curve, both ends among them.

    Half of them lie evenly along the curve, the others evenly in the logarithm of the distance, in points, from either
    end, so that both tails stay exact on logarithmic and normal-deviate axes.

    Arguments: x, y: (m,) points in order; points: None for all.
    """
    last = len(x) - 1
    if points is None or last < points:
        return np.arange(last + 1)
    along = np.append(0.0, np.cumsum(np.abs(np.diff(x)) + np.abs(np.diff(y))))
    even = np.searchsorted(along, np.linspace(0.0, along[-1], points - 2 * (points // 4))).clip(max=last)
    tail = np.geomspace(1, last, points // 4).astype(np.intp)
    return np.unique(np.concatenate([even, tail - 1, last + 1 - tail]))
