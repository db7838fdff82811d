"""The learning rate of each epoch, from the losses before it."""

from __future__ import annotations

import math
from itertools import pairwise

import keras
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.training.hyperparameters import OPTIMIZERS, SCHEDULES, TrainingHyperparameters
from townsend.training.schedules import default_rate, rate

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LOSSES = st.lists(st.sampled_from([0.5, 0.6, 0.7, 0.8, 0.9]), max_size=40)
MODEL = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
MODEL.compile(optimizer="sgd", loss="mse")
KERAS_NAMES = dict(zip(OPTIMIZERS, ("SGD", "SGD", "SGD", "RMSprop", "Adam", "AdamW"), strict=True))


def scheduled(schedule: str, **changes: float) -> TrainingHyperparameters:
    return TrainingHyperparameters("adam", 1, schedule=schedule, **{"learning_rate": 0.1, **changes})  # type: ignore[arg-type]


def rates_of(training: TrainingHyperparameters, losses: list[float]) -> list[float]:
    """Return the rates of all epochs, each asked for with nothing but the losses before it."""
    return [rate(training, epoch, len(losses), losses[: epoch - 1]) for epoch in range(1, len(losses) + 1)]


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_default_rate_is_that_of_keras(optimizer: str) -> None:
    theirs = getattr(keras.optimizers, KERAS_NAMES[optimizer])().learning_rate
    assert default_rate(optimizer) == pytest.approx(float(theirs), rel=1e-6)
    assert rate(TrainingHyperparameters(optimizer, 1), 3, 5, [1, 1]) == default_rate(optimizer)


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(epochs=st.integers(1, 100_000))
def test_the_first_epoch_has_the_rate_given(schedule: str, epochs: int) -> None:
    assert rate(scheduled(schedule), 1, epochs, []) == 0.1


@pytest.mark.parametrize("schedule", SCHEDULES)
@given(losses=LOSSES, later=LOSSES)
def test_a_rate_never_rises_and_knows_nothing_of_later_losses(
    schedule: str, losses: list[float], later: list[float]
) -> None:
    training = scheduled(schedule)
    rates = rates_of(training, losses)
    assert all(0 < after <= before for before, after in pairwise(rates))
    longest = len(losses)
    assert rates == [rate(training, epoch, longest, losses + later) for epoch in range(1, longest + 1)]


def test_constant_and_decay_are_closed_forms() -> None:
    assert rates_of(scheduled("constant"), [1, 2, 3]) == [0.1, 0.1, 0.1]
    assert rates_of(scheduled("decay"), [1, 2, 3]) == pytest.approx([0.1, 0.095, 0.09025])
    assert rates_of(scheduled("decay", schedule_decay=0.5), [1, 2, 3]) == pytest.approx([0.1, 0.05, 0.025])


@given(st.integers(2, 100_000), st.data())
def test_cosine_falls_from_the_rate_to_just_above_nothing(epochs: int, data: st.DataObject) -> None:
    epoch = data.draw(st.integers(1, epochs - 1))
    now, after = (rate(scheduled("cosine"), e, epochs, []) for e in (epoch, epoch + 1))
    assert 0 < after < now <= 0.1
    mirrored = rate(scheduled("cosine"), epochs + 1 - epoch, epochs, [])
    shifted = rate(scheduled("cosine"), epoch + 1, epochs, [])
    assert mirrored + shifted == pytest.approx(0.1)  # half way down at half time, and the same on both sides of it


def test_cosine_equals_keras_cosine_decay_with_a_step_an_epoch() -> None:
    theirs = keras.optimizers.schedules.CosineDecay(0.1, decay_steps=30)
    ours = rates_of(scheduled("cosine"), [1.0] * 30)
    assert ours == pytest.approx([float(theirs(step)) for step in range(30)], abs=1e-7)
    assert rate(scheduled("cosine"), 16, 30, []) == pytest.approx(0.05)


@given(LOSSES, st.integers(1, 6), st.sampled_from([0.1, 0.5, 0.9]))
def test_plateau_equals_keras_reduce_on_plateau(losses: list[float], patience: int, factor: float) -> None:
    MODEL.optimizer.learning_rate = 0.1
    callback = keras.callbacks.ReduceLROnPlateau(
        monitor="val_loss", factor=factor, patience=patience, mode="min", min_delta=0, cooldown=0
    )
    callback.set_model(MODEL)
    callback.on_train_begin()
    theirs = []
    for epoch, loss in enumerate(losses):
        theirs.append(float(MODEL.optimizer.learning_rate))
        callback.on_epoch_end(epoch, {"val_loss": loss})
    training = scheduled("plateau", schedule_decay=factor, schedule_patience=patience)
    assert rates_of(training, losses) == pytest.approx(theirs, rel=1e-5)


def test_plateau_steps_down_after_its_patience_and_again() -> None:
    losses = [0.9, 0.8, 0.8, 0.85, 0.8, 0.8, 0.7, 0.7]
    training = scheduled("plateau", schedule_patience=2)
    assert rates_of(training, losses) == pytest.approx([0.1, 0.1, 0.1, 0.1, 0.05, 0.05, 0.025, 0.025])


def test_a_loss_that_is_no_number_is_no_improvement() -> None:
    training = scheduled("plateau", schedule_patience=1)
    assert rates_of(training, [0.9, math.nan, 0.8, 0.7]) == pytest.approx([0.1, 0.1, 0.05, 0.05])
