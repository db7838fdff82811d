"""The worker's own door: one unit file, run and done, also as a batch job that is stopped, killed or far away."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from toy_task import BumpTask

from townsend import worker
from townsend.engines.base import WorkUnit
from townsend.engines.job_script import RETURNED, SCRATCH
from townsend.engines.transfer import pack_inputs, unpack_outputs
from townsend.errors import InputError
from townsend.files import write_json
from townsend.training.bracket import BracketWork
from townsend.training.checkpoint import read_checkpoint
from townsend.training.keras_trainer import TrainSettings
from townsend.training.record_file import BracketRecord, bracket_files, read_bracket_record
from townsend.training.records import Bracket, Fit, Outcome
from townsend.worker import FUNCTIONS, main, run_unit

TOYS = Path(__file__).parent / "toys"


def written(tmp_path: Path, function: str) -> Path:
    path = tmp_path / "unit.json"
    path.write_text(json.dumps(WorkUnit("a", function, {"x": 1}, tmp_path).to_json()))
    return path


def test_unit_file_is_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[Path, Mapping[str, Any]]] = []
    monkeypatch.setattr(worker, "FUNCTIONS", {"note": lambda folder, given, *further: seen.append((folder, given))})
    said = io.StringIO()
    assert main([str(written(tmp_path, "note"))], said) == 0
    assert seen == [(tmp_path, {"x": 1})]
    answer = json.loads(said.getvalue())
    assert (answer["news"], answer["usage"]["cpu_s"] > 0) == ("done", True)


def test_what_the_user_can_mend_is_a_status_and_no_traceback(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    said = io.StringIO()
    assert main([str(written(tmp_path, "train_bracke"))], said) == 2
    assert 'did you mean "train_bracket"' in caplog.text
    assert main([str(tmp_path / "none.json")], said) == 2
    assert [json.loads(line)["news"] for line in said.getvalue().splitlines()] == ["refused", "refused"]
    with pytest.raises(SystemExit, match="2"):
        main([])
    assert "Traceback" not in caplog.text


def test_only_registered_functions_are_run(tmp_path: Path) -> None:
    assert "train_bracket" in FUNCTIONS
    with pytest.raises(InputError, match=r'must be registered \(got "os\.system"\)'):
        run_unit(WorkUnit("a", "os.system", {}, tmp_path), lambda body: None)


# ---- a batch job


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """In which workers find the task `farm` of `toys/toy_farm.py`."""
    information = tmp_path_factory.mktemp("site") / "townsend_farm-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: townsend-farm\nVersion: 0\n")
    (information / "entry_points.txt").write_text("[townsend.tasks]\nfarm = toy_farm:task\n")
    # Before a worker can load Keras, which these trainings do not need: it takes longer than all they do.
    (information.parent / "sitecustomize.py").write_text("import toy_farm\n")
    return {**os.environ, "PYTHONPATH": os.pathsep.join([str(information.parent), str(TOYS)])}


def bracket(run: Path, *rates: float, **trouble: Any) -> WorkUnit:
    """A bracket with these learning rates, each of eight epochs, and the arrays that it reads."""
    made = BumpTask().prepare(sample_in(run), BumpTask().settings({}), 1)
    facts = {"epoch_s": 0.0, "slow_s": 0.0, "hungry_mb": 0, "poison": False, **trouble}
    replace(made, facts={**made.facts, **facts}).save(run / "arrays")
    fits = tuple(Fit(trial, trial, {"learning_rate": rate}) for trial, rate in enumerate(rates))
    work, files = BracketWork(Bracket(0, fits), "farm", "dense", TrainSettings(8, 8)), bracket_files(0)
    return WorkUnit("bracket 0", "train_bracket", work.to_json(), run, ("arrays", *files), files)


def sample_in(run: Path) -> Path:
    run.mkdir(exist_ok=True)
    (run / "bump.json").write_text('{"height": 1.0}')
    return run


@dataclass(frozen=True)
class Job:
    """A worker as a batch system starts it, in a folder that holds its unit."""

    folder: Path
    environment: Mapping[str, str]

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @property
    def back(self) -> Path:
        return self.folder / f"0000-0{RETURNED}"

    def start(self, *options: str) -> subprocess.Popen[str]:
        self.scratch.mkdir()
        words = [sys.executable, "-P", "-m", "townsend.worker", "0000-0.json", "--remove", str(self.scratch), *options]
        variables, pipe = {**self.environment, SCRATCH: str(self.scratch)}, subprocess.PIPE
        return subprocess.Popen(words, cwd=self.folder, env=variables, stdout=pipe, stderr=pipe, text=True)

    def end(self, process: subprocess.Popen[str]) -> tuple[int, list[str]]:
        """Return the status and the news of a job's answers; it leaves nothing in scratch."""
        with process:
            out, _ = process.communicate(timeout=60)
        assert not self.scratch.exists()
        answers = [json.loads(line) for line in out.splitlines()]
        assert all(answer["usage"]["wall_s"] > 0 for answer in answers)
        return process.returncode, [answer["news"] for answer in answers]

    def run(self, *options: str) -> tuple[int, list[str]]:
        return self.end(self.start(*options))

    def stop_at(self, sign: Path, *options: str) -> tuple[int, list[str]]:
        """Send SIGTERM, as a batch system does, once a file is there."""
        process = self.start(*options)
        while not sign.exists():
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(signal.SIGTERM)
        return self.end(process)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return tmp_path / "run"


