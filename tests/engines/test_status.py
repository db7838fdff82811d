"""What the jobs of a run are doing, counted from its ledger and the batch system's words, and how they are ended."""

from __future__ import annotations

import io
import math
import statistics
from collections.abc import Sequence
from pathlib import Path

import pytest
from farm_programs import Programs
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from townsend.config import dump_yaml, parse
from townsend.engines.ledger import CANCELLED, JOBS, Job, Ledger, is_cancelled, read_jobs, read_ledger
from townsend.engines.request import Request
from townsend.engines.scheduler import State
from townsend.engines.site import Site
from townsend.engines.status import Status, _left_s, cancel, render_status, status
from townsend.engines.usage import Usage
from townsend.errors import InputError, printable

REQUEST = Request(1, 2000, 2000, 2.0)


@pytest.fixture(autouse=True)
def _installed(programs: Programs) -> None:
    programs.put("sbatch")


def write_run(run: Path, ends: Sequence[str], walls_s: Sequence[float] = (), queued: int = 0) -> Path:
    """A run with Slurm, whose jobs have ended so; "" for those that may be in the queue."""
    ledger = Ledger(run)
    batch = ledger.intend(REQUEST, [f"unit {number}" for number in range(len(ends))], queued)
    ledger.submitted(batch, [f"17_{number}" for number in range(len(ends))])
    for stem, how, wall_s in zip(batch.stems, ends, [*walls_s, *[0.0] * len(ends)], strict=False):
        if how:
            ledger.end(stem, how, "", Usage(wall_s=wall_s), Usage())
    ledger.close()
    dump_yaml(parse(Site, {"engine": "slurm"}), run / JOBS / "site.yaml")
    return run


def printed(found: Status) -> list[list[str]]:
    """The rows of the table, and below it its caption."""
    stream = io.StringIO()
    Console(file=stream, width=120, color_system=None).print(render_status(found))
    lines = [line.strip("│┃ ") for line in stream.getvalue().splitlines() if line.strip("─━┏┳┓┡╇┩└┴┘ ")]
    return [[cell.strip() for cell in line.replace("┃", "│").split("│")] for line in lines]


# ---- counted


def test_every_job_is_counted_once_and_held_ones_say_why(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["done", "done", "removed", "", "", "", ""], [60, 120], queued=5)
    programs.put(
        "squeue",
        "0000|3|RUNNING|None|0:10\n0000|4|PENDING|Priority|0:00\n0000|5|PENDING|JobHeldUser|0:00\n",
    )
    found = status(run)
    assert (found.engine, found.queued) == ("slurm", 5)
    assert found.live == {State.RUNNING: 1, State.IDLE: 1, State.HELD: 1, State.ENDED: 1}
    assert found.ended == {"done": 2, "removed": 1}
    assert found.held == (("0000-5", "unit 5", "PENDING, JobHeldUser after 0:00"),)
    assert found.left_s == 90 * 9  # five that wait for a job and four jobs, one at a time
    assert not found.over
    assert read_ledger(run).queued == 5, "who only looks changes nothing"


def test_it_is_shown_in_one_table(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["done", "over memory", "", ""], [60], queued=3)
    programs.put("squeue", "0000|2|RUNNING|None|0:10\n0000|3|PENDING|JobHeldAdmin|0:00\n")
    assert printed(status(run)) == [
        ["jobs in slurm"],
        ["state", "jobs", "why"],
        ["not yet submitted", "3", "as many jobs as max_jobs allows are there already"],
        ["held", "1", "PENDING, JobHeldAdmin after 0:00"],
        ["running", "1"],
        ["done", "1"],
        ["over memory", "1", "planned again, or given up: see the records"],
        ["about 5 min 00 s left if as many jobs run as now"],
    ]


def test_at_most_five_reasons_are_shown(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [""] * 9)
    lines = [f"0000|{number}|PENDING|held for reason {number}|0:00\n" for number in range(9)]
    programs.put("squeue", "".join(lines))
    found = status(run)
    assert len(found.held) == 9
    assert sum("held for reason" in row[-1] for row in printed(found)) == 5


@pytest.mark.parametrize(
    ("lines", "over"),
    [
        ("0000|1|RUNNING|None|0:10\n", False),
        ("0000|1|PENDING|Priority|0:10\n", False),
        ("0000|1|PENDING|JobHeldUser|0:10\n", True),
        ("0000|1|TIMEOUT|TimeLimit|2:00:00\n", True),
        ("", True),
    ],
)
def test_a_run_without_jobs_that_wait_or_run_is_over(
    programs: Programs, tmp_path: Path, lines: str, over: bool
) -> None:
    """What is held, and what has ended while nobody waited, does not change by itself."""
    run = write_run(tmp_path / "run", ["done", ""], [60])
    programs.put("squeue", lines)
    assert status(run).over is over
    assert ("about" in str(printed(status(run)))) is not over


