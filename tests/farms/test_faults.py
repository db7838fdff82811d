"""Whatever a farm does to a sweep's jobs: every trial is accounted for once, and the board is the undisturbed one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import yaml
from a_farm import Farm

from townsend.engines.ledger import Job, read_jobs
from townsend.sweep.board import board, comparable
from townsend.sweep.records import read_records
from townsend.training.records import Outcome

pytestmark = [pytest.mark.slow]

RATES = [0.01, 0.02, 0.03, 0.05, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 3.0, 5.0]
SLOW_S = {"htcondor": 10.0, "slurm": 8.0}
MAX_HOURS = {"htcondor": 45 / 3600, "slurm": 1 / 60}  # Slurm counts in minutes; a start alone takes up to 15 s
_WAIT_S = 60.0


def write_sweep(folder: Path, rates: list[float], **trouble: Any) -> Path:
    (folder / "sample").mkdir(exist_ok=True)
    (folder / "sample" / "bump.json").write_text('{"height": 1.0}')
    settings = {
        "task": "farm",
        "sample": "sample",
        "epochs": 8,
        "bracket_size": 2,
        "space": {
            "topology": ["2 3 1"],
            "activations": ["relu sigmoid"],
            "dropout": [0.0],
            "optimizer": ["sgd"],
            "batch_size": [16],
            "learning_rate": rates,
        },
        "task_settings": trouble,
    }
    path = folder / "sweep.yaml"
    path.write_text(yaml.safe_dump(settings))
    return path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, str]) -> Path:
    """The same sweep on this machine, without trouble."""
    folder = tmp_path_factory.mktemp("undisturbed")
    write_sweep(folder, RATES)
    words = [sys.executable, "-m", "townsend", "sweep", "sweep.yaml", "-o", "run"]
    subprocess.run(words, cwd=folder, env={**os.environ, **toys}, check=True, capture_output=True)
    return folder / "run"


@pytest.mark.timeout(600)
def test_sweep_survives_what_farms_do(farm: Farm, undisturbed: Path, tmp_path: Path) -> None:
    write_sweep(tmp_path, RATES, epoch_s=0.5, slow_s=SLOW_S[farm.name], hungry_mb=600)
    site = farm.write_site(tmp_path, max_hours=MAX_HOURS[farm.name], max_memory="2GB")
    command = ("sweep", "sweep.yaml", "-o", "run", "--engine", site)
    run = tmp_path / "run"
    coordinator = farm.start(*command, folder=tmp_path)
    try:
        kill_a_worker(run)
        remove_a_job(farm, run)
        coordinator.kill()
        coordinator.communicate()
        left = {job.stem for job in read_jobs(run) if job.live}
        coordinator = farm.start(*command, folder=tmp_path)
        lose_the_node(farm, run)
        out, err = coordinator.communicate(timeout=400)
        assert coordinator.returncode == 0, f"{out}\n{err}\n{described(run)}"
    finally:
        coordinator.kill()
    assert comparable(board(run)) == comparable(board(undisturbed)), described(run)
    assert sorted(record.trial for record in read_records(run)) == list(range(len(RATES)))
    jobs = read_jobs(run)
    assert left, "the coordinator was killed too late"
    assert not any(job.live for job in jobs)
    hows = Counter(job.how for job in jobs)
    assert hows["done"] == 6, described(run)
    assert hows["over memory"] >= 1, described(run)
    assert hows["over time"] >= 1 or hows["ended"] >= 2, described(run)
    assert hows["removed"] >= 1, described(run)
    assert len({job.unit for job in jobs}) == 6
    assert submitted_while_live(jobs) == []
    assert farm.left_in_queue() == ""


@pytest.mark.timeout(300)
def test_poison_is_recorded_as_lost_with_the_end_of_its_log_and_the_sweep_goes_on(farm: Farm, tmp_path: Path) -> None:
    write_sweep(tmp_path, [0.1, 10.0, 0.3], poison=True)
    farm.townsend("sweep", "sweep.yaml", "-o", "run", "--engine", farm.write_site(tmp_path), folder=tmp_path)
    records = {record.hyperparameters["learning_rate"]: record for record in read_records(tmp_path / "run")}
    outcomes = {rate: record.outcome for rate, record in records.items()}
    assert outcomes == {0.1: Outcome.FINISHED, 10.0: Outcome.LOST, 0.3: Outcome.FINISHED}
    assert "its job ended 3 times without a result" in records[10.0].detail
    assert records[10.0].attempts == 3


@pytest.mark.timeout(300)
def test_unit_that_cannot_get_any_further_in_its_time_is_out_of_time(htcondor: Farm, tmp_path: Path) -> None:
    """Of HTCondor alone: Slurm counts its time in minutes, and the sweep above has a job that is over it."""
    write_sweep(tmp_path, [0.1, 1.0], slow_s=120.0)
    site = htcondor.write_site(tmp_path, max_hours=25 / 3600)  # a start takes some seconds
    htcondor.townsend("sweep", "sweep.yaml", "-o", "run", "--engine", site, folder=tmp_path)
    records = read_records(tmp_path / "run")
    outcomes = {record.hyperparameters["learning_rate"]: record.outcome for record in records}
    assert outcomes == {0.1: Outcome.FINISHED, 1.0: Outcome.OUT_OF_TIME}


def kill_a_worker(run: Path) -> None:
    pid = wait_for(lambda: next(iter(workers(run)), None), "no worker has started")
    time.sleep(2)
    os.kill(pid, signal.SIGKILL)


def remove_a_job(farm: Farm, run: Path) -> None:
    """Remove the youngest job: the oldest may just have been killed."""
    job = next(job for job in reversed(read_jobs(run)) if job.live and job.id)
    farm.remove_by_hand(job.id)
    complaint = f"it was not noticed that {job.stem} was removed\n{described(run)}"
    wait_for(lambda: next(one for one in read_jobs(run) if one.stem == job.stem).how, complaint)


def lose_the_node(farm: Farm, run: Path) -> None:
    wait_for(lambda: next(iter(workers(run)), None), "no worker has started")
    farm.lose_node(workers(run))


def workers(run: Path) -> list[int]:
    """Numbers of the processes that work in the folder of a run's jobs."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            words = (path / "cmdline").read_bytes().split(b"\0")
            if b"townsend.worker" in words and (path / "cwd").readlink() == run / "jobs":
                found.append(int(path.name))
        except OSError:
            continue
    return found


def wait_for(look: Callable[[], Any], complaint: str) -> Any:
    deadline = time.monotonic() + _WAIT_S
    while not (found := look()):
        assert time.monotonic() < deadline, complaint
        time.sleep(0.2)
    return found


def submitted_while_live(jobs: list[Job]) -> list[tuple[str, str]]:
    """Pairs of jobs of one unit of which the second was submitted before the first had ended."""
    pairs = []
    for unit in {job.unit for job in jobs}:
        own = sorted((job for job in jobs if job.unit == unit), key=lambda job: job.submitted_s)
        pairs += [(one.stem, two.stem) for one, two in pairwise(own) if two.submitted_s < one.ended_s]
    return pairs


def described(run: Path) -> str:
    lines = [
        f"{job.stem} {job.unit} {job.id} {job.request.memory_mb} MB: {job.how} ({job.detail})" for job in read_jobs(run)
    ]
    logs = [f"{path.name}: {path.read_text()[-500:]}" for path in sorted((run / "jobs").glob("*.err"))]
    return "\n".join(lines + logs)
