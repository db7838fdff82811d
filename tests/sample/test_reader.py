from __future__ import annotations

from dataclasses import replace

import awkward as ak
import numpy as np
import pytest

from townsend.errors import InputError
from townsend.sample.reader import read_sample, read_waveforms, sample_files, sample_fingerprint
from townsend.sample.root_io import write_root


@pytest.fixture
def npz(tmp_path):
    path = tmp_path / "traces.npz"
    np.savez(path, voltage_V=np.eye(2), event=[1, 2], channel=[0, 0], sampling_rate_ghz=2.5)
    return path


@pytest.fixture
def shards(tmp_path, make_waveforms):
    """Two shards, written in the reverse of their order, beside a file that is none."""
    waveforms = make_waveforms([[1], [2, 1], [], [1], [3]])
    write_root(waveforms[3:], tmp_path / "waveforms-0001.root")
    write_root(waveforms[:3], tmp_path / "waveforms-0000.root")
    (tmp_path / ".waveforms-0002.root").write_text("half-written")
    (tmp_path / "sample.json").write_text("{}")
    return waveforms


def test_the_format_is_told_by_content_not_by_name(tmp_path, npz, make_waveforms):
    write_root(make_waveforms(), tmp_path / "a.root")
    (tmp_path / "a.root").rename(tmp_path / "root.dat")
    npz.rename(tmp_path / "npz.dat")
    assert read_waveforms(tmp_path / "root.dat", polarity=1).polarity == -1  # its own
    assert read_waveforms(tmp_path / "npz.dat", polarity=-1).polarity == -1  # as given
    assert read_waveforms(tmp_path / "npz.dat").polarity == 1


def test_a_folder_is_all_its_shards_in_order(tmp_path, shards):
    assert [file.name for file in sample_files(tmp_path)] == ["waveforms-0000.root", "waveforms-0001.root"]
    for found in (read_sample(tmp_path), read_waveforms(tmp_path)):
        np.testing.assert_array_equal(found.samples, shards.samples)
        np.testing.assert_array_equal(found.run, shards.run)
        assert found.provenance == shards.provenance
        for name, value in vars(shards.truth).items():
            assert ak.to_list(getattr(found.truth, name)) == ak.to_list(value), name


def test_measured_shards_have_no_truth(tmp_path, make_waveforms):
    for number in range(2):
        write_root(make_waveforms(None), tmp_path / f"waveforms-{number}.root")
    found = read_sample(tmp_path)
    assert len(found) == 6
    assert found.truth is None


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sampling_rate_ghz": 2.0}, r"sampling_rate_ghz: got 2\.0, waveforms-0000\.root has 1\.0"),
        ({"volts_per_count": 2e-4}, "volts_per_count: got 0.0002"),
        ({"polarity": 1}, "polarity: got 1"),
        ({"t0_ns": np.nan}, "t0_ns: got nan"),
        ({"max_drift_ns": 800.0}, "max_drift_ns: got 800"),
        ({"truth": None}, "truth: got False"),
        ({"samples": np.zeros((5, 4), np.int16)}, "samples a waveform: got 4"),
    ],
)
def test_a_shard_that_differs_is_named(tmp_path, shards, change, sentence):
    write_root(replace(shards, **change), tmp_path / "waveforms-0002.root")
    with pytest.raises(InputError, match=rf"waveforms-0002\.root must be alike .*{sentence}"):
        read_sample(tmp_path)


def test_what_cannot_be_read_is_one_sentence(tmp_path):
    with pytest.raises(InputError, match="must be a readable file or folder"):
        read_waveforms(tmp_path / "none.root")
    with pytest.raises(InputError, match="must be a folder that exists"):
        sample_files(tmp_path / "none")
    with pytest.raises(InputError, match=r"must hold files waveforms-\*\.root \(got none\)"):
        read_waveforms(tmp_path)
    for name, sentence in (("a.txt", "must be a ROOT or NPZ file"), ("a.root", "whole ROOT"), ("a.npz", "whole NPZ")):
        (tmp_path / name).write_text("text")
        with pytest.raises(InputError, match=sentence):
            read_waveforms(tmp_path / name)


def test_the_fingerprint_is_of_contents_not_of_files(tmp_path, shards, make_waveforms):
    before = (tmp_path / "waveforms-0000.root").read_bytes(), sample_fingerprint(tmp_path)
    write_root(shards[:3], tmp_path / "waveforms-0000.root")
    assert (tmp_path / "waveforms-0000.root").read_bytes() != before[0]  # ROOT writes a date and an identifier
    assert sample_fingerprint(tmp_path) == before[1]


@pytest.mark.parametrize("column", ["samples", "event", "volts_per_count"])
def test_the_fingerprint_sees_every_change(tmp_path, shards, column):
    before = sample_fingerprint(tmp_path)
    write_root(replace(shards[3:], **{column: getattr(shards[3:], column) * 2 + 1}), tmp_path / "waveforms-0001.root")
    assert sample_fingerprint(tmp_path) != before


def test_the_fingerprint_sees_the_truth(tmp_path, shards):
    before = sample_fingerprint(tmp_path)
    truth = replace(shards[3:].truth, path_cm=shards[3:].truth.path_cm + np.float32(0.001))
    write_root(replace(shards[3:], truth=truth), tmp_path / "waveforms-0001.root")
    assert sample_fingerprint(tmp_path) != before
