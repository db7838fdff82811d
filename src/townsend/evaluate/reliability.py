"""The reliability curve: scores against shares of signal, with event weights of either sign.

What to use when
----------------
- `reliability`: mean score and observed share of signal in bins; its `expected_error` is the mean distance from the
  diagonal (ECE).
- `brier_parts`: how much of the Brier score is miscalibration, and how much lack of separation.
- `townsend.evaluate.calibration`: whether the distance from the diagonal is more than chance.

A bin whose weights do not sum to more than zero has no share of signal: it is counted, and left out of the figures that
need one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError, did_you_mean
from townsend.evaluate.classification import checked
from townsend.evaluate.linearised import GroupedEvents, grouped_events, sums_in

__all__ = ["BrierParts", "Reliability", "binned", "brier_parts", "checked_probabilities", "reliability"]

Floats = NDArray[np.float64]

_BINNINGS = ("quantile", "width")


@dataclass(frozen=True)
class Reliability:
    """Scores against shares of signal, in b bins of the score.

    Arguments:
        edges: (b + 1,) of the bins; events: (b,) numbers of events; weight: (b,) sums of their weights.
        mean_score, observed: (b,) weighted mean score and share of signal; error: (b,) of the share, linearised over
            groups, zero where a bin holds one class only. NaN in bins that are empty or undefined.
        undefined: number of bins that hold events whose weights do not sum to more than zero.
    """

    edges: Floats
    events: NDArray[np.intp]
    weight: Floats
    mean_score: Floats
    observed: Floats
    error: Floats
    undefined: int

    @property
    def expected_error(self) -> float:
        """Return the mean distance of the share from the mean score, weighted by the bins (ECE).

        Naeini, Cooper and Hauskrecht, AAAI (2015) 2901. Chance alone makes it larger than zero: use the test to judge.
        Undefined bins are left out.
        """
        used = np.isfinite(self.observed)
        distance = np.abs(self.observed[used] - self.mean_score[used])
        return float(self.weight[used] @ distance / self.weight[used].sum())

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        columns = {name: getattr(self, name).tolist() for name in ("edges", "events", "weight")}
        for name in ("mean_score", "observed", "error"):
            columns[name] = [x if np.isfinite(x) else None for x in getattr(self, name).tolist()]
        return {**columns, "undefined": self.undefined, "expected_error": self.expected_error}


def reliability(
    scores: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    group: ArrayLike | None = None,
    bins: int = 10,
    by: str = "quantile",
) -> Reliability:
    """Return the reliability curve.

    Arguments:
        scores: (n,) in [0, 1]; labels: (n,) 1 for signal, 0 for background.
        weights: (n,) of either sign, None for one each; group: (n,) labels of dependent events, None for none.
        bins: at least 1; by: "quantile" for bins of about equal numbers of events (fewer where many scores are equal),
            "width" for bins of equal width in [0, 1].

    Raises InputError for scores outside [0, 1], an unknown binning, and as
    `townsend.evaluate.classification_table.classification_table`.
    """
    values, signal, events = checked_probabilities(scores, labels, weights, group)
    edges, number = binned(values, bins, by)
    size = len(edges) - 1
    weight = sums_in(number, events.weight, size)
    filled = np.bincount(number, minlength=size).astype(np.intp)
    divisor = np.where(weight > 0, weight, np.nan)
    observed = sums_in(number, events.weight * signal, size) / divisor
    scatter = events.products_in(number, size, events.weight * (signal - observed[number]))
    error = np.sqrt(np.diagonal(scatter)) / divisor
    undefined = int(np.count_nonzero((filled > 0) & (weight <= 0)))
    return Reliability(
        edges, filled, weight, sums_in(number, events.weight * values, size) / divisor, observed, error, undefined
    )


def checked_probabilities(
    scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None, group: ArrayLike | None
) -> tuple[Floats, NDArray[np.bool_], GroupedEvents]:
    """Return flat scores, True for signal, and weights and groups.

    Raises InputError for scores outside [0, 1], and as `reliability`.
    """
    values, signal = checked(scores, labels)
    outside = int(np.count_nonzero((values < 0) | (values > 1)))
    if outside:
        msg = f"probabilities must lie in [0, 1] (got {outside} scores outside); end the network with a sigmoid"
        raise InputError(msg)
    return values, signal, grouped_events(len(values), weights, group, signal)


def binned(values: Floats, bins: int, by: str) -> tuple[Floats, NDArray[np.intp]]:
    """Return the edges of the bins and the number of each event's bin; arguments as `reliability`."""
    if bins < 1:
        msg = f"a reliability curve must have at least one bin (got {bins}); give more"
        raise InputError(msg)
    if by not in _BINNINGS:
        msg = f'bins of a reliability curve must be by quantile or width (got "{by}"){did_you_mean(by, _BINNINGS)}'
        raise InputError(msg)
    edges = np.linspace(0.0, 1.0, bins + 1)
    if by == "quantile":
        edges = np.unique(np.quantile(values, edges))
        edges = np.repeat(edges, 2) if len(edges) == 1 else edges
    return edges, np.searchsorted(edges[1:-1], values, side="right").astype(np.intp)


@dataclass(frozen=True)
class BrierParts:
    """Parts of the Brier score: brier = reliability - resolution + uncertainty + within.

    Arguments:
        reliability: miscalibration, 0 for perfect probabilities; resolution: how far the bins' shares of signal are
            from the overall share, large for good separation; uncertainty: share (1 - share) of signal over all.
        within: what the spread of scores inside the bins adds; small for many bins.

    All are NaN where the weights of a bin with events do not sum to more than zero.
    """

    brier: float
    reliability: float
    resolution: float
    uncertainty: float
    within: float


def brier_parts(scores: ArrayLike, labels: ArrayLike, weights: ArrayLike | None = None, bins: int = 10) -> BrierParts:
    """Return the parts of the weighted Brier score, which sum to it exactly.

    Murphy, J. Appl. Meteorol. 12 (1973) 595, with the terms inside bins of Stephenson, Coelho and Jolliffe, Weather and
    Forecasting 23 (2008) 752, in one. Arguments, errors: as `reliability`, bins by quantile.
    """
    values, signal, events = checked_probabilities(scores, labels, weights, None)
    curve = reliability(values, signal, weights, bins=bins)
    _, number = binned(values, bins, "quantile")
    total = events.weight.sum()
    brier = float(events.weight @ (values - signal) ** 2 / total)
    if curve.undefined:
        return BrierParts(brier, *[float("nan")] * 4)
    used = curve.events > 0
    share, observed = float(events.weight @ signal / total), curve.observed[used]
    part = curve.weight[used] / total
    off = values - curve.mean_score[number]
    inside = off**2 - 2 * off * (signal - curve.observed[number])
    return BrierParts(
        brier,
        float(part @ (observed - curve.mean_score[used]) ** 2),
        float(part @ (observed - share) ** 2),
        share * (1 - share),
        float(events.weight @ inside / total),
    )
