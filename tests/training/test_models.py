"""Whatever a sweep trains: what a configuration needs, who trains it, and a user's network with its layers kept."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError, TownsendError
from townsend.networks.build_file import BuildFile, load_build, network_of
from townsend.networks.estimators import ESTIMATORS
from townsend.networks.stored import forward
from townsend.tasks.base import Arrays, Split
from townsend.training.build_trainer import BuildTrainer
from townsend.training.cuts_trainer import CutsTrainer
from townsend.training.estimator_trainer import EstimatorTrainer
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.models import (
    check_arrays,
    check_batch,
    check_configuration,
    check_given,
    cost,
    group,
    known,
    make_trainer,
    needed,
)
from townsend.training.progress import Trainer
from townsend.training.records import Fit, Outcome, Rung
from townsend.training.torch_trainer import TorchTrainer

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LOSS = "binary_crossentropy"
SETTINGS = TrainSettings(4, 4)
LSTM = {"topology": "4 3 1", "activations": "relu sigmoid", "dropout": 0.0}
PLAIN: dict[str, Any] = {"optimizer": "adam", "batch_size": 20}
TEXT = """\
import keras


def build(hp):
    x = inputs = keras.Input(hp.input_shape)
    x = keras.layers.Dense(hp["units"], activation="relu")(keras.layers.Flatten()(x))
    return keras.Model(inputs, keras.layers.Dense(1, activation="sigmoid")(x))
