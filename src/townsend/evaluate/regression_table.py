"""Every figure of merit of predicted numbers in one table, with event weights of either sign.

What to use when
----------------
- `regression_table`: all figures with errors.
- `townsend.evaluate.regression.regression_figures`: the short list without weights that boards use.

One definition serves all weights: for weights above zero the values are scikit-learn's, except where that replaces
what does not exist by a number (explained variance of a constant truth, relative error of a truth of zero): here it is
NaN, and the row says why. A median and a largest value are no functions of sums: the first does not exist for signed
weights, the second takes no weights.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.classification import ratio
from townsend.evaluate.figure_rows import FigureRow, row_named
from townsend.evaluate.linearised import GroupedEvents, grouped_events, of_sums
from townsend.evaluate.weights import WeightSummary, summary_of

__all__ = ["RegressionTable", "regression_table"]

Floats = NDArray[np.float64]
Figure = Callable[[Floats], Floats]

_NAN = float("nan")


@dataclass(frozen=True)
class RegressionTable:
    """Figures of merit of predicted numbers: the rows, and what the weights are like."""

    rows: tuple[FigureRow, ...]
    weights: WeightSummary

    def row(self, name: str) -> FigureRow:
        """Return a figure by its name; raises InputError for an unknown one."""
        return row_named(self.rows, name)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        return {"weights": self.weights.to_json(), "figures": [row.to_json() for row in self.rows]}


def regression_table(
    predicted: ArrayLike, truth: ArrayLike, weights: ArrayLike | None = None, group: ArrayLike | None = None
) -> RegressionTable:
    """Return all figures with their errors, linearised over groups where the figure is smooth.

    Arguments:
        predicted, truth: (n,) finite numbers of one unit.
        weights: (n,) of either sign, None for one each; group: (n,) labels of dependent events, None for none.

    Raises InputError for unequal lengths, numbers that are not finite, weights that cannot be used or sum to zero, and
    fewer than two groups.
    """
    guess, true = _checked(predicted, truth)
    events = grouped_events(len(true), weights, group, np.zeros(len(true)))
    summary = summary_of(weights, len(true))
    rows = [
        *_mean_rows(guess, true, events, summary.kind),
        *_spread_rows(guess, true, events, summary.kind),
        *_relative_rows(guess, true, events, summary.kind),
        _median_row(np.abs(guess - true), events, summary.kind),
        _max_row(np.abs(guess - true), summary.kind),
    ]
    return RegressionTable(tuple(rows), summary)


def _checked(predicted: ArrayLike, truth: ArrayLike) -> tuple[Floats, Floats]:
    guess, true = (np.asarray(column, np.float64).reshape(-1) for column in (predicted, truth))
    if len(guess) != len(true):
        rule = "predicted and true numbers must have one entry an example"
        msg = f"{rule} (got {len(guess)} and {len(true)}); check the split"
        raise InputError(msg)
    bad = int(np.count_nonzero(~(np.isfinite(guess) & np.isfinite(true))))
    if bad:
        msg = f"predicted and true numbers must be finite (got {bad} of {len(true)} that are not); train again"
        raise InputError(msg)
    return guess, true


def _mean(sums: Floats) -> Floats:
    return ratio(sums[..., 1], sums[..., 0])


def _root_mean(sums: Floats) -> Floats:
    mean = _mean(sums)
    return np.sqrt(np.where(mean >= 0, mean, np.nan))


def _row(
    name: str, words: str, figure: Figure, columns: list[Floats], events: GroupedEvents, kind: str, why_not: str
) -> FigureRow:
    metric = of_sums(figure, columns, events).metric
    return FigureRow(
        name, *metric, words, events.method if np.isfinite(metric.value) else f"undefined: {why_not}", kind
    )


def _mean_rows(guess: Floats, true: Floats, events: GroupedEvents, kind: str) -> list[FigureRow]:
    difference, ones = guess - true, np.ones(len(true))
    means: dict[str, tuple[str, Figure, Floats]] = {
        "bias": ("mean of predicted - true", _mean, difference),
        "mse": ("mean squared error", _mean, difference**2),
        "rmse": ("root of the mean squared error", _root_mean, difference**2),
        "mae": ("mean absolute error", _mean, np.abs(difference)),
    }
    why_not = "signed weights make the mean square negative"
    return [
        _row(name, words, figure, [ones, column], events, kind, why_not)
        for name, (words, figure, column) in means.items()
    ]


def _spread_rows(guess: Floats, true: Floats, events: GroupedEvents, kind: str) -> list[FigureRow]:
    difference, ones = guess - true, np.ones(len(true))
    total = events.weight.sum()
    # Measured from their means, which are then numbers and no statistics: squares of large numbers lose digits.
    off = true - events.weight @ true / total
    wrong = difference - events.weight @ difference / total

    def spread(sums: Floats, first: int) -> Floats:
        return sums[..., first + 1] - ratio(sums[..., first] ** 2, sums[..., 0])

    def r2(sums: Floats) -> Floats:
        of_truth = spread(sums, 1)
        return 1 - sums[..., 3] / np.where(of_truth > 0, of_truth, np.nan)

    def explained_variance(sums: Floats) -> Floats:
        of_truth = spread(sums, 1)
        return 1 - spread(sums, 3) / np.where(of_truth > 0, of_truth, np.nan)

    why_not = "the truth has no spread, or signed weights make its variance negative"
    return [
        _row(
            "r2",
            "share of the truth's variance explained, R^2",
            r2,
            [ones, off, off**2, difference**2],
            events,
            kind,
            why_not,
        ),
        _row(
            "explained_variance",
            "as R^2, with the mean error taken out",
            explained_variance,
            [ones, off, off**2, wrong, wrong**2],
            events,
            kind,
            why_not,
        ),
    ]


def _relative_rows(guess: Floats, true: Floats, events: GroupedEvents, kind: str) -> list[FigureRow]:
    from scipy.special import xlogy

    figures: dict[str, tuple[str, bool, str, Callable[[], Floats]]] = {
        "mape": (
            "mean absolute relative error, |predicted - true| / |true|",
            bool((true != 0).all()),
            "some true numbers are zero",
            lambda: np.abs(guess - true) / np.abs(true),
        ),
        "msle": (
            "mean squared difference of ln(1 + x)",
            bool((true > -1).all() and (guess > -1).all()),
            "some numbers are not above -1",
            lambda: (np.log1p(true) - np.log1p(guess)) ** 2,
        ),
        "poisson_deviance": (
            "mean Poisson deviance, 2 (true ln(true / predicted) - true + predicted)",
            bool((true >= 0).all() and (guess > 0).all()),
            "it needs true numbers of zero or more and predictions above zero",
            lambda: np.asarray(2 * (xlogy(true, true) - xlogy(true, guess) - true + guess), np.float64),
        ),
    }
    rows = []
    for name, (words, exists, why_not, column) in figures.items():
        if exists:
            rows.append(_row(name, words, _mean, [np.ones(len(true)), column()], events, kind, why_not))
        else:
            rows.append(FigureRow(name, _NAN, _NAN, words, f"undefined: {why_not}", kind))
    return rows


def _quantile(ascending: Floats, cumulative: Floats, share: float) -> float:
    """Return the weighted quantile; where it falls between two numbers, their mean (Hyndman and Fan 1996, type 2)."""
    target = share * cumulative[-1]
    row = min(int(np.searchsorted(cumulative, target * (1 - 1e-14))), len(ascending) - 1)
    between = cumulative[row] <= target * (1 + 1e-14) and row + 1 < len(ascending)
    return float(0.5 * (ascending[row] + ascending[row + 1])) if between else float(ascending[row])


def _median_row(size: Floats, events: GroupedEvents, kind: str) -> FigureRow:
    name, words = "median_absolute_error", "weighted median of |predicted - true|"
    if (events.weight < 0).any():
        return FigureRow(name, _NAN, _NAN, words, "undefined: signed weights have no median", kind)
    used = np.flatnonzero(events.weight > 0)
    order = used[np.argsort(size[used], kind="stable")]
    ascending, cumulative = size[order], np.cumsum(events.weight[order])
    median = _quantile(ascending, cumulative, 0.5)
    below = of_sums(_mean, [np.ones(len(size)), (size <= median).astype(np.float64)], events).metric
    low, high = (
        _quantile(ascending, cumulative, min(max(0.5 + step, 0.0), 1.0)) for step in (-below.error, below.error)
    )
    method = f"half of Woodruff's interval (J. Am. Stat. Assoc. 47 (1952) 635), {events.method}"
    return FigureRow(name, median, 0.5 * (high - low), words, method, kind)


def _max_row(size: Floats, kind: str) -> FigureRow:
    method = "none: the largest of a sample has no error that the sample could tell"
    words = "largest |predicted - true| of any event"
    return FigureRow("max_error", float(size.max()), _NAN, words, method, "none" if kind == "none" else "ignored")
