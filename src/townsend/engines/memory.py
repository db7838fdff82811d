"""Whether the kernel has killed processes for want of memory."""

from __future__ import annotations

import re
from pathlib import Path

__all__ = ["memory_kills"]

_EVENTS = (
    Path("/sys/fs/cgroup/memory.events"),  # this container
    Path("/proc/vmstat"),  # the whole machine
)


def memory_kills() -> int:
    """Return how many processes the kernel has killed for want of memory so far, 0 where it does not say."""
    for path in _EVENTS:
        try:
            found = re.search(r"^oom_kill (\d+)$", path.read_text(encoding="ascii"), re.MULTILINE)
        except OSError:
            continue
        if found:
            return int(found.group(1))
    return 0
