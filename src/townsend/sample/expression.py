"""Expressions: a small language in which cuts, features and weights are written.

What to use when
----------------
- `parse_expression`: a text as an `Expression`; what is not in the language is refused, and nothing is ever executed.
- `Expression.evaluate`: its values for the events of some columns, one number or one list an event.
- `numbers`: its values as float64, where one number an event is needed (a feature, a weight).
- `mask`: its values as true and false, where a condition is needed (a cut).
- `with_aliases`: an expression that uses others by name as if they were columns.

The language is that of Python's arithmetic. `Muon_Px` is the column of that name; a name with other characters, or that
of a constant, stands in backticks: `` `jet.pt` ``. Operators: `+ - * / // % **`, comparisons (`20 < pt < 50` too),
`and or not` and what C++ writes for them, `&& || !`. `&`, `|` and `~` mean the same, but conditions they join must
stand in parentheses. Constants: pi, inf, nan, true, false. Functions: `FUNCTIONS` in `expression_functions`.

Columns of lists, one list an event, take part entry by entry; `x[condition]` keeps the entries that pass, `x[0]` is the
first one, and functions such as `sum(x)`, `leading(x, 0)` or `leading(eta, 0, by=pt)` make one number an event.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from graphlib import CycleError, TopologicalSorter
from typing import Any

import awkward as ak
import numpy as np
from numpy.typing import NDArray

from townsend.errors import ConfigError, InputError, did_you_mean
from townsend.sample.expression_lists import Ragged
from townsend.sample.expression_operators import is_condition
from townsend.sample.expression_parser import parse
from townsend.sample.expression_tree import Alias, Node, columns_of, depth_of, evaluate, substitute

__all__ = ["Expression", "mask", "numbers", "parse_expression", "with_aliases"]


@dataclass(frozen=True)
class Expression:
    """A parsed expression.

    Arguments:
        text: as it was written.
        names: of the columns it needs.
    """

    text: str
    names: frozenset[str]
    _root: Node = field(repr=False, compare=False)

    def evaluate(self, columns: Mapping[str, Any]) -> Any:
        """Return the values for n events: an (n,) array, an awkward array of lists, or one number that holds for all.

        Arguments:
            columns: at least those named, by name: (n,) arrays, awkward arrays of lists of numbers, or single numbers.

        Raises InputError when a column is missing or of another kind, or an operator does not fit what it is given.
        """
        for name in sorted(self.names - columns.keys()):
            msg = f"expressions must use columns that exist (got `{name}`{did_you_mean(name, columns)})"
            raise InputError(msg)
        with np.errstate(all="ignore"):
            value = evaluate(self._root, columns)
        return value.to_awkward() if isinstance(value, Ragged) else value


def parse_expression(text: str) -> Expression:
    """Return the expression that a text holds.

    Raises ConfigError when it is not in the language, too long or nested too deep.
    """
    root = parse(text)
    return Expression(text, frozenset(columns_of(root)), root)


def numbers(expression: Expression, columns: Mapping[str, Any], rows: int) -> NDArray[np.float64]:
    """Return the values of an expression, one number an event, shape (rows,); conditions give 0 and 1.

    Raises InputError as `Expression.evaluate` does, and when the values are lists.
    """
    value = expression.evaluate(columns)
    if isinstance(value, ak.Array):
        text = _one_line(expression)
        remedy = f"say leading({text}, 0), sum({text}) or count({text})"
        msg = f"an expression must give one number an event here (got lists: `{text}`); {remedy}"
        raise InputError(msg)
    return np.array(np.broadcast_to(value, rows), np.float64)


def mask(expression: Expression, columns: Mapping[str, Any], rows: int) -> NDArray[np.bool_]:
    """Return where a condition is true, shape (rows,).

    Raises InputError as `Expression.evaluate` does, and when the values are numbers or lists.
    """
    value = expression.evaluate(columns)
    text = _one_line(expression)
    if isinstance(value, ak.Array):
        msg = f"a condition must be true or false once an event (got lists: `{text}`); say any({text}) or all({text})"
        raise InputError(msg)
    if not is_condition(value):
        msg = f"a condition must be true or false (got numbers: `{text}`); compare them, as in {text} > 0"
        raise InputError(msg)
    return np.array(np.broadcast_to(value, rows))


def _one_line(expression: Expression) -> str:
    return " ".join(expression.text.split())


def with_aliases(expression: Expression, aliases: Mapping[str, Expression]) -> Expression:
    """Return an expression in which aliases, and aliases in these, stand for what they are.

    An alias hides a column of its name; it is computed once an evaluation, however often it is used.

    Raises ConfigError when an alias needs itself, if by way of others, or the whole is nested too deep.
    """
    needs = {name: alias.names & aliases.keys() for name, alias in aliases.items()}
    try:
        order = tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        circle = " -> ".join(reversed(error.args[1]))
        msg = f"aliases must not need themselves (got {circle}); write one of them with columns only"
        raise ConfigError(msg) from None
    known: dict[str, Alias] = {}
    for name in order:
        root = substitute(aliases[name]._root, known)
        known[name] = Alias(name, root, depth_of(root, name), name)
    names = expression.names
    for name in reversed(order):
        if name in names:
            names = names - {name} | aliases[name].names
    root = substitute(expression._root, known)
    depth_of(root, expression.text)
    return Expression(expression.text, names, root)
