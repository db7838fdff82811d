"""The rows of a comparison for a terminal, for a spreadsheet and for the documentation.

What to use when
----------------
- `render`: verdicts first, then all rows, for a terminal.
- `write_csv`: all rows and the points behind them.
- `markdown`: the page.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from townsend.experiments.drifttube.validation.verdicts import Judgement, Row
from townsend.files import write_text
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import Metric

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table

__all__ = ["FIGURES", "PAGE", "TABLE", "markdown", "render", "summary", "write_csv"]

TABLE, PAGE, FIGURES = "validation.csv", "validation.md", "figures"

_STYLES = {Judgement.OK: "green", Judgement.UNDECIDED: "yellow", Judgement.FAIL: "bold red"}
_NUMBERS = (
    "reference",
    "reference_error",
    "ours",
    "ours_error",
    "difference",
    "low",
    "high",
    "reference_half",
    "limit",
)

_INTRODUCTION = """\
# townsend's drift tube against Garfield++

Made by `townsend validate drifttube`: about {tracks:,} tracks of ours a comparison, seed {seed}. The reference is
another simulation, Garfield++ 0.3.0 with Heed and Magboltz 11.14, not a measurement; its files are shipped with their
provenance. To repeat it, with all points in a CSV file:

```sh
townsend validate drifttube -o validation
```

**{summary}.**
"""

_RULES = """\
## How to read it

Errors are one standard deviation, the brackets hold 95 % intervals of the difference. `ok`: what the limit demands is
so. `FAIL`: it is not, and the reference is good enough to say that. `undecided`: it is not, but the statistics of the
reference alone may be the reason, and more tracks of ours would not help.

- Where a value must lie within its limit, it fails when the limit is outside the reference's own 95 % interval about
  it.
- Where a whole interval must lie within its limit (arrivals, and signals from our own electrons), it fails when the
  value is beyond the limit and zero is outside the interval, or when the interval reaches beyond the limit although the
  reference alone is known to half the limit or better. A perfect simulation would fail such a row in one case of twenty
  at most.
- A row over many radii, momenta, sizes or bins shows the worst of them and counts all; each is in the CSV.
- Ours has the impact parameters of the reference, many times over; tracks of the reference are drawn anew within strata
  of 25 neighbours in |b|.

## What both simulations share

Agreement in these shows that the arithmetic is right, not that nature agrees.

- Clusters. Shared: constants of the density from Heed's muons, sizes from Heed's tables at 10 GeV/c, W = 39.51 eV. Not
  shared: other particles, momenta between; the range of delta electrons, whose constants were fitted to the 250 events.
- Drift. Shared: Magboltz' points; no Penning transfers, no thermal motion of the gas, no magnetic field. Not shared:
  Garfield++ goes in steps. Those of its tracks were coarse and make their arrivals late by 2.4 % at 0.01 cm from the
  wire, 1.1 % at 0.09 cm and 0.2 % from 0.29 cm on. In the rows of arrivals ours are made as late; their notes say what
  comes out without that.
- Signal. Shared: Polya with theta 0.5, mean gain 200,000; a trap radius of one wire radius; the mobility, fitted to
  Garfield++'s He+ in helium. Not shared: Garfield++ takes the shape of a pulse in steps of its own.
