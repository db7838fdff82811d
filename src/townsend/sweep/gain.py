"""What more trials promise, from the figures of those that are done; when a sweep may stop.

What to use when
----------------
- `expected_gain`: by how much the best figure would rise if the number of trials were doubled.
- `should_stop`: is that less than so many errors of the best figure?

Each doubling is judged by the last one: the best of all n figures, less what the best of n/2 of them drawn at random
would be on average. For independent trials from a law with an exponential tail every doubling brings the same (ln 2
times its scale, on average), for a lighter tail (normal, uniform, or any with a best possible value) ever less: there
the estimate is, on average, an upper one. It is poor for a heavier tail (the next doubling brings more than the last),
for few trials (one lucky trial is most of it), and for samplers that learn, whose later trials are better than their
earlier ones: they may gain more than it says.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.sweep.objectives import figure
from townsend.tasks.base import Objective
from townsend.training.records import FitRecord, Outcome

__all__ = ["expected_gain", "should_stop"]

_FEWEST = 10
_NO_BETTER = (Outcome.PRUNED, Outcome.DEGENERATE, Outcome.DIVERGED)


def expected_gain(figures: ArrayLike, *, maximise: bool) -> float:
    """Return what doubling the number of trials promises, in the units of the figures; >= 0.

    With x(1) <= ... <= x(n) the best of m drawn without replacement is x(k) with probability C(k-1, m-1) / C(n, m)
    (David and Nagaraja 2003, Order Statistics, section 3.1).

    Arguments:
        figures: (n,) finite, n >= 2, of all trials so far in any order.
        maximise: whether larger is better.
    """
    ordered = np.sort(np.asarray(figures, dtype=np.float64) * (1.0 if maximise else -1.0))
    number = len(ordered)
    half = number // 2
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, number + 1)))])

    def log_binomial(n: NDArray[np.int64] | int, k: int) -> NDArray[np.float64]:
        return np.asarray(log_factorial[n] - log_factorial[k] - log_factorial[n - k])

    place = np.arange(half, number + 1)  # 1 for the worst; the best of `half` is never behind place `half`
    chance = np.exp(log_binomial(place - 1, half - 1) - log_binomial(number, half))
    return float(np.sum(chance * (ordered[-1] - ordered[half - 1 :])))


def should_stop(records: Iterable[FitRecord], objective: Objective, stop_at_gain: float) -> bool:
    """Return whether doubling the trials promises less than `stop_at_gain` errors of the best figure.

    A configuration that was pruned, degenerate or diverging counts as a trial that was no better than the worst of the
    others; one that was lost, failed or ran out of memory does not count.

    Arguments:
        records: of all trials so far, one a trial.
        objective: the one that ranks.
        stop_at_gain: in standard deviations of the best figure; > 0.

    False with fewer than 10 usable figures, and when the best of them has no error.
    """
    ended = list(records)
    usable = [found for row in ended if row.outcome.usable and math.isfinite((found := figure(row, objective)).value)]
    if len(usable) < _FEWEST:
        return False
    sign = 1.0 if objective.maximise else -1.0
    best, worst = (choose(usable, key=lambda found: sign * found.value) for choose in (max, min))
    if not (math.isfinite(best.error) and best.error > 0):
        return False
    others = sum(row.outcome in _NO_BETTER for row in ended)
    figures = [found.value for found in usable] + [worst.value] * others
    return expected_gain(figures, maximise=objective.maximise) < stop_at_gain * best.error
