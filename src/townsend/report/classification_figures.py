"""Figures of scores of two classes: one function a figure.

What to use when
----------------
- `roc_figure`: signal against background accepted; `confusion_figure`: what one threshold does.
- `score_distribution`: scores of both classes on the training and monitoring sets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.evaluate.classification import Confusion, balanced
from townsend.report.style import COLOURS, panels, plain, save, styled

__all__ = ["Histogram", "confusion_figure", "density", "roc_figure", "score_distribution"]

Floats = NDArray[np.floating[Any]]
_BINS = 40


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
    canvas.suptitle(plain(label), x=0.01, ha="left", fontsize=11)
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
    canvas.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
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
    axes.set_title(plain(title))
    handles, labels = axes.get_legend_handles_labels()
    order = sorted(range(len(labels)), key=lambda i: ("threshold" in labels[i], "monitor" in labels[i]))
    canvas.legend([handles[i] for i in order], [labels[i] for i in order], loc="outside lower center", ncols=3)
    save(canvas, path)


def _edges(scores: Floats) -> Floats:
    low, high = float(np.min(scores)), float(np.max(scores))
    if low >= 0 and high <= 1:
        return np.linspace(0, 1, _BINS + 1)
    return np.linspace(low, high if high > low else low + 1, _BINS + 1)
