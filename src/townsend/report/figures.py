"""Figures of a sweep and of a chosen model: one function a figure.

What to use when
----------------
- `draw_board`: all figures of a sweep; `draw_model`: all figures of a folder made by `townsend choose`.
- `metric_per_configuration`, `training_curves`, `roc_figure`, `confusion_figure`, `score_distribution`: one of them.
"""

from __future__ import annotations

import logging
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError, printable
from townsend.evaluate.classification import Confusion, balanced, confusion
from townsend.files import read_json
from townsend.report.style import COLOURS, panels, save, styled
from townsend.sweep.board import Board, board
from townsend.sweep.board_verdicts import shown
from townsend.sweep.records import read_curves
from townsend.tasks.base import Metric
from townsend.training.records import FitRecord

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Histogram",
    "confusion_figure",
    "density",
    "draw_board",
    "draw_model",
    "metric_per_configuration",
    "roc_figure",
    "score_distribution",
    "training_curves",
]

log = logging.getLogger(__name__)

Floats = NDArray[np.floating[Any]]
_MOST_METRICS = 4
_BINS = 40


@styled
def metric_per_configuration(table: Board, metric: str, path: Path) -> None:
    """Draw a metric of every configuration with its error: the best in red, unusable ones as open grey circles.

    The upper panel shows the better half of the usable configurations, the lower one all.
    """
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
    near.set_ylabel(f"{printable(metric)}, better half")
    without = sum(metric not in row.metrics for row in table.rows)
    note = f"; not drawn, having no such figure: {without}" if without else ""
    near.set_title(f"{printable(table.source)}: figures on {table.measured_on}{note}")
    whole.set_ylabel(f"{printable(metric)}, all")
    whole.set_xlabel("configuration (trial number)")
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
    canvas.suptitle(printable(title), x=0.01, ha="left", fontsize=11)
    save(canvas, path)


