"""Work units as jobs of a batch system; what the batch system does to them is not the unit's fault.

A job is one unit. It says what it does in a file of its own, which is read as it grows; the batch system is asked only
what a file cannot say. A job that ends without a last word is planned again: with more memory where that was short,
from where its checkpoints stand where it was evicted or out of time. A unit whose jobs die again and again without
getting any further is given up, and says how.

Jobs outlive the process that submitted them. The next one on the same folder reads the ledger and attaches to them.
"""

from __future__ import annotations

import json
import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import groupby, islice
from pathlib import Path
from types import TracebackType
from typing import Any

from townsend.engines.answers import Answers, log_end
from townsend.engines.at_work import AtWork, Planned
from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.job_script import RETURNED, write_job_script
from townsend.engines.ledger import JOBS, Job, Ledger, is_cancelled
from townsend.engines.request import Request, size_mb
from townsend.engines.scheduler import Batch, JobNews, Scheduler, State
from townsend.engines.site import Site
from townsend.engines.transfer import forget_inputs, pack_inputs, unpack_outputs
from townsend.engines.usage import Usage
from townsend.errors import BusyError, InputError, printable
from townsend.files import read_json, write_json

__all__ = ["FarmEngine"]

log = logging.getLogger(__name__)

_ATTEMPTS = 3  # of a unit whose jobs die without getting any further
_LOOK_S = 0.5
_SETTLE_S = 3.0  # for the last words of a job that is over to arrive through a shared disk
_PATIENCE_S = 20.0  # at the end, for the batch system's own numbers of the last jobs
_REFUSALS = 10  # of submissions, one after the other
_PAUSE_S = 30.0
_IN_TIME = "it stopped itself shortly before its time was over"
_BATCH = 1000  # Slurm's own limit of an array, unless a site has changed it
_STAYING = (State.HELD, State.OVER_MEMORY, State.OVER_TIME)  # in the queue, until somebody removes the job
_AT_LEAST = {News.OUT_OF_MEMORY: State.OVER_MEMORY, News.OUT_OF_TIME: State.OVER_TIME}


