from __future__ import annotations

import io
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from townsend.errors import InputError, TownsendError
from townsend.evaluate.bootstrap import clustered_auc
from townsend.evaluate.classification import roc
from townsend.files import write_json, write_sealed
from townsend.networks.backend import any_keras
from townsend.networks.family import build_network
from townsend.sweep import choose as room
from townsend.sweep.board_verdicts import shown
from townsend.sweep.choose import choose, render_card
from townsend.tasks.base import Arrays, Evaluation, Metric, Objective, Split
from townsend.training.record_file import BracketRecord, folds_folders, write_bracket_record
from townsend.training.records import FitRecord, Outcome

# Keras 3.15 saves its variables through np.array(variable), for which NumPy 2 has announced a change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

TRAINING = {"optimizer": "adam", "batch_size": 32}
NETWORK = {"topology": "2 3 1", "activations": "relu sigmoid", "dropout": 0.1}
SHAPE = (6, 1)
FACTS = {"sampling_rate_ghz": 1.0, "input": "mV"}


class Bumps:
    """Which windows have a bump in the middle?"""

    name = "bumps"
    objective = Objective("auc", maximise=True)
    loss = "binary_crossentropy"

    def __init__(self) -> None:
        self.read: Counter[str] = Counter()
        self.shift = 0.0

    def evaluate(self, arrays: Arrays, split: str, scores: Any, threshold: float | None) -> Evaluation:
        self.read[split] += 1
        chosen = arrays.splits[split]
        cut = float(np.median(scores)) if threshold is None else threshold
        value, error = clustered_auc(scores, chosen.y, chosen.group)
        curve = roc(scores, chosen.y)
        metrics = {"auc": Metric(value + self.shift, error), "accepted": Metric(float(np.mean(scores >= cut)), 0.0)}
        return Evaluation(metrics, cut, "", {"roc.fpr": curve.fpr, "roc.tpr": curve.tpr})