@styled
def roc_figure(
    fpr: Floats, tpr: Floats, label: str, path: Path, working_point: tuple[float, float] | None = None
) -> None:
    """Draw a ROC curve twice: with a linear axis, and with a logarithmic one for small background.

    Arguments:
        fpr, tpr: (n,) shares of background and signal accepted, from (0, 0) to (1, 1).
        label: what the curve is, with its AUC; path: PNG to write.
        working_point: (fpr, tpr) at the threshold chosen, or None.
    """
    canvas, (linear, logarithmic) = panels(1, 2, 10.0, 4.6)
    for axes in (linear, logarithmic):
        axes.plot(fpr, tpr, color=COLOURS["usable"], label="network")
        if working_point is not None:
            axes.plot(*working_point, "o", color=COLOURS["best"], label="threshold chosen on validation", clip_on=False)
        axes.set_xlabel("background accepted (false positive rate)")
        axes.set_ylabel("signal accepted (true positive rate)")
        axes.set_ylim(0, 1.02)
    linear.plot([0, 1], [0, 1], color=COLOURS["guide"], linestyle=":", label="no separation")
    linear.set_xlim(-0.01, 1.01)
    canvas.legend(*linear.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    canvas.suptitle(printable(label), x=0.01, ha="left", fontsize=11)
    logarithmic.set_xscale("log", nonpositive="clip")
    logarithmic.set_xlim(float(np.clip(np.min(fpr[fpr > 0], initial=1.0), 1e-5, 0.1)), 1)
    save(canvas, path)


@styled
def confusion_figure(table: Confusion, title: str, path: Path) -> None:
    """Draw the confusion matrix at the examples' own prevalence and re-weighted to half signal, half background.

    Cells give shares of all examples, so that the prevalence is seen.
    """
    canvas, axes = panels(1, 2, 9.6, 4.6)
    for place, cells, name in ((axes[0], table, "natural prevalence"), (axes[1], balanced(table), "balanced")):
        total = float(cells.counts.sum()) or 1.0
        shares = np.array([[cells.tp, cells.fn], [cells.fp, cells.tn]]) / total
        place.imshow(shares, cmap="Blues", vmin=0, vmax=max(float(shares.max()), 0.5))
        for (row, column), share in np.ndenumerate(shares):
            count = f"\n({share * total:,.0f})" if cells is table else ""
            dark = share > 0.6 * max(float(shares.max()), 0.5)
            colour = "white" if dark else "black"
            place.text(column, row, f"{100 * share:.2f} %{count}", ha="center", va="center", color=colour)
        place.set_xticks([0, 1], ["signal", "background"])
        place.set_yticks([0, 1], ["signal", "background"], rotation=90, va="center")
        place.tick_params(which="both", length=0)
        place.minorticks_off()
        place.set_xlabel("predicted")
        place.set_ylabel("truth")
        figures = f"precision {cells.precision:.3f}, recall {cells.recall:.3f}, F1 {cells.f1:.3f}"
        place.set_title(f"{name}, {100 * cells.prevalence:.1f} % signal\n{figures}")
    canvas.suptitle(printable(title), x=0.01, ha="left", fontsize=11)
    save(canvas, path)


class Histogram(NamedTuple):
    """A normalised histogram: (n,) density and its error for independent examples."""

    density: Floats
    error: Floats


def density(scores: Floats, edges: Floats) -> Histogram:
    """Return the density of `scores` in bins `edges`; the whole set is normalised to one, empty sets to zero."""
    counts, _ = np.histogram(scores, edges)
    scale = 1.0 / (max(len(scores), 1) * np.diff(edges))
    return Histogram(counts * scale, np.sqrt(counts) * scale)


@styled
def score_distribution(
    train: tuple[Floats, Floats], monitor: tuple[Floats, Floats], threshold: float, title: str, path: Path
) -> None:
    """Draw the scores of signal and background, on the training set filled, on the monitoring set as points.

    Arguments:
        train, monitor: (n,) scores and labels of each set.
        threshold: chosen on validation; title: what was trained; path: PNG to write.
    """
    canvas, (axes,) = panels(1, 1, 7.0, 4.8)
    edges = _edges(np.concatenate([train[0], monitor[0]]))
    centres = 0.5 * (edges[1:] + edges[:-1])
    classes = (("background", 0, "s"), ("signal", 1, "o"))
    lowest = np.inf
    for name, label, _ in classes:
        seen = density(train[0][train[1] == label], edges).density
        axes.stairs(seen, edges, fill=True, alpha=0.3, color=COLOURS[name], label=f"{name}, train")
        lowest = min(lowest, float(np.min(seen[seen > 0], initial=np.inf)))
    for name, label, marker in classes:
        unseen = density(monitor[0][monitor[1] == label], edges)
        filled = unseen.density > 0
        look: dict[str, Any] = {
            "marker": marker,
            "markersize": 3.5,
            "linestyle": "none",
            "elinewidth": 1.0,
            "color": COLOURS[name],
        }
        values, errors = unseen.density[filled], unseen.error[filled]
        axes.errorbar(centres[filled], values, yerr=errors, label=f"{name}, monitor", **look)
        lowest = min(lowest, float(np.min(values, initial=np.inf)))
    axes.axvline(threshold, color=COLOURS["guide"], linestyle=":", label=f"threshold {threshold:.3f}")
    axes.set_yscale("log", nonpositive="clip")
    axes.set_ylim(bottom=0.3 * lowest if np.isfinite(lowest) else None)
    axes.set_xlim(edges[0], edges[-1])
    axes.set_xlabel("score (output of the network)")
    axes.set_ylabel("density of examples, area 1 each")
    axes.set_title(printable(title))
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: ("threshold" in labels[i], "monitor" in labels[i]))
    canvas.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=3)
    save(canvas, path)


