"""The space of hyperparameters that a sweep searches.

What to use when
----------------
- `grid_size`: how many configurations a space of lists holds, conditions kept.
- `grid_configurations`: the first of them in an order that is a fair sample at any length.
- `random_configurations`: configurations drawn at random, all at once.
- `space_size`: the same number for any space; None when a range makes it endless.
- `cases`: what conditions tell apart: in one case, all hyperparameters are fixed, free or left out.
- `case_rows`: configurations in which every value stands at least once, in every case.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import ConfigError
from townsend.sweep.conditions import configure, decisive, holds, in_order, is_conditional, plain
from townsend.sweep.hyperparameter import Choice, Range, Space, Tied, Values, listed

__all__ = [
    "Case",
    "Space",
    "case_rows",
    "cases",
    "grid_configurations",
    "grid_size",
    "random_configurations",
    "space_size",
]

Case = Mapping[str, Sequence[Choice] | Range]
"""What each hyperparameter that is drawn is drawn from, one value for those on which a condition depends."""

_LARGEST_GRID = 10_000_000
_MOST_CASES = 10_000
_ORDER_STREAM, _RANDOM_STREAM = 2, 5  # keep these draws apart from every other use of a sweep's seed


def grid_size(space: Space) -> int:
    """Return the number of configurations.

    Raises ConfigError when the space is empty, has an empty list or a range, or conditions that make no sense.
    """
    _check_lists(space)
    return sum(_case_size(case) or 0 for case in cases(space))


def space_size(space: Space) -> int | None:
    """Return the number of configurations; None when a range of numbers that are not whole makes it endless.

    Raises ConfigError when the conditions make no sense.
    """
    sizes = [_case_size(case) for case in cases(space)]
    return None if None in sizes else sum(size or 0 for size in sizes)


def grid_configurations(space: Space, seed: int, count: int | None = None) -> list[dict[str, Any]]:
    """Return the first `count` configurations of a grid, or all, in an order drawn from `seed`.

    Any part of the order from its start is a random sample of the grid without repeats.

    Raises ConfigError when the grid holds fewer than `count`, or is too large to be done as a grid.
    """
    size = grid_size(space)
    if size > _LARGEST_GRID:
        msg = f"a grid must hold at most {_LARGEST_GRID} configurations (got {size}); choose the sampler random"
        raise ConfigError(msg)
    if count is not None and count > size:
        msg = f"trials must be at most the grid's {size} configurations (got {count}); leave `trials` out to do all"
        raise ConfigError(msg)
    key = np.random.SeedSequence((seed, _ORDER_STREAM)).generate_state(2, np.uint64)
    order = np.random.Generator(np.random.Philox(key=key)).permutation(size)[:count]
    all_cases = cases(space)
    ends = np.cumsum([_case_size(case) or 0 for case in all_cases])
    of_case = np.searchsorted(ends, order, side="right")
    starts = np.concatenate([[0], ends])
    return [
        _configuration(space, all_cases[number], int(index - starts[number]))
        for index, number in zip(order, of_case, strict=True)
    ]


def random_configurations(space: Space, seed: int, count: int) -> list[dict[str, Any]]:
    """Return `count` independent configurations; fewer are the start of the same sequence.

    A list's values are equally likely; a range is drawn evenly, or evenly in the logarithm, where each whole number
    has the interval of half a unit around it (as Optuna does).

    Arguments:
        space: checked by `in_order`.
        seed: of the sweep; each hyperparameter has its own stream, named by it and by the hyperparameter.
        count: >= 0.
    """
    drawn = {name: _random_values(of, _stream(seed, name).random(count)) for name, of in plain(space).items()}
    if not is_conditional(space):
        names = list(drawn)
        return [dict(zip(names, values, strict=True)) for values in zip(*drawn.values(), strict=True)]
    return [configure(space, _taking({name: values[row] for name, values in drawn.items()})) for row in range(count)]


def _stream(seed: int, name: str) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(np.random.SeedSequence((seed, _RANDOM_STREAM, *name.encode()))))


def _random_values(of: Sequence[Choice] | Range, uniform: NDArray[np.float64]) -> list[Any]:
    """Return the values at which a distribution function takes the values `uniform`, each in [0, 1)."""
    if not isinstance(of, Range):
        return [of[index] for index in (uniform * len(of)).astype(np.int64).tolist()]
    whole = isinstance(of.low, int) and isinstance(of.high, int)
    low, high = (of.low - 0.5, of.high + 0.5) if whole else (of.low, of.high)
    numbers = low * (high / low) ** uniform if of.log else low + (high - low) * uniform
    within = np.clip(np.rint(numbers) if whole else numbers, of.low, of.high)
    return list((within.astype(np.int64) if whole else within).tolist())


def cases(space: Space) -> list[Case]:
    """Return what conditions tell apart: no configuration is in two cases, and each is in one.

    Raises ConfigError when the conditions make no sense, or tell more than 10,000 cases apart.
    """
    deciding = decisive(space)
    found: list[dict[str, Any]] = [{}]
    for name in (name for name in in_order(space) if name in deciding):
        found = [longer for known in found for longer in _longer(space, name, known)]
        if len(found) > _MOST_CASES:
            msg = f"conditions must tell at most {_MOST_CASES} cases apart (got more at {name}); list fewer values"
            raise ConfigError(msg)
    return [_case(space, known) for known in found]


def case_rows(space: Space) -> Iterator[dict[str, Any]]:
    """Yield configurations in which every value, and both ends of every range, stand at least once in every case.

    Raises ConfigError as `cases` does.
    """
    for case in cases(space):
        columns = {name: [of.low, of.high] if isinstance(of, Range) else of for name, of in case.items()}
        for row in range(max(map(len, columns.values()), default=0)):
            chosen = {name: values[row % len(values)] for name, values in columns.items()}
            yield configure(space, _taking(chosen))


def _taking(chosen: Mapping[str, Any]) -> Callable[[str, Any], Any]:
    return lambda name, _: chosen[name]


def _longer(space: Space, name: str, known: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return values that are known, once with each value that one more hyperparameter may have beside them."""
    form = space[name]
    if isinstance(form, Tied):  # never one on which a condition depends
        return [dict(known)]
    if holds(form, known):
        return [{**known, name: value} for value in listed(form) or ()]
    otherwise = form.otherwise if isinstance(form, Range | Values) else None
    return [dict(known) if otherwise is None else {**known, name: otherwise}]


