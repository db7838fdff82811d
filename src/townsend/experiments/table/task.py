"""The table task: which of two classes an event belongs to.

A model sees the features of an event and gives a score, larger for the last class. Everything is judged with the
events' own weights, with their sign; training may make the classes equal. Sets, disjoint by group:

- `train`;
- `monitor`, for early stopping, and `validation`, which selects: the same events;
- `test`: read once.

With folds, train and validation events are dealt anew, each class alike; test is the same in all. Each fold stops early
on its own validation events, as without folds, so its figure flatters a little.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.config import parse, resolved
from townsend.errors import InputError
from townsend.evaluate.classification_table import classification_table
from townsend.evaluate.curves import weighted_roc
from townsend.evaluate.thresholds import choose_threshold
from townsend.experiments.table.analysis_settings import TASK
from townsend.experiments.table.arrays import table_arrays
from townsend.experiments.table.judge import own_weights
from townsend.experiments.table.read_table import read_table, table_fingerprint
from townsend.experiments.table.settings import load_table
from townsend.experiments.table.task_settings import TableFacts, TableTaskSettings
from townsend.tasks.base import Arrays, Evaluation, Fold, Objective

__all__ = ["FIGURES", "TableTask", "task"]

FIGURES: Mapping[str, bool] = {
    "auc": True,
    "average_precision": True,
    "accuracy": True,
    "balanced_accuracy": True,
    "recall": True,
    "false_positive_rate": False,
    "precision": True,
    "f1": True,
    "corner_distance": False,
    "corner_distance_squared": False,
    "efficiency_x_purity": True,
    "matthews": True,
    "brier": False,
    "log_loss": False,
}
"""Figure of the board -> whether larger is better; `townsend evaluate` has all."""


class TableTask:
    """Classification of events of the user's own tables; see `townsend.tasks.base.Task`."""

    name = TASK
    objective = Objective("auc", maximise=True)
    loss = "binary_crossentropy"
    metrics = FIGURES
    places: tuple[str, ...] = ()

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the task, defaults filled in; raises ConfigError on an unknown or bad one."""
        return resolved(parse(TableTaskSettings, given))

    def fingerprint(self, sample: Path, settings: Mapping[str, Any]) -> str:
        """Return a hash of the table's description and of what its files hold."""
        return table_fingerprint(load_table(sample))

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        """Return the arrays of a table, or of one fold of it.

        Arguments:
            sample: YAML of a table, or a folder that holds one.

        Raises InputError when the table cannot be read, has more than two classes, or cannot be trained on.
        """
        description = load_table(sample)
        classes = list(description.settings.classes)
        if len(classes) != 2:
            rule = f"the task {TASK} tells two classes apart (got {len(classes)}: {', '.join(classes)})"
            msg = f"{rule}; join some by an `or` in their `where`, or sweep with `task: table-classes`"
            raise InputError(msg)
        return table_arrays(read_table(description), description, parse(TableTaskSettings, settings), seed, fold)

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        """Judge scores of `validation` or `test`, with the events' own weights."""
        chosen, facts = arrays.splits[split], parse(TableFacts, arrays.facts)
        weights, label = own_weights(chosen), np.asarray(chosen.y)
        if threshold is None:
            threshold = _threshold(scores, label, weights, facts)
        table = classification_table(scores, label, threshold, weights, np.asarray(chosen.group))
        found = {row.name: row.metric for row in table.rows if np.isfinite(row.value)}
        curve = weighted_roc(scores, label, weights)
        curves = {"roc.fpr": curve.fpr, "roc.tpr": curve.tpr}
        one = float(np.min(scores)) == float(np.max(scores))
        degenerate = f"all {len(scores)} events have the score {float(scores[0]):.3g}" if one else ""
        return Evaluation({name: found[name] for name in FIGURES if name in found}, threshold, degenerate, curves)


task = TableTask()


def _threshold(
    scores: NDArray[np.float32], label: NDArray[np.float32], weights: NDArray[np.float64] | None, facts: TableFacts
) -> float:
    if not isinstance(facts.threshold, str):
        return facts.threshold
    return choose_threshold(scores, label, weights, facts.threshold, facts.background_uncertainty)
