"""Whose the jobs of a folder are: one process's at a time, one folder's, and nobody's once they were cancelled."""

from __future__ import annotations

import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from townsend.engines.ledger import CANCELLED, JOBS, Ledger, is_cancelled, ledger_path, read_jobs, read_ledger
from townsend.engines.request import Request
from townsend.engines.usage import Usage
from townsend.errors import BusyError, InputError

REQUEST = Request(1, 2000, 2000, 2.0)

OTHER = """\
import sys
from pathlib import Path
from townsend.engines.ledger import Ledger
from townsend.engines.request import Request
ledger = Ledger(Path(sys.argv[1]))
ledger.submitted(ledger.intend(Request(1, 2000, 2000, 2.0), ["of the other"]), ["7.0"])
print("submitted", flush=True)
sys.stdin.read()
"""


@contextmanager
def other_process(run: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has submitted a job of this folder, and waits for it."""
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", OTHER, str(run)], stdin=pipe, stdout=pipe, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "submitted\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A folder with one job that is done and two that may be at work."""
    ledger = Ledger(tmp_path / "run")
    batch = ledger.intend(REQUEST, ["a", "b", "c"], queued=4)
    ledger.submitted(batch, ["5.0", "5.1", "5.2"])
    ledger.end("0000-0", "done", "", Usage(), Usage())
    ledger.close()
    return tmp_path / "run"


def live(run: Path) -> list[str]:
    """The jobs that a new process finds."""
    ledger = Ledger(run)
    try:
        return [job.stem for job in ledger.live]
    finally:
        ledger.close()


# ---- one process


def test_a_second_process_is_refused_while_the_first_one_lives_and_taken_once_it_was_killed(tmp_path: Path) -> None:
    with other_process(tmp_path) as process:
        before = ledger_path(tmp_path).read_bytes()
        with pytest.raises(BusyError, match="must have one process that submits them") as refused:
            Ledger(tmp_path)
        assert str(tmp_path) in str(refused.value)
        assert str(refused.value).endswith("let that one finish")
        assert ledger_path(tmp_path).read_bytes() == before
        assert [job.unit for job in read_jobs(tmp_path)] == ["of the other"], "whoever only looks may look"
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert live(tmp_path) == ["0000-0"]


def test_a_process_gives_the_folder_free_when_it_is_done(run: Path) -> None:
    first = Ledger(run)
    with pytest.raises(BusyError):
        Ledger(run)
    first.close()
    assert live(run) == ["0000-1", "0000-2"]


def test_processes_at_different_folders_do_not_know_of_each_other(run: Path, tmp_path: Path) -> None:
    with other_process(tmp_path / "other"):
        assert live(run) == ["0000-1", "0000-2"]


# ---- one folder


def copied(run: Path) -> Path:
    return Path(shutil.copytree(run, run.parent / "copy"))


def renamed(run: Path) -> Path:
    return run.rename(run.parent / "renamed")


@pytest.mark.parametrize("read", [read_ledger, Ledger])
def test_a_copy_of_a_folder_whose_jobs_may_be_at_work_is_refused(run: Path, read: Callable[[Path], object]) -> None:
    copy = copied(run)
    before = ledger_path(copy).read_bytes()
    with pytest.raises(
        InputError, match=r"must be the folder that its jobs were submitted from \(it is a copy\)"
    ) as no:
        read(copy)
    assert f"name that one, or remove {copy / JOBS}" in str(no.value)
    assert ledger_path(copy).read_bytes() == before
    assert live(run) == ["0000-1", "0000-2"]


def test_the_remedy_for_a_copy_is_one(run: Path) -> None:
    copy = copied(run)
    shutil.rmtree(copy / JOBS)
    assert live(copy) == []
    assert read_ledger(copy).name != read_ledger(run).name


def test_a_renamed_folder_keeps_its_jobs_and_its_name(run: Path) -> None:
    name = read_ledger(run).name
    moved = renamed(run)
    assert live(moved) == ["0000-1", "0000-2"]
    assert (read_ledger(moved).name, read_ledger(moved).queued) == (name, 4)


def test_a_copy_of_a_folder_whose_jobs_are_over_gets_a_name_of_its_own(run: Path) -> None:
    """Jobs of the two must not answer to one name."""
    ledger = Ledger(run)
    for job in ledger.live:
        ledger.end(job.stem, "done", "", Usage(), Usage())
    ledger.close()
    copy = copied(run)
    assert live(copy) == []
    assert read_ledger(copy).name != read_ledger(run).name
    assert [job.unit for job in read_jobs(copy)] == ["a", "b", "c"]


# ---- nobody's


def test_jobs_that_were_cancelled_are_removed_for_whoever_goes_on(run: Path) -> None:
    assert not is_cancelled(run)
    (run / JOBS / CANCELLED).touch()
    assert is_cancelled(run)
    assert [job.stem for job in read_ledger(run).live] == ["0000-1", "0000-2"], "who only looks changes nothing"
    ledger = Ledger(run)
    batch = ledger.intend(REQUEST, ["b"])
    ledger.close()
    assert not is_cancelled(run)
    assert [(job.how, job.detail) for job in read_jobs(run)] == [
        ("done", ""),
        ("removed", "by townsend cancel"),
        ("removed", "by townsend cancel"),
        ("", ""),
    ]
    assert batch.stems == ["0001-0"]


def test_a_batch_that_was_cancelled_before_it_had_numbers_is_not_looked_for(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.intend(REQUEST, ["a"])
    ledger.close()
    (tmp_path / JOBS / CANCELLED).touch()
    again = Ledger(tmp_path)
    assert (again.uncertain, again.live) == ([], [])
    again.close()


def test_cancelling_a_folder_at_which_another_process_is_at_work_leaves_the_ledger_to_that_one(run: Path) -> None:
    with other_process(run):
        (run / JOBS / CANCELLED).touch()
        before = ledger_path(run).read_bytes()
        with pytest.raises(BusyError):
            Ledger(run)
        assert ledger_path(run).read_bytes() == before
        assert is_cancelled(run)
