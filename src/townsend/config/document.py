"""A YAML file that may come from anyone, read into plain values with the line of every key.

Scalars follow YAML 1.2 where it differs from 1.1, because its rules surprise nobody: `1e-3` is a number,
`no` and `12:30` are text.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from townsend.errors import ConfigError, InputError

__all__ = ["Document", "Place", "dotted", "load_yaml", "safe_yaml", "shortened"]

MAXIMUM_BYTES = 1 << 20
MAXIMUM_DEPTH = 32

Place = tuple[str | int, ...]


@dataclass(frozen=True)
class Document:
    """A YAML file as read.

    Arguments:
        data: JSON-like content.
        path: as given by the user.
        lines: place of a key or list item, as a tuple of keys and indices -> line, from 1.
    """

    data: Mapping[str, Any]
    path: Path
    lines: Mapping[Place, int] = field(default_factory=dict)


class _Loader(yaml.SafeLoader):
    """Safe loader with the scalar types of YAML 1.2 only."""


class _Dumper(yaml.SafeDumper):
    """Safe dumper that quotes what `_Loader` alone would take for a number, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True

    def represent_items(self, items: list[Any]) -> yaml.Node:
        """Return a list of scalars on one line, any other list item by item."""
        inline = not any(isinstance(item, (list, dict)) for item in items)
        return self.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=inline)

    def represent_text(self, text: str) -> yaml.Node:
        """Return text, quoted and escaped where it holds rare line breaks, which readers turn into others."""
        return self.represent_scalar("tag:yaml.org,2002:str", text, style='"' if _RARE_BREAKS.search(text) else None)


_RARE_BREAKS = re.compile("[\\r\\x85\u2028\u2029]")
_Dumper.add_representer(list, _Dumper.represent_items)
_Dumper.add_representer(str, _Dumper.represent_text)
_Loader.yaml_implicit_resolvers = {}
_SCALARS = (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"[-+]?(?:0|[1-9][0-9_]*)", list("-+0123456789")),
    ("float", r"[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?", list("-+.0123456789")),
    ("float", r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)", list("-+.")),
)
for _name, _pattern, _first in _SCALARS:
    for _class in (_Loader, _Dumper):
        _class.add_implicit_resolver(f"tag:yaml.org,2002:{_name}", re.compile(rf"(?:{_pattern})\Z"), _first)


def load_yaml(path: Path) -> Document:
    """Read a YAML file of at most 1 MiB and 32 levels: mappings, lists, text, numbers, true/false, null.

    Raises InputError when it cannot be read as text, ConfigError when it is not YAML, uses anchors, aliases, tags
    or merge keys, repeats a key, or is no mapping.
    """
    text = _read_text(path)
    lines: dict[Place, int] = {}
    try:
        _check_events(text, path)
        loader = _Loader(text)
        root = loader.get_single_node()
        if root is None:
            raise _fault(path, 1, "must hold at least one key (got an empty file); write {} to take every default")
        if not isinstance(root, yaml.MappingNode):
            raise _fault(path, _line(root), "must be a mapping at the top; write `key: value` lines")
        data = _build(loader, root, (), path, lines)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _fault(
            path,
            mark.line + 1 if mark else 1,
            f"must be YAML ({' '.join(filter(None, (error.context, error.problem)))})",
        ) from None
    except yaml.YAMLError as error:
        raise _fault(path, 1, f"must be YAML ({' '.join(str(error).split())})") from None
    return Document(data, path, lines)


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(MAXIMUM_BYTES + 1)
    except OSError as error:
        msg = f"{path} must be a readable configuration file ({error.strerror}); check its name"
        raise InputError(msg) from None
    if len(content) > MAXIMUM_BYTES:
        msg = f"{path} must be at most {MAXIMUM_BYTES} bytes to be a configuration; check that it is the right file"
        raise InputError(msg)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path} must be UTF-8 text (byte {error.start} is not); save it as UTF-8"
        raise InputError(msg) from None


def _check_events(text: str, path: Path) -> None:
    """Refuse, before anything is built, what could make a small file large or run code."""
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        line = _line(event)
        if anchor := getattr(event, "anchor", None):
            raise _fault(path, line, f'must not use anchors or aliases (got "{anchor}"); write the value out')
        if tag := getattr(event, "tag", None):
            raise _fault(path, line, f'must not use tags (got "{tag}"); write plain values')
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAXIMUM_DEPTH:
            raise _fault(path, line, f"must not nest deeper than {MAXIMUM_DEPTH} levels; flatten it")


def _build(loader: _Loader, node: yaml.Node, place: Place, path: Path, lines: dict[Place, int]) -> Any:
    if isinstance(node, yaml.MappingNode):
        found: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise _fault(path, _line(key_node), "keys must be text (got a list or mapping)")
            key = _text(key_node, place, path)
            if key == "<<":
                raise _fault(path, _line(key_node), 'must not use merge keys (got "<<"); write the values out')
            inner = (*place, key)
            if key in found:
                raise _fault(path, _line(key_node), f"{dotted(inner)}: given twice (first on line {lines[inner]})")
            lines[inner] = _line(key_node)
            found[key] = _build(loader, value_node, inner, path, lines)
        return found
    if isinstance(node, yaml.SequenceNode):
        items = []
        for index, item in enumerate(node.value):
            lines[(*place, index)] = _line(item)
            items.append(_build(loader, item, (*place, index), path, lines))
        return items
    return _scalar(loader, node, place, path)


def _scalar(loader: _Loader, node: yaml.Node, place: Place, path: Path) -> Any:
    try:
        value = loader.construct_object(node)
    except ValueError:  # Python's own limit on the digits of a whole number
        raise _fault(
            path, _line(node), f"{dotted(place)}: must be a shorter number (got {shortened(node.value)})"
        ) from None
    if isinstance(value, str):
        return _text(node, place, path)
    if isinstance(value, float) and not math.isfinite(value):
        raise _fault(path, _line(node), f"{dotted(place)}: must be a finite number (got {shortened(node.value)})")
    return value


def _text(node: yaml.Node, place: Place, path: Path) -> str:
    text: str = node.value
    if any("\ud800" <= letter <= "\udfff" for letter in text):  # half of a character: cannot be written anywhere
        raise _fault(path, _line(node), f"{dotted(place)}: must be Unicode text (got {shortened(text)})")
    return text


def _line(node: yaml.Node | yaml.Event) -> int:
    return 1 if node.start_mark is None else node.start_mark.line + 1


def _fault(path: Path, line: int, rule: str) -> ConfigError:
    return ConfigError(f"{path} line {line}: {rule}")


def safe_yaml(value: Any) -> list[str]:
    """Return `value` as lines of YAML that `load_yaml` reads back."""
    text = yaml.dump(value, Dumper=_Dumper, default_flow_style=False, sort_keys=False, allow_unicode=True, width=100)
    return text.removesuffix("\n").split("\n")


def dotted(place: Place) -> str:
    """Return `place` as people write it: `tube.layers[2].units`."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{shortened(part)}" for part in place)
    return text.removeprefix(".") or "settings"


def shortened(text: str) -> str:
    """Return at most 60 characters of `text`, safe to show in a terminal."""
    shown = "".join(letter if letter.isprintable() else "?" for letter in text[:61])
    return shown if len(shown) <= 60 else f"{shown[:57]}..."