def split(seed: int, examples: int = 120) -> Split:
    rng = np.random.default_rng(seed)
    y = (rng.random(examples) < 0.4).astype(np.float32)
    x = rng.normal(size=(examples, *SHAPE)).astype(np.float32)
    x[:, 2:4, 0] += 2 * y[:, None]
    return Split(x, y, (np.arange(examples) // 4).astype(np.int32))


@pytest.fixture
def task(monkeypatch: pytest.MonkeyPatch) -> Bumps:
    bumps = Bumps()
    monkeypatch.setattr(room, "find_task", {"bumps": bumps}.__getitem__)
    return bumps


def write_run(run: Path, trials: int, folds: int = 1, repeats: int = 1) -> Path:
    """Configurations with the weights they started with; the first is degenerate, with a fine figure."""
    names = ("train", "monitor", "validation", "test")
    settings: dict[str, Any] = {"task": "bumps", "network": "lstm", "task_settings": {"windows": 7}}
    settings |= {"folds": folds, "repeats": repeats}
    info = {"fingerprint": "abc", "versions": {"townsend": "0"}, "sample": "5a", "trials": trials}
    write_json(run / "sweep.json", {**info, "settings": settings, "objective": {"metric": "auc", "maximise": True}})
    bumps, fits = Bumps(), []
    any_keras()
    for fold, folder in enumerate(folds_folders(run, folds)):
        seeds = [10 * fold + i for i in range(3)]  # test is the same for all
        arrays = Arrays({name: split(i) for name, i in zip(names, [*seeds, 3], strict=True)}, FACTS)
        arrays.save(folder)
        for trial, repeat in product(range(trials), range(repeats)):
            seed = 100 * trial + 10 * fold + repeat
            network = build_network("lstm", NETWORK, SHAPE, seed)
            scores = network.predict(arrays.splits["validation"].x, verbose=0).reshape(-1)
            found = bumps.evaluate(arrays, "validation", scores, None)
            metrics = {**found.metrics, "auc": Metric(0.9999, 0.0)} if trial == 0 else found.metrics
            outcome = Outcome.DEGENERATE if trial == 0 else Outcome.FINISHED
            given = {**NETWORK, **TRAINING}
            fit = FitRecord(trial, seed, given, outcome, "", 99, 3, 2, metrics, found.threshold)
            kept = {f"weight{i}": np.asarray(weight.value) for i, weight in enumerate(network.weights)}
            curves = {"loss": np.array([0.7, 0.6, 0.5]), "monitor_loss": np.array([0.7, 0.6, 0.65])}
            fits.append((replace(fit, fold=fold, repeat=repeat), {**kept, **curves}))
    write_bracket_record(run, replace(BracketRecord(0).with_fits(fits), complete=True))
    return run


@pytest.fixture(scope="session")
def bump_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three configurations, one of them degenerate."""
    return write_run(tmp_path_factory.mktemp("runs") / "bumps", trials=3)


def best_trial(run: Path) -> Mapping[str, Any]:
    fits = json.loads((run / "records" / "0000.json").read_text())["fits"]
    found: Mapping[str, Any] = max(fits[1:], key=lambda fit: fit["metrics"]["auc"][0])
    return found


def with_outcomes(run: Path, target: Path, outcome: Outcome) -> Path:
    target.mkdir()
    for path in run.rglob("*"):
        if path.is_file():
            (target / path.relative_to(run)).parent.mkdir(parents=True, exist_ok=True)
            (target / path.relative_to(run)).write_bytes(path.read_bytes())
    record = target / "records" / "0000.json"
    value = json.loads(record.read_text())
    value["fits"] = [{**fit, "outcome": outcome.value} for fit in value["fits"]]
    record.write_text(json.dumps(value))
    return target


def test_the_best_usable_network_is_taken_and_test_read_once(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    model = choose(bump_run, tmp_path / "model")
    assert model == tmp_path / "model"
    assert task.read["test"] == 1
    card, best = json.loads((model / "card.json").read_text()), best_trial(bump_run)
    assert (card["task"], card["network"], card["trial"]) == ("bumps", "lstm", best["trial"])
    assert card["threshold"] == best["threshold"]
    assert card["facts"] == {"sampling_rate_ghz": 1.0, "input": "mV"}
    assert card["validation"] == {"selection_biased": True, "metrics": best["metrics"]}
    assert (card["test"]["selection_biased"], card["test"]["examples"]) == (False, 120)
    assert card["sweep"]["configurations_compared"] == 2
    assert card["sweep"]["fingerprint"] == "abc"
    assert card["sample"] == "5a"
    assert card["input_shape"] == [6, 1]
    assert sorted(path.name for path in model.iterdir()) == [
        "README.md",
        "card.json",
        "model.keras",
        "test.npz",
        "training.npz",
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model"]  # nothing is left beside it


def test_stored_scores_are_those_behind_the_figures(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    model = choose(bump_run, tmp_path / "model")
    card = json.loads((model / "card.json").read_text())
    with np.load(model / "test.npz", allow_pickle=False) as test:
        value, error = clustered_auc(test["scores"], test["y"], test["group"])
        assert card["test"]["metrics"]["auc"] == [value, error]
        accepted = np.mean(test["scores"] >= card["threshold"])
        assert np.trapezoid(test["curve.roc.tpr"], test["curve.roc.fpr"]) == pytest.approx(value)
    assert card["test"]["metrics"]["accepted"][0] == pytest.approx(accepted)
    with np.load(model / "training.npz", allow_pickle=False) as training:
        assert training["loss"].tolist() == [0.7, 0.6, 0.5]
        assert len(training["train.scores"]) == len(training["monitor.y"]) == 120


def test_verdicts_on_the_card(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    model = choose(bump_run, tmp_path / "model")
    found = [verdict["sentence"] for verdict in json.loads((model / "card.json").read_text())["verdicts"]]
    for start in ("the rebuilt network repeats auc", "not overtrained: AUC", "test agrees", "selection-biased"):
        assert any(sentence.startswith(start) for sentence in found), start
    stream = io.StringIO()
    Console(file=stream, width=120, color_system=None).print(render_card(model))
    assert "validation" in stream.getvalue()
    assert "not overtrained" in stream.getvalue()


@pytest.mark.slow
def test_the_recipe_of_the_readme_runs_without_townsend(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    model = choose(bump_run, tmp_path / "model")
    text = (model / "README.md").read_text()
    recipe = text.split("```python\n")[1].split("```")[0]
    assert len([line for line in recipe.splitlines() if line]) == 5
    check = "import sys\nassert not any(name.startswith('townsend') for name in sys.modules)\n"
    check += "x = np.load('test.npy')\nmodel = keras.models.load_model('model.keras', safe_mode=True)\n"
    check += "assert np.allclose(model.predict(x, verbose=0)[:, 0], np.load('test.npz')['scores'], atol=1e-5)\n"
    np.save(model / "test.npy", split(3).x)
    run = subprocess.run(
        [sys.executable, "-I", "-c", recipe + check], cwd=model, capture_output=True, text=True, timeout=120
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] in ("[ True]", "[False]")
    for word in ("| auc |", "selection-biased", "`sampling_rate_ghz`: 1.0", "not a calibrated probability"):
        assert word in text


def test_a_model_folder_is_replaced_and_other_folders_are_refused(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    model = choose(bump_run, tmp_path / "model")
    (model / "figures").mkdir()
    choose(bump_run, model)
    assert not (model / "figures").exists()
    (model / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match=r"it holds thesis\.tex"):
        choose(bump_run, model)
    with pytest.raises(InputError, match="must be new, empty or made by"):
        choose(bump_run, bump_run)
    (tmp_path / "file").write_text("x")
    with pytest.raises(InputError, match="must be a folder"):
        choose(bump_run, tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert (choose(bump_run, tmp_path / "empty") / "card.json").is_file()


def test_a_failure_leaves_the_former_model(
    bump_run: Path, tmp_path: Path, task: Bumps, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = choose(bump_run, tmp_path / "model")
    before = (model / "card.json").read_bytes()

    def full_disk(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(room, "write_text", full_disk)
    with pytest.raises(OSError, match="No space left"):
        choose(bump_run, model)
    assert (model / "card.json").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_no_usable_configuration_is_refused(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    run = with_outcomes(bump_run, tmp_path / "run", Outcome.DEGENERATE)
    with pytest.raises(TownsendError, match="3 of 3 configurations: 3 degenerate"):
        choose(run, tmp_path / "model")
    assert not (tmp_path / "model").exists()
    assert task.read["test"] == 0


def test_weights_that_do_not_repeat_the_board_are_refused(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    task.shift = -0.2
    with pytest.raises(InputError, match="kept weights must repeat"):
        choose(bump_run, tmp_path / "model")
    assert task.read["test"] == 0
    assert not (tmp_path / "model").exists()


def test_the_card_says_how_much_validation_flattered(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    card = json.loads((choose(bump_run, tmp_path / "model") / "card.json").read_text())
    (before, of_before), (after, of_after) = (card[name]["metrics"]["auc"] for name in ("validation", "test"))
    found = next(v["sentence"] for v in card["verdicts"] if "whose data no fit and no choice saw" in v["sentence"])
    assert found.endswith(f"validation flattered by {shown(Metric(before - after, np.hypot(of_before, of_after)))}")


# ---- another than the best


def other_trial(run: Path) -> int:
    return 3 - int(best_trial(run)["trial"])


def test_the_reader_may_choose_another_and_the_card_says_so(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    model = choose(bump_run, tmp_path / "model", trial=other_trial(bump_run))
    card = json.loads((model / "card.json").read_text())
    assert card["trial"] == other_trial(bump_run)
    assert (card["choice"]["by"], card["choice"]["rank"]) == ("reader", 2)
    assert "the reader's choice, number 2 of 2 configurations on validation" in (model / "README.md").read_text()
    assert task.read["test"] == 1


def test_a_trial_that_cannot_be_chosen_is_refused(bump_run: Path, tmp_path: Path, task: Bumps) -> None:
    with pytest.raises(InputError, match=r"trial 0 of .* must be usable to be chosen \(it is degenerate: the network"):
        choose(bump_run, tmp_path / "model", trial=0)
    with pytest.raises(InputError, match=r"must be one whose fits have all ended in .* \(got 7\); see .* board"):
        choose(bump_run, tmp_path / "model", trial=7)
    assert task.read["test"] == 0
    assert not (tmp_path / "model").exists()


# ---- several fits of a configuration


def test_of_several_fits_the_one_in_the_middle_is_taken(tmp_path: Path, task: Bumps) -> None:
    run = write_run(tmp_path / "run", trials=2, repeats=3)
    model = choose(run, tmp_path / "model")
    card = json.loads((model / "card.json").read_text())
    fits = json.loads((run / "records" / "0000.json").read_text())["fits"]
    middle = sorted((fit for fit in fits if fit["trial"] == 1), key=lambda fit: fit["metrics"]["auc"][0])[1]
    assert (card["seed"], card["choice"]["repeat"]) == (middle["seed"], middle["repeat"])
    assert card["validation"]["metrics"]["auc"] == middle["metrics"]["auc"]
    assert any("of 3 fits of this configuration, auc" in verdict["sentence"] for verdict in card["verdicts"])


def test_a_network_of_one_fold_is_judged_on_the_arrays_of_its_fold(tmp_path: Path, task: Bumps) -> None:
    run = write_run(tmp_path / "run", trials=2, folds=3)
    model = choose(run, tmp_path / "model", retrain=False)  # raises unless the figure on the board is repeated
    card = json.loads((model / "card.json").read_text())
    assert card["choice"]["trained_on"] == "train"
    with np.load(model / "training.npz", allow_pickle=False) as training:
        assert np.array_equal(training["train.y"], split(10 * card["choice"]["fold"]).y)


def test_a_folder_that_is_no_model_has_no_card(tmp_path: Path) -> None:
    write_json(tmp_path / "card.json", {"made_by": "hand"})
    with pytest.raises(InputError, match="it has no seal"):
        render_card(tmp_path)
    write_sealed(tmp_path / "card.json", {"made_by": "hand"})
    with pytest.raises(InputError, match="must be a folder made by"):
        render_card(tmp_path)
