"""The ledger: whatever moment a process dies at, the next one knows every job, and what it cannot know."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.engines.ledger import Ledger, Recorded, ledger_path, read_jobs, read_ledger
from townsend.engines.request import Request
from townsend.engines.scheduler import Batch
from townsend.engines.usage import Usage
from townsend.errors import InputError

SMALL, LARGE = Request(1, 2000, 2000, 2.0), Request(4, 5000, 2000, 0.1)
USED = Usage(wall_s=862.0, cpu_s=1430.9, memory_mb=826.0, disk_mb=1.5, host="node 7")


def known(ledger: Ledger) -> tuple[Any, ...]:
    """All that a ledger knows."""
    return ledger.name, dict(ledger.jobs), ledger.live, ledger.uncertain


def written(run: Path) -> list[dict[str, Any]]:
    """The lines of a ledger."""
    return [json.loads(line) for line in ledger_path(run).read_text().splitlines()]


def with_lines(run: Path, *lines: str | bytes) -> Path:
    """A run whose ledger has these lines."""
    ledger_path(run).parent.mkdir(parents=True)
    ledger_path(run).write_bytes(b"".join(line if isinstance(line, bytes) else line.encode() + b"\n" for line in lines))
    return run


def opened(run: Path, act: Callable[[Ledger], Any] = lambda ledger: None) -> Any:
    """What an action on the ledger of a run gives; the process then ends."""
    ledger = Ledger(run)
    try:
        return act(ledger)
    finally:
        ledger.close()


# ---- a job's way


def test_a_job_is_known_from_intention_to_end(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    batch = ledger.intend(SMALL, ["bracket 0", "bracket 1"])
    assert batch == Batch("0000", 2, SMALL)
    assert [(job.stem, job.unit, job.id) for job in ledger.live] == [
        ("0000-0", "bracket 0", ""),
        ("0000-1", "bracket 1", ""),
    ]
    assert ledger.uncertain == [batch]
    ledger.submitted(batch, ["17.0", "17.1"])
    assert ledger.uncertain == []
    assert [job.id for job in read_jobs(tmp_path)] == ["17.0", "17.1"]
    ledger.end("0000-1", "done", "status 0", USED, Usage())
    assert [job.stem for job in ledger.live] == ["0000-0"]
    ended = read_jobs(tmp_path)[1]
    assert (ended.how, ended.detail, ended.measured, ended.told) == ("done", "status 0", USED, Usage())
    assert 0 < ended.submitted_s <= ended.ended_s
    assert ledger.intend(LARGE, ["bracket 0"]).stems == ["0001-0"]
    ledger.close()


def test_the_next_process_knows_what_the_last_one_did(tmp_path: Path) -> None:
    first = opened(tmp_path, lambda ledger: [ledger.intend(SMALL, ["a"]), known(ledger)][1])
    assert opened(tmp_path, known) == first


def test_a_batch_without_numbers_is_uncertain_until_it_has_some_or_is_void(tmp_path: Path) -> None:
    def intend(ledger: Ledger) -> None:
        for unit in "ab":
            ledger.intend(SMALL, [unit])

    opened(tmp_path, intend)
    ledger = Ledger(tmp_path)
    assert [batch.name for batch in ledger.uncertain] == ["0000", "0001"]
    ledger.submitted(ledger.uncertain[0], ["5"])
    ledger.submitted(ledger.uncertain[0], None)
    assert ledger.uncertain == []
    ledger.close()
    submitted, void = read_jobs(tmp_path)
    assert (submitted.id, submitted.live) == ("5", True)
    assert (void.how, void.live) == ("not submitted", False)


def test_a_job_that_was_removed_before_it_had_a_number_is_not_uncertain(tmp_path: Path) -> None:
    def cancel(ledger: Ledger) -> list[Batch]:
        ledger.intend(SMALL, ["a"])
        ledger.end("0000-0", "removed", "cancelled", Usage(), Usage())
        return ledger.uncertain

    assert opened(tmp_path, cancel) == []


@pytest.mark.parametrize(
    "ids", [[], ["1"], ["1", "2", "3"], ["1", "--user=root"], ["1", ""], ["1", "Welcome to our cluster!\n2"]]
)
def test_numbers_that_are_none_are_refused_and_not_written(tmp_path: Path, ids: list[str]) -> None:
    ledger = Ledger(tmp_path)
    batch = ledger.intend(SMALL, ["a", "b"])
    before = written(tmp_path)
    with pytest.raises(InputError, match="must give each of 2 jobs a number") as refused:
        ledger.submitted(batch, ids)
    assert "\n" not in str(refused.value)
    assert written(tmp_path) == before
    assert ledger.uncertain == [batch]
    ledger.close()


def test_a_job_that_is_not_there_does_not_spoil_the_ledger(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    with pytest.raises(KeyError):
        ledger.end("0000-0", "done", "", Usage(), Usage())
    ledger.close()
    assert read_jobs(tmp_path) == []


def test_a_folder_without_a_ledger_has_no_jobs_and_stays_empty(tmp_path: Path) -> None:
    assert read_jobs(tmp_path) == []
    assert read_jobs(tmp_path / "none") == []
    assert read_ledger(tmp_path) == Recorded()
    assert list(tmp_path.iterdir()) == []


def test_each_folder_has_a_name_of_its_own_and_keeps_it(tmp_path: Path) -> None:
    names = [opened(tmp_path / folder, lambda ledger: ledger.name) for folder in ("a", "b", "a")]
    assert names[0] == names[2] != names[1]
    assert all(name.isalnum() and len(name) == 12 for name in names)


# ---- replay is the live state

USAGES = st.builds(
    Usage,
    **{name: st.none() | st.floats() for name in ("wall_s", "cpu_s", "memory_mb", "disk_mb")},
    host=st.text(max_size=5),
)
REQUESTS = st.builds(Request, st.integers(1, 9), st.integers(1, 9999), st.integers(1, 9999), st.floats(0.01, 99))
EVENTS = st.one_of(
    st.tuples(st.just("intend"), REQUESTS, st.lists(st.text(max_size=8), max_size=4), st.integers(0, 9)),
    st.tuples(st.just("submitted"), st.integers(0, 99), st.booleans()),
    st.tuples(st.just("end"), st.integers(0, 99), st.text(max_size=8), st.text(max_size=1200), USAGES, USAGES),
    st.tuples(st.just("reopen")),
)


def play(ledger: Ledger, batches: list[Batch], event: tuple[Any, ...]) -> None:
    """Let one thing happen; numbers choose among the batches and jobs that there are."""
    kind, *rest = event
    if kind == "intend":
        batches.append(ledger.intend(*rest))
    elif kind == "submitted" and batches:
        batch = batches[rest[0] % len(batches)]
        ledger.submitted(batch, [f"{rest[0]}.{n}" for n in range(batch.jobs)] if rest[1] else None)
    elif kind == "end" and ledger.jobs:
        ledger.end(list(ledger.jobs)[rest[0] % len(ledger.jobs)], *rest[1:])


@settings(max_examples=40)  # each line waits for the disk
@given(st.lists(EVENTS, max_size=12))
def test_a_new_process_knows_exactly_what_the_old_one_knew(events: list[tuple[Any, ...]]) -> None:
    with TemporaryDirectory() as folder:
        run, batches = Path(folder), list[Batch]()
        ledger = Ledger(run)
        for event in events:
            if event[0] == "reopen":
                ledger.close()
                ledger = Ledger(run)
            else:
                play(ledger, batches, event)
        live = known(ledger)
        ledger.close()
        assert opened(run, known) == live
        assert read_jobs(run) == list(live[1].values())
        queued = [event[3] for event in events if event[0] == "intend"]
        assert read_ledger(run).queued == (queued[-1] if queued else 0)
        assert len({job.stem for job in read_jobs(run)}) == sum(batch.jobs for batch in batches)


@settings(max_examples=40)
@given(st.lists(EVENTS.filter(lambda event: event[0] != "reopen"), min_size=1, max_size=6), st.data())
def test_a_process_that_died_at_any_byte_lost_at_most_what_it_was_writing(
    events: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    with TemporaryDirectory() as folder:
        run, batches, states = Path(folder), list[Batch](), []
        ledger = Ledger(run)
        for event in events:
            states.append((ledger_path(run).stat().st_size, known(ledger)))
            play(ledger, batches, event)
        states.append((ledger_path(run).stat().st_size, known(ledger)))
        ledger.close()
        content = ledger_path(run).read_bytes()
        cut = data.draw(st.integers(states[0][0], len(content)))
        ledger_path(run).write_bytes(content[:cut])
        expected = [state for size, state in states if size <= cut][-1]
        assert read_jobs(run) == list(expected[1].values())
        assert ledger_path(run).read_bytes() == content[:cut], "who only looks changes nothing"
        assert opened(run, known) == expected
        opened(run, lambda ledger: ledger.intend(SMALL, ["after"]))
        assert read_jobs(run)[:-1] == list(expected[1].values())
        assert read_jobs(run)[-1].unit == "after"


def test_a_process_that_died_at_the_first_line_leaves_a_folder_that_can_be_used(tmp_path: Path) -> None:
    run = with_lines(tmp_path / "run", b'{"folder": "0123')
    opened(run, lambda ledger: ledger.intend(SMALL, ["a"]))
    assert [job.unit for job in read_jobs(run)] == ["a"]
    assert [sorted(entry)[0] for entry in written(run)] == ["folder", "intend"]


# ---- what was damaged

INTEND = json.dumps({"intend": "0000", "units": ["a"], "request": SMALL.to_json(), "queued": 0, "time": 1.0})
DEEP = "[" * 100_000 + "]" * 100_000


def end(**changes: Any) -> str:
    entry = {"end": "0000-0", "how": "done", "detail": "", "measured": USED.to_json(), "told": {}, "time": 2.0}
    return json.dumps({**entry, **changes})


@pytest.mark.parametrize(
    "line",
    ["", "{", "null", "7", '"folder"', "[]", "{}", '{"other": 1}', b"\xff\xfe\n", b"\x00\x00\x00\n", DEEP, "1" * 5000]
    + ['{"folder": 7}', '{"folder": "x\\" || true || \\""}', '{"intend": "0001"}', '{"submitted": "0009"}']
    + [json.dumps({**json.loads(INTEND), "intend": name}) for name in ("../../x", "1", "0001-0", "٠٠٠١", 1, None)]
    + [json.dumps({**json.loads(INTEND), "intend": "0001", "units": units}) for units in (None, 7)]
    + [json.dumps({**json.loads(INTEND), "intend": "0001", "request": request}) for request in (None, {}, {"cpus": 0})]
    + [json.dumps({**json.loads(INTEND), "intend": "0001", "queued": queued}) for queued in (None, "many", [])]
    + [json.dumps({"submitted": "0000", "ids": ids, "time": 1}) for ids in ([], ["1", "2"], ["--me"], [7], 7)]
    + [json.dumps({"submitted": "0000", "ids": ["1"], "time": when}) for when in (None, "noon", [])]
    + [end(end="0000-1"), end(measured=None), end(told=[]), end(time="noon"), end(end=[])],
)
def test_a_damaged_line_in_the_middle_is_one_sentence(tmp_path: Path, line: str | bytes) -> None:
    run = with_lines(tmp_path / "run", '{"folder": "0123", "inode": 1}', INTEND, line, end())
    for read in (read_jobs, Ledger):
        with pytest.raises(InputError) as refused:
            read(run)
        sentence = str(refused.value)
        assert sentence.startswith(f"line 3 of {ledger_path(run)} must be as townsend wrote it")
        assert sentence.endswith("restore the file, or remove its folder once none of its jobs runs any more")
        assert "\n" not in sentence
        assert len(sentence) < 1000


def test_numbers_that_are_none_count_as_not_known(tmp_path: Path) -> None:
    wild = {"wall_s": "x", "cpu_s": -1, "memory_mb": 10**400, "disk_mb": True, "host": "n" * 999}
    run = with_lines(tmp_path / "run", '{"folder": "0123", "inode": 1}', INTEND, end(measured=wild))
    [job] = read_jobs(run)
    assert job.measured == Usage(host="n" * 255)
    assert replace(job.measured, host="") == Usage()
