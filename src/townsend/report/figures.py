"""Figures of a sweep and of a chosen model: one function a figure.

What to use when
----------------
- `draw_board`: all figures of a sweep; `draw_model`: all figures of a folder made by `townsend choose`.
- `board_figures`, `model_figures`: the same, to be drawn elsewhere.
- `metric_per_configuration`, `training_curves`: one of them.
- `townsend.report.classification_figures`, `townsend.report.regression_figures`: those of scores and of numbers.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.classification import Confusion, confusion
from townsend.evaluate.confusion_matrix import confusion_matrix
from townsend.files import read_json
from townsend.report.classification_figures import confusion_figure, roc_figure, score_distribution
from townsend.report.regression_figures import predicted_against_true, residual_figure
from townsend.report.score_figures import confusion_matrices
from townsend.report.style import COLOURS, panels, plain, save, styled
from townsend.sweep.board import Board, board
from townsend.sweep.board_verdicts import shown
from townsend.sweep.records import read_curves
from townsend.tasks.base import Metric
from townsend.training.records import FitRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Drawing",
    "board_figures",
    "draw_board",
    "draw_model",
    "metric_per_configuration",
    "model_figures",
    "training_curves",
]

log = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]
_MOST_METRICS = 4


@styled
def metric_per_configuration(table: Board, metric: str, path: Path) -> None:
    """Draw a metric of every configuration with its error: the best in red, unusable ones as open grey circles.

    The upper panel shows the half of the usable configurations nearest the best one, whichever direction of the metric
    is good, the lower one all, on a logarithmic axis where they span decades.
    """
    from matplotlib.ticker import MaxNLocator

    canvas, (near, whole) = panels(2, 1, 8.0, 6.0, sharex=True, height_ratios=(2, 1))
    best = table.best
    usable = [row for row in table.rows if table.rankable(row) and row is not best]
    others = [row for row in table.rows if not table.rankable(row)]
    for axes in (near, whole):
        kinds = ", ".join(sorted({row.outcome.value for row in others if metric in row.metrics}))
        grey = {"marker": "o", "color": COLOURS["unusable"], "markerfacecolor": "none"}
        _points(axes, others, metric, f"unusable: {kinds}", **grey)
        _points(axes, usable, metric, "usable", marker="o", color=COLOURS["usable"])
        if best is not None:
            name = f"best {table.objective.metric}: trial {best.trial}"
            _points(axes, [best], metric, name, marker="o", color=COLOURS["best"], markersize=7, zorder=5)
    chosen = [row for row in (*usable, *([best] if best else [])) if metric in row.metrics]
    if chosen:
        near.set_ylim(
            *_better_half([row.metrics[metric] for row in chosen], best.metrics.get(metric) if best else None)
        )
    near.set_ylabel(f"{plain(metric)}, better half")
    if _spans_decades(table, metric):
        whole.set_yscale("log")
    without = sum(metric not in row.metrics for row in table.rows)
    note = f"; not drawn, having no such figure: {without}" if without else ""
    near.set_title(f"{plain(table.source)}: figures on {table.measured_on}{note}")
    whole.set_ylabel(f"{plain(metric)}, all")
    whole.set_xlabel("configuration (trial number)")
    whole.xaxis.set_major_locator(MaxNLocator(integer=True))
    handles, labels = whole.get_legend_handles_labels()
    canvas.legend(handles, labels, loc="outside lower center", ncols=3)
    save(canvas, path)


def _points(axes: Axes, rows: Sequence[FitRecord], metric: str, label: str, **look: Any) -> None:
    drawn = [row for row in rows if metric in row.metrics and np.isfinite(row.metrics[metric].value)]
    if drawn:
        errors = [np.nan_to_num(row.metrics[metric].error) for row in drawn]
        values = [row.metrics[metric].value for row in drawn]
        style = {"linestyle": "none", "markersize": 4.5, "elinewidth": 1.0, "label": label, **look}
        axes.errorbar([row.trial for row in drawn], values, yerr=errors, **style)


def _spans_decades(table: Board, metric: str) -> bool:
    """Whether the figures are so different (errors of a network that ran away) that one axis would show nothing."""
    values = np.array([row.metrics[metric].value for row in table.rows if metric in row.metrics])
    values = values[np.isfinite(values)]
    return len(values) > 0 and bool(values.min() > 0) and bool(values.max() > 30 * values.min())


def _better_half(metrics: Sequence[Metric], best: Metric | None) -> tuple[float, float]:
    """Return limits that show the half of the metrics nearest the best one, with their errors and some air."""
    values = np.array([metric.value for metric in metrics])
    centre = best.value if best else float(np.max(values))
    near = np.abs(values - centre) <= np.median(np.abs(values - centre))
    errors = np.nan_to_num([metric.error for metric in metrics])
    low, high = float(np.min((values - errors)[near])), float(np.max((values + errors)[near]))
    air = 0.08 * (high - low) or 0.01
    return low - air, high + air


@styled
def training_curves(curves: Mapping[str, Floats], best_epoch: int, title: str, path: Path) -> None:
    """Draw loss and, where there is one, accuracy of each epoch on the training and monitoring sets.

    Arguments:
        curves: `loss`, `monitor_loss` and perhaps `accuracy`, `monitor_accuracy`, one value an epoch.
        best_epoch: the epoch whose weights were kept, 1 = first; 0 where none was.
        title: what was trained; path: PNG to write.
    """
    from matplotlib.ticker import MaxNLocator, NullLocator

    names = [name for name in ("loss", "accuracy") if name in curves]
    canvas, axes = panels(1, len(names), 5.6 * len(names), 4.2)
    for name, place in zip(names, axes, strict=True):
        for part, label in (("", "train"), ("monitor_", "monitor")):
            values = curves.get(f"{part}{name}")
            if values is not None:
                marker = "." if len(values) < 30 else ""
                place.plot(np.arange(1, len(values) + 1), values, marker=marker, color=COLOURS[label], label=label)
        if best_epoch > 0:
            place.axvline(best_epoch, color=COLOURS["guide"], linestyle=":", label=f"kept: epoch {best_epoch}")
        place.set_xlabel("epoch")
        place.set_ylabel(name)
        place.xaxis.set_major_locator(MaxNLocator(integer=True))
        place.xaxis.set_minor_locator(NullLocator())
        place.legend()
    canvas.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    save(canvas, path)


Drawing = Callable[[Path], None]


def draw_board(run: Path, folder: Path, metrics: Sequence[str] | None = None) -> Path:
    """Draw the figures of a sweep: metrics of all configurations, and curves of the best.

    Arguments:
        run: folder of a sweep; folder: where the pictures go, overwritten one by one.
        metrics: names; None for the objective and the first few others.

    Returns the folder. Raises InputError when `run` holds no sweep or a record is damaged.
    """
    table = board(run)
    for name, draw in board_figures(run, table, metrics).items():
        draw(folder / f"{name}.png")
    if table.best is None:
        log.info("no configuration of %s may be chosen: its curves are not drawn", run)
    return folder


def board_figures(run: Path, table: Board, metrics: Sequence[str] | None = None) -> dict[str, Drawing]:
    """Return name -> what draws it of every figure of a sweep; `table` is the board of `run`."""
    found: dict[str, Drawing] = {}
    for metric in table.metrics[:_MOST_METRICS] if metrics is None else metrics:
        found[f"configurations-{_file_name(metric)}"] = partial(metric_per_configuration, table, metric)
    best = table.best
    if best is None:
        return found
    curves, name = read_curves(run, best.trial), f"{table.source}, trial {best.trial}"
    if "loss" in curves:
        found["training-curves"] = partial(training_curves, curves, best.best_epoch, name)
    evaluated = {key.removeprefix("curve."): values for key, values in curves.items() if key.startswith("curve.")}
    found |= _roc_figures(
        evaluated, f"{name}, {table.measured_on}: {table.objective.metric} {shown(table.figure(best))}"
    )
    if "confusion" in evaluated and best.threshold is not None:
        counts = Confusion(*(float(count) for count in evaluated["confusion"]))
        title = f"{name}, {table.measured_on}, threshold {best.threshold:.3f}"
        found["confusion"] = partial(confusion_figure, counts, title)
    return found


def _roc_figures(
    curves: Mapping[str, Floats], label: str, working_point: tuple[float, float] | None = None
) -> dict[str, Drawing]:
    """Return what draws each pair of curves `<name>.fpr`, `<name>.tpr`."""
    found: dict[str, Drawing] = {}
    for key in curves:
        name = key.removesuffix(".fpr")
        if key.endswith(".fpr") and f"{name}.tpr" in curves:
            point = working_point if name == "roc" else None
            found[_file_name(name)] = partial(
                roc_figure, curves[key], curves[f"{name}.tpr"], label, working_point=point
            )
    return found


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)


def draw_model(model: Path) -> Path:
    """Draw the figures of a folder made by `townsend choose` into its folder `figures`, and return that.

    Raises InputError when a file is missing or damaged.
    """
    folder = model / "figures"
    for name, draw in model_figures(model).items():
        draw(folder / f"{name}.png")
    return folder


def model_figures(model: Path) -> dict[str, Drawing]:
    """Return name -> what draws it of every figure of a folder made by `townsend choose`.

    Of a classification: ROC and confusion matrix of the test set, score distributions of the training and monitoring
    sets; with more than two classes, the confusion matrix. Of a regression (its card has no threshold): predicted
    against true numbers of the test set.

    Raises InputError when a file is missing or damaged.
    """
    card = read_json(model / "card.json")
    test, training = _arrays(model / "test.npz"), _arrays(model / "training.npz")
    name = f"{card['sweep']['name']}, trial {card['trial']}"
    found: dict[str, Drawing] = {}
    if "loss" in training:
        found["training-curves"] = partial(training_curves, training, int(card["best_epoch"]), name)
    if test["scores"].ndim > 1:  # more than two classes
        classes = card["facts"]["classes"]
        matrix = confusion_matrix(test["y"].astype(int), test["scores"].argmax(axis=1), classes)
        return found | {"confusion": partial(confusion_matrices, matrix, f"{name}, test")}
    if card["threshold"] is None:
        numbers = test["scores"], test["y"], f"{name}, test"
        found["predicted-against-true"] = partial(predicted_against_true, *numbers)
        found["residuals"] = partial(residual_figure, *numbers)
        return found
    return found | _classification_figures(card, test, training, name)


def _classification_figures(
    card: Mapping[str, Any], test: Mapping[str, NDArray[Any]], training: Mapping[str, NDArray[Any]], name: str
) -> dict[str, Drawing]:
    threshold, point = float(card["threshold"]), None
    found: dict[str, Drawing] = {}
    if set(np.unique(test["y"])) == {0.0, 1.0}:
        table = confusion(test["scores"], test["y"], threshold)
        found["confusion"] = partial(confusion_figure, table, f"{name}, test, threshold {threshold:.3f}")
        point = (table.fp / (table.fp + table.tn), table.recall)
        if card.get("choice", {}).get("trained_on", "train") == "train":  # else both have been trained on
            seen, unseen = ((training[f"{part}.scores"], training[f"{part}.y"]) for part in ("train", "monitor"))
            found["scores"] = partial(score_distribution, seen, unseen, threshold, name)
    metric = card["objective"]["metric"]
    value, error = (np.nan if part is None else part for part in card["test"]["metrics"][metric])
    curves = {key.removeprefix("curve."): values for key, values in test.items() if key.startswith("curve.")}
    return found | _roc_figures(curves, f"{name}, test: {metric} {shown(Metric(value, error))}", point)


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        msg = f"{path} must be an archive as `townsend choose` wrote it ({error}); make the model again"
        raise InputError(msg) from None
