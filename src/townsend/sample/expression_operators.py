"""What operators and functions of expressions do to one number after the other.

What to use when
----------------
- `OPERATORS`: by sign or word, what an operator does.
- `ELEMENTWISE`: by name, functions of one to three numbers and how these are called.
- `chain`: comparisons in a row.
- `where`: one of two values.
- `column_value`: what a column of a file is to an expression; `Operand`: a value with the text that gave it.

Where an operand holds lists, every entry is taken, and a number an event goes with each entry of its event.

Arithmetic is done in float64. Whole numbers stay as they are where they are only compared, and under `%` and `//` by
a constant, so that event numbers beyond 2^53 keep their last digit. A comparison with NaN is false, `!=` too: what is
missing passes no cut. Division by zero gives inf or NaN.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from typing import Any, NamedTuple

import awkward as ak
import numpy as np

from townsend.errors import InputError
from townsend.sample.expression_lists import Ragged

__all__ = [
    "ELEMENTWISE",
    "OPERATORS",
    "Operand",
    "Value",
    "as_float",
    "chain",
    "check_alike",
    "check_condition",
    "column_value",
    "is_condition",
    "where",
]

Value = Any  # bool, int or float that holds for all events, (n,) array, or Ragged


class Operand(NamedTuple):
    """A value, and the text that gave it."""

    value: Value
    text: str


def column_value(column: Any, name: str) -> Value:
    """Return a column as operators take it.

    Arguments:
        column: (n,) array of numbers, awkward array of numbers or of lists of numbers, or one number.
        name: of the column.

    Raises InputError when it holds anything else.
    """
    kind: Any = type(column).__name__
    if isinstance(column, ak.Array):
        kind = column.type
        if column.ndim == 2 and not column.fields and (lists := Ragged.of(column)).content.dtype.kind in "biuf":
            return lists
    elif isinstance(column, bool | int | float):
        return column
    elif isinstance(column, np.ndarray | np.generic):
        kind = f"{column.dtype} {column.shape}"
        if column.dtype.kind in "biuf" and column.ndim <= 1:
            return column
    msg = f"column `{name}` must hold numbers or lists of numbers (got {kind}); use another"
    raise InputError(msg)


def is_condition(value: Value) -> bool:
    """Return whether a value is true or false, rather than a number."""
    return _kind(value.content if isinstance(value, Ragged) else value) == "b"


def _kind(numbers: Any) -> str:
    return np.result_type(numbers).kind


def as_float(numbers: Any) -> Any:
    """Return numbers as float64, so that no constant is rounded to the precision of a column and nothing overflows."""
    return np.asarray(numbers, np.float64)[()]


def check_alike(first: Operand, other: Operand) -> None:
    """Raise InputError unless the lists of two operands are equally long."""
    if not np.array_equal(first.value.counts, other.value.counts):
        got = f"got `{first.text}` and `{other.text}`"
        msg = f"lists must be equally long in every event to be combined ({got}); make one number of one, as by max()"
        raise InputError(msg)


def check_condition(word: str, operand: Operand) -> None:
    """Raise InputError unless the operand of `word` is true or false."""
    if not is_condition(operand.value):
        msg = f'"{word}" must be given a condition (got numbers: `{operand.text}`); compare them, as in x != 0'
        raise InputError(msg)


def _apply(function: Callable[..., Any], *operands: Operand) -> Value:
    """Apply `function` to numbers; where any operand holds lists, to each entry of them."""
    lists = [operand for operand in operands if isinstance(operand.value, Ragged)]
    if not lists:
        return function(*(operand.value for operand in operands))
    first = lists[0]
    for other in lists[1:]:
        check_alike(first, other)

    def spread(value: Value) -> Any:
        if isinstance(value, Ragged):
            return value.content
        return np.repeat(value, first.value.counts) if np.ndim(value) else value

    return first.value.like(function(*(spread(operand.value) for operand in operands)))


def _arithmetic(function: Callable[..., Any]) -> Callable[..., Value]:
    return lambda *operands: _apply(lambda *numbers: function(*map(as_float, numbers)), *operands)


def _division(function: Callable[..., Any]) -> Callable[..., Value]:
    """Divide whole numbers exactly where the divisor is a whole constant, others as float64."""

    def divide(numbers: Any, divisor: Any) -> Any:
        if isinstance(divisor, int) and 0 < divisor < 2**63 and _kind(numbers) in "iu":
            whole = np.asarray(numbers)
            return function(whole if whole.dtype == np.uint64 else whole.astype(np.int64), divisor)[()]
        return function(as_float(numbers), as_float(divisor))

    return lambda numbers, divisor: _apply(divide, numbers, divisor)


def _minus(operand: Operand) -> Value:
    value = operand.value
    if isinstance(value, int) and not isinstance(value, bool):
        return -value if value <= 2**63 else -float(value)  # a constant that may be compared with whole numbers
    return _arithmetic(np.negative)(operand)


def _comparison(function: Callable[[Any, Any], Any]) -> Callable[..., Value]:
    def compare(left: Any, right: Any) -> Any:
        if "f" in (_kind(left), _kind(right)):
            left, right = as_float(left), as_float(right)
        return function(left, right)

    return lambda left, right: _apply(compare, left, right)


def _not(operand: Operand) -> Value:
    check_condition("not", operand)
    return _apply(np.logical_not, operand)


def _differs(left: Any, right: Any) -> Any:
    return np.less(left, right) | np.greater(left, right)


def chain(signs: Sequence[str]) -> Callable[..., Value]:
    """Return what `a < b <= c` does, with one operand more than signs."""

    def run(*operands: Operand) -> Value:
        pairs = zip(signs, operands, operands[1:], strict=False)
        return _all(*(Operand(OPERATORS[sign](left, right), left.text) for sign, left, right in pairs))

    return run


def _logical(word: str, function: Callable[..., Any]) -> Callable[..., Value]:
    def run(*operands: Operand) -> Value:
        for operand in operands:
            check_condition(word, operand)
        return _apply(lambda first, *others: reduce(function, others, first), *operands)

    return run


_all = _logical("and", np.logical_and)


def where(condition: Operand, then: Operand, other: Operand) -> Value:
    """Return `then` where the condition is true, `other` elsewhere; conditions if both are, else float64."""
    check_condition("where", condition)
    conditions = is_condition(then.value) and is_condition(other.value)

    def choose(*values: Any) -> Any:
        return np.where(*(values if conditions else (values[0], *map(as_float, values[1:]))))[()]

    return _apply(choose, condition, then, other)


def _delta_phi(a: Any, b: Any) -> Any:
    """Return a - b brought into (-pi, pi] by whole turns."""
    turned = a - b
    turned = turned - 2 * math.pi * np.rint(turned / (2 * math.pi))
    return np.where(turned <= -math.pi, math.pi, np.minimum(turned, math.pi))  # beyond the ends by rounding only


OPERATORS: Mapping[str, Callable[..., Value]] = {
    "+": _arithmetic(np.add),
    "-": _arithmetic(np.subtract),
    "*": _arithmetic(np.multiply),
    "/": _arithmetic(np.divide),
    "//": _division(np.floor_divide),
    "%": _division(np.remainder),
    "**": _arithmetic(np.power),
    "unary +": _arithmetic(np.positive),
    "unary -": _minus,
    "and": _all,
    "or": _logical("or", np.logical_or),
    "not": _not,
    "<": _comparison(np.less),
    "<=": _comparison(np.less_equal),
    ">": _comparison(np.greater),
    ">=": _comparison(np.greater_equal),
    "==": _comparison(np.equal),
    "!=": _comparison(_differs),
}

_OF_ONE = (
    *("abs", "exp", "log", "log10", "log1p", "sqrt", "sign", "floor", "ceil", "isfinite", "isnan"),
    *("sin", "cos", "tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "tanh"),
)
_OF_TWO = ("arctan2", "hypot", "minimum", "maximum")
ELEMENTWISE: Mapping[str, tuple[Callable[..., Value], str]] = {
    **{name: (_arithmetic(getattr(np, name)), "x") for name in _OF_ONE},
    **{name: (_arithmetic(getattr(np, name)), "a b") for name in _OF_TWO},
    "clip": (_arithmetic(lambda x, low, high: np.minimum(np.maximum(x, low), high)), "x low high"),
    "delta_phi": (_arithmetic(_delta_phi), "a b"),
}
