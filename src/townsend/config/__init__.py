"""Closed run configuration in YAML: a key that is not known is an error, never ignored.

What to use when
----------------
- `Closed`: base of every settings class; frozen, no unknown keys, no coercion of numbers, no NaN or infinity.
- `load_yaml`: read a file that may come from anyone; remembers the line of every key.
- `parse`: turn a document or a mapping into settings, or raise one sentence with path, line and nearest key.
- `resolved`: settings as JSON-like values, all defaults filled in.
- `dump_yaml`: write the resolved settings for people, each key with its description.
"""

from __future__ import annotations

from townsend.config.document import Document, load_yaml
from townsend.config.settings import Closed, dump_yaml, parse, resolved

__all__ = ["Closed", "Document", "dump_yaml", "load_yaml", "parse", "resolved"]
