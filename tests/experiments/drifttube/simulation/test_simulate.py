"""The whole simulation: exact where chance is switched off, the same however it is cut, right on average."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest

from townsend.config import parse, resolved
from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.simulation.settings import (
    DigitizerSettings,
    DriftTubeSettings,
    NoiseSettings,
    TrackSettings,
)
from townsend.experiments.drifttube.simulation.signal import single_electron_response, superpose
from townsend.experiments.drifttube.simulation.simulate import longest_drift_ns, simulate_drifttube, simulate_waveforms
from townsend.sample.reader import read_sample
from townsend.sample.root_io import read_root

QUIET = DriftTubeSettings(noise=NoiseSettings(spectrum="none"))


@pytest.fixture(scope="module")
def sample():
    return simulate_waveforms(DriftTubeSettings(), 0, 600)


def equal(one, other):
    assert np.array_equal(one.samples, other.samples)
    for name, value in vars(one.truth).items():
        assert ak.array_equal(value, getattr(other.truth, name)), name


@pytest.mark.parametrize(("start", "stop"), [(0, 1), (249, 251), (100, 600), (250, 500)])
def test_a_track_is_the_same_in_every_cut(sample, start, stop):
    equal(simulate_waveforms(DriftTubeSettings(), start, stop), sample[start:stop])


def test_another_seed_gives_another_sample(sample):
    other = simulate_waveforms(DriftTubeSettings(seed=2), 0, 10)
    assert not np.array_equal(other.samples, sample.samples[:10])


def test_noise_does_not_change_the_truth(sample):
    equal_truth = simulate_waveforms(QUIET, 0, 50).truth
    assert ak.array_equal(equal_truth.electron_time_ns, sample.truth.electron_time_ns[:50])
    assert ak.array_equal(equal_truth.electron_charge_fC, sample.truth.electron_charge_fC[:50])


def test_without_noise_the_waveform_is_the_sum_of_its_electrons_to_half_a_count():
    quiet = simulate_waveforms(QUIET, 0, 20)
    response = single_electron_response(QUIET)
    for i in range(20):
        time_ns = ak.to_numpy(quiet.truth.electron_time_ns[i]).astype(float)
        charge = ak.to_numpy(quiet.truth.electron_charge_fC[i]).astype(float)
        exact = np.zeros((1, 1024))
        superpose(np.zeros(len(time_ns), np.int64), time_ns, charge, response.table_mV, exact)
        half_count_mV = 0.5 * quiet.volts_per_count * 1e3
        rounding_mV = 1e-3 * exact.max()  # truth is stored in single precision
        assert np.abs(quiet.millivolts()[i] - exact[0]).max() <= half_count_mV + rounding_mV


def test_polarity_flips_the_signal_and_millivolts_flips_it_back():
    down = QUIET.model_copy(update={"digitizer": DigitizerSettings(polarity=-1)})
    up_mV, down_mV = (simulate_waveforms(s, 0, 20) for s in (QUIET, down))
    assert down_mV.samples.max() <= 0 < up_mV.samples.max()
    np.testing.assert_allclose(down_mV.millivolts(), up_mV.millivolts(), atol=1.01e3 * up_mV.volts_per_count)


def test_electrons_arrive_in_order_and_within_the_drift_interval(sample):
    time_ns = sample.truth.electron_time_ns
    assert ak.all(time_ns[:, 1:] >= time_ns[:, :-1])
    assert ak.min(time_ns) >= sample.t0_ns
    assert ak.mean(time_ns <= sample.t0_ns + sample.max_drift_ns) > 0.9999


def test_clusters_and_electrons_belong_together(sample):
    truth = sample.truth
    assert ak.all(ak.sum(truth.cluster_size, axis=1) == ak.num(truth.electron_time_ns))
    assert ak.all(truth.electron_cluster >= 0)
    assert ak.all(truth.electron_cluster < ak.num(truth.cluster_size)[:, None])


def test_number_of_clusters_is_the_slides(sample):
    """18.5 from Heed at central tracks, the slides have 18.04; 600 tracks leave 0.18."""
    assert ak.mean(ak.num(sample.truth.cluster_size)) == pytest.approx(18.5, abs=0.9)


def test_arrival_times_agree_with_garfield(reference):
    """Quantiles of all arrivals, uniform beam: 3 % and 0.7 ns, about five times the error of 1,500 tracks."""
    settings = DriftTubeSettings(track=TrackSettings(impact="uniform", impact_max_cm=0.399))
    ours = simulate_waveforms(settings, 0, 1500)
    times = ak.to_numpy(ak.flatten(ours.truth.electron_time_ns)) - ours.t0_ns
    theirs = np.load(reference / "truth_mu10GeV_45deg_10000trk.npz")["el_arrival_ns"]
    levels = [0.1, 0.25, 0.5, 0.75, 0.9]
    np.testing.assert_allclose(np.quantile(times, levels), np.quantile(theirs, levels), rtol=0.03, atol=0.7)


def test_a_record_shorter_than_the_drift_is_refused():
    settings = DriftTubeSettings(digitizer=DigitizerSettings(samples=300))
    with pytest.raises(InputError, match=r"past the longest drift time \(got 76 ns after the track"):
        simulate_waveforms(settings, 0, 1)
    assert 170 < longest_drift_ns(settings) < 180


def test_settings_survive_their_file_form():
    assert parse(DriftTubeSettings, resolved(QUIET)) == QUIET


def test_an_unknown_setting_is_named_with_the_nearest():
    with pytest.raises(ConfigError, match=r'tube\.inner_radius: unknown key; did you mean "inner_radius_cm"'):
        parse(DriftTubeSettings, {"tube": {"inner_radius": 0.4}})


def test_a_wire_larger_than_the_tube_is_refused():
    with pytest.raises(ConfigError, match="wire_radius_cm must be smaller than inner_radius_cm"):
        parse(DriftTubeSettings, {"tube": {"wire_radius_cm": 0.5}})


def test_a_sample_on_disk_is_the_one_in_memory_and_goes_on(tmp_path, sample):
    simulate_drifttube(100, tmp_path / "mc", DriftTubeSettings())
    made: list[int] = []
    simulate_drifttube(600, tmp_path / "mc", DriftTubeSettings(), progress=made.append)
    equal(read_root(tmp_path / "mc" / "waveforms-00000.root"), sample)
    assert sum(made) == 600
    again = read_root(tmp_path / "mc" / "waveforms-00000.root").provenance
    assert parse(DriftTubeSettings, again.settings) == DriftTubeSettings()


def test_a_sample_that_grows_past_a_shard_is_whole(tmp_path):
    """2,100 leaves a short second shard, which 4,100 must make anew."""
    settings = DriftTubeSettings(noise=NoiseSettings(spectrum="none"))
    simulate_drifttube(2100, tmp_path / "mc", settings)
    simulate_drifttube(4100, tmp_path / "mc", settings)
    grown = read_sample(tmp_path / "mc")
    assert grown.event.tolist() == list(range(4100))


def test_a_damaged_shard_is_made_again(tmp_path):
    simulate_drifttube(20, tmp_path / "mc", DriftTubeSettings())
    shard = tmp_path / "mc" / "waveforms-00000.root"
    shard.write_bytes(shard.read_bytes()[:3000])
    simulate_drifttube(20, tmp_path / "mc", DriftTubeSettings())
    equal(read_root(shard), simulate_waveforms(DriftTubeSettings(), 0, 20))


@pytest.mark.parametrize("left", [".simulation.0a1b.json", ".waveforms-00000.0a1b.root"])
def test_what_a_kill_left_half_written_does_not_stop_the_next_and_is_removed(tmp_path, left):
    (tmp_path / "mc").mkdir()
    (tmp_path / "mc" / left).write_text("half")
    simulate_drifttube(5, tmp_path / "mc", DriftTubeSettings())
    assert not (tmp_path / "mc" / left).exists()


def test_a_seed_beyond_the_run_number_is_refused():
    with pytest.raises(ConfigError, match="seed: must be less than 2147483648"):
        parse(DriftTubeSettings, {"seed": 3_000_000_000})


@pytest.mark.slow
def test_shards_made_by_processes_are_the_same(tmp_path):
    simulate_drifttube(2100, tmp_path / "mc", DriftTubeSettings(), jobs=2)
    equal(read_root(tmp_path / "mc" / "waveforms-00001.root"), simulate_waveforms(DriftTubeSettings(), 2000, 2100))


def test_a_folder_of_another_sample_is_refused(tmp_path):
    simulate_drifttube(5, tmp_path / "mc", DriftTubeSettings())
    with pytest.raises(InputError, match="must be empty or hold the same simulation"):
        simulate_drifttube(5, tmp_path / "mc", DriftTubeSettings(seed=2))
    with pytest.raises(InputError, match="must be empty or hold the same simulation"):
        simulate_drifttube(4, tmp_path / "mc", DriftTubeSettings())


def test_a_folder_with_something_else_is_left_alone(tmp_path):
    (tmp_path / "thesis.tex").write_text("precious")
    with pytest.raises(InputError, match=r"holds thesis\.tex"):
        simulate_drifttube(5, tmp_path, DriftTubeSettings())
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]
