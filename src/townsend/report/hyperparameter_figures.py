"""Figures of what a sweep has searched: one function a figure.

What to use when
----------------
- `parallel_coordinates`: all configurations at a glance, one line each.
- `metric_against`: the objective over each hyperparameter, with errors.
- `importance_figure`: which hyperparameters matter, with errors.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.report.scales import Scale, scales
from townsend.report.style import COLOURS, panels, plain, save, styled
from townsend.sweep.board import Board
from townsend.sweep.hyperparameter import Space
from townsend.sweep.importance import Importance
from townsend.training.records import FitRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["importance_figure", "metric_against", "parallel_coordinates"]

Floats = NDArray[np.float64]
_PANELS_ABREAST = 4
_STRONG = 100  # lines of the best configurations that are not faint
_CUT = 0.05  # share of the worst configurations below the scale of colours
_SHARES, _OF_A_SHARE = 8, 10  # at most so many shares along a range, of so many configurations, each with its median
_GREY = "0.6"
_GOLDEN = 0.6180339887  # its multiples fill an interval evenly


def _jitter(row: FitRecord, scale: Scale) -> float:
    """Return a shift that keeps configurations of one value apart, the same each time."""
    if not scale.values and scale.name in row.hyperparameters:
        return 0.0
    return 0.6 * scale.step * ((row.trial * _GOLDEN) % 1 - 0.5)


@styled
def parallel_coordinates(table: Board, space: Space, path: Path) -> None:
    """Draw each configuration as a line through its hyperparameters to its figure.

    Its colour is the figure, the better the darker and the later drawn; grey ones have no figure (pruned, diverged);
    the best is red, what is behind the best hundred faint. Colours and last axis leave out the worst twentieth, which
    is drawn at its end.
    """
    from matplotlib.cm import ScalarMappable
    from matplotlib.collections import LineCollection

    axes_of = scales(table, space)
    width = min(max(6.4, 1.45 * (len(axes_of) + 1)), 17.0)
    canvas, (axes,) = panels(1, 1, width, 4.9)
    ranked, others = list(table.ranked)[::-1], [row for row in table.rows if not table.rankable(row)]
    low, high = _limits(table)
    last = len(axes_of)

    def line(row: FitRecord, figure: float | None) -> list[tuple[float, float]]:
        points = [(float(i), scale.place(row) + _jitter(row, scale)) for i, scale in enumerate(axes_of)]
        share = None if figure is None else (figure - low) / (high - low) if high > low else 0.5
        return points if share is None else [*points, (float(last), min(max(share, 0.0), 1.0))]

    faint = min(0.6, max(0.12, 40 / max(len(others), 1)))
    axes.add_collection(LineCollection([line(row, None) for row in others], colors=_GREY, linewidths=0.5, alpha=faint))
    figures = [table.figure(row).value for row in ranked]
    lines = [line(row, figure) for row, figure in zip(ranked, figures, strict=True)]
    if lines:
        strength = np.where(np.arange(len(lines)) < len(lines) - _STRONG, 0.12, 0.8)  # a thousand would be a carpet
        shades = "viridis_r" if table.objective.maximise else "viridis"
        coloured = LineCollection(lines, array=np.array(figures), cmap=shades, linewidths=0.9, alpha=strength)
        coloured.set_clim(low, high)
        axes.add_collection(coloured)
        axes.add_collection(LineCollection(lines[-1:], colors=COLOURS["best"], linewidths=2.2))
        tint = ScalarMappable(coloured.norm, coloured.cmap)  # the lines' own would be as faint as they are
        canvas.colorbar(tint, ax=axes, pad=0.01, label=plain(table.objective.metric), aspect=30)
    for index, scale in enumerate(axes_of):
        _upright(axes, index, scale.ticks())
    _upright(axes, last, [((number - low) / (high - low), f"{number:g}") for number in _inside(low, high)])
    names = [*(plain(scale.name) for scale in axes_of), plain(table.objective.metric)]
    axes.set_xticks(range(last + 1), [name.replace("_", "\n") for name in names])
    axes.set_xlim(-0.15, last + 0.15)
    axes.set_ylim(-0.02, 1.02)
    axes.tick_params(which="both", length=0, top=False, pad=6)
    axes.set_yticks([])
    axes.minorticks_off()
    for side in axes.spines.values():
        side.set_visible(False)
    without = f", {len(others)} without a figure grey" if others else ""
    axes.set_title(f"{plain(table.source)}: {len(ranked)} configurations coloured by figure, best red{without}")
    save(canvas, path)


def _upright(axes: Axes, at: float, ticks: Sequence[tuple[float, str]]) -> None:
    """Draw an upright axis with its values written beside it."""
    axes.plot([at, at], [0, 1], color="black", linewidth=0.8, zorder=4)
    box = {"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 0.8}
    for place, text in ticks:
        axes.plot([at - 0.03, at], [place, place], color="black", linewidth=0.8, zorder=4)
        axes.text(at + 0.04, place, text, fontsize=7.5, va="center", ha="left", bbox=box, zorder=5)


def _limits(table: Board) -> tuple[float, float]:
    """Return ends of the figure's axis: without the worst twentieth, which may have run away."""
    figures = np.array([table.figure(row).value for row in table.ranked])
    if not len(figures):
        return 0.0, 1.0
    if table.objective.maximise:
        return float(np.quantile(figures, _CUT, method="lower")), float(figures.max())
    return float(figures.min()), float(np.quantile(figures, 1 - _CUT, method="higher"))


