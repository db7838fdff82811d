"""Where the values of hyperparameters stand on an axis, whatever they are: names, numbers of a list, of a range, none.

What to use when
----------------
- `scales`: one for each hyperparameter of a board that varies.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from townsend.report.style import plain
from townsend.sweep.board import Board
from townsend.sweep.board_verdicts import shown_value
from townsend.sweep.conditions import Drawn
from townsend.sweep.history import drawn_from
from townsend.sweep.hyperparameter import Range, Space
from townsend.training.records import FitRecord

__all__ = ["Scale", "scales"]

_MOST_NAMED = 12  # values of a list beyond which numbers are drawn on an axis of numbers
_LONGEST = 18  # characters of a value written at an axis
_FREE = 0.12  # of the axis of a range, for configurations without a value


@dataclass(frozen=True)
class Scale:
    """Where the values of a hyperparameter stand on an axis from 0 to 1.

    Arguments:
        name: of the hyperparameter.
        values: of a list, in order; empty for numbers of a range.
        low, high: ends of the numbers; log: whether they are set out in the logarithm.
        absent: whether some configurations are without it; they have a place of their own at the end.
    """

    name: str
    values: tuple[Any, ...]
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    absent: bool = False

    @property
    def step(self) -> float:
        """Return how far apart values of a list are, or what is left free for those without one."""
        return 1.0 / (len(self.values) + self.absent) if self.values else _FREE

    def place(self, row: FitRecord) -> float:
        """Return where a configuration stands."""
        if self.name not in row.hyperparameters:
            return 1.0 - 0.5 * self.step
        value = row.hyperparameters[self.name]
        return (self.values.index(value) + 0.5) * self.step if self.values else self.at(float(value))

    def at(self, number: float) -> float:
        """Return where a number of a range stands."""
        low, high, here = (math.log(x) if self.log else x for x in (self.low, self.high, number))
        return (1.0 - self.step * self.absent) * ((here - low) / (high - low) if high > low else 0.5)

    def ticks(self) -> list[tuple[float, str]]:
        """Return places and what is written there."""
        found = [((index + 0.5) * self.step, _short(value)) for index, value in enumerate(self.values)]
        found += [] if self.values else [(self.at(number), f"{number:g}") for number in _round_numbers(self)]
        return [*found, (1.0 - 0.5 * self.step, "left out")] if self.absent else found


def scales(table: Board, space: Space) -> list[Scale]:
    """Return the scales of all hyperparameters that vary, in the order of the space."""
    drawn = drawn_from(space)
    order = dict.fromkeys((*(name for name in space if name in table.hyperparameters), *table.hyperparameters))
    found = [_scale(name, table, drawn.get(name, ())) for name in order if len(table.values_of(name)) > 1]
    return [scale for scale in found if scale is not None]


def _scale(name: str, table: Board, of: Drawn) -> Scale | None:
    present = [row.hyperparameters[name] for row in table.rows if name in row.hyperparameters]
    absent = len(present) < len(table.rows)
    different = list(dict.fromkeys(present))
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in different):
        if isinstance(of, Range):
            low, high = min(of.low, *present), max(of.high, *present)
            return Scale(name, (), low, high, of.log and low > 0, absent)
        if len(different) > _MOST_NAMED:
            low, high = min(present), max(present)
            return Scale(name, (), low, high, low > 0 and high > 100 * low, absent)
        return Scale(name, tuple(sorted(different)), absent=absent)
    listed = [] if isinstance(of, Range) else [value for value in of if value in different]
    return Scale(name, tuple(listed + [value for value in different if value not in listed]), absent=absent)


def _round_numbers(scale: Scale) -> list[float]:
    """Return numbers to write at an axis: powers of ten where there are two, else some four round ones."""
    from matplotlib.ticker import MaxNLocator

    if scale.log:
        powers = range(math.ceil(math.log10(scale.low) - 1e-9), math.floor(math.log10(scale.high) + 1e-9) + 1)
        if len(powers) > 1:
            return [10.0**power for power in powers[:: -(-len(powers) // 6)]]
    numbers = MaxNLocator(4).tick_values(scale.low, scale.high)
    return [float(number) for number in numbers if scale.low <= number <= scale.high]


def _short(value: Any) -> str:
    text = plain(shown_value(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
