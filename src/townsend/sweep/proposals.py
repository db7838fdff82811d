"""Configurations proposed by Optuna's samplers, in memory; resumed equals uninterrupted.

The study is told results in the order of trial numbers and asked for trial n exactly when those up to n - lag are told.
Its sampler is made anew for each trial from (sweep seed, number), since Optuna does not keep a sampler's state.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from townsend.sweep.settings import Range
from townsend.sweep.space import Space
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
        sampler: "random" or "tpe".
        seed: of the sweep.
        objective: metric that ranks configurations.
        lag: how far behind the newest proposal the newest known result must be; >= 1.
    """

    def __init__(self, space: Space, sampler: str, seed: int, objective: Objective, lag: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._distributions = _distributions(space)
        self._sampler = sampler
        self._seed = seed
        self._objective = objective
        self._lag = lag
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
        self._study.sampler = self._fresh_sampler(number)
        trial = self._study.ask(dict(self._distributions))
        self._open[number] = trial
        self._asked += 1
        return {name: trial.params[name] for name in self._distributions}

    def tell(self, record: FitRecord) -> None:
        """Take the result of the next trial in order of number.

        A configuration that is degenerate or diverges counts as the worst seen so far; one that was lost, failed or ran
        out of memory says nothing about its quality.
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
            return self._worst
        if not record.outcome.usable or self._objective.metric not in record.metrics:
            return None
        value = record.metrics[self._objective.metric].value
        if not np.isfinite(value):
            return self._worst
        worse = min if self._objective.maximise else max
        self._worst = value if self._worst is None else worse(self._worst, value)
        return value

    def _fresh_sampler(self, number: int) -> BaseSampler:
        import optuna

        seed = int(np.random.SeedSequence((self._seed, _SAMPLER_STREAM, number)).generate_state(1)[0])
        if self._sampler == "random":
            return optuna.samplers.RandomSampler(seed=seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _distributions(space: Space) -> Mapping[str, BaseDistribution]:
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
