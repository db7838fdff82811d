"""What a job says while it works: JSON lines in a file that grows, and that begins anew when the job does.

What to use when
----------------
- `Answers`: reads what has come since the last look.
- `log_end`: the end of what a job wrote besides, for people.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from townsend.engines.base import News
from townsend.engines.usage import Usage
from townsend.errors import printable

__all__ = ["Answer", "Answers", "log_end"]

log = logging.getLogger(__name__)

_MOST_BYTES = 1 << 24  # of one look
_LINE_BYTES = 1 << 20  # a longer line is no answer
_HEAD_BYTES = 1 << 12  # holds the first answer's times, which no two processes share


@dataclass(frozen=True)
class Answer:
    """One line of a worker.

    Arguments:
        news, detail, body: as in `townsend.engines.base.Message`.
        usage: what the job has used so far.
    """

    news: News
    detail: str
    body: Mapping[str, Any]
    usage: Usage


class Answers:
    """The answers of one job.

    Arguments:
        path: file; need not be there yet.

    A line that is no answer is passed over: the file comes from another machine.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read, self._head, self._rest = 0, b"", b""

    def new(self) -> list[Answer]:
        """Return the answers that have come since the last call."""
        try:
            with self._path.open("rb") as stream:
                anew = stream.read(len(self._head)) != self._head
                if anew or os.fstat(stream.fileno()).st_size < self._read:
                    self._read, self._head, self._rest = 0, b"", b""
                stream.seek(self._read)
                chunk = stream.read(_MOST_BYTES)
        except OSError:
            return []
        self._head += chunk[: max(0, _HEAD_BYTES - self._read)]
        self._read += len(chunk)
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        self._rest = self._rest[: _LINE_BYTES + 1]
        return [answer for line in lines for answer in _understood(line)]


def _understood(line: bytes) -> list[Answer]:
    """Return the answer in a line, if it is one."""
    with suppress(ValueError, KeyError, TypeError, AttributeError, RecursionError):
        value: Any = json.loads(line) if len(line) <= _LINE_BYTES else None
        if isinstance(value["body"], dict):
            said = News(value["news"]), str(value["detail"])[:2000], value["body"]
            return [Answer(*said, Usage.from_json(value["usage"]))]
    log.warning("a job said what is no answer: %r", line[:100])
    return []


def log_end(path: Path, length: int = 300) -> str:
    """Return the last lines of a job's log, in one line of at most `length` letters; "" where there are none."""
    try:
        with path.open("rb") as stream:
            stream.seek(max(0, path.stat().st_size - 4 * length))
            text = stream.read(4 * length).decode("utf-8", errors="replace")
    except OSError:
        return ""
    return printable(" | ".join(line.strip() for line in text.splitlines() if line.strip()))[-length:]
