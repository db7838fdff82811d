"""What jobs used beside what they asked for, and the request that would have fitted.

What to use when
----------------
- `used_and_asked`: the table of a run's jobs: processors, memory, disk, time; usage, request, efficiency.
- `misfits`: where a request is far from what was used.
- `fitting_request`: what to ask for next time, for `--request auto`.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from townsend.engines.base import News
from townsend.engines.ledger import Job, read_jobs
from townsend.engines.scheduler import State
from townsend.engines.usage import duration
from townsend.errors import InputError

__all__ = ["Resource", "fitting_request", "misfits", "used_and_asked"]

_HEADROOM = 1.3  # of memory, disk and time above the highest seen
_WASTE = 0.3  # below this share of a request one should ask for less
_TIGHT = 0.9  # above it the next job may not fit
_SMALLEST_MB = 200
_STEP_MB = 100
_STEP_HOURS = 0.25
_CPUS, _DISK = "CPUs", "disk [MB]"


@dataclass(frozen=True)
class Resource:
    """One resource of the jobs of a run.

    Arguments:
        name: with its unit.
        jobs: number of jobs that have measured it.
        median, highest: what a job used; the highest decides what to ask for.
        request: what a job asked for; the largest where jobs asked for different amounts.
    """

    name: str
    jobs: int
    median: float
    highest: float
    request: float

    @property
    def efficiency(self) -> float:
        """Return the share of the request that the median job used."""
        return self.median / self.request


def _used(job: Job, over: State, measured: float | None, asked: float) -> float | None:
    """Return what a job has used: all that it asked for, at least, where it was stopped for want of more."""
    if job.how == over.value:
        return max(measured or 0, asked)
    return measured if job.how == News.DONE.value else None


def _hours(job: Job) -> float | None:
    wall_s = job.measured.wall_s
    return _used(job, State.OVER_TIME, None if wall_s is None else wall_s / 3600, job.request.max_hours)


_RESOURCES: dict[str, tuple[Callable[[Job], float | None], Callable[[Job], float]]] = {
    _CPUS: (lambda job: job.measured.cpus if job.how == News.DONE.value else None, lambda job: job.request.cpus),
    "memory [MB]": (
        lambda job: _used(job, State.OVER_MEMORY, job.measured.memory_mb, job.request.memory_mb),
        lambda job: job.request.memory_mb,
    ),
    _DISK: (
        lambda job: job.measured.disk_mb if job.how == News.DONE.value else None,
        lambda job: job.request.disk_mb,
    ),
    "run time [h]": (_hours, lambda job: job.request.max_hours),
}
_KEYS = {
    _CPUS: "request_cpus",
    "memory [MB]": "request_memory",
    "run time [h]": "max_hours",
}


def used_and_asked(jobs: Sequence[Job]) -> list[Resource]:
    """Return each resource of the jobs that have measured themselves to their end; none when no job has.

    A job that was stopped over its memory or time counts with what it asked for: the next must ask for more.
    """
    found = []
    for name, (used, asked) in _RESOURCES.items():
        values = {job.stem: value for job in jobs if (value := used(job)) is not None}
        if values:
            asks = max(asked(job) for job in jobs if job.stem in values)
            found.append(Resource(name, len(values), statistics.median(values.values()), max(values.values()), asks))
    return found


def misfits(resources: Sequence[Resource]) -> list[str]:
    """Return a sentence for each resource whose request is far from what was used, with one that would fit."""
    return [sentence for one in resources if (sentence := _misfit(one))]


def _misfit(one: Resource) -> str:
    fits, noun = _fitting(one), one.name.partition(" [")[0]
    asked, would_do = (_worded(one.name, value) for value in (one.request, fits))
    if one.name == _CPUS:
        wasted = one.request > fits and one.median < one.request / 2
        return f"{one.request:g} CPUs were asked for and {one.median:.2g} used; {fits:g} would do" if wasted else ""
    highest = duration(3600 * one.highest) if one.name.endswith("[h]") else _worded(one.name, one.highest)
    if one.highest > _TIGHT * one.request:
        return f"{noun}: {highest} of the {asked} asked for were used; ask for {would_do}, or the next job may not fit"
    if one.median < _WASTE * one.request and fits < one.request:
        return f"{noun}: {asked} asked for, {highest} used; {would_do} would do"
    return ""


def _worded(name: str, value: float) -> str:
    return f"{value:g} h" if name.endswith("[h]") else f"{value:,.0f} MB"


def fitting_request(run: Path) -> dict[str, Any]:
    """Return what the jobs of a run should have asked for, as values of a site.

    Arguments:
        run: folder whose jobs have measured themselves.

    Raises InputError when it has none.
    """
    found = used_and_asked(read_jobs(run))
    if not found:
        msg = f"--request needs jobs that have measured themselves ({run} has none); name such a run, or the request"
        raise InputError(msg)
    # Not disk: an environment and inputs that travel lie beside the scratch folder that jobs measure.
    return {_KEYS[one.name]: _as_in_a_site(one) for one in found if one.name != _DISK}


def _as_in_a_site(one: Resource) -> int | float | str:
    fits = _fitting(one)
    if one.name == _CPUS:
        return int(fits)
    return f"{fits:.0f}MB" if one.name.endswith("[MB]") else fits


def _fitting(one: Resource) -> float:
    """Return the highest usage with head room, in steps that people would choose; of processors the median."""
    if one.name == _CPUS:  # a job that finds fewer is slower, no more
        return max(1, math.ceil(round(one.median, 1)))
    wanted = _HEADROOM * one.highest
    if one.name.endswith("[h]"):
        return max(_STEP_HOURS, math.ceil(wanted / _STEP_HOURS) * _STEP_HOURS)
    return float(max(_SMALLEST_MB, math.ceil(wanted / _STEP_MB) * _STEP_MB))
