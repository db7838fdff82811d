from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse, resolved
from townsend.errors import ConfigError, InputError
from townsend.files import write_json
from townsend.sweep.board import Board, by_rank
from townsend.sweep.conditions import configure
from townsend.sweep.refine import narrowed, refine
from townsend.sweep.settings import SweepSettings, load_sweep
from townsend.tasks.base import Metric, Objective
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

AUC = Objective("auc", maximise=True)
MINIMUM = {"task": "drifttube-peaks", "sample": "mc"}


def fit(trial: int, figure: float, error: float = 0.01, outcome: Outcome = Outcome.FINISHED, **given: Any) -> FitRecord:
    return FitRecord(trial, trial, given, outcome, metrics={"auc": Metric(figure, error)})


def table(*rows: FitRecord) -> Board:
    return by_rank(Board(rows, AUC, len(rows), "run"))


def settings(**given: Any) -> SweepSettings:
    return parse(SweepSettings, {**MINIMUM, **given})


def narrow(space: dict[str, Any], *rows: FitRecord, top: int = 2) -> dict[str, Any]:
    """The narrowed space as JSON-like values, of which nothing is at its default."""
    ranking = table(*rows)
    found = narrowed(settings(space=space, sampler="tpe", trials=9).space, ranking, ranking.ranked[:top])
    return {
        name: form if isinstance(form, list) else form.model_dump(exclude_defaults=True) for name, form in found.items()
    }


def write_run(run: Path, rows: list[FitRecord], **given: Any) -> Path:
    info = {"fingerprint": "abc", "versions": {}, "sample": "5a", "trials": len(rows)}
    objective = {"metric": "auc", "maximise": True}
    write_json(run / "sweep.json", {**info, "settings": resolved(settings(**given)), "objective": objective})
    write_bracket_record(run, BracketRecord(0).with_fits((row, {}) for row in rows))
    return run


SPREAD_OUT = [fit(i, 0.9 - 0.1 * i, a=float(a)) for i, a in enumerate([4.0, 5.0, 1.0, 8.0, 9.0])]


def test_a_range_goes_around_the_leaders_one_mean_gap_wider() -> None:
    found = narrow({"a": {"low": 0.0, "high": 10.0}}, *SPREAD_OUT)["a"]
    assert (found["low"], found["high"]) == (2.0, 7.0)  # 4 to 5, five values tried over 10


def test_a_range_stays_within_its_old_ends() -> None:
    found = narrow({"a": {"low": 3.5, "high": 10.0}}, *SPREAD_OUT, top=5)["a"]
    assert (found["low"], found["high"]) == (3.5, 10.0)


def test_a_logarithmic_range_is_widened_by_a_factor() -> None:
    rows = [fit(i, 0.9 - 0.1 * i, rate=rate) for i, rate in enumerate([1e-3, 2e-3, 1e-1, 1e-4])]
    found = narrow({"rate": {"low": 1e-5, "high": 1e-1, "log": True}}, *rows)["rate"]
    assert found["low"] == pytest.approx(1e-4, rel=1e-4)
    assert found["high"] == pytest.approx(2e-2, rel=1e-4)
    assert found["log"] is True


def test_whole_numbers_stay_whole_and_one_leader_suffices() -> None:
    found = narrow({"units": {"low": 1, "high": 64}}, fit(0, 0.9, units=20), fit(1, 0.8, units=50), top=1)["units"]
    assert (found["low"], found["high"]) == (1, 52)
    assert all(isinstance(found[end], int) for end in ("low", "high"))


@given(st.lists(st.floats(1e-5, 1.0), min_size=1, max_size=30), st.integers(1, 5), st.booleans())
def test_a_narrowed_range_holds_its_leaders_and_lies_in_the_old_one(values: list[float], top: int, log: bool) -> None:
    rows = [fit(i, 0.9 - 0.001 * i, a=value) for i, value in enumerate(values)]
    found = narrow({"a": {"low": 1e-5, "high": 1.0, "log": log}}, *rows, top=top)["a"]
    assert 1e-5 <= found["low"] < found["high"] <= 1.0
    for value in values[:top]:
        assert found["low"] * (1 - 1e-5) <= value <= found["high"] * (1 + 1e-5)


def test_a_list_keeps_what_leads_and_what_is_not_told_apart_from_the_leader() -> None:
    rows = [
        fit(0, 0.95, optimizer="adam", depth=1),
        fit(1, 0.945, optimizer="rmsprop", depth=1),
        fit(2, 0.941, optimizer="adamw", depth=2),
        fit(3, 0.90, optimizer="sgd", depth=3),
    ]
    found = narrow({"optimizer": ["sgd", "adamw", "rmsprop", "adam"], "depth": [1, 2, 3, 4]}, *rows)
    assert found["optimizer"] == ["adamw", "rmsprop", "adam"]
    assert found["depth"] == [1, 2]


def test_a_range_with_a_step_becomes_the_list_it_is() -> None:
    rows = [fit(i, 0.9 - 0.1 * i, dropout=value) for i, value in enumerate([0.1, 0.2, 0.4])]
    assert narrow({"dropout": {"low": 0.0, "high": 0.5, "step": 0.1}}, *rows)["dropout"] == [0.1, 0.2]


def test_rows_that_cannot_be_chosen_decide_nothing() -> None:
    bad = fit(0, 0.99, outcome=Outcome.DEGENERATE, optimizer="sgd")
    rows = [bad, fit(1, 0.9, optimizer="adam"), fit(2, 0.8, optimizer="rmsprop")]
    assert narrow({"optimizer": ["sgd", "adam", "rmsprop"]}, *rows, top=1)["optimizer"] == ["adam"]