def test_a_run_that_is_done_needs_no_batch_system(programs: Programs, tmp_path: Path) -> None:
    found = status(write_run(tmp_path / "run", ["done", "done"], [60, 60]))
    assert (found.live, found.over, found.left_s) == ({}, True, 0.0)
    assert programs.calls("squeue") == []


def test_units_that_a_dead_process_had_not_submitted_are_not_waited_for(tmp_path: Path) -> None:
    assert status(write_run(tmp_path / "run", ["done"], queued=7)).queued == 0


def test_a_batch_system_that_does_not_answer_is_one_sentence(programs: Programs, tmp_path: Path) -> None:
    programs.put("squeue", "slurm_load_jobs error: Unable to contact slurm controller", status=1)
    with pytest.raises(InputError, match="Unable to contact slurm controller"):
        status(write_run(tmp_path / "run", [""]))


@pytest.mark.parametrize("look", [status, cancel])
def test_a_folder_without_jobs_is_one_sentence(tmp_path: Path, look: object) -> None:
    assert callable(look)
    with pytest.raises(InputError, match=r"must have jobs in a batch system \(it has none\)"):
        look(tmp_path)
    assert list(tmp_path.iterdir()) == []


# ---- how long it takes


def jobs_that_took(walls_s: Sequence[float], how: str = "done") -> list[Job]:
    return [
        Job(str(number), "", REQUEST, how=how, measured=Usage(wall_s=wall_s)) for number, wall_s in enumerate(walls_s)
    ]


@given(st.lists(st.floats(0.1, 1e5), min_size=1, max_size=9), st.integers(0, 1000), st.integers(0, 300))
def test_what_is_left_takes_as_many_turns_as_there_are_jobs_for_one(
    walls_s: list[float], left: int, running: int
) -> None:
    found = _left_s(jobs_that_took(walls_s), left, running)
    assert found == pytest.approx(statistics.median(walls_s) * math.ceil(left / max(1, running)))


def test_while_nothing_is_done_nobody_knows(tmp_path: Path) -> None:
    assert _left_s(jobs_that_took([60, 60], "removed"), 3, 1) is None
    assert _left_s([], 0, 0) == 0.0
    assert _left_s(jobs_that_took([60, 60]), 0, 0) == 0.0


# ---- the end


def test_jobs_are_removed_by_the_name_of_their_folder(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["done", "", ""], queued=2)
    programs.put("scancel")
    before = (run / JOBS / "ledger.jsonl").read_bytes()
    assert cancel(run) == 2
    assert programs.calls("scancel") == [["--quiet", "--me", f"--name=townsend-{read_ledger(run).name}"]]
    assert is_cancelled(run)
    assert (run / JOBS / "ledger.jsonl").read_bytes() == before, "another process may be writing to it"


def test_jobs_that_were_cancelled_are_no_longer_counted(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["done", "", ""], [60], queued=2)
    programs.put("scancel")
    cancel(run)
    found = status(run)
    assert (found.live, found.queued, found.over, found.left_s) == ({}, 0, True, 0.0)
    assert programs.calls("squeue") == []
    assert cancel(run) == 0
    assert len(programs.calls("scancel")) == 2, "one that was submitted meanwhile is removed too"


def test_a_run_that_goes_on_after_it_was_cancelled_has_other_jobs(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [""])
    programs.put("scancel")
    programs.put("squeue", "0001|0|RUNNING|None|0:10\n")
    cancel(run)
    ledger = Ledger(run)
    ledger.submitted(ledger.intend(REQUEST, ["unit 0"]), ["18_0"])
    ledger.close()
    assert not (run / JOBS / CANCELLED).exists()
    assert status(run).live == {State.RUNNING: 1}
    assert [job.how for job in read_jobs(run)] == ["removed", ""]


def test_jobs_that_could_not_be_removed_are_still_there(programs: Programs, tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", ["", ""])
    programs.put("scancel", "Unable to contact slurm controller", status=1)
    with pytest.raises(InputError, match="Unable to contact slurm controller"):
        cancel(run)
    assert not is_cancelled(run)
    ledger = Ledger(run)
    assert len(ledger.live) == 2, "the next process attaches to them"
    ledger.close()


@pytest.mark.parametrize("reason", ["Failed to open [/data/x]", "[red]no[/red]", "\x1b[2J\x1b]0;title\x07 gone"])
def test_a_reason_is_shown_as_it_is_and_steers_no_terminal(reason: str) -> None:
    found = Status("htcondor", 0, {State.HELD: 1}, {}, (("0000-0", "a", reason),), None)
    assert printed(found)[-1] == ["held", "1", printable(reason)]
