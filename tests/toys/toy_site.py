"""A folder that makes processes know a toy task, as an installed package would.

What to use when
----------------
- `write_site`: for environments that are put together by hand.
- `installed`: for a block, in this process and those that it starts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

__all__ = ["TOYS", "installed", "write_site"]

TOYS = Path(__file__).parent
_EARLY = 'import sys\nif "townsend.worker" in sys.orig_argv:\n    import {module}\n'


def write_site(folder: Path, task: str, module: str) -> str:
    """Write the site of a task of NumPy's; return what PYTHONPATH must hold.

    Workers load the module first of all, before they can load Keras: that takes longer than all that such a task does.
    """
    information = folder / f"townsend_{task}-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: townsend-{task}\nVersion: 0\n")
    (information / "entry_points.txt").write_text(f"[townsend.tasks]\n{task} = {module}:task\n")
    (folder / "sitecustomize.py").write_text(_EARLY.format(module=module))
    return os.pathsep.join([str(folder), str(TOYS)])


@contextmanager
def installed(folder: Path, task: str, module: str) -> Iterator[pytest.MonkeyPatch]:
    """Let processes started in the block, and this one, find a task; yield the patch of the environment."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", write_site(folder, task, module), prepend=os.pathsep)
        for place in (TOYS, folder):
            patch.syspath_prepend(str(place))
        yield patch
