"""What a board says before its numbers: what is missing, who leads by how much, and which figures flatter."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from statistics import NormalDist
from typing import TYPE_CHECKING, Any

from townsend.errors import printable
from townsend.evaluate.verdict import Verdict
from townsend.sweep.trial_rows import SPREAD
from townsend.tasks.base import CEILING, Metric
from townsend.training.records import SENTENCES, FitRecord, Outcome

if TYPE_CHECKING:
    from townsend.sweep.board import Board

__all__ = ["board_verdicts", "grouped", "shown", "shown_value"]

_MOST_VALUES = 8  # a hyperparameter with more values was drawn from a range: no best row of each
_MOST_TRIALS = 8


def board_verdicts(board: Board) -> tuple[Verdict, ...]:
    """Return the verdicts on a board, in the order in which they should be read."""
    if not board.rows:
        return (Verdict(False, f"no configuration of {board.planned} has ended yet; read the board again later"),)
    found = [_progress(board), *_pruned(board), *_unusable(board)]
    best = board.best
    if best is None:
        sentence = "no configuration may be chosen: none left a network with a figure; change the space or the sample"
        return (*found, Verdict(False, sentence))
    found += [_leader(board, best), _runners_up(board, best)]
    if len(board.ranked) > 1:
        found.append(_selection_bias(board, best))
    if board.front:
        found.append(_front(board))
    found += [
        _best_rows(board, name) for name in board.hyperparameters if 1 < len(board.values_of(name)) <= _MOST_VALUES
    ]
    return tuple(found)


def shown_value(value: Any) -> str:
    """Return a hyperparameter as a person writes it."""
    if value is None:
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    return printable(value if isinstance(value, str) else json.dumps(value))


def grouped(columns: Iterable[str]) -> str:
    """Return names of columns as a list in which those of one group, "natural.f1", are named once, "natural.*"."""
    group = {column: column.removesuffix(CEILING).rpartition(".")[0] for column in columns}
    size = Counter(group.values())
    named = (f"{group[c]}.*" if group[c] and size[group[c]] > 1 else c for c in group)
    return ", ".join(dict.fromkeys(named))


def shown(metric: Metric) -> str:
    """Return a figure with its error to two digits, or to four decimals without one; "-" when there is none."""
    if not math.isfinite(metric.value):
        return "-"
    if not (math.isfinite(metric.error) and metric.error > 0):
        return f"{metric.value:.4f}"
    decimals = min(max(1 - math.floor(math.log10(metric.error)), 0), 6)
    return f"{metric.value:.{decimals}f} ± {metric.error:.{decimals}f}"


def _trials(rows: Iterable[FitRecord]) -> str:
    numbers = [row.trial for row in rows]
    named = ", ".join(map(str, numbers[:_MOST_TRIALS]))
    more = f" and {len(numbers) - _MOST_TRIALS} more" if len(numbers) > _MOST_TRIALS else ""
    return f"{'trial' if len(numbers) == 1 else 'trials'} {named}{more}"


def _progress(board: Board) -> Verdict:
    number = Counter(row.outcome for row in board.rows)
    parts = ", ".join(f"{number[outcome]} {outcome.value}" for outcome in Outcome if number[outcome])
    complete = len(board.rows) >= board.planned
    ending = "" if complete else "; the others have not ended, the order may still change"
    return Verdict(complete, f"{len(board.rows)} of {board.planned} configurations: {parts}{ending}")


def _pruned(board: Board) -> list[Verdict]:
    """Say how many were stopped at which rung: what successive halving is for, and no fault."""
    at = Counter(len(row.figures) for row in board.rows if row.outcome is Outcome.PRUNED)
    if not at:
        return []
    rungs = ", ".join(f"{at[rung]} at rung {rung}" for rung in sorted(at))
    sentence = (
        f"{at.total()} of {len(board.rows)} stopped at a rung ({rungs}), where others of their bracket were better"
    )
    return [Verdict(True, sentence)]


def _unusable(board: Board) -> list[Verdict]:
    found = []
    for outcome in (outcome for outcome in Outcome if outcome is not Outcome.PRUNED):
        rows = sorted((row for row in board.rows if row.outcome is outcome), key=lambda row: row.trial)
        if rows and not outcome.usable:
            found.append(Verdict(False, f"{outcome.value}: {_trials(rows)} ({SENTENCES[outcome]})"))
    return found


def _leader(board: Board, best: FitRecord) -> Verdict:
    settings = ", ".join(f"{name} {shown_value(value)}" for name, value in best.hyperparameters.items())
    where = f"{board.objective.metric} {shown(board.figure(best))} on {board.measured_on}"
    return Verdict(True, f"trial {best.trial} leads: {where}" + (f" ({settings})" if settings else ""))


def _runners_up(board: Board, best: FitRecord) -> Verdict:
    """Judge the lead against the leader's own error.

    The rows share one set, so their differences are known better than each figure; this counts too many
    runners-up rather than too few.
    """
    leading = board.figure(best)
    if not (math.isfinite(leading.error) and leading.error > 0):
        return Verdict(False, f"the figure of trial {best.trial} has no error: nobody knows whether it leads by chance")
    near = [r for r in board.ranked[1:] if abs(board.figure(r).value - leading.value) <= leading.error]
    if not near:
        return Verdict(True, f"no other configuration lies within one standard deviation of trial {best.trial}")
    verb = "lies" if len(near) == 1 else "lie"
    others = f"{len(near)} of {len(board.ranked) - 1} others {verb}"
    sentence = f"{others} within one standard deviation of trial {best.trial}: {_trials(near)}"
    return Verdict(False, f"{sentence}; this sample does not tell them apart")


def _selection_bias(board: Board, best: FitRecord) -> Verdict:
    """Name the flattered columns, and the largest flattery.

    If all n configurations were equally good and independent, the best of them would be above the truth by the
    expected largest of n normal deviates (Blom 1958). Rows share their examples, so it is an upper limit. Rows stopped
    at a rung are among the n: they were not measured here, but `monitor`, where they lost, may share its waveforms.
    """
    pruned = sum(row.outcome is Outcome.PRUNED for row in board.rows)
    number, found, metric = len(board.ranked) + pruned, board.figure(best), board.objective.metric
    columns = [
        name
        for name in board.metrics
        if not name.endswith(SPREAD) and len({row.metrics.get(name) for row in board.ranked}) > 1
    ]
    sentence = f"selection-biased: trial {best.trial} was taken as the best of {number} on {board.measured_on}"
    sentence += f" ({pruned} of them stopped before by their figure on monitor)" if pruned else ""
    sentence += f", so its figures there flatter ({grouped(columns) or metric})"
    if math.isfinite(found.error) and found.error > 0:
        limit = NormalDist().inv_cdf((number - 0.375) / (number + 0.25)) * found.error
        lowest = Metric(found.value - limit if board.objective.maximise else found.value + limit, found.error)
        digits = -math.floor(math.log10(found.error)) + 1
        sentence += (
            f": were all {number} equally good, chance alone would make the best of them {limit:.{max(digits, 0)}f} "
            f"too good in {metric}, so expect {shown(lowest).partition(' ')[0]} to {shown(found).partition(' ')[0]}"
        )
    if board.optimism is not None:
        measured = f"{shown(board.optimism)} too good, measured"
        sentence += f"; {measured} by choosing with all folds but one and looking at that one"
    return Verdict(False, f"{sentence}; `townsend choose` reads the test set once for figures without this bias")


def _front(board: Board) -> Verdict:
    """Name the front, and the neighbours on it that the first objective's error does not tell apart.

    As in `_runners_up` the error is that of the better of two.
    """
    rows, metric = board.front, board.objective.metric
    names = " and ".join(objective.metric for objective in board.objectives)
    members = ", ".join(f"trial {row.trial} ({', '.join(_values(board, row))})" for row in rows[:_MOST_TRIALS])
    more = f" and {len(rows) - _MOST_TRIALS} more" if len(rows) > _MOST_TRIALS else ""
    near = [
        f"{a.trial} and {b.trial}"
        for a, b in pairwise(rows)
        if abs(board.figure(a).value - board.figure(b).value) <= board.figure(a).error
    ]
    unlike = f"; within one standard deviation in {metric}: trials {', '.join(near[:_MOST_TRIALS])}" if near else ""
    unlike += f" and {len(near) - _MOST_TRIALS} more pairs" if len(near) > _MOST_TRIALS else ""
    return Verdict(not near, f"Pareto front of {names}: {members}{more}{unlike}")


def _values(board: Board, row: FitRecord) -> list[str]:
    found = [board.figure(row, objective) for objective in board.objectives]
    return [f"{value:,g}" if error == 0 else shown(Metric(value, error)) for value, error in found]


def _best_rows(board: Board, name: str) -> Verdict:
    parts = []
    for value, row in board.best_by(name):
        figure = _none(board, name, value) if row is None else f"{shown(board.figure(row))} (trial {row.trial})"
        parts.append(f"{shown_value(value)} {figure}")
    return Verdict(True, f"best {board.objective.metric} for each {printable(name)}: {'; '.join(parts)}")


def _none(board: Board, name: str, value: Any) -> str:
    """Return why no configuration with a value may be chosen."""
    outcomes = {row.outcome for row in board.rows if row.hyperparameters.get(name) == value}
    return "all stopped at a rung" if outcomes == {Outcome.PRUNED} else "none may be chosen"
