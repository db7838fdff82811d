"""`townsend noise`: what went into traces comes out of them, whatever pulses are on top; what cannot be is refused."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from townsend.api import noise
from townsend.errors import InputError
from townsend.experiments.drifttube.noise.adc_step import adc_step
from townsend.experiments.drifttube.noise.baseline_wander import measure_wander
from townsend.experiments.drifttube.noise.measure_noise import measure
from townsend.experiments.drifttube.noise.quiet_time import find_quiet
from townsend.experiments.drifttube.noise.quiet_traces import MeasureNoiseSettings, read_quiet
from townsend.experiments.drifttube.noise.welch import octave_edges, octave_powers, segment_spectra, separate_lines
from townsend.experiments.drifttube.simulation.noise import draw_noise, noise_rms_mV, noise_spectrum, ornstein_uhlenbeck
from townsend.experiments.drifttube.simulation.noise_preset import (
    Line,
    NoisePreset,
    Preset,
    SpectrumFile,
    read_preset,
    shipped_preset,
    write_preset,
)
from townsend.experiments.drifttube.simulation.settings import (
    DigitizerSettings,
    DriftTubeSettings,
    NoiseSettings,
    TrackSettings,
)
from townsend.experiments.drifttube.simulation.simulate import simulate_shard, simulate_waveforms
from townsend.sample.root_io import write_root

UNIFORM = TrackSettings(impact="uniform")
NOTHING = {"guard_ns": 50.0, "sigma": 7.0, "step_mV": 0.015}


def traces(path: Path, volts: np.ndarray, rate_GHz: float = 2.0, channels: int = 4) -> Path:
    number = np.arange(len(volts))
    np.savez(path, voltage_V=volts, event=number // channels, channel=number % channels, sampling_rate_ghz=rate_GHz)
    return path


@pytest.fixture(scope="module")
def hit_tubes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight hundred tubes with a hit each and the measured noise."""
    path = tmp_path_factory.mktemp("hits") / "hits.root"
    simulate_shard(DriftTubeSettings(seed=7, track=UNIFORM), 0, 800, path)
    return path


LINES = (
    Line(frequency_MHz=97.3, rms_mV=0.12),
    Line(frequency_MHz=433.0, rms_mV=0.05),
    Line(frequency_MHz=796.0, rms_mV=0.20, width_MHz=8.0),
)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> NoiseSettings:
    """A preset with a falling floor, two narrow lines and a wide one."""
    frequency = np.linspace(0, 1.0, 201)
    floor = 0.05 / (1 + frequency / 0.2)
    facts = NoisePreset(sampling_rate_GHz=2.0, spectrum=SpectrumFile(csv="known.csv"), lines=LINES)
    folder = tmp_path_factory.mktemp("known")
    return NoiseSettings(spectrum=str(write_preset(Preset(facts, frequency, floor, floor), folder / "known.yaml")))


