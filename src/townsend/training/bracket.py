"""The fits of a bracket: trained from rung to rung and halved at each.

What has ended is on disk before the next fit begins, or a second later: a killed process repeats no more than that. One
that is asked to stop (`townsend.training.interruption`) repeats nothing: its fits rest at the epoch they are at.
"""

from __future__ import annotations

import logging
import math
import platform
import time
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.engines.usage import peak_memory_mb, reset_peak_memory
from townsend.errors import InputError, TownsendError
from townsend.networks.build_file import BuildFile
from townsend.networks.compiled import keep_compiled
from townsend.tasks.base import Arrays, Task
from townsend.tasks.registry import find_task
from townsend.training.checkpoint import read_checkpoint, remove_checkpoints, write_checkpoint
from townsend.training.figure import better_first
from townsend.training.interruption import Interrupted, stop_requested
from townsend.training.keras_trainer import KerasTrainer, Make, TrainSettings
from townsend.training.models import is_compiled, make_trainer
from townsend.training.progress import Progress, Trainer
from townsend.training.record_file import folds_folders, read_bracket_record, write_bracket_record
from townsend.training.records import Bracket, Fit, FitRecord, Outcome, Rung

__all__ = ["BracketWork", "open_trainer", "train_bracket"]

log = logging.getLogger(__name__)

Named = Mapping[str, NDArray[Any]]
Report = Callable[[FitRecord | None], None]

_TO_THE_END = Rung(epochs=1 << 62)
_HOLD_S = 1.0  # records are written no more often: a bracket of quick fits would spend its time on the disk


@dataclass(frozen=True)
class BracketWork:
    """All that decides what a bracket leaves behind, but for the arrays in its sweep's folder.

    Arguments:
        bracket: fits and rungs.
        task: name of the task.
        network: what is trained, see `townsend.training.models`.
        train: epochs and patience.
        folds: of the sweep.
        side_by_side: whether fits of equal shapes are trained as one program.
        build: SHA-256 of the user's file that builds the networks, else ""; never its path, which could be anybody's.
    """

    bracket: Bracket
    task: str
    network: str
    train: TrainSettings
    folds: int = 1
    side_by_side: bool = False
    build: str = ""

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> BracketWork:
        """Return the work written by `to_json`."""
        fits = tuple(Fit(**fit) for fit in value["bracket"]["fits"])
        rungs = tuple(Rung(**rung) for rung in value["bracket"]["rungs"])
        bracket = Bracket(value["bracket"]["number"], fits, rungs)
        return BracketWork(**{**value, "bracket": bracket, "train": TrainSettings(**value["train"])})


def train_bracket(
    run: Path, work: BracketWork, report: Report = lambda record: None, build: BuildFile | None = None
) -> None:
    """Train what is left of a bracket in the sweep folder `run` and complete its record.

    Arguments:
        run: sweep folder with its arrays.
        work: what to do.
        report: called with each record once it is on disk, and with None once a fit rests on disk.
        build: the user's file, where `network` needs one.

    A fit that fails leaves a record that says so, and the next one begins. Raises TownsendError when something the
    user can mend stops every fit, OSError when a record cannot be written, Interrupted when a stop was requested and
    fits are left: all that they have come to is on disk then, and the same call goes on from there.
    """
    if is_compiled(work.network):  # else neither Keras nor JAX is loaded
        keep_compiled(run / "programs")
    task = find_task(work.task)
    _Training(run, work, task, open_trainer(work, task, build), report).run_all()


def open_trainer(work: BracketWork, task: Task, build: BuildFile | None = None) -> Trainer:
    """Return what trains the fits of a bracket.

    Raises InputError when the user's file is needed and not given, or is another than the sweep's.
    """
    if build is not None and build.sha256 != work.build:
        msg = f"{build.path} must not change while its sweep runs (its SHA-256 did); restore it and repeat the command"
        raise InputError(msg)

    def of_keras(make: Make) -> Trainer:
        return KerasTrainer(make, task.loss, work.train, side_by_side=work.side_by_side)

    return make_trainer(work.network, task.loss, work.train, build, of_keras)


