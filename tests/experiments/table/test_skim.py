"""Skims: cut-flows that equal a direct computation, a folder that is a table again, kills, farms' units."""

from __future__ import annotations

import json
import os
from pathlib import Path

import awkward as ak
import numpy as np
import pytest
import uproot

from townsend.errors import InputError
from townsend.experiments.table.read_table import read_table
from townsend.experiments.table.settings import load_table
from townsend.experiments.table.skim import read_cut_flow, skim
from townsend.files import write_text
from townsend.worker import run_unit


@pytest.fixture(autouse=True)
def _here(engine_here):
    """Run units in this process."""


def contents(folder: Path) -> dict[str, np.ndarray]:
    """Return the columns of all files of a skim, in order."""
    parts = [uproot.open(path)["events"].arrays(library="np") for path in sorted(folder.glob("skim-*.root"))]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def test_a_skim_holds_the_events_that_pass_and_is_a_table(table, files, columns, tmp_path):
    description = load_table(table(files=f"{files}/part-*.root", cuts="[a > 0, noise < 1]", weight="w", group="event"))
    flows = skim(description, tmp_path / "skim", keep=["is_signal"])
    passed = (columns["a"] > 0) & (columns["noise"] < 1)
    found = contents(tmp_path / "skim")
    np.testing.assert_array_equal(found["a"], columns["a"][passed].astype(np.float32))
    np.testing.assert_array_equal(found["is_signal"], columns["is_signal"][passed])
    np.testing.assert_array_equal(found["event_weight"], columns["w"][passed])
    np.testing.assert_array_equal(found["event_group"], columns["event"][passed])
    entry = np.flatnonzero(passed)
    np.testing.assert_array_equal(found["source_entry"], np.where(entry < 700, entry, entry - 700))
    again, direct = read_table(load_table(tmp_path / "skim")).table, read_table(description).table
    np.testing.assert_array_equal(again.values, direct.values)
    np.testing.assert_array_equal(again.weight, direct.weight)
    np.testing.assert_array_equal(again.label, direct.label)
    for name, flow in read_cut_flow(tmp_path / "skim").items():
        assert flow.to_json() == flows[name].to_json()
        np.testing.assert_allclose(flow.weights, read_table(description).flows[name].weights, rtol=1e-12)


def test_a_skim_keeps_luminosity_and_generated_weights(table, tmp_path):
    classes = (
        "{background: {where: is_signal == 0, cross_section_pb: 2.0}, "
        "signal: {where: is_signal == 1, cross_section_pb: 0.5}}"
    )
    description = load_table(table(cuts="[a > 0.3]", weight="w", luminosity_per_fb="3", classes=classes))
    skim(description, tmp_path / "skim")
    again, direct = read_table(load_table(tmp_path / "skim")).table, read_table(description).table
    np.testing.assert_allclose(again.weight, direct.weight, rtol=1e-12)


def test_names_that_no_program_takes_become_columns(table, tmp_path):
    description = load_table(table(features='{"a / b": a / b, "a_b": a + b, "1st": noise}'))
    skim(description, tmp_path / "skim")
    found = contents(tmp_path / "skim")
    assert {"a_b", "a_b_2", "x_1st"} <= set(found)
    assert read_table(load_table(tmp_path / "skim")).table.features == ("a / b", "a_b", "1st")


def test_a_killed_skim_goes_on_and_repeats_nothing(table, files, tmp_path):
    description = load_table(table(files=f"{files}/part-*.root", cuts="[a > 0]"))
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    skim(description, whole)
    skim(description, cut)
    for name in ("skim-00001.json", "cutflow.json", "cutflow.csv", "table.yaml"):
        (cut / name).unlink()
    kept = (cut / "skim-00000.root").stat().st_mtime_ns
    skim(description, cut)
    assert (cut / "skim-00000.root").stat().st_mtime_ns == kept
    assert (cut / "cutflow.csv").read_bytes() == (whole / "cutflow.csv").read_bytes()
    for name, values in contents(whole).items():
        np.testing.assert_array_equal(values, contents(cut)[name])


