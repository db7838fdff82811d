"""The reference files and tables are the ones whose provenance is written down, bit by bit."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

DRIFTTUBE, GLUEX = (Path(str(files("townsend"))) / "experiments" / name for name in ("drifttube", "gluex"))
FOLDERS = [DRIFTTUBE / "reference", DRIFTTUBE / "simulation" / "tables", GLUEX / "reference"]


def listed(folder: Path) -> dict[str, str]:
    text = (folder / "PROVENANCE.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|", text, flags=re.MULTILINE))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_has_a_provenance_and_every_provenance_a_file(folder: Path) -> None:
    present = {path.name for path in folder.iterdir() if path.name != "PROVENANCE.md"}
    assert present
    assert present == set(listed(folder))


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_file_is_what_its_provenance_says(folder: Path) -> None:
    found = {name: sha256((folder / name).read_bytes()).hexdigest() for name in listed(folder)}
    assert found == listed(folder)


def test_every_file_has_one_home() -> None:
    names = [name for folder in FOLDERS for name in listed(folder)]
    assert len(names) == len(set(names))
