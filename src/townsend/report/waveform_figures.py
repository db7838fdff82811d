"""Pictures of single waveforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.report.style import COLOURS, figure, plain, save, styled

__all__ = ["draw_trace"]


@styled
def draw_trace(
    clock_ns: NDArray[np.float64],
    millivolts: NDArray[np.float32],
    found_ns: NDArray[np.float64],
    title: str,
    path: Path,
    true_ns: NDArray[np.float64] | None = None,
) -> None:
    """Draw a waveform, a mark above each peak found and, where known, a line below each true one.

    Arguments:
        clock_ns: (samples,) time of each sample [ns].
        millivolts: (samples,) signals going up [mV].
        found_ns, true_ns: (peaks,) times at which the pulses are highest [ns].
        title: what the waveform is; path: PNG to write.
    """
    canvas, axes = figure(width=9.0, height=3.4)
    low, high = float(millivolts.min()), float(millivolts.max())
    height = max(high - low, 1e-3)
    axes.plot(clock_ns, millivolts, color="0.25", linewidth=0.9, label="waveform")
    marks_mV = np.interp(found_ns, clock_ns, millivolts) + 0.05 * height
    axes.plot(found_ns, marks_mV, "v", color=COLOURS["best"], markersize=5, label="peak found")
    if true_ns is not None:
        axes.vlines(true_ns, low - 0.12 * height, low - 0.03 * height, COLOURS["usable"], label="true peak")
    axes.set_xlabel("time [ns]")
    axes.set_ylabel("voltage [mV]")
    axes.set_title(plain(title))
    axes.set_xlim(clock_ns[0], clock_ns[-1])
    axes.legend(loc="upper right")
    save(canvas, path)
