"""Figures of what selections keep: one function a figure.

What to use when
----------------
- `yields_after_cuts`: a cut-flow, with the yield of each class after each cut.
- `mass_figure`: a mass before and after selections, background and signal stacked.
- `shape_figure`: whether selections change the shape of a mass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.report.histograms import Bins, shape_ratio, unit_area
from townsend.report.legible import class_colours, headline, legend_below, looks, short, wrapped
from townsend.report.style import COLOURS, panels, plain, save, styled

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["mass_figure", "shape_figure", "yields_after_cuts"]

Floats = NDArray[np.float64]
_LETTERS_OF_A_PANEL = 58
_ENOUGH = 10.0  # effective events of a bin whose ratio has a good error


@styled
def yields_after_cuts(cuts: Sequence[str], yields: Mapping[str, Bins], title: str, path: Path) -> None:
    """Draw the yields of all classes as steps, from before any cut (top) to after the last one.

    The axis is logarithmic; a yield of zero or less, which negative weights can give, is written at its left end.

    Arguments:
        cuts: m expressions in their order; yields: class -> (m + 1,) sums of weights and their errors.
        title: of which events; path: picture to write.
    """
    steps = np.arange(len(cuts) + 2) - 0.5
    rows = np.arange(len(cuts) + 1)
    names = ["all", *(wrapped(cut, 42, 2) for cut in cuts)]
    canvas, (axes,) = panels(1, 1, 9.0, 1.7 + 0.44 * len(rows))
    ends = [n + sign * s for bins in yields.values() for n, s in zip(*bins, strict=True) for sign in (-1, 0, 1)]
    positive = [float(end) for end in ends if end > 0]
    low, high = min(positive, default=1.0), max(positive, default=10.0)
    left = 10 ** (np.log10(low) - 0.12 * max(np.log10(high / low), 1.0))
    handles = []
    for index, (colour, bins) in enumerate(zip(class_colours(tuple(yields)), yields.values(), strict=True)):
        content, error = np.asarray(bins.content, np.float64), np.asarray(bins.error, np.float64)
        shown = np.where(content > 0, content, left)
        line = ("-", "--", "-.", ":")[index % 4]
        handles.append(
            axes.stairs(
                shown, steps, orientation="horizontal", baseline=None, color=colour, linewidth=1.6, linestyle=line
            )
        )
        place = rows + 0.16 * (index - 0.5 * (len(yields) - 1))
        seen = content > 0
        axes.errorbar(
            content[seen], place[seen], xerr=error[seen], color=colour, marker="o", markersize=3.5, linestyle="none"
        )
        for row in np.flatnonzero(~seen):
            words = f" {content[row]:.3g}"
            axes.text(left, place[row], words, color=colour, fontsize=8.5, va="center", ha="left")
    axes.set_xscale("log", nonpositive="clip")
    axes.set_xlim(left, 10 ** (np.log10(high) + 0.08 * max(np.log10(high / low), 1.0)))
    axes.set_ylim(steps[-1], steps[0])
    axes.set_yticks(rows, names, fontsize=9.0)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_xlabel("yield (sum of weights)")
    legend_below(canvas, handles, [short(name) for name in yields])
    headline(canvas, title)
    save(canvas, path)


@styled
def mass_figure(
    edges: ArrayLike,
    stages: Mapping[str, Mapping[str, Bins]],
    x_label: str,
    title: str,
    path: Path,
    window: tuple[float, float] | None = None,
) -> None:
    """Draw a mass before and after each selection, a panel each: classes stacked, the error of their sum hatched.

    Arguments:
        edges: (bins + 1,); stages: selection -> class -> (bins,) sums of weights and their errors, as
            `townsend.report.histograms.weighted_bins` returns them; classes stacked from the bottom, the signal last.
            One class, "all" for example, where truth is not known.
        x_label: the mass with its unit; title: of which events; path: picture to write.
        window: (lowest, highest) mass between which the yields in the panels are summed, by whole bins; None for all.
    """
    borders = np.asarray(edges, np.float64)
    across = min(2, len(stages))
    down = -(-len(stages) // across) if across else 1
    canvas, places = panels(down, max(across, 1), 5.2 * max(across, 1), 3.6 * down, sharex=True)
    classes = tuple(dict.fromkeys(name for stage in stages.values() for name in stage))
    colours = dict(zip(classes, class_colours(classes), strict=True))
    handles: dict[str, Any] = {}
    for place, (name, stage) in zip(places, stages.items(), strict=False):
        base, variance = np.zeros(len(borders) - 1), np.zeros(len(borders) - 1)
        for of, bins in stage.items():
            top = base + bins.content
            handles[of] = place.stairs(top, borders, baseline=base, fill=True, alpha=0.55, color=colours[of])
            base, variance = top, variance + np.asarray(bins.error) ** 2
        error = np.sqrt(variance)
        handles["error of the sum"] = place.stairs(
            base + error, borders, baseline=base - error, fill=False, hatch="/////", edgecolor="0.25", linewidth=0
        )
        _frame(place, base + error, base - error, borders)
        place.set_title(f"{short(name, 52)}\n{_sums(stage, borders, window)}", fontsize=9)
        if window is not None:
            for mass in window:
                place.axvline(mass, color=COLOURS["guide"], linestyle=":", linewidth=1.0)
    for place in places[len(stages) :]:
        place.set_axis_off()
    for place in places[max(len(stages) - across, 0) : len(stages)]:
        place.set_xlabel(short(x_label, 52))
        place.tick_params(axis="x", labelbottom=True, pad=6)
    for place in places[: len(stages) : max(across, 1)]:
        place.set_ylabel("events (sum of weights)")
    legend_below(canvas, list(handles.values()), [short(name) for name in handles])
    headline(canvas, title)
    save(canvas, path)


def _frame(place: Axes, top: Floats, bottom: Floats, borders: Floats) -> None:
    place.set_xlim(borders[0], borders[-1])
    highest = float(np.max(top[np.isfinite(top)], initial=0.0))
    lowest = float(np.min(bottom[np.isfinite(bottom)], initial=0.0))
    place.set_ylim(1.1 * lowest, 1.15 * highest if highest > 0 else 1.0)
    if lowest < 0:
        place.axhline(0, color="black", linewidth=0.8)


def _sums(stage: Mapping[str, Bins], borders: Floats, window: tuple[float, float] | None) -> str:
    """Return the yields of each class in words, in lines that fit above a panel."""
    inside = np.ones(len(borders) - 1, bool)
    if window is not None:
        inside = (borders[:-1] >= window[0]) & (borders[1:] <= window[1])
    sums = []
    for name, bins in stage.items():
        total = float(np.sum(bins.content[inside]))
        error = float(np.sqrt(np.sum(np.asarray(bins.error)[inside] ** 2)))
        # Two digits of the error, or all before the point where it has more.
        digits = int(np.clip(1 - np.floor(np.log10(error)), 0, 6)) if error > 0 else 0
        sums.append(f"{name} {total:,.{digits}f} ± {error:,.{digits}f}")
    lines = ["in the window:" if window is not None else ""]
    for words in [*(f"{one}," for one in sums[:-1]), *sums[-1:]]:
        # Lines end between classes only: a number must not be parted from its error.
        if lines[-1] and len(lines[-1]) + len(words) > _LETTERS_OF_A_PANEL:
            lines.append("")
        lines[-1] = f"{lines[-1]} {words}".strip()
    return "\n".join(plain(line) for line in lines)


@styled
def shape_figure(
    edges: ArrayLike, every: Bins, selected: Mapping[str, Bins], x_label: str, title: str, path: Path
) -> None:
    """Draw the shape of a mass before and after selections, area 1 each, and their ratio to the one before.

    A selection that leaves the shape be has ratios of 1 within their errors, which know that the selected events are
    among all (`townsend.report.histograms.shape_ratio`). Where there were fewer than ten effective events before, the
    error is not to be believed: such ratios are hollow, without one, and do not set the scale; how many lie beyond it
    is told. Empty bins are not drawn.

    Arguments:
        edges: (bins + 1,); every: (bins,) sums of weights of all events of one class, with errors.
        selected: model -> the same of those it keeps.
        x_label: the mass with its unit; title: of which events; path: picture to write.
    """
    borders = np.asarray(edges, np.float64)
    centres, width = 0.5 * (borders[1:] + borders[:-1]), np.diff(borders)
    canvas, (axes, ratios) = panels(2, 1, 7.4, 6.0, sharex=True, height_ratios=[2, 1])
    before = unit_area(every, borders)
    squares = np.asarray(every.error, np.float64) ** 2
    filled = squares > 0
    enough = np.asarray(every.content) ** 2 >= _ENOUGH * squares
    handles: list[Any] = [axes.stairs(before.content, borders, fill=True, color="0.75")]
    low, high = before.content - before.error, before.content + before.error
    axes.stairs(high, borders, baseline=low, fill=False, hatch="/////", edgecolor="0.5", linewidth=0)
    ratios.axhline(1, color=COLOURS["guide"], linestyle=":")
    reach, poor = 0.05, np.array([])
    for index, (name, look) in enumerate(looks(selected).items()):
        after, ratio = unit_area(selected[name], borders), shape_ratio(selected[name], every)
        x = centres + 0.14 * width * (index - 0.5 * (len(selected) - 1))
        style: dict[str, Any] = {
            "color": look.colour,
            "marker": look.marker,
            "markersize": 4,
            "linestyle": "none",
            "elinewidth": 1.0,
        }
        handles.append(axes.errorbar(x[filled], after.content[filled], yerr=after.error[filled], **style))
        told = filled & np.isfinite(ratio.content)
        for chosen, face in ((told & enough, look.colour), (told & ~enough, "white")):
            error = ratio.error[chosen] if face != "white" else None
            ratios.errorbar(x[chosen], ratio.content[chosen], yerr=error, **{**style, "markerfacecolor": face})
        away = np.abs(ratio.content - 1)
        poor = np.append(poor, away[told & ~enough])
        reach = max([reach, *(away + ratio.error)[told & enough]])
    reach = 1.1 * min(reach, 2.0)
    ratios.set_ylim(1 - reach, 1 + reach)
    labels = ["before selection", *(short(name) for name in selected)]
    if len(poor):
        hollow: dict[str, Any] = {"marker": "o", "markerfacecolor": "white", "linestyle": "none"}
        handles += ratios.plot([], [], color=COLOURS["guide"], **hollow)
        beyond = int(np.count_nonzero(poor > reach))
        labels.append(f"fewer than {_ENOUGH:.0f} events before" + (f", {beyond} beyond the axis" if beyond else ""))
    ratios.set_ylabel("after / before")
    ratios.set_xlabel(short(x_label, 70))
    axes.set_xlim(borders[0], borders[-1])
    if np.all(before.content >= 0):
        axes.set_ylim(bottom=0)
    axes.set_ylabel("density, area 1 each")
    legend_below(canvas, handles, labels)
    headline(canvas, title)
    save(canvas, path)
