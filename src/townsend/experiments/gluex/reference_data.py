"""Reference files: the slides' ten rows, and published distributions; `reference/PROVENANCE.md` says more.

What to use when
----------------
- `ten_rows`: six inputs, label and the scores of the slides' two networks, for ten tracks.
- `published_histogram`: energy over momentum of electrons in either calorimeter.
"""

from __future__ import annotations

import csv
import json
from importlib.resources import files
from typing import Literal

import numpy as np
from numpy.typing import NDArray

__all__ = ["published_histogram", "ten_rows"]

Floats = NDArray[np.float64]

_FOLDER = files(__package__) / "reference"


def ten_rows() -> dict[str, Floats]:
    """Return name -> (10,), in the order of the slides.

    The six inputs, `label` (1: lepton), and of the scikit-learn and the Keras network the score `*_prob_lep` and the
    `*_label` that came of it.
    """
    with (_FOLDER / "ten_rows.csv").open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    return {name: np.array([float(row[name]) for row in rows]) for name in rows[0]}


def published_histogram(name: Literal["fcal_ep", "bcal_ep"]) -> tuple[Floats, Floats]:
    """Return edges (n + 1,) and counts (n,) of E/p of electrons, from pi0 -> e+ e- gamma (FCAL), conversions (BCAL)."""
    found = json.loads((_FOLDER / "published_figures.json").read_text(encoding="utf-8"))[name]
    low, high, bins = found["edges"]
    return np.linspace(low, high, int(bins) + 1), np.array(found["counts"], np.float64)
