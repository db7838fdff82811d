"""The trees of the public cluster-counting samples and how a user says what they leave open.

What to use when
----------------
- `LAYOUTS`: by name, `littlepi` (github.com/littlepi/ClusterCounting, tree `signal`) and `sciencedb` (CEPC sample of
  arXiv:2402.16493, doi 10.57760/sciencedb.16322, tree `sim`).
- `ReadSettings`: what neither says: the unit of its samples, when the track passed, how long electrons drift.

Both have one entry a waveform: `wf_i`, its samples; `time` and `tag`, a list of arrivals and noise bumps with the index
of their sample (not ns) and their kind; `sampling_rate`. The second adds `ncls`, the number of primary clusters, and
`mom`, the momentum, which is not kept. The same numbers mean other kinds in each: see `tags`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from townsend.config import Closed

__all__ = ["INDEX", "LAYOUTS", "MOMENTUM", "RATE", "TAG", "WAVE", "Layout", "ReadSettings"]

WAVE, INDEX, TAG, RATE, MOMENTUM = "wf_i", "time", "tag", "sampling_rate", "mom"
"""Branches that both trees have; the momentum only the second."""


@dataclass(frozen=True)
class Layout:
    """The tree of one public sample.

    Arguments:
        tree: its name; title: written into ours.
        clusters: branch with the number of primary clusters, None where there is none.
        rate_GHz: the only sampling rate of the published files, None where it is not known.
        tag_type: of the numbers in `tag`.
    """

    tree: str
    title: str
    clusters: str | None
    rate_GHz: float | None
    tag_type: Literal["int32", "float64"]


LAYOUTS = {
    "littlepi": Layout("signal", "waveforms as in littlepi/ClusterCounting", None, None, "int32"),
    "sciencedb": Layout("sim", "waveforms as in doi 10.57760/sciencedb.16322", "ncls", 1.5, "float64"),
}


class ReadSettings(Closed):
    """What a public file leaves open."""

    volts_per_unit: float = Field(1.0, gt=0, description="volts that 1 in the file stands for; no public file says it")
    polarity: Literal[1, -1] = Field(1, description="+1 where signals go up in the file, -1 where they go down")
    sampling_rate_GHz: float | None = Field(
        None, gt=0, description="samples a ns; null: the branch `sampling_rate`, taken as that"
    )
    t0_ns: float | None = Field(
        None, ge=0, description="passage of the track on the waveform's clock; null: unknown, no network can be trained"
    )
    max_drift_ns: float | None = Field(
        None, gt=0, description="longest drift time of the cell; null: unknown, no network can be trained"
    )
    delay_ns: float | None = Field(
        None, description="from a listed arrival to the top of its pulse; null: as found in the waveforms"
    )
    check_tags: bool = Field(True, description="refuse files whose contents contradict what the tags are said to mean")
