"""The confusion matrix of two or more classes, with its axes named.

What to use when
----------------
- `confusion_matrix`: from class indices, true and predicted.
- `ConfusionMatrix.normalised`: shares of a row (efficiencies), of a column (purities), or of all.

Rows are true classes and columns predicted ones, as in scikit-learn; other people exchange them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError, did_you_mean
from townsend.evaluate.classification import ratio
from townsend.evaluate.weights import checked_weights

__all__ = ["AXES", "ConfusionMatrix", "checked_classes", "confusion_matrix"]

Floats = NDArray[np.float64]

AXES = "rows: true class, columns: predicted class"
_NORMALISATIONS = ("true", "predicted", "all")


@dataclass(frozen=True)
class ConfusionMatrix:
    """Events by true and predicted class.

    Arguments:
        classes: K names; rows are true classes, columns predicted ones, both in this order.
        counts: (K, K) numbers of events.
        sums: (K, K) sums of their weights, with their sign; errors: (K, K) sqrt(sum of w^2).
    """

    classes: tuple[str, ...]
    counts: NDArray[np.intp]
    sums: Floats
    errors: Floats

    @property
    def axes(self) -> str:
        """Return which axis is which, for titles."""
        return AXES

    def normalised(self, by: str) -> Floats:
        """Return the sums divided by those of the row ("true"), of the column ("predicted") or of "all".

        With "true" the diagonal holds the efficiencies, with "predicted" the purities. Rows or columns that sum to zero
        stay zero. Raises InputError for another word.
        """
        if by not in _NORMALISATIONS:
            msg = f'a confusion matrix is normalised by true, predicted or all (got "{by}")'
            raise InputError(msg + did_you_mean(by, _NORMALISATIONS))
        if by == "all":
            return ratio(self.sums, self.sums.sum())
        return ratio(self.sums, self.sums.sum(axis=1 if by == "true" else 0, keepdims=True))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return {
            "axes": AXES,
            "classes": list(self.classes),
            "counts": self.counts.tolist(),
            "sums": self.sums.tolist(),
            "errors": self.errors.tolist(),
        }


def checked_classes(labels: ArrayLike, classes: int, what: str = "labels") -> NDArray[np.intp]:
    """Return flat class indices.

    Raises InputError for anything but whole numbers from 0 to classes - 1.
    """
    given = np.asarray(labels).reshape(-1)
    whole = np.isin(given, np.arange(classes))
    if not whole.all():
        msg = f"{what} must be class numbers from 0 to {classes - 1} (got {given[~whole][0]}); check the column"
        raise InputError(msg)
    return given.astype(np.intp)


def confusion_matrix(
    truth: ArrayLike, predicted: ArrayLike, classes: Sequence[str], weights: ArrayLike | None = None
) -> ConfusionMatrix:
    """Return the matrix of true and predicted classes.

    Arguments:
        truth, predicted: (n,) class numbers 0 ... K - 1; classes: K names.
        weights: (n,) of either sign, None for one each.

    Raises InputError when lengths differ, a class number is none, or weights cannot be used.
    """
    size = len(classes)
    true, guess = checked_classes(truth, size), checked_classes(predicted, size, "predicted classes")
    if len(true) != len(guess):
        rule = "labels and predictions must have one entry an example"
        msg = f"{rule} (got {len(true)} and {len(guess)}); check the split"
        raise InputError(msg)
    weight, cell = checked_weights(weights, len(true)), size * true + guess
    shape = (size, size)
    counts = np.bincount(cell, minlength=size**2).astype(np.intp).reshape(shape)
    sums = np.asarray(np.bincount(cell, weights=weight, minlength=size**2), np.float64).reshape(shape)
    squares = np.asarray(np.bincount(cell, weights=weight**2, minlength=size**2), np.float64).reshape(shape)
    return ConfusionMatrix(tuple(classes), counts, sums, np.sqrt(squares))
