"""What has been submitted from a folder: one JSON line an event, so that a new process knows every job of the last.

What to use when
----------------
- `Ledger`: for the one process that submits; says what it intends before it does it.
- `read_jobs`: all jobs so far, for whoever only looks.
- `read_ledger`: the same with what finds them in the batch system, for whoever asks there.
- `is_cancelled`: whether `townsend cancel` has removed the jobs.

A batch is written down before it is submitted, under a name that its jobs carry in the batch system; so whatever moment
a process dies at, the next one can find out whether the batch system has it, and submits nothing twice.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import re
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, BinaryIO

from townsend.engines.request import Request
from townsend.engines.scheduler import Batch
from townsend.engines.usage import Usage
from townsend.errors import BusyError, InputError, printable

__all__ = ["CANCELLED", "JOBS", "Job", "Ledger", "Recorded", "is_cancelled", "ledger_path", "read_jobs", "read_ledger"]

log = logging.getLogger(__name__)

_UNKNOWN = Usage()
_NOT_SUBMITTED = "not submitted"
_LONGEST_DETAIL = 1000
# What a ledger may say in the words of the batch system's programs, whoever has written it.
_NAME = re.compile(r"[A-Za-z0-9]{1,64}")
_BATCH = re.compile(r"[0-9]{4,9}")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")

JOBS = "jobs"
"""Name of the folder, in that of a run, that holds everything about its jobs."""
CANCELLED = "cancelled"
"""File in that folder by which `townsend cancel` says that its jobs are gone, and ends whoever would wait for them."""


@dataclass(frozen=True)
class Job:
    """One job of a run.

    Arguments:
        stem: its name and that of its files.
        unit: name of its work unit.
        request: what it asked for.
        id: its number in the batch system; "" while that is not known.
        submitted_s: seconds since 1970.
        how: how it ended; "" while it has not.
        detail: of its end.
        measured: what it said of itself last.
        told: what the batch system said of it.
        ended_s: seconds since 1970; 0 while it has not.
    """

    stem: str
    unit: str
    request: Request
    id: str = ""
    submitted_s: float = 0.0
    how: str = ""
    detail: str = ""
    measured: Usage = _UNKNOWN
    told: Usage = _UNKNOWN
    ended_s: float = 0.0

    @property
    def live(self) -> bool:
        """Whether it may still be in the batch system."""
        return not self.how


def ledger_path(run: Path) -> Path:
    """Return the ledger of a run."""
    return run / JOBS / "ledger.jsonl"


def is_cancelled(run: Path) -> bool:
    """Return whether the jobs of a run were removed, and no process has gone on with it since."""
    return (run / JOBS / CANCELLED).exists()


def read_jobs(run: Path) -> list[Job]:
    """Return the jobs of a run in the order of their submission; none where it had none.

    Raises InputError when the ledger is damaged.
    """
    return list(_read(ledger_path(run))[0].jobs.values())


def read_ledger(run: Path) -> Recorded:
    """Return what the ledger of a run says; nothing where it has none.

    Raises InputError when it is damaged, or the folder is a copy of one whose jobs may still be at work.
    """
    recorded, _ = _read(ledger_path(run))
    if recorded.live and _is_copy(recorded, run):
        rule = f"{run} must be the folder that its jobs were submitted from (it is a copy)"
        msg = f"{rule}; name that one, or remove {run / JOBS}: the copy goes on without them"
        raise InputError(msg)
    return recorded


def _is_copy(recorded: Recorded, run: Path) -> bool:
    return recorded.inode != (run / JOBS).stat().st_ino


@dataclass
class Recorded:
    """What the lines of a ledger add up to.

    Arguments:
        name: of the folder; "" where there is no ledger.
        jobs: stem -> job, in the order of their submission.
        batches: name -> batch.
        queued: units that still waited for a job when the last one was submitted.
        inode: number of the folder of the jobs, which stays when that is renamed and not when it is copied.
    """

    name: str = ""
    jobs: dict[str, Job] = field(default_factory=dict)
    batches: dict[str, Batch] = field(default_factory=dict)
    queued: int = 0
    inode: int = 0

    @property
    def live(self) -> list[Job]:
        """Return the jobs that may still be in the batch system."""
        return [job for job in self.jobs.values() if job.live]


class Ledger:
    """The ledger of a run, for the one process that submits.

    Arguments:
        run: folder of the run; the ledger is made in it, or gone on with.

    Raises InputError when it is damaged, or `run` is a copy of a folder whose jobs may still be at work; BusyError when
    another process submits jobs of this folder.
    """

    def __init__(self, run: Path) -> None:
        path = ledger_path(run)
        path.parent.mkdir(parents=True, exist_ok=True)
        read_ledger(run)  # refuses copies
        self._stream = path.open("ab")
        _lock(self._stream, run)
        self._state, half = _read(path)
        if half is not None:
            self._stream.truncate(half)
        if not self.name or _is_copy(self._state, run):
            self._write(folder=uuid.uuid4().hex[:12], inode=path.parent.stat().st_ino)
        if is_cancelled(run):
            for job in self.live:
                self.end(job.stem, "removed", "by townsend cancel", _UNKNOWN, _UNKNOWN)
            (run / JOBS / CANCELLED).unlink()

    @property
    def name(self) -> str:
        """Return the name of the folder, which its jobs carry in the batch system."""
        return self._state.name

    @property
    def jobs(self) -> Mapping[str, Job]:
        """Return all jobs so far by their stems, in the order of their submission."""
        return self._state.jobs

    @property
    def live(self) -> list[Job]:
        """Return the jobs that may still be in the batch system."""
        return self._state.live

    @property
    def uncertain(self) -> list[Batch]:
        """Return the batches of which it is not known whether they were submitted."""
        unnumbered = {stem for stem, job in self.jobs.items() if job.live and not job.id}
        return [batch for batch in self._state.batches.values() if not unnumbered.isdisjoint(batch.stems)]

    def intend(self, request: Request, units: Sequence[str], queued: int = 0) -> Batch:
        """Write down that jobs are about to be submitted, one a unit, and how many units then still wait for one."""
        name = f"{len(self._state.batches):04d}"
        self._write(intend=name, units=list(units), request=request.to_json(), queued=queued, time=time.time())
        return self._state.batches[name]

    def submitted(self, batch: Batch, ids: Sequence[str] | None) -> None:
        """Write down the numbers that a batch has got; None when it was not submitted after all.

        Raises InputError when they are not one for each of its jobs.
        """
        if ids is not None and (len(ids) != batch.jobs or not all(map(_ID.fullmatch, ids))):
            said = printable(" ".join(ids))[:200]
            msg = f"the batch system must give each of {batch.jobs} jobs a number (it gave: {said}); mend its programs"
            raise InputError(msg)
        self._write(submitted=batch.name, ids=None if ids is None else list(ids), time=time.time())

    def end(self, stem: str, how: str, detail: str, measured: Usage, told: Usage) -> None:
        """Write down that a job is over."""
        numbers = {"measured": measured.to_json(), "told": told.to_json()}
        self._write(end=stem, how=how, detail=detail[:_LONGEST_DETAIL], **numbers, time=time.time())

    def close(self) -> None:
        """Close the file."""
        self._stream.close()

    def _write(self, **entry: Any) -> None:
        """Add a line, and what the next process will make of it."""
        line = json.dumps(entry).encode()
        _replay(self._state, json.loads(line))
        self._stream.write(line + b"\n")
        self._stream.flush()
        os.fsync(self._stream.fileno())


def _lock(stream: BinaryIO, run: Path) -> None:
    """Keep others from submitting jobs of this folder, until the file is closed or this process dies."""
    try:
        fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        stream.close()
        msg = f"the jobs of {run} must have one process that submits them (another one does); let that one finish"
        raise BusyError(msg) from None
    except OSError as error:  # a disk without locks; sweeps and reconstructions have their lease besides
        log.warning("%s cannot be locked (%s)", stream.name, error)


def _read(path: Path) -> tuple[Recorded, int | None]:
    """Return what a ledger says, and where half a line begins, whose process died at it; None where all are whole."""
    state, whole = Recorded(), 0
    if not path.exists():
        return state, None
    with path.open("rb") as stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.endswith(b"\n"):
                return state, whole
            try:
                _replay(state, json.loads(raw))
            except (LookupError, TypeError, ValueError, AttributeError, OverflowError, RecursionError):
                rule = f"line {number} of {path} must be as townsend wrote it (it was edited or damaged)"
                msg = f"{rule}; restore the file, or remove its folder once none of its jobs runs any more"
                raise InputError(msg) from None
            whole += len(raw)
    return state, None


def _replay(state: Recorded, entry: Mapping[str, Any]) -> None:
    if "folder" in entry:
        state.name, state.inode = _checked(_NAME, entry["folder"]), int(entry["inode"])
    elif "intend" in entry:
        batch = Batch(_checked(_BATCH, entry["intend"]), len(entry["units"]), Request.from_json(entry["request"]))
        state.batches[batch.name], state.queued = batch, int(entry["queued"])
        for stem, unit in zip(batch.stems, entry["units"], strict=True):
            state.jobs[stem] = Job(stem, str(unit), batch.request)
    elif "submitted" in entry:
        _number(state.jobs, state.batches[entry["submitted"]], entry["ids"], float(entry["time"]))
    else:
        told, measured = (Usage.from_json(entry[name]) for name in ("told", "measured"))
        job, how, detail = state.jobs[entry["end"]], str(entry["how"]), str(entry["detail"])
        ended = replace(job, how=how, detail=detail, measured=measured, told=told, ended_s=float(entry["time"]))
        state.jobs[job.stem] = ended


def _number(jobs: dict[str, Job], batch: Batch, ids: Sequence[str] | None, now: float) -> None:
    if ids is None:
        for stem in batch.stems:
            jobs[stem] = replace(jobs[stem], id="-", how=_NOT_SUBMITTED, submitted_s=now, ended_s=now)
        return
    for stem, number in zip(batch.stems, ids, strict=True):
        jobs[stem] = replace(jobs[stem], id=_checked(_ID, number), submitted_s=now)


def _checked(pattern: re.Pattern[str], text: str) -> str:
    """Return a word that may stand on a command line or in an expression of the batch system."""
    if not pattern.fullmatch(text):
        msg = f"must match {pattern.pattern} (got {text!r}); write the ledger anew"
        raise ValueError(msg)
    return text
