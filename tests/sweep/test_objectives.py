"""What a sweep betters: names become objectives, and what cannot be one is refused before training."""

from __future__ import annotations

import math

import pytest

from townsend.errors import ConfigError
from townsend.sweep.objectives import COLUMNS, figure, find_objectives
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

OWN = Objective("auc_all", maximise=True)
METRICS = {"auc_drift": True, "resolvable.f1": True, "mae": False}


def test_without_names_it_is_that_of_the_task() -> None:
    assert find_objectives(None, OWN, METRICS) == (OWN,)


def test_a_metric_has_the_direction_that_its_task_tells_and_of_a_column_less_is_better() -> None:
    assert find_objectives(["mae"], OWN, METRICS) == (Objective("mae", maximise=False),)
    assert find_objectives(["auc_all", "parameters"], OWN, METRICS) == (OWN, Objective("parameters", maximise=False))
    for column in COLUMNS:
        assert not find_objectives(["auc_drift", column], OWN, METRICS)[1].maximise


@pytest.mark.parametrize(
    ("names", "sentence"),
    [
        (["auc_al"], r'\(got "auc_al"\); did you mean "auc_all"'),
        (
            ["qqq", "parameters"],
            r'metrics of the task or of parameters, epochs, wall_s \(got "qqq"\); known: auc_all, ',
        ),
        (["mae", "mae"], r"objectives must differ \(got mae twice\); name another"),
        (["parameters", "auc_all"], r"must be a metric of the task \(got parameters\); put one, such as auc_all"),
    ],
)
def test_what_cannot_be_an_objective_is_refused(names: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        find_objectives(names, OWN, METRICS)


def test_a_record_gives_metric_or_column() -> None:
    row = FitRecord(0, 0, {}, Outcome.FINISHED, parameters=50_177, metrics={"auc_all": Metric(0.9, 0.01)})
    assert figure(row, OWN) == Metric(0.9, 0.01)
    assert figure(row, Objective("parameters", maximise=False)) == Metric(50_177.0, 0.0)
    assert math.isnan(figure(row, Objective("mae", maximise=False)).value)
