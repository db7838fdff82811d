"""What a calibration is worth: bias before and after, in thirds of the impact parameter, and pulls.

What to use when
----------------
- `check_calibration`: the figures, on waveforms that the fit did not see.
- `bias_verdict`, `thirds_verdict`, `pull_verdict`, `slope_verdict`: such figures against what is wanted.
- `thirds`: a sample cut by its distance from the wire.
- `percent`: a relative figure for people.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.reconstruction.calibration import Fitted, checked_numbers, fit_checked
from townsend.tasks.base import Metric

__all__ = [
    "BIAS_LIMIT",
    "THIRDS_LIMIT",
    "CalibrationCheck",
    "bias_verdict",
    "check_calibration",
    "percent",
    "pull_figures",
    "pull_verdict",
    "slope_verdict",
    "thirds",
    "thirds_verdict",
]

BIAS_LIMIT, THIRDS_LIMIT = 0.01, 0.02
"""Largest bias, as a share of the true mean, that is no reason for a note: of all waveforms, and of a third."""

_RESAMPLES = 400
_SEED = 1901
_PULL_MEAN, _PULL_WIDTH = 0.02, 0.05  # what an error bar does not need to be better than

Floats = NDArray[np.float64]


def thirds(impact_cm: ArrayLike) -> tuple[list[tuple[float, float]], NDArray[np.intp]]:
    """Return the limits [cm] of three ranges of |impact| with equally many waveforms, and the (n,) range of each.

    Where an impact parameter is unknown (NaN) there are no ranges, and -1 for each waveform.
    """
    distance = np.abs(np.asarray(impact_cm, np.float64))
    if not np.isfinite(distance).all():
        return [], np.full(len(distance), -1, np.intp)
    low, high = np.quantile(distance, [1 / 3, 2 / 3])
    edges = [float(distance.min()), float(low), float(high), float(distance.max())]
    return list(pairwise(edges)), np.digitize(distance, [low, high])


@dataclass(frozen=True)
class CalibrationCheck:
    """What a calibration does to waveforms that it was not fitted to.

    Arguments:
        bias: predicted minus true clusters, "before" and "after" -> mean with error.
        relative: the same over the mean of the truth.
        thirds: one a third of |impact|: `impact_cm` [low, high], `waveforms`, `before` and `after`, relative.
        pull_mean, pull_width: of (number - truth) / error.
    """

    bias: Mapping[str, Metric]
    relative: Mapping[str, Metric]
    thirds: tuple[Mapping[str, Any], ...]
    pull_mean: Metric
    pull_width: Metric

    def verdicts(self) -> tuple[Verdict, ...]:
        """Return what to think of it, the bias first."""
        return (
            bias_verdict("all waveforms", self.relative["before"], self.relative["after"], BIAS_LIMIT),
            *thirds_verdict([(each["impact_cm"], each["before"], each["after"]) for each in self.thirds]),
            pull_verdict(self.pull_mean, self.pull_width),
        )


def pull_figures(pull: ArrayLike) -> tuple[Metric, Metric]:
    """Return mean and width of (n,) pulls; errors from their second and fourth moments, n >= 2."""
    values = np.asarray(pull, np.float64)
    mean, width = float(values.mean()), float(values.std(ddof=1))
    fourth = float(((values - mean) ** 4).mean())
    of_width = np.sqrt(max(fourth - width**4, 0.0) / len(values)) / (2 * width) if width else 0.0
    return Metric(mean, width / float(np.sqrt(len(values)))), Metric(width, float(of_width))


def slope_verdict(slope: Metric) -> Verdict:
    """Return whether the network's number tells anything of the true one."""
    ok = slope.value > 5 * slope.error
    said = "the network's number follows the true one" if ok else "the network's number tells next to nothing"
    return Verdict(ok, f"{said}: slope of truth on prediction {_plus_minus(slope)}")


def pull_verdict(mean: Metric, width: Metric) -> Verdict:
    """Return whether pulls have mean 0 and width 1, within three errors or as closely as an error bar needs."""
    ok = abs(mean.value) <= max(3 * mean.error, _PULL_MEAN)
    ok = ok and abs(width.value - 1) <= max(3 * width.error, _PULL_WIDTH)
    figures = f"pulls have mean {_plus_minus(mean)} and width {_plus_minus(width)}"
    said = "the errors describe the spread" if ok else "the errors do not describe the spread"
    return Verdict(ok, f"{said}: {figures}, 0 and 1 expected")


