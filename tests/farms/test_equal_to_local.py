"""A sweep, a simulation and a reconstruction on a farm leave what they leave on this machine."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np
import pytest
from a_farm import Farm
from hand_made import write_clusteriser, write_finder

from townsend.engines.ledger import read_jobs
from townsend.experiments.drifttube.reconstruction.output import read_reconstructed
from townsend.sample.reader import sample_files
from townsend.sample.root_io import read_root
from townsend.sweep.board import board, comparable
from townsend.sweep.records import read_weights
from townsend.training.records import Outcome

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(600),
    # Keras asks NumPy for arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

SHARDS = 20
SHARD = 2000  # waveforms, as `townsend simulate` writes them
NETWORKS = """\
task: drifttube-peaks
network: dense
epochs: 2
patience: 2
bracket_size: 10
halving: {least: 1, factor: 2}
task_settings: {windows: 200, validation_waveforms: 20, test_waveforms: 20}
space:
  optimizer: [adam]
  learning_rate: [0.01, 0.02, 0.03, 0.05, 0.1]
  activations: [relu sigmoid, tanh sigmoid]
  layers: ["4"]
  batch_size: [50, 100]
  dropout: [0.0, 0.1]
"""
QUICK = """\
task: farm
epochs: 8
bracket_size: 10
halving: {least: 2, factor: 2}
space:
  optimizer: [adam, sgd]
  learning_rate: [0.01, 0.02, 0.03, 0.05, 0.1]
  activations: [relu sigmoid, tanh sigmoid]
  topology: [3 4 1]
  batch_size: [50]
  dropout: [0.0, 0.1]
"""
SIMULATE = ("simulate", "drifttube", "-n", SHARDS * SHARD, "--seed", 7)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory, toys: dict[str, str]) -> Path:
    """Folder with what the three commands read, and what they leave on this machine."""
    place = tmp_path_factory.mktemp("equal")
    for name, text in (("networks", NETWORKS), ("quick", QUICK)):
        (place / f"{name}.yaml").write_text(text)
    townsend("simulate", "drifttube", "-n", 120, "--seed", 5, "-o", "mc", folder=place)
    for number in range(SHARDS):
        townsend_parts(place, number)
    finder = write_finder(place / "finder")
    write_clusteriser(place / "clusteriser", finder)
    townsend("simulate", "drifttube", "-n", 200, "--seed", 103, "--impact", "uniform", "-o", "cal", folder=place)
    townsend("assemble", "finder", "clusteriser", "--calibrate", "cal", "-o", "reco", "--jobs", 1, folder=place)
    townsend("sweep", "networks.yaml", "--sample", "mc", "-o", "networks", "--jobs", 1, folder=place)
    (place / "bump").mkdir()
    (place / "bump" / "bump.json").write_text('{"height": 1.0}')
    townsend("sweep", "quick.yaml", "--sample", "bump", "-o", "quick", "--jobs", 1, folder=place, variables=toys)
    townsend(*SIMULATE, "-o", "simulated", "--jobs", 1, folder=place)
    townsend("reconstruct", "reco", *parts(), "-o", "counted", "--jobs", 1, folder=place)
    return place


def townsend(*arguments: object, folder: Path, variables: Mapping[str, str] = MappingProxyType({})) -> None:
    words = [sys.executable, "-m", "townsend", *map(str, arguments)]
    given = {**os.environ, **variables}
    done = subprocess.run(words, cwd=folder, env=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{arguments}\n{done.stdout}\n{done.stderr}"


def townsend_parts(place: Path, number: int) -> None:
    """Write an input file of its own for each shard of the reconstruction."""
    from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
    from townsend.experiments.drifttube.simulation.simulate import simulate_shard

    simulate_shard(DriftTubeSettings(seed=9), 10 * number, 10 * number + 10, place / f"part-{number:02d}.root")


def parts() -> list[str]:
    return [f"part-{number:02d}.root" for number in range(SHARDS)]


def test_sweep_of_forty_trials(farm: Farm, place: Path, tmp_path: Path) -> None:
    check_sweep(farm, place, tmp_path, "quick", "bump", shared_files=True)


def test_sweep_of_forty_networks_whose_files_travel(htcondor: Farm, place: Path, tmp_path: Path) -> None:
    keras = replace(htcondor, variables={})  # the toys' trainer would take its place
    check_sweep(keras, place, tmp_path, "networks", "mc", shared_files=False)


def check_sweep(farm: Farm, place: Path, tmp_path: Path, what: str, sample: str, *, shared_files: bool) -> None:
    site = farm.write_site(tmp_path, request_memory="2GB", shared_files=shared_files)
    farm.townsend("sweep", f"{what}.yaml", "--sample", sample, "-o", tmp_path / "run", "--engine", site, folder=place)
    theirs, ours = board(tmp_path / "run"), board(place / what)
    assert len(ours.rows) == 40
    assert {row.outcome for row in ours.rows} == {Outcome.FINISHED, Outcome.PRUNED}
    assert comparable(theirs) == comparable(ours)
    for row in ours.rows:
        if row.outcome.usable:
            for one, other in zip(
                read_weights(tmp_path / "run", row.trial), read_weights(place / what, row.trial), strict=True
            ):
                np.testing.assert_array_equal(one, other)
    brackets = len(list((place / what / "records").glob("*.json")))
    assert [job.how for job in read_jobs(tmp_path / "run")] == ["done"] * brackets


def test_simulation_of_twenty_shards(farm: Farm, place: Path, tmp_path: Path) -> None:
    site = farm.write_site(tmp_path, request_memory="1GB")
    farm.townsend(*SIMULATE, "-o", tmp_path / "mc", "--engine", site, folder=tmp_path)
    theirs, ours = sample_files(tmp_path / "mc"), sample_files(place / "simulated")
    assert [path.name for path in theirs] == [path.name for path in ours]
    assert len(ours) == len(read_jobs(tmp_path / "mc")) == SHARDS
    for one, other in zip(theirs, ours, strict=True):
        left, right = read_root(one), read_root(other)
        np.testing.assert_array_equal(left.samples, right.samples)
        assert left.provenance == right.provenance


def test_reconstruction_of_twenty_shards(farm: Farm, place: Path, tmp_path: Path) -> None:
    site = farm.write_site(tmp_path, request_memory="2GB")
    farm.townsend("reconstruct", "reco", *parts(), "-o", tmp_path / "out", "--engine", site, folder=place)
    assert len(read_jobs(tmp_path / "out")) == SHARDS
    theirs, ours = read_reconstructed(tmp_path / "out"), read_reconstructed(place / "counted")
    for name, column in vars(ours).items():
        if name not in ("folder", "summary"):
            np.testing.assert_array_equal(getattr(theirs, name), column, err_msg=name)
    assert theirs.summary == ours.summary
