"""Who batch systems run as in tests: whoever runs the tests, and never root, whose jobs they refuse.

Root becomes an ordinary user in a user namespace, in which root's own files are that user's; nothing outside changes.
"""

from __future__ import annotations

import functools
import os
import pwd
import subprocess
from collections.abc import Mapping
from pathlib import Path

__all__ = ["as_plain_user", "output_of", "pids", "plain_user"]


@functools.cache
def plain_user() -> pwd.struct_passwd:
    """Return the user that daemons, commands and jobs run as."""
    if os.geteuid():
        return pwd.getpwuid(os.geteuid())
    users = pwd.getpwall()
    people = [user for user in users if 1000 <= user.pw_uid < 60000]
    return people[0] if people else next(user for user in users if user.pw_name == "daemon")


@functools.cache
def as_plain_user() -> tuple[str, ...]:
    """Return the words before a command that make it that user's; none for one who is not root.

    Raises OSError when root may not make user namespaces.
    """
    if os.geteuid():
        return ()
    user = plain_user()
    words = ("unshare", "--user", f"--map-user={user.pw_uid}", f"--map-group={user.pw_gid}", "--")
    subprocess.run([*words, "true"], check=True, capture_output=True)
    return words


def output_of(*command: str, environment: Mapping[str, str], check: bool = True) -> str:
    """Return what a command of that user prints.

    Raises RuntimeError when it fails, unless `check` is False.
    """
    done = subprocess.run(
        [*as_plain_user(), *command], env=dict(environment), capture_output=True, text=True, check=False, timeout=60
    )
    if check and done.returncode:
        msg = f"{command} ended with status {done.returncode}: {done.stdout} {done.stderr}"
        raise RuntimeError(msg)
    return done.stdout


def pids(variable: str, name: str) -> list[int]:
    """Return the numbers of processes with this "NAME=value" in their environment whose program begins with `name`."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            own = variable.encode() in (path / "environ").read_bytes().split(b"\0")
            if own and (path / "comm").read_text().startswith(name):
                found.append(int(path.name))
        except OSError:
            continue
    return found
