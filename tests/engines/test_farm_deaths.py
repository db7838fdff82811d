"""Jobs that a farm takes away: what is planned again and how, what is given up, and what is said of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest
from scripted_farm import ScriptedFarm

from townsend.engines import farm
from townsend.engines.base import Message, News
from townsend.engines.farm import FarmEngine
from townsend.engines.ledger import read_jobs
from townsend.engines.scheduler import State
from townsend.engines.usage import Usage

End = Callable[..., None]

DEATHS = [State.ENDED, State.REMOVED, State.HELD]


def hows(scripted: ScriptedFarm) -> list[str]:
    return [job.how for job in read_jobs(scripted.run)]


def told(messages: Sequence[Message]) -> list[tuple[str, News]]:
    return [(message.unit, message.news) for message in messages]


def polled(engine: FarmEngine, times: int = 3) -> list[Message]:
    """All messages of some looks: what died is submitted again at the end of each."""
    return [message for _ in range(times) for message in engine.poll(0)]


# ---- what dies


@pytest.mark.parametrize("state", DEATHS)
def test_a_job_that_dies_three_times_is_lost_with_the_end_of_its_log(
    scripted: ScriptedFarm, state: State, caplog: pytest.LogCaptureFixture
) -> None:
    messages: list[Message] = []
    with scripted.engine() as engine, caplog.at_level(logging.WARNING, farm.__name__):
        engine.submit(scripted.unit("a"))
        for number in range(3):
            assert messages == []
            engine.poll(0)
            (scripted.jobs / f"{number:04d}-0.err").write_text(f"Fatal error\nof job {number}\n")
            scripted.dies(f"{number:04d}-0", state, "its own words")
            messages += engine.poll(0)
        assert engine.outstanding == 0
        assert told(messages) == [("a", News.LOST)]
    said = f"its job ended 3 times without a result ({state.value}: its own words); its log ends: "
    assert messages[0].detail == f"{said}Fatal error | of job 2"
    assert hows(scripted) == [state.value] * 3
    assert len(caplog.messages) == 3
    assert (
        f"job 0002-0 of a ended: {state.value} (its own words), see {scripted.jobs / '0002-0.err'}" in caplog.messages
    )


@pytest.mark.parametrize("state", DEATHS)
def test_a_job_that_gets_further_is_never_given_up(scripted: ScriptedFarm, state: State) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        for number in range(12):
            engine.poll(0)
            scripted.dies(f"{number:04d}-0", state, "", *([News.PROGRESS] if number % 2 else []))
            assert News.LOST not in {news for _, news in told(engine.poll(0))}
        engine.poll(0)
        scripted.finishes("0012-0")
        assert told(polled(engine)) == [("a", News.DONE)]


@pytest.mark.parametrize("state", [State.HELD, State.OVER_MEMORY, State.OVER_TIME])
def test_a_job_that_stays_in_the_queue_is_removed_from_it(scripted: ScriptedFarm, state: State) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.dies("0000-0", state)
        polled(engine)
        assert scripted.removed == ["0.0"]
        assert list(scripted.queue) == ["0001-0"]


def test_a_job_that_was_held_and_released_goes_on(scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm, "_SETTLE_S", 60.0)  # for as long as it may be released
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.dies("0000-0", State.HELD)
        polled(engine)
        scripted.says("0000-0", State.IDLE)
        polled(engine)
        monkeypatch.setattr(farm, "_SETTLE_S", 0.0)
        polled(engine)
        scripted.finishes("0000-0")
        assert told(polled(engine)) == [("a", News.DONE)]
    assert scripted.stems == ["0000-0"]


def test_last_words_that_arrive_late_are_heard(scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a shared disk they may come after the batch system's own."""
    monkeypatch.setattr(farm, "_SETTLE_S", 60.0)
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.dies("0000-0", State.ENDED)
        assert polled(engine) == []
        scripted.answers("0000-0", News.DONE)
        assert told(engine.poll(0)) == [("a", News.DONE)]
    assert scripted.stems == ["0000-0"]


