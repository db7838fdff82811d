"""Configurations proposed by Optuna's samplers, in memory; resumed equals uninterrupted.

The study is told results in the order of trial numbers and asked for trial n exactly when those up to n - lag are told.
Its sampler is made anew for each trial from (sweep seed, number), since Optuna does not keep a sampler's state; one
whose draws depend on seed, number and results alone is made once.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from townsend.sweep.conditions import Drawn
from townsend.sweep.samplers import SAMPLERS
from townsend.sweep.settings import Range
from townsend.tasks.base import Objective
from townsend.training.records import FitRecord, Outcome

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.samplers import BaseSampler
    from optuna.trial import Trial

__all__ = ["Proposals"]

_SAMPLER_STREAM = 3  # keeps the sampler apart from every other use of a sweep's seed
_BAD_CONFIGURATION = (Outcome.DEGENERATE, Outcome.DIVERGED)


class Proposals:
    """A sequence of configurations, each of which may depend on results known `lag` trials before it.

    Arguments:
        space: lists and ranges.
        sampler: a name of `SAMPLERS`.
        seed: of the sweep.
        objective: metric that ranks configurations.
        lag: how far behind the newest proposal the newest known result must be; >= 1.
        trials: how many configurations will be asked for; the walk cools down over them.
    """

    def __init__(
        self, space: Mapping[str, Drawn], sampler: str, seed: int, objective: Objective, lag: int, trials: int = 100
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = _distributions(space)
        self._kind = SAMPLERS[sampler]
        self._seed = seed
        self._objective = objective
        self._lag = lag
        self._trials = trials
        self._open: dict[int, Trial] = {}
        self._asked = 0
        self._told = 0
        self._worst: float | None = None
        self._study = optuna.create_study(
            direction="maximize" if objective.maximise else "minimize", sampler=self._fresh_sampler(0)
        )

    @property
    def can_ask(self) -> bool:
        """Whether all results are told that the next configuration may depend on."""
        return self._asked < self._told + self._lag

    def ask(self) -> dict[str, Any]:
        """Return the configuration of the next trial; numbers count from 0."""
        number = self._asked
        if not self._kind.lasting:
            self._study.sampler = self._fresh_sampler(number)
        trial = self._study.ask(dict(self._distributions))
        self._open[number] = trial
        self._asked += 1
        return {name: trial.params[name] for name in self._distributions}

    def tell(self, record: FitRecord) -> None:
        """Take the result of the next trial in order of number.

        A configuration that is degenerate or diverges counts as the worst seen so far, or, for the walk, as a step not
        to be taken; one that was lost, failed or ran out of memory says nothing about its quality.
        """
        import optuna

        trial = self._open.pop(self._told)
        self._told += 1
        value = self._value(record)
        if value is None:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(trial, value)

    def _value(self, record: FitRecord) -> float | None:
        if record.outcome in _BAD_CONFIGURATION:
            return self._worst if self._kind.bad_as_worst else None
        if not record.outcome.usable or self._objective.metric not in record.metrics:
            return None
        value = record.metrics[self._objective.metric].value
        if not np.isfinite(value):
            return self._worst if self._kind.bad_as_worst else None
        worse = min if self._objective.maximise else max
        self._worst = value if self._worst is None else worse(self._worst, value)
        return value

    def _fresh_sampler(self, number: int) -> BaseSampler:
        seed = int(np.random.SeedSequence((self._seed, _SAMPLER_STREAM, number)).generate_state(1)[0])
        return self._kind.make(seed, self._trials)


def _distributions(space: Mapping[str, Drawn]) -> Mapping[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, values in space.items():
        if not isinstance(values, Range):
            found[name] = CategoricalDistribution(list(values))
        elif isinstance(values.low, int) and isinstance(values.high, int):
            found[name] = IntDistribution(values.low, values.high, log=values.log)
        else:
            found[name] = FloatDistribution(values.low, values.high, log=values.log)
    return found
