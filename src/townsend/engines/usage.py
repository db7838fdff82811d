"""What jobs have used, measured by themselves, beside what they asked for.

What to use when
----------------
- `measure_usage`: of this process so far; a worker says it with each answer.
- `Usage`: one such measurement, or what the batch system says of a job.
- `reset_peak_memory`, `peak_memory_mb`: the highest memory of one piece of work among several of a process.
- `duration`: seconds as people say them.
"""

from __future__ import annotations

import os
import re
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Usage", "duration", "measure_usage", "peak_memory_mb", "reset_peak_memory"]

_STARTED = time.monotonic()  # this module is loaded before any work begins
_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK_ONLY = "5"
_MOST = 1e15  # what is said to be more, of whatever, is no measurement

_peaks_before_mb = [0.0]  # of what was measured before the last reset


@dataclass(frozen=True)
class Usage:
    """What a job has used; None where that is not known.

    Arguments:
        wall_s, cpu_s: seconds; of all its threads and ended children.
        memory_mb: highest resident memory of a process.
        disk_mb: of its scratch folder.
        host: machine.
    """

    wall_s: float | None = None
    cpu_s: float | None = None
    memory_mb: float | None = None
    disk_mb: float | None = None
    host: str = ""

    @property
    def cpus(self) -> float | None:
        """Return the processors kept busy, the mean over the wall time."""
        return self.cpu_s / self.wall_s if self.wall_s and self.cpu_s is not None else None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Usage:
        """Return the usage written by `to_json`; what is no number counts as not known."""
        numbers = {name: _number(value.get(name)) for name in ("wall_s", "cpu_s", "memory_mb", "disk_mb")}
        return Usage(**numbers, host=str(value.get("host", ""))[:255])


def measure_usage(scratch: Path | None = None) -> Usage:
    """Return what this process and its ended children have used since it began to load.

    Arguments:
        scratch: folder whose files count as disk; not known when None.
    """
    own, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return Usage(
        wall_s=round(time.monotonic() - _STARTED, 2),
        cpu_s=round(sum(one.ru_utime + one.ru_stime for one in (own, children)), 2),
        memory_mb=round(max(*_peaks_before_mb, peak_memory_mb(), _maxrss_mb(children)), 1),
        disk_mb=None if scratch is None else round(_size_mb(scratch), 1),
        host=os.uname().nodename,
    )


def reset_peak_memory() -> bool:
    """Start a new measurement; False where the system cannot, so that the peak is one of the process's whole life."""
    peak = peak_memory_mb()
    try:
        _CLEAR.write_text(_PEAK_ONLY, encoding="ascii")
    except OSError:
        return False
    _peaks_before_mb[0] = max(_peaks_before_mb[0], peak)
    return True


def peak_memory_mb() -> float:
    """Return the highest resident memory [MB] since the last reset, or of the process's whole life."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    return int(found[1]) * 1024 / 1e6 if found else _maxrss_mb(resource.getrusage(resource.RUSAGE_SELF))


def duration(seconds: float) -> str:
    """Return a time in the units that people would choose: "12.3 s", "14 min 22 s", "1 h 54 min"."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02d} min"


def _maxrss_mb(usage: resource.struct_rusage) -> float:
    return usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e6


def _size_mb(folder: Path) -> float:
    total = 0
    for root, _, names in os.walk(folder):
        for name in names:
            try:
                total += (Path(root) / name).lstat().st_blocks * 512
            except OSError:
                continue
    return total / 1e6


def _number(value: Any) -> float | None:
    plain = isinstance(value, int | float) and not isinstance(value, bool)
    return float(value) if plain and 0 <= value <= _MOST else None
