"""Work units as jobs, on a batch system in memory: which are submitted when, what is passed on, what an end leaves."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import pytest
from scripted_farm import ScriptedFarm, final

from townsend.engines import farm
from townsend.engines.base import Message, News
from townsend.engines.farm import FarmEngine
from townsend.engines.ledger import CANCELLED, Ledger, read_jobs, read_ledger
from townsend.engines.scheduler import State
from townsend.engines.usage import Usage
from townsend.errors import BusyError, InputError


def hows(scripted: ScriptedFarm) -> list[str]:
    return [job.how for job in read_jobs(scripted.run)]


def told(messages: Sequence[Message]) -> list[tuple[str, News]]:
    return [(message.unit, message.news) for message in messages]


def polled(engine: FarmEngine, times: int = 3) -> list[Message]:
    """All messages of some looks: what died is submitted again at the end of each."""
    return [message for _ in range(times) for message in engine.poll(0)]


# ---- a quiet farm


def test_each_unit_is_a_job_and_what_that_says_is_passed_on(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        for name in "ab":
            engine.submit(scripted.unit(name))
        assert (engine.poll(0), engine.outstanding) == ([], 2)
        assert scripted.units == {"0000-0": "a", "0000-1": "b"}
        scripted.runs("0000-1")
        scripted.answers("0000-1", News.PROGRESS, epoch=3)
        assert engine.poll(0) == [Message("b", News.PROGRESS, "", {"epoch": 3})]
        scripted.answers("0000-1", News.FAILED, "OSError: disk full", errno=28)
        scripted.answers("0000-0", News.DONE)
        scripted.says("0000-0", State.RUNNING)
        assert engine.poll(0) == [
            Message("a", News.DONE),
            Message("b", News.FAILED, "OSError: disk full", {"errno": 28}),
        ]
        assert engine.outstanding == 0
        scripted.says("0000-0", State.ENDED, "status 0", Usage(memory_mb=7))
        scripted.says("0000-1", State.ENDED, "status 1")
        assert engine.poll(0) == []
    assert hows(scripted) == ["done", "failed"]
    assert read_jobs(scripted.run)[0].told == Usage(memory_mb=7)
    assert scripted.removed == []


def test_a_name_may_be_used_again_after_its_last_word(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        for number in range(3):
            engine.submit(scripted.unit("a"))
            engine.poll(0)
            scripted.runs(f"{number:04d}-0", News.DONE)  # and is not over
            assert told(engine.poll(0)) == [("a", News.DONE)]
    assert scripted.stems == ["0000-0", "0001-0", "0002-0"]
    assert hows(scripted) == ["done"] * 3


def test_what_a_job_has_used_is_what_it_said_last(scripted: ScriptedFarm) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.says("0000-0", State.RUNNING)
        scripted.answers("0000-0", News.PROGRESS, used=Usage(wall_s=1))
        scripted.answers("0000-0", News.DONE, used=Usage(wall_s=2, host="node7"))
        scripted.says("0000-0", State.ENDED)
        engine.poll(0)
    assert read_jobs(scripted.run)[0].measured == Usage(wall_s=2, host="node7")


# ---- how many at a time


def test_there_are_never_more_jobs_than_allowed(scripted: ScriptedFarm) -> None:
    with scripted.engine(max_jobs=3) as engine:
        for number in range(10):
            engine.submit(scripted.unit(f"unit {number}"))
        while engine.outstanding:
            polled(engine)
            assert len(scripted.queue) == min(3, engine.outstanding)
            assert read_ledger(scripted.run).queued == max(0, engine.outstanding - 3)
            if scripted.queue:
                scripted.finishes(next(iter(scripted.queue)))
    assert sorted(scripted.units.values()) == sorted(f"unit {number}" for number in range(10))


def test_units_are_submitted_in_their_order_and_what_died_goes_first(scripted: ScriptedFarm) -> None:
    with scripted.engine(max_jobs=1) as engine:
        for name in "abc":
            engine.submit(scripted.unit(name))
        engine.poll(0)
        scripted.dies("0000-0")
        polled(engine)
        for number in (1, 2, 3):
            scripted.finishes(f"{number:04d}-0")
            polled(engine)
    assert list(scripted.units.values()) == ["a", "a", "b", "c"]


def test_a_batch_has_at_most_a_thousand_jobs(scripted: ScriptedFarm) -> None:
    """Slurm's limit of an array, unless a site has changed it."""
    assert farm._BATCH == 1000
    with pytest.MonkeyPatch.context() as patch, scripted.engine() as engine:
        patch.setattr(farm, "_BATCH", 10)
        for number in range(25):
            engine.submit(scripted.unit(str(number)))
        engine.poll(0)
        assert [batch.jobs for batch in scripted.batches] == [10, 10, 5]
        assert list(scripted.units.values()) == [str(number) for number in range(25)]


def test_jobs_that_ask_for_the_same_are_one_batch(scripted: ScriptedFarm) -> None:
    with scripted.engine(request_memory="1GB") as engine:
        for name in "abcd":
            engine.submit(scripted.unit(name))
        engine.poll(0)
        for stem in ("0000-0", "0000-2"):
            scripted.dies(stem, State.OVER_MEMORY, "too much")
        scripted.dies("0000-1")
        polled(engine)
        assert [(batch.jobs, batch.request.memory_mb) for batch in scripted.batches] == [
            (4, 1000),
            (1, 1000),
            (2, 2000),
        ]


# ---- at the end


