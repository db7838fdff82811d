"""Traced choices: one program gives what each stock network gives, whatever its activations and dropout."""

from __future__ import annotations

from typing import Any

import jax
import keras
import numpy as np
import pytest

from townsend.networks.choices import Choices, choices_of, deciding
from townsend.networks.family import build_network
from townsend.networks.programs import architecture
from townsend.networks.stored import forward
from townsend.networks.traced import FUNCTIONS, MONOTONE
from townsend.networks.twin import for_inference, for_training
from townsend.networks.twin_layers import dropped, switched

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

layers = keras.layers
SMALL = {
    "cnn": ({"filters": "3 4"}, (24, 1)),
    "dense": ({"layers": "6 4"}, (5, 2)),
    "lstm": ({"topology": "4 6 1"}, (5, 1)),
}


def network(family: str, activations: str, dropout: float, seed: int = 3, **more: Any) -> keras.Model:
    hyperparameters, shape = SMALL[family]
    return build_network(
        family, {**hyperparameters, "activations": activations, "dropout": dropout, **more}, shape, seed
    )


def examples(family: str, count: int = 9) -> Any:
    return np.random.default_rng(count).normal(size=(count, *SMALL[family][1])).astype(np.float32)


def values(model: keras.Model) -> tuple[list[Any], list[Any]]:
    return [v.value for v in model.trainable_variables], [v.value for v in model.non_trainable_variables]


def loss(model: keras.Model, x: Any) -> Any:
    """(trainable, other, choices or None) -> gradients, (scores, other)."""

    def of(trainable: Any, other: Any, choices: Choices | None, weight: Any = None) -> tuple[Any, Any]:
        def called() -> Any:
            return model.stateless_call(trainable, other, x, training=True)

        if choices is None:
            scores, other = called()
        else:
            with deciding(choices, weight):
                scores, other = called()
        kept = scores if weight is None else scores * weight[:, None]
        return ((kept - 1) ** 2).mean(), (scores, other)

    return jax.grad(of, has_aux=True)


def assert_close(one: Any, other: Any) -> None:
    for left, right in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(left, right, rtol=1e-4, atol=1e-6 + 2e-5 * float(np.abs(np.asarray(right)).max()))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_switched_activation_and_its_slope_are_those_of_keras(name: str) -> None:
    stock, place = getattr(keras.activations, name), FUNCTIONS.index(name)
    x = np.append(np.linspace(-8, 8, 41), [0.0, -1e-8, 100, -100]).astype(np.float32)[:, None]
    assert_close(jax.jit(switched)(place, x), stock(x))
    assert_close(jax.jit(jax.grad(lambda x: switched(place, x).sum()))(x), jax.grad(lambda x: stock(x).sum())(x))
    if name in MONOTONE:
        assert_close(switched(place, x[None]), stock(x)[None])


def test_the_monotone_are_monotone_and_stand_first() -> None:
    x = np.linspace(-6, 6, 301).astype(np.float32)
    for place, name in enumerate(FUNCTIONS):
        rises = bool((np.diff(np.asarray(getattr(keras.activations, name)(x))) >= -1e-6).all())
        assert rises is (place < len(MONOTONE))


@pytest.mark.parametrize("rate", [0.1, 0.25, 0.5, 0.9])
def test_dropout_at_a_traced_rate_gives_the_numbers_of_the_stock_layer(rate: float) -> None:
    x = np.random.default_rng(1).normal(size=(40, 30)).astype(np.float32)
    stock, seeds = layers.Dropout(rate, seed=7), keras.random.SeedGenerator(7)
    for _ in range(3):
        found = dropped(jax.numpy.float32(rate), x, seeds)
        np.testing.assert_array_equal(found, stock(x, training=True))
    np.testing.assert_array_equal(seeds.state, stock.seed_generator.state)


def test_dropout_of_rate_zero_leaves_every_bit() -> None:
    x = np.array([[0.1, -3e-39, np.inf, 7]], np.float32)
    found = jax.jit(lambda rate: dropped(rate, x, keras.random.SeedGenerator(7)))
    np.testing.assert_array_equal(found(np.float32(0)), x)


@pytest.mark.parametrize(
    ("family", "one", "other"),
    [
        ("cnn", ("relu selu", 0.0), ("tanh elu", 0.4)),
        ("lstm", ("relu sigmoid", 0.1), ("gelu linear", 0.0)),
        ("dense", ("softplus linear", 0.2), ("leaky_relu sigmoid", 0.5)),
    ],
)
def test_one_program_gives_the_scores_and_gradients_of_each_network(family: str, one: Any, other: Any) -> None:
    x, (first, second) = examples(family), (network(family, *choice) for choice in (one, other))
    assert architecture(first) == architecture(second)
    program = jax.jit(loss(for_training(first), x))
    for model in (first, second):
        assert_close(program(*values(model), choices_of(model))[0], loss(model, x)(*values(model), None)[0])
        scores, expected = program(*values(model), choices_of(model))[1], loss(model, x)(*values(model), None)[1]
        assert_close(scores[0], expected[0])
    assert program._cache_size() == 1


