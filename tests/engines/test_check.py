"""The small job that looks around, where it cannot even begin; `tests/farms` runs it on real batch systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from farm_programs import Programs

from townsend.config import parse
from townsend.engines.base import Message, News
from townsend.engines.check import Finding, _findings, _wait, check_engine, facts_of_job
from townsend.engines.job_script import SCRATCH
from townsend.engines.site import Site
from townsend.errors import InputError

SLURM = parse(Site, {"engine": "slurm"})
FACTS = {"host": "node7", "python": "3.11.7", "missing": [], "sees_folder": True, "scratch": "/tmp", "cores": 4}  # noqa: S108


def facts(**changes: object) -> dict[str, object]:
    from importlib.metadata import version

    return {**FACTS, "townsend": version("townsend"), "scratch_mb": 41_200.0, "threads": "1", **changes}


def bad(findings: list[Finding]) -> dict[str, str]:
    return {finding.what: finding.sentence for finding in findings if not finding.good}


def test_a_refusal_of_the_batch_system_is_a_finding_and_the_logs_are_kept(programs: Programs, tmp_path: Path) -> None:
    programs.put("sbatch", "sbatch: error: invalid partition specified", status=1)
    programs.put("scancel")
    *_, last = found = check_engine(SLURM, tmp_path / "check")
    assert "invalid partition specified" in bad(found)["batch system"]
    assert (last.what, last.good, last.sentence) == ("logs", True, f"kept in {tmp_path / 'check' / 'jobs'}")
    assert (tmp_path / "check" / "jobs" / "ledger.jsonl").exists()


def test_it_may_be_repeated_in_the_same_folder(programs: Programs, tmp_path: Path) -> None:
    programs.put("sbatch", "sbatch: error: invalid partition specified", status=1)
    programs.put("scancel")
    (tmp_path / "check").mkdir()  # an empty one is as good as a new one
    for _ in range(3):
        assert "invalid partition specified" in bad(check_engine(SLURM, tmp_path / "check"))["batch system"]


@pytest.mark.parametrize("name", ["my.root", "ledger.jsonl", ".hidden"])
def test_a_folder_that_holds_something_else_is_refused_and_left_as_it_is(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "mine"
    (folder / "jobs").mkdir(parents=True)
    for path in (folder / name, folder / "mark.txt"):
        path.write_text("mine")
    with pytest.raises(InputError, match="must be new or empty, as it is removed afterwards"):
        check_engine(SLURM, folder)
    assert (folder / name).read_text() == (folder / "mark.txt").read_text() == "mine"
    with pytest.raises(InputError, match="must be new or empty"):
        check_engine(SLURM, folder / name)


@pytest.mark.parametrize("names", [("jobs/mine.root",), ("jobs/mine.root", "notes/x")])
def test_a_folder_named_jobs_of_somebody_else_is_left_as_it_is(tmp_path: Path, names: tuple[str, ...]) -> None:
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match="must be new or empty"):
        check_engine(SLURM, tmp_path)
    assert [(tmp_path / name).read_text() for name in names] == ["mine"] * len(names)


def test_a_job_that_does_not_begin_is_told_with_the_command_that_says_why() -> None:
    heard = _wait(lambda timeout_s: [], minutes=0)
    assert heard == (None, {})
    for engine, asks in (("slurm", "squeue --me --start"), ("htcondor", "condor_q -better-analyze")):
        [finding] = _findings(heard, 0, parse(Site, {"engine": engine}))
        assert not finding.good
        assert f"`{asks}` says why it waits" in finding.sentence


def test_a_job_that_ends_badly_is_told_in_its_words() -> None:
    lost = Message("check", News.LOST, "its job ended 3 times without a result")
    heard = _wait(lambda timeout_s: [Message("check", News.PROGRESS, body={"host": "a"}), lost], minutes=1)
    assert heard == (lost, {"host": "a"})
    assert bad(_findings(heard, 1, SLURM)) == {"job": lost.detail}


def test_all_that_is_well_is_said() -> None:
    found = _findings((Message("check", News.DONE), facts()), 1, SLURM)
    assert [finding.what for finding in found] == ["job", "environment", "scratch", "processors", "files"]
    assert bad(found) == {}


@pytest.mark.parametrize(
    ("change", "what", "said"),
    [
        ({"townsend": "0.0.1"}, "environment", "townsend 0.0.1 there"),
        ({"missing": ["jax (No module named 'jax')"]}, "environment", "cannot import jax (No module named 'jax'): ins"),
        ({"scratch_mb": 1999.0}, "scratch", "1,999 MB free, 2,000 MB asked for; lower request_disk"),
        ({"threads": ""}, "processors", " thread(s) on 4 cores"),
        ({"threads": "64"}, "processors", "64 thread(s) on 4 cores"),
        ({"sees_folder": False}, "files", "set shared_files: false"),
    ],
)
def test_what_is_wrong_is_said_with_its_remedy(change: dict[str, object], what: str, said: str) -> None:
    found = bad(_findings((Message("check", News.DONE), facts(**change)), 1, SLURM))
    assert list(found) == [what]
    assert said in found[what]


def test_a_job_tells_what_it_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("townsend.engines.check._MODULES", ("json", "no_such_module"))
    monkeypatch.setenv(SCRATCH, str(tmp_path))
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    (tmp_path / "mark.txt").write_text("here")
    found = facts_of_job(tmp_path, {"mark": "here"})
    assert (found["host"], found["threads"], found["sees_folder"]) == (os.uname().nodename, "3", True)
    assert found["missing"] == ["no_such_module (No module named 'no_such_module')"]
    assert found["scratch_mb"] > 0
    assert not facts_of_job(tmp_path, {"mark": "elsewhere"})["sees_folder"]
    assert not facts_of_job(tmp_path / "none", {"mark": "here"})["sees_folder"]
