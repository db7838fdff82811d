"""The slides' CNN: its layers, its parameters, its seeds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from townsend.errors import ConfigError
from townsend.networks.cnn import SHORTEST_INPUT
from townsend.networks.family import build_network, check_network, cost_hint, shape_names

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SLIDES = {"filters": "32 64", "activations": "relu selu", "dropout": 0.1}
SMALL = {**SLIDES, "filters": "3 5"}


def test_layers_shapes_and_parameters_are_those_of_the_slides() -> None:
    network = build_network("cnn", SLIDES, (1024, 1), seed=1)
    rows = [(type(layer).__name__, layer.output.shape[1:], layer.count_params()) for layer in network.layers]
    assert rows == [
        ("InputLayer", (1024, 1), 0),
        ("Conv1D", (1021, 32), 160),
        ("MaxPooling1D", (510, 32), 0),
        ("Conv1D", (507, 64), 8256),
        ("MaxPooling1D", (253, 64), 0),
        ("Flatten", (16192,), 0),
        ("Dense", (32,), 518176),
        ("Dropout", (32,), 0),
        ("Dense", (1,), 33),
    ]
    assert network.count_params() == 526625


def test_convolutions_take_the_activations_and_the_output_is_linear() -> None:
    network = build_network("cnn", SMALL, (64, 1), seed=1)
    layers = [layer for layer in network.layers if hasattr(layer, "activation")]
    assert [layer.activation.__name__ for layer in layers] == ["relu", "selu", "relu", "linear"]
    assert network.get_layer("dropout").rate == 0.1


def test_weights_are_a_function_of_the_seed_alone_and_no_two_layers_share_numbers() -> None:
    first = build_network("cnn", SMALL, (64, 1), seed=7)
    keras.utils.set_random_seed(99)
    again, other = (build_network("cnn", SMALL, (64, 1), seed=seed) for seed in (7, 8))
    for one, two in zip(first.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy(), strict=True)
    kernels = [weight.ravel()[:12] for weight in first.get_weights() if weight.ndim > 1]
    for index, kernel in enumerate(kernels):
        assert not np.array_equal(kernel, [w for w in other.get_weights() if w.ndim > 1][index].ravel()[:12])
        for later in kernels[index + 1 :]:
            assert np.ptp(kernel / later) > 1e-3


def test_shortest_input_is_the_one_that_leaves_one_bin() -> None:
    network = build_network("cnn", SMALL, (SHORTEST_INPUT, 2), seed=1)
    assert network.get_layer("flatten").output.shape == (None, 5)
    with pytest.raises(ConfigError, match=r'"cnn" needs at least 13 bins \(got 12\); take longer inputs'):
        build_network("cnn", SMALL, (SHORTEST_INPUT - 1, 1), seed=1)


def test_input_of_another_rank_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"shape \(bins, channels\) \(got \(1024,\)\)"):
        build_network("cnn", SMALL, (1024,), seed=1)


def test_more_filters_cost_more_and_decide_the_shapes() -> None:
    costs = [cost_hint("cnn", {**SLIDES, "filters": text}) for text in ("16 16", "16 32", "32 32", "32 64")]
    assert costs == sorted(set(costs))
    assert shape_names("cnn") == ("filters", "batch_norm")


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"filters": "32"}, r'filters must be two numbers from 1 to 4096.*got \'32\'\); write "32 64"'),
        ({"filters": "32 0"}, "filters must be two numbers"),
        ({"filters": "32 4097"}, "filters must be two numbers"),
        ({"filters": "32 -4"}, "filters must be two numbers"),
        ({"filters": [32, 64]}, "filters must be two numbers"),
        ({"activations": "relu"}, "two names in one text, first and second convolution"),
        ({"activations": "relu sellu"}, 'got "sellu".*did you mean "selu"'),
        ({"dropout": -0.1}, r"dropout must be a number in \[0, 1\)"),
        ({"topology": "96 128 1"}, 'network "cnn" must be a known one'),
    ],
)
def test_bad_hyperparameter_is_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_network("cnn", {**SLIDES, **change})
