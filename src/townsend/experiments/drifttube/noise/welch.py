"""The spectrum of quiet stretches, and what of it is pick-up.

What to use when
----------------
- `choose_segment`: how long a piece of trace may be transformed, so that enough pieces are averaged.
- `segment_spectra`: one-sided power density of each piece.
- `separate_lines`: pick-up lines apart from the smooth floor.
- `octave_edges`, `octave_powers`: the power octave by octave, by which two spectra are compared.

Welch's method (P. D. Welch, 1967) with half-overlapping segments, each seen through two sine tapers (K. S. Riedel and
A. Sidorenko, 1995) in place of one Hann window: where a segment is a whole record, a Hann window would measure its
middle alone; the two tapers together weight nearly all of it. A pure tone fills four bins.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.signal import find_peaks
from scipy.stats import chi2, f

__all__ = [
    "TAPERS",
    "MeasuredLine",
    "choose_segment",
    "octave_edges",
    "octave_powers",
    "segment_spectra",
    "separate_lines",
]

TAPERS = 2
SHORTEST = 32
"""Samples of a segment, below which there is no spectrum to speak of."""
_LONGEST = 16384
_PIECES = 16  # that are averaged at least, where records can be cut so short
_LOWEST = 2  # bin; the baseline, which is taken off, spoils those below
_SKIRT = 2  # bins on each side of a line that its tapers fill
_REACH = 0.35  # of a frequency: as far to both sides the floor is taken as smooth ...
_NARROWEST = 10  # ... but at least these bins
_SMOOTHING = 0.03  # of a frequency, over which the floor is averaged at most, but at least two bins to each side ...
_CALM = 400  # ... unless so many averages are reached with fewer: 5 % of scatter
_SAME = 1e-4  # false-alarm rate at which two neighbouring peaks are told apart
_FWHM = 2.3548  # of a Gaussian, in standard deviations


@dataclass(frozen=True)
class MeasuredLine:
    """Pick-up at one frequency.

    Arguments:
        frequency_GHz: its centre.
        rms_mV, rms_error_mV: its level; the error from the scatter between waveforms.
        width_GHz: full width at half maximum, 0 where narrower than a segment resolves.
    """

    frequency_GHz: float
    rms_mV: float
    rms_error_mV: float
    width_GHz: float


def choose_segment(lengths: NDArray[np.int64]) -> int:
    """Return the samples of a segment: half of the quiet time lies in stretches at least as long; 0 where none is.

    Arguments:
        lengths: (stretches,) samples of each.
    """
    falling = np.sort(lengths[lengths >= SHORTEST])[::-1]
    if not len(falling):
        return 0
    total = np.cumsum(falling)
    half = int(falling[np.searchsorted(total, total[-1] / 2)])
    enough = max(int(total[-1]) // _PIECES, SHORTEST)
    return min(half, enough, _LONGEST) // 2 * 2


def segment_spectra(
    stretches: Sequence[NDArray[np.float64]], samples: int, rate_ghz: float
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Return (segments, samples // 2 + 1) power density [mV^2/GHz] and (segments,) number of the stretch it is from.

    Arguments:
        stretches: of any length [mV]; shorter ones than a segment are left out, longer ones covered end to end.
        samples: of a segment, even.
        rate_ghz: samples a ns.
    """
    time = np.arange(1, samples + 1) / (samples + 1)
    tapers = np.sqrt(2 / (samples + 1)) * np.sin(np.pi * np.outer(np.arange(1, TAPERS + 1), time))
    spectra, owners = [], []
    for owner, stretch in enumerate(stretches):
        if len(stretch) < samples:
            continue
        pieces = -(-(len(stretch) - samples) // (samples // 2)) + 1
        for start in np.linspace(0, len(stretch) - samples, pieces).round().astype(int):
            piece = stretch[start : start + samples]
            spectra.append(np.mean(np.abs(np.fft.rfft(tapers * (piece - piece.mean()), axis=1)) ** 2, axis=0))
            owners.append(owner)
    density = np.array(spectra).reshape(len(owners), samples // 2 + 1) / rate_ghz
    density[:, 1:-1] *= 2
    return density, np.array(owners, np.int64)


def separate_lines(
    spectra: NDArray[np.float64],
    owners: NDArray[np.int64],
    slow: NDArray[np.float64],
    *,
    averages: float,
    step_GHz: float,
    false_lines: float,
) -> tuple[NDArray[np.float64], list[MeasuredLine]]:
    """Return the smooth floor [mV^2/GHz] and the lines above it, by ascending frequency.

    A line is where the mean density stands above its running median by more than `false_lines` bins would in pure
    noise; peaks are told apart where the valley between them is significant. What a line leaves is filled with the
    median, so that floor and lines together hold the power that was measured.

    Arguments:
        spectra, owners: of `segment_spectra`.
        slow: (bins,) density [mV^2/GHz] that a wander of the baseline makes in them, which is taken off.
        averages: independent spectra in the mean.
        step_GHz: between two bins.
        false_lines: bins, expected number of mistakes in all.

    Poor approximation: power that falls off within a line's foot is given to the line.
    """
    mean = spectra.mean(axis=0)
    # Where the wander is most of it, too little is known of the rest.
    lowest = max(_LOWEST, int(np.argmax(2 * slow <= mean)))
    spectra, mean = spectra - slow, mean - slow
    floor = _median_floor(mean, lowest, averages)
    bins = np.arange(len(mean))
    degrees = 2 * averages
    threshold = chi2.isf(false_lines / len(mean), degrees) / degrees
    # What stands at half the sampling rate is the digitiser's own and no pick-up.
    last = len(mean) - 1 - _SKIRT
    above = (mean > threshold * floor) & (bins >= lowest) & (bins < last)
    regions = [region for run in _runs(_widened(above, lowest)) for region in _split(mean, run, degrees)]
    lines = [_line(spectra, owners, floor, region, step_GHz) for region in regions]
    rest = mean.copy()
    for region in regions:
        rest[region] = floor[region]
    rest[last:] = floor[last:]
    rest[:lowest] = rest[lowest]
    return _smoothed(rest, averages), [line for line in lines if line is not None]


def _median_floor(mean: NDArray[np.float64], lowest: int, averages: float) -> NDArray[np.float64]:
    """Return the running median as an estimate of the mean, which lies above it where few spectra are averaged."""
    reach = np.maximum(_NARROWEST, (_REACH * np.arange(len(mean))).astype(int))
    median = np.array([np.median(mean[max(lowest, k - r) : max(lowest, k) + r + 1]) for k, r in enumerate(reach)])
    degrees = 2 * averages
    return np.asarray(median * degrees / chi2.median(degrees))


def _widened(above: NDArray[np.bool_], lowest: int) -> NDArray[np.bool_]:
    full = np.convolve(above, np.ones(2 * _SKIRT + 1), mode="same") > 0
    full[:lowest] = full[-1] = False
    return np.asarray(full)


def _runs(chosen: NDArray[np.bool_]) -> list[tuple[int, int]]:
    edges = np.flatnonzero(np.diff(np.concatenate([[False], chosen, [False]]).astype(np.int8)))
    return list(zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True))


def _split(mean: NDArray[np.float64], run: tuple[int, int], degrees: float) -> list[slice]:
    """Cut a run of bins at the valleys that are significantly below both their peaks."""
    part = mean[run[0] : run[1]]
    # A ratio of two densities follows Fisher's F; prominence of the logarithm is that ratio.
    deepest = np.log(f.isf(_SAME, degrees, degrees))
    level = np.log(np.maximum(part, np.finfo(float).tiny))
    peaks, _ = find_peaks(np.concatenate([[level[0] - 99], level, [level[-1] - 99]]), prominence=deepest)
    peaks = peaks - 1
    cuts = [int(a + np.argmin(part[a:b])) for a, b in pairwise(peaks)]
    edges = [0, *cuts, len(part)]
    return [slice(run[0] + a, run[0] + b) for a, b in pairwise(edges)]


def _line(
    spectra: NDArray[np.float64],
    owners: NDArray[np.int64],
    floor: NDArray[np.float64],
    region: slice,
    step_GHz: float,
) -> MeasuredLine | None:
    excess = spectra[:, region] - floor[region]
    power = excess.sum(axis=1) * step_GHz
    mean = float(power.mean())
    if mean <= 0:
        return None
    each = np.bincount(owners, power)[np.unique(owners)] / np.bincount(owners)[np.unique(owners)]
    rms = np.sqrt(mean)
    error = float(each.std(ddof=1) / np.sqrt(len(each)) / (2 * rms)) if len(each) > 1 else 0.0
    weight = np.maximum(excess.mean(axis=0), 0)
    bins = np.arange(region.start, region.stop)
    centre = float(np.average(bins, weights=weight))
    variance = float(np.average((bins - centre) ** 2, weights=weight)) - _own_variance()
    width = _FWHM * np.sqrt(max(variance, 0.0))
    return MeasuredLine(centre * step_GHz, float(rms), error, float(width * step_GHz) if width >= 1 else 0.0)


def _own_variance() -> float:
    """Return the variance [bins^2] of a pure tone seen through the tapers, within the bins they fill."""
    samples = 256
    time = np.arange(1, samples + 1) / (samples + 1)
    tone = np.cos(2 * np.pi * 64 * time)
    tapers = np.sin(np.pi * np.outer(np.arange(1, TAPERS + 1), time))
    power = np.sum(np.abs(np.fft.rfft(tapers * tone, axis=1)) ** 2, axis=0)
    bins = np.arange(64 - _SKIRT, 64 + _SKIRT + 1)
    return float(np.average((bins - 64) ** 2, weights=power[bins]))


def _smoothed(density: NDArray[np.float64], averages: float) -> NDArray[np.float64]:
    """Return the running mean, over as many bins as it takes to make the scatter small, and no negative value."""
    bins = np.arange(len(density))
    needed = int(np.ceil((_CALM / averages - 1) / 2))
    reach = np.minimum(np.maximum(2, (_SMOOTHING * bins).astype(int)), max(needed, 0))
    reach = np.minimum(reach, np.minimum(bins, bins[::-1]))
    total = np.concatenate([[0.0], np.cumsum(density)])
    mean = (total[bins + reach + 1] - total[bins - reach]) / (2 * reach + 1)
    return np.asarray(np.maximum(mean, 0.0))


def octave_edges(nyquist_GHz: float, step_GHz: float) -> NDArray[np.float64]:
    """Return ascending edges [GHz] of octaves down from half the sampling rate, the lowest of them 8 bins wide or more.

    At least one octave is returned.
    """
    count = max(1, int(np.floor(np.log2(nyquist_GHz / (8 * step_GHz)))))
    return np.asarray(nyquist_GHz / 2.0 ** np.arange(count, -1, -1))


def octave_powers(density: NDArray[np.float64], step_GHz: float, edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return (octaves,) power [mV^2] of a spectrum on equally spaced bins from 0, each half a step to both sides."""
    limits = step_GHz * np.maximum(np.arange(len(density) + 1) - 0.5, 0)
    summed = np.concatenate([[0.0], np.cumsum(density * np.diff(limits))])
    return np.diff(np.interp(edges, limits, summed))
