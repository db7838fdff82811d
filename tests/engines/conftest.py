"""What the tests of engines share."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parent))  # for modules that tests share

from farm_programs import Programs
from scripted_farm import ScriptedFarm, without_waiting


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[ScriptedFarm]:
    """A batch system of which the test decides everything, a run's folder, and nobody who waits for a disk."""
    with without_waiting():
        yield ScriptedFarm(tmp_path / "run")


@pytest.fixture
def programs(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """Programs on the PATH, before all others; `tests/farms` has real ones."""
    made = Programs(tmp_path_factory.mktemp("programs"))
    monkeypatch.setenv("PATH", str(made.folder), prepend=os.pathsep)
    return made
