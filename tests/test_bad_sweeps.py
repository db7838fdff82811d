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


# ---- searches that cannot be made


def untrained(run: Path) -> bool:
    """Whether nothing was trained in a folder, nor handed out to be trained."""
    return not any(path.is_file() for part in ("brackets", "records", "checkpoints") for path in run.glob(f"{part}/*"))


@pytest.fixture
def search(tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused) -> Callable[..., str]:
    """Sweep `tiny_yaml` with lines in front and texts replaced; return the sentence in which it is refused."""

    def check(front: str = "", *changes: tuple[str, str], options: tuple[object, ...] = (), made: bool = False) -> str:
        text = tiny_yaml.read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        tiny_yaml.write_text(f"{front}\n{text}")
        run = tmp_path / "run"
        command = ("sweep", tiny_yaml, "--sample", tiny_sample, *options, "-o", run)
        sentence = refused(*command, new=run if made else None)
        assert untrained(run)
        return sentence

    return check


RATE = "learning_rate: [0.03, 0.05]"
RANGE = "learning_rate: {low: 0.003, high: 0.05, log: true}"
NO_SIZE = ("bracket_size: 1\n", "")


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ((RATE, "learning_rate: []"), r"space\.learning_rate: must .*at least 1 .*tiny\.yaml line \d+"),
        ((RATE, "learning_rate: {values: []}"), r"space\.learning_rate\.values: must .*at least 1 .*line \d+"),
        ((RATE, "learning_rate: {low: 0.1, high: 0.1}"), r"low must be below high \(got 0\.1 and 0\.1\)"),
        ((RATE, "learning_rate: {low: 0.1, high: 0.01}"), r"low must be below high \(got 0\.1 and 0\.01\).*line \d+"),
        ((RATE, "learning_rate: {low: 0, high: 1, log: true}"), r"low must be above 0 when log is true \(got 0\)"),
        ((RATE, "learning_rate: {low: 0, high: 1, step: 2}"), r"step must give 2 to 10000 values .*got 2\); change it"),
        ((RATE, "l1: {same_as: l2}"), r"space\.l1 must depend on a name of the space \(got \"l2\"\)"),
        (("  batch_size: [50]\n", ""), r'training needs the hyperparameter "batch_size"; add it to the space'),
        ((RATE, "schedule: [cosin]"), r'schedule must be a known one \(got "cosin"\); did you mean "cosine"\?'),
        ((RATE, "loss: [huber]"), r'loss must be one of a classification, as the task is \(got "huber"\)'),
        ((RATE, "layers: [4]"), r'space must name known hyperparameters \(got "layers"\)'),
    ],
)
def test_space_that_holds_no_configuration_or_a_bad_one(
    change: tuple[str, str], rule: str, search: Callable[..., str]
) -> None:
    sentence = search("sampler: random\ntrials: 2", change)
    assert re.search(rule, sentence), sentence


@pytest.mark.parametrize("space", ["space: {}", "space:", ""])
def test_empty_space(space: str, tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused) -> None:
    tiny_yaml.write_text(f"task: drifttube-peaks\n{space}\n")
    for command in (("space", tiny_yaml), ("sweep", tiny_yaml, "--sample", tiny_sample, "-o", tmp_path / "run")):
        assert re.search(r"space: must .*tiny\.yaml", refused(*command))


@pytest.mark.parametrize(
    ("objectives", "rule"),
    [
        ("[auc_al]", r'objectives must be metrics of the task .*\(got "auc_al"\); did you mean "auc_all"\?'),
        ("[mse]", r'objectives must be metrics of the task .*\(got "mse"\); known: .*auc_all'),
        (
            "[parameters, auc_all]",
            r"must be a metric of the task \(got parameters\); put one, such as auc_all, in front",
        ),
        ("[auc_all, auc_all]", r"objectives must differ \(got auc_all twice\); name another or leave one out"),
        ("[auc_all, parameters, epochs]", r"objectives: must .*at most 2 .*line 3"),
        ("[]", r"objectives: must .*at least 1 .*line 3"),
    ],
)
def test_metric_that_the_task_lacks(objectives: str, rule: str, search: Callable[..., str]) -> None:
    sentence = search(f"sampler: random\ntrials: 2\nobjectives: {objectives}")
    assert re.search(rule, sentence), sentence


