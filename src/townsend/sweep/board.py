"""All configurations of a sweep in one table that says first whether to believe it.

What to use when
----------------
- `board`: of a sweep, also while it runs; `townsend.sweep.import_metrics.import_metrics`: of your own folders.
- `Board.best`, `Board.best_by`: the leading configuration, and that of each value of a hyperparameter.
- `Board.front`: of two objectives, the configurations that no other betters in both.
- `Board.verdicts`: what to read before the numbers.
- `Board.sorted_by`: the same rows in another order.
- `render`: for a terminal; `write_csv`: for a spreadsheet; `comparable`: to test that a sweep was repeated.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from townsend.errors import InputError, did_you_mean
from townsend.evaluate.verdict import Verdict
from townsend.sweep.board_table import comparable, field, render, write_csv
from townsend.sweep.board_verdicts import board_verdicts
from townsend.sweep.objectives import figure
from townsend.sweep.pareto import front
from townsend.sweep.records import read_records, run_info
from townsend.sweep.trial_rows import measured_optimism, trial_rows
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

__all__ = ["FIELDS", "Board", "board", "comparable", "render", "write_csv"]

FIELDS = (
    "trial",
    "outcome",
    "parameters",
    "epochs",
    "best_epoch",
    "rungs",
    "rung_figure",
    "threshold",
    "wall_s",
    "cpu_s",
    "compile_s",
    "peak_memory_mb",
    "host",
    "attempts",
    "seed",
)
"""Columns that every board has, beside its hyperparameters and metrics."""


@dataclass(frozen=True)
class Board:
    """The configurations of one sweep; make it with `board`, which sorts its rows.

    Arguments:
        rows: one record a configuration.
        objective: the metric that ranks them, and its good direction.
        planned: configurations that the sweep is to train.
        source: what is ranked, for the title.
        notes: verdicts of the reader, put in front of the board's own.
        measured_on: the set on which the metrics were measured.
        further: objectives beside the one that ranks.
        optimism: how much better than the truth the leader looks, measured with folds; None without.
        figures_maximise: whether a larger figure at a rung is better; None: as the objective.
    """

    rows: tuple[FitRecord, ...]
    objective: Objective
    planned: int
    source: str
    notes: tuple[Verdict, ...] = ()
    measured_on: str = "validation"
    further: tuple[Objective, ...] = ()
    figures_maximise: bool | None = None
    optimism: Metric | None = None

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """Return all objectives, the one that ranks first."""
        return (self.objective, *self.further)

    @property
    def ranked(self) -> tuple[FitRecord, ...]:
        """Return the rows that may be chosen, best first; equals in order of trial."""
        sign = -1.0 if self.objective.maximise else 1.0
        chosen = [row for row in self.rows if self.rankable(row)]
        return tuple(sorted(chosen, key=lambda row: (sign * self.figure(row).value, row.trial)))

    def rankable(self, row: FitRecord) -> bool:
        """Return whether the row left a network and a finite objective."""
        return row.outcome.usable and math.isfinite(self.figure(row).value)

    def figure(self, row: FitRecord, objective: Objective | None = None) -> Metric:
        """Return a row's objective, NaN where it has none; None for the one that ranks."""
        return figure(row, objective or self.objective)

    @property
    def front(self) -> tuple[FitRecord, ...]:
        """Return the rows that no other betters in both objectives, best first; none with one objective alone."""
        ranked = self.ranked
        if not self.further or not ranked:
            return ()
        points = np.array([[self.figure(row, each).value for each in self.objectives] for row in ranked])
        kept = front(points, [each.maximise for each in self.objectives])
        return tuple(row for row, is_kept in zip(ranked, kept, strict=True) if is_kept)

    @property
    def best(self) -> FitRecord | None:
        """Return the leading row, whatever the order of the rows, or None when no row may be chosen."""
        ranked = self.ranked
        return ranked[0] if ranked else None

    @property
    def hyperparameters(self) -> tuple[str, ...]:
        """Return the names of all hyperparameters, in the order in which the rows give them."""
        return tuple(dict.fromkeys(name for row in self.rows for name in row.hyperparameters))

    @property
    def metrics(self) -> tuple[str, ...]:
        """Return the names of all metrics, the objective first, then in the order of the task."""
        names = dict.fromkeys(name for row in self.rows for name in row.metrics)
        return (self.objective.metric, *(name for name in names if name != self.objective.metric))

    def values_of(self, hyperparameter: str) -> tuple[Any, ...]:
        """Return the different values of a hyperparameter, in order."""
        found = {_order(row.hyperparameters.get(hyperparameter)): row for row in self.rows}
        return tuple(found[key].hyperparameters.get(hyperparameter) for key in sorted(found))

    def best_by(self, hyperparameter: str) -> tuple[tuple[Any, FitRecord | None], ...]:
        """Return for each value of a hyperparameter its best row, None where no row with it may be chosen."""
        leading: dict[Any, FitRecord] = {}
        for row in self.ranked:
            leading.setdefault(_order(row.hyperparameters.get(hyperparameter)), row)
        return tuple((value, leading.get(_order(value))) for value in self.values_of(hyperparameter))

    @property
    def verdicts(self) -> tuple[Verdict, ...]:
        """Return what to know before reading the numbers."""
        return (*self.notes, *board_verdicts(self))

    def sorted_by(self, column: str, descending: bool | None = None) -> Board:
        """Return the board in the order of a column; rows that may not be chosen stay last.

        Arguments:
            column: a metric, a hyperparameter or one of `FIELDS`.
            descending: None for the objective's good direction, metrics from high to low, all else from low to high.

        Raises InputError, naming the nearest column, when there is none of that name.
        """
        value = self._values(column)
        if descending is None:
            descending = column in self.metrics and (self.objective.maximise or column != self.objective.metric)
        usable = [row for row in self.rows if self.rankable(row)]
        others = [row for row in self.rows if not self.rankable(row)]
        ordered = [*_sorted(usable, value, descending), *_sorted(others, value, descending)]
        return replace(self, rows=tuple(ordered))

    def _values(self, column: str) -> Callable[[FitRecord], Any]:
        if column in self.metrics:
            return lambda row: row.metrics[column].value if column in row.metrics else None
        if column in self.hyperparameters:
            return lambda row: row.hyperparameters.get(column)
        if column in FIELDS:
            return lambda row: field(row, column)
        msg = f'column must be one of the board (got "{column}")'
        raise InputError(msg + did_you_mean(column, {*self.metrics, *self.hyperparameters, *FIELDS}))


