"""The random walk with temperature: its limits, its frequencies, where it goes, and that it is reproducible."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from itertools import pairwise
from statistics import NormalDist
from typing import Any, Literal

import numpy as np
import optuna
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.trial import TrialState

from townsend.config import parse
from townsend.errors import ConfigError
from townsend.sweep.brackets import check_space
from townsend.sweep.proposals import Proposals
from townsend.sweep.random_walk import WalkSampler, accepts, neighbour
from townsend.sweep.settings import SweepSettings
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

optuna.logging.set_verbosity(optuna.logging.WARNING)

SPACE: dict[str, BaseDistribution] = {
    "optimizer": CategoricalDistribution(["adam", "sgd", "rmsprop"]),
    "units": IntDistribution(1, 64, log=True),
    "layers": IntDistribution(1, 3),
    "dropout": FloatDistribution(0.0, 0.5),
    "rate": FloatDistribution(1e-4, 0.1, log=True),
    "fixed": CategoricalDistribution(["relu"]),
}
CHANGING = {name: values for name, values in SPACE.items() if not values.single()}
LEVELS = {"level": CategoricalDistribution(["low", "high"])}
Direction = Literal["minimize", "maximize"]
Loss = Callable[[Mapping[str, Any]], float | None]


def loss(of: Mapping[str, Any]) -> float:
    """Convex in the scale of each number, smallest (0) at one configuration."""
    wrong = {"adam": 0.0, "sgd": 0.3, "rmsprop": 0.5}[of["optimizer"]]
    return float(
        wrong
        + (math.log(of["units"] / 20) / 4) ** 2
        + (of["layers"] - 2) ** 2 / 4
        + (2 * of["dropout"] - 0.3) ** 2
        + (math.log10(of["rate"] / 0.004) / 3) ** 2
    )


def walked(
    sampler: BaseSampler,
    trials: int,
    of: Loss = loss,
    space: Mapping[str, BaseDistribution] = SPACE,
    direction: Direction = "minimize",
) -> optuna.Study:
    """A study in which each trial knows all before it; what has no value has failed."""
    study = optuna.create_study(direction=direction, sampler=sampler)
    for _ in range(trials):
        trial = study.ask(dict(space))
        value = of(trial.params)
        study.tell(trial, value, state=TrialState.FAIL if value is None else None)
    return study


def places(study: optuna.Study, first: int) -> list[optuna.trial.FrozenTrial]:
    """Where the walk stands before each trial from `first` on, judged by samplers that know no more than it does."""
    found = []
    for number in range(first, len(study.trials)):
        part = optuna.create_study(directions=[study.direction])
        part.add_trials(study.trials[:number])
        place = WalkSampler(7, 60).place(part)
        assert place is not None
        found.append(place)
    return found


def changed(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    return [name for name in after if after[name] != before[name]]


@pytest.mark.parametrize(("direction", "sign"), [("minimize", 1.0), ("maximize", -1.0)])
def test_at_temperature_zero_it_only_improves(direction: Direction, sign: float) -> None:
    sampler = WalkSampler(3, 200, start=0.0)
    study = walked(sampler, 200, lambda of: sign * loss(of), direction=direction)
    best = study.trials[0]
    for trial in study.trials:
        if trial.number >= 10:
            assert len(changed(best.params, trial.params)) == 1  # each step starts at the best so far
        assert trial.value is not None
        assert best.value is not None
        if sign * trial.value <= sign * best.value:
            best = trial
    assert sampler.place(study) == best
    assert best.value == study.best_value


def test_at_infinite_temperature_it_accepts_everything() -> None:
    study = walked(WalkSampler(3, 100, start=math.inf), 100)
    for before, after in pairwise(study.trials[10:]):
        assert len(changed(before.params, after.params)) == 1


@pytest.mark.parametrize("ratio", [0.1, 0.5, 1.0, 3.0])
def test_worse_is_accepted_as_often_as_the_exponential_says(ratio: float) -> None:
    count = 4000
    often = sum(accepts(ratio * 0.02, 0.02, 11, number) for number in range(count))
    expected = math.exp(-ratio)
    error = math.sqrt(expected * (1 - expected) / count)
    assert abs(often / count - expected) < NormalDist().inv_cdf(1 - 1e-4) * error


@pytest.mark.parametrize("ratio", [0.5, 2.0])
def test_walk_of_two_levels_climbs_as_often_as_the_exponential_says(ratio: float) -> None:
    trials, step = 1500, 0.04
    sampler = WalkSampler(5, trials, start=step / ratio, cooled=1.0)
    study = walked(sampler, trials, lambda of: {"low": 0.0, "high": step}[of["level"]], LEVELS)
    levels = [trial.params["level"] for trial in study.trials[10:]]
    assert levels[0] == "high"  # the warm-up found the low one
    tried, climbed = 0, 0
    for now, following in pairwise(levels):
        if now == "high":  # a step up from low: accepted when the next step goes down again
            tried += 1
            climbed += following == "low"
    expected = math.exp(-ratio)
    error = math.sqrt(expected * (1 - expected) / tried)
    assert tried > 500
    assert abs(climbed / tried - expected) < 4 * error


def test_better_is_always_accepted_and_worse_never_when_cold() -> None:
    assert accepts(0.0, 0.0, 1, 1)
    assert accepts(-1e-9, 0.0, 1, 1)
    assert not accepts(1e-9, 0.0, 1, 1)
    assert all(accepts(1e9, math.inf, 1, number) for number in range(100))
    assert not accepts(1e300, 1e-300, 1, 1)


def test_temperature_starts_at_the_spread_of_the_first_results_and_falls_geometrically() -> None:
    sampler = WalkSampler(1, 110)
    study = walked(sampler, 110)
    sampler.place(study)
    low, high = np.quantile([trial.value for trial in study.trials[:10]], [0.25, 0.75])
    found = [sampler.temperature(number) for number in range(10, 110)]
    assert found[0] == pytest.approx(high - low)
    assert found[-1] == pytest.approx(0.01 * (high - low))
    np.testing.assert_allclose(np.diff(np.log(found)), math.log(0.01) / 99)
    assert sampler.temperature(500) == found[-1]
    assert sampler.temperature(9) == 0.0


def test_temperature_has_the_units_of_the_objective() -> None:
    one = walked(WalkSampler(7, 60), 60)
    thousand = walked(WalkSampler(7, 60), 60, lambda of: 1024 * loss(of))
    upward = walked(WalkSampler(7, 60), 60, lambda of: -loss(of), direction="maximize")
    params = [trial.params for trial in one.trials]
    assert [trial.params for trial in thousand.trials] == params
    assert [trial.params for trial in upward.trials] == params


def test_each_step_changes_one_hyperparameter_of_the_place_accepted_last() -> None:
    study = walked(WalkSampler(7, 60), 60)
    for place, trial in zip(places(study, 10), study.trials[10:], strict=True):
        assert len(changed(place.params, trial.params)) == 1
        assert trial.params["fixed"] == "relu"


def test_failed_step_is_refused_and_does_not_count_for_the_spread() -> None:
    def some(of: Mapping[str, Any]) -> float | None:
        return None if of["optimizer"] == "sgd" else loss(of)

    sampler = WalkSampler(7, 60, start=math.inf)
    study = walked(sampler, 60, some)
    standing: dict[str, Any] = {}
    for trial in study.trials:
        if trial.number >= 10:
            assert len(changed(standing, trial.params)) == 1
        if trial.state is not TrialState.COMPLETE:
            continue
        if trial.number >= 10 or not standing or loss(trial.params) <= loss(standing):
            standing = trial.params
    usable = [trial.value for trial in study.trials if trial.state is TrialState.COMPLETE]
    assert len(usable) < 60
    assert sampler._first == usable[:10]


def test_while_nothing_is_usable_it_draws_at_random() -> None:
    study = walked(WalkSampler(7, 30), 30, lambda of: None)
    assert len({trial.params["rate"] for trial in study.trials}) == 30


def test_interrupted_walk_goes_on_with_a_new_sampler_as_it_would_have() -> None:
    whole = walked(WalkSampler(7, 60), 60)
    study = optuna.create_study()
    for number in range(60):
        study.sampler = WalkSampler(7, 60)
        trial = study.ask(dict(SPACE))
        assert trial.params == whole.trials[number].params
        study.tell(trial, loss(trial.params))
    other = walked(WalkSampler(8, 60), 60)
    assert [trial.params for trial in other.trials] != [trial.params for trial in whole.trials]


def test_trial_knows_results_up_to_its_number_less_the_lag_and_no_later_ones() -> None:
    lag, trials = 4, 40
    space = {"dropout": [0.1], "rate": parsed_range(1e-4, 0.1), "units": [1, 2, 4]}

    def proposed(at: int) -> list[dict[str, Any]]:
        source = Proposals(space, "walk", 1, (Objective("loss", maximise=False),), lag, trials)
        found: list[dict[str, Any]] = []
        while len(found) < trials:
            while source.can_ask:
                found.append(source.ask())
            number = len(found) - lag
            value = -1.0 if number == at else float(found[number]["rate"])
            source.tell(FitRecord(number, 0, {}, Outcome.FINISHED, metrics={"loss": Metric(value, 0.0)}))
        return found[:trials]

    base, other = proposed(-1), proposed(20)
    assert base[: 20 + lag] == other[: 20 + lag]
    assert len(changed(base[20], other[20 + lag])) == 1  # the new best is where the next step starts
    assert base != other


def parsed_range(low: float, high: float) -> Any:
    given = {"task": "t", "sample": "s", "space": {"x": {"low": low, "high": high, "log": True}}}
    return parse(SweepSettings, {**given, "sampler": "random", "trials": 1}).space["x"]


def test_diverged_configuration_is_a_step_not_taken() -> None:
    source = Proposals({"units": [1, 2]}, "walk", 1, (Objective("loss", maximise=False),), 1, 20)
    for trial in range(3):
        source.ask()
        outcome = Outcome.DIVERGED if trial == 1 else Outcome.FINISHED
        source.tell(FitRecord(trial, 0, {}, outcome, metrics={"loss": Metric(0.1, 0.0)}))
    states = [trial.state for trial in source._study.trials]
    assert states == [TrialState.COMPLETE, TrialState.FAIL, TrialState.RUNNING]  # told when the next is asked for


def test_it_comes_closer_to_the_best_than_random_in_the_same_trials() -> None:
    seeds = range(8)
    walk = [walked(WalkSampler(seed, 80), 80).best_value for seed in seeds]
    chance = [walked(RandomSampler(seed), 80).best_value for seed in seeds]
    assert sum(one < other for one, other in zip(walk, chance, strict=True)) >= 7
    assert np.median(walk) < np.median(chance) / 3


@given(seed=st.integers(0, 2**32), data=st.data())
def test_neighbour_is_in_the_space_and_differs_in_one_place(seed: int, data: st.DataObject) -> None:
    ends = st.floats(1e-6, 1e6)
    whole = st.integers(1, 10**6)
    low, high = sorted(data.draw(st.lists(ends, min_size=2, max_size=2, unique=True)))
    first, last = sorted(data.draw(st.lists(whole, min_size=2, max_size=2, unique=True)))
    step = data.draw(st.integers(1, last - first))
    space: dict[str, BaseDistribution] = {
        "choice": CategoricalDistribution(data.draw(st.lists(whole, min_size=2, max_size=5, unique=True))),
        "float": FloatDistribution(low, high),
        "log": FloatDistribution(low, high, log=True),
        "int": IntDistribution(first, last),
        "int_log": IntDistribution(first, last, log=True),
        "stepped": IntDistribution(first, last - (last - first) % step, step=step),
    }
    of = {
        "choice": space["choice"].choices[-1],  # type: ignore[attr-defined]
        "float": data.draw(st.floats(low, high)),
        "log": data.draw(st.floats(low, high)),
        "int": data.draw(st.integers(first, last)),
        "int_log": data.draw(st.integers(first, last)),
        "stepped": first + step * data.draw(st.integers(0, (last - first) // step)),
    }
    draws = np.random.default_rng(seed)
    after = neighbour(of, space, draws)
    assert set(after) == set(of)
    for name, values in space.items():
        assert values._contains(values.to_internal_repr(after[name])), (name, after[name])
    assert all(isinstance(after[name], int) for name in ("int", "int_log", "stepped"))
    found = changed(of, after)
    assert len(found) <= 1
    assert found or high - low < 1e-9 * high  # two floats so near that a step between them is none


def test_steps_of_a_number_reach_both_sides_and_all_hyperparameters_change() -> None:
    draws = np.random.default_rng(1)
    of = {"optimizer": "adam", "units": 8, "layers": 2, "dropout": 0.25, "rate": 0.003}
    steps = [neighbour(of, CHANGING, draws) for _ in range(2000)]
    counts = {name: sum(after[name] != of[name] for after in steps) for name in of}
    assert sum(counts.values()) == 2000
    assert min(counts.values()) > 300
    assert {after["layers"] for after in steps} == {1, 2, 3}
    assert {after["optimizer"] for after in steps} == {"adam", "sgd", "rmsprop"}
    moved = np.array([after["rate"] for after in steps if after["rate"] != 0.003])
    assert np.std(np.log(moved / 0.003)) == pytest.approx(0.15 * math.log(1e3), rel=0.15)


def test_hyperparameters_that_come_and_go_are_drawn_or_left_out() -> None:
    study = optuna.create_study(sampler=WalkSampler(2, 60))
    for _ in range(60):
        trial = study.ask({"optimizer": SPACE["optimizer"]})
        if trial.params["optimizer"] == "sgd":
            trial.suggest_float("momentum", 0.0, 0.99)
        study.tell(trial, {"adam": 0.1, "sgd": 0.0, "rmsprop": 0.2}[trial.params["optimizer"]])
    assert any("momentum" in trial.params for trial in study.trials[10:])


def test_two_objectives_are_refused() -> None:
    study = optuna.create_study(directions=["minimize", "maximize"], sampler=WalkSampler(1, 20))
    with pytest.raises(ConfigError, match=r"the sampler walk serves one objective \(got 2\)"):
        study.ask(dict(SPACE))


ONE = {"topology": ["8 16 1"], "activations": ["relu sigmoid"], "dropout": [0.1], "optimizer": ["adam"]}


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"trials": 40}, r"the sampler walk needs a hyperparameter that can change .*; add values, or choose"),
        ({"trials": 10, "batch_size": [10, 20]}, r"the sampler walk needs at least 11 trials.*got 10.*choose"),
        ({"trials": 20, "lag": 30, "batch_size": [10, 20]}, r"the sampler walk needs at least 31 trials.*got 20"),
    ],
)
def test_what_it_cannot_serve_is_refused_before_training(changes: dict[str, Any], sentence: str) -> None:
    space = {**ONE, "batch_size": changes.pop("batch_size", [100]), "learning_rate": [0.001]}
    given = {"task": "t", "sample": "s", "space": space, "sampler": "walk", **changes}
    with pytest.raises(ConfigError, match=sentence):
        check_space(parse(SweepSettings, given))


def test_walk_without_trials_is_refused() -> None:
    with pytest.raises(ConfigError, match="the sampler walk needs the number of trials"):
        parse(SweepSettings, {"task": "t", "sample": "s", "space": ONE, "sampler": "walk"})
