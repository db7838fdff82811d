"""Statistical errors of figures whose examples come in groups (waveforms, events).

What to use when
----------------
- `clustered_auc`: AUC with its analytic error, one pass; the default of every board.
- `bootstrap_auc`: the same error by resampling, to check the former.
- `bootstrap_figures`: any functions of sums over groups (efficiency, purity, F1, their product ...).
- `confusion_by_group`: such sums.

Examples of one group share a waveform, its noise and its pile-up: they are not independent, so a group is
drawn or left as a whole. Errors are one standard deviation. All resampling starts from `BOOTSTRAP_SEED`
unless another seed is given, so that a board can be repeated to the last digit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.classification import checked
from townsend.tasks.base import Metric

__all__ = [
    "BOOTSTRAP_SEED",
    "RESAMPLES",
    "bootstrap_auc",
    "bootstrap_figures",
    "clustered_auc",
    "confusion_by_group",
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


def _numbered(group: ArrayLike, examples: int | None = None) -> tuple[NDArray[np.intp], int]:
    """Return the number 0 ... n-1 of each example's group, in ascending order of the labels, and n."""
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


def confusion_by_group(scores: ArrayLike, labels: ArrayLike, group: ArrayLike, threshold: float) -> Floats:
    """Return (groups, 4) counts tp, fp, fn, tn of each group at `threshold`, for `bootstrap_figures`."""
    values, signal = checked(scores, labels)
    number, groups = _numbered(group, len(values))
    cell = 2 * (values < threshold) + ~signal  # signal accepted 0, background accepted 1, signal lost 2, ...
    return np.bincount(4 * number + cell, minlength=4 * groups).reshape(groups, 4).astype(np.float64)


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


def clustered_auc(scores: ArrayLike, labels: ArrayLike, group: ArrayLike) -> Metric:
    """Return AUC with the analytic error for grouped examples, ties counted half.

    DeLong's variance with the placements summed over each group, and the covariance of signal and background
    of one group: Obuchowski, Biometrics 53 (1997) 567, doi:10.2307/2533958, equations for S10, S01, S11.
    With one example a group it is DeLong's (doi:10.2307/2531595). A poor approximation for fewer than about
    20 groups, and zero when signal and background are separated perfectly.

    Arguments:
        scores, labels: as `townsend.evaluate.classification.auc`.
        group: (n,) label of each example's group; at least 2 groups with signal and 2 with background.
    """
    values, signal = checked(scores, labels)
    number, groups = _numbered(group, len(values))
    positive, negative = values[signal], values[~signal]
    value, placed_positive, placed_negative = _placements(positive, negative)
    of_positive, of_negative = number[signal], number[~signal]
    excess_positive = np.bincount(of_positive, weights=placed_positive - value, minlength=groups) / len(positive)
    excess_negative = np.bincount(of_negative, weights=placed_negative - value, minlength=groups) / len(negative)
    with_positive, with_negative = len(np.unique(of_positive)), len(np.unique(of_negative))
    _at_least_two(min(with_positive, with_negative))
    variance = (
        np.sum(excess_positive**2) * with_positive / (with_positive - 1)
        + np.sum(excess_negative**2) * with_negative / (with_negative - 1)
        + 2 * np.sum(excess_positive * excess_negative) * groups / (groups - 1)
    )
    return Metric(value, float(np.sqrt(max(variance, 0.0))))


def _placements(positive: Floats, negative: Floats) -> tuple[float, Floats, Floats]:
    """Return AUC and, for each example, the share of the other class on its wrong side, ties half."""
    sorted_positive, sorted_negative = np.sort(positive), np.sort(negative)
    placed_positive = _mean_rank(sorted_negative, positive) / len(negative)
    placed_negative = 1.0 - _mean_rank(sorted_positive, negative) / len(positive)
    return float(placed_positive.mean()), placed_positive, placed_negative


def _mean_rank(ascending: Floats, values: Floats) -> Floats:
    """Return how many of `ascending` lie below each value, ties counted half."""
    below = np.searchsorted(ascending, values, side="left")
    return 0.5 * (below + np.searchsorted(ascending, values, side="right")).astype(np.float64)


def bootstrap_auc(
    scores: ArrayLike,
    labels: ArrayLike,
    group: ArrayLike,
    resamples: int = RESAMPLES,
    seed: int = BOOTSTRAP_SEED,
) -> Metric:
    """Return AUC with its error over resampled groups, exact with ties.

    One sort in all, then one running sum a resample; resamples without signal or background are left out.

    Arguments: as `clustered_auc`; resamples: at least 2; seed: of the draws.
    """
    values, signal = checked(scores, labels)
    number, groups = _numbered(group, len(values))
    order = np.argsort(values, kind="stable")
    values, signal, number = values[order], signal[order], number[order].astype(np.int32)
    positive, negative = values[signal], values[~signal]
    of_positive, of_negative = number[signal], number[~signal]
    low = np.searchsorted(negative, positive, side="left")
    high = np.searchsorted(negative, positive, side="right")
    cumulative = np.zeros(len(negative) + 1)
    found = []
    for weights in _weight_chunks(groups, resamples, seed):
        for row in weights.astype(np.float64):
            np.cumsum(row[of_negative], out=cumulative[1:])
            drawn = row[of_positive]
            pairs = drawn.sum() * cumulative[-1]
            if pairs > 0:
                found.append(0.5 * (drawn @ cumulative[low] + drawn @ cumulative[high]) / pairs)
    value = float(0.5 * np.mean(low + high) / len(negative))
    return Metric(value, float(np.std(found, ddof=1)) if len(found) > 1 else 0.0)
