"""One coordinator a folder: on this machine, on another one, after a death, in a race."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from townsend.errors import BusyError
from townsend.sweep import lease as room
from townsend.sweep.lease import hold, tidy_leases

HOLD = """
import sys, time
from pathlib import Path
from townsend.sweep.lease import hold
with hold(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def fast(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "BEAT_S", 0.1)
    monkeypatch.setattr(room, "_SETTLE_S", 0.2)


def content(folder: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "coordinator.lease").read_text())
    return found


def foreign(folder: Path, **changes: Any) -> Callable[[int], None]:
    """Write the lease of a coordinator elsewhere; the function returned lets it beat."""
    value = {"host": "farm-17", "boot_id": "another", "pid": 4711, "started": 99, "uuid": "u1", **changes}

    def beat(number: int) -> None:
        (folder / "coordinator.lease").write_text(json.dumps({**value, "beat": number}))

    beat(0)
    return beat


def test_lease_is_there_while_held_and_gone_afterwards(tmp_path: Path) -> None:
    with hold(tmp_path) as lease:
        assert content(tmp_path)["pid"] == os.getpid()
        assert [path.name for path in tmp_path.iterdir()] == ["coordinator.lease"]
        lease.check()
    assert list(tmp_path.iterdir()) == []


def test_lease_beats(tmp_path: Path) -> None:
    with hold(tmp_path):
        first = content(tmp_path)["beat"]
        time.sleep(0.5)
        assert content(tmp_path)["beat"] >= first + 2


def test_living_process_of_this_machine_is_respected(tmp_path: Path) -> None:
    with hold(tmp_path):
        with pytest.raises(BusyError, match=rf"process {os.getpid()} on .* wait for it or stop it"):
            hold(tmp_path).__enter__()
        assert [path.name for path in tmp_path.iterdir()] == ["coordinator.lease"]


def test_killed_process_of_this_machine_is_replaced_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(room, "_beats", lambda *arguments: pytest.fail("it needs no watching"))
    holder = subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=f"process {holder.pid} on"):
            hold(tmp_path).__enter__()
        holder.kill()
        holder.wait()
    with hold(tmp_path):
        assert content(tmp_path)["pid"] == os.getpid()


def test_process_number_used_again_by_another_process_is_not_the_holder(tmp_path: Path) -> None:
    foreign(tmp_path, boot_id=room._boot_id(), pid=os.getpid(), started=1)
    with hold(tmp_path):
        assert content(tmp_path)["uuid"] != "u1"


def test_beating_lease_of_another_machine_is_respected(tmp_path: Path) -> None:
    beat = foreign(tmp_path)
    done = threading.Event()

    def live() -> None:
        number = 0
        while not done.wait(0.05):
            number += 1
            beat(number)

    other = threading.Thread(target=live)
    other.start()
    try:
        with pytest.raises(BusyError, match="process 4711 on farm-17"):
            hold(tmp_path).__enter__()
    finally:
        done.set()
        other.join()
    assert content(tmp_path)["uuid"] == "u1"


@pytest.mark.parametrize("text", [None, "", "{", '{"host": 1}'])
def test_silent_or_damaged_lease_of_another_machine_is_taken_over(tmp_path: Path, text: str | None) -> None:
    foreign(tmp_path)
    if text is not None:
        (tmp_path / "coordinator.lease").write_text(text)
    began = time.monotonic()
    with hold(tmp_path) as lease:
        assert time.monotonic() - began >= 0.3
        lease.check()
        assert content(tmp_path)["pid"] == os.getpid()


def test_coordinator_whose_lease_was_taken_over_notices_and_leaves_the_new_one_alone(tmp_path: Path) -> None:
    with hold(tmp_path) as lease:
        new = tmp_path / "new"
        new.mkdir()
        beat = foreign(new)
        (new / "coordinator.lease").replace(tmp_path / "coordinator.lease")
        time.sleep(0.4)
        with pytest.raises(BusyError, match="process 4711 on farm-17 took it over"):
            lease.check()
        del beat
    assert content(tmp_path)["uuid"] == "u1"
    assert content(tmp_path)["beat"] == 0


@pytest.mark.parametrize("stale", [False, True])
def test_one_of_many_wins(tmp_path: Path, stale: bool) -> None:
    if stale:
        foreign(tmp_path, boot_id=room._boot_id(), pid=2**22 + 1)
    winners: list[ExitStack] = []
    losers: list[BusyError] = []
    start = threading.Barrier(6)

    def race() -> None:
        stack = ExitStack()
        start.wait()
        try:
            stack.enter_context(hold(tmp_path))
        except BusyError as error:
            losers.append(error)
        else:
            winners.append(stack)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(winners), len(losers)) == (1, 5)
    winners[0].close()
    assert list(tmp_path.iterdir()) == []


def private(folder: Path, name: str, older_s: float = 0.0, **holder: Any) -> None:
    """Leave the private file of an attempt to get the lease, `older_s` seconds older than the lease itself."""
    path = folder / f".coordinator.{name}.lease"
    path.write_text(json.dumps({"host": "h", "pid": os.getpid(), "started": 1, "uuid": name, **holder}))
    written = (folder / "coordinator.lease").stat().st_mtime - older_s
    os.utime(path, (written, written))


def test_private_files_of_the_dead_and_the_old_are_removed_by_the_holder(tmp_path: Path) -> None:
    here, started = room._boot_id(), room._start_time(os.getpid())
    with hold(tmp_path):
        private(tmp_path, "dead", boot_id=here)  # our number, but another start
        private(tmp_path, "living", older_s=100, boot_id=here, started=started)
        private(tmp_path, "elsewhere-young", older_s=50, boot_id="another")
        private(tmp_path, "elsewhere-old", older_s=70, boot_id="another")
        private(tmp_path, "torn-young", older_s=50, other=1)
        private(tmp_path, "torn-old", older_s=70, other=1)
        tidy_leases(tmp_path)
        left = {path.name for path in tmp_path.iterdir()}
    names = ("living", "elsewhere-young", "torn-young")
    assert left == {"coordinator.lease", *(f".coordinator.{name}.lease" for name in names)}


def test_nothing_is_removed_without_a_lease(tmp_path: Path) -> None:
    with hold(tmp_path):
        private(tmp_path, "dead", boot_id=room._boot_id())
    tidy_leases(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".coordinator.dead.lease"]
