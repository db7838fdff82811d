"""A chosen network that turns the times of found peaks into a number of primary clusters.

What to use when
----------------
- `load_clusteriser`: open a folder made by `townsend choose`.
- `Clusteriser`: call it with the times that a finder gives.
- `encode`: the list of bins that the network sees.

The number is not calibrated: `townsend assemble` does that on a separate simulation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.config import parse
from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.networks.stored import forward
from townsend.sweep.chosen import open_chosen

__all__ = ["TASK", "Clusteriser", "encode", "load_clusteriser"]

TASK = "drifttube-clusters"
_CHUNK = 1000  # waveforms a piece: 4 MB of bins


def encode(time_ns: ak.Array, shift_ns: float, sampling_rate_ghz: float, bins: int) -> NDArray[np.float32]:
    """Return (n, bins, 1) zeros with 1 where a peak was found.

    Arguments:
        time_ns: (n, ragged) arrivals.
        shift_ns: added to them; brings the passage of the track to the bin where the network knows it.
        sampling_rate_ghz: bins a ns.
        bins: those outside are dropped, two peaks of one bin count once.
    """
    number = ak.to_numpy(ak.num(time_ns))
    row = np.repeat(np.arange(len(number)), number)
    flat = ak.to_numpy(ak.flatten(time_ns)).astype(np.float64)
    position = np.floor((flat + shift_ns) * sampling_rate_ghz + 0.5).astype(np.int64)
    inside = (position >= 0) & (position < bins)
    encoded = np.zeros((len(number), bins, 1), np.float32)
    encoded[row[inside], position[inside], 0] = 1
    return encoded


@dataclass(frozen=True)
class Clusteriser:
    """A network with all it needs to be applied.

    Arguments:
        network: Keras model, (n, bins, 1) -> (n, 1).
        facts: as the task wrote them into the card.
    """

    network: Any
    facts: ClusterFacts

    def __call__(self, time_ns: ak.Array, t0_ns: float) -> NDArray[np.float32]:
        """Return the (n,) numbers of clusters; 0 where no peak was found.

        Arguments:
            time_ns: (n, ragged) arrivals on the waveform's clock, found by the finder the network was trained behind.
            t0_ns: passage of the track on the same clock.
        """
        facts = self.facts
        numbers = np.zeros(len(time_ns), np.float32)
        for start in range(0, len(time_ns), _CHUNK):
            piece = time_ns[start : start + _CHUNK]
            encoded = encode(piece, facts.t0_ns - t0_ns, facts.sampling_rate_ghz, facts.bins)
            found = forward(self.network, encoded)
            numbers[start : start + _CHUNK] = np.where(ak.to_numpy(ak.num(piece)) > 0, found, np.float32(0))
        return numbers


def load_clusteriser(model: Path) -> Clusteriser:
    """Open a folder made by `townsend choose`.

    Raises InputError when it is none, is damaged or edited, was trained for another task, or its parts do not fit.
    """
    chosen = open_chosen(model, TASK)
    try:
        facts = parse(ClusterFacts, chosen.card["facts"])
    except ConfigError as error:
        msg = f"{model}/card.json must be as `townsend choose` wrote it ({error}); make the folder again"
        raise InputError(msg) from None
    if tuple(chosen.network.input_shape[1:]) != (facts.bins, 1):
        rule = f"{model}/card.json must describe lists that fit the network's input"
        msg = f"{rule} (got {facts.bins} bins for {tuple(chosen.network.input_shape[1:])}); make the folder again"
        raise InputError(msg)
    return Clusteriser(chosen.network, facts)