"""


@pytest.fixture
def build(tmp_path: Path) -> BuildFile:
    (tmp_path / "mine.py").write_text(TEXT)
    return load_build(tmp_path / "mine.py")


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    def split(seed: int) -> Split:
        y = (np.arange(100) % 2).astype(np.float32)
        x = np.random.default_rng(seed).normal(size=(100, 6, 1)).astype(np.float32)
        x[:, 2, 0] += 2 * y
        return Split(x, y, np.arange(100, dtype=np.int32))

    return Arrays({"train": split(1), "monitor": split(2)}, {})


def of_keras(make: Any) -> Trainer:
    """The trainer of Keras networks, which takes its networks from `make`."""
    return KerasTrainer(make, LOSS, SETTINGS)


def test_each_network_has_its_trainer(build: BuildFile) -> None:
    def kind(network: str, build: BuildFile | None = None) -> type:
        return type(make_trainer(network, LOSS, SETTINGS, build, of_keras))

    assert kind("lstm") is KerasTrainer
    assert kind("random_forest") is EstimatorTrainer
    assert kind("cuts") is CutsTrainer
    assert kind("build", build) is BuildTrainer
    assert kind("torch", build) is TorchTrainer


@pytest.mark.parametrize(
    ("network", "given", "rule"),
    [
        ("build", False, 'network "build" needs the file that builds it .*--build FILE.py'),
        ("torch", False, 'network "torch" needs the file'),
        ("lstm", True, '--build is for network "build" or "torch" .*got "lstm"'),
        ("mlp", True, "--build is for network"),
        ("cuts", True, "--build is for network"),
        ("random_forrest", False, 'did you mean "random_forest"'),
        ("mine.py", False, "network must be a known family"),
    ],
)
def test_file_is_given_where_and_only_where_it_is_due(build: BuildFile, network: str, given: bool, rule: str) -> None:
    with pytest.raises(TownsendError, match=rule):
        check_given(network, build if given else None)


def test_what_a_configuration_needs() -> None:
    assert set(needed("lstm")) == {*PLAIN, *LSTM}
    assert needed("build") == needed("torch") == ("optimizer", "batch_size")
    assert {needed(family) for family in ESTIMATORS} == {()}
    assert needed("cuts") == ("selection",)


def test_what_a_configuration_may_have() -> None:
    assert {"l1", "topology", "dropout"} <= set(known("lstm") or ())
    assert "n_estimators" in (known("random_forest") or ())
    assert known("build") is known("torch") is known("cuts") is None


def test_configurations_are_checked_by_what_trains_them() -> None:
    check_configuration("lstm", {**PLAIN, **LSTM}, LOSS)
    check_configuration("mlp", {"alpha": 0.1}, LOSS)
    check_configuration("linear", {"alpha": 0.1}, "mse")
    check_configuration("cuts", {"selection": "p > low", "low": 0.1}, LOSS)
    check_configuration("build", {**PLAIN, "whatever": 1, "l1": 0.1}, LOSS)
    check_configuration("torch", {**PLAIN, "whatever": 1}, LOSS)
    for network, configuration in (
        ("lstm", PLAIN),
        ("mlp", PLAIN | {"alpha": -1.0}),
        ("cuts", {"selection": "p > 0", "low": 0.1}),
        ("build", {"units": 3}),
        ("build", {**PLAIN, "optimizer": "adamm"}),
        ("build", {**PLAIN, "loss": "huber"}),
        ("torch", {**PLAIN, "l1": 0.1}),
    ):
        with pytest.raises(ConfigError):
            check_configuration(network, configuration, LOSS)
    for network, configuration in (("logistic", {}), ("likelihood", {}), ("cuts", {"selection": "p > 0"})):
        with pytest.raises(ConfigError, match=f'"{network}" needs a task that tells classes apart'):
            check_configuration(network, configuration, "mse")


def test_batch_must_fit_the_sample_where_there_are_batches() -> None:
    check_batch("random_forest", {}, 1)
    check_batch("cuts", {"selection": "p > 0"}, 1)
    check_batch("torch", PLAIN, 20)
    with pytest.raises(ConfigError, match="batch_size must fit the sample"):
        check_batch("build", PLAIN, 19)


def test_what_arrays_do_not_allow_is_known_before_training(arrays: Arrays) -> None:
    x, y = arrays.splits["train"].x[:, :2, 0], arrays.splits["train"].y
    weight = np.where(np.arange(100) % 4, 2.0, -2.0).astype(np.float32)
    train = Split(x, y, np.arange(100, dtype=np.int32), weight=weight)
    named = Arrays({"train": train}, {"features": ["pt", "met"]})
    check_arrays("cuts", {"selection": "pt > low", "low": 3}, LOSS, named)
    check_arrays("logistic", {}, LOSS, named)
    check_arrays("dense", {}, LOSS, named)
    with pytest.raises(ConfigError, match=r'`ptt` is neither; did you mean "pt"'):
        check_arrays("cuts", {"selection": "ptt > low", "low": 3}, LOSS, named)
    with pytest.raises(InputError, match="cuts need a table whose columns have names"):
        check_arrays("cuts", {"selection": "pt > low", "low": 3}, LOSS, arrays)
    with pytest.raises(InputError, match="random_forest must have training weights of at least 0"):
        check_arrays("random_forest", {}, LOSS, named)


def test_groups_share_shapes_and_costs_are_compared() -> None:
    assert group("mlp", {"alpha": 1.0}) == group("mlp", {})
    assert group("build", {**PLAIN, "units": 3}) != group("build", {**PLAIN, "units": 4})
    assert group("build", {**PLAIN, "units": 3, "learning_rate": 0.1}) == group("build", {**PLAIN, "units": 3})
    assert group("lstm", {**PLAIN, **LSTM}) == group("lstm", {**PLAIN, **LSTM, "dropout": 0.5})
    assert cost("random_forest", {"n_estimators": 500}) > cost("random_forest", {})
    assert cost("build", PLAIN) == cost("torch", PLAIN)
    assert cost("lstm", {**PLAIN, **LSTM}) > 0


def test_users_network_trains_like_any_and_keeps_its_layers(build: BuildFile, arrays: Arrays) -> None:
    trainer = make_trainer("build", LOSS, SETTINGS, build, of_keras)
    fit = Fit(0, 5, {**PLAIN, "units": 4})
    ((_, rest),) = trainer.advance([(fit, None)], [arrays], Rung(2))
    ((_, end),) = trainer.advance([(fit, rest)], [arrays], Rung(1 << 62))
    ((_, at_once),) = of_keras(build.make).advance([(fit, None)], [arrays], Rung(1 << 62))
    assert (rest.outcome, end.outcome) == (None, Outcome.FINISHED)
    assert (end.epochs, end.parameters) == (4, 6 * 4 + 4 + 4 + 1)
    for kept, expected in zip(end.weights[1:], at_once.weights, strict=True):
        np.testing.assert_array_equal(kept, expected)
    build.path.unlink()
    network = network_of(end.weights[0].tobytes())
    network.set_weights(list(end.weights[1:]))
    x = arrays.splits["monitor"].x
    np.testing.assert_array_equal(forward(network, x), trainer.scores(fit, end, x, [arrays]))
    assert trainer.packs([fit], [arrays]) == [[fit]]


def test_torch_without_its_file_says_what_to_do() -> None:
    with pytest.raises(InputError, match=r"--build FILE\.py"):
        make_trainer("torch", LOSS, SETTINGS, None, of_keras)
