"""`townsend space`: what a sweep would search, counted before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from townsend.config import parse
from townsend.errors import ConfigError
from townsend.networks.family import build_network, parameters
from townsend.sweep.describe_space import space
from townsend.sweep.settings import SweepSettings

GRID: dict[str, Any] = {
    "topology": ["8 16 1", "32 64 1"],
    "activations": ["relu sigmoid"],
    "dropout": [0.0, 0.1],
    "optimizer": ["adam", "sgd"],
    "batch_size": [150, 250],
    "learning_rate": [0.001, 0.01, 0.1],
}


def summary(length: int | None = None, network: str = "lstm", **changes: Any) -> Any:
    given = {"task": "drifttube-peaks", "sample": "s", "space": GRID, "network": network, **changes}
    return space(parse(SweepSettings, given), length=length)


def test_a_grid_is_counted() -> None:
    found = summary()
    assert (found.configurations, found.trials, found.shapes) == (48, 48, 4)
    assert (found.parameters, found.largest, found.length) == (
        32 * 4 * 34 + 64 * 33 + 65,
        {"topology": "32 64 1"},
        None,
    )
    assert found.hyperparameters["optimizer"] == "adam, sgd"


def test_trials_bound_the_number_of_shapes() -> None:
    found = summary(trials=3)
    assert (found.configurations, found.trials, found.shapes) == (48, 3, 3)


def test_folds_and_repeats_are_counted_as_fits() -> None:
    found = summary(trials=3, folds=5, repeats=2, epochs=50)
    assert (found.trials, found.fits, found.epochs) == (3, 30, 1500)


def test_halving_leaves_part_of_the_epochs() -> None:
    halving = {"least": 2, "factor": 4}
    assert summary(trials=16, epochs=32, halving=halving).epochs == 16 * 2 + 4 * 6 + 1 * 24  # rungs at 2 and 8 epochs
    assert summary(trials=32, epochs=32, halving=halving).epochs == 2 * 80
    data = summary(trials=16, epochs=32, halving={**halving, "resource": "data"})
    assert data.epochs == round(16 * 2 / 16 + 4 * 2 / 4 + 1 * 28)  # two epochs on 1/16, two on 1/4, the rest on all


def test_a_range_makes_it_endless() -> None:
    rate = {"low": 0.001, "high": 0.1, "log": True}
    found = summary(space={**GRID, "learning_rate": rate}, sampler="random", trials=100)
    assert (found.configurations, found.trials, found.shapes) == (None, 100, 4)
    assert found.hyperparameters["learning_rate"] == "0.001 to 0.1, evenly in the logarithm"
    batches = {"low": 10, "high": 300}
    found = summary(space={**GRID, "batch_size": batches}, sampler="tpe", trials=100)
    assert (found.configurations, found.shapes) == (24 * 291, None)
    assert found.hyperparameters["batch_size"] == "whole numbers 10 to 300"


def test_conditions_and_ties_are_counted_and_told() -> None:
    rate = {"values": [0.1, 0.2], "when": {"optimizer": ["sgd"]}}
    batch = {"values": [50, 100], "when": {"topology": ["8 16 1"]}, "otherwise": 150}
    found = summary(space={**GRID, "learning_rate": rate, "batch_size": batch})
    assert (found.configurations, found.shapes) == (2 * 3 * 3, 3)
    assert found.hyperparameters["learning_rate"] == "0.1, 0.2 if optimizer is sgd, otherwise left out"
    tied = summary(space={**GRID, "dropout": {"same_as": "learning_rate"}})
    assert tied.configurations == 24
    assert tied.hyperparameters["dropout"] == "same as learning_rate"


def test_size_of_a_convolutional_network_depends_on_its_input() -> None:
    of_cnn = {name: values for name, values in GRID.items() if name != "topology"} | {"filters": ["8 16", "32 4"]}
    shortest, long = summary(network="cnn", space=of_cnn), summary(1024, "cnn", space=of_cnn)
    assert (shortest.length, shortest.is_shortest) == (13, True)
    assert (long.length, long.is_shortest, long.largest) == (1024, False, {"filters": "8 16"})
    with pytest.raises(ConfigError, match=r"needs at least 13 bins \(got 12\)"):
        summary(12, "cnn", space=of_cnn)


@pytest.mark.parametrize(
    ("network", "given", "shape"),
    [
        ("lstm", {"topology": "4 2 1"}, (9, 2)),
        ("cnn", {"filters": "2 4"}, (38, 2)),
    ],
)
def test_parameters_are_those_that_keras_counts(network: str, given: dict[str, str], shape: tuple[int, int]) -> None:
    hyperparameters = {**given, "activations": "relu selu", "dropout": 0.1}
    assert (
        parameters(network, hyperparameters, shape) == build_network(network, hyperparameters, shape, 1).count_params()
    )


# ---- the command


def test_shipped_files_are_counted_without_a_sample(townsend: Callable[..., Any]) -> None:
    ended = townsend("space", "peaks.yaml")
    assert (ended.status, ended.err) == (0, "")
    assert "configurations: 144; the sampler grid trains 144 of them" in ended.out
    assert "fits: 144 (trials x folds x repeats), of at most 14,400 epochs together" in ended.out
    assert "largest model: 50,177 parameters, lstm with topology 96 128 1" in ended.out
    ended = townsend("space", "clusters.yaml", "--length", 1024, "--trials", 5)
    assert "configurations: 72; the sampler grid trains 5 of them" in ended.out
    assert "for inputs of 1,024 numbers\n" in ended.out


@pytest.mark.parametrize(
    ("old", "new", "sentence"),
    [
        ("[adam]", "[adan]", 'did you mean "adam"'),
        ("dropout:", "dropuot:", 'space must name known hyperparameters (got "dropuot"); did you mean "dropout"'),
        ("dropout: [0.0]", "dropout: {same_as: droput}", "space.dropout must depend on a name of the space"),
        ("dropout: [0.0]", "dropout: {low: 0.0, high: 0.1}", "a grid needs lists"),
        ("task:", "tusk:", 'did you mean "task"'),
    ],
)
def test_a_bad_file_is_one_sentence(
    old: str, new: str, sentence: str, refused: Callable[..., str], tmp_path: Path
) -> None:
    text = "task: drifttube-peaks\nspace:\n  topology: [8 16 1]\n  activations: [relu sigmoid]\n  dropout: [0.0]\n"
    text += "  optimizer: [adam]\n  batch_size: [150]\n"
    path = tmp_path / "sweep.yaml"
    path.write_text(text.replace(old, new))
    assert sentence in refused("space", path)


def test_more_trials_than_the_grid_holds_and_no_file(refused: Callable[..., str], tmp_path: Path) -> None:
    assert "at most the grid's 144 configurations (got 145)" in refused("space", "peaks.yaml", "--trials", 145)
    assert "must exist or be a shipped configuration" in refused("space", tmp_path / "none.yaml")
