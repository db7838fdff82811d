"""Figures of what features are worth to a model: one function a figure.

What to use when
----------------
- `importance_bars`: what each feature is worth.
- `grouped_importance`: what groups of correlated features are worth together, beside what each is worth alone.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from townsend.report.legible import headline, short
from townsend.report.style import COLOURS, panels, save, styled
from townsend.tasks.base import Metric

__all__ = ["grouped_importance", "importance_bars"]

_MOST_BARS = 40


@styled
def importance_bars(
    importance: Mapping[str, Metric], title: str, path: Path, x_label: str = "AUC lost when shuffled"
) -> None:
    """Draw what each feature is worth, the largest on top, with errors; at most forty, the others counted.

    A bar within its error of zero is not told from a feature that the model does not use.

    Arguments:
        importance: feature -> loss with its error; what is not finite comes last, without a bar.
        title: of which model and events; path: picture to write; x_label: what is lost, and how.
    """
    ranked = sorted(importance, key=lambda name: _rank(importance[name]), reverse=True)
    shown = ranked[:_MOST_BARS]
    rows = [(short(name), importance[name], 0.62, 0.75) for name in shown]
    more = f"; the first {len(shown)} of {len(ranked)}" if len(ranked) > len(shown) else ""
    _bars(rows, title + more, path, x_label)


@styled
def grouped_importance(
    groups: Mapping[str, tuple[Metric, Mapping[str, Metric]]],
    title: str,
    path: Path,
    x_label: str = "AUC lost when shuffled",
) -> None:
    """Draw what groups of features are worth together, and below each, thin and pale, what its members are worth alone.

    Correlated features stand in for one another: alone each seems worth little, only together do they show what the
    model owes them. At most forty bars, whole groups; the others are counted.

    Arguments:
        groups: name -> loss when the group is shuffled together, and feature -> loss alone, {} where there is but one.
        title, path, x_label: as `importance_bars`.
    """
    ranked = sorted(groups, key=lambda name: _rank(groups[name][0]), reverse=True)
    rows: list[tuple[str, Metric, float, float]] = []
    shown = 0
    for name in ranked:
        together, alone = groups[name]
        members = sorted(alone, key=lambda one: _rank(alone[one]), reverse=True)
        if rows and len(rows) + 1 + len(members) > _MOST_BARS:
            break
        rows.append((short(name), together, 0.7, 0.8))
        rows += [(f"{short(member)}  ·", alone[member], 0.4, 0.35) for member in members]
        shown += 1
    more = f"; groups shown: {shown} of {len(ranked)}" if shown < len(ranked) else ""
    _bars(rows, title + more, path, x_label)


def _rank(figure: Metric) -> float:
    return figure.value if np.isfinite(figure.value) else -np.inf


def _bars(rows: Sequence[tuple[str, Metric, float, float]], title: str, path: Path, x_label: str) -> None:
    """Draw a bar a row, from the top: name, value with error, height, opacity."""
    canvas, (axes,) = panels(1, 1, 8.0, 1.4 + 0.29 * max(len(rows), 2))
    for line, (_, figure, height, alpha) in enumerate(rows):
        if not np.isfinite(figure.value):
            axes.text(0, line, " not known", va="center", fontsize=8.5)
            continue
        axes.barh(line, figure.value, height=height, color=COLOURS["usable"], alpha=alpha)
        if np.isfinite(figure.error):
            axes.errorbar(figure.value, line, xerr=figure.error, color="black", elinewidth=1.2)
    axes.axvline(0, color="black", linewidth=0.8)
    axes.set_ylim(max(len(rows), 1) - 0.4, -0.6)
    axes.set_yticks(range(len(rows)), [name for name, *_ in rows], fontsize=9.5)
    axes.tick_params(axis="y", which="both", length=0)
    axes.set_xlabel(short(x_label, 70))
    headline(canvas, title)
    save(canvas, path)
