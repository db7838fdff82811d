"""What every engine must do, for whoever adds one: give the class a fixture `drive` and run it.

    class TestMyEngine(EngineConformance):
        @pytest.fixture
        def drive(self) -> Drive: ...

`drive(run, units)` opens the engine on the folder `run`, submits the units as JSON and returns all its messages as
dictionaries with the keys unit, news, detail, body; see `drive.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.config import resolved
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms
from townsend.sample.root_io import read_root

__all__ = ["Drive", "EngineConformance"]

Drive = Callable[[Path, Sequence[Mapping[str, Any]]], list[dict[str, Any]]]

HOSTILE = ("a b", "it's", 'say "x"', "$(HOME)", "`touch pwned`", "; touch pwned #", "x\ny = z", "../up", "-o", "ä")
SECRET = "do-not-tell-4711"  # noqa: S105 - it opens nothing


def unit(name: str, folder: Path, function: str = "look_around", **arguments: Any) -> dict[str, Any]:
    return {
        "name": name,
        "function": function,
        "arguments": arguments,
        "folder": str(folder),
        "inputs": [],
        "outputs": [],
    }


def looking(name: str, folder: Path) -> dict[str, Any]:
    (folder / "mark.txt").write_text("here")
    return {**unit(name, folder, mark="here"), "inputs": ["mark.txt"]}


class EngineConformance:
    """The tests."""

    @pytest.fixture
    def run(self, tmp_path: Path) -> Path:
        (tmp_path / "run").mkdir()
        return tmp_path / "run"

    def test_every_unit_is_done_and_has_one_last_word(self, drive: Drive, run: Path) -> None:
        names = [f"unit {number}" for number in range(3)]
        heard = drive(run, [looking(name, run) for name in names])
        assert sorted((one["unit"], one["news"]) for one in heard) == sorted(
            [(name, "done") for name in names] + [(name, "progress") for name in names]
        )
        for name in names:
            assert [one["news"] for one in heard if one["unit"] == name] == ["progress", "done"]
        facts = [one["body"] for one in heard if one["news"] == "progress"]
        assert all(fact["sees_folder"] and fact["threads"] == "1" and not fact["missing"] for fact in facts)

    def test_faults_of_the_user_are_told_from_faults_of_a_function(self, drive: Drive, run: Path) -> None:
        heard = drive(run, [unit("unknown", run, "look_aruond"), unit("torn", run, "simulate_shard")])
        said = {one["unit"]: one for one in heard if one["news"] != "progress"}
        assert said["unknown"]["news"] == "refused"
        assert 'did you mean "look_around"' in said["unknown"]["detail"]
        assert said["torn"]["news"] == "failed"
        assert said["torn"]["detail"].startswith("KeyError")

    def test_names_and_folders_are_data(self, drive: Drive, tmp_path: Path) -> None:
        run = tmp_path / 'it\'s $(HOME) "x" `touch pwned`; touch pwned # -o ä'
        run.mkdir()
        heard = drive(run, [unit(name, run, name) for name in HOSTILE])
        assert sorted(one["unit"] for one in heard if one["news"] == "refused") == sorted(HOSTILE)
        assert not list(tmp_path.rglob("pwned"))
        assert [path.name for path in tmp_path.iterdir()] == [run.name]

    def test_what_a_unit_writes_is_what_it_writes_anywhere(self, drive: Drive, run: Path) -> None:
        settings = DriftTubeSettings(seed=11)
        arguments = {"settings": resolved(settings), "start": 0, "stop": 20, "file": "waveforms-00000.root"}
        made = {**unit("shard", run, "simulate_shard", **arguments), "outputs": ["waveforms-00000.root"]}
        assert [one["news"] for one in drive(run, [made])] == ["done"]
        expected = simulate_waveforms(settings, 0, 20)
        np.testing.assert_array_equal(read_root(run / "waveforms-00000.root").samples, expected.samples)

    def test_no_secret_of_the_environment_is_written(
        self, drive: Drive, run: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("MY_TOKEN", SECRET)
        monkeypatch.setenv("HOME", f"/home/{SECRET}")
        monkeypatch.setenv("BEARER_TOKEN_FILE", f"/run/{SECRET}")
        drive(run, [looking("a", run), unit("torn", run, "simulate_shard")])
        found = [path for path in run.rglob("*") if path.is_file() and SECRET.encode() in path.read_bytes()]
        assert found == []
