"""Proposals: repeated they are the same for every sampler, and what a sampler cannot serve is refused."""

from __future__ import annotations

import math
import random
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.trial import TrialState

from townsend.config import parse
from townsend.errors import ConfigError
from townsend.sweep.hyperparameter import Space
from townsend.sweep.proposals import Proposals
from townsend.sweep.samplers import SAMPLERS, check_sampler
from townsend.sweep.settings import Range, SweepSettings
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

AUC = Objective("auc", maximise=True)
SMALL = Objective("parameters", maximise=False)
NUMBERS: dict[str, Any] = {
    "rate": {"low": 1e-4, "high": 0.1, "log": True},
    "dropout": {"low": 0.0, "high": 0.5},
    "units": {"low": 2, "high": 64},
}
MIXED: dict[str, Any] = {**NUMBERS, "optimizer": ["adam", "sgd"]}
CONDITIONAL: dict[str, Any] = {
    **MIXED,
    "momentum": {"low": 0.0, "high": 0.99, "when": {"optimizer": ["sgd"]}},
    "input_dropout": {"same_as": "dropout"},
}
OUTCOMES = {3: Outcome.DIVERGED, 5: Outcome.LOST, 8: Outcome.DEGENERATE, 12: Outcome.FAILED}


def settings(space: dict[str, Any], sampler: str = "tpe", **changes: Any) -> SweepSettings:
    """Settings, whatever the sampler makes of them."""
    given = {"task": "t", "sample": "s", "space": space, "sampler": "random", "trials": 40, **changes}
    return parse(SweepSettings, given).model_copy(update={"sampler": sampler})


def space_of(form: dict[str, Any]) -> Space:
    return settings(form).space


def record(number: int, given: dict[str, Any], outcome: Outcome | None = None) -> FitRecord:
    """A smooth landscape; some trials fail, some are stopped at a rung."""
    value = 0.9 - (math.log10(given["rate"]) + 2) ** 2 / 20 - given["dropout"] / 10 + given.get("momentum", 0.5) / 50
    if outcome is None:
        outcome = OUTCOMES.get(number, Outcome.PRUNED if number % 4 == 2 else Outcome.FINISHED)
    metrics = {"auc": Metric(value, 0.01)} if outcome.usable else {}
    figures = (value - 0.1,) if outcome is Outcome.PRUNED else ()
    parameters = 10 * given["units"]
    return FitRecord(number, 0, given, outcome, parameters=parameters, epochs=9, metrics=metrics, figures=figures)


def proposed(source: Proposals, trials: int, order: random.Random | None = None) -> list[dict[str, Any]]:
    """Configurations of a sweep whose trials end in an order of chance, or in that of their numbers."""
    found: list[dict[str, Any]] = []
    running: list[int] = []
    while len(found) < trials:
        while source.can_ask and len(found) < trials:
            running.append(len(found))
            found.append(source.ask())
        number = running.pop(order.randrange(len(running)) if order else 0)
        source.tell(record(number, found[number]))
    return found


CASES = [
    ("tpe", CONDITIONAL, (AUC,)),
    ("tpe", CONDITIONAL, (AUC, SMALL)),
    pytest.param("gp", MIXED, (AUC,), marks=pytest.mark.slow),
    pytest.param("gp", NUMBERS, (AUC, SMALL), marks=pytest.mark.slow),
    ("cmaes", NUMBERS, (AUC,)),
    ("nsga2", MIXED, (AUC, SMALL)),
    ("walk", CONDITIONAL, (AUC,)),
]


@pytest.mark.parametrize(("sampler", "space", "objectives"), CASES)
def test_the_same_results_lead_to_the_same_proposals_whoever_ends_first(
    sampler: str, space: dict[str, Any], objectives: tuple[Objective, ...]
) -> None:
    pytest.importorskip("torch" if sampler == "gp" else "optuna")
    trials, lag = (19, 2) if sampler == "gp" else (40, 4)  # gp models from 10 usable results on, and takes its time

    def source(seed: int = 1) -> Proposals:
        return Proposals(space_of(space), sampler, seed, objectives, lag, trials)

    lived = proposed(source(), trials)
    other = proposed(source(), trials, random.Random(3))
    assert other == lived
    rebuilt = source()  # as a resumed sweep: told in order, asked for what comes behind
    for number, configuration in enumerate(lived):
        assert rebuilt.ask() == configuration
        if number < trials - lag:
            rebuilt.tell(record(number, configuration))
    assert not rebuilt.can_ask
    assert proposed(source(2), 12) != lived[:12]