class _Training:
    """A bracket at work; what is on disk is always as far as what is in memory."""

    def __init__(self, run: Path, work: BracketWork, task: Task, trainer: Trainer, report: Report) -> None:
        self._run, self._work, self._task, self._trainer, self._report = run, work, task, trainer, report
        self._arrays = [Arrays.load(folder) for folder in folds_folders(run, work.folds)]
        self._record = read_bracket_record(run, work.bracket.number)
        left = [fit.label for fit in work.bracket.fits if fit.label not in self._record.ended]
        # A process has ended at this bracket before: each step goes to disk, so that it is known at which fit.
        self._wary = bool(self._record.started)
        self._held: list[FitRecord] = []
        self._saved_s = -math.inf
        found = {label: read_checkpoint(run, work.bracket.number, label) for label in left}
        self._resting: dict[str, Progress] = {label: where for label, where in found.items() if where is not None}

    def run_all(self) -> None:
        """Train all fits from rung to rung."""
        try:
            self._run_rungs()
        except Interrupted:
            self._save()  # also where no fit has ended: which ones were set going
            raise
        finally:
            if self._held:
                self._save()
        self._record = replace(self._record, complete=True)
        write_bracket_record(self._run, self._record, arrays=False)
        remove_checkpoints(self._run, self._work.bracket.number)

    def _run_rungs(self) -> None:
        alive: Sequence[Fit] = self._work.bracket.fits
        for number, rung in enumerate((*self._work.bracket.rungs, _TO_THE_END)):
            waiting = [fit for fit in alive if fit.label not in self._record.ended and self._rests(fit) <= number]
            for pack in self._trainer.packs(waiting, self._arrays):
                self._advance(pack, rung)
            alive = self._halve(alive, number, rung)

    def _rests(self, fit: Fit) -> int:
        return len(self._resting[fit.label].figures) if fit.label in self._resting else 0

    def _advance(self, pack: Sequence[Fit], rung: Rung) -> None:
        """Bring the fits of a pack to a rung, or to their end; what fails together is tried one by one."""
        self._leave_if_asked()
        self._record = self._record.starting([fit.label for fit in pack])
        self._save_in_time()
        reset_peak_memory()
        try:
            standing = [(fit, self._resting.get(fit.label)) for fit in pack]
            for fit, progress in self._trainer.advance(standing, self._arrays, rung):
                if progress.outcome is None:
                    before = self._resting.get(fit.label)
                    write_checkpoint(self._run, self._work.bracket.number, fit.label, progress)
                    self._resting[fit.label] = progress
                    if progress.epochs > (before.epochs if before else 0):
                        self._report(None)
                else:
                    self._end([self._judged(fit, progress)])
        except (TownsendError, OSError, Interrupted):
            raise
        except Exception as error:
            left = [fit for fit in pack if fit.label not in self._record.ended]
            if len(pack) > 1:
                for fit in left:
                    self._advance([fit], rung)
                return
            log.exception("trial %s failed", pack[0].label)
            self._end([(_failed(error, _blank(pack[0])), {})])
        if any(fit.label not in self._record.ended for fit in pack):
            self._leave_if_asked()

    def _leave_if_asked(self) -> None:
        """Raise Interrupted when a stop was requested: fits may rest before the rung, where none is compared."""
        if stop_requested():
            ended, fits = len(self._record.ended), len(self._work.bracket.fits)
            rest = f"{ended} of its {fits} fits have ended, the others rest"
            msg = f"bracket {self._work.bracket.number} was asked to stop ({rest}); repeat the command to go on"
            raise Interrupted(msg)

    def _halve(self, alive: Sequence[Fit], number: int, rung: Rung) -> Sequence[Fit]:
        """Return the fits of the configurations that go on from a rung; record the others as pruned."""
        if rung.keep is None:
            return alive
        figures: dict[int, list[float]] = defaultdict(list)
        records = {record.label: record for record in self._record.fits}
        for fit in alive:
            at_rests = records[fit.label].figures if fit.label in records else self._resting[fit.label].figures
            figures[fit.trial].append(at_rests[min(number, len(at_rests) - 1)] if at_rests else math.nan)
        trials = list(figures)
        order = better_first(self._task.loss, [float(np.mean(figures[trial])) for trial in trials])
        places = {trials[i]: place for place, i in enumerate(order, start=1)}
        pruned = [fit for fit in alive if places[fit.trial] > rung.keep and fit.label not in records]
        if pruned:
            epochs = f"{rung.epochs} epoch{'s' if rung.epochs > 1 else ''}"
            detail = f"{{}} of {len(trials)} after {epochs}; {rung.keep} went on"
            self._end([self._pruned(fit, detail.format(_ordinal(places[fit.trial]))) for fit in pruned])
        return [fit for fit in alive if places[fit.trial] <= rung.keep]

    def _judged(self, fit: Fit, progress: Progress) -> tuple[FitRecord, Named]:
        """Return the record of a fit that has ended, and its curves and weights."""
        record = _described(fit, progress)
        if progress.outcome is Outcome.DIVERGED:
            return record, progress.curves
        arrays = self._arrays[fit.fold]
        scores = self._trainer.scores(fit, progress, arrays.splits["validation"].x, self._arrays)
        evaluation = self._task.evaluate(arrays, "validation", scores, None)
        record = replace(record, metrics=dict(evaluation.metrics), threshold=evaluation.threshold)
        if evaluation.degenerate:
            record = replace(record, outcome=Outcome.DEGENERATE, detail=evaluation.degenerate)
        weights = {f"weight{i}": weight for i, weight in enumerate(progress.weights)}
        curves = {f"curve.{name}": np.asarray(values) for name, values in evaluation.curves.items()}
        return record, {**progress.curves, **weights, **curves}

    def _pruned(self, fit: Fit, detail: str) -> tuple[FitRecord, Named]:
        progress = self._resting.pop(fit.label)
        return replace(_described(fit, progress), outcome=Outcome.PRUNED, detail=detail), progress.curves

    def _end(self, ended: Iterable[tuple[FitRecord, Named]]) -> None:
        found = [(replace(one, peak_memory_mb=round(peak_memory_mb(), 1)), arrays) for one, arrays in ended]
        self._record = self._record.with_fits(found)
        self._held += self._record.fits[-len(found) :]
        self._save_in_time()

    def _save_in_time(self) -> None:
        if self._wary or time.monotonic() - self._saved_s >= _HOLD_S:
            self._save()

    def _save(self) -> None:
        """Write the record, and tell of the fits that are on disk now."""
        write_bracket_record(self._run, self._record, arrays=bool(self._held))
        held, self._held, self._saved_s = self._held, [], time.monotonic()
        for record in held:
            log.info("trial %s: %s after %d epochs, %.1f s", record.label, record.outcome, record.epochs, record.wall_s)
            self._report(record)


def _described(fit: Fit, progress: Progress) -> FitRecord:
    return replace(
        _blank(fit),
        outcome=progress.outcome or Outcome.FAILED,
        detail=progress.detail,
        parameters=progress.parameters,
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
        wall_s=round(progress.wall_s, 3),
        cpu_s=round(progress.cpu_s, 3),
        compile_s=round(progress.compile_s, 3),
        figures=progress.figures,
    )


def _blank(fit: Fit) -> FitRecord:
    hyperparameters = dict(fit.hyperparameters)
    return FitRecord(
        fit.trial, fit.seed, hyperparameters, Outcome.FAILED, host=platform.node(), fold=fit.fold, repeat=fit.repeat
    )


def _failed(error: Exception, blank: FitRecord) -> FitRecord:
    text = "".join(traceback.format_exception_only(error)).strip()
    if isinstance(error, MemoryError) or "RESOURCE_EXHAUSTED" in text:
        return replace(blank, outcome=Outcome.OUT_OF_MEMORY, detail=text[:1000])
    return replace(blank, outcome=Outcome.FAILED, detail=text[:1000])


def _ordinal(number: int) -> str:
    """Return 1st, 2nd, 3rd, 4th ..."""
    ending = "th" if number % 100 in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
