"""Checks of the hyperparameters of estimators: each takes a name and a value, and returns the value or refuses it.

What to use when
----------------
- `whole`, `number`: a whole number in a range; a number for which a rule holds.
- `one_of`, `share_or`: a name from a list; a share in (0, 1], or such a name.
- `layers`: sizes of layers in one text.

All raise ConfigError with rule, value and what is usual.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from townsend.errors import ConfigError, did_you_mean

__all__ = ["Check", "layers", "number", "one_of", "share_or", "whole"]

Check = Callable[[str, Any], Any]
_MOST_LAYERS = 20
_LARGEST_LAYER = 65536


def whole(least: int, most: int, usual: str) -> Check:
    """Return the check of a whole number from `least` to `most`."""

    def check(name: str, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            msg = f"{name} must be a whole number from {least} to {most} (got {value!r}); {usual} is usual"
            raise ConfigError(msg)
        return value

    return check


def number(rule: str, holds: Callable[[float], bool], usual: str) -> Check:
    """Return the check of a finite number for which a rule holds; `rule` says it in words."""

    def check(name: str, value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not holds(value):
            msg = f"{name} must be a number {rule} (got {value!r}); {usual} is usual"
            raise ConfigError(msg)
        return float(value)

    return check


def one_of(*choices: str) -> Check:
    """Return the check of a name from a list."""

    def check(name: str, value: Any) -> str:
        if value not in choices:
            msg = f'{name} must be a known one (got "{value}"){did_you_mean(str(value), choices)}'
            raise ConfigError(msg)
        return str(value)

    return check


def layers(name: str, value: Any) -> tuple[int, ...]:
    """Return the sizes of layers in a text such as "64 32"."""
    parts = str(value).split() if isinstance(value, str | int) and not isinstance(value, bool) else []
    sizes = tuple(int(part) for part in parts if part.isascii() and part.isdigit() and len(part) < 8)
    if not 1 <= len(parts) == len(sizes) <= _MOST_LAYERS or not all(1 <= size <= _LARGEST_LAYER for size in sizes):
        rule = f"{name} must be 1 to {_MOST_LAYERS} numbers from 1 to {_LARGEST_LAYER} in one text"
        msg = f'{rule} (got {value!r}); write "64 32"'
        raise ConfigError(msg)
    return sizes


def share_or(*choices: str) -> Check:
    """Return the check of a share in (0, 1], or of a name from a list."""
    share = number("in (0, 1]", lambda value: 0 < value <= 1, "0.3")

    def check(name: str, value: Any) -> Any:
        return one_of(*choices)(name, value) if isinstance(value, str) else share(name, value)

    return check