def test_another_table_or_a_foreign_folder_is_refused(table, tmp_path):
    skim(load_table(table(cuts="[a > 0]")), tmp_path / "skim")
    with pytest.raises(InputError, match="must be continued with the table"):
        skim(load_table(table(cuts="[a > 1]")), tmp_path / "skim")
    (tmp_path / "mine").mkdir()
    write_text(tmp_path / "mine" / "thesis.tex", "")
    with pytest.raises(InputError, match=r"it holds thesis\.tex"):
        skim(load_table(table()), tmp_path / "mine")
    with pytest.raises(InputError, match=r'columns to keep must not be in the skim already \(got "a"\)'):
        skim(load_table(table()), tmp_path / "new", keep=["a"])


# ---- real data


def test_hzz_yields_equal_a_direct_computation(tmp_path):
    """Jagged branches, cuts on them, event weights: yields and errors of uproot and awkward alone."""
    data = os.environ.get("TOWNSEND_DATA")
    if not data:
        pytest.skip("real data: set TOWNSEND_DATA to the folder that holds HZZ.root")
    write_text(
        tmp_path / "hzz.yaml",
        f"""
files: {data}/HZZ.root
aliases:
  muon_pt: hypot(Muon_Px, Muon_Py)
  met: hypot(MET_px, MET_py)
cuts:
  - NMuon >= 1
  - leading(muon_pt) > 25
  - sum(Muon_Charge) == 0 or met > 40
features:
  pt: leading(muon_pt, 0)
  second_pt: subleading(muon_pt, 0)
  ht: sum(hypot(Jet_Px, Jet_Py))
  jets: count(Jet_Px)
  met: met
weight: EventWeight
classes:
  one: NMuon < 2
  more: NMuon >= 2
""",
    )
    flows = skim(load_table(tmp_path / "hzz.yaml"), tmp_path / "skim")
    tree = uproot.open(Path(data) / "HZZ.root")["events"].arrays()
    pt = np.hypot(tree.Muon_Px, tree.Muon_Py)
    met = np.hypot(tree.MET_px, tree.MET_py)
    leading = ak.fill_none(ak.max(pt, axis=1), np.nan)
    third = (ak.sum(tree.Muon_Charge, axis=1) == 0) | (met > 40)
    stages = [np.ones(len(tree), bool), tree.NMuon >= 1, leading > 25, third]
    weight = ak.to_numpy(tree.EventWeight).astype(np.float64)
    for name, mine in (("one", tree.NMuon < 2), ("more", tree.NMuon >= 2)):
        alive = ak.to_numpy(mine)
        for stage, cut in enumerate(stages):
            alive = alive & ak.to_numpy(cut)
            assert flows[name].entries[stage] == alive.sum()
            assert flows[name].weights[stage] == pytest.approx(weight[alive].sum(), rel=1e-12)
            assert flows[name].squares[stage] == pytest.approx((weight[alive] ** 2).sum(), rel=1e-12)
    rows = (tmp_path / "skim" / "cutflow.csv").read_text().splitlines()
    assert len(rows) == 1 + 2 * 4


# ---- the unit that a farm runs


def test_a_unit_is_a_function_of_its_description(table, files, tmp_path):
    description = load_table(table(files=f"{files}/part-*.root", cuts="[a > 0]"))
    skim(description, tmp_path / "skim")
    from townsend.experiments.table.skim import _plan, _unit

    (tmp_path / "other").mkdir()
    work = _plan(description, (), ".root")[1]
    unit = _unit(work, tmp_path / "other")
    assert json.loads(json.dumps(unit.to_json())) == unit.to_json()
    run_unit(unit, lambda body: None)
    assert (tmp_path / "other" / "skim-00001.json").read_text() == (tmp_path / "skim" / "skim-00001.json").read_text()
