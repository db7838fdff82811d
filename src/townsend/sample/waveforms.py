"""Digitised waveforms with, where simulated, the truth behind them.

What to use when
----------------
- `Waveforms`: what every reader returns and every finder takes.
- `Waveforms.millivolts()`: positive-going signals in mV, whatever the polarity of the digitiser.
- `Truth`: clusters and electrons, one ragged list a waveform; absent for measured data.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.sample.provenance import Provenance

__all__ = ["Truth", "Waveforms"]


@dataclass(frozen=True)
class Truth:
    """Simulated truth of n waveforms; times run on the waveform's clock (0 = first sample).

    Arguments:
        electron_time_ns: (n, ragged) arrival of each electron at the wire, ascending.
        electron_cluster: (n, ragged) index of its cluster within the waveform.
        electron_charge_fC: (n, ragged) charge of its avalanche, positive.
        cluster_radius_cm: (n, ragged) distance of each primary cluster from the wire.
        cluster_size: (n, ragged) electrons in each cluster.
        impact_cm: (n,) signed distance of the track from the wire.
        path_cm: (n,) length of the track inside the tube.
    """

    electron_time_ns: ak.Array
    electron_cluster: ak.Array
    electron_charge_fC: ak.Array
    cluster_radius_cm: ak.Array
    cluster_size: ak.Array
    impact_cm: NDArray[np.float32]
    path_cm: NDArray[np.float32]

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Truth:
        """Return the truth of the chosen waveforms."""
        return Truth(**{name: value[rows] for name, value in vars(self).items()})


@dataclass(frozen=True)
class Waveforms:
    """n waveforms of s fixed-point samples.

    Arguments:
        samples: (n, s) int16 counts of the digitiser.
        volts_per_count: size of one count [V], > 0.
        sampling_rate_ghz: samples per ns, > 0.
        polarity: +1 where signals go up, -1 where they go down.
        t0_ns: time of the track's passage on the waveform's clock; NaN where unknown.
        max_drift_ns: longest drift time of the tube; NaN where unknown.
        event, channel, track, run: (n,) int32 identifiers.
        provenance: what made the file.
        truth: simulated truth, or None for measured data.
    """

    samples: NDArray[np.int16]
    volts_per_count: float
    sampling_rate_ghz: float
    polarity: int
    t0_ns: float
    max_drift_ns: float
    event: NDArray[np.int32]
    channel: NDArray[np.int32]
    track: NDArray[np.int32]
    run: NDArray[np.int32]
    provenance: Provenance
    truth: Truth | None = None

    def __len__(self) -> int:
        """Return the number of waveforms."""
        return len(self.samples)

    def __getitem__(self, rows: slice | NDArray[np.intp]) -> Waveforms:
        """Return the chosen waveforms, with their truth."""
        return replace(
            self,
            samples=self.samples[rows],
            event=self.event[rows],
            channel=self.channel[rows],
            track=self.track[rows],
            run=self.run[rows],
            truth=None if self.truth is None else self.truth[rows],
        )

    def millivolts(self) -> NDArray[np.float32]:
        """Return (n, s) float32 samples in mV with signals going up; the baseline is left as it is."""
        return self.samples * np.float32(1e3 * self.polarity * self.volts_per_count)

    def chunks(self, size: int) -> Iterator[Waveforms]:
        """Yield consecutive pieces of at most `size` waveforms."""
        for start in range(0, len(self), size):
            yield self[start : start + size]