@pytest.fixture
def beside(run: Path, environment: dict[str, str]) -> Callable[[WorkUnit], Job]:
    """A job that sees the run's folder."""

    def make(unit: WorkUnit) -> Job:
        write_json(run / "jobs" / "0000-0.json", unit.to_json())
        return Job(run / "jobs", environment)

    return make


@pytest.fixture
def far_away(tmp_path: Path, environment: dict[str, str]) -> Callable[[WorkUnit], Job]:
    """A job with whom everything has travelled, and which sees no other folder."""

    def make(unit: WorkUnit) -> Job:
        pack_inputs(unit, tmp_path / "node")
        write_json(tmp_path / "node" / "0000-0.json", unit.to_json())
        unit.folder.rename(tmp_path / "out of sight")
        return Job(tmp_path / "node", environment)

    return make


def at_home(unit: WorkUnit, job: Job) -> BracketRecord:
    """The record that a job has sent back."""
    unit.folder.with_name("out of sight").rename(unit.folder)
    unpack_outputs(job.back, unit, 10)
    return read_bracket_record(unit.folder, 0)


def epochs_at_rest(run: Path) -> int:
    rest = read_checkpoint(run, 0, "0")
    assert rest is not None
    assert len(rest.curves["loss"]) == rest.epochs
    return rest.epochs


@pytest.mark.slow
@pytest.mark.parametrize("where", ["beside", "far_away"])
def test_a_job_ends_itself_in_time_with_a_checkpoint_and_the_next_one_goes_on(
    where: str, run: Path, request: pytest.FixtureRequest
) -> None:
    job = request.getfixturevalue(where)(unit := bracket(run, 0.1, epoch_s=0.5))
    travelled = ["--travelled"] if where == "far_away" else []
    assert job.run("--seconds", "2", *travelled) == (75, ["progress", "out of time"])
    if travelled:
        at_home(unit, job)
    assert 1 <= epochs_at_rest(run) < 8
    bracket(run, 0.1)
    assert request.getfixturevalue("beside")(unit).run("--seconds", "60") == (0, ["progress", "done"])
    [fit] = read_bracket_record(run, 0).fits
    assert (fit.outcome, fit.epochs, fit.attempts) == (Outcome.FINISHED, 8, 2)


def test_a_job_that_is_done_in_time_says_nothing_of_it(run: Path, beside: Callable[[WorkUnit], Job]) -> None:
    assert beside(bracket(run, 0.1, 0.2)).run("--seconds", "60") == (0, ["progress", "progress", "done"])


def test_a_job_that_is_told_to_end_leaves_a_checkpoint_and_is_not_out_of_time(
    run: Path, beside: Callable[[WorkUnit], Job]
) -> None:
    job = beside(bracket(run, 0.1, epoch_s=0.2))
    status, said = job.stop_at(run / "records" / "0000.json", "--seconds", "60")
    assert (status, set(said) - {"progress"}) == (75, set())
    assert epochs_at_rest(run) < 8


def test_a_travelled_job_sends_back_what_it_would_have_left(
    run: Path, tmp_path: Path, beside: Callable[[WorkUnit], Job], far_away: Callable[[WorkUnit], Job]
) -> None:
    assert beside(bracket(run, 0.1, 0.2)).run()[0] == 0
    left = read_bracket_record(run, 0)
    run.rename(tmp_path / "beside")
    job = far_away(unit := bracket(run, 0.1, 0.2))
    assert job.run("--travelled") == (0, ["progress", "progress", "done"])
    found = at_home(unit, job)
    assert found.complete
    assert [fit.metrics for fit in found.fits] == [fit.metrics for fit in left.fits]
    assert set(found.arrays) == set(left.arrays)
    for name, values in left.arrays.items():
        np.testing.assert_array_equal(found.arrays[name], values, strict=True)


def test_a_travelled_job_whose_training_is_killed_sends_back_what_had_ended(
    run: Path, far_away: Callable[[WorkUnit], Job]
) -> None:
    job = far_away(unit := bracket(run, 0.1, 10.0, 0.2, epoch_s=0.15, poison=True))
    status, said = job.run("--travelled")
    assert (status, said) == (128 + signal.SIGKILL, ["progress"])
    found = at_home(unit, job)
    assert ([fit.trial for fit in found.fits], found.complete) == ([0], False)


@pytest.mark.slow
def test_a_travelled_job_that_was_evicted_goes_on_with_what_it_had_done(
    run: Path, far_away: Callable[[WorkUnit], Job]
) -> None:
    job = far_away(unit := bracket(run, 0.1, 0.2, epoch_s=0.05))
    begun = job.scratch / "files" / "folder" / "records" / "0000.json"
    status, _ = job.stop_at(begun, "--travelled")
    assert status == 75
    assert job.back.stat().st_size
    assert job.run("--travelled")[0] == 0, "in the folder where it has left its archive"
    found = at_home(unit, job)
    assert [(fit.epochs, fit.attempts) for fit in found.fits] == [(8, 2), (8, 1)]


def test_a_travelled_job_that_cannot_begin_leaves_the_file_that_is_waited_for(
    run: Path, far_away: Callable[[WorkUnit], Job]
) -> None:
    job = far_away(bracket(run, 0.1))
    [archive] = job.folder.glob("input-*.tar")
    archive.write_bytes(archive.read_bytes()[:2000])
    process = job.start("--travelled")
    with process:
        _, log = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "was damaged on its way" in log
    assert (job.back.stat().st_size, job.scratch.exists()) == (0, False)
