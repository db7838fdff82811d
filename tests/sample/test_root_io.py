from __future__ import annotations

import json
import os
from dataclasses import replace

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample import root_io
from townsend.sample.root_io import iterate_root, read_root, write_root

COLUMNS = ("samples", "event", "channel", "track", "run")


def assert_equal(found, expected):
    for name in COLUMNS:
        assert getattr(found, name).dtype == getattr(expected, name).dtype
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    for name in ("volts_per_count", "sampling_rate_ghz", "polarity", "t0_ns", "max_drift_ns"):
        np.testing.assert_equal(getattr(found, name), getattr(expected, name))
    assert found.provenance == expected.provenance
    assert (found.truth is None) == (expected.truth is None)
    if expected.truth is not None:
        for name, value in vars(expected.truth).items():
            assert ak.to_list(getattr(found.truth, name)) == ak.to_list(value), name


@pytest.fixture
def path(tmp_path):
    return tmp_path / "waveforms-0000.root"


@pytest.fixture
def written(path, make_waveforms):
    write_root(make_waveforms(), path)
    return path


def rewrite(path, change, metadata=None):
    """Write a file like that of `write_root` with its columns changed."""
    with uproot.open(path) as file:
        tree, text = file["waveforms"], str(file["townsend"])
        columns = {name: tree[name].array(library="np") for name in ("samples", "event", "channel", "track", "run")}
        columns |= {
            name: branch.array(library="ak")
            for name, branch in tree.items()
            if name.startswith(("electron", "cluster"))
        }
        columns |= {name: tree[name].array(library="np") for name in ("impact_cm", "path_cm")}
    with uproot.recreate(path) as file:
        tree_columns = change(columns)
        file.mktree("waveforms", {name: _type(value) for name, value in tree_columns.items()}).extend(tree_columns)
        if metadata is None:
            file["townsend"] = text
        elif metadata:
            file["townsend"] = metadata


def _type(values):
    if isinstance(values, ak.Array):
        return values.type.content
    return np.dtype((values.dtype, values.shape[1:]))


def test_all_columns_come_back(path, make_waveforms):
    for waveforms in (make_waveforms(), make_waveforms(None), make_waveforms([]), make_waveforms([[], []])):
        write_root(waveforms, path)
        assert_equal(read_root(path), waveforms)


@settings(max_examples=25)  # each writes one file and reads it twice
@given(
    st.lists(st.lists(st.integers(1, 4), max_size=4), max_size=6),
    st.integers(1, 9),
    st.integers(0, 7),
    st.integers(0, 7),
)
def test_any_ragged_truth_and_any_rows_come_back(tmp_path_factory, make_waveforms, sizes, length, start, stop):
    path = tmp_path_factory.getbasetemp() / "ragged.root"
    waveforms = make_waveforms(sizes, length=length)
    write_root(waveforms, path)
    assert_equal(read_root(path), waveforms)
    if start <= stop:
        assert_equal(read_root(path, start=start, stop=stop), waveforms[start:stop])


def test_pieces_are_bounded_and_make_up_the_whole(tmp_path, make_waveforms, monkeypatch):
    monkeypatch.setattr(root_io, "_BASKET_BYTES", 20)  # 2 waveforms of 5 samples, so that pieces and baskets interleave
    waveforms = make_waveforms([[1], [2, 1], [], [1], [3], [1, 1], []])
    paths = [tmp_path / "a.root", tmp_path / "b.root"]
    for path in paths:
        write_root(waveforms, path)
    assert_equal(read_root(paths[0]), waveforms)
    pieces = list(iterate_root(paths, step=3))
    assert [len(piece) for piece in pieces] == [3, 3, 1, 3, 3, 1]
    assert_equal(pieces[4], waveforms[3:6])
    with pytest.raises(InputError, match="step must be at least 1"):
        next(iterate_root(paths, step=0))


def test_other_programs_see_plain_branches(written):
    with uproot.open(written) as file:
        tree = file["waveforms"]
        kinds = {name: branch.typename for name, branch in tree.items()}
    assert kinds["samples"] == "int16_t[5]"
    assert kinds["event"] == "int32_t"
    assert kinds["impact_cm"] == "float"
    assert kinds["electron_time_ns"] == "float[]"
    assert kinds["cluster_size"] == "int32_t[]"


def test_a_failure_half_way_leaves_the_old_file_alone(written, make_waveforms, monkeypatch):
    before = written.read_bytes()

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_root(make_waveforms(None), written)
    assert written.read_bytes() == before
    assert list(written.parent.iterdir()) == [written]


def test_missing_and_foreign_files_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match=r"none\.root must be a ROOT file that exists"):
        read_root(tmp_path / "none.root")
    for content in (b"", b"root", b"some text that is no ROOT file at all" * 20):
        (tmp_path / "bad.root").write_bytes(content)
        with pytest.raises(InputError, match=r"bad\.root must be a whole ROOT file"):
            read_root(tmp_path / "bad.root")


def test_a_truncated_file_is_one_sentence_wherever_it_is_cut(written):
    content = written.read_bytes()
    for length in np.linspace(0, len(content) - 1, 30).astype(int):
        written.write_bytes(content[:length])
        with pytest.raises(InputError, match="must be a whole ROOT file") as caught:
            read_root(written)
        assert "\n" not in str(caught.value)


