"""The slides' LSTM: its layers, its parameters, its seeds."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest

from townsend.errors import ConfigError
from townsend.networks.family import build_network, check_network, shape_names

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SLIDES = {"topology": "96 128 1", "activations": "relu selu", "dropout": 0.1}
SMALL = {**SLIDES, "topology": "4 3 1"}


def test_layers_and_parameters_are_those_of_the_slides() -> None:
    network = build_network("lstm", SLIDES, (15, 1), seed=1)
    rows = [(layer.name, type(layer).__name__, layer.count_params()) for layer in network.layers]
    assert rows == [
        ("window", "InputLayer", 0),
        ("lstm", "LSTM", 37632),
        ("flatten", "Flatten", 0),
        ("dense", "Dense", 12416),
        ("dropout", "Dropout", 0),
        ("dense_1", "Dense", 129),
    ]
    assert network.count_params() == 50177


def test_hidden_and_output_layers_take_the_activations_and_the_lstm_keeps_its_own() -> None:
    network = build_network("lstm", SMALL, (15, 1), seed=1)
    names = [network.get_layer(name).activation.__name__ for name in ("lstm", "dense", "dense_1")]
    assert names == ["tanh", "relu", "selu"]
    assert network.get_layer("dropout").rate == 0.1


def test_weights_are_a_function_of_the_seed_alone() -> None:
    first = build_network("lstm", SMALL, (15, 1), seed=7)
    keras.utils.set_random_seed(99)
    build_network("lstm", SMALL, (15, 1), seed=8)
    again = build_network("lstm", SMALL, (15, 1), seed=7)
    other = build_network("lstm", SMALL, (15, 1), seed=8)
    for one, two in zip(first.variables, again.variables, strict=True):
        np.testing.assert_array_equal(one.numpy(), two.numpy(), strict=True)
    assert not np.array_equal(first.get_weights()[0], other.get_weights()[0])


def test_no_two_layers_share_numbers() -> None:
    network = build_network("lstm", {**SMALL, "topology": "4 16 1"}, (15, 1), seed=7)
    kernel = network.get_layer("lstm").get_weights()[0].ravel()
    dense = network.get_layer("dense").get_weights()[0].ravel()
    ratio = kernel[:16] / dense[:16]
    assert np.ptp(ratio) > 1e-3


def test_saved_network_opens_in_keras_alone(tmp_path: Any) -> None:
    network = build_network("lstm", SMALL, (15, 1), seed=7)
    network.save(tmp_path / "network.keras")
    opened = keras.saving.load_model(tmp_path / "network.keras", compile=False, safe_mode=True)
    x = np.random.default_rng(0).normal(size=(5, 15, 1)).astype(np.float32)
    np.testing.assert_array_equal(opened(x), network(x))


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"topology": "96 128"}, "topology must be three layer sizes"),
        ({"topology": "96 0 1"}, "topology must be three layer sizes"),
        ({"topology": "96 128 2"}, "topology must end in 1"),
        ({"topology": [96, 128, 1]}, "topology must be three layer sizes"),
        ({"topology": "9999999 9 1"}, "topology must be three layer sizes"),
        ({"activations": "relu"}, "activations must be two names"),
        ({"activations": "relu sigmoyd"}, 'got "sigmoyd".*did you mean "sigmoid"'),
        ({"dropout": 1.0}, r"dropout must be a number in \[0, 1\)"),
        ({"dropout": True}, "dropout must be a number"),
        ({"dropout": float("nan")}, "dropout must be a number"),
        ({"unitz": 3}, 'got "unitz"'),
        ({"dropuot": 0.1}, 'did you mean "dropout"'),
    ],
)
def test_bad_hyperparameter_is_refused_in_one_sentence(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_network("lstm", {**SLIDES, **change})


def test_missing_hyperparameter_is_named() -> None:
    with pytest.raises(ConfigError, match='needs the hyperparameter "dropout"'):
        check_network("lstm", {"topology": "4 3 1", "activations": "relu selu"})


def test_unknown_family_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match=r'got "lstn".*did you mean "lstm"'):
        build_network("lstn", SLIDES, (15, 1), seed=1)
    assert shape_names("lstm") == ("topology", "batch_norm")


def test_input_of_another_rank_is_refused() -> None:
    with pytest.raises(ConfigError, match=r"windows of shape \(samples, channels\) \(got \(15,\)\)"):
        build_network("lstm", SLIDES, (15,), seed=1)
