"""What a run took, in words: for a terminal as golden text, and on a page."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from written_sweep import fit, write_sweep

from townsend.engines.ledger import Ledger, ledger_path
from townsend.engines.request import Request
from townsend.engines.usage import Usage
from townsend.errors import InputError
from townsend.report.resources import job_part, render_resources, sweep_part
from townsend.sweep.board import board
from townsend.training.records import FitRecord

SLIDES = Request(cpus=4, memory_mb=5000, disk_mb=2000, max_hours=2)
USED = Usage(wall_s=862, cpu_s=862 * 1.66, memory_mb=826, disk_mb=3.25, host="node7")
TOLD = Usage(wall_s=880, memory_mb=840.2, disk_mb=25)
End = tuple[str, Usage, Usage]

GOLDEN = """\
note 4 jobs: 2 done, 1 over memory, 1 queued or running
note 4 CPUs were asked for and 1.6 used; 2 would do
note memory: 5,000 MB of the 5,000 MB asked for were used; ask for 6,500 MB, or the next job may not fit
note disk: 2,000 MB asked for, 12 MB used; 200 MB would do
note run time: 2 h asked for, 20 min 00 s used; 0.5 h would do
note --request auto asks for request_cpus 2, request_memory 6500MB, max_hours 0.5
run: what a job used and asked for; efficiency is the median's share of the request

                                                                  batch system:  batch system:
           jobs       median      highest    request  efficiency         median        highest
 ─────────────────────────────────────────────────────────────────────────────────────────────
 CPUs         2         1.63         1.66          4        41 %    not sampled    not sampled
 memory       3       900 MB     5,000 MB   5,000 MB        18 %         840 MB         840 MB
 disk         2       7.6 MB        12 MB   2,000 MB         0 %          25 MB          25 MB
 run time     2  17 min 11 s  20 min 00 s  2 h a job        14 %    14 min 40 s    14 min 40 s

trial 5, the best, and its job 0001-0 on node7, which trained 2 configurations, after 1 that did not end

              trial 5      its job  batch system    request
 ──────────────────────────────────────────────────────────
 CPUs            0.90         1.66   not sampled          4
 memory        600 MB       826 MB        840 MB   5,000 MB
 disk               -       3.2 MB         25 MB   2,000 MB
 run time  1 min 40 s  14 min 22 s   14 min 40 s  2 h a job"""


def records(number: int = 6) -> list[FitRecord]:
    """Configurations of which the last is the best."""
    costs: dict[str, Any] = {"wall_s": 100.0, "cpu_s": 90.0, "peak_memory_mb": 600.0}
    return [fit(trial, 0.9 + 0.01 * trial, **costs) for trial in range(number)]


def write_jobs(folder: Path, batches: Sequence[Sequence[tuple[str, End | None]]], request: Request = SLIDES) -> Path:
    """A ledger: of each batch the units, and how the job of each ended."""
    ledger = Ledger(folder)
    for given in batches:
        batch = ledger.intend(request, [unit for unit, _ in given])
        ledger.submitted(batch, [f"17.{number}" for number in range(len(given))])
        for stem, (_, end) in zip(batch.stems, given, strict=True):
            if end is not None:
                ledger.end(stem, end[0], "", *end[1:])
    ledger.close()
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A sweep of two brackets; the first job of the second ran out of memory, and one job is not over."""
    run = write_sweep(tmp_path / "run", records())
    slow = replace(USED, wall_s=1200, cpu_s=1200 * 1.6, memory_mb=900, disk_mb=12)
    first = [("bracket 0", ("done", slow, Usage())), ("bracket 1", ("over memory", USED, Usage()))]
    return write_jobs(run, [first, [("bracket 1", ("done", USED, TOLD)), ("bracket 2", None)]])


def printed(run: Path, best: FitRecord | None, width: int = 120) -> str:
    stream = io.StringIO()
    found = render_resources(run, best)
    assert found is not None
    Console(file=stream, width=width, color_system=None).print(found)
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines()).strip()


def plain(text: str) -> str:
    """What a page says, without its elements."""
    return re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", text)).strip()


