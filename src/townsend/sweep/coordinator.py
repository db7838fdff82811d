"""The sweep itself: one process that plans, hands out work, and goes on where a killed one stopped."""

from __future__ import annotations

import errno
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from townsend.engines.base import Engine, Message, News, WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.local import usable_cores
from townsend.engines.site import Site
from townsend.errors import InputError, TownsendError
from townsend.files import write_json
from townsend.networks.backend import check_environment
from townsend.networks.build_file import BuildFile
from townsend.sweep.brackets import Plan, check_batches, check_builds, check_examples, check_space, make_plan
from townsend.sweep.folder import forget_arrays, make_folder, open_folder, tidy
from townsend.sweep.lease import Lease, hold
from townsend.sweep.objectives import find_objectives
from townsend.sweep.records import read_arrays, read_records, write_stopped
from townsend.sweep.settings import SweepSettings
from townsend.tasks.base import Arrays, Fold, Task
from townsend.tasks.registry import find_task
from townsend.training.bracket import BracketWork
from townsend.training.keras_trainer import TrainSettings
from townsend.training.losses import is_classification, outputs_of
from townsend.training.models import check_given
from townsend.training.record_file import (
    BracketRecord,
    bracket_files,
    folds_folders,
    read_bracket_record,
    record_path,
    write_bracket_record,
)
from townsend.training.records import Bracket, FitRecord, Outcome

__all__ = ["sweep"]

log = logging.getLogger(__name__)

_POLL_S = 1.0
_LOST = {
    News.LOST: Outcome.LOST,
    News.OUT_OF_MEMORY: Outcome.OUT_OF_MEMORY,
    News.OUT_OF_TIME: Outcome.OUT_OF_TIME,
}


Report = Callable[[int, int], None]


def sweep(
    settings: SweepSettings,
    run: Path,
    *,
    jobs: int | None = None,
    site: Site | None = None,
    progress: Report | None = None,
    build: BuildFile | None = None,
) -> Path:
    """Train all configurations that `settings` ask for, and return the folder.

    Killed at any moment, the same call goes on: fits that have ended are not repeated, and what they leave is what an
    uninterrupted sweep would have left.

    Arguments:
        settings: of the sweep.
        run: folder, new or of the same sweep.
        jobs: worker processes on this machine, >= 1; one for each usable core when None.
        site: batch system that trains instead, see `townsend.engines.site.find_site`.
        progress: called with the numbers of fits done and planned, at the start and whenever a fit has ended.
        build: the user's file, for the networks `build` and `torch`; see `townsend.networks.build_file`.

    Raises InputError when the folder was made with other settings, another version or another sample, when the disk is
    full, or, at the end, when no configuration is usable; ConfigError when the space cannot be trained; BusyError when
    another coordinator is at work in the folder.
    """
    check_environment()
    check_given(settings.network, build)
    task = find_task(settings.task)
    full = settings.model_copy(update={"task_settings": task.settings(settings.task_settings)})
    check_space(full, task.loss)
    objectives = find_objectives(full.objectives, task.objective, task.metrics)
    plan = make_plan(full, objectives, figures_maximise=is_classification(task.loss))
    sample = Path(full.sample).absolute()
    contents = task.fingerprint(sample, full.task_settings)
    try:
        make_folder(run)
        with hold(run) as lease:
            tidy(run)
            open_folder(run, full, contents, task, objectives, plan.trials, build.sha256 if build else "")
            try:
                check_batches(full, _prepare(run, full, task, sample))
                arrays = read_arrays(run)
                check_examples(full, task.loss, arrays)
                shape, outputs = arrays.splits["train"].x.shape[1:], outputs_of(task.loss, arrays.facts)
                check_builds(full, build, shape, outputs)
            except TownsendError:
                forget_arrays(run)
                raise
            report = progress or (lambda done, planned: None)
            coordinator = _Coordinator(run.absolute(), full, plan, lease, report, build)
            planned = plan.trials
            coordinator.run(site, usable_cores() if jobs is None else jobs)
            if plan.trials < planned:
                write_stopped(run, plan.trials, _because(plan.trials, planned, full.stop_at_gain))
    except OSError as error:
        if not _is_full(error.errno, str(error)):
            raise
        raise _disk_full(run) from None
    _judge(run)
    return run


def _because(trials: int, planned: int, errors: float | None) -> str:
    rule = f"stopped by itself after {trials} of {planned} configurations"
    return f"{rule}: twice as many promised less than {errors:g} times the error of the best figure"


def _prepare(run: Path, settings: SweepSettings, task: Task, sample: Path) -> int:
    """Save the arrays of all folds that are not there yet; return the examples of the smallest training set."""
    sizes = []
    for fold, folder in enumerate(folds_folders(run, settings.folds)):
        if not (folder / "arrays.json").is_file():
            part = Fold(fold, settings.folds) if settings.folds > 1 else None
            task.prepare(sample, settings.task_settings, settings.seed, part).save(folder)
        sizes.append(len(Arrays.load(folder).splits["train"]))
    return min(sizes)


