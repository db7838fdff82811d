"""Simulate a detector, sweep neural networks, choose the best one honestly and apply it to data.

What to use when
----------------
- In a terminal: `townsend --help`.
- In Python: `from townsend.api import simulate_drifttube, sweep, board, choose, find_peaks`, one function a command.
- To see what the functions are doing: `townsend.set_logging()`.

The functions live in `townsend.api` because `townsend.sweep` is the room in which sweeping is done.
Importing townsend loads no numerical library.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townsend import api
    from townsend.logs import set_logging

    __version__: str

__all__ = ["__version__", "api", "set_logging"]


def __getattr__(name: str) -> object:
    """Load the parts of the public face when they are first asked for (PEP 562)."""
    if name == "__version__":
        from importlib.metadata import version

        return version("townsend")
    if name == "api":
        from importlib import import_module

        return import_module("townsend.api")
    if name == "set_logging":
        from townsend.logs import set_logging

        return set_logging
    msg = f"module 'townsend' has no attribute '{name}'"
    raise AttributeError(msg)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
