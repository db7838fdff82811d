"""Pictures of noise."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.report.style import COLOURS, figure, save, styled

__all__ = ["draw_noise_spectrum"]


@styled
def draw_noise_spectrum(
    frequency_MHz: NDArray[np.float64],
    measured: NDArray[np.float64],
    redrawn: NDArray[np.float64],
    floor: NDArray[np.float64],
    lines_MHz: Sequence[float],
    path: Path,
) -> None:
    """Draw a measured spectrum, that of noise drawn from it, the smooth floor, and a mark above each pick-up line.

    Arguments:
        frequency_MHz: (bins,) from 0 on, which is not drawn.
        measured, redrawn, floor: (bins,) one-sided power density [uV^2/MHz].
        lines_MHz: frequencies of the lines; path: PNG to write.
    """
    canvas, axes = figure(width=9.0, height=4.8)
    shown = slice(1, None)
    axes.plot(frequency_MHz[shown], measured[shown], color=COLOURS["truth"], linewidth=1.2, label="measured")
    axes.plot(
        frequency_MHz[shown], redrawn[shown], color=COLOURS["before"], linewidth=0.8, label="drawn from the preset"
    )
    axes.plot(frequency_MHz[shown], floor[shown], color=COLOURS["after"], label="smooth floor")
    if len(lines_MHz):
        heights = 1.6 * np.interp(lines_MHz, frequency_MHz, measured)
        axes.plot(lines_MHz, heights, "v", color=COLOURS["best"], markersize=4, linestyle="none", label="line")
    positive = measured[shown][measured[shown] > 0]
    axes.set_xscale("log")
    axes.set_yscale("log")
    if len(positive):
        axes.set_ylim(float(positive.min()) / 3, 5 * float(positive.max()))
    axes.set_xlim(frequency_MHz[1], frequency_MHz[-1])
    axes.set_xlabel("frequency [MHz]")
    axes.set_ylabel("power density [µV²/MHz]")
    axes.legend(loc="upper left")
    save(canvas, path)
