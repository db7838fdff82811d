"""What every engine takes and gives back.

What to use when
----------------
- `WorkUnit`: a registered function, JSON arguments and a folder; all that an engine carries.
- `Message`: what an engine has to say about a unit: progress, done, refused, failed or lost.
- `Engine`: the protocol: submit, poll, close.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any, Protocol

from townsend.errors import InputError

__all__ = ["Engine", "Message", "News", "WorkUnit"]


@dataclass(frozen=True)
class WorkUnit:
    """One piece of work, done when its function has renamed its record into place.

    Arguments:
        name: unique within an engine.
        function: name of a function that the worker has registered.
        arguments: JSON-like arguments.
        folder: where the function reads and writes.
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return {
            "name": self.name,
            "function": self.function,
            "arguments": dict(self.arguments),
            "folder": str(self.folder),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> WorkUnit:
        """Return the unit written by `to_json`.

        Raises InputError when a key is missing.
        """
        try:
            return WorkUnit(value["name"], value["function"], value["arguments"], Path(value["folder"]))
        except (KeyError, TypeError) as error:
            msg = f"a work unit must have name, function, arguments and folder (problem with {error}); write it anew"
            raise InputError(msg) from None


class News(StrEnum):
    """What a message is about."""

    PROGRESS = "progress"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    LOST = "lost"
    OUT_OF_MEMORY = "out of memory"

    @property
    def final(self) -> bool:
        """Whether nothing more will be heard of the unit."""
        return self is not News.PROGRESS


@dataclass(frozen=True)
class Message:
    """News of one unit.

    Arguments:
        unit: its name.
        news: progress (`body` is what the function reported), done, refused (a condition the user can mend, `detail` is
            the sentence), failed (another exception), lost or out of memory (its process died as often as is allowed).
        detail: text of the error, or how the process died.
        body: JSON-like report of the function.
    """

    unit: str
    news: News
    detail: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Where work units run."""

    def submit(self, unit: WorkUnit) -> None:
        """Queue a unit."""
        ...

    def poll(self, timeout_s: float) -> list[Message]:
        """Return the news of at most the next `timeout_s` seconds; at once when there is some."""
        ...

    def close(self) -> None:
        """Stop everything that still runs."""
        ...
