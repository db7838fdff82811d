"""More than two classes: one probability a class, from the training of a network or estimator to its stored model."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from townsend.errors import ConfigError, InputError
from townsend.networks.build_file import load_build
from townsend.networks.family import build_network
from townsend.networks.stored import forward
from townsend.sweep.chosen import open_chosen, rebuild, save_model
from townsend.tasks.base import Arrays, Split
from townsend.training.figure import rung_figure
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.losses import MULTICLASS, is_classification, known, outputs_of
from townsend.training.models import check_arrays, check_configuration, make_trainer
from townsend.training.records import Fit, FitRecord, Outcome, Rung

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

FACTS: dict[str, Any] = {
    "classes": ["WZ", "ZZ", "ttZ"],
    "scaling": {"mean": [100.0, 0.0, -2.0, 5.0], "scale": [30.0, 1.0, 0.5, 2.0]},
}
SETTINGS = TrainSettings(25, 25)
DENSE: dict[str, Any] = {"layers": "5", "activations": "tanh softmax", "dropout": 0.0}
GIVEN: dict[str, Any] = {"optimizer": "adam", "batch_size": 30, "learning_rate": 0.03}
BUILD = """\
import keras


def build(hp):
    layers = [keras.layers.Dense(4, "tanh"), keras.layers.Dense(hp.outputs, "softmax")]
    return keras.Sequential([keras.Input(hp.input_shape), *layers])
