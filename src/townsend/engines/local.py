"""Single-threaded worker processes on this machine, one unit each at a time, and no barrier between units.

A worker lives as long as its engine and no longer. When one dies, its unit is tried once more in a new one; a unit that
has reported progress since its last death has both tries again.
"""

from __future__ import annotations

import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.memory import memory_kills
from townsend.errors import InputError

__all__ = ["LocalEngine", "thread_environment", "usable_cores", "worker_environment"]

log = logging.getLogger(__name__)

_ATTEMPTS = 2
_ONE_THREAD = "--xla_cpu_multi_thread_eigen=false"
_CLOSING_S = 2.0


def usable_cores() -> int:
    """Return the number of processor cores this process may use."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def thread_environment(threads: int) -> dict[str, str]:
    """Return the variables by which the libraries keep to so many threads, and the backend that the user has chosen."""
    names = ("NPROC", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS")
    flags = f"{os.environ.get('XLA_FLAGS', '')} {_ONE_THREAD if threads == 1 else ''}".strip()
    backend = os.environ.get("KERAS_BACKEND", "jax")
    return {**dict.fromkeys(names, str(threads)), "XLA_FLAGS": flags, "KERAS_BACKEND": backend}


def worker_environment() -> dict[str, str]:
    """Return the environment of a single-threaded worker; what the user has chosen of Keras' backend stays."""
    return {**os.environ, **thread_environment(1)}


@dataclass
class _Worker:
    """A worker process and the unit it is at."""

    process: subprocess.Popen[bytes]
    slot: int
    unit: WorkUnit | None = None
    rest: bytes = b""

    @property
    def answers(self) -> IO[bytes]:
        assert self.process.stdout is not None  # noqa: S101 - started with a pipe
        return self.process.stdout

    def hand(self, unit: WorkUnit) -> None:
        """Give the worker a unit; one that has died meanwhile is noticed by the end of its answers."""
        self.unit = unit
        assert self.process.stdin is not None  # noqa: S101 - started with a pipe
        try:
            self.process.stdin.write(json.dumps(unit.to_json()).encode() + b"\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass


class LocalEngine:
    """Runs work units in `jobs` processes of `townsend.worker`; use it as a context manager.

    Arguments:
        jobs: number of processes, >= 1.
        logs: folder for what the workers write to stderr, one file a process.
        options: further words of the workers' command line.
    """

    def __init__(self, jobs: int, logs: Path, options: Sequence[str] = ()) -> None:
        if jobs < 1:
            msg = f"jobs must be at least 1 (got {jobs}); this machine has {usable_cores()} cores"
            raise InputError(msg)
        self._jobs = jobs
        self._logs = logs
        self._options = tuple(options)
        self._queue: deque[WorkUnit] = deque()
        self._deaths: dict[str, int] = {}
        self._workers: dict[int, _Worker] = {}
        self._selector = selectors.DefaultSelector()
        self._memory_kills = memory_kills()

    def __enter__(self) -> LocalEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    @property
    def outstanding(self) -> int:
        """Return the number of units that are queued or at work."""
        return len(self._queue) + sum(worker.unit is not None for worker in self._workers.values())

    def submit(self, unit: WorkUnit) -> None:
        """Queue a unit, to be done after those queued before it."""
        self._deaths[unit.name] = 0
        self._queue.append(unit)

    def poll(self, timeout_s: float) -> list[Message]:
        """Return the news of at most the next `timeout_s` seconds; at once when there is some."""
        self._dispatch()
        if not self.outstanding:
            return []
        messages: list[Message] = []
        for key, _ in self._selector.select(timeout_s):
            messages += self._hear(key.data)
        self._dispatch()
        return messages

    def close(self) -> None:
        """Stop all workers: idle ones end by themselves, those at work are killed."""
        for worker in self._workers.values():
            if worker.process.stdin is not None:
                worker.process.stdin.close()
            if worker.unit is not None:
                worker.process.kill()
        deadline = time.monotonic() + _CLOSING_S
        for worker in self._workers.values():
            try:
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()
                worker.process.wait()
            worker.answers.close()
        self._workers.clear()
        self._queue.clear()
        self._selector.close()

    def _dispatch(self) -> None:
        for slot in range(self._jobs):
            if not self._queue:
                return
            worker = self._workers.get(slot) or self._start(slot)
            if worker.unit is None:
                worker.hand(self._queue.popleft())

    def _start(self, slot: int) -> _Worker:
        self._logs.mkdir(parents=True, exist_ok=True)
        with (self._logs / f"worker-{slot}.log").open("ab") as errors:
            process = subprocess.Popen(
                # -P: a file in the current folder must not take the place of a library.
                [sys.executable, "-P", "-m", "townsend.worker", "--serve", *self._options],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                env=worker_environment(),
                bufsize=0,
                start_new_session=True,  # Ctrl-C reaches the coordinator alone, which then closes the engine
            )
        worker = self._workers[slot] = _Worker(process, slot)
        self._selector.register(worker.answers, selectors.EVENT_READ, worker)
        return worker

    def _hear(self, worker: _Worker) -> list[Message]:
        chunk = os.read(worker.answers.fileno(), 1 << 16)
        if not chunk:
            return self._bury(worker)
        *lines, worker.rest = (worker.rest + chunk).split(b"\n")
        messages = []
        for line in lines:
            if worker.unit is None:
                continue
            answer: dict[str, Any] = json.loads(line)
            message = Message(worker.unit.name, News(answer["news"]), answer["detail"], answer["body"])
            messages.append(message)
            if message.news.final:
                worker.unit = None
            else:
                self._deaths[message.unit] = 0  # what killed the last process is behind
        return messages

    def _bury(self, worker: _Worker) -> list[Message]:
        """Take leave of a worker that has died; its unit is queued again or given up."""
        self._selector.unregister(worker.answers)
        worker.answers.close()
        if worker.process.stdin is not None:
            worker.process.stdin.close()
        status = worker.process.wait()
        del self._workers[worker.slot]
        kills, before = memory_kills(), self._memory_kills
        self._memory_kills = kills
        if worker.unit is None:
            return []
        name = worker.unit.name
        self._deaths[name] += 1
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        log.warning("the process at unit %s died (%s), see %s", name, how, self._logs / f"worker-{worker.slot}.log")
        if self._deaths[name] < _ATTEMPTS:
            self._queue.appendleft(worker.unit)
            return []
        of_memory = status == -signal.SIGKILL and kills > before
        return [Message(name, News.OUT_OF_MEMORY if of_memory else News.LOST, f"the process died twice ({how})")]
