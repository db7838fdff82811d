"""The peak-finding task: is this candidate the arrival of an electron?

A network sees a window around each candidate and gives a score. Labels come from the optimal one-to-one matching of
candidates to resolvable arrivals. Four sets, disjoint by waveform but for the first two of validation:

- `train`: windows of the training waveforms, as much signal as background;
- `monitor`: the same of the validation waveforms, for early stopping;
- `validation`: every candidate of some validation waveforms, natural prevalence; selects;
- `test`: every candidate of some test waveforms, natural prevalence; read once.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.config import parse, resolved
from townsend.errors import InputError
from townsend.evaluate.bootstrap import bootstrap_figures, clustered_auc, confusion_by_group
from townsend.evaluate.classification import FIGURES, balanced_counts, roc
from townsend.experiments.drifttube.candidates import cut_windows, find_candidates, select_peaks
from townsend.experiments.drifttube.figures_of_merit import (
    PEAK_FIGURES,
    FoundPeaks,
    TruthList,
    best_threshold,
    ceiling,
    count_matches,
)
from townsend.experiments.drifttube.matching import match_lists, merge_arrivals
from townsend.experiments.drifttube.noise import noise_rms_mV
from townsend.experiments.drifttube.settings import DriftTubeSettings
from townsend.experiments.drifttube.signal import single_electron_response
from townsend.experiments.drifttube.streams import stream
from townsend.experiments.drifttube.task_settings import PeakSettings
from townsend.sample.reader import read_sample, sample_files
from townsend.sample.splits import split_groups
from townsend.sample.waveforms import Waveforms
from townsend.tasks.base import Arrays, Evaluation, Metric, Objective, Split

__all__ = ["PeakTask", "task"]

SLIDES_THRESHOLD = 0.5
PUBLIC_CODE_THRESHOLD = 0.95


class PeakTask:
    """Peak finding in drift-tube waveforms; see `townsend.tasks.base.Task`."""

    name = "drifttube-peaks"
    objective = Objective("auc_all", maximise=True)
    loss = "binary_crossentropy"

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the task, defaults filled in; raises ConfigError on an unknown or bad one."""
        return resolved(parse(PeakSettings, given))

    def sources(self, sample: Path) -> list[Path]:
        """Return the shards of the sample."""
        return sample_files(sample)

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int) -> Arrays:
        """Return the arrays of a simulated sample.

        Raises InputError when the sample has no truth or no signal, or is too small for the windows asked for.
        """
        chosen = parse(PeakSettings, settings)
        waveforms = read_sample(sample)
        fractions = {
            "train": chosen.train_fraction,
            "validation": chosen.validation_fraction,
            "test": 1 - chosen.train_fraction - chosen.validation_fraction,
        }
        rows = split_groups(len(waveforms), fractions, seed)
        maker = _Maker(waveforms, chosen, sample)
        monitor_windows = round(chosen.windows * chosen.monitor_share / (1 - chosen.monitor_share))
        train = maker.balanced(rows["train"], chosen.windows, stream(seed, "train windows", 0))
        scale_mV = float(np.median(np.std(train.x[train.y > 0], axis=1)))
        splits = {
            "train": train,
            "monitor": maker.balanced(rows["validation"], monitor_windows, stream(seed, "monitor windows", 0)),
            "validation": maker.natural(rows["validation"][: chosen.validation_waveforms]),
            "test": maker.natural(rows["test"][: chosen.test_waveforms]),
        }
        scaled = {name: Split(s.x[..., None] / np.float32(scale_mV), s.y, s.group, s.extra) for name, s in splits.items()}
        return Arrays(scaled, {**maker.facts(), "scale_mV": scale_mV})

    def evaluate(
        self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None
    ) -> Evaluation:
        """Judge scores of `validation` or `test`; the threshold has the highest F1 against resolvable arrivals."""
        chosen, facts = arrays.splits[split], arrays.facts
        truth = {name: _truth_list(chosen, name) for name in ("resolvable", "quoted", "all")}

        def found(at: float) -> FoundPeaks:
            return _found(chosen, scores, at, facts)

        def f1_at(at: float) -> float:
            sums = count_matches(found(at), truth["resolvable"], facts["tolerance_ns"]).sum(axis=0)
            return float(PEAK_FIGURES["f1"](sums))

        if threshold is None:
            threshold = best_threshold(scores, chosen.y, f1_at)
        in_drift = chosen.extra["in_drift"]
        metrics = {
            "auc_all": clustered_auc(scores, chosen.y, chosen.group),
            "auc_drift": clustered_auc(scores[in_drift], chosen.y[in_drift], chosen.group[in_drift]),
            **_window_figures(chosen, scores, threshold),
        }
        peaks = found(threshold)
        for name, arrivals in truth.items():
            counts = count_matches(peaks, arrivals, facts["tolerance_ns"])
            figures = bootstrap_figures(counts, PEAK_FIGURES)
            metrics |= {f"{name}.{figure}": value for figure, value in figures.items()}
            if arrivals is not truth["resolvable"]:
                limits = ceiling(truth["resolvable"], arrivals, facts["tolerance_ns"])
                metrics |= {f"{name}.{figure}.ceiling": Metric(value, 0.0) for figure, value in limits.items()}
        curve = roc(scores, chosen.y)
        return Evaluation(
            metrics=metrics,
            threshold=threshold,
            degenerate=_one_class(scores),
            curves={"roc.fpr": np.float32(curve.fpr), "roc.tpr": np.float32(curve.tpr)},
        )


