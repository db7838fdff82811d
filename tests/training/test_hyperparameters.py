"""Which hyperparameters are training's, and which values they may have."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import ConfigError
from townsend.training.hyperparameters import (
    NAMES,
    OPTIMIZERS,
    SCHEDULES,
    TrainingHyperparameters,
    batch_of,
    check_loss,
    shape_key,
    split,
)
from townsend.training.losses import known

GIVEN = {"optimizer": "adam", "batch_size": 150, "topology": "8 16 1"}


def test_split_parts_training_from_network() -> None:
    assert split(GIVEN) == (TrainingHyperparameters("adam", 150), {"topology": "8 16 1"})
    assert split({**GIVEN, "learning_rate": 1})[0].learning_rate == 1.0


def test_every_name_is_taken_from_the_configuration() -> None:
    given_all = {
        "optimizer": "nesterov",
        "batch_size": "all",
        "learning_rate": 0.1,
        "momentum": 0,
        "weight_decay": 0,
        "l1": 1e-5,
        "l2": 1,
        "schedule": "plateau",
        "schedule_decay": 0.3,
        "schedule_patience": 2,
        "loss": "huber",
        "epochs": 7,
        "patience": 3,
    }
    assert tuple(given_all) == NAMES
    assert split({**given_all, "dropout": 0.1}) == (TrainingHyperparameters(**given_all), {"dropout": 0.1})  # type: ignore[arg-type]


def test_none_means_the_default() -> None:
    optional = dict.fromkeys(name for name in NAMES if name not in GIVEN)
    assert split({**GIVEN, **optional}) == split(GIVEN)
    with pytest.raises(ConfigError, match="optimizer must be a known one"):
        split({**GIVEN, "optimizer": None})


@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_hyperparameter_without_effect_is_no_error(name: str, schedule: str) -> None:
    grid_row = {"optimizer": name, "schedule": schedule, "momentum": 0.5, "schedule_decay": 0.5, "schedule_patience": 3}
    assert split({**GIVEN, **grid_row})[0].momentum == 0.5


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"optimizer": "adamm"}, 'got "adamm".*did you mean "adam'),
        ({"optimizer": ["adam"]}, "optimizer must be a known one"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"batch_size": "everything"}, 'batch_size must be a whole number from 1 to 1,048,576, or "all"'),
        ({"batch_size": (1 << 20) + 1}, "batch_size must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("nan")}, "learning_rate must be a number above 0"),
        ({"momentum": 1}, r"momentum must be a number in \[0, 1\) \(got 1\)"),
        ({"momentum": -0.1}, "momentum must be a number"),
        ({"weight_decay": -1e-9}, "weight_decay must be a number of at least 0"),
        ({"l1": "0.1"}, "l1 must be a number of at least 0"),
        ({"l2": True}, "l2 must be a number of at least 0"),
        ({"schedule": "cosin"}, 'schedule must be a known one.*did you mean "cosine"'),
        ({"schedule_decay": 1.0}, r"schedule_decay must be a number in \(0, 1\)"),
        ({"schedule_decay": 0}, "schedule_decay must be a number"),
        ({"schedule_patience": 0}, "schedule_patience must be a whole number of epochs"),
        ({"loss": "focal"}, 'loss must be a known one .got "focal"'),
        ({"epochs": 2.5}, "epochs must be a whole number of epochs"),
        ({"patience": False}, "patience must be a whole number of epochs"),
    ],
)
def test_bad_value_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        split({**GIVEN, **change})


@pytest.mark.parametrize("name", ["optimizer", "batch_size"])
def test_what_is_missing_is_named(name: str) -> None:
    with pytest.raises(ConfigError, match=f'needs the hyperparameter "{name}"'):
        split({other: value for other, value in GIVEN.items() if other != name})


@pytest.mark.parametrize("task_loss", ["binary_crossentropy", "mean_squared_error", "mse", "poisson"])
def test_check_loss_takes_each_loss_of_the_tasks_kind(task_loss: str) -> None:
    assert [check_loss(name, task_loss) for name in known(task_loss)] == list(known(task_loss))
    assert check_loss(None, task_loss) == {"mse": "mean_squared_error"}.get(task_loss, task_loss)


@pytest.mark.parametrize(
    ("name", "task_loss", "sentence"),
    [
        (
            "huber",
            "binary_crossentropy",
            r'a classification, as the task is \(got "huber"\); known: binary_crossentropy',
        ),
        (
            "mae",
            "binary_crossentropy",
            r'a classification, as the task is \(got "mae"\); did you mean "mean_squ',
        ),
        ("hinge", "mse", 'a regression, as the task is \\(got "hinge"\\)'),
        ("binary_crossentropy", "mean_squared_error", "a regression"),
        ("hubr", "mse", 'a regression, as the task is \\(got "hubr"\\); did you mean "huber"'),
    ],
)
def test_a_loss_of_the_other_kind_is_refused(name: str, task_loss: str, sentence: str) -> None:
    with pytest.raises(ConfigError, match=f"loss must be one of {sentence}"):
        check_loss(name, task_loss)


def test_short_names_of_losses_are_known() -> None:
    assert split({**GIVEN, "loss": "mae"})[0].loss == "mae"
    assert check_loss("mae", "mse") == check_loss("mean_absolute_error", "mse")
    assert check_loss("mse", "binary_crossentropy") == check_loss("mean_squared_error", "binary_crossentropy")


@given(st.integers(1, 1 << 20), st.integers(1, 1 << 21))
def test_a_batch_is_as_asked_or_refused(size: int, examples: int) -> None:
    training = TrainingHyperparameters("sgd", size)
    if size <= examples:
        assert batch_of(training, examples) == size
    else:
        with pytest.raises(ConfigError, match="batch_size must fit the sample"):
            batch_of(training, examples)
    assert batch_of(TrainingHyperparameters("sgd", "all"), examples) == examples


def test_a_batch_above_the_sample_gives_rule_value_and_remedy() -> None:
    with pytest.raises(ConfigError) as caught:
        batch_of(TrainingHyperparameters("sgd", 4096), 3000)
    assert str(caught.value) == (
        "batch_size must fit the sample (got 4,096, training has 3,000 examples); "
        'lower it, write "all" for one step an epoch, or take a larger sample'
    )


def test_shape_key_leaves_out_what_changes_no_shape() -> None:
    names = ("topology",)
    assert shape_key(GIVEN, names) == shape_key({**GIVEN, "optimizer": "sgd", "dropout": 0.5}, names)
    assert shape_key(GIVEN, names) != shape_key({**GIVEN, "batch_size": 250}, names)
    assert shape_key(GIVEN, names) != shape_key({**GIVEN, "batch_size": "all"}, names)
    assert shape_key(GIVEN, names) != shape_key({**GIVEN, "topology": "8 17 1"}, names)
