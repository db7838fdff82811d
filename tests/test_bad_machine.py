"""What a user sees when the machine is in the way: one sentence, status 2, and every good file as it was."""

from __future__ import annotations

import errno
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from townsend import files

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Refused = Callable[..., str]


# ---- the machine


def test_keras_backend_that_the_user_chose_is_respected(
    tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", tmp_path / "run")
    assert sentence.startswith('training needs Keras on JAX (got the backend "tensorflow"); unset KERAS_BACKEND')


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the disk be full when a file whose path matches is flushed; an empty pattern makes room again."""
    flush = files._flush_to_disk

    def fill(pattern: str) -> None:
        def full(path: Path) -> None:
            if pattern and re.search(pattern, str(path)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            flush(path)

        monkeypatch.setattr(files, "_flush_to_disk", full)

    return fill


@pytest.mark.usefixtures("engine_here")
def test_full_disk_in_the_middle_of_a_sweep(
    run: Path,
    tiny_yaml: Path,
    tiny_sample: Path,
    full_disk: Callable[[str], None],
    refused: Refused,
    townsend: Callable[..., Any],
) -> None:
    lost = [*(run / "records").glob("0001.*"), run / "brackets" / "0001.json"]
    assert len(lost) == 3
    for path in lost:
        path.unlink()
    command = ("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    full_disk(r"records/.*\.npz")
    sentence = refused(*command, new=run)
    assert re.search(r"the disk of .*run must have room for records \(it is full\)", sentence)
    full_disk("")
    ended = townsend(*command)
    assert (ended.status, ended.err) == (0, "")
    assert all(path.is_file() for path in lost)


def test_full_disk_in_every_other_command(
    run: Path,
    tiny_model: Path,
    tiny_sample: Path,
    tmp_path: Path,
    full_disk: Callable[[str], None],
    refused: Refused,
) -> None:
    (run / "board.csv").write_text("the board of yesterday\n")
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    full_disk(".")
    for command in (
        ("board", run),
        ("choose", run, "-o", model),
        ("find-peaks", model, tiny_sample, "-o", tmp_path / "peaks"),
        ("simulate", "drifttube", "-n", 10, "-o", tmp_path / "mc"),
    ):
        sentence = refused(*command)
        assert "No space left on device" in sentence
        assert "free space" in sentence


def test_disk_that_is_really_full(tmp_path: Path, one_sentence: Callable[[str], str]) -> None:
    """A file system of 64 kB in a name space of our own, which needs no rights where the kernel allows it."""
    place = tmp_path / "small"
    place.mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs {place} && exec "
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-Urm", "sh", "-c", mount + "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a full disk: this system does not let a user mount a small one (unshare -Urm)")
    command = (
        f"{sys.executable} -m townsend simulate drifttube -n 250 --jobs 1 -o {place}/mc; status=$?; ls -A {place}/mc"
    )
    ended = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", f"mount -t tmpfs -o size=64k tmpfs {place}; {command}; exit $status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended
    assert "No space left on device" in one_sentence(ended.stderr)
    assert sorted(ended.stdout.split()) == ["simulation.json", "simulation.yaml"]


def test_program_itself_ends_as_its_functions_do(tmp_path: Path, one_sentence: Callable[[str], str]) -> None:
    command = [sys.executable, "-m", "townsend", "find-peaks", "model", "none.npz", "-o", "peaks"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert one_sentence(ended.stderr).startswith("model/card.json must exist")
    assert list(tmp_path.iterdir()) == []
