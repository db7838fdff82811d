"""Figures of merit of a classifier of three or more classes, with event weights of either sign.

What to use when
----------------
- `multiclass_table`: all figures with errors, from the probabilities of each class.
- Rows "auc_ovr...": one class against all others; they depend on how much there is of each other class.
- Rows "auc_ovo...": pairs of classes, Hand and Till, Machine Learning 45 (2001) 171, doi:10.1023/A:1010920819831; they
  do not. For a pair (i, j) it is the mean of the AUC of the i-th output and of the j-th, on events of i and j alone.

An event is predicted to be of the class with the largest output, the first of equal ones. For weights above zero the
values are scikit-learn's (which takes no weights for one-vs-one; here they enter as everywhere). For two classes use
`townsend.evaluate.classification_table`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.bootstrap import auc_by_group
from townsend.evaluate.classification import ratio
from townsend.evaluate.confusion_matrix import ConfusionMatrix, checked_classes, confusion_matrix
from townsend.evaluate.figure_rows import FigureRow, row_named
from townsend.evaluate.linearised import GroupedEvents, Linearised, combined, grouped_events, of_cells, of_sums
from townsend.evaluate.weights import WeightSummary, Yield, cancelled, summary_of

__all__ = ["MulticlassTable", "multiclass_table"]

Floats = NDArray[np.float64]

_SUM_TOLERANCE = 1e-4  # rows of a softmax in float32 sum to one within some 1e-6


@dataclass(frozen=True)
class MulticlassTable:
    """Figures of merit of K classes.

    Arguments:
        rows: the figures; those of one class are named "recall:CLASS", those of a pair "auc:CLASS|CLASS".
        confusion: the matrix of the most probable classes; weights: what the weights are like.
        yields: expected events of each class.
    """

    rows: tuple[FigureRow, ...]
    confusion: ConfusionMatrix
    weights: WeightSummary
    yields: tuple[Yield, ...]

    def row(self, name: str) -> FigureRow:
        """Return a figure by its name; raises InputError for an unknown one."""
        return row_named(self.rows, name)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        return {
            "weights": self.weights.to_json(),
            "yields": [list(one) for one in self.yields],
            "confusion": self.confusion.to_json(),
            "figures": [row.to_json() for row in self.rows],
        }


def multiclass_table(
    probabilities: ArrayLike,
    labels: ArrayLike,
    classes: Sequence[str],
    weights: ArrayLike | None = None,
    group: ArrayLike | None = None,
) -> MulticlassTable:
    """Return all figures with their errors, linearised over groups.

    Arguments:
        probabilities: (n, K) output of each class; log loss needs rows in [0, 1] that sum to one, and is NaN otherwise.
        labels: (n,) class numbers 0 ... K - 1, every class present; classes: K >= 2 names.
        weights: (n,) of either sign, None for one each; group: (n,) labels of dependent events, None for none.

    Raises InputError for wrong shapes, NaN outputs, an absent class, weights that cannot be used, and fewer than two
    groups.
    """
    outputs, truth = _checked(probabilities, labels, len(classes))
    events = grouped_events(len(truth), weights, group, truth)
    summary = summary_of(weights, len(truth))
    predicted = np.argmax(outputs, axis=1)
    found = [
        *_confusion_figures(truth, predicted, classes, events),
        *_one_vs_rest(outputs, truth, classes, events),
        *_one_vs_one(outputs, truth, classes, events),
    ]
    rows = [_row(name, words, figure, events, summary.kind) for name, words, figure in found]
    rows.append(_log_loss_row(outputs, truth, events, summary.kind))
    yields = tuple(events.yield_of(truth == number) for number in range(len(classes)))
    return MulticlassTable(tuple(rows), confusion_matrix(truth, predicted, classes, weights), summary, yields)


def _checked(probabilities: ArrayLike, labels: ArrayLike, classes: int) -> tuple[Floats, NDArray[np.intp]]:
    outputs = np.asarray(probabilities, np.float64)
    truth = checked_classes(labels, classes)
    if classes < 2 or outputs.shape != (len(truth), classes):
        rule = "probabilities must have one row an example and one column a class, two or more"
        msg = f"{rule} (got shape {outputs.shape} for {len(truth)} labels of {classes} classes); check the split"
        raise InputError(msg)
    if np.isnan(outputs).any():
        msg = f"scores must be numbers (got {int(np.isnan(outputs).sum())} NaN); the network diverged, train it again"
        raise InputError(msg)
    absent = np.setdiff1d(np.arange(classes), truth)
    if len(absent):
        msg = f"labels must hold every class (got none of class {absent[0]} among {len(truth)}); give more examples"
        raise InputError(msg)
    return outputs, truth


_Named = tuple[str, str, Linearised]


def _row(name: str, words: str, figure: Linearised, events: GroupedEvents, kind: str) -> FigureRow:
    undefined = "undefined: sums of signed weights allow no such ratio"
    return FigureRow(name, *figure.metric, words, events.method if np.isfinite(figure.value) else undefined, kind)


def _confusion_figures(
    truth: NDArray[np.intp], predicted: NDArray[np.intp], classes: Sequence[str], events: GroupedEvents
) -> list[_Named]:
    size = len(classes)
    cell = size * truth + predicted

    def named(name: str, words: str, function: Callable[[Floats], Floats]) -> _Named:
        def of_flat(sums: Floats) -> Floats:
            return function(sums.reshape(*sums.shape[:-1], size, size))

        return name, words, of_cells(of_flat, cell, size**2, events)

    overall = [
        named("accuracy", "share of right predictions", _accuracy),
        named("balanced_accuracy", "mean recall of the classes, macro recall", lambda table: _recall(table).mean(-1)),
        named("precision_macro", "mean precision of the classes", lambda table: _precision(table).mean(-1)),
        named("f1_macro", "mean F1 of the classes", lambda table: _f1(table).mean(-1)),
        named("f1_weighted", "mean F1 of the classes, weighted by their sums of true weights", _f1_weighted),
        named("matthews", "Matthews correlation coefficient of K classes (Gorodkin 2004)", _matthews),
        named("cohen_kappa", "agreement of truth and prediction beyond chance", _kappa),
    ]
    shares = {
        "recall": ("share of the true class that is predicted so, efficiency", _recall),
        "precision": ("share of the predicted class that is truly so, purity", _precision),
        "f1": ("harmonic mean of precision and recall of the class", _f1),
    }
    single = [
        named(f"{name}:{label}", words, _of_class(function, number))
        for name, (words, function) in shares.items()
        for number, label in enumerate(classes)
    ]
    return overall + single


def _of_class(function: Callable[[Floats], Floats], number: int) -> Callable[[Floats], Floats]:
    return lambda table: function(table)[..., number]


def _diagonal(table: Floats) -> Floats:
    return np.diagonal(table, axis1=-2, axis2=-1)


def _accuracy(table: Floats) -> Floats:
    return ratio(_diagonal(table).sum(-1), table.sum((-2, -1)))


def _recall(table: Floats) -> Floats:
    return ratio(_diagonal(table), table.sum(-1))


def _precision(table: Floats) -> Floats:
    return ratio(_diagonal(table), table.sum(-2))


def _f1(table: Floats) -> Floats:
    return ratio(2 * _diagonal(table), table.sum(-1) + table.sum(-2))


def _f1_weighted(table: Floats) -> Floats:
    true = table.sum(-1)
    return ratio((true * _f1(table)).sum(-1), true.sum(-1))


def _matthews(table: Floats) -> Floats:
    true, predicted, total = table.sum(-1), table.sum(-2), table.sum((-2, -1))
    product = (total**2 - (true**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    root = np.sqrt(np.where(product >= 0, product, np.nan))
    return ratio(_diagonal(table).sum(-1) * total - (true * predicted).sum(-1), root)


def _kappa(table: Floats) -> Floats:
    total = table.sum((-2, -1))
    chance = (table.sum(-1) * table.sum(-2)).sum(-1)
    return ratio(_diagonal(table).sum(-1) * total - chance, total**2 - chance)


def _auc(values: Floats, signal: NDArray[np.bool_], chosen: NDArray[np.bool_], events: GroupedEvents) -> Linearised:
    """Return the AUC of some of the events, and how much each group of all moves it; NaN where a side cancels."""
    if any(cancelled(events.weight[chosen & side]) for side in (signal, ~signal)):
        return Linearised(float("nan"), np.full(events.groups, np.nan))
    number = np.flatnonzero(chosen) if events.number is None else events.number[chosen]
    found = auc_by_group(values[chosen], signal[chosen], number, events.groups, events.weight[chosen])
    return Linearised(found.value, found.positive + found.negative)


def _one_vs_rest(
    outputs: Floats, truth: NDArray[np.intp], classes: Sequence[str], events: GroupedEvents
) -> list[_Named]:
    every, numbers = np.ones(len(truth), bool), range(len(classes))
    single = [_auc(outputs[:, number], truth == number, every, events) for number in numbers]
    share = np.array([events.weight[truth == number].sum() for number in numbers]) / events.weight.sum()
    values = np.array([one.value for one in single])
    macro = combined(single, [1 / len(classes)] * len(classes))
    weighted = _with_shares(combined(single, list(share)), values[truth], events)
    words = "AUC of one class against all others"
    return [
        ("auc_ovr_macro", f"{words}, mean over classes", macro),
        ("auc_ovr_weighted", f"{words}, mean weighted by the classes' sums of weights", weighted),
        *((f"auc:{label}", words, one) for label, one in zip(classes, single, strict=True)),
    ]


def _one_vs_one(
    outputs: Floats, truth: NDArray[np.intp], classes: Sequence[str], events: GroupedEvents
) -> list[_Named]:
    size = len(classes)
    pairs = list(combinations(range(size), 2))
    found = []
    for first, second in pairs:
        chosen = (truth == first) | (truth == second)
        both = [_auc(outputs[:, number], truth == number, chosen, events) for number in (first, second)]
        found.append(combined(both, [0.5, 0.5]))
    sums = np.array([events.weight[truth == number].sum() for number in range(size)])
    share = [float(sums[first] + sums[second]) / (float(sums.sum()) * (size - 1)) for first, second in pairs]
    of_class = np.zeros(size)  # mean AUC of the pairs that hold a class
    for (first, second), one in zip(pairs, found, strict=True):
        of_class[[first, second]] += one.value / (size - 1)
    weighted = _with_shares(combined(found, share), of_class[truth], events)
    words = "AUC of pairs of classes (Hand and Till 2001)"
    return [
        ("auc_ovo_macro", f"{words}, mean over pairs", combined(found, [1 / len(pairs)] * len(pairs))),
        ("auc_ovo_weighted", f"{words}, mean weighted by the pairs' sums of weights", weighted),
        *(
            (f"auc:{classes[first]}|{classes[second]}", "AUC of this pair of classes", one)
            for (first, second), one in zip(pairs, found, strict=True)
        ),
    ]


def _with_shares(mean: Linearised, of_class: Floats, events: GroupedEvents) -> Linearised:
    """Return a mean weighted by shares of classes, with what each event moves the shares: (n,) figure of its class."""
    shift = events.by_group(events.weight * (of_class - mean.value)) / events.weight.sum()
    return Linearised(mean.value, mean.by_group + shift)


def _log_loss_row(outputs: Floats, truth: NDArray[np.intp], events: GroupedEvents, kind: str) -> FigureRow:
    name, words = "log_loss", "log loss, cross-entropy, mean of -ln(probability of the true class)"
    sums = outputs.sum(axis=1)
    wrong = ((outputs < 0) | (outputs > 1)).any(axis=1) | ~(np.abs(sums - 1) <= _SUM_TOLERANCE)
    if wrong.any():
        method = f"undefined: {np.count_nonzero(wrong):,} rows are no probabilities in [0, 1] that sum to one"
        return FigureRow(name, float("nan"), float("nan"), words, method, kind)
    least = np.finfo(np.float64).eps
    of_truth = outputs[np.arange(len(truth)), truth]
    clipped = int(np.count_nonzero(of_truth < least))
    loss = -np.log(np.clip(of_truth, least, 1 - least))
    figure = of_sums(lambda sums: ratio(sums[..., 1], sums[..., 0]), [np.ones(len(truth)), loss], events)
    note = f"; {clipped:,} probabilities of zero taken as {least:.1e}" if clipped else ""
    return FigureRow(name, *figure.metric, words, events.method + note, kind)
