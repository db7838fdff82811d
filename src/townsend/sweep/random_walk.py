"""A random walk with temperature, as a sampler of Optuna: simulated annealing over configurations.

From the configuration where it stands the walk steps to a neighbour: one hyperparameter changes, a list's to another of
its values, a number's by a normal step in its own scale (linear or log), reflected at the ends. A result that is no
worse is accepted, one worse by d with probability exp(-d / T); a step that is refused is taken back. T is in the
objective's units: it starts at the spread (interquartile range) of the first usable results and falls geometrically.

Where the walk stands is a function of seed, numbers and results alone: each decision draws from a stream named by seed
and trial number, and results are judged in order of number. The sampler remembers how far it has judged, so that a
trial costs the same at any length; one made anew judges all and comes to the same place. With results that lag behind,
several steps start from one place, and each is judged against the place where the walk stands by then.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler, RandomSampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from townsend.errors import ConfigError

if TYPE_CHECKING:
    from optuna.study import Study

__all__ = ["WARM_UP", "WalkSampler", "accepts", "neighbour"]

WARM_UP = 10  # random configurations before the first step; their spread sets the temperature
_COOLED = 0.01  # temperature at the last trial, as a part of that at the start
_WIDTH = 0.15  # standard deviation of a number's step, as a part of its range
_STEP, _ACCEPT, _DRAW = range(3)  # purposes of a trial's streams


class WalkSampler(BaseSampler):
    """The walk; one object serves one study of one objective.

    Arguments:
        seed: decides every draw, with the trial's number.
        trials: how many there will be; >= 1. The temperature has fallen to `cooled` at the last, and falls no further.
        warm_up: trials at random before the first step; >= 2. The walk then starts at the best that is known.
        start: temperature of the first step, in the objective's units; None for the spread of the first `warm_up`
            usable results. Until these are known a worse result is refused. 0 only improves, infinity accepts all.
        cooled: temperature at the last trial as a part of the first; above 0, at most 1 (no cooling).

    A trial that failed or was pruned is refused, and does not count for the spread.
    """

    def __init__(
        self, seed: int, trials: int, *, warm_up: int = WARM_UP, start: float | None = None, cooled: float = _COOLED
    ) -> None:
        self._seed = seed
        self._trials = trials
        self._warm_up = warm_up
        self._start = start
        self._cooled = cooled
        self._judged = 0
        self._first: list[float] = []
        self._place: FrozenTrial | None = None

    def place(self, study: Study) -> FrozenTrial | None:
        """Return the trial accepted last, as far as results are known without a gap; None before the first."""
        if len(study.directions) > 1:
            msg = f"the sampler walk serves one objective (got {len(study.directions)}); choose one, or the sampler tpe"
            raise ConfigError(msg)
        maximise = study.directions[0] is StudyDirection.MAXIMIZE
        trials = study.get_trials(deepcopy=False)
        while self._judged < len(trials) and trials[self._judged].state.is_finished():
            self._judge(trials[self._judged], maximise)
            self._judged += 1
        return self._place

    def temperature(self, number: int) -> float:
        """Return the temperature at which the result of a trial is judged, with the results judged so far."""
        if number < self._warm_up:
            return 0.0
        if self._start is None and len(self._first) < self._warm_up:
            return 0.0
        start = _spread(self._first) if self._start is None else self._start
        way = (number - self._warm_up) / max(self._trials - 1 - self._warm_up, 1)
        return float(start * self._cooled ** min(way, 1.0))

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        """Return what a step can change or keep; nothing while configurations are drawn at random."""
        place = self.place(study)
        if place is None or trial.number < self._warm_up:
            return {}
        return {name: values for name, values in place.distributions.items() if not values.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        """Return a neighbour of the place where the walk stands."""
        place = self.place(study)
        if place is None or not search_space:
            return {}
        return neighbour(place.params, search_space, _stream(self._seed, trial.number, _STEP))

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        """Return a value at random: in the warm-up, and for a hyperparameter that the last place did not have."""
        sequence = np.random.SeedSequence((self._seed, trial.number, _DRAW, *param_name.encode()))
        draws = RandomSampler(seed=int(sequence.generate_state(1)[0]))
        return draws.sample_independent(study, trial, param_name, param_distribution)

    def _judge(self, trial: FrozenTrial, maximise: bool) -> None:
        if trial.state is not TrialState.COMPLETE or trial.value is None or not math.isfinite(trial.value):
            return
        if len(self._first) < self._warm_up:
            self._first.append(trial.value)
        if self._place is None or self._place.value is None:
            self._place = trial
            return
        loss = (self._place.value - trial.value) if maximise else (trial.value - self._place.value)
        if accepts(loss, self.temperature(trial.number), self._seed, trial.number):
            self._place = trial


def accepts(loss: float, temperature: float, seed: int, number: int) -> bool:
    """Return whether a result worse by `loss` is accepted: with probability min(1, exp(-loss / temperature)).

    Arguments:
        loss: of the objective; negative when the result is better.
        temperature: >= 0, in the same units; at 0 only what is no worse is accepted.
        seed, number: name the stream that decides.
    """
    if loss <= 0:
        return True
    if temperature == 0:
        return False
    return float(_stream(seed, number, _ACCEPT).random()) < math.exp(-loss / temperature)


def neighbour(
    configuration: Mapping[str, Any], space: Mapping[str, BaseDistribution], draws: np.random.Generator
) -> dict[str, Any]:
    """Return a configuration that differs in one hyperparameter.

    Arguments:
        configuration: name -> value, for all of `space` at least.
        space: name -> what the value is drawn from; at least one name, each with two values or more.
        draws: decides which, and how.
    """
    names = sorted(space)
    changed = names[int(draws.integers(len(names)))]
    return {name: configuration[name] for name in names} | {
        changed: _moved(configuration[changed], space[changed], draws)
    }


def _moved(value: Any, values: BaseDistribution, draws: np.random.Generator) -> Any:
    if isinstance(values, CategoricalDistribution):
        ahead = int(draws.integers(1, len(values.choices)))
        return values.choices[(int(values.to_internal_repr(value)) + ahead) % len(values.choices)]
    if not isinstance(values, FloatDistribution | IntDistribution):
        msg = f"the sampler walk steps in lists and ranges (got {values}); choose the sampler tpe"
        raise ConfigError(msg)
    low, high, at = (math.log(x) if values.log else float(x) for x in (values.low, values.high, value))
    to = low + _reflected(at + _WIDTH * (high - low) * float(draws.standard_normal()) - low, high - low)
    number = min(max(math.exp(to) if values.log else to, values.low), values.high)
    return number if values.step is None else _on_step(number, value, values)


def _on_step(number: float, value: float, values: FloatDistribution | IntDistribution) -> float:
    """Return the number of a stepped range nearest to `number`, or the next one to it that is not `value`."""
    step = values.step or 1
    last = round((values.high - values.low) / step)
    before, after = (round((x - values.low) / step) for x in (value, number))
    if after == before:
        after += 1 if before == 0 or (number > value and before < last) else -1
    return min(values.low + after * step, values.high)


def _reflected(x: float, length: float) -> float:
    """Return x folded into [0, length], as by mirrors at both ends."""
    folded = x % (2 * length)
    return min(folded, 2 * length - folded)


def _spread(values: list[float]) -> float:
    low, high = np.quantile(values, [0.25, 0.75])
    return float(high - low)


def _stream(seed: int, number: int, purpose: int) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, number, purpose))))
