"""ROOT itself opens our files, and writes one for us that we read.

It runs in a process of its own, in the Python of `TOWNSEND_ROOT_PYTHON` or, where the extra `root` is installed, in
this one; skipped where there is neither. A Python that is named and has no ROOT is a failure.
"""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.api import read
from townsend.experiments.drifttube.reading.write import write_littlepi, write_sciencedb
from townsend.sample.reader import read_sample
from townsend.sample.root_io import write_root

OPENS = """
import json, sys, warnings

warnings.simplefilter("ignore")  # an alpha release says so
import ROOT

ROOT.gROOT.SetBatch(True)
folder = sys.argv[1]
seen = {"version": ROOT.__version__}

file = ROOT.TFile.Open(f"{folder}/ours.root")
tree = file.Get("waveforms")
tree.GetEntry(7)
seen["ours"] = {
    "entries": tree.GetEntries(),
    "sample": int(tree.samples[300]),
    "event": int(tree.event),
    "electrons": [float(time) for time in tree.electron_time_ns],
    "facts": json.loads(file.Get("townsend").GetString().Data()),
    "zombie": bool(file.IsZombie()),
}

for name, tree_name in (("littlepi", "signal"), ("sciencedb", "sim")):
    file = ROOT.TFile.Open(f"{folder}/{name}.root")  # a tree lives as long as its file
    tree = file.Get(tree_name)
    tree.GetEntry(7)
    seen[name] = {
        "entries": tree.GetEntries(),
        "wave": [float(volt) for volt in tree.wf_i],
        "tags": [int(tag) for tag in tree.tag],
        "rate": float(tree.sampling_rate),
    }
    seen[name]["ncls"] = int(tree.ncls) if name == "sciencedb" else None

frame = ROOT.RDataFrame("signal", f"{folder}/littlepi.root")
for column, kind in (("wf_i", "double"), ("time", "double"), ("tag", "int")):
    frame = frame.Redefine(column, f"std::vector<{kind}>({column}.begin(), {column}.end())")
frame.Snapshot("signal", f"{folder}/vectors.root", ["wf_i", "time", "tag", "sampling_rate"])

file = ROOT.TFile.Open(f"{folder}/vectors.root")
tree = file.Get("signal")
wave = ROOT.std.vector["double"]()
tree.SetBranchAddress("wf_i", wave)
tree.GetEntry(7)
seen["vectors"] = {"class": tree.GetBranch("wf_i").GetClassName(), "wave": [float(volt) for volt in wave]}
print(json.dumps(seen))
"""


def root_python() -> str:
    named = os.environ.get("TOWNSEND_ROOT_PYTHON")
    if named:
        return named
    if importlib.util.find_spec("ROOT") is None:
        pytest.skip("no ROOT: pip install 'townsend[root]', or name a Python with it in TOWNSEND_ROOT_PYTHON")
    return sys.executable


@pytest.fixture(scope="module")
def folder(simulated: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("root")
    write_root(simulated, place / "ours.root")
    write_littlepi(simulated, place / "littlepi.root")
    write_sciencedb(simulated, place / "sciencedb.root", momentum_GeV=10.0)
    return place


@pytest.fixture(scope="module")
def seen(folder: Path) -> Any:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    command = [root_python(), "-c", OPENS, str(folder)]
    ended = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=250, check=False)
    assert ended.returncode == 0, ended.stderr[-2000:]
    return json.loads(ended.stdout.splitlines()[-1])


@pytest.mark.root
def test_root_opens_what_write_root_writes(seen: Any, simulated: Any) -> None:
    ours = seen["ours"]
    assert not ours["zombie"]
    assert ours["entries"] == 60
    assert ours["sample"] == simulated.samples[7, 300]
    assert ours["event"] == simulated.event[7]
    assert ours["electrons"] == pytest.approx(simulated.truth.electron_time_ns[7].to_list())
    assert ours["facts"]["volts_per_count"] == simulated.volts_per_count
    assert ours["facts"]["provenance"]["seed"] == 3


@pytest.mark.root
@pytest.mark.parametrize("name", ["littlepi", "sciencedb"])
def test_root_opens_what_we_write_in_public_layouts(name: str, seen: Any, simulated: Any) -> None:
    found = seen[name]
    assert (found["entries"], found["rate"]) == (60, 1.0)
    assert found["wave"] == pytest.approx((simulated.samples[7] * simulated.volts_per_count).tolist())
    clusters = int(np.count_nonzero(simulated.truth.cluster_size[7].to_numpy()))
    assert found["tags"].count(0 if name == "littlepi" else 1) == clusters
    assert found["ncls"] == (None if name == "littlepi" else clusters)


@pytest.mark.root
def test_vectors_that_root_writes_are_read(seen: Any, folder: Path, simulated: Any, tmp_path: Path) -> None:
    assert seen["vectors"]["class"] == "vector<double>"
    assert seen["vectors"]["wave"] == seen["littlepi"]["wave"]
    ours, theirs = (
        read_sample(read([folder / f"{name}.root"], tmp_path / name, format="littlepi", tags="primary-secondary-noise"))
        for name in ("littlepi", "vectors")
    )
    assert np.array_equal(ours.samples, theirs.samples)
    assert ours.truth is not None
    assert theirs.truth is not None
    assert ours.truth.electron_time_ns.to_list() == theirs.truth.electron_time_ns.to_list()
    assert len(theirs) == len(simulated)