def _edges(scores: Floats) -> Floats:
    low, high = float(np.min(scores)), float(np.max(scores))
    if low >= 0 and high <= 1:
        return np.linspace(0, 1, _BINS + 1)
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)


def draw_board(run: Path, folder: Path, metrics: Sequence[str] | None = None) -> Path:
    """Draw the figures of a sweep: metrics of all configurations, and curves of the best.

    Arguments:
        run: folder of a sweep; folder: where the pictures go, overwritten one by one.
        metrics: names; None for the objective and the first few others.

    Returns the folder. Raises InputError when `run` holds no sweep or a record is damaged.
    """
    table = board(run)
    for metric in table.metrics[:_MOST_METRICS] if metrics is None else metrics:
        metric_per_configuration(table, metric, folder / f"configurations-{_file_name(metric)}.png")
    best = table.best
    if best is None:
        log.info("no configuration of %s may be chosen: its curves are not drawn", run)
        return folder
    curves, name = read_curves(run, best.trial), f"{table.source}, trial {best.trial}"
    if "loss" in curves:
        training_curves(curves, best.best_epoch, name, folder / "training-curves.png")
    evaluated = {key.removeprefix("curve."): values for key, values in curves.items() if key.startswith("curve.")}
    label = f"{name}, {table.measured_on}: {table.objective.metric} {shown(table.figure(best))}"
    _roc_figures(evaluated, label, folder)
    if "confusion" in evaluated:
        counts = Confusion(*(float(count) for count in evaluated["confusion"]))
        confusion_figure(
            counts, f"{name}, {table.measured_on}, threshold {best.threshold:.3f}", folder / "confusion.png"
        )
    return folder


def _roc_figures(
    curves: Mapping[str, Floats], label: str, folder: Path, working_point: tuple[float, float] | None = None
) -> None:
    """Draw each pair of curves `<name>.fpr`, `<name>.tpr`."""
    for key in curves:
        name = key.removesuffix(".fpr")
        if key.endswith(".fpr") and f"{name}.tpr" in curves:
            point = working_point if name == "roc" else None
            roc_figure(curves[key], curves[f"{name}.tpr"], label, folder / f"{_file_name(name)}.png", point)


def _file_name(name: str) -> str:
    return "".join(c if c.isascii() and c.isalnum() else "-" for c in name)


def draw_model(model: Path) -> Path:
    """Draw the figures of a folder made by `townsend choose` into its folder `figures`, and return that.

    ROC and confusion matrix are of the test set, score distributions of the training and monitoring sets.

    Raises InputError when a file is missing or damaged.
    """
    card, folder = read_json(model / "card.json"), model / "figures"
    test, training = _arrays(model / "test.npz"), _arrays(model / "training.npz")
    name, threshold = f"{card['sweep']['name']}, trial {card['trial']}", float(card["threshold"])
    if "loss" in training:
        training_curves(training, int(card["best_epoch"]), name, folder / "training-curves.png")
    point = None
    if set(np.unique(test["y"])) == {0.0, 1.0}:
        table = confusion(test["scores"], test["y"], threshold)
        confusion_figure(table, f"{name}, test, threshold {threshold:.3f}", folder / "confusion.png")
        point = (table.fp / (table.fp + table.tn), table.recall)
        seen, unseen = ((training[f"{part}.scores"], training[f"{part}.y"]) for part in ("train", "monitor"))
        score_distribution(seen, unseen, threshold, name, folder / "scores.png")
    metric = card["objective"]["metric"]
    value, error = (np.nan if part is None else part for part in card["test"]["metrics"][metric])
    curves = {key.removeprefix("curve."): values for key, values in test.items() if key.startswith("curve.")}
    _roc_figures(curves, f"{name}, test: {metric} {shown(Metric(value, error))}", folder, point)
    return folder


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    try:
        with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        msg = f"{path} must be an archive as `townsend choose` wrote it ({error}); make the model again"
        raise InputError(msg) from None
