"""Which threshold to cut at: every distinct score tried, for several criteria at once.

What to use when
----------------
- `scan_thresholds`: all criteria, their curves for a figure, and the best threshold of each with its yields.
- `choose_threshold`: the best threshold for one criterion.
- `CRITERIA`: the criteria and what they are for.

Cuts keep score >= threshold. The scan is exact: the thresholds tried are the distinct scores, each of which keeps at
least one event; of equally good ones the strictest wins. Choose on a validation set and quote the figures of a test
set: the best value of a scan is one of many, and too good.

Criteria with purity or significance depend on how much signal and background there is: give natural weights (expected
events at the luminosity of the data). Weights may be of either sign. Where a criterion is not defined (a yield below
zero, nothing accepted, no background for S/sqrt(B)) its value is NaN, it is never chosen, and `Best.undefined` counts
such thresholds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError, did_you_mean
from townsend.evaluate.classification import checked
from townsend.evaluate.curves import accepted, levels, thinned
from townsend.evaluate.significance import asimov_significance, s_over_sqrt_b, s_over_sqrt_s_plus_b
from townsend.evaluate.threshold_figures import THRESHOLD_FIGURES
from townsend.evaluate.weights import Yield, checked_weights

__all__ = ["CRITERIA", "Best", "Criterion", "ThresholdScan", "choose_threshold", "scan_thresholds"]

Floats = NDArray[np.float64]


class _Accepted(NamedTuple):
    """Sums (m, 4) of tp, fp, fn, tn at each threshold, and errors of the signal and background accepted."""

    sums: Floats
    signal_error: Floats
    background_error: Floats
    background_uncertainty: float


class Criterion(NamedTuple):
    """A figure to choose a threshold by: its definition, whether it is to be large, its function."""

    words: str
    maximise: bool
    function: Callable[[_Accepted], Floats]


def _figure(name: str, of_yields: bool = False) -> Callable[[_Accepted], Floats]:
    """Return a figure of `THRESHOLD_FIGURES`; one of yields is undefined where one accepted is below zero."""

    def function(at: _Accepted) -> Floats:
        value = THRESHOLD_FIGURES[name].function(at.sums)
        tp, fp = at.sums[:, 0], at.sums[:, 1]
        return np.where((tp >= 0) & (fp >= 0) & (tp + fp > 0), value, np.nan) if of_yields else value

    return function


def _asimov_with_error(at: _Accepted) -> Floats:
    background = at.sums[:, 1]
    error = np.hypot(at.background_error, at.background_uncertainty * background)
    return asimov_significance(at.sums[:, 0], background, error)


CRITERIA: Mapping[str, Criterion] = {
    "corner_distance": Criterion(
        "d, distance of (FPR, TPR) to the corner (0, 1); d^2 is least there too",
        False,
        _figure("corner_distance"),
    ),
    "youden": Criterion("TPR - FPR; the same threshold as the best balanced accuracy", True, _figure("youden")),
    "accuracy": Criterion("share of right predictions at the weights given", True, _figure("accuracy")),
    "f1": Criterion("harmonic mean of efficiency and purity", True, _figure("f1", of_yields=True)),
    "efficiency_x_purity": Criterion(
        "efficiency times purity; the same threshold as S / sqrt(S + B)", True, _figure("efficiency_x_purity", True)
    ),
    "s_over_sqrt_s_plus_b": Criterion(
        "S / sqrt(S + B), relative precision of a measured yield",
        True,
        lambda at: s_over_sqrt_s_plus_b(at.sums[:, 0], at.sums[:, 1]),
    ),
    "s_over_sqrt_b": Criterion(
        "S / sqrt(B), discovery for S << B and B >> 1", True, lambda at: s_over_sqrt_b(at.sums[:, 0], at.sums[:, 1])
    ),
    "asimov": Criterion(
        "expected discovery significance with a background known exactly (Cowan et al. 2011, eq. 97)",
        True,
        lambda at: asimov_significance(at.sums[:, 0], at.sums[:, 1]),
    ),
    "asimov_with_error": Criterion(
        "expected discovery significance, background with its simulation error and the relative uncertainty given"
        " (Cowan 2012, eq. 20)",
        True,
        _asimov_with_error,
    ),
}
"""Name -> criterion. Prefer `asimov_with_error` to choose a cut: `asimov` and `s_over_sqrt_b` reward the last simulated
background events for running out, the more so with signed weights, where B may come near zero by chance."""


@dataclass(frozen=True)
class Best:
    """The best threshold for one criterion.

    Arguments:
        criterion: its name; threshold: the score to cut at; value: of the criterion there, NaN where none is defined.
        undefined: thresholds, of all, at which the criterion does not exist.
        signal, background: yields accepted, with errors of independent events; tpr, fpr: shares accepted.
    """

    criterion: str
    threshold: float
    value: float
    undefined: int
    signal: Yield
    background: Yield
    tpr: float
    fpr: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that do not exist are null."""
        numbers = {"threshold": self.threshold, "value": self.value, "tpr": self.tpr, "fpr": self.fpr}
        yields = {"signal": list(self.signal), "background": list(self.background)}
        finite = {name: number if np.isfinite(number) else None for name, number in numbers.items()}
        return {"criterion": self.criterion, "undefined": self.undefined, **finite, **yields}


