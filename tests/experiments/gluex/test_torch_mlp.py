"""The example in PyTorch is the slides' network, and trains to what scikit-learn's and Keras' train to."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.config import load_yaml
from townsend.experiments.gluex.response import INPUTS
from townsend.experiments.table.task import task
from townsend.networks.build_file import load_build
from townsend.networks.stored_estimator import estimator_of
from townsend.tasks.base import Arrays, Split
from townsend.training.bracket import BracketWork, open_trainer
from townsend.training.keras_trainer import TrainSettings
from townsend.training.records import Bracket, Fit, Rung

torch = pytest.importorskip("torch")
pytest.importorskip("skorch")

EXAMPLE = Path(__file__).parents[3] / "examples" / "gluex"
BUILD = load_build(EXAMPLE / "torch_mlp.py")
MODELS = load_yaml(EXAMPLE / "torch.yaml").data["models"]
FITS, EPOCHS = 3, 25  # of each framework


@pytest.fixture(scope="module")
def arrays(nominal) -> Arrays:
    """Four thousand tracks that train, one thousand that stop, twenty thousand that are judged."""
    x, y = np.column_stack([nominal[name] for name in INPUTS]), nominal["label"].astype(np.float32)
    x = x.astype(np.float32)
    sets = {"train": slice(0, 4000), "monitor": slice(4000, 5000), "test": slice(5000, 25_000)}
    splits = {name: Split(x[rows], y[rows], np.arange(rows.stop - rows.start)) for name, rows in sets.items()}
    scale = {"mean": x[:4000].mean(axis=0).tolist(), "scale": x[:4000].std(axis=0).tolist()}
    return Arrays(splits, {"scaling": scale})


def trained(name: str, arrays: Arrays) -> list[tuple[Any, np.ndarray]]:
    """Return how each fit of a model of torch.yaml ended, and its scores of the test set."""
    model = MODELS[name]
    space = {key: values[0] for key, values in model["space"].items()}
    if "max_iter" in space:
        space["max_iter"] = EPOCHS
    build = BUILD if model["network"] == "torch" else None
    members = tuple(Fit(0, 100 + seed, space) for seed in range(FITS))
    settings, sha256 = TrainSettings(EPOCHS, model.get("patience", 10)), build.sha256 if build else ""
    work = BracketWork(Bracket(0, members, ()), "table", model["network"], settings, build=sha256)
    trainer = open_trainer(work, task, build)
    found = []
    for fit in members:
        ((_, done),) = trainer.advance([(fit, None)], [arrays], Rung(1000))
        found.append((done, trainer.scores(fit, done, arrays.splits["test"].x, [arrays])))
    return found


@pytest.fixture(scope="module")
def fits(arrays: Arrays) -> dict[str, list[tuple[Any, np.ndarray]]]:
    return {name: trained(name, arrays) for name in MODELS}


def test_it_has_107_parameters_in_every_framework(fits):
    assert {name: done.parameters for name, ((done, _), *_) in fits.items()} == dict.fromkeys(MODELS, 107)


def test_weights_of_scikit_learn_give_the_same_scores(fits, arrays):
    """So layers, ReLU and sigmoid are those of MLPClassifier."""
    done, expected = fits["scikit-mlp"][0]
    _, (_, model) = estimator_of(done.weights[0].tobytes(), (6,)).model.steps  # behind the scaler
    module = BUILD.make({"layers": "8 5"}, (6,), 1)
    state = [part for layer in zip(model.coefs_, model.intercepts_, strict=True) for part in (layer[0].T, layer[1])]
    with torch.no_grad():
        for parameter, values in zip(module.parameters(), state, strict=True):
            parameter.copy_(torch.from_numpy(np.array(values)))
        scaling = arrays.facts["scaling"]
        x = (arrays.splits["test"].x - np.float32(scaling["mean"])) / np.float32(scaling["scale"])
        found = module(torch.from_numpy(x))[:, 0].numpy()
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_the_frameworks_agree(fits, arrays):
    """Mean accuracies of three fits on one split differ by less than 0.01 in each of the three pairs.

    Fits that differ in their first weights alone have a standard deviation of 0.0024 (scikit-learn and Keras, 16 each)
    or 0.0028 (PyTorch, 6). With 0.003 for all, 0.01 is four standard deviations of such a difference, so chance alone
    fails this in 1 of 8,000 sets of first weights. A rate of 0.005, no momentum or no ReLU cost 0.05 or more.
    """
    electron = arrays.splits["test"].y == 1
    found = {name: np.mean([(scores >= 0.5) == electron for _, scores in of]) for name, of in fits.items()}
    for one, other in combinations(found, 2):
        assert abs(found[one] - found[other]) < 0.01, found
