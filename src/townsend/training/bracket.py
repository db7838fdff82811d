"""The fits of a bracket, trained one after the other; each is on disk before the next begins."""

from __future__ import annotations

import logging
import platform
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import TownsendError
from townsend.networks.backend import jax_keras
from townsend.networks.family import build_network
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Task
from townsend.tasks.registry import find_task
from townsend.training.hyperparameters import split
from townsend.training.keras_trainer import TrainedFit, TrainSettings, train
from townsend.training.record_file import read_bracket_record, write_bracket_record
from townsend.training.records import Bracket, Fit, FitRecord, Outcome
from townsend.training.usage import peak_memory_mb, reset_peak_memory

__all__ = ["BracketWork", "train_bracket"]

log = logging.getLogger(__name__)

Named = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class BracketWork:
    """All that decides what a bracket leaves behind, but for the arrays in its sweep's folder.

    Arguments:
        bracket: the fits.
        task: name of the task.
        network: name of the network family.
        train: epochs and patience.
    """

    bracket: Bracket
    task: str
    network: str
    train: TrainSettings

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> BracketWork:
        """Return the work written by `to_json`."""
        fits = tuple(Fit(**fit) for fit in value["bracket"]["fits"])
        bracket = Bracket(value["bracket"]["number"], fits)
        return BracketWork(bracket, value["task"], value["network"], TrainSettings(**value["train"]))


def train_bracket(run: Path, work: BracketWork, report: Callable[[FitRecord], None] = lambda record: None) -> None:
    """Train what is left of a bracket in the sweep folder `run` and complete its record.

    Arguments:
        run: sweep folder with its arrays.
        work: what to do.
        report: called with each record once it is on disk.

    A fit that fails leaves a record that says so, and the next one begins. Raises TownsendError when something the
    user can mend stops every fit, OSError when a record cannot be written.
    """
    jax_keras()
    task = find_task(work.task)
    arrays = Arrays.load(run / "arrays")
    record = read_bracket_record(run, work.bracket.number)
    left = [fit for fit in work.bracket.fits if fit.trial not in record.ended]
    for position, fit in enumerate(left, start=1):
        record = record.started(fit.trial)
        write_bracket_record(run, record, arrays=False)
        ended, found = _train_fit(fit, work, task, arrays)
        record = record.with_fit(ended, found, complete=position == len(left))
        write_bracket_record(run, record)
        log.info("trial %d: %s after %d epochs, %.1f s", fit.trial, ended.outcome, ended.epochs, ended.wall_s)
        report(record.fits[-1])
    if not record.complete:
        write_bracket_record(run, replace(record, complete=True), arrays=False)


def _train_fit(fit: Fit, work: BracketWork, task: Task, arrays: Arrays) -> tuple[FitRecord, Named]:
    """Return the record of one fit, whatever happens in it, and its curves and weights."""
    reset_peak_memory()
    blank = FitRecord(fit.trial, fit.seed, dict(fit.hyperparameters), Outcome.FAILED, host=platform.node())
    found: tuple[FitRecord, Named]
    try:
        found = _trained_and_judged(fit, work, task, arrays, blank)
    except TownsendError:
        raise
    except Exception as error:
        log.exception("trial %d failed", fit.trial)
        found = _failed(error, blank), {}
    return replace(found[0], peak_memory_mb=round(peak_memory_mb(), 1)), found[1]


def _trained_and_judged(
    fit: Fit, work: BracketWork, task: Task, arrays: Arrays, blank: FitRecord
) -> tuple[FitRecord, Named]:
    _, of_network = split(fit.hyperparameters)
    network = build_network(work.network, of_network, arrays.splits["train"].x.shape[1:], fit.seed)
    trained = train(fit, network, task.loss, work.train, arrays)
    record = replace(
        blank,
        outcome=trained.outcome,
        parameters=trained.parameters,
        epochs=trained.epochs,
        best_epoch=trained.best_epoch,
        wall_s=round(trained.wall_s, 3),
        cpu_s=round(trained.cpu_s, 3),
        compile_s=round(trained.compile_s, 3),
    )
    if trained.outcome is Outcome.DIVERGED:
        return replace(record, detail=f"the loss was not finite in epoch {trained.epochs}"), trained.curves
    scores = forward(network, arrays.splits["validation"].x)
    evaluation = task.evaluate(arrays, "validation", scores, None)
    record = replace(record, metrics=dict(evaluation.metrics), threshold=evaluation.threshold)
    if evaluation.degenerate:
        record = replace(record, outcome=Outcome.DEGENERATE, detail=evaluation.degenerate)
    return record, _named(trained, evaluation.curves)


def _named(trained: TrainedFit, curves: Named) -> Named:
    return {
        **trained.curves,
        **{f"weight{i}": weight for i, weight in enumerate(trained.weights)},
        **{f"curve.{name}": np.asarray(values) for name, values in curves.items()},
    }


def _failed(error: Exception, blank: FitRecord) -> FitRecord:
    text = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return replace(blank, outcome=Outcome.OUT_OF_MEMORY, detail=text[:1000])
    return replace(blank, outcome=Outcome.FAILED, detail=text[:1000])
