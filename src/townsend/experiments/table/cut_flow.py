"""How many events, and what yield, pass each cut.

What to use when
----------------
- `CutFlow`: of one class; parts of a sample are added up.
- `render_cut_flow`, `write_cut_flow`: the table of all classes for a terminal, and as CSV.
"""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.files import atomic_path

if TYPE_CHECKING:
    from rich.table import Table as Grid

__all__ = ["CutFlow", "render_cut_flow", "write_cut_flow"]

_Row = tuple[str, str, int, float, float, float, float, float]
_HEADER = ("class", "cut", "entries", "yield", "error", "efficiency", "efficiency_error", "effective_entries")


@dataclass(frozen=True)
class CutFlow:
    """Events of one class before any cut, and after each.

    Arguments:
        entries: (cuts + 1,) events.
        weights: (cuts + 1,) sum of their weights.
        squares: (cuts + 1,) sum of the squared weights.
    """

    entries: NDArray[np.int64]
    weights: NDArray[np.float64]
    squares: NDArray[np.float64]

    @staticmethod
    def empty(cuts: int) -> CutFlow:
        """Return that of no events."""
        return CutFlow(np.zeros(cuts + 1, np.int64), np.zeros(cuts + 1), np.zeros(cuts + 1))

    @staticmethod
    def of(weight: NDArray[np.float64], passed: NDArray[np.int64], cuts: int) -> CutFlow:
        """Return that of events.

        Arguments:
            weight: (n,).
            passed: (n,) cuts that each event passes before the first it fails.
            cuts: their number.
        """

        def at_least(values: NDArray[np.float64] | None) -> NDArray[Any]:
            return np.bincount(passed, values, minlength=cuts + 1)[::-1].cumsum()[::-1]

        return CutFlow(at_least(None).astype(np.int64), at_least(weight), at_least(weight**2))

    def __add__(self, other: CutFlow) -> CutFlow:
        """Return that of the events of both."""
        return CutFlow(self.entries + other.entries, self.weights + other.weights, self.squares + other.squares)

    def scaled(self, factor: float) -> CutFlow:
        """Return that of the same events with weights `factor` times as large."""
        return CutFlow(self.entries, self.weights * factor, self.squares * factor**2)

    def to_json(self) -> dict[str, list[float]]:
        """Return a JSON-like copy."""
        return {name: values.tolist() for name, values in vars(self).items()}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> CutFlow:
        """Return the cut-flow written by `to_json`."""
        return CutFlow(
            np.asarray(value["entries"], np.int64),
            np.asarray(value["weights"], np.float64),
            np.asarray(value["squares"], np.float64),
        )


def _rows(flows: Mapping[str, CutFlow], cuts: Sequence[str]) -> list[_Row]:
    """Return the rows of the CSV table.

    The error of a yield is sqrt(sum w^2). That of an efficiency e is the one of a ratio of a part to the whole,
    sqrt((1 - 2 e) sum_passed w^2 + e^2 sum_all w^2) / |sum_all w|; with weights of 1 it is sqrt(e (1 - e) / n).
    """
    found = []
    for name, flow in flows.items():
        total, squares = float(flow.weights[0]), float(flow.squares[0])
        for number, cut in enumerate(("all", *cuts)):
            weight, square = float(flow.weights[number]), float(flow.squares[number])
            efficiency = weight / total if total else math.nan
            variance = (1 - 2 * efficiency) * square + efficiency**2 * squares
            error = math.sqrt(max(variance, 0.0)) / abs(total) if total else math.nan
            effective = weight**2 / square if square else 0.0
            entries = int(flow.entries[number])
            found.append((name, cut, entries, weight, math.sqrt(square), efficiency, error, effective))
    return found


def write_cut_flow(path: Path, flows: Mapping[str, CutFlow], cuts: Sequence[str]) -> None:
    """Write the table of all classes as CSV: entries, yields and efficiencies with errors after each cut."""
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_HEADER)
        writer.writerows(_rows(flows, cuts))


def render_cut_flow(flows: Mapping[str, CutFlow], cuts: Sequence[str]) -> Grid:
    """Return what a terminal shows: a row a cut, yield with its error and efficiency of each class."""
    from rich import box
    from rich.table import Table as Grid
    from rich.text import Text

    from townsend.errors import printable

    rows = _rows(flows, cuts)
    grid = Grid(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column(Text("cut"), overflow="fold", vertical="bottom")
    for name in flows:
        for column in ("entries", "yield", "efficiency"):
            grid.add_column(Text(f"{printable(name)}\n{column}"), justify="right", no_wrap=True, vertical="bottom")
    for number, cut in enumerate(("all", *cuts)):
        cells = []
        for index in range(len(flows)):
            _, _, entries, weight, error, efficiency, efficiency_error, _ = rows[index * (len(cuts) + 1) + number]
            cells += [f"{entries:,}", f"{weight:,.6g} ± {error:.2g}", f"{efficiency:.4f} ± {efficiency_error:.4f}"]
        grid.add_row(*[Text(printable(cell)) for cell in (cut, *cells)])
    return grid
