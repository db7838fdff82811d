"""Two ways to a schedd that do the same.

What to use when
----------------
- `find_queue`: the better one for this pool.
- `CondorBindings`: HTCondor's Python bindings; a pool that is older refuses their jobs.
- `CondorTools`: the pool's own programs condor_submit, condor_rm and condor_q.
- `bindings`: the module itself, which reads event logs of any age.
"""

from __future__ import annotations

import re
import shutil
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Protocol

from townsend.engines.tool import run_tool
from townsend.errors import InputError
from townsend.files import write_text

__all__ = ["BATCH", "CondorBindings", "CondorQueue", "CondorTools", "bindings", "find_queue"]

BATCH = "TownsendBatch"
"""Attribute of a job that names its batch."""

_VERSION = re.compile(r"(\d+)\.(\d+)\.(\d+)")


class CondorQueue(Protocol):
    """A way to the schedd."""

    def submit(self, batch: str, description: str) -> int:
        """Submit a description in the folder of the jobs; return the number of the cluster."""
        ...

    def find(self, batch: str) -> int | None:
        """Return the cluster of a batch of this folder, or None."""
        ...

    def remove(self, ids: Sequence[str] | None) -> None:
        """Remove jobs of this folder, all of them when None."""
        ...


class CondorTools:
    """The pool's own programs.

    Arguments:
        jobs: folder of the jobs.
        name: that the jobs of this folder carry.
    """

    def __init__(self, jobs: Path, name: str) -> None:
        self._jobs, self._name = jobs, name

    def submit(self, batch: str, description: str) -> int:
        """Submit; see `CondorQueue`."""
        write_text(self._jobs / f"{batch}.sub", description)
        said = run_tool(["condor_submit", "-terse", f"{batch}.sub"], self._jobs)
        found = re.match(r"\s*(\d+)\.\d+", said)
        if not found:
            msg = f"condor_submit must say the number of its cluster (it said: {said.strip()[:200]}); mend the pool"
            raise InputError(msg)
        return int(found[1])

    def find(self, batch: str) -> int | None:
        """Return the cluster; see `CondorQueue`."""
        limits = _of_folder(self._name, [f'{BATCH} == "{batch}"'])
        said = run_tool(["condor_q", "-constraint", limits, "-limit", "1", "-af", "ClusterId"])
        said = said or run_tool(["condor_history", "-constraint", limits, "-limit", "1", "-af", "ClusterId"])
        return int(said.split()[0]) if said.split() else None

    def remove(self, ids: Sequence[str] | None) -> None:
        """Remove jobs; see `CondorQueue`."""
        try:
            run_tool(["condor_rm", "-constraint", _of_folder(self._name, [] if ids is None else [_any_of(ids)])])
        except InputError as error:
            if "no jobs" not in str(error).lower() and "couldn't find" not in str(error).lower():
                raise


class CondorBindings:
    """HTCondor's Python bindings.

    Arguments:
        jobs: folder of the jobs.
        name: that the jobs of this folder carry.
    """

    def __init__(self, jobs: Path, name: str) -> None:
        self._jobs, self._name = jobs, name
        with _in_one_sentence("find a schedd"):
            self._schedd = bindings().Schedd()

    def submit(self, batch: str, description: str) -> int:
        """Submit; see `CondorQueue`."""
        write_text(self._jobs / f"{batch}.sub", description)
        submit = bindings().Submit(description)
        # Relative to this process's folder, which is not that of the jobs, unless said otherwise.
        folder = str(self._jobs.absolute()).replace("$", "$(DOLLAR)")
        submit["initialdir"], submit["executable"] = folder, f"{folder}/{submit['executable']}"
        with _in_one_sentence("take the jobs"):
            return int(self._schedd.submit(submit).cluster())

    def find(self, batch: str) -> int | None:
        """Return the cluster; see `CondorQueue`."""
        limits = _of_folder(self._name, [f'{BATCH} == "{batch}"'])
        with _in_one_sentence("be asked"):
            found = list(self._schedd.query(constraint=limits, projection=["ClusterId"], limit=1))
            found = found or list(self._schedd.history(limits, ["ClusterId"], 1))
        return int(found[0]["ClusterId"]) if found else None

    def remove(self, ids: Sequence[str] | None) -> None:
        """Remove jobs; see `CondorQueue`."""
        limits = _of_folder(self._name, [] if ids is None else [_any_of(ids)])
        with _in_one_sentence("remove the jobs"):
            self._schedd.act(bindings().JobAction.Remove, limits, reason="by townsend")


def find_queue(jobs: Path, name: str, way: str = "auto") -> CondorQueue:
    """Return the way to the schedd that fits this pool.

    Arguments:
        jobs: folder of the jobs.
        name: that the jobs of this folder carry.
        way: "bindings", "tools", or "auto" for the bindings where they are as new as the pool.

    Raises InputError when there is none.
    """
    if way != "auto":
        return CondorTools(jobs, name) if way == "tools" else CondorBindings(jobs, name)
    ours = _numbers(bindings().version())
    if shutil.which("condor_version"):
        fits = _numbers(run_tool(["condor_version"])) == ours
        return CondorBindings(jobs, name) if fits else CondorTools(jobs, name)
    return CondorBindings(jobs, name)


@cache
def bindings() -> Any:
    """Return the module htcondor2.

    Raises InputError when it is not installed.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it says so on import when it finds no pool's configuration
            import htcondor2
    except ImportError:
        rule = "HTCondor's Python bindings must be installed to read its event log (htcondor2 is not)"
        msg = f"{rule}; pip install 'townsend[htcondor]'"
        raise InputError(msg) from None
    return htcondor2


@contextmanager
def _in_one_sentence(what: str) -> Iterator[None]:
    """Turn what the bindings raise into one sentence."""
    try:
        yield
    except bindings().HTCondorException as error:
        said = " ".join(str(error).split())
        msg = f"HTCondor must {what} (it said: {said}); say this where jobs are submitted, and see CONDOR_CONFIG"
        raise InputError(msg) from None


def _of_folder(name: str, further: Sequence[str]) -> str:
    """Return the ClassAd expression for jobs of a folder; names and numbers in it are of our own making."""
    return " && ".join([f'JobBatchName == "{name}"', *further])


def _any_of(ids: Sequence[str]) -> str:
    pairs = (number.split(".") for number in ids)
    return f"({' || '.join(f'(ClusterId == {int(cluster)} && ProcId == {int(proc)})' for cluster, proc in pairs)})"


def _numbers(text: str) -> tuple[str, ...]:
    found = _VERSION.search(text)
    return found.groups() if found else ()
