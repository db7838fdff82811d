from __future__ import annotations

import os
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from townsend.errors import InputError
from townsend.sample.columns import open_columns

KINDS = ("bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float32", "float64")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "table.root"


def whole(path, names, tree=None, rows=100):
    (chunk,) = open_columns([path], tree).iterate(names, rows)
    return chunk.columns


def test_all_kinds_of_numbers_come_back_as_native_arrays(path):
    values = {kind: np.array([0, 1, 1]).astype(kind) for kind in KINDS}
    lists = {f"list_{kind}": ak.unflatten(np.array([1, 0, 1]).astype(kind), [2, 0, 1]) for kind in KINDS}
    with uproot.recreate(path) as file:
        types = dict.fromkeys(KINDS, "") | {name: name for name in KINDS}
        types |= {name: column.type.content for name, column in lists.items()}
        file.mktree("t", types).extend(values | lists)
    columns = open_columns([path])
    assert {name: columns.types[name] for name in KINDS} == {name: name for name in KINDS}
    assert {name: columns.types[name] for name in lists} == {name: name.replace("list_", "list of ") for name in lists}
    found = whole(path, [*values, *lists])
    for kind in KINDS:
        assert found[kind].dtype == np.dtype(kind)
        assert found[kind].dtype.isnative
        np.testing.assert_array_equal(found[kind], values[kind])
        assert found[f"list_{kind}"].to_list() == lists[f"list_{kind}"].to_list()
        assert ak.flatten(found[f"list_{kind}"]).to_numpy().dtype == np.dtype(kind)


def test_names_that_are_no_identifiers_and_arrays_of_fixed_length(path):
    values = {
        "jet.pt": np.ones(2, np.float32),
        **dict.fromkeys(("a b", "class", "x[0-9]*"), np.arange(2)),
        "p": np.arange(4, dtype=np.float32).reshape(2, 2),
        "m": np.ones((2, 2, 2), np.float32),
    }
    with uproot.recreate(path) as file:
        file.mktree("t", {name: (value.dtype, value.shape[1:]) for name, value in values.items()}).extend(values)
    names = ["jet.pt", "a b", "class", "x[0-9]*", "p"]
    found = whole(path, names)
    assert {name: ak.to_list(found[name]) for name in names} == {
        "jet.pt": [1, 1],
        "a b": [0, 1],
        "class": [0, 1],
        "x[0-9]*": [0, 1],
        "p": [[0, 1], [2, 3]],
    }
    columns = open_columns([path])
    assert columns.types["p"] == "list of float32"
    with pytest.raises(InputError, match=r'"m" must hold numbers or lists of numbers \(got float\[2\]\[2\]'):
        columns.check(["m"])


def test_other_branches_are_listed_and_refused(path):
    with uproot.recreate(path) as file:
        file.mkrntuple(
            "t",
            {
                "x": np.arange(3.0),
                "v": ak.Array([[1, 2], [], [3]]),
                "fixed": ak.from_numpy(np.ones((3, 2)), regulararray=True),
                "text": ak.Array(["a", "b", "c"]),
                "nested": ak.Array([[[1]], [], [[2], [3]]]),
                "record": ak.Array([{"a": 1}] * 3),
            },
        )
    columns = open_columns([path])
    assert columns.types["v"] == "list of int64"
    assert columns.types["text"] == "text"
    for name in ("text", "nested", "record"):
        with pytest.raises(InputError, match=f'column "{name}" must hold numbers or lists of numbers'):
            columns.check([name])
    pieces = [chunk.columns for chunk in columns.iterate(["x", "v", "fixed"], rows=2)]
    assert [piece["x"].tolist() for piece in pieces] == [[0, 1], [2]]
    assert [piece["v"].to_list() for piece in pieces] == [[[1, 2], []], [[3]]]
    assert [piece["fixed"].to_list() for piece in pieces] == [[[1, 1]] * 2, [[1, 1]]]


def test_the_only_tree_is_found_whatever_its_cycles(path):
    with uproot.recreate(path) as file:
        file["note"] = "x"
        for size in (2, 3):
            file.mktree("a/b/events", {"x": "int32"}).extend({"x": np.arange(size)})
    assert open_columns([path]).entries == (3,)
    assert open_columns([path], "a/b/events").entries == (3,)


def test_a_tree_must_be_named_where_there_are_several_or_none(path):
    with uproot.recreate(path) as file:
        file["note"] = "x"
    with pytest.raises(InputError, match=r"must say which \(got none"):
        open_columns([path])
    with pytest.raises(InputError, match='must hold a tree "events"; it holds none'):
        open_columns([path], "events")
    with uproot.recreate(path) as file:
        for name in ("signal", "background"):
            file.mktree(name, {"x": "int32"}).extend({"x": np.arange(3)})
    with pytest.raises(InputError, match=r"must say which \(got signal, background"):
        open_columns([path])
    with pytest.raises(InputError, match='must hold a tree "signa"; did you mean "signal"'):
        open_columns([path], "signa")
    assert whole(path, ["x"], "signal")["x"].tolist() == [0, 1, 2]


def test_damage_is_one_sentence_whenever_it_is_met(path):
    random = np.random.default_rng(3)
    with uproot.recreate(path) as file:
        file.mktree("t", {"x": "float64"}).extend({"x": random.normal(size=5000)})
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 15).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match="must be a whole ROOT file") as caught:
            open_columns([path])
        assert "\n" not in str(caught.value)
    path.write_bytes(content)
    columns = open_columns([path])
    place = content.index(b"ZS") if b"ZS" in content else len(content) // 2
    path.write_bytes(content[: place + 50] + b"\0" * 2000 + content[place + 2050 :])
    with pytest.raises(InputError, match="must be a whole ROOT file"):
        list(columns.iterate(["x"]))


@pytest.fixture
def hzz():
    folder = os.environ.get("TOWNSEND_DATA")
    if not folder or not (Path(folder) / "HZZ.root").is_file():
        pytest.skip("real data: set TOWNSEND_DATA to the folder that holds HZZ.root")
    return Path(folder) / "HZZ.root"


def test_real_events_are_what_uproot_reads(hzz):
    columns = open_columns([hzz])
    assert columns.entries == (2421,)
    assert columns.types["Jet_ID"] == "list of bool"
    assert columns.types["EventWeight"] == "float32"
    with pytest.raises(InputError, match='column "Muon_Pt"; did you mean "Muon_P'):
        columns.check(["Muon_Pt"])
    names = ["Muon_Px", "Jet_ID", "NMuon", "triggerIsoMu24", "EventWeight"]
    with uproot.open(hzz) as file:
        expected = file["events"].arrays(names)
    for chunk in columns.iterate(names, rows=700):
        for name, column in chunk.columns.items():
            part = expected[name][chunk.start : chunk.start + chunk.rows]
            assert ak.array_equal(column, part, dtype_exact=True), name
