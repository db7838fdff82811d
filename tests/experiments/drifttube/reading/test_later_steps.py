"""Every later step takes a sample that was read: what the files do not say is left out or named, never a NaN figure."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import pytest
from engine_here import open_engine_here
from hand_made import write_clusteriser, write_finder

from townsend.api import assemble, find_peaks, read, reconstruct
from townsend.errors import InputError
from townsend.experiments.drifttube.clusters.cluster_arrays import unseen_rows
from townsend.experiments.drifttube.clusters.cluster_task import task as cluster_task
from townsend.experiments.drifttube.peaks.arrivals import visible_electrons
from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings
from townsend.experiments.drifttube.peaks.sample_facts import pulse_facts
from townsend.experiments.drifttube.peaks.task import task as peak_task
from townsend.experiments.drifttube.reading.layouts import ReadSettings
from townsend.experiments.drifttube.reading.write import write_littlepi
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube, simulate_waveforms
from townsend.files import read_sealed
from townsend.sample.reader import read_sample, sample_fingerprint

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TAGS = "primary-secondary-noise"
CLOCK = ReadSettings(t0_ns=224.0, max_drift_ns=180.0)
SMALL = {"windows": 1000, "validation_waveforms": 20, "test_waveforms": 30}
UNIFORM = DriftTubeSettings(seed=8, track=TrackSettings(impact="uniform"))


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two hundred and fifty waveforms through a littlepi file."""
    folder = tmp_path_factory.mktemp("taken")
    write_littlepi(simulate_waveforms(UNIFORM, 0, 250), folder / "a.root")
    return read([folder / "a.root"], folder / "mc", format="littlepi", tags=TAGS, settings=CLOCK)


@pytest.fixture(scope="module")
def parts(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("parts")
    finder = write_finder(folder / "finder")
    return finder, write_clusteriser(folder / "clusteriser", finder)


def finite(value: Any) -> bool:
    if isinstance(value, dict):
        return all(finite(each) for each in value.values())
    if isinstance(value, list | tuple):
        return all(finite(each) for each in value)
    return not isinstance(value, float) or math.isfinite(value)


def test_electrons_of_unknown_charge_are_visible_and_none_outweighs_another(taken: Path) -> None:
    truth = read_sample(taken).truth
    assert truth is not None
    found = visible_electrons(truth, 5.0)
    assert len(found.row) == ak.sum(ak.num(truth.electron_time_ns))
    assert set(found.charge_fC.tolist()) == {1.0}


def test_a_finder_is_trained_on_it(taken: Path) -> None:
    arrays = peak_task.prepare(taken, peak_task.settings(SMALL), seed=1)
    assert finite(arrays.facts)
    assert (arrays.facts["t0_ns"], arrays.facts["visible_fC"]) == (224.0, 0.0)
    judged = peak_task.evaluate(arrays, "validation", arrays.splits["validation"].y.copy(), None)
    assert judged.metrics["auc_drift"].value == 1.0
    assert judged.metrics["resolvable.f1"].value > 0.8  # labels and times agree: the delay was found


def test_a_counter_is_trained_on_it_without_the_reference_that_needs_paths(
    taken: Path, parts: tuple[Path, Path]
) -> None:
    given = cluster_task.settings({"finder": str(parts[0])})
    arrays = cluster_task.prepare(taken, given, seed=1)
    test = arrays.splits["test"]
    assert "ref_path" not in test.extra
    assert "ref_boosted_perfect" in test.extra
    metrics = cluster_task.evaluate(arrays, "test", test.y.astype(np.float32), None).metrics
    assert not [name for name in metrics if name.startswith(("path.", "fixed.", "of_the_way"))]
    assert finite([list(metric) for name, metric in metrics.items()])


@pytest.mark.parametrize("name", ["t0_ns", "max_drift_ns"])
def test_without_a_clock_nothing_is_trained(name: str, taken: Path, parts: tuple[Path, Path], tmp_path: Path) -> None:
    settings = CLOCK.model_copy(update={name: None})
    sample = read([taken.parent / "a.root"], tmp_path / "mc", format="littlepi", tags=TAGS, settings=settings)
    rule = rf"must say {name} to train on \(it does not\); set `{name}` in the --config file of `townsend read`"
    with pytest.raises(InputError, match=rule):
        peak_task.prepare(sample, peak_task.settings(SMALL), seed=1)
    with pytest.raises(InputError, match=rule):
        cluster_task.prepare(sample, cluster_task.settings({"finder": str(parts[0])}), seed=1)


def test_what_a_finder_of_the_same_files_has_seen_is_not_used_again(taken: Path) -> None:
    """Neither has a seed: the samples are told apart by their contents."""
    waveforms = read_sample(taken)
    settings = peak_task.settings({"windows": 200})
    card = {
        "facts": {"sample_seed": None},
        "sample": sample_fingerprint(taken),
        "task_settings": settings,
        "sweep": {"settings": {"seed": 1}},
    }
    own = unseen_rows(taken, waveforms, card)
    assert 0 < len(own.rows) < 100
    assert "only its test set" in own.because
    other = unseen_rows(taken, waveforms, {**card, "sample": "another"})
    assert len(other.rows) == 250
    assert "neither has a seed" in other.because


def test_peaks_are_found_in_it(taken: Path, parts: tuple[Path, Path], tmp_path: Path) -> None:
    peaks = find_peaks(parts[0], taken, tmp_path / "peaks", FindPeaksSettings(pictures=1))
    assert len(peaks.hit) == 250


def test_it_calibrates_and_is_reconstructed(
    taken: Path, parts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("townsend.experiments.drifttube.reconstruction.run.open_engine", open_engine_here)
    reconstruction = assemble(*parts, taken, tmp_path / "reco")
    assert read_sealed(reconstruction / "card.json")["calibration"]["thirds"] == []
    output = reconstruct(reconstruction, [taken], tmp_path / "counted")
    summary = json.loads((output / "summary.json").read_text())
    assert summary["thirds"] == []
    assert summary["figures"]["mean_true_clusters"][0] > 5
    assert finite(summary)
    (first, *_) = summary["verdicts"]
    assert not first["ok"]
    assert "files of another program have no seed, so whether these calibrated is not known" in first["sentence"]


def test_waveforms_of_another_program_are_new_to_networks_of_simulated_ones(
    taken: Path, parts: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("townsend.experiments.drifttube.reconstruction.run.open_engine", open_engine_here)
    calibration = simulate_drifttube(200, tmp_path / "mc", UNIFORM.model_copy(update={"seed": 99}))
    reconstruction = assemble(*parts, calibration, tmp_path / "reco")
    output = reconstruct(reconstruction, [taken], tmp_path / "counted")
    (first, *_) = json.loads((output / "summary.json").read_text())["verdicts"]
    assert first["ok"]
    assert "the waveforms (seed none) are new to the reconstruction" in first["sentence"]


def test_a_sample_of_unknown_make_is_refused_in_one_sentence(taken: Path) -> None:
    provenance = read_sample(taken).provenance
    with pytest.raises(InputError, match=r'made by `townsend simulate` or `townsend read` .* \(got "magic"'):
        pulse_facts(replace(provenance, kind="magic"), taken)
    with pytest.raises(InputError, match=r"must say how late pulses are \(it has delay_ns None\)"):
        pulse_facts(replace(provenance, settings={}), taken)
