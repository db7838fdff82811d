from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from io import StringIO
from pathlib import Path

import awkward as ak
import numpy as np
import pytest

from townsend.errors import BusyError, InputError
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.peaks.deriv import DEFAULT_PRESET, DERIV_PRESETS, count_deriv_clusters
from townsend.experiments.drifttube.reconstruction import run
from townsend.experiments.drifttube.reconstruction.blocks import Block, hits, read_block, saturated
from townsend.experiments.drifttube.reconstruction.folder import load_reconstruction
from townsend.experiments.drifttube.reconstruction.inputs import expand
from townsend.experiments.drifttube.reconstruction.output import NUMBERS, TRUTH, held, read_reconstructed, shard_counts
from townsend.experiments.drifttube.reconstruction.reconstruct import ReconstructSettings, reconstruct, render_summary
from townsend.files import write_json
from townsend.sample.reader import read_sample
from townsend.sample.root_io import write_root
from townsend.sweep.lease import hold

pytestmark = [
    # Keras asks NumPy for arrays in a way that NumPy 2 warns of.
    pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning"),
]

here = pytest.mark.usefixtures("reconstruct_here")
slow = pytest.mark.slow
WAVEFORMS = 130


@pytest.fixture(scope="module")
def sample(simulated, tmp_path_factory):
    """Tracks that no part of the Reconstruction has seen; not to be changed."""
    return simulated(tmp_path_factory.mktemp("sample") / "mc", WAVEFORMS, 105)


