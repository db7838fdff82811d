"""A finder and a clusteriser made by hand, whose networks do what one expects, and the Reconstruction of both."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.config import parse, resolved
from townsend.engines.base import Message, News, WorkUnit
from townsend.errors import TownsendError
from townsend.experiments.drifttube.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulate import longest_drift_ns, simulate_drifttube
from townsend.experiments.drifttube.task_settings import PeakFacts
from townsend.files import sha256_of, write_sealed, write_text

FINDER_SEED, CLUSTERISER_SEED, CALIBRATION_SEED = 101, 102, 103
THRESHOLD = 0.5


def write_model(folder: Path, network: Any, task: str, facts: Any, threshold: float | None) -> Path:
    """Write what `townsend choose` would leave of a network, as far as others read it."""
    folder.mkdir(parents=True)
    network.save(folder / "model.keras")
    write_text(folder / "README.md", "# A model for tests\n")
    card = {
        "made_by": "townsend choose",
        "card_version": 1,
        "task": task,
        "task_settings": {},
        "network": "by hand",
        "parameters": network.count_params(),
        "input_shape": list(network.input_shape[1:]),
        "facts": resolved(facts),
        "threshold": threshold,
        "verdicts": [{"ok": True, "sentence": "made by hand"}],
        "sweep": {"fingerprint": "0" * 16, "settings": {"seed": 1}},
        "sample": f"sample of {task}",
    }
    write_sealed(folder / "card.json", card)
    return folder


def write_finder(folder: Path, **changes: Any) -> Path:
    """A finder that takes a candidate which stands 1.5 mV above its window's mean: any pulse, hardly any noise."""
    from townsend.networks.backend import any_keras

    keras = any_keras()
    settings = DriftTubeSettings()
    facts = {
        "sampling_rate_ghz": 1.0,
        "before": 5,
        "after": 9,
        "scale_mV": 3.0,
        "delay_ns": 4.5,
        "double_pulse_ns": 2.0,
        "quoted_double_pulse_ns": 3.0,
        "tolerance_ns": 2.0,
        "visible_fC": 2.7,
        "t0_ns": settings.digitizer.pretrigger_ns,
        "max_drift_ns": longest_drift_ns(settings),
        "sample_seed": FINDER_SEED,
        **changes,
    }
    network = keras.Sequential(
        [keras.layers.Input((15, 1)), keras.layers.Flatten(), keras.layers.Dense(1, activation="sigmoid")]
    )
    kernel = np.zeros((15, 1), np.float32)
    kernel[5] = 8.0
    network.set_weights([kernel, np.array([-4.0], np.float32)])
    return write_model(folder, network, "drifttube-peaks", PeakFacts(**facts), THRESHOLD)


def write_clusteriser(folder: Path, finder: Path, **changes: Any) -> Path:
    """A clusteriser that counts half a cluster a peak."""
    from townsend.networks.backend import any_keras

    keras = any_keras()
    settings = DriftTubeSettings()
    facts = {
        "sampling_rate_ghz": 1.0,
        "bins": settings.digitizer.samples,
        "t0_ns": settings.digitizer.pretrigger_ns,
        "max_drift_ns": longest_drift_ns(settings),
        "mean_clusters": 18.0,
        "fixed_impact_cm": 0.08,
        "sample_seed": CLUSTERISER_SEED,
        "finder_sample_seed": FINDER_SEED,
        "finder_sha256": sha256_of([finder / "model.keras"]),
        "finder_threshold": THRESHOLD,
        "unseen_by_the_finder": "another seed",
        **changes,
    }
    bins = facts["bins"]
    network = keras.Sequential([keras.layers.Input((bins, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    network.set_weights([np.full((bins, 1), 0.5, np.float32), np.zeros(1, np.float32)])
    return write_model(folder, network, "drifttube-clusters", ClusterFacts(**facts), None)


class EngineHere:
    """Does the work of `LocalEngine` in this process, where Keras is loaded once for all tests."""

    def __init__(self, jobs: int, logs: Path) -> None:
        self.queue: deque[WorkUnit] = deque()

    def __enter__(self) -> EngineHere:
        return self

    def __exit__(self, *error: object) -> None:
        self.queue.clear()

    def submit(self, unit: WorkUnit) -> None:
        self.queue.append(unit)

    def poll(self, timeout_s: float) -> list[Message]:
        from townsend.worker import run_unit

        unit = self.queue.popleft()
        try:
            run_unit(unit, lambda body: None)
        except TownsendError as error:
            return [Message(unit.name, News.REFUSED, str(error))]
        return [Message(unit.name, News.DONE)]


def work_here(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("townsend.experiments.drifttube.reconstruction.run.LocalEngine", EngineHere)


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