def test_batch_above_the_sample(search: Callable[..., str]) -> None:
    sentence = search("", ("[50]", "[50, 4096]"), made=True)
    assert sentence == (
        "batch_size must fit the sample (got 4,096, training has 200 examples); "
        'lower it, write "all" for one step an epoch, or take a larger sample'
    )


@pytest.mark.usefixtures("engine_here")
def test_folder_of_a_sweep_refused_for_its_batches_takes_the_mended_one(
    search: Callable[..., str], tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, townsend: Callable[..., Any]
) -> None:
    search("trials: 1", ("[50]", "[50, 4096]"), made=True)
    tiny_yaml.write_text(tiny_yaml.read_text().replace("[50, 4096]", "[50]"))
    assert townsend("sweep", tiny_yaml, "--sample", tiny_sample, "-o", tmp_path / "run").status == 0


@pytest.mark.parametrize(
    ("sampler", "change", "rule"),
    [
        ("grid", (RATE, RANGE), r"a grid needs lists \(got a range for learning_rate\); list its values"),
        ("tpe", NO_SIZE, r"the sampler tpe needs the number of trials"),
        (
            "cmaes\ntrials: 20",
            NO_SIZE,
            r"cmaes moves ranges of numbers only \(got a list for learning_rate\); give one",
        ),
        ("cmaes\ntrials: 20", (RATE, "l1: [0]"), r"cmaes needs a range of numbers \(got one value for each\); add a"),
        (
            "gp\ntrials: 20",
            (RATE, "learning_rate: {low: 0.01, high: 0.1, when: {optimizer: [adam]}}"),
            r"the sampler gp needs hyperparameters that every configuration has \(got a condition for learning_rate\)",
        ),
        (
            "nsga2\ntrials: 20",
            (RATE, "learning_rate: {low: 0.01, high: 0.1, when: {optimizer: [adam]}}"),
            r"the sampler nsga2 needs .* \(got a condition for learning_rate\); drop it, or choose tpe",
        ),
        ("walk\ntrials: 9", NO_SIZE, r"the sampler walk needs at least 11 trials, .* \(got 9\); give more, or choose"),
        (
            "walk\ntrials: 20",
            (RATE, "l1: [0]"),
            r"walk needs a hyperparameter that can change \(got one value for each\)",
        ),
        ("bayes\ntrials: 9", NO_SIZE, r"sampler: must be 'grid', .* \(got \"bayes\", .*line 1\)"),
    ],
)
def test_sampler_that_cannot_serve_the_space(
    sampler: str, change: tuple[str, str], rule: str, search: Callable[..., str]
) -> None:
    sentence = search(f"sampler: {sampler}", change)
    assert re.search(rule, sentence), sentence


@pytest.mark.parametrize("sampler", ["cmaes", "walk"])
def test_two_objectives_with_a_sampler_of_one(sampler: str, search: Callable[..., str]) -> None:
    sentence = search(f"sampler: {sampler}\ntrials: 20\nobjectives: [auc_all, parameters]", (RATE, RANGE))
    assert sentence == (
        f"the sampler {sampler} serves one objective (got auc_all and parameters); "
        "name one, or choose the sampler tpe, gp or nsga2"
    )


def test_sampler_that_would_learn_from_the_clock(search: Callable[..., str]) -> None:
    sentence = search("sampler: nsga2\ntrials: 20\nobjectives: [auc_all, wall_s]", (RATE, RANGE))
    assert re.search(r"must learn from figures that a second run repeats \(got wall_s\); name parameters", sentence)


