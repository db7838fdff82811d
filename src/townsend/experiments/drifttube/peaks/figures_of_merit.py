"""What found peaks are worth: efficiency and purity against two truths, with ceilings from truth alone.

What to use when
----------------
- `TruthList`: arrivals of many waveforms, all visible electrons or those that can be resolved.
- `count_matches`: found, true and matched peaks of each waveform.
- `PEAK_FIGURES`: efficiency, purity, F1 and their product from such counts.
- `best_threshold`: the working point with the highest F1.
- `ceiling`: the same figures for a finder that reports every resolvable arrival and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from townsend.evaluate.classification import ratio
from townsend.experiments.drifttube.peaks.matching import match_lists

__all__ = ["PEAK_FIGURES", "FoundPeaks", "TruthList", "best_threshold", "ceiling", "count_matches"]

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TruthList:
    """True arrivals of `waveforms` waveforms, flat; rows ascend, times ascend within a row."""

    row: NDArray[np.int64]
    time_ns: Floats
    waveforms: int


@dataclass(frozen=True)
class FoundPeaks:
    """Found arrivals, the response's delay taken off; rows ascend, times ascend within a row."""

    row: NDArray[np.int64]
    time_ns: Floats


def count_matches(found: FoundPeaks, truth: TruthList, tolerance_ns: float) -> Floats:
    """Return (waveforms, 3) numbers of matched, found and true arrivals of each waveform."""
    partner = match_lists(found.row, found.time_ns, truth.row, truth.time_ns, tolerance_ns)
    rows = (found.row[partner >= 0], found.row, truth.row)
    return np.stack([np.bincount(row, minlength=truth.waveforms) for row in rows], axis=1).astype(np.float64)


def _efficiency(counts: Floats) -> Floats:
    return ratio(counts[..., 0], counts[..., 2])


def _purity(counts: Floats) -> Floats:
    return ratio(counts[..., 0], counts[..., 1])


def _f1(counts: Floats) -> Floats:
    return ratio(2 * counts[..., 0], counts[..., 1] + counts[..., 2])


def _product(counts: Floats) -> Floats:
    return _efficiency(counts) * _purity(counts)


PEAK_FIGURES: Mapping[str, Callable[[Floats], Floats]] = {
    "efficiency": _efficiency,
    "purity": _purity,
    "f1": _f1,
    "efficiency_x_purity": _product,
}
"""Name -> function of counts (..., 3), ordered matched, found, true; 0 where nothing is found or true."""


def best_threshold(
    scores: NDArray[np.float32], labels: NDArray[np.float32], f1_at: Callable[[float], float], steps: int = 40
) -> float:
    """Return the threshold with the highest `f1_at` among quantiles of the signal's scores, the highest of equals."""
    levels = np.quantile(scores[labels > 0].astype(np.float64), np.linspace(0, 0.9, steps))
    tried = np.unique(levels)
    figures = [f1_at(float(level)) for level in tried]
    return float(tried[len(tried) - 1 - int(np.argmax(figures[::-1]))])


def ceiling(resolvable: TruthList, truth: TruthList, tolerance_ns: float) -> dict[str, float]:
    """Return the figures of a finder that reports every resolvable arrival and nothing else, against `truth`.

    Matching within the tolerance is kinder than a dead time: of two merged electrons a finder may hit the later one
    and an electron after it as well, so that a luckier finder can pass this by a few per cent.
    """
    perfect = FoundPeaks(resolvable.row, resolvable.time_ns)
    sums = count_matches(perfect, truth, tolerance_ns).sum(axis=0)
    return {name: float(figure(sums)) for name, figure in PEAK_FIGURES.items()}
