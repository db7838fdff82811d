from __future__ import annotations

import math
import os
from functools import cache
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.sample.expression import mask, numbers, parse_expression
from townsend.sample.expression_functions import FUNCTIONS

parsed = cache(parse_expression)

# Few values, so that entries are equal now and then; all sums of them are exact.
entries = st.sampled_from([-2.0, -0.5, 0.0, 1.0, 1.5, 4.0])
events = st.lists(
    st.tuples(st.lists(st.tuples(entries, entries, st.booleans()), max_size=5), entries), min_size=1, max_size=6
)


def columns_of(table, kind=np.float32):
    counts = [len(lists) for lists, _ in table]

    def lists(place, kind):
        return ak.unflatten(np.array([entry[place] for lists, _ in table for entry in lists], kind), counts)

    one = np.array([number for _, number in table])
    return {"v": lists(0, kind), "key": lists(1, np.float64), "good": lists(2, np.bool_), "one": one}


def by_hand(table):
    """What each expression is for one event, written as a plain loop."""

    def pick(values, index, default=math.nan):
        return values[index] if index < len(values) else default

    for lists, one in table:
        v, key, good = ([entry[place] for entry in lists] for place in range(3))
        down = sorted(v, reverse=True)
        keyed = [value for _, value in sorted(zip(key, v, strict=True), key=lambda pair: -pair[0])]  # stable
        kept = [value for value, passes in zip(v, good, strict=True) if passes]
        yield {
            "count(v)": len(v),
            "sum(v)": sum(v),
            "sum(good)": sum(good),
            "mean(v)": sum(v) / len(v) if v else math.nan,
            "mean(v, one)": sum(v) / len(v) if v else one,
            "max(v)": max(v, default=math.nan),
            "min(v, default=7)": min(v, default=7),
            "max(v, one)": max(v, default=one),
            "first(v, -9)": pick(v, 0, -9),
            "v[2]": pick(v, 2),
            "nth(v, 1, one)": pick(v, 1, one),
            "nth(v, 2, -9, by=key)": pick(keyed, 2, -9),
            "leading(v)": pick(down, 0),
            "leading(v, 0, key)": pick(keyed, 0, 0),
            "subleading(v, one)": pick(down, 1, one),
            "subleading(v, by=key)": pick(keyed, 1),
            "count(v[good])": len(kept),
            "sum(v[good] * one)": sum(kept) * one,
            "leading(v[good], -9, by=key[good])": pick(
                [value for _, value in sorted(
                    ((k, value) for k, value, passes in zip(key, v, good, strict=True) if passes), key=lambda p: -p[0]
                )], 0, -9
            ),
            "sum(where(v > key, v, one))": sum(a if a > b else one for a, b in zip(v, key, strict=True)),
            "sum(maximum(v, one) - key)": sum(max(a, one) - b for a, b in zip(v, key, strict=True)),
            "sum(v[v > one && !good])": sum(a for a, passes in zip(v, good, strict=True) if a > one and not passes),
        }  # fmt: skip


@settings(max_examples=40)
@given(events)
def test_one_number_of_each_list_is_what_a_loop_finds(table):
    columns, expected = columns_of(table), list(by_hand(table))
    for text in expected[0]:
        found = numbers(parsed(text), columns, len(table))
        np.testing.assert_array_equal(found, [event[text] for event in expected], err_msg=text)


@settings(max_examples=25)
@given(events)
def test_one_condition_of_each_list_is_what_a_loop_finds(table):
    columns = columns_of(table, np.int16)
    goods = [[entry[2] for entry in lists] for lists, _ in table]
    for text, expected in {
        "any(good)": [any(good) for good in goods],
        "all(good)": [all(good) for good in goods],
        "first(good, true)": [good[0] if good else True for good in goods],
        "nth(good, 1, one > 0)": [
            good[1] if len(good) > 1 else one > 0 for good, (_, one) in zip(goods, table, strict=True)
        ],
        "any(v == 1)": [any(int(entry[0]) == 1 for entry in lists) for lists, _ in table],
        "all(0 <= v < one)": [all(0 <= int(entry[0]) < one for entry in lists) for lists, one in table],
    }.items():
        np.testing.assert_array_equal(mask(parsed(text), columns, len(table)), expected, err_msg=text)


def test_an_event_without_entries_has_no_leading_one():
    columns = {"v": ak.Array([[], [2.0, 1.0], []]), "none": ak.values_astype(ak.Array([[], [], []]), "float64")}
    assert numbers(parsed("leading(v, -1)"), columns, 3).tolist() == [-1, 2, -1]
    np.testing.assert_array_equal(numbers(parsed("leading(v)"), columns, 3), [math.nan, 2, math.nan])
    for text in ("max(none)", "leading(none)", "subleading(none)", "none[0]", "mean(none)"):
        assert np.isnan(numbers(parsed(text), columns, 3)).all()
    assert numbers(parsed("count(none) + sum(none)"), columns, 3).tolist() == [0, 0, 0]


def test_nan_is_last_in_size_and_spoils_extremes():
    columns = {"v": ak.Array([[math.nan, 1.0, 2.0], [math.nan, -math.inf]]), "w": ak.Array([[7, 8, 9], [1, 2]])}
    assert numbers(parsed("leading(w, by=v)"), columns, 2).tolist() == [9, 2]
    assert numbers(parsed("nth(w, 2, 0, by=v)"), columns, 2).tolist() == [7, 0]
    assert np.isnan(numbers(parsed("max(v)"), columns, 2)).all()


