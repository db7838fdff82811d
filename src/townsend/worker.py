"""What a worker process runs: `python -m townsend.worker UNIT.json`, or `--serve` for one unit a line on stdin.

`--build FILE.py` behind either names the user's file that builds networks; no unit can.

While serving, answers go to stdout, one JSON object a line: `{"news": ..., "detail": ..., "body": ...}`. Everything
else that is printed goes to stderr. The process ends when its stdin does, since then nobody is left to work for.
"""

from __future__ import annotations

import ctypes
import json
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, TextIO

from townsend.engines.base import News, WorkUnit
from townsend.errors import InputError, TownsendError, did_you_mean
from townsend.files import read_json

if TYPE_CHECKING:
    from townsend.training.records import FitRecord

__all__ = ["FUNCTIONS", "main", "run_unit"]

log = logging.getLogger(__name__)

Report = Callable[[Mapping[str, Any]], None]


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
    simulate_shard(settings, arguments["start"], arguments["stop"], folder / arguments["file"])


def _reconstruct_shard(folder: Path, arguments: Mapping[str, Any], report: Report, build: Path | None) -> None:
    from townsend.experiments.drifttube.reconstruction.shard import ShardWork, reconstruct_shard

    reconstruct_shard(ShardWork.from_json(arguments), folder / arguments["output"])


FUNCTIONS: Mapping[str, Callable[[Path, Mapping[str, Any], Report, Path | None], None]] = {
    "reconstruct_shard": _reconstruct_shard,
    "simulate_shard": _simulate_shard,
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


def main(arguments: list[str] | None = None) -> int:
    """Run one unit file, or serve; return the exit status."""
    given = sys.argv[1:] if arguments is None else arguments
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    build: Path | None = None
    if len(given) == 3 and given[1] == "--build":
        given, build = given[:1], Path(given[2])
    if given == ["--serve"]:
        _die_with_parent()
        _serve(_private_stdout(), build)
        return 0
    if len(given) != 1:
        log.error("give one unit file, or --serve (got %s)", given)
        return 2
    try:
        run_unit(WorkUnit.from_json(read_json(Path(given[0]))), lambda body: None, build)
    except TownsendError as error:
        log.error("%s", error)
        return 2
    return 0


def _serve(answers: TextIO, build: Path | None) -> None:
    def say(news: News, detail: str = "", body: Mapping[str, Any] | None = None) -> None:
        answers.write(json.dumps({"news": news.value, "detail": detail, "body": dict(body or {})}) + "\n")
        answers.flush()

    for line in _lines_until_orphaned():
        try:
            run_unit(WorkUnit.from_json(json.loads(line)), lambda body: say(News.PROGRESS, body=body), build)
        except TownsendError as error:
            log.error("%s", error)
            say(News.REFUSED, str(error))
        except Exception as error:
            log.exception("unit failed")
            say(News.FAILED, f"{type(error).__name__}: {error}", {"errno": getattr(error, "errno", None)})
        else:
            say(News.DONE)


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
