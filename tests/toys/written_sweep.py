"""The folder of a sweep as training would leave it, from records made by hand."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np

from townsend.files import write_json
from townsend.sweep.objectives import find_objectives
from townsend.tasks.base import Metric, Objective
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

SPACE = {
    "optimizer": ["sgd", "adam"],
    "rate": {"low": 1e-4, "high": 1e-1, "log": True},
    "momentum": {"low": 0.0, "high": 0.9, "when": {"optimizer": ["sgd"]}},
    "dropout": {"values": [0.1, 0.2], "when": {"optimizer": ["adam"]}, "otherwise": 0.0},
    "units": {"low": 4, "high": 64},
    "norm": [True, False],
    "same": {"same_as": "units"},
}


def fit(trial: int, auc: float, outcome: Outcome = Outcome.FINISHED, **given: Any) -> FitRecord:
    """A record of a configuration of `SPACE`, the same for the same trial."""
    random = np.random.default_rng(trial)
    chosen: dict[str, Any] = {
        "optimizer": ["sgd", "adam"][trial % 2],
        "rate": float(10 ** random.uniform(-4, -1)),
        "dropout": [0.0, 0.1][trial % 2],
        "units": int(random.integers(4, 65)),
        "norm": bool(random.integers(2)),
    }
    chosen |= {"same": chosen["units"]} | ({} if trial % 2 else {"momentum": float(random.uniform(0, 0.9))})
    metrics = {"auc": Metric(auc, 0.01), "f1": Metric(auc - 0.3, 0.02)} if outcome.usable else {}
    found = {"epochs": 27, "best_epoch": 20, "parameters": 100 + trial, "wall_s": 2.0, "metrics": metrics, **given}
    return FitRecord(trial, 7 * trial, chosen, outcome, **found)


def curves_of(record: FitRecord) -> dict[str, np.ndarray[Any, Any]]:
    """A loss that falls, an accuracy that rises."""
    loss = np.exp(-np.arange(record.epochs) / 9).astype(np.float32)
    return {"loss": loss, "monitor_loss": loss + np.float32(0.1), "accuracy": 1 - loss, "weight0": np.ones(3)}


def write_sweep(
    run: Path,
    records: Sequence[FitRecord],
    *,
    space: Mapping[str, Any] | None = None,
    objectives: Sequence[str] | None = None,
    trials: int | None = None,
    metric: str = "auc",
    maximise: bool = True,
) -> Path:
    """Write the folder of a sweep, four records a bracket."""
    settings = {"space": SPACE if space is None else space, "objectives": objectives and list(objectives)}
    info = {"settings": settings, "fingerprint": "f", "versions": {}, "sample": "s", "trials": trials or len(records)}
    own = Objective(metric, maximise)
    ranking, *further = find_objectives(objectives, own, {})
    write_json(run / "sweep.json", info | {"objective": asdict(ranking), "further": [asdict(each) for each in further]})
    for number, start in enumerate(range(0, len(records), 4)):
        bracket = BracketRecord(number)
        for record in records[start : start + 4]:
            bracket = bracket.with_fits([(record, curves_of(record))])
        write_bracket_record(run, replace(bracket, complete=True))
    return run
