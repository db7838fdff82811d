"""The command line of batch systems: the options of commands that can work there, and commands about jobs.

What to use when
----------------
- `EngineName`, `RequestFrom`, `Cpus`, `Memory`, `Hours`, `MaxJobs`: the options; `site_of` takes their values.
- `add_farm_commands`: `engines check`, `status` and `cancel`.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated, Any

import typer

from townsend.errors import InputError
from townsend.terminal import say, show

__all__ = ["Cpus", "EngineName", "Hours", "MaxJobs", "Memory", "RequestFrom", "add_farm_commands", "site_of"]

_WATCHED_S = 10.0

EngineName = Annotated[
    str, typer.Option("--engine", help="Where work runs: local, htcondor, slurm, a shipped site, or your site file.")
]
RequestFrom = Annotated[
    str | None,
    typer.Option(
        "--request", metavar="<auto or folder>", help="Ask for what the jobs of this run, or of another, have used."
    ),
]
Cpus = Annotated[int | None, typer.Option(min=1, help="Processors, and threads, of a job.")]
Memory = Annotated[str | None, typer.Option(help="Memory of a job, such as 5000MB.")]
Hours = Annotated[float | None, typer.Option(help="Wall time of a job.")]
MaxJobs = Annotated[int | None, typer.Option(min=1, help="Jobs queued or running at a time.")]

engines_app = typer.Typer(no_args_is_help=True, help="Batch systems: HTCondor and Slurm.")


def add_farm_commands(app: typer.Typer) -> None:
    """Add the commands to those of townsend."""
    app.add_typer(engines_app, name="engines")
    app.command()(status)
    app.command()(cancel)


def site_of(engine: str, run: Path, request: str | None, *given: Any) -> Any:
    """Return where work runs; what is asked for by name comes before what jobs have used, that before the file's."""
    from townsend.engines.fitting import fitting_request
    from townsend.engines.site import find_site

    if request and engine == "local":
        msg = f"--request is for a batch system (got {request} with --engine local); name one, such as htcondor"
        raise InputError(msg)
    names = ("request_cpus", "request_memory", "max_hours", "max_jobs")
    named = {name: value for name, value in zip(names, given, strict=True) if value is not None}
    used = fitting_request(run if request == "auto" else Path(request)) if request else {}
    return find_site(engine, {**used, **named})


@engines_app.command("check")
def check_engine(
    engine: Annotated[str, typer.Argument(help="htcondor, slurm, a shipped site, or your site file.")],
    folder: Annotated[Path, typer.Option(help="New folder on the disk of your runs.")] = Path("townsend-check"),
    minutes: Annotated[float, typer.Option(min=0.1, help="How long a start is waited for.")] = 10,
) -> None:
    """Run a small job that looks around. Says what is wrong; ends with status 1 when something is."""
    from townsend.api import check_engine as check
    from townsend.engines.site import find_site

    site = find_site(engine)
    if site is None:
        msg = "this machine needs no check (got local); name a batch system: htcondor, slurm, or a site"
        raise InputError(msg)
    findings = check(site, folder, minutes=minutes, say=say)
    for finding in findings:
        say(f"{'ok ' if finding.good else 'BAD'} {finding.what}: {finding.sentence}")
    if not all(finding.good for finding in findings):
        raise typer.Exit(1)


def status(
    run: Annotated[Path, typer.Argument(help="Folder of a run with --engine.")],
    watch: Annotated[bool, typer.Option("--watch", help="Look again every ten seconds until all is done.")] = False,
) -> None:
    """Show what the jobs of a run are doing. Idle, running, held and why, done, and when it may end."""
    from townsend.api import status as look
    from townsend.engines.status import render_status

    while True:
        found = look(run)
        show(render_status(found))
        if not watch or found.over:
            return
        time.sleep(_WATCHED_S)


def cancel(run: Annotated[Path, typer.Argument(help="Folder of a run with --engine.")]) -> None:
    """Remove the jobs of a run from its batch system. No other jobs; what is finished is kept."""
    from townsend.api import cancel as remove

    say(f"{remove(run)} jobs removed; what is finished is kept, the command that began the run goes on with it")
