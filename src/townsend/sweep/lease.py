"""One coordinator a folder, also when the folder is on a disk that several machines share.

The lease is a file that its holder makes in one step (a hard link, which fails when the name is taken) and in which it
raises a counter every two seconds. A process of this machine is known by its number and start time; that of another
machine is watched for three beats, without comparing clocks. A lease whose holder is dead is replaced by renaming.
"""

from __future__ import annotations

import errno
import json
import logging
import os
import platform
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from townsend.errors import BusyError, InputError

__all__ = ["BEAT_S", "Holder", "Lease", "hold", "tidy_leases"]

log = logging.getLogger(__name__)

BEAT_S = 2.0
_WATCHED_BEATS = 3
_NAME = "coordinator.lease"
_WIDTH = 1024  # bytes; of fixed size, so that a beat is one small write in place
_SETTLE_S = 0.5
_ABANDONED_S = 60.0  # far more than the watching of another machine takes
_NO_LINKS = (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK)


@dataclass(frozen=True)
class Holder:
    """Who holds a lease.

    Arguments:
        host: name of the machine, for people.
        boot_id: identifies the running system (and its process numbers) whatever the machine's name.
        pid, started: process number and its start time in clock ticks after boot.
        uuid: of this lease.
        beat: raised every `BEAT_S` seconds.
    """

    host: str
    boot_id: str
    pid: int
    started: int
    uuid: str
    beat: int = 0

    def is_alive(self) -> bool | None:
        """Whether the process still runs; None when that cannot be seen from here."""
        if not self.boot_id or self.boot_id != _boot_id():
            return None
        started = _start_time(self.pid)
        return None if started is None else started == self.started


class Lease:
    """A lease in hand: it beats in a thread of its own until released."""

    def __init__(self, folder: Path, holder: Holder, descriptor: int) -> None:
        self._path = folder / _NAME
        self._holder = holder
        self._descriptor = descriptor
        self._stop = threading.Event()
        self._stolen = threading.Event()
        self._thread = threading.Thread(target=self._beat, name="lease", daemon=True)
        self._thread.start()

    def check(self) -> None:
        """Raise BusyError when another coordinator has taken the folder over."""
        if self._stolen.is_set():
            other = _read(self._path)
            who = f"process {other.pid} on {other.host}" if other else "somebody"
            msg = f"{self._path.parent} must have one coordinator ({who} took it over while this one was suspended)"
            raise BusyError(msg + "; let that one finish")

    def release(self) -> None:
        """Give the folder free."""
        self._stop.set()
        self._thread.join()
        os.close(self._descriptor)
        if self._is_ours():
            self._path.unlink(missing_ok=True)

    def _beat(self) -> None:
        beat = self._holder.beat
        while not self._stop.wait(BEAT_S):
            if not self._is_ours():
                self._stolen.set()
                return
            beat += 1
            try:
                # Into our own file, not by name: should it be renamed over meanwhile, the new one stays untouched.
                os.pwrite(self._descriptor, _encoded(replace(self._holder, beat=beat)), 0)
                os.fsync(self._descriptor)
            except OSError as error:
                log.warning("the lease %s could not be renewed (%s)", self._path, error)

    def _is_ours(self) -> bool:
        found = _read(self._path)
        return found is not None and found.uuid == self._holder.uuid


@contextmanager
def hold(folder: Path) -> Iterator[Lease]:
    """Hold the folder for the time of the block.

    Raises BusyError, naming host and process, when another coordinator is at work in it.
    """
    lease = _acquire(folder)
    try:
        yield lease
    finally:
        lease.release()


def tidy_leases(folder: Path) -> None:
    """Remove the private files of processes that were killed while they tried to get the lease; only for its holder.

    One of a living process stays: it is still trying. Where that cannot be seen from here, one stays that is younger
    than a minute before our own lease, by the clock of the disk.
    """
    try:
        latest = (folder / _NAME).stat().st_mtime - _ABANDONED_S
    except FileNotFoundError:  # taken over while we were suspended: the new holder tidies
        return
    for path in folder.glob(".coordinator.*.lease"):
        found = _read(path)
        alive = found.is_alive() if found else None
        if alive is False or (alive is None and _written_before(path, latest)):
            path.unlink(missing_ok=True)


def _written_before(path: Path, time_s: float) -> bool:
    try:
        return path.stat().st_mtime < time_s
    except FileNotFoundError:
        return False


def _acquire(folder: Path) -> Lease:
    path = folder / _NAME
    holder = Holder(platform.node(), _boot_id(), os.getpid(), _start_time(os.getpid()) or -1, uuid.uuid4().hex)
    private = folder / f".coordinator.{holder.uuid}.lease"
    descriptor = os.open(private, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        os.pwrite(descriptor, _encoded(holder), 0)
        os.fsync(descriptor)
        try:
            os.link(private, path)
        except FileExistsError:
            _take_over(path, private, holder)
        except OSError as error:
            if error.errno not in _NO_LINKS:
                raise
            msg = f"{folder} must be on a disk that knows hard links ({error.strerror}); choose a folder on another"
            raise InputError(msg) from None
    except BaseException:
        os.close(descriptor)
        raise
    finally:
        private.unlink(missing_ok=True)
    return Lease(folder, holder, descriptor)


def _take_over(path: Path, private: Path, holder: Holder) -> None:
    """Put our private file in the place of a dead holder's lease; raise BusyError when it is not dead."""
    found = _read(path)
    alive = found.is_alive() if found else None
    if alive or (alive is None and _beats(path, found)):
        raise _busy(path, _read(path))
    now = _read(path)
    if (now and now.uuid) != (found and found.uuid):
        raise _busy(path, now)
    private.replace(path)
    time.sleep(_SETTLE_S)  # two may have come this far: the one whose file stays has won
    now = _read(path)
    if now is None or now.uuid != holder.uuid:
        raise _busy(path, now)
    who = f"process {found.pid} on {found.host}" if found else "a damaged lease"
    log.info("took over %s from %s, which has ended", path.parent, who)


def _beats(path: Path, found: Holder | None) -> bool:
    """Watch a holder on another machine for three beats; whether it is alive."""
    deadline = time.monotonic() + _WATCHED_BEATS * BEAT_S
    while time.monotonic() < deadline:
        time.sleep(BEAT_S / 4)
        if _read(path) != found:
            return True
    return False


def _busy(path: Path, found: Holder | None) -> BusyError:
    who = f"process {found.pid} on {found.host}" if found else "another process"
    return BusyError(f"{path.parent} must have one coordinator ({who} is at work in it); wait for it or stop it there")


def _read(path: Path) -> Holder | None:
    """Return the holder, or None when there is no lease or it cannot be understood."""
    try:
        return Holder(**json.loads(path.read_bytes()))
    except (OSError, ValueError, TypeError):
        return None


def _encoded(holder: Holder) -> bytes:
    text = json.dumps(asdict(holder)).encode()
    if len(text) > _WIDTH:
        msg = f"the name of this machine must be shorter (got {len(holder.host)} letters)"
        raise InputError(msg)
    return text.ljust(_WIDTH)


def _boot_id() -> str:
    """Return what identifies this boot of this machine and, in a container, its own numbering of processes."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
        return f"{boot} {Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return ""


def _start_time(pid: int) -> int | None:
    """Return when a process started, in clock ticks after boot; -1 when it has ended, None when it is hidden."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        return -1 if fields[0] == "Z" else int(fields[19])
    except (OSError, IndexError, ValueError):
        return None if _exists(pid) else -1


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        return True
    return True
