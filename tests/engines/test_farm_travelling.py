"""Jobs that do not see the run's folder: what goes with them, what comes back, and what is not believed of it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from scripted_farm import ScriptedFarm, bury, final

from townsend.engines import farm
from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.farm import FarmEngine
from townsend.engines.job_script import RETURNED
from townsend.engines.ledger import read_jobs
from townsend.engines.scheduler import State
from townsend.engines.transfer import pack_outputs, unpack_inputs
from townsend.files import read_json

OUTPUTS = ("records/0000.json", "checkpoints/0000")


@pytest.fixture
def bracket(scripted: ScriptedFarm) -> WorkUnit:
    """A unit that reads arrays and goes on from what it has left before."""
    (scripted.run / "arrays").mkdir(parents=True)
    (scripted.run / "arrays" / "train.npz").write_bytes(b"arrays")
    return scripted.unit("a", inputs=("arrays", *OUTPUTS), outputs=OUTPUTS)


@contextmanager
def working(scripted: ScriptedFarm, unit: WorkUnit) -> Iterator[FarmEngine]:
    """An engine whose jobs see nothing, with one at work at this unit."""
    with scripted.engine(shared_files=False) as engine:
        engine.submit(unit)
        engine.poll(0)
        yield engine


def sends_back(scripted: ScriptedFarm, stem: str, made: Mapping[str, str]) -> dict[str, str]:
    """Let a job work on the files that it was given; return these."""
    names = next(files for batch in scripted.batches for files in batch.files if files[0] == f"{stem}.json")
    with TemporaryDirectory() as scratch:
        archives = [scripted.jobs / name for name in names if name.startswith("input-")]
        unit = WorkUnit.from_json(read_json(scripted.jobs / f"{stem}.json"))
        there = unpack_inputs(unit, archives, Path(scratch))
        found = {
            str(path.relative_to(there.folder)): path.read_text() for path in there.folder.rglob("*") if path.is_file()
        }
        for name, text in made.items():
            (there.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (there.folder / name).write_text(text)
        pack_outputs(there, scripted.jobs / f"{stem}{RETURNED}")
    return found


def test_what_comes_back_is_in_its_place_before_the_last_word(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    with working(scripted, bracket) as engine:
        assert sends_back(scripted, "0000-0", {"records/0000.json": "{}"}) == {"arrays/train.npz": "arrays"}
        scripted.runs("0000-0", News.PROGRESS, News.DONE)
        assert [message.news for message in engine.poll(0)] == [News.PROGRESS]
        assert not (scripted.run / "records").exists(), "while a job runs, its archive may be half of one"
        scripted.says("0000-0", State.ENDED, "status 0")
        assert [message.news for message in engine.poll(0)] == [News.DONE]
        assert (scripted.run / "records" / "0000.json").read_text() == "{}"
    assert [job.how for job in read_jobs(scripted.run)] == ["done"]
    assert not list(scripted.jobs.glob("*.tar"))


def test_the_next_job_goes_on_from_what_the_last_one_sent_back(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    with working(scripted, bracket) as engine:
        sends_back(scripted, "0000-0", {"records/0000.json": "[]", "checkpoints/0000/3": "epoch 5"})
        scripted.runs("0000-0", News.PROGRESS, News.OUT_OF_TIME)
        scripted.says("0000-0", State.ENDED, "status 75")
        engine.poll(0)
        made = {"records/0000.json": '{"complete": true}'}
        assert sends_back(scripted, "0001-0", made) == {
            "arrays/train.npz": "arrays",
            "records/0000.json": "[]",
            "checkpoints/0000/3": "epoch 5",
        }
        scripted.finishes("0001-0")
        assert final(engine.poll(0))["a"].news is News.DONE
    assert [job.how for job in read_jobs(scripted.run)] == ["over time", "done"]


@pytest.mark.parametrize("content", [b"", None], ids=["empty", "none"])
def test_a_job_that_died_and_sent_nothing_back_is_planned_again(
    scripted: ScriptedFarm, bracket: WorkUnit, content: bytes | None
) -> None:
    with working(scripted, bracket) as engine:
        if content is not None:
            (scripted.jobs / f"0000-0{RETURNED}").write_bytes(content)
        scripted.dies("0000-0")
        assert engine.poll(0) == []
        assert scripted.stems == ["0000-0", "0001-0"]


def test_an_archive_that_is_refused_counts_as_a_death(
    scripted: ScriptedFarm, bracket: WorkUnit, caplog: pytest.LogCaptureFixture
) -> None:
    """Also that of a job which says that all is well."""
    (scripted.run / "records").mkdir()
    (scripted.run / "records" / "0000.json").write_text('{"kept": 1}')
    messages = []
    with working(scripted, bracket) as engine, caplog.at_level(logging.WARNING, farm.__name__):
        for number in range(3):
            archive = scripted.jobs / f"{number:04d}-0{RETURNED}"
            archive.write_bytes(b"no archive" * 200)
            scripted.finishes(f"{number:04d}-0")
            messages += engine.poll(0)
            assert not archive.exists()
            engine.poll(0)
    assert [message.news for message in messages] == [News.LOST]
    assert "3 times without a result (ended: " in messages[0].detail
    assert "which came back from a job, must be a whole archive" in messages[0].detail
    assert (scripted.run / "records" / "0000.json").read_text() == '{"kept": 1}'
    assert [job.how for job in read_jobs(scripted.run)] == ["ended"] * 3


def test_an_archive_with_more_than_the_outputs_is_refused_as_a_whole(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    with working(scripted, bracket) as engine:
        hostile = WorkUnit("a", "none", {}, scripted.run.parent / "hostile", outputs=(*OUTPUTS, "sweep.json"))
        for name in (OUTPUTS[0], "sweep.json"):
            (hostile.folder / name).parent.mkdir(parents=True, exist_ok=True)
            (hostile.folder / name).write_text("{}")
        pack_outputs(hostile, scripted.jobs / f"0000-0{RETURNED}")
        scripted.finishes("0000-0")
        assert engine.poll(0) == []
        assert not (scripted.run / "sweep.json").exists()
        assert not (scripted.run / OUTPUTS[0]).exists()
        assert scripted.stems == ["0000-0", "0001-0"]


def test_more_than_a_job_has_asked_for_is_refused(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    with scripted.engine(shared_files=False, request_disk="1MB") as engine:
        engine.submit(bracket)
        engine.poll(0)
        sends_back(scripted, "0000-0", {"checkpoints/0000/3": "x" * 1_100_000})
        scripted.finishes("0000-0")
        assert engine.poll(0) == []
        assert not (scripted.run / "checkpoints").exists()


def test_a_new_process_takes_back_what_came_while_nobody_waited(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    engine = scripted.engine(shared_files=False)
    engine.submit(bracket)
    engine.poll(0)
    bury(engine)
    sends_back(scripted, "0000-0", {"records/0000.json": "{}"})
    scripted.finishes("0000-0")
    with scripted.engine(shared_files=False) as again:
        again.submit(bracket)
        assert final(again.poll(0))["a"].news is News.DONE
    assert (scripted.run / "records" / "0000.json").exists()
    assert scripted.stems == ["0000-0"]


def test_what_jobs_read_is_kept_for_those_that_go_on(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    def interrupt() -> None:
        with working(scripted, bracket):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupt()
    [archive] = scripted.jobs.glob("input-*.tar")
    assert archive.name in scripted.batches[0].files[0]
    with scripted.engine(shared_files=False):
        pass
    assert not archive.exists()


def test_units_that_read_the_same_share_an_archive(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    with scripted.engine(shared_files=False) as engine:
        for number in range(3):
            engine.submit(scripted.unit(str(number), inputs=bracket.inputs, outputs=(f"records/{number}.json",)))
        engine.poll(0)
        [archive] = scripted.jobs.glob("input-*.tar")
        assert scripted.batches[0].files == tuple((f"0000-{number}.json", archive.name) for number in range(3))


@pytest.mark.parametrize("state", [State.ENDED, State.HELD])
def test_a_job_that_says_it_is_done_and_sends_nothing_back_is_not_done(
    scripted: ScriptedFarm, bracket: WorkUnit, state: State
) -> None:
    """Its disk was full, or the batch system could not transfer what it left."""
    messages = []
    with working(scripted, bracket) as engine:
        for number in range(3):
            (scripted.jobs / f"{number:04d}-0{RETURNED}").touch()
            scripted.dies(f"{number:04d}-0", state, "its words", News.DONE)
            messages += [*engine.poll(0), *engine.poll(0)]
    assert [message.news for message in messages] == [News.LOST]
    assert f"({state.value}: its words; what it made did not come back)" in messages[0].detail


@pytest.mark.parametrize("news", [News.REFUSED, News.FAILED])
def test_a_job_that_failed_may_send_nothing_back(scripted: ScriptedFarm, bracket: WorkUnit, news: News) -> None:
    with working(scripted, bracket) as engine:
        scripted.dies("0000-0", State.ENDED, "status 1", news)
        assert final(engine.poll(0))["a"].news is news


@pytest.mark.parametrize(
    ("state", "news"),
    [(State.OVER_TIME, News.OUT_OF_TIME), (State.REMOVED, News.LOST), (State.OVER_MEMORY, News.OUT_OF_MEMORY)],
)
def test_progress_that_never_comes_back_is_none(
    scripted: ScriptedFarm, bracket: WorkUnit, state: State, news: News
) -> None:
    """The next job does the same again: it would do so for ever."""
    messages: list[Message] = []
    with scripted.engine(shared_files=False, max_memory="3GB") as engine:
        engine.submit(bracket)
        for _ in range(8):
            if not final(messages):
                engine.poll(0)
                scripted.dies(scripted.stems[-1], state, "", News.PROGRESS)
                messages += engine.poll(0)
    assert {name: message.news for name, message in final(messages).items()} == {"a": news}


def test_progress_that_comes_back_is_some(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    with working(scripted, bracket) as engine:
        for number in range(8):
            sends_back(scripted, f"{number:04d}-0", {"checkpoints/0000/3": f"epoch {number}"})
            scripted.dies(f"{number:04d}-0", State.REMOVED, "", News.PROGRESS)
            assert not final([*engine.poll(0), *engine.poll(0)])
        assert (scripted.run / "checkpoints/0000/3").read_text() == "epoch 7"


def test_what_an_evicted_job_said_last_is_not_its_last_word(scripted: ScriptedFarm, bracket: WorkUnit) -> None:
    """It was done and packed its files when its machine was taken away; it begins again."""
    with working(scripted, bracket) as engine:
        scripted.runs("0000-0", News.DONE)
        engine.poll(0)
        scripted.says("0000-0", State.IDLE)
        engine.poll(0)
        (scripted.jobs / "0000-0.out").unlink()
        sends_back(scripted, "0000-0", {"records/0000.json": "{}"})
        scripted.dies("0000-0", State.ENDED, "signal 9")
        assert engine.poll(0) == []
        assert scripted.stems == ["0000-0", "0001-0"]
