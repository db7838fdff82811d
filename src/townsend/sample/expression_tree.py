"""The tree of an expression: what can be evaluated, and nothing else.

What to use when
----------------
- `Constant`, `Column`, `Call`, `Alias`: the nodes.
- `evaluate`: the value of a tree for the events of some columns.
- `columns_of`: the columns it needs; `depth_of`: how deep it is nested.
- `substitute`: the tree with aliases in place of columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from townsend.errors import ConfigError
from townsend.sample.expression_operators import Operand, Value, column_value

__all__ = [
    "MAXIMUM_DEPTH",
    "Alias",
    "Call",
    "Column",
    "Constant",
    "Node",
    "columns_of",
    "depth_of",
    "evaluate",
    "substitute",
]

MAXIMUM_DEPTH = 100  # nodes within each other, which a sum of as many terms has too; aliases count


@dataclass(frozen=True)
class Constant:
    """A number, true or false."""

    value: Value
    text: str


@dataclass(frozen=True)
class Column:
    """A column of the table."""

    name: str
    text: str


@dataclass(frozen=True)
class Call:
    """An operator or function with its operands, some of them by name."""

    run: Callable[..., Value]
    operands: tuple[Node, ...]
    named: Mapping[str, Node]
    text: str

    @property
    def inner(self) -> tuple[Node, ...]:
        """All operands."""
        return (*self.operands, *self.named.values())


@dataclass(frozen=True)
class Alias:
    """A tree with a name, which may stand in several places.

    Arguments:
        name: of the alias.
        root: what it stands for.
        depth: nodes within each other in it.
        text: the name as it was written.
    """

    name: str
    root: Node
    depth: int
    text: str


Node = Constant | Column | Call | Alias


def evaluate(node: Node, columns: Mapping[str, Any]) -> Value:
    """Return the value of a tree; raises InputError where an operator does not fit what it is given."""
    return _evaluate(node, columns, {})


def _evaluate(node: Node, columns: Mapping[str, Any], known: dict[str, Value]) -> Value:
    """`known`: the values of aliases so far. Without them, aliases of aliases could double the work at each step."""
    if isinstance(node, Constant):
        return node.value
    if isinstance(node, Column):
        return column_value(columns[node.name], node.name)
    if isinstance(node, Alias):
        if node.name not in known:
            known[node.name] = _evaluate(node.root, columns, known)
        return known[node.name]
    operands = [Operand(_evaluate(inner, columns, known), inner.text) for inner in node.operands]
    named = {name: Operand(_evaluate(inner, columns, known), inner.text) for name, inner in node.named.items()}
    return node.run(*operands, **named)


def columns_of(node: Node) -> Iterator[str]:
    """Yield the names of the columns of a tree without aliases."""
    if isinstance(node, Column):
        yield node.name
    elif isinstance(node, Call):
        for inner in node.inner:
            yield from columns_of(inner)


def substitute(node: Node, aliases: Mapping[str, Alias]) -> Node:
    """Return a tree with aliases in place of the columns of their names."""
    if isinstance(node, Column) and node.name in aliases:
        return replace(aliases[node.name], text=node.text)
    if isinstance(node, Call):
        operands = tuple([substitute(inner, aliases) for inner in node.operands])
        named = {name: substitute(inner, aliases) for name, inner in node.named.items()}
        return replace(node, operands=operands, named=named)
    return node


def depth_of(node: Node, text: str) -> int:
    """Return how many nodes of a tree are within each other; raises ConfigError, which cites `text`, when too many."""

    def depth(node: Node) -> int:
        if isinstance(node, Alias):
            return 1 + node.depth
        return 1 + max(map(depth, node.inner)) if isinstance(node, Call) else 1

    found = depth(node)
    if found > MAXIMUM_DEPTH:
        msg = f"expressions must be nested at most {MAXIMUM_DEPTH} deep with their aliases (got `{text}`); shorten it"
        raise ConfigError(msg)
    return found
