from __future__ import annotations

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample.column_writer import SUFFIXES, open_column_writer
from townsend.sample.columns import open_columns

PIECE = {
    "score": np.array([0.25, np.nan], np.float32),
    "label": np.array([1, -1], np.int32),
    "b c": np.array([True, False]),
}


@settings(max_examples=20)
@given(st.sampled_from(SUFFIXES), st.lists(st.integers(0, 4), min_size=1, max_size=4), st.integers(0, 2**32))
def test_what_is_written_is_read_in_the_same_order(tmp_path_factory, suffix, sizes, seed):
    path = tmp_path_factory.getbasetemp() / f"written{suffix}"
    random = np.random.default_rng(seed)
    pieces = [
        {
            "x": random.normal(size=size),
            "small": random.normal(size=size).astype(np.float32),
            "n": random.integers(-(2**62), 2**62, size),
            "yes": random.random(size) > 0.5,
        }
        for size in sizes
    ]
    with open_column_writer(path) as writer:
        for piece in pieces:
            writer.extend(piece)
    columns = open_columns([path])
    assert columns.entries == (sum(sizes),)
    found = [chunk.columns for chunk in columns.iterate(columns.types, rows=3)]
    for name in pieces[0]:
        expected = np.concatenate([piece[name] for piece in pieces])
        read = np.concatenate([part[name] for part in found])
        np.testing.assert_array_equal(read.astype(expected.dtype), expected)
        if suffix != ".csv":
            assert read.dtype == expected.dtype


def test_other_programs_see_what_is_meant(tmp_path):
    for suffix in SUFFIXES:
        with open_column_writer(tmp_path / f"a{suffix}", {"model": "m1"}) as writer:
            writer.extend(PIECE)
    with uproot.open(tmp_path / "a.root") as file:
        assert file["scores"].keys() == list(PIECE)
        assert file["scores"]["label"].typename == "int32_t"
        assert json.loads(str(file["townsend"])) == {"model": "m1"}
    assert pq.read_schema(tmp_path / "a.parquet").metadata[b"model"] == b"m1"
    assert (tmp_path / "a.csv").read_text() == "score,label,b c\n0.25,1,true\nnan,-1,false\n"


def test_the_tree_may_have_another_name(tmp_path):
    with open_column_writer(tmp_path / "a.root", tree="events") as writer:
        writer.extend(PIECE)
    assert open_columns([tmp_path / "a.root"], "events").entries == (2,)


def test_names_with_commas_are_quoted(tmp_path):
    with open_column_writer(tmp_path / "a.csv") as writer:
        writer.extend({'a,"b"': np.arange(2), "c": np.arange(2)})
    assert list(open_columns([tmp_path / "a.csv"]).types) == ['a,"b"', "c"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_failure_half_way_leaves_the_old_file_alone(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(b"old")
    with pytest.raises(RuntimeError, match="half way"), open_column_writer(path) as writer:  # noqa: PT012
        writer.extend(PIECE)
        assert path.read_bytes() == b"old"
        msg = "half way"
        raise RuntimeError(msg)
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_other_suffixes_are_refused(tmp_path):
    for name in ("a.h5", "a", "a.CSV"):
        with (
            pytest.raises(InputError, match=r"must end in \.root, \.parquet, \.csv"),
            open_column_writer(tmp_path / name),
        ):
            pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("columns", "sentence"),
    [
        ({}, "of one length .got none"),
        ({"a": np.arange(2), "b": np.arange(3)}, "of one length"),
        ({"a": np.zeros((2, 2))}, r"columns of numbers .* a float64 \(2, 2\)"),
        ({"a": np.array(["x"])}, "columns of numbers"),
        ({**PIECE, "more": np.arange(2)}, "the same columns each time"),
        ({**PIECE, "label": np.arange(2.0)}, "the same columns each time"),
    ],
)
def test_columns_that_do_not_fit_are_refused(tmp_path, columns, sentence):
    with pytest.raises(InputError, match=sentence), open_column_writer(tmp_path / "a.parquet") as writer:  # noqa: PT012
        writer.extend(PIECE)
        writer.extend(columns)
    assert list(tmp_path.iterdir()) == []


def test_a_file_without_columns_is_refused_and_one_without_rows_is_not(tmp_path):
    for suffix in SUFFIXES:
        path = tmp_path / f"a{suffix}"
        with pytest.raises(InputError, match=r"must be given columns \(got none"), open_column_writer(path):
            pass
        assert not path.exists()
        with open_column_writer(path) as writer:
            writer.extend({name: column[:0] for name, column in PIECE.items()})
        columns = open_columns([path])
        assert columns.entries == (0,)
        assert set(columns.types) == set(PIECE)
