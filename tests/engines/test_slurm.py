"""Slurm: the words that its programs get, and what is made of theirs; `tests/farms` has a real one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from farm_programs import Programs
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from townsend.config import parse
from townsend.engines.request import Request
from townsend.engines.scheduler import Batch, JobNews, State
from townsend.engines.site import Site
from townsend.engines.slurm import _STATES, Slurm
from townsend.errors import InputError

REQUEST = Request(cpus=4, memory_mb=5000, disk_mb=2000, max_hours=1.5)
BATCH = Batch("0003", 3, REQUEST)


@pytest.fixture(autouse=True)
def _installed(programs: Programs) -> None:
    programs.put("sbatch")


def opened(jobs: Path, **settings: Any) -> Slurm:
    return Slurm(jobs, parse(Site, {"engine": "slurm", "slurm": settings}), "0123abc")


def heard(jobs: Path, programs: Programs, *lines: str, ids: Iterable[str] = ("0003-1",)) -> list[JobNews]:
    """What a new process makes of lines of squeue."""
    programs.put("squeue", "".join(f"{line}\n" for line in lines))
    return opened(jobs).news(dict.fromkeys(ids, "17_1"))


# ---- submit, find, remove


def test_a_batch_is_an_array(programs: Programs, tmp_path: Path) -> None:
    programs.put("sbatch", "17\n")
    site = {"partition": "long", "account": "my-group", "qos": "low", "constraint": "avx2&rome|milan"}
    assert opened(tmp_path, **site).submit(BATCH) == ["17_0", "17_1", "17_2"]
    [words] = programs.calls("sbatch")
    assert words == [
        "--parsable",
        "--array=0-2",
        "--job-name=townsend-0123abc",
        "--comment=0003",
        "--output=0003-%a.out",
        "--error=0003-%a.err",
        "--cpus-per-task=4",
        "--mem=4882813K",  # 5000 times 10^6 bytes
        "--time=90",
        "--signal=B:TERM@60",
        "--nodes=1",
        "--ntasks=1",
        "--no-requeue",
        "--export=NONE",
        "--partition=long",
        "--account=my-group",
        "--qos=low",
        "--constraint=avx2&rome|milan",
        "job.sh",
        "0003",
    ]


@given(st.integers(1, 10**7))
def test_memory_is_sent_in_bytes_of_megabytes(megabytes: int) -> None:
    words = opened(Path("jobs"))._options(Batch("0000", 1, Request(1, megabytes, 1, 1.0)))
    [kibibytes] = [int(word[6:-1]) for word in words if word.startswith("--mem=")]
    assert 0 <= 1024 * kibibytes - 1e6 * megabytes < 1024


@given(st.floats(0.001, 8760))
def test_a_job_is_warned_after_it_should_have_ended_itself(hours: float) -> None:
    words = dict(
        word.partition("=")[::2] for word in opened(Path("jobs"))._options(Batch("0", 1, Request(1, 1, 1, hours)))
    )
    minutes, warned_s = int(words["--time"]), int(words["--signal"].removeprefix("B:TERM@"))
    assert minutes >= 1
    assert 0 <= minutes - 60 * hours < 1
    assert 0 < warned_s <= min(60, 0.1 * 60 * minutes)


def test_a_number_of_a_federation_is_one(programs: Programs, tmp_path: Path) -> None:
    programs.put("sbatch", "17;cluster-2\n")
    assert opened(tmp_path).submit(Batch("0000", 1, REQUEST)) == ["17_0"]


def test_a_refusal_is_told_in_its_words(programs: Programs, tmp_path: Path) -> None:
    programs.put("sbatch", "sbatch: error: invalid partition specified: lnog", status=1)
    with pytest.raises(InputError, match="invalid partition specified: lnog"):
        opened(tmp_path, partition="lnog").submit(BATCH)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        ("17|0003\n17|0003\n17|0003\n", ["17_0", "17_1", "17_2"]),
        ("16|0002\n17|0003\n18|10003\n", ["17_0", "17_1", "17_2"]),
        ("16|0002\n18|10003\n19|\n20\n", None),
        ("", None),
    ],
)
def test_a_batch_is_found_by_its_comment(
    programs: Programs, tmp_path: Path, lines: str, found: list[str] | None
) -> None:
    programs.put("squeue", lines)
    slurm = opened(tmp_path)
    assert slurm.find(BATCH) == found
    assert slurm.queries == 1
    [words] = programs.calls("squeue")
    assert {"--me", "--name=townsend-0123abc", "--states=all"} <= set(words)


def test_jobs_are_removed_by_their_numbers_and_all_by_their_name(programs: Programs, tmp_path: Path) -> None:
    programs.put("scancel")
    slurm = opened(tmp_path)
    slurm.remove([])
    slurm.remove(["17_0", "18_2"])
    slurm.remove_all()
    assert programs.calls("scancel") == [
        ["--quiet", "17_0", "18_2"],
        ["--quiet", "--me", "--name=townsend-0123abc"],
    ]
    assert slurm.queries == 0


# ---- what squeue says


@pytest.mark.parametrize(("word", "state"), [*_STATES.items(), ("SOMETHING_NEW", State.RUNNING)])
def test_each_state_means_one_thing(programs: Programs, tmp_path: Path, word: str, state: State) -> None:
    [news] = heard(tmp_path, programs, f"0003|1|{word}|None|1:02:03")
    assert (news.job, news.state) == ("0003-1", state)
    assert news.detail == (f"{word} after 1:02:03" if state.over else word)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("Priority", State.IDLE),
        ("Resources", State.IDLE),
        ("JobHeldUser", State.HELD),
        ("JobHeldAdmin", State.HELD),
        ("job requeued in held state", State.HELD),
    ],
)
def test_a_job_that_waits_says_why(programs: Programs, tmp_path: Path, reason: str, state: State) -> None:
    [news] = heard(tmp_path, programs, f"0003|1|PENDING|{reason}|0:00")
    assert (news.state, news.detail) == (state, f"PENDING, {reason}" + (" after 0:00" if state.over else ""))


def test_a_job_that_is_no_longer_known_has_ended(programs: Programs, tmp_path: Path) -> None:
    news = heard(tmp_path, programs, "0003|1|RUNNING|None|0:10", ids=["0003-1", "0003-2", "0004-0"])
    assert {one.job: one.state for one in news} == {
        "0003-1": State.RUNNING,
        "0003-2": State.ENDED,
        "0004-0": State.ENDED,
    }
    assert news[1].detail == "Slurm no longer knows it"


@pytest.mark.parametrize(
    ("log", "state"),
    [
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=17.batch.", State.OVER_MEMORY),
        ("slurmstepd: error: Job 17 exceeded memory limit (700M > 500M), being killed", State.OVER_MEMORY),
        ("slurmstepd: error: Exceeded job memory limit", State.OVER_MEMORY),
        ("MemoryError", State.ENDED),
        ("", State.ENDED),
    ],
)
def test_want_of_memory_is_read_from_the_log_where_the_state_does_not_say_it(
    programs: Programs, tmp_path: Path, log: str, state: State
) -> None:
    (tmp_path / "0003-1.err").write_text(log)
    assert heard(tmp_path, programs, "0003|1|FAILED|NonZeroExitCode|0:10")[0].state is state
    assert heard(tmp_path, programs, "0003|1|RUNNING|None|0:10")[0].state is State.RUNNING


HOSTILE = ["", "|", "||||", "0003|1|CANCELLED|x", "0003|1|CANCELLED|x|0|y", "my | comment|1|CANCELLED|None|0:00"]
HOSTILE += ["0003|N/A|CANCELLED|None|0:00", "|1|CANCELLED|None|0:00", " 0003|1|CANCELLED|None|0:00", "0003|-1|x|x|x"]
HOSTILE += ["\x1b[2J|1|CANCELLED|None|0:00", "0003 |1|CANCELLED|None|0:00", "(null)|1|CANCELLED|None|0:00"]
HOSTILE += ["0003|²|CANCELLED|None|0:00", "0003|١|CANCELLED|None|0:00"]


@pytest.mark.parametrize("line", HOSTILE)
def test_a_line_of_another_job_is_passed_over(programs: Programs, tmp_path: Path, line: str) -> None:
    news = heard(tmp_path, programs, line, "0003|1|RUNNING|None|0:10", line)
    assert [(one.job, one.state) for one in news] == [("0003-1", State.RUNNING)]


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])  # each starts a program
@given(st.lists(st.lists(st.text("0123|-+ x\x1b\u2028ü²١", max_size=6), max_size=6).map("|".join), max_size=5))
def test_whatever_it_says_is_about_the_jobs_that_were_asked_about(
    programs: Programs, tmp_path: Path, lines: list[str]
) -> None:
    news = heard(tmp_path, programs, *lines, ids=["0003-1", "0003-2"])
    assert [one.job for one in news] == ["0003-1", "0003-2"]


# ---- how often it is asked


def test_it_is_asked_rarely_and_tells_what_is_new(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    slurm = opened(tmp_path, query_seconds=30)
    ids = {"0003-0": "17_0", "0003-1": "17_1"}
    states = []
    for now in (1000.0, 1029.0, 1031.0, 1062.0):
        ended = "COMPLETED" if now > 1060 else "RUNNING"
        programs.put("squeue", f"0003|0|RUNNING|None|0:10\n0003|1|{ended}|None|0:10\n")
        states.append({one.job: one.state for one in slurm.news(ids)})
    assert states == [{"0003-0": State.RUNNING, "0003-1": State.RUNNING}, {}, {}, {"0003-1": State.ENDED}]
    assert slurm.queries == len(programs.calls("squeue")) == 3


def test_it_is_not_asked_about_no_jobs(programs: Programs, tmp_path: Path) -> None:
    slurm = opened(tmp_path)
    assert slurm.news({}) == []
    assert programs.calls("squeue") == []


def test_a_controller_that_does_not_answer_is_asked_again(
    programs: Programs, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    programs.put("squeue", "0003|1|RUNNING|None|0:10\n")
    slurm = opened(tmp_path)
    assert len(slurm.news({"0003-1": "17_1"})) == 1
    programs.put("squeue", "slurm_load_jobs error: Unable to contact slurm controller", status=1)
    now = 1100.0
    assert slurm.news({"0003-1": "17_1"}) == []
    assert "Unable to contact slurm controller" in caplog.text
    programs.put("squeue", "0003|1|TIMEOUT|TimeLimit|2:00:00\n")
    now = 1200.0
    assert [one.state for one in slurm.news({"0003-1": "17_1"})] == [State.OVER_TIME]


def test_whoever_only_looks_is_told_when_it_does_not_answer(programs: Programs, tmp_path: Path) -> None:
    programs.put("squeue", "slurm_load_jobs error: Unable to contact slurm controller", status=1)
    with pytest.raises(InputError, match="Unable to contact slurm controller"):
        opened(tmp_path).news({"0003-1": "17_1"})
