"""A sweep as an Optuna journal, for Optuna's dashboard and plots; an export, never read back by townsend.

What to use when
----------------
- `export_journal`: write the file; `optuna.storages.JournalStorage` with a `JournalFileBackend` opens it.
- `journal_of`: the same in memory, for a program that shows it at once.

Trial n of the sweep is trial n of the study: one that has not ended stands there as waiting.
"""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from townsend.errors import InputError
from townsend.files import write_text
from townsend.sweep.conditions import Drawn
from townsend.sweep.history import Curves, History, drawn_from, read_history
from townsend.sweep.hyperparameter import Range
from townsend.sweep.objectives import figure
from townsend.training.records import FitRecord, Outcome

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages.journal import BaseJournalBackend
    from optuna.trial import FrozenTrial, TrialState

__all__ = ["Journal", "check_journal", "export_journal", "journal_of"]

_WRITER = "townsend"
_MOST_POINTS = 30  # of a curve: a thousand trials stay a few megabytes


@dataclass(frozen=True)
class Journal:
    """An Optuna journal in memory: Optuna's own file flushes the disk at each trial, 30 ms a time.

    Arguments:
        lines: JSON, in the order of Optuna's operations.
    """

    lines: list[str] = field(default_factory=list)

    def read_logs(self, log_number_from: int) -> Iterator[dict[str, Any]]:
        """Yield the operations from a number on, as Optuna asks for them."""
        return map(json.loads, self.lines[log_number_from:])

    def append_logs(self, logs: list[dict[str, Any]]) -> None:
        """Take operations."""
        self.lines.extend(json.dumps(log, separators=(",", ":")) for log in logs)


def export_journal(run: Path, output: Path) -> Path:
    """Write what the sweep in folder `run` has left so far as an Optuna journal, whole or not at all.

    Arguments:
        run: folder of a sweep, which may be running.
        output: file; one that was exported before is replaced.

    Returns `output`. Raises InputError when `run` holds no sweep or no trial that has ended, a record is damaged, or
    `output` is another's file.
    """
    check_journal(output)
    # Optuna names the writer of each line at random; a fixed name gives the same bytes, and marks the file as ours.
    operations = (json.loads(line) | {"worker_id": _WRITER} for line in journal_of(read_history(run)).lines)
    write_text(output, "".join(json.dumps(each, separators=(",", ":")) + "\n" for each in operations))
    return output


def check_journal(output: Path) -> None:
    """Raise InputError unless `output` is new or a journal exported before."""
    if output.is_dir():
        msg = f"{output} must be a file (it is a folder); add a name, for example {output / 'journal.log'}"
        raise InputError(msg)
    if output.is_symlink() or (output.exists() and not _is_ours(output)):
        msg = f"{output} must be new or a journal exported before (it is another file); choose another name"
        raise InputError(msg)


def _is_ours(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            first = json.loads(stream.readline(10_000))
    except (OSError, ValueError):
        return False
    return isinstance(first, dict) and first.get("worker_id") == _WRITER


def journal_of(history: History) -> Journal:
    """Return a journal with one study of the sweep's name.

    Raises InputError when no trial has ended yet.
    """
    import optuna

    if not history.board.rows:
        msg = f"{history.run} must hold a trial that has ended (none has yet); repeat the command later"
        raise InputError(msg)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    journal = Journal()
    study = optuna.create_study(
        study_name=history.board.source,
        directions=["maximize" if objective.maximise else "minimize" for objective in history.board.objectives],
        storage=optuna.storages.JournalStorage(cast("BaseJournalBackend", journal)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        study.set_metric_names([objective.metric for objective in history.board.objectives])
    study.set_user_attr("verdicts", [verdict.sentence for verdict in history.board.verdicts])
    rows = {row.trial: row for row in history.board.rows}
    distributions = _distributions(drawn_from(history.space))
    for number in range(max(rows) + 1):
        if number in rows:
            study.add_trial(_trial(rows[number], history, distributions))
        else:
            study.add_trial(optuna.trial.create_trial(state=optuna.trial.TrialState.WAITING))
    return journal


def _trial(row: FitRecord, history: History, distributions: Mapping[str, BaseDistribution]) -> FrozenTrial:
    import optuna

    values = [figure(row, objective).value for objective in history.board.objectives]
    if row.outcome is Outcome.PRUNED and row.figures and not math.isfinite(values[0]):
        values[0] = row.figures[-1]
    known = all(map(math.isfinite, values))
    params = {name: value for name, value in row.hyperparameters.items() if _holds(distributions.get(name), value)}
    trial = optuna.trial.create_trial(
        state=_state(row, known),
        values=values if known and _state(row, known) is not optuna.trial.TrialState.FAIL else None,
        params=params,
        distributions={name: distributions[name] for name in params},
        user_attrs=_attributes(row, {name: row.hyperparameters[name] for name in row.hyperparameters.keys() - params}),
        intermediate_values=_thinned(history.curves.get(row.trial, {})),
    )
    # A record knows how long its fit took, not when: it is taken to have ended with its bracket.
    trial.datetime_complete = datetime.fromtimestamp(history.ended[row.trial], UTC)
    trial.datetime_start = trial.datetime_complete - timedelta(seconds=row.wall_s)
    return trial


def _state(row: FitRecord, known: bool) -> TrialState:
    from optuna.trial import TrialState

    if row.outcome is Outcome.PRUNED:
        return TrialState.PRUNED
    return TrialState.COMPLETE if row.outcome.usable and known else TrialState.FAIL


def _holds(distribution: BaseDistribution | None, value: Any) -> bool:
    """Whether a distribution can have given the value; the `otherwise` of a range may lie outside it."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        return value in distribution.choices
    if isinstance(distribution, FloatDistribution | IntDistribution):
        number = isinstance(value, int | float) and not isinstance(value, bool)
        return number and distribution.low <= value <= distribution.high
    return False


def _attributes(row: FitRecord, others: Mapping[str, Any]) -> dict[str, Any]:
    """Return what Optuna has no place for."""
    figures = {name: metric.value for name, metric in row.metrics.items()}
    figures |= {f"{name}.error": metric.error for name, metric in row.metrics.items()}
    found = {
        **others,
        "outcome": row.outcome.value,
        "detail": row.detail,
        **figures,
        "threshold": row.threshold,
        "parameters": row.parameters,
        "epochs": row.epochs,
        "best_epoch": row.best_epoch,
        "wall_s": row.wall_s,
        "seed": row.seed,
        "figures at rungs": list(row.figures),
    }
    absent: tuple[object, ...] = (None, "", [])
    return {
        name: value
        for name, value in found.items()
        if value not in absent and not (isinstance(value, float) and not math.isfinite(value))
    }


def _thinned(curves: Curves) -> dict[int, float]:
    """Return some 30 points of the monitored loss, first and last among them, by epoch from 1."""
    losses = np.asarray(curves.get("monitor_loss", ()), np.float64)
    if not len(losses):
        return {}
    kept = np.unique(np.linspace(0, len(losses) - 1, _MOST_POINTS).round().astype(int))
    return {int(i) + 1: float(losses[i]) for i in kept if np.isfinite(losses[i])}


def _distributions(drawn: Mapping[str, Drawn]) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, of in drawn.items():
        if not isinstance(of, Range):
            found[name] = CategoricalDistribution(list(of))
        elif isinstance(of.low, int) and isinstance(of.high, int):
            found[name] = IntDistribution(of.low, of.high, log=of.log)
        else:
            found[name] = FloatDistribution(of.low, of.high, log=of.log)
    return found
