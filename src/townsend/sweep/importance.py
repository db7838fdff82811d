"""Which hyperparameters decided how good a configuration is: shares of the variance, with errors, or nothing.

What to use when
----------------
- `importance`: of the configurations of a board that have ended.

The shares are those of functional ANOVA (Hutter, Hoos, Leyton-Brown 2014), computed by Optuna: a random forest learns
the figure from the hyperparameters; the share of one is the variance of its prediction when all others are averaged
over the whole space. What is left to 1 is due to hyperparameters acting together, and to noise.

A poor approximation where the configurations are few for their space, or where a sampler or pruning has left most of
the space unseen: the forest then guesses. A few runaway configurations have most of the variance of a sweep; the shares
then say what avoids disaster, not what makes the best better.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.evaluate.verdict import Verdict
from townsend.sweep.board import Board
from townsend.sweep.board_verdicts import shown
from townsend.sweep.conditions import Drawn
from townsend.sweep.history import drawn_from
from townsend.sweep.hyperparameter import Range, Space, Tied
from townsend.tasks.base import Metric
from townsend.training.records import Outcome

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.trial import FrozenTrial

__all__ = ["LEAST", "Importance", "importance"]

Floats = NDArray[np.float64]

LEAST = 10
"""Configurations below which nothing is said."""

_MOST = 200  # of the configurations: beyond, a random part of them gives the same shares in less time
_HALVES = 10
_TREES, _TREES_OF_A_HALF = 16, 8  # fewer trees in a half make errors a little too large, not too small
_SURE = 0.99  # how often configurations that differ by their errors alone are refused
_STREAM = 9  # keeps these random numbers apart from every other use of a seed
_NOTHING = "a random number"


@dataclass(frozen=True)
class Importance:
    """How much of the variance of the figure each hyperparameter decides by itself.

    Arguments:
        verdicts: whether to believe it; read them first.
        shares: hyperparameter -> share of the variance in [0, 1] with its error, the largest first; empty where
            nothing can be said.
        floor: the share of a made-up hyperparameter without effect; what is not above it is not told from nothing.
        objective: name of the figure.
        configurations: how many it rests on.
    """

    verdicts: tuple[Verdict, ...]
    shares: Mapping[str, Metric]
    floor: Metric
    objective: str
    configurations: int


def importance(table: Board, space: Space, seed: int = 0) -> Importance:
    """Return the importance of the hyperparameters of a sweep; the same arguments give the same numbers.

    The error of a share is the spread over random halves of the configurations, each with its own forest: for halves
    it is an estimate of the standard deviation of the whole (delete-half jackknife, Shao and Wu 1989).

    Arguments:
        table: of the sweep; configurations that may be chosen count, others have no figure.
        space: what it searches; a range on a logarithmic scale is taken so.
        seed: of the forests and halves.
    """
    rows = [row for row in table.rows if table.rankable(row)]
    figures = np.array([table.figure(row).value for row in rows], np.float64)
    errors = np.array([table.figure(row).error for row in rows], np.float64)
    columns, left_out = _columns(table, space)
    doubt = _doubt(figures, errors, columns)
    if doubt is not None:
        return Importance((doubt,), {}, Metric(math.nan, math.nan), table.objective.metric, len(rows))
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, _STREAM))))
    chosen = np.sort(random.permutation(len(rows))[:_MOST])
    configurations = [dict(rows[index].hyperparameters) for index in chosen]
    estimates = _estimates(configurations, figures[chosen], columns, random)
    shares = {name: Metric(float(whole), float(error)) for name, (whole, error) in estimates.items()}
    floor = shares.pop(_NOTHING)
    ordered = dict(sorted(shares.items(), key=lambda item: -item[1].value))
    verdicts = (*_verdicts(ordered, floor, table, len(chosen)), *_reservations(table, left_out))
    return Importance(verdicts, ordered, floor, table.objective.metric, len(chosen))


@dataclass(frozen=True)
class _Column:
    """A hyperparameter as the forest sees it: its distribution, and what stands for each value."""

    distribution: BaseDistribution
    stands_for: Mapping[Any, Any] | None  # None: the number itself
    log: bool = False

    def of(self, value: Any) -> Any:
        if self.stands_for is not None:
            return self.stands_for[value]
        return math.log10(value) if self.log else float(value)


def _columns(table: Board, space: Space) -> tuple[dict[str, _Column], list[str]]:
    """Return what can be judged, and what cannot because some configurations are without it."""
    drawn = drawn_from(space)
    rows = [row for row in table.rows if table.rankable(row)]
    found, left_out = {}, []
    for name in table.hyperparameters:
        values = [row.hyperparameters[name] for row in rows if name in row.hyperparameters]
        if isinstance(space.get(name), Tied) or len(set(values)) < 2:
            continue
        if len(values) < len(rows):
            left_out.append(name)
            continue
        found[name] = _column(drawn.get(name, ()), values)
    return found, left_out


def _column(of: Drawn, values: list[Any]) -> _Column:
    """Return how values enter: those of a range as they are, numbers of a list by their place in it, others by name."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution

    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if isinstance(of, Range) and numbers:
        low, high = min(of.low, *values), max(of.high, *values)
        log = of.log and low > 0
        ends = (math.log10(low), math.log10(high)) if log else (float(low), float(high))
        return _Column(FloatDistribution(*ends), None, log)
    listed = values if isinstance(of, Range) else [*of, *values]
    if numbers:
        place = {value: float(index) for index, value in enumerate(sorted(set(listed)))}
        # Half a step of air on both sides: averaged over the interval, each value has the same weight.
        return _Column(FloatDistribution(-0.5, len(place) - 0.5), place)
    named = {value: json.dumps(value) for value in dict.fromkeys(listed)}
    return _Column(CategoricalDistribution(list(dict.fromkeys(named.values()))), named)