CONDITIONAL: dict[str, Any] = {
    "optimizer": ["sgd", "adam", "rmsprop"],
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": ["sgd", "rmsprop"]}},
    "nesterov": {"values": [True, False], "when": {"optimizer": ["sgd"]}, "otherwise": False},
    "again": {"same_as": "momentum"},
}


def test_a_condition_keeps_the_values_that_are_left() -> None:
    rows = [
        fit(0, 0.9, optimizer="rmsprop", momentum=0.5, nesterov=False, again=0.5),
        fit(1, 0.89, optimizer="adam", nesterov=False, error=0.001),
        fit(2, 0.5, optimizer="sgd", momentum=0.1, nesterov=True, again=0.1),
    ]
    found = narrow(CONDITIONAL, *rows)
    assert found["optimizer"] == ["adam", "rmsprop"]
    assert found["momentum"]["when"] == {"optimizer": ["rmsprop"]}
    assert found["momentum"]["low"] == pytest.approx(0.05)
    assert found["nesterov"] == [False]  # its condition can hold no more
    assert found["again"] == {"same_as": "momentum"}


def test_what_no_leader_can_have_is_left_out() -> None:
    rows = [fit(0, 0.9, optimizer="adam", nesterov=False), fit(1, 0.5, optimizer="sgd", momentum=0.1, nesterov=True)]
    assert narrow(CONDITIONAL, *rows, top=1) == {"optimizer": ["adam"], "nesterov": [False]}


@given(st.integers(0, 1000), st.integers(1, 6))
def test_the_leaders_are_configurations_of_the_narrowed_space(seed: int, top: int) -> None:
    random = np.random.default_rng(seed)
    space = settings(space=CONDITIONAL, sampler="tpe", trials=9).space

    def draw(name: str, of: Any) -> Any:
        return of[random.integers(len(of))] if isinstance(of, list) else float(random.uniform(of.low, of.high))

    rows = [fit(i, float(random.random()), **configure(space, draw)) for i in range(8)]
    ranking = table(*rows)
    found = narrowed(space, ranking, ranking.ranked[:top])
    for leader in ranking.ranked[:top]:
        again = configure(found, lambda name, of, given=leader.hyperparameters: given[name])
        assert again == leader.hyperparameters


# ---- the file


def test_the_finer_sweep_is_the_old_one_but_for_its_space(tmp_path: Path) -> None:
    given: dict[str, Any] = {"sampler": "random", "trials": 40, "seed": 7, "epochs": 12, "folds": 1, "repeats": 2}
    given |= {"task_settings": {"windows": 200}, "halving": {"factor": 4}, "space": {"a": {"low": 0.0, "high": 10.0}}}
    rows = [fit(i, 0.9 - 0.1 * i, a=float(a)) for i, a in enumerate([4.0, 5.0, 1.0])]
    run = write_run(tmp_path / "coarse", rows, **{**given, "repeats": 1})
    output = refine(run, tmp_path / "fine.yaml", top=2)
    old, new = settings(**{**given, "repeats": 1}), load_sweep(output)
    assert new.model_copy(update={"space": old.space}) == old
    assert resolved(new)["space"]["a"]["low"] == pytest.approx(4 - 10 / 3, rel=1e-5)
    lines = output.read_text().splitlines()
    assert lines[0] == "# Narrowed by `townsend refine` from coarse (3 of 3 configurations)."
    assert lines[1] == "# Around what leads in auc: trial 0 0.900 ± 0.010, trial 1 0.800 ± 0.010."
    assert lines[2].startswith("# The seed is as it was")


def test_a_grid_never_asks_for_more_than_is_left_of_it(tmp_path: Path) -> None:
    rows = [fit(i, 0.9 - 0.1 * i, a=a, b=b) for i, (a, b) in enumerate([(1, 1), (1, 2), (2, 2)])]
    run = write_run(tmp_path / "run", rows, sampler="grid", trials=6, space={"a": [1, 2, 3], "b": [1, 2, 3]})
    new = load_sweep(refine(run, tmp_path / "fine.yaml", top=2))
    assert new.space == {"a": [1], "b": [1, 2]}
    assert new.trials == 2


def test_a_foreign_file_is_not_replaced_and_an_own_one_is(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [fit(0, 0.9, a=1)], space={"a": [1, 2]})
    (tmp_path / "thesis.yaml").write_text("years: of work\n")
    with pytest.raises(InputError, match="must be new or made by `townsend refine`"):
        refine(run, tmp_path / "thesis.yaml")
    assert (tmp_path / "thesis.yaml").read_text() == "years: of work\n"
    with pytest.raises(InputError, match=r"must be a file \(it is a folder\)"):
        refine(run, tmp_path)
    refine(run, tmp_path / "fine.yaml")
    assert refine(run, tmp_path / "fine.yaml") == tmp_path / "fine.yaml"


def test_nothing_to_refine_is_refused(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", [fit(0, math.nan, a=1)], space={"a": [1, 2]})
    with pytest.raises(InputError, match=r"one configuration of .* at least must be usable \(got 1 rows, none is\)"):
        refine(run, tmp_path / "fine.yaml")
    with pytest.raises(InputError, match=r"top must be at least 1 \(got 0\)"):
        refine(run, tmp_path / "fine.yaml", top=0)
    assert not (tmp_path / "fine.yaml").exists()


def test_a_space_too_narrow_for_its_sampler_is_refused(tmp_path: Path) -> None:
    rows = [fit(i, 0.9 - 0.1 * i, a=i) for i in range(2)]
    run = write_run(tmp_path / "run", rows, sampler="walk", trials=50, space={"a": [0, 1]})
    with pytest.raises(ConfigError, match="needs a hyperparameter that can change"):
        refine(run, tmp_path / "fine.yaml", top=1)
    assert not (tmp_path / "fine.yaml").exists()
