"""Which hyperparameters are training's, and which values they may have."""

from __future__ import annotations

from typing import Any

import pytest

from townsend.errors import ConfigError
from townsend.training.hyperparameters import TrainingHyperparameters, shape_key, split

GIVEN = {"optimizer": "adam", "batch_size": 150, "topology": "8 16 1"}


def test_split_parts_training_from_network() -> None:
    assert split(GIVEN) == (TrainingHyperparameters("adam", 150, None), {"topology": "8 16 1"})
    assert split({**GIVEN, "learning_rate": 1})[0].learning_rate == 1.0


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"optimizer": "adamm"}, 'got "adamm".*did you mean "adam"'),
        ({"optimizer": ["adam"]}, "optimizer must be a known one"),
        ({"batch_size": 0}, "batch_size must be a whole number from 1"),
        ({"batch_size": 1.5}, "batch_size must be a whole number"),
        ({"batch_size": True}, "batch_size must be a whole number"),
        ({"learning_rate": 0}, "learning_rate must be a number above 0"),
        ({"learning_rate": float("inf")}, "learning_rate must be a number above 0"),
    ],
)
def test_bad_value_is_refused(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        split({**GIVEN, **change})


def test_missing_optimizer_is_named() -> None:
    with pytest.raises(ConfigError, match='needs the hyperparameter "optimizer"'):
        split({"batch_size": 3})


def test_shape_key_leaves_out_what_changes_no_shape() -> None:
    names = ("topology",)
    assert shape_key(GIVEN, names) == shape_key({**GIVEN, "optimizer": "sgd", "dropout": 0.5}, names)
    assert shape_key(GIVEN, names) != shape_key({**GIVEN, "batch_size": 250}, names)
    assert shape_key(GIVEN, names) != shape_key({**GIVEN, "topology": "8 17 1"}, names)
