"""The event log of HTCondor, read by its own library: what each event means for a job."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from townsend.config import parse
from townsend.engines.condor_queue import CondorTools
from townsend.engines.htcondor import EVENTS, HTCondor
from townsend.engines.scheduler import JobNews, State
from townsend.engines.site import Site
from townsend.engines.usage import Usage

SUBMITTED = "000 ({}) 2026-01-01 12:00:00 Job submitted from host: <127.0.0.1:9618>\n...\n"
RUNS = "001 ({}) 2026-01-01 12:00:01 Job executing on host: <127.0.0.1:9618>\n\tSlotName: slot1@node\n...\n"
RELEASED = "013 ({}) 2026-01-01 12:00:03 Job was released.\n\tvia condor_release\n...\n"
IMAGE = "006 ({}) 2026-01-01 12:00:04 Image size of job updated: 1\n...\n"
DISCONNECTED = """\
022 ({}) 2026-01-01 12:00:04 Job disconnected, attempting to reconnect
    Socket between submit and execute hosts closed unexpectedly
    Trying to reconnect to slot1@node <127.0.0.1:9618>
...
"""
RUN_TIMES = "".join(f"\t\tUsr 0 00:00:01, Sys 0 00:00:00  -  Run {where} Usage\n" for where in ("Remote", "Local"))
RUN_BYTES = "".join(f"\t10  -  Run Bytes {way} By Job\n" for way in ("Sent", "Received"))
TIMES, BYTES = (each + each.replace("Run", "Total") for each in (RUN_TIMES, RUN_BYTES))
EVICTED = f"""\
004 ({{}}) 2026-01-01 12:00:02 Job was evicted.
\t(0) CPU times
{RUN_TIMES}{RUN_BYTES}...
"""
KILLED = f"""\
005 ({{}}) 2026-01-01 12:00:05 Job terminated.
\t(0) Abnormal termination (signal 9)
\t(0) No core file
{TIMES}{BYTES}...
"""
ENDED = f"""\
005 ({{}}) 2026-01-01 12:00:05 Job terminated.
\t(1) Normal termination (return value 75)
{TIMES}{BYTES}\
\tPartitionable Resources :    Usage  Request Allocated
\t   Cpus                 :     1.66        4         4
\t   Disk (KB)            :       25  2000000   2000000
\t   Memory (MB)          :      826     5000      5000
\t   TimeExecute (s)      :      862
...
"""


def held(reason: str, code: int) -> str:
    return f"012 ({{}}) 2026-01-01 12:00:06 Job was held.\n\t{reason}\n\tCode {code} Subcode 0\n...\n"


def removed(reason: str) -> str:
    return f"009 ({{}}) 2026-01-01 12:00:07 Job was aborted.\n\t{reason}\n...\n"


def opened(jobs: Path) -> HTCondor:
    """A new process, by the programs of a pool that nobody asks."""
    return HTCondor(jobs, parse(Site, {"engine": "htcondor"}), "0123abc", CondorTools(jobs, "townsend-0123abc"))


@pytest.fixture
def jobs(tmp_path: Path) -> Path:
    pytest.importorskip("htcondor2", reason="HTCondor's Python bindings: pip install 'townsend[htcondor]'")
    return tmp_path


def write(jobs: Path, *events: str, number: str = "017.001.000") -> None:
    with (jobs / EVENTS).open("a") as stream:
        stream.write("".join(event.format(number) for event in events))


def states(news: Sequence[JobNews]) -> list[State]:
    return [one.state for one in news]


def test_a_job_is_followed_from_event_to_event(jobs: Path) -> None:
    pool, ids = opened(jobs), {"0003-1": "17.1"}
    assert pool.news(ids) == [], "there is no log yet"
    write(jobs, SUBMITTED, RUNS, IMAGE)
    assert states(pool.news(ids)) == [State.IDLE, State.RUNNING]
    assert pool.news(ids) == []
    write(jobs, DISCONNECTED, EVICTED, RUNS, held("by me", 1), RELEASED)
    assert states(pool.news(ids)) == [State.IDLE, State.RUNNING, State.HELD, State.IDLE]
    write(jobs, RUNS, ENDED)
    *_, last = pool.news(ids)
    assert (last.job, last.state, last.detail) == ("0003-1", State.ENDED, "status 75")
    assert pool.queries == 0, "the schedd has other things to do"


def test_the_pools_own_numbers_of_a_job_are_in_our_units(jobs: Path) -> None:
    write(jobs, ENDED)
    [news] = opened(jobs).news({"0003-1": "17.1"})
    assert news.usage is not None
    assert news.usage.cpus == pytest.approx(1.66)
    found = (news.usage.wall_s, news.usage.memory_mb, news.usage.disk_mb)
    assert found == pytest.approx((862, 826 * 1024**2 / 1e6, 25 * 1024 / 1e6))
    write(jobs, KILLED, number="017.002.000")
    [news] = opened(jobs).news({"0003-2": "17.2"})
    assert (news.detail, news.usage) == ("signal 9", Usage())


def test_a_new_process_is_told_what_the_last_one_has_heard(jobs: Path) -> None:
    write(jobs, SUBMITTED, RUNS, ENDED)
    for _ in range(2):
        assert states(opened(jobs).news({"0003-1": "17.1"})) == [State.IDLE, State.RUNNING, State.ENDED]


def test_jobs_of_others_and_jobs_that_nobody_asks_about_are_passed_over(jobs: Path) -> None:
    for number in ("017.000.000", "018.001.000", "171.000.000"):
        write(jobs, SUBMITTED, RUNS, ENDED, number=number)
    assert opened(jobs).news({"0003-1": "17.1"}) == []


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (held("Error from slot1@node: memory usage exceeded request_memory", 34), State.OVER_MEMORY),
        (held("Job has gone over cgroup memory limit of 512 megabytes", 34), State.OVER_MEMORY),
        (held("The job exceeded allowed execute duration of 02:00:00", 47), State.OVER_TIME),
        (held("The job exceeded allowed job duration of 02:00:00", 46), State.OVER_TIME),
        (held("Wall time exceeded", 26), State.OVER_TIME),
        (held("Transfer output files failure: disk quota", 13), State.HELD),
        (held("via condor_hold (by user me)", 1), State.HELD),
        (held("Failed to open memory.out", 7), State.HELD),
        (held("Failed to open /data/runtime/jobs/0003-1.out as standard output", 7), State.HELD),
        (removed("via condor_rm (by user me)"), State.REMOVED),
        (removed("The system macro SYSTEM_PERIODIC_REMOVE expression 'RunTime > MaxRuntime' is true"), State.OVER_TIME),
    ],
)
def test_why_a_job_was_stopped_is_read_from_its_reason(jobs: Path, event: str, state: State) -> None:
    write(jobs, RUNS, event)
    [_, news] = opened(jobs).news({"0003-1": "17.1"})
    assert news.state is state
    assert news.detail in event


def test_a_log_that_is_still_being_written_is_read_on(jobs: Path) -> None:
    pool, whole = opened(jobs), RUNS.format("017.001.000")
    (jobs / EVENTS).write_text(whole[:50])  # the bindings wait a second for its other half
    assert pool.news({"0003-1": "17.1"}) == []
    write(jobs, whole[50:])
    assert states(pool.news({"0003-1": "17.1"})) == [State.RUNNING]


TORN = "005 (017.001.000) 2026-01-01 12:00:05 Job terminated.\n\t(1) Norm"
NEWER = "099 (017.001.000) 2026-01-01 12:00:05 What only a newer pool knows\n\tx\n...\n"


@pytest.mark.parametrize("event", [TORN, NEWER, "\0\0\0\0\n", "nothing of the kind\n...\n"])
def test_an_event_that_cannot_be_read_is_passed_over(jobs: Path, event: str) -> None:
    """A machine that went down has torn it, or the pool is newer than the library; a torn one takes the next along."""
    write(jobs, SUBMITTED)
    with (jobs / EVENTS).open("a") as stream:
        stream.write(event)
    write(jobs, RUNS, RUNS, KILLED)
    pool = opened(jobs)
    news = [one for _ in range(3) for one in pool.news({"0003-1": "17.1"})]
    assert (news[0].state, *{one.state for one in news[1:-1]}, news[-1].state) == (
        State.IDLE,
        State.RUNNING,
        State.ENDED,
    )
