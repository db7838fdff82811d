"""Conditions and ties: counted exactly, against brute force, for grids of chance; refused where they make no sense."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import dump_yaml, load_yaml, parse
from townsend.errors import ConfigError
from townsend.sweep.brackets import check_space
from townsend.sweep.conditions import configure, in_order, plain, related
from townsend.sweep.hyperparameter import Range, Tied, Values, listed
from townsend.sweep.settings import SweepSettings
from townsend.sweep.space import case_rows, grid_configurations, grid_size, random_configurations, space_size

SPACE: dict[str, Any] = {
    "dropout": {"values": [0.1, 0.2], "when": {"topology": ["32 64 1"]}, "otherwise": 0.0},
    "learning_rate": {"low": 0.01, "high": 1.0, "log": True, "when": {"optimizer": ["sgd"]}},
    "optimizer": ["sgd", "adam"],
    "topology": ["8 16 1", "32 64 1"],
    "activations": ["relu sigmoid"],
    "batch_size": {"low": 50, "high": 150, "step": 50},
}


def settings(space: dict[str, Any], **changes: Any) -> SweepSettings:
    return parse(SweepSettings, {"task": "t", "sample": "s", "space": space, "trials": 40, **changes})


@st.composite
def spaces(draw: st.DrawFn) -> dict[str, Any]:
    """Draw up to five hyperparameters, some with conditions, defaults and ties, in an order of chance."""
    found: dict[str, Any] = {}
    for name in (f"h{number}" for number in range(draw(st.integers(1, 5)))):
        values = list(range(draw(st.integers(1, 3))))
        lists = {other: form for other, form in found.items() if not isinstance(form, Tied)}
        kind = draw(st.sampled_from(["list", "tied", "values", "values"])) if found else "list"
        if kind == "tied":
            found[name] = Tied(same_as=draw(st.sampled_from(sorted(found))))
        elif kind == "list":
            found[name] = values
        else:
            on = draw(st.lists(st.sampled_from(sorted(lists)), min_size=1, max_size=2, unique=True))
            when = {
                other: draw(st.lists(st.sampled_from(list(listed(lists[other]) or ())), min_size=1, unique=True))
                for other in on
            }
            found[name] = Values(values=values, when=when, otherwise=draw(st.sampled_from([None, 7])))
    return {name: found[name] for name in draw(st.permutations(list(found)))}


def brute_force(space: dict[str, Any]) -> set[tuple[tuple[str, Any], ...]]:
    """Every choice of every list, put into words by the definition alone: repeat until nothing changes."""
    drawn = {name: listed(form) or () for name, form in space.items() if not isinstance(form, Tied)}
    found = set()
    for row in itertools.product(*drawn.values()):
        chosen = dict(zip(drawn, row, strict=True))
        made: dict[str, Any] = {}
        for _ in space:
            made = {name: value for name in space if (value := _value(space[name], chosen.get(name), made)) is not None}
        found.add(tuple(made.items()))
    return found


def _value(form: Any, chosen: Any, made: dict[str, Any]) -> Any:
    if isinstance(form, Tied):
        return made.get(form.same_as)
    if isinstance(form, Values) and not all(made.get(name) in values for name, values in (form.when or {}).items()):
        return form.otherwise
    return chosen


@given(spaces(), st.integers(0, 2**60))
def test_a_grid_with_conditions_is_every_configuration_once(space: dict[str, Any], seed: int) -> None:
    expected = brute_force(space)
    order = [tuple(configuration.items()) for configuration in grid_configurations(space, seed)]
    assert grid_size(space) == space_size(space) == len(order) == len(expected)
    assert set(order) == expected
    half = len(order) // 2
    assert grid_configurations(space, seed, half) == grid_configurations(space, seed)[:half]


@given(spaces())
def test_rows_show_every_value_that_can_be_reached(space: dict[str, Any]) -> None:
    assert {pair for row in case_rows(space) for pair in row.items()} == set(
        itertools.chain.from_iterable(brute_force(space))
    )


@given(spaces())
def test_names_stand_behind_those_they_depend_on(space: dict[str, Any]) -> None:
    order = in_order(space)
    assert sorted(order) == sorted(space)
    for name, form in space.items():
        needs = [form.same_as] if isinstance(form, Tied) else list(getattr(form, "when", None) or ())
        assert all(order.index(other) < order.index(name) for other in needs)
    assert set(related(space, [order[0]])) == {order[0]}


def test_only_what_is_needed_is_asked_for() -> None:
    space = settings(SPACE, sampler="random").space
    asked: list[str] = []

    def choose(name: str, of: Any) -> Any:
        asked.append(name)
        return of.low if isinstance(of, Range) else of[-1]

    found = configure(space, choose)
    assert list(found) == ["dropout", "optimizer", "topology", "activations", "batch_size"]
    assert found["dropout"] == 0.2
    assert sorted(asked) == sorted(found)
    assert asked.index("topology") < asked.index("dropout")


def test_a_range_with_a_step_is_a_list() -> None:
    assert listed(Range(low=50, high=160, step=50)) == [50, 100, 150]
    assert listed(Range(low=0.0, high=0.3, step=0.1)) == [0.0, 0.1, 0.2, 0.3]
    assert listed(Range(low=0, high=1)) is None
    assert space_size({"a": Range(low=3, high=5), "b": [1, 2]}) == 6
    assert space_size({"a": Range(low=3.0, high=5.0)}) is None


def test_random_configurations_leave_out_what_has_no_place() -> None:
    space = settings({**SPACE, "more": {"same_as": "dropout"}}, sampler="random").space
    drawn = random_configurations(space, 1, 60)
    for configuration in drawn:
        assert ("learning_rate" in configuration) == (configuration["optimizer"] == "sgd")
        assert (configuration["dropout"] == 0.0) == (configuration["topology"] == "8 16 1")
        assert configuration["batch_size"] in (50, 100, 150)
        assert configuration["more"] == configuration["dropout"]
    assert {configuration["optimizer"] for configuration in drawn} == {"sgd", "adam"}


def test_what_is_drawn_and_what_a_space_without_conditions_is() -> None:
    space = settings({**SPACE, "more": {"same_as": "dropout"}}, sampler="random").space
    assert list(plain(space)) == list(SPACE)
    assert plain(space)["learning_rate"] == Range(low=0.01, high=1.0, log=True)


def test_resolved_settings_come_back_from_yaml(tmp_path: Path) -> None:
    given = settings({**SPACE, "more": {"same_as": "dropout"}}, sampler="random")
    dump_yaml(given, tmp_path / "resolved.yaml")
    assert parse(SweepSettings, load_yaml(tmp_path / "resolved.yaml")) == given


ON_SGD = {"optimizer": ["sgd"]}


@pytest.mark.parametrize(
    ("name", "form", "sentence"),
    [
        ("dropout", {"values": [1], "when": {"optimiser": ["sgd"]}}, r'name of the space .*did you mean "optimizer"'),
        ("dropout", {"same_as": "topolgy"}, r'name of the space \(got "topolgy"\); did you mean "topology"'),
        ("dropout", {"same_as": "dropout"}, r'space\.dropout must not depend on itself \(got "dropout"\)'),
        ("topology", {"values": ["32 64 1"], "when": {"dropout": [0.1]}}, r"a circle of dropout, topology\)"),
        ("dropout", {"values": [1], "when": {"optimizer": ["sdg"]}}, r"values that optimizer has \(got 'sdg'\)"),
        ("dropout", {"values": [1], "when": {"learning_rate": [0.1]}}, "must be on a list of values .got a range"),
        ("dropout", {"values": [1], "when": {"tied": ["sgd"]}}, 'on the original .got a name tied to "optimizer"'),
        ("dropout", {"values": [1], "otherwise": 2}, "otherwise needs a condition"),
        ("dropout", {"values": [1], "when": {}}, r"space\.dropout\.when: .*at least 1"),
        ("dropout", {"values": [], "when": ON_SGD}, r"space\.dropout\.values: .*at least 1"),
        ("dropout", {"values": [1], "wenn": ON_SGD}, r'space\.dropout\.wenn: unknown key; did you mean "when"'),
        ("dropout", {"same_as": "optimizer", "when": ON_SGD}, r"space\.dropout\.when: unknown key"),
        ("dropout", 0.1, r"space\.dropout: must be a list"),
        ("dropout", {"low": 0.0, "high": 0.1, "step": 0.2}, "step must give 2 to 10000 values"),
        ("dropout", {"low": 0.0, "high": 0.1, "step": 0.0}, r"space\.dropout\.step: must be greater than 0"),
        ("dropout", {"low": 0.1, "high": 0.2, "step": 0.1, "log": True}, "step must be left out when log is true"),
    ],
)
def test_a_space_that_makes_no_sense_is_refused(name: str, form: Any, sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        settings({**SPACE, "tied": {"same_as": "optimizer"}, name: form}, sampler="random")


def test_too_many_cases_are_refused() -> None:
    space = {name: list(range(50)) for name in "abc"}
    with pytest.raises(ConfigError, match=r"at most 10000 cases apart \(got more at c\)"):
        grid_size({**space, "d": Values(values=[1], when={name: [0] for name in "abc"})})


def test_what_training_needs_must_have_a_value_in_every_case() -> None:
    check_space(settings(SPACE, sampler="random"), "binary_crossentropy")
    bare = {**SPACE, "dropout": {"values": [0.1], "when": {"topology": ["32 64 1"]}}}
    with pytest.raises(ConfigError, match=r"space\.dropout must always have a value.*give `otherwise`"):
        check_space(settings(bare, sampler="random"), "binary_crossentropy")


def test_a_bad_value_in_a_rare_case_is_found_before_training() -> None:
    rare = {**SPACE, "learning_rate": {"values": [-1.0], "when": ON_SGD}}
    with pytest.raises(ConfigError, match="learning_rate must be a number above 0"):
        check_space(settings(rare, sampler="random"), "binary_crossentropy")
    unheard = {**SPACE, "dropout": {"values": [0.1], "when": ON_SGD, "otherwise": 2.0}}
    with pytest.raises(ConfigError, match="dropout must be a number in"):
        check_space(settings(unheard, sampler="random"), "binary_crossentropy")
