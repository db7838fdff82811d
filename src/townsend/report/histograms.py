"""Histograms of weighted events, with errors, as figures need them.

What to use when
----------------
- `weighted_bins`: sums of weights in bins; `weighted_density`, `unit_area`: normalised to one.
- `robust_edges`: bins that one wild value does not stretch; `outside`: the share that they leave out.
- `shape_ratio`: two shapes divided, one of a selection of the other's events.

Weights may be of either sign: contents, and densities, may be below zero and are returned so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.gaussian import unit_edges

__all__ = ["Bins", "outside", "robust_edges", "shape_ratio", "unit_area", "weighted_bins", "weighted_density"]

Floats = NDArray[np.float64]
_TAIL = 0.005
_WHOLE = 1e6  # whole numbers over a wider range are treated as any others


class Bins(NamedTuple):
    """Contents of (n,) bins and their errors (one standard deviation)."""

    content: NDArray[Any]
    error: NDArray[Any]


def weighted_bins(values: ArrayLike, weight: ArrayLike, edges: ArrayLike) -> Bins:
    """Return sum of w and sqrt(sum of w^2) in each bin; values outside or not finite are in none.

    Arguments:
        values, weight: (n,); edges: (bins + 1,) ascending, the last bin with its upper edge.
    """
    given, borders = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    finite = np.isfinite(given)
    inside, of_each = given[finite], np.asarray(weight, np.float64)[finite]
    content = np.histogram(inside, borders, weights=of_each)[0]
    return Bins(content, np.sqrt(np.histogram(inside, borders, weights=of_each**2)[0]))


def unit_area(bins: Bins, edges: ArrayLike, total: float | None = None) -> Bins:
    """Return the density: contents divided by their sum, or by `total`, and by the widths; zeros where that is zero.

    The error is that of the contents alone, as if the sum were known: in a bin with share p of all events it is too
    large by 1 / sqrt(1 - p).
    """
    whole = float(np.sum(bins.content)) if total is None else total
    scale = 1.0 / (whole * np.diff(np.asarray(edges, np.float64))) if whole else np.zeros(len(bins.content))
    return Bins(bins.content * scale, bins.error * np.abs(scale))


def weighted_density(values: ArrayLike, weight: ArrayLike, edges: ArrayLike) -> Bins:
    """Return the density of all events, also of those outside the bins: the area seen is the share inside."""
    return unit_area(weighted_bins(values, weight, edges), edges, float(np.sum(weight)))


def robust_edges(values: ArrayLike, label: ArrayLike, bins: int = 40) -> Floats:
    """Return edges of `bins` equal bins for all classes; those of whole numbers hold equally many numbers each.

    They reach from the lowest 0.5 % quantile of a class to the highest 99.5 % quantile of one, counting events, not
    weights, so that a rare class is seen.

    Arguments:
        values: (n,) numbers, those that are not finite ignored; label: (n,) class of each.
    """
    given, of = np.asarray(values, np.float64), np.asarray(label)
    finite = np.isfinite(given)
    given, of = given[finite], of[finite]
    if not len(given):
        return np.linspace(0.0, 1.0, bins + 1)
    ends = np.array([np.quantile(given[of == one], [_TAIL, 1 - _TAIL]) for one in np.unique(of)])
    low, high = float(ends[:, 0].min()), float(ends[:, 1].max())
    inside = given[(given >= low) & (given <= high)]
    if high - low < _WHOLE and np.all(inside == np.rint(inside)):
        return unit_edges([low, high], most=bins)
    if high <= low:
        low, high = low - 0.5 * (abs(low) or 1.0), high + 0.5 * (abs(high) or 1.0)
    return np.linspace(low, high, bins + 1)


def outside(values: ArrayLike, edges: ArrayLike) -> tuple[float, int]:
    """Return the share of the finite values outside the bins, and the number of those that are not finite."""
    given, borders = np.asarray(values, np.float64), np.asarray(edges, np.float64)
    finite = np.isfinite(given)
    beyond = (given[finite] < borders[0]) | (given[finite] > borders[-1])
    return float(beyond.mean()) if len(beyond) else 0.0, int(np.count_nonzero(~finite))


def shape_ratio(selected: Bins, every: Bins) -> Bins:
    """Return the shape of the selected events divided by that of all: 1 in every bin where a selection leaves it be.

    r_i = (P_i / P) / (A_i / A), with P_i selected and A_i of all in bin i, P and A their sums. The error is exact to
    first order: the selected are among all, so each event moves up to four of these sums, and its weight times its
    derivative is added in quadrature. Bins of no events, and all bins where nothing is selected, are NaN. A poor
    approximation for fewer than about ten effective events in a bin; 0 +- 0 means that nothing of it was selected.

    Arguments:
        selected, every: (n,) sums of weights and sqrt(sum of w^2) of the same events.
    """
    passed, whole = np.asarray(selected.content, np.float64), np.asarray(every.content, np.float64)
    passed_squares, squares = np.asarray(selected.error) ** 2, np.asarray(every.error) ** 2
    total_passed, total = passed.sum(), whole.sum()
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = (passed / total_passed) / (whole / total)
        one = total / (total_passed * whole)  # dr / dP_i; the other derivatives are r times one of three inverses
        of_bin, of_passed, of_all = ratio / whole, ratio / total_passed, ratio / total
        variance = (
            passed_squares * (one - of_bin - of_passed + of_all) ** 2
            + (squares - passed_squares) * (of_all - of_bin) ** 2
            + (passed_squares.sum() - passed_squares) * (of_all - of_passed) ** 2
            + (squares.sum() - squares - passed_squares.sum() + passed_squares) * of_all**2
        )
    exists = np.isfinite(ratio)
    return Bins(np.where(exists, ratio, np.nan), np.sqrt(np.where(exists, np.maximum(variance, 0.0), np.nan)))
