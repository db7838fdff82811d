"""Small samples with known content."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import awkward as ak
import numpy as np
import pytest
from numpy.typing import NDArray

from townsend.sample.provenance import Provenance
from townsend.sample.waveforms import Truth, Waveforms


def _truth(sizes: Sequence[Sequence[int]], random: np.random.Generator) -> Truth:
    """Return truth in which waveform i has one cluster for each of `sizes[i]`, of that many electrons."""
    clusters = np.array([len(each) for each in sizes], np.int64)
    electrons = np.array([sum(each) for each in sizes], np.int64)
    flat = np.array([size for each in sizes for size in each], np.int32)
    index = np.array([i for each in sizes for i, size in enumerate(each) for _ in range(size)], np.int32)

    def draw(counts: NDArray[np.int64]) -> ak.Array:
        return ak.unflatten(random.random(counts.sum()).astype(np.float32), counts)

    return Truth(
        electron_time_ns=draw(electrons),
        electron_cluster=ak.unflatten(index, electrons),
        electron_charge_fC=draw(electrons),
        cluster_radius_cm=draw(clusters),
        cluster_size=ak.unflatten(flat, clusters),
        impact_cm=random.random(len(sizes)).astype(np.float32),
        path_cm=random.random(len(sizes)).astype(np.float32),
    )


@pytest.fixture(scope="session")
def make_waveforms() -> Callable[..., Waveforms]:
    """Make waveforms with random samples; `sizes` gives the clusters of each, None leaves the truth out."""

    def make(sizes: Sequence[Sequence[int]] | None = ((1, 2), (), (3,)), count: int = 3, length: int = 5) -> Waveforms:
        random = np.random.default_rng(7)
        number = np.arange(count if sizes is None else len(sizes), dtype=np.int32)
        return Waveforms(
            samples=random.integers(-32768, 32768, (len(number), length)).astype(np.int16),
            volts_per_count=1e-4,
            sampling_rate_ghz=1.0,
            polarity=-1,
            t0_ns=200.0,
            max_drift_ns=math.nan,
            event=number,
            channel=number + 1,
            track=number + 2,
            run=number + 3,
            provenance=Provenance("a test", {"tube": {"radius_cm": 0.4}}, seed=3, sources={"a": "b"}),
            truth=None if sizes is None else _truth(sizes, random),
        )

    return make