def test_what_happens_to_a_job_after_its_last_word_is_not_its_units(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.runs("0000-0", News.DONE)
        assert told(engine.poll(0)) == [("a", News.DONE)]
        scripted.says("0000-0", State.HELD, "cannot write the log")
        engine.poll(0)
    assert hows(scripted) == ["done"]
    assert scripted.removed == ["0.0"]


# ---- memory


def test_memory_is_doubled_up_to_the_most_and_then_given_up(scripted: ScriptedFarm) -> None:
    messages = []
    with scripted.engine(request_memory="2GB", max_memory="7GB") as engine:
        engine.submit(scripted.unit("a"))
        while engine.outstanding:
            engine.poll(0)
            scripted.dies(scripted.stems[-1], State.OVER_MEMORY, "memory usage exceeded")
            messages += engine.poll(0)
    assert [batch.request.memory_mb for batch in scripted.batches] == [2000, 4000, 7000, 7000]
    assert told(messages) == [("a", News.OUT_OF_MEMORY)]
    assert messages[0].detail.startswith("its job ended 2 times without a result (over memory: memory usage exceeded)")


@pytest.mark.parametrize(
    ("seen_mb", "told_mb", "next_mb"),
    [
        (None, None, 2000),
        (100, None, 2000),
        (1333, 1300, 2000),
        (3000, None, 4500),
        (100, 3000, 4500),
        (9e9, 0, 16_000),
        (1.7e308, 9, 2000),
    ],
)
def test_more_is_asked_for_where_more_was_seen(
    scripted: ScriptedFarm, seen_mb: float | None, told_mb: float | None, next_mb: int
) -> None:
    """Half as much again as the job has measured, or as the batch system has."""
    with scripted.engine(request_memory="1GB") as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.says("0000-0", State.RUNNING)
        scripted.answers("0000-0", News.PROGRESS, used=Usage(memory_mb=seen_mb))
        scripted.says("0000-0", State.OVER_MEMORY, "", Usage(memory_mb=told_mb))
        polled(engine)
        assert scripted.batches[-1].request == replace(scripted.batches[0].request, memory_mb=next_mb)


def test_a_request_above_the_most_is_not_lowered(scripted: ScriptedFarm) -> None:
    with scripted.engine(request_memory="20GB", max_memory="16GB") as engine:
        engine.submit(scripted.unit("a"))
        for number in range(2):
            engine.poll(0)
            scripted.dies(f"{number:04d}-0", State.OVER_MEMORY)
        assert told(engine.poll(0)) == [("a", News.OUT_OF_MEMORY)]
    assert [batch.request.memory_mb for batch in scripted.batches] == [20_000, 20_000]


def test_more_memory_is_for_the_unit_that_needs_it(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("large"))
        engine.poll(0)
        scripted.dies("0000-0", State.OVER_MEMORY)
        polled(engine)
        engine.submit(scripted.unit("small"))
        engine.poll(0)
        assert [batch.request.memory_mb for batch in scripted.batches] == [2000, 4000, 2000]


# ---- time


def stops_itself(scripted: ScriptedFarm, stem: str, *said: News) -> None:
    """Let a job end itself shortly before its time is over."""
    scripted.runs(stem, *said, News.OUT_OF_TIME)
    scripted.says(stem, State.ENDED, "status 75")


def is_stopped(scripted: ScriptedFarm, stem: str, *said: News) -> None:
    """Let the batch system end a job whose time is over."""
    scripted.dies(stem, State.OVER_TIME, "time limit", *said)


@pytest.mark.parametrize("end", [stops_itself, is_stopped])
def test_a_job_that_gets_no_further_twice_is_out_of_time(scripted: ScriptedFarm, end: End) -> None:
    messages = []
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        while engine.outstanding:
            engine.poll(0)
            end(scripted, scripted.stems[-1])
            messages += engine.poll(0)
    assert told(messages) == [("a", News.OUT_OF_TIME)]
    assert messages[0].detail.startswith("its job ended 2 times without a result (over time: ")
    assert hows(scripted) == ["over time", "over time"]


@pytest.mark.parametrize("end", [stops_itself, is_stopped])
def test_a_job_that_gets_further_in_its_time_goes_on_for_ever(scripted: ScriptedFarm, end: End) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        for number in range(10):
            engine.poll(0)
            end(scripted, f"{number:04d}-0", News.PROGRESS)
            assert told(engine.poll(0)) == [("a", News.PROGRESS)]
        engine.poll(0)
        scripted.finishes("0010-0")
        assert told(polled(engine)) == [("a", News.DONE)]
    assert len({batch.request for batch in scripted.batches}) == 1


def test_a_job_that_has_stopped_itself_is_not_planned_again_before_it_is_over(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.runs("0000-0", News.OUT_OF_TIME)
        assert (polled(engine), scripted.stems) == ([], ["0000-0"])
        scripted.says("0000-0", State.ENDED, "status 75")
        polled(engine)
        assert scripted.stems == ["0000-0", "0001-0"]
