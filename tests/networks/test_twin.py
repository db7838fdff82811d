"""Twins: the variables, outputs and gradients of their networks, however their layers are computed."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import pytest

from townsend.networks.family import build_network
from townsend.networks.twin import for_inference, for_training

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

layers = keras.layers


def cnn(bins: int = 40, channels: int = 1, **changes: Any) -> keras.Model:
    given = {"filters": "3 5", "activations": "relu selu", "dropout": 0.2, **changes}
    return build_network("cnn", given, (bins, channels), seed=3)


def model(*made: Any, shape: tuple[int, ...] = (23, 2)) -> keras.Model:
    return keras.Sequential([layers.Input(shape), *made, layers.Flatten(), layers.Dense(1)])


def kinds(network: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in network.layers]


def peaks(count: int, bins: int, share: float = 0.1) -> Any:
    """0 and 1 in lists whose last third is empty, so that equal windows stand side by side."""
    x = (np.random.default_rng(bins).random((count, bins, 1)) < share).astype(np.float32)
    x[:, 2 * bins // 3 :] = 0
    return x


def values(network: keras.Model) -> tuple[list[Any], list[Any]]:
    return [v.value for v in network.trainable_variables], [v.value for v in network.non_trainable_variables]


def scores_and_gradients(network: keras.Model, x: Any, training: bool) -> tuple[Any, list[Any]]:
    trainable, other = values(network)

    def loss(trainable: Any) -> tuple[Any, Any]:
        scores, _ = network.stateless_call(trainable, other, x, training=training)
        return ((scores - 1) ** 2).mean(), scores

    gradients, scores = jax.jit(jax.grad(loss, has_aux=True))(trainable)
    return scores, gradients


def assert_same(twin: keras.Model, network: keras.Model, x: Any, training: bool = False) -> None:
    (one, gradients), (other, expected) = (scores_and_gradients(m, x, training) for m in (twin, network))
    np.testing.assert_allclose(one, other, rtol=2e-5, atol=2e-6)
    for gradient, right in zip(gradients, expected, strict=True):
        np.testing.assert_allclose(gradient, right, rtol=1e-4, atol=2e-5 * float(np.abs(right).max()))


@pytest.mark.parametrize(
    ("bins", "activations"), [(40, "relu selu"), (41, "selu relu"), (42, "gelu tanh"), (43, "elu silu")]
)
def test_outputs_and_gradients_are_those_of_the_network_at_even_and_odd_lengths(bins: int, activations: str) -> None:
    network = cnn(bins, activations=activations)
    twin = for_training(network)
    assert kinds(twin)[1:5] == ["TwinConv1D", "TwinMaxPooling1D"] * 2
    x = np.random.default_rng(1).normal(size=(6, bins, 1)).astype(np.float32)
    assert_same(twin, network, x, training=True)  # with the same dropout


def test_ties_of_dead_regions_leave_the_gradients_of_the_weights_as_they_are() -> None:
    network = cnn(120)
    for variable in network.trainable_variables:
        if variable.name == "bias":  # at their start value, zero, dead regions would leave no gradient to compare
            variable.assign(np.linspace(0.1, 0.3, variable.shape[0]))
    x = peaks(50, 120)
    assert_same(for_training(network), network, x)


def test_variables_are_the_same_in_number_order_shape_and_value() -> None:
    network = cnn()
    network.get_layer("dropout").seed_generator.state.assign(np.array([5, 6], np.uint32))
    twin = for_training(network)
    for attribute in ("variables", "weights", "trainable_variables", "non_trainable_variables"):
        for one, other in zip(getattr(twin, attribute), getattr(network, attribute), strict=True):
            assert (one.name, one.dtype) == (other.name, other.dtype)
            np.testing.assert_array_equal(one.numpy(), other.numpy(), strict=True)
            assert one is not other


def test_network_without_a_choice_or_a_quicker_way_is_its_own_twin() -> None:
    kept = keras.Sequential([layers.Input((6, 1)), layers.GRU(3), layers.Dense(2, activation="softmax")])
    assert for_training(kept) is kept
    assert for_inference(kept) is kept


@pytest.mark.parametrize(
    "layer",
    [
        layers.Conv1D(4, 3, padding="same"),
        layers.Conv1D(4, 3, padding="causal"),
        layers.Conv1D(4, 3, strides=2),
        layers.Conv1D(4, 3, dilation_rate=2),
        layers.Conv1D(4, 3, groups=2),
        layers.SeparableConv1D(4, 3),
        layers.MaxPooling1D(3, strides=2),
        layers.MaxPooling1D(2, padding="same"),
        layers.AveragePooling1D(2),
    ],
    ids=lambda layer: layer.name,
)
def test_other_convolutions_and_poolings_stay_as_they_are(layer: Any) -> None:
    assert type(for_training(model(layer)).layers[0]) is type(layer)


@pytest.mark.parametrize(
    "made",
    [
        (layers.Conv1D(4, 1, use_bias=False, activation="relu"), layers.MaxPooling1D(3)),
        (layers.Conv1D(4, 5, activation="sigmoid"), layers.Conv1D(3, 2), layers.MaxPooling1D(2)),
        (layers.MaxPooling1D(4), layers.Conv1D(2, 3, activation="mish")),
        (layers.Conv1D(4, 3, activation="softmax"), layers.MaxPooling1D(2)),
    ],
)
def test_other_sizes_and_orders_give_the_same(made: Any) -> None:
    network = model(*made)
    twin = for_training(network)
    assert twin is not network
    assert_same(twin, network, np.random.default_rng(2).normal(size=(4, 23, 2)).astype(np.float32))


@pytest.mark.parametrize("twin_of", [for_training, for_inference])
@pytest.mark.parametrize("activation", ["relu", "gelu", "prelu"])
def test_batch_normalization_between_convolution_and_pooling_gives_the_same(twin_of: Any, activation: str) -> None:
    network = cnn(activations=f"{activation} {activation}", batch_norm=True)
    twin = twin_of(network)
    assert kinds(twin)[2] == "TwinBatchNormalization"
    x = np.random.default_rng(1).normal(size=(6, 40, 1)).astype(np.float32)
    assert_same(twin, network, x, training=True)
    for one, other in zip(twin.non_trainable_variables, network.non_trainable_variables, strict=True):
        assert one.name == other.name


def test_convolution_that_two_layers_read_keeps_its_activation() -> None:
    bins = layers.Input((20, 1))
    found = layers.Conv1D(3, 4, activation="relu")(bins)
    pooled, whole = layers.MaxPooling1D(2)(found), layers.Flatten()(found)
    joined = layers.Concatenate()([layers.Flatten()(pooled), whole])
    network = keras.Model(bins, layers.Dense(1)(joined))
    assert_same(for_training(network), network, np.random.default_rng(2).normal(size=(4, 20, 1)).astype(np.float32))


@pytest.mark.parametrize(
    ("shape", "changes"),
    [
        ((15, 1), {}),
        ((6, 3), {"use_bias": False}),
        ((6, 1), {"activation": "relu", "recurrent_activation": "hard_sigmoid"}),
    ],
)
def test_lstm_written_out_gives_the_outputs_of_its_network(shape: tuple[int, int], changes: dict[str, Any]) -> None:
    network = keras.Sequential([layers.Input(shape), layers.LSTM(7, **changes), layers.Dense(1)])
    twin = for_inference(network)
    assert kinds(twin) == ["TwinLSTM", "TwinDense"]
    x = 3 * np.random.default_rng(2).normal(size=(40, *shape)).astype(np.float32)
    np.testing.assert_allclose(twin(x), network(x), rtol=2e-5, atol=2e-6)


@pytest.mark.parametrize(
    "layer",
    [
        layers.LSTM(3, return_sequences=True),
        layers.LSTM(3, go_backwards=True),
        layers.LSTM(3, dropout=0.5),
        layers.GRU(3),
        layers.Bidirectional(layers.LSTM(3)),
    ],
    ids=lambda layer: layer.name,
)
def test_other_recurrent_layers_stay_as_they_are(layer: Any) -> None:
    assert type(for_inference(model(layer)).layers[0]) is type(layer)


def test_lstm_of_many_steps_or_with_a_mask_stays_as_it_is() -> None:
    long = model(layers.LSTM(3), shape=(65, 1))
    assert kinds(for_inference(long))[0] == "LSTM"
    masked = model(layers.Masking(), layers.LSTM(3), shape=(8, 1))
    assert kinds(for_inference(masked))[:2] == ["Masking", "LSTM"]
