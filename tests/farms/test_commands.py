"""The commands about jobs, on real batch systems: check, status, cancel, and requests taken from what was used."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from a_farm import Farm
from test_faults import wait_for, workers, write_sweep
from toy_farm import HUNGRY

from townsend.engines.ledger import read_jobs
from townsend.sweep.records import read_records

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

RATES = [0.1, 0.2, 0.3, 0.5]


def started(farm: Farm, folder: Path, **trouble: float) -> tuple[tuple[object, ...], subprocess.Popen[str]]:
    """Return the command of a sweep with jobs of two trainings, and its process once a worker is at work."""
    folder.mkdir()
    write_sweep(folder, RATES, **trouble)
    command = ("sweep", "sweep.yaml", "-o", "run", "--engine", farm.write_site(folder))
    process = farm.start(*command, folder=folder)
    wait_for(lambda: workers(folder / "run"), "no worker has started")
    return command, process


def test_check_says_that_all_is_well(farm: Farm, tmp_path: Path) -> None:
    out, _ = farm.townsend("engines", "check", farm.write_site(tmp_path, request_memory="2GB"), folder=tmp_path)
    lines = out.splitlines()
    assert all(line.startswith("ok ") for line in lines[1:]), out
    assert [line.split(":")[0] for line in lines[1:]] == [
        f"ok  {what}" for what in ("batch system", "job", "environment", "scratch", "processors", "files")
    ]
    assert not (tmp_path / "townsend-check").exists()


def test_packed_environment_serves_a_python_that_has_nothing(htcondor: Farm, tmp_path: Path) -> None:
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
    bare = subprocess.run([base, "-I", "-c", "import townsend"], capture_output=True, check=False)
    assert bare.returncode == 1, "this Python has townsend"
    packed = {"environment": "packed", "shared_files": False, "python": str(base), "request_disk": "3000MB"}
    site = htcondor.write_site(tmp_path, request_memory="2GB", **packed)
    plain = replace(htcondor, variables={})  # the toys are linked to their sources
    out, _ = plain.townsend("engines", "check", site, folder=tmp_path)
    assert "ok  environment: townsend" in out
    assert "BAD" not in out


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"python": "/no/such/python"}, r"BAD job: .*/no/such/python: not found"),
        ({"request_memory": "99GB"}, r"BAD (start|batch system): .*(memory|may fit no machine|not available)"),
    ],
    ids=["python", "memory"],
)
def test_check_says_what_is_wrong(farm: Farm, tmp_path: Path, changes: dict[str, str], said: str) -> None:
    site = farm.write_site(tmp_path, **changes)
    minutes = 1 if "python" in changes else 0.1
    out, _ = farm.townsend("engines", "check", site, "--minutes", minutes, folder=tmp_path, status=1)
    assert re.search(said, out, re.IGNORECASE), out


def test_cancel_removes_its_own_jobs_and_no_others(farm: Farm, tmp_path: Path) -> None:
    command, first = started(farm, tmp_path / "first", epoch_s=2.0)
    _, second = started(farm, tmp_path / "second", epoch_s=0.3)
    out, _ = farm.townsend("status", "run", folder=tmp_path / "first")
    assert re.search(r"running +│ +[12] ", out), out
    out, _ = farm.townsend("cancel", "run", folder=tmp_path / "first")
    assert out.startswith("2 jobs removed"), out
    _, err = first.communicate(timeout=60)
    assert (first.returncode, "were cancelled" in err) == (2, True), err
    _, err = second.communicate(timeout=200)
    assert second.returncode == 0, err
    assert len(read_records(tmp_path / "second" / "run")) == len(RATES)
    assert {job.how for job in read_jobs(tmp_path / "second" / "run")} == {"done"}
    farm.townsend(*command, folder=tmp_path / "first")  # goes on
    assert len(read_records(tmp_path / "first" / "run")) == len(RATES)


def test_interrupted_coordinator_leaves_its_jobs_and_the_same_command_attaches(farm: Farm, tmp_path: Path) -> None:
    # Jobs are still at work when the second command comes: of those that have ended before, nothing is heard.
    command, process = started(farm, tmp_path / "sweep", epoch_s=1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "2 jobs go on; the same command attaches to them" in err
    farm.townsend(*command, folder=tmp_path / "sweep")
    assert [job.how for job in read_jobs(tmp_path / "sweep" / "run")] == ["done", "done"]


def test_next_request_is_taken_from_what_was_used_and_shown_on_the_board(farm: Farm, tmp_path: Path) -> None:
    write_sweep(tmp_path, [*RATES, HUNGRY], hungry_mb=300, hungry_s=0.2)  # more than is asked for in any case
    site = farm.write_site(tmp_path, request_memory="4GB")
    farm.townsend("sweep", "sweep.yaml", "-o", "run", "--engine", site, folder=tmp_path)
    out, _ = farm.townsend("board", "run", folder=tmp_path)
    assert re.search(r"memory: 4,000 MB asked for, \d+ MB used; \d+ MB would do", out), out
    again = ("sweep", "sweep.yaml", "-o", "again", "--engine", site, "--request", "run")
    farm.townsend(*again, folder=tmp_path)
    asked = {job.request.memory_mb for job in read_jobs(tmp_path / "again")}
    used = max(job.measured.memory_mb or 0 for job in read_jobs(tmp_path / "run"))
    assert len(asked) == 1
    assert used < asked.pop() < 2 * used
    records = json.loads((tmp_path / "again/records/0000.json").read_text())
    assert records["complete"]