@pytest.mark.parametrize(("sampler", "space", "objectives"), [*CASES[:3], *CASES[4:]])
def test_a_sampler_learns_from_results_and_not_from_those_within_the_lag(
    sampler: str, space: dict[str, Any], objectives: tuple[Objective, ...]
) -> None:
    pytest.importorskip("torch" if sampler == "gp" else "optuna")
    trials, lag, at = (15, 2, 10) if sampler == "gp" else (40, 4, 13)

    def found(turned: int) -> list[dict[str, Any]]:
        """Configurations when the landscape is turned upside down from a trial on."""
        source = Proposals(space_of(space), sampler, 1, objectives, lag, trials)
        drawn: list[dict[str, Any]] = []
        while len(drawn) < trials:
            while source.can_ask:
                drawn.append(source.ask())
            number = len(drawn) - lag
            told = record(number, drawn[number], Outcome.FINISHED)
            other = {"auc": Metric(2.0 - told.metrics["auc"].value, 0.0)}
            source.tell(replace(told, metrics=other) if number >= turned else told)
        return drawn

    base, other = found(trials), found(at)
    assert base[: at + lag] == other[: at + lag]
    assert base != other


@pytest.mark.parametrize("sampler", ["tpe", "walk"])
def test_a_configuration_has_what_its_conditions_ask_for(sampler: str) -> None:
    found = proposed(Proposals(space_of(CONDITIONAL), sampler, 1, (AUC,), 1, 40), 40)
    assert {each["optimizer"] for each in found} == {"adam", "sgd"}
    for each in found:
        assert ("momentum" in each) == (each["optimizer"] == "sgd")
        assert each["input_dropout"] == each["dropout"]
        assert isinstance(each["units"], int)


def test_tpe_proposes_what_optunas_own_loop_does() -> None:
    source = Proposals(space_of(MIXED), "tpe", 1, (AUC,), lag=1, trials=30)
    seed = source._study.sampler._rng.rng.get_state()[1][0]
    ours = [(each, record(n, each, Outcome.FINISHED)) for n, each in enumerate(_asked_and_told(source, 30))]
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=int(seed)))

    def objective(trial: optuna.Trial) -> float:
        given = {
            "rate": trial.suggest_float("rate", 1e-4, 0.1, log=True),
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "units": trial.suggest_int("units", 2, 64),
            "optimizer": trial.suggest_categorical("optimizer", ["adam", "sgd"]),
        }
        return record(0, given, Outcome.FINISHED).metrics["auc"].value

    study.optimize(objective, n_trials=30)
    assert [trial.params for trial in study.trials] == [each for each, _ in ours]


def _asked_and_told(source: Proposals, trials: int) -> list[dict[str, Any]]:
    found = []
    for number in range(trials):
        found.append(source.ask())
        source.tell(record(number, found[-1], Outcome.FINISHED))
    return found


def test_what_a_sampler_is_told_of_each_outcome() -> None:
    source = Proposals({"rate": Range(low=0.1, high=0.2), "dropout": [0.1], "units": [1]}, "tpe", 1, (AUC,), 1, 9)
    outcomes = [Outcome.DIVERGED, *[Outcome.FINISHED] * 2, Outcome.DEGENERATE, Outcome.LOST, Outcome.PRUNED]
    for number, outcome in enumerate(outcomes):
        source.tell(record(number, source.ask(), outcome))
    source.ask()
    told = source._study.trials
    assert (told[0].state, told[4].state) == (TrialState.FAIL, TrialState.FAIL)  # no worst yet; lost says nothing
    assert told[3].value == min(told[1].value, told[2].value)
    assert told[5].state is TrialState.PRUNED
    assert list(told[5].intermediate_values) == [9]  # epochs


