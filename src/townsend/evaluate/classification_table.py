"""Every figure of merit of a classifier of two classes in one table, with event weights of either sign.

What to use when
----------------
- `classification_table`: at one threshold, with errors.
- `ClassificationTable.row`: one figure, by its own or another name ("purity", "efficiency", "fpr", "mcc", "d").

One definition serves all weights: for weights above zero the values are scikit-learn's (tests hold them to 1e-12), for
signed weights the same functions of sums taken with their sign. Left out are figures of rankings of many answers (DCG)
and of margins (hinge loss). For two classes the Hamming loss is the zero-one loss.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.bootstrap import auc_by_group
from townsend.evaluate.classification import checked, ratio
from townsend.evaluate.confusion_matrix import ConfusionMatrix, confusion_matrix
from townsend.evaluate.curves import average_precision_by_group
from townsend.evaluate.figure_rows import FigureRow, row_named
from townsend.evaluate.linearised import GroupedEvents, grouped_events, of_cells, of_sums
from townsend.evaluate.threshold_figures import OTHER_NAMES, THRESHOLD_FIGURES
from townsend.evaluate.weights import WeightSummary, Yield, summary_of

__all__ = ["ClassificationTable", "classification_table"]

Floats = NDArray[np.float64]

_PROBABILITY_FIGURES = {
    "brier": "Brier score, mean of (score - label)^2",
    "log_loss": "log loss, cross-entropy, mean of -ln(probability of the true class)",
}


@dataclass(frozen=True)
class ClassificationTable:
    """Figures of merit of a score that separates signal (label 1) from background (label 0).

    Arguments:
        threshold: predicted signal is score >= threshold.
        rows: the figures; confusion: the matrix at the threshold, background first.
        weights: what the weights are like.
        yields: expected background and signal of the whole set; accepted: of what passes the threshold.
    """

    threshold: float
    rows: tuple[FigureRow, ...]
    confusion: ConfusionMatrix
    weights: WeightSummary
    yields: tuple[Yield, ...]
    accepted: tuple[Yield, ...]

    def row(self, name: str) -> FigureRow:
        """Return a figure by its own name or one of `OTHER_NAMES`; raises InputError for an unknown one."""
        return row_named(self.rows, OTHER_NAMES.get(name, name))

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        return {
            "threshold": self.threshold,
            "weights": self.weights.to_json(),
            "yields": [list(one) for one in self.yields],
            "accepted": [list(one) for one in self.accepted],
            "confusion": self.confusion.to_json(),
            "figures": [row.to_json() for row in self.rows],
        }


def classification_table(
    scores: ArrayLike,
    labels: ArrayLike,
    threshold: float,
    weights: ArrayLike | None = None,
    group: ArrayLike | None = None,
    classes: Sequence[str] = ("background", "signal"),
) -> ClassificationTable:
    """Return all figures with their errors.

    Arguments:
        scores: (n,) numbers; Brier score and log loss need them in [0, 1] and are NaN otherwise.
        labels: (n,) 1 for signal, 0 for background; threshold: as chosen on another set.
        weights: (n,) of either sign, None for one each; group: (n,) labels of dependent events, None where each is its
            own; classes: names of label 0 and 1.

    Errors are linearised over groups (`townsend.evaluate.linearised`), that of AUC is DeLong's and Obuchowski's.

    Raises InputError for unequal lengths, NaN scores, one class only, weights that cannot be used, and fewer than two
    groups.
    """
    values, signal = checked(scores, labels)
    events = grouped_events(len(values), weights, group, signal)
    summary = summary_of(weights, len(values))
    accepted = values >= threshold
    rows = [
        *_threshold_rows(signal, accepted, events, summary.kind),
        _auc_row(values, signal, events, summary.kind),
        _average_precision_row(values, signal, events, summary.kind),
        *_probability_rows(values, signal, events, summary.kind),
    ]
    matrix = confusion_matrix(signal, accepted, classes, weights)
    yields = tuple(events.yield_of(chosen) for chosen in (~signal, signal))
    kept = tuple(events.yield_of(chosen & accepted) for chosen in (~signal, signal))
    return ClassificationTable(float(threshold), tuple(rows), matrix, summary, yields, kept)


def _threshold_rows(
    signal: NDArray[np.bool_], accepted: NDArray[np.bool_], events: GroupedEvents, kind: str
) -> list[FigureRow]:
    cell = 2 * (~accepted).astype(np.intp) + ~signal  # tp, fp, fn, tn
    rows = []
    for name, figure in THRESHOLD_FIGURES.items():
        value, error = of_cells(figure.function, cell, 4, events).metric
        method = events.method
        if not np.isfinite(value):
            reason = "no background accepted" if np.isinf(value) else "sums of signed weights allow no such ratio"
            method = f"undefined: {reason}"
        rows.append(FigureRow(name, value, error, figure.words, method, kind))
    return rows


def _auc_row(values: Floats, signal: NDArray[np.bool_], events: GroupedEvents, kind: str) -> FigureRow:
    number = np.arange(len(values)) if events.number is None else events.number
    found = auc_by_group(values, signal, number, events.groups, None if kind == "none" else events.weight)
    method = "analytic, DeLong" if events.number is None else "analytic, Obuchowski over groups"
    words = "area under the ROC curve: probability that signal scores above background, ties half"
    return FigureRow("auc", found.value, found.error, words, method, kind)


def _average_precision_row(values: Floats, signal: NDArray[np.bool_], events: GroupedEvents, kind: str) -> FigureRow:
    found = average_precision_by_group(values, signal, events).metric
    words = "mean precision over signal events, area under the precision-recall steps"
    return FigureRow("average_precision", *found, words, events.method, kind)


def _mean(sums: Floats) -> Floats:
    return ratio(sums[..., 1], sums[..., 0])


def _probability_rows(values: Floats, signal: NDArray[np.bool_], events: GroupedEvents, kind: str) -> list[FigureRow]:
    outside = int(np.count_nonzero((values < 0) | (values > 1)))
    if outside:
        method = f"undefined: {outside:,} scores lie outside [0, 1], so they are no probabilities"
        nan = float("nan")
        return [FigureRow(name, nan, nan, words, method, kind) for name, words in _PROBABILITY_FIGURES.items()]
    # As scikit-learn: a probability of exactly zero for what happened would cost an infinite log loss.
    least = np.finfo(np.float64).eps
    of_truth = np.where(signal, values, 1 - values)
    clipped = int(np.count_nonzero(of_truth < least))
    losses = {"brier": (1 - of_truth) ** 2, "log_loss": -np.log(np.clip(of_truth, least, 1 - least))}
    rows = []
    for name, words in _PROBABILITY_FIGURES.items():
        metric = of_sums(_mean, [np.ones(len(values)), losses[name]], events).metric
        note = f"; {clipped:,} probabilities of zero taken as {least:.1e}" if clipped and name == "log_loss" else ""
        rows.append(FigureRow(name, *metric, words, events.method + note, kind))
    return rows
