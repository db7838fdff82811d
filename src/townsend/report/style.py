"""The look of all figures, in one place: light, ticks inwards on all sides, legible in print.

What to use when
----------------
- `styled`: decorator of every function that draws; within it the style holds, outside nothing is changed.
- `figure`, `panels`: a new picture and its axes, without a window system and without global state.
- `save`: write a picture, whole or not at all.
- `plain`: text from elsewhere, drawn as it is.
- `COLOURS`: what each colour means, so that it means the same in every figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

from townsend.errors import printable
from townsend.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["COLOURS", "DPI", "figure", "panels", "plain", "save", "styled"]

COLOURS: Mapping[str, str] = {
    "best": "#d62728",
    "usable": "#1f77b4",
    "unusable": "0.5",
    "signal": "#d95f02",
    "background": "#1b5e9c",
    "train": "#1f77b4",
    "monitor": "#d95f02",
    "truth": "0.35",
    "detected": "#7a5195",
    "before": "#d95f02",
    "after": "#1b5e9c",
    "guide": "0.5",
}
"""Role -> colour; signal and background, before and after, differ in brightness too."""

DPI = 150
"""Pixels an inch of the pictures that are written."""

_STYLE: dict[Any, Any] = {
    "axes.axisbelow": True,
    "axes.labelsize": 12,
    "axes.titlelocation": "left",
    "axes.titlesize": 11,
    "errorbar.capsize": 0,
    "figure.dpi": DPI,
    "figure.facecolor": "white",
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same letters on every machine
    "font.size": 11,
    "legend.fontsize": 10,
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "svg.hashsalt": "townsend",  # the same names within the file every time
    "text.usetex": False,
    "xtick.direction": "in",
    "xtick.minor.visible": True,
    "xtick.top": True,
    "ytick.direction": "in",
    "ytick.minor.visible": True,
    "ytick.right": True,
}

Given = ParamSpec("Given")
Result = TypeVar("Result")


def styled(draw: Callable[Given, Result]) -> Callable[Given, Result]:
    """Return `draw` in townsend's style; matplotlib looks up much of a style only when it draws."""

    @wraps(draw)
    def within(*arguments: Given.args, **named: Given.kwargs) -> Result:
        from matplotlib import rc_context

        with rc_context(_STYLE):
            return draw(*arguments, **named)

    return within


def figure(width: float = 6.4, height: float = 4.8) -> tuple[Figure, Axes]:
    """Return a picture of `width` x `height` inches with one pair of axes."""
    canvas, axes = panels(1, 1, width, height)
    return canvas, axes[0]


@styled
def panels(rows: int, columns: int, width: float, height: float, **layout: Any) -> tuple[Figure, list[Axes]]:
    """Return a picture of `width` x `height` inches with rows x columns axes, row by row.

    Arguments:
        layout: passed on to `Figure.subplots`, for example `sharex`, `height_ratios`.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    canvas = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(canvas)
    return canvas, list(canvas.subplots(rows, columns, squeeze=False, **layout).flat)


def plain(text: str) -> str:
    """Return text that matplotlib draws as it is: no control characters, and no formula between dollar signs."""
    return printable(text).replace("$", r"\$")


@styled
def save(canvas: Figure, path: Path) -> None:
    """Write a picture in the format of the path's suffix; the same picture gives the same bytes."""
    metadata: dict[str, Any] = {"Date": None} if path.suffix == ".svg" else {}
    with atomic_path(path) as temporary:
        canvas.savefig(temporary, metadata=metadata)
