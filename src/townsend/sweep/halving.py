"""How many configurations stand in a bracket, and at which rungs the worse ones of them are left behind.

What to use when
----------------
- `bracket_shapes`: sizes and rungs of one bracket after the other, as the settings ask for.
- `known_lag`: how far behind a proposal the results lie that it knows.
- `mean_epochs`: the work of a configuration, averaged over a bracket.

Successive halving (Jamieson & Talwalkar 2016): of n configurations one in `factor` goes on at each rung, with `factor`
times the resource. Hyperband (Li et al. 2018, algorithm 1): brackets that begin with ever fewer configurations at ever
later rungs, as a guard against judging too early those that learn slowly. Poor where early figures say little about
late ones, as with schedules that begin with a small rate.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from townsend.errors import ConfigError
from townsend.sweep.settings import Halving, SweepSettings
from townsend.training.records import Rung

__all__ = ["Shape", "bracket_shapes", "known_lag", "mean_epochs"]

_MOST_SHAPES = 64  # of one round of Hyperband: it has fewer rungs than that
_SIZE = 4  # configurations in one work unit where nothing is left behind


@dataclass(frozen=True)
class Shape:
    """Configurations of one bracket, and its rungs without the numbers that go on.

    Arguments:
        size: configurations, >= 1.
        rungs: in order.
        factor: one of so many goes on at a rung.
    """

    size: int
    rungs: tuple[Rung, ...] = ()
    factor: int = 1

    def rungs_of(self, size: int) -> tuple[Rung, ...]:
        """Return the rungs of a bracket of so many configurations; at least one goes on at each."""
        return tuple(
            replace(rung, keep=max(1, size // self.factor**number)) for number, rung in enumerate(self.rungs, start=1)
        )


def bracket_shapes(settings: SweepSettings, size: int = _SIZE) -> Iterator[Shape]:
    """Yield the shape of one bracket after the other, without end.

    Arguments:
        settings: of the sweep.
        size: configurations in a bracket where neither halving nor `bracket_size` says so.

    Raises ConfigError when no rung lies before the last epoch.
    """
    halving = settings.halving
    if halving is None:
        return itertools.repeat(Shape(settings.bracket_size or size))
    rungs = _rungs(halving, settings.epochs)
    factor, most = halving.factor, len(rungs)
    if halving.kind == "successive":
        return itertools.repeat(Shape(settings.bracket_size or factor**most, rungs, factor))
    return itertools.cycle(
        Shape(math.ceil((most + 1) / (left + 1) * factor**left), rungs[most - left :], factor)
        for left in range(most, -1, -1)
    )


def known_lag(settings: SweepSettings) -> int:
    """Return by how many trials the newest known result lies behind the newest proposal.

    That is `lag`; with halving at least the two largest brackets, so that one is trained while the next is waiting.
    """
    if settings.halving is None and (settings.bracket_size or 1) == 1:
        return settings.lag
    sizes = [shape.size for shape in itertools.islice(bracket_shapes(settings, size=1), _MOST_SHAPES)]
    return max(settings.lag, 2 * max(sizes))


def mean_epochs(shape: Shape, size: int, epochs: int) -> float:
    """Return the passes through all training examples that a configuration of a bracket takes, patience left aside."""
    total, going, done = 0.0, size, 0
    for rung in shape.rungs_of(size):
        total += going * (rung.epochs - done) * rung.fraction
        going, done = rung.keep or going, rung.epochs
    return (total + going * (epochs - done)) / size


def _rungs(halving: Halving, epochs: int) -> tuple[Rung, ...]:
    number = 0
    while halving.least * halving.factor ** (number + 1) <= epochs:
        number += 1
    if not number:
        rule = "halving needs a rung before the last epoch"
        msg = f"{rule} (least {halving.least} x factor {halving.factor} is above {epochs} epochs); lower `least`"
        raise ConfigError(msg)
    if halving.resource == "epochs":
        return tuple(Rung(halving.least * halving.factor**place) for place in range(number))
    return tuple(
        Rung(halving.least * (place + 1), fraction=1 / halving.factor ** (number - place)) for place in range(number)
    )
