"""Statistical errors of figures whose examples come in groups (waveforms, events).

What to use when
----------------
- `clustered_auc`: AUC with its analytic error, one pass; the default of every board.
- `bootstrap_auc`: the same error by resampling, to check the former.
- `bootstrap_figures`: any functions of sums over groups (efficiency, purity, F1, their product ...).
- `confusion_by_group`: such sums.
- `townsend.evaluate.linearised`: the same errors without resampling, for many groups.
- `auc_by_group`: how much each group moves the AUC, to compare AUCs of the same events.

Examples of one group share a waveform, its noise and its pile-up: they are not independent, so a group is
drawn or left as a whole. Errors are one standard deviation. Weights may be of either sign: they belong to their
examples, are drawn with them and summed with their sign. All resampling starts from `BOOTSTRAP_SEED`
unless another seed is given, so that a board can be repeated to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.classification import auc, checked
from townsend.evaluate.weights import checked_weights
from townsend.tasks.base import Metric

__all__ = [
    "BOOTSTRAP_SEED",
    "RESAMPLES",
    "AucByGroup",
    "auc_by_group",
    "bootstrap_auc",
    "bootstrap_figures",
    "clustered_auc",
    "confusion_by_group",
    "numbered",
]

BOOTSTRAP_SEED = 1901  # the year of Townsend's paper on ionization by collision
RESAMPLES = 1000

Floats = NDArray[np.float64]
_CHUNK_ENTRIES = 4_000_000  # weights held at a time: 16 MB, whatever the number of groups


def _weight_chunks(groups: int, resamples: int, seed: int) -> Iterator[NDArray[np.int32]]:
    """Yield (rows, groups): how often each group is drawn in each resample, `resamples` rows in all.

    Rows are multinomial: as many groups are drawn, with replacement, as there are. The numbers do not depend on the
    chunking.
    """
    rng = np.random.default_rng(seed)
    rows = max(1, _CHUNK_ENTRIES // max(groups, 1))
    for start in range(0, resamples, rows):
        chunk = np.empty((min(rows, resamples - start), groups), np.int32)
        for row in chunk:
            row[:] = np.bincount(rng.integers(0, groups, size=groups), minlength=groups)
        yield chunk


def numbered(group: ArrayLike, examples: int | None = None) -> tuple[NDArray[np.intp], int]:
    """Return the number 0 ... n-1 of each example's group, in ascending order of the labels, and n.

    Raises InputError when lengths differ or there are fewer than two groups.
    """
    labels = np.asarray(group).reshape(-1)
    if examples is not None and len(labels) != examples:
        msg = f"group must have one entry an example (got {len(labels)} for {examples}); check the split"
        raise InputError(msg)
    found, number = np.unique(labels, return_inverse=True)
    _at_least_two(len(found))
    return number.reshape(-1), len(found)


def _at_least_two(groups: int) -> None:
    if groups < 2:
        msg = f"an error by groups needs at least 2 groups (got {groups}); give a larger sample"
        raise InputError(msg)


def confusion_by_group(
    scores: ArrayLike, labels: ArrayLike, group: ArrayLike, threshold: float, weights: ArrayLike | None = None
) -> Floats:
    """Return (groups, 4) counts tp, fp, fn, tn of each group at `threshold`, for `bootstrap_figures`.

    Arguments:
        scores, labels, weights: as `townsend.evaluate.classification.auc`; with weights, the sums of each cell.
        group: (n,) label of each example's group, at least 2 groups.
    """
    values, signal = checked(scores, labels)
    number, groups = numbered(group, len(values))
    weight = None if weights is None else checked_weights(weights, len(values), signal)
    cell = 2 * (values < threshold) + ~signal  # signal accepted 0, background accepted 1, signal lost 2, ...
    table = np.bincount(4 * number + cell, weights=weight, minlength=4 * groups)
    return table.reshape(groups, 4).astype(np.float64)


def bootstrap_figures(
    counts: ArrayLike,
    figures: Mapping[str, Callable[[Floats], Floats]],
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> dict[str, Metric]:
    """Return each figure of the summed counts, with its error over resampled groups.

    Arguments:
        counts: (groups, k) sums of each group, at least 2 groups; groups without any example count too.
        figures: name -> function of sums (..., k) that returns (...), for example
            `townsend.evaluate.classification.FIGURES`; must be finite for every resample.
        resamples: number of resamples, at least 2; seed: of the draws.
    """
    table = np.asarray(counts, dtype=np.float64)
    _at_least_two(len(table))
    sums = np.concatenate([weights @ table for weights in _weight_chunks(len(table), resamples, seed)])
    total = table.sum(axis=0)
    return {name: Metric(float(figure(total)), float(np.std(figure(sums), ddof=1))) for name, figure in figures.items()}


class AucByGroup(NamedTuple):
    """AUC, and how much each group moves it; for the difference of two AUCs of the same examples, subtract.

    Arguments:
        value: AUC.
        positive, negative: (groups,) sums over signal and over background of w (placement - AUC) / sum of w.
        with_positive, with_negative: groups that hold signal, background.
    """

    value: float
    positive: Floats
    negative: Floats
    with_positive: int
    with_negative: int

    @property
    def error(self) -> float:
        """Return one standard deviation, NaN where fewer than two groups hold signal or background."""
        if min(self.with_positive, self.with_negative) < 2:
            return float("nan")
        groups = len(self.positive)
        variance = (
            np.sum(self.positive**2) * self.with_positive / (self.with_positive - 1)
            + np.sum(self.negative**2) * self.with_negative / (self.with_negative - 1)
            + 2 * np.sum(self.positive * self.negative) * groups / (groups - 1)
        )
        return float(np.sqrt(max(variance, 0.0)))

    def minus(self, other: AucByGroup) -> AucByGroup:
        """Return the difference of two AUCs of the same examples and groups; what they share cancels in its error."""
        return self._replace(
            value=self.value - other.value,
            positive=self.positive - other.positive,
            negative=self.negative - other.negative,
        )


def clustered_auc(scores: ArrayLike, labels: ArrayLike, group: ArrayLike, weights: ArrayLike | None = None) -> Metric:
    """Return AUC with the analytic error for grouped examples, ties counted half.

    DeLong's variance with the placements summed over each group, and the covariance of signal and background
    of one group: Obuchowski, Biometrics 53 (1997) 567, doi:10.2307/2533958, equations for S10, S01, S11.
    With one example a group it is DeLong's (doi:10.2307/2531595). A poor approximation for fewer than about
    20 groups, and zero when signal and background are separated perfectly.

    With weights, placements are weighted shares of the other class and enter the sums with the weight of their
    example, whatever its sign: the derivative of the weighted AUC with respect to how often a group is drawn.

    Arguments:
        scores, labels, weights: as `townsend.evaluate.classification.auc`.
        group: (n,) label of each example's group; at least 2 groups with signal and 2 with background.
    """
    values, signal = checked(scores, labels)
    number, groups = numbered(group, len(values))
    weight = None if weights is None else checked_weights(weights, len(values), signal)
    found = auc_by_group(values, signal, number, groups, weight)
    _at_least_two(min(found.with_positive, found.with_negative))
    return Metric(found.value, found.error)


def auc_by_group(
    values: Floats, signal: NDArray[np.bool_], number: NDArray[np.intp], groups: int, weight: Floats | None = None
) -> AucByGroup:
    """Return AUC and how much each group moves it.

    Arguments:
        values, signal: (n,) as `townsend.evaluate.classification.checked` returns them.
        number: (n,) group 0 ... groups - 1 of each example; weight: (n,) checked, None for one each.
    """
    of_positive, of_negative = number[signal], number[~signal]
    value, placed_positive, placed_negative = _placements(values, signal, weight)
    excess_positive, excess_negative = placed_positive - value, placed_negative - value
    total_positive, total_negative = float(len(of_positive)), float(len(of_negative))
    if weight is not None:
        excess_positive, excess_negative = weight[signal] * excess_positive, weight[~signal] * excess_negative
        total_positive, total_negative = float(weight[signal].sum()), float(weight[~signal].sum())
    return AucByGroup(
        value,
        np.bincount(of_positive, weights=excess_positive, minlength=groups) / total_positive,
        np.bincount(of_negative, weights=excess_negative, minlength=groups) / total_negative,
        int(np.count_nonzero(np.bincount(of_positive))),
        int(np.count_nonzero(np.bincount(of_negative))),
    )


def _placements(values: Floats, signal: NDArray[np.bool_], weight: Floats | None) -> tuple[float, Floats, Floats]:
    """Return AUC and, for each example, the share of the other class on its wrong side, ties half."""
    positive, negative = values[signal], values[~signal]
    if weight is None:
        sorted_positive, sorted_negative = np.sort(positive), np.sort(negative)
        placed_positive = _mean_rank(sorted_negative, positive) / len(negative)
        placed_negative = 1.0 - _mean_rank(sorted_positive, negative) / len(positive)
        return float(placed_positive.mean()), placed_positive, placed_negative
    of_positive, of_negative = weight[signal], weight[~signal]
    placed_positive = _share_below(negative, of_negative, positive)
    placed_negative = 1.0 - _share_below(positive, of_positive, negative)
    return float(of_positive @ placed_positive / of_positive.sum()), placed_positive, placed_negative


def _mean_rank(ascending: Floats, values: Floats) -> Floats:
    """Return how many of `ascending` lie below each value, ties counted half."""
    below = np.searchsorted(ascending, values, side="left")
    return 0.5 * (below + np.searchsorted(ascending, values, side="right")).astype(np.float64)


def _share_below(of: Floats, weight: Floats, values: Floats) -> Floats:
    """Return the share of the weights of `of` that lies below each value, ties counted half."""
    order = np.argsort(of, kind="stable")
    ascending, cumulative = of[order], np.concatenate(([0.0], np.cumsum(weight[order])))
    low, high = np.searchsorted(ascending, values, side="left"), np.searchsorted(ascending, values, side="right")
    return np.asarray(0.5 * (cumulative[low] + cumulative[high]) / cumulative[-1], np.float64)


def bootstrap_auc(
    scores: ArrayLike,
    labels: ArrayLike,
    group: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
    weights: ArrayLike | None = None,
) -> Metric:
    """Return AUC with its error over resampled groups, exact with ties.

    One sort in all, then one running sum a resample; resamples without signal or background, or where the weights of
    one of them sum to zero, are left out.

    Arguments: as `clustered_auc`; resamples: at least 2; seed: of the draws.
    """
    values, signal = checked(scores, labels)
    number, groups = numbered(group, len(values))
    weight = checked_weights(weights, len(values), signal)
    order = np.argsort(values, kind="stable")
    values, signal, number, weight = values[order], signal[order], number[order].astype(np.int32), weight[order]
    positive, negative = values[signal], values[~signal]
    of_positive, of_negative = number[signal], number[~signal]
    weight_positive, weight_negative = weight[signal], weight[~signal]
    low = np.searchsorted(negative, positive, side="left")
    high = np.searchsorted(negative, positive, side="right")
    cumulative = np.zeros(len(negative) + 1)
    found = []
    for chunk in _weight_chunks(groups, resamples, seed):
        for row in chunk.astype(np.float64):
            np.cumsum(row[of_negative] * weight_negative, out=cumulative[1:])
            drawn = row[of_positive] * weight_positive
            pairs = drawn.sum() * cumulative[-1]
            if pairs != 0:
                found.append(0.5 * (drawn @ cumulative[low] + drawn @ cumulative[high]) / pairs)
    value = float(0.5 * np.mean(low + high) / len(negative)) if weights is None else auc(values, signal, weight)
    return Metric(value, float(np.std(found, ddof=1)) if len(found) > 1 else 0.0)
