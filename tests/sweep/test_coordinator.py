"""Whole sweeps of a toy task: what they leave, and how they end when something is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from townsend.config import parse
from townsend.sweep.coordinator import sweep
from townsend.sweep.records import read_arrays, read_curves, read_records, read_weights, run_info
from townsend.sweep.settings import SweepSettings
from townsend.training.records import Outcome

GRID = {
    "topology": ["3 4 1", "2 3 1"],
    "activations": ["relu sigmoid"],
    "dropout": [0.1],
    "optimizer": ["adam", "sgd"],
    "batch_size": [64],
}


def settings(sample: Path, **changes: Any) -> SweepSettings:
    given = {"task": "bump", "sample": str(sample), "space": GRID, "epochs": 3, "patience": 2, "bracket_size": 2}
    return parse(SweepSettings, {**given, **changes})


@pytest.mark.slow
def test_sweep_leaves_a_record_curves_and_weights_of_every_configuration(bump_sample: Path, tmp_path: Path) -> None:
    heard: list[tuple[int, int]] = []
    run = sweep(settings(bump_sample), tmp_path / "run", jobs=2, progress=lambda *numbers: heard.append(numbers))
    records = read_records(run)
    assert [record.trial for record in records] == [0, 1, 2, 3]
    assert {record.outcome for record in records} == {Outcome.FINISHED}
    assert heard == [(done, 4) for done in range(5)]
    curves = read_curves(run, 2)
    assert set(curves) == {"loss", "monitor_loss", "accuracy", "monitor_accuracy", "curve.scores"}
    assert len(curves["loss"]) == 3
    assert sum(weight.size for weight in read_weights(run, 2)) == records[2].parameters
    assert run_info(run).trials == 4
    assert len(read_arrays(run).splits["validation"]) == 200
    assert not (run / "coordinator.lease").exists()
    before = (run / "records" / "0000.json").read_bytes()
    assert sweep(settings(bump_sample), tmp_path / "run", jobs=1) == run
    assert (run / "records" / "0000.json").read_bytes() == before
