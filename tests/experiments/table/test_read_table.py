"""Reading a table: labels, weights, luminosity, parts of large tables, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.table import events
from townsend.experiments.table.read_table import read_table, table_fingerprint
from townsend.experiments.table.settings import load_table


def test_events_come_in_the_order_of_files_and_entries(table, columns, files):
    found = read_table(load_table(table(files=f"{files}/part-*.root")))
    assert found.events == 2000
    assert found.table.features == ("a", "b", "noise")
    np.testing.assert_array_equal(found.table.label, columns["is_signal"])
    np.testing.assert_array_equal(found.table.values[:, 1], columns["b"].astype(np.float32))
    np.testing.assert_array_equal(found.table.weight, np.ones(2000))
    np.testing.assert_array_equal(found.table.group, np.arange(2000))


def test_formats_and_files_give_the_same_table(table, files):
    one, other, text = (
        read_table(load_table(table(files=name, weight="w", group="event"))).table
        for name in (f"{files}/all.root", f"{files}/part-*.root", f"{files}/all.csv")
    )
    for again in (other, text):
        np.testing.assert_array_equal(one.values, again.values)
        np.testing.assert_array_equal(one.weight, again.weight)
        np.testing.assert_array_equal(one.group, again.group)


def test_the_size_of_pieces_does_not_matter(table, monkeypatch):
    path = table(cuts="[a > 0]", weight="w", most_events="300")
    before = read_table(load_table(path))
    monkeypatch.setattr(events, "ROWS", 37)
    after = read_table(load_table(path))
    np.testing.assert_array_equal(before.table.values, after.table.values)
    np.testing.assert_allclose(before.table.weight, after.table.weight, rtol=1e-12)


def test_cut_flow_has_entries_yields_and_errors_of_either_sign(table, columns):
    found = read_table(load_table(table(cuts="[a > 0, b < 0.5]", weight="w")))
    mine = columns["is_signal"] == 1
    stages = [mine, mine & (columns["a"] > 0), mine & (columns["a"] > 0) & (columns["b"] < 0.5)]
    flow = found.flows["signal"]
    np.testing.assert_array_equal(flow.entries, [stage.sum() for stage in stages])
    np.testing.assert_allclose(flow.weights, [columns["w"][stage].sum() for stage in stages], rtol=1e-12)
    np.testing.assert_allclose(flow.squares, [(columns["w"][stage] ** 2).sum() for stage in stages], rtol=1e-12)
    assert found.table.weight.min() < 0


def test_luminosity_scales_each_class_to_its_cross_section(table, columns):
    classes = (
        "{background: {where: is_signal == 0, cross_section_pb: 2.0}, "
        "signal: {where: is_signal == 1, cross_section_pb: 0.5, generated: 5000}}"
    )
    found = read_table(load_table(table(weight="w", luminosity_per_fb="10", classes=classes, cuts="[a > 0]"))).table
    background, signal = columns["is_signal"] == 0, columns["is_signal"] == 1
    passed = columns["a"] > 0
    expected = 10_000 * 2.0 * columns["w"][background & passed].sum() / columns["w"][background].sum()
    assert found.weight[found.label == 0].sum() == pytest.approx(expected, rel=1e-12)
    expected = 10_000 * 0.5 * columns["w"][signal & passed].sum() / 5000
    assert found.weight[found.label == 1].sum() == pytest.approx(expected, rel=1e-12)


def test_a_part_of_a_large_table_has_the_yields_of_the_whole(table, columns):
    found = read_table(load_table(table(weight="w", most_events="400")))
    assert len(found.table) == 400
    assert found.events == 2000
    for label in (0, 1):
        whole = columns["w"][columns["is_signal"] == label].sum()
        assert found.table.weight[found.table.label == label].sum() == pytest.approx(whole, rel=1e-12)
    places = np.flatnonzero(np.isin(columns["a"].astype(np.float32), found.table.values[:, 0]))
    assert len(places) == 400
    assert 500 < np.mean(places) < 1500  # not the first ones: the mean of 400 of 2,000 is 1,000 with error 26


def test_classes_by_file_and_by_tree_need_no_condition(table, files):
    classes = f"{{background: {{files: {files}/part-0.root}}, signal: {{files: {files}/part-1.root, tree: events}}}}"
    found = read_table(load_table(table(files=None, classes=classes))).table
    assert (found.label == 0).sum() == 700
    assert (found.label == 1).sum() == 1300


def test_the_fingerprint_follows_contents_and_settings_not_names(table, files, tmp_path):
    copy = tmp_path / "copy.root"
    copy.write_bytes((files / "all.root").read_bytes())
    one = table_fingerprint(load_table(table()))
    assert table_fingerprint(load_table(table(files=str(copy)))) == one
    assert table_fingerprint(load_table(table(files=f"{files}/part-0.root"))) != one
    assert table_fingerprint(load_table(table(cuts="[a > 0]"))) != one


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"features": "[a, bb]"}, r'bb.*did you mean "b"'),
        ({"cuts": "[a > 100]"}, r'class "background" must have events \(got 1000, none after a > 100\)'),
        (
            {"classes": "{x: is_signal == 7, y: is_signal == 1}"},
            r'"x" must have events \(got none before any cut\)',
        ),
        ({"classes": "{x: is_signal >= 0, y: is_signal == 1}"}, r"an event must be of one class \(got x and y"),
        ({"classes": "{x: {tree: events}, y: {tree: events}}"}, "classes in the same files must be told apart"),
        ({"features": "{a: a, same: 0 * a}"}, 'feature "same" must differ between events'),
        ({"features": "{a: a, none: a / 0 - a / 0}"}, 'feature "none" must be a number'),
        (
            {"features": "{a: a, root: sqrt(a)}"},
            r'"root" must be a finite number \(\d+ of 2000 events have nan',
        ),
        ({"features": "[a, is_signal]"}, 'feature "is_signal" must not be the label itself'),
        ({"features": "{a: a, leak: 3 - 2 * is_signal}"}, 'feature "leak" must not be the label itself'),
        ({"weight": "0 * w"}, r'weights of class "background" must sum to more than 0'),
        ({"weight": "-1 * is_signal + 0.5"}, r'weights of class "signal" must sum to more than 0'),
        ({"weight": "sqrt(a)"}, r"weight must be a finite number \(got nan"),
        ({"group": "a"}, "group must be a whole number"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(table, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        read_table(load_table(table(**changes)))
