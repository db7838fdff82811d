"""A grid's order: every configuration once, and any start of it a fair sample."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import ConfigError
from townsend.sweep.settings import Range
from townsend.sweep.space import grid_configurations, grid_size

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
