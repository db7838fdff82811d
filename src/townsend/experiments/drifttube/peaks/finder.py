"""A chosen network with all it needs to find peaks in waveforms, in memory.

What to use when
----------------
- `load_finder`: open a folder made by `townsend choose`.
- `Finder`: call it with waveforms at its sampling rate.
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
from townsend.experiments.drifttube.peaks.candidates import cut_windows, find_candidates, select_peaks
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.networks.stored import forward
from townsend.sample.waveforms import Waveforms
from townsend.sweep.chosen import open_chosen

__all__ = ["TASK", "Finder", "load_finder"]

TASK = "drifttube-peaks"
_CHUNK = 200  # waveforms a piece: about 100,000 windows, 6 MB


@dataclass(frozen=True)
class Finder:
    """A network with all it needs to be applied.

    Arguments:
        network: Keras model, (n, window, 1) -> (n, 1).
        facts: as the task wrote them into the card.
        threshold: score of a peak.
    """

    network: Any
    facts: PeakFacts
    threshold: float

    def __call__(self, waveforms: Waveforms, scale: float = 1.0) -> tuple[ak.Array, ak.Array]:
        """Return times [ns] and scores of the peaks of each of at least one waveform; `scale` is a factor on them.

        Raises InputError when the sampling rate is not the model's or a window does not fit.
        """
        rate = self.facts.sampling_rate_ghz
        if waveforms.sampling_rate_ghz != rate:
            msg = (
                f"waveforms must have the model's sampling rate, {rate:g} GS/s "
                f"(got {waveforms.sampling_rate_ghz:g}); resample them first"
            )
            raise InputError(msg)
        pieces = [self._piece(part.millivolts() * np.float32(scale)) for part in waveforms.chunks(_CHUNK)]
        return ak.concatenate([times for times, _ in pieces]), ak.concatenate([scores for _, scores in pieces])

    def _piece(self, millivolts: NDArray[np.float32]) -> tuple[ak.Array, ak.Array]:
        facts = self.facts
        row, sample = find_candidates(millivolts, facts.before, facts.after)
        windows = cut_windows(millivolts, row, sample, facts.before, facts.after) / np.float32(facts.scale_mV)
        scores = forward(self.network, windows[..., None])
        kept = select_peaks(row, sample, scores, self.threshold, facts.separation)
        number = np.bincount(row[kept], minlength=len(millivolts))
        time_ns = sample[kept] / facts.sampling_rate_ghz - facts.delay_ns
        return ak.unflatten(time_ns, number), ak.unflatten(scores[kept], number)


def load_finder(model: Path, threshold: float | None = None) -> Finder:
    """Open a folder made by `townsend choose`; `threshold` takes the place of the model's own.

    Raises InputError when it is none, is damaged or edited, was trained for another task, or its parts do not fit.
    """
    chosen = open_chosen(model, TASK)
    try:
        facts = parse(PeakFacts, chosen.card["facts"])
    except ConfigError as error:
        msg = f"{model}/card.json must be as `townsend choose` wrote it ({error}); make the folder again"
        raise InputError(msg) from None
    if tuple(chosen.network.input_shape[1:]) != (facts.width, 1):
        rule = f"{model}/card.json must describe windows that fit the network's input"
        msg = f"{rule} (got {facts.width} samples for {tuple(chosen.network.input_shape[1:])}); make the folder again"
        raise InputError(msg)
    return Finder(chosen.network, facts, chosen.card["threshold"] if threshold is None else threshold)
