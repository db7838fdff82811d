"""The update rules: Keras' own, step for step, alone and side by side."""

from __future__ import annotations

from functools import cache
from typing import Any

import jax
import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from townsend.training.hyperparameters import OPTIMIZERS, TrainingHyperparameters
from townsend.training.optimizers import Rates, Slots, fresh, penalty, rates, update

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

STEPS = 20
SHAPES = ((3, 2), (2,), (2, 2, 3))
MOMENTUM, DECAY = 0.8, 0.05

step = jax.jit(update)


def random_variables(seed: int) -> list[np.ndarray]:
    random = np.random.default_rng(seed)
    return [random.normal(size=shape).astype(np.float32) for shape in SHAPES]


def gradients(steps: int = STEPS) -> list[list[np.ndarray]]:
    """Return gradients of very different sizes, one list a step."""
    return [[10.0 ** (number % 5 - 3) * g for g in random_variables(100 + number)] for number in range(steps)]


def settings_of(name: str, **changes: Any) -> TrainingHyperparameters:
    return TrainingHyperparameters(name, 1, **{"momentum": MOMENTUM, "weight_decay": DECAY, **changes})


def keras_optimizer(name: str, learning_rate: float, decay: float | None = DECAY) -> keras.optimizers.Optimizer:
    if name in ("sgd", "momentum", "nesterov"):
        kept = 0.0 if name == "sgd" else MOMENTUM
        return keras.optimizers.SGD(learning_rate, momentum=kept, nesterov=name == "nesterov", weight_decay=decay)
    return getattr(keras.optimizers, {"rmsprop": "RMSprop", "adam": "Adam", "adamw": "AdamW"}[name])(
        learning_rate, weight_decay=decay
    )


@cache
def keras_after(name: str, steps: int = STEPS) -> list[np.ndarray]:
    """Return the variables after some steps of Keras."""
    trainable = [keras.Variable(value) for value in random_variables(0)]
    optimizer = keras_optimizer(name, 0.01)
    optimizer.build(trainable)
    values, state = [v.value for v in trainable], [v.value for v in optimizer.variables]
    apply = jax.jit(optimizer.stateless_apply)
    for gradient in gradients(steps):
        values, state = apply(state, gradient, values)
    return [np.asarray(value) for value in values]


def agree(ours: list[Any], theirs: list[Any], rtol: float = 1e-6) -> None:
    for one, two in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one, two, rtol=rtol, atol=1e-7)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_steps_equal_those_of_keras(name: str) -> None:
    values, slots = random_variables(0), fresh(random_variables(0))
    given = rates(settings_of(name), 0.01)
    for gradient in gradients():
        values, slots = step(given, slots, gradient, values)
    agree(values, keras_after(name))
    assert int(slots.steps) == STEPS


def test_rules_side_by_side_equal_keras_one_by_one() -> None:
    def stacked(members: list[Any]) -> Any:
        return jax.tree.map(lambda *leaves: np.stack(leaves), *members)

    many = len(OPTIMIZERS)
    values, slots = (stacked([of] * many) for of in (random_variables(0), fresh(random_variables(0))))
    given = stacked([rates(settings_of(name), 0.01) for name in OPTIMIZERS])
    advance = jax.jit(jax.vmap(update, in_axes=(0, 0, None, 0)))
    for gradient in gradients():
        values, slots = advance(given, slots, gradient, values)
    for member, name in enumerate(OPTIMIZERS):
        agree([value[member] for value in values], keras_after(name))


def test_one_program_serves_all_rules_and_rates() -> None:
    traced = []

    @jax.jit
    def counted(*arguments: Any) -> Any:
        traced.append(1)
        return update(*arguments)

    values = random_variables(0)
    for name in OPTIMIZERS:
        for learning_rate in (0.1, 0.2):
            counted(rates(settings_of(name), learning_rate), fresh(values), values, values)
    assert len(traced) == 1


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_defaults_are_those_of_keras(name: str) -> None:
    given = rates(TrainingHyperparameters(name, 1), 0.01)
    theirs = keras.optimizers.AdamW() if name == "adamw" else keras_optimizer(name, 0.01, decay=None)
    assert float(given.weight_decay) == pytest.approx(theirs.weight_decay or 0.0)
    assert float(given.momentum) == pytest.approx(0.9)
    assert (given.l1, given.l2, OPTIMIZERS[given.optimizer]) == (0.0, 0.0, name)
    assert all(value.shape == () for value in given)


@pytest.mark.parametrize("name", ["momentum", "nesterov"])
def test_without_momentum_only_the_plain_step_is_left(name: str) -> None:
    plain = walk("sgd", 3)
    agree(walk(name, 3, momentum=0.0), plain)


@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name not in ("momentum", "nesterov")])
def test_other_rules_do_not_look_at_the_momentum(name: str) -> None:
    for one, two in zip(walk(name, 3, momentum=0.0), walk(name, 3, momentum=0.99), strict=True):
        np.testing.assert_array_equal(one, two)


def test_adamw_is_adam_with_its_own_default_decay() -> None:
    given, other = (rates(TrainingHyperparameters(name, 1, weight_decay=0.1), 0.01) for name in ("adam", "adamw"))
    assert given._replace(optimizer=other.optimizer) == other
    agree(walk("adam", 3), walk("adamw", 3), rtol=0)


