"""The engine that a user has asked for.

What to use when
----------------
- `open_engine`: an engine for a folder, ready for work units.
- `open_scheduler`: the batch system of a folder alone, to look at its jobs or remove them.
- `site_of`: where the jobs of a folder were submitted to.
"""

from __future__ import annotations

from pathlib import Path

from townsend.config import dump_yaml, load_yaml, parse
from townsend.engines.base import Engine
from townsend.engines.farm import FarmEngine
from townsend.engines.ledger import JOBS, Ledger, is_cancelled, read_ledger
from townsend.engines.local import LocalEngine
from townsend.engines.scheduler import Scheduler
from townsend.engines.site import Site
from townsend.errors import InputError

__all__ = ["open_engine", "open_scheduler", "site_of"]

_SITE = "site.yaml"


def open_engine(site: Site | None, run: Path, jobs: int, build: Path | None = None) -> Engine:
    """Return an engine, to be used as a context manager.

    Arguments:
        site: where work runs; this machine when None.
        run: folder of the run.
        jobs: processes on this machine, >= 1; a farm does not look at it.
        build: the user's file that builds networks.

    Raises InputError when a batch system is not to be had.
    """
    _check_moved(site, run)
    if site is None:
        return LocalEngine(jobs, run / "logs", ("--build", str(build.absolute())) if build else ())
    ledger = Ledger(run)
    try:
        scheduler = open_scheduler(site, run, ledger.name)
        dump_yaml(site, run / JOBS / _SITE)
        return FarmEngine(scheduler, site, ledger, run, build.absolute() if build else None)
    except BaseException:
        ledger.close()  # the same process may try again
        raise


def site_of(run: Path) -> Site:
    """Return the site whose batch system has the jobs of a folder.

    Raises InputError when the folder has none.
    """
    path = run / JOBS / _SITE
    if not path.is_file():
        msg = f"{run} must have jobs in a batch system (it has none); name the folder of a run with --engine"
        raise InputError(msg)
    return parse(Site, load_yaml(path))


def _check_moved(site: Site | None, run: Path) -> None:
    """Raise InputError when jobs of this folder may still be at work elsewhere."""
    live = [] if is_cancelled(run) else read_ledger(run).live
    if live and (was := site_of(run).engine) != (now := "local" if site is None else site.engine):
        rule = f"{run} must have no jobs elsewhere ({len(live)} may be in {was}, now --engine is {now})"
        msg = f"{rule}; say `townsend cancel`, or go on with --engine {was}"
        raise InputError(msg)


def open_scheduler(site: Site, run: Path, name: str) -> Scheduler:
    """Return the batch system, for the jobs of one folder.

    Arguments:
        site: which one.
        run: folder of the run.
        name: of the folder, see `Ledger`.

    Raises InputError when it is not to be had.
    """
    # Imported here: a Slurm site has no HTCondor, and a laptop has neither.
    if site.engine == "slurm":
        from townsend.engines.slurm import Slurm

        return Slurm(run / JOBS, site, name)
    from townsend.engines.htcondor import HTCondor

    return HTCondor(run / JOBS, site, name)
