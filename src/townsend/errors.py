"""The sentences a user may see when something cannot be done.

What to use when
----------------
- `InputError`: a file, folder or value given by the user cannot be used.
- `ConfigError`: a setting in a configuration breaks a rule; names the path and line.
- `BusyError`: another process owns the folder.

Every message states the rule, the value that breaks it and the remedy. The command line prints it
as one sentence and exits with status 2; a traceback always means a defect of townsend itself.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["BusyError", "ConfigError", "InputError", "TownsendError", "did_you_mean", "printable"]


class TownsendError(Exception):
    """A condition the user can mend; its text gives rule, value and remedy."""


class InputError(TownsendError):
    """A file, folder or value given by the user cannot be used."""


class ConfigError(TownsendError):
    """A setting breaks a rule of the configuration."""


class BusyError(TownsendError):
    """Another process is at work on the same folder."""


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Return '; did you mean "x"?' for the nearest known word, or the list of all when none is near."""
    names = sorted(known)
    near = get_close_matches(word, names, n=1, cutoff=0.5)
    if near:
        return f'; did you mean "{near[0]}"?'
    return f"; known: {', '.join(names)}" if names else ""


def printable(text: str) -> str:
    """Return text whose control characters are written as escapes, so that it cannot steer a terminal."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
