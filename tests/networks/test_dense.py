"""The network of Dense layers, and what all families share: optional hyperparameters and counted parameters."""

from __future__ import annotations

from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from townsend.errors import ConfigError
from townsend.networks.blocks import INITIALIZERS
from townsend.networks.family import (
    FAMILIES,
    build_network,
    check_network,
    cost_hint,
    network_names,
    optional_names,
    parameters,
    shape_names,
    shortest_input,
)
from townsend.networks.stored import forward, load_network
from townsend.networks.values import ACTIVATIONS

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

GIVEN = {"layers": "6 4", "activations": "relu sigmoid", "dropout": 0.1}
SMALL = {
    "cnn": ({"filters": "3 5", "activations": "relu selu", "dropout": 0.5}, (30, 2)),
    "dense": (GIVEN, (5,)),
    "lstm": ({"topology": "5 4 1", "activations": "relu sigmoid", "dropout": 0.5}, (6, 2)),
}


def kinds(network: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


def test_layers_are_hidden_ones_with_dropout_and_one_output() -> None:
    network = build_network("dense", GIVEN, (5,), seed=1)
    assert kinds(network) == ["InputLayer", "Dense", "Dropout", "Dense", "Dropout", "Dense"]
    dense = [layer for layer in network.layers if type(layer) is keras.layers.Dense]
    assert [(layer.units, layer.activation.__name__) for layer in dense] == [(6, "relu"), (4, "relu"), (1, "sigmoid")]


def test_inputs_of_a_higher_rank_are_flattened() -> None:
    network = build_network("dense", GIVEN, (5, 3, 2), seed=1)
    assert kinds(network)[:2] == ["InputLayer", "Flatten"]
    assert network.get_layer("dense").kernel.shape == (30, 6)


@pytest.mark.parametrize(("layers", "count"), [("7", 1), (7, 1), ("1 2 3 4 5 6 7 8", 8)])
def test_one_to_eight_hidden_layers_are_built(layers: Any, count: int) -> None:
    network = build_network("dense", {**GIVEN, "layers": layers}, (2,), seed=1)
    assert kinds(network).count("Dense") == count + 1


def test_no_two_layers_share_numbers_and_a_seed_repeats_them() -> None:
    one, again, other = (build_network("dense", {**GIVEN, "layers": "9 9"}, (9,), seed=seed) for seed in (7, 7, 8))
    first, second = (one.get_layer(name).kernel.numpy() for name in ("dense", "dense_1"))
    assert np.ptp(first / second) > 1e-3
    np.testing.assert_array_equal(first, again.get_layer("dense").kernel)
    assert not np.array_equal(first, other.get_layer("dense").kernel)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"layers": ""}, r'layers must be one to 8 layer sizes from 1 to 65536.*write "64 32"'),
        ({"layers": "1 2 3 4 5 6 7 8 9"}, "layers must be one to 8"),
        ({"layers": "64 0"}, "layers must be one to 8"),
        ({"layers": True}, "layers must be one to 8"),
        ({"activations": "relu"}, "two names in one text, hidden layers and output"),
        ({"dropout": 1}, r"dropout must be a number in \[0, 1\)"),
        ({"initializer": "he_norm"}, 'initializer must be a known one.*did you mean "he_normal"'),
        ({"initializer": None}, "initializer must be a known one"),
        ({"batch_norm": "yes"}, "batch_norm must be true or false"),
        ({"batch_norm": 1}, "batch_norm must be true or false"),
        ({"batchnorm": True}, 'did you mean "batch_norm"'),
    ],
)
def test_bad_hyperparameter_is_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_network("dense", {**GIVEN, **change})


def test_names_are_those_needed_and_those_that_may_be_left_out() -> None:
    assert network_names("dense") == ("layers", "activations", "dropout")
    assert shape_names("dense") == ("layers", "batch_norm")
    assert shortest_input("dense") == 1
    assert {optional_names(family) for family in FAMILIES} == {("initializer", "batch_norm")}
    costs = [cost_hint("dense", {**GIVEN, "layers": layers}) for layers in ("8", "16", "16 16", "64 32")]
    assert costs == sorted(set(costs))


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize(
    ("activations", "batch_norm"), product(["relu sigmoid", "prelu relu", "elu prelu", "prelu prelu"], [False, True])
)
def test_counted_parameters_are_those_that_keras_counts(family: str, activations: str, batch_norm: bool) -> None:
    hyperparameters, shape = SMALL[family]
    given = {**hyperparameters, "activations": activations, "batch_norm": batch_norm}
    trainable = build_network(family, given, shape, 1).trainable_variables
    assert parameters(family, given, shape) == sum(int(np.prod(variable.shape)) for variable in trainable)


@pytest.mark.parametrize("family", SMALL)
def test_parameters_can_be_counted_from_the_shape_alone(family: str) -> None:
    hyperparameters, shape = SMALL[family]
    needed = {name: hyperparameters[name] for name in shape_names(family) if name in hyperparameters}
    assert parameters(family, needed, shape) == parameters(family, hyperparameters, shape)


@pytest.mark.parametrize("family", SMALL)
def test_batch_normalization_stands_between_every_hidden_layer_and_its_activation(family: str) -> None:
    hyperparameters, shape = SMALL[family]
    names = kinds(build_network(family, {**hyperparameters, "batch_norm": True}, shape, 1))
    places = [place for place, name in enumerate(names) if name == "BatchNormalization"]
    assert len(places) == {"cnn": 3, "dense": 2, "lstm": 1}[family]
    for place in places:
        assert names[place - 1] in ("Dense", "Conv1D")
        assert names[place + 1] == "Activation"


def test_prelu_has_a_slope_for_each_filter_whatever_the_bins() -> None:
    network = build_network("cnn", {**SMALL["cnn"][0], "activations": "prelu relu"}, (30, 2), 1)
    assert network.get_layer("p_re_lu").alpha.shape == (1, 3)


@pytest.mark.parametrize("name", INITIALIZERS)
def test_initializer_decides_the_kernels_alone(name: str) -> None:
    network = build_network("dense", {**GIVEN, "layers": "40 40", "initializer": name}, (40,), seed=1)
    layer = network.get_layer("dense_1")
    assert type(layer.kernel_initializer).__name__ == INITIALIZERS[name]
    kernel = layer.kernel.numpy()
    variance = {"he": 2 / 40, "glorot": 1 / 40, "lecun": 1 / 40, "orthogonal": 1 / 40}[name.split("_")[0]]
    assert kernel.var() == pytest.approx(variance, rel=0.2)
    np.testing.assert_array_equal(layer.bias, np.zeros(40))


@pytest.mark.parametrize("family", SMALL)
def test_network_with_prelu_and_batch_normalization_survives_its_file(family: str, tmp_path: Path) -> None:
    hyperparameters, shape = SMALL[family]
    network = build_network(family, {**hyperparameters, "activations": "prelu prelu", "batch_norm": True}, shape, 1)
    random = np.random.default_rng(0)
    network.set_weights([random.uniform(0.2, 1, weight.shape).astype(np.float32) for weight in network.get_weights()])
    x = random.normal(size=(5, *shape)).astype(np.float32)
    network.save(tmp_path / "model.keras")
    scores = forward(load_network(tmp_path / "model.keras"), x)
    np.testing.assert_array_equal(scores, forward(network, x))
    np.testing.assert_allclose(scores, np.asarray(network(x))[:, 0], rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_is_one_that_keras_knows(name: str) -> None:
    network = build_network("dense", {**GIVEN, "layers": "3", "activations": f"{name} {name}"}, (2,), 1)
    assert network.output.shape == (None, 1)
