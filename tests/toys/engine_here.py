"""Stands for `LocalEngine` in tests: work is done in this process, where Keras is loaded once for all of them."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from townsend.engines.base import Message, News, WorkUnit
from townsend.errors import TownsendError


class EngineHere:
    """Does the work of `LocalEngine` in this process, where Keras is loaded once for all tests."""

    def __init__(self, jobs: int, logs: Path, options: Sequence[str] = ()) -> None:
        self.build = Path(options[1]) if options else None
        self.queue: deque[WorkUnit] = deque()

    def __enter__(self) -> EngineHere:
        return self

    def __exit__(self, *error: object) -> None:
        self.queue.clear()

    def submit(self, unit: WorkUnit) -> None:
        self.queue.append(unit)

    def poll(self, timeout_s: float) -> list[Message]:
        from townsend.worker import run_unit

        unit = self.queue.popleft()
        heard: list[Message] = []

        def say(news: News, detail: str = "", body: Any = None) -> None:
            heard.append(Message(unit.name, news, detail, body or {}))

        try:
            run_unit(unit, lambda body: say(News.PROGRESS, body=body), self.build)
        except TownsendError as error:
            say(News.REFUSED, str(error))
        except Exception as error:
            say(News.FAILED, f"{type(error).__name__}: {error}", {"errno": getattr(error, "errno", None)})
        else:
            say(News.DONE)
        return heard
