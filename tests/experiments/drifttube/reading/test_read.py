"""Files of other programs as a sample: what comes back, in what pieces, and that the same command goes on."""

from __future__ import annotations

import json
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from townsend.api import read
from townsend.errors import InputError
from townsend.experiments.drifttube.reading import foreign as foreign_module
from townsend.experiments.drifttube.reading.layouts import ReadSettings
from townsend.experiments.drifttube.reading.write import write_littlepi, write_sciencedb
from townsend.experiments.drifttube.simulation import sample_folder
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import single_electron_response
from townsend.sample.reader import read_sample, sample_fingerprint

FIRST, SECOND = "primary-secondary-noise", "noise-primary-secondary"
CLOCK = ReadSettings(t0_ns=224.0, max_drift_ns=180.0, sampling_rate_GHz=1.0)


@pytest.fixture
def written(simulated, tmp_path):
    write_littlepi(simulated, tmp_path / "a.root")
    write_sciencedb(simulated, tmp_path / "b.root", momentum_GeV=10.0)
    return {"littlepi": (tmp_path / "a.root", FIRST), "sciencedb": (tmp_path / "b.root", SECOND)}


@pytest.mark.parametrize("name", ["littlepi", "sciencedb"])
def test_what_we_write_comes_back(name, written, simulated, tmp_path):
    path, tags = written[name]
    found = read_sample(read([path], tmp_path / "mc", format=name, tags=tags, settings=CLOCK))
    assert np.abs(found.millivolts() - simulated.millivolts()).max() <= 0.51e3 * found.volts_per_count
    assert found.volts_per_count <= simulated.volts_per_count  # the finest step that holds the largest sample
    assert (found.sampling_rate_ghz, found.t0_ns, found.max_drift_ns) == (1.0, 224.0, 180.0)
    assert found.event.tolist() == list(range(60))
    assert set(found.run.tolist()) == {-1}
    assert found.provenance.kind == f"read {name}"
    assert list(found.provenance.sources) == [path.name]
    assert found.provenance.seed is None
    off_ns = ak.to_numpy(ak.flatten(found.truth.electron_time_ns)) - ak.to_numpy(
        ak.flatten(simulated.truth.electron_time_ns)
    )
    assert np.abs(off_ns).max() <= 0.5 + 1e-3  # half a sample
    held = ak.sum(simulated.truth.cluster_size > 0, axis=1)
    assert ak.num(found.truth.cluster_size).to_list() == held.to_list()


def test_the_delay_is_found_in_the_waveforms(written, simulated, tmp_path):
    found = read_sample(read([written["littlepi"][0]], tmp_path / "mc", format="littlepi", tags=FIRST))
    true_ns = single_electron_response(DriftTubeSettings()).delay_ns
    assert found.provenance.settings["delay_ns"] == pytest.approx(true_ns, abs=0.5)


def test_the_delay_of_signals_that_go_down_is_the_same(simulated, tmp_path):
    """Files of the public layouts may hold either; ours go up, so their samples are turned here."""
    found = {}
    for name, sign in (("up", 1), ("down", -1)):
        write_littlepi(replace(simulated, polarity=sign), tmp_path / f"{name}.root")
        settings = ReadSettings(polarity=sign)
        folder = read([tmp_path / f"{name}.root"], tmp_path / name, format="littlepi", tags=FIRST, settings=settings)
        found[name] = read_sample(folder)
    assert np.array_equal(found["up"].millivolts(), found["down"].millivolts())
    assert found["down"].provenance.settings["delay_ns"] == found["up"].provenance.settings["delay_ns"]


def test_a_delay_that_is_given_is_taken(written, tmp_path):
    settings = ReadSettings(delay_ns=2.5)
    found = read_sample(
        read([written["littlepi"][0]], tmp_path / "mc", format="littlepi", tags=FIRST, settings=settings)
    )
    assert found.provenance.settings["delay_ns"] == 2.5


def test_scale_and_polarity_are_those_that_are_said(foreign, tmp_path):
    settings = ReadSettings(volts_per_unit=1e-3, polarity=-1, check_tags=False)
    found = read_sample(read([foreign()], tmp_path / "mc", format="littlepi", tags=FIRST, settings=settings))
    assert found.millivolts()[0] == pytest.approx(-np.sin(np.arange(40)), abs=1e-4)
    assert found.polarity == -1
    assert np.isnan([found.t0_ns, found.max_drift_ns]).all()


