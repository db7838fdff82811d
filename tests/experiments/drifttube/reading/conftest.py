"""Simulated waveforms that the tests write in the public layouts, and files of other programs made by hand."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, NoiseSettings, TrackSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms
from townsend.sample.waveforms import Waveforms

LENGTH = 40


@pytest.fixture(scope="session")
def simulated() -> Waveforms:
    """Sixty waveforms with truth, tracks all over the tube."""
    settings = DriftTubeSettings(
        seed=3, track=TrackSettings(impact="uniform"), noise=NoiseSettings(spectrum="white", rms_mV=0.5)
    )
    return simulate_waveforms(settings, 0, 60)


@pytest.fixture
def foreign(tmp_path: Path) -> Callable[..., Path]:
    """Write three good waveforms of the littlepi layout, or what changes make of them; a None leaves a branch out."""

    def written(name: str = "foreign.root", tree: str = "signal", **changes: Any) -> Path:
        columns: dict[str, Any] = {
            "wf_i": [np.sin(np.arange(LENGTH) + row).tolist() for row in range(3)],
            "time": [[5.0, 9.0, 20.0], [3.0, 8.0], [7.0, 30.0]],
            "tag": [[0, 1, 2], [0, 2], [0, 2]],
            "sampling_rate": np.ones(3),
        } | changes
        columns = {name: value for name, value in columns.items() if value is not None}
        kinds = {
            name: np.float64 if isinstance(value, np.ndarray) else "var * float64" for name, value in columns.items()
        }
        path = tmp_path / name
        with uproot.recreate(path) as file:
            file.mktree(tree, kinds).extend({name: _lists(value) for name, value in columns.items()})
        return path

    return written


def _lists(value: Any) -> Any:
    import awkward as ak

    return value if isinstance(value, np.ndarray) else ak.values_astype(ak.Array(value), np.float64)
