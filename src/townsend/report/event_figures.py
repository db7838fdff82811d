"""Figures of the features of events: one function a figure.

What to use when
----------------
- `feature_distributions`: what each class looks like in each feature; `correlation_matrices`: what is redundant.
- `projection_figure`: events in two dimensions, by PCA or t-SNE for example.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.report.histograms import outside, robust_edges, weighted_density
from townsend.report.legible import class_colours, headline, legend_below, short, wrapped
from townsend.report.style import panels, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = [
    "correlation_matrices",
    "feature_distributions",
    "projection_figure",
    "weighted_correlation",
]

Floats = NDArray[np.float64]
_ABREAST, _A_PICTURE = 4, 12
_MOST_WRITTEN = 12  # features; beyond, the cells of a correlation matrix are too small for numbers
_MOST_POINTS = 4000  # of a class: more cover each other
_TAIL = 0.001


@styled
def feature_distributions(
    values: ArrayLike,
    label: ArrayLike,
    weight: ArrayLike,
    names: Sequence[str],
    classes: Sequence[str],
    title: str,
    path: Path,
    units: Sequence[str] = (),
) -> list[Path]:
    """Draw each feature of each class, area 1, with errors; return the pictures, twelve features each.

    The axis leaves out the outermost half percent of each class; the share beyond it, and values that are not finite,
    are told above each panel. They count in the area.

    Arguments:
        values: (n, k); label: (n,) class numbers; weight: (n,) of either sign.
        names: k features; classes: their names; title: of which events.
        path: the first picture to write, the others get "-2", "-3", ... before the suffix.
        units: k units, "" for none; empty where none are known.
    """
    table, of, weights = np.asarray(values), np.asarray(label), np.asarray(weight, np.float64)
    count = len(names)
    written = []
    for start in range(0, count, _A_PICTURE):
        shown = range(start, min(start + _A_PICTURE, count))
        across = min(_ABREAST, len(shown))
        down = -(-len(shown) // across)
        canvas, places = panels(down, across, max(3.15 * across, 4.5), 2.65 * down + 0.4)
        for place, feature in zip(places, shown, strict=False):
            handles = _feature(place, table[:, feature], of, weights, classes)
            unit = units[feature] if units else ""
            place.set_xlabel(wrapped(f"{names[feature]} [{unit}]" if unit else names[feature], 44, 2), fontsize=9)
        for place in places[len(shown) :]:
            place.set_axis_off()
        for place in places[:: _ABREAST if across == _ABREAST else across]:
            place.set_ylabel("density", fontsize=9)
        legend_below(canvas, handles, [short(name) for name in classes])
        part = f", features {start + 1} to {shown[-1] + 1} of {count}" if count > _A_PICTURE else ""
        headline(canvas, title + part)
        page = start // _A_PICTURE + 1
        written.append(path if page == 1 else path.with_stem(f"{path.stem}-{page}"))
        save(canvas, written[-1])
    return written


def _feature(place: Axes, values: NDArray[Any], of: NDArray[Any], weight: Floats, classes: Sequence[str]) -> list[Any]:
    edges = robust_edges(values, of)
    centres, handles = 0.5 * (edges[1:] + edges[:-1]), []
    for index, colour in enumerate(class_colours(classes)):
        mine = of == index
        found = weighted_density(values[mine], weight[mine], edges)
        line = ("-", "--", "-.", ":")[index % 4]
        handles.append(place.stairs(found.content, edges, color=colour, linewidth=1.3, linestyle=line))
        place.errorbar(centres, found.content, yerr=found.error, linestyle="none", color=colour, elinewidth=0.8)
    beyond, wrong = outside(values, edges)
    notes = [f"{100 * beyond:.1f} % outside" if beyond else "", f"{wrong:,} not finite" if wrong else ""]
    place.set_title(", ".join(note for note in notes if note), fontsize=8, loc="right", pad=3)
    place.set_xlim(edges[0], edges[-1])
    low, high = place.get_ylim()
    place.set_ylim(min(low, 0.0) if low < -0.05 * high else 0.0, high)
    place.tick_params(labelsize=8)
    place.ticklabel_format(axis="y", scilimits=(-3, 4), useMathText=True)
    place.ticklabel_format(axis="x", scilimits=(-4, 5), useMathText=True)
    for axis in (place.xaxis, place.yaxis):
        axis.get_offset_text().set_fontsize(7)
    return handles


def weighted_correlation(values: ArrayLike, weight: ArrayLike) -> Floats:
    """Return the (k, k) linear correlations (Pearson) of (n, k) finite values with (n,) weights of either sign.

    NaN where a feature does not vary, or has no variance above zero by signed weights; with those, correlations may
    leave [-1, 1].
    """
    table, of_each = np.asarray(values, np.float64), np.asarray(weight, np.float64)
    total = float(of_each.sum())
    if not len(table) or total == 0:
        return np.full((table.shape[1], table.shape[1]), np.nan)
    away = table - of_each @ table / total
    covariance = (away * of_each[:, None]).T @ away / total
    variance = np.diag(covariance).copy()
    # What is left of a constant is a rounding error of its size, not a variance.
    rounding = (1e-12 * np.max(np.abs(table), axis=0)) ** 2
    variance[variance <= rounding] = np.nan
    return np.asarray(covariance / np.sqrt(np.outer(variance, variance)), np.float64)


@styled
def correlation_matrices(
    values: ArrayLike,
    label: ArrayLike,
    weight: ArrayLike,
    names: Sequence[str],
    classes: Sequence[str],
    title: str,
    path: Path,
) -> None:
    """Draw the linear correlations (Pearson) of all features, a panel a class; with numbers up to twelve features.

    Events with a value that is not finite are left out, and counted above the panel. A feature that does not vary has
    no correlation: its cells are grey. Arguments: as `feature_distributions`.
    """
    table, of, weights = np.asarray(values, np.float64), np.asarray(label), np.asarray(weight, np.float64)
    count = len(names)
    side = max(2.6, 0.42 * min(count, _MOST_WRITTEN), 0.155 * min(count, 60))
    small = float(np.clip(47 * side / max(count, 1), 3.5, 9.0))
    across = min(2, len(classes))
    down = -(-len(classes) // max(across, 1))
    letters = min(max((len(name) for name in names), default=0), 44) + 4
    width = side * across + 0.0105 * small * letters + 1.3
    canvas, places = panels(down, across, width, (side + 0.75) * down + 0.4, sharex=True, sharey=True)
    for place, (index, name) in zip(places, enumerate(classes), strict=False):
        finite = np.isfinite(table).all(axis=1)
        mine = of == index
        found = weighted_correlation(table[mine & finite], weights[mine & finite])
        image = place.imshow(found, cmap="RdBu_r", vmin=-1, vmax=1)
        place.set_facecolor("0.8")
        if count <= _MOST_WRITTEN:
            for (row, column), number in np.ndenumerate(found):
                if np.isfinite(number):
                    colour = "white" if abs(number) > 0.6 else "black"
                    words = f"{number:.2f}".replace("-0.00", "0.00")
                    place.text(column, row, words, ha="center", va="center", color=colour, fontsize=7)
        left_out = int(np.count_nonzero(mine & ~finite))
        note = f"\nleft out, not finite: {left_out:,}" if left_out else ""
        place.set_title(f"{short(name, 34)}{note}", fontsize=10)
        # The number on either axis stands for the name, which is too long to be written below a column.
        place.set_xticks(range(count), [str(number + 1) for number in range(count)], fontsize=small)
        place.set_yticks(range(count), [f"{short(one)}  {i + 1}" for i, one in enumerate(names)], fontsize=small)
        place.tick_params(which="both", length=0, labelbottom=True)
        place.minorticks_off()
    for place in places[len(classes) :]:
        place.set_axis_off()
    if len(classes):
        canvas.colorbar(image, ax=places, label="linear correlation", pad=0.02, aspect=30, shrink=1 / down)
    headline(canvas, title)
    save(canvas, path)


@styled
def projection_figure(
    xy: ArrayLike,
    label: ArrayLike,
    classes: Sequence[str],
    title: str,
    path: Path,
    axis_labels: tuple[str, str] = ("first component", "second component"),
) -> None:
    """Draw events in two dimensions, one colour a class; at most 4,000 of each, evenly taken.

    The axes leave out the outermost thousandth; points that are not finite are not drawn; both are told in the title.

    Arguments:
        xy: (n, 2); label: (n,) class numbers; classes: their names.
        title: of what projection; axis_labels: of both axes; path: picture to write.
    """
    places_of, of = np.asarray(xy, np.float64).reshape(-1, 2), np.asarray(label)
    finite = np.isfinite(places_of).all(axis=1)
    canvas, (axes,) = panels(1, 1, 6.8, 6.0)
    colours, drawn, shades, handles, labels = class_colours(classes), [], [], [], []
    for index, name in enumerate(classes):
        mine = np.flatnonzero((of == index) & finite)
        taken = mine[np.linspace(0, len(mine) - 1, min(len(mine), _MOST_POINTS)).astype(np.intp)]
        drawn.append(places_of[taken])
        shades += [colours[index]] * len(taken)
        handles += axes.plot([], [], "o", color=colours[index], markersize=6)
        labels.append(f"{short(name)}: {len(taken):,} of {np.count_nonzero(of == index):,}")
    points = np.concatenate([np.empty((0, 2)), *drawn])
    notes = [f"{np.count_nonzero(~finite):,} not finite"] if not finite.all() else []
    if len(points):
        # In random order, always the same: no class lies on top of the others.
        order = np.random.default_rng(0).permutation(len(points))
        alpha = float(np.clip(1500 / len(points), 0.25, 0.8))
        colour = np.array(shades)[order]
        axes.scatter(points[order, 0], points[order, 1], s=7, c=colour, alpha=alpha, linewidths=0, rasterized=True)
        ends = np.quantile(points, [_TAIL, 1 - _TAIL], axis=0)
        air = 0.05 * np.maximum(ends[1] - ends[0], 1e-12)
        low, high = ends[0] - air, ends[1] + air
        axes.set_xlim(low[0], high[0])
        axes.set_ylim(low[1], high[1])
        beyond = int(np.count_nonzero(((points < low) | (points > high)).any(axis=1)))
        notes += [f"{beyond:,} beyond the axes"] if beyond else []
    axes.set_xlabel(short(axis_labels[0], 60))
    axes.set_ylabel(short(axis_labels[1], 60))
    legend_below(canvas, handles, labels)
    headline(canvas, "; ".join([title, *notes]))
    save(canvas, path)
