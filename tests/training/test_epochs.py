"""The compiled epoch: the arithmetic of Keras `fit`, each example once, compiled once."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.networks.family import build_network
from townsend.networks.programs import architecture
from townsend.training.epochs import compile_epochs, epoch_order, in_chunks
from townsend.training.hyperparameters import TrainingHyperparameters

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


@given(st.integers(1, 300), st.integers(1, 64), st.integers(0, 2**53), st.integers(1, 1000))
def test_every_example_is_in_an_epoch_once(count: int, batch_size: int, seed: int, epoch: int) -> None:
    order, weight = epoch_order(count, batch_size, seed, epoch)
    assert order.shape == weight.shape == (-(-count // batch_size), batch_size)
    assert sorted(order[weight == 1]) == list(range(count))
    assert set(np.unique(weight)) <= {0.0, 1.0}


def test_order_differs_from_epoch_to_epoch_and_seed_to_seed() -> None:
    orders = [epoch_order(100, 10, seed, epoch)[0].ravel().tolist() for seed in (1, 2) for epoch in (1, 2)]
    assert len({tuple(order) for order in orders}) == 4
    assert orders[0] == epoch_order(100, 10, 1, 1)[0].ravel().tolist()


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adam", "rmsprop", "sgd"])
@pytest.mark.parametrize("count", [4 * BATCH, 3 * BATCH + 5])
def test_epoch_equals_keras_fit_on_the_same_batches(optimizer: str, count: int) -> None:
    x, y = examples(count)
    ours, theirs = network(), network()
    programs = compile_epochs(ours, TrainingHyperparameters(optimizer, BATCH), "binary_crossentropy", count, count)
    order, weight = epoch_order(count, BATCH, 7, 1)
    state, loss, accuracy = programs.train(programs.start(ours, None), x, y, order, weight)

    rows = order[weight == 1]
    theirs.compile(optimizer=optimizer, loss="binary_crossentropy", metrics=["binary_accuracy"])
    history = theirs.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0).history
    for one, two in zip(state.trainable, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(one, two, rtol=2e-5, atol=2e-6)
    assert float(loss) == pytest.approx(history["loss"][0], rel=1e-5)
    assert float(accuracy) == pytest.approx(history["binary_accuracy"][0], abs=1e-6)

    monitored, right = programs.monitor(state.trainable, state.other, *in_chunks(x, y))
    expected = theirs.evaluate(x, y, verbose=0)
    assert [float(monitored), float(right)] == pytest.approx(expected, rel=1e-5)


def test_learning_rate_is_that_of_the_fit_and_not_of_the_program() -> None:
    x, y = examples(BATCH)
    ours, theirs = network(), network()
    order, weight = epoch_order(BATCH, BATCH, 7, 1)
    programs = compile_epochs(ours, TrainingHyperparameters("sgd", BATCH), "binary_crossentropy", BATCH, BATCH)
    state, _, _ = programs.train(programs.start(ours, 0.7), x, y, order, weight)
    theirs.compile(optimizer=keras.optimizers.SGD(0.7), loss="binary_crossentropy")
    theirs.train_on_batch(x, y)
    np.testing.assert_allclose(state.trainable[-1], theirs.get_weights()[-1], rtol=1e-5, atol=1e-7)
    again = compile_epochs(ours, TrainingHyperparameters("sgd", BATCH, 0.1), "binary_crossentropy", BATCH, BATCH)
    assert again.compile_s == 0.0


@pytest.mark.slow
def test_equal_networks_are_compiled_once_and_different_ones_are_not() -> None:
    training = TrainingHyperparameters("adam", BATCH)

    def seconds(model: keras.Model, count: int = 77) -> float:
        return compile_epochs(model, training, "binary_crossentropy", count, 10).compile_s

    assert seconds(network(seed=1)) > 0
    assert seconds(network(seed=2)) == 0
    assert seconds(network(seed=2, dropout=0.25)) > 0
    assert seconds(network(seed=1), count=78) > 0


def test_architecture_leaves_out_seeds_only() -> None:
    assert architecture(network(seed=1)) == architecture(network(seed=2))
    assert architecture(network()) != architecture(network(activations="selu sigmoid"))
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
    programs = compile_epochs(ours, TrainingHyperparameters("rmsprop", BATCH), "mean_squared_error", count, count)
    order, weight = epoch_order(count, BATCH, 7, 1)
    state, loss, _ = programs.train(programs.start(ours, None), x, y, order, weight)

    theirs.compile(optimizer="rmsprop", loss="mean_squared_error")
    rows = order.ravel()
    history = theirs.fit(x[rows], y[rows], batch_size=BATCH, shuffle=False, verbose=0).history
    assert float(loss) == pytest.approx(history["loss"][0], rel=1e-5)
    for one, two in zip(state.trainable, theirs.trainable_variables, strict=True):
        np.testing.assert_allclose(one, two.numpy(), rtol=1e-4, atol=5e-6)
    monitored, _ = programs.monitor(state.trainable, state.other, *in_chunks(x, y))
    assert float(monitored) == pytest.approx(theirs.evaluate(x, y, verbose=0), rel=1e-5)
    assert [type(layer).__module__.split(".")[0] for layer in ours.layers] == ["keras"] * 9
