"""What a user sees when a sample, a configuration or a sweep cannot be used: one sentence, nothing spoilt."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube
from townsend.files import write_json
from townsend.sample.root_io import read_root, write_root
from townsend.sweep import lease

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Refused = Callable[..., str]


# ---- samples that cannot be trained on


def test_sample_that_is_none(tiny_yaml: Path, tmp_path: Path, refused: Refused) -> None:
    sentence = refused("sweep", tiny_yaml, "--sample", tmp_path / "none", "-o", tmp_path / "run")
    assert "none must be a folder that exists" in sentence
    (tmp_path / "empty").mkdir()
    sentence = refused("sweep", tiny_yaml, "--sample", tmp_path / "empty", "-o", tmp_path / "run")
    assert "must hold files waveforms-*.root (got none)" in sentence


def test_sample_without_labels_or_with_a_damaged_shard(
    tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    run, sample = tmp_path / "run", tmp_path / "mc"
    good = tiny_sample / "waveforms-00000.root"
    write_root(replace(read_root(good), truth=None), sample / good.name)
    command = ("sweep", tiny_yaml, "--sample", sample, "-o", run)
    assert "must hold simulated truth to train on (it holds none)" in refused(*command, new=run)
    (sample / "waveforms-00001.root").write_bytes(good.read_bytes()[:5000])
    assert "waveforms-00001.root must be a whole ROOT file" in refused(*command, new=run)


def test_sample_smaller_than_asked_for(tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused) -> None:
    run = tmp_path / "run"
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "--windows", 50000, "-o", run, new=run)
    assert re.search(
        r"25000 signal and .* for 50000 windows \(its 60 waveforms .* hold \d+ and \d+\); simulate more", sentence
    )


# ---- configurations


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("epochs: 2", "epoch: 2", r'epoch: unknown key \(.*tiny\.yaml line 2\); did you mean "epochs"\?'),
        (
            "windows: 200",
            "window: 200",
            r'yaml line 5: task_settings\.window: unknown key; did you mean "windows"',
        ),
        ("windows: 200", "tolerance_ns: -1", r"line 5: task_settings\.tolerance_ns: must be greater than 0 \(got -1\)"),
        ("windows: 200", "train_fraction: 0.9", r"line 5: task_settings: train_fraction \+ .* below 1 \(got 1\.1\)"),
        ("windows: 200", "before: 2000", r"window must fit the waveform \(got 2010 samples, waveform has 1024\)"),
        ("drifttube-peaks", "drifttube-peak", r'got "drifttube-peak"\); did you mean "drifttube-peaks"\?'),
        ("adam", "adma", r'optimizer must be a known one \(got "adma"\); did you mean "adam"\?'),
        ("[0.0]", "[1.0]", r"dropout must be a number in \[0, 1\) \(got 1\.0\)"),
        ("epochs: 2", "epochs: 0", r"epochs: must be greater than or equal to 1 \(got 0, .*tiny\.yaml line 2\)"),
        ("space:", "space:\n\tx: 1", r"tiny\.yaml line \d+: must be YAML"),
    ],
)
def test_sweep_configuration(
    old: str, new: str, rule: str, tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    run = tmp_path / "run"
    tiny_yaml.write_text(tiny_yaml.read_text().replace(old, new))
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run, new=run)
    assert re.search(rule, sentence), sentence


def test_yaml_aliases_that_explode(tmp_path: Path, refused: Refused) -> None:
    bomb = ["a0: &a0 [lol, lol]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 99))]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(bomb))
    for command in (("sweep", path), ("simulate", "drifttube", "--config", path)):
        assert "bomb.yaml line 1: must not use anchors or aliases" in refused(*command, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("tube: {radius_cm: 0.4}", r'tube\.radius_cm: unknown key \(.* line 1\); did you mean "\w+_radius_cm"\?'),
        ("noise: {rms_mV: .nan}", r"noise\.rms_mV: must be a finite number"),
        ("digitizer: {samples: 100}", r"the record must reach past the longest drift time"),
    ],
)
def test_simulation_configuration(text: str, rule: str, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "tube.yaml"
    path.write_text(text)
    sentence = refused("simulate", "drifttube", "-n", 10, "--config", path, "-o", tmp_path / "mc")
    assert re.search(rule, sentence), sentence


@pytest.mark.parametrize(
    ("impact", "hint"), [("wrong", '(got "wrong")'), ("centrl", 'did you mean "central"?'), ("", '(got "")')]
)
def test_impact_that_is_none(impact: str, hint: str, tmp_path: Path, refused: Refused) -> None:
    sentence = refused("simulate", "drifttube", "-n", 10, "--impact", impact, "-o", tmp_path / "mc")
    assert sentence.startswith("track.impact: must be 'central' or 'uniform'")
    assert hint in sentence


@pytest.mark.parametrize("text", ["scale: -1", "polarity: 2", "thresold: 0.5"])
def test_find_peaks_configuration(
    text: str, tiny_model: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    path = tmp_path / "find.yaml"
    path.write_text(text)
    sentence = refused("find-peaks", tiny_model, tiny_sample, "--config", path, "-o", tmp_path / "peaks")
    assert text.partition(":")[0] in sentence


# ---- sweeps behind a peak finder


def test_sweep_of_clusterisers_without_a_finder(tiny_sample: Path, tmp_path: Path, refused: Refused) -> None:
    sentence = refused("sweep", "clusters.yaml", "--sample", tiny_sample, "-o", tmp_path / "run")
    assert sentence == (
        "task_settings.finder: must be given (got none); say --finder FOLDER, with a folder made by `townsend choose`"
    )


def test_finder_folder_that_holds_none(
    tiny_sample: Path, tiny_run: Path, tiny_model: Path, tmp_path: Path, refused: Refused
) -> None:
    command = ("sweep", "clusters.yaml", "--sample", tiny_sample, "-o", tmp_path / "run", "--finder")
    for folder in (tmp_path / "none", tiny_sample, tiny_run):
        assert f"{folder}/card.json must exist" in refused(*command, folder)
    torn = Path(shutil.copytree(tiny_model, tmp_path / "torn"))
    (torn / "model.keras").unlink()
    assert "model.keras" in refused(*command, torn)
    edited = Path(shutil.copytree(tiny_model, tmp_path / "edited"))
    card = json.loads((edited / "card.json").read_text())
    write_json(edited / "card.json", {**card, "threshold": 0.01})
    assert "its seal does not match: it was edited" in refused(*command, edited)


@pytest.mark.parametrize(
    ("task", "option", "rule"),
    [
        ("clusters.yaml", ("--finder", "finder", "--windows", 300), r"^task_settings\.windows: unknown key"),
        ("peaks.yaml", ("--finder", "finder"), r"^task_settings\.finder: unknown key"),
    ],
)
def test_option_of_the_other_task(
    task: str, option: tuple[object, ...], rule: str, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    sentence = refused("sweep", task, "--sample", tiny_sample, *option, "-o", tmp_path / "run")
    assert re.search(rule, sentence), sentence


def test_finder_that_has_seen_the_sample(tiny_sample: Path, tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    run, longer = tmp_path / "run", tmp_path / "longer"
    simulate_drifttube(150, longer, DriftTubeSettings(seed=5))
    command = ("sweep", "clusters.yaml", "--finder", tiny_model)
    sentence = refused(*command, "--sample", longer, "-o", run, new=run)
    assert "must be the finder's own sample or one of another seed (got another of seed 5" in sentence
    # Of the finder's own sample its test set is left, 36 waveforms, which are too few.
    sentence = refused(*command, "--sample", tiny_sample, "-o", tmp_path / "own", new=tmp_path / "own")
    assert "at least 20 waveforms that the finder never saw" in sentence


# ---- sweep folders


def test_folder_made_with_other_settings(
    run: Path, tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    command = ("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert "(epochs: was 2, now 3)" in refused(*command, "--epochs", 3)
    assert "(task_settings.windows: was 200, now 300)" in refused(*command, "--windows", 300)
    other = Path(shutil.copytree(tiny_sample, tmp_path / "other"))
    shard = other / "waveforms-00000.root"
    write_root(read_root(shard)[:50], shard)
    sentence = refused("sweep", tiny_yaml, "--sample", other, "-o", run)
    assert "must be continued on the sample it was made with" in sentence


def test_folder_made_by_another_townsend(run: Path, tiny_yaml: Path, tiny_sample: Path, refused: Refused) -> None:
    made = json.loads((run / "sweep.json").read_text())
    write_json(run / "sweep.json", {**made, "versions": {**made["versions"], "townsend": "0.0.9"}})
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert "made by 0.0.9, this is" in sentence
    assert "install 0.0.9 or choose a new folder" in sentence


def test_second_coordinator_on_this_machine(run: Path, tiny_yaml: Path, tiny_sample: Path, refused: Refused) -> None:
    with lease.hold(run):
        sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert f"must have one coordinator (process {os.getpid()} on" in sentence


def test_second_coordinator_from_another_machine(
    run: Path, tiny_yaml: Path, tiny_sample: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.2)
    path, stop = run / "coordinator.lease", threading.Event()
    holder = lease.Holder("node17", "another boot", 4242, 99, "a" * 32)

    def live() -> None:
        beat = 0
        while not stop.wait(0.05):
            beat += 1
            path.write_bytes(json.dumps(asdict(replace(holder, beat=beat))).encode().ljust(1024))

    path.write_bytes(json.dumps(asdict(holder)).encode().ljust(1024))
    heart = threading.Thread(target=live)
    heart.start()
    try:
        sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    finally:
        stop.set()
        heart.join()
    assert "must have one coordinator" in sentence
    assert "is at work in it" in sentence
    assert json.loads(path.read_bytes())["host"] == "node17"


@pytest.mark.usefixtures("engine_here")
def test_every_configuration_unusable(
    tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused, townsend: Callable[..., Any]
) -> None:
    run = tmp_path / "run"
    tiny_yaml.write_text(tiny_yaml.read_text().replace("[0.03, 0.05]", "[1.0e+38, 1000.0]"))
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run, new=run)
    assert re.search(r"no usable configuration: .*1 diverged.*change the space or the sample", sentence), sentence
    assert "1 degenerate" in sentence
    assert "must be usable" in refused("choose", run, "-o", tmp_path / "model")
    ended = townsend("board", run)
    assert (ended.status, ended.err) == (0, "")
    assert "no configuration may be chosen" in ended.out


def test_choose_from_a_sweep_that_has_not_trained_yet(run: Path, tmp_path: Path, refused: Refused) -> None:
    shutil.rmtree(run / "records")
    sentence = refused("choose", run, "-o", tmp_path / "model")
    assert "must be usable (no configuration of 2 has ended yet" in sentence


def test_damaged_record_names_itself(run: Path, tmp_path: Path, refused: Refused) -> None:
    (run / "records" / "0001.json").write_text('{"bracket": 1, "fi')
    for command in (("board", run), ("choose", run, "-o", tmp_path / "model")):
        assert "0001.json must be JSON" in refused(*command)


# ---- boards


def test_board_of_a_folder_that_is_none(tmp_path: Path, refused: Refused) -> None:
    assert "must be the folder of a sweep" in refused("board", tmp_path)
    assert "must be the folder of a sweep" in refused("board", tmp_path / "none")
    assert "must be the folder of a sweep" in refused("choose", tmp_path / "none", "-o", tmp_path / "model")
    assert "must hold folders Model1, Model2" in refused("board", "--import", tmp_path)
    assert "must be a folder" in refused("board", "--import", tmp_path / "none")
    assert "either the folder of a sweep or --import DIR" in refused("board")
    assert "either the folder of a sweep or --import DIR" in refused("board", tmp_path, "--import", tmp_path)


def test_board_sorted_by_a_column_that_is_none(run: Path, refused: Refused) -> None:
    assert 'got "auc_al"); did you mean "auc_all"?' in refused("board", run, "--sort", "auc_al")
