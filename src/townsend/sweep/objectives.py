"""What a sweep betters: one objective, or two together, each with its good direction.

What to use when
----------------
- `find_objectives`: names in the settings -> objectives; refuses what the task does not measure, before any training.
- `figure`: the value of an objective in a record.

An objective is a metric of the task, whose direction the task tells, or a column of a record, of which less is better.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from townsend.errors import ConfigError, did_you_mean
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord

__all__ = ["COLUMNS", "UNREPEATABLE", "figure", "find_objectives"]

COLUMNS = ("parameters", "epochs", "wall_s")
"""Columns of a record that can be an objective; less is better."""

UNREPEATABLE = "wall_s"
"""The column that differs from run to run: shown on a front, but nothing may learn from it."""


def find_objectives(names: Sequence[str] | None, own: Objective, metrics: Mapping[str, bool]) -> tuple[Objective, ...]:
    """Return the objectives that settings name; the first ranks the board.

    Arguments:
        names: one or two names of metrics or `COLUMNS`; None for the task's own objective alone.
        own: the task's objective.
        metrics: metric that the task always measures and that has a good direction -> whether larger is better.

    Raises ConfigError on a name that is neither, on one that stands twice, and on a column that stands first.
    """
    if names is None:
        return (own,)
    directions = {**dict.fromkeys(COLUMNS, False), **metrics, own.metric: own.maximise}
    for name in names:
        if name not in directions:
            rule = f'objectives must be metrics of the task or of {", ".join(COLUMNS)} (got "{name}")'
            raise ConfigError(rule + did_you_mean(name, directions))
    if len(set(names)) < len(names):
        msg = f"objectives must differ (got {names[0]} twice); name another or leave one out"
        raise ConfigError(msg)
    if names[0] in COLUMNS:
        rule = f"the first of the objectives ranks the board and must be a metric of the task (got {names[0]})"
        msg = f"{rule}; put one, such as {own.metric}, in front"
        raise ConfigError(msg)
    return tuple(Objective(name, directions[name]) for name in names)


def figure(record: FitRecord, objective: Objective) -> Metric:
    """Return a record's objective with its error; a column has none (0), what is missing is NaN."""
    name = objective.metric
    if name in record.metrics or name not in COLUMNS:
        return record.metrics.get(name, Metric(math.nan, math.nan))
    return Metric(float(getattr(record, name)), 0.0)
