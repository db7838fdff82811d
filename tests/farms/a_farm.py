"""A batch system as tests see it: commands that use it, and what may be done to it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from plain_user import as_plain_user
from real_htcondor import HTCondorPool
from real_slurm import SlurmCluster

__all__ = ["Farm", "drive"]

HERE = Path(__file__).parent
COMMAND = """
import signal
signal.signal(signal.SIGINT, signal.default_int_handler)  # which a job in the background would ignore
from townsend.cli import main
main()
"""


@dataclass(frozen=True)
class Farm:
    """A batch system, and commands that use it.

    Arguments:
        name: of its engine.
        system: its daemons.
        site: what a site file says of it, for tests that shall not wait.
        variables: of commands and their jobs, besides.
    """

    name: str
    system: HTCondorPool | SlurmCluster
    site: Mapping[str, Any]
    variables: Mapping[str, str]

    @property
    def environment(self) -> dict[str, str]:
        return {**self.system.environment, **self.variables}

    def write_site(self, folder: Path, **changes: Any) -> Path:
        """Write a site file."""
        path = folder / f"{self.name}-site.yaml"
        path.write_text(yaml.safe_dump({**self.site, **changes}))
        return path

    def start(self, *arguments: object, folder: Path) -> subprocess.Popen[str]:
        """Start a townsend command."""
        words = [*as_plain_user(), sys.executable, "-c", COMMAND, *map(str, arguments)]
        pipe = subprocess.PIPE
        return subprocess.Popen(words, cwd=folder, env=self.environment, stdout=pipe, stderr=pipe, text=True)

    def townsend(self, *arguments: object, folder: Path, status: int = 0, wait_s: float = 280) -> tuple[str, str]:
        """Run a townsend command to its end; return what it printed."""
        process = self.start(*arguments, folder=folder)
        try:
            out, err = process.communicate(timeout=wait_s)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            pytest.fail(f"{arguments} has not ended\n{out}\n{err}")
        assert process.returncode == status, f"{arguments}\n{out}\n{err}"
        return out, err

    def drive(self, run: Path, units: Sequence[Mapping[str, Any]], **changes: Any) -> list[dict[str, Any]]:
        """Let the engine do work units; return its messages."""
        return drive({**self.site, **changes}, run, units, self.environment)

    def remove_by_hand(self, job: str) -> None:
        """Remove a job as a person would."""
        self.system.run(*(("condor_rm", job) if self.name == "htcondor" else ("scancel", job)))

    def left_in_queue(self) -> str:
        """Return what the batch system says of jobs that are not over."""
        if self.name == "htcondor":
            return self.system.run("condor_q", "-allusers", "-af", "ClusterId", "ProcId", "JobStatus").strip()
        return self.system.run("squeue", "-h").strip()

    def lose_node(self, jobs: Sequence[int]) -> None:
        """Kill the machine that runs jobs: its daemons, what watches the jobs, and the jobs; then start it again."""
        if isinstance(self.system, HTCondorPool):
            victims = [*self.system.pids("condor_startd"), *self.system.pids("condor_starter")]
        else:
            self.system.kill("slurmd")
            victims = self.system.pids("slurmstepd")
        for pid in [*victims, *jobs]:
            try:
                os.kill(pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
        if isinstance(self.system, SlurmCluster):
            self.system.wait_until_down()
            self.system.start_node()


def drive(
    site: Mapping[str, Any] | None, run: Path, units: Sequence[Mapping[str, Any]], environment: Mapping[str, str]
) -> list[dict[str, Any]]:
    given = {"site": site, "run": str(run), "units": list(units)}
    words = [*as_plain_user(), sys.executable, str(HERE / "drive.py")]
    done = subprocess.run(
        words, env=environment, input=json.dumps(given), capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
