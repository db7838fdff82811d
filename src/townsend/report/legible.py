"""Names, legends and colours for any number of models and classes, with names of any length.

What to use when
----------------
- `looks`: colour, line style and marker of each model.
- `class_colours`: colours of classes; of two, the last is the signal.
- `short`, `wrapped`: names that fit, drawn as they are; `headline`: the title of a picture.
- `legend_below`: a legend below the picture, which grows by as much.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Literal, NamedTuple

from townsend.errors import printable
from townsend.report.style import COLOURS, plain

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.figure import Figure

__all__ = ["Look", "class_colours", "headline", "legend_below", "looks", "short", "wrapped"]

# Okabe and Ito (2008), told apart with every kind of colour blindness; without their yellow, too pale for lines.
_PALETTE = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#000000", "#e69f00", "#56b4e9")
_Line = Literal["-", "--", "-.", ":"] | tuple[int, tuple[int, ...]]
_LINES: tuple[_Line, ...] = ("-", "--", "-.", ":", (0, (5, 1, 1, 1, 1, 1)))
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">")
_LETTERS_AN_INCH = 11.5  # of 11 points, on the safe side
_LEGEND_LETTERS_AN_INCH = 12.0  # of 10 points
_HANDLE = 7  # letters that the sample of a line in a legend takes
_ROW_IN = 0.21  # height of a row of text


class Look(NamedTuple):
    """How a model is drawn: colours repeat after 7, with line styles only after 35."""

    colour: str
    line: _Line
    marker: str


def looks(names: Iterable[str]) -> dict[str, Look]:
    """Return a look for each name, in their order; names given twice have one."""
    return {
        name: Look(_PALETTE[i % len(_PALETTE)], _LINES[i % len(_LINES)], _MARKERS[i % len(_MARKERS)])
        for i, name in enumerate(dict.fromkeys(names))
    }


def class_colours(classes: Sequence[str]) -> tuple[str, ...]:
    """Return a colour for each class."""
    if len(classes) == 2:
        return (COLOURS["background"], COLOURS["signal"])
    return tuple(_PALETTE[i % len(_PALETTE)] for i in range(len(classes)))


def short(text: str, most: int = 44) -> str:
    """Return text as `plain`, its middle left out where it is longer than `most` (>= 3) letters."""
    clean = printable(text)
    if len(clean) > most:
        tail = (most - 1) // 2
        clean = f"{clean[: most - 1 - tail]}…{clean[len(clean) - tail :]}"
    return plain(clean)


def wrapped(text: str, width: int, lines: int | None = None) -> str:
    """Return text as `plain`, in lines of at most `width` letters; what is beyond `lines` of them is left out."""
    rows = textwrap.wrap(printable(text), width)
    if lines is not None and len(rows) > lines:
        rows = [*rows[: lines - 1], rows[lines - 1][: width - 1] + "…"]
    return "\n".join(plain(row) for row in rows)


def headline(canvas: Figure, text: str) -> None:
    """Write the title of a picture above it, in as many lines as it needs."""
    width, height = canvas.get_size_inches()
    title = wrapped(text, int(_LETTERS_AN_INCH * width))
    canvas.set_size_inches(width, height + _ROW_IN * title.count("\n"))
    canvas.suptitle(title, x=0.01, ha="left", fontsize=11)


def legend_below(canvas: Figure, handles: Sequence[Artist], labels: Sequence[str]) -> None:
    """Write a legend below all axes, in as many columns as fit, and make the picture higher by its rows.

    Arguments:
        handles: one a label; labels: text that is safe to draw, as `plain` and `short` return it.
    """
    if not labels:
        return
    width, height = canvas.get_size_inches()
    longest = max(len(label) for label in labels) + _HANDLE
    columns = min(max(int(_LEGEND_LETTERS_AN_INCH * width) // longest, 1), len(labels))
    rows = -(-len(labels) // columns)
    canvas.set_size_inches(width, height + _ROW_IN * (rows - 1))
    canvas.legend(list(handles), list(labels), loc="outside lower center", ncols=columns)
