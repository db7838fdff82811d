"""A finder and a clusteriser made by hand, whose networks do what one expects."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from townsend.config import resolved
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import longest_drift_ns
from townsend.files import read_sealed, sha256_of, write_sealed, write_text

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


def seal_again(card: Path, **changes: Any) -> None:
    """Change a card as somebody would who knows how it is sealed."""
    value = read_sealed(card)
    del value["seal"]
    write_sealed(card, {**value, **changes})
