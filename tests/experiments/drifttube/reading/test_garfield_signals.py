"""Garfield++ currents behind our electronics: charge, time, rates, and agreement with our own superposition."""

from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from townsend.api import read
from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.reading.garfield_file import read_garfield
from townsend.experiments.drifttube.reading.garfield_signals import amplified_mV, garfield_waveforms
from townsend.experiments.drifttube.simulation.digitizer import step_mV
from townsend.experiments.drifttube.simulation.electronics import low_pass
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, DriftTubeSettings, NoiseSettings
from townsend.experiments.drifttube.simulation.signal import single_electron_response, superpose
from townsend.sample.reader import read_sample

QUIET = DriftTubeSettings(noise=NoiseSettings(spectrum="none"))
FILE = "waveforms_mu10GeV_45deg_250ev.npz"


@pytest.fixture(scope="module")
def events(reference):
    return read_garfield(reference / FILE)


def with_digitizer(**changes):
    return QUIET.model_copy(update={"digitizer": DigitizerSettings(**changes)})


def amplified(events, settings, late_ns=None):
    late_ns = np.zeros(len(events)) if late_ns is None else late_ns
    return amplified_mV(events, settings, 0, len(events), late_ns)


def one_bin(events, column, bin_ns=1.0, start_ns=0.0):
    """One event whose whole current, 1 uA, lies in one bin."""
    current = np.zeros((1, events.current_uA.shape[1]), np.float32)
    current[0, column] = 1.0
    return replace(events, current_uA=current, bin_ns=bin_ns, start_ns=start_ns, impact_cm=np.zeros(1))


def test_the_amplifier_keeps_the_charge(events):
    """Of what came in 700 ns, 100 ns before the end, all but 0.1 % is in the record."""
    early = replace(events, current_uA=np.where(np.arange(1024) < 700, events.current_uA, 0).astype(np.float32))
    came_fC = early.current_uA.sum(dtype=float) * early.bin_ns
    passed_fC = amplified(early, QUIET).sum() / QUIET.electronics.transimpedance_mV_per_uA
    assert passed_fC == pytest.approx(came_fC, rel=1e-3)


@pytest.mark.parametrize("rate", [1.0, 2.5, 0.7])
@pytest.mark.parametrize("bin_ns", [1.0, 0.4])
def test_a_bin_is_the_amplifier_smeared_over_its_width(events, rate, bin_ns):
    """Against the integral of the filter over the bin, from 200 points a bin."""
    settings = with_digitizer(sampling_rate_GHz=rate, samples=int(300 * rate), pretrigger_ns=20.3)
    found = amplified(one_bin(events, 30, bin_ns, start_ns=3.3), settings)[0]
    clock_ns = np.arange(len(found)) / rate - 20.3
    came_ns = 3.3 + bin_ns * (30 + (np.arange(200) + 0.5) / 200)
    expected = low_pass(clock_ns[:, None] - came_ns, settings.electronics).mean(axis=1) * bin_ns
    expected *= settings.electronics.transimpedance_mV_per_uA
    assert found == pytest.approx(expected, abs=1e-3 * expected.max())


def test_a_late_track_is_later_by_that(events):
    on_time, late = (amplified(one_bin(events, 30), QUIET, np.array([late_ns])) for late_ns in (0.0, 3.0))
    assert late[0, 3:] == pytest.approx(on_time[0, :-3], abs=1e-9)


@pytest.mark.parametrize("name", [FILE, "waveforms_mu10GeV_45deg_2200ev.npz"])
def test_agrees_with_our_superposition_of_the_same_electrons_and_avalanches(reference, name):
    """Mean waveforms differ by at most 2 % of the peak; the 1 ns bins and the shape of the pulse make 1.3 %."""
    events = read_garfield(reference / name)
    theirs = amplified(events, QUIET)
    ours = np.zeros_like(theirs)
    arrival_ns = events.electron_time_ns + QUIET.digitizer.pretrigger_ns
    table_mV = single_electron_response(QUIET).table_mV
    superpose(events.electron_event, arrival_ns, events.electron_charge_fC, table_mV, ours)
    off = np.abs(theirs.mean(axis=0) - ours.mean(axis=0)).max() / theirs.mean(axis=0).max()
    assert off < 0.02
    assert theirs.sum() == pytest.approx(ours.sum(), rel=0.02)
    later = np.roll(ours, 2, axis=1)  # the limit would see two samples
    assert np.abs(theirs.mean(axis=0) - later.mean(axis=0)).max() / theirs.mean(axis=0).max() > 0.02


