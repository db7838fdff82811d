"""Losses inside a compiled program: Keras' own formulas."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.training.losses import CLASSIFICATION, REGRESSION, example_loss, is_classification, known

TASKS = ("binary_crossentropy", "mse")
EVERY = [(task, name) for task in TASKS for name in known(task)]


@cache
def compiled(name: str) -> Callable[..., Any]:
    return jax.jit(example_loss(name))


def every(task: str, y: Any, scores: Any) -> Any:
    """Return the losses by every formula that the task can take, a row each."""
    return jax.numpy.stack([compiled(name)(y, scores) for name in known(task)])


def labels_and_scores(task: str) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    scores = random.uniform(0.01, 0.99, size=(50, 1)).astype(np.float32)
    if is_classification(task):
        return (random.uniform(size=50) > 0.5).astype(np.float32), scores
    return random.normal(scale=3, size=50).astype(np.float32), 4 * scores


def test_the_kind_follows_from_the_tasks_own_loss() -> None:
    assert is_classification("binary_crossentropy")
    assert is_classification("squared_hinge")
    assert not is_classification("mean_squared_error")
    assert not is_classification("mse")
    assert not is_classification("poisson")


def test_losses_stand_in_fixed_order() -> None:
    assert known("binary_crossentropy") == known("hinge") == CLASSIFICATION
    assert known("mse") == known("mae") == known("huber") == REGRESSION
    assert known("poisson") == (*REGRESSION, "poisson")


@pytest.mark.parametrize(("task", "name"), EVERY)
def test_example_loss_equals_the_keras_class(task: str, name: str) -> None:
    y, scores = labels_and_scores(task)
    named = name.title().replace("_", "").replace("Logcosh", "LogCosh")
    theirs = getattr(keras.losses, named)(reduction=None)(y[:, None], scores)
    ours = compiled(name)(y, scores)
    assert ours.shape == (50,)
    np.testing.assert_allclose(ours, theirs, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("labels", [[0.0, 0.0], [1.0, 1.0], [0.0, 1.0], [1.0, 0.25]])
def test_hinge_knows_the_classes_as_minus_and_plus_one_in_any_batch(labels: list[float]) -> None:
    y = np.array(labels, np.float32)
    scores = np.linspace(-2, 2, len(y), dtype=np.float32)[:, None]
    expected = np.maximum(0, 1 - (2 * y - 1) * scores[:, 0])
    losses = {name: compiled(name)(y, scores) for name in ("hinge", "squared_hinge")}
    np.testing.assert_allclose(losses["hinge"], expected, rtol=1e-6)
    np.testing.assert_allclose(losses["squared_hinge"], expected**2, rtol=1e-6)


@given(st.floats(-50, 50, width=32), st.floats(-50, 50, width=32))
def test_regression_losses_vanish_at_the_target_and_know_no_side(target: float, off: float) -> None:
    y = np.full(3, target, np.float32)
    scores = (y + np.array([-off, 0, off], np.float32))[:, None]
    losses = np.asarray(every("mse", y, scores))
    np.testing.assert_allclose(losses[:, 0], losses[:, 2], rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(losses[:, 1], 0, atol=1e-6)
    assert (losses >= -1e-6).all()


@pytest.mark.parametrize("task", TASKS)
def test_gradients_are_finite_at_scores_far_off(task: str) -> None:
    y = np.array([0, 1, 0, 1], np.float32)
    scores = np.array([[0], [1], [1], [0]], np.float32)
    slopes = jax.jit(jax.jacrev(lambda scores: every(task, y, scores).sum(axis=1)))
    assert np.isfinite(slopes(scores)).all()
    assert np.isfinite(slopes(1e6 * scores)).all()


def test_closed_forms() -> None:
    y, scores = np.array([1, 1], np.float32), np.array([[0.25], [0.25]], np.float32)
    cross = np.log(4)
    values = every("binary_crossentropy", y, scores)[:, 0].tolist()
    assert values == pytest.approx([cross, 0.75**2 * cross, 0.75, 0.5625, 0.5625], rel=1e-5)
    values = every("mse", y, y[:, None] + 3)[:, 0].tolist()
    assert values == pytest.approx([9, 3, 2.5, np.log(np.cosh(3))], rel=1e-5)
