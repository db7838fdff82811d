"""Which configurations a sweep trains, in which brackets, and when a bracket may begin.

What to use when
----------------
- `check_space`: can every value of the space be trained at all? Asked before any work begins.
- `make_plan`: the plan that settings ask for: a `ListPlan` (grid, random: all brackets known at once) or an
  `AdaptivePlan` (tpe, walk: one trial a bracket, proposed from results).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from townsend.errors import ConfigError
from townsend.networks.family import check_network, cost_hint, network_names, shape_names
from townsend.sweep.conditions import configure, plain
from townsend.sweep.proposals import Proposals
from townsend.sweep.samplers import check_sampler
from townsend.sweep.settings import SweepSettings
from townsend.sweep.space import Space, case_rows, grid_configurations
from townsend.tasks.base import Objective
from townsend.training.hyperparameters import REQUIRED, shape_key, split
from townsend.training.records import Bracket, Fit, FitRecord

__all__ = ["AdaptivePlan", "ListPlan", "Plan", "check_space", "fit_seed", "make_plan"]

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
    """Brackets that are all known at once; fits whose arrays have equal shapes stand together."""

    def __init__(self, configurations: Sequence[dict[str, Any]], settings: SweepSettings) -> None:
        self.trials = len(configurations)
        groups: dict[tuple[str, ...], list[Fit]] = {}
        for number, configuration in enumerate(configurations):
            key = shape_key(configuration, shape_names(settings.network))
            groups.setdefault(key, []).append(Fit(number, fit_seed(settings.seed, number), configuration))
        size = settings.bracket_size or 4
        cut = [tuple(fits[i : i + size]) for fits in groups.values() for i in range(0, len(fits), size)]
        in_order = sorted(cut, key=lambda fits: fits[0].trial)
        numbered = [Bracket(number, fits) for number, fits in enumerate(in_order)]
        costs = [sum(cost_hint(settings.network, split(fit.hyperparameters)[1]) for fit in fits) for fits in in_order]
        self._brackets = sorted(numbered, key=lambda bracket: -costs[bracket.number])

    def ready(self) -> list[Bracket]:
        """Return all brackets the first time, the longest first so that no core idles at the end; none later."""
        brackets, self._brackets = self._brackets, []
        return brackets

    def tell(self, records: Sequence[FitRecord]) -> None:
        """Nothing: what is trained does not depend on results."""


class AdaptivePlan:
    """One trial a bracket, bracket n being trial n.

    Proposals follow results in order of number, whatever the order in which they come in.
    """

    def __init__(self, proposals: Proposals, trials: int, seed: int, space: Space) -> None:
        self.trials = trials
        self._proposals = proposals
        self._space = space
        self._seed = seed
        self._asked = 0
        self._told = 0
        self._waiting: dict[int, FitRecord] = {}

    def ready(self) -> list[Bracket]:
        """Return the brackets whose proposals depend on nothing that is still to come."""
        brackets: list[Bracket] = []
        while True:
            while self._told in self._waiting and self._told < self._asked and not self._may_ask():
                self._proposals.tell(self._waiting.pop(self._told))
                self._told += 1
            if not self._may_ask():
                return brackets
            number = self._asked
            self._asked += 1
            fit = Fit(number, fit_seed(self._seed, number), _settled(self._space, self._proposals.ask()))
            brackets.append(Bracket(number, (fit,)))

    def tell(self, records: Sequence[FitRecord]) -> None:
        """Take the result of a trial, in any order."""
        self._waiting.update({record.trial: record for record in records})

    def _may_ask(self) -> bool:
        return self._asked < self.trials and self._proposals.can_ask


def make_plan(settings: SweepSettings, objective: Objective) -> Plan:
    """Return the plan that `settings` ask for; equal settings give an equal plan.

    Raises ConfigError when the space cannot be searched as asked.
    """
    if settings.sampler == "grid":
        return ListPlan(grid_configurations(settings.space, settings.seed, settings.trials), settings)
    trials = settings.trials or 1
    if settings.sampler == "random":
        draws = Proposals(plain(settings.space), "random", settings.seed, objective, lag=trials)
        return ListPlan([_settled(settings.space, draws.ask()) for _ in range(trials)], settings)
    proposals = Proposals(plain(settings.space), settings.sampler, settings.seed, objective, settings.lag, trials)
    return AdaptivePlan(proposals, trials, settings.seed, settings.space)


def check_space(settings: SweepSettings) -> None:
    """Raise ConfigError unless every value of the space can be trained, and the sampler can serve the space.

    Values are checked each by itself, in each case that the conditions tell apart.
    """
    needed = {*REQUIRED, *network_names(settings.network)}
    for configuration in case_rows(settings.space):
        for name in settings.space:
            if name in needed and name not in configuration:
                rule = f"space.{name} must always have a value, as none is known for it by default"
                msg = f"{rule} (got a condition that may not hold); give `otherwise`, the value for that case"
                raise ConfigError(msg)
        _, of_network = split(configuration)
        check_network(settings.network, of_network)
    check_sampler(settings)


def _settled(space: Space, drawn: Mapping[str, Any]) -> dict[str, Any]:
    """Return the configuration that draws for a whole space make: without those whose condition does not hold."""
    return configure(space, lambda name, _: drawn[name])


def fit_seed(seed: int, trial: int) -> int:
    """Return the seed of a trial's training: a function of the sweep's seed and the trial's number; 53 bits."""
    return int(np.random.SeedSequence((seed, _FIT_STREAM, trial)).generate_state(1, np.uint64)[0] >> np.uint64(11))
