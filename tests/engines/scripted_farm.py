"""A batch system in memory, of which a test decides what becomes of its jobs; `tests/farms` has real ones.

What to use when
----------------
- `ScriptedFarm`: the batch system, and a run's folder; it outlives the processes that submit to it.
- `Scripted`: what one such process sees of it, see `townsend.engines.scheduler.Scheduler`.
- `Killed`: what ends a process in the midst of something; `bury` lets go of what the system would let go of.
- `without_waiting`: no engine waits for last words or late numbers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from townsend.config import parse
from townsend.engines import farm
from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.farm import FarmEngine
from townsend.engines.ledger import JOBS, Ledger
from townsend.engines.scheduler import Batch, JobNews, State
from townsend.engines.site import Site
from townsend.engines.usage import Usage

__all__ = ["Killed", "Scripted", "ScriptedFarm", "bury", "final", "without_waiting"]


class Killed(BaseException):
    """The process is dead: nothing that it would do on its way out is done."""


@dataclass
class ScriptedFarm:
    """A batch system.

    Arguments:
        run: folder of the run.
        batches: all that was ever submitted; units: stem -> name of the unit.
        queue: stem -> number, of the jobs that it has.
        history: all that it has to say, from the beginning.
        removed: numbers of the jobs that were removed, in order.
        moment: called at each step of a submission, and at each question, with its name.
    """

    run: Path
    batches: list[Batch] = field(default_factory=list)
    units: dict[str, str] = field(default_factory=dict)
    queue: dict[str, str] = field(default_factory=dict)
    history: list[JobNews] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    moment: Callable[[str], None] = lambda step: None

    @property
    def jobs(self) -> Path:
        return self.run / JOBS

    @property
    def stems(self) -> list[str]:
        """All jobs that were ever submitted."""
        return [stem for batch in self.batches for stem in batch.stems]

    def engine(self, **site: Any) -> FarmEngine:
        """A new process that submits to it."""
        given = parse(Site, {"engine": "htcondor", **site})
        return FarmEngine(Scripted(self), given, Ledger(self.run), self.run)

    def unit(self, name: str, **changes: Any) -> WorkUnit:
        return WorkUnit(**{"name": name, "function": "none", "arguments": {}, "folder": self.run, **changes})

    def says(self, stem: str, state: State, detail: str = "", usage: Usage | None = None) -> None:
        """Let a job stand somewhere else; one that is over leaves the queue, unless somebody must remove it."""
        if state in (State.ENDED, State.REMOVED):
            self.queue.pop(stem, None)
        self.history.append(JobNews(stem, state, detail, usage))

    def answers(self, stem: str, news: News, detail: str = "", **body: Any) -> None:
        """Let a job's worker say something; `used` among its words is what it has used."""
        used = body.pop("used", Usage())
        line = {"news": news.value, "detail": detail, "body": body, "usage": used.to_json()}
        with (self.jobs / f"{stem}.out").open("a") as stream:
            stream.write(json.dumps(line) + "\n")

    def runs(self, stem: str, *said: News) -> None:
        """Let a job run and say something."""
        self.says(stem, State.RUNNING)
        for news in said:
            self.answers(stem, news)

    def dies(self, stem: str, state: State = State.REMOVED, detail: str = "by a person", *said: News) -> None:
        """Let a job run, say something and be over."""
        self.runs(stem, *said)
        self.says(stem, state, detail)

    def finishes(self, stem: str) -> None:
        """Let a job do what it was to do."""
        self.dies(stem, State.ENDED, "status 0", News.DONE)


class Scripted:
    """What one process sees of the batch system."""

    def __init__(self, farm: ScriptedFarm) -> None:
        self._farm, self._heard = farm, 0
        self.queries = 0

    def submit(self, batch: Batch) -> list[str]:
        self._farm.moment("before")
        ids = [f"{len(self._farm.batches)}.{number}" for number in range(batch.jobs)]
        self._farm.batches.append(batch)
        self._farm.queue |= dict(zip(batch.stems, ids, strict=True))
        for stem in batch.stems:
            self._farm.units[stem] = json.loads((self._farm.jobs / f"{stem}.json").read_text())["name"]
        self._farm.moment("after")
        return ids

    def find(self, batch: Batch) -> list[str] | None:
        self.queries += 1
        self._farm.moment("find")
        for number, known in enumerate(self._farm.batches):
            if known.name == batch.name:
                return [f"{number}.{job}" for job in range(batch.jobs)]
        return None

    def news(self, ids: Mapping[str, str]) -> list[JobNews]:
        self.queries += 1
        self._farm.moment("news")
        fresh, self._heard = self._farm.history[self._heard :], len(self._farm.history)
        return fresh

    def remove(self, ids: Sequence[str]) -> None:
        self._farm.removed += ids
        for stem in [stem for stem, number in self._farm.queue.items() if number in ids]:
            self._farm.says(stem, State.REMOVED, "by townsend")

    def remove_all(self) -> None:
        self.remove(list(self._farm.queue.values()))


def final(messages: Sequence[Message]) -> dict[str, Message]:
    """The last words of units."""
    return {message.unit: message for message in messages if message.news.final}


def bury(engine: FarmEngine) -> None:
    """Let go of the lock of a process that was killed, which does nothing more itself."""
    engine._ledger.close()


@contextmanager
def without_waiting() -> Iterator[None]:
    """Let no engine wait."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("_LOOK_S", "_SETTLE_S", "_PATIENCE_S"):
            patch.setattr(farm, name, 0.0)
        yield
