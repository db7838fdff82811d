"""Slow drift of the baseline: how large, and how slow.

What to use when
----------------
- `measure_wander`: from quiet stretches of several waveforms.

The model is that of the simulation, a stationary Ornstein-Uhlenbeck process (G. E. Uhlenbeck and L. S. Ornstein, 1930)
of correlation exp(-t / tau). Means over blocks of 50 ns are compared at growing distance within a record, and between
records of the same channel, which stand for infinite distance: half their mean squared difference rises from what
fast noise alone makes to that plus the variance of the drift. Errors by the jackknife over groups of waveforms.
Poor approximation: drift between runs (temperature) and drift within a record are one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["MeasuredWander", "measure_wander"]

_BLOCK_NS = 50.0
_GROUPS = 20
_SIGNIFICANT = 3.0
_MOST_LAGS = 64
_SLOWEST = 1e4  # times the longest lag that is tried ...
_SEEN = 3  # ... and up to this many that are believed


@dataclass(frozen=True)
class MeasuredWander:
    """Drift of the baseline; `rms_mV` 0 where none is significant.

    Arguments:
        rms_mV, rms_error_mV: standard deviation; the error is None where nothing could be compared.
        time_ns: correlation time; None where there is no drift, or it is slower than the records show.
    """

    rms_mV: float
    rms_error_mV: float | None
    time_ns: float | None


@dataclass(frozen=True)
class _Sums:
    """What one waveform contributes: squared differences and pairs at each lag, blocks, their sum and squares."""

    difference: NDArray[np.float64]
    pairs: NDArray[np.float64]
    mean: NDArray[np.float64]
    square: NDArray[np.float64]
    channel: NDArray[np.int32]

    def chosen(self, rows: NDArray[np.bool_]) -> _Sums:
        return _Sums(*(value[rows] for value in vars(self).values()))


def measure_wander(
    stretches: Sequence[NDArray[np.float64]], channel: NDArray[np.int32], rate_ghz: float
) -> MeasuredWander:
    """Return the drift of the baseline.

    Arguments:
        stretches: quiet parts [mV], one a waveform.
        channel: (stretches,) of each.
        rate_ghz: samples a ns.
    """
    size = max(1, round(_BLOCK_NS * rate_ghz))
    enough = [row for row, stretch in enumerate(stretches) if len(stretch) >= 2 * size]
    nothing = MeasuredWander(0.0, None, None)
    if len(enough) < 2:
        return nothing
    sums = _sums([_blocks(stretches[row], size) for row in enough], channel[enough])
    group = np.arange(len(enough)) % min(_GROUPS, len(enough))
    whole = _variogram(sums)
    left_out = np.array([_variogram(sums.chosen(group != number)) for number in range(group.max() + 1)])
    usable = np.isfinite(whole) & np.isfinite(left_out).all(axis=0)
    if np.count_nonzero(usable) < 2:
        return nothing
    count = len(left_out)
    scatter = (count - 1) / count * np.sum((left_out - left_out.mean(axis=0)) ** 2, axis=0)
    rises = whole - whole[0]
    last = int(np.flatnonzero(usable)[-1])
    replicas = left_out[:, last] - left_out[:, 0]
    error = float(np.sqrt((count - 1) / count * np.sum((replicas - replicas.mean()) ** 2)))
    if rises[last] <= _SIGNIFICANT * error:
        return MeasuredWander(0.0, float(np.sqrt(error)), None)
    lag_ns = np.append(np.arange(1, len(whole)), np.inf) * size / rate_ghz
    variance, time_ns = _fit(lag_ns[usable], whole[usable], scatter[usable], size / rate_ghz)
    if time_ns is None:
        variance = float(rises[last])
    return MeasuredWander(float(np.sqrt(variance)), error / (2 * float(np.sqrt(variance))), time_ns)


def _blocks(stretch: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    number = len(stretch) // size
    return np.asarray(stretch[: number * size].reshape(number, size).mean(axis=1))


def _sums(blocks: list[NDArray[np.float64]], channel: NDArray[np.int32]) -> _Sums:
    lags = min(max(map(len, blocks)) - 1, _MOST_LAGS)
    difference, pairs = np.zeros((len(blocks), lags)), np.zeros((len(blocks), lags))
    for row, values in enumerate(blocks):
        for lag in range(1, min(len(values) - 1, lags) + 1):
            difference[row, lag - 1] = np.sum((values[lag:] - values[:-lag]) ** 2) / 2
            pairs[row, lag - 1] = len(values) - lag
    mean = np.array([values.mean() for values in blocks])
    square = np.array([np.mean(values**2) for values in blocks])
    return _Sums(difference, pairs, mean, square, channel)


def _variogram(sums: _Sums) -> NDArray[np.float64]:
    """Return half the mean squared difference at each lag and, last, between waveforms of a channel; NaN: no pairs."""
    pairs = sums.pairs.sum(axis=0)
    within = np.divide(sums.difference.sum(axis=0), pairs, out=np.full(len(pairs), np.nan), where=pairs > 0)
    between, weight = 0.0, 0.0
    for number in np.unique(sums.channel):
        mean = sums.mean[sums.channel == number]
        many = len(mean)
        if many < 2:
            continue
        products = (mean.sum() ** 2 - np.sum(mean**2)) / (many * (many - 1))
        between += (many - 1) * (float(np.mean(sums.square[sums.channel == number])) - products)
        weight += many - 1
    return np.append(within, between / weight if weight else np.nan)


def _fit(
    lag_ns: NDArray[np.float64], value: NDArray[np.float64], scatter: NDArray[np.float64], block_ns: float
) -> tuple[float, float | None]:
    """Return variance and correlation time of the drift; no time where it is beyond what the lags show."""
    longest = float(lag_ns[np.isfinite(lag_ns)].max())
    weight = 1 / np.sqrt(np.maximum(scatter, 1e-6 * float(np.max(scatter))))
    best = (np.inf, 0.0, 0.0)
    for time_ns in np.geomspace(block_ns / 4, _SLOWEST * longest, 300):
        x = block_ns / time_ns
        variance = 2 / x**2 * (x - 1 + np.exp(-x))
        covariance = ((1 - np.exp(-x)) / x) ** 2 * np.exp(-(lag_ns - block_ns) / time_ns)
        design = np.stack([np.ones(len(lag_ns)), variance - covariance], axis=1)
        found, *_ = np.linalg.lstsq(design * weight[:, None], value * weight, rcond=None)
        misfit = float(np.sum(((design @ found - value) * weight) ** 2))
        if found[1] > 0 and misfit < best[0]:
            best = (misfit, float(found[1]), float(time_ns))
    return best[1], best[2] if 0 < best[2] < _SEEN * longest else None
