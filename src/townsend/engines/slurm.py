"""Slurm: a batch is a job array; squeue is asked about all jobs of a folder at once, and rarely.

Jobs are not requeued by Slurm: one that was preempted or lost its node is submitted anew, at once, by who waits for it.
"""

from __future__ import annotations

import logging
import math
import re
import shutil
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from townsend.engines.answers import log_end
from townsend.engines.job_script import SCRIPT
from townsend.engines.scheduler import Batch, JobNews, State, stem
from townsend.engines.site import Site
from townsend.engines.tool import run_tool
from townsend.errors import InputError

__all__ = ["Slurm"]

log = logging.getLogger(__name__)

_WARNED_S = 60  # before its time is over a job gets SIGTERM, should it not have ended itself by then
_DIGITS = re.compile(r"[0-9]+")
_MEMORY = re.compile(r"exceeded (?:job )?memory limit|oom[-_ ]kill", re.IGNORECASE)
_STATES = {
    **dict.fromkeys(("PENDING", "CONFIGURING", "REQUEUED", "RESV_DEL_HOLD", "REQUEUE_HOLD"), State.IDLE),
    **dict.fromkeys(
        ("RUNNING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"), State.RUNNING
    ),
    **dict.fromkeys(("COMPLETED", "FAILED"), State.ENDED),
    **dict.fromkeys(("CANCELLED", "NODE_FAIL", "PREEMPTED", "BOOT_FAIL", "REVOKED"), State.REMOVED),
    **dict.fromkeys(("TIMEOUT", "DEADLINE"), State.OVER_TIME),
    "OUT_OF_MEMORY": State.OVER_MEMORY,
}


class Slurm:
    """The jobs of one folder; see `townsend.engines.scheduler.Scheduler`.

    Arguments:
        jobs: folder of the jobs.
        site: what is asked for.
        name: of the folder, which all its jobs carry.

    Raises InputError when Slurm is not installed here.
    """

    def __init__(self, jobs: Path, site: Site, name: str) -> None:
        if shutil.which("sbatch") is None:  # before it is written down that jobs are about to be submitted
            msg = "sbatch must be on the PATH; say this where jobs are submitted, or choose --engine local"
            raise InputError(msg)
        self._jobs, self._site, self._name = jobs, site, f"townsend-{name}"
        self._asked_s = 0.0
        self._seen: dict[str, State] = {}
        self.queries = 0

    def submit(self, batch: Batch) -> list[str]:
        """Submit a batch as one array."""
        array = run_tool(["sbatch", *self._options(batch), SCRIPT, batch.name], self._jobs).strip().partition(";")[0]
        return [f"{array}_{number}" for number in range(batch.jobs)]

    def find(self, batch: Batch) -> list[str] | None:
        """Return the numbers of a batch by the comment that its jobs carry."""
        self.queries += 1
        arrays = {line for line in self._squeue("%F|%k") if line.endswith(f"|{batch.name}")}
        if not arrays:
            return None
        array = arrays.pop().partition("|")[0]
        return [f"{array}_{number}" for number in range(batch.jobs)]

    def news(self, ids: Mapping[str, str]) -> list[JobNews]:
        """Ask squeue, unless it was asked a short while ago."""
        now, first = time.monotonic(), not self._asked_s
        if not ids or (self._asked_s and now - self._asked_s < self._site.slurm.query_seconds):
            return []
        self._asked_s = now
        self.queries += 1
        try:
            lines = self._squeue("%k|%K|%T|%r|%M")
        except InputError as error:
            if first:
                raise
            # A controller that is busy or restarts is asked again.
            log.warning("%s", error)
            return []
        found = {stem(words[0], int(words[1])): words[2:] for line in lines if (words := _words(line))}
        news = [self._news(job, *found[job]) if job in found else _gone(job) for job in ids]
        fresh = [one for one in news if self._seen.get(one.job) is not one.state]
        self._seen = {one.job: one.state for one in news}
        return fresh

    def remove(self, ids: Sequence[str]) -> None:
        """Cancel jobs."""
        if ids:
            run_tool(["scancel", "--quiet", *ids])

    def remove_all(self) -> None:
        """Cancel all jobs of this folder."""
        run_tool(["scancel", "--quiet", "--me", f"--name={self._name}"])

    def _options(self, batch: Batch) -> list[str]:
        minutes = math.ceil(60 * batch.request.max_hours)
        given = self._site.slurm
        chosen = {
            "partition": given.partition,
            "account": given.account,
            "qos": given.qos,
            "constraint": given.constraint,
        }
        return [
            "--parsable",
            f"--array=0-{batch.jobs - 1}",
            f"--job-name={self._name}",
            f"--comment={batch.name}",
            f"--output={batch.name}-%a.out",
            f"--error={batch.name}-%a.err",
            f"--cpus-per-task={batch.request.cpus}",
            f"--mem={math.ceil(batch.request.memory_mb * 1e6 / 1024)}K",
            f"--time={minutes}",
            f"--signal=B:TERM@{min(_WARNED_S, 60 * minutes // 20)}",
            "--nodes=1",
            "--ntasks=1",
            "--no-requeue",
            "--export=NONE",
            *(f"--{option}={value}" for option, value in chosen.items() if value is not None),
        ]

    def _squeue(self, form: str) -> list[str]:
        words = ["squeue", "--noheader", "--me", "--array", "--states=all", f"--name={self._name}", f"--format={form}"]
        return run_tool(words).splitlines()

    def _news(self, job: str, state: str, reason: str, elapsed: str) -> JobNews:
        found = _STATES.get(state, State.RUNNING)
        detail = f"{state}, {reason}" if reason not in ("None", "") else state
        log_file = self._jobs / f"{job}.err"
        if found is State.IDLE and "held" in reason.lower():
            found = State.HELD
        if found.over and _MEMORY.search(log_end(log_file, 2000)):
            found = State.OVER_MEMORY
        return JobNews(job, found, f"{detail} after {elapsed}" if found.over else detail)


def _words(line: str) -> list[str] | None:
    words = line.split("|")
    return words if len(words) == 5 and all(map(_DIGITS.fullmatch, words[:2])) else None


def _gone(job: str) -> JobNews:
    """Return the news of a job that Slurm has forgotten, as it does some minutes after the end."""
    return JobNews(job, State.ENDED, "Slurm no longer knows it")
