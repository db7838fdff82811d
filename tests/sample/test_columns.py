from __future__ import annotations

import awkward as ak
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample.columns import Friend, open_columns

TABLE = {"x": np.arange(7.0), "n": np.arange(7) * 10, "v": ak.Array([[1.0, 2.0], [], [3.0], [], [4.0], [5.0, 6.0], []])}


def write_root(path, tree="events", rows=slice(None), **columns):
    columns = {name: column[rows] for name, column in (columns or TABLE).items()}
    types = {
        name: column.type.content if isinstance(column, ak.Array) else column.dtype for name, column in columns.items()
    }
    with uproot.update(path) if path.exists() else uproot.recreate(path) as file:
        file.mktree(tree, types).extend(columns)
    return path


def write_parquet(path, rows=slice(None), row_group_size=2, **columns):
    columns = {name: pa.array(ak.to_list(column[rows])) for name, column in (columns or TABLE).items()}
    pq.write_table(pa.table(columns), path, row_group_size=row_group_size)
    return path


def write_csv(path, rows=slice(None), **columns):
    columns = {name: column[rows] for name, column in (columns or TABLE).items() if not isinstance(column, ak.Array)}
    lines = [",".join(columns), *(",".join(map(str, row)) for row in zip(*columns.values(), strict=True))]
    path.write_text("\n".join(lines) + "\n")
    return path


WRITERS = {".root": write_root, ".parquet": write_parquet, ".csv": write_csv}


def read(columns, names, rows=100, files=None):
    return [
        {name: ak.to_list(column) for name, column in c.columns.items()} for c in columns.iterate(names, rows, files)
    ]


@settings(max_examples=25)
@given(
    st.lists(st.lists(st.integers(-9, 9), max_size=3), max_size=9), st.integers(1, 10), st.sampled_from(list(WRITERS))
)
def test_chunks_are_bounded_and_make_up_the_whole(tmp_path_factory, lists, rows, suffix):
    path = tmp_path_factory.mktemp("chunks") / f"table{suffix}"
    flat = np.array([item for each in lists for item in each], np.int32)
    table = {"v": ak.unflatten(flat, np.array([len(each) for each in lists], np.int64)), "n": np.arange(len(lists))}
    WRITERS[suffix](path, **table)
    names = {"n"} if suffix == ".csv" else {"n", "v"}
    chunks = list(open_columns([path]).iterate(names, rows))
    assert [chunk.start for chunk in chunks] == list(range(0, max(len(lists), 1), rows))
    assert [chunk.rows for chunk in chunks] == [min(rows, len(lists) - chunk.start) for chunk in chunks]
    for name in names:
        assert [value for chunk in chunks for value in ak.to_list(chunk.columns[name])] == ak.to_list(table[name])
        assert {len(chunk.columns[name]) for chunk in chunks} <= {chunk.rows for chunk in chunks}


@pytest.fixture
def files(tmp_path):
    return [write_root(tmp_path / "a.root", rows=slice(4)), write_root(tmp_path / "b.root", rows=slice(4, None))]


def test_files_follow_each_other(files):
    columns = open_columns(files)
    assert columns.files == tuple(files)
    assert columns.entries == (4, 3)
    assert columns.types["x"] == "float64"
    assert columns.types["v"] == "list of float64"
    found = [(chunk.file, chunk.start, chunk.rows) for chunk in columns.iterate(["x"], rows=3)]
    assert found == [(0, 0, 3), (0, 3, 1), (1, 0, 3)]
    assert read(columns, ["x"], files=[1]) == [{"x": [4, 5, 6]}]
    assert read(columns, []) == [{}, {}]
    with pytest.raises(InputError, match="rows must be at least 1"):
        next(columns.iterate(["x"], rows=0))


def test_files_of_all_formats_may_be_read_together(tmp_path):
    paths = [write(tmp_path / f"a{suffix}") for suffix, write in WRITERS.items()]
    assert read(open_columns(paths), ["n"]) == [{"n": TABLE["n"].tolist()}] * 3


def test_an_empty_file_is_one_chunk_without_rows(tmp_path):
    for suffix, write in WRITERS.items():
        columns = open_columns([write(tmp_path / f"a{suffix}", rows=slice(0))])
        (chunk,) = columns.iterate(["x", "n"] if suffix == ".csv" else list(TABLE))
        assert (chunk.start, chunk.rows) == (0, 0)
        assert all(len(column) == 0 for column in chunk.columns.values())


def test_columns_that_cannot_be_read_are_refused_before_anything_is_read(files, tmp_path):
    columns = open_columns(files)
    with pytest.raises(InputError, match=r'a\.root must have a column "vv"; did you mean "v"'):
        next(columns.iterate(["x", "vv"]))
    write_root(tmp_path / "c.root", x=np.arange(3.0), y=np.arange(3.0))
    columns = open_columns([*files, tmp_path / "c.root"])
    with pytest.raises(InputError, match=r'c\.root must have a column "n", as .*a\.root has; known: x, y'):
        next(columns.iterate(["x", "n"]))
    columns.check(["x"])
    assert read(columns, ["n"], files=[1]) == [{"n": [40, 50, 60]}]  # only files that are read must have it
    write_root(tmp_path / "d.root", x=TABLE["v"])
    with pytest.raises(
        InputError, match=r"one kind in all files \(got list of float64 in .*d\.root and float64 in .*a\.root"
    ):
        open_columns([*files, tmp_path / "d.root"]).check(["x"])
    many = {f"column_{number:03d}": np.zeros(1) for number in range(61)}
    with pytest.raises(InputError, match='must have a column "zzz"; none of its 61 is near'):
        open_columns([write_root(tmp_path / "many.root", **many)]).check(["zzz"])


