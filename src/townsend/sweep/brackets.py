"""Which configurations a sweep trains, in which brackets, and when a bracket may begin.

What to use when
----------------
- `check_space`: can every value of the space be trained at all? Asked before any work begins.
- `check_batches`, `check_examples`: does every batch fit the sample, every configuration its examples? Asked as soon as
  its arrays are there.
- `make_plan`: the plan that settings ask for: a `ListPlan` (grid, random: all brackets known at once) or an
  `AdaptivePlan` (samplers that learn, sweeps that stop by themselves: brackets follow results).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from townsend.errors import ConfigError, did_you_mean
from townsend.networks.build_file import BuildFile, check_build
from townsend.sweep.gain import should_stop
from townsend.sweep.halving import Shape, bracket_shapes, known_lag
from townsend.sweep.proposals import Proposals
from townsend.sweep.samplers import check_sampler
from townsend.sweep.settings import SweepSettings
from townsend.sweep.space import case_rows, grid_configurations, random_configurations
from townsend.sweep.trial_rows import trial_rows
from townsend.tasks.base import Arrays, Objective
from townsend.training.hyperparameters import split
from townsend.training.models import (
    at_once,
    check_arrays,
    check_batch,
    check_configuration,
    cost,
    group,
    known,
    needed,
)
from townsend.training.records import Bracket, Fit, FitRecord

__all__ = [
    "AdaptivePlan",
    "ListPlan",
    "Plan",
    "check_batches",
    "check_builds",
    "check_examples",
    "check_space",
    "fit_seed",
    "make_plan",
]

_FIT_STREAM = 4  # keeps the fits' seeds apart from every other use of a sweep's seed


class Plan(Protocol):
    """A sequence of brackets.

    Attributes:
        trials: number of configurations in all.
    """

    trials: int

    def ready(self) -> list[Bracket]:
        """Return the brackets that may begin now and were not returned before, in order."""
        ...

    def tell(self, records: Sequence[FitRecord]) -> None:
        """Take the results of a bracket that has ended."""
        ...


class ListPlan:
    """Brackets that are all known at once; where all are trained to their end, equal shapes stand together."""

    def __init__(self, configurations: Sequence[dict[str, Any]], settings: SweepSettings) -> None:
        self.trials = len(configurations)
        groups: dict[tuple[str, ...], list[Trial]] = {}
        for trial in enumerate(configurations):
            key = () if settings.halving else group(settings.network, trial[1])
            groups.setdefault(key, []).append(trial)
        in_order = sorted(
            (part for trials in groups.values() for part in _cut(trials, settings)), key=lambda part: part[0][0][0]
        )
        brackets = [_bracket(number, trials, shape, settings) for number, (trials, shape) in enumerate(in_order)]
        self._brackets = sorted(brackets, key=lambda bracket: -_cost(bracket, settings))

    def ready(self) -> list[Bracket]:
        """Return all brackets the first time, the longest first so that no core idles at the end; none later."""
        brackets, self._brackets = self._brackets, []
        return brackets

    def tell(self, records: Sequence[FitRecord]) -> None:
        """Nothing: what is trained does not depend on results."""


class Source(Protocol):
    """Where an `AdaptivePlan` takes its configurations from."""

    def ask(self) -> dict[str, Any]:
        """Return the next configuration."""
        ...

    def tell(self, record: FitRecord) -> None:
        """Take the result of a trial."""
        ...


class AdaptivePlan:
    """Brackets that follow results in order of trials, whatever the order in which they come in.

    Arguments:
        source: of the configurations.
        settings: of the sweep; trial n is asked for when the results of trials up to n - `known_lag` are known.
        objective: name of the metric that ranks.
        trials: configurations at most.
        enough: called with the results so far, in order; whether the sweep may end.
    """

    def __init__(
        self,
        source: Source,
        settings: SweepSettings,
        objective: str,
        trials: int,
        enough: Callable[[Sequence[FitRecord]], bool] = lambda rows: False,
    ) -> None:
        self.trials = trials
        self._source, self._settings, self._enough = source, settings, enough
        self._objective = objective
        self._lag = known_lag(settings)
        self._shapes = bracket_shapes(settings, size=1)
        self._shape = next(self._shapes)
        self._number = self._asked = 0
        self._told: list[FitRecord] = []
        self._waiting: dict[int, FitRecord] = {}

    def ready(self) -> list[Bracket]:
        """Return the brackets whose proposals depend on nothing that is still to come."""
        brackets: list[Bracket] = []
        while (stop := min(self._asked + self._shape.size, self.trials)) > self._asked:
            while len(self._told) < stop - self._lag and len(self._told) in self._waiting:
                self._hear(self._waiting.pop(len(self._told)))
            if len(self._told) < stop - self._lag or self._asked >= self.trials:
                break
            trials = [(number, self._source.ask()) for number in range(self._asked, stop)]
            brackets.append(_bracket(self._number, trials, self._shape, self._settings))
            self._number, self._asked, self._shape = self._number + 1, stop, next(self._shapes)
        return brackets

    def tell(self, records: Sequence[FitRecord]) -> None:
        """Take the results of a bracket, in any order."""
        rows = trial_rows(records, self._settings.folds, self._settings.repeats, self._objective)
        self._waiting.update({row.trial: row for row in rows})

    def _hear(self, row: FitRecord) -> None:
        self._told.append(row)
        self._source.tell(row)
        if self._enough(self._told):
            self.trials = self._asked


class _Listed:
    """Configurations that do not depend on results; see `Source`."""

    def __init__(self, configurations: Sequence[dict[str, Any]]) -> None:
        self._left = iter(configurations)

    def ask(self) -> dict[str, Any]:
        return next(self._left)

    def tell(self, record: FitRecord) -> None:
        pass


def make_plan(settings: SweepSettings, objectives: Sequence[Objective], *, figures_maximise: bool = True) -> Plan:
    """Return the plan that `settings` ask for; equal settings give an equal plan.

    Arguments:
        settings: of the sweep.
        objectives: the first ranks.
        figures_maximise: whether a larger figure at a rung is better.

    Raises ConfigError when the space cannot be searched as asked.
    """
    ranking, gain, trials = objectives[0], settings.stop_at_gain, settings.trials or 1

    def enough(rows: Sequence[FitRecord]) -> bool:
        return gain is not None and should_stop(rows, ranking, gain)

    if settings.sampler in ("grid", "random"):
        listed = (
            grid_configurations(settings.space, settings.seed, settings.trials)
            if settings.sampler == "grid"
            else random_configurations(settings.space, settings.seed, trials)
        )
        if gain is None:
            return ListPlan(listed, settings)
        return AdaptivePlan(_Listed(listed), settings, ranking.metric, len(listed), enough)
    proposals = Proposals(
        settings.space,
        settings.sampler,
        settings.seed,
        objectives,
        known_lag(settings),
        trials,
        figures_maximise=figures_maximise,
    )
    return AdaptivePlan(proposals, settings, ranking.metric, trials, enough)


Trial = tuple[int, Mapping[str, Any]]


def _cut(trials: Sequence[Trial], settings: SweepSettings) -> Iterator[tuple[Sequence[Trial], Shape]]:
    """Yield the trials of one bracket after the other, with its shape."""
    shapes, start = bracket_shapes(settings), 0
    while start < len(trials):
        shape = next(shapes)
        yield trials[start : start + shape.size], shape
        start += shape.size


def _bracket(number: int, trials: Sequence[Trial], shape: Shape, settings: SweepSettings) -> Bracket:
    fits = tuple(
        Fit(trial, fit_seed(settings.seed, trial, fold, repeat), configuration, fold, repeat)
        for trial, configuration in trials
        for fold in range(settings.folds)
        for repeat in range(settings.repeats)
    )
    return Bracket(number, fits, shape.rungs_of(len(trials)))


def _cost(bracket: Bracket, settings: SweepSettings) -> float:
    return sum(cost(settings.network, fit.hyperparameters) for fit in bracket.fits)


def check_space(settings: SweepSettings, loss: str) -> None:
    """Raise ConfigError unless every value of the space can be trained, and the sampler can serve the space.

    Values are checked each by itself, in each case that the conditions tell apart.

    Arguments:
        settings: of the sweep.
        loss: the task's.
    """
    every, required = known(settings.network), needed(settings.network)
    for name in settings.space:
        if every is not None and name not in every:
            msg = f'space must name known hyperparameters (got "{name}"){did_you_mean(name, every)}'
            raise ConfigError(msg)
    for configuration in case_rows(settings.space):
        for name in settings.space:
            if name in required and name not in configuration:
                rule = f"space.{name} must always have a value, as none is known for it by default"
                msg = f"{rule} (got a condition that may not hold); give `otherwise`, the value for that case"
                raise ConfigError(msg)
        check_configuration(settings.network, configuration, loss)
    check_sampler(settings)
    next(bracket_shapes(settings))
    if at_once(settings.network) and settings.halving and settings.halving.resource == "epochs":
        rule = f"halving over epochs needs a network (got {settings.network}, which is trained in one go)"
        msg = f"{rule}; write `resource: data` below halving, or leave it out"
        raise ConfigError(msg)


def check_batches(settings: SweepSettings, examples: int) -> None:
    """Raise ConfigError unless every batch of the space fits the number of training examples."""
    for configuration in case_rows(settings.space):
        check_batch(settings.network, configuration, examples)


def check_examples(settings: SweepSettings, loss: str, arrays: Arrays) -> None:
    """Raise InputError or ConfigError unless every value of the space can be trained on these arrays, see `models`."""
    for configuration in case_rows(settings.space):
        check_arrays(settings.network, configuration, loss, arrays)


def check_builds(
    settings: SweepSettings, build: BuildFile | None, input_shape: tuple[int, ...], outputs: int = 1
) -> None:
    """Raise InputError unless a user's file, where there is one, builds a network for every value of the space."""
    if build is not None:
        for configuration in case_rows(settings.space):
            check_build(build, split(configuration)[1], input_shape, outputs)


def fit_seed(seed: int, trial: int, fold: int = 0, repeat: int = 0) -> int:
    """Return the seed of a fit's training: a function of the sweep's seed and the fit's numbers alone; 53 bits."""
    further = (fold, repeat) if fold or repeat else ()
    words = np.random.SeedSequence((seed, _FIT_STREAM, trial, *further)).generate_state(1, np.uint64)
    return int(words[0] >> np.uint64(11))
