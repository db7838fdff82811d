"""Pictures of single waveforms."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.files import atomic_path
from townsend.report.style import figure, styled

__all__ = ["draw_trace"]


@styled
def draw_trace(
    clock_ns: NDArray[np.float64],
    millivolts: NDArray[np.float32],
    peaks_ns: NDArray[np.float64],
    title: str,
    path: Path,
) -> None:
    """Draw a waveform and a mark at each arrival found.

    Arguments:
        clock_ns: (samples,) time of each sample [ns].
        millivolts: (samples,) signals going up [mV].
        peaks_ns: (peaks,) arrivals [ns].
        title: what the waveform is; path: PNG to write.
    """
    canvas, axes = figure(width=9.0, height=3.2)
    axes.plot(clock_ns, millivolts, color="0.25", linewidth=0.8, label="waveform")
    if len(peaks_ns):
        at_mV = np.interp(peaks_ns, clock_ns, millivolts)
        axes.plot(peaks_ns, at_mV, "v", color="tab:red", markersize=5, label="arrival found")
    axes.set_xlabel("time [ns]")
    axes.set_ylabel("voltage [mV]")
    axes.set_title(title)
    axes.set_xlim(clock_ns[0], clock_ns[-1])
    axes.legend(loc="upper right")
    with atomic_path(path) as temporary:
        canvas.savefig(temporary)
