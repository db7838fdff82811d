"""Is one model better than another? Both judged on the same events.

What to use when
----------------
- `compare_models`: differences of all figures with paired errors, and a verdict on the AUC.
- `mcnemar`: whether two models are right equally often, from the events on which only one is.

Two models of the same events share most of their luck, so the error of a difference is far smaller than the errors of
both in quadrature suggest. Here what each event (or group) moves the one figure is subtracted from what it moves the
other: for the AUC of independent events of weight one this is DeLong, DeLong and Clarke-Pearson, Biometrics 44 (1988)
837, doi:10.2307/2531595; with groups, Obuchowski's; with weights of either sign, the same with weighted placements.

A p value is the chance to see at least this difference between equally good models. It says nothing of other training
runs of the same models: repeat the training to learn that spread.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.bootstrap import AucByGroup, auc_by_group
from townsend.evaluate.classification import checked
from townsend.evaluate.curves import average_precision_by_group
from townsend.evaluate.linearised import GroupedEvents, Linearised, combined, grouped_events, of_cells
from townsend.evaluate.threshold_figures import THRESHOLD_FIGURES
from townsend.evaluate.verdict import Verdict
from townsend.evaluate.weights import WeightSummary, summary_of
from townsend.tasks.base import Metric

__all__ = ["MAX_P_VALUE", "Comparison", "ComparisonRow", "McNemar", "compare_models", "difference_verdict", "mcnemar"]

Floats = NDArray[np.float64]

MAX_P_VALUE = 0.05
"""p value of the difference of AUC below which one model is called better."""

_SMALLEST_SHOWN = 1e-12
_COMPARED = (
    "accuracy",
    "balanced_accuracy",
    "precision",
    "recall",
    "false_positive_rate",
    "f1",
    "efficiency_x_purity",
    "corner_distance",
)


@dataclass(frozen=True)
class ComparisonRow:
    """One figure of both models.

    Arguments:
        a, b: the figure with its own error; difference: a - b with its paired error.
        p: two-sided, of the difference over its error; NaN where no error is known.
    """

    name: str
    a: Metric
    b: Metric
    difference: Metric
    p: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        metrics = {"a": self.a, "b": self.b, "difference": self.difference}
        finite = {key: [x if math.isfinite(x) else None for x in metric] for key, metric in metrics.items()}
        return {"name": self.name, **finite, "p": self.p if math.isfinite(self.p) else None}


@dataclass(frozen=True)
class McNemar:
    """Events on which only one model is right.

    Arguments:
        only_a, only_b: sums of their weights; p: two-sided; method: how p was found.
    """

    only_a: float
    only_b: float
    p: float
    method: str


@dataclass(frozen=True)
class Comparison:
    """Two models on the same events.

    Arguments:
        verdict: ok where the AUCs tell which is better.
        rows: "auc", "average_precision" and figures at the models' own thresholds.
        mcnemar: of the right predictions; weights: what the weights are like.
    """

    verdict: Verdict
    rows: tuple[ComparisonRow, ...]
    mcnemar: McNemar
    weights: WeightSummary

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        return {
            "verdict": self.verdict.to_json(),
            "rows": [row.to_json() for row in self.rows],
            "mcnemar": {**vars(self.mcnemar)},
            "weights": self.weights.to_json(),
        }


def compare_models(
    scores_a: ArrayLike,
    scores_b: ArrayLike,
    labels: ArrayLike,
    group: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    threshold_a: float = 0.5,
    threshold_b: float = 0.5,
    names: tuple[str, str] = ("A", "B"),
) -> Comparison:
    """Return the differences of two models with paired errors.

    Arguments:
        scores_a, scores_b: (n,) scores of the same events in the same order; they need not have one scale.
        labels: (n,) 1 for signal, 0 for background; group: (n,) labels of dependent events, None for none.
        weights: (n,) of either sign, None for one each.
        threshold_a, threshold_b: at which each model was to be cut, chosen on other events.
        names: of the models in the verdict.

    Errors are normal approximations, poor for fewer than about 20 groups that hold signal or background.

    Raises InputError as `townsend.evaluate.classification_table.classification_table`.
    """
    (values_a, signal), (values_b, _) = checked(scores_a, labels), checked(scores_b, labels)
    events = grouped_events(len(signal), weights, group, signal)
    summary = summary_of(weights, len(signal))
    accepted_a, accepted_b = values_a >= threshold_a, values_b >= threshold_b
    cells = [2 * (~accepted).astype(np.intp) + ~signal for accepted in (accepted_a, accepted_b)]
    auc = _auc_row(values_a, values_b, signal, events, weighted=summary.kind != "none")
    rows = [
        auc,
        _row("average_precision", *(average_precision_by_group(v, signal, events) for v in (values_a, values_b))),
    ]
    for name in _COMPARED:
        figure: Callable[[Floats], Floats] = THRESHOLD_FIGURES[name].function
        rows.append(_row(name, *(of_cells(figure, cell, 4, events) for cell in cells)))
    right_a, right_b = accepted_a == signal, accepted_b == signal
    return Comparison(_verdict(auc, names), tuple(rows), _mcnemar(right_a, right_b, events, summary.kind), summary)


def _auc_row(
    values_a: Floats, values_b: Floats, signal: NDArray[np.bool_], events: GroupedEvents, weighted: bool
) -> ComparisonRow:
    number = np.arange(len(signal)) if events.number is None else events.number
    weight = events.weight if weighted else None
    a, b = (auc_by_group(values, signal, number, events.groups, weight) for values in (values_a, values_b))
    metrics = [_metric(one) for one in (a, b, a.minus(b))]
    return ComparisonRow("auc", metrics[0], metrics[1], metrics[2], _p_value(metrics[2]))


def _metric(found: AucByGroup) -> Metric:
    return Metric(found.value, found.error)


def _row(name: str, a: Linearised, b: Linearised) -> ComparisonRow:
    difference = combined([a, b], [1.0, -1.0]).metric
    return ComparisonRow(name, a.metric, b.metric, difference, _p_value(difference))


def _p_value(difference: Metric) -> float:
    if difference.error == 0:
        return 1.0 if difference.value == 0 else 0.0
    return math.erfc(abs(difference.value / difference.error) / math.sqrt(2))


def _verdict(auc: ComparisonRow, names: tuple[str, str]) -> Verdict:
    return difference_verdict(auc, names, "AUC")


def difference_verdict(row: ComparisonRow, names: tuple[str, str], figure: str) -> Verdict:
    """Return which model is better by one figure, of which more is better.

    Arguments:
        row: of a comparison; names: of models a and b; figure: what it is called.
    """
    value, error = row.difference
    (better, high), (worse, low) = sorted(zip(names, (row.a.value, row.b.value), strict=True), key=lambda one: -one[1])
    chance = "p below 1e-12" if row.p < _SMALLEST_SHOWN else f"p {row.p:.2g}"  # tails are not normal that far out
    figures = f"{abs(value):.4f} ± {error:.4f} in {figure} ({high:.4f} against {low:.4f}), {chance}"
    if row.p < MAX_P_VALUE:
        return Verdict(True, f"{better} better than {worse} by {figures}")
    return Verdict(False, f"{better} and {worse} cannot be told apart: they differ by {figures}; give more events")


def mcnemar(
    right_a: ArrayLike, right_b: ArrayLike, weights: ArrayLike | None = None, group: ArrayLike | None = None
) -> McNemar:
    """Return whether two models are right equally often, judged by the events on which only one is.

    For independent events of weight one, the exact binomial test (McNemar, Psychometrika 12 (1947) 153,
    doi:10.1007/BF02295996). With weights or groups, the difference of the two sums over its error from the squared sums
    of each group, a normal approximation that for weights of one is McNemar's chi-squared without correction.

    Arguments:
        right_a, right_b: (n,) True where the model is right; weights, group: (n,) as `compare_models`.

    Raises InputError when lengths differ, weights cannot be used, or there are fewer than two groups.
    """
    first, second = np.asarray(right_a, bool).reshape(-1), np.asarray(right_b, bool).reshape(-1)
    events = grouped_events(len(first), weights, group)
    return _mcnemar(first, second, events, "none" if weights is None else "weighted")


def _mcnemar(first: NDArray[np.bool_], second: NDArray[np.bool_], events: GroupedEvents, kind: str) -> McNemar:
    only_a, only_b = (events.yield_of(chosen).value for chosen in (first & ~second, second & ~first))
    if kind == "none" and events.number is None:
        from scipy.special import bdtr

        discordant = int(only_a + only_b)
        tail = float(bdtr(min(only_a, only_b), discordant, 0.5)) if discordant else 1.0
        return McNemar(only_a, only_b, min(1.0, 2 * tail), "exact binomial test of independent events")
    moved = events.by_group(events.weight * (first.astype(np.float64) - second))
    difference = Metric(float(moved.sum()), float(np.sqrt(moved @ moved)))
    return McNemar(only_a, only_b, _p_value(difference), f"normal approximation, {events.method}")
