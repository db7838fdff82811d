"""Importance against functions whose shares of the variance are known in closed form."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from written_sweep import fit

from townsend.sweep.board import Board
from townsend.sweep.hyperparameter import Range
from townsend.sweep.importance import LEAST, Importance, importance
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

SPACE: dict[str, Any] = {
    "a": Range(low=0.0, high=1.0),
    "rate": Range(low=1e-5, high=1e-1, log=True),
    "kind": ["x", "y"],
    "size": [8, 16, 32],
}


def drawn(number: int, figure: Callable[[Mapping[str, Any]], float], error: float = 1e-3) -> Board:
    """A board of configurations drawn at random from `SPACE`."""
    random = np.random.default_rng(5)
    rows = []
    for trial in range(number):
        chosen = {
            "a": float(random.uniform()),
            "rate": float(10 ** random.uniform(-5, -1)),
            "kind": str(random.choice(["x", "y"])),
            "size": int(random.choice([8, 16, 32])),
        }
        metrics = {"auc": Metric(figure(chosen) + float(random.normal(0, error)), error)}
        rows.append(FitRecord(trial, trial, chosen, Outcome.FINISHED, metrics=metrics))
    return Board(tuple(rows), Objective("auc", maximise=True), number, "run")


def additive(chosen: Mapping[str, Any]) -> float:
    """Variances 9/12 of `a`, 4/12 of `rate` in its logarithm, 3/12 of `kind`; nothing of `size`."""
    return 3 * chosen["a"] + 2 * (np.log10(chosen["rate"]) + 5) / 4 + (1.0 if chosen["kind"] == "x" else 0.0)


def told(found: Importance) -> list[str]:
    return [verdict.sentence for verdict in found.verdicts if verdict.ok]


@pytest.mark.slow
def test_known_shares_of_the_variance_are_found_within_their_errors() -> None:
    found = importance(drawn(120, additive), SPACE)
    truth = {"a": 9 / 16, "rate": 4 / 16, "kind": 3 / 16, "size": 0.0}
    assert list(found.shares) == ["a", "rate", "kind", "size"]
    for name, share in found.shares.items():
        assert abs(share.value - truth[name]) < 3 * share.error + 0.02, (name, share)
        assert share.error < 0.1
    assert found.floor.value < 0.03
    (sentence,) = told(found)
    assert "a 0." in sentence
    assert "size" not in sentence
    assert any(verdict.sentence.startswith("not told from a random number") for verdict in found.verdicts)
    assert importance(drawn(120, additive), SPACE) == found  # the same bits


@pytest.mark.slow
def test_what_acts_only_together_is_nobodys_share() -> None:
    def crossed(chosen: Mapping[str, Any]) -> float:
        return (chosen["a"] - 0.5) * (1 if chosen["kind"] == "x" else -1)

    found = importance(drawn(120, crossed), SPACE)
    assert sum(share.value for share in found.shares.values()) < 0.35


def test_differences_within_the_errors_tell_nothing() -> None:
    found = importance(drawn(60, lambda chosen: 0.9, error=0.01), SPACE)
    assert found.shares == {}
    assert "not larger than the errors: no importance can be told" in found.verdicts[0].sentence
    assert not found.verdicts[0].ok


def test_few_configurations_tell_nothing() -> None:
    assert "at least 10 configurations" in importance(drawn(LEAST - 1, additive), SPACE).verdicts[0].sentence
    assert importance(drawn(LEAST, additive), SPACE).shares


def test_nothing_is_told_where_nothing_varies() -> None:
    table = drawn(20, additive)
    same = replace(table, rows=tuple(replace(row, hyperparameters={"kind": "x"}) for row in table.rows))
    assert "no hyperparameter has several values" in importance(same, SPACE).verdicts[0].sentence
    equal = replace(table, rows=tuple(replace(row, metrics={"auc": Metric(0.9, float("nan"))}) for row in table.rows))
    assert "the same figure" in importance(equal, SPACE).verdicts[0].sentence


def test_what_some_configurations_lack_and_who_was_pruned_is_said() -> None:
    table = drawn(16, additive)
    lacking = replace(table.rows[0], hyperparameters={"a": 0.1, "rate": 0.01, "kind": "x"})
    rows = (lacking, *table.rows[1:], fit(20, 0.0, Outcome.PRUNED))
    found = importance(replace(table, rows=rows), {"a": SPACE["a"], "rate": SPACE["rate"], "kind": ["x", "y"]})
    said = " ".join(verdict.sentence for verdict in found.verdicts)
    assert "not judged, as some configurations are without it: size" in said
    assert "1 pruned configurations have no figure" in said
    assert "size" not in found.shares
    assert found.configurations == 16
