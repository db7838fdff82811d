"""The wish that training stops soon, which a batch system sends before it takes a machine away.

What to use when
----------------
- `request_stop`: whoever hears that the process must end, such as a signal handler.
- `stop_requested`: whoever trains, between two epochs or two fits.
- `Interrupted`: ends a bracket at work once all it holds is on disk; the same call goes on from there.
- `forget_stop`: takes the wish back.

A wish holds for the whole process: it is about the process that work must end.
"""

from __future__ import annotations

__all__ = ["Interrupted", "forget_stop", "request_stop", "stop_requested"]


class Interrupted(Exception):
    """Work has ended before its time because a stop was requested; nothing of it is lost."""


class _Wish:
    # Plain, and no threading.Event: a handler may run while the same thread holds the lock that an Event takes.
    requested = False


def request_stop() -> None:
    """Ask all training of this process to rest after its epoch; may be called in a signal handler, and again."""
    _Wish.requested = True


def stop_requested() -> bool:
    """Return whether training should rest now."""
    return _Wish.requested


def forget_stop() -> None:
    """Take the request back, so that the process may train again."""
    _Wish.requested = False
