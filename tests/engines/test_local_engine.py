"""Worker processes: what they answer, where they log, and that none outlives its engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from townsend.engines import local, memory
from townsend.engines.base import Message, News, WorkUnit
from townsend.engines.local import LocalEngine, usable_cores, worker_environment
from townsend.engines.memory import memory_kills
from townsend.errors import InputError


def unit(name: str, folder: Path, function: str = "train_bracket", **arguments: Any) -> WorkUnit:
    return WorkUnit(name, function, arguments, folder)


def final_news(engine: LocalEngine) -> dict[str, Message]:
    found: dict[str, Message] = {}
    while engine.outstanding:
        found.update({message.unit: message for message in engine.poll(10) if message.news.final})
    return found


def test_unit_survives_json_and_a_torn_one_is_refused(tmp_path: Path) -> None:
    whole = unit("a", tmp_path, x=1)
    assert WorkUnit.from_json(json.loads(json.dumps(whole.to_json()))) == whole
    with pytest.raises(InputError, match="name, function, arguments, folder, inputs and outputs"):
        WorkUnit.from_json({"name": "a"})


def test_answers_tell_the_users_faults_from_our_own(tmp_path: Path) -> None:
    with LocalEngine(2, tmp_path / "logs") as engine:
        engine.submit(unit("unknown", tmp_path, function="train_brackets"))
        engine.submit(unit("torn", tmp_path))
        engine.submit(unit("more units than processes", tmp_path, function=""))
        found = final_news(engine)
    assert found["unknown"].news is News.REFUSED
    assert 'got "train_brackets"); did you mean "train_bracket"' in found["unknown"].detail
    assert found["torn"].news is News.FAILED
    assert found["torn"].detail.startswith("KeyError")
    assert found["more units than processes"].news is News.REFUSED
    logs = "".join(path.read_text() for path in (tmp_path / "logs").iterdir())
    assert "Traceback" in logs
    assert "KeyError" in logs


def test_file_in_the_current_folder_does_not_replace_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "json.py").write_text("raise SystemExit('wrong json')")
    monkeypatch.chdir(tmp_path)
    with LocalEngine(1, tmp_path / "logs") as engine:
        engine.submit(unit("a", tmp_path, function="none"))
        assert final_news(engine)["a"].news is News.REFUSED


def test_process_that_cannot_live_is_tried_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local.sys, "executable", "/bin/false")
    with LocalEngine(1, tmp_path / "logs") as engine:
        engine.submit(unit("a", tmp_path))
        message = final_news(engine)["a"]
    assert (message.news, message.detail) == (News.LOST, "the process died twice (exit status 1)")


DIES_IN_EACH_FIT = """#!/bin/sh
read unit
echo >> {count}
case $(wc -l < {count}) in
1) kill -9 $$ ;;
2) {progress}; kill -9 $$ ;;
3) {third} ;;
esac
read end
"""


@pytest.mark.parametrize(
    ("third", "news"), [("{progress}; {done}", News.DONE), ("kill -9 $$", News.LOST)], ids=["once each", "twice"]
)
def test_deaths_are_counted_for_each_fit_of_a_unit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, third: str, news: News
) -> None:
    says = {name: f"""echo '{{"news": "{name}", "detail": "", "body": {{}}}}'""" for name in ("progress", "done")}
    worker = tmp_path / "worker"
    worker.write_text(DIES_IN_EACH_FIT.format(count=tmp_path / "count", third=third.format(**says), **says))
    worker.chmod(0o755)
    monkeypatch.setattr(local.sys, "executable", str(worker))
    messages: list[Message] = []
    with LocalEngine(1, tmp_path / "logs") as engine:
        engine.submit(unit("two fits", tmp_path))
        while engine.outstanding:
            messages += engine.poll(10)
    fits = 2 if news is News.DONE else 1
    assert [message.news for message in messages] == [News.PROGRESS] * fits + [news]


@pytest.mark.parametrize(("kills", "news"), [([4, 4, 5], News.OUT_OF_MEMORY), ([4, 4, 4], News.LOST)])
def test_kill_counts_as_of_memory_only_when_the_kernel_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: list[int], news: News
) -> None:
    suicide = tmp_path / "suicide"
    suicide.write_text("#!/bin/sh\nkill -9 $$\n")
    suicide.chmod(0o755)
    counted = iter(kills)
    monkeypatch.setattr(local.sys, "executable", str(suicide))
    monkeypatch.setattr(local, "memory_kills", lambda: next(counted))
    with LocalEngine(1, tmp_path / "logs") as engine:
        engine.submit(unit("a", tmp_path))
        message = final_news(engine)["a"]
    assert (message.news, message.detail) == (news, "the process died twice (SIGKILL)")


def test_kernel_counter_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events = tmp_path / "memory.events"
    events.write_text("low 0\noom 9\noom_kill 7\n")
    monkeypatch.setattr(memory, "_EVENTS", (tmp_path / "none", events))
    assert memory_kills() == 7
    monkeypatch.setattr(memory, "_EVENTS", (tmp_path / "none",))
    assert memory_kills() == 0


def test_environment_is_single_threaded_and_respects_a_chosen_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=x")
    monkeypatch.delenv("KERAS_BACKEND")
    found = worker_environment()
    assert found["XLA_FLAGS"] == "--xla_dump_to=x --xla_cpu_multi_thread_eigen=false"
    assert (found["NPROC"], found["OMP_NUM_THREADS"], found["KERAS_BACKEND"]) == ("1", "1", "jax")
    assert "KERAS_BACKEND" not in os.environ
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    assert worker_environment()["KERAS_BACKEND"] == "torch"


def test_jobs_below_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"jobs must be at least 1 \(got 0\)"):
        LocalEngine(0, tmp_path)
    assert usable_cores() >= 1


COORDINATOR = """
import sys
from pathlib import Path
from townsend.engines.base import WorkUnit
from townsend.engines.local import LocalEngine
engine = LocalEngine(1, Path(sys.argv[1]))
engine.submit(WorkUnit("wait", "train_bracket", {}, Path(sys.argv[1])))
engine.poll(0)
print(next(iter(engine._workers.values())).process.pid, flush=True)
sys.stdin.read()
"""


def test_worker_dies_with_its_coordinator(tmp_path: Path) -> None:
    coordinator = subprocess.Popen(
        [sys.executable, "-c", COORDINATOR, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with coordinator:
        assert coordinator.stdout is not None
        worker = Path("/proc") / coordinator.stdout.readline().strip()
        assert wait_for(lambda: "townsend.worker" in (worker / "cmdline").read_text())
        coordinator.send_signal(signal.SIGKILL)
        coordinator.wait()
        assert wait_for(lambda: not is_alive(worker))


def is_alive(process: Path) -> bool:
    try:
        return "\nState:\tZ" not in (process / "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return False


def wait_for(condition: Callable[[], bool]) -> bool:
    """Whether `condition` becomes true within ten seconds."""
    for _ in range(100):
        if condition():
            return True
        time.sleep(0.1)
    return False
