"""Figures of how a sweep went, and all figures of its search: one function a figure.

What to use when
----------------
- `learning_curves`: how the leading configurations were trained, and where the others were stopped.
- `pareto_front`: two objectives, and the configurations that no other one betters in both.
- `search_figures`: all figures of what a sweep has searched and found, with the importance it tells.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from townsend.report.hyperparameter_figures import importance_figure, metric_against, parallel_coordinates
from townsend.report.scales import scales
from townsend.report.style import COLOURS, panels, plain, save, styled
from townsend.sweep.board import Board
from townsend.sweep.board_verdicts import shown
from townsend.sweep.history import Curves, History
from townsend.sweep.importance import Importance
from townsend.sweep.objectives import COLUMNS, figure
from townsend.tasks.base import Objective
from townsend.training.records import FitRecord, Outcome

__all__ = ["front", "learning_curves", "pareto_front", "search_figures"]

_LEADING = 6
_MOST_BEHIND = 200
_MOST_NUMBERED = 12
Drawing = Callable[[Path], None]


def search_figures(history: History, importance: Importance | None = None) -> dict[str, Drawing]:
    """Return name -> what draws it of every figure of the search, in the order in which one reads them.

    Arguments:
        history: of the sweep; importance: of its hyperparameters, drawn where given and something can be told.
    """
    table, found = history.board, dict[str, Drawing]()
    if table.best is None or len(table.rows) < 2:
        return found
    if scales(table, history.space):
        found["parallel-coordinates"] = partial(parallel_coordinates, table, history.space)
        found["metric-against"] = partial(metric_against, table, history.space)
    if importance is not None and importance.shares:
        found["importance"] = partial(importance_figure, importance)
    if any("monitor_loss" in curves for curves in history.curves.values()):
        found["learning-curves"] = partial(learning_curves, table, history.curves)
    if len(history.board.objectives) > 1:
        found["pareto-front"] = partial(pareto_front, table, history.board.objectives)
    return found


@styled
def learning_curves(table: Board, curves: Mapping[int, Curves], path: Path) -> None:
    """Draw the monitored loss of the leading configurations by epoch; behind them, in grey, that of others.

    Dotted lines are the rungs: epochs at which configurations were stopped because others were better there.

    Arguments:
        table: of the sweep; curves: trial -> its epoch curves; path: picture to write.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    canvas, (axes,) = panels(1, 1, 9.0, 4.6)
    leading = [row for row in table.ranked if "monitor_loss" in curves.get(row.trial, {})][:_LEADING]
    first = {row.trial for row in leading}
    behind = [row for row in table.rows if row.trial not in first and "monitor_loss" in curves.get(row.trial, {})]
    for row in sorted(behind, key=lambda row: row.trial)[:: max(1, -(-len(behind) // _MOST_BEHIND))]:
        _curve(axes, curves[row.trial], color="0.7", linewidth=0.6, alpha=0.6)
    shades = [COLOURS["best"], *(str(grade) for grade in _blues(_LEADING - 1))]
    for row, colour in reversed(list(zip(leading, shades, strict=False))):
        label = f"trial {row.trial}: {shown(table.figure(row))}"
        _curve(axes, curves[row.trial], color=colour, label=label, marker="." if row.epochs < 30 else "", zorder=3)
    stopped = Counter(row.epochs for row in table.rows if row.outcome is Outcome.PRUNED)
    for epochs, number in sorted(stopped.items()):
        axes.axvline(epochs, color=COLOURS["guide"], linestyle=":")
        axes.text(epochs, 1.005, f"{number} stopped", transform=axes.get_xaxis_transform(), fontsize=8.5, ha="center")
    losses = [np.asarray(curves[row.trial]["monitor_loss"], np.float64) for row in (*leading, *behind)]
    low, high = _range(losses)
    steep = low > 0 and high > 10 * low
    air = 0.05 * (high - low) or 0.01
    axes.set_yscale("log" if steep else "linear")
    axes.set_ylim(0.9 * low if steep else low - air, high + air)
    axes.set_xlabel("epoch")
    axes.set_ylabel("loss on the monitoring set")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.xaxis.set_minor_locator(NullLocator())
    axes.set_title(f"{plain(table.source)}: the leading {len(leading)}, others grey", pad=16 if stopped else 6)
    handles, labels = axes.get_legend_handles_labels()
    canvas.legend(handles[::-1], labels[::-1], title=plain(table.objective.metric), loc="outside right upper")
    save(canvas, path)


def _curve(axes: Any, curves: Curves, **look: Any) -> None:
    losses = curves["monitor_loss"]
    axes.plot(np.arange(1, len(losses) + 1), losses, **look)


def _blues(number: int) -> list[str]:
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    return [to_hex(colormaps["Blues"](share)) for share in np.linspace(0.95, 0.45, number)]


def _range(losses: Sequence[Any]) -> tuple[float, float]:
    """Return limits that hold all but the highest twentieth of the losses: one that ran away must not hide all."""
    finite = np.concatenate(losses)
    finite = finite[np.isfinite(finite)]
    return (float(finite.min()), float(np.quantile(finite, 0.95))) if len(finite) else (0.0, 1.0)


def front(points: Sequence[tuple[float, float]], maximise: tuple[bool, bool]) -> list[int]:
    """Return which points no other betters in both coordinates, in the order of the first coordinate."""
    signs = [-1.0 if up else 1.0 for up in maximise]
    keys = [(signs[0] * first, signs[1] * second) for first, second in points]
    found: list[int] = []
    for index in sorted(range(len(points)), key=lambda index: (keys[index], index)):
        if not found or keys[index][1] < keys[found[-1]][1]:
            found.append(index)
    return found[::-1] if maximise[0] else found


@styled
def pareto_front(table: Board, objectives: Sequence[Objective], path: Path) -> None:
    """Draw the second objective against the first; a red line joins configurations that none betters in both.

    Arguments:
        table: of the sweep; objectives: two; path: picture to write.
    """
    up, across = objectives[0], objectives[1]
    rows = [row for row in table.ranked if np.isfinite([figure(row, up).value, figure(row, across).value]).all()]
    points = [(figure(row, across).value, figure(row, up).value) for row in rows]
    best = front(points, (across.maximise, up.maximise))
    canvas, (axes,) = panels(1, 1, 7.2, 4.8)
    look: dict[str, Any] = {"linestyle": "none", "marker": "o", "elinewidth": 0.7}
    others = sorted(set(range(len(rows))) - set(best))
    _errorbars(axes, rows, points, others, (across, up), color=COLOURS["usable"], alpha=0.45, markersize=3.5, **look)
    x, y = [points[index][0] for index in best], [points[index][1] for index in best]
    axes.plot(x, y, color=COLOURS["best"], linewidth=1, drawstyle="steps-pre" if across.maximise else "steps-post")
    _errorbars(axes, rows, points, best, (across, up), color=COLOURS["best"], markersize=5, zorder=4, **look)
    for index in best if len(best) <= _MOST_NUMBERED else ():
        axes.annotate(str(rows[index].trial), points[index], xytext=(5, -10), textcoords="offset points", fontsize=8.5)
    values = np.array([point[0] for point in points])
    if across.metric in COLUMNS and len(values) and values.min() > 0 and values.max() > 10 * values.min():
        axes.set_xscale("log")
    axes.set_xlabel(f"{plain(across.metric)} ({'more' if across.maximise else 'less'} is better)")
    axes.set_ylabel(f"{plain(up.metric)} ({'more' if up.maximise else 'less'} is better)")
    axes.set_title(
        f"{plain(table.source)}: {len(best)} of {len(rows)} configurations are not bettered in both by another"
    )
    save(canvas, path)


def _errorbars(
    axes: Any,
    rows: Sequence[FitRecord],
    points: Sequence[tuple[float, float]],
    chosen: Sequence[int],
    objectives: tuple[Objective, Objective],
    **look: Any,
) -> None:
    """Draw points with the errors of those objectives that are metrics."""
    if not chosen:
        return
    errors = [
        np.nan_to_num([rows[i].metrics[o.metric].error if o.metric in rows[i].metrics else 0.0 for i in chosen])
        for o in objectives
    ]
    axes.errorbar([points[i][0] for i in chosen], [points[i][1] for i in chosen], errors[1], errors[0], **look)