def board(run: Path) -> Board:
    """Return the board of the sweep in folder `run`, best configuration first, unusable ones last.

    Raises InputError when the folder holds no sweep or a record is damaged.
    """
    info = run_info(run)
    records = read_records(run)
    folds, repeats = int(info.settings["folds"]), int(info.settings["repeats"])
    table = Board(
        tuple(trial_rows(records, folds, repeats, info.objective.metric)),
        info.objective,
        info.trials,
        run.resolve().name,
        notes=() if info.stopped is None else (Verdict(True, info.stopped),),
        further=info.further,
        figures_maximise=info.figures_maximise,
        optimism=measured_optimism(records, info.objective),
    )
    return by_rank(table)


def by_rank(table: Board) -> Board:
    """Return the board with its ranked rows first, then those stopped at a rung, then the others by outcome and trial.

    Of the rows stopped at a rung those that came further stand first, at one rung those with the better figure there.
    """
    others = [row for row in table.rows if not table.rankable(row)]
    pruned = [row for row in others if row.outcome is Outcome.PRUNED]
    rest = [row for row in others if row.outcome is not Outcome.PRUNED]
    up = table.objective.maximise if table.figures_maximise is None else table.figures_maximise

    def behind(row: FitRecord) -> tuple[int, float, int]:
        last = row.figures[-1] if row.figures else math.nan
        return (-len(row.figures), math.inf if math.isnan(last) else -last if up else last, row.trial)

    last = sorted(rest, key=lambda row: (row.outcome.value, row.trial))
    return replace(table, rows=(*table.ranked, *sorted(pruned, key=behind), *last))


def _order(value: Any) -> tuple[str, Any]:
    """Return a key that sorts values of any JSON type, numbers among numbers."""
    if value is None:
        return ("", 0)
    if isinstance(value, bool):
        return ("bool", value)
    if isinstance(value, int | float):
        return ("number", float(value))
    return ("text", str(value))


def _sorted(rows: list[FitRecord], value: Callable[[FitRecord], Any], descending: bool) -> list[FitRecord]:
    """Return rows by value, those without one last, equals in order of trial."""
    by_trial = sorted(rows, key=lambda row: row.trial)
    present = [row for row in by_trial if _present(value(row))]
    absent = [row for row in by_trial if not _present(value(row))]
    return sorted(present, key=lambda row: _order(value(row)), reverse=descending) + absent


def _present(value: Any) -> bool:
    return value is not None and not (isinstance(value, float) and math.isnan(value))
