"""Figures of predicted numbers: one function a figure.

What to use when
----------------
- `predicted_against_true`, `residual_figure`: how well single numbers are predicted.
- `number_figure`: whole distributions side by side, each with its Gaussian.
- `by_position_figure`: bias and resolution along a third quantity, before and after a correction.
- `comparison_figure`: a figure of merit of several methods, with errors.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.gaussian import GaussianFit, fit_gaussian, unit_edges
from townsend.report.style import COLOURS, panels, plain, save, styled
from townsend.tasks.base import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "Numbers",
    "by_position_figure",
    "comparison_figure",
    "number_figure",
    "predicted_against_true",
    "profile",
    "residual_figure",
]

Floats = NDArray[np.float64]
_BINS = 50
_TAIL = 0.001


@styled
def predicted_against_true(predicted: ArrayLike, truth: ArrayLike, title: str, path: Path) -> None:
    """Draw how often each true number is predicted as what, with the mean and spread for each true number.

    Arguments:
        predicted, truth: (n,) numbers, n > 0; title: what was predicted; path: picture to write.
    """
    guess, true = np.asarray(predicted, np.float64), np.asarray(truth, np.float64)
    canvas, (axes,) = panels(1, 1, 6.2, 5.2)
    # What lies outside the outermost of each thousand is not drawn: one wild number must not squeeze all others.
    edges = unit_edges(np.quantile(guess, [_TAIL, 1 - _TAIL]), np.quantile(true, [_TAIL, 1 - _TAIL]), most=150)
    counts, _, _ = np.histogram2d(true, guess, (edges, edges))
    shown = np.ma.masked_equal(counts.T, 0)
    mesh = axes.pcolormesh(edges, edges, shown, cmap="Blues", vmin=0, rasterized=True)
    canvas.colorbar(mesh, ax=axes, label="examples", pad=0.02)
    axes.plot(edges[[0, -1]], edges[[0, -1]], color=COLOURS["guide"], linestyle=":", label="predicted = true")
    found = profile(true, guess, edges)
    look: dict[str, Any] = {"marker": "o", "markersize": 3.5, "linestyle": "none", "elinewidth": 1.0}
    axes.errorbar(
        found.centre, found.mean, yerr=found.spread, color=COLOURS["best"], label="mean and spread of each", **look
    )
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(edges[0], edges[-1])
    axes.set_xlabel("true number")
    axes.set_ylabel("predicted number")
    axes.set_title(plain(title))
    axes.legend(loc="upper left")
    save(canvas, path)


@dataclass(frozen=True)
class Profile:
    """Mean and spread of a quantity in bins of another; bins with fewer than two entries are left out.

    Arguments:
        centre: (bins,) middle of each bin; mean, spread: of the entries, standard deviation.
        mean_error, spread_error: of one standard deviation, the latter for Gaussian entries.
    """

    centre: Floats
    mean: Floats
    spread: Floats
    mean_error: Floats
    spread_error: Floats


def profile(x: ArrayLike, y: ArrayLike, edges: ArrayLike) -> Profile:
    """Return mean and spread of `y` in bins `edges` of `x`."""
    borders, values = np.asarray(edges, np.float64), np.asarray(y, np.float64)
    number = np.searchsorted(borders, np.asarray(x, np.float64), side="right") - 1
    rows = []
    for index in range(len(borders) - 1):
        inside = values[number == index]
        if len(inside) > 1:
            spread = float(inside.std(ddof=1))
            size = len(inside)
            centre = 0.5 * (borders[index] + borders[index + 1])
            rows.append((centre, inside.mean(), spread, spread / np.sqrt(size), spread / np.sqrt(2 * (size - 1))))
    columns = np.array(rows, np.float64).reshape(-1, 5).T
    return Profile(*columns)


@styled
def residual_figure(predicted: ArrayLike, truth: ArrayLike, title: str, path: Path) -> None:
    """Draw predicted minus true with the Gaussian fitted to it; arguments as `predicted_against_true`."""
    difference = np.asarray(predicted, np.float64) - np.asarray(truth, np.float64)
    canvas, (axes,) = panels(1, 1, 6.2, 4.6)
    reach = 5 * float(difference.std()) or 1.0
    edges = np.linspace(difference.mean() - reach, difference.mean() + reach, _BINS + 1)
    counts, _ = np.histogram(difference, edges)
    axes.stairs(counts, edges, fill=True, alpha=0.35, color=COLOURS["usable"], label=f"{len(difference):,} examples")
    _gaussian(axes, difference, edges, COLOURS["best"])
    axes.axvline(0, color=COLOURS["guide"], linestyle=":")
    axes.set_xlim(edges[0], edges[-1])
    axes.set_ylim(bottom=0)
    axes.set_xlabel("predicted - true number")
    axes.set_ylabel("examples")
    axes.set_title(plain(title))
    axes.legend(loc="upper left")
    save(canvas, path)


def _gaussian(axes: Axes, values: ArrayLike, edges: Floats, colour: str) -> None:
    """Draw the Gaussian of a histogram and write its figures beside it; nothing where it cannot be fitted."""
    try:
        fit = fit_gaussian(values, edges)
    except InputError:
        return
    fine = np.linspace(edges[0], edges[-1], 8 * len(edges))
    axes.plot(fine, fit.density(fine) * float(np.diff(edges).mean()), color=colour, label="Gaussian fit")
    axes.text(0.97, 0.95, _figures(fit), transform=axes.transAxes, ha="right", va="top", fontsize=9.5, linespacing=1.4)


def _figures(fit: GaussianFit) -> str:
    quality = f"χ² / ndf  {fit.chi2:.0f} / {fit.ndf}" if fit.ndf else ""
    doubt = "" if fit.valid else "\nfit not valid"
    return (
        f"mean  {fit.mean.value:.3f} ± {fit.mean.error:.3f}\nsigma  {fit.sigma.value:.3f} ± {fit.sigma.error:.3f}"
        f"\n{quality}{doubt}"
    )


@dataclass(frozen=True)
class Numbers:
    """One distribution of numbers.

    Arguments:
        name: what is counted; values: (n,) numbers; role: a key of `COLOURS`.
        expected: (bins,) entries expected in the figure's bins, None where nothing is known.
    """

    name: str
    values: NDArray[Any]
    role: str
    expected: NDArray[Any] | None = None


@styled
def number_figure(columns: Sequence[Numbers], edges: ArrayLike, title: str, path: Path, x_label: str) -> None:
    """Draw distributions one beside the other on one axis, each with its Gaussian; the first is outlined in the others.

    Arguments:
        columns: one to four distributions; edges: (bins + 1,) of all; title, x_label: text; path: picture to write.
    """
    borders = np.asarray(edges, np.float64)
    canvas, places = panels((len(columns) + 1) // 2, min(2, len(columns)), 9.6, 3.5 * ((len(columns) + 1) // 2))
    reference, _ = np.histogram(columns[0].values, borders)
    tallest = max(int(np.histogram(column.values, borders)[0].max(initial=1)) for column in columns)
    for place, column in zip(places, columns, strict=False):
        counts, _ = np.histogram(column.values, borders)
        place.stairs(counts, borders, fill=True, alpha=0.35, color=COLOURS[column.role], label=column.name)
        if column is not columns[0]:
            place.stairs(reference, borders, color=COLOURS["truth"], linewidth=1.0, label=columns[0].name)
        if column.expected is not None:
            centres = 0.5 * (borders[1:] + borders[:-1])
            place.plot(centres, column.expected, ".", color="black", markersize=4, label="Poisson expectation")
        _gaussian(place, column.values, borders, COLOURS[column.role])
        place.set_xlim(borders[0], borders[-1])
        place.set_ylim(0, 1.6 * tallest)
        place.set_xlabel(x_label)
        place.set_ylabel("waveforms")
        place.legend(loc="upper left", fontsize=9)
    for place in places[len(columns) :]:
        place.set_axis_off()
    canvas.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    save(canvas, path)


@styled
def by_position_figure(
    position: ArrayLike,
    truth: ArrayLike,
    predicted: Mapping[str, ArrayLike],
    edges: ArrayLike,
    title: str,
    path: Path,
    x_label: str,
) -> None:
    """Draw bias and resolution of predictions along a third quantity.

    Arguments:
        position, truth: (n,) numbers; predicted: role of `COLOURS` -> (n,) numbers, for example "before", "after".
        edges: (bins + 1,) of the position; title, x_label: text; path: picture to write.
    """
    canvas, (bias, width) = panels(2, 1, 7.2, 5.6, sharex=True)
    true, borders = np.asarray(truth, np.float64), np.asarray(edges, np.float64)
    look: dict[str, Any] = {"linestyle": "none", "markersize": 4.5, "elinewidth": 1.0}
    shift = 0.06 * float(np.diff(borders).min())
    for index, (role, values) in enumerate(predicted.items()):
        found = profile(position, np.asarray(values, np.float64) - true, borders)
        place = found.centre + shift * (index - 0.5 * (len(predicted) - 1))
        style = {"color": COLOURS[role], "marker": "so^"[index % 3], **look}
        bias.errorbar(place, found.mean, yerr=found.mean_error, label=role, **style)
        width.errorbar(place, found.spread, yerr=found.spread_error, **style)
    poisson = profile(position, true, borders)
    width.plot(
        poisson.centre, np.sqrt(poisson.mean), color=COLOURS["guide"], linestyle=":", label="square root of the truth"
    )
    bias.axhline(0, color=COLOURS["guide"], linestyle=":")
    bias.set_ylabel("mean of predicted - true")
    width.set_ylabel("spread of predicted - true")
    width.set_ylim(bottom=0)
    width.set_xlabel(x_label)
    width.legend(loc="lower right")
    canvas.legend(*bias.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    canvas.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    save(canvas, path)


@styled
def comparison_figure(
    figures: Mapping[str, Mapping[str, Metric]], labels: Sequence[str], mark: str, title: str, path: Path
) -> None:
    """Draw figures of merit of several methods, one method a line.

    Arguments:
        figures: method -> name of figure -> value with error, methods from top to bottom.
        labels: names of the figures, one panel each; mark: the method drawn in the colour of the best.
        title: what was compared; path: picture to write.
    """
    methods = list(figures)
    canvas, places = panels(1, len(labels), 3.0 + 3.4 * len(labels), 1.5 + 0.34 * len(methods), sharey=True)
    lines = np.arange(len(methods))[::-1]
    for place, label in zip(places, labels, strict=True):
        for line, method in zip(lines, methods, strict=True):
            metric = figures[method].get(label)
            if metric is None or not np.isfinite(metric.value):
                continue
            colour = COLOURS["best" if method == mark else "usable"]
            place.barh(line, metric.value, height=0.62, color=colour, alpha=0.35)
            error = float(np.nan_to_num(metric.error))
            place.errorbar(metric.value, line, xerr=error, color=colour, marker="o", markersize=4, elinewidth=1.2)
        place.axvline(0, color=COLOURS["guide"], linewidth=0.8)
        place.set_xlabel(plain(label))
        place.margins(y=0.02)
    places[0].set_yticks(lines, [plain(method) for method in methods])
    for place in places:
        place.tick_params(axis="y", which="both", length=0)
    canvas.suptitle(plain(title), x=0.01, ha="left", fontsize=11)
    save(canvas, path)
