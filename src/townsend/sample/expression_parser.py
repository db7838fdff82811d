"""From the text of an expression to its tree.

What to use when
----------------
- `parse`: the tree of a text; `expression_tree` says what trees are.

Python's own parser is given the text in which names that Python would not take and what C++ writes for `and`, `or` and
`not` are replaced; only what is listed here is taken from its tree. Nothing is compiled or executed.
"""

from __future__ import annotations

import ast
import keyword
import math
import re
import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from townsend.errors import ConfigError, did_you_mean
from townsend.sample.expression_functions import FUNCTIONS, select
from townsend.sample.expression_operators import OPERATORS, Value, chain
from townsend.sample.expression_tree import MAXIMUM_DEPTH, Call, Column, Constant, Node

__all__ = ["MAXIMUM_LENGTH", "parse"]

MAXIMUM_LENGTH = 10_000  # characters


def parse(text: str) -> Node:
    """Return the tree of a text; raises ConfigError when it is not in the language."""
    if not text.strip():
        msg = "expressions must not be empty; write a column's name or a formula"
        raise ConfigError(msg)
    if len(text) > MAXIMUM_LENGTH:
        msg = f"expressions must have at most {MAXIMUM_LENGTH} characters (got {len(text)}); shorten it"
        raise ConfigError(msg)
    source = _Source.of(re.sub(r"\s", " ", text.strip()))  # one line, as messages are
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # what Python merely finds odd, such as `1if`, is refused
            tree = ast.parse(source.python, mode="eval")
    except (RecursionError, MemoryError):
        _refuse_depth(source)
    except (SyntaxError, ValueError) as error:
        position = (getattr(error, "offset", None) or 1) - 1
        rest = source.text[source.begins[min(position, len(source.begins) - 1)] :]
        reason = str(getattr(error, "msg", error))
        msg = f"expressions must be formulas (got `{_short(source.text)}`: {reason} at `{_short(rest)}`); correct it"
        raise ConfigError(msg) from None
    return _Reader(source).read(tree.body, 0)


def _short(text: str) -> str:
    return text if len(text) <= 100 else text[:97] + "..."


def _refuse_depth(source: _Source) -> NoReturn:
    got = f"got `{_short(source.text)}`"
    msg = f"expressions must be nested at most {MAXIMUM_DEPTH} deep ({got}); shorten it"
    raise ConfigError(msg) from None


# ---- the text that Python parses

_STAND_IN = "_column_"
_SYNTAX = {"and", "or", "not", "if", "else", "lambda", "for", "in", "is", "None", "True", "False"}
_CPP = {"&&": " and ", "||": " or ", "!": "~"}  # `~` binds as strongly as C++'s `!`
_TOKENS = re.compile(r"`(?P<quoted>[^`]+)`|(?P<number>\d[\w.]*)|(?P<name>[^\W\d]\w*)|&&|\|\||!=|.", re.DOTALL)
_FOREIGN = {
    **dict.fromkeys("'\"", "texts cannot be compared; use a column of numbers"),
    "`": "close the backtick",
    "?": "say where(condition, a, b)",
    "#": "leave comments to the file around it",
    "^": "say ** for a power",
    "\\": "leave it out",
}


@dataclass(frozen=True)
class _Source:
    """The text as it was written and as Python is to parse it, in ASCII.

    Arguments:
        text: as it was written.
        python: what Python parses.
        begins, ends: for each character of `python`, the part of `text` that it stands for.
        columns: names that have a stand-in in `python`, by stand-in.
    """

    text: str
    python: str
    begins: list[int]
    ends: list[int]
    columns: Mapping[str, str]

    @classmethod
    def of(cls, text: str) -> _Source:
        python = ""
        begins, ends = list[int](), list[int]()
        columns: dict[str, str] = {}
        for token in _TOKENS.finditer(text):
            found = token.group()
            name = token["quoted"] or token["name"]
            if name and (token["quoted"] or _needs_stand_in(name)):
                written = f"{_STAND_IN}{len(columns)}"
                columns[written] = name
            elif found in _FOREIGN or not found.isascii() or not found.isprintable():
                msg = (
                    f"expressions must not contain {found!r} (got `{_short(text)}`); {_FOREIGN.get(found, 'change it')}"
                )
                raise ConfigError(msg)
            else:
                written = _CPP.get(found, found)
            python += written
            begins += [token.start()] * len(written)
            ends += [token.end()] * len(written)
        return cls(text, python, begins, ends, columns)

    def of_node(self, node: Any) -> str:
        """Return what was written for a part of Python's tree."""
        return self.text[self.begins[node.col_offset] : self.ends[node.end_col_offset - 1]]


def _needs_stand_in(name: str) -> bool:
    """Return whether Python would not take a name as it is; beyond ASCII it would change letters that look alike."""
    return name.startswith(_STAND_IN) or not name.isascii() or (keyword.iskeyword(name) and name not in _SYNTAX)


# ---- what is taken from Python's tree