def test_missing_and_foreign_files_are_one_sentence(tmp_path):
    with pytest.raises(InputError, match="at least one file"):
        open_columns([])
    for name in ("none.root", "none.parquet", "none.csv", ""):
        with pytest.raises(InputError, match="must be a readable file"):
            open_columns([tmp_path / name])
    foreign = {
        "a.root": b"no ROOT file",
        "a.parquet": b"no Parquet file",
        "a.h5": b"\x89HDF\r\n\x1a\n\0\0",
        "a.dat": b"",
    }
    for name, content in foreign.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(InputError, match=f"{name} must") as caught:
            open_columns([tmp_path / name])
        assert "\n" not in str(caught.value)


def test_trees_and_names_are_for_files_that_have_them(tmp_path):
    for suffix in (".parquet", ".csv"):
        with pytest.raises(InputError, match="`tree` must be left out"):
            open_columns([WRITERS[suffix](tmp_path / f"a{suffix}")], "events")
    for suffix in (".parquet", ".root"):
        with pytest.raises(InputError, match="`columns` must be left out"):
            open_columns([WRITERS[suffix](tmp_path / f"a{suffix}")], names=["a", "b"])


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path):
    path = write_csv(tmp_path / "a.csv")
    columns = open_columns([path])
    write_csv(path, rows=slice(5))
    with pytest.raises(InputError, match=r"must stay as it was .* \(got 2 rows from 3 on, 3 were there\)"):
        list(columns.iterate(["x"], rows=3))


# ---- friends


def test_friends_are_joined_entry_by_entry(files, tmp_path):
    scores = [
        write_csv(tmp_path / "a.csv", rows=slice(4), score=np.arange(7) / 8, extra=np.arange(7)),
        write_csv(tmp_path / "b.csv", rows=slice(4, None), score=np.arange(7) / 8, extra=np.arange(7)),
    ]
    write_root(files[0], "more", slice(4), m=np.arange(7) * 3)
    write_root(files[1], "more", slice(4, None), m=np.arange(7) * 3)
    columns = open_columns(files, "events", [Friend(scores), Friend(files, "more")])
    assert set(columns.types) == {"x", "n", "nv", "v", "score", "extra", "m"}
    chunks = list(columns.iterate(["x", "score", "m", "friend1.extra", "more.m", "events.n"], rows=3))
    assert [chunk.rows for chunk in chunks] == [3, 1, 3]
    for chunk in chunks:
        x = chunk.columns["x"]
        np.testing.assert_array_equal(chunk.columns["score"], x / 8)
        np.testing.assert_array_equal(chunk.columns["friend1.extra"], x)
        np.testing.assert_array_equal(chunk.columns["more.m"], x * 3)
        np.testing.assert_array_equal(chunk.columns["m"], x * 3)
        np.testing.assert_array_equal(chunk.columns["events.n"], x * 10)


def test_names_that_a_friend_shares_must_be_told_apart(files, tmp_path):
    friend = [write_root(tmp_path / f"f{path.name}", "scores", part, x=-TABLE["x"], y=TABLE["x"])
              for path, part in zip(files, (slice(4), slice(4, None)), strict=True)]  # fmt: skip
    columns = open_columns(files, None, [Friend(friend)])
    with pytest.raises(InputError, match=r'column "x" must be told .*; say `events\.x` or `scores\.x`'):
        columns.check(["x"])
    assert read(columns, ["n"], files=[1]) == [{"n": [40, 50, 60]}]  # only files that are read must have it
    assert "x" not in columns.types
    assert read(columns, ["events.x", "scores.x", "y"], files=[1]) == [
        {"events.x": [4, 5, 6], "scores.x": [-4, -5, -6], "y": [4, 5, 6]}
    ]
    same = open_columns(files, None, [Friend(files)])
    assert read(same, ["events.x", "friend1.x"], files=[1]) == [{"events.x": [4, 5, 6], "friend1.x": [4, 5, 6]}]


def test_friends_of_another_length_are_refused(files, tmp_path):
    with pytest.raises(InputError, match=r"one file for each \(got 1 for 2 files\)"):
        open_columns(files, None, [Friend(files[:1])])
    with pytest.raises(InputError, match=r'got 3 in tree "events" of .*b\.root, 4 in tree "events" of .*a\.root'):
        open_columns(files, None, [Friend(files[::-1])])
    with pytest.raises(InputError, match=r"got 7 in .*t\.csv, 4 in"):
        open_columns(files[:1], None, [Friend([write_csv(tmp_path / "t.csv")])])
