"""Lists of found peaks with their number of clusters: what the cluster-counting task trains and judges on.

What to use when
----------------
- `unseen_rows`: the waveforms of a sample that a finder was neither trained nor chosen on.
- `ClusterArrays`: lists, labels and references of chosen waveforms.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.config import parse
from townsend.errors import InputError
from townsend.experiments.drifttube.clusters.clusteriser import encode
from townsend.experiments.drifttube.clusters.count_references import Arrivals, CountInputs
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record, electrons, visible_electrons
from townsend.experiments.drifttube.peaks.deriv import DEFAULT_PRESET, DERIV_PRESETS, count_deriv_clusters
from townsend.experiments.drifttube.peaks.finder import Finder
from townsend.experiments.drifttube.peaks.matching import merge_arrivals
from townsend.experiments.drifttube.peaks.task_settings import PeakSettings
from townsend.sample.reader import sample_fingerprint
from townsend.sample.splits import split_groups
from townsend.sample.waveforms import Waveforms
from townsend.tasks.base import Split

__all__ = ["ClusterArrays", "Unseen", "unseen_rows"]


class Unseen(NamedTuple):
    """Waveforms that a finder never saw, and a sentence that says why it did not."""

    rows: NDArray[np.int64]
    because: str


def unseen_rows(sample: Path, waveforms: Waveforms, card: Mapping[str, Any]) -> Unseen:
    """Return the waveforms of a sample that the finder of `card` was neither trained nor chosen on.

    All of a sample of another seed; the finder's own test set in its own sample. Where neither has a seed, both were
    made by another program, and two samples of different contents are taken for different tracks.

    Raises InputError for another sample of the finder's seed: their tracks are the same as far as both reach.
    """
    seed, finders = waveforms.provenance.seed, card["facts"]["sample_seed"]
    if seed != finders:
        return Unseen(np.arange(len(waveforms)), f"sample of seed {seed}, the finder's has seed {finders}")
    own = sample_fingerprint(sample) == card["sample"]
    if seed is None and not own:
        return Unseen(np.arange(len(waveforms)), "sample of other contents than the finder's, neither has a seed")
    if not own:
        rule = f"{sample} must be the finder's own sample or one of another seed"
        msg = f"{rule} (got another of seed {seed}, which shares tracks with it); simulate with another --seed"
        raise InputError(msg)
    settings = parse(PeakSettings, card["task_settings"])
    rows = split_groups(len(waveforms), settings.fractions, int(card["sweep"]["settings"]["seed"]))["test"]
    return Unseen(rows, "the finder's own sample, of which only its test set is used")


@dataclass(frozen=True)
class ClusterArrays:
    """Makes lists, labels and references of waveforms.

    Arguments:
        waveforms: all of the sample, with truth.
        finder: whose peaks are counted.
    """

    waveforms: Waveforms
    finder: Finder

    def split(self, rows: NDArray[np.int64]) -> tuple[Split, CountInputs]:
        """Return lists with their labels, and what the references see, of the waveforms `rows`."""
        part, facts = self.waveforms[rows], self.finder.facts
        truth = part.truth
        assert truth is not None  # noqa: S101 - asked for by the task
        record_ns = part.samples.shape[1] / part.sampling_rate_ghz
        time_ns, _ = self.finder(part)
        x = encode(time_ns, 0.0, part.sampling_rate_ghz, part.samples.shape[1])
        clusters = clusters_in_record(truth, record_ns)
        number = ak.to_numpy(ak.num(time_ns))
        found = np.repeat(np.arange(len(rows)), number), ak.to_numpy(ak.flatten(time_ns)).astype(np.float64)
        visible = visible_electrons(truth, facts.visible_fC)
        resolvable = merge_arrivals(visible.row, visible.time_ns, visible.charge_fC, facts.double_pulse_ns)
        every = electrons(truth, record_ns)
        inputs = CountInputs(
            n=len(rows),
            path_cm=np.asarray(truth.path_cm, np.float64),
            deriv_clusters=self._deriv_clusters(part),
            found=self._arrivals(*found),
            resolvable=self._arrivals(*resolvable),
            perfect=self._arrivals(every.row, every.time_ns),
        )
        extra = {
            "impact_cm": np.asarray(truth.impact_cm, np.float32),
            "path_cm": np.asarray(truth.path_cm, np.float32),
            "peaks": number.astype(np.int32),
        }
        return Split(x, clusters.astype(np.float32), rows.astype(np.int32), extra), inputs

    def _arrivals(self, row: NDArray[np.int64], time_ns: NDArray[np.float64]) -> Arrivals:
        return Arrivals(row, time_ns - self.waveforms.t0_ns)

    def _deriv_clusters(self, part: Waveforms) -> NDArray[np.int64]:
        """Return what the classical finder and association in time count, with the preset as published."""
        return count_deriv_clusters(
            part.millivolts(),
            part.sampling_rate_ghz,
            DERIV_PRESETS[DEFAULT_PRESET],
            t0_ns=part.t0_ns,
            delay_ns=self.finder.facts.delay_ns,
            max_drift_ns=part.max_drift_ns,
        )
