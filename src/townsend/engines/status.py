"""What the jobs of a run are doing, and how to end them.

What to use when
----------------
- `status`: counted, with the reasons of what is held and when the run may end; `render_status` prints it.
- `cancel`: remove the jobs of a run, and no other.

Both work from any machine that sees the folder and the batch system, whether or not a process waits for the jobs.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from townsend.engines.base import News
from townsend.engines.engine import open_scheduler, site_of
from townsend.engines.ledger import CANCELLED, JOBS, Job, is_cancelled, read_ledger
from townsend.engines.scheduler import JobNews, State
from townsend.engines.usage import duration
from townsend.errors import printable
from townsend.files import write_text

__all__ = ["Status", "cancel", "render_status", "status"]

_SHOWN = 5


@dataclass(frozen=True)
class Status:
    """What the jobs of a run are doing.

    Arguments:
        engine: batch system.
        queued: units that no job has been submitted for yet.
        live: state -> number of jobs that the batch system has.
        ended: how -> number of jobs that are over.
        held: (job, unit, reason) of jobs that will not run by themselves.
        left_s: seconds until the end if as many jobs run as now; None while nothing is done, 0 when nothing is left.
    """

    engine: str
    queued: int
    live: Mapping[State, int]
    ended: Mapping[str, int]
    held: tuple[tuple[str, str, str], ...]
    left_s: float | None

    @property
    def over(self) -> bool:
        """Whether nothing is left to wait for."""
        return not self.queued and not any(self.live.get(state) for state in (State.IDLE, State.RUNNING))


def status(run: Path) -> Status:
    """Return what the jobs of a run are doing.

    Raises InputError when the folder has no jobs or the batch system does not answer.
    """
    site, recorded = site_of(run), read_ledger(run)
    jobs = list(recorded.jobs.values())
    live = {} if is_cancelled(run) else {job.stem: job for job in recorded.live}
    said: dict[str, JobNews] = {}
    if live:  # else nobody needs to be asked, nor to be there
        heard = open_scheduler(site, run, recorded.name).news({stem: job.id for stem, job in live.items()})
        said = {news.job: news for news in heard}
    states = {stem: said[stem].state if stem in said else State.IDLE for stem in live}
    held = tuple((stem, live[stem].unit, said[stem].detail) for stem, state in states.items() if state is State.HELD)
    queued = recorded.queued if live else 0
    left_s = _left_s(jobs, queued + len(live), sum(state is State.RUNNING for state in states.values()))
    return Status(
        site.engine, queued, Counter(states.values()), Counter(job.how for job in jobs if not job.live), held, left_s
    )


def cancel(run: Path) -> int:
    """Remove all jobs of a run from the batch system; a process that waits for them ends with a sentence.

    Returns how many there were. Raises InputError when the folder has none or the batch system does not answer.
    """
    site, recorded = site_of(run), read_ledger(run)
    live = [] if is_cancelled(run) else recorded.live
    # Another process may be writing to the ledger: whoever opens it next writes down that these jobs are gone.
    write_text(run / JOBS / CANCELLED, "by townsend cancel\n")
    try:
        open_scheduler(site, run, recorded.name).remove_all()
    except BaseException:
        (run / JOBS / CANCELLED).unlink(missing_ok=True)  # they are still there: none may be submitted twice
        raise
    return len(live)


def render_status(found: Status) -> Any:
    """Return a table of a status, for a terminal."""
    from rich.table import Table
    from rich.text import Text

    table = Table(title=f"jobs in {found.engine}", title_justify="left")
    table.add_column("state")
    table.add_column("jobs", justify="right")
    table.add_column("why", overflow="fold")
    if found.queued:
        table.add_row("not yet submitted", str(found.queued), "as many jobs as max_jobs allows are there already")
    for state, number in sorted(found.live.items()):
        reasons = sorted({reason for _, _, reason in found.held})[:_SHOWN] if state is State.HELD else []
        table.add_row(state.value, str(number), Text("\n".join(map(printable, reasons))))  # no markup, no escapes
    for how, number in sorted(found.ended.items()):
        table.add_row(how, str(number), "" if how == News.DONE.value else "planned again, or given up: see the records")
    if found.left_s is not None and not found.over:
        table.caption = f"about {duration(found.left_s)} left if as many jobs run as now"
    return table


def _left_s(jobs: list[Job], left: int, running: int) -> float | None:
    """Return how long what is left takes, if as many jobs run as now and take as long as those that are done."""
    walls = [job.measured.wall_s for job in jobs if job.how == News.DONE.value and job.measured.wall_s]
    if not left:
        return 0.0
    return statistics.median(walls) * math.ceil(left / max(1, running)) if walls else None