"""


def events(seed: int, count: int = 150) -> Split:
    random = np.random.default_rng(seed)
    y = np.arange(count) % 3
    inside = random.normal(size=(count, 4))
    inside[:, 0] += 1.5 * y
    inside[:, 1] += 2 * (y == 1)
    x = inside * FACTS["scaling"]["scale"] + FACTS["scaling"]["mean"]
    weight = np.where(random.random(count) < 0.1, -1.0, 1.0)
    weight /= weight.mean()
    return Split(
        x.astype(np.float32), y.astype(np.float32), np.arange(count, dtype=np.int32), weight=weight.astype(np.float32)
    )


ARRAYS = Arrays({"train": events(1), "monitor": events(2)}, FACTS)


@pytest.mark.parametrize(
    ("network", "hyperparameters"),
    [
        ("dense", {**GIVEN, **DENSE}),
        ("build", GIVEN),
        ("logistic", {}),
        ("likelihood", {"density": "gauss"}),
        ("mlp", {"hidden_layer_sizes": "4", "solver": "lbfgs", "max_iter": 30}),
        ("random_forest", {"n_estimators": 10, "max_depth": 4}),
        ("gradient_boosting", {"max_iter": 5}),
    ],
)
def test_model_gives_a_probability_a_class_and_is_stored_so(
    network: str, hyperparameters: dict[str, Any], tmp_path: Path
) -> None:
    build = None
    arrays = ARRAYS
    if network == "build":
        (tmp_path / "mine.py").write_text(BUILD)
        build = load_build(tmp_path / "mine.py")
    if network == "random_forest":  # which takes no negative weights
        arrays = Arrays({n: Split(s.x, s.y, s.group) for n, s in ARRAYS.splits.items()}, FACTS)
    check_configuration(network, hyperparameters, MULTICLASS)
    check_arrays(network, hyperparameters, MULTICLASS, arrays)
    trainer = make_trainer(network, MULTICLASS, SETTINGS, build, lambda make: KerasTrainer(make, MULTICLASS, SETTINGS))
    fit, monitor = Fit(3, 11, hyperparameters), arrays.splits["monitor"]
    ((_, progress),) = trainer.advance([(fit, None)], [arrays], Rung(1 << 62))
    scores = trainer.scores(fit, progress, monitor.x, [arrays])
    assert scores.shape == (150, 3)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores.sum(axis=1), 1, rtol=1e-5)
    figure = np.mean(
        [rung_figure("binary_crossentropy", scores[:, k], monitor.y == k, monitor.weight) for k in range(3)]
    )
    assert progress.figure == pytest.approx(figure)
    assert progress.figure > 0.85
    of_class = scores[np.arange(150), monitor.y.astype(int)]
    expected = -np.average(np.log(np.clip(of_class, 1e-7, 1)), weights=monitor.weight)
    assert progress.curves["monitor_loss"][progress.best_epoch - 1] == pytest.approx(expected, rel=1e-3)
    if "monitor_accuracy" in progress.curves:
        right = np.average(scores.argmax(axis=1) == monitor.y, weights=monitor.weight)
        assert progress.curves["monitor_accuracy"][progress.best_epoch - 1] == pytest.approx(right)

    record = FitRecord(3, 11, hyperparameters, Outcome.FINISHED)
    model = rebuild(network, record, progress.weights, (4,), build, FACTS, outputs=3)
    path = save_model(model, tmp_path)
    write_card(tmp_path, hyperparameters, outputs=3)
    for one in (model, open_chosen(tmp_path, "events", multiclass=True).network):
        np.testing.assert_allclose(forward(one, monitor.x), scores, rtol=0, atol=1e-6)
    with pytest.raises(InputError, match="must hold a model that gives one number"):
        open_chosen(tmp_path, "events")
    write_card(tmp_path, hyperparameters)
    with pytest.raises(InputError, match=path.name.replace(".", r"\.")):
        open_chosen(tmp_path, "events")


def write_card(folder: Path, hyperparameters: dict[str, Any], **changed: Any) -> None:
    from townsend.files import write_sealed
    from townsend.sweep.card import MADE_BY

    card = {"made_by": MADE_BY, "task": "events", "input_shape": [4], "hyperparameters": hyperparameters}
    write_sealed(folder / "card.json", {**card, "seed": 11, "build_sha256": "", "facts": FACTS, **changed})


@pytest.mark.slow
def test_epoch_of_a_network_for_classes_is_that_of_keras() -> None:
    train = Split(*(getattr(events(1), name) for name in ("x", "y", "group")))
    plain = Arrays({"train": train, "monitor": train}, {"classes": FACTS["classes"]})
    hyperparameters = {**GIVEN, **DENSE, "optimizer": "sgd", "batch_size": "all", "learning_rate": 1e-3}
    trainer = KerasTrainer(partial(build_network, "dense"), MULTICLASS, TrainSettings(1, 1))
    fit = Fit(0, 5, hyperparameters)
    ((_, done),) = trainer.advance([(fit, None)], [plain], Rung(9))
    theirs = build_network("dense", DENSE, (4,), 5, 3)
    assert theirs.count_params() == 4 * 5 + 5 + 5 * 3 + 3 == done.parameters
    theirs.compile(optimizer=keras.optimizers.SGD(1e-3), loss=MULTICLASS, metrics=["accuracy"])
    history = theirs.fit(train.x, train.y, batch_size=150, shuffle=False, verbose=0).history
    for one, two in zip(done.weights, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)
    assert done.curves["loss"][0] == pytest.approx(history["loss"][0], rel=1e-5)
    assert done.curves["accuracy"][0] == pytest.approx(history["accuracy"][0], abs=1e-6)


def test_figure_is_the_mean_of_one_against_all_others() -> None:
    random = np.random.default_rng(0)
    y = random.integers(0, 3, 60)
    scores = random.dirichlet([1, 1, 1], 60).astype(np.float32).round(1)
    expected = np.mean([roc_auc_score(y == k, scores[:, k]) for k in range(3)])
    assert rung_figure(MULTICLASS, scores, y.astype(np.float32)) == pytest.approx(expected)
    assert np.isnan(rung_figure(MULTICLASS, scores, np.minimum(y, 1).astype(np.float32)))


def test_loss_is_a_classification_with_one_loss_and_named_classes() -> None:
    assert is_classification(MULTICLASS)
    assert known(MULTICLASS) == (MULTICLASS,)
    assert outputs_of(MULTICLASS, FACTS) == 3
    assert outputs_of("binary_crossentropy", FACTS) == outputs_of("mse", {}) == 1
    for facts in ({}, {"classes": ["a", "b"]}):
        with pytest.raises(InputError, match="needs the names of 3 classes or more in its facts"):
            outputs_of(MULTICLASS, facts)
    with pytest.raises(ConfigError, match="loss must be one of a classification"):
        check_configuration("dense", {**GIVEN, **DENSE, "loss": "hinge"}, MULTICLASS)


@pytest.mark.parametrize(
    ("network", "hyperparameters", "loss", "rule"),
    [
        ("dense", {**GIVEN, **DENSE, "activations": "relu sigmoid"}, MULTICLASS, "must end in softmax"),
        ("dense", {**GIVEN, **DENSE}, "binary_crossentropy", 'must end in softmax .*write "relu sigmoid"'),
        ("dense", {**GIVEN, **DENSE, "activations": "softmax softmax"}, MULTICLASS, 'known ones .got "softmax"'),
        ("dense", {**GIVEN, **DENSE, "activations": "softmax"}, MULTICLASS, "must be two names"),
        ("lstm", {**GIVEN, "topology": "3 2 1", "activations": "relu sigmoid", "dropout": 0.0}, MULTICLASS, "dense"),
        ("linear", {}, MULTICLASS, 'network "linear" tells no more than two classes apart'),
        ("gaussian_process", {}, MULTICLASS, "choose dense, logistic"),
        ("cuts", {"selection": "p > 0"}, MULTICLASS, "no more than two classes"),
        ("torch", GIVEN, MULTICLASS, "no more than two classes"),
    ],
)
def test_what_cannot_tell_classes_apart_is_refused(
    network: str, hyperparameters: dict[str, Any], loss: str, rule: str
) -> None:
    with pytest.raises(ConfigError, match=rule):
        check_configuration(network, hyperparameters, loss)


def test_each_class_must_be_there() -> None:
    train = events(1)
    train.y[train.y == 1] = 0
    with pytest.raises(
        InputError, match=r"examples of each of the 3 classes, numbered from 0 \(got the numbers 0, 2\)"
    ):
        check_arrays("logistic", {}, MULTICLASS, Arrays({"train": train}, FACTS))