def test_damaged_bytes_give_waveforms_or_one_sentence(written):
    content = written.read_bytes()
    random = np.random.default_rng(5)
    outcomes = set()
    for _ in range(12):
        damaged = np.frombuffer(content, np.uint8).copy()
        damaged[random.integers(len(content), size=20)] = random.integers(256, size=20)
        written.write_bytes(damaged.tobytes())
        try:
            read_root(written)
            outcomes.add("read")
        except InputError as error:
            str(error).encode()
            outcomes.add("refused")
    assert "refused" in outcomes


def test_the_nearest_tree_and_branch_are_named(written):
    with pytest.raises(InputError, match='must hold a TTree "waveform"; did you mean "waveforms"'):
        read_root(written, tree="waveform")
    with pytest.raises(InputError, match='must hold a TTree "townsend"'):
        read_root(written, tree="townsend")
    rewrite(written, lambda columns: {name.replace("channel", "chanel"): value for name, value in columns.items()})
    with pytest.raises(InputError, match='branch "channel" in tree "waveforms"; did you mean "chanel"'):
        read_root(written)


def test_a_file_without_trees_says_so(path):
    with uproot.recreate(path) as file:
        file["text"] = "x"
    with pytest.raises(InputError, match="it holds none"):
        read_root(path)


def test_half_a_truth_is_refused(written):
    rewrite(written, lambda columns: {name: value for name, value in columns.items() if name != "path_cm"})
    with pytest.raises(InputError, match='must have a branch "path_cm"'):
        read_root(written)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"samples": np.zeros((3, 5), np.float32)},
            r"store branch \"samples\" as int16\[samples\] \(got float32\[5\]\)",
        ),
        ({"samples": np.zeros(3, np.int16)}, r"store branch \"samples\" as int16\[samples\] \(got int16\)"),
        ({"event": np.zeros(3, np.float64)}, 'store branch "event" as int32'),
        ({"impact_cm": np.zeros((3, 2), np.float32)}, 'store branch "impact_cm" as float32'),
        ({"electron_time_ns": ak.Array([[1], [2], [3]])}, 'store branch "electron_time_ns" as list of float32'),
    ],
)
def test_wrong_types_are_refused(written, change, sentence):
    rewrite(written, lambda columns: columns | change)
    with pytest.raises(InputError, match=sentence):
        read_root(written)


def test_lists_that_do_not_match_are_refused(written):
    rewrite(written, lambda columns: columns | {"electron_charge_fC": columns["electron_charge_fC"][:, :1]})
    with pytest.raises(InputError, match=r"lists electron_\* of equal lengths"):
        read_root(written)


def test_electrons_of_no_cluster_are_refused(path, make_waveforms):
    waveforms = make_waveforms([[1], [2]])
    truth = replace(waveforms.truth, electron_cluster=ak.Array([[0], [0, 1]]))
    with pytest.raises(InputError, match="electron_cluster below the number of clusters"):
        write_root(replace(waveforms, truth=truth), path)
    assert not path.exists()


def test_columns_of_other_lengths_are_not_written(path, make_waveforms):
    waveforms = make_waveforms()
    with pytest.raises(InputError, match=r"one track a waveform \(got 2 for 3"):
        write_root(replace(waveforms, track=waveforms.track[:2]), path)
    with pytest.raises(InputError, match="int16 samples of shape"):
        write_root(replace(waveforms, samples=waveforms.samples[:, :0]), path)
    assert not path.exists()


def test_a_file_without_scale_and_rate_is_refused(written):
    rewrite(written, lambda columns: columns, metadata=False)
    with pytest.raises(InputError, match='must hold "townsend" with scale'):
        read_root(written)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"sampling_rate_ghz": 0}, "sampling_rate_ghz > 0"),
        ({"volts_per_count": -1}, "volts_per_count > 0"),
        ({"polarity": 2}, r"polarity \+1 or -1"),
        ({"polarity": None}, "as townsend writes it"),
        ({"provenance": {"wrong": 1}}, "as townsend writes it"),
    ],
)
def test_metadata_that_break_a_rule_are_refused(written, change, sentence):
    with uproot.open(written) as file:
        facts = json.loads(str(file["townsend"]))
    rewrite(written, lambda columns: columns, metadata=json.dumps(facts | change))
    with pytest.raises(InputError, match=sentence):
        read_root(written)
    rewrite(written, lambda columns: columns, metadata="{")
    with pytest.raises(InputError, match="JSONDecodeError"):
        read_root(written)


def test_claims_beyond_the_caps_are_refused_before_anything_is_read(written, monkeypatch):
    def reads_nothing(*_, **__):
        raise AssertionError

    with monkeypatch.context() as patch:
        patch.setattr(uproot.TBranch, "array", reads_nothing)
        patch.setattr(root_io, "MAXIMUM_LENGTH", 4)
        with pytest.raises(InputError, match=r"at most 4 samples a waveform \(got 5\)"):
            read_root(written)
    with monkeypatch.context() as patch:
        patch.setattr(uproot.TBranch, "array", reads_nothing)
        patch.setattr(root_io, "MAXIMUM_SAMPLES", 14)
        with pytest.raises(InputError, match=r"at most 14 samples in one reading \(got 3 waveforms of 5\)"):
            read_root(written)
    monkeypatch.setattr(root_io, "MAXIMUM_SAMPLES", 14)
    assert len(read_root(written, stop=2)) == 2
