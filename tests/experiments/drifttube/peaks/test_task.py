"""The peak-finding task: labels, disjoint sets, figures of known finders."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.peaks.matching import match_lists
from townsend.experiments.drifttube.peaks.task import task
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, DriftTubeSettings, NoiseSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube, simulate_waveforms
from townsend.sample.root_io import write_root
from townsend.tasks.base import Fold

SMALL = {"windows": 2000, "validation_waveforms": 60, "test_waveforms": 60}


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    return simulate_drifttube(500, tmp_path_factory.mktemp("task") / "mc", DriftTubeSettings())


@pytest.fixture(scope="module")
def arrays(sample):
    return task.prepare(sample, task.settings(SMALL), seed=5)


def test_windows_have_the_shape_of_the_slides(arrays):
    assert arrays.splits["train"].x.shape == (2000, 15, 1)
    assert arrays.splits["monitor"].x.shape[0] == pytest.approx(2000 * 0.3 / 0.7, abs=2)
    assert arrays.splits["validation"].x.shape[1:] == (15, 1)


def test_training_sets_are_balanced_and_the_others_are_not(arrays):
    assert arrays.splits["train"].y.mean() == 0.5
    assert arrays.splits["monitor"].y.mean() == pytest.approx(0.5, abs=1e-3)
    assert 0.02 < arrays.splits["validation"].y.mean() < 0.05


def test_same_arguments_same_bits(sample, arrays):
    again = task.prepare(sample, task.settings(SMALL), seed=5)
    other = task.prepare(sample, task.settings(SMALL), seed=6)
    assert np.array_equal(again.splits["train"].x, arrays.splits["train"].x)
    assert not np.array_equal(other.splits["train"].x, arrays.splits["train"].x)
    assert again.facts == arrays.facts


def test_sets_share_no_waveform(sample):
    """Every window of a set is one of a waveform of that set: no window occurs in two sets but monitor, validation."""
    found = task.prepare(sample, task.settings({**SMALL, "validation_waveforms": 100, "test_waveforms": 150}), seed=5)
    scale = np.float32(found.facts["scale_mV"])
    keys = {
        name: {window.tobytes() for window in np.round(split.x[..., 0] * scale, 3)}
        for name, split in found.splits.items()
    }
    assert not keys["train"] & keys["validation"]
    assert not keys["train"] & keys["test"]
    assert not keys["train"] & keys["monitor"]
    assert not keys["validation"] & keys["test"]
    assert keys["monitor"] & keys["validation"]


def test_signal_labels_sit_at_resolvable_arrivals(arrays):
    split = arrays.splits["validation"]
    arrival_ns = split.extra["sample"] - arrays.facts["delay_ns"]
    for row in range(20):
        signal = arrival_ns[(split.group == row) & (split.y > 0)]
        true = split.extra["resolvable_time_ns"][split.extra["resolvable_row"] == row]
        assert len(signal) <= len(true)
        assert all(np.abs(true - at).min() <= arrays.facts["tolerance_ns"] for at in signal)
    assert split.y.sum() > 0.95 * len(split.extra["resolvable_row"])


def test_the_perfect_finder_reaches_its_ceilings(arrays):
    """Scores equal to the labels: AUC 1, efficiency what candidates allow, purity 1, figures at most the ceiling."""
    split = arrays.splits["validation"]
    metrics = task.evaluate(arrays, "validation", split.y.copy(), None).metrics
    assert metrics["auc_all"].value == 1.0
    assert metrics["auc_drift"].value == 1.0
    assert metrics["resolvable.purity"].value == 1.0
    assert 0.9 < metrics["resolvable.efficiency"].value < 1.0  # candidates and their thinning cost 5 %
    assert metrics["balanced.f1"].value == 1.0
    for name in ("efficiency", "f1", "efficiency_x_purity"):
        assert metrics[f"all.{name}"].value <= metrics[f"all.{name}.ceiling"].value + 1e-9
        assert metrics[f"resolvable.{name}.ceiling"].value == 1.0
    share = len(split.extra["resolvable_row"]) / len(split.extra["all_row"])
    assert metrics["all.f1.ceiling"].value == pytest.approx(2 * share / (1 + share))


def test_matching_is_kinder_than_a_dead_time(arrays):
    """Candidates matched to all electrons pass the ceiling against them, by less than a tenth."""
    split, facts = arrays.splits["validation"], arrays.facts
    arrival_ns = split.extra["sample"] / facts["sampling_rate_ghz"] - facts["delay_ns"]
    every = (split.extra["all_row"].astype(np.int64), split.extra["all_time_ns"].astype(float))
    lucky = match_lists(split.group.astype(np.int64), arrival_ns, *every, facts["tolerance_ns"]) >= 0
    metrics = task.evaluate(arrays, "validation", lucky.astype(np.float32), 0.5).metrics
    assert 1.0 < metrics["all.f1"].value / metrics["all.f1.ceiling"].value < 1.1


def test_a_finder_that_guesses_has_auc_one_half(arrays):
    split = arrays.splits["validation"]
    scores = np.random.default_rng(1).random(len(split)).astype(np.float32)
    evaluation = task.evaluate(arrays, "validation", scores, None)
    auc = evaluation.metrics["auc_all"]
    assert abs(auc.value - 0.5) < 5 * auc.error
    assert 0 < auc.error < 0.05
    assert evaluation.degenerate == ""


@pytest.mark.parametrize(("score", "kind"), [(0.9, "signal"), (0.1, "background")])
def test_one_class_is_called_degenerate(arrays, score, kind):
    scores = np.full(len(arrays.splits["validation"]), score, np.float32)
    assert f"are called {kind}" in task.evaluate(arrays, "validation", scores, None).degenerate


def test_peaks_are_judged_at_the_slides_and_the_public_codes_threshold_too(arrays):
    split = arrays.splits["validation"]
    scores = np.where(split.y > 0, 0.96, 0.7).astype(np.float32)
    metrics = task.evaluate(arrays, "validation", scores, None).metrics
    assert metrics["resolvable_at_0.95.purity"].value == 1.0
    assert metrics["resolvable_at_0.5.purity"].value < 0.3


def test_a_given_threshold_is_used(arrays):
    split = arrays.splits["test"]
    evaluation = task.evaluate(arrays, "test", split.y.copy(), 0.25)
    assert evaluation.threshold == 0.25


# ---- folds


@pytest.fixture(scope="module")
def three_folds(sample):
    return [task.prepare(sample, task.settings(SMALL), 5, Fold(index, 3)) for index in range(3)]


def first_windows(split, facts):
    """Of every waveform, by what no scale changes: its windows in mV."""
    return {window.tobytes() for window in np.round(split.x[..., 0] * np.float32(facts["scale_mV"]), 2)}


def test_all_folds_are_judged_by_the_test_set_of_no_fold(arrays, three_folds):
    test = arrays.splits["test"]
    unseen = first_windows(test, arrays.facts)
    for fold in three_folds:
        scale = np.float32(fold.facts["scale_mV"] / arrays.facts["scale_mV"])
        assert np.allclose(fold.splits["test"].x * scale, test.x, rtol=1e-5)
        assert np.array_equal(fold.splits["test"].extra["resolvable_time_ns"], test.extra["resolvable_time_ns"])
        for name in ("train", "monitor", "validation"):
            assert not first_windows(fold.splits[name], fold.facts) & unseen, name


def test_a_fold_has_the_windows_and_the_scale_of_its_own_training(three_folds):
    for fold in three_folds:
        train = fold.splits["train"]
        assert len(train) == SMALL["windows"]
        assert fold.splits["validation"].extra["waveforms"] == SMALL["validation_waveforms"]
        assert np.median(np.std(train.x[train.y > 0, :, 0], axis=1)) == pytest.approx(1, rel=1e-5)
        assert not first_windows(train, fold.facts) & first_windows(fold.splits["validation"], fold.facts)
        assert not set(train.group) & set(fold.splits["monitor"].group)
    assert len({fold.facts["scale_mV"] for fold in three_folds}) == 3


def test_folds_are_alike_in_resolvable_arrivals(sample):
    """Up to any number of arrivals, two folds hold equally many waveforms within one."""
    most = task.settings({"windows": 100, "validation_waveforms": 175, "test_waveforms": 20})
    halves = [task.prepare(sample, most, 5, Fold(index, 2)).splits["validation"].extra for index in range(2)]
    first, second = (np.bincount(extra["resolvable_row"], minlength=175) for extra in halves)
    assert all(abs(np.sum(first <= most) - np.sum(second <= most)) <= 1 for most in {*first, *second})


def test_the_last_training_takes_the_windows_of_train_and_monitor_from_all_but_test(sample, arrays):
    found = task.prepare(sample, task.settings(SMALL), 5, Fold(None, 1))
    assert sorted(found.splits) == ["monitor", "test", "train"]
    train = found.splits["train"]
    assert len(train) == pytest.approx(SMALL["windows"] / 0.7, abs=2)
    assert train.y.mean() == pytest.approx(0.5, abs=1e-3)
    both = {*arrays.splits["train"].group, *arrays.splits["monitor"].group}
    assert {*train.group} & {*arrays.splits["train"].group}
    assert {*train.group} & {*arrays.splits["monitor"].group}
    assert len({*train.group} - both) < len(both)
    assert not first_windows(train, found.facts) & first_windows(found.splits["test"], found.facts)


def test_folds_too_small_to_judge_are_named(sample):
    rule = r"must hold 60 waveforms for validation in each fold \(got 3\d of 500\); .*, lower `folds` or lower"
    with pytest.raises(InputError, match=rule):
        task.prepare(sample, task.settings(SMALL), 5, Fold(0, 10))
    with pytest.raises(InputError, match=r"at most the 350 waveforms that are not test \(got 351\); lower `folds`"):
        task.prepare(sample, task.settings(SMALL), 5, Fold(0, 351))


def test_too_few_waveforms_for_the_windows_are_named(sample):
    with pytest.raises(InputError, match=r"must hold 15000 signal .* simulate more waveforms or lower `windows`"):
        task.prepare(sample, task.settings({**SMALL, "windows": 30000}), seed=1)


def test_too_few_waveforms_to_judge_are_named(sample):
    rule = r"must hold 500 waveforms for validation \(got 100 of 500\); simulate more .* lower `validation_waveforms`"
    with pytest.raises(InputError, match=rule):
        task.prepare(sample, task.settings({"windows": 2000}), seed=1)


def test_a_saturated_sample_is_refused(tmp_path):
    settings = DriftTubeSettings(digitizer=DigitizerSettings(full_scale_V=0.02))
    simulate_drifttube(120, tmp_path / "mc", settings)
    with pytest.raises(InputError, match=r"at most 1\.00% of its waveforms saturated \(got 1\d\d of 120\)"):
        task.prepare(
            tmp_path / "mc", task.settings({**SMALL, "validation_waveforms": 20, "test_waveforms": 20}), seed=1
        )


def test_a_sample_without_truth_is_refused(tmp_path):
    from dataclasses import replace

    write_root(replace(simulate_waveforms(DriftTubeSettings(), 0, 300), truth=None), tmp_path / "waveforms-00000.root")
    with pytest.raises(InputError, match="must hold simulated truth"):
        task.prepare(tmp_path, task.settings(SMALL), seed=1)


def test_a_sample_without_visible_electrons_is_refused(tmp_path):
    settings = DriftTubeSettings(noise=NoiseSettings(spectrum="white", rms_mV=100.0))
    simulate_drifttube(300, tmp_path / "mc", settings)
    with pytest.raises(InputError, match="must hold visible electrons"):
        task.prepare(tmp_path / "mc", task.settings({**SMALL, "visible_sigma": 50.0}), seed=1)


def test_bad_settings_are_refused():
    with pytest.raises(ConfigError, match="tolerance_ns: must be greater than 0"):
        task.settings({"tolerance_ns": -1.0})
    with pytest.raises(ConfigError, match='window: unknown key; did you mean "windows"'):
        task.settings({"window": 100})
    with pytest.raises(ConfigError, match="train_fraction \\+ validation_fraction must stay below 1"):
        task.settings({"train_fraction": 0.8, "validation_fraction": 0.3})
