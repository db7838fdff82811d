"""What a run took of the machines beside what its jobs asked for, in the units that people choose.

What to use when
----------------
- `render_resources`: below a board, for a terminal.
- `job_part`: the same on a page, for any folder whose work ran as jobs.
- `sweep_part`: on a page, for a sweep, whose records are there where it had no jobs.

Jobs measure themselves; beside it stands what the batch system has measured, where it says so. A sweep's best
configuration has a table of its own: what its training took, and what the job took that trained it among others.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

from townsend.engines.base import News
from townsend.engines.fitting import Resource, fitting_request, misfits, used_and_asked
from townsend.engines.ledger import Job, read_jobs
from townsend.engines.request import Request
from townsend.engines.usage import Usage, duration
from townsend.errors import printable
from townsend.evaluate.verdict import Verdict
from townsend.report.markup import Markup, data_table, join, tag, verdict_list
from townsend.sweep.board import Board
from townsend.sweep.board_table import verdict_line
from townsend.training.record_file import BracketRecord, read_bracket_record
from townsend.training.records import FitRecord

if TYPE_CHECKING:
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

__all__ = ["job_part", "render_resources", "sweep_part"]

_NOTHING = "-"
_NOT_SAMPLED = "not sampled"  # the batch system looks at processors now and then: not at all in a short job
_NOT_OVER = "queued or running"
_CPUS = "CPUs"


@dataclass(frozen=True)
class _Grid:
    """A table in words: caption, header, rows."""

    caption: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class _Measure:
    """How one resource is read and said.

    Arguments:
        name: as in `townsend.engines.fitting`.
        of: its amount in a usage; request: in a request; run time in hours.
        said: an amount in words; asked: what was asked for.
    """

    name: str
    of: Callable[[Usage], float | None]
    request: Callable[[Request], float]
    said: Callable[[float], str]
    asked: Callable[[float], str]

    @property
    def noun(self) -> str:
        """Return the name without its unit, which stands with each amount."""
        return self.name.partition(" [")[0]

    def worded(self, usage: Usage) -> str:
        """Return an amount in words, "-" where it is not known."""
        value = self.of(usage)
        return _NOTHING if value is None else self.said(value)


def _megabytes(value: float) -> str:
    return f"{value:,.0f} MB" if value >= 10 else f"{value:.1f} MB"


def _hours(usage: Usage) -> float | None:
    return None if usage.wall_s is None else usage.wall_s / 3600


_MEASURES = (
    _Measure(_CPUS, lambda used: used.cpus, lambda asked: asked.cpus, "{:.2f}".format, "{:g}".format),
    _Measure("memory [MB]", lambda used: used.memory_mb, lambda asked: asked.memory_mb, _megabytes, _megabytes),
    _Measure("disk [MB]", lambda used: used.disk_mb, lambda asked: asked.disk_mb, _megabytes, _megabytes),
    _Measure(
        "run time [h]",
        _hours,
        lambda asked: asked.max_hours,
        lambda hours: duration(3600 * hours),
        "{:g} h a job".format,
    ),
)


def render_resources(run: Path, best: FitRecord | None = None) -> Group | None:
    """Return what the jobs of a run took, for a terminal; None where it had none.

    Arguments:
        run: folder of a sweep, or of any other work that ran as jobs.
        best: row of the leading configuration, which gets a table of its own.

    Raises InputError when the ledger, or a record, is damaged.
    """
    from rich.console import Group

    jobs = read_jobs(run)
    if not jobs:
        return None
    grids = [*_job_grids(run, jobs), *_best_grids(run, jobs, best)]
    lines = [verdict_line(verdict.ok, verdict.sentence) for verdict in _verdicts(run, jobs)]
    return Group(*lines, *(part for grid in grids for part in _caption_and_table(grid)))


def job_part(folder: Path) -> Markup:
    """Return what the jobs of a folder took, for a page; nothing where it had none.

    Raises InputError when the ledger is damaged.
    """
    jobs = read_jobs(folder)
    return _part(folder, jobs, _job_grids(folder, jobs)) if jobs else join()


def sweep_part(run: Path, board: Board) -> Markup:
    """Return what a sweep took, for a page: its jobs, else its trainings by their own records.

    Raises InputError when the ledger, or a record, is damaged.
    """
    jobs = read_jobs(run)
    if not jobs:
        return join(*map(_figure, _record_grids(board)))
    return _part(run, jobs, [*_job_grids(run, jobs), *_best_grids(run, jobs, board.best)])


def _part(folder: Path, jobs: Sequence[Job], grids: Sequence[_Grid]) -> Markup:
    title = tag("h3", f"What the jobs of {folder.resolve().name} took")
    return join(title, verdict_list(_verdicts(folder, jobs)), *map(_figure, grids))


# ---- what is said


def _verdicts(run: Path, jobs: Sequence[Job]) -> list[Verdict]:
    """Return how the jobs ended, and whether they asked for what they needed."""
    ends = Counter(job.how or _NOT_OVER for job in jobs)
    parts = ", ".join(f"{number} {printable(how)}" for how, number in sorted(ends.items(), key=_done_first))
    named = f"{len(jobs)} {'job' if len(jobs) == 1 else 'jobs'}"
    said = [Verdict(set(ends) <= {News.DONE.value}, f"{named}: {parts}")]
    resources = used_and_asked(jobs)
    if not resources:
        return [*said, Verdict(False, "no job has measured itself to its end; look again when some are done")]
    wrong = misfits(resources)
    if not wrong:
        return [*said, Verdict(True, "what was asked for fits: nothing was short, nothing mostly unused")]
    fitting = ", ".join(f"{key} {value}" for key, value in fitting_request(run).items())
    return [*said, *(Verdict(False, one) for one in wrong), Verdict(False, f"--request auto asks for {fitting}")]


def _done_first(end: tuple[str, int]) -> tuple[bool, bool, str]:
    return end[0] != News.DONE.value, end[0] == _NOT_OVER, end[0]


def _job_grids(run: Path, jobs: Sequence[Job]) -> list[_Grid]:
    """Return the table of all jobs that have measured themselves; none where none has."""
    found = {one.name: one for one in used_and_asked(jobs)}
    if not found:
        return []
    told = [job.told for job in jobs if job.how == News.DONE.value and _known(job.told)]
    header = ("", "jobs", "median", "highest", "request", "efficiency")
    further = ("batch system: median", "batch system: highest") if told else ()
    rows = [
        (*_job_row(measure, found[measure.name]), *(_told(measure, told) if told else ()))
        for measure in _MEASURES
        if measure.name in found
    ]
    caption = f"{run.resolve().name}: what a job used and asked for; efficiency is the median's share of the request"
    return [_Grid(printable(caption), (*header, *further), tuple(rows))]


def _job_row(measure: _Measure, one: Resource) -> tuple[str, ...]:
    amounts = measure.said(one.median), measure.said(one.highest), measure.asked(one.request)
    return measure.noun, str(one.jobs), *amounts, f"{100 * one.efficiency:.0f} %"


def _told(measure: _Measure, told: Sequence[Usage]) -> tuple[str, str]:
    """Return median and highest by the batch system."""
    values = [value for usage in told if (value := measure.of(usage)) is not None]
    if not values:
        nothing = _NOT_SAMPLED if measure.name == _CPUS else _NOTHING
        return nothing, nothing
    return measure.said(median(values)), measure.said(max(values))


def _best_grids(run: Path, jobs: Sequence[Job], best: FitRecord | None) -> list[_Grid]:
    """Return the table of the leading configuration beside the job that trained it; none where there is none."""
    bracket = None if best is None else _bracket_of(run, best.trial)
    if best is None or bracket is None:
        return []
    own = [job for job in jobs if job.unit == f"bracket {bracket.bracket}"]  # as the coordinator names its units
    if not own:
        return []
    job = next((job for job in own if job.how == News.DONE.value), own[-1])
    trials = len({fit.trial for fit in bracket.fits})
    trained = f"{trials} configurations" if trials > 1 else "it alone"
    restarts = f", after {len(own) - 1} that did not end" if len(own) > 1 else ""
    host = f" on {job.measured.host}" if job.measured.host else ""
    caption = f"trial {best.trial}, the best, and its job {job.stem}{host}, which trained {trained}{restarts}"
    header = ("", f"trial {best.trial}", "its job", *(("batch system",) if _known(job.told) else ()), "request")
    rows = [_best_row(measure, best, job) for measure in _MEASURES]
    return [_Grid(printable(caption), header, tuple(rows))]


def _known(told: Usage) -> bool:
    """Return whether the batch system has measured anything."""
    return replace(told, host="") != Usage()


def _best_row(measure: _Measure, best: FitRecord, job: Job) -> tuple[str, ...]:
    amounts = [measure.worded(_of_record(best)), measure.worded(job.measured)]
    if _known(job.told):
        said = measure.worded(job.told)
        amounts.append(_NOT_SAMPLED if measure.name == _CPUS and said == _NOTHING else said)
    return measure.noun, *amounts, measure.asked(measure.request(job.request))


def _of_record(row: FitRecord) -> Usage:
    """Return what a configuration's trainings took; 0 in a record means that nobody has measured it."""
    return Usage(wall_s=row.wall_s or None, cpu_s=row.cpu_s or None, memory_mb=row.peak_memory_mb or None)


