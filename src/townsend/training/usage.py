"""What a training has cost: the highest memory of the process."""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

__all__ = ["peak_memory_mb", "reset_peak_memory"]

_STATUS = Path("/proc/self/status")
_CLEAR = Path("/proc/self/clear_refs")
_PEAK_ONLY = "5"


def reset_peak_memory() -> bool:
    """Start a new measurement; False where the system cannot, so that the peak is one of the process's whole life."""
    try:
        _CLEAR.write_text(_PEAK_ONLY, encoding="ascii")
    except OSError:
        return False
    return True


def peak_memory_mb() -> float:
    """Return the highest resident memory [MB] since the last reset, or of the process's whole life."""
    try:
        found = re.search(r"^VmHWM:\s+(\d+) kB", _STATUS.read_text(encoding="ascii"), re.MULTILINE)
    except OSError:
        found = None
    if found:
        return int(found.group(1)) * 1024 / 1e6
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / 1e6
