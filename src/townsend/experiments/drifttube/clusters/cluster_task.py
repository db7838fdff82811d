"""The cluster-counting task: how many primary clusters made the peaks that a finder found.

A network sees the list of found peaks, one bin a sample, and gives a number. The label is the number of primary
clusters with at least one electron arriving in the record. The peaks come from a finder that never saw the waveforms.
Sets, disjoint by waveform but for `monitor` and `validation`:

- `train`;
- `monitor`, for early stopping, and `validation`, which selects: the same waveforms;
- `test`: read once.

With folds, train and validation waveforms are dealt anew, alike in their number of clusters; test is the same in all.
Each fold stops early on its own validation waveforms, as without folds, so its figure flatters a little. Where nothing
selects any more, train is all but test; `monitor`, for its curve alone, is a part of it.

Beside the network stand references fitted on `train` (see `count_references`): the path length alone, the derivative
finder with association in time, linear regression on the number of peaks, and gradient boosting on the found, on the
resolvable and on the true times. The last is the ceiling.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.config import parse, resolved
from townsend.errors import ConfigError, InputError
from townsend.evaluate.bootstrap import bootstrap_figures
from townsend.evaluate.regression import REGRESSION_FIGURES, regression_sums
from townsend.experiments.drifttube.clusters.cluster_arrays import ClusterArrays, unseen_rows
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts, ClusterSettings
from townsend.experiments.drifttube.clusters.clusteriser import TASK
from townsend.experiments.drifttube.clusters.count_references import fit_references
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.peaks.finder import load_finder
from townsend.experiments.drifttube.peaks.sample_facts import check_clock
from townsend.files import read_sealed, sha256_of
from townsend.sample.folds import fold_sets
from townsend.sample.reader import read_sample, sample_fingerprint
from townsend.sample.splits import split_groups
from townsend.sweep.chosen import model_file
from townsend.tasks.base import CEILING, Arrays, Evaluation, Fold, Metric, Objective, Split

__all__ = ["CEILING_REFERENCE", "ClusterTask", "task"]

CEILING_REFERENCE = "boosted_perfect"
_BASE_REFERENCE = "path"
_PREFIX = "ref_"
_COMPARED = ("mse", "r2", "relative_bias")  # figures of the references
_FEWEST = 20  # waveforms of which figures are quoted
_SAME_NUMBER = 1e-3  # spread of the predictions, in spreads of the truth, below which they are one number

Floats = NDArray[np.float64]
Figures = Mapping[str, Callable[[Floats], Floats]]


class ClusterTask:
    """Cluster counting in drift tubes; see `townsend.tasks.base.Task`."""

    name = TASK
    objective = Objective("mse", maximise=False)
    loss = "mse"
    metrics: Mapping[str, bool] = {"mse": False, "mae": False, "mse_per_mean": False, "r2": True}
    places = ("finder",)

    def settings(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return all settings of the task, defaults filled in; raises ConfigError on an unknown or bad one."""
        if "finder" not in given:
            msg = "finder: must be given (got none); say --finder FOLDER, with a folder made by `townsend choose`"
            raise ConfigError(msg)
        return resolved(parse(ClusterSettings, given))

    def fingerprint(self, sample: Path, settings: Mapping[str, Any]) -> str:
        """Return a hash of what the sample's shards hold, and of the finder's network and card."""
        finder = Path(settings["finder"])
        read_sealed(finder / "card.json")  # says what is wrong with a folder that holds no finder
        parts = f"{sample_fingerprint(sample)} {sha256_of([model_file(finder), finder / 'card.json'])}"
        return hashlib.sha256(parts.encode()).hexdigest()

    def prepare(self, sample: Path, settings: Mapping[str, Any], seed: int, fold: Fold | None = None) -> Arrays:
        """Return the arrays of a simulated sample behind the finder, or of one fold of it.

        Raises InputError when the sample has no truth, was seen by the finder, or is too small.
        """
        chosen = parse(ClusterSettings, settings)
        folder = Path(chosen.finder)
        finder, card = load_finder(folder), read_sealed(folder / "card.json")
        waveforms = read_sample(sample)
        if waveforms.truth is None:
            msg = f"{sample} must hold simulated truth to train on (it holds none); use `townsend simulate`"
            raise InputError(msg)
        check_clock(waveforms, sample)
        unseen = unseen_rows(sample, waveforms, card)
        rows = split_groups(unseen.rows[: chosen.waveforms], chosen.fractions, seed)
        if fold is not None:
            clusters = clusters_in_record(waveforms.truth, waveforms.samples.shape[1] / waveforms.sampling_rate_ghz)
            rows = fold_sets(rows, clusters.__getitem__, fold.index, fold.of, seed)
        smallest = min(rows, key=lambda name: len(rows[name]))
        if len(rows[smallest]) < _FEWEST:
            rule = f"each set must hold at least {_FEWEST} waveforms that the finder never saw"
            msg = f"{rule} ({smallest} has {len(rows[smallest])} of {len(unseen.rows)}); simulate more"
            msg += " or lower `folds`" if fold else ""
            raise InputError(msg)
        maker = ClusterArrays(waveforms, finder)
        made = {name: maker.split(members) for name, members in rows.items()}
        references = fit_references(made["train"][1], made["train"][0].y)
        splits = {name: _with_references(split, references.predict(inputs)) for name, (split, inputs) in made.items()}
        facts = ClusterFacts(
            sampling_rate_ghz=waveforms.sampling_rate_ghz,
            bins=waveforms.samples.shape[1],
            t0_ns=waveforms.t0_ns,
            max_drift_ns=waveforms.max_drift_ns,
            mean_clusters=float(splits["train"].y.mean()),
            fixed_impact_cm=chosen.fixed_impact_cm,
            sample_seed=waveforms.provenance.seed,
            finder_sample_seed=finder.facts.sample_seed,
            finder_sha256=sha256_of([model_file(folder)]),
            finder_threshold=finder.threshold,
            unseen_by_the_finder=unseen.because,
        )
        splits["monitor"] = replace(splits["validation"], extra={})
        if fold is not None and fold.index is None:
            del splits["validation"]
        return Arrays(splits, resolved(facts))

    def evaluate(self, arrays: Arrays, split: str, scores: NDArray[np.float32], threshold: float | None) -> Evaluation:
        """Judge predicted numbers of `validation` or `test`, over all impact parameters and at fixed path."""
        chosen, facts = arrays.splits[split], parse(ClusterFacts, arrays.facts)
        predicted = np.where(chosen.extra["peaks"] > 0, scores, 0).astype(np.float64)
        names = [name.removeprefix(_PREFIX) for name in chosen.extra if name.startswith(_PREFIX)]
        columns = {"": predicted, **{name: chosen.extra[f"{_PREFIX}{name}"] for name in names}}
        fixed = np.abs(chosen.extra["impact_cm"]) < facts.fixed_impact_cm
        metrics = _figures(columns, chosen.y, "")
        if _FEWEST <= np.count_nonzero(fixed) < len(fixed):
            at_fixed_path = {name: column[fixed] for name, column in columns.items()}
            metrics |= _figures(at_fixed_path, chosen.y[fixed], "fixed.")
        one_number = float(np.std(scores)) < _SAME_NUMBER * float(np.std(chosen.y))
        degenerate = f"all {len(scores)} waveforms get the number {float(np.mean(scores)):.3g}" if one_number else ""
        return Evaluation(metrics, None, degenerate)