@pytest.mark.parametrize(
    ("maximise", "figures_maximise", "sign"), [(True, None, 1), (True, False, -1), (False, True, -1)]
)
def test_the_figure_at_a_rung_has_the_sign_of_the_objective(
    maximise: bool, figures_maximise: bool | None, sign: int
) -> None:
    one = {"rate": [0.1], "dropout": [0.1], "units": [1]}
    source = Proposals(one, "tpe", 1, (Objective("auc", maximise),), 1, 9, figures_maximise=figures_maximise)
    told = record(0, source.ask(), Outcome.PRUNED)
    source.tell(told)
    source.ask()
    assert source._study.trials[0].intermediate_values == {9: sign * told.figures[-1]}


def test_the_worst_of_two_objectives_is_that_of_each() -> None:
    source = Proposals(space_of(NUMBERS), "nsga2", 1, (AUC, SMALL), 1, 9)
    outcomes = [Outcome.FINISHED] * 5 + [Outcome.DIVERGED]
    for number, outcome in enumerate(outcomes):
        source.tell(record(number, source.ask(), outcome))
    source.ask()
    values = np.array([trial.values for trial in source._study.trials[:5]])
    assert source._study.trials[5].values == [values[:, 0].min(), values[:, 1].max()]


@pytest.mark.parametrize("sampler", ["tpe", pytest.param("gp", marks=pytest.mark.slow), "cmaes", "walk"])
def test_a_sampler_that_learns_ends_nearer_to_the_best_than_it_began(sampler: str) -> None:
    pytest.importorskip("torch" if sampler == "gp" else "optuna")
    trials = 20 if sampler == "gp" else 90
    found = _asked_and_told(Proposals(space_of(NUMBERS), sampler, 4, (AUC,), 1, trials), trials)
    values = [record(0, each, Outcome.FINISHED).metrics["auc"].value for each in found]
    assert np.mean(values[-5:]) > np.mean(values[:10]) + 0.02


@pytest.mark.parametrize(
    ("sampler", "space", "changes", "sentence"),
    [
        ("walk", MIXED, {"objectives": ["auc", "parameters"]}, r"walk serves one objective \(got auc and parameters\)"),
        ("cmaes", NUMBERS, {"objectives": ["auc", "epochs"]}, r"cmaes serves one objective .*; name one, or choose"),
        ("tpe", MIXED, {"objectives": ["auc", "wall_s"]}, r"that a second run repeats \(got wall_s\); name parameters"),
        ("gp", CONDITIONAL, {}, r"that every configuration has \(got a condition for momentum\); drop it, or choose"),
        ("nsga2", CONDITIONAL, {}, r"got a condition for momentum"),
        ("cmaes", MIXED, {}, r"moves ranges of numbers only \(got a list for optimizer\); give one value or a range"),
        ("cmaes", {"units": [3]}, {}, r"needs a range of numbers \(got one value for each\); add a range"),
    ],
)
def test_what_a_sampler_cannot_serve_is_refused(
    sampler: str, space: dict[str, Any], changes: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        check_sampler(settings(space, sampler, **changes))


def test_what_a_sampler_can_serve_is_not() -> None:
    for sampler in SAMPLERS:
        if sampler != "gp":
            check_sampler(settings({**NUMBERS, "tied": {"same_as": "units"}, "fixed": ["relu"]}, sampler))
    for sampler in ("grid", "random"):
        check_sampler(settings(CONDITIONAL, sampler, objectives=["auc", "wall_s"]))
    for sampler in ("tpe", "nsga2"):
        check_sampler(settings(NUMBERS, sampler, objectives=["auc", "parameters"]))


@pytest.mark.parametrize(
    ("sampler", "module", "sentence"),
    [
        ("gp", "torch", r"gp needs PyTorch \(not installed\); install townsend\[torch\] or choose tpe"),
        ("cmaes", "cmaes", r"cmaes needs the package cmaes \(not installed\); install it or choose tpe"),
    ],
)
def test_a_missing_package_is_named(sampler: str, module: str, sentence: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as Python marks what cannot be imported
    with pytest.raises(ConfigError, match=sentence):
        check_sampler(settings(NUMBERS, sampler))
