"""What a trial costs beside training: plan, brackets, records, coordinator and board, at growing numbers of trials.

Run: python benchmarks/overhead.py
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import wraps
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from measure import machine, parser, progress, publish, significant, table

from townsend.engines.base import Message, News, WorkUnit
from townsend.tasks.base import Arrays, Evaluation, Metric, Objective, Split
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

LENGTHS = (100, 1_000, 10_000, 100_000)
EPOCHS = 30
EXAMPLES = 300  # no batch may be larger
TARGET_MS = 5.0
PARTS = {
    "plan": ("make_plan", "check_space"),
    "bracket files": ("write_json",),
    "reading records": ("coordinator_reads", "worker_reads"),
    "writing records": ("write_bracket_record",),
}
TEXT = """\
The real coordinator with its plan, lease, bracket files and records, and the real `train_bracket`, in one process; only
trainer and task are stand-ins, which give curves of {epochs} epochs, the weights of an LSTM of 481 parameters and one
metric at once. A file is flushed to disk before it is renamed into place, so that wall time is also that of the disk.
Each row once, in a fresh process. Random configurations are drawn from six hyperparameters; a grid is one of two lists.
Start is what a first sweep of one trial takes, imports included; no other column has it. Peak memory is that of the
process, libraries (about {libraries} MB) included. Board is `townsend.api.board`; the command also writes CSV and
figures. {verdict}"""


class AtOnceTask:
    """Stands for a task whose data cost nothing."""

    name = "at-once"
    objective = Objective("auc", maximise=True)
    loss = "binary_crossentropy"
    metrics: Mapping[str, bool] = MappingProxyType({"auc": True})
    places = ()

    def settings(self, given: Any) -> dict[str, Any]:
        return dict(given)

    def fingerprint(self, sample: Path, settings: Any) -> str:
        return "none"

    def prepare(self, sample: Path, settings: Any, seed: int, fold: Any = None) -> Arrays:
        x, y = np.zeros((EXAMPLES, 15, 1), np.float32), np.arange(EXAMPLES, dtype=np.float32) % 2
        one = Split(x, y, np.arange(EXAMPLES, dtype=np.int32))
        return Arrays(dict.fromkeys(("train", "monitor", "validation", "test"), one), {})

    def evaluate(self, arrays: Arrays, split: str, scores: Any, threshold: float | None) -> Evaluation:
        return Evaluation({"auc": Metric(float(scores[0]), 0.01)}, 0.5)


class AtOnceTrainer:
    """Stands for a trainer whose networks are trained at once."""

    _weights = tuple(np.zeros(shape, np.float32) for shape in ((1, 32), (8, 32), (32,), (8, 16), (16,), (16, 1), (1,)))
    _curves = dict.fromkeys(("loss", "monitor_loss", "accuracy", "monitor_accuracy"), np.zeros(EPOCHS, np.float32))

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        return [[fit] for fit in fits]

    def advance(self, pack: Sequence[Any], arrays: Sequence[Arrays], rung: Rung) -> Iterator[tuple[Fit, Progress]]:
        for fit, _ in pack:
            yield fit, Progress(Outcome.FINISHED, "", self._curves, self._weights, parameters=481, epochs=EPOCHS)

    def scores(self, fit: Fit, progress: Progress, x: Any, arrays: Sequence[Arrays]) -> Any:
        return np.full(len(x), 0.5 + 0.4 * (fit.trial % 97) / 97, np.float32)


class AtOnceEngine:
    """Stands for the engine that `open_engine` returns: does its work in this process."""

    def __init__(self, site: None, run: Path, jobs: int, build: Path | None = None) -> None:
        self._queue: deque[WorkUnit] = deque()

    def __enter__(self) -> AtOnceEngine:
        return self

    def __exit__(self, *error: object) -> None:
        self._queue.clear()

    def submit(self, unit: WorkUnit) -> None:
        self._queue.append(unit)

    @property
    def outstanding(self) -> int:
        return len(self._queue)

    def poll(self, timeout_s: float) -> list[Message]:
        from townsend.worker import run_unit

        unit = WorkUnit.from_json(json.loads(json.dumps(self._queue.popleft().to_json())))
        heard: list[Message] = []
        run_unit(unit, lambda body: heard.append(Message(unit.name, News.PROGRESS, body=json.loads(json.dumps(body)))))
        return [*heard, Message(unit.name, News.DONE)]


def child(sampler: str, trials: int, bracket_size: int) -> None:
    """Run one sweep in this fresh process and print what it took."""
    from townsend.api import board, sweep
    from townsend.sweep import coordinator
    from townsend.sweep.settings import SweepSettings
    from townsend.training import bracket

    coordinator.open_engine = AtOnceEngine
    coordinator.find_task = bracket.find_task = lambda name: AtOnceTask()
    bracket.open_trainer = lambda *given: AtOnceTrainer()
    spent = dict.fromkeys((name for names in PARTS.values() for name in names), 0.0)

    def timed(name: str, owner: Any, attribute: str) -> None:
        function: Callable[..., Any] = getattr(owner, attribute)

        @wraps(function)
        def run(*given: Any, **named: Any) -> Any:
            began = time.perf_counter()
            try:
                return function(*given, **named)
            finally:
                spent[name] += time.perf_counter() - began

        setattr(owner, attribute, run)

    def settings(number: int) -> SweepSettings:
        return SweepSettings(
            task="at-once",
            sample=".",
            space=space(sampler, number),
            sampler=sampler,
            trials=number,
            epochs=EPOCHS,
            bracket_size=bracket_size,
        )

    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        sweep(settings(1), Path(folder) / "first", jobs=1)
        start_s = time.perf_counter() - began
        began, began_cpu = time.perf_counter(), time.process_time()
        sweep(settings(1), Path(folder) / "one", jobs=1)
        one_s, one_cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
        libraries_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        for name, owner in (("make_plan", coordinator), ("check_space", coordinator), ("write_json", coordinator)):
            timed(name, owner, name)
        timed("write_bracket_record", bracket, "write_bracket_record")
        timed("coordinator_reads", coordinator, "read_bracket_record")
        timed("worker_reads", bracket, "read_bracket_record")
        run = Path(folder) / "run"
        began, began_cpu = time.perf_counter(), time.process_time()
        sweep(settings(trials), run, jobs=1)
        wall_s, cpu_s = time.perf_counter() - began, time.process_time() - began_cpu
        began = time.perf_counter()
        assert len(board(run).rows) == trials
        board_s = time.perf_counter() - began
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e6
        began = time.perf_counter()
        command = [sys.executable, "-m", "townsend", "board", str(run)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        command_s = time.perf_counter() - began
        written_mb = sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) / 1e6
    answer = {
        "start_s": start_s,
        "wall_s": wall_s - one_s,
        "cpu_s": cpu_s - one_cpu_s,
        "board_s": board_s,
        "command_s": command_s,
        "peak_mb": peak_mb,
        "libraries_mb": libraries_mb,
        "written_mb": written_mb,
        "parts": {part: sum(spent[name] for name in names) for part, names in PARTS.items()},
    }
    print(json.dumps(answer))


def space(sampler: str, trials: int) -> dict[str, Any]:
    if sampler == "grid":
        rates = [1e-4 * (1 + number) for number in range(-(-trials // 2))]
        fixed = {"topology": ["8 16 1"], "activations": ["relu sigmoid"], "dropout": [0.1], "batch_size": [150]}
        return {**fixed, "optimizer": ["adam", "sgd"], "learning_rate": rates}
    return {
        "topology": ["8 16 1", "4 8 1"],
        "activations": ["relu sigmoid", "tanh sigmoid"],
        "dropout": {"low": 0.0, "high": 0.5},
        "optimizer": ["adam", "sgd"],
        "batch_size": [150, 250],
        "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
    }


def main() -> None:
    options = parser("What a trial costs beside training.", repeats=1)
    options.add_argument("--most", type=int, default=LENGTHS[-1], help="trials of the longest (default %(default)s)")
    given = options.parse_args()
    description = machine(("townsend", "optuna", "numpy"))
    rows, worst, libraries_mb = [], 0.0, 0.0
    for bracket_size in (4, 100):
        for sampler in ("grid", "random"):
            for trials in (length for length in LENGTHS if length <= given.most):
                arguments = ["--child", sampler, str(trials), str(bracket_size)]
                done = subprocess.run([sys.executable, __file__, *arguments], check=True, stdout=subprocess.PIPE)
                found = json.loads(done.stdout)
                each_ms = 1e3 * found["wall_s"] / trials
                parts = [1e3 * spent / trials for spent in found["parts"].values()]
                worst, libraries_mb = max(worst, each_ms), found["libraries_mb"]
                progress(f"{sampler}, {trials:,}, brackets of {bracket_size}: {each_ms:.2f} ms")
                per_trial = [each_ms, 1e3 * found["cpu_s"] / trials, *parts, each_ms - sum(parts)]
                others = [found["start_s"], found["board_s"], found["command_s"], found["peak_mb"], found["written_mb"]]
                rows.append(
                    [f"{sampler}, {bracket_size}", f"{trials:,}", *(significant(v, 2) for v in [*per_trial, *others])]
                )
    header = ["sampler, bracket size", "trials", "wall [ms a trial]", "CPU [ms a trial]", *PARTS, "the rest"]
    header += ["start [s]", "board [s]", "`townsend board` [s]", "peak memory [MB]", "on disk [MB]"]
    verdict = (
        f"The largest is {worst:.1f} ms a trial, {'below' if worst < TARGET_MS else '**above**'} the {TARGET_MS:g} ms"
    )
    text = TEXT.format(epochs=EPOCHS, libraries=significant(libraries_mb, 2), verdict=f"{verdict} aimed at.")
    publish("overhead", [*description, "", *table(header, rows), "", text], given.results)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        child(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    else:
        main()