def test_lists_of_fixed_length_are_lists():
    columns = {"v": ak.from_numpy(np.arange(6.0).reshape(3, 2), regulararray=True)}
    assert numbers(parsed("sum(v)"), columns, 3).tolist() == [1, 5, 9]
    assert parsed("v + 1").evaluate(columns).tolist() == [[1, 2], [3, 4], [5, 6]]


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("abs", abs),
        ("exp", math.exp),
        ("sqrt", math.sqrt),
        ("log", math.log),
        ("log10", math.log10),
        ("log1p", math.log1p),
        ("sin", math.sin),
        ("cos", math.cos),
        ("tan", math.tan),
        ("arcsin", math.asin),
        ("arccos", math.acos),
        ("arctan", math.atan),
        ("sinh", math.sinh),
        ("cosh", math.cosh),
        ("tanh", math.tanh),
        ("floor", math.floor),
        ("ceil", math.ceil),
        ("sign", lambda x: math.copysign(1, x)),
        ("isfinite", math.isfinite),
        ("isnan", math.isnan),
    ],
)
def test_functions_of_one_number(name, plain):
    values = np.array([0.25, 0.5, 1.0])
    found = numbers(parsed(f"{name}(x)"), {"x": values}, 3)
    np.testing.assert_allclose(found, [plain(value) for value in values], rtol=1e-14)


def test_functions_of_more_numbers():
    columns = {"a": np.array([3.0, -1.0]), "b": np.array([4.0, 2.0])}
    for text, expected in {
        "hypot(a, b)": [5, math.sqrt(5)],
        "arctan2(a, b)": [math.atan2(3, 4), math.atan2(-1, 2)],
        "minimum(a, b)": [3, -1],
        "maximum(a, 2)": [3, 2],
        "clip(a, 0, 2)": [2, 0],
        "sign(a) * isfinite(b)": [1, -1],
        "isfinite(a / 0) or isnan(0 / (a - a))": [1, 1],
    }.items():
        np.testing.assert_allclose(numbers(parsed(text), columns, 2), expected, rtol=1e-14, err_msg=text)


def test_every_function_is_tested_here():
    text = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in FUNCTIONS if f'"{name}"' not in text and f"{name}(" not in text] == []


@settings(max_examples=100)
@given(st.floats(-1e3, 1e3), st.floats(-1e3, 1e3))
def test_differences_of_angles_are_turned_into_half_a_turn(a, b):
    (found,) = numbers(parsed("delta_phi(a, b)"), {"a": np.array([a]), "b": np.array([b])}, 1)
    assert -math.pi < found <= math.pi
    turns = (a - b - found) / (2 * math.pi)
    assert abs(turns - round(turns)) < 1e-10
    if abs(a - b) < 3:
        assert found == a - b


def test_half_a_turn_is_positive():
    columns = {"a": np.array([math.pi, -math.pi, 3 * math.pi, -5 * math.pi, 0.0])}
    found = numbers(parsed("delta_phi(a, 0)"), columns, 5)
    assert found.tolist() == [math.pi, math.pi, math.pi, math.pi, 0]


@pytest.fixture
def hzz():
    folder = os.environ.get("TOWNSEND_DATA")
    if not folder or not (Path(folder) / "HZZ.root").is_file():
        pytest.skip("real data: set TOWNSEND_DATA to the folder that holds HZZ.root")
    with uproot.open(Path(folder) / "HZZ.root") as file:
        return file["events"].arrays()


def test_real_muons_are_what_awkward_finds(hzz):
    columns = {name: hzz[name] for name in ("Muon_Px", "Muon_Py", "Muon_Pz", "Muon_Charge", "Jet_btag")}
    columns |= {name: hzz[name].to_numpy() for name in ("NMuon", "EventWeight")}
    rows = len(hzz)
    pt = np.sqrt(ak.values_astype(hzz["Muon_Px"], "float64") ** 2 + ak.values_astype(hzz["Muon_Py"], "float64") ** 2)
    order = ak.argsort(pt, ascending=False)

    def filled(lists, index, default):
        return ak.to_numpy(ak.fill_none(ak.pad_none(lists, index + 1)[:, index], default))

    expected = {
        "leading(hypot(Muon_Px, Muon_Py), 0)": filled(pt[order], 0, 0),
        "subleading(hypot(Muon_Px, Muon_Py), -1)": filled(pt[order], 1, -1),
        "leading(Muon_Pz, 0, by=hypot(Muon_Px, Muon_Py))": filled(hzz["Muon_Pz"][order], 0, 0),
        "count(Muon_Px)": hzz["NMuon"].to_numpy(),
        "sum(Muon_Charge)": ak.sum(hzz["Muon_Charge"], axis=1).to_numpy(),
        "max(Jet_btag, -1)": ak.to_numpy(ak.fill_none(ak.max(hzz["Jet_btag"], axis=1), -1)),
        "sum(hypot(Muon_Px, Muon_Py)[hypot(Muon_Px, Muon_Py) > 20] * EventWeight)": ak.sum(
            pt[pt > 20] * ak.values_astype(hzz["EventWeight"], "float64"), axis=1
        ).to_numpy(),
    }
    for text, values in expected.items():
        np.testing.assert_allclose(numbers(parsed(text), columns, rows), values, rtol=1e-12, err_msg=text)
    two = mask(parsed("NMuon >= 2 && sum(Muon_Charge) == 0"), columns, rows)
    assert 0 < two.sum() < rows
    np.testing.assert_array_equal(two, (hzz["NMuon"] >= 2) & (ak.sum(hzz["Muon_Charge"], axis=1) == 0))
