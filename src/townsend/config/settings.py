"""Settings classes that accept no key they do not know, and the one sentence a user sees when a value breaks a rule."""

from __future__ import annotations

import json
import re
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails, PydanticSerializationError, to_jsonable_python

from townsend.config.document import Document, Place, dotted, safe_yaml, shortened
from townsend.errors import ConfigError, did_you_mean
from townsend.files import write_text

__all__ = ["Closed", "dump_yaml", "parse", "resolved"]


class Closed(BaseModel):
    """Settings that cannot change and accept no key they do not know."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


Settings = TypeVar("Settings", bound=Closed)


def parse(model: type[Settings], source: Document | Mapping[str, Any]) -> Settings:
    """Return the settings that `source` describes, defaults filled in.

    Arguments:
        model: class of the settings.
        source: a file read by `load_yaml`, or JSON-like values (lists may stand for tuples, text for paths and enums).

    Raises ConfigError: one sentence on the first fault, unknown keys before all others.
    """
    document = source if isinstance(source, Document) else None
    data = document.data if document is not None else source
    try:
        text = json.dumps(to_jsonable_python(data, inf_nan_mode="constants"))
    except (PydanticSerializationError, ValueError) as error:
        msg = f"settings must be plain values: text, numbers, true/false, lists, mappings ({error})"
        raise ConfigError(msg) from None
    try:
        # Validated as JSON, where a list is a tuple but text is never a number, even in strict mode.
        return model.model_validate_json(text)
    except ValidationError as error:
        raise ConfigError(_sentence(model, error, json.loads(text), document)) from None


def resolved(settings: Closed) -> dict[str, Any]:
    """Return all settings as JSON-like values; `parse` of them gives equal settings."""
    return settings.model_dump(mode="json")


def _sentence(model: type[Closed], error: ValidationError, data: Any, document: Document | None) -> str:
    faults = error.errors(include_url=False)
    first = next((fault for fault in faults if fault["type"] == "extra_forbidden"), faults[0])
    place = _place(first["loc"], data, missing=first["type"] == "missing")
    where = _where(place, document)
    known = _known_keys(model, place[:-1])
    if first["type"] == "extra_forbidden":
        return f"{dotted(place)}: unknown key{f' ({where})' if where else ''}{did_you_mean(str(place[-1]), known)}"
    # The members of a union each complain about the same value: say what any of them would take.
    rules = [_rule(f) for f in faults if f["type"] != "missing" and _place(f["loc"], data, missing=False) == place]
    rule = " or ".join(dict.fromkeys(rules or [_rule(first)])).replace(" or must be ", " or ")
    value = first["input"]
    shown = "" if first["type"] == "missing" or isinstance(value, Mapping) else f"got {shortened(json.dumps(value))}"
    details = ", ".join(part for part in (shown, where) if part)
    return f"{dotted(place)}: {rule}{f' ({details})' if details else ''}{_nearest_choice(first)}"


def _rule(fault: ErrorDetails) -> str:
    kind = fault["type"]
    own = {
        "missing": "must be given",
        "int_type": "must be a whole number",
        "float_type": "must be a number",
        "bool_type": "must be true or false",
        "string_type": "must be text",
        "list_type": "must be a list",
        "tuple_type": "must be a list",
        "dict_type": "must be a mapping of keys to values",
        "model_type": "must be a mapping of keys to values",
    }
    if kind in own:
        return own[kind]
    if kind in ("too_short", "too_long"):
        few = kind == "too_short"
        number = fault["ctx"]["min_length" if few else "max_length"]
        return f"must hold at {'least' if few else 'most'} {number}"
    text = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    return re.sub(r"^\w+ should\b", "must", text)


def _nearest_choice(fault: ErrorDetails) -> str:
    expected = fault.get("ctx", {}).get("expected")
    if fault["type"] not in ("literal_error", "enum") or not isinstance(fault["input"], str):
        return ""
    hint = did_you_mean(fault["input"], re.findall(r"'([^']*)'", str(expected)))
    return hint if hint.startswith("; did") else ""


def _place(location: Sequence[str | int], data: Any, *, missing: bool) -> Place:
    """Return the part of pydantic's location that exists in the data: union members and such are left out."""
    place: Place = ()
    for part in location:
        if isinstance(data, dict) and part in data:
            data = data[str(part)]
        elif isinstance(data, list) and isinstance(part, int) and part < len(data):
            data = data[part]
        else:
            continue
        place = (*place, part)
    return (*place, location[-1]) if missing else place


def _where(place: Place, document: Document | None) -> str:
    if document is None:
        return ""
    for length in range(len(place), 0, -1):
        if place[:length] in document.lines:
            return f"{document.path} line {document.lines[place[:length]]}"
    return str(document.path)


def _known_keys(model: type[Closed], place: Place) -> list[str]:
    """Return the keys that the settings at `place` may have."""
    reached: list[Any] = [model]
    for part in place:
        reached = [inner for annotation in reached for inner in _inside(annotation, part)]
    return [name for found in reached if _is_model(found) for name in found.model_fields]


def _inside(annotation: Any, part: str | int) -> Iterator[Any]:
    """Yield the types that the member `part` of a value of type `annotation` may have, unions resolved."""
    if _is_model(annotation):
        if part in annotation.model_fields:
            yield from _members(annotation.model_fields[str(part)].annotation)
        return
    arguments = [argument for argument in get_args(annotation) if argument is not Ellipsis]
    if isinstance(part, str) and len(arguments) == 2:
        yield from _members(arguments[1])
    elif isinstance(part, int) and arguments:
        yield from _members(arguments[min(part, len(arguments) - 1)])


def _members(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        yield from _members(get_args(annotation)[0])
    elif origin in (typing.Union, types.UnionType):
        for member in get_args(annotation):
            yield from _members(member)
    elif _is_model(annotation) or origin is not None:
        yield annotation


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and not get_origin(annotation) and issubclass(annotation, BaseModel)


def dump_yaml(settings: Closed, path: Path) -> None:
    """Write the resolved settings as YAML, descriptions as comments; `load_yaml` and `parse` give them back."""
    write_text(path, "\n".join(_block(settings, resolved(settings))) + "\n")


def _block(settings: BaseModel, values: Mapping[str, Any]) -> list[str]:
    if not values:
        return ["{}"]
    written: list[str] = []
    for name, value in values.items():
        description = " ".join((type(settings).model_fields[name].description or "").split())
        inner = getattr(settings, name)
        if isinstance(inner, BaseModel) and value:
            lines = [f"{name}:", *(f"  {line}" if line else line for line in _block(inner, value))]
        else:
            lines = safe_yaml({name: value})
        if description and len(lines) == 1:
            lines[0] += f"  # {description}"
        elif description:
            lines.insert(0, f"# {description}")
        written += lines
    return written
