"""The compiled epoch: the arithmetic of Keras `fit`, each example once, compiled once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.networks.choices import choices_of
from townsend.networks.family import build_network
from townsend.networks.programs import architecture
from townsend.training.epochs import Given, Train, compile_epochs, compile_watch, epoch_order, start
from townsend.training.hyperparameters import TrainingHyperparameters
from townsend.training.optimizers import rates
from townsend.training.schedules import default_rate

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

BATCH = 32


def network(seed: int = 3, **changes: Any) -> keras.Model:
    hyperparameters = {"topology": "5 4 1", "activations": "relu sigmoid", "dropout": 0.0, **changes}
    return build_network("lstm", hyperparameters, (6, 1), seed)


def examples(count: int) -> tuple[Any, Any]:
    random = np.random.default_rng(1)
    x = random.normal(size=(count, 6, 1)).astype(np.float32)
    return x, (x[:, 3, 0] > 0).astype(np.float32)


def given_of(model: keras.Model, optimizer: str, learning_rate: float | None = None, **changes: Any) -> Given:
    training = TrainingHyperparameters(optimizer, BATCH, **changes)
    return Given(rates(training, learning_rate or default_rate(optimizer)), choices_of(model))


def program_of(model: keras.Model, count: int, loss: str = "binary_crossentropy") -> Train:
    return compile_epochs(model, BATCH, loss, count)[0]


def seconds(model: keras.Model, count: int) -> float:
    return compile_epochs(model, BATCH, "binary_crossentropy", count)[1]


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 2**53), st.integers(1, 1000))
def test_every_example_is_in_an_epoch_once(count: int, batch_size: int, seed: int, epoch: int) -> None:
    order, weight, batches = epoch_order(count, batch_size, seed, epoch)
    assert batches == len(order)
    assert order.shape == weight.shape == (-(-count // batch_size), batch_size)
    assert sorted(order[weight == 1]) == list(range(count))
    assert set(np.unique(weight)) <= {0.0, 1.0}


def test_order_differs_from_epoch_to_epoch_and_seed_to_seed() -> None:
    orders = [epoch_order(100, 10, seed, epoch)[0].ravel().tolist() for seed in (1, 2) for epoch in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == epoch_order(100, 10, 1, 1)[0].ravel().tolist()


@given(st.integers(2, 300), st.integers(1, 64), st.integers(0, 2**53), st.floats(0.01, 1), st.floats(0.01, 1))
def test_smaller_share_of_the_examples_is_part_of_the_larger(
    count: int, batch_size: int, seed: int, one: float, two: float
) -> None:
    small, large = (
        set(order[weight == 1])
        for order, weight, _ in (epoch_order(count, batch_size, seed, 1, share) for share in sorted((one, two)))
    )
    assert small <= large
    assert len(large) == max(1, round(count * max(one, two)))
    other, weight, batches = epoch_order(count, batch_size, seed + 1, 2, one)
    assert set(other[weight == 1]) in (small, large)  # the same examples for all fits and epochs
    assert batches == -(-max(1, round(count * one)) // batch_size)
    assert other.shape == (-(-count // batch_size), batch_size)


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("count", [4 * BATCH, 3 * BATCH + 5])
def test_epoch_equals_keras_fit_on_the_same_batches(optimizer: str, count: int) -> None:
    x, y = examples(count)
    ours, theirs = network(), network()
    train, given = program_of(ours, count), given_of(ours, optimizer)
    order, weight, batches = epoch_order(count, BATCH, 7, 1)
    state, loss, accuracy = train(start(ours), given, x, y, order, weight, batches)

    rows = order[weight == 1]
    theirs.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["binary_accuracy"])
    history = theirs.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0).history
    for one, two in zip(state.trainable, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-6)
    assert float(loss) == pytest.approx(history["loss"][0], rel=1e-5)
    assert float(accuracy) == pytest.approx(history["binary_accuracy"][0], abs=1e-6)

    monitored, right, scores = compile_watch(ours, "binary_crossentropy", x, y)[0].judge(state, given)
    expected = theirs.evaluate(x, y, verbose=0)
    assert [monitored, right] == pytest.approx(expected, rel=1e-5)
    np.testing.assert_allclose(scores, theirs.predict(x, verbose=0)[:, 0], rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_what_a_configuration_decides_beside_shapes_is_compiled_once() -> None:
    """Optimizer, rate, activations, dropout, penalties, seeds and weights are arguments of one program."""
    x, y = examples(BATCH)
    order, weight, batches = epoch_order(BATCH, BATCH, 7, 1)
    train = program_of(network(), BATCH)
    configurations: list[tuple[dict[str, Any], str, float]] = [
        ({"activations": "selu tanh"}, "sgd", 0.7),
        ({"activations": "gelu sigmoid"}, "nesterov", 0.2),
        ({"activations": "relu softplus", "seed": 9}, "rmsprop", 0.01),
    ]
    for changes, optimizer, rate in configurations:
        ours, theirs = network(**changes), network(**changes)
        assert seconds(ours, BATCH) == 0
        given = given_of(ours, optimizer, rate)
        state, _, _ = train(start(ours), given, x, y, order, weight, batches)
        of_keras = {
            "sgd": keras.optimizers.SGD(rate),
            "nesterov": keras.optimizers.SGD(rate, momentum=0.9, nesterov=True),
            "rmsprop": keras.optimizers.RMSprop(rate),
        }
        theirs.compile(optimizer=of_keras[optimizer], loss="binary_crossentropy")
        theirs.train_on_batch(x, y)
        for one, two in zip(state.trainable, theirs.get_weights(), strict=True):
            np.testing.assert_allclose(one, two, rtol=1e-4, atol=1e-6)
    assert all(seconds(network(dropout=dropout), BATCH) == 0 for dropout in (0.25, 0.5))
    assert seconds(network(), BATCH + 1) > 0


@pytest.mark.slow
def test_penalties_enter_the_gradient_and_not_the_loss() -> None:
    x, y = examples(BATCH)
    order, weight, batches = epoch_order(BATCH, BATCH, 7, 1)
    ours = network()
    train = program_of(ours, BATCH)
    plain, loss, _ = train(start(ours), given_of(ours, "sgd", 0.1), x, y, order, weight, batches)
    given = given_of(ours, "sgd", 0.1, l1=0.01, l2=0.02)
    state, same, _ = train(start(ours), given, x, y, order, weight, batches)
    assert float(loss) == float(same)
    for one, two, first in zip(state.trainable, plain.trainable, ours.trainable_variables, strict=True):
        w = np.asarray(first.value)
        pull = 0.1 * (0.01 * np.sign(w) + 2 * 0.02 * w) if w.ndim > 1 else 0 * w
        np.testing.assert_allclose(one, two - pull, rtol=1e-4, atol=1e-6)


def test_architecture_leaves_out_seeds_activations_and_dropout_only() -> None:
    assert architecture(network(seed=1)) == architecture(network(seed=2))
    assert architecture(network()) == architecture(network(activations="selu sigmoid", dropout=0.3))
    assert architecture(network()) != architecture(network(topology="5 5 1"))


@pytest.mark.slow
def test_epoch_of_a_convolutional_network_equals_keras_fit_with_the_same_dropout() -> None:
    given = {"filters": "3 4", "activations": "relu selu", "dropout": 0.3}
    ours, theirs = (build_network("cnn", given, (50, 1), seed=3) for _ in range(2))
    random = np.random.default_rng(1)
    x = (random.random((3 * BATCH, 50, 1)) < 0.1).astype(np.float32)
    x[:, 30:] = 0  # a dead region: equal neighbours in every pooling
    y = x.sum((1, 2))
    count = len(x)
    train, chosen = program_of(ours, count, "mean_squared_error"), given_of(ours, "rmsprop")
    order, weight, batches = epoch_order(count, BATCH, 7, 1)
    state, loss, _ = train(start(ours), chosen, x, y, order, weight, batches)

    theirs.compile(optimizer="rmsprop", loss="mean_squared_error")
    rows = order.ravel()
    history = theirs.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0).history
    assert float(loss) == pytest.approx(history["loss"][0], rel=1e-5)
    for one, two in zip(state.trainable, theirs.trainable_variables, strict=True):
        np.testing.assert_allclose(one, two.numpy(), rtol=1e-4, atol=5e-6)
    monitored, _, _ = compile_watch(ours, "mean_squared_error", x, y)[0].judge(state, chosen)
    assert monitored == pytest.approx(theirs.evaluate(x, y, verbose=0), rel=1e-5)
    assert [type(layer).__module__.split(".")[0] for layer in ours.layers] == ["keras"] * 9