def test_twin_that_nobody_decides_computes_what_its_network_computes() -> None:
    model = network("dense", "gelu tanh", 0.3)
    x = examples("dense")
    assert_close(loss(for_training(model), x)(*values(model), None), loss(model, x)(*values(model), None))


def test_choices_may_be_batched_and_scanned() -> None:
    x, models = examples("lstm"), [network("lstm", "relu sigmoid", 0.0), network("lstm", "selu linear", 0.5)]
    single = loss(for_training(models[0]), x)
    arguments = [(*values(model), choices_of(model)) for model in models]
    expected = [single(*given)[0] for given in arguments]
    stacked = jax.tree.map(lambda *leaves: jax.numpy.stack(leaves), *arguments)
    batched = jax.jit(jax.vmap(single))(*stacked)[0]
    _, scanned = jax.jit(lambda given: jax.lax.scan(lambda carry, member: (carry, single(*member)[0]), 0, given))(
        stacked
    )
    for index, right in enumerate(expected):
        assert_close([leaf[index] for leaf in batched], right)
        assert_close([leaf[index] for leaf in scanned], right)


@pytest.mark.parametrize(
    ("family", "one", "other", "shared"),
    [
        ("lstm", {}, {"activations": "selu softplus", "dropout": 0.0, "initializer": "he_normal"}, True),
        ("lstm", {}, {"activations": "prelu sigmoid"}, False),
        ("lstm", {}, {"activations": "mish sigmoid"}, False),
        ("lstm", {}, {"batch_norm": True}, False),
        ("lstm", {}, {"topology": "4 7 1"}, False),
        ("cnn", {}, {"activations": "tanh relu"}, True),
        ("cnn", {}, {"activations": "gelu relu"}, False),
        ("cnn", {"batch_norm": True}, {"activations": "elu tanh", "batch_norm": True}, True),
        ("dense", {}, {"activations": "gelu relu", "seed": 8}, True),
    ],
)
def test_architecture_is_equal_where_a_program_may_be_shared(family: str, one: Any, other: Any, shared: bool) -> None:
    given = {"activations": "relu sigmoid", "dropout": 0.1}
    texts = [architecture(network(family, **{**given, **change})) for change in (one, other)]
    assert (texts[0] == texts[1]) is shared


def test_linear_layer_in_front_of_another_is_no_choice_but_an_output_is() -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(2), layers.BatchNormalization(), layers.Dense(1)])
    assert choices_of(model).activations.tolist() == [0]
    assert [type(layer).__name__ for layer in for_training(model).layers] == [
        "Dense",
        "TwinBatchNormalization",
        "TwinDense",
    ]


def test_forward_compiles_once_a_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []

    def counted(model: keras.Model) -> keras.Model:
        made.append(model)
        return for_inference(model)

    monkeypatch.setattr("townsend.networks.stored.for_inference", counted)
    models = [network("dense", names, 0.1, layers="5 3") for names in ("relu sigmoid", "tanh linear", "gelu selu")]
    x = examples("dense")
    for model in models:
        np.testing.assert_allclose(forward(model, x), np.asarray(model(x))[:, 0], rtol=2e-5, atol=2e-6)
    assert len(made) == 1


@pytest.mark.parametrize("family", SMALL)
def test_statistics_of_batch_normalization_come_from_real_examples_alone(family: str) -> None:
    model = network(family, "relu sigmoid", 0.0, batch_norm=True)
    x, filled = examples(family, 7), np.concatenate([examples(family, 7), 50 + examples(family, 2)])
    weight = np.append(np.ones(7), np.zeros(2)).astype(np.float32)
    twin = for_training(model)
    _, (expected, right) = jax.jit(loss(model, x))(*values(model), None)
    _, (scores, other) = jax.jit(loss(twin, filled))(*values(model), choices_of(model), weight)
    assert_close(scores[:7], expected)
    names = [variable.path for variable in model.non_trainable_variables]
    assert any("moving" in name for name in names)
    for name, one, two in zip(names, other, right, strict=True):
        if "moving" in name:  # the seed of dropout goes on at a rate of zero
            np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_batch_normalization_of_filled_up_batches_has_the_gradients_of_the_real_ones() -> None:
    model = keras.Sequential([layers.Input((3,)), layers.Dense(1), layers.BatchNormalization(), layers.Dense(1)])
    x = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    weight = np.array([1, 0, 1, 1, 0, 1], np.float32)
    real = weight > 0

    def mean_square(twin: keras.Model, x: Any, weight: Any) -> Any:
        def of(trainable: Any) -> Any:
            with deciding(choices_of(model), weight):
                scores, _ = twin.stateless_call(trainable, values(model)[1], x, training=True)
            return (scores[:, 0] ** 2 * weight).sum() / weight.sum()

        return jax.grad(of)(values(model)[0])

    ones = np.ones(int(real.sum()), np.float32)
    assert_close(mean_square(for_training(model), x, weight), mean_square(model, x[real], ones))
