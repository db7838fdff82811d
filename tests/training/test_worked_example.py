"""The worked example of a course on neural networks, digit by digit: a 2-2-1 network, a batch of two, one step.

Printed there: the forward pass, the loss of each example, and its gradients at the inputs of both layers. These are of
each example by itself, neither summed nor averaged; the new weights are printed as formulas only, so that they are
worked out here in closed form. Ours, like Keras', are those of the batch's mean loss.

Where the print departs from what is computed here:
- ReLU'(0) is 1 in the print, which gives its first row of dL/dz1; JAX and Keras take 0. Both are shown below. The
  first input is (0, 0), so it matters for the hidden biases alone.
- the last digit of -0.2424 is that of the product of rounded numbers, -0.404 x 0.6; unrounded it is -0.2422.
- the second loss is printed with 1 - 0.596 where 1 - y = 0 belongs; its value, 0.52, is that of the right formula.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np
import pytest

from townsend.training.hyperparameters import TrainingHyperparameters
from townsend.training.losses import example_loss
from townsend.training.optimizers import fresh, rates, update

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

INPUTS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], np.float32)
TARGETS = np.array([0, 1, 1, 0], np.float32)
X, Y = INPUTS[:2], TARGETS[:2]
W1, W2 = np.array([[0.1, 0.2], [0.3, 0.4]]), np.array([[0.5], [0.6]])
LEARNING_RATE = 0.1
A2 = 1 / (1 + np.exp(-0.39))  # of the second example: 0.3 x 0.5 + 0.4 x 0.6 = 0.39
TRAINING = TrainingHyperparameters("sgd", batch_size=2, learning_rate=LEARNING_RATE)
RATES = rates(TRAINING, LEARNING_RATE)


def network(hidden: Any = "relu") -> keras.Model:
    """Return the network of the example, its biases 0."""
    layers = [keras.layers.Dense(2, activation=hidden), keras.layers.Dense(1, activation="sigmoid")]
    model = keras.Sequential([keras.Input((2,)), *layers])
    model.set_weights([W1, np.zeros(2), W2, np.zeros(1)])
    return model


def values(model: keras.Model) -> list[Any]:
    return [variable.value for variable in model.trainable_variables]


def losses_of(model: keras.Model) -> Callable[[list[Any], Any, Any], Any]:
    """Return a function (trainable, x, y) -> loss of each example."""

    def losses(trainable: list[Any], x: Any, y: Any) -> Any:
        scores, _ = model.stateless_call(trainable, [], x)
        return example_loss("binary_crossentropy")(y, scores)

    return losses


def at_inputs_of_layers(model: keras.Model) -> tuple[np.ndarray, np.ndarray]:
    """Return dL/dz1 (2, 2) and dL/dz2 (2, 1), a row an example: a bias adds to z, so these are the slopes by biases."""
    slopes = jax.jit(jax.jacrev(losses_of(model)))(values(model), X, Y)
    return np.asarray(slopes[1], float), np.asarray(slopes[3], float)


@jax.jit
def step(trainable: list[Any], slots: Any, x: Any, y: Any) -> tuple[list[Any], Any]:
    slopes = jax.grad(lambda trainable: losses_of(network())(trainable, x, y).mean())(trainable)
    return update(RATES, slots, slopes, trainable)


def test_forward_pass_as_printed() -> None:
    model = network()
    hidden = keras.Model(model.inputs[0], model.layers[0].output)
    np.testing.assert_allclose(np.asarray(hidden(X)), [[0, 0], [0.3, 0.4]], rtol=1e-6)
    a2 = np.asarray(model(X), float)
    np.testing.assert_array_equal(a2.round(3), [[0.5], [0.596]])
    assert a2[1, 0] == pytest.approx(A2, rel=1e-6)


def test_losses_as_printed() -> None:
    model = network()
    losses = np.asarray(losses_of(model)(values(model), X, Y), float)
    np.testing.assert_array_equal(losses.round(2), [0.69, 0.52])
    np.testing.assert_allclose(losses, [np.log(2), -np.log(A2)], rtol=1e-6)


def test_gradient_at_the_output_as_printed() -> None:
    _, at_z2 = at_inputs_of_layers(network())
    np.testing.assert_array_equal(at_z2.round(3), [[0.5], [-0.404]])


def test_gradient_at_the_hidden_layer_as_printed_but_for_the_slope_of_relu_at_nought() -> None:
    at_z1, at_z2 = at_inputs_of_layers(network())
    np.testing.assert_array_equal(at_z1[0], [0, 0])
    np.testing.assert_allclose(at_z1[1], (A2 - 1) * W2[:, 0], rtol=1e-5)
    np.testing.assert_array_equal(at_z1[1].round(3), [-0.202, -0.242])
    from_rounded = at_z2.round(3)[1] * W2[:, 0]  # as the print has it
    np.testing.assert_array_equal(from_rounded.round(4), [-0.202, -0.2424])


def test_gradient_at_the_hidden_layer_as_printed_with_slope_one_at_nought() -> None:
    at_z1, at_z2 = at_inputs_of_layers(network(lambda z: jnp.where(z >= 0, z, 0)))
    np.testing.assert_array_equal(at_z1[0].round(6), [0.25, 0.3])
    np.testing.assert_array_equal((at_z2.round(3) @ W2.T).round(4), [[0.25, 0.3], [-0.202, -0.2424]])


def test_a_step_of_our_optimizer_is_the_closed_form_of_the_mean_gradient() -> None:
    trainable = values(network())
    moved, _ = step(trainable, fresh(trainable), X, Y)
    at_z2 = np.array([0.5, A2 - 1])
    at_z1 = np.array([[0, 0], at_z2[1] * W2[:, 0]])
    a1 = np.array([[0, 0], [0.3, 0.4]])
    slopes = [X.T @ at_z1, at_z1.sum(axis=0), (a1.T @ at_z2)[:, None], at_z2.sum()[None]]
    for new, old, slope in zip(moved, trainable, slopes, strict=True):
        np.testing.assert_allclose(new, np.asarray(old) - LEARNING_RATE * slope / len(X), rtol=1e-6, atol=1e-8)
    assert np.asarray(moved[2], float).round(4).tolist() == [[0.5061], [0.6081]]  # 0.5 + 0.1 x 0.3 x 0.4037 / 2, ...


def test_three_epochs_of_two_batches_end_where_keras_does() -> None:
    trainable = values(network())
    slots = fresh(trainable)
    for _ in range(3):
        for first in (0, 2):
            trainable, slots = step(trainable, slots, INPUTS[first : first + 2], TARGETS[first : first + 2])
    theirs = network()
    theirs.compile(keras.optimizers.SGD(LEARNING_RATE), loss="binary_crossentropy")
    theirs.fit(INPUTS, TARGETS[:, None], batch_size=2, epochs=3, shuffle=False, verbose=0)
    for ours, expected in zip(trainable, theirs.get_weights(), strict=True):
        np.testing.assert_allclose(ours, expected, rtol=1e-6, atol=1e-8)
