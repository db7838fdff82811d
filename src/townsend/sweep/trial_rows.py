"""One row for each configuration, made of the records of its fits on several folds and with several seeds.

What to use when
----------------
- `trial_rows`: the rows of a board.
- `measured_optimism`: how much better than the truth the best of all configurations looks, measured with folds.
- `SPREAD`: how far the fits of a configuration lie apart, beside the objective.

Errors. A figure x of part i and seed j has the statistical error e_ij of the part; parts are disjoint, seeds share
them. What else lets fits differ (initial weights, order of batches, training examples) has a variance s² between them,
estimated by moments: with several seeds from their scatter within the parts, else from what the scatter between the
parts has more than their e² (Hedges, J. Educ. Stat. 8 (1983) 381). The mean of k parts and r seeds has

    error² = sum_i mean_j(e_ij²) / k² + s² / (k r).

It is somewhat small where training sets overlap, as they do with more than two folds: no estimate from folds alone is
free of bias (Bengio and Grandvalet, J. Mach. Learn. Res. 5 (2004) 1089).
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import median_low

import numpy as np
from numpy.typing import NDArray

from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

__all__ = ["SPREAD", "measured_optimism", "trial_rows"]

SPREAD = ".spread"
"""`<objective>.spread` is the standard deviation between the fits of a configuration, on the same part if it can be."""

Floats = NDArray[np.float64]


def trial_rows(records: Sequence[FitRecord], folds: int, repeats: int, objective: str) -> list[FitRecord]:
    """Return one row a configuration all of whose fits have ended, sorted by trial.

    A configuration with fits still to come has no row: on part of the folds it would be compared unfairly.

    Arguments:
        records: of all fits that have ended.
        folds, repeats: fits of each configuration; 1 and 1 returns the records as they are.
        objective: name of the metric that gets a spread.

    A row has the mean of each metric that all its fits have, with the error above; the worst outcome of its fits, so
    that a configuration of which one fit diverged cannot be chosen; the sum of their times, the highest memory and
    number of attempts, the mean threshold, and the lower median of their epochs.
    """
    if folds == repeats == 1:
        return list(records)
    complete = [fits for _, fits in sorted(_by_trial(records).items()) if len(fits) == folds * repeats]
    return [_row(fits, objective) for fits in complete]


def measured_optimism(records: Sequence[FitRecord], objective: Objective) -> Metric | None:
    """Return how much better than the truth the leader looks on the parts that chose it; None without folds.

    For each part, the best configuration on all other parts is judged on it, where it was not chosen. The mean loss is
    the optimism of a choice by k - 1 parts; times sqrt((k - 1) / k) it is that of the leader, chosen by k, exactly so
    where all configurations are equally good, and somewhat too much where they are not. Above 0: the figure flatters.

    The error is the scatter between parts. It is too small, by 1.1 to 1.6 for 5 to 10 parts of equally good
    configurations, since the choices overlap. What halving has sorted out before was sorted out with all parts; that
    share of the optimism is not in it.

    Arguments:
        records: of fits on at least 2 folds; configurations with a fit that is unusable or missing are left out.
    """
    by_trial = _by_trial(records)
    most = max(map(len, by_trial.values()), default=0)
    tables = [
        _table(fits, objective.metric)
        for fits in by_trial.values()
        if len(fits) == most and _all_usable(fits, objective)
    ]
    if len(tables) < 2 or len(tables[0]) < 2:
        return None
    figures = np.stack([table.mean(axis=1) for table in tables]) * (1 if objective.maximise else -1)
    figures = figures - figures.mean(axis=0)  # what makes a part easy for all is no optimism
    parts = figures.shape[1]
    others = (figures.sum(axis=1, keepdims=True) - figures) / (parts - 1)
    best, part = others.argmax(axis=0), np.arange(parts)
    loss = (others[best, part] - figures[best, part]) * math.sqrt((parts - 1) / parts)
    return Metric(float(loss.mean()), float(loss.std(ddof=1) / math.sqrt(parts)))


def _by_trial(records: Sequence[FitRecord]) -> Mapping[int, list[FitRecord]]:
    """Return the fits of each configuration, in order of fold and repeat."""
    found: dict[int, list[FitRecord]] = defaultdict(list)
    for record in sorted(records, key=lambda record: (record.fold, record.repeat)):
        found[record.trial].append(record)
    return found


def _all_usable(fits: Sequence[FitRecord], objective: Objective) -> bool:
    return all(
        fit.outcome.usable and objective.metric in fit.metrics and math.isfinite(fit.metrics[objective.metric].value)
        for fit in fits
    )


def _table(fits: Sequence[FitRecord], metric: str, part: int = 0) -> Floats:
    """Return (folds, repeats) figures, or with `part` 1 their errors."""
    values = np.array([fit.metrics[metric][part] for fit in fits])
    return values.reshape(1 + max(fit.fold for fit in fits), -1)


def _row(fits: Sequence[FitRecord], objective: str) -> FitRecord:
    metrics: dict[str, Metric] = {}
    for name in fits[0].metrics:
        if all(name in fit.metrics for fit in fits):
            metrics[name] = _combined(fits, name)
            metrics |= {name + SPREAD: _spread(_table(fits, name))} if name == objective else {}
    thresholds = [fit.threshold for fit in fits if fit.threshold is not None]
    return replace(
        fits[0],
        outcome=_worst(fits),
        detail=_detail(fits),
        parameters=max(fit.parameters for fit in fits),
        epochs=median_low([fit.epochs for fit in fits]),
        best_epoch=median_low([fit.best_epoch for fit in fits]),
        metrics=metrics,
        threshold=float(np.mean(thresholds)) if len(thresholds) == len(fits) else None,
        wall_s=sum(fit.wall_s for fit in fits),
        cpu_s=sum(fit.cpu_s for fit in fits),
        compile_s=sum(fit.compile_s for fit in fits),
        peak_memory_mb=max(fit.peak_memory_mb for fit in fits),
        host=", ".join(sorted({fit.host for fit in fits})),
        attempts=max(fit.attempts for fit in fits),
        figures=tuple(float(np.mean(rung)) for rung in zip(*(fit.figures for fit in fits), strict=False)),
    )


def _combined(fits: Sequence[FitRecord], metric: str) -> Metric:
    """Return the mean with the error of this file's first page."""
    values, errors = _table(fits, metric), _table(fits, metric, 1)
    parts, repeats = values.shape
    of_parts = (errors**2).mean(axis=1)
    if repeats > 1:
        between_fits = values.var(axis=1, ddof=1).mean()
    else:
        between_fits = max(values[:, 0].var(ddof=1) - of_parts.mean(), 0.0)
    variance = of_parts.sum() / parts**2 + between_fits / values.size
    return Metric(float(values.mean()), math.sqrt(variance))


def _spread(values: Floats) -> Metric:
    """Return the standard deviation between seeds on the same part, or between parts where each has one seed.

    Its error is that of normal numbers, spread / sqrt(2 x degrees of freedom).
    """
    parts, repeats = values.shape
    variance, freedom = (
        (values.var(axis=1, ddof=1).mean(), parts * (repeats - 1))
        if repeats > 1
        else (values[:, 0].var(ddof=1), parts - 1)
    )
    return Metric(math.sqrt(variance), math.sqrt(variance / (2 * freedom)))


def _worst(fits: Sequence[FitRecord]) -> Outcome:
    return max((fit.outcome for fit in fits), key=list(Outcome).index)  # the enumeration goes from good to bad


def _detail(fits: Sequence[FitRecord]) -> str:
    """Return which fits make the configuration unusable, and what the first of them says."""
    worst = _worst(fits)
    if worst.usable:
        return ""
    found = [fit for fit in fits if fit.outcome is worst]
    first = f"first on fold {found[0].fold}, repeat {found[0].repeat}"
    return f"{len(found)} of {len(fits)} fits {worst.value}, {first}" + (
        f": {found[0].detail}" if found[0].detail else ""
    )
