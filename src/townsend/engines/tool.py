"""The batch system's own programs, run without a shell.

What to use when
----------------
- `run_tool`: its output, or one sentence on why there is none.
"""

from __future__ import annotations

import logging
import subprocess
from collections.abc import Sequence
from pathlib import Path

from townsend.errors import InputError

__all__ = ["run_tool"]

log = logging.getLogger(__name__)

_WAIT_S = 120


def run_tool(words: Sequence[str], folder: Path | None = None) -> str:
    """Return what a program prints.

    Arguments:
        words: program and arguments.
        folder: where it runs.

    Raises InputError when it is not installed, does not answer or fails; its own words are in the sentence.
    """
    try:
        done = subprocess.run(
            words, cwd=folder, capture_output=True, text=True, errors="replace", check=False, timeout=_WAIT_S
        )
    except FileNotFoundError:
        msg = f"{words[0]} must be on the PATH; say this where jobs are submitted, or choose --engine local"
        raise InputError(msg) from None
    except subprocess.TimeoutExpired:
        msg = f"{words[0]} must answer (nothing for {_WAIT_S} s); try again when the batch system does"
        raise InputError(msg) from None
    if done.returncode:
        said = " ".join((done.stderr or done.stdout).split())[-500:]
        msg = f"{words[0]} must succeed (status {done.returncode}, it said: {said}); mend that and repeat the command"
        raise InputError(msg)
    log.debug("%s: %s", words[0], done.stdout[:500])
    return done.stdout
