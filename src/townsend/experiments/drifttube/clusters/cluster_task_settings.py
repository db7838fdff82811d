"""What the cluster-counting task can be told, and what a clusteriser trained by it must carry."""

from __future__ import annotations

from pydantic import Field

from townsend.config import Closed
from townsend.experiments.drifttube.peaks.set_fractions import SetFractions

__all__ = ["ClusterFacts", "ClusterSettings"]


class ClusterSettings(SetFractions):
    """The finder whose peaks are counted, and the sets of the cluster-counting task."""

    finder: str = Field(min_length=1, description="folder of the chosen peak finder")
    waveforms: int | None = Field(None, ge=100, description="waveforms used, the first of the sample; null: all")
    fixed_impact_cm: float = Field(0.08, gt=0, description="tracks with |b| below this have one path length")


class ClusterFacts(Closed):
    """What a clusteriser must know to be applied to other peaks; written into the arrays and the model card."""

    sampling_rate_ghz: float = Field(gt=0)
    bins: int = Field(ge=1)
    t0_ns: float
    max_drift_ns: float
    mean_clusters: float
    fixed_impact_cm: float = Field(gt=0)
    sample_seed: int | None
    finder_sample_seed: int | None
    finder_sha256: str
    finder_threshold: float
    unseen_by_the_finder: str
    input: str = (
        "zeros, and 1 in bin floor((arrival - t0 of the data + t0_ns) * sampling_rate_ghz + 0.5) of each found peak; "
        "arrival and t0 in ns on the waveform's clock, the response's delay taken off"
    )
    output: str = "number of primary clusters with at least one electron in the record; 0 where no peak was found"
