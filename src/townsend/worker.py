"""What a worker process runs: `python -m townsend.worker UNIT.json`, or `--serve` for one unit a line on stdin.

`--build FILE.py` beside either names the user's file that builds networks; no unit can.

Answers go to stdout, one JSON object a line: `{"news": ..., "detail": ..., "body": ..., "usage": ...}`. Everything else
that is printed goes to stderr. A serving process ends when its stdin does, since then nobody is left to work for. One
that runs a unit file is a batch job: on SIGTERM it leaves a checkpoint and ends with status 75. `--travelled` is for a
job that does not see the run's folder: its files lie beside the unit's, and what it leaves is packed there.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO

from townsend.engines.base import News, WorkUnit
from townsend.engines.job_script import RETURNED, SCRATCH
from townsend.engines.usage import measure_usage
from townsend.errors import InputError, TownsendError, did_you_mean
from townsend.files import read_json, write_json
from townsend.training.interruption import Interrupted, request_stop

if TYPE_CHECKING:
    from townsend.training.records import FitRecord

__all__ = ["FUNCTIONS", "main", "run_unit"]

log = logging.getLogger(__name__)

Report = Callable[[Mapping[str, Any]], None]

_BEGAN = time.monotonic()
_INTERRUPTED = 75  # EX_TEMPFAIL of sysexits.h: the same may well succeed later
_MOST_MB = 100_000.0  # of this job's own files, that have been away
_STATUS = {News.DONE: 0, News.REFUSED: 2, News.FAILED: 1}


def _train_bracket(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.networks.build_file import load_build
    from townsend.training.bracket import BracketWork, train_bracket

    def tell(record: FitRecord | None) -> None:
        report(record.to_json() if record else {})

    train_bracket(folder, BracketWork.from_json(arguments), tell, load_build(build) if build else None)


def _simulate_shard(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.config import parse
    from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
    from townsend.experiments.drifttube.simulation.simulate import simulate_shard

    settings = parse(DriftTubeSettings, arguments["settings"])
    path, described = folder / arguments["file"], arguments.get("described")
    simulate_shard(settings, arguments["start"], arguments["stop"], path, described)


def _reconstruct_shard(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.experiments.drifttube.reconstruction.shard import ShardWork, reconstruct_shard

    reconstruct_shard(ShardWork.from_json(arguments), folder / arguments["output"])


def _simulate_gluex_shard(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.config import parse
    from townsend.experiments.gluex.settings import GluexSettings
    from townsend.experiments.gluex.simulate import simulate_gluex_shard

    settings, path = parse(GluexSettings, arguments["settings"]), folder / arguments["file"]
    simulate_gluex_shard(settings, arguments["tree"], arguments["start"], arguments["stop"], path)


def _skim_shard(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.experiments.table.skim_shard import SkimWork, skim_shard

    skim_shard(SkimWork.from_json(arguments), folder)


def _look_around(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.engines.check import facts_of_job

    report(facts_of_job(folder, arguments))


FUNCTIONS: Mapping[str, Callable[[Path, Mapping[str, Any], Report, Path | None], None]] = {
    "look_around": _look_around,
    "reconstruct_shard": _reconstruct_shard,
    "simulate_gluex_shard": _simulate_gluex_shard,
    "simulate_shard": _simulate_shard,
    "skim_shard": _skim_shard,
    "train_bracket": _train_bracket,
}


def run_unit(unit: WorkUnit, report: Report, build: Path | None = None) -> None:
    """Do one unit.

    Arguments:
        unit: to be done.
        report: called with what its function has to say.
        build: the user's file that builds networks, from the command line alone: a unit cannot name code.

    Raises InputError when its function is not registered, and whatever the function raises.
    """
    if unit.function not in FUNCTIONS:
        known = did_you_mean(unit.function, FUNCTIONS)
        msg = f'function of a work unit must be registered (got "{unit.function}"){known}'
        raise InputError(msg)
    FUNCTIONS[unit.function](unit.folder, unit.arguments, report, build)


def main(arguments: list[str] | None = None, answers: TextIO | None = None) -> int:
    """Run one unit file, or serve; return the exit status. Answers go to stdout when None."""
    given = _parser().parse_args(arguments)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    if given.serve:
        _die_with_parent()
        _serve(answers or _private_stdout(), given.build)
        return 0
    try:
        if given.travelled:
            return _run_travelled(given.unit, given.build, given.seconds)
        return _run_job(given.unit, answers or _private_stdout(), given.build, given.seconds)
    finally:
        if given.remove:
            shutil.rmtree(given.remove, ignore_errors=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="townsend.worker", description="Do work units.")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("unit", nargs="?", type=Path, help="file of one unit")
    what.add_argument("--serve", action="store_true", help="do one unit a line of stdin, until it ends")
    parser.add_argument("--build", type=Path, help="file of the user's that builds networks")
    parser.add_argument("--travelled", action="store_true", help="the unit's files have travelled with this job")
    parser.add_argument("--seconds", type=int, default=0, help="stop by itself after so long, as on SIGTERM; 0: never")
    parser.add_argument("--remove", type=Path, help="scratch folder, removed at the end")
    return parser


def _run_job(path: Path, answers: TextIO, build: Path | None, seconds: int) -> int:
    """Run the unit of a file as a batch job; return the exit status."""
    signals = (signal.SIGTERM, signal.SIGALRM)
    before = {number: signal.signal(number, lambda *of: request_stop()) for number in signals}
    signal.alarm(seconds)
    try:
        return _STATUS[_answered(lambda: WorkUnit.from_json(read_json(path)), answers, build)]
    except Interrupted:
        log.warning("stopped in time; what is done is on disk")
        if seconds and time.monotonic() - _BEGAN > seconds - 1:
            _answer(answers, News.OUT_OF_TIME)
        return _INTERRUPTED
    finally:
        signal.alarm(0)
        for number, handler in before.items():
            signal.signal(number, handler)


def _run_travelled(path: Path, build: Path | None, seconds: int) -> int:
    """Run a unit on copies of its files, in a process of its own, and pack what it leaves, however it ends."""
    from townsend.engines.transfer import pack_outputs, unpack_inputs, unpack_outputs

    scratch, back = Path(os.environ[SCRATCH]), path.with_suffix(RETURNED)
    earlier = back.exists() and back.stat().st_size > 0
    back.touch()  # the batch system waits for it, whatever comes
    unit = unpack_inputs(WorkUnit.from_json(read_json(path)), sorted(Path().glob("input-*.tar")), scratch / "files")
    if earlier:  # this job was evicted and has come back with what it had done
        unpack_outputs(back, unit, _MOST_MB)
    inner = scratch / "unit.json"
    write_json(inner, unit.to_json())
    words = [sys.executable, *(["-S"] if sys.flags.no_site else []), "-P", "-m", "townsend.worker", str(inner)]
    words += ["--seconds", str(seconds)]
    process = subprocess.Popen([*words, *(["--build", str(build.absolute())] if build else [])])
    signal.signal(signal.SIGTERM, lambda number, frame: process.terminate())
    status = process.wait()
    pack_outputs(unit, back)
    return status if status >= 0 else 128 - status


def _serve(answers: TextIO, build: Path | None) -> None:
    for line in _lines_until_orphaned():
        _answered(partial(_parsed, line), answers, build)


def _parsed(line: str) -> WorkUnit:
    return WorkUnit.from_json(json.loads(line))


def _answered(read: Callable[[], WorkUnit], answers: TextIO, build: Path | None) -> News:
    """Do one unit, saying how it goes; return the last news."""

    def progress(body: Mapping[str, Any]) -> None:
        _answer(answers, News.PROGRESS, body=body)

    try:
        run_unit(read(), progress, build)
    except TownsendError as error:
        log.error("%s", error)
        return _answer(answers, News.REFUSED, str(error))
    except Interrupted:
        raise
    except Exception as error:
        log.exception("unit failed")
        body = {"errno": getattr(error, "errno", None)}
        return _answer(answers, News.FAILED, f"{type(error).__name__}: {error}", body)
    return _answer(answers, News.DONE)


def _answer(answers: TextIO, news: News, detail: str = "", body: Mapping[str, Any] | None = None) -> News:
    """Say one thing, and what this process has used so far."""
    scratch = os.environ.get(SCRATCH)
    usage = measure_usage(Path(scratch) if scratch else None).to_json()
    answers.write(json.dumps({"news": news.value, "detail": detail, "body": dict(body or {}), "usage": usage}) + "\n")
    answers.flush()
    return news


def _lines_until_orphaned() -> Iterator[str]:
    """Yield the lines of stdin; end the process when stdin ends, also in the middle of a unit."""
    lines: SimpleQueue[str] = SimpleQueue()

    def read() -> None:
        for line in sys.stdin:
            lines.put(line)
        os._exit(0)

    threading.Thread(target=read, daemon=True).start()
    while True:
        yield lines.get()


def _private_stdout() -> TextIO:
    """Return the process's stdout for our own use; whatever else prints goes to stderr from here on."""
    kept = os.dup(1)
    os.dup2(2, 1)
    return os.fdopen(kept, "w", encoding="utf-8")


def _die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies: a hung unit would not see the end of stdin."""
    if sys.platform != "linux":
        return
    parent_death_signal = 1
    ctypes.CDLL(None, use_errno=True).prctl(parent_death_signal, signal.SIGKILL, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main())
