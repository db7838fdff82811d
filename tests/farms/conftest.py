"""Real batch systems for the tests of this folder, started once for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from importlib.util import find_spec

import pytest
from a_farm import Farm
from real_htcondor import HTCondorPool, find_htcondor
from real_slurm import SlurmCluster, find_slurm
from toy_site import write_site


def _missing(what: str, remedy: str) -> None:
    """Skip on a user's machine; in CI nothing may be skipped."""
    reason = f"{what} is not installed: {remedy}"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def toys(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Variables by which commands and jobs find the task `farm` of `toys/toy_farm.py`."""
    return {"PYTHONPATH": write_site(tmp_path_factory.mktemp("farm-site"), "farm", "toy_farm")}


@pytest.fixture(scope="session")
def htcondor(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, str]) -> Iterator[Farm]:
    if find_htcondor() is None:
        _missing(
            "HTCondor", "set TOWNSEND_HTCONDOR to a folder that holds usr/sbin/condor_master, see .ci/install-farms"
        )
    if find_spec("htcondor2") is None:
        _missing("HTCondor's Python bindings", "pip install 'townsend[htcondor]'")
    site = {
        "engine": "htcondor",
        "request_memory": "500MB",
        "request_disk": "100MB",
        "htcondor": {"lease_minutes": 0.5},
    }
    with HTCondorPool(tmp_path_factory.mktemp("pool")) as pool:
        yield Farm("htcondor", pool, site, toys)


@pytest.fixture(scope="session")
def slurm(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, str]) -> Iterator[Farm]:
    if not find_slurm():
        _missing("Slurm", "apt-get install slurm-wlm munge")
    site = {"engine": "slurm", "request_memory": "500MB", "request_disk": "100MB", "slurm": {"query_seconds": 1}}
    with SlurmCluster(tmp_path_factory.mktemp("slurm")) as cluster:
        yield Farm("slurm", cluster, site, toys)


@pytest.fixture(params=["htcondor", "slurm"])
def farm(request: pytest.FixtureRequest) -> Farm:
    """Each batch system in turn."""
    found: Farm = request.getfixturevalue(request.param)
    return found