def table_rows(text: str) -> list[list[str]]:
    """The cells of all rows of all tables."""
    return [
        [plain(cell) for cell in re.findall(r"<t[hd][^>]*>.*?</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", text)
    ]


# ---- for a terminal


def test_golden_text_for_a_terminal(run: Path) -> None:
    assert printed(run, board(run).best) == GOLDEN


@pytest.mark.parametrize("width", [60, 80, 100])
def test_a_narrow_terminal_shows_the_same_words(run: Path, width: int) -> None:
    text = printed(run, board(run).best, width)
    assert max(map(len, text.splitlines())) <= width
    assert "--request auto asks for" in text


def test_a_run_without_jobs_has_nothing_to_show(tmp_path: Path) -> None:
    assert render_resources(write_sweep(tmp_path / "run", records())) is None
    assert render_resources(tmp_path / "none") is None


def test_without_a_best_configuration_there_is_one_table(run: Path) -> None:
    text = printed(run, None)
    assert text == GOLDEN[: GOLDEN.index("\n\ntrial 5")]


def test_jobs_of_which_none_is_done_are_counted(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", [])
    write_jobs(run, [[("bracket 0", None), ("bracket 1", ("removed", Usage(), Usage()))]])
    assert printed(run, None) == (
        "note 2 jobs: 1 removed, 1 queued or running\n"
        "note no job has measured itself to its end; look again when some are done"
    )


def test_a_request_that_fits_is_praised_and_told_numbers_are_left_out_where_there_are_none(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", records(1))
    used = Usage(wall_s=1800, cpu_s=1800, memory_mb=700, disk_mb=1000)
    write_jobs(run, [[("bracket 0", ("done", used, Usage(host="node7")))]], Request(1, 1000, 2000, 1))
    text = printed(run, board(run).best)
    assert text.startswith(
        "ok   1 job: 1 done\nok   what was asked for fits: nothing was short, nothing mostly unused\n"
    )
    assert "batch system" not in text
    assert "trial 0, the best, and its job 0000-0, which trained it alone\n" in text


def test_processors_that_were_sampled_are_shown(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", records(1))
    write_jobs(run, [[("bracket 0", ("done", USED, replace(TOLD, cpu_s=880 * 1.5)))]])
    text = printed(run, board(run).best)
    assert "not sampled" not in text
    assert text.count("1.50") == 3


def test_the_best_configuration_that_no_job_trained_has_no_table(run: Path) -> None:
    """Its bracket ended before there were jobs; so says a sweep that was begun on one machine."""
    assert "trial 99" not in printed(run, fit(99, 0.9))


def test_a_damaged_ledger_is_one_sentence(run: Path) -> None:
    ledger_path(run).write_text('{"folder": "0123", "inode": 1}\nnonsense\n')
    for act in (render_resources, job_part, lambda run: sweep_part(run, board(run))):
        with pytest.raises(InputError, match=r"line 2 of .*ledger\.jsonl must be as townsend wrote it"):
            act(run)


# ---- on a page


def test_a_page_says_the_same(run: Path) -> None:
    text = sweep_part(run, board(run)).text
    assert plain(text).startswith("What the jobs of run took note 4 jobs: 2 done, 1 over memory, 1 queued or running")
    assert "note --request auto asks for request_cpus 2, request_memory 6500MB" in plain(text)
    rows = table_rows(text)
    assert rows[0] == [
        "",
        "jobs",
        "median",
        "highest",
        "request",
        "efficiency",
        *[f"batch system: {n}" for n in ("median", "highest")],
    ]
    assert rows[1] == ["CPUs", "2", "1.63", "1.66", "4", "41 %", "not sampled", "not sampled"]
    assert rows[5] == ["", "trial 5", "its job", "batch system", "request"]
    assert rows[9] == ["run time", "1 min 40 s", "14 min 22 s", "14 min 40 s", "2 h a job"]


def test_a_sweep_without_jobs_shows_its_records(tmp_path: Path) -> None:
    rows = [*records(3), replace(fit(3, 0.5), wall_s=0.0)]
    run = write_sweep(tmp_path / "run", rows)
    text = sweep_part(run, board(run)).text
    assert "run: what training one configuration took, by its own record" in plain(text)
    assert table_rows(text) == [
        ["", "configurations", "median", "highest", "trial 2, the best"],
        ["CPUs", "3", "0.90", "0.90", "0.90"],
        ["memory", "3", "600 MB", "600 MB", "600 MB"],
        ["run time", "3", "1 min 40 s", "1 min 40 s", "1 min 40 s"],
    ]


def test_a_sweep_that_has_measured_nothing_shows_nothing(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", [])
    assert sweep_part(run, board(run)).text == ""
    assert job_part(run).text == ""


def test_any_folder_with_jobs_has_its_part(tmp_path: Path) -> None:
    folder = write_jobs(tmp_path / "mc", [[("waveforms-00000.root", ("done", USED, Usage()))]])
    text = job_part(folder).text
    assert plain(text).startswith("What the jobs of mc took ok 1 job: 1 done")
    assert len(table_rows(text)) == 5


HOSTILE = "<script>alert(1)</script>\x1b[2J"


def test_names_and_ends_stay_text(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / f"<b>{HOSTILE}".replace("/", "|"), records(1))
    hostile = replace(USED, host=HOSTILE)
    write_jobs(run, [[("bracket 0", ("done", hostile, TOLD)), (HOSTILE, (HOSTILE, hostile, TOLD))]])
    page, terminal = sweep_part(run, board(run)).text, printed(run, board(run).best)
    assert "<script>" not in page
    assert "<b>" not in page.replace('<b class="mark">', "")
    assert "\x1b" not in page + terminal
    assert r"\x1b[2J" in terminal
