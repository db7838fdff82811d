"""What a farm needs of a batch system: five things, of which each system has a file.

What to use when
----------------
- `Scheduler`: the protocol.
- `Batch`: jobs that are submitted at once; job i of batch "0003" is "0003-i", in every file name and message.
- `JobNews`, `State`: what a batch system says of a job.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from townsend.engines.request import Request
from townsend.engines.usage import Usage

__all__ = ["Batch", "JobNews", "Scheduler", "State", "stem"]


class State(StrEnum):
    """Where a job is."""

    IDLE = "idle"
    RUNNING = "running"
    HELD = "held"
    ENDED = "ended"
    OVER_MEMORY = "over memory"
    OVER_TIME = "over time"
    REMOVED = "removed"

    @property
    def over(self) -> bool:
        """Whether the job will not run any further by itself."""
        return self not in (State.IDLE, State.RUNNING)


@dataclass(frozen=True)
class JobNews:
    """What a batch system says of a job.

    Arguments:
        job: its stem.
        state: idle (also anew, after it was evicted), running, held (for another reason than memory or time), ended by
            itself or killed, stopped over its memory or time, removed (also by a person, or with its machine).
        detail: the batch system's own words.
        usage: the batch system's own numbers of a job that is over, where it has some.
    """

    job: str
    state: State
    detail: str = ""
    usage: Usage | None = None


@dataclass(frozen=True)
class Batch:
    """Jobs that are submitted at once.

    Arguments:
        name: digits, unique in the run's folder.
        jobs: how many.
        request: what each asks for.
        files: of each job, names in the folder of the jobs of what travels with it; none where jobs see the folder.
    """

    name: str
    jobs: int
    request: Request
    files: tuple[tuple[str, ...], ...] = ()

    @property
    def stems(self) -> list[str]:
        """Return the names of its jobs, and of the files of each."""
        return [stem(self.name, number) for number in range(self.jobs)]


def stem(batch: str, number: int) -> str:
    """Return the name of a job."""
    return f"{batch}-{number}"


class Scheduler(Protocol):
    """A batch system.

    Its jobs run `job.sh` with a stem as the only argument, in the folder of the jobs or with files that have travelled;
    what they print is in `STEM.out` and `STEM.err` there while they run.
    """

    queries: int
    """How often the scheduler's daemon was asked so far; submissions and removals do not count."""

    def submit(self, batch: Batch) -> list[str]:
        """Submit jobs and return their numbers in the batch system, in order.

        Raises InputError with the batch system's words when it refuses.
        """
        ...

    def find(self, batch: Batch) -> list[str] | None:
        """Return the numbers of a batch that may or may not have been submitted; None when it was not."""
        ...

    def news(self, ids: Mapping[str, str]) -> list[JobNews]:
        """Return what is new, at once; stems and numbers of the jobs that are not over are given.

        The first call also tells what a former process has heard.
        """
        ...

    def remove(self, ids: Sequence[str]) -> None:
        """Remove jobs; those that are gone already are passed over."""
        ...

    def remove_all(self) -> None:
        """Remove every job that was ever submitted from this folder, and no other."""
        ...