def _doubt(figures: Floats, errors: Floats, columns: Mapping[str, _Column]) -> Verdict | None:
    """Return why nothing can be said, if so."""
    from scipy.stats import chi2

    if len(figures) < LEAST:
        sentence = (
            f"importance needs at least {LEAST} configurations with a figure (there are {len(figures)}): none told"
        )
        return Verdict(False, sentence)
    if not columns:
        return Verdict(False, "no hyperparameter has several values in all configurations: no importance can be told")
    if not np.ptp(figures) > 0:
        return Verdict(False, "all configurations have the same figure: no importance can be told")
    known = np.isfinite(errors) & (errors > 0)
    if known.sum() > 1:
        weights = errors[known] ** -2.0
        mean = np.average(figures[known], weights=weights)
        excess = float(np.sum(weights * (figures[known] - mean) ** 2))
        if excess < chi2.ppf(_SURE, known.sum() - 1):
            sentence = "differences of configurations are not larger than the errors: no importance can be told"
            return Verdict(False, f"{sentence} (χ² / ndf {excess:.0f} / {known.sum() - 1})")
    return None


def _estimates(
    configurations: list[dict[str, Any]], figures: Floats, columns: Mapping[str, _Column], random: np.random.Generator
) -> dict[str, tuple[float, float]]:
    """Return share and error of each column and of one that is a random number."""
    import optuna

    chance = random.uniform(size=len(figures))
    distributions = {name: column.distribution for name, column in columns.items()}
    distributions[_NOTHING] = optuna.distributions.FloatDistribution(0.0, 1.0)
    trials = [
        optuna.trial.create_trial(
            value=float(figure),
            params={name: column.of(given[name]) for name, column in columns.items()} | {_NOTHING: float(number)},
            distributions=distributions,
        )
        for given, figure, number in zip(configurations, figures, chance, strict=True)
    ]
    seeds = random.integers(1 << 31, size=_HALVES + 1)
    whole = _shares(trials, int(seeds[0]), _TREES)
    half = len(trials) // 2
    drawn = [random.permutation(len(trials))[:half] for _ in range(_HALVES)]
    halves = [
        _shares([trials[index] for index in part], int(seed), _TREES_OF_A_HALF)
        for part, seed in zip(drawn, seeds[1:], strict=True)
    ]
    spread = {name: math.sqrt(float(np.mean([(each[name] - whole[name]) ** 2 for each in halves]))) for name in whole}
    return {name: (whole[name], spread[name]) for name in whole}


def _shares(trials: list[FrozenTrial], seed: int, trees: int) -> dict[str, float]:
    import optuna

    if len({trial.value for trial in trials}) < 2:
        return dict.fromkeys(trials[0].params, 0.0)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study()
    study.add_trials(trials)
    forest = optuna.importance.FanovaImportanceEvaluator(n_trees=trees, seed=seed)
    return {name: float(share) for name, share in forest.evaluate(study).items()}


def _verdicts(shares: Mapping[str, Metric], floor: Metric, table: Board, number: int) -> list[Verdict]:
    """Return what the shares say, told from the floor by two standard deviations."""
    told = {n: s for n, s in shares.items() if s.value - floor.value > 2 * math.hypot(s.error, floor.error)}
    others = [name for name in shares if name not in told]
    found = []
    if told:
        parts = ", ".join(f"{name} {shown(share)}" for name, share in told.items())
        rest = 1 - sum(share.value for share in shares.values())
        sentence = f"shares of the variance of {table.objective.metric} among {number} configurations: {parts}"
        found.append(Verdict(True, f"{sentence}; acting together, and chance: {max(rest, 0.0):.2f}"))
    if others:
        sentence = f"not told from {_NOTHING}, which has a share of {shown(floor)}: {', '.join(others)}"
        found.append(Verdict(False, sentence))
    return found


def _reservations(table: Board, left_out: list[str]) -> list[Verdict]:
    found = []
    pruned = sum(row.outcome is Outcome.PRUNED for row in table.rows)
    if pruned:
        sentence = (
            f"{pruned} pruned configurations have no figure: the shares are those among the ones trained to the end"
        )
        found.append(Verdict(False, sentence))
    if left_out:
        found.append(Verdict(False, f"not judged, as some configurations are without it: {', '.join(left_out)}"))
    return found
