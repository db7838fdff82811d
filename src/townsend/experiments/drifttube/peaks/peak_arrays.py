"""Labelled windows cut out of a simulated sample: what the peak-finding task trains and judges on.

What to use when
----------------
- `PeakArrays.balanced`: as many signal as background windows, for training.
- `PeakArrays.natural`: every candidate of some waveforms with the truth to judge by, natural prevalence.
- `PeakArrays.facts`: what a model must carry to be applied elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.arrivals import visible_electrons
from townsend.experiments.drifttube.peaks.candidates import cut_windows, find_candidates
from townsend.experiments.drifttube.peaks.matching import match_lists, merge_arrivals
from townsend.experiments.drifttube.peaks.sample_facts import check_clock, pulse_facts
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts, PeakSettings
from townsend.sample.waveforms import Waveforms
from townsend.tasks.base import Split

__all__ = ["PeakArrays"]


class PeakArrays:
    """Cuts labelled windows out of one sample.

    Arguments:
        waveforms: with truth; settings: of the task; sample: folder, for messages.

    Raises InputError when there is no truth, no clock, or too many waveforms are saturated.
    """

    def __init__(self, waveforms: Waveforms, settings: PeakSettings, sample: Path) -> None:
        if waveforms.truth is None:
            msg = f"{sample} must hold simulated truth to train on (it holds none); use `townsend simulate`"
            raise InputError(msg)
        self.truth = waveforms.truth
        self.waveforms, self.settings, self.sample = waveforms, settings, sample
        check_clock(waveforms, sample)
        pulse = pulse_facts(waveforms.provenance, sample)
        if pulse.bits is not None:
            self._check_range(pulse.bits)
        self.delay_ns = pulse.delay_ns
        self.visible_fC = settings.visible_sigma * pulse.sigma_fC

    def _check_range(self, bits: int) -> None:
        """Raise InputError when too many waveforms reach the end of the digitiser's range."""
        samples, limit = self.waveforms.samples, 2 ** (bits - 1)
        saturated = int(np.count_nonzero((samples.max(axis=1) >= limit - 1) | (samples.min(axis=1) <= -limit)))
        allowed = self.settings.max_saturated_fraction
        if saturated > allowed * len(samples):
            rule = f"{self.sample} must have at most {allowed:.2%} of its waveforms saturated"
            msg = f"{rule} (got {saturated} of {len(samples)}); simulate with more full_scale_V or less gain"
            raise InputError(msg)

    def facts(self, scale_mV: float) -> PeakFacts:
        """Return what a model must carry to be applied elsewhere."""
        settings, waveforms = self.settings, self.waveforms
        return PeakFacts(
            sampling_rate_ghz=waveforms.sampling_rate_ghz,
            before=settings.before,
            after=settings.after,
            scale_mV=scale_mV,
            delay_ns=self.delay_ns,
            double_pulse_ns=settings.double_pulse_ns,
            quoted_double_pulse_ns=settings.quoted_double_pulse_ns,
            tolerance_ns=settings.tolerance_ns,
            visible_fC=self.visible_fC,
            t0_ns=waveforms.t0_ns,
            max_drift_ns=waveforms.max_drift_ns,
            sample_seed=waveforms.provenance.seed,
        )

    def balanced(self, rows: NDArray[np.int64], windows: int, random: np.random.Generator) -> Split:
        """Return `windows` windows, half signal, from as many of `rows` as needed, in order."""
        half, piece = windows // 2, 256
        parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]] = []
        signal = background = 0
        for start in range(0, len(rows), piece):
            made = self.natural(rows[start : start + piece])
            parts.append((made.x, made.y, rows[start + made.group].astype(np.int32)))
            signal += int(np.count_nonzero(made.y))
            background += int(np.count_nonzero(made.y == 0))
            if min(signal, background) >= half:
                break
        if min(signal, background) < half:
            rule = f"the sample must hold {half} signal and {half} background windows for {windows} windows"
            held = f"its {len(rows)} waveforms for this set hold {signal} and {background}"
            msg = f"{rule} ({held}); simulate more waveforms or lower `windows`"
            raise InputError(msg)
        x, y, group = (np.concatenate(column) for column in zip(*parts, strict=True))
        chosen = [random.choice(np.flatnonzero(y == label), half, replace=False) for label in (1, 0)]
        kept = np.sort(np.concatenate(chosen))
        return Split(x[kept], y[kept], group[kept])

    def natural(self, rows: NDArray[np.int64]) -> Split:
        """Return every candidate of `rows`; groups and lists count from 0 in the order of `rows`."""
        settings, part = self.settings, self.waveforms[rows]
        millivolts = part.millivolts()
        row, sample = find_candidates(millivolts, settings.before, settings.after)
        found = visible_electrons(self.truth[rows], self.visible_fC)
        if len(found.row) == 0:
            rule = f"{self.sample} must hold visible electrons (it holds none among {len(rows)} waveforms)"
            msg = f"{rule}; check its truth, or lower `visible_sigma`"
            raise InputError(msg)
        visible = found.row, found.time_ns, found.charge_fC
        resolvable = merge_arrivals(*visible, settings.double_pulse_ns)
        lists = {
            "all": visible[:2],
            "resolvable": resolvable,
            "quoted": merge_arrivals(*visible, settings.quoted_double_pulse_ns),
        }
        arrival_ns = sample / part.sampling_rate_ghz - self.delay_ns
        labels = match_lists(row, arrival_ns, *resolvable, settings.tolerance_ns) >= 0
        in_drift = (arrival_ns >= part.t0_ns) & (arrival_ns <= part.t0_ns + part.max_drift_ns)
        extra = {"sample": sample.astype(np.int32), "in_drift": in_drift, "waveforms": np.array([len(rows)])}
        extra |= {f"{name}_row": found[0].astype(np.int32) for name, found in lists.items()}
        extra |= {f"{name}_time_ns": found[1].astype(np.float32) for name, found in lists.items()}
        windows = cut_windows(millivolts, row, sample, settings.before, settings.after)
        return Split(windows, labels.astype(np.float32), row.astype(np.int32), extra)
