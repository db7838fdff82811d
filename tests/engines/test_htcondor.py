"""HTCondor: what is written into a submit file, and the words of its programs; `tests/farms` has a real pool."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from farm_programs import Programs
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse
from townsend.engines.condor_queue import CondorTools, find_queue
from townsend.engines.htcondor import EVENTS, HTCondor
from townsend.engines.request import Request
from townsend.engines.scheduler import Batch
from townsend.engines.site import Site
from townsend.errors import ConfigError, InputError

REQUEST = Request(cpus=4, memory_mb=5000, disk_mb=2000, max_hours=1.5)
KEYS = re.compile(r"^(?:My\.)?\w+(?= = )")
SHARED = ["universe", "executable", "arguments", "output", "error", "log"]
SHARED += ["request_cpus", "request_memory", "request_disk"]
SHARED += ["allowed_execute_duration", "job_lease_duration", "batch_name", "notification", "My.TownsendBatch"]
SHARED += ["should_transfer_files"]
TRAVELLING = ["when_to_transfer_output", "transfer_input_files", "transfer_output_files", "stream_output"]
TRAVELLING += ["stream_error"]


def opened(jobs: Path, **site: Any) -> HTCondor:
    """The jobs of a folder, by the programs of a pool that nobody asks."""
    return HTCondor(jobs, parse(Site, {"engine": "htcondor", **site}), "0123abc", CondorTools(jobs, "townsend-0123abc"))


def lines(batch: Batch, **site: Any) -> dict[str, str]:
    """What a submit file says, in order; the last line is queue's."""
    text = opened(Path("jobs"), **site)._description(batch)
    said, queue = text.partition("\nqueue ")[::2]
    found = dict(line.split(" = ", 1) for line in said.splitlines())
    assert len(found) == len(said.splitlines()), "each key once, and nothing else"
    return {**found, "queue": queue}


# ---- the submit file


def test_jobs_that_see_the_folder_are_described_by_these_lines() -> None:
    found = lines(Batch("0003", 20, REQUEST))
    assert list(found) == [*SHARED, "queue"]
    assert (found["executable"], found["arguments"]) == ("job.sh", "0003-$(Process)")
    assert (found["output"], found["error"]) == ("0003-$(Process).out", "0003-$(Process).err")
    assert (found["request_cpus"], found["allowed_execute_duration"]) == ("4", "5400")
    assert found["log"] == EVENTS
    assert (found["batch_name"], found["My.TownsendBatch"]) == ("townsend-0123abc", '"0003"')
    assert (found["should_transfer_files"], found["queue"]) == ("NO", "20\n")


def test_jobs_that_do_not_are_described_with_what_travels() -> None:
    files = (("0003-0.json", "input-0.tar"), ("0003-1.json", "input-1.tar", "build-0.py"))
    found = lines(Batch("0003", 2, REQUEST, files))
    assert list(found) == [*SHARED, *TRAVELLING, "queue"]
    assert found["should_transfer_files"] == "YES"
    assert found["transfer_output_files"] == "0003-$(Process).back.tar"
    assert found["queue"] == "travelling from (\n0003-0.json, input-0.tar\n0003-1.json, input-1.tar, build-0.py\n)\n"


@given(st.integers(1, 10**7), st.integers(1, 10**7))
def test_sizes_are_sent_in_bytes_of_megabytes(memory_mb: int, disk_mb: int) -> None:
    """A pool counts memory in MiB and disk in KiB."""
    found = lines(Batch("0000", 1, Request(1, memory_mb, disk_mb, 1.0)))
    assert 0 <= 1024**2 * int(found["request_memory"]) - 1e6 * memory_mb < 1024**2
    assert 0 <= 1024 * int(found["request_disk"]) - 1e6 * disk_mb < 1024


def test_what_a_pool_wants_besides_is_said() -> None:
    given = {"accounting_group": "group_x.me", "time_attribute": "MaxRuntime", "lease_minutes": 0.5}
    found = lines(Batch("0003", 1, REQUEST), htcondor=given)
    assert (found["accounting_group"], found["My.MaxRuntime"], found["job_lease_duration"]) == (
        "group_x.me",
        "5400",
        "30",
    )


HOSTILE = ["a\n+Owner = root", "a\r\nqueue 9", "a = b", "$(x)", "a\x0bqueue", "a\u2028queue", 'a"b', "\nexecutable = x"]
TEXTS = st.sampled_from([*HOSTILE, "group_x.me", "MaxRuntime", "a|b&c:d/e@f-g"]) | st.text(max_size=12)


