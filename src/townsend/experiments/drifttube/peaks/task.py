"""The peak-finding task: whether a candidate is the arrival of an electron.

A network sees a window around each candidate and gives a score. Labels come from the optimal one-to-one matching of
candidates to resolvable arrivals. Four sets, disjoint by waveform but for `monitor` and `validation`:

- `train`: windows of the training waveforms, as much signal as background;
- `monitor`: the same of the validation waveforms, for early stopping;
- `validation`: every candidate of some validation waveforms, natural prevalence; selects;
- `test`: every candidate of some test waveforms, natural prevalence; read once.

With folds, train and validation waveforms are dealt anew, alike in their number of resolvable arrivals; test is the
same in all. Each fold stops early on its own validation waveforms, as without folds, so its figure flatters a little.
Where nothing selects any more, training windows come from all waveforms but test, as many as train and monitor had;
`monitor`, for its curve alone, is a part of them.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.config import parse, resolved
from townsend.errors import InputError
from townsend.evaluate.bootstrap import bootstrap_figures, clustered_auc, confusion_by_group
from townsend.evaluate.classification import FIGURES, balanced_counts, confusion, roc
from townsend.experiments.drifttube.peaks.arrivals import visible_electrons
from townsend.experiments.drifttube.peaks.candidates import select_peaks
from townsend.experiments.drifttube.peaks.figures_of_merit import (
    PEAK_FIGURES,
    FoundPeaks,
    TruthList,
    best_threshold,
    ceiling,
    count_matches,
)
from townsend.experiments.drifttube.peaks.matching import merge_arrivals
from townsend.experiments.drifttube.peaks.peak_arrays import PeakArrays
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts, PeakSettings
from townsend.experiments.drifttube.simulation.streams import stream
from townsend.sample.folds import fold_sets
from townsend.sample.reader import read_sample, sample_fingerprint
from townsend.sample.splits import split_groups
from townsend.tasks.base import CEILING, Arrays, Evaluation, Fold, Metric, Objective, Split

__all__ = ["PeakTask", "task"]

SLIDES_THRESHOLD = 0.5
PUBLIC_CODE_THRESHOLD = 0.95


class PeakTask:
    """Peak finding in drift-tube waveforms; see `townsend.tasks.base.Task`."""

    name = "drifttube-peaks"
    objective = Objective("auc_all", maximise=True)
    loss = "binary_crossentropy"
    metrics: Mapping[str, bool] = {
        "auc_all": True,
        "auc_drift": True,
        **{f"{of}.{name}": True for of in ("resolvable", "all") for name in PEAK_FIGURES},
        **{f"{of}.{name}": True for of in ("natural", "balanced") for name in FIGURES},
    }
    places = ()

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the task, defaults filled in; raises ConfigError on an unknown or bad one."""
        return resolved(parse(PeakSettings, given))

    def fingerprint(self, sample: Path, settings: Mapping[str, Any]) -> str:
        """Return a hash of what the sample's shards hold."""
        return sample_fingerprint(sample)

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        """Return the arrays of a simulated sample, or of one fold of it.

        Raises InputError when the sample has no truth or no signal, or is too small for the windows or folds asked for.
        """
        chosen = parse(PeakSettings, settings)
        waveforms = read_sample(sample)
        rows = split_groups(len(waveforms), chosen.fractions, seed)
        maker = PeakArrays(waveforms, chosen, sample)
        if fold is not None:
            rows = fold_sets(rows, partial(_resolvable_arrivals, maker), fold.index, fold.of, seed)
        judged = {"validation": chosen.validation_waveforms, "test": chosen.test_waveforms}
        for name, number in judged.items():
            if len(rows[name]) < number:
                rule = f"the sample must hold {number} waveforms for {name}{' in each fold' if fold else ''}"
                remedy = f"simulate more waveforms{', lower `folds`' if fold else ''} or lower `{name}_waveforms`"
                msg = f"{rule} (got {len(rows[name])} of {len(waveforms)}); {remedy}"
                raise InputError(msg)
        monitor_windows = round(chosen.windows * chosen.monitor_share / (1 - chosen.monitor_share))
        train_windows = chosen.windows
        if fold is not None and fold.index is None:
            train_windows += monitor_windows
            del judged["validation"]
        train = maker.balanced(rows["train"], train_windows, stream(seed, "train windows", 0))
        scale_mV = float(np.median(np.std(train.x[train.y > 0], axis=1)))
        splits = {
            "train": train,
            "monitor": maker.balanced(rows["validation"], monitor_windows, stream(seed, "monitor windows", 0)),
            **{name: maker.natural(rows[name][:number]) for name, number in judged.items()},
        }
        scaled = {
            name: Split(s.x[..., None] / np.float32(scale_mV), s.y, s.group, s.extra) for name, s in splits.items()
        }
        return Arrays(scaled, resolved(maker.facts(scale_mV)))

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        """Judge scores of `validation` or `test`; the threshold has the highest F1 against resolvable arrivals."""
        chosen, facts = arrays.splits[split], parse(PeakFacts, arrays.facts)
        resolvable, quoted, every = (_truth_list(chosen, name) for name in ("resolvable", "quoted", "all"))
        coarser = f"resolvable_{facts.quoted_double_pulse_ns:g}ns"

        def counts(at: float, arrivals: TruthList) -> NDArray[np.float64]:
            return count_matches(_found(chosen, scores, at, facts), arrivals, facts.tolerance_ns)

        if threshold is None:
            threshold = best_threshold(
                scores, chosen.y, lambda at: float(PEAK_FIGURES["f1"](counts(at, resolvable).sum(axis=0)))
            )
        in_drift = chosen.extra["in_drift"]
        metrics = {
            "auc_all": clustered_auc(scores, chosen.y, chosen.group),
            "auc_drift": clustered_auc(scores[in_drift], chosen.y[in_drift], chosen.group[in_drift]),
            **_peak_figures("resolvable", counts(threshold, resolvable)),
            **_peak_figures("all", counts(threshold, every)),
            **_window_figures(chosen, scores, threshold),
            **_peak_figures(f"resolvable_at_{SLIDES_THRESHOLD:g}", counts(SLIDES_THRESHOLD, resolvable)),
            **_peak_figures(f"resolvable_at_{PUBLIC_CODE_THRESHOLD:g}", counts(PUBLIC_CODE_THRESHOLD, resolvable)),
            **_peak_figures(coarser, counts(threshold, quoted)),
        }
        perfect = {"resolvable": (resolvable, resolvable), "all": (resolvable, every), coarser: (quoted, quoted)}
        for name, (found, arrivals) in perfect.items():
            limits = ceiling(found, arrivals, facts.tolerance_ns)
            metrics |= {f"{name}.{figure}{CEILING}": Metric(value, 0.0) for figure, value in limits.items()}
        curve = roc(scores, chosen.y)
        curves: dict[str, NDArray[Any]] = {
            "roc.fpr": curve.fpr.astype(np.float32),
            "roc.tpr": curve.tpr.astype(np.float32),
            "confusion": confusion(scores, chosen.y, threshold).counts,
        }
        return Evaluation(metrics, threshold, _one_class(scores), curves)