@dataclass(frozen=True)
class ThresholdScan:
    """All criteria against the threshold.

    Arguments:
        threshold: (m,) scores, descending, thinned for a figure; the best ones are among them.
        curves: criterion -> (m,) its values, NaN where undefined.
        tpr, fpr: (m,) shares of signal and background accepted.
        best: criterion -> its best threshold, found among all.
        tried: number of distinct scores tried.
    """

    threshold: Floats
    curves: Mapping[str, Floats]
    tpr: Floats
    fpr: Floats
    best: Mapping[str, Best]
    tried: int


def scan_thresholds(
    scores: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    background_uncertainty: float = 0.0,
    points: int = 2000,
) -> ThresholdScan:
    """Return every criterion at every distinct score, in one sort.

    Arguments:
        scores: (n,) numbers, infinities allowed; labels: (n,) 1 for signal, 0 for background.
        weights: (n,) natural weights of either sign; None for one each: S and B are then numbers in this sample.
        background_uncertainty: relative systematic error of the background (0.1: 10 %), for `asimov_with_error`.
        points: most points of the curves, at least 8, besides the best ones.

    Raises InputError as `townsend.evaluate.classification.auc`, or for a negative uncertainty.
    """
    if not background_uncertainty >= 0:
        rule = "background_uncertainty must be zero or more"
        msg = f"{rule} (got {background_uncertainty}); give it as a share, 0.1 for 10 %"
        raise InputError(msg)
    values, signal = checked(scores, labels)
    weight = checked_weights(weights, len(values), signal)
    found = levels(values, signal, weight)
    all_signal, all_background = found.signal[-1], found.background[-1]
    columns = [found.signal, found.background, all_signal - found.signal, all_background - found.background]
    signal_error, background_error = (np.sqrt(squares) for squares in accepted(found.rank, signal, weight**2))
    at = _Accepted(np.stack(columns, axis=1), signal_error, background_error, background_uncertainty)
    tpr, fpr = found.signal / all_signal, found.background / all_background
    curves = {name: criterion.function(at) for name, criterion in CRITERIA.items()}
    best, rows = {}, [thinned(fpr, tpr, points)]
    for name, curve in curves.items():
        row = _best_row(curve, CRITERIA[name].maximise)
        rows.append(np.array([] if row is None else [row], np.intp))
        best[name] = _best(name, curve, row, found.threshold, at, tpr, fpr)
    kept = np.unique(np.concatenate(rows))
    thinned_curves = {name: curve[kept] for name, curve in curves.items()}
    return ThresholdScan(found.threshold[kept], thinned_curves, tpr[kept], fpr[kept], best, len(found.threshold))


def _best_row(curve: Floats, maximise: bool) -> int | None:
    if np.isnan(curve).all():
        return None
    return int(np.nanargmax(curve) if maximise else np.nanargmin(curve))


def _best(
    name: str, curve: Floats, row: int | None, threshold: Floats, at: _Accepted, tpr: Floats, fpr: Floats
) -> Best:
    undefined = int(np.count_nonzero(np.isnan(curve)))
    if row is None:
        nothing = Yield(0.0, 0.0)
        return Best(name, float("nan"), float("nan"), undefined, nothing, nothing, float("nan"), float("nan"))
    signal = Yield(float(at.sums[row, 0]), float(at.signal_error[row]))
    background = Yield(float(at.sums[row, 1]), float(at.background_error[row]))
    value, shares = float(curve[row]), (float(tpr[row]), float(fpr[row]))
    return Best(name, float(threshold[row]), value, undefined, signal, background, *shares)


def choose_threshold(
    scores: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    criterion: str = "f1",
    background_uncertainty: float = 0.0,
) -> float:
    """Return the threshold, one of the scores, that is best for a criterion of `CRITERIA`.

    Arguments: as `scan_thresholds`.

    Raises InputError as `scan_thresholds`, for an unknown criterion, and where it is defined at no threshold.
    """
    if criterion not in CRITERIA:
        msg = f'the criterion of a threshold must be known (got "{criterion}"){did_you_mean(criterion, CRITERIA)}'
        raise InputError(msg)
    found = scan_thresholds(scores, labels, weights, background_uncertainty, points=8).best[criterion]
    if np.isnan(found.threshold):
        rule = f'the criterion "{criterion}" must be defined at one threshold or more'
        msg = f"{rule} (got none of {found.undefined}); check the signs of the weights or take another criterion"
        raise InputError(msg)
    return found.threshold
