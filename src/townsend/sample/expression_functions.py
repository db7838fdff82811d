"""The functions of expressions: those of single numbers, and those that make one number of each list.

What to use when
----------------
- `FUNCTIONS`: by name, what a call must be given and does.
- `select`: what `x[condition]` does.

A list that is too short gives the default, or NaN where there is none.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from townsend.errors import InputError
from townsend.sample.expression_lists import Ragged, all_of, any_of, chosen, element, extreme, total
from townsend.sample.expression_operators import (
    ELEMENTWISE,
    Operand,
    Value,
    as_float,
    check_alike,
    is_condition,
    where,
)

__all__ = ["FUNCTIONS", "Function", "select"]


@dataclass(frozen=True)
class Function:
    """A function of the language.

    Arguments:
        run: takes its operands.
        parameters: their names.
        least: how many must be given, without names; the others may be left out.
    """

    run: Callable[..., Value]
    parameters: tuple[str, ...]
    least: int


def select(operand: Operand, condition: Operand) -> Value:
    """Return the entries of each list for which a condition on each is true."""
    lists, passes = _lists("[ ]", operand), condition.value
    if not isinstance(passes, Ragged) or not is_condition(passes):
        rule = "brackets must hold a condition on each entry, or the number of one, 0 or more"
        msg = f"{rule} (got `{operand.text}[{condition.text}]`); compare entries, as in x[x > 0]"
        raise InputError(msg)
    check_alike(operand, condition)
    return chosen(lists, passes)


def _lists(word: str, operand: Operand, conditions: bool | None = None) -> Ragged:
    """Return the lists of an operand; `conditions` says whether they must be of true and false, or must not."""
    value = operand.value
    if not isinstance(value, Ragged):
        remedy = f"say {word}imum(a, b) for that of two numbers" if word in ("max", "min") else "give it as it is"
        msg = f'"{word}" must be given lists (got one number an event: `{operand.text}`); {remedy}'
        raise InputError(msg)
    if conditions is None or is_condition(value) is conditions:
        return value
    wanted, got, remedy = ("conditions", "numbers", "compare them, as in x > 0")
    if not conditions:
        wanted, got, remedy = ("numbers", "conditions", "say sum() for how many are true")
    msg = f'"{word}" must be given lists of {wanted} (got {got}: `{operand.text}`); {remedy}'
    raise InputError(msg)


def _missing(word: str, default: Operand | None) -> Any:
    """Return what to give for a list that is too short."""
    if default is None:
        return np.nan
    if isinstance(default.value, Ragged):
        msg = f'the default of "{word}" must be one number an event (got lists: `{default.text}`); give a number'
        raise InputError(msg)
    return default.value


def _number_of(word: str, reduce: Callable[[Ragged], Any]) -> Callable[..., Value]:
    """Return a function that gives the default instead of what `reduce` makes of an empty list."""

    def run(x: Operand, default: Operand | None = None) -> Value:
        lists, missing = _lists(word, x), _missing(word, default)
        return np.where(lists.counts == 0, as_float(missing), reduce(lists))

    return run


def _element(word: str, operand: Operand, index: int, default: Operand | None, by: Operand | None) -> Value:
    lists, missing = _lists(word, operand), _missing(word, default)
    key = None
    if by is not None:
        key = _lists(word, by)
        check_alike(operand, by)
    if not is_condition(lists):
        return element(lists.like(as_float(lists.content)), index, key, as_float(missing))
    if not is_condition(missing):
        got = f"got `{default.text}`" if default else "got none"
        msg = f'the default of "{word}" of conditions must be true or false ({got} for `{operand.text}`); give one'
        raise InputError(msg)
    return element(lists, index, key, missing)


def _first(x: Operand, default: Operand | None = None) -> Value:
    return _element("first", x, 0, default, None)


def _nth(x: Operand, i: Operand, default: Operand | None = None, by: Operand | None = None) -> Value:
    number = i.value
    if isinstance(number, bool) or not isinstance(number, int) or number < 0:
        msg = f'"nth" must be given a whole number, 0 or more (got `{i.text}`); the first entry is 0'
        raise InputError(msg)
    return _element("nth", x, number, default, by)


def _by_size(word: str, index: int) -> Callable[..., Value]:
    def run(x: Operand, default: Operand | None = None, by: Operand | None = None) -> Value:
        return _element(word, x, index, default, by or x)

    return run


def _complete(run: Callable[..., Value], parameters: str) -> Function:
    """Return a function that must be given all its operands."""
    names = tuple(parameters.split())
    return Function(run, names, len(names))


_OF_LIST = ("x", "default")
_OF_ORDERED_LIST = ("x", "default", "by")

FUNCTIONS: Mapping[str, Function] = {
    **{name: _complete(run, parameters) for name, (run, parameters) in ELEMENTWISE.items()},
    "where": _complete(where, "condition a b"),
    "count": _complete(lambda x: _lists("count", x, conditions=False).counts, "x"),
    "sum": _complete(lambda x: total(_lists("sum", x)), "x"),
    "any": _complete(lambda x: any_of(_lists("any", x, conditions=True)), "x"),
    "all": _complete(lambda x: all_of(_lists("all", x, conditions=True)), "x"),
    "mean": Function(_number_of("mean", lambda x: total(x) / x.counts), _OF_LIST, 1),
    "max": Function(_number_of("max", lambda x: extreme(x, largest=True)), _OF_LIST, 1),
    "min": Function(_number_of("min", lambda x: extreme(x, largest=False)), _OF_LIST, 1),
    "first": Function(_first, _OF_LIST, 1),
    "nth": Function(_nth, ("x", "i", "default", "by"), 2),
    "leading": Function(_by_size("leading", 0), _OF_ORDERED_LIST, 1),
    "subleading": Function(_by_size("subleading", 1), _OF_ORDERED_LIST, 1),
}
