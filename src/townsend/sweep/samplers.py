"""The samplers of Optuna that learn from results, as a table, and what each cannot serve.

What to use when
----------------
- `tpe`: the choice without a reason for another; any space, one or two objectives, learns from what was pruned.
- `gp`: few, costly trials (tens to some hundreds; a proposal costs 0.1 s and more); no conditions.
- `cmaes`: numbers only, hundreds of trials, one objective.
- `nsga2`: two objectives and many hundred trials; no conditions.
- `walk`: one objective, any space; see `townsend.sweep.random_walk`.
- `check_sampler`: can the sampler serve these settings? Asked before any work begins.

Grid and random configurations depend on no result; `townsend.sweep.space` makes them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

from townsend.errors import ConfigError
from townsend.sweep.conditions import decisive, plain
from townsend.sweep.hyperparameter import Range
from townsend.sweep.objectives import UNREPEATABLE
from townsend.sweep.settings import SweepSettings

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler

__all__ = ["SAMPLERS", "SamplerKind", "check_sampler"]


@dataclass(frozen=True)
class SamplerKind:
    """One row of the table.

    Arguments:
        make: (seed, trials) -> sampler.
        bad_as_worst: whether a configuration that diverges is told as the worst result; otherwise as a failure.
        objectives: how many it can better together.
        conditions: whether it learns about a hyperparameter that only some configurations have.
        package: module it needs beside Optuna, its name, and what to install; None for none.
        one_thread: whether it must be kept from taking all cores, on which workers train.
    """

    make: Callable[[int, int], BaseSampler]
    bad_as_worst: bool = True
    objectives: int = 2
    conditions: bool = False
    package: tuple[str, str, str] | None = None
    one_thread: bool = False


def check_sampler(settings: SweepSettings) -> None:
    """Raise ConfigError unless the sampler can serve these settings, and do more with them than a simpler one."""
    kind = SAMPLERS.get(settings.sampler)
    if kind is None:
        return
    name, wanted = settings.sampler, settings.objectives or []
    if len(wanted) > kind.objectives:
        rule = f"the sampler {name} serves one objective (got {' and '.join(wanted)})"
        msg = f"{rule}; name one, or choose the sampler tpe, gp or nsga2"
        raise ConfigError(msg)
    if UNREPEATABLE in wanted:
        rule = f"the sampler {name} must learn from figures that a second run repeats (got {UNREPEATABLE})"
        msg = f"{rule}; name parameters or epochs, or choose the sampler grid or random"
        raise ConfigError(msg)
    conditional = sorted(each for each in settings.space if not kind.conditions and _is_conditional(settings, each))
    if conditional:
        rule = f"the sampler {name} needs hyperparameters that every configuration has"
        msg = f"{rule} (got a condition for {conditional[0]}); drop it, or choose tpe, walk, random or grid"
        raise ConfigError(msg)
    if kind.package is not None and find_spec(kind.package[0]) is None:
        _, package, remedy = kind.package
        msg = f"the sampler {name} needs {package} (not installed); install {remedy} or choose tpe"
        raise ConfigError(msg)
    if name == "walk":
        _check_walk(settings)
    if name == "cmaes":
        _check_numbers(settings)


def _is_conditional(settings: SweepSettings, name: str) -> bool:
    return bool(decisive({name: settings.space[name]}))


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


def _check_numbers(settings: SweepSettings) -> None:
    """Refuse lists: CMA-ES would draw them at random, and take their effect for noise of the numbers it moves."""
    drawn = plain(settings.space)
    lists = [name for name, of in drawn.items() if not isinstance(of, Range) and len(of) > 1]
    if lists:
        rule = f"the sampler cmaes moves ranges of numbers only (got a list for {', '.join(lists)})"
        msg = f"{rule}; give one value or a range without a step, or choose tpe"
        raise ConfigError(msg)
    if not any(isinstance(of, Range) for of in drawn.values()):
        msg = "the sampler cmaes needs a range of numbers (got one value for each); add a range, or choose grid"
        raise ConfigError(msg)


def _tpe(seed: int, trials: int) -> BaseSampler:
    import optuna

    return optuna.samplers.TPESampler(seed=seed)


def _gp(seed: int, trials: int) -> BaseSampler:
    import optuna

    return optuna.samplers.GPSampler(seed=seed, warn_independent_sampling=False)


def _cmaes(seed: int, trials: int) -> BaseSampler:
    """Return CMA-ES; Optuna keeps its state between two asks as a pickle in the study, in memory, never in a file."""
    import optuna

    return optuna.samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)


def _nsga2(seed: int, trials: int) -> BaseSampler:
    """Return NSGA-II with ten generations where the trials suffice for that, of 10 to 50 (Optuna's choice)."""
    import optuna

    return optuna.samplers.NSGAIISampler(seed=seed, population_size=min(max(trials // 10, 10), 50))


def _walk(seed: int, trials: int) -> BaseSampler:
    from townsend.sweep.random_walk import WalkSampler

    return WalkSampler(seed, trials)


SAMPLERS: Mapping[str, SamplerKind] = {
    "tpe": SamplerKind(_tpe, conditions=True),
    "gp": SamplerKind(_gp, package=("torch", "PyTorch", "townsend[torch]"), one_thread=True),
    "cmaes": SamplerKind(_cmaes, objectives=1, package=("cmaes", "the package cmaes", "it")),
    "nsga2": SamplerKind(_nsga2),
    "walk": SamplerKind(_walk, bad_as_worst=False, objectives=1, conditions=True),
}
