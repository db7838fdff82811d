"""From what the clusteriser says to a number of clusters with an error.

What to use when
----------------
- `Calibration`: apply it to the network's numbers.
- `fit_calibration`: fit one to a separate simulation.
- `calibration_errors`: statistical errors of its parameters.
- `townsend.experiments.drifttube.reconstruction.first_arrival`: the time that it needs beside the network's number.
- `townsend.experiments.drifttube.reconstruction.calibration_check`: what it is worth on waveforms not fitted.

Least squares of the truth on the prediction make the mean right at every *predicted* number. A straight line in the
prediction alone leaves a bias of 1 to 2 % in thirds of the distance between track and wire. Data tell that distance
without a tracker by the first arrival, so that enters as a parabola. Public analyses of beam tests of such tubes do
likewise: their drift-time correction is N p0 / (p0 + p1 t), t the time of the first cluster.

Where it is a poor approximation: it does not make the mean right at every *true* number. Where few clusters are true
too many are found, and the reverse, as with every estimate of finite resolution. The terms in the first arrival bring
in path length times cluster density of the calibration sample, so that another density (gas, particle) is followed by
the slope alone; and they hold for that sample's drift velocity, and for the passage of the track known to a few ns.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError

__all__ = [
    "LEAST_WAVEFORMS",
    "PARAMETERS",
    "Calibration",
    "Fitted",
    "calibration_errors",
    "checked_numbers",
    "fit_calibration",
    "fit_checked",
]

LEAST_WAVEFORMS = 100
PARAMETERS = ("offset", "slope", "per_100ns", "per_100ns_squared", "variance_floor", "variance_per_cluster")
"""Those parameters of a `Calibration` that are fitted."""

_UNIT_NS = 100.0
_SMALLEST_VARIANCE = 1 / 12  # the true number is whole: no error tells more than that
_TOLD_APART = 1e-6  # singular value, relative to the largest, below which columns count as dependent
_RESAMPLES = 400
_SEED = 1901

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Calibration:
    """number = offset + slope * predicted + per_100ns * u + per_100ns_squared * u^2, u the first arrival / 100 ns.

    Its variance is variance_floor + variance_per_cluster * number.

    Arguments:
        offset: clusters; slope: of truth on prediction.
        per_100ns, per_100ns_squared: clusters; both 0 where the sample did not tell them.
        first_from_ns, first_to_ns: range of first arrivals that was fitted; others are clipped to it, since a parabola
            means nothing beyond.
        variance_floor, variance_per_cluster: >= 0.
    """

    offset: float
    slope: float
    per_100ns: float
    per_100ns_squared: float
    first_from_ns: float
    first_to_ns: float
    variance_floor: float
    variance_per_cluster: float

    def apply(self, predicted: ArrayLike, first_ns: ArrayLike) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Return (n,) numbers of clusters >= 0 and their errors (one standard deviation).

        A prediction of exactly 0 says that no peak was found: it stays 0. No error is below 0.29 = 1/sqrt(12), since
        the true number is whole.

        Arguments:
            predicted: (n,) uncalibrated numbers.
            first_ns: (n,) first arrivals, see `first_arrival_ns`; not read where the prediction is 0.
        """
        number = _number(self, np.asarray(predicted, np.float64), np.asarray(first_ns, np.float64))
        variance = self.variance_floor + self.variance_per_cluster * number
        error = np.sqrt(np.maximum(variance, _SMALLEST_VARIANCE))
        return number.astype(np.float32), error.astype(np.float32)

    def to_json(self) -> dict[str, float]:
        """Return a JSON-like copy."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Calibration:
        """Return the calibration that `to_json` wrote; other keys are left unread.

        Raises InputError when a parameter is missing, no finite number, a variance negative, or the range reversed.
        """
        try:
            found = Calibration(**{field.name: float(value[field.name]) for field in fields(Calibration)})
        except (KeyError, TypeError, ValueError) as error:
            names = ", ".join(field.name for field in fields(Calibration))
            msg = (
                f"a calibration must have the numbers {names} (problem with {error}); assemble the reconstruction again"
            )
            raise InputError(msg) from None
        positive = found.variance_floor, found.variance_per_cluster, found.first_to_ns - found.first_from_ns
        if not np.isfinite(list(asdict(found).values())).all() or min(positive) < 0:
            rule = "a calibration must be finite, its variances >= 0 and its first arrivals in order"
            msg = f"{rule} (got {found}); assemble the reconstruction again"
            raise InputError(msg)
        return found


def _number(by: Calibration, predicted: Floats, first_ns: Floats) -> Floats:
    seen = predicted != 0
    u = np.clip(np.where(seen, first_ns, 0.0), by.first_from_ns, by.first_to_ns) / _UNIT_NS
    number = by.offset + by.slope * predicted + by.per_100ns * u + by.per_100ns_squared * u**2
    return np.where(seen, np.maximum(number, 0.0), 0.0)


class Fitted(NamedTuple):
    """Columns of `fit_calibration`, checked: (n,) predicted and true numbers and first arrivals."""

    predicted: Floats
    truth: Floats
    first_ns: Floats

    def rows(self, rows: NDArray[np.intp]) -> Fitted:
        """Return some rows."""
        return Fitted(*(column[rows] for column in self))


def fit_calibration(predicted: ArrayLike, truth: ArrayLike, first_ns: ArrayLike) -> Calibration:
    """Return the calibration of a sample: least squares for the number, non-negative ones for its squared residuals.

    Terms in the first arrival are left out, both 0, where the sample does not tell them from the others: first arrivals
    that are all the same, of two values, or a straight line in the prediction.

    Arguments:
        predicted: (n,) uncalibrated numbers; 0 where no peak was found, to which the number is not fitted.
        truth: (n,) true numbers.
        first_ns: (n,) first arrivals, see `first_arrival_ns`; not read where no peak was found.

    Raises InputError for fewer than 100 waveforms, numbers that are not finite, or a constant prediction.
    """
    return fit_checked(checked_numbers(predicted, truth, first_ns))


def calibration_errors(predicted: ArrayLike, truth: ArrayLike, first_ns: ArrayLike) -> dict[str, float]:
    """Return the standard deviation of each of `PARAMETERS`, by bootstrap over waveforms; see `fit_calibration`."""
    columns = checked_numbers(predicted, truth, first_ns)
    random, size = np.random.default_rng(_SEED), len(columns.truth)
    fits = [fit_checked(columns.rows(random.integers(0, size, size))) for _ in range(_RESAMPLES)]
    return {name: float(np.std([getattr(fit, name) for fit in fits], ddof=1)) for name in PARAMETERS}


def fit_checked(columns: Fitted) -> Calibration:
    """Return what `fit_calibration` does, of columns already checked and however few; for resampling."""
    from scipy.optimize import nnls

    seen = columns.predicted != 0
    x, y, first = columns.predicted[seen], columns.truth[seen], columns.first_ns[seen]
    offset, slope, linear, square = _coefficients(x, first / _UNIT_NS, y)
    mean = Calibration(offset, slope, linear, square, float(first.min()), float(first.max()), 0.0, 0.0)
    # Waveforms without a peak have an error, too: that of the number 0.
    number = _number(mean, columns.predicted, columns.first_ns)
    design = np.stack([np.ones(len(number)), number], axis=1)
    floor, per_cluster = nnls(design, (columns.truth - number) ** 2)[0]
    return replace(mean, variance_floor=float(floor), variance_per_cluster=float(per_cluster))


def _coefficients(x: Floats, u: Floats, y: Floats) -> tuple[float, float, float, float]:
    """Return the least-squares coefficients of y on 1, x, u and u^2; 0 for u and u^2 where these are not told apart."""
    columns = np.stack([x, u, u**2], axis=1)
    for used in (3, 1):
        slopes = _slopes(columns[:, :used], y)
        if slopes is not None:
            of_x, of_u, of_square = np.pad(slopes, (0, 3 - used))
            offset = y.mean() - columns[:, :used].mean(axis=0) @ slopes
            return float(offset), float(of_x), float(of_u), float(of_square)
    return float(y.mean()), 0.0, 0.0, 0.0  # a resample in which all predictions are one


def _slopes(columns: Floats, y: Floats) -> Floats | None:
    """Return the least-squares slopes, or None when the columns depend on each other."""
    off = columns - columns.mean(axis=0)
    spread = off.std(axis=0)
    if (spread <= _TOLD_APART * np.abs(columns).max(axis=0)).any():
        return None
    # Columns of one size, so that a singular value tells dependence and not units.
    found, _, rank, _ = np.linalg.lstsq(off / spread, y - y.mean(), rcond=_TOLD_APART)
    return found / spread if rank == columns.shape[1] else None


def checked_numbers(predicted: ArrayLike, truth: ArrayLike, first_ns: ArrayLike) -> Fitted:
    """Return the columns as (n,) float64; raises InputError as `fit_calibration` does."""
    columns = Fitted(*(np.asarray(column, np.float64).reshape(-1) for column in (predicted, truth, first_ns)))
    guess, true, first = columns
    if not len(guess) == len(true) == len(first):
        got = f"got {len(guess)}, {len(true)} and {len(first)}"
        msg = f"predicted and true numbers and first arrivals must be equally many ({got}); check the sample"
        raise InputError(msg)
    bad = int(np.count_nonzero(~(np.isfinite(guess) & np.isfinite(true))))
    if bad:
        msg = f"predicted and true numbers must be finite (got {bad} of {len(true)} that are not); train again"
        raise InputError(msg)
    seen = guess[guess != 0]
    bad = int(np.count_nonzero(~np.isfinite(first[guess != 0])))
    if bad:
        rule = "first arrivals must be finite wherever a number was predicted"
        msg = f"{rule} (got {bad} of {len(seen)} that are not); check the sample"
        raise InputError(msg)
    if len(seen) < LEAST_WAVEFORMS:
        rule = f"a calibration needs at least {LEAST_WAVEFORMS} waveforms with peaks and truth"
        msg = f"{rule} (got {len(seen)} of {len(true)}); simulate more"
        raise InputError(msg)
    if np.ptp(seen) <= 1e-6 * np.abs(seen).max():
        rule = "predicted numbers must differ from waveform to waveform"
        msg = f"{rule} (got {seen[0]:.6g} for all {len(seen)}); choose another clusteriser"
        raise InputError(msg)
    return columns
