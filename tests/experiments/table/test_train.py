"""From a table to compared models and back to the user's files: train, evaluate, apply."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import uproot
from sklearn.metrics import roc_auc_score

from townsend.errors import ConfigError, InputError
from townsend.experiments.table.analysis_settings import DEFAULT_MODELS, load_analysis
from townsend.experiments.table.apply import apply
from townsend.experiments.table.arrays import natural_weight
from townsend.experiments.table.evaluate import evaluate, model_names, read_evaluation
from townsend.experiments.table.task import task
from townsend.experiments.table.train import train
from townsend.files import write_text
from townsend.report.figures import draw_model
from townsend.sweep.choose import choose
from townsend.sweep.coordinator import sweep
from townsend.sweep.settings import load_sweep
from townsend.tasks.base import Fold

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

MODELS = """
reference: by-hand
models:
  by-hand:
    network: cuts
    space: {selection: ["(a > low) and (b < 0.5)"], low: [0.0, 0.5]}
  network:
    network: dense
    epochs: 20
    patience: 8
    space: {layers: ["8 5"], activations: [relu sigmoid], dropout: [0.0], optimizer: [adam], batch_size: [64]}
  boosting:
    network: gradient_boosting
    space: {max_iter: [20]}
"""


@pytest.fixture(scope="session")
def trained(files, tmp_path_factory) -> Path:
    """A finished run on the weighted toy table, with cuts, a network and boosted trees; not to be changed."""
    from engine_here import open_engine_here

    folder = tmp_path_factory.mktemp("trained")
    write_text(
        folder / "analysis.yaml",
        f"""