"""


def summary(rows: Sequence[Row]) -> str:
    """Return how many rows have which verdict."""
    return ", ".join(f"{sum(row.judgement is kind for row in rows)} {kind.value}" for kind in Judgement)


def render(rows: Sequence[Row]) -> Group:
    """Return the comparison for a terminal: the count of verdicts, what is not ok, then all rows by group."""
    from rich.console import Group
    from rich.text import Text

    worst = max((row.judgement for row in rows), key=list(Judgement).index, default=Judgement.OK)
    lines = (Text(f"{row.judgement.value}: {_sentence(row)}", style=_STYLES[row.judgement]) for row in _not_ok(rows))
    return Group(
        Text(summary(rows), style=_STYLES[worst]),
        *lines,
        *(_grid(group, list(members)) for group, members in _groups(rows)),
    )


def _groups(rows: Sequence[Row]) -> Iterator[tuple[str, Iterator[Row]]]:
    return groupby(rows, key=lambda row: row.group)


def _not_ok(rows: Sequence[Row]) -> list[Row]:
    bad_first = reversed(list(Judgement)[1:])
    return [row for kind in bad_first for row in rows if row.judgement is kind]


def _sentence(row: Row) -> str:
    note = f"; {row.note}" if row.note else ""
    return f"{row.group}, {row.quantity} ({row.population}): {_difference(row)}, limit {_limit(row)}{note}"


def _grid(group: str, rows: Sequence[Row]) -> Table:
    from rich import box
    from rich.table import Table
    from rich.text import Text

    grid = Table(title=Text(group), title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for name in ("quantity", "population", "Garfield++", "townsend", "difference", "limit", "verdict"):
        grid.add_column(name, justify="right" if name in ("Garfield++", "townsend", "difference", "limit") else "left")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in _cells(row)), style="" if row.judgement is Judgement.OK else "bold")
    return grid


def _cells(row: Row) -> list[str]:
    values = (_value(row.reference, row.reference_error, row.unit), _value(row.ours, row.ours_error, row.unit))
    return [row.quantity, row.population, *values, _difference(row), _limit(row), row.judgement.value]


def _value(value: float, error: float, unit: str) -> str:
    return f"{shown(Metric(value, error))} {unit}".strip()


def _difference(row: Row) -> str:
    if not math.isfinite(row.difference):
        return "-"
    interval = f" [{row.low:+.2f}, {row.high:+.2f}]" if row.high > row.low else ""
    return f"{row.difference:+.2f}{interval} {row.of_limit}"


def _limit(row: Row) -> str:
    return f"±{row.limit:.3g} {row.of_limit}"


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """Write all rows, each followed by the points that it sums up; those have its number in the column `part_of`."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    names = ("group", "quantity", "population", "unit", *_NUMBERS, "of_limit", "verdict", "note")
    writer.writerow(("row", "part_of", *names))
    number = 0
    for row in rows:
        number += 1
        writer.writerow((number, "", *_record(row)))
        summed = number
        for point in row.points:
            number += 1
            writer.writerow((number, summed, *_record(point)))
    write_text(path, stream.getvalue())


def _record(row: Row) -> tuple[str | float, ...]:
    numbers = (float(f"{getattr(row, name):.6g}") for name in _NUMBERS)
    words = (row.group, row.quantity, row.population, row.unit)
    return (*words, *numbers, row.of_limit, row.judgement.value, row.note)


def markdown(rows: Sequence[Row], tracks: int, seed: int, figures: Mapping[str, str]) -> str:
    """Return the page.

    Arguments:
        rows: of the comparison; tracks, seed: of ours.
        figures: name of each figure -> where the page finds it.
    """
    parts = [_INTRODUCTION.format(tracks=tracks, seed=seed, summary=summary(rows))]
    parts += [f"- {row.judgement.value}: {_sentence(row)}" for row in _not_ok(rows)]
    for group, members in _groups(rows):
        parts += ["", f"## {group.capitalize()}", ""]
        parts += ["| quantity | population | Garfield++ | townsend | difference | limit | verdict |"]
        parts += ["|---|---|---|---|---|---|---|"]
        parts += [_line(row) for row in members]
    parts += ["", "## Figures", ""]
    parts += [f"![{name.removesuffix('.png').replace('-', ' ')}]({place})" for name, place in figures.items()]
    return "\n".join([*parts, "", _RULES])


def _line(row: Row) -> str:
    verdict = f"{row.judgement.value}: {row.note}" if row.note else row.judgement.value
    cells = [*_cells(row)[:-1], verdict]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
