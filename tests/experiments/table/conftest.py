"""A small table of two overlapping classes, as files of each format."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from numpy.typing import NDArray

from townsend.files import write_text

Columns = dict[str, NDArray[Any]]


@pytest.fixture(scope="session")
def columns() -> Columns:
    """2,000 events: `is_signal`, two features that differ between the classes, one that does not, a signed weight."""
    random = np.random.default_rng(1)
    is_signal = (np.arange(2000) % 2).astype(np.int32)
    shift = is_signal[:, None] * np.array([1.5, -1.0, 0.0])
    values = random.normal(size=(2000, 3)) + shift
    return {
        "is_signal": is_signal,
        "a": values[:, 0],
        "b": values[:, 1],
        "noise": values[:, 2],
        "w": np.where(random.random(2000) < 0.15, -0.5, 1.5),
        "event": np.arange(2000) // 2,
    }


@pytest.fixture(scope="session")
def files(columns: Columns, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `all.root`, `part-0.root`, `part-1.root` (tree `events`) and `all.csv` of the same events."""
    folder = tmp_path_factory.mktemp("files")
    for name, rows in (("all", slice(None)), ("part-0", slice(0, 700)), ("part-1", slice(700, None))):
        with uproot.recreate(folder / f"{name}.root") as file:
            file["events"] = {column: values[rows] for column, values in columns.items()}
    header = ",".join(columns)
    lines = [",".join(repr(value.item()) for value in row) for row in zip(*columns.values(), strict=True)]
    write_text(folder / "all.csv", "\n".join([header, *lines]) + "\n")
    return folder


@pytest.fixture
def table(files: Path, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a table's YAML with some lines replaced, and returns its path."""

    def write(name: str = "table.yaml", **changes: str | None) -> Path:
        lines: dict[str, str | None] = {
            "files": f"{files}/all.root",
            "features": "[a, b, noise]",
            "classes": "{background: is_signal == 0, signal: is_signal == 1}",
            **changes,
        }
        path = tmp_path / name
        write_text(path, "".join(f"{key}: {value}\n" for key, value in lines.items() if value is not None))
        return path

    return write
