"""The space of hyperparameters that a sweep searches.

What to use when
----------------
- `grid_size`: how many configurations a space of lists holds.
- `grid_configurations`: the first of them in an order that is a fair sample at any length.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from townsend.errors import ConfigError
from townsend.sweep.settings import Choice, Range

__all__ = ["Space", "grid_configurations", "grid_size"]

Space = Mapping[str, Sequence[Choice] | Range]

_LARGEST_GRID = 10_000_000
_ORDER_STREAM = 2  # keeps the order of a grid apart from every other use of a sweep's seed


def grid_size(space: Space) -> int:
    """Return the number of configurations.

    Raises ConfigError when the space is empty, has an empty list, or has a range.
    """
    if not space:
        msg = "space must name at least one hyperparameter (got none); give each a list of values"
        raise ConfigError(msg)
    return math.prod(len(values) for values in _lists(space).values())


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
    return [_configuration(_lists(space), int(index)) for index in order]


def _lists(space: Space) -> dict[str, Sequence[Choice]]:
    found: dict[str, Sequence[Choice]] = {}
    for name, values in space.items():
        if isinstance(values, Range):
            msg = f"a grid needs lists (got a range for {name}); list its values, or choose random or tpe"
            raise ConfigError(msg)
        if not values:
            msg = f"space.{name} must list at least one value (got an empty list); add one or leave the name out"
            raise ConfigError(msg)
        found[name] = values
    return found


def _configuration(lists: Mapping[str, Sequence[Choice]], index: int) -> dict[str, Any]:
    """Return configuration `index`, the last hyperparameter changing fastest."""
    found = {}
    for name in reversed(list(lists)):
        values = lists[name]
        index, position = divmod(index, len(values))
        found[name] = values[position]
    return {name: found[name] for name in lists}