def bias_verdict(place: str, before: Metric, after: Metric, limit: float) -> Verdict:
    """Return whether a relative bias after calibration is below `limit`, or 0 within three errors."""
    figures = f"{percent(before)} before calibration, {percent(after)} after"
    wanted = f"{100 * limit:.0f} %"
    if abs(after.value) <= limit:
        judged = f"within {wanted}"
    elif abs(after.value) <= 3 * after.error:
        judged = f"0 within its error, but too few waveforms to tell {wanted}"
    else:
        judged = f"not within {wanted}"
    ok = abs(after.value) <= max(limit, 3 * after.error)
    return Verdict(ok, f"bias of the number of clusters, {place}: {figures}; {judged}")


def thirds_verdict(found: Sequence[tuple[Sequence[float], Metric, Metric]]) -> Iterator[Verdict]:
    """Yield the verdict on the worst of some ranges of |impact|: limits [cm], relative bias before and after."""
    if found:
        (low, high), before, after = max(found, key=lambda each: abs(each[2].value))
        yield bias_verdict(f"the worst third, |b| from {low:.3f} to {high:.3f} cm", before, after, THIRDS_LIMIT)


def check_calibration(
    predicted: ArrayLike, truth: ArrayLike, first_ns: ArrayLike, impact_cm: ArrayLike
) -> CalibrationCheck:
    """Fit on every other waveform and judge the rest; errors by bootstrap over the waveforms of both halves.

    Least squares leave no bias on the waveforms they were fitted to, whatever they are worth. So this one is not the
    calibration to be used, which is fitted to all, but tells what that one is worth.

    Arguments:
        predicted, truth, first_ns: as `fit_calibration`; impact_cm: (n,) distance from the wire.
    """
    columns = checked_numbers(predicted, truth, first_ns)
    limits, third = thirds(impact_cm)
    rows = np.arange(len(columns.truth))
    fitted, judged = rows[::2], rows[1::2]
    random = np.random.default_rng(_SEED)
    value = _figures(columns, third, fitted, judged)
    drawn = [
        _figures(columns, third, random.choice(fitted, len(fitted)), random.choice(judged, len(judged)))
        for _ in range(_RESAMPLES)
    ]
    metrics = [Metric(float(v), _spread(column)) for v, column in zip(value, np.array(drawn).T, strict=True)]
    of_thirds = tuple(
        {
            "impact_cm": limits[number],
            "waveforms": int(np.count_nonzero(third[judged] == number)),
            "before": metrics[6 + 2 * number],
            "after": metrics[7 + 2 * number],
        }
        for number in range(3)
        if np.isfinite(value[6 + 2 * number])
    )
    return CalibrationCheck(
        bias={"before": metrics[0], "after": metrics[1]},
        relative={"before": metrics[2], "after": metrics[3]},
        thirds=of_thirds,
        pull_mean=metrics[4],
        pull_width=metrics[5],
    )


def _figures(columns: Fitted, third: NDArray[np.intp], fitted: NDArray[np.intp], judged: NDArray[np.intp]) -> Floats:
    """Return bias before and after, both relative, mean and width of pulls, and both relative in each third."""
    calibration = fit_checked(columns.rows(fitted))
    guess, actual, first_ns = columns.rows(judged)
    number, error = calibration.apply(guess, first_ns)
    off = np.stack([guess - actual, number - actual])
    pull = off[1] / error
    found = [*off.mean(axis=1), *(off.mean(axis=1) / _or_nan(actual.mean())), pull.mean(), pull.std(ddof=1)]
    for each in range(3):
        inside = third[judged] == each
        among = np.count_nonzero(inside)
        mean = actual[inside].mean() if among else np.nan
        found += list(off[:, inside].sum(axis=1) / (among or np.nan) / _or_nan(mean))
    return np.array(found)


def _spread(drawn: Floats) -> float:
    """Return the standard deviation of a figure; a third without waveforms, of a pencil beam, has none."""
    finite = drawn[np.isfinite(drawn)]
    return float(np.std(finite, ddof=1)) if len(finite) > 1 else float("nan")


def _or_nan(value: float) -> float:
    return value if value else np.nan


def _plus_minus(metric: Metric) -> str:
    return f"{metric.value:.3f} ± {metric.error:.3f}"


def percent(metric: Metric) -> str:
    """Return a share with its error in percent, "(-0.38 ± 0.62) %", "-" where there is none."""
    if not np.isfinite(metric.value):
        return "-"
    return f"({100 * metric.value:+.2f} ± {100 * metric.error:.2f}) %"
