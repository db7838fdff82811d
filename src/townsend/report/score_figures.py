"""Figures of what one classifier's scores do: one function a figure.

What to use when
----------------
- `threshold_scan_figure`: every criterion against the threshold, with the one chosen.
- `response_overlay`: scores on training and test events, class by class: is it overtrained?
- `reliability_curve`: are the scores probabilities?
- `confusion_matrices`: what is taken for what, of any number of classes.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.confusion_matrix import ConfusionMatrix
from townsend.evaluate.thresholds import ThresholdScan
from townsend.report.histograms import Bins
from townsend.report.legible import class_colours, headline, legend_below, short, wrapped
from townsend.report.style import COLOURS, panels, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["confusion_matrices", "reliability_curve", "response_overlay", "threshold_scan_figure"]

Floats = NDArray[np.float64]
_ABREAST = 3
_NAMES = {
    "corner_distance": "d, distance to the corner",
    "youden": "TPR - FPR",
    "f1": "F1",
    "efficiency_x_purity": "efficiency × purity",
    "s_over_sqrt_s_plus_b": "S / √(S + B)",
    "s_over_sqrt_b": "S / √B",
    "asimov": "Asimov significance",
    "asimov_with_error": "Asimov, uncertain background",
}
_RATES = (("TPR", "usable", "-"), ("FPR", "monitor", "--"), ("d²", "detected", "-."))
_MOST_WRITTEN = 8  # classes; beyond, the cells of a confusion matrix are too small for numbers


@styled
def threshold_scan_figure(scan: ThresholdScan, chosen: float, title: str, path: Path) -> None:
    """Draw the shares accepted and d^2 = (1 - TPR)^2 + FPR^2 against the threshold, and each criterion on its own axis.

    The best threshold of each is a dot; where a criterion is not defined its curve has a gap, and the number of such
    thresholds is told. Thresholds that are not finite are not drawn.

    Arguments:
        scan: of the events on which the threshold was chosen; chosen: the threshold.
        title: what was scanned; path: picture to write.
    """
    rows = 1 + -(-len(scan.curves) // _ABREAST)
    canvas, places = panels(rows, _ABREAST, 11.0, 0.6 + 2.5 * rows)
    grid = places[0].get_gridspec()
    if grid is not None:
        for place in places[:2]:
            place.remove()
        places[1] = canvas.add_subplot(grid[0, :2])
    wide, legend, small = places[1], places[2], places[3:]
    finite = np.isfinite(scan.threshold)
    at = scan.threshold[finite]
    tpr, fpr = scan.tpr[finite], scan.fpr[finite]
    squared = (1 - tpr) ** 2 + fpr**2
    for (name, role, line), values in zip(_RATES, (tpr, fpr, squared), strict=True):
        wide.plot(at, values, color=COLOURS[role], linestyle=line, label=name)
    if len(at):
        least = int(np.argmin(squared))
        words = f"least d² = {squared[least]:.4f} at {at[least]:.4g}"
        wide.plot(at[least], squared[least], "o", color=COLOURS["detected"], markersize=6, label=words, clip_on=False)
    wide.set_ylabel("share")
    for place, (name, values) in zip(small, scan.curves.items(), strict=False):
        curve = np.where(np.isfinite(values), values, np.nan)[finite]
        place.plot(at, curve, color=COLOURS["usable"], linewidth=1.3)
        best = scan.best.get(name)
        label = short(_NAMES.get(name, name.replace("_", " ")), 32)
        if best is None or not np.isfinite(best.value):
            place.set_title(f"{label}\nnot defined at any threshold", fontsize=9.5)
            continue
        place.plot(best.threshold, best.value, "o", color=COLOURS["best"], markersize=5, clip_on=False)
        gap = f" ({best.undefined:,} undefined)" if best.undefined else ""
        place.set_title(f"{label}\nbest {best.value:.4g} at {best.threshold:.4g}{gap}", fontsize=9.5)
    guide = _common_axis([wide, *small[: len(scan.curves)]], at, chosen)
    for place in [legend, *small[len(scan.curves) :]]:
        place.set_axis_off()
    handles, labels = wide.get_legend_handles_labels()
    dot = wide.plot([], [], "o", color=COLOURS["best"], markersize=5)
    legend.legend([*handles, *dot, guide], [*labels, "best of a criterion", f"chosen: {chosen:.4g}"], loc="center left")
    headline(canvas, f"{title}; {scan.tried:,} thresholds tried")
    save(canvas, path)


def _common_axis(places: list[Axes], at: Floats, chosen: float) -> Any:
    """Give all the same thresholds and the chosen one as a dotted line, which is returned."""
    low, high = (float(at.min()), float(at.max())) if len(at) else (0.0, 1.0)
    if low >= 0 and high <= 1:
        low, high = 0.0, 1.0
    for place in places:
        guide = place.axvline(chosen, color="black", linestyle=":", linewidth=1.2)
        air = 0.01 * (high - low) or 0.5
        place.set_xlim(low - air, high + air)
        place.set_xlabel("threshold t", fontsize=10)
    return guide


@styled
def response_overlay(
    edges: ArrayLike,
    classes: Mapping[str, tuple[Bins, Bins]],
    verdict: str,
    path: Path,
    threshold: float | None = None,
    x_label: str = "score",
) -> None:
    """Draw the scores of each class on training events, filled with their errors hatched, and on test events as points.

    Below, the difference in standard deviations of both errors: where nothing was overtrained, a third lies beyond 1.
    The axis is logarithmic, and linear where negative weights take a bin below zero.

    Arguments:
        edges: (bins + 1,); classes: name -> densities of training and of test events, as
            `townsend.report.histograms.weighted_density` returns them.
        verdict: sentence that is the title; path: picture to write.
        threshold: chosen on validation, or None; x_label: what is scored.
    """
    borders = np.asarray(edges, np.float64)
    centres = 0.5 * (borders[1:] + borders[:-1])
    canvas, (axes, pulls) = panels(2, 1, 7.6, 5.8, sharex=True, height_ratios=[3, 1])
    handles: list[Any] = []
    labels: list[str] = []
    above_zero: list[float] = []
    for index, (name, (train, test)) in enumerate(classes.items()):
        colour, marker = class_colours(tuple(classes))[index], "so^Dv"[index % 5]
        filled = axes.stairs(train.content, borders, fill=True, alpha=0.3, color=colour)
        low, high = train.content - train.error, train.content + train.error
        axes.stairs(high, borders, baseline=low, fill=False, hatch="////", edgecolor=colour, linewidth=0)
        seen = test.error > 0
        look: dict[str, Any] = {"marker": marker, "markersize": 3.5, "linestyle": "none", "elinewidth": 1.0}
        shift = 0.12 * np.diff(borders) * (index - 0.5 * (len(classes) - 1))
        x = (centres + shift)[seen]
        points = axes.errorbar(x, test.content[seen], yerr=test.error[seen], color=colour, **look)
        common = np.hypot(train.error, test.error)
        told = common > 0
        difference = (test.content - train.content)[told] / common[told]
        pulls.plot((centres + shift)[told], difference, marker, color=colour, markersize=3.5)
        handles += [filled, points]
        labels += [f"{short(name)}, training", f"{short(name)}, test"]
        above_zero += [*train.content[train.error > 0], *test.content[seen]]
    if above_zero and min(above_zero) > 0:
        axes.set_yscale("log", nonpositive="clip")
        axes.set_ylim(0.3 * min(above_zero), 3 * max(above_zero))
    else:
        axes.axhline(0, color=COLOURS["guide"], linewidth=0.8)
    for place in (axes, pulls):
        if threshold is not None:
            guide = place.axvline(threshold, color="black", linestyle=":", linewidth=1.2)
    if threshold is not None:
        handles, labels = [*handles, guide], [*labels, f"threshold {threshold:.4g}"]
    pulls.axhline(0, color=COLOURS["guide"], linewidth=0.8)
    pulls.axhspan(-1, 1, color=COLOURS["guide"], alpha=0.15, linewidth=0)
    reach = 1.1 * max([3.0, *(float(abs(y)) for line in pulls.lines for y in np.ravel(line.get_ydata()) if y == y)])
    pulls.set_ylim(-reach, reach)
    pulls.set_ylabel("test - training\n[std. dev.]", fontsize=10)
    pulls.set_xlabel(short(x_label, 70))
    axes.set_xlim(borders[0], borders[-1])
    axes.set_ylabel("density of events, area 1 each")
    legend_below(canvas, handles, labels)
    headline(canvas, verdict)
    save(canvas, path)


@styled
def reliability_curve(
    score: ArrayLike,
    observed: ArrayLike,
    error: ArrayLike,
    histogram: tuple[ArrayLike, ArrayLike],
    title: str,
    path: Path,
) -> None:
    """Draw the observed share of signal over the mean score, bin by bin, and how many events have which score.

    Arguments:
        score, observed, error: (bins,) mean score, share of signal by weight and its error; bins with a share that is
            not finite are not drawn, and counted in the title.
        histogram: (n + 1,) edges and (n,) numbers of events of each score.
        title: with the verdict; path: picture to write.
    """
    x, y, width = (np.asarray(values, np.float64) for values in (score, observed, error))
    edges, counts = (np.asarray(values, np.float64) for values in histogram)
    canvas, (axes, below) = panels(2, 1, 6.2, 6.4, sharex=True, height_ratios=[3, 1])
    drawn = np.isfinite(x) & np.isfinite(y)
    gapped = np.where(drawn, y, np.nan)  # the line must not bridge what is not known
    axes.plot([0, 1], [0, 1], color=COLOURS["guide"], linestyle=":", label="calibrated")
    look: dict[str, Any] = {"marker": "o", "markersize": 5, "elinewidth": 1.2, "linewidth": 1.0}
    axes.errorbar(x, gapped, yerr=np.nan_to_num(width), color=COLOURS["usable"], label="observed", **look)
    below.stairs(counts, edges, fill=True, color=COLOURS["usable"], alpha=0.35)
    if np.any(counts > 0) and np.all(counts >= 0):
        below.set_yscale("log", nonpositive="clip")
        below.set_ylim(bottom=0.5)
    axes.set_xlim(min(0.0, float(edges[0])), max(1.0, float(edges[-1])))
    low, high = axes.get_ylim()
    axes.set_ylim(max(low, -0.5), min(high, 1.5))
    axes.set_ylabel("observed share of signal")
    below.set_ylabel("events")
    below.set_xlabel("score, mean of a bin")
    axes.legend(loc="upper left")
    without = int(np.count_nonzero(~drawn))
    headline(canvas, f"{title}; bins without a share, not drawn: {without}" if without else title)
    save(canvas, path)


@styled
def confusion_matrices(matrix: ConfusionMatrix, title: str, path: Path) -> None:
    """Draw the shares of each true class (efficiencies) and of each predicted one (purities), with numbers of events.

    Up to eight classes the cells hold both numbers, beyond that only colours. Shares are of sums of weights with their
    sign, and may lie outside 0 and 100 %.
    """
    size = len(matrix.classes)
    side = float(np.clip(1.05 * size, 2.9, 6.3 if size <= _MOST_WRITTEN else 5.5))
    upright = size > 4  # names below the columns, which then need more height
    canvas, axes = panels(1, 2, 2 * side + 3.0, side + (2.2 if upright else 1.5))
    titles = {"true": "of each true class (rows add up to 100 %)", "predicted": "of each predicted class (columns do)"}
    for place, (by, words) in zip(axes, titles.items(), strict=True):
        shares = matrix.normalised(by)
        image = place.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        if size <= _MOST_WRITTEN:
            _write_cells(place, shares, matrix.counts, 10.0 if size <= 4 else 8.0)
        small = 9.0 if size <= _MOST_WRITTEN else float(np.clip(110 / size, 3.5, 9.0))
        names = [wrapped(name, 14, 4) if size <= _MOST_WRITTEN else short(name, 24) for name in matrix.classes]
        place.set_xticks(range(size), names, fontsize=small, rotation=90 if upright else 0)
        place.set_yticks(range(size), names, fontsize=small)
        place.tick_params(which="both", length=0)
        place.minorticks_off()
        place.set_xlabel("predicted class")
        place.set_ylabel("true class")
        place.set_title(words, fontsize=9.5)
    if size > _MOST_WRITTEN:
        _colour_bar(canvas, axes, image)
    headline(canvas, title)
    save(canvas, path)


def _write_cells(place: Axes, shares: Floats, counts: NDArray[np.intp], size: float) -> None:
    for (row, column), share in np.ndenumerate(shares):
        colour = "white" if share > 0.6 else "black"
        words = f"{100 * share:.1f} %\n{counts[row, column]:,}"
        place.text(column, row, words, ha="center", va="center", color=colour, fontsize=size)


def _colour_bar(canvas: Figure, axes: list[Axes], image: Any) -> None:
    canvas.colorbar(image, ax=axes, label="share", pad=0.01)
