"""Rows of a table of figures of merit, each with its error and how that was found.

What to use when
----------------
- `FigureRow`: one figure; `row_named` finds it in a table.
- `FigureRow.metric`: what boards and cards hold of it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from townsend.errors import InputError, did_you_mean
from townsend.tasks.base import Metric

__all__ = ["FigureRow", "row_named"]


@dataclass(frozen=True)
class FigureRow:
    """One figure of merit.

    Arguments:
        name: of the figure; words: its definition, with its other names.
        value: NaN where the figure does not exist for these events.
        error: one standard deviation, NaN where none is known.
        method: how the error was found, or why there is no value.
        weights: how event weights enter: "none", "positive", "signed" (summed with their sign), "ignored".
    """

    name: str
    value: float
    error: float
    words: str
    method: str
    weights: str

    @property
    def metric(self) -> Metric:
        """Return value and error alone."""
        return Metric(self.value, self.error)

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy; numbers that are not finite are null."""
        numbers = {"value": self.value, "error": self.error}
        return {
            "name": self.name,
            **{key: number if math.isfinite(number) else None for key, number in numbers.items()},
            "words": self.words,
            "method": self.method,
            "weights": self.weights,
        }


def row_named(rows: Iterable[FigureRow], name: str) -> FigureRow:
    """Return the row of that name.

    Raises InputError for an unknown name.
    """
    found = {row.name: row for row in rows}
    if name not in found:
        msg = f'a figure of merit must be one of the table (got "{name}"){did_you_mean(name, found)}'
        raise InputError(msg)
    return found[name]
