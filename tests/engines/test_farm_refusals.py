"""A batch system that refuses jobs for a while, and results that do not come back."""

from __future__ import annotations

import logging
from collections import deque

import pytest
from scripted_farm import ScriptedFarm

from townsend.engines import farm
from townsend.engines.base import News
from townsend.engines.ledger import read_jobs
from townsend.engines.scheduler import State
from townsend.errors import InputError


def refuse(scripted: ScriptedFarm, step: str, times: int) -> None:
    """Let the next submissions fail at a step: before or after the batch system has taken the jobs."""
    left = [times]

    def moment(now: str) -> None:
        if now == step and left[0]:
            left[0] -= 1
            msg = "sbatch must succeed (it said: busy); mend that"
            raise InputError(msg)

    scripted.moment = moment


def test_first_submission_that_is_refused_ends_the_run(scripted: ScriptedFarm) -> None:
    refuse(scripted, "before", 1)
    with scripted.engine() as engine:
        engine.submit(scripted.unit("a"))
        with pytest.raises(InputError, match="it said: busy"):
            engine.poll(0)


def test_later_refusal_costs_no_job_and_is_tried_again(
    scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(farm, "_PAUSE_S", 0.0)
    with scripted.engine(max_jobs=1) as engine:
        engine.submit(scripted.unit("a"))
        engine.submit(scripted.unit("b"))
        engine.poll(0)
        scripted.finishes("0000-0")
        refuse(scripted, "before", 3)
        with caplog.at_level(logging.WARNING):
            assert [message.news for message in engine.poll(0)] == [News.DONE]
            while len(scripted.batches) < 2:
                engine.poll(0)
        scripted.finishes(scripted.stems[-1])
        assert [(message.unit, message.news) for message in engine.poll(0)] == [("b", News.DONE)]
    assert caplog.text.count("tried again in 0 s") == 3
    assert scripted.removed == []
    assert [job.how for job in read_jobs(scripted.run)] == ["done", *["not submitted"] * 3, "done"]


def test_refusal_of_jobs_that_were_taken_after_all_submits_nothing_twice(
    scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farm, "_PAUSE_S", 0.0)
    with scripted.engine(max_jobs=1) as engine:
        engine.submit(scripted.unit("a"))
        engine.submit(scripted.unit("b"))
        engine.poll(0)
        scripted.finishes("0000-0")
        refuse(scripted, "after", 1)
        engine.poll(0)
        scripted.finishes(scripted.stems[-1])
        assert [(message.unit, message.news) for message in engine.poll(0)] == [("b", News.DONE)]
    assert len(scripted.batches) == 2


def test_refusals_without_end_end_the_run(scripted: ScriptedFarm, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(farm, "_PAUSE_S", 0.0)
    with scripted.engine(max_jobs=1) as engine:
        engine.submit(scripted.unit("a"))
        engine.submit(scripted.unit("b"))
        engine.poll(0)
        scripted.finishes("0000-0")
        refuse(scripted, "before", 1000)
        with pytest.raises(InputError, match="it said: busy"):
            deque(engine.poll(0) for _ in range(100))


def test_last_word_without_what_was_made_is_worth_nothing(scripted: ScriptedFarm) -> None:
    with scripted.engine(shared_files=False) as engine:
        engine.submit(scripted.unit("a", outputs=("records/0000.json",)))
        engine.poll(0)
        scripted.finishes("0000-0")
        assert engine.poll(0) == []
        assert len(scripted.batches) == 2
    how = read_jobs(scripted.run)[0]
    assert (how.how, how.detail) == (State.ENDED.value, "status 0; what it made did not come back")
