"""What jobs used beside what they asked for: closed forms, and a request that fits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse
from townsend.engines.fitting import Resource, fitting_request, misfits, used_and_asked
from townsend.engines.ledger import Job, Ledger
from townsend.engines.request import Request, size_mb
from townsend.engines.site import Site, find_site
from townsend.engines.usage import Usage
from townsend.errors import InputError

SLIDES = Request(cpus=4, memory_mb=5000, disk_mb=2000, max_hours=2)
USED = Usage(wall_s=862, cpu_s=862 * 1.66, memory_mb=826, disk_mb=12)
"""What the best job of the talk used, of what it asked for."""


def done(number: int = 0, used: Usage = USED, request: Request = SLIDES, how: str = "done") -> Job:
    return Job(f"{number:04d}-0", f"bracket {number}", request, "7", how=how, measured=used)


def taken(*used: Usage, request: Request = SLIDES) -> dict[str, Resource]:
    """The table of jobs that are done."""
    return {one.name: one for one in used_and_asked([done(n, each, request) for n, each in enumerate(used)])}


def write_run(run: Path, jobs: Sequence[Job]) -> Path:
    """A run whose ledger holds these jobs."""
    ledger = Ledger(run)
    for job in jobs:
        batch = ledger.intend(job.request, [job.unit])
        ledger.submitted(batch, [job.id])
        if job.how:
            ledger.end(batch.stems[0], job.how, "", job.measured, job.told)
    ledger.close()
    return run


# ---- the table


def test_the_job_of_the_slides() -> None:
    found = taken(USED)
    assert list(found) == ["CPUs", "memory [MB]", "disk [MB]", "run time [h]"]
    assert {name: one.request for name, one in found.items()} == {
        "CPUs": 4,
        "memory [MB]": 5000,
        "disk [MB]": 2000,
        "run time [h]": 2,
    }
    assert found["CPUs"].median == pytest.approx(1.66)
    assert found["memory [MB]"].efficiency == pytest.approx(826 / 5000)
    assert found["run time [h]"].efficiency == pytest.approx(862 / 7200)


def test_the_median_is_that_of_the_jobs_and_the_highest_theirs() -> None:
    found = taken(*[replace(USED, memory_mb=memory) for memory in (100, 900, 300, 200)])["memory [MB]"]
    assert (found.jobs, found.median, found.highest, found.efficiency) == (4, 250, 900, 0.05)


def test_a_job_counts_where_it_has_measured_itself() -> None:
    found = taken(USED, Usage(memory_mb=100), Usage(wall_s=10), Usage())
    assert {name: one.jobs for name, one in found.items()} == {
        "CPUs": 1,
        "memory [MB]": 2,
        "disk [MB]": 1,
        "run time [h]": 2,
    }


def test_of_different_requests_the_largest_stands() -> None:
    more = done(1, request=replace(SLIDES, memory_mb=10_000))
    assert {one.name: one.request for one in used_and_asked([done(), more])}["memory [MB]"] == 10_000


@pytest.mark.parametrize("how", ["", "ended", "removed", "held", "refused", "failed", "not submitted"])
def test_jobs_that_did_not_come_to_their_end_do_not_count(how: str) -> None:
    assert used_and_asked([done(how=how)]) == []


def test_a_job_stopped_over_its_memory_or_time_used_all_that_it_asked_for() -> None:
    stopped = replace(USED, memory_mb=1200, wall_s=100)
    found = {one.name: one for one in used_and_asked([done(0, stopped, how="over memory"), done(1)])}
    assert (found["memory [MB]"].highest, found["memory [MB]"].jobs) == (5000, 2)
    assert found["run time [h]"].highest == pytest.approx(862 / 3600)
    found = {one.name: one for one in used_and_asked([done(0, Usage(), how="over time"), done(1)])}
    assert (found["run time [h]"].highest, found["memory [MB]"].highest) == (2, 826)


# ---- misfits


def test_the_request_of_the_slides_was_too_large() -> None:
    assert misfits(list(taken(USED).values())) == [
        "4 CPUs were asked for and 1.7 used; 2 would do",
        "memory: 5,000 MB asked for, 826 MB used; 1,100 MB would do",
        "disk: 2,000 MB asked for, 12 MB used; 200 MB would do",
        "run time: 2 h asked for, 14 min 22 s used; 0.5 h would do",
    ]


def test_a_tight_request_is_named() -> None:
    tight = Usage(wall_s=6900, cpu_s=6900, memory_mb=11_850, disk_mb=1900)
    request = Request(cpus=1, memory_mb=12_000, disk_mb=2000, max_hours=2)
    assert misfits(list(taken(tight, request=request).values())) == [
        "memory: 11,850 MB of the 12,000 MB asked for were used; ask for 15,500 MB, or the next job may not fit",
        "disk: 1,900 MB of the 2,000 MB asked for were used; ask for 2,500 MB, or the next job may not fit",
        "run time: 1 h 55 min of the 2 h asked for were used; ask for 2.5 h, or the next job may not fit",
    ]


@pytest.mark.parametrize(
    ("name", "median", "highest", "asked"),
    [
        ("memory [MB]", 500, 900, 1000),  # just not tight
        ("memory [MB]", 300, 300, 1000),  # just not waste
        ("memory [MB]", 10, 750, 1000),  # one job needs it, with head room
        ("memory [MB]", 10, 20, 200),  # nobody asks for less
        ("run time [h]", 0.01, 0.01, 0.25),
        ("CPUs", 0.1, 0.1, 1),
        ("CPUs", 1.0, 4.0, 2),
        ("CPUs", 1.4, 1.4, 2),
    ],
)
def test_a_request_that_fits_is_passed_over(name: str, median: float, highest: float, asked: float) -> None:
    assert misfits([Resource(name, 3, median, highest, asked)]) == []


def test_a_processor_is_the_least_that_can_be_asked_for() -> None:
    assert misfits([Resource("CPUs", 1, 0.0, 0.0, 8)]) == ["8 CPUs were asked for and 0 used; 1 would do"]


# ---- the request that fits


def test_what_the_job_of_the_slides_should_have_asked_for(tmp_path: Path) -> None:
    assert fitting_request(write_run(tmp_path, [done()])) == {
        "request_cpus": 2,  # 1.66
        "request_memory": "1100MB",  # 1.3 x 826 = 1073.8
        "max_hours": 0.5,  # 1.3 x 0.239
    }


@pytest.mark.parametrize(("busy", "cpus"), [(0.0, 1), (0.3, 1), (1.0, 1), (1.04, 1), (1.06, 2), (2.0, 2), (3.2, 4)])
def test_processors_are_those_kept_busy(tmp_path: Path, busy: float, cpus: int) -> None:
    run = write_run(tmp_path, [done(used=Usage(wall_s=100, cpu_s=100 * busy))])
    assert fitting_request(run)["request_cpus"] == cpus


def test_only_what_was_measured_is_asked_for(tmp_path: Path) -> None:
    assert fitting_request(write_run(tmp_path, [done(used=Usage(memory_mb=500))])) == {"request_memory": "700MB"}


def test_a_large_request_is_one_that_a_site_takes(tmp_path: Path) -> None:
    asked = fitting_request(write_run(tmp_path, [done(used=replace(USED, memory_mb=950_000))]))
    assert asked["request_memory"] == "1235000MB"
    assert find_site("recas", asked) is not None


def test_disk_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    """An environment and inputs that travel lie beside the folder that jobs measure."""
    full = replace(USED, disk_mb=1990)
    assert misfits([taken(full)["disk [MB]"]])[0].startswith("disk: 1,990 MB of the 2,000 MB asked for were used")
    assert "request_disk" not in fitting_request(write_run(tmp_path, [done(used=full)]))


@pytest.mark.parametrize("jobs", [[], [done(how="")], [done(how="removed")], [done(used=Usage())]])
def test_a_run_without_measured_jobs_is_one_sentence(tmp_path: Path, jobs: list[Job]) -> None:
    with pytest.raises(InputError, match="--request needs jobs that have measured themselves") as refused:
        fitting_request(write_run(tmp_path, jobs))
    assert str(tmp_path) in str(refused.value)
    assert "\n" not in str(refused.value)


def test_a_folder_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="has none"):
        fitting_request(tmp_path / "none")


USAGES = st.builds(
    Usage,
    wall_s=st.floats(0.1, 1e6),
    cpu_s=st.floats(0, 1e6),
    memory_mb=st.floats(1, 1e6),
    disk_mb=st.none() | st.floats(0, 1e6),
)


def request_for(jobs: Sequence[Job]) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("townsend.engines.fitting.read_jobs", lambda run: list(jobs))
        return fitting_request(Path("run"))


@given(st.lists(USAGES, min_size=1, max_size=5))
def test_the_suggested_request_covers_the_highest_usage_and_leaves_nothing_to_say(used: list[Usage]) -> None:
    asked = request_for([done(number, each) for number, each in enumerate(used)])
    assert size_mb(asked["request_memory"]) >= max(each.memory_mb or 0 for each in used)
    assert asked["max_hours"] >= max(each.wall_s or 0 for each in used) / 3600
    assert set(asked) == {"request_cpus", "request_memory", "max_hours"}

    within = {**asked, "request_cpus": min(asked["request_cpus"], 512)}  # the most that a site takes
    request = parse(Site, {"engine": "htcondor", **within}).request
    again = [one for one in taken(*used, request=request).values() if not one.name.startswith("disk")]
    assert not [one for one in misfits(again) if "may not fit" in one]
    assert request_for([done(n, each, request) for n, each in enumerate(used)]) == asked
