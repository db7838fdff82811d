"""What a job asks of a batch system.

What to use when
----------------
- `Request`: processors, memory, disk and time of one job.
- `size_mb`, `Size`: a size as people write it, "5000MB" or "5GB".
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Any

from pydantic import AfterValidator

__all__ = ["Request", "Size", "size_mb"]

_UNITS_MB = {"MB": 1, "GB": 1000}
_SIZE = re.compile(r"([0-9]{1,7}(?:\.[0-9]{1,3})?) ?(MB|GB)")
_RULE = 'must be a number with MB or GB, such as "5000MB"'


@dataclass(frozen=True)
class Request:
    """What one job may use.

    Arguments:
        cpus: processors, >= 1; also the number of its threads.
        memory_mb, disk_mb: megabytes, > 0.
        max_hours: wall time after which it is stopped, > 0.
    """

    cpus: int
    memory_mb: int
    disk_mb: int
    max_hours: float

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return asdict(self)

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Request:
        """Return the request written by `to_json`.

        Raises TypeError or ValueError when it is none.
        """
        request = Request(**value)
        whole = (request.cpus, request.memory_mb, request.disk_mb)
        if not all(type(one) is int and one > 0 for one in whole) or not 0 < request.max_hours < math.inf:
            msg = f"a request must be made of numbers above 0 (got {value}); write it anew"
            raise ValueError(msg)
        return request


def size_mb(text: str) -> int:
    """Return megabytes (1 GB is 1000 MB).

    Raises ValueError when `text` is not a positive number with its unit.
    """
    found = _SIZE.fullmatch(text)
    if not found or not (size := round(float(found[1]) * _UNITS_MB[found[2]])):
        msg = f'a size {_RULE} (got "{text}")'
        raise ValueError(msg)
    return size


def _checked(text: str) -> str:
    try:
        size_mb(text)
    except ValueError:
        raise ValueError(_RULE) from None  # who reads settings adds the value
    return text


Size = Annotated[str, AfterValidator(_checked)]
