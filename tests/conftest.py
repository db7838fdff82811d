"""What tests share: where the reference files and the real data are, and one way to run for everybody."""

from __future__ import annotations

import logging
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

# Before anything imports Keras, JAX or matplotlib: tests mean the same whatever the user has set.
os.environ["KERAS_BACKEND"] = "jax"
os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["MPLBACKEND"] = "Agg"

sys.path += [str(Path(__file__).parent / folder) for folder in ("toys", "farms")]  # modules that tests share

import pytest
from engine_here import open_engine_here
from hypothesis import settings

DRIFTTUBE = Path(str(files("townsend"))) / "experiments" / "drifttube"

settings.register_profile("townsend", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("townsend")

# Files that take longest, first: one that begins last would have the other processes of `make test` wait for it.
LONGEST_FIRST = (
    "farms/test_equal_to_local.py",
    "farms/test_faults.py",
    "farms/test_commands.py",
    "sweep/test_killed_checkpoints.py",
    "training/test_keras_trainer.py",
    "training/test_epochs.py",
    "test_end_to_end.py",
    "test_counting_end_to_end.py",
    "farms/test_engines.py",
    "sweep/test_coordinator.py",
    "experiments/drifttube/reconstruction/test_reconstruct.py",
    "training/test_interruption.py",
    "networks/test_choices.py",
    "sweep/test_killed_sweeps.py",
    "engines/test_environment.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort files, and leave the tests of each in their order."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONGEST_FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(places)))


@pytest.fixture(autouse=True)
def _default_log() -> Iterator[None]:
    """Take back what `set_logging` does, which the command line calls, so that no test hears of another."""
    logger = logging.getLogger("townsend")
    level, propagate, handlers = logger.level, logger.propagate, list(logger.handlers)
    yield
    logger.setLevel(level)
    logger.propagate = propagate
    logger.handlers[:] = handlers


@pytest.fixture(scope="session")
def reference() -> Path:
    """Folder of reference files; `PROVENANCE.md` in it says what they are."""
    return DRIFTTUBE / "reference"


@pytest.fixture(scope="session")
def tables() -> Path:
    """Folder of the tables of Heed and Magboltz that the simulation reads; it has a `PROVENANCE.md` too."""
    return DRIFTTUBE / "simulation" / "tables"


@pytest.fixture(scope="session")
def real_traces() -> Path:
    """Oscilloscope traces of real drift tubes, outside the repository."""
    folder = os.environ.get("TOWNSEND_DATA")
    if not folder:
        pytest.skip("real data: set TOWNSEND_DATA to the folder that holds drift_tube_traces.npz")
    path = Path(folder) / "drift_tube_traces.npz"
    if not path.is_file():
        pytest.skip(f"real data: no drift_tube_traces.npz in TOWNSEND_DATA={folder}")
    return path


@pytest.fixture(scope="module")
def toy_tasks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Install the tasks of `toys/` for the tests of this module and the processes they start."""
    information = tmp_path_factory.mktemp("site") / "townsend_toys-0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: townsend-toys\nVersion: 0\n")
    points = "[townsend.tasks]\nbump = toy_task:task\nspikes = toy_regression:task\n"
    (information / "entry_points.txt").write_text(points)
    with pytest.MonkeyPatch.context() as patch:
        for folder in (Path(__file__).parent / "toys", information.parent):
            patch.syspath_prepend(str(folder))
            patch.setenv("PYTHONPATH", str(folder), prepend=os.pathsep)
        yield


@pytest.fixture
def bump_sample(tmp_path: Path, toy_tasks: None) -> Path:
    """Sample of the task `bump` (`toys/toy_task.py`)."""
    sample = tmp_path / "sample"
    sample.mkdir()
    (sample / "bump.json").write_text('{"height": 3.0}')
    return sample


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    status: int
    out: str
    err: str


@pytest.fixture
def townsend(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Ended]:
    """Run a command in this process, as `townsend ARGUMENTS` would; the terminal is none."""
    from townsend.cli import main

    def run(*arguments: object) -> Ended:
        monkeypatch.setattr(sys, "argv", ["townsend", *map(str, arguments)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        return Ended(int(end.value.code or 0), said.out, said.err)

    return run


@pytest.fixture
def engine_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sweeps train in this process, Reconstructions count and skims cut."""
    monkeypatch.setattr("townsend.sweep.coordinator.open_engine", open_engine_here)
    monkeypatch.setattr("townsend.experiments.drifttube.reconstruction.run.open_engine", open_engine_here)
    monkeypatch.setattr("townsend.experiments.table.skim.open_engine", open_engine_here)


TINY_SWEEP = """\
task: drifttube-peaks
epochs: 2
patience: 2
bracket_size: 1
task_settings: {windows: 200, validation_waveforms: 20, test_waveforms: 20}
space:
  optimizer: [adam]
  learning_rate: [0.03, 0.05]
  activations: [relu sigmoid]
  topology: [3 4 1]
  batch_size: [50]
  dropout: [0.0]
"""


@pytest.fixture
def tiny_yaml(tmp_path: Path) -> Path:
    """Sweep of two configurations in two brackets, without the name of a sample."""
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY_SWEEP)
    return path


@pytest.fixture(scope="session")
def tiny_sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A hundred and twenty simulated waveforms with truth; not to be changed."""
    from townsend.api import simulate_drifttube
    from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings

    return simulate_drifttube(120, tmp_path_factory.mktemp("tiny") / "mc", DriftTubeSettings(seed=5))


@pytest.fixture(scope="session")
def tiny_run(tiny_sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished sweep of `tiny_yaml` on `tiny_sample`; not to be changed."""
    from townsend.api import sweep
    from townsend.sweep.settings import load_sweep

    folder = tmp_path_factory.mktemp("tiny")
    (folder / "tiny.yaml").write_text(TINY_SWEEP)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("townsend.sweep.coordinator.open_engine", open_engine_here)
        return sweep(load_sweep(folder / "tiny.yaml", {"sample": str(tiny_sample)}), folder / "run")


@pytest.fixture(scope="session")
def tiny_model(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The best network of `tiny_run`; not to be changed."""
    from townsend.api import choose

    return choose(tiny_run, tmp_path_factory.mktemp("tiny") / "model")


Refused = Callable[..., str]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, but for the lease, in which its holder's heart beats."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "coordinator.lease")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def _one_sentence(error: str) -> str:
    """The sentence in what a command wrote to stderr, which holds nothing else."""
    assert error.startswith("townsend: "), error
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error.removeprefix("townsend: ").strip()


@pytest.fixture
def refused(townsend: Callable[..., Any], tmp_path: Path) -> Refused:
    """Run a command that must be refused; return its sentence.

    Nothing below `tmp_path` may have changed, and only below `new` may anything whole have been added.
    """

    def check(*arguments: object, new: Path | None = None) -> str:
        before = contents(tmp_path)
        ended = townsend(*arguments)
        assert ended.status == 2, ended
        sentence = _one_sentence(ended.err)
        after = contents(tmp_path)
        assert {name: after.get(name) for name in before} == before, "a good file was changed or removed"
        added = [tmp_path / name for name in after if name not in before]
        assert [path for path in added if new is None or not path.is_relative_to(new)] == [], "left behind"
        assert [path for path in added if path.name.startswith(".")] == [], "half-written"
        return sentence

    return check


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished sweep that a test may spoil."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


@pytest.fixture
def one_sentence() -> Callable[[str], str]:
    """The sentence in what a command wrote to stderr, which must hold nothing else."""
    return _one_sentence
