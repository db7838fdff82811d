"""What a network that counts clusters is compared with: the classical way below it, perfect arrival times above.

What to use when
----------------
- `CountInputs`: what is known of n waveforms; `fit_references`: fitted on training waveforms.
- `References.predict`: the number of clusters of other waveforms by each way.

Every way has a name:

- "path": linear in the length of the track: what geometry alone knows. With impact parameters spread over the tube it
  explains half of the variance, so a network's R2 over all of them flatters.
- "deriv_raw": peaks of DERIV, associated in time, as it comes; "deriv": linear in it.
- "peaks": linear in the number of peaks that the network before found.
- "boosted_found", "boosted_resolvable", "boosted_perfect": gradient boosting on the features of `arrival_features`, of
  the peaks found, of the true electrons that can be told apart, of all true electrons. "boosted_perfect" is the
  ceiling to quote: what any use of arrival times can hope for, with no charge and no truth of the track.

The ceiling on 10,000 reference tracks of Garfield++ (uniform impact parameter, predicted five times by the rest): R2
0.889 (mean squared error 3.45), and 0.838 (3.09) at |b| < 0.08 cm. How near that is to the best possible was measured
on simulated tracks, 15,000 judged: with 1,000, 5,000 and 28,000 training tracks the mean squared error is 3.9, 3.4 and
3.2, with 45,000 it is 3.2; more features of the times, a kernel method in front, and larger or longer boosting
gained 2 % at most. So few training tracks make the ceiling too low: compare networks trained on as many.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError

__all__ = ["Arrivals", "CountInputs", "References", "arrival_features", "fit_references"]

Floats = NDArray[np.float64]

_SCALES = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.4, 0.6, 0.9, 1.3)  # ns^1/2; the published cut is 0.2 to 0.3
_LAGS = (1, 2, 3, 4)
_QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)
_BEFORE_NS = (10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0, 120.0, 140.0, 150.0, 175.0, 200.0, 250.0, 300.0)
_NOTHING = -1.0  # stands for times of a waveform without arrivals; trees set it apart
_BOOSTING: dict[str, Any] = {
    "max_iter": 300,
    "learning_rate": 0.04,
    "max_leaf_nodes": 15,
    "min_samples_leaf": 40,
    "l2_regularization": 10.0,
    "max_features": 0.3,
    "early_stopping": False,
    "random_state": 0,
}


@dataclass(frozen=True)
class Arrivals:
    """Times of electrons of many waveforms, flat and in any order.

    Arguments:
        row: (m,) waveform of each, from 0.
        time_ns: (m,) since the track passed (t0); what lies before counts as at 0.
    """

    row: NDArray[np.integer]
    time_ns: NDArray[np.floating]


@dataclass(frozen=True)
class CountInputs:
    """What is known of n waveforms, never the number of their clusters.

    Arguments:
        n: number of waveforms.
        path_cm: (n,) length of the track inside the tube, NaN where unknown: there is no "path" then.
        deriv_clusters: (n,) clusters counted by DERIV and association.
        found: peaks found by the network.
        resolvable: true visible electrons, those within the double-pulse time merged.
        perfect: all true electrons.
    """

    n: int
    path_cm: NDArray[np.floating]
    deriv_clusters: NDArray[np.integer]
    found: Arrivals
    resolvable: Arrivals
    perfect: Arrivals


@dataclass(frozen=True)
class References:
    """Fitted ways of telling the number of clusters; made by `fit_references`.

    Arguments:
        lines: by name, (offset, slope) of a straight line.
        boosted: by name, scikit-learn regressor of `arrival_features`.
    """

    lines: dict[str, tuple[float, float]]
    boosted: dict[str, Any]

    def predict(self, inputs: CountInputs) -> dict[str, NDArray[np.float32]]:
        """Return (n,) number of clusters by name, none negative."""
        numbers, features = _numbers(inputs), _features(inputs)
        predicted = {"deriv_raw": numbers["deriv"]}
        predicted |= {name: offset + slope * numbers[name] for name, (offset, slope) in self.lines.items()}
        with _one_thread():
            predicted |= {name: regressor.predict(features[name]) for name, regressor in self.boosted.items()}
        return {name: np.maximum(value, 0.0).astype(np.float32) for name, value in predicted.items()}


def fit_references(inputs: CountInputs, clusters: NDArray[np.number]) -> References:
    """Fit every way on training waveforms; the same inputs give the same references.

    Arguments:
        inputs: of the training waveforms.
        clusters: (n,) true number of clusters.

    Raises InputError for fewer than two waveforms.
    """
    if inputs.n < 2:
        msg = f"references need at least 2 training waveforms (got {inputs.n}); simulate more"
        raise InputError(msg)
    from sklearn.ensemble import HistGradientBoostingRegressor

    y = clusters.astype(np.float64)
    lines = {name: _line(number, y) for name, number in _numbers(inputs).items()}
    with _one_thread():
        boosted = {
            name: HistGradientBoostingRegressor(**_BOOSTING).fit(features, y)
            for name, features in _features(inputs).items()
        }
    return References(lines, boosted)


def arrival_features(arrivals: Arrivals, waveforms: int) -> Floats:
    """Return (waveforms, features) of arrival times, which alone they see.

    In order: number of arrivals; first and last time and the span between; five quantiles of the times; number of
    arrivals before each of 14 times; and for k = 1 ... 4 the number of arrivals later than the k-th before them by more
    than s * sqrt(t), s from 0.05 to 1.3 ns^1/2 (wider by 0.6 for each further k). Those with k = 1 are the classical
    association with several cuts (an arrival without a k-th before it counts); those with k > 1 see that a large
    cluster is a crowd. Times of a waveform without arrivals are -1.
    """
    order = np.lexsort((arrivals.time_ns, arrivals.row))
    row = arrivals.row[order].astype(np.int64)
    t = np.maximum(arrivals.time_ns[order].astype(np.float64), 0.0)
    number = np.bincount(row, minlength=waveforms)
    start = np.cumsum(number) - number
    held = np.flatnonzero(number)

    def nth(position: float) -> Floats:
        """Return the time at a position (0: first, 1: last) among the arrivals of each waveform."""
        times = np.full(waveforms, _NOTHING)
        index = np.floor(position * (number[held] - 1)).astype(np.int64)
        times[held] = t[start[held] + index]
        return times

    first, last = nth(0.0), nth(1.0)
    columns = [number, first, last, last - first, *(nth(q) for q in _QUANTILES)]
    columns += [np.bincount(row[t < edge], minlength=waveforms) for edge in _BEFORE_NS]
    for lag in _LAGS:
        apart = _since_earlier(row, t, lag) / np.sqrt(np.maximum(t, 1e-9))
        widening = 1 + 0.6 * (lag - 1)
        columns += [np.bincount(row[apart > widening * scale], minlength=waveforms) for scale in _SCALES]
    return np.stack(columns, axis=1).astype(np.float64)


def _since_earlier(row: NDArray[np.int64], t: Floats, lag: int) -> Floats:
    """Return the time since the lag-th arrival before in the same waveform, infinite where there is none."""
    since = np.full(len(t), np.inf)
    since[lag:] = np.where(row[lag:] == row[:-lag], t[lag:] - t[:-lag], np.inf)
    return since


def _numbers(inputs: CountInputs) -> dict[str, Floats]:
    known = {"path": inputs.path_cm.astype(np.float64)} if np.isfinite(inputs.path_cm).all() else {}
    return {
        **known,
        "deriv": inputs.deriv_clusters.astype(np.float64),
        "peaks": np.bincount(inputs.found.row, minlength=inputs.n).astype(np.float64),
    }


def _features(inputs: CountInputs) -> dict[str, Floats]:
    return {
        "boosted_found": arrival_features(inputs.found, inputs.n),
        "boosted_resolvable": arrival_features(inputs.resolvable, inputs.n),
        "boosted_perfect": arrival_features(inputs.perfect, inputs.n),
    }


def _line(x: Floats, y: Floats) -> tuple[float, float]:
    """Return offset and slope by least squares; the mean where x does not vary."""
    spread = x - x.mean()
    varies = bool(np.ptp(x) > 0)  # equal values need not equal their mean to the last bit
    slope = float(spread @ y) / float(spread @ spread) if varies else 0.0
    return float(y.mean()) - slope * float(x.mean()), slope


def _one_thread() -> AbstractContextManager[Any]:
    """Hold OpenMP to one thread: waiting threads on a busy machine made a fit 100 times slower."""
    from threadpoolctl import threadpool_limits  # it ships no types

    limits: AbstractContextManager[Any] = threadpool_limits(1, user_api="openmp")
    return limits