class FarmEngine:
    """Runs work units as jobs; use it as a context manager.

    Arguments:
        scheduler: of the batch system, for the folder `jobs` of `run`.
        site: what jobs ask for and how many there may be.
        ledger: of `run`.
        run: folder of the run.
        build: the user's file that builds networks.

    Raises InputError when the environment that is to travel cannot be packed.
    """

    def __init__(self, scheduler: Scheduler, site: Site, ledger: Ledger, run: Path, build: Path | None = None) -> None:
        self._scheduler, self._site, self._ledger, self._jobs = scheduler, site, ledger, run / JOBS
        self._units: dict[str, Planned] = {}
        self._queue: deque[str] = deque()
        self._at_work: dict[str, AtWork] = {}
        self._accepted, self._refused, self._pause_until_s = bool(ledger.live), 0, 0.0
        self._unsettled: list[Batch] = []
        self._travelling = write_job_script(self._jobs, site, build)
        for batch in ledger.uncertain:
            ledger.submitted(batch, scheduler.find(batch))
        for job in ledger.live:
            self._watch(job)

    def __enter__(self) -> FarmEngine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        # Whoever interrupts this process may mean to come back; another process on this folder needs the jobs.
        if kind is not None and (not issubclass(kind, Exception) or issubclass(kind, BusyError)):
            if self._at_work:
                log.warning(
                    "%d jobs go on; the same command attaches to them, `townsend cancel` removes them",
                    len(self._at_work),
                )
            self._ledger.close()
        else:
            self.close()

    @property
    def outstanding(self) -> int:
        """Return the number of units of which a final message is still to come."""
        return len(self._units)

    def submit(self, unit: WorkUnit) -> None:
        """Queue a unit, or attach to the job that a former process has submitted for it."""
        self._units[unit.name] = Planned(unit, self._site.request)
        for work in self._at_work.values():
            if work.job.unit == unit.name and not work.told:
                if self._stored(work.job.stem) == json.loads(json.dumps(unit.to_json())):
                    memory_mb = max(self._site.request.memory_mb, work.job.request.memory_mb)
                    self._units[unit.name].request = replace(self._site.request, memory_mb=memory_mb)
                    return
                self._remove(work, "replaced", "its unit has changed")
                break
        self._queue.append(unit.name)

    def poll(self, timeout_s: float) -> list[Message]:
        """Return the news of at most the next `timeout_s` seconds; at once when there is some.

        Raises InputError when the batch system refuses jobs, or `townsend cancel` was said.
        """
        deadline = time.monotonic() + timeout_s
        while True:
            if is_cancelled(self._jobs.parent):
                rule = f"the jobs of {self._jobs.parent} were cancelled"
                msg = f"{rule}; what is finished is kept, the same command goes on"
                raise InputError(msg)
            self._dispatch()
            messages = self._look()
            left_s = deadline - time.monotonic()
            if messages or left_s <= 0 or not self._units:
                self._dispatch()
                return messages
            time.sleep(min(_LOOK_S, left_s))

    def close(self) -> None:
        """Remove all jobs that are not done, and wait a little for the batch system's numbers of the others."""
        try:
            left = [work for work in self._at_work.values() if not work.told]
            self._scheduler.remove([work.job.id for work in left])
            for work in left:
                self._end(work, "removed", "its run ended")
            deadline = time.monotonic() + _PATIENCE_S
            while self._at_work and time.monotonic() < deadline:
                self._look()
                if self._at_work:
                    time.sleep(_LOOK_S)
            for work in list(self._at_work.values()):
                self._end(work, work.how, "")
            forget_inputs(self._jobs, ())
        finally:
            self._ledger.close()

    def _dispatch(self) -> None:
        """Submit what is queued, as long as there may be more jobs; those that ask for the same, at once."""
        if time.monotonic() < self._pause_until_s or not self._is_settled():
            return
        room = self._site.max_jobs - sum(not work.told for work in self._at_work.values())
        names = [self._queue.popleft() for _ in range(min(room, len(self._queue)))]
        names.sort(key=lambda name: self._units[name].request.memory_mb)  # is stable
        for request, alike in groupby(names, key=lambda name: self._units[name].request):
            while some := list(islice(alike, _BATCH)):
                if self._unsettled:  # refused just now
                    self._queue.extendleft(reversed(some))
                else:
                    self._submit(request, some)

    def _submit(self, request: Request, names: Sequence[str]) -> None:
        batch = self._ledger.intend(request, names, len(self._queue))
        files: list[tuple[str, ...]] = []
        for stem, name in zip(batch.stems, names, strict=True):
            unit = self._units[name].unit
            write_json(self._jobs / f"{stem}.json", unit.to_json())
            if not self._site.shared_files:
                inputs = [path.name for path in pack_inputs(unit, self._jobs)]
                files.append((f"{stem}.json", *self._travelling, *inputs))
        try:
            ids = self._scheduler.submit(replace(batch, files=tuple(files)))
        except InputError as error:
            self._unsettled.append(batch)
            if not self._accepted:
                with suppress(InputError):  # else the next process asks
                    self._settle()
                raise
            self._pause(error)
        else:
            self._accept(batch, ids)

    def _pause(self, error: InputError) -> None:
        """Wait before the next submission: a batch system that is busy or restarts is no reason to lose its jobs."""
        self._refused += 1
        if self._refused == _REFUSALS:
            raise error
        log.warning("%s (tried again in %d s)", error, _PAUSE_S)
        self._pause_until_s = time.monotonic() + _PAUSE_S

    def _is_settled(self) -> bool:
        """Return whether of all batches is known if they were submitted, and queue the units of those that were not."""
        try:
            self._settle()
        except InputError as error:
            self._pause(error)
        return not self._unsettled

    def _settle(self) -> None:
        while self._unsettled:
            batch = self._unsettled[-1]
            ids = self._scheduler.find(batch)
            self._unsettled.pop()
            if ids is None:
                self._ledger.submitted(batch, None)
                names = [self._ledger.jobs[stem].unit for stem in batch.stems]
                self._queue.extendleft(name for name in reversed(names) if name in self._units)
            else:
                self._accept(batch, ids)

    def _accept(self, batch: Batch, ids: Sequence[str]) -> None:
        self._ledger.submitted(batch, ids)
        self._accepted, self._refused = True, 0
        for stem in batch.stems:
            self._watch(self._ledger.jobs[stem])

    def _watch(self, job: Job) -> None:
        self._at_work[job.stem] = AtWork(job, Answers(self._jobs / f"{job.stem}.out"))

    def _look(self) -> list[Message]:
        """Return what jobs and batch system have to say."""
        ids = {stem: work.job.id for stem, work in self._at_work.items()}
        try:
            heard = self._scheduler.news(ids)
        except InputError as error:  # one that is busy or restarts is asked again: jobs are not removed for that
            log.warning("%s", error)
            heard = []
        for news in heard:
            if news.job in self._at_work:
                self._at_work[news.job].take(news)
        return [message for work in list(self._at_work.values()) for message in self._hear(work)]

    def _hear(self, work: AtWork) -> list[Message]:
        """Return what one job has to say, and take leave of it when it is over."""
        messages = [] if work.told else self._listen(work)
        if work.over and not work.told and not self._site.shared_files:
            self._take_back(work, work.over)
        if work.last and not work.told and (self._site.shared_files or work.over):
            work.told = True
            messages += self._say(work, work.last.news, work.last.detail, work.last.body, final=True)
        if work.over and (work.told or time.monotonic() - work.over_s > _SETTLE_S):
            if work.over.state in _STAYING:
                self._scheduler.remove([work.job.id])
            if work.told:
                self._end(work, work.how, work.over.detail)
            elif work.out_of_time:
                messages += self._bury(work, replace(work.over, state=State.OVER_TIME, detail=_IN_TIME))
            else:
                messages += self._bury(work, work.over)
        return messages

    def _take_back(self, work: AtWork, over: JobNews) -> None:
        """Put what a job has sent back into its place; without that its last word is worth nothing."""
        archive = self._jobs / f"{work.job.stem}{RETURNED}"
        if not work.returned and archive.exists() and archive.stat().st_size:
            try:
                unit = WorkUnit.from_json(read_json(self._jobs / f"{work.job.stem}.json"))
                unpack_outputs(archive, unit, work.job.request.disk_mb)
                work.returned = True
                if work.got_further and work.job.unit in self._units:
                    self._units[work.job.unit].deaths = 0
            except InputError as error:
                log.warning("%s", error)
                work.over = over = replace(over, detail=str(error))
            finally:
                archive.unlink(missing_ok=True)
        if work.last and work.last.news is News.DONE and not work.returned:
            work.last, work.over = None, replace(over, detail=f"{over.detail}; what it made did not come back")

    def _listen(self, work: AtWork) -> list[Message]:
        messages = []
        for answer in work.answers.new():
            work.measured = answer.usage
            if answer.news is News.OUT_OF_TIME:
                work.out_of_time = True  # it has stopped itself; whether its unit is, is seen when it is over
            elif answer.news.final:
                work.last = answer
            else:
                messages += self._say(work, answer.news, answer.detail, answer.body)
        return messages

    def _say(
        self, work: AtWork, news: News, detail: str, body: Mapping[str, Any], *, final: bool = False
    ) -> list[Message]:
        """Return a message, unless nobody in this process has asked for its unit."""
        planned = self._units.get(work.job.unit)
        if planned is None:
            return []
        work.got_further = True
        if final or self._site.shared_files:  # else it counts once it has come back
            planned.deaths = 0  # what stopped the last job is behind
        if final:
            del self._units[work.job.unit]
        return [Message(work.job.unit, news, detail, body)]

    def _bury(self, work: AtWork, over: JobNews) -> list[Message]:
        """Take leave of a job that ended without a last word; its unit is queued again or given up."""
        self._end(work, over.state.value, over.detail)
        planned = self._units.get(work.job.unit)
        if planned is None:
            return []
        name, log_file = work.job.unit, self._jobs / f"{work.job.stem}.err"
        why = printable(over.detail)
        log.warning("job %s of %s ended: %s (%s), see %s", work.job.stem, name, over.state, why, log_file)
        planned.deaths += 1
        if over.state is State.OVER_MEMORY:
            more = self._more_memory(work)
            if more.memory_mb > work.job.request.memory_mb:
                planned.request, planned.deaths = more, 0
        if planned.deaths < _ATTEMPTS and not (over.state in _AT_LEAST.values() and planned.deaths > 1):
            self._queue.appendleft(name)
            return []
        del self._units[name]
        news = next((news for news, state in _AT_LEAST.items() if state is over.state), News.LOST)
        end = f"; its log ends: {text}" if (text := log_end(log_file)) else ""
        times = f"{planned.deaths} times" if planned.deaths > 1 else "once"
        return [Message(name, news, f"its job ended {times} without a result ({over.state}: {over.detail}){end}")]

    def _more_memory(self, work: AtWork) -> Request:
        """Return a request for twice the memory, or half as much again as was seen, up to the site's most."""
        asked = work.job.request
        seen_mb = max(work.measured.memory_mb or 0, (work.over and work.over.usage and work.over.usage.memory_mb) or 0)
        most_mb = max(size_mb(self._site.max_memory), asked.memory_mb)
        return replace(asked, memory_mb=min(most_mb, max(2 * asked.memory_mb, round(1.5 * seen_mb))))

    def _remove(self, work: AtWork, how: str, detail: str) -> None:
        self._scheduler.remove([work.job.id])
        self._end(work, how, detail)

    def _end(self, work: AtWork, how: str, detail: str) -> None:
        told = (work.over and work.over.usage) or Usage()
        self._ledger.end(work.job.stem, how, detail, work.measured, told)
        del self._at_work[work.job.stem]

    def _stored(self, stem: str) -> Any:
        try:
            return read_json(self._jobs / f"{stem}.json")
        except InputError:
            return None
