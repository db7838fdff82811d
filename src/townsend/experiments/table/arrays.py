"""From a table to the arrays of its sets: who trains, who selects, who is asked once; and with what weight.

What to use when
----------------
- `table_arrays`: the arrays of a task.
- `judged_split`: the events of another table, all of which are to be judged.

Sets are disjoint by group, so that events which belong together are never on both sides; `monitor` and `validation` are
the same events. Two weights are kept: that of training, with mean 1, with which classes may be made equal; and the
event's own, with which everything is judged.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from townsend.config import resolved
from townsend.errors import InputError
from townsend.experiments.table.cut_flow import CutFlow
from townsend.experiments.table.read_table import ReadTable
from townsend.experiments.table.settings import Description
from townsend.experiments.table.task_settings import Scaling, TableFacts, TableTaskSettings, facts_of
from townsend.sample.folds import fold_sets
from townsend.sample.splits import split_groups
from townsend.sample.table import Table
from townsend.tasks.base import Arrays, Fold, Split

__all__ = ["EVENT_WEIGHT", "judged_split", "natural_weight", "table_arrays"]

EVENT_WEIGHT = "weight"
"""Name in `Split.extra` of the events' own weights; absent where all are 1."""

_FEWEST = 2  # events of a class in a set, without which no figure has an error


def table_arrays(
    found: ReadTable, description: Description, settings: TableTaskSettings, seed: int, fold: Fold | None = None
) -> Arrays:
    """Return the arrays of a table, or of one fold of it.

    Raises InputError when a set would lack a class, or a class in it has no positive weight.
    """
    table = found.table
    balanced = table.weighted if settings.balance is None else settings.balance
    rows = _rows(table, settings.fractions, seed, fold)
    splits = {name: _split(table, members, name, balanced, found.flows, description) for name, members in rows.items()}
    splits["monitor"] = splits["validation"]
    if fold is not None and fold.index is None:
        del splits["validation"]
    facts = TableFacts(
        **facts_of(description),  # type: ignore[arg-type]
        balanced=balanced,
        events={name: int(np.sum(table.label == index)) for index, name in enumerate(table.classes)},
        yields={name: (float(f.weights[-1]), float(np.sqrt(f.squares[-1]))) for name, f in found.flows.items()},
        scaling=_scaling(splits["train"].x),
        threshold=settings.threshold,
        background_uncertainty=settings.background_uncertainty,
    )
    return Arrays(splits, resolved(facts))


def judged_split(found: ReadTable) -> Split:
    """Return all events of a table as one set; nothing is trained on it."""
    table = found.table
    split = Split(table.values, table.label.astype(np.float32), table.group)
    return replace(split, extra={EVENT_WEIGHT: table.weight}) if table.weighted else split


def natural_weight(split: Split) -> NDArray[np.float64]:
    """Return the (n,) events' own weights."""
    if EVENT_WEIGHT in split.extra:
        return np.asarray(split.extra[EVENT_WEIGHT], np.float64)
    return np.ones(len(split))


def _rows(table: Table, fractions: Mapping[str, float], seed: int, fold: Fold | None) -> dict[str, NDArray[np.int64]]:
    groups = int(table.group.max()) + 1
    sets = split_groups(groups, fractions, seed)
    if fold is not None:
        of_group = np.empty(groups, np.int16)
        of_group[table.group[::-1]] = table.label[::-1]  # a group's class is that of its first event
        sets = fold_sets(sets, of_group.__getitem__, fold.index, fold.of, seed)
    found = {}
    for name, members in sets.items():
        within = np.zeros(groups, np.bool_)
        within[members] = True
        found[name] = np.flatnonzero(within[table.group])
    return found


def _split(
    table: Table,
    rows: NDArray[np.int64],
    name: str,
    balanced: bool,
    flows: Mapping[str, CutFlow],
    description: Description,
) -> Split:
    label, own = table.label[rows], table.weight[rows].copy()
    training = own.copy()
    for index, of in enumerate(table.classes):
        mine = label == index
        number, total = int(mine.sum()), float(own[mine].sum())
        if number < _FEWEST or not total > 0:
            got = f"{number} with summed weight {total:g} in {name}, of {int(np.sum(table.label == index))} in all"
            msg = f'each set must hold events of class "{of}" (got {got}); read more events or change the fractions'
            raise InputError(msg)
        if balanced:
            training[mine] /= total
        if description.settings.luminosity_per_fb is not None:
            own[mine] *= float(flows[of].weights[-1]) / total  # a set stands for the whole luminosity
    training *= len(rows) / training.sum()
    split = Split(
        x=table.values[rows],
        y=label.astype(np.float32),
        group=table.group[rows],
        weight=None if np.ptp(training) == 0 else training.astype(np.float32),
    )
    return replace(split, extra={EVENT_WEIGHT: own}) if table.weighted else split


def _scaling(x: NDArray[np.float32]) -> Scaling:
    """Return mean and spread of each feature, 1 where it is constant in this set."""
    mean, spread = x.mean(axis=0, dtype=np.float64), x.std(axis=0, dtype=np.float64)
    return Scaling(mean=tuple(mean.tolist()), scale=tuple(np.where(spread > 0, spread, 1.0).tolist()))