@pytest.fixture(scope="module")
def measured(known: NoiseSettings, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The preset that `townsend noise` makes of 200 traces of `known`, in float32 on a step of 0.1 mV."""
    digitizer = DigitizerSettings(sampling_rate_GHz=2.0, samples=2000)
    drawn = draw_noise(noise_spectrum(known, digitizer), 200, 2000, np.random.default_rng(3)).astype(float)
    drawn += np.tile([0.5, -1.0, 0.0, 2.0], 50)[:, None]
    folder = tmp_path_factory.mktemp("measured")
    file = traces(folder / "traces.npz", (np.rint(drawn / 0.1) * 1e-4).astype(np.float32))
    return noise([file], folder / "preset")


# ---- what went in comes out


def test_level_and_spectrum_come_out_of_tubes_with_hits(hit_tubes):
    """Every track is hit: only what comes before the pulses is noise. 2 % and 7 % are three of their errors."""
    settings = MeasureNoiseSettings()
    quiet = read_quiet([hit_tubes], settings)
    preset, redrawn = measure(quiet, settings)
    simulation = DriftTubeSettings()
    assert quiet.with_hit > 780
    assert preset.facts.rms_mV == pytest.approx(noise_rms_mV(simulation.noise, simulation.digitizer), rel=0.025)
    spectrum = noise_spectrum(simulation.noise, simulation.digitizer)
    alone = draw_noise(spectrum, 800, 1024, np.random.default_rng(1))
    samples = 2 * (len(preset.frequency_GHz) - 1)
    expected = segment_spectra(list(alone), samples, 1.0)[0].mean(axis=0)
    edges = octave_edges(0.5, 1 / samples)
    powers = [octave_powers(density, 1 / samples, edges) for density in (preset.total_mV2_per_GHz, expected)]
    assert powers[0] / powers[1] == pytest.approx(1, abs=0.07)
    assert redrawn.ratio == pytest.approx(1, abs=0.1)
    assert [verdict.ok for verdict in preset.facts.verdicts] == [True] * 4


def test_hits_that_are_not_cut_are_seen(hit_tubes):
    """The check of the checks: with a threshold that no pulse reaches, level and verdicts are wrong."""
    settings = MeasureNoiseSettings(hit_sigma=1e6)
    preset, _ = measure(read_quiet([hit_tubes], settings), settings)
    assert preset.facts.rms_mV > 1.0
    assert not all(verdict.ok for verdict in preset.facts.verdicts)


def test_polarity_is_no_matter(tmp_path):
    up, down = tmp_path / "up.root", tmp_path / "down.root"
    for path, polarity in ((up, 1), (down, -1)):
        digitizer = DigitizerSettings(polarity=polarity)
        quiet_noise = NoiseSettings(spectrum="white", rms_mV=0.4)
        simulate_shard(DriftTubeSettings(digitizer=digitizer, noise=quiet_noise, track=UNIFORM), 0, 200, path)
    levels = [measure(read_quiet([path], MeasureNoiseSettings()), MeasureNoiseSettings())[0] for path in (up, down)]
    assert levels[1].facts.rms_mV == pytest.approx(levels[0].facts.rms_mV, rel=0.01)
    assert levels[1].facts.rms_mV == pytest.approx(0.4, rel=0.02)


def test_lines_come_out_with_frequency_level_and_width(measured):
    found = read_preset(measured).facts
    assert len(found.lines) == len(LINES)
    for line, true in zip(found.lines, LINES, strict=True):
        assert line.frequency_MHz == pytest.approx(true.frequency_MHz, abs=0.3)
        assert line.rms_mV == pytest.approx(true.rms_mV, abs=4 * line.rms_error_mV + 0.01 * true.rms_mV)
        assert line.rms_error_mV < 0.05 * true.rms_mV
    assert [line.width_MHz for line in found.lines[:2]] == [0, 0]
    assert found.lines[2].width_MHz == pytest.approx(8, rel=0.15)


def test_noise_drawn_from_what_was_measured_is_the_noise_that_was_measured(measured, known):
    """Simulate, measure, simulate: each octave within 5 %, the level within 1 %."""
    digitizer = DigitizerSettings(sampling_rate_GHz=2.0, samples=2000)
    powers = []
    for settings in (known, NoiseSettings(spectrum=str(measured))):
        drawn = draw_noise(noise_spectrum(settings, digitizer), 400, 2000, np.random.default_rng(4))
        density = segment_spectra(list(drawn), 2000, 2.0)[0].mean(axis=0)
        powers.append(octave_powers(density, 0.001, octave_edges(1.0, 0.001)))
    assert len(powers[0]) == 6
    assert powers[1] / powers[0] == pytest.approx(1, abs=0.05)
    assert noise_rms_mV(NoiseSettings(spectrum=str(measured)), digitizer) == pytest.approx(
        noise_rms_mV(known, digitizer), rel=0.01
    )


def test_a_simulation_takes_the_preset(measured):
    settings = DriftTubeSettings(noise=NoiseSettings(spectrum=str(measured)))
    baseline = simulate_waveforms(settings, 0, 200).millivolts()[:, :150]
    assert baseline.std() == pytest.approx(noise_rms_mV(settings.noise, settings.digitizer), rel=0.05)


def test_baselines_and_step_come_out(measured):
    found = read_preset(measured).facts
    assert [(one.channel, one.waveforms) for one in found.channels] == [(0, 50), (1, 50), (2, 50), (3, 50)]
    assert [one.baseline_mV for one in found.channels] == pytest.approx([0.5, -1.0, 0.0, 2.0], abs=0.01)
    assert found.step_uV == pytest.approx(100, rel=1e-4)
    assert found.wander.rms_mV == 0
    assert found.source.cut_fraction == 0


def test_the_same_traces_give_the_same_preset(measured):
    again = noise([measured.parent.parent / "traces.npz"], measured.parent.parent / "again.yaml")
    table = measured.with_suffix(".csv").read_text().replace(measured.name, again.name)
    assert again.with_suffix(".csv").read_text() == table
    assert measured.with_suffix(".png").read_bytes() == again.with_suffix(".png").read_bytes()


def test_wander_comes_out_and_does_not_count_twice(tmp_path):
    path = tmp_path / "slow.root"
    wandering = NoiseSettings(spectrum="white", rms_mV=0.3, wander_mV=0.5, wander_time_ns=300.0)
    simulate_shard(DriftTubeSettings(seed=3, track=UNIFORM, noise=wandering), 0, 800, path)
    preset, redrawn = measure(read_quiet([path], MeasureNoiseSettings()), MeasureNoiseSettings())
    wander = preset.facts.wander
    assert wander.rms_mV == pytest.approx(0.5, abs=4 * wander.rms_error_mV)
    assert wander.rms_error_mV < 0.03
    assert wander.time_ns == pytest.approx(300, rel=0.25)
    assert redrawn.ratio == pytest.approx(1, abs=0.1)
    assert preset.total_mV2_per_GHz[:8].max() > 2.0  # the wander's ...
    assert preset.floor_mV2_per_GHz == pytest.approx(0.3**2 / 0.5, rel=0.12)  # ... and what is below it


@pytest.mark.parametrize(("time", "seen"), [(400.0, True), (1e6, False)])
def test_a_drift_slower_than_the_record_has_a_size_but_no_time(time, seen):
    random = np.random.default_rng(5)
    drift = ornstein_uhlenbeck((400, 1000), 0.3, time, random) + 0.4 * random.standard_normal((400, 1000))
    wander = measure_wander(list(drift), np.zeros(400, np.int32), 1.0)
    assert wander.rms_mV == pytest.approx(0.3, abs=4 * wander.rms_error_mV)
    assert (wander.time_ns is not None) == seen
    assert wander.time_ns is None or wander.time_ns == pytest.approx(time, rel=0.25)


def test_channels_that_differ_do_not_wander():
    random = np.random.default_rng(6)
    channel = np.arange(100, dtype=np.int32) % 4
    still = random.standard_normal((100, 1000)) + channel[:, None]
    wander = measure_wander(list(still), channel, 1.0)
    assert (wander.rms_mV, wander.time_ns) == (0, None)
    moved = still + 0.5 * random.standard_normal((100, 1))
    assert measure_wander(list(moved), channel, 1.0).rms_mV == pytest.approx(0.5, rel=0.2)


# ---- pieces


def test_quiet_time_ends_a_guard_before_the_first_pulse():
    random = np.random.default_rng(7)
    channel = np.zeros(40, np.int32)
    baseline = random.standard_normal((40, 1000)) + 3
    assert not find_quiet(baseline, channel, 2.0, **NOTHING).hit.any()
    for sign in (1, -1):
        pulses = baseline.copy()
        pulses[:20, 600] += sign * 12
        pulses[:20, 700:] += sign * 4 * np.exp(-np.arange(300) / 100)  # its tail
        found = find_quiet(pulses, channel, 2.0, **NOTHING)
        assert found.hit.tolist() == [True] * 20 + [False] * 20
        assert found.stop.tolist() == [500] * 20 + [1000] * 20


def test_quiet_time_sees_a_pulse_that_is_wide_and_low():
    low = np.random.default_rng(8).standard_normal((40, 1000))
    low[:, 600:640] += 3  # 20 ns at three times the noise: its mean over 10 ns is 13 times that of noise
    assert find_quiet(low, np.zeros(40, np.int32), 2.0, **NOTHING).hit.all()


@pytest.mark.parametrize("step", [11.06, 40.0, 100.3])
def test_step_is_seen_through_rounding(step):
    lattice = np.rint(np.random.default_rng(9).normal(0, 30, 5000))
    written = np.rint((lattice * step).astype(np.float32)).astype(np.int16)
    found = adc_step(written, rounded=True)
    assert found.step == pytest.approx(step, rel=1e-3)
    assert found.spacing == pytest.approx(step, abs=1)


def test_step_of_a_coarse_converter_written_in_fine_units():
    """Codes 2.65 fine steps apart, as in the test-beam files: the common step and the distance of levels differ."""
    codes = np.rint(2.65 * np.arange(-40, 41))
    written = np.rint(codes * 11.06).astype(np.int16)
    found = adc_step(written, rounded=True)
    assert found.step == pytest.approx(11.06, rel=1e-3)
    assert found.spacing == pytest.approx(3 * 11.06, abs=1)


def test_no_step_is_seen_where_there_is_none():
    smooth = np.rint(np.random.default_rng(10).normal(0, 3000, 5000)).astype(np.int16)
    assert adc_step(smooth, rounded=True).step is None
    assert adc_step(np.zeros(5, np.int16), rounded=True) == (None, None)
    assert adc_step(6 * smooth // 6 * 6, rounded=False).step == 6


def test_spectrum_of_white_noise_is_flat_and_has_no_lines():
    white = 0.5 * np.random.default_rng(11).standard_normal((60, 1000))
    spectra, owners = segment_spectra(list(white), 250, 2.0)
    assert spectra.shape == (60 * 7, 126)
    floor, lines = separate_lines(spectra, owners, np.zeros(126), averages=480, step_GHz=0.008, false_lines=0.01)
    assert lines == []
    assert floor == pytest.approx(0.25, rel=0.2)  # 0.5^2 mV^2 up to 1 GHz; each bin scatters by 5 %
    assert floor.mean() == pytest.approx(0.25, rel=0.02)


def test_power_of_a_tone_does_not_depend_on_where_it_falls_between_bins():
    for frequency in (0.1, 0.1005, 0.1012):
        tone = np.cos(2 * np.pi * frequency * np.arange(500) / 2.0)
        density = segment_spectra([tone], 500, 2.0)[0][0]
        assert density.sum() * 0.004 == pytest.approx(0.5, rel=0.01)


# ---- real traces


def test_real_traces(real_traces):
    settings = MeasureNoiseSettings()
    quiet = read_quiet([real_traces], settings)
    preset, redrawn = measure(quiet, settings)
    facts = preset.facts
    assert (quiet.waveforms, sum(map(len, quiet.stretches)) > 18 * 2496) == (24, True)
    assert facts.rms_mV == pytest.approx(0.536, abs=0.002)
    assert all(0.4 < one.rms_mV < 0.66 for one in facts.channels)
    assert facts.step_uV == pytest.approx(1e6 / 2**16, rel=1e-3)
    strongest = sorted(sorted(facts.lines, key=lambda line: -line.rms_mV)[:5], key=lambda line: line.frequency_MHz)
    assert [line.frequency_MHz for line in strongest] == pytest.approx([90, 97.6, 106, 779.5, 798], abs=1)
    assert redrawn.ratio == pytest.approx(1, abs=0.1)
    assert all(verdict.ok for verdict in facts.verdicts)
    shipped = read_preset(shipped_preset())
    assert facts.lines == shipped.facts.lines
    assert shipped.floor_mV2_per_GHz == pytest.approx(preset.floor_mV2_per_GHz, rel=1e-3)


# ---- the command


def test_the_command_says_first_whether_to_believe(townsend, hit_tubes, tmp_path):
    config = tmp_path / "set-up.yaml"
    config.write_text("waveforms: 300\nsegment_ns: 128.0\n")
    ended = townsend("noise", hit_tubes, "-o", tmp_path / "mine", "--config", config)
    assert ended.status == 0, ended.err
    lines = ended.out.splitlines()
    assert lines[0].startswith("ok   ")
    assert "of 300 waveforms have quiet time" in lines[0]
    assert "just before a hit is" in lines[1]
    assert any(line.strip().startswith("rms ") for line in lines)
    assert sorted(path.name for path in (tmp_path / "mine").iterdir()) == ["noise.csv", "noise.png", "noise.yaml"]
    facts = read_preset(tmp_path / "mine" / "noise.yaml").facts
    assert facts.source.settings["segment_ns"] == 128.0
    assert facts.spectrum.resolution_MHz == pytest.approx(1e3 / 128, rel=1e-3)
    assert len(facts.source.files["hits.root"]) == 64


def test_a_preset_is_replaced_and_nothing_else(townsend, refused, measured, tmp_path):
    file = measured.parent.parent / "traces.npz"
    for output in ("mine", "mine", "named.yaml"):
        assert townsend("noise", file, "-o", tmp_path / output).status == 0
    (tmp_path / "mine" / "notes.txt").write_text("my own")
    assert "notes.txt must not be in the way" in refused("noise", file, "-o", tmp_path / "mine")
    (tmp_path / "mc.yaml").write_text("seed: 1\n")
    assert "mc.yaml must not be in the way" in refused("noise", file, "-o", tmp_path / "mc.yaml")
    (tmp_path / "other.csv").write_text("mine\n")
    assert "other.csv must not be in the way" in refused("noise", file, "-o", tmp_path / "other.yaml")
    assert "must be a folder or a name *.yaml" in refused("noise", file, "-o", tmp_path / "other.csv")


WHITE = 1e-3 * np.random.default_rng(12).standard_normal((6, 400))
PULSES = WHITE + 0.1 * ((np.arange(400) > 20) & (np.arange(400) < 90))


@pytest.mark.parametrize(
    ("volts", "rule"),
    [
        (WHITE[:1], r"must hold at least two waveforms \(got 1\)"),
        (np.full((6, 400), 0.01), r"must hold waveforms that move \(got 6 of 6 whose samples are all equal"),
        (np.vstack([WHITE[:1], np.zeros((5, 400))]), r"must hold waveforms that move \(got 5 of 6"),
        (WHITE[:, :30], r"at least two waveforms with 32 quiet samples before any pulse \(got 0 of 6\)"),
        (PULSES, r"with 32 quiet samples before any pulse \(got 0 of 6\); record more before the trigger"),
        (np.minimum(WHITE + 0.1 * (np.arange(400) % 300 > 200), 0.09), r"must not be saturated"),
    ],
    ids=["one", "constant", "nearly all constant", "short", "early pulses", "saturated"],
)
def test_traces_that_say_nothing_about_noise(refused, tmp_path, volts, rule):
    sentence = refused("noise", traces(tmp_path / "traces.npz", volts), "-o", tmp_path / "out")
    assert re.search(rule, sentence), sentence


def test_no_waveform_at_all(refused, tmp_path):
    path = tmp_path / "none.root"
    write_root(simulate_waveforms(DriftTubeSettings(), 0, 5)[:0], path)
    assert "at least two waveforms (got 0)" in refused("noise", path, "-o", tmp_path / "out")
    assert "must be a readable file" in refused("noise", tmp_path / "nowhere.root", "-o", tmp_path / "out")


def test_every_sample_at_the_end_of_the_range(refused, tmp_path):
    path = tmp_path / "saturated.root"
    simulate_shard(DriftTubeSettings(digitizer=DigitizerSettings(offset_mV=2000.0)), 0, 5, path)
    assert "saturated, switched off" in refused("noise", path, "-o", tmp_path / "out")


def test_files_that_do_not_go_together(refused, tmp_path):
    slow, fast = (traces(tmp_path / f"{rate}.npz", WHITE, rate) for rate in (1.0, 2.0))
    assert "alike in sampling rate (got 1 GS/s" in refused("noise", slow, fast, "-o", tmp_path / "out")
    assert "must be given once" in refused("noise", slow, slow, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("segment_ns: 500.0\n", "no longer than the longest quiet stretch, 200 ns (got 500)"),
        ("segment_ns: 8.0\n", "segment_ns must be at least 32 samples, 16 ns"),
        ("hit_sgma: 5.0\n", 'did you mean "hit_sigma"?'),
        ("hit_sigma: 1.0\n", "hit_sigma: must be greater than or equal to 4"),
    ],
)
def test_settings_that_cannot_be(refused, tmp_path, text, rule):
    file = traces(tmp_path / "traces.npz", WHITE)
    (tmp_path / "set-up.yaml").write_text(text)
    assert rule in refused("noise", file, "-o", tmp_path / "out", "--config", tmp_path / "set-up.yaml")


def test_few_traces_are_measured_with_care(tmp_path):
    found = read_preset(noise([traces(tmp_path / "two.npz", WHITE[:2], channels=1)], tmp_path / "out")).facts
    assert found.rms_mV == pytest.approx(1.0, rel=0.1)
    assert found.spectrum.averages < 40
    assert "2 of 2 waveforms" in found.verdicts[0].sentence


def test_no_file_at_all(tmp_path):
    with pytest.raises(InputError, match="at least one file of waveforms must be given"):
        noise([], tmp_path / "out")
