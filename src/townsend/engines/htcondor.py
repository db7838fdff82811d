"""HTCondor: a batch is a cluster of jobs, and what becomes of them is read from the event log, not asked of the schedd.

What to use when
----------------
- `HTCondor`: the jobs of one folder.

Submitting and removing go through HTCondor's Python bindings where these are as new as the pool, else through the
pool's own programs, which always fit.
"""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from townsend.engines.condor_queue import BATCH, CondorQueue, bindings, find_queue
from townsend.engines.job_script import RETURNED, SCRIPT
from townsend.engines.scheduler import Batch, JobNews, State
from townsend.engines.site import Site
from townsend.engines.usage import Usage
from townsend.errors import InputError, printable

__all__ = ["EVENTS", "HTCondor"]

log = logging.getLogger(__name__)

EVENTS = "htcondor.log"
"""Event log of all jobs of a folder, in the folder of the jobs."""

_MOST_TORN = 100  # events of one look that cannot be read
_POLICY_CODES = (3, 21, 26)  # of the job, of the machine, of the pool; reasons of others hold names of files
_MEMORY_CODES = (21, 34)  # a policy's, and that of control groups; 21 is also the time of a policy
_TIME_CODES = (46, 47)  # allowed_job_duration, allowed_execute_duration
_MEMORY = re.compile(r"memory", re.IGNORECASE)
_TIME = re.compile(r"run ?time|wall ?time|time limit|duration", re.IGNORECASE)

_DESCRIPTION = """\
universe = vanilla
executable = {script}
arguments = {batch}-$(Process)
output = {batch}-$(Process).out
error = {batch}-$(Process).err
log = {events}
request_cpus = {cpus}
request_memory = {memory_mib}
request_disk = {disk_kib}
allowed_execute_duration = {seconds}
job_lease_duration = {lease_s}
batch_name = {name}
notification = never
My.{mark} = "{batch}"
{further}
{queue}
"""
_SHARED = """\
should_transfer_files = NO"""
_TRAVELLING = """\
should_transfer_files = YES
when_to_transfer_output = ON_EXIT_OR_EVICT
transfer_input_files = $(travelling)
transfer_output_files = {batch}-$(Process){returned}
stream_output = True
stream_error = True"""


class HTCondor:
    """The jobs of one folder; see `townsend.engines.scheduler.Scheduler`.

    Arguments:
        jobs: folder of the jobs.
        site: what is asked for.
        name: of the folder, which all its jobs carry.
        queue: the schedd; the best way to it when None.

    Raises InputError when HTCondor's Python bindings are not installed, or there is no schedd.
    """

    def __init__(self, jobs: Path, site: Site, name: str, queue: CondorQueue | None = None) -> None:
        self._jobs, self._site, self._name = jobs, site, f"townsend-{name}"
        if not str(jobs).isprintable():
            shown = printable(str(jobs.parent))
            msg = f"HTCondor takes no folder with a line break or another control character in its name (got {shown})"
            raise InputError(msg + "; rename it")
        bindings()  # whatever the jobs are submitted with, these read the log
        self._queue = queue or find_queue(jobs, self._name, site.htcondor.submit_with)
        self._log: Any = None
        self._stems: dict[str, str] = {}
        self.queries = 0

    def submit(self, batch: Batch) -> list[str]:
        """Submit a batch as one cluster."""
        cluster = self._queue.submit(batch.name, self._description(batch))
        return [f"{cluster}.{number}" for number in range(batch.jobs)]

    def find(self, batch: Batch) -> list[str] | None:
        """Return the numbers of a batch by the mark that its jobs carry."""
        self.queries += 1
        cluster = self._queue.find(batch.name)
        return None if cluster is None else [f"{cluster}.{number}" for number in range(batch.jobs)]

    def news(self, ids: Mapping[str, str]) -> list[JobNews]:
        """Read what has been added to the event log."""
        self._stems |= {number: job for job, number in ids.items()}
        if self._log is None:
            if not (self._jobs / EVENTS).exists():
                return []
            self._log = bindings().JobEventLog(str(self._jobs / EVENTS))
        news = []
        for event in self._events():
            job = self._stems.get(f"{event.cluster}.{event.proc}")
            if job is not None and (one := _news(job, event)) is not None:
                news.append(one)
        return news

    def _events(self) -> Iterator[Any]:
        """Yield what has been added to the event log; what cannot be read of it is passed over."""
        for _ in range(_MOST_TORN):
            try:
                yield from self._log.events(stop_after=0)
            except bindings().HTCondorException as error:  # torn when a machine went down; the next can be read
                log.warning("an event in %s cannot be read (%s)", self._jobs / EVENTS, error)
            else:
                return

    def remove(self, ids: Sequence[str]) -> None:
        """Remove jobs."""
        if ids:
            self._queue.remove(ids)

    def remove_all(self) -> None:
        """Remove all jobs of this folder."""
        self._queue.remove(None)

    def _description(self, batch: Batch) -> str:
        given, request = self._site.htcondor, batch.request
        seconds = max(1, round(3600 * request.max_hours))
        further = {
            "accounting_group": given.accounting_group,
            **({f"My.{given.time_attribute}": seconds} if given.time_attribute else {}),
        }
        files = [_TRAVELLING.format(batch=batch.name, returned=RETURNED) if batch.files else _SHARED]
        items = "\n".join(", ".join(names) for names in batch.files)
        return _DESCRIPTION.format(
            script=SCRIPT,
            batch=batch.name,
            events=EVENTS,
            cpus=request.cpus,
            memory_mib=math.ceil(request.memory_mb * 1e6 / 1024**2),
            disk_kib=math.ceil(request.disk_mb * 1e6 / 1024),
            seconds=seconds,
            lease_s=max(1, round(60 * given.lease_minutes)),
            name=self._name,
            mark=BATCH,
            further="\n".join([*files, *(f"{key} = {value}" for key, value in further.items() if value is not None)]),
            queue=f"queue travelling from (\n{items}\n)" if batch.files else f"queue {batch.jobs}",
        )


