"""Stands for `open_engine` in tests: work is done in this process, where Keras is loaded once for all of them."""

from __future__ import annotations

from collections import deque
from pathlib import Path
from typing import Any

from townsend.engines.base import Message, News, WorkUnit
from townsend.errors import TownsendError


def open_engine_here(site: None, run: Path, jobs: int, build: Path | None = None) -> EngineHere:
    """Return an engine of this process."""
    return EngineHere(build)


class EngineHere:
    """Does the work of `LocalEngine` in this process, where Keras is loaded once for all tests."""

    def __init__(self, build: Path | None = None) -> None:
        self.build = build
        self.queue: deque[WorkUnit] = deque()

    def __enter__(self) -> EngineHere:
        return self

    def __exit__(self, *error: object) -> None:
        self.queue.clear()

    def submit(self, unit: WorkUnit) -> None:
        self.queue.append(unit)

    @property
    def outstanding(self) -> int:
        return len(self.queue)

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
