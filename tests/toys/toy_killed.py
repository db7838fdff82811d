"""A task whose networks NumPy trains in no time, in processes that are killed at the writes the environment names.

`TOWNSEND_TEST_KILLS` names a folder. Every epoch trained is a line of `trained` in it, every write one of `writes`. Its
file `kills` is a list of JSON lines {role, count, moment, victim}: the process of that role ("coordinator" or "worker")
dies, or kills its parent, at its count-th write; `moment` is "torn" (half of the file is written), "whole" (not yet
renamed) or "renamed". With `TOWNSEND_TEST_TRAINER=keras` the networks are those of Keras, which note no epochs.
"""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

from numpy_trainer import in_a_worker, train_with_numpy
from toy_task import BumpTask

from townsend import files
from townsend.training import bracket


class KilledTask(BumpTask):
    name = "killed"


def _note(name: str, line: str) -> None:
    with (Path(os.environ["TOWNSEND_TEST_KILLS"]) / name).open("a") as stream:
        stream.write(line + "\n")


def _install() -> None:
    """Take the place of Keras, unless it is wanted, and look at every write of this process."""
    role = "worker" if in_a_worker() else "coordinator"
    flush, written = files._flush_to_disk, 0

    def flush_or_die(path: Path) -> None:
        nonlocal written
        flush(path)
        written += 1
        _note("writes", f"{role} {path.parent.name}")
        plan = Path(os.environ["TOWNSEND_TEST_KILLS"]) / "kills"
        lines = plan.read_text().splitlines() if plan.exists() else []
        kill = json.loads(lines[0]) if lines else {}
        if (kill.get("role"), kill.get("count")) != (role, written):
            return
        plan.write_text("".join(line + "\n" for line in lines[1:]))
        _note("killed", f"{kill} at {path}")
        if kill["moment"] == "torn":
            os.truncate(path, path.stat().st_size // 2)
        if kill["moment"] == "renamed":
            stem = path.stem.removeprefix(".").rpartition(".")[0]
            path.replace(path.with_name(stem + path.suffix))
        if kill["victim"] == "parent":
            os.kill(os.getppid(), signal.SIGKILL)
        os.kill(os.getpid(), signal.SIGKILL)

    files._flush_to_disk = flush_or_die
    if os.environ.get("TOWNSEND_TEST_TRAINER") != "keras":
        train_with_numpy(lambda fit, epoch, facts: _note("trained", f"{fit.label} {epoch}"))
    bracket._HOLD_S = 0.0  # every step is a write, at which a process can be killed


task = KilledTask()
if "TOWNSEND_TEST_KILLS" in os.environ:
    _install()
