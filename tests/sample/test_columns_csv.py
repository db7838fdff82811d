from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample import columns_csv
from townsend.sample.columns import open_columns


@pytest.fixture
def table(tmp_path):
    """Open a text as a table."""

    def write(text, names=None):
        path = tmp_path / "table.csv"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return open_columns([path], names=names)

    return write


def read(columns, names=None, rows=1000):
    parts = [chunk.columns for chunk in columns.iterate(names or columns.types, rows)]
    return {name: np.concatenate([part[name] for part in parts]).tolist() for name in parts[0]}


EXPECTED = {"a": [1, 3], "b": [2.5, -4]}


@pytest.mark.parametrize(
    "text",
    [
        "a,b\n1,2.5\n3,-4\n",
        "a,b\n1,2.5\n3,-4",
        "a,b\r\n1,2.5\r\n3,-4\r\n",
        "a,b\r1,2.5\r3,-4\r",
        "\n\na,b\n\n1,2.5\n\n\n3,-4\n\n",
        "\ufeffa,b\n1,2.5\n3,-4\n",
        "a;b\n1;2.5\n3;-4\n",
        "a\tb\n1\t2.5\n3\t-4\n",
        "a b\n1 2.5\n3 -4\n",
        "  a   b\n  1   2.5 \n\n  3\t-4\n",
        "# a b\n1 2.5\n3 -4\n",
        "#a,b\n1,2.5\n3,-4\n",
        "a , b\n 1 , 2.5\n3, -4\n",
        '"a","b"\n"1","2.5"\n3,-4.0e0\n',
    ],
)
def test_all_common_layouts_are_read(table, text):
    columns = table(text)
    assert columns.entries == (2,)
    assert read(columns) == EXPECTED
    assert dict(columns.types) == {"a": "int64", "b": "float64"}


@settings(max_examples=30)
@given(
    st.lists(st.tuples(st.integers(-(10**17), 10**17), st.floats(width=32)), min_size=1, max_size=12),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n"]),
    st.sampled_from([",", ";", "\t", " ", "  "]),
    st.integers(1, 40),
    st.integers(1, 5),
)
def test_any_cut_into_blocks_gives_the_same_rows(tmp_path_factory, rows, end, mark, size, chunk):
    path = tmp_path_factory.getbasetemp() / "blocks.csv"
    path.write_bytes(end.join([f"n{mark}x", *(f"{n}{mark}{x!r}" for n, x in rows)]).encode())
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(columns_csv, "_BLOCK_BYTES", size)  # a few bytes, so that lines and their ends are cut anywhere
        columns = open_columns([path])
        assert columns.entries == (len(rows),)
        found = read(columns, rows=chunk)
    np.testing.assert_array_equal(found["n"], [n for n, _ in rows])
    np.testing.assert_array_equal(found["x"], [x for _, x in rows])


def test_names_are_given_where_there_is_no_header(table):
    assert read(table("1,2.5\n3,-4\n", ["a", "b"])) == EXPECTED
    assert read(table("1 2.5\r3 -4\r", ("a", "b"))) == EXPECTED
    assert table("", ["a", "b"]).entries == (0,)
    with pytest.raises(InputError, match=r"header line, or `columns` must name its columns \(first line: '1,2.5'\)"):
        table("1,2.5\n3,-4\n")
    with pytest.raises(InputError, match="must begin with a header line"):
        table("a,2.5\n3,-4\n")
    with pytest.raises(InputError, match=r"must begin with numbers where `columns` names .* \(first line: 'a,b'\)"):
        table("a,b\n3,-4\n", ["a", "b"])
    with pytest.raises(InputError, match=r"`columns` must name all 2 columns .* \(got 3 names"):
        table("1,2\n", ["a", "b", "c"])
    with pytest.raises(InputError, match=r'different names \(got "a" twice\)'):
        table("1,2\n", ["a", "a"])


def test_files_without_rows_or_without_anything(table):
    columns = table("a,b\n")
    assert columns.entries == (0,)
    assert read(columns) == {"a": [], "b": []}
    for text in ("", "\n\n", b"\xef\xbb\xbf", "#\n"):
        with pytest.raises(InputError, match="must begin with a header line"):
            table(text)


def test_missing_cells_are_nan(table):
    found = read(table("n,x,t\n1,,\n,nan,\n3,NA,\n4,inf,\n"))
    np.testing.assert_equal(found, {"n": [1, math.nan, 3, 4], "x": [math.nan] * 3 + [math.inf], "t": [math.nan] * 4})