table:
  files: {files}/all.root
  features: [a, b, noise]
  weight: w
  classes: {{background: is_signal == 0, signal: is_signal == 1}}
{MODELS}""",
    )
    settings, description = load_analysis(folder / "analysis.yaml")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("townsend.sweep.coordinator.open_engine", open_engine_here)
        return train(settings, description, folder / "run")


# ---- the task


def test_sets_are_disjoint_by_group_and_weights_of_training_have_mean_one(table):
    path = table(weight="w", group="event")
    arrays = task.prepare(path, task.settings({}), 1)
    groups = {name: set(split.group.tolist()) for name, split in arrays.splits.items()}
    assert not groups["train"] & groups["validation"]
    assert not groups["train"] & groups["test"]
    assert not groups["validation"] & groups["test"]
    assert len(arrays.splits["train"]) + len(arrays.splits["validation"]) + len(arrays.splits["test"]) == 2000
    for split in arrays.splits.values():
        assert split.weight.mean() == pytest.approx(1, abs=1e-6)
        classes = [split.weight[split.y == label].sum() for label in (0, 1)]
        assert classes[0] == pytest.approx(classes[1], rel=1e-5)
        assert split.weight.min() < 0


def test_without_weights_and_balance_no_event_has_one(table):
    arrays = task.prepare(table(), task.settings({}), 1)
    assert all(split.weight is None for split in arrays.splits.values())
    balanced = task.prepare(table(cuts="[a > 0]"), task.settings({"balance": True}), 1).splits["train"]
    assert balanced.weight[balanced.y == 0].sum() == pytest.approx(balanced.weight[balanced.y == 1].sum(), rel=1e-5)


def test_each_set_stands_for_the_whole_luminosity(table):
    classes = (
        "{background: {where: is_signal == 0, cross_section_pb: 2.0}, "
        "signal: {where: is_signal == 1, cross_section_pb: 0.5}}"
    )
    path = table(weight="w", luminosity_per_fb="10", classes=classes)
    arrays = task.prepare(path, task.settings({}), 1)
    for split in arrays.splits.values():
        assert natural_weight(split)[split.y == 0].sum() == pytest.approx(20_000, rel=1e-9)
        assert natural_weight(split)[split.y == 1].sum() == pytest.approx(5_000, rel=1e-9)


def test_folds_share_the_test_set_and_cover_the_rest(table):
    path, settings = table(), task.settings({})
    folds = [task.prepare(path, settings, 1, Fold(index, 3)) for index in range(3)]
    tests = [set(fold.splits["test"].group.tolist()) for fold in folds]
    assert tests[0] == tests[1] == tests[2]
    selects = [set(fold.splits["validation"].group.tolist()) for fold in folds]
    assert len(selects[0] | selects[1] | selects[2]) == sum(map(len, selects)) == 2000 - len(tests[0])
    assert "validation" not in task.prepare(path, settings, 1, Fold(None, 1)).splits


def test_three_classes_are_refused_in_one_sentence(table):
    path = table(classes="{x: a < 0, y: a > 1, z: a >= 0 and a <= 1}")
    with pytest.raises(InputError, match="tells two classes apart \\(got 3: x, y, z\\)"):
        task.prepare(path, task.settings({}), 1)


def test_the_same_arguments_give_the_same_bits(table):
    path = table(weight="w")
    one, other = (task.prepare(path, task.settings({}), 5) for _ in range(2))
    for name, split in one.splits.items():
        np.testing.assert_array_equal(split.x, other.splits[name].x)
        np.testing.assert_array_equal(split.weight, other.splits[name].weight)


# ---- train


def test_a_run_holds_models_comparison_figures_and_a_page(trained):
    value = read_evaluation(trained / "evaluation")
    assert list(value["models"]) == ["by-hand", "network", "boosting"]
    assert set(value["comparisons"]) == {"network", "boosting"}
    assert (trained / "report.html").is_file()
    assert (trained / "models" / "network" / "model.keras").is_file()
    assert (trained / "models" / "by-hand" / "model.cuts.json").is_file()
    lines = (trained / "evaluation" / "models.csv").read_text().splitlines()
    assert len(lines) == 4
    assert {path.name for path in (trained / "evaluation" / "figures").iterdir()} >= {
        "roc.png",
        "features.png",
        "00",
        "02",
    }


def test_networks_beat_the_cuts_and_know_that_noise_is_worth_nothing(trained):
    value = read_evaluation(trained / "evaluation")
    area = {
        name: next(row["value"] for row in one["figures"] if row["name"] == "auc")
        for name, one in value["models"].items()
    }
    assert area["by-hand"] < area["network"] - 0.03
    lost = value["models"]["boosting"]["importance"]["auc_lost"]
    assert lost["a"][0] > 3 * lost["a"][1]
    assert abs(lost["noise"][0]) < 0.05


def test_the_cuts_are_those_that_a_direct_computation_makes(trained, columns):
    scores = np.load(trained / "evaluation" / "scores.npz")
    card = json.loads((trained / "models" / "by-hand" / "card.json").read_text())
    low = card["hyperparameters"]["low"]
    arrays = task.prepare(trained / "table.yaml", task.settings({}), 1)
    x = arrays.splits["test"].x
    np.testing.assert_array_equal(scores["by-hand.scores"], ((x[:, 0] > low) & (x[:, 1] < 0.5)).astype(np.float32))
    mine = scores["weight"] * (scores["by-hand.scores"] >= card["threshold"])
    value = read_evaluation(trained / "evaluation")["models"]["by-hand"]
    signal, background = (mine[scores["label"] == label].sum() for label in (1, 0))
    np.testing.assert_allclose([pair[0] for pair in value["accepted"]], [background, signal], rtol=1e-9)


@pytest.mark.usefixtures("engine_here")
def test_a_finished_run_is_not_repeated_and_another_analysis_is_refused(trained, tmp_path):
    settings, description = load_analysis(trained / "analysis.yaml")
    before = (trained / "models" / "network" / "model.keras").stat().st_mtime_ns
    train(settings, description, trained)
    assert (trained / "models" / "network" / "model.keras").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another seed now"):
        train(settings.model_copy(update={"seed": 2}), description, trained)
    (tmp_path / "mine").mkdir()
    write_text(tmp_path / "mine" / "thesis.tex", "")
    with pytest.raises(InputError, match=r"it holds thesis\.tex"):
        train(settings, description, tmp_path / "mine")


def test_a_table_alone_has_models_of_its_own(table):
    settings, description = load_analysis(table())
    assert list(settings.models) == list(DEFAULT_MODELS)
    assert description.folder == table().parent


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (
            "models: {a: {network: dense, space: {x: [1]}, sample: mc}}",
            "must be those of a sweep",
        ),
        ("models: {'../a': {network: dense, space: {x: [1]}}}", "names of models must be made of letters"),
        ("models: {a: {network: cuts, space: {x: [1]}}}\nreference: b", "reference must be one of the models"),
        ("models: {a: {network: cuts, space: {x: [1]}}}\nmodles: 1", 'did you mean "models"'),
    ],
)
def test_an_analysis_that_makes_no_sense_is_refused(tmp_path, text, sentence):
    write_text(tmp_path / "analysis.yaml", text)
    with pytest.raises(ConfigError, match=sentence):
        load_analysis(tmp_path / "analysis.yaml", tmp_path)


@pytest.mark.usefixtures("engine_here")
@pytest.mark.parametrize(
    ("network", "space"),
    [
        ("logistic", "{C: [1.0]}"),
        ("dense", '{layers: ["8"], activations: [relu softmax], dropout: [0], optimizer: [adam], batch_size: [64]}'),
    ],
)
def test_three_classes_are_told_apart(table, tmp_path, network, space):
    path = table(
        classes="{left: a + noise < -0.7, middle: a + noise >= -0.7 and a + noise < 1.5, right: a + noise >= 1.5}"
    )
    text = f"task: table-classes\nnetwork: {network}\nepochs: 6\nspace: {space}\n"
    write_text(tmp_path / "sweep.yaml", text)
    run = sweep(load_sweep(tmp_path / "sweep.yaml", {"sample": str(path)}), tmp_path / "run")
    model = draw_model(choose(run, tmp_path / "model")).parent
    card = json.loads((model / "card.json").read_text())
    value, error = card["test"]["metrics"]["auc_ovr_macro"]
    test = np.load(model / "test.npz")
    assert test["scores"].shape == (len(test["y"]), 3)
    np.testing.assert_allclose(test["scores"].sum(axis=1), 1, atol=1e-5)
    rows = test["scores"] / test["scores"].sum(axis=1)[:, None]
    assert value == pytest.approx(roc_auc_score(test["y"], rows, multi_class="ovr"), abs=1e-5)
    assert value > (0.97 if network == "logistic" else 0.8)
    assert 0 < error < 0.05


# ---- apply


@pytest.mark.parametrize("name", ["network", "boosting", "by-hand"])
def test_scores_lie_beside_the_input_entry_by_entry(trained, files, columns, tmp_path, name):
    model = trained / "models" / name
    [root, text] = apply(model, [f"{files}/all.root", f"{files}/all.csv"], tmp_path)
    found = uproot.open(root.path)["scores"].arrays(library="np")
    assert root.entries == len(found["score"]) == 2000
    table = np.genfromtxt(text.path, delimiter=",", names=True)
    np.testing.assert_allclose(table["score"], found["score"], rtol=1e-6)
    card = json.loads((model / "card.json").read_text())
    np.testing.assert_array_equal(found["label"], found["score"] >= card["threshold"])
    if name != "by-hand":
        assert roc_auc_score(columns["is_signal"], found["score"]) > 0.85
    stored = np.load(model / "test.npz")
    arrays = task.prepare(trained / "table.yaml", task.settings({}), 1)
    np.testing.assert_allclose(found["score"][arrays.splits["test"].group], stored["scores"], rtol=1e-5, atol=1e-7)


@pytest.mark.usefixtures("engine_here")
def test_entries_that_fail_the_cuts_or_have_no_number_are_kept_and_marked(table, files, tmp_path):
    path = table(cuts="[b < 1]", features="{a: a, root: sqrt(noise)}")
    write_text(
        tmp_path / "analysis.yaml",
        "table: table.yaml\nmodels: {trees: {network: gradient_boosting, space: {max_iter: [5]}}}",
    )
    path.write_text(path.read_text().replace("[b < 1]", "[b < 1, noise >= 0]"))
    settings, description = load_analysis(tmp_path / "analysis.yaml")
    train(settings, description, tmp_path / "run")
    [found] = apply(tmp_path / "run" / "models" / "trees", [f"{files}/all.root"], tmp_path / "scores")
    scores = uproot.open(found.path)["scores"].arrays(library="np")
    given = uproot.open(files / "all.root")["events"].arrays(library="np")
    np.testing.assert_array_equal(np.isnan(scores["score"]), given["noise"] < 0)
    np.testing.assert_array_equal(scores["label"] == -1, given["noise"] < 0)
    np.testing.assert_array_equal(scores["selected"] == 1, (given["b"] < 1) & (given["noise"] >= 0))
    assert (found.selected, found.without) == (int(scores["selected"].sum()), int((given["noise"] < 0).sum()))


@pytest.mark.usefixtures("engine_here")
def test_friends_in_other_files_are_not_joined_to_what_they_do_not_belong_to(table, files, columns, tmp_path):
    with uproot.recreate(tmp_path / "more.root") as file:
        file["more"] = {"c": columns["noise"]}
    path = table(friends="[{files: more.root, tree: more}]", features="[a, c]")
    write_text(tmp_path / "sweep.yaml", "task: table\nnetwork: gradient_boosting\nspace: {max_iter: [3]}\n")
    run = sweep(load_sweep(tmp_path / "sweep.yaml", {"sample": str(path)}), tmp_path / "run")
    with pytest.raises(InputError, match="some are from friends in others"):
        apply(choose(run, tmp_path / "model"), [f"{files}/all.root"], tmp_path / "scores")


def test_apply_refuses_what_it_cannot_read_in_one_sentence(trained, files, tmp_path):
    write_text(tmp_path / "other.csv", "a,noise\n1,2\n")
    with pytest.raises(InputError, match='must have a column "b"'):
        apply(trained / "models" / "network", [str(tmp_path / "other.csv")], tmp_path / "out")
    (tmp_path / "sub").mkdir()
    write_text(tmp_path / "sub" / "other.csv", "a,b,noise\n1,2,3\n")
    write_text(tmp_path / "other.csv", "a,b,noise\n1,2,3\n")
    with pytest.raises(InputError, match="inputs must have different names"):
        apply(
            trained / "models" / "network", [str(tmp_path / "other.csv"), str(tmp_path / "sub" / "other.csv")], tmp_path
        )
    with pytest.raises(InputError, match="files must exist"):
        apply(trained / "models" / "network", [str(tmp_path / "none-*.csv")], tmp_path / "out")


# ---- evaluate


def test_another_table_is_judged_whole_with_its_own_weights(trained, table, columns, tmp_path):
    other = table(weight="abs(w)")
    folder = evaluate(model_names([trained / "models" / "boosting"]), tmp_path / "out", table=other)
    value = read_evaluation(folder)
    scores = np.load(folder / "scores.npz")
    assert len(scores["label"]) == 2000
    direct = roc_auc_score(columns["is_signal"], scores["boosting.scores"], sample_weight=np.abs(columns["w"]))
    found = next(row["value"] for row in value["models"]["boosting"]["figures"] if row["name"] == "auc")
    assert found == pytest.approx(direct, abs=1e-12)
    assert value["models"]["boosting"]["overtraining"] is None


def test_trained_again_on_parts_and_without_features(trained, tmp_path):
    folder = evaluate(model_names([trained / "models" / "boosting"]), tmp_path / "out", retrain=True)
    found = read_evaluation(folder)["models"]["boosting"]["trained_again"]
    sizes = [point[0] for point in found["learning_curve"]]
    assert sizes == [50, 100, 200, 400, 800]
    assert found["learning_curve"][-1][2][0] > found["learning_curve"][0][2][0]
    assert found["auc_lost_without"]["a"][0] > 0.05
    assert abs(found["auc_lost_without"]["noise"][0]) < 0.03
    assert {path.name for path in (folder / "figures" / "00").iterdir()} >= {
        "learning-curve.png",
        "importance-retrained.png",
    }


def test_what_cannot_be_trained_again_is_refused(trained, table, tmp_path):
    with pytest.raises(InputError, match="it is a selection by cuts"):
        evaluate(model_names([trained / "models" / "by-hand"]), tmp_path / "out", retrain=True)
    boosting = model_names([trained / "models" / "boosting"])
    with pytest.raises(InputError, match="on their own table only"):
        evaluate(boosting, tmp_path / "out", table=table(weight="w"), retrain=True)
    with pytest.raises(InputError, match=r'projections must be known ones .*did you mean "tsne"'):
        evaluate(boosting, tmp_path / "out", projections=["tnse"])


def test_a_label_in_disguise_is_pointed_out(trained, table, tmp_path):
    honest = read_evaluation(trained / "evaluation")
    assert honest["verdicts"] == []
    disguised = table(features="{a: a + 20 * is_signal, b: b, noise: noise}")
    folder = evaluate(model_names([trained / "models" / "boosting"]), tmp_path / "out", table=disguised)
    [found] = read_evaluation(folder)["verdicts"]
    assert not found["ok"]
    assert 'feature "a" alone tells signal from background with an AUC of 1.0000' in found["sentence"]


def test_models_that_cannot_be_compared_are_refused(trained, table, tmp_path):
    with pytest.raises(InputError, match="must have the classes and features of the models"):
        evaluate(model_names([trained / "models" / "boosting"]), tmp_path / "out", table=table(features="[a, b]"))
    with pytest.raises(InputError, match="each model must be named once"):
        model_names([trained / "models" / "boosting", trained / "models" / "boosting"])
    names = model_names([Path("x/models/a"), Path("y/models/a")])
    assert list(names) == ["a", "models/a"]