def test_waveforms_without_listed_arrivals_are_data(foreign, tmp_path):
    path = foreign(time=None, tag=None)
    found = read_sample(read([path], tmp_path / "mc", format="littlepi"))
    assert found.truth is None
    assert found.provenance.settings["delay_ns"] is None


def test_pieces_and_shards_do_not_change_what_is_read(written, simulated, tmp_path, monkeypatch):
    path, tags = written["littlepi"]
    whole = read_sample(read([path], tmp_path / "whole", format="littlepi", tags=tags))
    monkeypatch.setattr(sample_folder, "SHARD", 25)
    monkeypatch.setattr(foreign_module, "_STEP_BYTES", 8 * 1024 * 7)
    monkeypatch.setattr(foreign_module, "_FIRST", 3)
    cut = read([path], tmp_path / "cut", format="littlepi", tags=tags)
    assert len(list(cut.glob("waveforms-*.root"))) == 3
    found = read_sample(cut)
    assert np.array_equal(found.samples, whole.samples)
    for name, value in vars(whole.truth).items():
        assert ak.array_equal(value, getattr(found.truth, name), equal_nan=True), name


def test_files_follow_one_another(written, simulated, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_folder, "SHARD", 40)
    write_littlepi(simulated[:30], tmp_path / "one.root")
    (tmp_path / "other").mkdir()
    write_littlepi(simulated[30:], tmp_path / "other" / "one.root")
    files = [tmp_path / "one.root", tmp_path / "other" / "one.root"]
    found = read_sample(read(files, tmp_path / "mc", format="littlepi", tags=FIRST))
    whole = read_sample(read([written["littlepi"][0]], tmp_path / "whole", format="littlepi", tags=FIRST))
    assert np.array_equal(found.samples, whole.samples)
    assert list(found.provenance.sources) == ["one.root (1)", "one.root (2)"]


def test_the_same_command_goes_on_and_another_is_refused(written, simulated, tmp_path, monkeypatch):
    monkeypatch.setattr(sample_folder, "SHARD", 25)
    path, tags = written["littlepi"]
    folder = read([path], tmp_path / "mc", format="littlepi", tags=tags)
    before = sample_fingerprint(folder)
    kept = (folder / "waveforms-00000.root").stat().st_mtime_ns
    (folder / "waveforms-00001.root").write_bytes(b"torn")
    (folder / "waveforms-00002.root").unlink()
    (folder / ".waveforms-00002.1a2b.root").write_text("half")
    seen: list[tuple[str, int, int | None]] = []
    read([path], folder, format="littlepi", tags=tags, progress=lambda *told: seen.append(told))
    assert sample_fingerprint(folder) == before
    assert (folder / "waveforms-00000.root").stat().st_mtime_ns == kept
    assert seen[0] == ("writing", 25, 60)  # looked through once, not again
    assert seen[-1] == ("writing", 60, 60)
    assert not list(folder.glob(".*"))
    with pytest.raises(InputError, match=r"same files read in the same way \(it holds littlepi files a\.root"):
        read([path], folder, format="littlepi", tags=tags, settings=ReadSettings(polarity=-1))
    write_littlepi(simulated[:20], path)
    with pytest.raises(InputError, match="same files read in the same way"):
        read([path], folder, format="littlepi", tags=tags)


def test_a_folder_with_something_else_is_left_alone(written, tmp_path):
    (tmp_path / "mc").mkdir()
    (tmp_path / "mc" / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"holds thesis\.tex"):
        read([written["littlepi"][0]], tmp_path / "mc", format="littlepi", tags=FIRST)
    assert [path.name for path in (tmp_path / "mc").iterdir()] == ["thesis.tex"]


def test_a_description_that_was_spoilt_is_named(written, tmp_path):
    path, tags = written["littlepi"]
    folder = read([path], tmp_path / "mc", format="littlepi", tags=tags)
    description = json.loads((folder / "read.json").read_text())
    (folder / "read.json").write_text(json.dumps({**description, "facts": {"entries": "many"}}))
    with pytest.raises(InputError, match=r"read\.json of the folder must be as townsend wrote it"):
        read([path], folder, format="littlepi", tags=tags)


def test_settings_of_another_format_are_refused(written, tmp_path):
    with pytest.raises(InputError, match=r"settings must be ReadSettings for littlepi \(got DriftTubeSettings\)"):
        read([written["littlepi"][0]], tmp_path / "mc", format="littlepi", tags=FIRST, settings=DriftTubeSettings())