def test_the_index_of_a_data_frame_is_a_column(table):
    assert read(table(",a\n0,5\n1,6\n")) == {"column 1": [0, 1], "a": [5, 6]}


def test_true_and_false_are_conditions(table):
    columns = table("a,b\n1,True\n2,false\n")
    assert columns.types["b"] == "bool"
    assert read(columns)["b"] == [True, False]


def test_texts_are_listed_and_refused_with_the_first_line_of_them(table):
    columns = table("a,name,late\n1,x,1\n2,y,z\n")
    assert read(columns, ["a"]) == {"a": [1, 2]}
    with pytest.raises(InputError, match=r'"name" must hold numbers .* \(got text \("x" in line 2\)'):
        columns.check(["name"])
    with pytest.raises(InputError, match=r'"late" must hold numbers .* \(got text \("z" in line 3\)'):
        columns.check(["late"])


@pytest.fixture
def small_blocks(monkeypatch):
    """Let the types of columns be decided by the first line or two."""
    monkeypatch.setattr(columns_csv, "_BLOCK_BYTES", 16)


def test_cells_that_are_no_numbers_are_named_with_their_line(table, small_blocks):
    columns = table("n,x,b\n1,2.5,true\n\n2,3.5,false\n3,x7,true\n4,5.5,maybe\nz,6.5,true\nTrue,7.5,true\n")
    assert columns.entries == (6,)
    for name, sentence in {"x": r'numbers in column "x" \(got "x7" in line 5', "n": r'column "n" \(got "z" in line 7',
                           "b": r'true or false in column "b" \(got "maybe" in line 6'}.items():  # fmt: skip
        with pytest.raises(InputError, match=sentence):
            read(columns, [name])
    columns = table("n,x\n1,2.5\n2,3.5\n3,4.5\nTrue,7.5\n")
    with pytest.raises(InputError, match=r'column "n" \(got "True" in line 5'):
        read(columns, ["n"])


def test_lines_of_other_lengths_are_named(table, small_blocks):
    columns = table("a,b\n1,2\n3,4\n5,6\n7,8\n9\n")
    with pytest.raises(InputError, match=r"2 cells in every line \(got 1 in line 6\)"):
        read(columns)
    with pytest.raises(InputError, match=r"2 cells in every line \(got 3 in line 2\)"):
        table("a,b\n1,2,3\n")


def test_cells_that_go_on_in_the_next_line_are_refused(table):
    with pytest.raises(InputError, match="a quoted cell goes on in the next line from line 2 on"):
        table('a,b\n1,"x\n2,y"\n3,z\n')
    with pytest.raises(InputError, match=r"2 cells in every line \(got 1 in line 4\)"):
        table('a,b\n1,2\n3,"4\n5"\n6,7\n')


def test_whole_numbers_may_become_others_further_down(table, small_blocks):
    columns = table("event,n\n9007199254740993,1\n9007199254740995,2\n9007199254740997,3.5\n")
    assert columns.types["n"] == "int64"
    (chunk,) = columns.iterate(["n"])
    assert chunk.columns["n"].tolist() == [1, 2, 3.5]
    (chunk,) = columns.iterate(["event", "n"])
    assert chunk.columns["event"].tolist() == [9007199254740993, 9007199254740995, 9007199254740997]  # none is rounded


def test_what_is_no_text_is_refused(table):
    for content in (b"\0\1\2", "a,b\n1,2\n".encode("utf-16"), b"\xff\xfe\n1\n"):
        with pytest.raises(InputError, match="must be a ROOT, Parquet or CSV file"):
            table(content)


def test_lines_without_end_are_refused(table, monkeypatch, small_blocks):
    monkeypatch.setattr(columns_csv, "_LONGEST_LINE", 100)
    with pytest.raises(InputError, match="must have lines of at most"):
        table("a,b\n" + "1" * 200)


@pytest.fixture
def htru2():
    folder = os.environ.get("TOWNSEND_DATA")
    if not folder or not (Path(folder) / "HTRU_2.csv").is_file():
        pytest.skip("real data: set TOWNSEND_DATA to the folder that holds HTRU_2.csv")
    return Path(folder) / "HTRU_2.csv"


def test_real_pulsars_are_what_numpy_reads(htru2):
    columns = open_columns([htru2])
    assert columns.entries == (17898,)
    assert columns.types["class"] == "int64"
    found = read(columns, rows=5000)
    expected = np.loadtxt(htru2.read_text().splitlines(), delimiter=",", skiprows=1)
    for place, name in enumerate(columns.types):
        np.testing.assert_array_equal(found[name], expected[:, place])
    assert sum(found["class"]) == 1639
