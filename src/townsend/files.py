"""Files that are whole or absent: everything is written beside its target and renamed into place.

What to use when
----------------
- `atomic_path`: any writer that wants a path (ROOT, NPZ, Keras, figures).
- `write_text`, `write_json`: small readable files.
- `read_json`: a JSON file written by townsend, with a clear error when it is torn or foreign.
- `write_sealed`, `read_sealed`: the same with a seal that shows edits.
- `sha256_of`: fingerprint of files; `fingerprint`: fingerprint of JSON-like settings.
"""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from townsend.errors import InputError

__all__ = [
    "atomic_path",
    "fingerprint",
    "read_json",
    "read_sealed",
    "sha256_of",
    "write_json",
    "write_sealed",
    "write_text",
]

_SEAL = "seal"


@contextmanager
def atomic_path(target: Path) -> Iterator[Path]:
    """Yield a temporary path beside `target`; on success it replaces `target`, on failure it is removed.

    The suffix of `target` is kept, because many writers choose their format by it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    temporary = target.with_name(f".{target.stem}.{uuid.uuid4().hex[:12]}{target.suffix}")
    try:
        yield temporary
        _flush_to_disk(temporary)
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)


def _flush_to_disk(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(target: Path, text: str) -> None:
    """Write UTF-8 text to `target`, whole or not at all."""
    with atomic_path(target) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(target: Path, value: Any) -> None:
    """Write `value` as indented JSON to `target`, whole or not at all; NaN is refused."""
    write_text(target, json.dumps(value, indent=1, allow_nan=False) + "\n")


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises InputError if it is missing, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        msg = f"{path} must exist; check the folder's name"
        raise InputError(msg) from None
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} must be JSON ({error}); it was edited or damaged, restore or delete it"
        raise InputError(msg) from None


def write_sealed(target: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON object with one key more, `seal`, the fingerprint of all others.

    A seal shows accidents and edits, not forgery: anyone can compute it.
    """
    write_json(target, {**value, _SEAL: fingerprint(dict(value))})


def read_sealed(path: Path) -> dict[str, Any]:
    """Read a JSON object written by `write_sealed`, its seal included.

    Raises InputError if it is missing, not JSON, has no seal or was edited.
    """
    value = read_json(path)
    if not isinstance(value, dict) or _SEAL not in value:
        msg = f"{path} must be a sealed file as townsend writes it (it has no seal); make its folder again"
        raise InputError(msg)
    if value[_SEAL] != fingerprint({name: inner for name, inner in value.items() if name != _SEAL}):
        msg = f"{path} must be as townsend wrote it (its seal does not match: it was edited); make its folder again"
        raise InputError(msg)
    return value


def sha256_of(paths: Iterable[Path]) -> str:
    """Return the SHA-256 of the names and contents of `paths`, in the order given."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.name.encode())
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def fingerprint(value: Any) -> str:
    """Return a short hash of a JSON-like value that does not depend on the order of its keys."""
    text = json.dumps(value, sort_keys=True, allow_nan=False, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
