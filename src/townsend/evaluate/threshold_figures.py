"""Every figure of merit at one threshold, as a function of tp, fp, fn, tn.

What to use when
----------------
- `THRESHOLD_FIGURES`: name -> definition in words and function, in the order of tables.
- `OTHER_NAMES`: what else people call them.

Functions take sums (..., 4), ordered tp, fp, fn, tn as in `townsend.evaluate.classification`, of counts or of weights
of either sign, and return (...). For weights of one sign they are scikit-learn's, with `zero_division=0`. What is
unbounded where no background is accepted (1 / FPR, the likelihood ratio) is infinite there, not zero. The Matthews
coefficient is NaN where signed weights make the product under its root negative.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.evaluate.classification import FIGURES, ratio

__all__ = ["OTHER_NAMES", "THRESHOLD_FIGURES", "ThresholdFigure"]

Floats = NDArray[np.float64]


class ThresholdFigure(NamedTuple):
    """A figure at one threshold: its definition, and its function of sums (..., 4)."""

    words: str
    function: Callable[[Floats], Floats]


def _cells(sums: Floats) -> tuple[Floats, Floats, Floats, Floats]:
    return sums[..., 0], sums[..., 1], sums[..., 2], sums[..., 3]


def _recall(sums: Floats) -> Floats:
    return FIGURES["recall"](sums)


def _false_positive_rate(sums: Floats) -> Floats:
    _, fp, _, tn = _cells(sums)
    return ratio(fp, fp + tn)


def _specificity(sums: Floats) -> Floats:
    _, fp, _, tn = _cells(sums)
    return ratio(tn, fp + tn)


def _negative_predictive_value(sums: Floats) -> Floats:
    _, _, fn, tn = _cells(sums)
    return ratio(tn, tn + fn)


def _zero_one_loss(sums: Floats) -> Floats:
    _, fp, fn, _ = _cells(sums)
    return ratio(fp + fn, sums.sum(axis=-1))


def _f(beta: float) -> Callable[[Floats], Floats]:
    def function(sums: Floats) -> Floats:
        tp, fp, fn, _ = _cells(sums)
        top = (1 + beta**2) * tp
        return ratio(top, top + beta**2 * fn + fp)

    return function


def _jaccard(sums: Floats) -> Floats:
    tp, fp, fn, _ = _cells(sums)
    return ratio(tp, tp + fp + fn)


def _balanced_accuracy(sums: Floats) -> Floats:
    return 0.5 * (_recall(sums) + _specificity(sums))


def _matthews(sums: Floats) -> Floats:
    tp, fp, fn, tn = _cells(sums)
    product = (tp + fp) * (tn + fn) * (tp + fn) * (tn + fp)
    root = np.sqrt(np.where(product >= 0, product, np.nan))
    return ratio(tp * tn - fp * fn, root)


def _kappa(sums: Floats) -> Floats:
    tp, fp, fn, tn = _cells(sums)
    return ratio(2 * (tp * tn - fp * fn), (tp + fp) * (fp + tn) + (tp + fn) * (fn + tn))


def _youden(sums: Floats) -> Floats:
    return _recall(sums) - _false_positive_rate(sums)


def _corner_squared(sums: Floats) -> Floats:
    return np.asarray((1 - _recall(sums)) ** 2 + _false_positive_rate(sums) ** 2, np.float64)


def _corner(sums: Floats) -> Floats:
    return np.sqrt(_corner_squared(sums))


def _unbounded(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom, infinite where only the bottom is zero, NaN where both are."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.true_divide(top, bottom), np.float64)


def _background_rejection(sums: Floats) -> Floats:
    return _unbounded(np.ones(sums.shape[:-1]), _false_positive_rate(sums))


def _positive_likelihood_ratio(sums: Floats) -> Floats:
    return _unbounded(_recall(sums), _false_positive_rate(sums))


def _negative_likelihood_ratio(sums: Floats) -> Floats:
    return _unbounded(1 - _recall(sums), _specificity(sums))


THRESHOLD_FIGURES: Mapping[str, ThresholdFigure] = {
    "accuracy": ThresholdFigure("share of right predictions: (tp + tn) / all", FIGURES["accuracy"]),
    "balanced_accuracy": ThresholdFigure("mean of recall and specificity", _balanced_accuracy),
    "zero_one_loss": ThresholdFigure("share of wrong predictions: 1 - accuracy", _zero_one_loss),
    "precision": ThresholdFigure("purity, positive predictive value: tp / (tp + fp)", FIGURES["precision"]),
    "recall": ThresholdFigure("efficiency, sensitivity, true positive rate (TPR): tp / (tp + fn)", FIGURES["recall"]),
    "false_positive_rate": ThresholdFigure("share of background accepted (FPR): fp / (fp + tn)", _false_positive_rate),
    "specificity": ThresholdFigure("true negative rate: tn / (fp + tn) = 1 - FPR", _specificity),
    "negative_predictive_value": ThresholdFigure("NPV: tn / (tn + fn)", _negative_predictive_value),
    "f1": ThresholdFigure("harmonic mean of precision and recall: 2 tp / (2 tp + fp + fn)", FIGURES["f1"]),
    "f0.5": ThresholdFigure("F-beta with precision twice as important as recall", _f(0.5)),
    "f2": ThresholdFigure("F-beta with recall twice as important as precision", _f(2.0)),
    "efficiency_x_purity": ThresholdFigure("recall times precision", FIGURES["efficiency_x_purity"]),
    "matthews": ThresholdFigure("Matthews correlation coefficient (MCC)", _matthews),
    "cohen_kappa": ThresholdFigure("agreement of truth and prediction beyond chance", _kappa),
    "jaccard": ThresholdFigure("tp / (tp + fp + fn)", _jaccard),
    "youden": ThresholdFigure("Youden's J: TPR - FPR", _youden),
    "corner_distance": ThresholdFigure("d: distance to the corner, sqrt((1 - TPR)^2 + FPR^2)", _corner),
    "corner_distance_squared": ThresholdFigure("d^2: (1 - TPR)^2 + FPR^2", _corner_squared),
    "background_rejection": ThresholdFigure("1 / FPR", _background_rejection),
    "positive_likelihood_ratio": ThresholdFigure("TPR / FPR", _positive_likelihood_ratio),
    "negative_likelihood_ratio": ThresholdFigure("(1 - TPR) / specificity", _negative_likelihood_ratio),
}
"""Name -> figure. Lectures often print the *squared* distance as d(t); both are here, under both names."""

OTHER_NAMES: Mapping[str, str] = {
    "purity": "precision",
    "efficiency": "recall",
    "sensitivity": "recall",
    "tpr": "recall",
    "fpr": "false_positive_rate",
    "npv": "negative_predictive_value",
    "mcc": "matthews",
    "d": "corner_distance",
    "d^2": "corner_distance_squared",
}
"""Other name -> name in `THRESHOLD_FIGURES`."""
