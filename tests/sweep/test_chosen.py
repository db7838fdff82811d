"""Chosen models of every kind: rebuilt from what a fit kept, stored, and opened again to the same bits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.files import write_sealed
from townsend.networks.build_file import BuildFile, architecture_json, load_build
from townsend.networks.cuts import make_cuts
from townsend.networks.family import build_network
from townsend.networks.stored import forward
from townsend.networks.stored_estimator import Estimator
from townsend.sweep.card import MADE_BY
from townsend.sweep.chosen import Chosen, model_file, open_chosen, rebuild, save_model
from townsend.tasks.base import Arrays, Split
from townsend.training.estimator_trainer import EstimatorTrainer
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.models import make_trainer
from townsend.training.records import Fit, FitRecord, Outcome, Rung

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SHAPE = (6, 1)
X = np.random.default_rng(0).normal(size=(80, *SHAPE)).astype(np.float32)
Y = (X[:, 1, 0] > 0).astype(np.float32)
LSTM = {"topology": "4 3 1", "activations": "relu sigmoid", "dropout": 0.0}
PLAIN: dict[str, Any] = {"optimizer": "adam", "batch_size": 20}
KERAS = """\
import keras


def build(hp):
    layers = [keras.layers.Flatten(), keras.layers.Dense(hp["units"]), keras.layers.Dense(1)]
    return keras.Sequential(layers)
"""
TORCH = """\
import torch


def build(hp):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(6, hp["units"]), torch.nn.Linear(hp["units"], 1))
"""


def record(hyperparameters: dict[str, Any]) -> FitRecord:
    return FitRecord(3, 11, hyperparameters, Outcome.FINISHED)


def write_card(folder: Path, hyperparameters: dict[str, Any], **changed: Any) -> None:
    card = {"made_by": MADE_BY, "task": "peaks", "input_shape": list(SHAPE), "hyperparameters": hyperparameters}
    write_sealed(folder / "card.json", {**card, "seed": 11, "build_sha256": "", **changed})


def applied(network: Any) -> Any:
    return network.scores(X) if hasattr(network, "scores") else forward(network, X)


def opened(folder: Path, network: Any, hyperparameters: dict[str, Any], build: BuildFile | None = None) -> Chosen:
    """Store a model with a card, and open it again."""
    path = save_model(network, folder)
    assert model_file(folder) == path
    write_card(folder, hyperparameters, build_sha256=build.sha256 if build else "")
    chosen = open_chosen(folder, "peaks", build)
    assert tuple(chosen.network.input_shape) == (None, *SHAPE)
    return chosen


def file(folder: Path, text: str) -> BuildFile:
    (folder / "mine.py").write_text(text)
    return load_build(folder / "mine.py")


def forest() -> tuple[FitRecord, list[Any]]:
    fit = Fit(3, 11, {"n_estimators": 3})
    split = Split(X, Y, np.arange(len(X), dtype=np.int32))
    arrays = Arrays({"train": split, "monitor": split}, {})
    ((_, progress),) = EstimatorTrainer("random_forest", "binary_crossentropy").advance(
        [(fit, None)], [arrays], Rung(1)
    )
    return record(dict(fit.hyperparameters)), list(progress.weights)


def test_network_of_a_family(tmp_path: Path) -> None:
    hyperparameters = {**PLAIN, **LSTM}
    trained = build_network("lstm", LSTM, SHAPE, 5)
    network = rebuild("lstm", record(hyperparameters), trained.get_weights(), SHAPE)
    np.testing.assert_array_equal(applied(network), applied(trained))
    np.testing.assert_array_equal(applied(opened(tmp_path, network, hyperparameters).network), applied(trained))
    with pytest.raises(InputError, match="weights of trial 3 must fit its network"):
        rebuild("lstm", record(hyperparameters), trained.get_weights()[1:], SHAPE)


def test_estimator(tmp_path: Path) -> None:
    of_forest, weights = forest()
    network = rebuild("random_forest", of_forest, weights, SHAPE)
    assert isinstance(network, Estimator)
    np.testing.assert_array_equal(applied(opened(tmp_path, network, {}).network), applied(network))
    assert (tmp_path / "model.skops").is_file()


def test_users_keras_network_needs_no_file_any_more(tmp_path: Path) -> None:
    build = file(tmp_path, KERAS)
    trained = build.make({"units": 3}, SHAPE, 5)
    layers = np.frombuffer(architecture_json(trained), np.uint8)
    build.path.unlink()
    hyperparameters = {**PLAIN, "units": 3}
    network = rebuild("build", record(hyperparameters), [layers, *trained.get_weights()], SHAPE)
    np.testing.assert_array_equal(applied(opened(tmp_path, network, hyperparameters).network), applied(trained))


def test_users_torch_module_needs_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    from townsend.networks.torch_module import TorchNetwork, arrays_of

    build = file(tmp_path, TORCH)
    trained = TorchNetwork(build.make({"units": 3}, SHAPE, 5), SHAPE)
    hyperparameters = {**PLAIN, "units": 3}
    with pytest.raises(InputError, match="needs the file that builds it"):
        rebuild("torch", record(hyperparameters), arrays_of(trained.module), SHAPE)
    network = rebuild("torch", record(hyperparameters), arrays_of(trained.module), SHAPE, build)
    np.testing.assert_array_equal(applied(opened(tmp_path, network, hyperparameters, build).network), applied(trained))
    with pytest.raises(InputError, match=r"say --build FILE\.py"):
        open_chosen(tmp_path, "peaks")
    with pytest.raises(InputError, match="must be opened with the file that its sweep was made with"):
        open_chosen(tmp_path, "peaks", file(tmp_path, TORCH + "# changed\n"))
    (tmp_path / "model.npz").write_bytes(b"torn")
    with pytest.raises(InputError, match="must be an archive as"):
        open_chosen(tmp_path, "peaks", build)


TABLE = (6,)
FACTS: dict[str, Any] = {
    "features": ["p", "theta", "phi", "dedx", "preshower", "fcal"],
    "scaling": {"mean": [3.0, 9.0, 0.1, 2e-6, 0.05, -1.5], "scale": [2.0, 7.5, 1.8, 5e-7, 0.1, 0.9]},
}
INSIDE = np.random.default_rng(1).normal(size=(90, 6))
RAW = (INSIDE * FACTS["scaling"]["scale"] + FACTS["scaling"]["mean"]).astype(np.float32)
TABLE_ARRAYS = Arrays(
    {
        name: Split(RAW, (INSIDE[:, 0] + INSIDE[:, 4] > 0).astype(np.float32), np.arange(90, dtype=np.int32))
        for name in ("train", "monitor")
    },
    FACTS,
)
DENSE = {"layers": "8 5", "activations": "relu sigmoid", "dropout": 0.0, "epochs": 2}
FLAT_TORCH = """\
import torch


