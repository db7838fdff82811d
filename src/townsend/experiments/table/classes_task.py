"""The table task with three classes or more: a probability of each class for each event.

Sets, weights and folds are those of the table task with two classes. Models are ranked by the AUC of each class against
all others, averaged over classes; an event is given to the class of the highest probability, so there is no threshold.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.config import parse, resolved
from townsend.errors import InputError
from townsend.evaluate.multiclass import multiclass_table
from townsend.experiments.table.arrays import table_arrays
from townsend.experiments.table.judge import dependent_groups, own_weights
from townsend.experiments.table.read_table import read_table, table_fingerprint
from townsend.experiments.table.settings import load_table
from townsend.experiments.table.task_settings import TableTaskSettings
from townsend.tasks.base import Arrays, Evaluation, Fold, Objective

__all__ = ["FIGURES", "TableClassesTask", "task"]

FIGURES: Mapping[str, bool] = {
    "auc_ovr_macro": True,
    "auc_ovo_macro": True,
    "accuracy": True,
    "balanced_accuracy": True,
    "precision_macro": True,
    "f1_macro": True,
    "matthews": True,
    "log_loss": False,
}
"""Figure of the board -> whether larger is better."""
_FEWEST = 3


class TableClassesTask:
    """Classification of events into three classes or more; see `townsend.tasks.base.Task`."""

    name = "table-classes"
    objective = Objective("auc_ovr_macro", maximise=True)
    loss = "sparse_categorical_crossentropy"
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

        Raises InputError when the table cannot be read, has two classes only, or cannot be trained on.
        """
        description = load_table(sample)
        classes = list(description.settings.classes)
        if len(classes) < _FEWEST:
            rule = f"the task {self.name} tells three classes or more apart (got {len(classes)}: {', '.join(classes)})"
            msg = f"{rule}; for two take the task table"
            raise InputError(msg)
        return table_arrays(read_table(description), description, parse(TableTaskSettings, settings), seed, fold)

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        """Judge (n, K) scores of `validation` or `test`, with the events' own weights."""
        chosen = arrays.splits[split]
        classes = list(arrays.facts["classes"])
        table = multiclass_table(scores, np.asarray(chosen.y), classes, own_weights(chosen), dependent_groups(chosen))
        found = {row.name: row.metric for row in table.rows if np.isfinite(row.value)}
        given = np.unique(np.argmax(scores, axis=1))
        degenerate = f"all {len(scores)} events are given to {classes[int(given[0])]}" if len(given) == 1 else ""
        return Evaluation({name: found[name] for name in FIGURES if name in found}, None, degenerate)


task = TableClassesTask()