def test_truth_is_that_of_the_file(events):
    found = garfield_waveforms(events, QUIET)
    assert found.t0_ns == 224.0
    times = ak.to_numpy(ak.flatten(found.truth.electron_time_ns)) - 224.0
    order = np.lexsort((events.electron_time_ns, events.electron_event))
    assert times == pytest.approx(events.electron_time_ns[order], abs=1e-4)
    assert ak.all(found.truth.electron_time_ns[:, 1:] >= found.truth.electron_time_ns[:, :-1])
    charge = ak.to_numpy(ak.flatten(found.truth.electron_charge_fC))
    assert charge == pytest.approx(events.electron_charge_fC[order], rel=1e-5)
    assert ak.num(found.truth.cluster_size).to_list() == events.clusters.tolist()
    assert ak.to_numpy(ak.flatten(found.truth.cluster_radius_cm)) == pytest.approx(events.cluster_radius_cm, rel=1e-5)
    held = np.add.reduceat(np.append(events.cluster_size > 0, 0), np.cumsum(events.clusters) - events.clusters)
    held = np.where(events.clusters > 0, held, 0)
    assert clusters_in_record(found.truth, 1024.0).tolist() == held.tolist()
    assert found.max_drift_ns == pytest.approx(events.electron_time_ns.max())


def test_pulses_stand_where_the_truth_says(events):
    """A tag in the middle of the charge: waveforms of one electron are highest at its arrival and the delay."""
    lone = np.flatnonzero(events.electrons == 1)
    found = garfield_waveforms(events, QUIET)
    delay_ns = single_electron_response(QUIET).delay_ns
    at = [float(found.truth.electron_time_ns[i][0]) + delay_ns for i in lone]
    assert len(lone) > 0
    assert found.millivolts()[lone].argmax(axis=1) == pytest.approx(at, abs=1.5)


def test_polarity_range_and_offset_are_the_digitisers(events):
    up = garfield_waveforms(events, QUIET, 0, 20)
    down = garfield_waveforms(events, with_digitizer(polarity=-1, offset_mV=50.0), 0, 20)
    low = garfield_waveforms(events, with_digitizer(bits=8, full_scale_V=0.02), 0, 20)
    count_mV = step_mV(QUIET.digitizer)
    assert down.samples.astype(float) * count_mV == pytest.approx(50 - up.samples * count_mV, abs=1.01 * count_mV)
    assert low.samples.max() == 127


def test_an_event_is_the_same_however_the_work_is_cut(events):
    noisy = DriftTubeSettings(
        noise=NoiseSettings(spectrum="white", rms_mV=0.5), digitizer=DigitizerSettings(trigger_jitter_ns=0.4)
    )
    whole = garfield_waveforms(events, noisy, first=200)
    part = garfield_waveforms(events, noisy, 40, 120, first=200)
    assert np.array_equal(part.samples, whole.samples[40:120])
    assert part.event.tolist() == list(range(240, 320))
    for name, value in vars(part.truth).items():
        assert ak.array_equal(value, getattr(whole.truth, name)[40:120], equal_nan=True), name
    assert np.std(whole.samples[:, :150] * step_mV(noisy.digitizer)) == pytest.approx(0.5, rel=0.02)


def test_currents_that_end_before_the_record_are_refused(events):
    short = replace(events, current_uA=events.current_uA[:, :500])
    with pytest.raises(InputError, match=r"end of the record, 800 ns after the track \(got 500 ns\)"):
        garfield_waveforms(short, QUIET)


def test_a_record_shorter_than_the_drift_is_refused(events):
    with pytest.raises(InputError, match="past the longest drift time"):
        garfield_waveforms(events, with_digitizer(samples=300))


# ---- through `townsend read`


def test_files_become_one_sample(reference, events, tmp_path):
    settings = DriftTubeSettings(seed=5, noise=NoiseSettings(spectrum="white", rms_mV=0.5))
    copy = tmp_path / "again.npz"
    copy.write_bytes((reference / FILE).read_bytes())
    found = read_sample(read([reference / FILE, copy], tmp_path / "mc", format="garfield", settings=settings))
    assert found.event.tolist() == list(range(500))
    assert found.provenance.seed is None  # that of the noise names no tracks
    assert np.array_equal(found.samples[:250], garfield_waveforms(events, settings).samples)
    assert not np.array_equal(found.samples[250:], found.samples[:250])  # other noise
    assert ak.array_equal(found.truth.electron_charge_fC[250:], found.truth.electron_charge_fC[:250])


def test_settings_that_cannot_work_write_nothing(reference, tmp_path, refused):
    (tmp_path / "tube.yaml").write_text("digitizer: {samples: 2048}")
    command = ("read", reference / FILE, "--format", "garfield", "--config", tmp_path / "tube.yaml")
    assert "end of the record, 1824 ns after the track (got 1024 ns)" in refused(*command, "-o", tmp_path / "mc")
    assert not (tmp_path / "mc").exists()
