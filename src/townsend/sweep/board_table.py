"""A board as a table: for a terminal, for a spreadsheet, and for comparing two runs.

What to use when
----------------
- `render`: verdicts and the leading rows, for a terminal.
- `write_csv`: all rows and columns, safe to open in a spreadsheet.
- `comparable`: all columns that must be identical when a sweep is repeated.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from townsend.errors import InputError, did_you_mean, printable
from townsend.files import write_text
from townsend.sweep.board_verdicts import grouped, shown, shown_value
from townsend.tasks.base import Metric
from townsend.training.records import FitRecord, Outcome

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    from townsend.sweep.board import Board

__all__ = ["comparable", "field", "render", "table", "verdict_line", "write_csv"]

_COSTS = ("wall_s", "cpu_s", "compile_s", "peak_memory_mb", "host", "attempts")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
_MOST_METRICS = 6
_COLUMNS_AFTER = ("threshold", "parameters", "epochs", "rungs", "rung figure", "wall s", "cpu s", "MB", "outcome")

Cell = str | int | float | bool | None


def table(board: Board) -> tuple[list[str], list[list[Cell]]]:
    """Return the names of all columns and the cells of all rows, in the order of the board.

    A hyperparameter with the name of another column is called `hyperparameter <name>`; the error of a metric is in
    `<metric>.error`; figures that are missing or infinite are None. `rungs` is how many rungs a row has reached,
    `rung_figure` its figure on `monitor` at the last; `pareto` says, of two objectives, whether it is on the front.
    """
    hyperparameters, metrics = board.hyperparameters, board.metrics
    before, after = ("trial", "outcome"), ("parameters", "epochs", "best_epoch", "rungs", "rung_figure")
    front = {row.trial for row in board.front}
    ending = ("threshold", *_COSTS, "seed", "detail")
    pareto = ("pareto",) if board.further else ()
    measured = [column for name in metrics for column in (name, f"{name}.error")]
    taken = {*before, *pareto, *after, *ending, *measured}
    named = [f"hyperparameter {name}" if name in taken else name for name in hyperparameters]
    rows = []
    for row in board.rows:
        cells: list[Cell] = [row.trial, row.outcome.value, *(row.trial in front for _ in pareto)]
        cells += [_cell(row.hyperparameters.get(name)) for name in hyperparameters]
        cells += [_cell(field(row, name)) for name in after]
        cells += [_cell(part) for name in metrics for part in row.metrics.get(name, (None, None))]
        cells += [_cell(getattr(row, name)) for name in ending]
        rows.append(cells)
    return [*before, *pareto, *named, *after, *measured, *ending], rows


def field(row: FitRecord, name: str) -> Any:
    """Return a column that is no metric and no hyperparameter."""
    if name == "rungs":
        return len(row.figures)
    if name == "rung_figure":
        return row.figures[-1] if row.figures else None
    return getattr(row, name)


def _cell(value: Any) -> Cell:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, str | bool | int | float):
        return value
    return json.dumps(value)


def write_csv(board: Board, path: Path) -> None:
    """Write all rows and columns, whole or not at all.

    Text that a spreadsheet would run as a formula (it begins with = + - @, a tab or a line end) gets an
    apostrophe in front, control characters are written as escapes, so that a row is a line; numbers stay plain.
    """
    columns, rows = table(board)
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow([_safe(name) for name in columns])
    writer.writerows([[_safe(cell) for cell in row] for row in rows])
    write_text(path, stream.getvalue())


def _safe(cell: Cell) -> Cell:
    if not isinstance(cell, str):
        return cell
    return printable(f"'{cell}" if cell.startswith(_FORMULA) else cell)


def comparable(board: Board) -> list[dict[str, Cell]]:
    """Return every row by trial, without what may differ from run to run: time, memory, host, attempts."""
    columns, rows = table(board)
    varying = {*_COSTS, *(("pareto",) if any(each.metric in _COSTS for each in board.further) else ())}
    kept = [i for i, name in enumerate(columns) if name not in varying]
    return sorted(({columns[i]: row[i] for i in kept} for row in rows), key=lambda row: int(row["trial"] or 0))


def render(board: Board, metrics: Sequence[str] | None = None, top: int | None = 15) -> Group:
    """Return the board for a terminal: verdicts first, then the leading rows.

    Columns that do not fit the terminal are left out, the least telling first; all are in the CSV.

    Arguments:
        metrics: names of metrics to show; None for the objective and the first few others.
        top: rows shown at most, None for all.

    Raises InputError, naming the nearest, on an unknown metric.
    """
    from rich.console import Group

    names = _chosen(board, metrics)
    return Group(*[verdict_line(v.ok, v.sentence) for v in board.verdicts], _Leading(board, names, top))


class _Leading:
    """The leading rows, in as many columns as the console is wide."""

    def __init__(self, board: Board, metrics: list[str], top: int | None) -> None:
        self.board, self.metrics, self.top = board, metrics, top
        self.varying = [name for name in board.hyperparameters if len(board.values_of(name)) > 1]

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[Table | Text]:
        from rich.measure import Measurement
        from rich.text import Text

        rows = self.board.rows[: self.top]
        front = {row.trial for row in self.board.front}
        cells = [_shown_cells(row, self.varying, self.metrics, row.trial in front) for row in rows]
        headers = ["trial", *self.varying, *self.metrics, *_COLUMNS_AFTER]
        # The least telling go first; trial, outcome, hyperparameters and the objectives stay.
        costs = ["cpu s", "MB", "wall s", "rungs", "parameters", "threshold", "epochs", "rung figure"]
        objectives = {objective.metric for objective in self.board.objectives}
        removable = [name for name in [*costs, *self.metrics[:0:-1]] if name not in objectives]
        shown, after = list(range(len(headers))), list(_COLUMNS_AFTER)
        for name in _without_values(self.board):
            removable = [each for each in removable if each != name]
            shown.remove(len(headers) - len(_COLUMNS_AFTER) + _COLUMNS_AFTER.index(name))
            after.remove(name)
        grid = self._grid(headers, cells, shown)
        while removable and Measurement.get(console, options.update(width=10_000), grid).maximum > options.max_width:
            shown.remove(headers.index(removable.pop(0)))
            grid = self._grid(headers, cells, shown)
        yield grid
        seen = {headers[i] for i in shown}
        in_csv = {"wall s": "wall_s", "cpu s": "cpu_s", "MB": "peak_memory_mb", "rung figure": "rung_figure"}
        further = [in_csv.get(name, name) for name in (*self.board.metrics, *after) if name not in seen]
        yield from (Text(text) for text in _footnotes(self.board, self.varying, further, len(rows)))

    def _grid(self, headers: list[str], cells: list[list[str]], shown: list[int]) -> Table:
        from rich import box
        from rich.table import Table
        from rich.text import Text

        title = f"{printable(self.board.source)}: figures on {self.board.measured_on}; 0.971(12) is 0.971 ± 0.012"
        grid = Table(
            title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False
        )
        for i in shown:
            text = headers[i] in self.varying or headers[i] == "outcome"
            heading = "\n".join(printable(headers[i]).replace("_", " ").replace(".", " ").split())
            grid.add_column(Text(heading), justify="left" if text else "right", no_wrap=True, vertical="bottom")
        best = self.board.best
        for row, line in zip(self.board.rows, cells, strict=False):
            style = "bold" if row is best else "" if self.board.rankable(row) else "dim"
            grid.add_row(*[Text(line[i]) for i in shown], style=style)
        return grid


def _compact(metric: Metric) -> str:
    """Return a figure with the error of its last digits in brackets: 0.9712(11) for 0.9712 ± 0.0011."""
    value, _, error = shown(metric).partition(" ± ")
    if not error:
        return value
    digits = error.replace(".", "").lstrip("0") if metric.error < 1 else error
    return f"{value}({digits or '0'})"


def verdict_line(ok: bool, sentence: str) -> Padding:
    """Return a verdict for a terminal, long sentences indented."""
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    line = Table.grid(padding=(0, 1))
    line.add_row(Text("ok  " if ok else "note", style="green" if ok else "yellow"), Text(printable(sentence)))
    return Padding(line, 0)


def _chosen(board: Board, metrics: Sequence[str] | None) -> list[str]:
    if metrics is None:
        return list(board.metrics[:_MOST_METRICS])
    for name in metrics:
        if name not in board.metrics:
            msg = f'metric must be one of the board (got "{name}"){did_you_mean(name, board.metrics)}'
            raise InputError(msg)
    return list(metrics)


def _without_values(board: Board) -> Iterator[str]:
    """Yield the columns of `_COLUMNS_AFTER` that are empty in all rows, and need no place in a terminal."""
    if all(row.threshold is None for row in board.rows):  # a regression has none
        yield "threshold"
    if not any(row.outcome is Outcome.PRUNED for row in board.rows):
        yield from ("rungs", "rung figure")


def _shown_cells(row: FitRecord, varying: Sequence[str], metrics: Sequence[str], on_front: bool) -> list[str]:
    nothing = Metric(math.nan, math.nan)
    return [
        f"{'* ' if on_front else ''}{row.trial}",
        *[shown_value(row.hyperparameters.get(name)) for name in varying],
        *[_compact(row.metrics.get(name, nothing)) for name in metrics],
        "-" if row.threshold is None else f"{row.threshold:.3f}",
        str(row.parameters) if row.parameters else "-",
        f"{row.best_epoch}/{row.epochs}" if row.epochs else "-",
        str(len(row.figures)) if row.figures else "-",
        f"{row.figures[-1]:.4f}" if row.figures and math.isfinite(row.figures[-1]) else "-",
        f"{row.wall_s:.1f}" if row.wall_s else "-",
        f"{row.cpu_s:.1f}" if row.cpu_s else "-",
        f"{row.peak_memory_mb:.0f}" if row.peak_memory_mb else "-",
        row.outcome.value,
    ]


def _footnotes(board: Board, varying: Sequence[str], further: Sequence[str], rows: int) -> list[str]:
    found = []
    if rows < len(board.rows):
        found.append(f"{len(board.rows) - rows} more rows in the CSV")
    fixed = [f"{name} {shown_value(board.values_of(name)[0])}" for name in board.hyperparameters if name not in varying]
    if fixed and board.rows:
        found.append(f"the same in all rows: {', '.join(fixed)}")
    if board.front:
        found.append(f"* on the Pareto front of {' and '.join(each.metric for each in board.objectives)}")
    if further:
        found.append(f"further columns in the CSV: {grouped(further)}")
    return [printable(line) for line in found]
