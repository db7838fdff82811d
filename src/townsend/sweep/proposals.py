"""Configurations proposed by Optuna's samplers, in memory; resumed equals uninterrupted.

One sampler, seeded from the sweep's seed, and one study live through a sweep. Trial n is asked for when exactly the
results of trials up to n - lag are told, in order of number, whoever ended first: so the same results lead to the same
questions in the same order, and the sampler's state, which Optuna keeps in no file, is had again by asking again.
A resumed sweep pays for its earlier proposals once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

import numpy as np
from threadpoolctl import threadpool_limits

from townsend.sweep.conditions import Drawn, configure
from townsend.sweep.hyperparameter import Range, Space
from townsend.sweep.objectives import figure
from townsend.sweep.samplers import SAMPLERS
from townsend.tasks.base import Objective
from townsend.training.records import FitRecord, Outcome

if TYPE_CHECKING:
    from optuna.trial import Trial

__all__ = ["Proposals"]

_SAMPLER_STREAM = 3  # keeps the sampler apart from every other use of a sweep's seed
_BAD_CONFIGURATION = (Outcome.DEGENERATE, Outcome.DIVERGED)


class Proposals:
    """A sequence of configurations, each of which may depend on results known `lag` trials before it.

    Arguments:
        space: checked by `in_order`; the sampler is asked only for what a configuration needs.
        sampler: a name of `SAMPLERS`.
        seed: of the sweep.
        objectives: one or two; the sampler must serve as many.
        lag: how far behind the newest proposal the newest known result is; >= 1.
        trials: how many configurations will be asked for; >= 1.
        figures_maximise: whether a larger figure at a rung is better; None: as the first objective.
    """

    def __init__(
        self,
        space: Space,
        sampler: str,
        seed: int,
        objectives: Sequence[Objective],
        lag: int,
        trials: int,
        *,
        figures_maximise: bool | None = None,
    ) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._space = space
        self._kind = SAMPLERS[sampler]
        self._objectives = tuple(objectives)
        self._lag = lag
        up = objectives[0].maximise
        self._figure_sign = 1.0 if figures_maximise in (None, up) else -1.0
        self._waiting: dict[int, FitRecord] = {}
        self._open: dict[int, Trial] = {}
        self._asked = self._known = self._told = 0
        self._worst: tuple[float, ...] | None = None
        own = int(np.random.SeedSequence((seed, _SAMPLER_STREAM)).generate_state(1)[0])
        self._study = optuna.create_study(
            directions=["maximize" if each.maximise else "minimize" for each in objectives],
            sampler=self._kind.make(own, trials),
        )

    @property
    def can_ask(self) -> bool:
        """Whether all results are known that the next configuration may depend on."""
        return self._asked < self._known + self._lag

    def ask(self) -> dict[str, Any]:
        """Return the configuration of the next trial; numbers count from 0."""
        number = self._asked
        while self._told <= number - self._lag:
            self._tell(self._open.pop(self._told), self._waiting.pop(self._told))
            self._told += 1
        with threadpool_limits(1) if self._kind.one_thread else nullcontext():
            trial = self._open[number] = self._study.ask()
            self._asked += 1
            return configure(self._space, lambda name, of: _suggested(trial, name, of))

    def tell(self, record: FitRecord) -> None:
        """Take the result of a trial, in any order.

        A configuration that is degenerate or diverges counts as the worst seen so far, or, for the walk, as a step not
        to be taken; one that was lost, failed or ran out of memory says nothing about its quality. Of one that was
        stopped at a rung tpe learns the figure there, and ranks it behind all that were trained to their end, those
        trained longer first; two objectives have no such figure. The walk does not take the step; gp, cmaes and nsga2
        learn nothing from it.
        """
        self._waiting[record.trial] = record
        while self._known in self._waiting:
            self._known += 1

    def _tell(self, trial: Trial, record: FitRecord) -> None:
        from optuna.trial import TrialState

        if record.outcome is Outcome.PRUNED:
            if len(self._objectives) == 1 and record.figures and math.isfinite(record.figures[-1]):
                trial.report(self._figure_sign * record.figures[-1], step=record.epochs)
            self._study.tell(trial, state=TrialState.PRUNED)
        elif (values := self._values(record)) is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            self._study.tell(trial, values)

    def _values(self, record: FitRecord) -> tuple[float, ...] | None:
        values = tuple(figure(record, each).value for each in self._objectives)
        finite = all(map(math.isfinite, values))
        if record.outcome in _BAD_CONFIGURATION or (record.outcome.usable and not finite):
            return self._worst if self._kind.bad_as_worst else None
        if not record.outcome.usable:
            return None
        worse = (min if each.maximise else max for each in self._objectives)
        worst = self._worst or values
        self._worst = tuple(of(pair) for of, pair in zip(worse, zip(worst, values, strict=True), strict=True))
        return values


def _suggested(trial: Trial, name: str, of: Drawn) -> Any:
    if not isinstance(of, Range):
        return trial.suggest_categorical(name, list(of))
    if isinstance(of.low, int) and isinstance(of.high, int):
        return trial.suggest_int(name, of.low, of.high, log=of.log)
    return trial.suggest_float(name, of.low, of.high, log=of.log)
