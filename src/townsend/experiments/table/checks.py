"""Faults of a table that no training could mend, and one that would flatter it.

What to use when
----------------
- `check_features`, `check_weights`: refuse what cannot be trained on, with the remedy.
- `suspicious`: features that tell the classes apart almost alone, which are often the label in disguise.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.classification import auc
from townsend.evaluate.verdict import Verdict
from townsend.sample.table import Table

__all__ = ["check_features", "check_weights", "suspicious"]

_ALMOST_ALONE = 0.999  # AUC of a single feature
_LOOKED_AT = 200_000  # events
_FEW = 1000  # events


def check_features(table: Table) -> None:
    """Raise InputError when a feature is not finite, constant, or the label itself."""
    for column, name in enumerate(table.features):
        values = table.values[:, column]
        bad = np.flatnonzero(~np.isfinite(values))
        if len(bad) == len(values):
            msg = f'feature "{name}" must be a number (it is none in all {len(values)} events); take it out'
            raise InputError(msg)
        if len(bad):
            got = f"{len(bad)} of {len(values)} events have {values[bad[0]]}"
            remedy = "give a default, such as leading(x, 0), or cut them away with isfinite(...)"
            msg = f'feature "{name}" must be a finite number ({got}); {remedy}'
            raise InputError(msg)
        if values.min() == values.max():
            msg = f'feature "{name}" must differ between events (it is {values[0]:g} in all {len(values)}); take it out'
            raise InputError(msg)
        if _is_label(values, table.label):
            rule = f'feature "{name}" must not be the label itself (it has one value in each class, another in each)'
            msg = f"{rule}; take it out of the features"
            raise InputError(msg)


def check_weights(table: Table) -> None:
    """Raise InputError when all weights are zero, or those of a class do not sum to more than zero."""
    for index, name in enumerate(table.classes):
        mine = table.weight[table.label == index]
        if not mine.any():
            msg = f'weights of class "{name}" must not all be 0 (got {len(mine)} zeros); check `weight`'
            raise InputError(msg)
        if not mine.sum() > 0:
            got = f"{mine.sum():g} of {len(mine)} events, {int((mine < 0).sum())} negative"
            msg = f'weights of class "{name}" must sum to more than 0 (got {got}); give it more events'
            raise InputError(msg)


def suspicious(
    values: NDArray[np.float32], label: NDArray[np.intp], features: Sequence[str], classes: Sequence[str]
) -> list[Verdict]:
    """Return a verdict on each feature that alone tells one of two classes from the other with an AUC above 0.999.

    Arguments:
        values: (n, k); label: (n,) 0 or 1, both present.
        features: (k,) names; classes: of label 0 and 1.
    """
    step = max(1, len(label) // _LOOKED_AT)
    found = []
    for column, name in enumerate(features):
        area = auc(values[::step, column], label[::step])
        if (alone := max(area, 1 - area)) > _ALMOST_ALONE:
            what = f'feature "{name}" alone tells {classes[1]} from {classes[0]} with an AUC of {alone:.4f}'
            found.append(Verdict(False, f"{what}: make sure that it is not the label in disguise"))
    return found


def _is_label(values: NDArray[np.float32], label: NDArray[np.int16]) -> bool:
    """Whether the feature has one value in each class, and no two classes share it."""
    present = np.unique(label)
    few = values[:_FEW], label[:_FEW]  # hardly any feature needs a look at all events
    if any(np.ptp(few[0][few[1] == one]) > 0 for one in present if np.any(few[1] == one)):
        return False
    low = np.array([values[label == one].min() for one in present])
    high = np.array([values[label == one].max() for one in present])
    return bool(np.all(low == high) and len(np.unique(low)) == len(present))
