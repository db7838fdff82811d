"""A grid's order: every configuration once, any start of it a fair sample; and configurations drawn at random."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.samplers import RandomSampler
from scipy.stats import chisquare, ks_2samp, kstest

from townsend.errors import ConfigError
from townsend.sweep.settings import Range
from townsend.sweep.space import grid_configurations, grid_size, random_configurations

SLIDES: dict[str, Any] = {
    "optimizer": ["sgd", "rmsprop", "adam"],
    "activations": ["relu selu", "relu sigmoid", "selu sigmoid"],
    "topology": ["96 128 1", "32 64 1", "16 32 1", "8 16 1"],
    "batch_size": [150, 250],
    "dropout": [0.1, 0.0],
}


def flat(configurations: list[dict[str, Any]]) -> list[tuple[Any, ...]]:
    return [tuple(configuration.values()) for configuration in configurations]


def test_grid_of_the_slides_has_144_configurations() -> None:
    assert grid_size(SLIDES) == 144


@given(st.lists(st.integers(1, 5), min_size=1, max_size=4), st.integers(0, 2**60))
def test_whole_order_is_every_configuration_once(sizes: list[int], seed: int) -> None:
    space = {f"h{i}": list(range(size)) for i, size in enumerate(sizes)}
    order = flat(grid_configurations(space, seed))
    assert sorted(order) == sorted(itertools.product(*space.values()))


@given(st.integers(0, 144), st.integers(0, 2**60))
def test_fewer_trials_are_the_start_of_the_same_order(count: int, seed: int) -> None:
    assert grid_configurations(SLIDES, seed, count) == grid_configurations(SLIDES, seed)[:count]


def test_order_depends_on_the_seed_and_names_keep_theirs() -> None:
    assert grid_configurations(SLIDES, 1) != grid_configurations(SLIDES, 2)
    assert list(grid_configurations(SLIDES, 1)[0]) == list(SLIDES)


def test_start_of_the_order_is_a_fair_sample() -> None:
    seeds = range(300)
    drawn = [c["optimizer"] for seed in seeds for c in grid_configurations(SLIDES, seed, 24)]
    share = drawn.count("adam") / len(drawn)
    # A fair share is 1/3 with a standard deviation of 0.0051 (hypergeometric); false alarm below 1e-4 at 4 of them.
    assert abs(share - 1 / 3) < 4 * 0.0051


@pytest.mark.parametrize(
    ("space", "count", "sentence"),
    [
        ({}, None, "at least one hyperparameter"),
        ({"a": [1], "b": []}, None, r"space\.b must list at least one value"),
        ({"a": Range(low=1, high=2)}, None, "got a range for a"),
        ({"a": [1, 2]}, 3, r"at most the grid's 2 configurations \(got 3\)"),
        ({name: list(range(100)) for name in "abcde"}, None, "at most 10000000 configurations"),
    ],
)
def test_impossible_grid_is_refused(space: dict[str, Any], count: int | None, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        grid_configurations(space, 1, count)


RANGES: dict[str, Any] = {
    "rate": Range(low=1e-4, high=0.1, log=True),
    "dropout": Range(low=0.1, high=0.5),
    "units": Range(low=1, high=64, log=True),
    "layers": Range(low=1, high=4),
    "optimizer": ["adam", "sgd", "rmsprop"],
}


def test_random_draws_have_the_law_of_their_range() -> None:
    drawn = {name: np.array([each[name] for each in random_configurations(RANGES, 5, 4000)]) for name in RANGES}
    assert kstest((drawn["dropout"] - 0.1) / 0.4, "uniform").pvalue > 1e-4
    assert kstest(np.log10(drawn["rate"]) / 3 + 4 / 3, "uniform").pvalue > 1e-4
    assert kstest(drawn["rate"], "uniform", (1e-4, 0.1)).pvalue < 1e-4  # so that the wrong law would be seen
    for name in ("layers", "optimizer"):
        assert chisquare(np.unique(drawn[name], return_counts=True)[1]).pvalue > 1e-4
    assert len(np.unique(drawn["layers"])) == 4
    assert abs(np.corrcoef(np.log(drawn["rate"]), drawn["dropout"])[0, 1]) < 4 / np.sqrt(4000)


@pytest.mark.parametrize(
    ("name", "distribution"),
    [
        ("rate", FloatDistribution(1e-4, 0.1, log=True)),
        ("units", IntDistribution(1, 64, log=True)),
        ("layers", IntDistribution(1, 4)),
    ],
)
def test_random_draws_have_the_law_of_optuna(name: str, distribution: BaseDistribution) -> None:
    study = optuna.create_study(sampler=RandomSampler(seed=3))
    theirs = [study.ask({name: distribution}).params[name] for _ in range(1500)]
    ours = [each[name] for each in random_configurations({name: RANGES[name]}, 7, 1500)]
    assert ks_2samp(theirs, ours).pvalue > 1e-4
    assert {type(value) for value in ours} == {type(value) for value in theirs}


@given(st.integers(0, 40), st.integers(0, 2**60))
def test_fewer_random_trials_are_the_start_of_the_same_sequence(count: int, seed: int) -> None:
    assert random_configurations(RANGES, seed, count) == random_configurations(RANGES, seed, 40)[:count]


def test_random_draws_depend_on_seed_and_name_alone() -> None:
    assert random_configurations(RANGES, 1, 5) != random_configurations(RANGES, 2, 5)
    alone = random_configurations({"rate": RANGES["rate"]}, 1, 5)
    assert [each["rate"] for each in random_configurations(RANGES, 1, 5)] == [each["rate"] for each in alone]
    assert list(random_configurations(RANGES, 1, 1)[0]) == list(RANGES)
