"""A finder and a clusteriser made by hand, whose networks do what one expects, and the Reconstruction of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from engine_here import open_engine_here
from hand_made import CALIBRATION_SEED, write_clusteriser, write_finder, write_model

from townsend.config import parse
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube


def work_here(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("townsend.experiments.drifttube.reconstruction.run.open_engine", open_engine_here)


@pytest.fixture
def reconstruct_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `assemble` and `reconstruct` work in this process."""
    work_here(monkeypatch)


@pytest.fixture(scope="session")
def models() -> Any:
    """Makers of models by hand: `finder(folder, **facts)`, `clusteriser(folder, finder, **facts)`, `write(...)`."""

    class Models:
        finder = staticmethod(write_finder)
        clusteriser = staticmethod(write_clusteriser)
        write = staticmethod(write_model)

    return Models


@pytest.fixture(scope="session")
def simulated() -> Callable[..., Path]:
    """Simulate tracks all over the tube: (folder, waveforms, seed, settings of the digitiser)."""

    def simulate(folder: Path, waveforms: int, seed: int, **digitizer: Any) -> Path:
        given = {"seed": seed, "track": {"impact": "uniform"}, "digitizer": digitizer}
        return simulate_drifttube(waveforms, folder, parse(DriftTubeSettings, given))

    return simulate


@pytest.fixture(scope="session")
def finder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finder; not to be changed."""
    return write_finder(tmp_path_factory.mktemp("parts") / "finder")


@pytest.fixture(scope="session")
def clusteriser(finder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clusteriser behind `finder`; not to be changed."""
    return write_clusteriser(tmp_path_factory.mktemp("parts") / "clusteriser", finder)


@pytest.fixture(scope="session")
def calibration_sample(simulated: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred tracks; not to be changed."""
    return simulated(tmp_path_factory.mktemp("calibration") / "mc", 200, CALIBRATION_SEED)


@pytest.fixture(scope="session")
def reco(finder: Path, clusteriser: Path, calibration_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Reconstruction of both; not to be changed."""
    from townsend.experiments.drifttube.reconstruction.assemble import assemble

    with pytest.MonkeyPatch.context() as patch:
        work_here(patch)
        return assemble(finder, clusteriser, calibration_sample, tmp_path_factory.mktemp("reco") / "reco")
