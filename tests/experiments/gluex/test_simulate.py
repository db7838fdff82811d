"""Samples on disk: whole or absent, the same however they were made, read by what comes after."""

from __future__ import annotations

import json

import numpy as np
import pytest
import uproot

from townsend.config import load_yaml, parse
from townsend.errors import InputError
from townsend.experiments.gluex import shard_folder
from townsend.experiments.gluex.columns import eta_decays, gun_tracks, track_of
from townsend.experiments.gluex.response import INPUTS
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.gluex.simulate import simulate_eta, simulate_gluex, simulate_gluex_shard
from townsend.experiments.table.settings import load_table

SETTINGS = GluexSettings(seed=3)


@pytest.fixture
def small_shards(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shards of seven hundred rows, which no block is a multiple of."""
    monkeypatch.setattr(shard_folder, "SHARD", 700)


def read(folder, tree):
    files = [f"{path}:{tree}" for path in sorted(folder.glob("*.root"))]
    return uproot.concatenate(files, library="np")


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


def test_tracks_on_disk_are_those_in_memory(tmp_path, small_shards):
    folder = simulate_gluex(2000, tmp_path / "mc", SETTINGS)
    assert sorted(path.name for path in folder.glob("*.root")) == [f"tracks-0000{n}.root" for n in range(3)]
    found, expected = read(folder, "tracks"), gun_tracks(SETTINGS, 0, 2000)
    assert list(found) == list(expected)
    for name, values in expected.items():
        assert found[name].dtype == values.dtype
        np.testing.assert_array_equal(found[name], values)


def test_decays_on_disk_have_a_tree_for_each_track(tmp_path, small_shards):
    folder = simulate_eta(1500, tmp_path / "mc", SETTINGS)
    expected = eta_decays(SETTINGS, 0, 1500)
    for tree, columns in (("decays", expected), *((side, track_of(expected, side)) for side in ("plus", "minus"))):
        found = read(folder, tree)
        assert list(found) == list(columns)
        for name, values in columns.items():
            np.testing.assert_array_equal(found[name], values)


def test_two_processes_make_what_one_does(tmp_path, small_shards):
    alone = simulate_eta(1500, tmp_path / "alone", SETTINGS)
    both = simulate_eta(1500, tmp_path / "both", SETTINGS, jobs=2)
    for tree in ("decays", "plus", "minus"):
        one, two = read(alone, tree), read(both, tree)
        for name, values in one.items():
            np.testing.assert_array_equal(two[name], values)


def test_the_same_command_goes_on_where_a_kill_left_it_and_adds_when_asked(tmp_path, small_shards):
    folder = simulate_gluex(1400, tmp_path / "mc", SETTINGS)
    kept = contents(folder)["tracks-00000.root"]
    (folder / "tracks-00001.root").unlink()
    (folder / ".tracks-00001.0123456789ab.root").write_bytes(b"half")
    made = []
    simulate_gluex(2000, folder, SETTINGS, progress=made.append)
    assert made == [700, 700, 600]
    assert contents(folder)["tracks-00000.root"] == kept
    assert not list(folder.glob(".tracks-*"))
    np.testing.assert_array_equal(read(folder, "tracks")["p"], gun_tracks(SETTINGS, 0, 2000)["p"])
    before = contents(folder)
    simulate_gluex(2000, folder, SETTINGS)
    assert {name for name, data in contents(folder).items() if data != before[name]} == set()


@pytest.mark.parametrize(
    "other",
    [
        lambda folder: simulate_gluex(1000, folder, GluexSettings(seed=4)),
        lambda folder: simulate_gluex(1000, folder, GluexSettings(seed=3, setting="tuned")),
        lambda folder: simulate_gluex(900, folder, SETTINGS),
        lambda folder: simulate_eta(1000, folder, SETTINGS),
    ],
    ids=["another seed", "another setting", "fewer rows", "another sample"],
)
def test_a_folder_of_another_sample_is_refused_and_left_alone(tmp_path, other):
    folder = simulate_gluex(1000, tmp_path / "mc", SETTINGS)
    before = contents(folder)
    with pytest.raises(InputError, match="must be empty or hold the same simulation"):
        other(folder)
    assert contents(folder) == before


def test_foreign_folders_files_and_numbers_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(InputError, match="must be an empty or new folder"):
        simulate_gluex(10, tmp_path, SETTINGS)
    with pytest.raises(InputError, match="must be a folder"):
        simulate_gluex(10, tmp_path / "notes.txt", SETTINGS)
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "simulation.json").write_text("[1]")
    with pytest.raises(InputError, match="something else"):
        simulate_gluex(10, tmp_path / "torn", SETTINGS)
    with pytest.raises(InputError, match="at least 1"):
        simulate_gluex(0, tmp_path / "new", SETTINGS)
    with pytest.raises(InputError, match='did you mean "tracks"'):
        simulate_gluex_shard(SETTINGS, "track", 0, 5, tmp_path / "x.root")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["notes.txt", "torn"]


def test_settings_and_provenance_lie_beside_the_shards(tmp_path):
    folder = simulate_gluex(20, tmp_path / "mc", SETTINGS)
    assert parse(GluexSettings, load_yaml(folder / "simulation.yaml")) == SETTINGS
    with uproot.open(folder / "tracks-00000.root") as file:
        provenance = json.loads(str(file["townsend"]))
    assert provenance["kind"] == "simulate gluex"
    assert provenance["seed"] == 3
    assert parse(GluexSettings, provenance["settings"]) == SETTINGS


def test_the_tables_beside_the_shards_describe_what_is_in_them(tmp_path):
    tracks, decays = simulate_gluex(20, tmp_path / "mc", SETTINGS), simulate_eta(20, tmp_path / "eta", SETTINGS)
    described = load_table(tracks)
    assert tuple(described.settings.expressions) == INPUTS
    assert list(described.settings.classes) == ["pion", "electron"]
    for path in (tracks, decays, decays / "table-plus.yaml", decays / "table-minus.yaml"):
        described = load_table(path)
        found = read(path if path.is_dir() else path.parent, described.settings.tree)
        assert set(described.settings.expressions) <= set(found)
        assert described.settings.units["p" if "p" in found else "p_plus"] == "GeV"
