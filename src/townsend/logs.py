"""Seeing what townsend does: one call sets up its log.

What to use when
----------------
- `set_logging()` in a notebook or script, once: townsend reports its steps on standard error.
- `set_logging("DEBUG")` to see more, `set_logging("WARNING")` to see less.

Without it townsend follows Python's default and shows warnings only. Other libraries' logs are left alone.
"""

from __future__ import annotations

import logging
import sys

from townsend.errors import InputError, did_you_mean

__all__ = ["set_logging"]

_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")


class _StandardError(logging.Handler):
    """Writes to whatever `sys.stderr` is at the time, so that progress bars and notebooks can catch it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line."""
        sys.stderr.write(self.format(record) + "\n")


def set_logging(level: str = "INFO") -> None:
    """Show townsend's log messages of `level` and above on standard error; may be called again to change it.

    Arguments:
        level: DEBUG, INFO, WARNING or ERROR, in any case.

    Raises InputError on any other level.
    """
    name = level.upper()
    if name not in _LEVELS:
        msg = f'level must be one of {", ".join(_LEVELS)} (got "{level}"){did_you_mean(name, _LEVELS)}'
        raise InputError(msg)
    logger = logging.getLogger("townsend")
    if not any(isinstance(handler, _StandardError) for handler in logger.handlers):
        handler = _StandardError()
        handler.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))
        logger.addHandler(handler)
        logger.propagate = False
    logger.setLevel(name)