def walk(name: str, steps: int, **changes: Any) -> list[Any]:
    values, slots = random_variables(0), fresh(random_variables(0))
    for gradient in gradients(steps):
        values, slots = step(rates(settings_of(name, **changes), 0.01), slots, gradient, values)
    return values


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_weight_decay_shrinks_every_variable_by_its_share_before_the_step(name: str) -> None:
    values = random_variables(0)
    nothing = [np.zeros_like(value) for value in values]
    moved, _ = step(rates(settings_of(name, weight_decay=0.5), 0.1), fresh(values), nothing, values)
    agree(moved, [0.95 * value for value in values])


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_step_of_rate_zero_moves_nothing(name: str) -> None:
    values = random_variables(0)
    moved, _ = step(rates(settings_of(name), 0.0), fresh(values), gradients()[0], values)
    for one, two in zip(moved, values, strict=True):
        np.testing.assert_array_equal(one, two)


def test_the_first_step_of_adam_is_the_learning_rate_whatever_the_gradient() -> None:
    values = [np.zeros(3, np.float32)]
    moved, _ = step(rates(settings_of("adam"), 0.01), fresh(values), [np.float32([0.1, 1, -1e3])], values)
    np.testing.assert_allclose(moved[0], [-0.01, -0.01, 0.01], rtol=2e-4)


def test_a_member_that_diverges_does_not_harm_its_neighbour() -> None:
    values = [np.ones((2, 3), np.float32)]
    slots = jax.vmap(fresh)(values)
    given = Rates(*(np.stack([of, of]) for of in rates(settings_of("adam"), 0.01)))
    spoilt = np.float32([[np.nan] * 3, [1.0] * 3])
    moved, slots = jax.vmap(update)(given, slots, [spoilt], values)
    alone, _ = update(rates(settings_of("adam"), 0.01), fresh([values[0][1]]), [spoilt[1]], [values[0][1]])
    assert np.isnan(np.asarray(moved[0][0])).all()
    np.testing.assert_array_equal(moved[0][1], alone[0])


def test_slots_rest_as_arrays_and_go_on() -> None:
    through = walk("adam", 6)
    values, slots = random_variables(0), fresh(random_variables(0))
    given = rates(settings_of("adam"), 0.01)
    for number, gradient in enumerate(gradients(6)):
        if number == 3:
            flat, form = jax.tree.flatten(slots)
            slots = jax.tree.unflatten(form, [np.asarray(leaf) for leaf in flat])
            assert isinstance(slots, Slots)
        values, slots = step(given, slots, gradient, values)
    for one, two in zip(values, through, strict=True):
        np.testing.assert_array_equal(one, two)


KERNELS = arrays.arrays(np.float32, (3, 2), elements=st.floats(-10, 10, width=32, allow_subnormal=False))
FACTORS = st.floats(0, 10, width=32)


@given(KERNELS, FACTORS, FACTORS)
def test_penalty_is_that_of_keras_on_kernels_alone(kernel: np.ndarray, l1: float, l2: float) -> None:
    given = rates(settings_of("sgd", l1=l1, l2=l2), 0.1)
    expected = l1 * np.abs(kernel.astype(float)).sum() + l2 * (kernel.astype(float) ** 2).sum()
    bias = np.full(4, 1e3, np.float32)
    assert float(penalty(given, [kernel, bias])) == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_penalty_equals_that_of_a_keras_model() -> None:
    regularizer = keras.regularizers.L1L2(l1=0.01, l2=0.02)
    layers = [keras.layers.Dense(4, kernel_regularizer=regularizer) for _ in range(2)]
    model = keras.Sequential([keras.Input((3,)), *layers])
    given = rates(settings_of("sgd", l1=0.01, l2=0.02), 0.1)
    ours = penalty(given, [variable.value for variable in model.trainable_variables])
    assert float(ours) == pytest.approx(float(sum(model.losses)), rel=1e-6)


@given(KERNELS)
def test_no_penalty_is_exactly_none(kernel: np.ndarray) -> None:
    given = rates(settings_of("sgd"), 0.1)
    value, slope = jax.value_and_grad(lambda kernel: penalty(given, [kernel]))(kernel)
    assert float(value) == 0
    assert not np.asarray(slope).any()


def test_penalty_of_a_network_without_kernels_is_nothing() -> None:
    assert float(penalty(rates(settings_of("sgd", l1=1.0, l2=1.0), 0.1), [np.ones(3, np.float32)])) == 0


@given(KERNELS)
def test_l1_pulls_all_weights_alike_and_l2_in_proportion(kernel: np.ndarray) -> None:
    def slope(l1: float, l2: float) -> np.ndarray:
        given = rates(settings_of("sgd", l1=l1, l2=l2), 0.1)
        return np.asarray(jax.grad(lambda kernel: penalty(given, [kernel]))(kernel))

    moving = kernel != 0
    np.testing.assert_allclose(slope(0.3, 0.0)[moving], 0.3 * np.sign(kernel[moving]), rtol=1e-6)
    np.testing.assert_allclose(slope(0.0, 0.3), 0.6 * kernel, rtol=1e-6, atol=1e-30)


@given(KERNELS, st.floats(0, 1, width=32), st.floats(0, 1, width=32))
def test_with_plain_steps_weight_decay_is_l2_of_half_its_size(
    kernel: np.ndarray, decay: float, learning_rate: float
) -> None:
    decayed = rates(settings_of("sgd", weight_decay=decay), learning_rate)
    penalised = rates(settings_of("sgd", weight_decay=0.0, l2=decay / 2), learning_rate)
    slope = jax.grad(lambda kernel: penalty(penalised, [kernel]))(kernel)
    one, _ = step(decayed, fresh([kernel]), [np.zeros_like(kernel)], [kernel])
    two, _ = step(penalised, fresh([kernel]), [slope], [kernel])
    np.testing.assert_allclose(one[0], two[0], rtol=1e-5, atol=1e-5)
