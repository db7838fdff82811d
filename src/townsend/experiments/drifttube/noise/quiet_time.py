"""Where in a trace there is noise alone.

What to use when
----------------
- `find_quiet`: how many samples of each trace come before its first pulse; all of them where there is none.

A pulse drags a tail of ions over microseconds and AC coupling answers with an undershoot as long, so that nothing
after the first pulse is used. The first pulse is found in the trace itself and in its running mean over 10 ns, which
sees small wide pulses and slow tails. Level and spread are median and median deviation of what is still taken as
quiet, found anew until nothing changes; the spread is that of the channel, because a trace that chose its own
threshold would keep its calm parts only. Poor approximation: single electrons below the threshold that come more than
the guard time before the first pulse are taken for noise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter1d

__all__ = ["Quiet", "find_quiet"]

_RUNNING_MEAN_NS = 10.0
_GAUSSIAN = 1.4826  # standard deviation over median deviation
_ROUNDS = 50


@dataclass(frozen=True)
class Quiet:
    """The quiet beginning of n traces.

    Arguments:
        stop: (n,) samples from the first one on that are quiet.
        hit: (n,) whether a pulse comes after them.
    """

    stop: NDArray[np.int64]
    hit: NDArray[np.bool_]


def find_quiet(
    millivolts: NDArray[np.float64],
    channel: NDArray[np.int32],
    rate_ghz: float,
    *,
    sigma: float,
    guard_ns: float,
    step_mV: float,
) -> Quiet:
    """Return the quiet beginning of every trace.

    Arguments:
        millivolts: (n, samples), of any polarity.
        channel: (n,) traces of one channel share a noise level.
        rate_ghz: samples a ns.
        sigma: a pulse leaves the level by this many times the spread.
        guard_ns: this much before a pulse is not quiet either.
        step_mV: of the digitiser; the spread is never taken below half of it.
    """
    views = (millivolts, _running_mean(millivolts, max(1, round(_RUNNING_MEAN_NS * rate_ghz))))
    length = millivolts.shape[1]
    own = np.array([[_spread(view[row], sigma, step_mV) for view in views] for row in range(len(millivolts))])
    # The last axis: the spread, and the samples it comes from.
    stop = np.full(len(millivolts), length)
    for number in np.unique(channel):
        rows = np.flatnonzero(channel == number)
        spreads = [_weighted_median(*own[rows, view].T) for view in range(len(views))]
        for row in rows:
            stop[row] = _first_pulse([view[row] for view in views], spreads, sigma)
    hit = stop < length
    return Quiet(np.where(hit, np.maximum(stop - round(guard_ns * rate_ghz), 0), length), hit)


def _running_mean(millivolts: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    """Return the mean over `width` samples about each; near the ends, where there are fewer, the nearest whole one."""
    width = min(width, millivolts.shape[1] // 4 + 1)
    mean = uniform_filter1d(millivolts, width, axis=1)
    first, last = width // 2, millivolts.shape[1] - 1 - (width - 1) // 2
    mean[:, :first] = mean[:, first : first + 1]
    mean[:, last + 1 :] = mean[:, last : last + 1]
    return np.asarray(mean)


def _spread(trace: NDArray[np.float64], sigma: float, step_mV: float) -> tuple[float, int]:
    """Return the spread of a trace before its first pulse, and how many samples come before it."""
    part = trace
    for _ in range(_ROUNDS):
        off = np.abs(part - np.median(part))
        spread = max(_GAUSSIAN * float(np.median(off)), step_mV / 2)
        beyond = off > sigma * spread
        first = int(np.argmax(beyond))
        if not beyond[first] or first == 0:
            break
        part = part[:first]
    return spread, len(part)


def _weighted_median(values: NDArray[np.float64], weights: NDArray[np.float64]) -> float:
    order = np.argsort(values)
    summed = np.cumsum(weights[order])
    return float(values[order][np.searchsorted(summed, summed[-1] / 2)])


def _first_pulse(views: list[NDArray[np.float64]], spreads: list[float], sigma: float) -> int:
    stop = len(views[0])
    for _ in range(_ROUNDS):
        before = stop
        for view, spread in zip(views, spreads, strict=True):
            if stop == 0:
                return 0
            beyond = np.abs(view[:stop] - np.median(view[:stop])) > sigma * spread
            stop = int(np.argmax(beyond)) if beyond.any() else stop
        if stop == before:
            break
    return stop