def _case(space: Space, known: Mapping[str, Any]) -> Case:
    """Return what is drawn where the decisive hyperparameters have known values."""
    decided = decisive(space)
    return {
        name: [known[name]] if name in decided else of
        for name, of in plain(space).items()
        if not isinstance(form := space[name], Tied) and holds(form, known)
    }


def _check_lists(space: Space) -> None:
    if not space:
        msg = "space must name at least one hyperparameter (got none); give each a list of values"
        raise ConfigError(msg)
    for name, of in plain(space).items():
        if isinstance(of, Range):
            msg = f"a grid needs lists (got a range for {name}); list its values, or choose another sampler"
            raise ConfigError(msg)
        if not of:
            msg = f"space.{name} must list at least one value (got an empty list); add one or leave the name out"
            raise ConfigError(msg)


def _configuration(space: Space, case: Case, index: int) -> dict[str, Any]:
    """Return configuration `index` of a case without ranges, the last hyperparameter changing fastest."""
    found: dict[str, Any] = {}
    for name, values in reversed(list(case.items())):
        if not isinstance(values, Range):
            index, position = divmod(index, len(values))
            found[name] = values[position]
    return configure(space, _taking(found))


def _case_size(case: Case) -> int | None:
    sizes = [_size(of) for of in case.values()]
    return None if None in sizes else math.prod(size or 0 for size in sizes)


def _size(of: Sequence[Choice] | Range) -> int | None:
    if not isinstance(of, Range):
        return len(of)
    return of.high - of.low + 1 if isinstance(of.low, int) and isinstance(of.high, int) else None
