"""Plans and proposals: what is trained does not depend on who finishes first, nor on interruptions."""

from __future__ import annotations

import random
from typing import Any

import pytest

from townsend.config import parse
from townsend.errors import ConfigError
from townsend.sweep.brackets import check_space, fit_seed, make_plan
from townsend.sweep.proposals import Proposals
from townsend.sweep.settings import Range, SweepSettings
from townsend.tasks.base import Metric, Objective
from townsend.training.records import Bracket, Fit, FitRecord, Outcome

OBJECTIVE = Objective("auc", maximise=True)
SPACE = {
    "topology": ["8 16 1", "4 8 1"],
    "activations": ["relu sigmoid"],
    "dropout": {"low": 0.0, "high": 0.5},
    "optimizer": ["adam", "sgd"],
    "batch_size": {"low": 10, "high": 300, "log": True},
    "learning_rate": {"low": 1e-4, "high": 0.1, "log": True},
}
GRID = {**SPACE, "dropout": [0.0, 0.1], "batch_size": [150, 250], "learning_rate": [0.001]}


def settings(**changes: Any) -> SweepSettings:
    return parse(SweepSettings, {"task": "t", "sample": "s", "space": GRID, **changes})


def record(fit: Fit, outcome: Outcome = Outcome.FINISHED) -> FitRecord:
    value = 0.5 + 0.3 * float(fit.hyperparameters["learning_rate"]) - 0.1 * float(fit.hyperparameters["dropout"])
    metrics = {"auc": Metric(value, 0.01)} if outcome is not Outcome.LOST else {}
    return FitRecord(fit.trial, fit.seed, fit.hyperparameters, outcome, metrics=metrics)


def outcome_of(trial: int) -> Outcome:
    return {3: Outcome.DEGENERATE, 5: Outcome.LOST, 6: Outcome.DIVERGED}.get(trial, Outcome.FINISHED)


def played(order: random.Random, sampler: str = "tpe", trials: int = 24, lag: int = 5) -> dict[int, Fit]:
    """Fits of a sweep whose running brackets end in an order of chance."""
    plan = make_plan(settings(space=SPACE, sampler=sampler, trials=trials, lag=lag), (OBJECTIVE,))
    fits: dict[int, Fit] = {}
    running: list[Bracket] = []
    while brackets := plan.ready() + running:
        running = brackets
        bracket = running.pop(order.randrange(len(running)))
        fits.update({fit.trial: fit for fit in bracket.fits})
        plan.tell([record(fit, outcome_of(fit.trial)) for fit in bracket.fits])
    return fits


@pytest.mark.parametrize("sampler", ["tpe", "walk"])
def test_proposals_are_the_same_whatever_ends_first(sampler: str) -> None:
    first = played(random.Random(1), sampler)
    assert sorted(first) == list(range(24))
    assert all(played(random.Random(seed), sampler) == first for seed in (2, 3))
    assert len({tuple(fit.hyperparameters.values()) for fit in first.values()}) == 24


@pytest.mark.parametrize("sampler", ["random", "tpe", "walk"])
def test_proposals_stay_in_their_ranges(sampler: str) -> None:
    for fit in played(random.Random(0), sampler).values():
        given = fit.hyperparameters
        assert given["optimizer"] in ("adam", "sgd")
        assert 0 <= given["dropout"] <= 0.5
        assert isinstance(given["batch_size"], int)
        assert 10 <= given["batch_size"] <= 300
        assert 1e-4 <= given["learning_rate"] <= 0.1


def test_grid_brackets_hold_fits_of_one_shape_and_every_trial_once() -> None:
    brackets = make_plan(settings(bracket_size=3), (OBJECTIVE,)).ready()
    trials = [fit.trial for bracket in brackets for fit in bracket.fits]
    assert sorted(trials) == list(range(16))
    by_number = sorted(brackets, key=lambda bracket: bracket.number)
    assert [bracket.number for bracket in by_number] == list(range(len(brackets)))
    assert [bracket.fits[0].trial for bracket in by_number] == sorted(bracket.fits[0].trial for bracket in brackets)
    assert max(len(bracket.fits) for bracket in brackets) == 3
    for bracket in brackets:
        shapes = {(fit.hyperparameters["topology"], fit.hyperparameters["batch_size"]) for fit in bracket.fits}
        assert len(shapes) == 1


def test_long_brackets_begin_first() -> None:
    brackets = make_plan(settings(bracket_size=2), (OBJECTIVE,)).ready()
    assert [bracket.fits[0].hyperparameters["topology"] for bracket in brackets] == ["8 16 1"] * 4 + ["4 8 1"] * 4
    uneven = [len(bracket.fits) for bracket in make_plan(settings(bracket_size=3), (OBJECTIVE,)).ready()]
    assert uneven == [3, 3, 1, 1, 3, 3, 1, 1]  # one of the large topology costs more than three of the small


def test_plan_is_ready_once() -> None:
    plan = make_plan(settings(), (OBJECTIVE,))
    assert plan.trials == 16
    assert plan.ready()
    assert plan.ready() == []


def test_seed_of_a_fit_depends_on_sweep_and_trial_alone() -> None:
    seeds = {fit_seed(sweep, trial) for sweep in range(5) for trial in range(200)}
    assert len(seeds) == 1000
    assert all(0 <= seed < 2**53 for seed in seeds)
    few = make_plan(settings(trials=4), (OBJECTIVE,)).ready()
    many = {fit.trial: fit for bracket in make_plan(settings(), (OBJECTIVE,)).ready() for fit in bracket.fits}
    assert all(many[fit.trial] == fit for bracket in few for fit in bracket.fits)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"topology": ["8 16 1", "8 16"]}, "topology must be three layer sizes"),
        ({"optimizer": ["adam", "sgd", "adm"]}, 'got "adm"'),
        ({"dropout": [0.1, 1.5]}, "dropout must be a number"),
        ({"unitz": [1]}, 'got "unitz"'),
    ],
)
def test_value_that_cannot_be_trained_is_found_before_work_begins(change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_space(settings(space={**GRID, **change}))
    check_space(settings())


def test_range_that_cannot_be_trained_is_found_too() -> None:
    with pytest.raises(ConfigError, match="dropout must be a number"):
        check_space(settings(space={**SPACE, "dropout": {"low": 0.0, "high": 1.0}}, sampler="tpe", trials=3))
