"""The commands about jobs, and the options of those that can have some; `tests/farms` says them to real systems."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from townsend import farm_commands
from townsend.config import dump_yaml, parse
from townsend.engines.ledger import JOBS, Ledger, is_cancelled
from townsend.engines.request import Request
from townsend.engines.site import Site
from townsend.engines.usage import Usage
from townsend.errors import ConfigError, InputError
from townsend.farm_commands import site_of

USED = Usage(wall_s=862, cpu_s=862 * 1.66, memory_mb=826, disk_mb=12)

NEXT = """\
#!/bin/sh
cd "${{0%/*}}"
set -- {name}.*
cat "$1"
[ $# = 1 ] || rm "$1"
"""

Run = Callable[..., Any]
Says = Callable[..., None]


@pytest.fixture
def says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Let a program of a batch system say these texts, call by call, the last one for ever."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)

    def put(name: str, *texts: str, status: int = 0) -> None:
        for number, text in enumerate(texts):
            (folder / f"{name}.{number}").write_text(text)
        (folder / name).write_text(f"{NEXT.format(name=name)}exit {status}\n")
        (folder / name).chmod(0o755)

    put("sbatch", "")
    return put


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with Slurm: one job is done, the other may be at work."""
    run = tmp_path / "run"
    ledger = Ledger(run)
    batch = ledger.intend(Request(4, 5000, 2000, 2.0), ["a", "b"], queued=3)
    ledger.submitted(batch, ["17_0", "17_1"])
    ledger.end("0000-0", "done", "", USED, Usage())
    ledger.close()
    dump_yaml(parse(Site, {"engine": "slurm"}), run / JOBS / "site.yaml")
    return run


# ---- what a job asks for


def test_what_is_named_comes_before_what_was_used_and_that_before_the_file(run: Path) -> None:
    site = site_of("recas", run, "auto", None, "3GB", None, 7)
    assert isinstance(site, Site)
    assert (site.request_cpus, site.request_memory, site.max_hours, site.max_jobs) == (2, "3GB", 0.5, 7)
    assert site.request_disk == "2000MB", "which is not measured in full"
    assert site_of("recas", run, None, None, None, None, None) == site_of("recas", run, None, 1, "2000MB", 2.0, 200)


def test_what_another_run_has_used_may_be_asked_for(run: Path, tmp_path: Path) -> None:
    assert site_of("slurm", tmp_path / "new", str(run), None, None, None, None).request_memory == "1100MB"
    with pytest.raises(InputError, match="--request needs jobs that have measured themselves"):
        site_of("slurm", tmp_path / "new", "auto", None, None, None, None)


def test_this_machine_is_asked_for_nothing(run: Path) -> None:
    assert site_of("local", run, None, None, None, None, None) is None
    with pytest.raises(InputError, match="--request is for a batch system"):
        site_of("local", run, "auto", None, None, None, None)
    with pytest.raises(InputError, match="--max-jobs is for a batch system"):
        site_of("local", run, None, None, None, None, 3)


def test_a_bad_value_is_told_by_its_name(run: Path) -> None:
    with pytest.raises(ConfigError, match=r'request_memory: must be a number with MB or GB, .* \(got "much"\)'):
        site_of("slurm", run, None, None, "much", None, None)


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        (["--engine", "slrum"], 'did you mean "slurm"'),
        (["--request-memory", "5GB"], "--request-memory is for a batch system"),
        (["--request", "auto"], "--request is for a batch system"),
        (["--engine", "slurm", "--max-hours", "0"], "max_hours: must be greater than 0"),
    ],
)
def test_commands_that_work_refuse_it_before_they_begin(
    townsend: Run, tmp_path: Path, tiny_yaml: Path, options: list[str], sentence: str
) -> None:
    for command in (["simulate", "drifttube", "-n", "10"], ["sweep", str(tiny_yaml), "--sample", str(tmp_path)]):
        ended = townsend(*command, "-o", tmp_path / "new", *options)
        assert (ended.status, ended.out) == (2, "")
        assert sentence in ended.err
        assert not (tmp_path / "new").exists()


