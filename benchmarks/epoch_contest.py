"""What lstm_epoch.py and cnn_epoch.py share: contestants that train the same network, each in a process of its own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Any

from measure import in_turns, machine, progress, publish, ratios, significant, spread, table

OURS = "townsend, 1 thread"
JAX_FIT = "Keras `fit` on JAX, 1 thread"
TENSORFLOW_1 = "Keras `fit` on TensorFlow, 1 thread"
TENSORFLOW = "Keras `fit` on TensorFlow, its own threads"
INSTALL = """\
Keras on TensorFlow was left out: TensorFlow is not installed here. Install it with
`pip install 'townsend[tensorflow]'`, or beside townsend with
`python3 -m venv tfenv && tfenv/bin/pip install tensorflow-cpu keras numpy`, and give
`--tensorflow-python tfenv/bin/python`."""


class Contestant:
    """A process that trains one epoch a turn; the others sleep meanwhile."""

    def __init__(self, python: str, program: str, environment: Mapping[str, str], family: str, size: str, options: Any):
        worker = str(Path(__file__).with_name("epoch_worker.py"))
        command = [python, worker, program, family, size, str(options.examples), str(options.batch)]
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody empties would fill up
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=dict(environment),
        )
        self.facts = self._hear()
        first = self._turn()
        self.first_s = float(first["wall_s"]) + float(self.facts["compile_s"] or 0.0)
        self.cpu_s: list[float] = []
        self._turn()  # a warm one, kept out

    def epoch(self) -> float:
        told = self._turn()
        self.cpu_s.append(float(told["cpu_s"]))
        return float(told["wall_s"])

    def compile_s(self, epochs: list[float]) -> float:
        """Said by townsend; what the first epoch took longer than the others in Keras."""
        told = self.facts["compile_s"]
        return max(self.first_s - statistics.median(epochs), 0.0) if told is None else float(told)

    def close(self) -> None:
        self._stdin.close()
        self._process.wait(60)
        self._errors.close()

    @property
    def _stdin(self) -> IO[str]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _turn(self) -> dict[str, Any]:
        self._stdin.write("go\n")
        self._stdin.flush()
        return self._hear()

    def _hear(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            self._errors.seek(0)
            sys.exit(f"{self._process.args} ended:\n{self._errors.read()}")
        told: dict[str, Any] = json.loads(line)
        return told


def contestants(tensorflow_python: str | None) -> dict[str, tuple[str, str, dict[str, str]]]:
    """Name -> interpreter, program and environment."""
    from townsend.engines.local import worker_environment

    single = worker_environment()
    plain = {
        name: value for name, value in os.environ.items() if not name.endswith("_NUM_THREADS") and name != "XLA_FLAGS"
    }
    quiet = {"TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow", "CUDA_VISIBLE_DEVICES": ""}
    jax = {"KERAS_BACKEND": "jax", "JAX_PLATFORMS": "cpu"}
    found = {
        OURS: (sys.executable, "townsend", {**single, **jax}),
        JAX_FIT: (sys.executable, "fit", {**single, **jax}),
    }
    if tensorflow_python:
        found[TENSORFLOW_1] = (tensorflow_python, "fit", {**single, **quiet})
        found[TENSORFLOW] = (tensorflow_python, "fit", {**plain, **quiet})
    return found


def measure(
    family: str, text: str, options: Any, tensorflow_python: str | None
) -> tuple[list[list[str]], list[str], set[str]]:
    """Return the rows of the table, sentences and versions for one size of a network."""
    progress(f"{family} {text}")
    running = {name: Contestant(*how, family, text, options) for name, how in contestants(tensorflow_python).items()}
    try:
        parameters = {int(one.facts["parameters"]) for one in running.values()}
        if len(parameters) != 1:
            sys.exit(f"contestants must train the same network (got {parameters} parameters)")
        walls = in_turns({name: one.epoch for name, one in running.items()}, options.repeats)
    finally:
        for one in running.values():
            one.close()
    size = f"{'/'.join(text.split()[:2])} ({parameters.pop():,})"
    rows = []
    for name, one in running.items():
        ratio = "" if name == OURS else spread(ratios(walls[name], walls[OURS]), 2)
        busy = statistics.median(one.cpu_s) / statistics.median(walls[name])
        rows.append([size, name, spread(walls[name]), ratio, f"{busy:.1f}", significant(one.compile_s(walls[name]), 2)])
    notes = [note for name in running if name != OURS and (note := verdict(size, name, running, walls))]
    return rows, notes, {f"{n} {v}" for one in running.values() for n, v in one.facts["versions"].items()}


def verdict(size: str, name: str, running: Mapping[str, Contestant], walls: Mapping[str, list[float]]) -> str:
    """Say where townsend loses: in the epoch itself, or for short trainings, because of its compilation."""
    ours, theirs = statistics.median(walls[OURS]), statistics.median(walls[name])
    our_compile, their_compile = running[OURS].compile_s(walls[OURS]), running[name].compile_s(walls[name])
    if ours >= theirs:
        found = ratios(walls[OURS], walls[name])
        said = "is faster" if min(found) > 1 else "is not slower, within the spread"
        return f"- **{size}: {name} {said}**: an epoch of townsend takes {spread(found, 2)} times as long."
    if our_compile <= their_compile:
        return ""
    even = (our_compile - their_compile) / (theirs - ours)
    short = f"fewer than {significant(even, 2)} epochs"
    return f"- {size}: {name} is ahead in trainings of {short}, because it compiles faster."


def contest(name: str, family: str, sizes: Sequence[str], header: str, conditions: str, options: Any) -> None:
    """Let the contestants train each size of a family's networks, and publish the table.

    Arguments:
        name: of the result and of its section in the README.
        sizes: the hyperparameter that decides the layers.
        header: of the first column.
        conditions: sentences below the table.
        options: repeats, examples, batch, tensorflow_python, results.
    """
    description = machine(("townsend", "jaxlib", "numpy"))
    python = options.tensorflow_python or (sys.executable if find_spec("tensorflow") else None)
    rows, notes, versions = [], [], set()
    for size in sizes:
        more_rows, more_notes, more_versions = measure(family, size, options, python)
        rows, notes, versions = rows + more_rows, notes + more_notes, versions | more_versions
    lines = [
        *description,
        f"In the contestants' processes: {', '.join(sorted(versions))}.",
        "",
        *table([header, "program", "epoch [s]", "of townsend", "cores used", "compiling [s]"], rows),
        "",
        conditions.format(examples=options.examples, batch=options.batch, repeats=options.repeats),
        "",
        "Where townsend loses:",
        "",
        *(notes or ["- in none of these rows."]),
        *([] if python else ["", INSTALL]),
    ]
    publish(name, lines, options.results)
