"""The samplers of Optuna that a sweep can ask, as a table, and what each cannot serve.

What to use when
----------------
- `SAMPLERS`: name, as in the settings, -> how the sampler is made.
- `check_sampler`: can the sampler serve these settings? Asked before any work begins.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from townsend.errors import ConfigError
from townsend.sweep.conditions import plain
from townsend.sweep.settings import Range, SweepSettings

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "SamplerKind", "check_sampler"]


@dataclass(frozen=True)
class SamplerKind:
    """One row of the table.

    Arguments:
        make: (seed, trials) -> sampler.
        lasting: whether one object serves a whole sweep, because its draws depend on seed, trial number and results
            alone; another is made anew for each trial, since its state cannot be kept.
        bad_as_worst: whether a configuration that diverges is told as the worst result; otherwise as a failure.
    """

    make: Callable[[int, int], BaseSampler]
    lasting: bool = False
    bad_as_worst: bool = True


def check_sampler(settings: SweepSettings) -> None:
    """Raise ConfigError unless the sampler can do more with these settings than a simpler one."""
    if settings.sampler == "walk":
        _check_walk(settings)


def _check_walk(settings: SweepSettings) -> None:
    from townsend.sweep.random_walk import WARM_UP

    if not any(isinstance(values, Range) or len(values) > 1 for values in plain(settings.space).values()):
        msg = (
            "the sampler walk needs a hyperparameter that can change (got one value for each); "
            "add values, or choose the sampler grid"
        )
        raise ConfigError(msg)
    least = max(WARM_UP, settings.lag) + 1
    if settings.trials is None or settings.trials < least:
        msg = (
            f"the sampler walk needs at least {least} trials, as its first {WARM_UP} are random and trial n knows "
            f"results up to n - {settings.lag} (got {settings.trials}); give more, or choose the sampler random"
        )
        raise ConfigError(msg)


def _random(seed: int, trials: int) -> BaseSampler:
    import optuna

    return optuna.samplers.RandomSampler(seed=seed)


def _tpe(seed: int, trials: int) -> BaseSampler:
    import optuna

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.samplers.TPESampler(seed=seed, multivariate=True, constant_liar=True)


def _walk(seed: int, trials: int) -> BaseSampler:
    from townsend.sweep.random_walk import WalkSampler

    return WalkSampler(seed, trials)


SAMPLERS: Mapping[str, SamplerKind] = {
    "random": SamplerKind(_random),
    "tpe": SamplerKind(_tpe),
    "walk": SamplerKind(_walk, lasting=True, bad_as_worst=False),
}
