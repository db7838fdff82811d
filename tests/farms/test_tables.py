"""A skim on a farm leaves what it leaves on this machine; also where files travel with the jobs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import uproot
from a_farm import Farm

from townsend.api import simulate_gluex, skim
from townsend.engines.ledger import read_jobs
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.table.settings import load_table
from townsend.files import write_text

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

PARTS = 3
TABLE = """\
files: part-*.root
tree: tracks
cuts: [p > 1, dE_FCAL / p < 1.5]
features: {p: p, ep: dE_FCAL / p}
weight: p - 2
classes: {pion: label == 0, electron: label == 1}
"""


def test_a_skim_on_a_farm_is_that_of_this_machine(farm: Farm, tmp_path: Path) -> None:
    for number in range(PARTS):
        made = simulate_gluex(500, tmp_path / f"mc-{number}", GluexSettings(seed=number + 1))
        (made / "tracks-00000.root").rename(tmp_path / f"part-{number}.root")
    write_text(tmp_path / "table.yaml", TABLE)
    skim(load_table(tmp_path / "table.yaml"), tmp_path / "here", jobs=1)
    travelling = {"shared_files": False} if farm.name == "htcondor" else {}
    site = farm.write_site(tmp_path, **travelling)
    farm.townsend("skim", "table.yaml", "-o", tmp_path / "there", "--engine", site, folder=tmp_path)
    assert len(read_jobs(tmp_path / "there")) == PARTS
    for name in ("cutflow.csv", "cutflow.json", "table.yaml"):
        assert (tmp_path / "there" / name).read_bytes() == (tmp_path / "here" / name).read_bytes(), name
    for number in range(PARTS):
        ours, theirs = (
            uproot.open(tmp_path / place / f"skim-{number:05d}.root")["events"].arrays(library="np")
            for place in ("here", "there")
        )
        assert list(ours) == list(theirs)
        for name, values in ours.items():
            np.testing.assert_array_equal(values, theirs[name], err_msg=name)