_CONSTANTS = {"pi": math.pi, "inf": math.inf, "nan": math.nan, "true": True, "false": False}
_SIGNS: Mapping[type[ast.AST], str] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.UAdd: "unary +",
    ast.USub: "unary -",
    ast.Not: "not",
    ast.Invert: "not",
    ast.And: "and",
    ast.BitAnd: "and",
    ast.Or: "or",
    ast.BitOr: "or",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.Eq: "==",
    ast.NotEq: "!=",
}
_REMEDIES: Mapping[type[ast.AST], str] = {
    ast.Attribute: "names with dots must stand in backticks: `{}`",
    ast.IfExp: "say where(condition, a, b)",
    ast.Constant: "constants must be numbers, pi, inf, nan, true or false",
    ast.BinOp: "operators must be + - * / // % ** & or |",
    ast.Compare: "comparisons must be by < <= > >= == or !=",
    ast.Subscript: "brackets must hold a condition on each entry or the number of one, 0 or more",
}


@dataclass(frozen=True)
class _Reader:
    source: _Source

    def read(self, node: ast.AST, depth: int) -> Node:
        if depth > MAXIMUM_DEPTH:
            _refuse_depth(self.source)
        text = self.source.of_node(node)

        def call(run: Callable[..., Value], *operands: ast.AST) -> Call:
            return Call(run, tuple([self.read(operand, depth + 1) for operand in operands]), {}, text)

        match node:
            case ast.Name(id=name):
                if name in _CONSTANTS:
                    return Constant(_CONSTANTS[name], text)
                return Column(self.source.columns.get(name, name), text)
            case ast.Constant(value=bool() | int() | float() as value):
                return Constant(self._number(value, text), text)
            case ast.UnaryOp(op=sign, operand=operand):
                return call(OPERATORS[_SIGNS[type(sign)]], operand)
            case ast.BinOp(op=sign, left=left, right=right) if type(sign) in _SIGNS:
                return call(OPERATORS[_SIGNS[type(sign)]], left, right)
            case ast.BoolOp(op=sign, values=values):
                return call(OPERATORS[_SIGNS[type(sign)]], *values)
            case ast.Compare(left=left, ops=signs, comparators=others) if all(type(sign) in _SIGNS for sign in signs):
                for side in (left, *others):
                    self._check_precedence(side)
                return call(chain([_SIGNS[type(sign)] for sign in signs]), left, *others)
            case ast.Subscript(value=lists, slice=ast.Constant() as index):
                return call(FUNCTIONS["nth"].run, lists, index)
            case ast.Subscript(value=lists, slice=condition) if not isinstance(condition, ast.Slice | ast.Tuple):
                return call(select, lists, condition)
            case ast.Call(func=ast.Name(id=name)) if name not in self.source.columns:
                return self._call(node, name, text, depth)
        remedy = _REMEDIES.get(type(node), "write a formula of columns").format(text)
        msg = f"expressions must be formulas (got `{_short(text)}`); {remedy}"
        raise ConfigError(msg)

    def _number(self, value: bool | int | float, text: str) -> bool | int | float:
        if abs(value) < 2**64:
            return value
        try:
            return float(value)
        except OverflowError:
            msg = f"numbers must be below 1.8e308 (got {_short(text)}); shorten it"
            raise ConfigError(msg) from None

    def _check_precedence(self, side: Any) -> None:
        """Refuse `a > 1 & b < 2`, which Python takes for `a > (1 & b) < 2`."""
        if not isinstance(side, ast.BinOp) or not isinstance(side.op, ast.BitAnd | ast.BitOr):
            return
        python = self.source.python
        before, after = python[: side.col_offset].rstrip(), python[side.end_col_offset :].lstrip()
        if not (before.endswith("(") and after.startswith(")")):
            got = f"got `{_short(self.source.text)}`, which compares `{self.source.of_node(side)}`"
            msg = f'comparisons joined by "&" or "|" must stand in parentheses ({got}); say "and" or "or"'
            raise ConfigError(msg)

    def _call(self, node: ast.Call, name: str, text: str, depth: int) -> Call:
        if name not in FUNCTIONS:
            msg = f"functions must be known (got `{name}`{did_you_mean(name, FUNCTIONS)})"
            raise ConfigError(msg)
        function = FUNCTIONS[name]
        count, by_name = len(node.args), [place.arg for place in node.keywords]
        if not function.least <= count <= len(function.parameters):
            optional = "".join(f"[, {parameter}]" for parameter in function.parameters[function.least :])
            usage = f"{name}({', '.join(function.parameters[: function.least])}{optional})"
            msg = f"`{name}` must be called as {usage} (got `{_short(text)}`); correct it"
            raise ConfigError(msg)
        for word in by_name:
            free = function.parameters[count:]
            if word not in free or by_name.count(word) > 1:
                got = f"got `{word}` in `{_short(text)}`"
                msg = f"`{name}` must be given its values once each ({got}); by name may be given: {', '.join(free)}"
                raise ConfigError(msg)
        operands = tuple([self.read(operand, depth + 1) for operand in node.args])
        named = {str(place.arg): self.read(place.value, depth + 1) for place in node.keywords}
        return Call(function.run, operands, named, text)
