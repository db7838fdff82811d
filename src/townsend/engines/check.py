"""A small real job that tells whether a batch system can do townsend's work, and what is wrong where it cannot.

What to use when
----------------
- `check_engine`: submit it, wait for it, and return what was found out.
- `facts_of_job`: what the job itself has to say; a worker calls it.
"""

from __future__ import annotations

import os
import platform
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.job_script import SCRATCH
from townsend.engines.ledger import JOBS
from townsend.engines.local import usable_cores
from townsend.engines.request import size_mb
from townsend.engines.site import Site
from townsend.errors import InputError
from townsend.files import write_text

__all__ = ["Finding", "check_engine", "facts_of_job"]

_MARK = "mark.txt"
_POLL_S = 1.0
_MODULES = ("jax", "keras", "numba", "uproot")


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Arguments:
        what: a few words.
        good: whether it is as it must be.
        sentence: what was found, and the remedy where it is not good.
    """

    what: str
    good: bool
    sentence: str


def check_engine(
    site: Site, folder: Path, *, minutes: float = 10, say: Callable[[str], None] = lambda text: None
) -> list[Finding]:
    """Run a job that does nothing but look around.

    Arguments:
        site: batch system.
        folder: new, empty, or left by an earlier check; on the disk where runs will be.
        minutes: how long a start is waited for.
        say: called with what is being waited for.

    Returns the findings, the first bad one last. Raises InputError when the folder holds something.
    """
    if folder.is_dir() and {path.name for path in folder.iterdir()} in (set(), {_MARK}, {_MARK, JOBS}):
        shutil.rmtree(folder)  # empty, or what an earlier check has left
    if folder.exists():
        msg = f"{folder} must be new or empty, as it is removed afterwards; choose another folder"
        raise InputError(msg)
    folder.mkdir(parents=True, exist_ok=True)
    write_text(folder / _MARK, platform.node())
    unit = WorkUnit("check", "look_around", {"mark": platform.node()}, folder.absolute(), inputs=(_MARK,))
    findings: list[Finding] = []
    try:
        with open_engine(site, folder.absolute(), 1) as engine:
            engine.submit(unit)
            say(f"waiting for a job in {site.engine}")
            message = _wait(engine.poll, minutes)
        findings.append(Finding("batch system", good=True, sentence=f"{site.engine} took the job"))
        findings += _findings(message, minutes, site)
    except InputError as error:
        findings.append(Finding("batch system", good=False, sentence=str(error)))
    if all(finding.good for finding in findings):
        shutil.rmtree(folder, ignore_errors=True)
    else:
        findings.append(Finding("logs", good=True, sentence=f"kept in {folder / JOBS}"))
    return findings


def facts_of_job(folder: Path, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a job finds where it runs."""
    scratch = os.environ.get(SCRATCH)
    missing = []
    for module in _MODULES:
        try:
            __import__(module)
        except ImportError as error:
            missing.append(f"{module} ({error})")
    mark = folder / _MARK
    return {
        "host": platform.node(),
        "python": platform.python_version(),
        "townsend": version("townsend"),
        "missing": missing,
        "sees_folder": mark.is_file() and mark.read_text(encoding="utf-8") == arguments["mark"],
        "scratch": scratch or "",
        "scratch_mb": shutil.disk_usage(scratch).free / 1e6 if scratch else 0.0,
        "cores": usable_cores(),
        "threads": os.environ.get("OMP_NUM_THREADS", ""),
    }


def _wait(poll: Callable[[float], list[Message]], minutes: float) -> tuple[Message | None, Mapping[str, Any]]:
    """Return the last message of the job, None when it has not ended in time, and the facts it has told."""
    facts: Mapping[str, Any] = {}
    deadline = time.monotonic() + 60 * minutes
    while time.monotonic() < deadline:
        for message in poll(_POLL_S):
            if message.news.final:
                return message, facts
            facts = message.body
    return None, facts


def _findings(heard: tuple[Message | None, Mapping[str, Any]], minutes: float, site: Site) -> list[Finding]:
    message, facts = heard
    if message is None:
        ask = "condor_q -better-analyze" if site.engine == "htcondor" else "squeue --me --start"
        rule = f"the job must end within {minutes:g} minutes (it has not); `{ask}` says why it waits"
        return [Finding("start", good=False, sentence=f"{rule}: the request may fit no machine")]
    if message.news is not News.DONE:
        return [Finding("job", good=False, sentence=message.detail)]
    ours = version("townsend")
    wanted_mb = size_mb(site.request_disk)
    return [
        Finding("job", good=True, sentence=f"ran on {facts['host']} with Python {facts['python']}"),
        Finding(
            "environment",
            not facts["missing"] and facts["townsend"] == ours,
            f"townsend {facts['townsend']} there, {ours} here"
            + (f"; cannot import {', '.join(facts['missing'])}: install it there" if facts["missing"] else ""),
        ),
        Finding(
            "scratch",
            facts["scratch_mb"] >= wanted_mb,
            f"{facts['scratch_mb']:,.0f} MB free, {wanted_mb:,} MB asked for"
            + ("" if facts["scratch_mb"] >= wanted_mb else "; lower request_disk"),
        ),
        Finding(
            "processors",
            facts["threads"] == str(site.request_cpus),
            f"{facts['threads']} thread(s) on {facts['cores']} cores that the job may use",
        ),
        Finding(
            "files",
            bool(facts["sees_folder"]),
            "its files are there"
            if facts["sees_folder"]
            else "the job must see the folder of the run; set shared_files: false",
        ),
    ]
