"""What a farm keeps in mind of units and jobs.

What to use when
----------------
- `Planned`: a unit that is not done.
- `AtWork`: a job that the batch system has, with what it and the batch system have said so far.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from townsend.engines.answers import Answer, Answers
from townsend.engines.base import WorkUnit
from townsend.engines.ledger import Job
from townsend.engines.request import Request
from townsend.engines.scheduler import JobNews, State
from townsend.engines.usage import Usage

__all__ = ["AtWork", "Planned"]


@dataclass
class Planned:
    """A unit that is not done."""

    unit: WorkUnit
    request: Request
    deaths: int = 0


@dataclass
class AtWork:
    """A job that the batch system has."""

    job: Job
    answers: Answers
    state: State = State.IDLE
    last: Answer | None = None
    over: JobNews | None = None
    over_s: float = 0.0
    told: bool = False
    out_of_time: bool = False
    returned: bool = False
    got_further: bool = False
    measured: Usage = field(default_factory=Usage)

    def take(self, news: JobNews) -> None:
        """Let a job stand where the batch system says; what it says last of one that is over is the end."""
        self.state = news.state
        if news.state.over and self.over is None:
            self.over, self.over_s = news, time.monotonic()
        elif not news.state.over:
            self.over = None  # released by a person, or run again
        if news.state is State.IDLE and not self.told:
            self.last, self.out_of_time = None, False  # said by a run that does not count

    @property
    def how(self) -> str:
        """Return how it ended, in one word."""
        return self.last.news.value if self.last else State.ENDED.value
