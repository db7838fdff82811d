"""The environment that travels: what is in it, and that it works where a Python is and nothing else."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from townsend.engines import environment
from townsend.engines.base import WorkUnit
from townsend.engines.environment import pack_environment, unpack_lines
from townsend.errors import InputError

MINOR = f"{sys.version_info.major}.{sys.version_info.minor}"

REAL = """\
import townsend, keras, uproot, optuna, iminuit, sklearn, skops, matplotlib, mplhep
from importlib.resources import files
from townsend.engines.site import shipped_sites
from townsend.tasks.registry import find_task
assert find_task("drifttube-peaks").loss == "binary_crossentropy"
assert find_task("drifttube-clusters").loss == "mse"
assert "htcondor" in shipped_sites()
import numba, jax, numpy
assert numba.njit(lambda x: x + 1)(1) == 2
assert jax.jit(lambda x: x @ x)(numpy.eye(2, dtype="f4")).sum() == 2
import sys
foreign = {m.__file__ for m in sys.modules.values() if "-packages" in (getattr(m, "__file__", None) or "")}
assert not foreign, foreign
print(townsend.__file__)
"""


def node_python() -> str:
    """Return an interpreter of this minor version that has none of our packages."""
    system = Path(f"/usr/bin/python{MINOR}")
    return str(system) if system.exists() else str(getattr(sys, "_base_executable", sys.executable))


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(environment, "_LEVEL", 0)  # compressing takes longer than all the rest
        packed = pack_environment(tmp_path_factory.mktemp("environment"))
    yield packed
    packed.unlink()  # 1 GB, which pytest would keep for three sessions


@pytest.fixture
def scratch(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "scratch, of 'a job'"
    folder.mkdir()
    yield folder
    shutil.rmtree(folder)


def on_node(script: str, scratch: Path, python: str) -> subprocess.CompletedProcess[str]:
    """Run lines of shell with nothing of this environment."""
    known = ["env", "-i", f"python={python}", f"scratch={scratch}", f"HOME={scratch}", "PATH=/usr/bin:/bin"]
    return subprocess.run(
        [*known, "KERAS_BACKEND=jax", "JAX_PLATFORMS=cpu", "sh", "-euc", script],
        cwd=scratch,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
def test_environment_works_where_nothing_is_installed(archive: Path, scratch: Path) -> None:
    (scratch / "real.py").write_text(REAL)
    (scratch / "unit.json").write_text(json.dumps(WorkUnit("a", "no_function", {}, scratch).to_json()))
    unpacked = on_node(unpack_lines(str(archive)), scratch, node_python())
    assert unpacked.returncode == 0, unpacked.stderr

    found = f'export PYTHONPATH="$scratch/env/{environment._LIBRARY}"\n"$python" -S -P '
    done = on_node(found + "real.py", scratch, node_python())
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.strip()).is_relative_to(scratch / "env")
    worker = on_node(found + "-m townsend.worker unit.json", scratch, node_python())
    assert worker.returncode == 2
    assert "function of a work unit must be registered" in worker.stderr


@pytest.mark.slow
def test_environment_holds_what_is_needed(archive: Path) -> None:
    with tarfile.open(archive) as tar:
        members = tar.getmembers()
    names = [member.name for member in members]
    assert names == sorted(set(names))
    assert all(member.isreg() and member.mtime == member.uid == 0 for member in members)
    assert all(name.startswith("lib/") and ".." not in name and "__pycache__" not in name for name in names)
    assert not any(name.endswith((".pth", ".pyc")) for name in names)
    assert {"lib/townsend/worker.py", "lib/townsend/engines/sites/htcondor.yaml", "lib/typing_extensions.py"} <= set(
        names
    )
    assert any(name.startswith("lib/townsend-") and name.endswith("/entry_points.txt") for name in names)
    assert any(name.startswith("lib/numpy.libs/") for name in names)
    roots = {name.split("/")[1] for name in names}
    assert not {"pytest", "mypy", "hypothesis", "torch"} & roots


def test_another_python_is_named(tmp_path: Path) -> None:
    other = tmp_path / "python"
    other.write_text('#!/bin/sh\ncase "$1" in -V) echo Python 2.7.5 ;; *) exit 1 ;; esac\n')
    other.chmod(0o755)
    for python, seen in ((str(other), "Python 2.7.5"), (str(tmp_path / "none"), "not found")):
        done = on_node(unpack_lines("environment.tar.gz"), tmp_path, python)
        assert done.returncode == 2
        assert f"python must be {MINOR} on the jobs' machines" in done.stderr
        assert f"got {python}: " in done.stderr
        assert seen in done.stderr
    assert not (tmp_path / "env").exists()


def test_archive_depends_on_names_contents_and_what_is_a_program_alone(tmp_path: Path) -> None:
    (tmp_path / "x").write_text("x")
    (tmp_path / "y").write_text("x")
    (tmp_path / "y").chmod(0o700)
    environment._write(tmp_path / "one.tar.gz", {"a": tmp_path / "x", "b": tmp_path / "x"})
    environment._write(tmp_path / "two.tar.gz", {"b": tmp_path / "x", "a": tmp_path / "x"})
    environment._write(tmp_path / "three.tar.gz", {"b": tmp_path / "y", "a": tmp_path / "x"})
    one, two, three = ((tmp_path / f"{name}.tar.gz").read_bytes() for name in ("one", "two", "three"))
    assert one == two != three


# ---- which distributions


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    return folder


def install(site: Path, name: str, *requires: str, **files: str) -> None:
    """Make a distribution of one module."""
    (site / f"{name}.py").write_text("")
    metadata = site / f"{name}-1.0.dist-info"
    metadata.mkdir()
    lines = [f"Requires-Dist: {text}" for text in requires]
    written = {"METADATA": "\n".join(["Metadata-Version: 2.1", f"Name: {name}", "Version: 1.0", *lines, ""])}
    written |= {inner.replace("__", "."): text for inner, text in files.items()}
    for inner, text in written.items():
        (metadata / inner).write_text(text)
    if "RECORD" not in files:
        listed = [f"{name}.py", "../bin/script", f"{name}.pth", *(f"{metadata.name}/{inner}" for inner in written)]
        (metadata / "RECORD").write_text("\n".join(f"{one},," for one in listed) + "\n")


def names(*wanted: str) -> list[str]:
    return [one.name for one in environment._closure(wanted)]


def test_requirements_are_followed_with_markers_and_extras(site: Path) -> None:
    install(site, "aaa", "bbb[more]>=1", 'ccc; python_version < "3"', 'ddd; extra == "some"', "BBB")
    install(site, "bbb", 'eee; extra == "more"', 'ccc; extra == "less"', "aaa")
    install(site, "ddd")
    install(site, "eee")
    assert names("aaa") == ["aaa", "bbb", "eee"]
    assert names("aaa[some]") == ["aaa", "bbb", "ddd", "eee"]
    assert names("bbb") == ["aaa", "bbb", "eee"]


def test_tasks_of_others_travel_too(site: Path) -> None:
    install(site, "calorimeter", entry_points__txt="[townsend.tasks]\nhits = calorimeter:task\n")
    assert environment._plug_ins() == ["calorimeter", "townsend"]
    found = dict(environment._installed_files(environment._closure(["calorimeter"])))
    assert set(found) == {
        "calorimeter.py",
        *(f"calorimeter-1.0.dist-info/{one}" for one in ("METADATA", "entry_points.txt")),
    }


def test_archive_is_packed_once_until_something_changes(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(site, "small")
    source = tmp_path / "worker.py"
    source.write_text("1")
    monkeypatch.setattr(environment, "_OWN", "small")
    monkeypatch.setattr(environment, "_own_files", lambda: [("small/worker.py", source)])
    first = pack_environment(tmp_path / "jobs")
    stamp = first.stat().st_mtime_ns
    assert pack_environment(tmp_path / "jobs") == first
    assert first.stat().st_mtime_ns == stamp
    source.write_text("2")
    record = site / "small-1.0.dist-info" / "RECORD"
    second = pack_environment(tmp_path / "jobs")
    record.write_text(record.read_text() + "small_too.py,,\n")
    third = pack_environment(tmp_path / "jobs")
    assert {first, second, third} == set((tmp_path / "jobs").iterdir())
    assert len({first, second, third}) == 3


def test_what_cannot_travel_is_refused(site: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"nowhere must be installed to travel with jobs \(it is not\)"):
        pack_environment(tmp_path / "jobs", ["nowhere"])
    install(site, "linked", direct_url__json='{"dir_info": {"editable": true}, "url": "file:///x"}')
    with pytest.raises(InputError, match=r"linked must be installed by pip .* linked to its sources"):
        pack_environment(tmp_path / "jobs", ["linked"])
    install(site, "unlisted", RECORD="")
    (site / "unlisted-1.0.dist-info" / "RECORD").unlink()
    with pytest.raises(InputError, match=r"unlisted must be installed by pip .* no list of its files"):
        pack_environment(tmp_path / "jobs", ["unlisted"])
    assert not (tmp_path / "jobs").exists()