task = PeakTask()


def _window_figures(split: Split, scores: NDArray[np.float32], threshold: float) -> dict[str, Metric]:
    """Return figures of single candidates, balanced at the slides' threshold, natural at three thresholds."""
    working_points = {
        "natural": threshold,
        "natural_at_0.5": SLIDES_THRESHOLD,
        "natural_at_0.95": PUBLIC_CODE_THRESHOLD,
    }
    at_slides = confusion_by_group(scores, split.y, split.group, SLIDES_THRESHOLD)
    balanced = {name: lambda sums, f=figure: f(balanced_counts(sums)) for name, figure in FIGURES.items()}
    metrics = {f"balanced.{name}": value for name, value in bootstrap_figures(at_slides, balanced).items()}
    for label, point in working_points.items():
        counts = confusion_by_group(scores, split.y, split.group, point)
        metrics |= {f"{label}.{name}": value for name, value in bootstrap_figures(counts, FIGURES).items()}
    return metrics


def _one_class(scores: NDArray[np.float32]) -> str:
    accepted = int(np.count_nonzero(scores >= SLIDES_THRESHOLD))
    if accepted in (0, len(scores)):
        kind = "signal" if accepted else "background"
        return f"all {len(scores)} candidates are called {kind} at {SLIDES_THRESHOLD}"
    return ""


def _truth_list(split: Split, name: str) -> TruthList:
    return TruthList(
        split.extra[f"{name}_row"].astype(np.int64),
        split.extra[f"{name}_time_ns"].astype(np.float64),
        int(split.extra["waveforms"][0]),
    )


def _found(split: Split, scores: NDArray[np.float32], threshold: float, facts: Mapping[str, Any]) -> FoundPeaks:
    row, sample = split.group.astype(np.int64), split.extra["sample"].astype(np.int64)
    separation = round(facts["double_pulse_ns"] * facts["sampling_rate_ghz"])
    kept = select_peaks(row, sample, scores, threshold, separation)
    return FoundPeaks(row[kept], sample[kept] / facts["sampling_rate_ghz"] - facts["delay_ns"])


