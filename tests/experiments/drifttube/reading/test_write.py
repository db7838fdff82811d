"""Our waveforms in the public layouts: branches, tags and noise entries."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot

from townsend.errors import InputError
from townsend.experiments.drifttube.reading.write import write_littlepi, write_sciencedb


@pytest.fixture
def littlepi(simulated, tmp_path):
    write_littlepi(simulated, tmp_path / "a.root")
    with uproot.open(tmp_path / "a.root") as file:
        yield file["signal"]


def test_littlepi_has_its_branches(littlepi, simulated):
    assert littlepi.num_entries == len(simulated)
    assert {name: branch.typename for name, branch in littlepi.items()} == {
        "nwf_i": "int32_t",
        "wf_i": "double[]",
        "ntime": "int32_t",
        "time": "double[]",
        "ntag": "int32_t",
        "tag": "int32_t[]",
        "sampling_rate": "double",
    }
    volts = simulated.samples[7] * simulated.volts_per_count
    assert littlepi["wf_i"].array()[7].to_numpy() == pytest.approx(volts, abs=1e-12)
    assert set(littlepi["sampling_rate"].array().to_list()) == {1.0}


def test_each_cluster_has_one_primary_the_electron_that_arrives_first(littlepi, simulated):
    truth = simulated.truth
    time, tag = littlepi["time"].array(), littlepi["tag"].array()
    for i in range(len(simulated)):
        first: dict[int, float] = {}
        for at, cluster in zip(truth.electron_time_ns[i], truth.electron_cluster[i], strict=True):
            first.setdefault(cluster, at)
        expected = sorted(np.rint(list(first.values())).tolist())
        assert sorted(time[i][tag[i] == 0].to_list()) == expected
        assert np.count_nonzero(tag[i] < 2) == len(truth.electron_time_ns[i])


def test_noise_is_every_other_bump(littlepi, simulated):
    wave = simulated.millivolts()
    time, tag = ak.to_list(littlepi["time"].array()), ak.to_list(littlepi["tag"].array())
    for i in (0, 59):
        noise = {int(at) for at, kind in zip(time[i], tag[i], strict=True) if kind == 2}
        electrons = {int(at) for at, kind in zip(time[i], tag[i], strict=True) if kind < 2}
        bumps = {s for s in range(1, 1023) if wave[i, s] - wave[i, s - 1] > wave[i, s + 1] - wave[i, s]}
        assert noise == bumps - electrons
        assert time[i] == sorted(time[i])


def test_sciencedb_has_the_opposite_tags_and_counts_its_primaries(littlepi, simulated, tmp_path):
    write_sciencedb(simulated, tmp_path / "b.root", momentum_GeV=7.5)
    with uproot.open(tmp_path / "b.root") as file:
        tree = file["sim"]
        assert tree["tag"].typename == "double[]"
        assert set(tree["mom"].array().to_list()) == {7.5}
        kind = tree["tag"].array()
        assert tree["ncls"].array().to_list() == ak.sum(kind == 1, axis=1).to_list()
        ours = littlepi["tag"].array()
        for there, here in ((1, 0), (2, 1), (0, 2)):
            assert ak.all((kind == there) == (ours == here))


def test_signals_go_up_whatever_the_polarity(simulated, tmp_path):
    down = replace(simulated, samples=-simulated.samples, polarity=-1)
    write_littlepi(down, tmp_path / "down.root")
    write_littlepi(simulated, tmp_path / "up.root")
    with uproot.open(tmp_path / "down.root") as one, uproot.open(tmp_path / "up.root") as other:
        assert ak.array_equal(one["signal"]["wf_i"].array(), other["signal"]["wf_i"].array())


def test_without_truth_or_waveforms_nothing_is_written(simulated, tmp_path):
    for waveforms, got in ((replace(simulated, truth=None), "no truth"), (simulated[:0], "no waveforms")):
        with pytest.raises(InputError, match=rf"must be given simulated waveforms with truth \(got {got}\)"):
            write_littlepi(waveforms, tmp_path / "none.root")
    assert not list(tmp_path.iterdir())