@pytest.mark.parametrize("error", [None, InputError("a fault to mend"), OSError("disk full"), RuntimeError("a defect")])
def test_an_end_removes_the_jobs_that_are_left(scripted: ScriptedFarm, error: Exception | None) -> None:
    def run() -> None:
        with scripted.engine() as engine:
            for name in "abc":
                engine.submit(scripted.unit(name))
            engine.poll(0)
            scripted.finishes("0000-1")
            engine.poll(0)
            if error:
                raise error

    if error is None:
        run()
    else:
        with pytest.raises(type(error)):
            run()
    assert scripted.removed == ["0.0", "0.2"]
    assert [(job.how, job.detail) for job in read_jobs(scripted.run)] == [
        ("removed", "its run ended"),
        ("done", "status 0"),
        ("removed", "its run ended"),
    ]
    Ledger(scripted.run).close()  # nobody holds it any more


def interrupted(scripted: ScriptedFarm, error: BaseException, *names: str) -> None:
    """Submit some units, and end as it comes."""
    with scripted.engine() as engine:
        for name in names:
            engine.submit(scripted.unit(name))
        engine.poll(0)
        raise error


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), BusyError("another coordinator")])
def test_an_interruption_leaves_the_jobs_to_whoever_comes_back(
    scripted: ScriptedFarm, error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(type(error)), caplog.at_level(logging.WARNING, farm.__name__):
        interrupted(scripted, error, "a", "b")
    assert scripted.removed == []
    assert [job.live for job in read_jobs(scripted.run)] == [True, True]
    assert caplog.messages == ["2 jobs go on; the same command attaches to them, `townsend cancel` removes them"]
    with scripted.engine() as again:
        again.submit(scripted.unit("a"))
        scripted.finishes("0000-0")
        assert told(again.poll(0)) == [("a", News.DONE)]


def test_an_interruption_without_jobs_says_nothing(scripted: ScriptedFarm, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(scripted, KeyboardInterrupt())
    assert caplog.messages == []


def test_whoever_waits_for_cancelled_jobs_is_told(scripted: ScriptedFarm) -> None:
    def wait() -> None:
        with scripted.engine() as engine:
            engine.submit(scripted.unit("a"))
            engine.poll(0)
            (scripted.jobs / CANCELLED).touch()
            engine.poll(0)

    with pytest.raises(InputError, match="were cancelled; what is finished is kept"):
        wait()
    assert hows(scripted) == ["removed"]


def test_numbers_that_come_late_are_waited_for_at_the_end(
    scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        engine.poll(0)
        scripted.runs("0000-0", News.DONE)
        assert final(engine.poll(0))
        monkeypatch.setattr(farm, "_PATIENCE_S", 60.0)
        late = Usage(wall_s=9)
        monkeypatch.setattr("time.sleep", lambda seconds: scripted.says("0000-0", State.ENDED, "", late))
    assert read_jobs(scripted.run)[0].told == late


# ---- a batch system that does not answer


def fails_at(step: str, times: int = 1) -> Callable[[str], None]:
    """What happens at the steps of a batch system that refuses so often."""
    left = [times]

    def happens(now: str) -> None:
        if now == step and left[0]:
            left[0] -= 1
            msg = "the controller must answer"
            raise InputError(msg)

    return happens


def test_a_batch_system_that_does_not_answer_is_asked_again_and_its_jobs_stay(
    scripted: ScriptedFarm, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(KeyboardInterrupt):
        interrupted(scripted, KeyboardInterrupt(), "a")
    scripted.moment = fails_at("news", times=3)
    with scripted.engine() as again:
        again.submit(scripted.unit("a"))
        scripted.finishes("0000-0")
        assert told(polled(again, 4)) == [("a", News.DONE)]
    assert caplog.messages[-3:] == ["the controller must answer"] * 3
    assert scripted.removed == []


@pytest.mark.parametrize(("step", "how"), [("before", "not submitted"), ("after", "removed")])
def test_jobs_whose_submission_was_refused_are_not_left_in_doubt(scripted: ScriptedFarm, step: str, how: str) -> None:
    """One that was taken although the answer did not arrive is removed like any other."""
    scripted.moment = fails_at(step)
    with pytest.raises(InputError, match="the controller must answer"):
        interrupted(scripted, KeyboardInterrupt(), "a")
    assert hows(scripted) == [how]
    assert scripted.queue == {}


@pytest.mark.parametrize("step", ["before", "after"])
def test_a_batch_system_that_is_gone_for_a_while_loses_no_job_and_gets_none_twice(
    scripted: ScriptedFarm, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It neither takes jobs nor says what it has taken."""
    monkeypatch.setattr(farm, "_PAUSE_S", 0.0)
    with scripted.engine(max_jobs=2) as engine:
        for name in "abc":
            engine.submit(scripted.unit(name))
        engine.poll(0)
        scripted.finishes("0000-0")
        refuse_once, away = fails_at(step), fails_at("find", times=4)
        scripted.moment = lambda now: [refuse_once(now), away(now)][0]
        assert told(polled(engine, 5)) == [("a", News.DONE)]
        assert scripted.removed == []
        scripted.finishes("0000-1")
        scripted.finishes(scripted.stems[-1])
        assert sorted(told(polled(engine))) == [("b", News.DONE), ("c", News.DONE)]
    assert sorted(scripted.units.values()) == ["a", "b", "c"]


def test_whoever_cannot_remove_jobs_lets_go_of_the_folder(
    scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    def remove(ids: object) -> None:
        msg = "scancel must succeed"
        raise InputError(msg)

    engine = scripted.engine()
    engine.submit(scripted.unit("a"))
    engine.poll(0)
    monkeypatch.setattr(engine._scheduler, "remove", remove)
    with pytest.raises(InputError, match="scancel must succeed"):
        engine.close()
    Ledger(scripted.run).close()
