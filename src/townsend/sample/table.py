"""A table of events: named features, the class of each event, and its weight.

What to use when
----------------
- `Table`: what reading a user's files gives, and what a task makes arrays of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from townsend.sample.provenance import Provenance

__all__ = ["Table"]


@dataclass(frozen=True)
class Table:
    """n events of k features.

    Arguments:
        features: names of the columns of `values`.
        classes: names, in the order of `label`; of two, the last is the signal.
        values: (n, k) float32, finite.
        label: (n,) index of each event's class.
        weight: (n,) finite event weight of either sign.
        group: (n,) events of equal number belong together, 0 to the number of groups - 1.
        weighted: whether the weights mean something; else all of them are 1.
        provenance: what made it.
    """

    features: tuple[str, ...]
    classes: tuple[str, ...]
    values: NDArray[np.float32]
    label: NDArray[np.int16]
    weight: NDArray[np.float64]
    group: NDArray[np.int32]
    weighted: bool
    provenance: Provenance

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.label)