class _Maker:
    """Cuts labelled windows out of one sample."""

    def __init__(self, waveforms: Waveforms, settings: PeakSettings, sample: Path) -> None:
        if waveforms.truth is None:
            msg = f"{sample} must hold simulated truth to train on (it holds none); use `townsend simulate`"
            raise InputError(msg)
        self.waveforms, self.settings, self.sample = waveforms, settings, sample
        simulation = parse(DriftTubeSettings, waveforms.provenance.settings)
        response = single_electron_response(simulation)
        self.delay_ns = response.delay_ns
        noise_mV = noise_rms_mV(simulation.noise, simulation.digitizer)
        self.visible_fC = settings.visible_sigma * noise_mV / float(response.table_mV.max())

    def facts(self) -> dict[str, Any]:
        """Return what a model must carry to be applied elsewhere."""
        settings, waveforms = self.settings, self.waveforms
        return {
            "sampling_rate_ghz": waveforms.sampling_rate_ghz,
            "before": settings.before,
            "after": settings.after,
            "tolerance_ns": settings.tolerance_ns,
            "double_pulse_ns": settings.double_pulse_ns,
            "quoted_double_pulse_ns": settings.quoted_double_pulse_ns,
            "delay_ns": self.delay_ns,
            "visible_fC": self.visible_fC,
            "t0_ns": waveforms.t0_ns,
            "max_drift_ns": waveforms.max_drift_ns,
            "input": "window of mV, signals going up, minus its mean, divided by scale_mV",
            "candidates": "samples with negative second difference",
            "resolvable_truth": "visible electrons, those within double_pulse_ns merged",
        }

    def balanced(self, rows: NDArray[np.int64], windows: int, random: np.random.Generator) -> Split:
        """Return `windows` windows, half signal, from as many of `rows` as needed, in order."""
        half, piece = windows // 2, 256
        parts: list[tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.int32]]] = []
        signal = 0
        for start in range(0, len(rows), piece):
            made = self.natural(rows[start : start + piece])
            parts.append((made.x, made.y, rows[start + made.group].astype(np.int32)))
            signal += int(made.y.sum())
            if signal >= half:
                break
        if signal < half:
            msg = (
                f"the sample must hold {half} signal windows for {windows} windows (its {len(rows)} waveforms for this "
                f"set hold {signal}); simulate more waveforms or lower `windows`"
            )
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
        all_row, all_ns, charge_fC = self._visible(part)
        resolvable = merge_arrivals(all_row, all_ns, charge_fC, settings.double_pulse_ns)
        quoted = merge_arrivals(all_row, all_ns, charge_fC, settings.quoted_double_pulse_ns)
        if len(all_row) == 0:
            msg = f"{self.sample} must hold visible electrons (it holds none among {len(rows)} waveforms); check its truth"
            raise InputError(msg)
        arrival_ns = sample / part.sampling_rate_ghz - self.delay_ns
        labels = match_lists(row, arrival_ns, *resolvable, settings.tolerance_ns) >= 0
        in_drift = (arrival_ns >= part.t0_ns) & (arrival_ns <= part.t0_ns + part.max_drift_ns)
        lists = {"all": (all_row, all_ns), "resolvable": resolvable, "quoted": quoted}
        extra = {"sample": sample.astype(np.int32), "in_drift": in_drift, "waveforms": np.array([len(rows)])}
        extra |= {f"{name}_row": found[0].astype(np.int32) for name, found in lists.items()}
        extra |= {f"{name}_time_ns": found[1].astype(np.float32) for name, found in lists.items()}
        windows = cut_windows(millivolts, row, sample, settings.before, settings.after)
        return Split(windows, labels.astype(np.float32), row.astype(np.int32), extra)

    def _visible(self, part: Waveforms) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        truth = part.truth
        assert truth is not None  # noqa: S101  (checked when the maker was made)
        row = np.repeat(np.arange(len(part)), ak.to_numpy(ak.num(truth.electron_time_ns)))
        time_ns = ak.to_numpy(ak.flatten(truth.electron_time_ns)).astype(np.float64)
        charge_fC = ak.to_numpy(ak.flatten(truth.electron_charge_fC)).astype(np.float64)
        visible = charge_fC > self.visible_fC
        return row[visible], time_ns[visible], charge_fC[visible]