@pytest.fixture(scope="module")
def waveforms(sample):
    return read_sample(sample)


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 50 waveforms, so that a small file has several."""
    monkeypatch.setattr(run, "BLOCK", 50)


def contents(folder, lists=True):
    """Every column of a finished folder, but for the place of a waveform in its file."""
    found = read_reconstructed(folder)
    columns = {name: getattr(found, name) for name in (*NUMBERS, *TRUTH) if name not in ("file", "row")}
    if lists:
        columns |= {f"list {i}": ak.to_list(values) for i, values in enumerate(found.peaks())}
    return columns


def assert_same(found, expected):
    assert found.keys() == expected.keys()
    for name, column in expected.items():
        if isinstance(column, np.ndarray):
            assert column.dtype == found[name].dtype
            np.testing.assert_array_equal(found[name], column, err_msg=name)
        else:
            assert found[name] == column, name


# ---- what is written


@here
def test_columns_are_those_of_the_networks_the_reference_and_the_truth(reco, sample, waveforms, tmp_path):
    out = reconstruct(reco, [sample], tmp_path / "out")
    found = read_reconstructed(out)
    assert len(found) == WAVEFORMS
    reconstruction = load_reconstruction(reco)
    counted = reconstruction(waveforms, waveforms.t0_ns)
    np.testing.assert_array_equal(found.n_clusters, counted.number)
    np.testing.assert_array_equal(found.n_clusters_error, counted.error)
    np.testing.assert_array_equal(found.n_clusters_uncalibrated, counted.predicted)
    np.testing.assert_array_equal(found.first_arrival_ns, counted.first_ns)
    np.testing.assert_array_equal(np.isnan(found.first_arrival_ns), found.n_peaks == 0)
    np.testing.assert_array_equal(found.n_peaks, ak.num(counted.time_ns))
    times, scores = found.peaks()
    np.testing.assert_array_equal(ak.flatten(times), np.asarray(ak.flatten(counted.time_ns), np.float32))
    np.testing.assert_array_equal(ak.flatten(scores), ak.flatten(counted.score))
    for name in ("event", "channel", "track", "run"):
        np.testing.assert_array_equal(getattr(found, name), getattr(waveforms, name))
    assert found.row.tolist() == list(range(WAVEFORMS))
    np.testing.assert_array_equal(found.impact_cm, waveforms.truth.impact_cm)
    np.testing.assert_array_equal(found.path_cm, waveforms.truth.path_cm)
    np.testing.assert_array_equal(found.true_clusters, clusters_in_record(waveforms.truth, 1024.0))
    longest_ns = reconstruction.finder.facts.max_drift_ns
    when = {"t0_ns": waveforms.t0_ns, "delay_ns": 4.5, "max_drift_ns": longest_ns}
    deriv = count_deriv_clusters(waveforms.millivolts(), 1.0, DERIV_PRESETS[DEFAULT_PRESET], **when)
    np.testing.assert_array_equal(found.deriv_clusters, deriv)


@here
@pytest.mark.usefixtures("small_blocks")
def test_peaks_are_read_in_any_range(reco, sample, tmp_path):
    found = read_reconstructed(reconstruct(reco, [sample], tmp_path / "out"))
    every = ak.to_list(found.peaks()[0])
    for start, stop in ((0, 130), (40, 60), (99, 101), (120, 999), (50, 50), (200, 300)):
        times, scores = found.peaks(start, stop)
        assert ak.to_list(times) == every[start:stop]
        assert ak.to_list(ak.num(times)) == ak.to_list(ak.num(scores))


@here
@pytest.mark.usefixtures("small_blocks")
def test_folder_says_what_was_reconstructed_with_what(reco, sample, tmp_path):
    out = reconstruct(reco, [sample], tmp_path / "out", ReconstructSettings(scale=1.5))
    said = json.loads((out / "reconstruction.json").read_text())
    assert said["made_by"] == "townsend reconstruct"
    assert said["reconstruction"] == load_reconstruction(reco).card["seal"]
    assert [file["waveforms"] for file in said["files"]] == [WAVEFORMS]
    assert said["settings"]["scale"] == 1.5
    assert sorted(path.name for path in out.glob("clusters-*.root")) == [f"clusters-0000{i}.root" for i in range(3)]
    assert [held(path) for path in sorted(out.glob("clusters-*.root"))] == [50, 50, 30]


# ---- the same however the work is cut


@here
@pytest.mark.parametrize("sizes", [[130], [1, 129], [37, 50, 43], [64, 66]], ids=str)
def test_a_file_in_one_piece_and_in_shards_of_any_size_gives_the_same(
    sizes, reco, sample, waveforms, tmp_path, monkeypatch
):
    whole = contents(reconstruct(reco, [sample], tmp_path / "whole"))
    monkeypatch.setattr(run, "BLOCK", 40)
    (tmp_path / "cut").mkdir()
    start = 0
    for number, size in enumerate(sizes):
        write_root(waveforms[start : start + size], tmp_path / "cut" / f"part-{number}.root")
        start += size
    cut = reconstruct(reco, [tmp_path / "cut" / "part-*.root"], tmp_path / "out")
    assert_same(contents(cut), whole)
    found = read_reconstructed(cut)
    assert np.bincount(found.file).tolist() == sizes
    assert [found.row[found.file == i].tolist() for i in range(len(sizes))] == [list(range(size)) for size in sizes]


@slow
def test_one_worker_and_two_give_the_same(reco, sample, tmp_path, monkeypatch):
    monkeypatch.setattr(run, "BLOCK", 30)
    one, two = (reconstruct(reco, [sample], tmp_path / str(jobs), jobs=jobs) for jobs in (1, 2))
    assert_same(contents(two), contents(one))
    summaries = [json.loads((out / "summary.json").read_text()) for out in (one, two)]
    assert summaries[0] == summaries[1]


class Stopped(Exception):
    pass


@here
@pytest.mark.usefixtures("small_blocks")
@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_what_is_stopped_goes_on_and_ends_the_same(blocks, reco, sample, tmp_path):
    whole = reconstruct(reco, [sample], tmp_path / "whole")
    told = []

    def stop(done, total):
        told.append((done, total))
        if len(told) > blocks:
            raise Stopped

    with pytest.raises(Stopped):
        reconstruct(reco, [sample], tmp_path / "out", progress=stop)
    kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("clusters-*.root")}
    assert len(kept) == blocks
    with pytest.raises(InputError, match=r"must be finished .*run the same `townsend reconstruct` again"):
        read_reconstructed(tmp_path / "out")
    (tmp_path / "out" / ".clusters-00001.abc.root").write_text("half-written")
    told = []
    out = reconstruct(reco, [sample], tmp_path / "out", progress=lambda done, total: told.append((done, total)))
    assert told[0] == (50 * blocks, WAVEFORMS)
    assert told[-1] == (WAVEFORMS, WAVEFORMS)
    assert {path: path.stat().st_mtime_ns for path in kept} == kept, "a finished block was done again"
    assert not list(out.glob(".*"))
    assert_same(contents(out), contents(whole))
    assert (out / "summary.json").read_bytes() == (whole / "summary.json").read_bytes()


@slow
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_killed_at_any_moment_the_same_command_goes_on(seed, reco, sample, waveforms, tmp_path):
    whole = reconstruct(reco, [sample], tmp_path / "whole", jobs=1)
    for number in range(13):  # many files: the command line has no smaller blocks
        write_root(waveforms[10 * number : 10 * number + 10], tmp_path / f"part-{number:02d}.root")
    out = tmp_path / "out"
    command = [
        sys.executable,
        "-m",
        "townsend",
        "reconstruct",
        reco,
        tmp_path / "part-*.root",
        "-o",
        out,
        "--jobs",
        "2",
    ]
    moments, ends = random.Random(seed), []
    for _ in range(3):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env={**os.environ})
        began = time.monotonic()
        while not out.is_dir() and process.poll() is None:
            time.sleep(0.02)
        time.sleep(moments.uniform(0, 6))
        process.send_signal(signal.SIGKILL)
        said = process.communicate()[1].decode()
        ends.append(process.returncode)
        assert ends[-1] in (-signal.SIGKILL, 0), said
        assert time.monotonic() - began < 60
    assert -signal.SIGKILL in ends
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert_same(contents(out), contents(whole))


@here
@pytest.mark.usefixtures("small_blocks")
def test_a_lost_or_damaged_block_is_done_again(reco, sample, tmp_path):
    out = reconstruct(reco, [sample], tmp_path / "out")
    before = contents(out)
    (out / "clusters-00000.root").unlink()
    damaged = out / "clusters-00002.root"
    damaged.write_bytes(damaged.read_bytes()[:1000])
    with pytest.raises(InputError, match="clusters-00002"):
        read_reconstructed(out)
    reconstruct(reco, [sample], out)
    assert_same(contents(out), before)
    (out / "clusters-00001.root").unlink()
    with pytest.raises(InputError, match=r"must hold all of its clusters-\*\.root \(got 80 waveforms of 130\)"):
        read_reconstructed(out)


@slow
@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="this system does not tell a process's memory")
def test_memory_does_not_grow_with_the_files(reco, simulated, tmp_path):
    """Peak resident memory over 2 and over 16 blocks: of the coordinator, and of the worker."""
    one = simulated(tmp_path / "mc", 1000, 106) / "waveforms-00000.root"
    for number in range(16):
        shutil.copy(one, tmp_path / f"part-{number:02d}.root")
    program = (
        "import json, re, resource, sys\n"
        "from pathlib import Path\n"
        "from townsend.experiments.drifttube.reconstruction.reconstruct import reconstruct\n"
        "reconstruct(Path(sys.argv[1]), sys.argv[3:], Path(sys.argv[2]), jobs=1)\n"
        # getrusage would count the process that started this one, too.
        "own = int(re.search(r'VmHWM:\\s*(\\d+) kB', Path('/proc/self/status').read_text()).group(1))\n"
        "print(json.dumps([own / 1024, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))\n"
    )
    peaks = []
    for number in (2, 16):
        files = [tmp_path / f"part-{i:02d}.root" for i in range(number)]
        command = [sys.executable, "-c", program, reco, tmp_path / f"out-{number}", *files]
        # One arena: else what the allocator keeps for each thread varies by some 15 MB from run to run.
        environment = os.environ | {"MALLOC_ARENA_MAX": "1"}
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        peaks.append(json.loads(done.stdout))
    # 14 more blocks hold 28 MB of samples as int16, the least that could be kept of them; in mV or as windows, more.
    for few, many in zip(*peaks, strict=True):
        assert many < few + 25, peaks


# ---- empty events


@here
def test_waveforms_of_zeros_and_of_noise_alone_count_no_clusters(reco, waveforms, tmp_path):
    zeros = replace(waveforms, samples=np.zeros_like(waveforms.samples), truth=None)
    quiet = np.random.default_rng(1).integers(-2, 3, waveforms.samples.shape).astype(np.int16)
    for name, given in {"zeros": zeros, "quiet": replace(zeros, samples=quiet)}.items():
        write_root(given, tmp_path / f"{name}.root")
        out = reconstruct(reco, [tmp_path / f"{name}.root"], tmp_path / name)
        found = read_reconstructed(out)
        assert found.true_clusters is None
        for column in (found.n_peaks, found.n_clusters, found.n_clusters_uncalibrated, found.deriv_clusters):
            assert not column.any()
        assert (found.n_clusters_error > 0).all()
        assert ak.to_list(found.peaks()[0]) == [[]] * WAVEFORMS
        verdict = found.summary["verdicts"][-1]
        assert (verdict["ok"], verdict["sentence"][:10]) == (False, "130 of 130")
        assert found.summary["figures"]["share_without_peaks"] == [1.0, 0.0]


@here
def test_tracks_without_an_electron_are_taken(reco, waveforms, tmp_path):
    truth = waveforms.truth
    none = {
        name: ak.unflatten(np.empty(0, values.layout.content.dtype), np.zeros(WAVEFORMS, np.int64))
        for name, values in vars(truth).items()
        if isinstance(values, ak.Array)
    }
    write_root(replace(waveforms, truth=replace(truth, **none)), tmp_path / "none.root")
    found = read_reconstructed(reconstruct(reco, [tmp_path / "none.root"], tmp_path / "out"))
    assert not found.true_clusters.any()
    assert found.summary["figures"]["after.r2"] == [None, None]


# ---- the summary


@here
@pytest.mark.usefixtures("small_blocks")
def test_summary_says_what_the_columns_say(reco, sample, tmp_path):
    found = read_reconstructed(reconstruct(reco, [sample], tmp_path / "out"))
    figures = found.summary["figures"]
    assert found.summary["waveforms"] == WAVEFORMS
    means = {"mean_clusters": found.n_clusters, "mean_peaks": found.n_peaks, "mean_true_clusters": found.true_clusters}
    for name, column in means.items():
        value, error = figures[name]
        assert value == pytest.approx(column.mean(), rel=1e-5)
        assert error == pytest.approx(column.std(ddof=1) / np.sqrt(WAVEFORMS), rel=1e-5)
    truth = found.true_clusters.astype(float)
    compared = {"before": found.n_clusters_uncalibrated, "after": found.n_clusters, "deriv": found.deriv_clusters}
    for name, column in compared.items():
        off = column - truth
        assert figures[f"{name}.bias"][0] == pytest.approx(off.mean(), abs=1e-5)
        assert figures[f"{name}.mse"][0] == pytest.approx((off**2).mean(), rel=1e-5)
        assert figures[f"{name}.r2"][0] == pytest.approx(1 - (off**2).mean() / truth.var(), rel=1e-5)
        assert figures[f"{name}.bias"][1] == pytest.approx(off.std() / np.sqrt(WAVEFORMS), rel=0.15)
    assert sum(third["waveforms"] for third in found.summary["thirds"]) == WAVEFORMS
    for third in found.summary["thirds"]:
        low, high = third["impact_cm"]
        distance = np.abs(found.impact_cm).astype(float)
        inside = (distance >= low) & ((distance < high) | (high == distance.max()))
        off = (found.n_clusters - truth)[inside]
        assert third["figures"]["after.relative_bias"][0] == pytest.approx(off.sum() / truth[inside].sum(), abs=1e-3)


@here
def test_summary_begins_with_the_bias_and_is_shown_in_a_terminal(reco, sample, tmp_path):
    from rich.console import Console

    out = reconstruct(reco, [sample], tmp_path / "out")
    console = Console(width=160, file=StringIO())
    console.print(render_summary(out))
    shown = console.file.getvalue()
    assert shown.index("bias of the number of clusters, all waveforms") < shown.index("130 waveforms: ")
    value, error = (100 * part for part in read_reconstructed(out).summary["figures"]["after.relative_bias"])
    line = next(line for line in shown.splitlines() if line.startswith(" bias, of the truth"))
    assert f"({value:+.2f} ± {error:.2f}) %" in line
    assert shown.count("cm from the wire") == 3
    with pytest.raises(InputError, match=r"summary\.json must exist"):
        render_summary(sample)


@here
def test_waveforms_that_calibrated_are_not_called_new(reco, sample, calibration_sample, tmp_path):
    new = read_reconstructed(reconstruct(reco, [sample], tmp_path / "new")).summary
    assert new["separate"] is True
    assert new["verdicts"][0]["sentence"].startswith("the waveforms (seed 105) are new to the reconstruction")
    seen = read_reconstructed(reconstruct(reco, [calibration_sample], tmp_path / "seen")).summary
    assert seen["separate"] is False
    assert not seen["verdicts"][0]["ok"]
    assert "calibrated" in seen["verdicts"][0]["sentence"]


@here
def test_without_truth_the_calibration_speaks(reco, waveforms, tmp_path):
    write_root(replace(waveforms, truth=None), tmp_path / "data.root")
    summary = read_reconstructed(reconstruct(reco, [tmp_path / "data.root"], tmp_path / "out")).summary
    said = load_reconstruction(reco).card["verdicts"]
    for verdict, of_calibration in zip(summary["verdicts"], said, strict=False):
        assert verdict["ok"] == of_calibration["ok"]
        assert verdict["sentence"] == f"no truth here; on the calibration sample: {of_calibration['sentence']}"
    assert not [name for name in summary["figures"] if name.startswith(("before", "after", "deriv"))]
    assert summary["thirds"] == []
    assert summary["separate"] is None


@here
def test_another_threshold_is_applied_and_noted(reco, sample, tmp_path):
    usual = read_reconstructed(reconstruct(reco, [sample], tmp_path / "usual"))
    strict = read_reconstructed(reconstruct(reco, [sample], tmp_path / "strict", ReconstructSettings(threshold=0.9)))
    assert strict.n_peaks.sum() < usual.n_peaks.sum()
    assert min(ak.flatten(strict.peaks()[1])) >= 0.9
    notes = [verdict["sentence"] for verdict in strict.summary["verdicts"] if not verdict["ok"]]
    assert any("threshold is 0.9, the calibration was made at 0.5" in note for note in notes)


@here
def test_saturated_waveforms_are_named_and_kept(reco, waveforms, tmp_path):
    samples = waveforms.samples.copy()
    samples[77, 300:310] = 2047
    samples[78, 300:305] = 2047  # a short flat top is no saturation
    write_root(replace(waveforms, samples=samples), tmp_path / "data.root")
    out = reconstruct(reco, [tmp_path / "data.root"], tmp_path / "out")
    summary = read_reconstructed(out).summary
    assert summary["saturated"] == {"waveforms": 1, "first": [{"file": 0, "row": 77}]}
    assert shard_counts(out / "clusters-00000.root")["saturated_rows"] == [77]
    notes = [verdict["sentence"] for verdict in summary["verdicts"] if not verdict["ok"]]
    assert any("1 of 130 waveforms are saturated (first waveform 77 of file 0)" in note for note in notes)


def test_saturation_needs_a_level_clear_of_the_baseline(waveforms):
    flat = replace(waveforms[:3], samples=np.zeros((3, 100), np.int16), truth=None)
    flat.samples[1, 10:18] = 500
    flat.samples[2, 10:18] = -500
    assert saturated(flat, 8).tolist() == [False, True, True]
    assert saturated(flat, 9).tolist() == [False, False, False]


# ---- inputs that cannot be used


@pytest.fixture
def files(waveforms, tmp_path):
    """Write some of the waveforms with changes: (name, start, stop, changes) -> path."""

    def write(name, start=0, stop=20, **changes):
        path = tmp_path / name
        write_root(replace(waveforms[start:stop], **changes), path)
        return path

    return write


def refused(reco, given, rule, tmp_path, **settings):
    with pytest.raises(InputError, match=rule):
        reconstruct(reco, given, tmp_path / "out", ReconstructSettings(**settings))
    assert not (tmp_path / "out").exists()


def test_mixed_sampling_rates_in_one_pattern_are_refused_by_the_names_of_two_files(reco, files, tmp_path):
    files("a-1.root"), files("a-2.root", 20, 40, sampling_rate_ghz=2.0)
    rule = r"alike in sampling rate \(got 1 GS/s in .*a-1\.root, 2 GS/s in .*a-2\.root\); reconstruct them one after"
    refused(reco, [tmp_path / "a-*.root"], rule, tmp_path)


def test_another_sampling_rate_is_refused_or_resampled_when_told(reco, files, waveforms, tmp_path):
    path = files("fast.root", sampling_rate_ghz=2.0, samples=np.repeat(waveforms.samples[:20], 2, axis=1), truth=None)
    refused(reco, [path], r"sampling rate, 1 GS/s \(got 2\); set `resample: true` or use a recon", tmp_path)
    odd = files("odd.root", sampling_rate_ghz=1.2345)
    refused(reco, [odd], r"cannot be: rate_ghz must be a fraction", tmp_path, resample=True)


def test_signals_that_go_down_are_refused_with_the_remedy_of_the_format(reco, files, waveforms, tmp_path):
    path = files("down.root", polarity=-waveforms.polarity)
    assert waveforms.polarity == 1
    rule = r"polarity \(-1\) is applied \(got \d+ of \d+ .*go down\); write the file with polarity \+1"
    refused(reco, [path], rule, tmp_path)
    npz = traces(tmp_path / "down.npz", -waveforms.millivolts()[:20] * 1e-3)
    refused(reco, [npz], r"go down\); set `polarity: -1`", tmp_path, t0_ns=224.0)


def test_an_unknown_passage_of_the_track_is_refused_with_the_remedy(reco, waveforms, tmp_path):
    npz = traces(tmp_path / "traces.npz", waveforms.millivolts()[:20] * 1e-3)
    refused(reco, [npz], r"must say when the track passed.*set `t0_ns`", tmp_path)


@pytest.mark.parametrize(
    ("changes", "settings", "rule"),
    [
        ({}, {"t0_ns": 900.0}, r"got 0 to 1024 ns, needed 900 to 1076 ns\); record longer"),
        ({"t0_ns": 900.0}, {}, r"needed 900 to 1076 ns"),
        ({"t0_ns": -5.0}, {}, r"needed -5 to 171 ns"),
    ],
    ids=["settings", "file", "negative"],
)
def test_a_window_that_does_not_reach_the_longest_drift_is_refused(changes, settings, rule, reco, files, tmp_path):
    refused(reco, [files("window.root", **changes)], rule, tmp_path, **settings)


def test_empty_missing_and_foreign_files_are_refused(reco, files, tmp_path):
    refused(reco, [files("empty.root", 0, 0)], r"at least one waveform \(got none\); leave it out", tmp_path)
    refused(reco, [tmp_path / "none.root"], "check its name", tmp_path)
    (tmp_path / "text.root").write_text("not ROOT")
    refused(reco, [tmp_path / "text.root"], r"text\.root", tmp_path)
    refused(reco, [], r"at least one file .*got none", tmp_path)


def test_files_with_and_without_truth_or_of_other_length_are_not_mixed(reco, files, waveforms, tmp_path):
    a, b = files("a.root"), files("b.root", 20, 40, truth=None)
    refused(reco, [a, b], r"alike in truth \(got simulated truth in .*a\.root, no truth in .*b\.root\)", tmp_path)
    short = files("short.root", samples=waveforms.samples[:20, :900].copy())
    refused(reco, [a, short], r"alike in record length \(got 1024 samples in .*, 900 samples in", tmp_path)


def test_names_folders_and_patterns_become_files(sample, files, tmp_path, monkeypatch):
    a, b = files("part-1.root"), files("part-2.root", 20, 40)
    assert expand([sample]) == [sample / "waveforms-00000.root"]
    assert expand([tmp_path / "part-?.root", sample]) == [a, b, sample / "waveforms-00000.root"]
    odd = files("odd[1].root")
    assert expand([odd]) == [odd], "a file of that very name comes before a pattern"
    monkeypatch.chdir(tmp_path)
    assert [path.name for path in expand(["part-*.root"])] == ["part-1.root", "part-2.root"]
    with pytest.raises(InputError, match=r"part-9\*\.root must match at least one file"):
        expand([a, "part-9*.root"])
    with pytest.raises(InputError, match=r"part-1\.root must be given once"):
        expand([a, "part-*.root"])


# ---- NPZ, and other sampling rates


def traces(path, volts, rate_ghz=1.0):
    np.savez(
        path,
        voltage_V=volts.astype(np.float64),
        event=np.arange(len(volts)),
        channel=np.zeros(len(volts), int),
        sampling_rate_ghz=rate_ghz,
    )
    return path


@here
def test_npz_traces_are_taken_with_their_polarity_and_passage_of_the_track(reco, waveforms, tmp_path):
    volts = waveforms.millivolts() * 1e-3
    npz = traces(tmp_path / "down.npz", -volts)
    settings = ReconstructSettings(polarity=-1, t0_ns=waveforms.t0_ns)
    found = read_reconstructed(reconstruct(reco, [npz], tmp_path / "out", settings))
    expected = load_reconstruction(reco)(waveforms, waveforms.t0_ns)
    # Volts are rounded to another step than the digitiser's, so a peak at the threshold may change sides.
    assert np.abs(found.n_peaks - ak.to_numpy(ak.num(expected.time_ns))).mean() < 0.1
    assert (found.track == -1).all()
    assert found.true_clusters is None


@here
def test_scale_is_a_factor_on_the_voltage(reco, files, waveforms, tmp_path):
    usual = reconstruct(reco, [files("usual.root", stop=WAVEFORMS)], tmp_path / "a")
    weaker = files("weaker.root", stop=WAVEFORMS, volts_per_count=waveforms.volts_per_count / 4)
    scaled = reconstruct(reco, [weaker], tmp_path / "b", ReconstructSettings(scale=4.0))
    assert_same(contents(scaled), contents(usual))


@here
def test_a_later_passage_of_the_track_moves_the_times_alone(reco, files, waveforms, tmp_path):
    usual = read_reconstructed(reconstruct(reco, [files("usual.root", stop=WAVEFORMS)], tmp_path / "a"))
    later = np.concatenate([waveforms.samples[:, :50], waveforms.samples[:, :-50]], axis=1)
    moved = files("later.root", stop=WAVEFORMS, samples=later, truth=None)
    settings = ReconstructSettings(t0_ns=waveforms.t0_ns + 50)
    found = read_reconstructed(reconstruct(reco, [moved], tmp_path / "b", settings))
    after = [times[times > waveforms.t0_ns] for times in usual.peaks()[0]]
    for index in (0, 50, 100):
        times = found.peaks()[0][index]
        common = times[(times > waveforms.t0_ns + 50) & (times < 1000)]
        np.testing.assert_allclose(common, after[index][after[index] < 950] + 50, atol=1e-3)


@here
def test_resampled_waveforms_do_not_depend_on_their_neighbours(reco, simulated, tmp_path):
    fast = simulated(tmp_path / "fast", 30, 107, sampling_rate_GHz=2.0, samples=2048)
    waveforms = read_sample(fast)
    write_root(waveforms[:7], tmp_path / "a.root")
    write_root(waveforms[7:], tmp_path / "b.root")
    settings = ReconstructSettings(resample=True)
    whole = reconstruct(reco, [fast], tmp_path / "whole", settings)
    cut = reconstruct(reco, [tmp_path / "a.root", tmp_path / "b.root"], tmp_path / "cut", settings)
    assert_same(contents(cut), contents(whole))
    found = read_reconstructed(whole)
    assert np.corrcoef(found.n_clusters, found.true_clusters)[0, 1] > 0.5


def test_resampled_waveforms_keep_their_volts(reco, simulated, tmp_path):
    from townsend.sample.resample import resample

    fast = simulated(tmp_path / "fast", 10, 108, sampling_rate_GHz=2.0, samples=2048)
    peak = load_reconstruction(reco).finder.facts
    block = Block(fast / "waveforms-00000.root", 2, 9, 1, 8, 1.0)
    stored, made = read_block(block, peak)
    assert (len(stored), len(made), made.sampling_rate_ghz) == (7, 7, 1.0)
    plain = resample(stored, 1.0).millivolts()
    plain = plain - np.median(plain, axis=1, keepdims=True)
    # Rounded once more, to 3 mV / 256 = 0.012 mV, and the median likewise.
    np.testing.assert_allclose(made.millivolts(), plain, atol=0.03)


def test_hits_and_their_direction(waveforms):
    up = hits(waveforms)
    assert up.hit > 0.9 * WAVEFORMS
    assert up.down < 0.05 * up.hit
    down = hits(replace(waveforms, polarity=-waveforms.polarity))
    assert (down.hit, down.down) == (up.hit, up.hit - up.down)
    assert hits(replace(waveforms, samples=np.zeros_like(waveforms.samples))) == (0, 0)


# ---- the output folder


@here
def test_folder_of_something_else_is_refused(reco, sample, tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match=r"must be new, empty or of the same .* \(it holds notes\.txt\)"):
        reconstruct(reco, [sample], out)
    write_json(out / "reconstruction.json", {"made_by": "somebody"})
    with pytest.raises(InputError, match="must be new, empty"):
        reconstruct(reco, [sample], out)
    assert {path.name for path in out.iterdir()} == {"notes.txt", "reconstruction.json"}
    for bad in (out / "notes.txt", out / "notes.txt" / "inside"):
        with pytest.raises(InputError, match="must be a folder that can be written"):
            reconstruct(reco, [sample], bad)


@here
def test_folder_is_not_continued_with_anything_else(
    reco, finder, clusteriser, calibration_sample, sample, files, tmp_path
):
    from townsend.experiments.drifttube.reconstruction.assemble import assemble

    out = reconstruct(reco, [sample], tmp_path / "out")
    with pytest.raises(InputError, match=r"another settings now\); choose a new folder or take the same again"):
        reconstruct(reco, [sample], out, ReconstructSettings(scale=2.0))
    with pytest.raises(InputError, match="another files now"):
        reconstruct(reco, [sample, files("more.root")], out)
    other = shutil.copytree(reco, tmp_path / "other")
    card = other / "card.json"
    assemble(finder, clusteriser, calibration_sample, other)
    assert card.read_bytes() == (reco / "card.json").read_bytes()
    from townsend.files import read_sealed, write_sealed

    value = {name: inner for name, inner in read_sealed(card).items() if name != "seal"}
    write_sealed(card, {**value, "calibration": {**value["calibration"], "offset": 0.0}})
    with pytest.raises(InputError, match="another reconstruction now"):
        reconstruct(other, [sample], out)
    moved = shutil.copytree(sample, tmp_path / "moved")
    before = contents(out)
    reconstruct(reco, [moved], out)  # the same files elsewhere
    assert_same(contents(out), before)


@here
def test_two_processes_do_not_share_a_folder(reco, sample, tmp_path):
    out = reconstruct(reco, [sample], tmp_path / "out")
    with hold(out), pytest.raises(BusyError, match="is at work in it"):
        reconstruct(reco, [sample], out)


@here
def test_a_reconstruction_that_changes_meanwhile_is_noticed(reco, sample, tmp_path, monkeypatch):
    monkeypatch.setattr("townsend.experiments.drifttube.reconstruction.reconstruct.check_reconstruction", changed(reco))
    with pytest.raises(InputError, match="must not change while it is used"):
        reconstruct(reco, [sample], tmp_path / "out")


def changed(reco):
    from townsend.experiments.drifttube.reconstruction.folder import check_reconstruction

    known = check_reconstruction(reco)
    return lambda path: replace(known, seal="0" * 16)


def test_reading_a_folder_of_another_kind_is_refused(sample, tmp_path):
    for folder in (sample, tmp_path / "none"):
        with pytest.raises(InputError, match="must be a folder made by `townsend reconstruct`"):
            read_reconstructed(folder)
