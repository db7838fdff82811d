"""Figures that compare classifiers: one function a figure, any number of models.

What to use when
----------------
- `roc_comparison`: signal against background accepted; `precision_recall_comparison`: purity against efficiency.
- `det_comparison`: both errors on normal deviates, which opens up the corner where good models meet.
- `learning_curve_figure`: whether more training events would help.

A curve of one threshold, as a selection by cuts has it, is drawn as a marker. Weights of both signs may take curves out
of [0, 1]; the axes then reach as far.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.report.legible import Look, headline, legend_below, looks, short
from townsend.report.style import COLOURS, panels, plain, save, styled
from townsend.tasks.base import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.lines import Line2D

__all__ = ["Curve", "det_comparison", "learning_curve_figure", "precision_recall_comparison", "roc_comparison"]

Floats = NDArray[np.float64]
Curve = tuple[ArrayLike, ArrayLike, Metric]
"""(n,) x and y from the strictest threshold to the loosest, both ends included, and the figure that sums them up."""
_Points = Mapping[str, tuple[float, float]]

_LEAST_FPR, _MOST_LEAST_FPR = 1e-5, 0.1  # between which a logarithmic axis begins
_PERCENT = (1e-5, 1e-4, 1e-3, 0.01, 0.05, 0.2, 0.5, 0.8, 0.95, 0.99, 0.999)
_CHOSEN = "marker: at the threshold chosen"


@styled
def roc_comparison(curves: Mapping[str, Curve], points: _Points, title: str, path: Path) -> None:
    """Draw the ROC curves of all models twice: with a linear axis, and a logarithmic one for small background.

    Arguments:
        curves: model -> shares of background and of signal accepted, with the AUC; one of a single threshold is drawn
            as its point, and its name tells both shares in place of an area.
        points: model -> (fpr, tpr) at the threshold chosen, of as many models as have one.
        title: what was compared; path: picture to write.
    """
    lines, marks, look = _sorted_out(curves, points)
    canvas, (linear, logarithmic) = panels(1, 2, 10.5, 4.7)
    positive = [float(np.min(x[x > 0], initial=1.0)) for x, _ in lines.values()]
    left = float(np.clip(min(positive, default=_MOST_LEAST_FPR), _LEAST_FPR, _MOST_LEAST_FPR))
    for axes in (linear, logarithmic):
        _draw(axes, lines, marks, look, left if axes is logarithmic else -np.inf)
        axes.set_xlabel("background accepted (false positive rate)")
        axes.set_ylabel("signal accepted (true positive rate)")
        axes.set_ylim(*_limits([y for _, y in lines.values()], 0.0, 1.02))
    (diagonal,) = linear.plot([0, 1], [0, 1], color=COLOURS["guide"], linestyle=":", linewidth=1.0)
    linear.set_xlim(*_limits([x for x, _ in lines.values()], -0.01, 1.01))
    logarithmic.set_xscale("log", nonpositive="clip")
    logarithmic.set_xlim(left, linear.get_xlim()[1])
    labels = {
        name: f"{short(name)}: AUC {_number(curves[name][2])}"
        if name in lines and name in curves
        else f"{short(name)}: TPR {marks[name][1]:.3f}, FPR {marks[name][0]:.3g}"
        for name in look
    }
    handles = _handles(look, lines, marks)
    _finish(canvas, [*handles.values(), diagonal], [*labels.values(), "no separation"], bool(points), title)
    save(canvas, path)


@styled
def precision_recall_comparison(
    curves: Mapping[str, Curve], points: _Points, signal_share: float, title: str, path: Path
) -> None:
    """Draw purity against efficiency of all models.

    Arguments:
        curves: model -> recall and precision, with the average precision; one of a single threshold is drawn as its
            point. What is not finite is not drawn, and the axis ends at -0.5 and 1.5: where weights of both signs
            nearly cancel, precision is no share and has no bounds.
        points: model -> (recall, precision) at the threshold chosen.
        signal_share: of all events, by weight: the precision of accepting everything.
        title: what was compared; path: picture to write.
    """
    lines, marks, look = _sorted_out(curves, points)
    canvas, (axes,) = panels(1, 1, 7.2, 5.2)
    _draw(axes, lines, marks, look)
    guide = axes.axhline(signal_share, color=COLOURS["guide"], linestyle=":", linewidth=1.0)
    axes.set_xlabel("recall (efficiency of signal)")
    axes.set_ylabel("precision (purity)")
    axes.set_xlim(*_limits([x for x, _ in lines.values()], -0.01, 1.01))
    axes.set_ylim(*_limits([np.clip(y, -0.5, 1.5) for _, y in lines.values()], 0.0, 1.02))
    labels = {
        name: f"{short(name)}: AP {_number(curves[name][2])}"
        if name in lines and name in curves
        else f"{short(name)}: precision {marks[name][1]:.3f}, recall {marks[name][0]:.3f}"
        for name in look
    }
    share = f"all accepted: precision {signal_share:.3g}"
    handles = _handles(look, lines, marks)
    _finish(canvas, [*handles.values(), guide], [*labels.values(), share], bool(points), title)
    save(canvas, path)


@styled
def det_comparison(curves: Mapping[str, tuple[ArrayLike, ArrayLike]], points: _Points, title: str, path: Path) -> None:
    """Draw signal lost against background accepted, both on normal deviates with labels in percent.

    Two Gaussian scores give a straight line, of slope -1 where they are equally wide (Martin et al., Eurospeech
    (1997) 1895). Points with a rate of 0 or 1, or beyond, have no place on such axes: they are counted in the title.

    Arguments:
        curves: model -> (n,) false positive and false negative rate; one of a single threshold is drawn as its point.
        points: model -> (fpr, fnr) at the threshold chosen.
        title: what was compared; path: picture to write.
    """
    from scipy.special import ndtri

    given = {name: (x, y, Metric(np.nan, np.nan)) for name, (x, y) in curves.items()}
    lines, marks, look = _sorted_out(given, points)
    canvas, (axes,) = panels(1, 1, 6.4, 5.8)
    left_out = 0

    def deviates(x: Floats, y: Floats) -> tuple[Floats, Floats]:
        nonlocal left_out
        inside = (x > 0) & (x < 1) & (y > 0) & (y < 1)
        # Every curve begins and ends with a rate of 0: those two are not worth a word.
        left_out += int(np.count_nonzero(~inside[1:-1])) if len(x) > 1 else int(not inside.all())
        return ndtri(x[inside]), ndtri(y[inside])

    lines = {name: deviates(x, y) for name, (x, y) in lines.items()}
    moved = {name: deviates(np.array([x]), np.array([y])) for name, (x, y) in marks.items()}
    _draw(axes, lines, {name: (float(x[0]), float(y[0])) for name, (x, y) in moved.items() if len(x)}, look)
    ticks, labels = ndtri(_PERCENT), [f"{100 * share:g}" for share in _PERCENT]
    for set_ticks, set_limits, index in ((axes.set_xticks, axes.set_xlim, 0), (axes.set_yticks, axes.set_ylim, 1)):
        set_ticks(ticks, labels)
        drawn = [line[index] for line in (*lines.values(), *moved.values())]
        low, high = _limits(drawn, float(ndtri(0.02)), float(ndtri(0.55)))
        set_limits(low - 0.1, high + 0.1)
    axes.minorticks_off()
    axes.grid(color="0.9", linewidth=0.7)
    axes.set_xlabel("background accepted (false positive rate) [%]")
    axes.set_ylabel("signal lost (false negative rate) [%]")
    note = f"; {left_out:,} points at 0 or 100 % lie beyond the axes" if left_out else ""
    handles = _handles(look, lines, marks)
    _finish(canvas, list(handles.values()), [short(name) for name in look], bool(points), title + note)
    save(canvas, path)


@styled
def learning_curve_figure(
    sizes: ArrayLike,
    train: tuple[ArrayLike, ArrayLike],
    validation: tuple[ArrayLike, ArrayLike],
    figure_name: str,
    title: str,
    path: Path,
) -> None:
    """Draw a figure of merit on training and validation events over the number of events trained on.

    Curves that meet and are flat: more events will not help, a larger network may. Curves apart: more events will.

    Arguments:
        sizes: (m,) numbers of training events, above zero.
        train, validation: (m,) mean and spread over repetitions; what is not finite is not drawn.
        figure_name: name of the figure of merit; title: what was trained; path: picture to write.
    """
    events = np.asarray(sizes, np.float64)
    canvas, (axes,) = panels(1, 1, 6.6, 4.6)
    roles = (("training events", train, "train", "s"), ("events not trained on", validation, "monitor", "o"))
    handles = []
    for name, (mean, spread), role, marker in roles:
        middle, width = np.asarray(mean, np.float64), np.nan_to_num(np.asarray(spread, np.float64))
        colour = COLOURS[role]
        axes.fill_between(events, middle - width, middle + width, color=colour, alpha=0.2, linewidth=0)
        handles += axes.plot(events, middle, color=colour, marker=marker, markersize=4.5, label=f"on {name}")
    if np.any(events > 0):  # an empty logarithmic axis cannot be drawn
        axes.set_xscale("log")
    axes.set_xlabel("events trained on")
    axes.set_ylabel(short(figure_name))
    band = axes.fill_between([], [], color="0.5", alpha=0.3, linewidth=0)
    legend_below(canvas, [*handles, band], [*(str(line.get_label()) for line in handles), "spread of repetitions"])
    headline(canvas, title)
    save(canvas, path)


def _sorted_out(
    curves: Mapping[str, Curve], points: _Points
) -> tuple[dict[str, tuple[Floats, Floats]], dict[str, tuple[float, float]], dict[str, Look]]:
    """Return curves drawn as lines, points drawn as markers, and the look of each model."""
    lines: dict[str, tuple[Floats, Floats]] = {}
    marks: dict[str, tuple[float, float]] = {}
    for name, (x, y, _) in curves.items():
        across, up = np.asarray(x, np.float64), np.asarray(y, np.float64)
        if len(across) in (1, 3):  # between both ends, or without them
            middle = len(across) // 2
            marks[name] = (float(across[middle]), float(up[middle]))
        else:
            lines[name] = (across, up)
    marks.update({name: (float(x), float(y)) for name, (x, y) in points.items()})
    return lines, marks, looks([*curves, *points])


def _draw(
    axes: Axes,
    lines: Mapping[str, tuple[Floats, Floats]],
    marks: _Points,
    look: Mapping[str, Look],
    left: float = -np.inf,
) -> None:
    """Draw lines and markers; markers left of the axis are hollow triangles at its edge."""
    for name, (x, y) in lines.items():
        axes.plot(x, y, color=look[name].colour, linestyle=look[name].line, label=name)
    for name, (across, up) in marks.items():
        beyond = across < left
        face = {"markerfacecolor": "white"} if beyond else {"markeredgecolor": "white", "markeredgewidth": 0.8}
        shape: dict[str, Any] = {"marker": "<" if beyond else look[name].marker, "markersize": 8, **face}
        axes.plot(max(across, left), up, color=look[name].colour, clip_on=False, zorder=4, label=name, **shape)


def _handles(look: Mapping[str, Look], lines: Mapping[str, tuple[Floats, Floats]], marks: _Points) -> dict[str, Line2D]:
    from matplotlib.lines import Line2D

    return {
        name: Line2D(
            [],
            [],
            color=one.colour,
            linestyle=one.line if name in lines else "none",
            marker=one.marker if name in marks else "none",
            markersize=7,
            markeredgecolor="white",
            markeredgewidth=0.6,
        )
        for name, one in look.items()
    }


def _finish(canvas: Any, handles: list[Line2D], labels: list[str], with_points: bool, title: str) -> None:
    from matplotlib.lines import Line2D

    if with_points:
        handles = [*handles, Line2D([], [], color=COLOURS["guide"], marker="o", markersize=7, linestyle="none")]
        labels = [*labels, _CHOSEN]
    legend_below(canvas, handles, labels)
    headline(canvas, title)


def _limits(drawn: list[Floats], low: float, high: float) -> tuple[float, float]:
    """Return [low, high], wider where something finite lies outside."""
    values = np.concatenate([np.array([low, high]), *drawn])
    values = values[np.isfinite(values)]
    return float(values.min()), float(values.max())


def _number(figure: Metric) -> str:
    if not np.isfinite(figure.value):
        return "not defined"
    error = f" ± {figure.error:.4f}" if np.isfinite(figure.error) else ""
    return plain(f"{figure.value:.4f}{error}")
