"""What tests share: where the reference files and the real data are, and one way to run for everybody."""

from __future__ import annotations

import os
from pathlib import Path

# Before anything imports Keras, JAX or matplotlib: tests mean the same whatever the user has set.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"

import pytest
from hypothesis import settings

settings.register_profile("townsend", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("townsend")


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference files; `PROVENANCE.md` in it says what they are."""
    return Path(__file__).parent / "data"


@pytest.fixture(scope="session")
def real_traces() -> Path:
    """Oscilloscope traces of real drift tubes, outside the repository."""
    folder = os.environ.get("TOWNSEND_DATA")
    if not folder:
        pytest.skip("real data: set TOWNSEND_DATA to the folder that holds drift_tube_traces.npz")
    path = Path(folder) / "drift_tube_traces.npz"
    if not path.is_file():
        pytest.skip(f"real data: no drift_tube_traces.npz in TOWNSEND_DATA={folder}")
    return path


@pytest.fixture
def bump_sample(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Sample of the task `bump` (`toys/toy_task.py`), which is installed for this test and the processes it starts."""
    information = tmp_path / "site" / "townsend_toys-0.dist-info"
    information.mkdir(parents=True)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: townsend-toys\nVersion: 0\n")
    (information / "entry_points.txt").write_text("[townsend.tasks]\nbump = toy_task:task\n")
    for folder in (Path(__file__).parent / "toys", information.parent):
        monkeypatch.syspath_prepend(str(folder))
        monkeypatch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
    sample = tmp_path / "sample"
    sample.mkdir()
    (sample / "bump.json").write_text('{"height": 3.0}')
    return sample