def _news(job: str, event: Any) -> JobNews | None:
    """Return what an event means for a job; None when it changes nothing."""
    kinds = bindings().JobEventType
    try:
        kind = event.type
    except ValueError:  # only a newer pool knows it
        return None
    if kind in (kinds.SUBMIT, kinds.JOB_EVICTED, kinds.JOB_RELEASED, kinds.JOB_RECONNECT_FAILED):
        return JobNews(job, State.IDLE)
    if kind == kinds.EXECUTE:
        return JobNews(job, State.RUNNING)
    if kind == kinds.JOB_HELD:
        reason = str(event.get("HoldReason", "no reason given"))
        return JobNews(job, _held(int(event.get("HoldReasonCode", 0)), reason), reason)
    if kind == kinds.JOB_ABORTED:
        reason = str(event.get("Reason", "no reason given"))
        return JobNews(job, State.OVER_TIME if _TIME.search(reason) else State.REMOVED, reason)
    if kind == kinds.JOB_TERMINATED:
        normal = event.get("TerminatedNormally", True)
        detail = f"status {event.get('ReturnValue')}" if normal else f"signal {event.get('TerminatedBySignal')}"
        return JobNews(job, State.ENDED, detail, _usage(event))
    return None


def _held(code: int, reason: str) -> State:
    if code in _TIME_CODES:
        return State.OVER_TIME
    if code in _MEMORY_CODES and _MEMORY.search(reason):
        return State.OVER_MEMORY
    return State.OVER_TIME if code in _POLICY_CODES and _TIME.search(reason) else State.HELD


def _usage(event: Any) -> Usage:
    """Return the numbers of a job that has ended; processors of 0 mean that nobody has looked in time."""
    wall_s, cpus = event.get("TimeExecuteUsage"), event.get("CpusUsage")
    disk_kb = event.get("DiskUsage")
    return Usage(
        wall_s=None if wall_s is None else float(wall_s),
        cpu_s=float(cpus) * float(wall_s) if cpus and wall_s else None,
        memory_mb=None if event.get("MemoryUsage") is None else float(event["MemoryUsage"]) * 1024**2 / 1e6,
        disk_mb=None if disk_kb is None else float(disk_kb) * 1024 / 1e6,
    )
