"""What `townsend train` and its like need to know of the simulated samples: one YAML text a use.

`table.yaml` of the single tracks trains a network on them. `table.yaml` of the decays separates whole decays;
`table-plus.yaml` and `table-minus.yaml` are either track, under the names of single tracks: the trees that they name
are what a network for single tracks is applied to.
"""

from __future__ import annotations

from collections.abc import Mapping

from townsend.experiments.gluex.eta_decays import TRACKS
from townsend.experiments.gluex.response import INPUTS, UNITS

__all__ = ["DECAYS", "DECAY_TABLES", "TRACKS_TREE", "TRACK_TABLES"]

TRACKS_TREE, DECAYS = "tracks", "decays"
"""Names of the trees, and of the files before their numbers."""

_UNITS = ", ".join(f"{name}: {unit}" for name, unit in UNITS.items())

TRACK_TABLES: Mapping[str, str] = {
    "table.yaml": f"""\
# Single electrons (label 1) and pions (label 0) in GlueX, simulated.
files: [{TRACKS_TREE}-*.root]
tree: {TRACKS_TREE}
features: [{", ".join(INPUTS)}]
units: {{{_UNITS}}}
classes:
  pion: {{where: "label == 0"}}
  electron: {{where: "label == 1"}}
"""
}
"""File name -> text, for the single tracks."""


def _one_track(side: str) -> str:
    return f"""\
# The track "{side}" of simulated decays, eta -> e+ e- gamma (label 1) and eta -> pi+ pi- gamma (label 0).
files: [{DECAYS}-*.root]
tree: {side}
cuts: ["reconstructed == 1"]
features: [{", ".join(INPUTS)}]
units: {{{_UNITS}}}
group: decay
classes:
  pion: {{where: "label == 0"}}
  electron: {{where: "label == 1"}}
"""


_BOTH = ", ".join(f"{name}_{side}" for side in TRACKS for name in INPUTS)
_UNITS_BOTH = ", ".join(f"{name}_{side}: {UNITS[name]}" for side in TRACKS for name in INPUTS)

DECAY_TABLES: Mapping[str, str] = {
    "table.yaml": f"""\
# Simulated decays, eta -> e+ e- gamma (label 1) and eta -> pi+ pi- gamma (label 0).
# m_eegamma, in GeV, is no feature: whether a selection disturbs it is the question.
files: [{DECAYS}-*.root]
tree: {DECAYS}
cuts: ["reconstructed == 1"]
features: [{_BOTH}]
units: {{{_UNITS_BOTH}}}
classes:
  pipigamma: {{where: "label == 0"}}
  eegamma: {{where: "label == 1"}}
""",
    **{f"table-{side}.yaml": _one_track(side) for side in TRACKS},
}
"""File name -> text, for the decays."""
