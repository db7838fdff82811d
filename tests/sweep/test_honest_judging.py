"""From folds and repeats to a network trained anew, and to a finer sweep: the whole way, with real training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.config import load_yaml, parse
from townsend.files import read_sealed
from townsend.sweep.board import board
from townsend.sweep.choose import choose
from townsend.sweep.coordinator import sweep
from townsend.sweep.records import read_arrays, read_records
from townsend.sweep.refine import refine
from townsend.sweep.settings import SweepSettings
from townsend.sweep.trial_rows import SPREAD
from townsend.tasks.base import Arrays
from townsend.training.records import Outcome

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

SPACE: dict[str, Any] = {
    "topology": ["2 3 1"],
    "activations": ["relu sigmoid"],
    "dropout": [0.0],
    "optimizer": ["adam"],
    "batch_size": [100],
    "learning_rate": {"low": 1e-4, "high": 0.3, "log": True},
}


def settings(sample: Path, **changes: Any) -> SweepSettings:
    given = {"task": "bump", "sample": str(sample), "space": SPACE, "sampler": "random", "epochs": 4, "patience": 4}
    return parse(SweepSettings, {**given, **changes})


@pytest.mark.slow
@pytest.mark.usefixtures("engine_here")
def test_folds_repeats_choice_and_refinement(bump_sample: Path, tmp_path: Path) -> None:
    run = sweep(settings(bump_sample, trials=3, folds=2, repeats=2), tmp_path / "run", jobs=1)
    records = read_records(run)
    assert len(records) == 12
    tests = [read_arrays(run, fold).splits["test"] for fold in (0, 1)]
    np.testing.assert_array_equal(tests[0].x, tests[1].x)
    groups = [set(read_arrays(run, fold).splits["validation"].group.tolist()) for fold in (0, 1)]
    assert not groups[0] & groups[1]

    table = board(run)
    assert [row.trial for row in table.rows] == [row.trial for row in table.ranked]
    assert len(table.rows) == 3
    best = table.best
    assert best is not None
    mine = [record.metrics["accuracy"].value for record in records if record.trial == best.trial]
    assert best.metrics["accuracy"].value == pytest.approx(np.mean(mine))
    assert f"accuracy{SPREAD}" in best.metrics
    assert table.optimism is not None
    assert any("too good, measured" in verdict.sentence for verdict in table.verdicts)

    card = read_sealed(choose(run, tmp_path / "model") / "card.json")
    assert card["choice"]["trained_on"] == "all but test"
    assert any("no fit and no choice saw" in verdict["sentence"] for verdict in card["verdicts"])
    finer = parse(SweepSettings, load_yaml(refine(run, tmp_path / "fine.yaml", top=1)))
    now, before = finer.space["learning_rate"], settings(bump_sample, trials=1).space["learning_rate"]
    assert before.low <= now.low < now.high <= before.high  # type: ignore[union-attr]
    assert now.high / now.low < before.high / before.low  # type: ignore[union-attr]


@pytest.mark.slow
@pytest.mark.usefixtures("engine_here")
@pytest.mark.parametrize("resource", ["epochs", "data"])
def test_halved_sweep_is_the_same_with_any_number_of_processes_and_ranks_its_survivors(
    bump_sample: Path, tmp_path: Path, resource: str
) -> None:
    asked = settings(bump_sample, trials=8, epochs=4, halving={"least": 1, "factor": 2, "resource": resource})
    run = sweep(asked, tmp_path / "run", jobs=1)
    table = board(run)
    outcomes = [row.outcome for row in table.rows]
    assert outcomes.count(Outcome.PRUNED) == 6
    assert outcomes[:2] == [Outcome.FINISHED] * 2  # one a bracket of four
    assert any("stopped at a rung" in verdict.sentence and verdict.ok for verdict in table.verdicts)
    assert not any((run / "checkpoints").glob("*/*"))
    assert choose(run, tmp_path / "model")


@pytest.mark.slow
@pytest.mark.usefixtures("engine_here")
def test_two_objectives_have_a_front_on_the_board(bump_sample: Path, tmp_path: Path) -> None:
    space = {**SPACE, "topology": ["2 3 1", "4 6 1"], "learning_rate": [0.0001, 0.1]}
    asked = settings(bump_sample, sampler="nsga2", space=space, trials=4, objectives=["accuracy", "parameters"])
    table = board(sweep(asked, tmp_path / "run", jobs=1))
    assert [objective.metric for objective in table.objectives] == ["accuracy", "parameters"]
    front = table.front
    assert table.best in front
    assert min(row.parameters for row in table.rows) == min(row.parameters for row in front)
    assert isinstance(read_arrays(tmp_path / "run"), Arrays)
