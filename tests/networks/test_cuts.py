"""Cuts as a model: a condition with thresholds, stored without code."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.errors import ConfigError, InputError, TownsendError
from townsend.networks.cuts import check_cuts, cuts_bytes, cuts_of, make_cuts
from townsend.networks.stored import forward

FEATURES = ("p", "e", "jet.pt")
WINDOW: Mapping[str, Any] = {"selection": "(e/p > low) & (e/p < high)", "low": 0.7, "high": 1.25}
X = np.random.default_rng(0).uniform(0.1, 2, size=(200, 3)).astype(np.float32)


def test_events_that_pass_score_one_and_the_others_nought() -> None:
    cuts = make_cuts(WINDOW, FEATURES, (3,))
    ratio = X[:, 1].astype(float) / X[:, 0]
    expected = ((ratio > 0.7) & (ratio < 1.25)).astype(np.float32)
    assert 0 < expected.sum() < 200
    for scores in (cuts.scores(X), forward(cuts, X)):
        assert scores.dtype == np.float32
        np.testing.assert_array_equal(scores, expected)
    assert cuts.input_shape == (None, 3)
    assert cuts.scores(X[:0]).shape == (0,)
    unknown = X.copy()
    unknown[:, 1] = np.nan
    assert not cuts.scores(unknown).any()


def test_feature_with_another_name_stands_in_backticks() -> None:
    cuts = make_cuts({"selection": "`jet.pt` > 1 and not p < cut", "cut": 1}, FEATURES, (3,))
    np.testing.assert_array_equal(cuts.scores(X), (X[:, 2] > 1) & (X[:, 0] >= 1))


def test_a_condition_without_thresholds_will_do() -> None:
    assert make_cuts({"selection": "p > 0", "low": None}, FEATURES, (3,)).scores(X).all()


def test_cuts_come_back_from_their_file(tmp_path: Path) -> None:
    cuts = make_cuts(WINDOW, FEATURES, (3,))
    again = cuts_of(cuts_bytes(cuts))
    assert again == cuts
    np.testing.assert_array_equal(again.scores(X), cuts.scores(X))


@pytest.mark.parametrize(
    ("hyperparameters", "rule"),
    [
        ({}, "selection of cuts must be a condition in one text"),
        ({"selection": 3}, "selection of cuts must be a condition"),
        ({"selection": "__import__('os')"}, "."),
        ({"selection": "p >"}, "."),
        ({**WINDOW, "lo": 1.0}, 'got "lo".*did you mean "low"'),
        ({**WINDOW, "low": "0.7"}, "threshold low of cuts must be a finite number"),
        ({**WINDOW, "low": True}, "must be a finite number"),
        ({**WINDOW, "low": np.inf}, "must be a finite number"),
    ],
)
def test_what_can_be_refused_before_any_work_is(hyperparameters: dict[str, Any], rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        check_cuts(hyperparameters)


@pytest.mark.parametrize(
    ("hyperparameters", "rule"),
    [
        ({"selection": "(e/p > low)"}, "`low` is neither"),
        ({"selection": "jet > 1", "e": 1.0}, 'got "e"'),
        ({"selection": "p > e", "e": 1.0}, "`e` is both"),
        ({"selection": "p + low", "low": 1.0}, "must be true or false"),
    ],
)
def test_names_must_be_features_or_thresholds_and_the_whole_a_condition(
    hyperparameters: dict[str, Any], rule: str
) -> None:
    with pytest.raises(TownsendError, match=rule):
        make_cuts(hyperparameters, FEATURES, (3,))


@pytest.mark.parametrize(("features", "shape"), [(None, (3,)), (FEATURES, (4,)), (FEATURES, (3, 1))])
def test_inputs_without_names_are_refused(features: Any, shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="cuts need a table whose columns have names"):
        make_cuts(WINDOW, features, shape)


SOUND = json.loads(cuts_bytes(make_cuts(WINDOW, FEATURES, (3,))))


@pytest.mark.parametrize(
    "stored",
    [
        b"",
        b"\xff",
        b"[" * 100_000,
        b"[]",
        b"{}",
        {**SOUND, "features": ["p"]},
        {**SOUND, "features": 3},
        {**SOUND, "thresholds": {"low": 1}},
        {**SOUND, "thresholds": {**SOUND["thresholds"], "more": 1}},
        {**SOUND, "thresholds": {**SOUND["thresholds"], "low": [1]}},
        {**SOUND, "thresholds": {**SOUND["thresholds"], "low": 10**400}},
        {**SOUND, "thresholds": 3},
        {**SOUND, "selection": None},
        {**SOUND, "selection": "p.__class__ > low"},
        {**SOUND, "selection": "().__class__.__bases__[0].__subclasses__()"},
        {**SOUND, "selection": "open('x') if low < high else 0"},
    ],
)
def test_damaged_or_hostile_file_is_refused_by_name(stored: Any) -> None:
    content = stored if isinstance(stored, bytes) else json.dumps(stored).encode()
    with pytest.raises(InputError, match=r"mine\.json must hold cuts as") as error:
        cuts_of(content, "mine.json")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 600
