"""What a table of events is made of, closed: what a user writes in YAML.

What to use when
----------------
- `TableSettings`, `ClassSettings`: files, classes, cuts, features, weights.
- `load_table`: a file of them, or the folder of a simulation or skim, which holds one.
- `Description`: the settings with the folder to which their file names are relative.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from townsend.config import Closed, load_yaml, parse, resolved
from townsend.errors import ConfigError, InputError
from townsend.sample.expression import parse_expression

__all__ = ["TABLE_FILE", "ClassSettings", "Description", "FriendSettings", "TableSettings", "load_table"]

TABLE_FILE = "table.yaml"
"""Name of the description in a folder that `townsend simulate` or `townsend skim` has made."""

Files = str | tuple[str, ...]


class FriendSettings(Closed):
    """Another tree with as many entries, joined to the first entry by entry."""

    files: Files = Field(description="files or patterns, as many as those of the table, or empty: the same files")
    tree: str | None = Field(None, description="name of the tree")


class ClassSettings(Closed):
    """One class of events: by its files, its tree, or by a condition on columns."""

    files: Files | None = Field(None, description="files or patterns; those of the table when null")
    tree: str | None = Field(None, description="name of the tree; that of the table when null")
    where: str | None = Field(None, description="condition that tells this class from others in the same files")
    weight: str | None = Field(None, description="weight of an event; that of the table when null")
    cross_section_pb: float | None = Field(None, gt=0, description="cross-section, with luminosity_per_fb")
    generated: float | None = Field(
        None, gt=0, description="sum of the weights of all generated events; of all that are read when null"
    )


class TableSettings(Closed):
    """Files, classes, cuts, features and weights."""

    files: Files = Field((), description="files or patterns such as data/*.root, from the folder of this file")
    tree: str | None = Field(None, description="name of the tree; may be left out where files hold one")
    friends: tuple[FriendSettings, ...] = Field((), description="trees with as many entries, joined entry by entry")
    columns: tuple[str, ...] | None = Field(None, description="names of the columns of CSV files without a header")
    aliases: dict[str, str] = Field(default_factory=dict, description="name -> expression, for use in others")
    cuts: tuple[str, ...] = Field((), description="conditions that every event must meet, in the order of the cut-flow")
    features: tuple[str, ...] | dict[str, str] = Field(
        min_length=1, description="columns, or name -> expression: what a network sees"
    )
    units: dict[str, str] = Field(default_factory=dict, description="feature -> unit, for figures")
    weight: str | None = Field(None, description="weight of an event, of either sign; 1 when null")
    group: str | None = Field(None, description="whole number; events that share it are never parted by a split")
    luminosity_per_fb: float | None = Field(
        None, gt=0, description="scale the weights of each class to luminosity x cross-section"
    )
    classes: dict[str, ClassSettings] = Field(
        min_length=2, description="name -> files, tree or condition; of two classes the last is the signal"
    )
    most_events: int = Field(
        1_000_000, ge=100, description="events held in memory; of more, a random part that stands for all"
    )

    @field_validator("classes", mode="before")
    @classmethod
    def _conditions(cls, value: Any) -> Any:
        """Let a class be its condition alone."""
        if not isinstance(value, Mapping):
            return value
        found: dict[str, Any] = {n: {"where": one} if isinstance(one, str) else one for n, one in value.items()}
        # What a validator returns is no longer JSON, where a list may be a tuple.
        for one in found.values():
            if isinstance(one, dict) and isinstance(one.get("files"), list):
                one["files"] = tuple(one["files"])
        return found

    @model_validator(mode="after")
    def _consistent(self) -> TableSettings:
        for name, one in self.classes.items():
            if not (one.files or self.files):
                msg = f'class "{name}" needs files (got none); give it `files`, or the table'
                raise ValueError(msg)
            if self.luminosity_per_fb is not None and one.cross_section_pb is None:
                msg = f'class "{name}" needs cross_section_pb where luminosity_per_fb is given (got none); add it'
                raise ValueError(msg)
            if self.luminosity_per_fb is None and one.cross_section_pb is not None:
                msg = f'cross_section_pb of class "{name}" needs luminosity_per_fb (got none); add it to the table'
                raise ValueError(msg)
        unknown = [name for name in self.units if name not in self.expressions]
        if unknown:
            msg = f'units must be of features (got "{unknown[0]}"); name one of {", ".join(self.expressions)}'
            raise ValueError(msg)
        for text in self.texts():
            try:
                parse_expression(text)
            except ConfigError as error:
                raise ValueError(str(error)) from None
        return self

    @property
    def expressions(self) -> dict[str, str]:
        """Return feature -> expression."""
        if isinstance(self.features, dict):
            return dict(self.features)
        return {name: name for name in self.features}

    @property
    def weighted(self) -> bool:
        """Return whether events have weights."""
        return any(
            text is not None
            for text in (self.weight, self.luminosity_per_fb, *(c.weight for c in self.classes.values()))
        )

    def texts(self) -> list[str]:
        """Return all expressions."""
        of_classes = [text for one in self.classes.values() for text in (one.where, one.weight)]
        given = [*self.aliases.values(), *self.cuts, *self.expressions.values(), self.weight, self.group, *of_classes]
        return [text for text in given if text is not None]


@dataclass(frozen=True)
class Description:
    """A table's settings, and where its file names begin."""

    settings: TableSettings
    folder: Path

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy, from which a batch job makes the same."""
        return {"settings": resolved(self.settings), "folder": str(self.folder)}

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> Description:
        """Return the description written by `to_json`."""
        return Description(parse(TableSettings, value["settings"]), Path(value["folder"]))

    def paths(self, patterns: Files) -> tuple[Path, ...]:
        """Return the files that patterns name, each once, those of a pattern in order of name.

        Raises InputError when a pattern finds none.
        """
        found: dict[Path, None] = {}
        for pattern in (patterns,) if isinstance(patterns, str) else patterns:
            given = Path(pattern).expanduser()
            place = given if given.is_absolute() else self.folder / given
            matches = [place] if place.exists() else sorted(Path(place.anchor or ".").glob(_below_anchor(place)))
            if not matches:
                begin = "" if given.is_absolute() else f", from {self.folder}"
                msg = f"files must exist (got none for {pattern}{begin}); check the name or the pattern"
                raise InputError(msg)
            found |= dict.fromkeys(matches)
        return tuple(found)


def _below_anchor(path: Path) -> str:
    return str(path.relative_to(path.anchor)) if path.anchor else str(path)


def load_table(path: Path) -> Description:
    """Return the description in a YAML file, or in a folder that holds `table.yaml`.

    Raises InputError when there is none, ConfigError, with the line, on an unknown key or a bad value.
    """
    file = path / TABLE_FILE if path.is_dir() else path
    if not file.is_file():
        rule = f"{path} must be the YAML of a table, or a folder that holds {TABLE_FILE}"
        msg = f"{rule} (there is none); write one, or simulate or skim into a folder"
        raise InputError(msg)
    return Description(parse(TableSettings, load_yaml(file)), file.absolute().parent)
