"""Where jobs run and how: what a site file says, closed, so that no other line reaches a submit file.

What to use when
----------------
- `find_site`: the site that `--engine NAME` names, with what the command line asks for; None for this machine.
- `shipped_sites`: names of the files that come with townsend.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field, model_validator

from townsend.config import Closed, Document, load_yaml, parse
from townsend.engines.request import Request, Size, size_mb
from townsend.errors import InputError, did_you_mean

__all__ = ["HTCondorSettings", "Site", "SlurmSettings", "find_site", "shipped_sites"]

LOCAL = "local"


def _only(pattern: str, rule: str) -> AfterValidator:
    """Return what refuses any text that could be more than a name in a submit file or on a command line."""

    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(rule)  # who reads settings adds the value
        return text

    return AfterValidator(check)


_NAME = "must be made of letters, digits and _ . : @ & | / - and begin with a letter, digit or _"
Name = Annotated[str, _only(r"[A-Za-z0-9_][A-Za-z0-9_.:@&|/-]{0,199}", _NAME)]
_ATTRIBUTE = "must be the name of an attribute: letters, digits and _, a letter first"
Attribute = Annotated[str, _only(r"[A-Za-z][A-Za-z0-9_]{0,63}", _ATTRIBUTE)]
_PROGRAM = "must be the absolute path of an interpreter, without control characters"
Program = Annotated[str, _only(r"/[^\x00-\x1f\x7f]+", _PROGRAM)]


class HTCondorSettings(Closed):
    """What some HTCondor pools want besides."""

    accounting_group: Name | None = Field(None, description="group that the jobs are charged to")
    time_attribute: Attribute | None = Field(
        None, description="attribute in which this pool reads the run time of a job in seconds, such as MaxRuntime"
    )
    submit_with: Literal["auto", "bindings", "tools"] = Field(
        "auto",
        description="HTCondor's Python bindings, or the pool's own condor_submit; auto: the bindings where they fit",
    )
    lease_minutes: float = Field(
        20, gt=0, le=1440, description="how long a machine that has fallen silent is waited for"
    )


class SlurmSettings(Closed):
    """What some Slurm clusters want besides."""

    partition: Name | None = Field(None, description="partition; the cluster's default when null")
    account: Name | None = Field(None, description="account that the jobs are charged to")
    qos: Name | None = Field(None, description="quality of service")
    constraint: Name | None = Field(None, description="features that a node must have")
    query_seconds: float = Field(
        30, ge=1, le=3600, description="how often squeue is asked; what jobs do is read from their files at once"
    )


class Site(Closed):
    """A batch system, and what a job asks of it."""

    engine: Literal["htcondor", "slurm"] = Field(description="batch system")
    shared_files: bool = Field(
        True, description="whether the jobs see the run's folder; false: files travel with the jobs (htcondor)"
    )
    environment: Literal["shared", "packed"] = Field(
        "shared", description="shared: the jobs see townsend's environment; packed: it travels to the run's folder"
    )
    packages: list[Name] = Field(
        default_factory=list, description="what a packed environment takes along besides, such as torch and skorch"
    )
    python: Program | None = Field(
        None,
        description="interpreter on the jobs' machines; null: shared, the one that runs now; packed, python3.X",
    )
    request_cpus: int = Field(1, ge=1, le=512, description="processors, and threads, of a job")
    request_memory: Size = Field("2000MB", description="memory of a job")
    request_disk: Size = Field("2000MB", description="scratch disk of a job")
    max_memory: Size = Field("16GB", description="most that is asked for when a job's memory did not suffice")
    max_hours: float = Field(2, gt=0, le=8760, description="wall time of a job; what it leaves goes on in the next")
    max_jobs: int = Field(200, ge=1, le=100_000, description="jobs queued or running at a time")
    htcondor: HTCondorSettings = Field(HTCondorSettings(), description="for htcondor")
    slurm: SlurmSettings = Field(SlurmSettings(), description="for slurm")

    @model_validator(mode="after")
    def _can_travel(self) -> Site:
        if self.engine == "slurm" and not self.shared_files:
            msg = "shared_files: false is for htcondor (got slurm, which sends no files); run on a disk that nodes see"
            raise ValueError(msg)
        return self

    @property
    def request(self) -> Request:
        """Return what a job asks for at first."""
        return Request(self.request_cpus, size_mb(self.request_memory), size_mb(self.request_disk), self.max_hours)


def shipped_sites() -> dict[str, Path]:
    """Return name -> path of the site files that come with townsend."""
    return {path.stem: path for path in sorted(Path(str(files(__package__))).glob("sites/*.yaml"))}


def find_site(name: str, overrides: Mapping[str, Any] | None = None) -> Site | None:
    """Return a site.

    Arguments:
        name: "local" for this machine; "htcondor" or "slurm"; the name of a shipped file; or the path of one's own.
        overrides: values that take the place of the file's; those that are None do not.

    Returns None for this machine. Raises InputError when there is no such site or a job of this machine is to ask for
    something, ConfigError on an unknown key or a bad value.
    """
    given = {key: value for key, value in (overrides or {}).items() if value is not None}
    if name == LOCAL:
        if given:
            option = "--" + next(iter(given)).replace("_", "-")
            msg = f"{option} is for a batch system (--engine is {LOCAL}); name one, such as htcondor, or leave it out"
            raise InputError(msg)
        return None
    document = _document(name)
    site = parse(Site, document)
    return parse(Site, {**document.data, **given}) if given else site  # what is wrong with these is not in the file


def _document(name: str) -> Document:
    shipped = shipped_sites()
    if name in shipped:
        return load_yaml(shipped[name])
    if Path(name).suffix in (".yaml", ".yml") and Path(name).is_file():
        return load_yaml(Path(name))
    known = did_you_mean(name, [LOCAL, *shipped])
    msg = f"--engine must be {LOCAL}, a shipped site, or your own site file ending in .yaml (got {name}){known}"
    raise InputError(msg)