@pytest.mark.parametrize(
    ("front", "options", "rule"),
    [
        (
            "",
            ("--halving", "successive"),
            r"halving needs a rung before the last epoch \(least 3 x factor 3 is above 2",
        ),
        ("halving: {least: 2, factor: 2}", (), r"\(least 2 x factor 2 is above 2 epochs\); lower `least`"),
        ("halving: true", (), r"halving: must be a mapping .* \(got true, .*line 1\)"),
        (
            "halving: {kind: hyperbands}",
            (),
            r"halving\.kind: must be .*\(got \"hyperbands\".*did you mean \"hyperband\"",
        ),
        ("halving: {factor: 1}", (), r"halving\.factor: must be greater than or equal to 2 \(got 1, .*line 1\)"),
        (
            "halving: {kind: hyperband, least: 1, factor: 2}",
            (),
            r"bracket_size follows from hyperband \(got 1\); leave",
        ),
        (
            "halving: {least: 1, factor: 2}\nobjectives: [auc_all, parameters]",
            (),
            r"halving compares one figure \(got the objectives auc_all and parameters\); leave it out, or name one",
        ),
        ("stop_at_gain: 0", (), r"stop_at_gain: must be greater than 0 \(got 0, .*line 1\)"),
        ("repeats: 0", (), r"repeats: must be greater than or equal to 1 \(got 0, .*line 1\)"),
    ],
)
def test_halving_without_a_rung_and_other_rules_that_cannot_be_followed(
    front: str, options: tuple[object, ...], rule: str, search: Callable[..., str]
) -> None:
    sentence = search(front, options=options)
    assert re.search(rule, sentence), sentence


def test_more_folds_than_the_sample_can_fill(search: Callable[..., str]) -> None:
    sentence = search("", options=("--folds", 40), made=True)
    assert re.search(
        r"must hold 20 waveforms for validation in each fold \(got \d+ of 120\); .*lower `folds`", sentence
    )


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


def test_choose_where_no_fit_has_finished(run: Path, tmp_path: Path, refused: Refused) -> None:
    for path in (run / "records").glob("*.json"):
        record = json.loads(path.read_text())
        pruned = {"outcome": "pruned", "detail": "2nd of 2 after 1 epochs; 1 went on", "metrics": {}}
        write_json(path, {**record, "fits": [{**fit, **pruned} for fit in record["fits"]]})
    sentence = refused("choose", run, "-o", tmp_path / "model")
    assert re.search(r"must be usable \(2 of 2 configurations: 2 pruned.*; change the space, the epochs", sentence)
    assert "must be usable" in refused("refine", run, "-o", tmp_path / "finer.yaml")


def test_choose_a_trial_that_cannot_be(run: Path, tmp_path: Path, refused: Refused) -> None:
    path = run / "records" / "0000.json"
    record = json.loads(path.read_text())
    number = record["fits"][0]["trial"]
    diverged = {"outcome": "diverged", "detail": "loss nan at epoch 1", "metrics": {}}
    write_json(path, {**record, "fits": [{**record["fits"][0], **diverged}]})
    command = ("choose", run, "-o", tmp_path / "model", "--trial")
    sentence = refused(*command, number)
    assert re.search(rf"trial {number} of .* \(it is diverged: loss nan at epoch 1\); choose another", sentence)
    assert re.search(r"trial must be one whose fits have all ended in .* \(got 99\)", refused(*command, 99))


def test_retrain_on_another_sample(run: Path, tmp_path: Path, refused: Refused) -> None:
    made = json.loads((run / "sweep.json").read_text())
    simulate_drifttube(120, tmp_path / "other", DriftTubeSettings(seed=6))
    write_json(run / "sweep.json", {**made, "settings": {**made["settings"], "sample": str(tmp_path / "other")}})
    sentence = refused("choose", run, "-o", tmp_path / "model", "--retrain")
    assert "training anew needs the sample of the sweep" in sentence


def test_refine_into_a_file_of_yours(run: Path, tiny_yaml: Path, tmp_path: Path, refused: Refused) -> None:
    assert "must be new or made by `townsend refine`" in refused("refine", run, "-o", tiny_yaml)
    assert "must be a file (it is a folder)" in refused("refine", run, "-o", tmp_path)
    assert "must be the folder of a sweep" in refused("refine", tmp_path, "-o", tmp_path / "finer.yaml")


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
