"""Whose a folder of shards is, and which shards it lacks."""

from __future__ import annotations

import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation import sample_folder
from townsend.experiments.drifttube.simulation.sample_folder import (
    SHARD,
    check_folder,
    claim,
    described,
    missing_shards,
)


def test_a_new_folder_is_claimed_and_known_again(tmp_path):
    folder = tmp_path / "mc"
    assert described(folder, "read.json") is None
    check_folder(folder, "read.json")
    claim(folder, "read.json", {"settings": 1})
    assert described(folder, "read.json") == {"settings": 1}


def test_what_a_kill_left_is_no_obstacle_and_is_removed(tmp_path):
    for name in (".read.0a1b.json", ".waveforms-00000.0a1b.root"):
        (tmp_path / name).write_text("half")
    check_folder(tmp_path, "read.json")
    claim(tmp_path, "read.json", {})
    assert [path.name for path in tmp_path.iterdir()] == ["read.json"]


def test_anothers_folder_is_refused(tmp_path):
    claim(tmp_path, "simulation.json", {})
    with pytest.raises(InputError, match=r"must be an empty or new folder \(it holds simulation\.json\)"):
        check_folder(tmp_path, "read.json")
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match=r"must be a folder \(it is a file\)"):
        check_folder(tmp_path / "file", "read.json")


def test_a_description_that_is_none_is_named(tmp_path):
    (tmp_path / "read.json").write_text("[]")
    with pytest.raises(InputError, match=r"read\.json must be as townsend wrote it"):
        described(tmp_path, "read.json")


def test_shards_that_are_missing_torn_or_short_are_to_be_made(tmp_path, monkeypatch):
    held = {"waveforms-00000.root": SHARD, "waveforms-00001.root": SHARD - 1, "waveforms-00002.root": None}

    def count(path):
        if held.get(path.name) is None:
            raise InputError
        return held[path.name]

    monkeypatch.setattr(sample_folder, "count_waveforms", count)
    found = missing_shards(tmp_path, 3 * SHARD + 7)
    assert {path.name: rows for path, rows in found.items()} == {
        "waveforms-00001.root": (SHARD, 2 * SHARD),
        "waveforms-00002.root": (2 * SHARD, 3 * SHARD),
        "waveforms-00003.root": (3 * SHARD, 3 * SHARD + 7),
    }
