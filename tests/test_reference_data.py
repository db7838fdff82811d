"""The reference files are the ones whose provenance is written down, bit by bit."""

from __future__ import annotations

import re
from hashlib import sha256
from importlib.resources import files
from pathlib import Path

import pytest

DATA = Path(__file__).parent / "data"
TABLES = Path(str(files("townsend"))) / "experiments" / "drifttube" / "tables"


def listed(folder: Path) -> dict[str, str]:
    text = (folder / "PROVENANCE.md").read_text(encoding="utf-8")
    return dict(re.findall(r"^\| (\S+) \| ([0-9a-f]{64}) \|", text, flags=re.MULTILINE))


@pytest.mark.parametrize("folder", [DATA, TABLES], ids=["tests/data", "tables"])
def test_every_file_has_a_provenance_and_every_provenance_a_file(folder: Path) -> None:
    present = {path.name for path in folder.iterdir() if path.suffix in {".csv", ".json", ".npz"}}
    assert present
    assert present == set(listed(folder))


@pytest.mark.parametrize("folder", [DATA, TABLES], ids=["tests/data", "tables"])
def test_every_file_is_what_its_provenance_says(folder: Path) -> None:
    found = {name: sha256((folder / name).read_bytes()).hexdigest() for name in listed(folder)}
    assert found == listed(folder)


def test_shipped_tables_are_those_the_tests_compare_with() -> None:
    shared = listed(DATA).keys() & listed(TABLES).keys()
    assert len(shared) == 7
    assert {name: listed(DATA)[name] for name in shared} == {name: listed(TABLES)[name] for name in shared}
