"""Shapes of brackets: the published tables of Hyperband, and the work that halving leaves."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse
from townsend.errors import ConfigError
from townsend.sweep.brackets import check_space, make_plan
from townsend.sweep.halving import bracket_shapes, known_lag, mean_epochs
from townsend.sweep.settings import SweepSettings
from townsend.tasks.base import Metric, Objective
from townsend.training.records import Bracket, FitRecord, Outcome

OBJECTIVE = Objective("auc", maximise=True)
SPACE = {"topology": ["8 16 1"], "activations": ["relu sigmoid"], "dropout": [0.0], "optimizer": ["adam"]}
SPACE |= {"batch_size": [150], "learning_rate": {"low": 0.001, "high": 0.1}}


def settings(**changes: Any) -> SweepSettings:
    given = {"task": "t", "sample": "s", "space": SPACE, "sampler": "random", "trials": 100, "epochs": 81}
    return parse(SweepSettings, {**given, **changes})


def halved(**changes: Any) -> SweepSettings:
    halving = {"least": 1, "factor": 3, **changes}
    return settings(halving=halving)


def test_hyperband_has_the_brackets_of_its_authors() -> None:
    """Li et al. (2018), table 1: R = 81, eta = 3; numbers of configurations and epochs at each rung."""
    shapes = list(itertools.islice(bracket_shapes(halved(kind="hyperband")), 6))
    found = [
        [(shape.size, None), *((rung.keep, rung.epochs) for rung in shape.rungs_of(shape.size))] for shape in shapes
    ]
    assert found == [
        [(81, None), (27, 1), (9, 3), (3, 9), (1, 27)],
        [(34, None), (11, 3), (3, 9), (1, 27)],
        [(15, None), (5, 9), (1, 27)],
        [(8, None), (2, 27)],
        [(5, None)],
        found[0],  # and again
    ]


def test_successive_halving_ends_in_one_survivor() -> None:
    shape = next(bracket_shapes(settings(epochs=100, halving={"least": 3, "factor": 3})))
    assert shape.size == 27
    assert [(rung.epochs, rung.keep) for rung in shape.rungs_of(27)] == [(3, 9), (9, 3), (27, 1)]
    assert [rung.keep for rung in shape.rungs_of(2)] == [1, 1, 1]


def test_shares_of_the_data_grow_by_the_factor() -> None:
    shape = next(bracket_shapes(settings(epochs=100, halving={"least": 3, "factor": 3, "resource": "data"})))
    assert [rung.epochs for rung in shape.rungs] == [3, 6, 9]
    assert [1 / rung.fraction for rung in shape.rungs] == pytest.approx([27, 9, 3])


def test_what_is_trained_in_one_go_is_halved_over_the_data_alone() -> None:
    of_trees = {"space": {"n_estimators": [10, 20]}, "network": "random_forest", "sampler": "grid", "trials": None}
    with pytest.raises(ConfigError, match="halving over epochs needs a network"):
        check_space(settings(**of_trees, halving={}), "binary_crossentropy")
    check_space(settings(**of_trees, halving={"resource": "data"}), "binary_crossentropy")


def test_without_halving_a_bracket_has_no_rungs() -> None:
    assert next(bracket_shapes(settings())).rungs_of(4) == ()
    assert next(bracket_shapes(settings(bracket_size=7))).size == 7


@given(st.integers(1, 500), st.integers(1, 9), st.integers(2, 6), st.integers(1, 300))
def test_work_is_never_more_than_that_of_all(size: int, least: int, factor: int, epochs: int) -> None:
    asked = settings(epochs=epochs, halving={"least": least, "factor": factor})
    if least * factor > epochs:
        with pytest.raises(ConfigError, match="needs a rung before the last epoch"):
            next(bracket_shapes(asked))
        return
    shape = next(bracket_shapes(asked))
    mean = mean_epochs(shape, size, epochs)
    assert min(rung.epochs for rung in shape.rungs) <= mean <= epochs
    kept = [rung.keep or 0 for rung in shape.rungs_of(size)]
    assert kept == sorted(kept, reverse=True)
    assert min(kept) >= 1


def record(fit: Any, outcome: Outcome = Outcome.FINISHED) -> FitRecord:
    value = 0.5 + fit.hyperparameters["learning_rate"]
    return FitRecord(fit.trial, fit.seed, fit.hyperparameters, outcome, metrics={"auc": Metric(value, 0.01)})


def played(asked: SweepSettings, last_first: bool) -> list[Bracket]:
    plan, running, ended = make_plan(asked, (OBJECTIVE,)), [], []
    while running := running + plan.ready():
        bracket = running.pop(-1 if last_first else 0)
        ended.append(bracket)
        plan.tell([record(fit, Outcome.PRUNED if fit.trial % 3 else Outcome.FINISHED) for fit in bracket.fits])
    return sorted(ended, key=lambda bracket: bracket.number)


@pytest.mark.parametrize("kind", ["successive", "hyperband"])
def test_a_sampler_that_learns_fills_whole_brackets_whoever_ends_first(kind: str) -> None:
    asked = settings(sampler="tpe", trials=60, epochs=9, halving={"least": 1, "factor": 3, "kind": kind})
    one, other = played(asked, last_first=False), played(asked, last_first=True)
    assert one == other
    assert [fit.trial for bracket in one for fit in bracket.fits] == list(range(60))
    assert known_lag(asked) == 18  # two brackets of nine
    assert all(bracket.rungs for bracket in one[:2])


def test_folds_and_repeats_of_a_configuration_stand_in_one_bracket() -> None:
    brackets = make_plan(settings(trials=8, folds=2, repeats=3), (OBJECTIVE,)).ready()
    assert all(len(bracket.fits) == 4 * 6 for bracket in brackets)
    fits = [fit for bracket in brackets for fit in bracket.fits]
    assert len({fit.seed for fit in fits}) == len({fit.label for fit in fits}) == 48


def test_a_sweep_stops_where_more_promises_little_whoever_ends_first() -> None:
    narrow = {**SPACE, "learning_rate": {"low": 0.01, "high": 0.0101}}
    asked = settings(space=narrow, stop_at_gain=1.0)
    one, other = played(asked, last_first=False), played(asked, last_first=True)
    assert one == other
    assert 10 <= sum(len(bracket.fits) for bracket in one) < 100
    assert sum(len(bracket.fits) for bracket in played(settings(stop_at_gain=1e-6), last_first=False)) == 100
