"""Folders that appear as a whole, and are replaced only where the same command made them.

What to use when
----------------
- `check_replaceable`: before any work, refuse to write where a user's own files are.
- `folder_as_a_whole`: write a folder beside its target and swap it in.
"""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from townsend.errors import InputError
from townsend.files import read_json

__all__ = ["check_replaceable", "folder_as_a_whole"]

_OLD = ".old"


def check_replaceable(folder: Path, mark: str, made_by: str, own: frozenset[str]) -> None:
    """Raise InputError unless `folder` is new, empty or made by the same command.

    Arguments:
        folder: to be written.
        mark: name of the JSON file whose key `made_by` names the command that made the folder.
        made_by: the command.
        own: names of all files and folders that the command writes.
    """
    if folder.is_dir():
        names = {path.name for path in folder.iterdir()}
        ours = mark in names and _made_by(folder / mark) == made_by
        others = sorted(names - own if ours else names)
        if not others:
            return
        msg = f"{folder} must be new, empty or made by `{made_by}` (it holds {others[0]}); choose another folder"
        raise InputError(msg)
    if folder.exists() or folder.is_symlink():
        msg = f"{folder} must be a folder (it is a file); choose another name"
        raise InputError(msg)


def _made_by(path: Path) -> str:
    try:
        value = read_json(path)
    except InputError:
        return ""
    return str(value.get("made_by", "")) if isinstance(value, dict) else ""


@contextmanager
def folder_as_a_whole(target: Path) -> Iterator[Path]:
    """Yield a new folder beside `target` that replaces it on success and is removed on failure.

    What a killed process left beside the target is removed; a target it had just taken away is put back.
    """
    final = target.resolve()
    final.parent.mkdir(parents=True, exist_ok=True)
    _clear_up(final)
    mark = uuid.uuid4().hex[:12]
    folder, former = (final.with_name(f".{final.name}.{mark}{ending}") for ending in ("", _OLD))
    folder.mkdir()
    try:
        yield folder
        if final.exists():
            final.replace(former)
        folder.replace(final)
    finally:
        if former.exists() and not final.exists():
            former.replace(final)
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(former, ignore_errors=True)


def _clear_up(final: Path) -> None:
    left = [
        path
        for path in final.parent.iterdir()
        if path.name.startswith(f".{final.name}.") and path.is_dir() and not path.is_symlink()
    ]
    for path in left:
        if path.name.endswith(_OLD) and not final.exists():
            path.replace(final)
        else:
            shutil.rmtree(path, ignore_errors=True)
