"""Whatever a batch system says of jobs, and whatever jobs say, in any order: each unit has one last word."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

from hypothesis import given, settings
from hypothesis import strategies as st
from scripted_farm import ScriptedFarm, bury, without_waiting

from townsend.engines.base import News
from townsend.engines.farm import FarmEngine
from townsend.engines.ledger import read_jobs
from townsend.engines.scheduler import State
from townsend.engines.usage import Usage

UNITS = ("a", "b", "c")
USAGES = st.builds(Usage, memory_mb=st.none() | st.floats(0, 1e9))
EVENTS = st.one_of(
    st.tuples(st.just("says"), st.integers(0, 20), st.sampled_from(State), USAGES),
    st.tuples(st.just("answers"), st.integers(0, 20), st.sampled_from(News), USAGES),
    st.tuples(st.just("polls")),
    st.tuples(st.just("restarts")),
)


class Told:
    """Processes that ask for the units that have had no last word, and count what they hear."""

    def __init__(self, scripted: ScriptedFarm, *, shared_files: bool) -> None:
        self.scripted, self.site = scripted, {"shared_files": shared_files, "max_jobs": 2}
        self.last: Counter[str] = Counter()
        self.engine = self.begun()

    def begun(self) -> FarmEngine:
        engine = self.scripted.engine(**self.site)
        for name in UNITS:
            if not self.last[name]:
                engine.submit(self.scripted.unit(name))
        return engine

    def polls(self) -> None:
        messages = self.engine.poll(0)
        assert {message.unit for message in messages} <= {name for name in UNITS if not self.last[name]}
        for name in UNITS:
            own = [message.news.final for message in messages if message.unit == name]
            assert not any(own[:-1]), "nothing is heard after the last word"
        self.last.update(message.unit for message in messages if message.news.final)
        assert self.engine.outstanding == sum(not self.last[name] for name in UNITS)

    def restarts(self) -> None:
        bury(self.engine)
        self.engine = self.begun()


@settings(max_examples=40)  # each line waits for the disk
@given(st.lists(EVENTS, max_size=30), st.booleans())
def test_every_unit_that_was_submitted_has_exactly_one_last_word(
    events: list[tuple[object, ...]], shared_files: bool
) -> None:
    with TemporaryDirectory() as folder, without_waiting():
        scripted = ScriptedFarm(Path(folder))
        told = Told(scripted, shared_files=shared_files)
        for event in events:
            match event:
                case ("polls",):
                    told.polls()
                case ("restarts",):
                    told.restarts()
                case (kind, int(number), State() | News() as what, Usage() as used) if scripted.stems:
                    stem = scripted.stems[number % len(scripted.stems)]
                    if kind == "says" and isinstance(what, State):
                        scripted.says(stem, what, "its words", used)
                    elif isinstance(what, News):
                        scripted.answers(stem, what, used=used)
        for _ in range(12):  # of three units, each of which dies three times
            told.polls()
            for job in read_jobs(scripted.run):
                if job.live:
                    scripted.finishes(job.stem)
        told.engine.close()
        assert told.last == dict.fromkeys(UNITS, 1)
        assert not any(job.live for job in read_jobs(scripted.run))
        submitted = Counter(scripted.units.values())
        assert set(submitted) == set(UNITS)