class _Coordinator:
    """Hands out brackets until none is left."""

    def __init__(
        self,
        run: Path,
        settings: SweepSettings,
        plan: Plan,
        lease: Lease,
        report: Report,
        build: BuildFile | None = None,
    ) -> None:
        self._build = build
        self._run = run
        self._settings = settings
        self._plan = plan
        self._lease = lease
        self._report = report
        self._done = len(read_records(run))
        self._at_work: dict[str, tuple[Bracket, Mapping[str, int]]] = {}

    @property
    def _planned(self) -> int:
        return self._plan.trials * self._settings.folds * self._settings.repeats

    def run(self, site: Site | None, jobs: int) -> None:
        self._report(self._done, self._planned)
        with open_engine(site, self._run, jobs, self._build.path if self._build else None) as engine:
            self._hand_out(engine)
            while self._at_work:
                self._lease.check()
                for message in engine.poll(_POLL_S):
                    self._hear(message, engine)
                self._hand_out(engine)

    def _hand_out(self, engine: Engine) -> None:
        """Submit what may begin; brackets with a complete record only tell their results."""
        while brackets := self._plan.ready():
            for bracket in brackets:
                record = read_bracket_record(self._run, bracket.number, arrays=False)
                _compare(self._run, bracket, record)
                if record.complete:
                    self._plan.tell(record.fits)
                else:
                    self._submit(bracket, record, engine)

    def _submit(self, bracket: Bracket, record: BracketRecord, engine: Engine) -> None:
        settings = self._settings
        train = TrainSettings(settings.epochs, settings.patience)
        sha256 = self._build.sha256 if self._build else ""
        work = BracketWork(
            bracket, settings.task, settings.network, train, settings.folds, settings.side_by_side, sha256
        )
        unit = WorkUnit(
            f"bracket {bracket.number}",
            "train_bracket",
            work.to_json(),
            self._run,
            inputs=("arrays", *bracket_files(bracket.number)),
            outputs=bracket_files(bracket.number),
        )
        write_json(self._run / "brackets" / f"{bracket.number:04d}.json", unit.to_json())
        self._at_work[unit.name] = bracket, record.started
        engine.submit(unit)

    def _hear(self, message: Message, engine: Engine) -> None:
        if message.news is News.PROGRESS:
            if message.body:
                self._count()
            return
        bracket, started = self._at_work.pop(message.unit)
        if message.news is News.REFUSED:
            raise InputError(message.detail)
        if message.news is News.FAILED:
            if _is_full(message.body.get("errno"), message.detail):
                raise _disk_full(self._run)
            rule = f"{message.unit} could not be worked on ({message.detail})"
            msg = f"{rule}; see the logs in {self._run}, mend and repeat"
            raise InputError(msg)
        if message.news in _LOST:
            self._give_up(bracket, started, message)
        record = read_bracket_record(self._run, bracket.number, arrays=False)
        if record.complete:
            self._plan.tell(record.fits)
        else:
            self._submit(bracket, record, engine)

    def _give_up(self, bracket: Bracket, started: Mapping[str, int], message: Message) -> None:
        """Record the fit at which a bracket's processes have died; the bracket goes on without it.

        Raises InputError when they died before any fit was begun: that is no fault of a configuration.
        """
        record = read_bracket_record(self._run, bracket.number, arrays=False)
        at_work = [fit for fit in bracket.fits if fit.label in record.at_work and fit.label not in record.ended]
        begun = [fit for fit in at_work if record.started[fit.label] > started.get(fit.label, 0)]
        if not begun and message.news is not News.LOST:
            # It trained, but its record stayed on another machine: fits are trained in the order of their bracket.
            begun = [fit for fit in bracket.fits if fit.label not in record.ended][:1]
        if not begun:
            rule = f"worker processes must live until they train ({message.detail})"
            msg = f"{rule}; see the logs in {self._run} and repeat"
            raise InputError(msg)
        outcome, lost = _LOST[message.news], list[tuple[FitRecord, dict[str, Any]]]()
        for fit in begun:
            one = FitRecord(fit.trial, fit.seed, dict(fit.hyperparameters), outcome, message.detail)
            lost.append((replace(one, fold=fit.fold, repeat=fit.repeat), {}))
            self._count()
        write_bracket_record(self._run, record.with_fits(lost), arrays=False)

    def _count(self) -> None:
        self._done += 1
        self._report(self._done, self._planned)


def _compare(run: Path, bracket: Bracket, record: BracketRecord) -> None:
    """Raise InputError unless the fits of a record are those of its bracket."""
    planned = {fit.label: (fit.seed, dict(fit.hyperparameters)) for fit in bracket.fits}
    for fit in record.fits:
        if planned.get(fit.label) != (fit.seed, dict(fit.hyperparameters)):
            path = record_path(run, bracket.number)
            msg = f"{path} must hold the fits that the settings plan (trial {fit.trial} differs); choose a new folder"
            raise InputError(msg)


def _judge(run: Path) -> None:
    """Raise InputError when no configuration is usable."""
    records = read_records(run)
    if any(record.outcome.usable for record in records):
        return
    counts = Counter(record.outcome.value for record in records)
    ways = ", ".join(f"{count} {outcome}" for outcome, count in counts.most_common())
    first = next((record for record in records if record.detail), None)
    example = f"; trial {first.trial}: {first.detail}" if first else ""
    msg = f"no usable configuration: at least one must finish (got {ways}{example}); change the space or the sample"
    raise InputError(msg)


def _is_full(number: int | None, text: str) -> bool:
    """Whether an OSError means a full disk; NumPy has a sentence of its own for that, without a number."""
    return number in (errno.ENOSPC, errno.EDQUOT) or ("requested and" in text and "written" in text)


def _disk_full(run: Path) -> InputError:
    return InputError(f"the disk of {run} must have room for records (it is full); free some and repeat the command")