def build(hp):
    return torch.nn.Sequential(torch.nn.Linear(6, hp["units"]), torch.nn.Tanh(), torch.nn.Linear(hp["units"], 1))
"""


@pytest.mark.parametrize(
    ("network", "hyperparameters"),
    [
        ("dense", {**PLAIN, **DENSE}),
        ("torch", {**PLAIN, "units": 3, "epochs": 2}),
        ("mlp", {"hidden_layer_sizes": "4", "max_iter": 20}),
        ("linear", {}),
        ("random_forest", {"n_estimators": 3}),
        ("cuts", {"selection": "p > low and fcal < high", "low": 1.5, "high": 0}),
    ],
)
def test_stored_model_of_a_table_takes_raw_numbers_and_repeats_the_scores_of_its_trainer(
    network: str, hyperparameters: dict[str, Any], tmp_path: Path
) -> None:
    if network == "torch":
        pytest.importorskip("torch")
        pytest.importorskip("skorch")
    build = file(tmp_path, FLAT_TORCH) if network == "torch" else None
    train = TrainSettings(2, 2)
    loss = "mean_squared_error" if network == "torch" else "binary_crossentropy"
    trainer = make_trainer(network, loss, train, build, lambda make: KerasTrainer(make, loss, train))
    fit = Fit(3, 11, hyperparameters)
    ((_, progress),) = trainer.advance([(fit, None)], [TABLE_ARRAYS], Rung(1 << 62))
    expected = trainer.scores(fit, progress, RAW, [TABLE_ARRAYS])
    assert np.ptp(expected) > 0
    model = rebuild(network, record(hyperparameters), progress.weights, TABLE, build, FACTS)
    save_model(model, tmp_path)
    sha256 = build.sha256 if build else ""
    write_card(tmp_path, hyperparameters, input_shape=list(TABLE), facts=FACTS, build_sha256=sha256)
    chosen = open_chosen(tmp_path, "peaks", build)
    assert tuple(chosen.network.input_shape) == (None, *TABLE)
    for one in (model, chosen.network):
        np.testing.assert_allclose(forward(one, RAW), expected, rtol=0, atol=1e-6)
    if network == "dense":
        assert progress.parameters == chosen.network.count_params() == 107
    if network == "cuts":
        passed = (RAW[:, 0].astype(float) > 1.5) & (RAW[:, 5] < 0)
        np.testing.assert_array_equal(forward(chosen.network, RAW), passed)
        assert model_file(tmp_path).name == "model.cuts.json"


def test_cuts_for_other_features_than_the_card_says_are_refused(tmp_path: Path) -> None:
    save_model(make_cuts({"selection": "p > 1"}, ["p", "q"], (2,)), tmp_path)
    write_card(tmp_path, {}, input_shape=[3])
    with pytest.raises(InputError, match=r"model\.cuts\.json must take the input its card says"):
        open_chosen(tmp_path, "peaks")


def test_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    of_forest, weights = forest()
    save_model(rebuild("random_forest", of_forest, weights, SHAPE), tmp_path)
    for changed, rule in (
        ({"made_by": "another"}, "must be a folder made by"),
        ({"task": "clusters"}, 'must hold a model of task "peaks" \\(got "clusters"\\)'),
        ({"input_shape": [7, 1]}, "model.skops must"),
    ):
        write_card(tmp_path, {}, **changed)
        with pytest.raises(InputError, match=rule):
            open_chosen(tmp_path, "peaks")
    write_card(tmp_path, {})
    (tmp_path / "model.skops").unlink()
    with pytest.raises(InputError, match=r"model\.keras must exist"):
        open_chosen(tmp_path, "peaks")


def test_foreign_pickle_in_an_archive_is_not_loaded(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    build = file(tmp_path, TORCH)
    names = np.array([print], object)
    np.savez(tmp_path / "model.npz", names=names)
    write_card(tmp_path, {**PLAIN, "units": 3}, build_sha256=build.sha256)
    with pytest.raises(InputError, match="must be an archive as"):
        open_chosen(tmp_path, "peaks", build)
