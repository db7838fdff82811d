from __future__ import annotations

import math

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from townsend.errors import InputError
from townsend.sample.columns import open_columns


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.parquet"


def write(path, **columns):
    pq.write_table(pa.table(columns), path, row_group_size=2)
    return open_columns([path])


def test_types_are_told_and_kept(path):
    columns = write(
        path,
        small=pa.array([1, 2, 3], pa.uint8()),
        big=pa.array([2**53 + 1, 2, 3], pa.int64()),
        half=pa.array(np.array([1, 2, 3], np.float16)),
        yes=pa.array([True, False, True]),
        lists=pa.array([[1, 2], [], [3]], pa.list_(pa.int16())),
        large=pa.array([[True], [], [False]], pa.large_list(pa.bool_())),
        fixed=pa.array([[1, 2], [3, 4], [5, 6]], pa.list_(pa.float32(), 2)),
        text=pa.array(["a", "b", "c"]),
        nested=pa.array([[[1]], [], [[2]]]),
        day=pa.array([1, 2, 3], pa.date32()),
    )
    assert dict(columns.types) == {
        "small": "uint8",
        "big": "int64",
        "half": "float16",
        "yes": "bool",
        "lists": "list of int16",
        "large": "list of bool",
        "fixed": "list of float32",
        "text": "text",
        "nested": columns.types["nested"],
        "day": "date32[day]",
    }
    for name in ("text", "nested", "day"):
        with pytest.raises(InputError, match=f'column "{name}" must hold numbers or lists of numbers'):
            columns.check([name])
    (chunk,) = columns.iterate(["small", "big", "half", "yes", "lists", "large", "fixed"])
    found = chunk.columns
    assert found["big"].tolist() == [2**53 + 1, 2, 3]
    assert [found[name].dtype for name in ("small", "big", "half", "yes")] == [np.uint8, np.int64, np.float16, np.bool_]
    assert found["lists"].to_list() == [[1, 2], [], [3]]
    assert ak.flatten(found["lists"]).to_numpy().dtype == np.int16
    assert found["large"].to_list() == [[True], [], [False]]
    assert found["fixed"].to_list() == [[1, 2], [3, 4], [5, 6]]


def test_missing_values_are_nan_and_missing_lists_empty(path):
    columns = write(
        path,
        n=pa.array([1, None, 3]),
        x=pa.array([None, 2.5, None]),
        nothing=pa.nulls(3),
        v=pa.array([[1, None], None, [3]]),
        yes=pa.array([True, None, False]),
    )
    (chunk,) = columns.iterate(["n", "x", "nothing", "v"])
    np.testing.assert_array_equal(chunk.columns["n"], [1, math.nan, 3])
    np.testing.assert_array_equal(chunk.columns["x"], [math.nan, 2.5, math.nan])
    np.testing.assert_array_equal(chunk.columns["nothing"], [math.nan] * 3)
    assert ak.num(chunk.columns["v"]).to_list() == [2, 0, 1]
    np.testing.assert_array_equal(ak.flatten(chunk.columns["v"]), [1, math.nan, 3])
    with pytest.raises(InputError, match=r'column "yes" must be true or false in every row \(got 1 missing\)'):
        list(columns.iterate(["yes"]))


def test_whole_numbers_are_not_rounded_to_make_room_for_nan(path):
    columns = write(path, n=pa.array([2**53 + 1, None]))
    with pytest.raises(InputError, match="must be a whole Parquet file"):
        list(columns.iterate(["n"]))


def test_names_with_dots_are_not_taken_for_structure(path):
    columns = write(path, **{"jet.pt": pa.array([1.0, 2.0]), "jet": pa.array([3, 4])})
    (chunk,) = columns.iterate(["jet.pt", "jet"])
    assert {name: column.tolist() for name, column in chunk.columns.items()} == {"jet.pt": [1, 2], "jet": [3, 4]}


def test_damage_is_one_sentence_whenever_it_is_met(path):
    columns = write(path, x=pa.array(np.random.default_rng(3).normal(size=5000)))
    content = path.read_bytes()
    for length in np.linspace(1, len(content) - 1, 10).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="must be a whole Parquet file") as caught:
            open_columns([path])
        assert "\n" not in str(caught.value)
    path.write_bytes(content[:40] + b"\xff" * 2000 + content[2040:])
    with pytest.raises(InputError, match="must be a whole Parquet file"):
        list(columns.iterate(["x"]))
