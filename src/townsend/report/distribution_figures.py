"""Figures of what was simulated and what it cost: one function a figure.

What to use when
----------------
- `count_figure`: whole numbers beside the counts expected.
- `share_figure`: a steep distribution beside a table, on two logarithmic axes.
- `cost_figure`: time and memory of every configuration of a sweep.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.report.style import COLOURS, panels, plain, save, styled
from townsend.sweep.board import Board

__all__ = ["cost_figure", "count_figure", "share_figure"]


@styled
def count_figure(
    values: ArrayLike, edges: ArrayLike, expected: NDArray[Any], labels: tuple[str, str, str], title: str, path: Path
) -> None:
    """Draw a histogram and what was expected in its bins.

    Arguments:
        values: (n,) numbers; edges: (bins + 1,); expected: (bins,) entries.
        labels: of the x axis, of the histogram, of the expectation; title: text; path: picture to write.
    """
    borders = np.asarray(edges, np.float64)
    counts, _ = np.histogram(np.asarray(values), borders)
    canvas, (axes,) = panels(1, 1, 6.2, 4.4)
    axes.stairs(counts, borders, fill=True, alpha=0.35, color=COLOURS["usable"], label=labels[1])
    centres = 0.5 * (borders[1:] + borders[:-1])
    axes.plot(centres, expected, ".", color="black", markersize=5, label=labels[2])
    axes.set_xlim(borders[0], borders[-1])
    axes.set_ylim(0, 1.25 * max(float(counts.max(initial=1)), float(np.max(expected, initial=1))))
    axes.set_xlabel(labels[0])
    axes.set_ylabel("tracks")
    axes.set_title(plain(title))
    axes.legend(loc="upper right")
    save(canvas, path)


@styled
def share_figure(
    sizes: NDArray[Any], counts: NDArray[Any], table: NDArray[Any], labels: tuple[str, str, str], title: str, path: Path
) -> None:
    """Draw shares of a steep distribution with their errors and a table of what they should be.

    Arguments:
        sizes: (n,) whole numbers; counts: (n,) how often each was seen; table: (n,) probability of each.
        labels: of the x axis, of the points, of the table; title: text; path: picture to write.
    """
    canvas, (axes,) = panels(1, 1, 6.2, 4.4)
    total = max(float(np.sum(counts)), 1.0)
    axes.step(sizes, np.where(table > 0, table, np.nan), where="mid", color=COLOURS["truth"], label=labels[2])
    seen = counts > 0
    look: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linestyle": "none", "elinewidth": 1.0}
    axes.errorbar(
        sizes[seen],
        counts[seen] / total,
        yerr=np.sqrt(counts[seen]) / total,
        color=COLOURS["usable"],
        label=labels[1],
        **look,
    )
    axes.set_xscale("log")
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(bottom=0.3 / total)
    axes.set_xlabel(labels[0])
    axes.set_ylabel("share of clusters")
    axes.set_title(plain(title))
    axes.legend(loc="upper right")
    save(canvas, path)


@styled
def cost_figure(table: Board, path: Path) -> None:
    """Draw run time and highest memory of every configuration over its number of parameters."""
    rows = [row for row in table.rows if row.wall_s > 0 and row.parameters > 0]
    canvas, (time, memory) = panels(1, 2, 9.6, 3.8)
    parameters = [row.parameters for row in rows]
    look: dict[str, Any] = {"linestyle": "none", "markersize": 4, "alpha": 0.7}
    time.plot(parameters, [row.wall_s for row in rows], "o", color=COLOURS["usable"], label="wall clock", **look)
    time.plot(parameters, [row.cpu_s for row in rows], "s", color=COLOURS["monitor"], label="CPU", **look)
    memory.plot(parameters, [row.peak_memory_mb for row in rows], "o", color=COLOURS["usable"], **look)
    for axes, label in ((time, "seconds a training"), (memory, "highest memory [MB]")):
        axes.set_xscale("log")
        axes.set_ylim(0, 1.12 * axes.get_ylim()[1])
        axes.set_xlabel("parameters of the network")
        axes.set_ylabel(label)
    time.legend(loc="upper left")
    canvas.suptitle(plain(f"{table.source}: what each configuration cost"), x=0.01, ha="left", fontsize=11)
    save(canvas, path)
