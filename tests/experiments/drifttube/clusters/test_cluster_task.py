"""The cluster-counting task: labels, sets that the finder never saw, figures of known counters."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.clusters.cluster_task import task
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, TrackSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube
from townsend.files import read_sealed, write_sealed
from townsend.sample.reader import read_sample
from townsend.sample.root_io import write_root
from townsend.sample.splits import split_groups
from townsend.tasks.base import Fold

# Keras 3.15 loads its variables through np.array(variable), for which NumPy 2 has announced a change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

UNIFORM = DriftTubeSettings(seed=6, track=TrackSettings(impact="uniform"))


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return simulate_drifttube(400, tmp_path_factory.mktemp("clusters") / "mc", UNIFORM)


@pytest.fixture(scope="module")
def settings(tiny_model):
    return task.settings({"finder": str(tiny_model)})


@pytest.fixture(scope="module")
def arrays(sample, settings):
    return task.prepare(sample, settings, seed=5)


def test_lists_have_one_bin_a_sample_and_one_for_each_peak(arrays):
    train = arrays.splits["train"]
    assert train.x.shape == (200, 1024, 1)
    assert set(np.unique(train.x)) == {0.0, 1.0}
    # Peaks that begin before the first bin (a response's delay before it) are lost: at most one in a waveform.
    lost = train.extra["peaks"] - train.x.sum(axis=(1, 2))
    assert 0 <= lost.min() <= lost.max() <= 1


def test_labels_are_the_clusters_of_the_waveform(arrays, sample):
    waveforms = read_sample(sample)
    clusters = clusters_in_record(waveforms.truth, 1024.0)
    for name, split in arrays.splits.items():
        assert np.array_equal(split.y, clusters[split.group]), name
    assert arrays.facts["mean_clusters"] == pytest.approx(float(arrays.splits["train"].y.mean()))


def test_sets_share_no_waveform_but_monitor_and_validation(arrays):
    groups = {name: set(split.group.tolist()) for name, split in arrays.splits.items()}
    assert len(groups["train"]) + len(groups["validation"]) + len(groups["test"]) == 400
    assert groups["train"] | groups["validation"] | groups["test"] == set(range(400))
    assert groups["monitor"] == groups["validation"]


def test_same_arguments_same_bits(sample, settings, arrays):
    again = task.prepare(sample, settings, seed=5)
    for name, split in arrays.splits.items():
        assert np.array_equal(again.splits[name].x, split.x)
        assert all(np.array_equal(again.splits[name].extra[key], split.extra[key]) for key in split.extra)
    assert again.facts == arrays.facts


def test_in_the_finders_own_sample_only_its_test_set_is_used(tiny_sample, tiny_model):
    given = task.settings({"finder": str(tiny_model), "train_fraction": 0.34, "validation_fraction": 0.33})
    with pytest.raises(InputError, match=r"at least 20 waveforms that the finder never saw .* of 36"):
        task.prepare(tiny_sample, given, seed=1)


def test_the_finders_test_set_is_the_one_it_was_judged_on(tiny_sample, tiny_model, monkeypatch):
    monkeypatch.setattr("townsend.experiments.drifttube.clusters.cluster_task._FEWEST", 5)
    found = task.prepare(tiny_sample, task.settings({"finder": str(tiny_model)}), seed=1)
    used = {row for split in found.splits.values() for row in split.group.tolist()}
    fractions = {"train": 0.5, "validation": 0.2, "test": 0.3}
    assert used == set(split_groups(120, fractions, seed=1)["test"].tolist())
    assert "own sample" in found.facts["unseen_by_the_finder"]


def test_a_longer_sample_of_the_finders_seed_is_refused(tiny_model, tmp_path):
    longer = simulate_drifttube(150, tmp_path / "mc", DriftTubeSettings(seed=5))
    with pytest.raises(InputError, match=r"own sample or one of another seed .*seed 5.*another --seed"):
        task.prepare(longer, task.settings({"finder": str(tiny_model)}), seed=1)


def test_a_sample_without_truth_is_refused(sample, settings, tmp_path):
    write_root(replace(read_sample(sample), truth=None), tmp_path / "waveforms-00000.root")
    with pytest.raises(InputError, match="must hold simulated truth"):
        task.prepare(tmp_path, settings, seed=1)


def test_the_fingerprint_tells_another_finder_and_not_another_place(sample, tiny_model, tmp_path):
    here = task.fingerprint(sample, task.settings({"finder": str(tiny_model)}))
    moved = Path(shutil.copytree(tiny_model, tmp_path / "moved"))
    assert task.fingerprint(sample, task.settings({"finder": str(moved)})) == here
    card = read_sealed(moved / "card.json")
    del card["seal"]
    write_sealed(moved / "card.json", {**card, "threshold": 0.123})
    assert task.fingerprint(sample, task.settings({"finder": str(moved)})) != here


def test_an_edited_finder_is_refused(sample, tiny_model, tmp_path):
    copy = Path(shutil.copytree(tiny_model, tmp_path / "copy"))
    card = json.loads((copy / "card.json").read_text())
    (copy / "card.json").write_text(json.dumps({**card, "threshold": 0.123}))
    with pytest.raises(InputError, match="it was edited"):
        task.fingerprint(sample, task.settings({"finder": str(copy)}))


def test_settings_need_a_finder_and_are_closed():
    with pytest.raises(ConfigError, match="finder"):
        task.settings({})
    with pytest.raises(ConfigError, match="fixed_impact_cm"):
        task.settings({"finder": "f", "fixed_impact": 0.1})
    with pytest.raises(ConfigError, match="stay below 1"):
        task.settings({"finder": "f", "train_fraction": 0.9, "validation_fraction": 0.1})


def test_folds_share_test_cover_all_else_and_are_alike(sample, settings, arrays):
    found = [task.prepare(sample, settings, 5, Fold(index, 4)) for index in range(4)]
    parts = [fold.splits["validation"] for fold in found]
    test = arrays.splits["test"]
    for fold, part in zip(found, parts, strict=True):
        assert np.array_equal(fold.splits["test"].x, test.x)
        assert np.array_equal(fold.splits["monitor"].group, part.group)
        groups = [set(fold.splits[name].group.tolist()) for name in ("train", "validation", "test")]
        assert sum(map(len, groups)) == len(set.union(*groups)) == 400
        assert fold.facts["mean_clusters"] == pytest.approx(float(fold.splits["train"].y.mean()))
    assert sorted(np.concatenate([part.group for part in parts])) == sorted(set(range(400)) - set(test.group.tolist()))
    means = [part.y.mean() for part in parts]
    assert np.std(means) < 0.25 * np.std(test.y) / np.sqrt(70)
    # References are fitted on each fold's own training lists.
    assert len({float(fold.splits["test"].extra["ref_path"][0]) for fold in found}) == 4


def test_the_last_training_takes_all_but_test(sample, settings, arrays):
    found = task.prepare(sample, settings, 5, Fold(None, 1))
    assert sorted(found.splits) == ["monitor", "test", "train"]
    train, test = (set(found.splits[name].group.tolist()) for name in ("train", "test"))
    assert train | test == set(range(400))
    assert not train & test
    assert np.array_equal(found.splits["test"].group, arrays.splits["test"].group)


def test_folds_too_small_to_judge_are_named(sample, settings):
    with pytest.raises(InputError, match=r"at least 20 waveforms .*validation has 1\d of 400.* or lower `folds`"):
        task.prepare(sample, settings, 5, Fold(0, 15))


# ---- figures of known counters


def test_the_truth_itself_is_perfect_and_beyond_the_ceiling(arrays):
    test = arrays.splits["test"]
    metrics = task.evaluate(arrays, "test", test.y, None).metrics
    lost = test.y[test.extra["peaks"] == 0]  # clusters of waveforms without a peak are out of reach
    assert metrics["mse"].value == pytest.approx(float(np.sum(lost**2)) / len(test.y))
    assert metrics["of_the_way"].value > 1
    assert metrics["r2.ceiling"] == metrics["boosted_perfect.r2"]


@pytest.mark.parametrize(("reference", "way"), [("ref_path", 0.0), ("ref_boosted_perfect", 1.0)])
def test_the_way_begins_at_the_path_and_ends_at_the_ceiling(arrays, reference, way):
    test = arrays.splits["test"]
    every = replace(test, extra={**test.extra, "peaks": np.ones(len(test), np.int32)})
    judged = replace(arrays, splits={**arrays.splits, "test": every})
    metrics = task.evaluate(judged, "test", test.extra[reference], None).metrics
    assert metrics["of_the_way"].value == pytest.approx(way, abs=1e-6)
    assert metrics["of_the_way"].error < 1e-6
    assert metrics["mse"].value == pytest.approx(metrics[f"{reference.removeprefix('ref_')}.mse"].value)


def test_figures_at_fixed_path_are_those_of_central_tracks(arrays):
    test = arrays.splits["test"]
    scores = test.y + np.where(np.abs(test.extra["impact_cm"]) < 0.08, 2, 0).astype(np.float32)
    every = replace(test, extra={**test.extra, "peaks": np.ones(len(test), np.int32)})
    metrics = task.evaluate(replace(arrays, splits={"test": every}), "test", scores, None).metrics
    assert metrics["fixed.bias"].value == pytest.approx(2)
    assert 0.1 < metrics["bias"].value < 1


def test_one_number_for_all_is_degenerate(arrays):
    found = task.evaluate(arrays, "validation", np.full(len(arrays.splits["validation"]), 14.5, np.float32), None)
    assert found.degenerate == "all 80 waveforms get the number 14.5"
    assert found.threshold is None
    assert not task.evaluate(arrays, "validation", arrays.splits["validation"].y, None).degenerate