@given(TEXTS, TEXTS, st.booleans(), st.integers(1, 3), st.floats(1e-3, 8760))
def test_no_line_of_a_submit_file_begins_with_a_key_of_somebody_else(
    group: str, attribute: str, travels: bool, jobs: int, hours: float
) -> None:
    """Settings that are taken are harmless words; most hostile ones are not taken."""
    try:
        given = parse(
            Site, {"engine": "htcondor", "htcondor": {"accounting_group": group, "time_attribute": attribute}}
        )
    except ConfigError:
        return
    files = tuple((f"0003-{number}.json",) for number in range(jobs)) if travels else ()
    batch = Batch("0003", jobs, Request(1, 1, 1, hours), files)
    found = lines(batch, **given.model_dump())
    allowed = {*SHARED, *(TRAVELLING if travels else []), "accounting_group", f"My.{attribute}", "queue"}
    assert set(found) <= allowed
    assert all(KEYS.match(f"{key} = ") for key in found if key != "queue")
    assert not any(mark in found["accounting_group"] for mark in "\"'$=()\\ ")


@pytest.mark.parametrize("name", ["run\nexecutable = x", "run\x1b[2J", "run\u2028x"])
def test_a_folder_that_could_be_a_line_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(InputError, match="HTCondor takes no folder with a line break or another control char") as no:
        opened(tmp_path / name / "jobs")
    assert str(no.value).isprintable()
    assert str(no.value).endswith("; rename it")


# ---- the pool's own programs


def test_a_batch_is_a_cluster(programs: Programs, tmp_path: Path) -> None:
    programs.put("condor_submit", "17.0 - 17.2\n")
    found = opened(tmp_path)
    assert found.submit(Batch("0003", 3, REQUEST)) == ["17.0", "17.1", "17.2"]
    assert programs.calls("condor_submit") == [["-terse", "0003.sub"]]
    assert (tmp_path / "0003.sub").read_text() == found._description(Batch("0003", 3, REQUEST))


@pytest.mark.parametrize("said", ["", "Submitting job(s)...\n1 job(s) submitted", "-1.0 - -1.0", "one.two"])
def test_a_number_that_is_none_is_refused(programs: Programs, tmp_path: Path, said: str) -> None:
    programs.put("condor_submit", said)
    with pytest.raises(InputError, match="condor_submit must say the number of its cluster"):
        opened(tmp_path).submit(Batch("0003", 3, REQUEST))


def test_a_batch_is_found_in_the_queue_or_in_the_history(programs: Programs, tmp_path: Path) -> None:
    programs.put("condor_q", "17\n")
    programs.put("condor_history", "")
    batch = Batch("0003", 2, REQUEST)
    assert opened(tmp_path).find(batch) == ["17.0", "17.1"]
    constraint = 'JobBatchName == "townsend-0123abc" && TownsendBatch == "0003"'
    assert programs.calls("condor_q") == [["-constraint", constraint, "-limit", "1", "-af", "ClusterId"]]
    programs.put("condor_q", "")
    assert opened(tmp_path).find(batch) is None
    programs.put("condor_history", "16\n")
    assert opened(tmp_path).find(batch) == ["16.0", "16.1"]


def test_jobs_are_removed_by_their_numbers_and_never_without_their_name(programs: Programs, tmp_path: Path) -> None:
    programs.put("condor_rm", "All jobs matching constraint have been marked for removal")
    found = opened(tmp_path)
    found.remove([])
    found.remove(["17.0", "18.12"])
    found.remove_all()
    own = 'JobBatchName == "townsend-0123abc"'
    numbers = "((ClusterId == 17 && ProcId == 0) || (ClusterId == 18 && ProcId == 12))"
    assert programs.calls("condor_rm") == [["-constraint", f"{own} && {numbers}"], ["-constraint", own]]


def test_jobs_that_are_gone_already_are_passed_over(programs: Programs, tmp_path: Path) -> None:
    programs.put("condor_rm", "Couldn't find/remove all jobs matching constraint", status=1)
    opened(tmp_path).remove(["17.0"])
    programs.put("condor_rm", "Failed to connect to local queue manager", status=1)
    with pytest.raises(InputError, match="Failed to connect"):
        opened(tmp_path).remove(["17.0"])


def test_a_number_that_is_an_expression_reaches_no_pool(programs: Programs, tmp_path: Path) -> None:
    programs.put("condor_rm")
    with pytest.raises(ValueError, match="true"):
        opened(tmp_path).remove(["17.0 || true"])
    assert programs.calls("condor_rm") == []


def test_an_older_pool_is_asked_by_its_own_programs(programs: Programs, tmp_path: Path) -> None:
    pytest.importorskip("htcondor2", reason="HTCondor's Python bindings: pip install 'townsend[htcondor]'")
    programs.put("condor_version", "$CondorVersion: 24.0.1 2024-10-31 $\n")
    for way in ("auto", "tools"):
        assert isinstance(find_queue(tmp_path, "townsend-0123abc", way), CondorTools)