task = PeakTask()


def _resolvable_arrivals(maker: PeakArrays, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return (rows,) how many arrivals a finder can hope for in each of `rows`."""
    found = visible_electrons(maker.truth[rows], maker.visible_fC)
    merged, _ = merge_arrivals(found.row, found.time_ns, found.charge_fC, maker.settings.double_pulse_ns)
    return np.bincount(merged, minlength=len(rows))


def _peak_figures(name: str, counts: NDArray[np.float64]) -> dict[str, Metric]:
    """Return figures of found peaks, with errors by resampling waveforms."""
    return {f"{name}.{figure}": value for figure, value in bootstrap_figures(counts, PEAK_FIGURES).items()}


def _window_figures(split: Split, scores: NDArray[np.float32], threshold: float) -> dict[str, Metric]:
    """Return figures of single candidates, balanced at the slides' threshold, natural at three thresholds."""
    working_points = {
        "natural": threshold,
        "natural_at_0.5": SLIDES_THRESHOLD,
        "natural_at_0.95": PUBLIC_CODE_THRESHOLD,
    }
    at_slides = confusion_by_group(scores, split.y, split.group, SLIDES_THRESHOLD)
    balanced = {name: lambda sums, f=figure: f(balanced_counts(sums)) for name, figure in FIGURES.items()}
    metrics: Mapping[str, bool] = {f"balanced.{name}": value for name, value in bootstrap_figures(at_slides, balanced).items()}
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


def _found(split: Split, scores: NDArray[np.float32], threshold: float, facts: PeakFacts) -> FoundPeaks:
    row, sample = split.group.astype(np.int64), split.extra["sample"].astype(np.int64)
    kept = select_peaks(row, sample, scores, threshold, facts.separation)
    return FoundPeaks(row[kept], sample[kept] / facts.sampling_rate_ghz - facts.delay_ns)