def _bracket_of(run: Path, trial: int) -> BracketRecord | None:
    """Return the record of the bracket in which a configuration was trained."""
    for path in sorted((run / "records").glob("[0-9]*.json")):
        record = read_bracket_record(run, int(path.stem), arrays=False)
        if any(fit.trial == trial for fit in record.fits):
            return record
    return None


def _record_grids(board: Board) -> list[_Grid]:
    """Return the table of all configurations by their records; none where no record has measured anything."""
    used = [_of_record(row) for row in board.rows]
    best = board.best
    rows = []
    for measure in _MEASURES:
        values = [value for usage in used if (value := measure.of(usage)) is not None]
        if values:
            own = () if best is None else (measure.worded(_of_record(best)),)
            rows.append((measure.noun, str(len(values)), measure.said(median(values)), measure.said(max(values)), *own))
    header = ("", "configurations", "median", "highest", *(() if best is None else (f"trial {best.trial}, the best",)))
    caption = f"{board.source}: what training one configuration took, by its own record"
    return [_Grid(printable(caption), header, tuple(rows))] if rows else []


# ---- how it is shown


def _figure(grid: _Grid) -> Markup:
    return data_table(grid.header, grid.rows, grid.caption)


def _caption_and_table(grid: _Grid) -> tuple[Text, Table]:
    """Return a table for a terminal, its caption apart: as a title it would be no wider than the table."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, collapse_padding=True, pad_edge=False)
    for number, name in enumerate(grid.header):
        table.add_column(Text(name.replace(": ", ":\n")), justify="right" if number else "left", vertical="bottom")
    for row in grid.rows:
        table.add_row(*map(Text, row))
    return Text(grid.caption, style="italic"), table
