"""Are the scores probabilities? Of events scored 0.8, four in five should be signal.

What to use when
----------------
- `calibration_verdict`: one sentence.
- `calibration_test`: the chi-squared behind it.
- `townsend.evaluate.reliability`: the curve to draw, and the parts of the Brier score.

Shares of signal depend on how much background there is. A network trained with re-weighted classes (equal sums, say) is
calibrated for those weights: judge it with them, or expect it to fail with natural weights, where its scores still
order events. Weights may be of either sign.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.classification import checked
from townsend.evaluate.linearised import GroupedEvents, sums_in
from townsend.evaluate.reliability import binned, checked_probabilities, reliability
from townsend.evaluate.verdict import Verdict

__all__ = ["MIN_P_VALUE", "CalibrationTest", "calibration_test", "calibration_verdict"]

Floats = NDArray[np.float64]

MIN_P_VALUE = 0.01
"""p value of the chi-squared below which scores are called not calibrated: one calibrated network in a hundred."""
_LEAST_EXPECTED = 10.0
"""Effective events of each class that a bin of the chi-squared must expect; neighbours are merged until it does."""


@dataclass(frozen=True)
class CalibrationTest:
    """Chi-squared of the differences between shares of signal and mean scores.

    Arguments:
        chi2, ndf: over the bins used, without fitted parameters; p: NaN where too few events allow no bin.
        bins: bins left after merging.
    """

    chi2: float
    ndf: int
    p: float
    bins: int


def calibration_test(
    scores: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    group: ArrayLike | None = None,
    bins: int = 10,
) -> CalibrationTest:
    """Test that scores are probabilities.

    In each bin by quantile, merged with its neighbours until it expects ten effective events of each class, the sum of
    w (label - score) is compared with zero. Its variance is the one calibrated scores p would have: sum of
    w p (1 - p) ((1 - p) r1 + p r0), where r1 and r0 are sum of w^2 / sum of w of signal and background in the bin (for
    weights of one, sum of p (1 - p)); it does not shrink when a bin happens to hold few signal events. Groups enter by
    the measured ratio of their scatter to that of events, and by the correlation of bins.

    A poor approximation for fewer than about 100 groups, and where signed weights nearly cancel.

    Arguments, errors: as `reliability`.
    """
    values, signal, events = checked_probabilities(scores, labels, weights, group)
    number = _merged(binned(values, bins, "quantile")[1], values, signal, events)
    if number is None:
        return CalibrationTest(float("nan"), 0, float("nan"), 0)
    size = int(number.max()) + 1
    residual = events.weight * (signal - values)
    expected, single = _variance(number, values, signal, events, size), sums_in(number, residual**2, size)
    if (expected < 0).any():
        return CalibrationTest(float("nan"), 0, float("nan"), size)
    if ((expected == 0) & (single > 0)).any():  # scores of exactly 0 or 1 that are wrong
        return CalibrationTest(float("inf"), size, 0.0, size)
    scale = np.sqrt(np.divide(expected, single, out=np.zeros(size), where=single > 0))
    covariance = events.products_in(number, size, residual) * np.outer(scale, scale)
    return _chi_squared(sums_in(number, residual, size), covariance)


def _merged(
    number: NDArray[np.intp], values: Floats, signal: NDArray[np.bool_], events: GroupedEvents
) -> NDArray[np.intp] | None:
    """Return the bins merged with their neighbours until each expects enough of both classes, None where none does."""
    weight, size = events.weight, int(number.max()) + 1
    of_class = [(signal, values), (~signal, 1 - values)]
    expected = np.stack(
        [
            sums_in(number, weight * share, size) * weight[chosen].sum() / (weight[chosen] @ weight[chosen])
            for chosen, share in of_class
        ]
    )
    merged, held, last = np.zeros(size, np.intp), np.zeros(2), 0
    for row in range(size):
        merged[row] = last
        held = held + expected[:, row]
        if (held >= _LEAST_EXPECTED).all():
            held, last = np.zeros(2), last + 1
    if last == 0:
        return None
    return np.minimum(merged, last - 1)[number]


def _variance(
    number: NDArray[np.intp], values: Floats, signal: NDArray[np.bool_], events: GroupedEvents, size: int
) -> Floats:
    """Return the variance of the sum of w (label - score) of each bin, for calibrated scores and independent events."""
    mean_weight = []
    for chosen in (signal, ~signal):
        weight = np.where(chosen, events.weight, 0.0)
        sums, squares = sums_in(number, weight, size), sums_in(number, weight**2, size)
        overall = (weight @ weight) / weight.sum()
        # A bin with few events of the class, or whose weights nearly cancel, takes the mean weight of the whole class.
        enough = (sums > 0) & (sums**2 >= _LEAST_EXPECTED * squares)
        mean_weight.append(np.divide(squares, sums, out=np.full(size, overall), where=enough)[number])
    of_signal, of_background = mean_weight
    spread = values * (1 - values) * ((1 - values) * of_signal + values * of_background)
    return sums_in(number, events.weight * spread, size)


def _chi_squared(difference: Floats, covariance: Floats) -> CalibrationTest:
    from scipy.special import chdtrc

    used = np.diagonal(covariance) > 0  # elsewhere all scores are exactly 0 or 1, and right
    deviation = np.sqrt(np.diagonal(covariance)[used])
    pull = difference[used] / deviation
    correlation = covariance[np.ix_(used, used)] / np.outer(deviation, deviation)
    ndf = int(np.linalg.matrix_rank(correlation, hermitian=True)) if len(pull) else 0
    chi2 = float(pull @ np.linalg.pinv(correlation, hermitian=True) @ pull) if ndf else 0.0
    return CalibrationTest(chi2, ndf, float(chdtrc(ndf, chi2)) if ndf else 1.0, len(difference))


def calibration_verdict(
    scores: ArrayLike,
    labels: ArrayLike,
    weights: ArrayLike | None = None,
    group: ArrayLike | None = None,
    bins: int = 10,
) -> Verdict:
    """Return whether the scores may be read as probabilities.

    Arguments, errors: as `reliability`, but scores outside [0, 1] are a verdict, not an error.
    """
    values, signal = checked(scores, labels)
    outside = int(np.count_nonzero((values < 0) | (values > 1)))
    if outside:
        return Verdict(False, f"no probabilities: {outside:,} scores lie outside [0, 1]; use them as an order only")
    test = calibration_test(values, signal, weights, group, bins)
    curve = reliability(values, signal, weights, group, bins)
    note = f"; {curve.undefined} of {len(curve.events)} bins have no positive sum of weights" if curve.undefined else ""
    if np.isnan(test.p):
        return Verdict(False, f"calibration cannot be judged: too few events of one class, or weights cancel{note}")
    figures = (
        f"chi-squared {test.chi2:.1f} for {test.ndf} degrees of freedom, p {test.p:.2g}, "
        f"mean distance from the diagonal {curve.expected_error:.4f}{note}"
    )
    if test.p >= MIN_P_VALUE:
        return Verdict(True, f"calibrated: {figures}")
    return Verdict(
        False, f"not calibrated: {figures}; the scores order events but are no probabilities at these weights"
    )