# ---- status and cancel


def test_status_shows_the_jobs_of_a_run(townsend: Run, says: Says, run: Path) -> None:
    says("squeue", "0000|1|PENDING|JobHeldUser|0:00\n")
    ended = townsend("status", run)
    assert (ended.status, ended.err) == (0, "")
    rows = [[cell.strip() for cell in line.split("│")[1:-1]] for line in ended.out.splitlines() if "│" in line]
    assert rows == [
        ["not yet submitted", "3", "as many jobs as max_jobs allows are there already"],
        ["held", "1", "PENDING, JobHeldUser after 0:00"],
        ["done", "1", ""],
    ]


def test_watching_ends_when_nothing_waits_or_runs(
    townsend: Run, says: Says, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farm_commands, "_WATCHED_S", 0.0)
    ledger = Ledger(run)
    ledger.submitted(ledger.intend(Request(1, 1, 1, 1.0), ["c"]), ["18_0"])
    ledger.close()
    running, waiting = "0000|1|RUNNING|None|0:10\n", "0001|0|PENDING|Priority|0:00\n"
    says("squeue", running + waiting, running, waiting, "")
    ended = townsend("status", run, "--watch")
    assert ended.status == 0
    assert ended.out.count("jobs in slurm") == 4
    assert ended.out.count("about ") == 3, "how long it takes, until it is over"


def test_status_without_watching_looks_once(townsend: Run, says: Says, run: Path) -> None:
    says("squeue", "0000|1|RUNNING|None|0:10\n")
    assert townsend("status", run).out.count("jobs in slurm") == 1


def test_cancel_says_how_many_jobs_there_were(townsend: Run, says: Says, run: Path) -> None:
    says("scancel", "")
    ended = townsend("cancel", run)
    assert ended.status == 0
    assert ended.out.startswith("1 jobs removed; what is finished is kept")
    assert is_cancelled(run)
    assert townsend("cancel", run).out.startswith("0 jobs removed")


@pytest.mark.parametrize("command", ["status", "cancel"])
def test_a_folder_without_jobs_is_one_sentence(
    townsend: Run, tmp_path: Path, one_sentence: Callable[[str], str], command: str
) -> None:
    (tmp_path / "mine").mkdir()
    for folder in (tmp_path / "mine", tmp_path / "none"):
        ended = townsend(command, folder)
        assert (ended.status, ended.out) == (2, "")
        assert "must have jobs in a batch system (it has none)" in one_sentence(ended.err)
    assert list((tmp_path / "mine").iterdir()) == []


def test_words_of_a_batch_system_do_not_steer_a_terminal(
    townsend: Run, says: Says, run: Path, one_sentence: Callable[[str], str]
) -> None:
    says("squeue", "\x1b[2J\x1b]0;title\x07 no controller", status=1)
    ended = townsend("status", run)
    assert "no controller" in one_sentence(ended.err)
    assert "\x1b" not in ended.err


# ---- engines check


def test_this_machine_needs_no_check(townsend: Run, tmp_path: Path, one_sentence: Callable[[str], str]) -> None:
    ended = townsend("engines", "check", "local", "--folder", tmp_path / "check")
    assert ended.status == 2
    assert one_sentence(ended.err).startswith("this machine needs no check (got local); name a batch system")
    assert not (tmp_path / "check").exists()


def test_a_check_that_finds_something_ends_with_status_one_and_may_be_repeated(
    townsend: Run, says: Says, tmp_path: Path
) -> None:
    says("sbatch", "sbatch: error: \x1b[31minvalid partition", status=1)
    for _ in range(2):
        ended = townsend("engines", "check", "slurm", "--folder", tmp_path / "check")
        assert (ended.status, ended.err) == (1, "")
        bad, logs = ended.out.splitlines()[-2:]
        assert bad.startswith("BAD batch system: sbatch must succeed (status 1, it said: sbatch: error: ")
        assert logs == f"ok  logs: kept in {tmp_path / 'check' / 'jobs'}"
        assert "\x1b" not in ended.out