task = ClusterTask()


def _with_references(split: Split, predictions: Mapping[str, NDArray[np.float32]]) -> Split:
    return replace(split, extra={**split.extra, **{f"{_PREFIX}{name}": found for name, found in predictions.items()}})


def _figures(columns: Mapping[str, NDArray[Any]], truth: NDArray[Any], prefix: str) -> dict[str, Metric]:
    """Return the figures of the network (column "") and of each reference, from the same resampled waveforms."""
    waveform = np.arange(len(truth))
    sums = np.concatenate([regression_sums(column, truth, waveform) for column in columns.values()], axis=1)
    place = {name: slice(6 * i, 6 * i + 6) for i, name in enumerate(columns)}

    def of(name: str, figure: str) -> Callable[[Floats], Floats]:
        return lambda table: REGRESSION_FIGURES[figure](table[..., place[name]])

    def of_the_way(table: Floats) -> Floats:
        reached, base, ceiling = (of(name, "r2")(table) for name in ("", _BASE_REFERENCE, CEILING_REFERENCE))
        return np.asarray((reached - base) / (ceiling - base))

    wanted: dict[str, Callable[[Floats], Floats]] = {
        f"{prefix}{figure}": of("", figure) for figure in REGRESSION_FIGURES
    }
    wanted |= {f"{prefix}of_the_way": of_the_way} if _BASE_REFERENCE in columns else {}
    wanted |= {f"{prefix}{name}.{figure}": of(name, figure) for name in columns if name for figure in _COMPARED}
    found = bootstrap_figures(sums, wanted)
    ceilings = {
        f"{prefix}{figure}{CEILING}": found[f"{prefix}{CEILING_REFERENCE}.{figure}"] for figure in ("mse", "r2")
    }
    return {**found, **ceilings}
