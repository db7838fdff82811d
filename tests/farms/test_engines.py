"""Every engine, and every way to the batch systems, on the same units."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from a_farm import Farm, drive
from engine_conformance import Drive, EngineConformance

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


class TestLocal(EngineConformance):
    @pytest.fixture
    def drive(self, toys: dict[str, str]) -> Drive:
        return lambda run, units: drive(None, run, units, {**os.environ, **toys})


class TestHTCondor(EngineConformance):
    """By the Python bindings, which are as new as this pool."""

    @pytest.fixture
    def drive(self, htcondor: Farm) -> Drive:
        return htcondor.drive


class TestHTCondorTools(EngineConformance):
    """By the pool's own programs, as where the pool is older than the bindings."""

    @pytest.fixture
    def drive(self, htcondor: Farm, tmp_path_factory: pytest.TempPathFactory) -> Drive:
        older = tmp_path_factory.mktemp("older") / "condor_version"
        older.write_text("#!/bin/sh\necho '$CondorVersion: 24.0.1 2024-10-31 $'\n")
        older.chmod(0o755)

        def by_tools(run: Path, units: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
            environment = htcondor.environment
            environment["PATH"] = os.pathsep.join([str(older.parent), environment["PATH"]])
            return drive(htcondor.site, run, units, environment)

        return by_tools


class TestHTCondorTravelling(EngineConformance):
    """Files travel with the jobs, which see nothing of the run's folder."""

    @pytest.fixture
    def drive(self, htcondor: Farm) -> Drive:
        return lambda run, units: htcondor.drive(run, units, shared_files=False)


class TestSlurm(EngineConformance):
    @pytest.fixture
    def drive(self, slurm: Farm) -> Drive:
        return slurm.drive


def test_line_break_in_a_folder_is_refused_by_us_and_not_left_to_a_submit_file(htcondor: Farm, tmp_path: Path) -> None:
    run = tmp_path / "run\nexecutable = pwned"
    run.mkdir()
    with pytest.raises(AssertionError, match=r"HTCondor takes no folder with a line break .*run\\nexecutable"):
        htcondor.drive(run, [])
    assert not list(run.rglob("*.sub"))
