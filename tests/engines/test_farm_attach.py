"""Processes that come and go while their jobs go on: nothing is submitted twice, and nothing is forgotten."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_farm import Killed, ScriptedFarm, bury, final, without_waiting

from townsend.engines.base import News
from townsend.engines.farm import FarmEngine
from townsend.engines.ledger import Ledger, read_jobs
from townsend.engines.scheduler import State
from townsend.errors import BusyError


def begin(scripted: ScriptedFarm, *names: str, **site: Any) -> FarmEngine:
    """A process that has submitted some units."""
    engine = scripted.engine(**site)
    for name in names:
        engine.submit(scripted.unit(name))
    engine.poll(0)
    return engine


def killed_at(scripted: ScriptedFarm, step: str, *names: str) -> None:
    """A process that is killed at a step of its first submission."""

    def kill(now: str) -> None:
        if now == step:
            raise Killed

    engine = scripted.engine()
    for name in names:
        engine.submit(scripted.unit(name))
    scripted.moment = kill
    with pytest.raises(Killed):
        engine.poll(0)
    scripted.moment = lambda now: None
    bury(engine)


def test_a_new_process_attaches_to_the_jobs_of_the_last_one(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a", "b", "c"))
    scripted.finishes("0000-1")
    with scripted.engine() as engine:
        for name in "abc":
            engine.submit(scripted.unit(name))
        heard = final(engine.poll(0))
        assert {name: message.news for name, message in heard.items()} == {"b": News.DONE}
        for stem in ("0000-0", "0000-2"):
            scripted.finishes(stem)
        assert set(final(engine.poll(0))) == {"a", "c"}
    assert scripted.stems == ["0000-0", "0000-1", "0000-2"]
    assert [job.how for job in read_jobs(scripted.run)] == ["done"] * 3


def test_a_process_killed_before_it_submitted_has_submitted_nothing(scripted: ScriptedFarm) -> None:
    killed_at(scripted, "before", "a", "b")
    engine = begin(scripted, "a", "b")
    assert scripted.stems == ["0001-0", "0001-1"]
    assert [job.how for job in read_jobs(scripted.run)] == ["not submitted"] * 2 + [""] * 2
    engine.close()


def test_a_process_killed_right_after_it_submitted_has_submitted(scripted: ScriptedFarm) -> None:
    """Its jobs are found by the name of their batch."""
    killed_at(scripted, "after", "a", "b")
    assert [job.id for job in read_jobs(scripted.run)] == ["", ""]
    engine = begin(scripted, "a", "b")
    assert scripted.stems == ["0000-0", "0000-1"]
    assert [job.id for job in read_jobs(scripted.run)] == ["0.0", "0.1"]
    scripted.finishes("0000-0")
    assert set(final(engine.poll(0))) == {"a"}
    engine.close()
    assert scripted.removed == ["0.1"]


def test_a_second_process_on_the_same_folder_is_refused_and_harms_nothing(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        with pytest.raises(BusyError):
            scripted.engine()
        scripted.finishes("0000-0")
        assert set(final(engine.poll(0))) == {"a"}
    assert scripted.removed == []


def test_nobody_hears_of_units_that_he_has_not_asked_for(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a", "b", "c"))
    scripted.runs("0000-0", News.PROGRESS, News.DONE)
    scripted.dies("0000-1", State.REMOVED)
    with scripted.engine() as engine:
        engine.submit(scripted.unit("d"))
        assert [message for _ in range(3) for message in engine.poll(0)] == []
        assert (engine.outstanding, scripted.stems[3:]) == (1, ["0001-0"])
        scripted.says("0000-0", State.ENDED)
        scripted.finishes("0001-0")
        assert set(final(engine.poll(0))) == {"d"}
    assert [job.how for job in read_jobs(scripted.run)] == ["done", "removed", "removed", "done"]
    assert scripted.removed == ["0.2"], "what nobody waits for is not left behind"


def test_jobs_that_nobody_has_asked_for_count_among_those_that_there_may_be(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a", "b"))
    engine = begin(scripted, "c", "d", max_jobs=3)
    assert scripted.stems == ["0000-0", "0000-1", "0001-0"]
    engine.close()


def test_the_job_of_a_unit_that_has_changed_is_replaced(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a", "b"))
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a", arguments={"epochs": (1, 2)}))
        engine.submit(scripted.unit("b"))
        engine.poll(0)
        assert scripted.removed == ["0.0"]
        assert scripted.units == {"0000-0": "a", "0000-1": "b", "0001-0": "a"}
        scripted.finishes("0001-0")
        scripted.finishes("0000-1")
        assert set(final(engine.poll(0))) == {"a", "b"}
    assert [job.how for job in read_jobs(scripted.run)] == ["replaced", "done", "done"]


def test_arguments_that_mean_the_same_in_a_file_are_the_same(scripted: ScriptedFarm) -> None:
    unit = scripted.unit("a", arguments={"epochs": (1, 2), "rate": 0.1}, outputs=("x.json",))
    for _ in range(2):
        engine = scripted.engine()
        engine.submit(unit)
        engine.poll(0)
        bury(engine)
    assert scripted.stems == ["0000-0"]


def test_a_unit_whose_file_was_damaged_is_done_anew(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a"))
    (scripted.jobs / "0000-0.json").write_text("{")
    engine = begin(scripted, "a")
    assert (scripted.removed, scripted.stems) == (["0.0"], ["0000-0", "0001-0"])
    engine.close()


def test_more_memory_that_a_unit_was_given_is_not_forgotten(scripted: ScriptedFarm) -> None:
    engine = begin(scripted, "a")
    scripted.dies("0000-0", State.OVER_MEMORY)
    engine.poll(0)
    bury(engine)
    engine = begin(scripted, "a")
    scripted.dies("0001-0", State.REMOVED)
    engine.poll(0)
    assert [batch.request.memory_mb for batch in scripted.batches] == [2000, 4000, 4000]
    engine.close()


def test_a_changed_request_is_for_jobs_to_come(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a"))
    engine = begin(scripted, "a", "b", request_memory="3GB", request_cpus=2)
    assert [(batch.request.cpus, batch.request.memory_mb) for batch in scripted.batches] == [(1, 2000), (2, 3000)]
    engine.close()


def test_a_job_that_is_planned_again_asks_for_what_the_site_says_now(scripted: ScriptedFarm) -> None:
    bury(begin(scripted, "a"))
    engine = begin(scripted, "a", max_hours=8)
    scripted.dies("0000-0", State.REMOVED)
    engine.poll(0)
    assert [batch.request.max_hours for batch in scripted.batches] == [2, 8]
    engine.close()


# ---- killed at any moment


@contextmanager
def killed_after(scripted: ScriptedFarm, gaps: list[int]) -> Iterator[None]:
    """Kill the process that is at work after so many steps, and then again; a step is about one line or submission."""
    left, ledgers, real = list(gaps), list[Ledger](), Ledger._write

    def step(now: str) -> None:
        if left and now not in ("news", "find"):
            left[0] -= 1
            if left[0] < 0:
                del left[0]
                ledgers[-1].close()  # as the system does, whose lock it is
                raise Killed

    def write(ledger: Ledger, **entry: Any) -> None:
        ledgers.append(ledger)
        step("before a line")
        real(ledger, **entry)
        step("after a line")

    scripted.moment = step
    with pytest.MonkeyPatch.context() as patch, without_waiting():
        patch.setattr(Ledger, "_write", write)
        yield


def opened(scripted: ScriptedFarm, done: set[str]) -> FarmEngine:
    """A process that asks for what is not done; opened again when it is killed at that."""
    while True:
        try:
            engine = scripted.engine(max_jobs=2)
        except Killed:
            continue
        for name in "abc":
            if name not in done:
                engine.submit(scripted.unit(name))
        return engine


@settings(max_examples=40)  # each line waits for the disk
@given(st.lists(st.integers(0, 25), max_size=5))
def test_whatever_moments_processes_are_killed_at_each_unit_is_done_by_the_jobs_that_it_needs(gaps: list[int]) -> None:
    with TemporaryDirectory() as folder:
        scripted, done, taken_away = ScriptedFarm(Path(folder)), set[str](), False
        with killed_after(scripted, gaps):
            engine = opened(scripted, done)
            while len(done) < 3:
                try:
                    done |= set(final(engine.poll(0)))
                except Killed:
                    engine = opened(scripted, done)
                units = [scripted.units[stem] for stem in scripted.queue]
                assert len(units) <= 2
                assert len(set(units)) == len(units), "two jobs are at one unit"
                for stem, unit in zip(list(scripted.queue), units, strict=True):
                    if unit == "b" and not taken_away:
                        scripted.dies(stem)
                        taken_away = True
                    else:
                        scripted.finishes(stem)
                        done.add(unit)  # its record is on disk, whether or not somebody lives to hear of it
            bury(engine)
        assert sorted(scripted.units.values()) == ["a", "b", "b", "c"]
