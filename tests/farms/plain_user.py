"""Who batch systems run as in tests: whoever runs the tests, and never root, whose jobs they refuse.

Root becomes an ordinary user in a user namespace, in which root's own files are that user's; nothing outside changes.
"""

from __future__ import annotations

import functools
import os
import pwd
import subprocess

__all__ = ["as_plain_user", "plain_user"]


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
