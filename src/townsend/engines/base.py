"""What every engine takes and gives back.

What to use when
----------------
- `WorkUnit`: a registered function, JSON arguments and a folder; all that an engine carries.
- `Message`: what an engine has to say about a unit: progress, done, refused, failed or lost.
- `Engine`: the protocol: submit, poll, close. `townsend.engines.engine` opens one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

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
        inputs: files and folders that it reads: relative to `folder`, where they need not be there; or absolute, as its
            arguments name them.
        outputs: files, and folders of files, that it writes, relative to `folder`.
    """

    name: str
    function: str
    arguments: Mapping[str, Any]
    folder: Path
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return {
            "name": self.name,
            "function": self.function,
            "arguments": dict(self.arguments),
            "folder": str(self.folder),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> WorkUnit:
        """Return the unit written by `to_json`.

        Raises InputError when a key is missing.
        """
        try:
            places = tuple(value["inputs"]), tuple(value["outputs"])
            return WorkUnit(value["name"], value["function"], value["arguments"], Path(value["folder"]), *places)
        except (KeyError, TypeError) as error:
            rule = "a work unit must have name, function, arguments, folder, inputs and outputs"
            msg = f"{rule} (problem with {error}); write it anew"
            raise InputError(msg) from None


class News(StrEnum):
    """What a message is about."""

    PROGRESS = "progress"
    DONE = "done"
    REFUSED = "refused"
    FAILED = "failed"
    LOST = "lost"
    OUT_OF_MEMORY = "out of memory"
    OUT_OF_TIME = "out of time"

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
            the sentence), failed (another exception), lost, out of memory or out of time (its process died as often as
            is allowed).
        detail: text of the error, or how the process died.
        body: JSON-like report of the function.
    """

    unit: str
    news: News
    detail: str = ""
    body: Mapping[str, Any] = field(default_factory=dict)


class Engine(Protocol):
    """Where work units run; a context manager that closes itself.

    A unit that was submitted is heard of until one of its messages is final; then its name may be used again.
    """

    @property
    def outstanding(self) -> int:
        """Return the number of units of which a final message is still to come."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def submit(self, unit: WorkUnit) -> None:
        """Queue a unit."""
        ...

    def poll(self, timeout_s: float) -> list[Message]:
        """Return the news of at most the next `timeout_s` seconds; at once when there is some."""
        ...

    def close(self) -> None:
        """Stop everything that still runs."""
        ...