def _inside(low: float, high: float) -> list[float]:
    from matplotlib.ticker import MaxNLocator

    return [float(n) for n in MaxNLocator(5).tick_values(low, high) if low <= n <= high and high > low]


@styled
def metric_against(table: Board, space: Space, path: Path) -> None:
    """Draw the objective with its error over each hyperparameter that varies, a panel each; the best is red.

    Black is the median: of each value of a list, of equal shares of the configurations along a range. The
    figure's axis leaves out the worst twentieth.
    """
    axes_of, rows = scales(table, space), list(table.ranked)
    down = max(-(-len(axes_of) // _PANELS_ABREAST), 1)
    across = max(-(-len(axes_of) // down), 1)
    canvas, places = panels(down, across, 3.1 * across, 2.9 * down + 0.4, sharey=True)
    figures = np.array([table.figure(row).value for row in rows])
    errors = np.nan_to_num([table.figure(row).error for row in rows])
    for index, (axes, scale) in enumerate(zip(places, axes_of, strict=False)):
        at = np.array([scale.place(row) + _jitter(row, scale) for row in rows])
        look: dict[str, Any] = {"linestyle": "none", "marker": "o", "markersize": 3, "elinewidth": 0.6}
        alpha = min(0.8, max(0.25, 60 / max(len(rows), 1)))
        axes.errorbar(at[1:], figures[1:], errors[1:], color=COLOURS["usable"], alpha=alpha, **look)
        if rows:
            axes.errorbar(at[:1], figures[:1], errors[:1], color=COLOURS["best"], zorder=5, **{**look, "markersize": 5})
        for start, end, median in _medians(scale, rows, figures):
            axes.plot([start, end], [median, median], color="black", linewidth=1.6, zorder=4)
        ticks = scale.ticks()
        slanted = sum(len(text) for _, text in ticks) > 26
        look = {"rotation": 35, "ha": "right", "rotation_mode": "anchor"} if slanted else {}
        axes.set_xticks([place for place, _ in ticks], [text for _, text in ticks], fontsize=8.5, **look)
        axes.set_xlim(-0.02, 1.02)
        axes.tick_params(axis="x", which="minor", bottom=False, top=False)
        axes.set_title(plain(scale.name), fontsize=10)
        if index % across == 0:
            axes.set_ylabel(plain(table.objective.metric))
    for axes in places[len(axes_of) :]:
        axes.set_visible(False)
    if rows:
        beyond = _show_better(places[0], table, figures, errors)
        note = f", beyond the axis: {beyond}" if beyond else ""
        title = (
            f"{plain(table.source)}: {len(rows)} configurations on {table.measured_on}{note}; black: median, red: best"
        )
        canvas.suptitle(title, x=0.01, ha="left", fontsize=11)
    save(canvas, path)


def _show_better(axes: Axes, table: Board, figures: Floats, errors: Floats) -> int:
    """Set the figure's axis; return how many configurations are beyond it."""
    low, high = _limits(table)
    inside = (figures >= low) & (figures <= high)
    bottom, top = float((figures - errors)[inside].min()), float((figures + errors)[inside].max())
    air = 0.05 * (top - bottom) or 0.01
    axes.set_ylim(bottom - air, top + air)
    return int(((figures < bottom - air) | (figures > top + air)).sum())


def _medians(scale: Scale, rows: Sequence[FitRecord], figures: Floats) -> list[tuple[float, float, float]]:
    """Return (start, end, median) of each value of a list, or of equal shares of the configurations along a range."""
    places = np.array([scale.place(row) for row in rows])
    there = np.array([scale.name in row.hyperparameters for row in rows], bool)
    found = []
    if scale.values:
        groups = [(place, places == place) for place in sorted(set(places[there]))]
        found = [(place - 0.4 * scale.step, place + 0.4 * scale.step, chosen) for place, chosen in groups]
    elif there.any():
        shares = int(np.clip(there.sum() // _OF_A_SHARE, 1, _SHARES))
        edges = np.quantile(places[there], np.linspace(0, 1, shares + 1))
        number = np.clip(np.searchsorted(edges, places, side="right") - 1, 0, shares - 1)
        found = [(edges[i], edges[i + 1], there & (number == i)) for i in range(shares)]
    if not there.all():
        found.append((1.0 - 0.9 * scale.step, 1.0 - 0.1 * scale.step, ~there))
    return [(float(start), float(end), float(np.median(figures[of]))) for start, end, of in found if of.any()]


@styled
def importance_figure(found: Importance, path: Path) -> None:
    """Draw the share of each hyperparameter in the variance of the figure, with errors.

    The band is what a random number would get: a share that does not stand above it is not told from nothing.
    """
    names = list(found.shares)[::-1]
    values = [found.shares[name].value for name in names]
    errors = [found.shares[name].error for name in names]
    canvas, (axes,) = panels(1, 1, 6.8, 1.5 + 0.32 * max(len(names), 2))
    floor = found.floor
    axes.axvspan(0, floor.value + floor.error, color=COLOURS["guide"], alpha=0.25, lw=0, label="a random number")
    axes.barh(range(len(names)), values, color=COLOURS["usable"], alpha=0.8, height=0.6)
    axes.errorbar(values, range(len(names)), xerr=errors, linestyle="none", color="black", elinewidth=1.2)
    axes.set_yticks(range(len(names)), [plain(name) for name in names])
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_xlim(0, 1)
    axes.set_xlabel(f"share of the variance of {plain(found.objective)}")
    axes.set_title(f"importance, from {found.configurations} configurations")
    axes.legend(loc="lower right")
    save(canvas, path)
