"""Programs of a batch system that say what a test lets them say; `tests/farms` has real ones."""

from __future__ import annotations

from pathlib import Path

__all__ = ["Programs"]

_SCRIPT = """\
#!/bin/sh
cd "${{0%/*}}"
for word; do printf '%s\\0' "$word"; done >> {name}.words
printf '\\n\\0' >> {name}.words
cat {name}.says{where}
exit {status}
"""


class Programs:
    """Programs in a folder of their own, which is on the PATH.

    Arguments:
        folder: for them, empty.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def put(self, name: str, says: str | bytes = "", *, status: int = 0) -> None:
        """Install a program, or let it say something else; one that fails says it on stderr."""
        (self.folder / f"{name}.says").write_bytes(says if isinstance(says, bytes) else says.encode())
        script = _SCRIPT.format(name=name, where=" >&2" if status else "", status=status)
        (self.folder / name).write_text(script)
        (self.folder / name).chmod(0o755)

    def calls(self, name: str) -> list[list[str]]:
        """Return the words of each call so far."""
        path = self.folder / f"{name}.words"
        calls = path.read_bytes().decode(errors="surrogateescape").split("\n\0") if path.exists() else []
        return [call.split("\0")[:-1] for call in calls[:-1]]
