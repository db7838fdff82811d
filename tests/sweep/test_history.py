"""What a sweep has left, read once for those who export or draw it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from written_sweep import curves_of, fit, write_sweep

from townsend.errors import InputError
from townsend.files import read_json, write_json
from townsend.sweep.history import drawn_from, read_history
from townsend.sweep.hyperparameter import Range, Tied, Values
from townsend.training.record_file import BracketRecord, write_bracket_record


def test_curves_are_there_without_the_weights(tmp_path: Path) -> None:
    records = [fit(0, 0.8), fit(1, 0.9, epochs=5)]
    history = read_history(write_sweep(tmp_path / "run", records))
    assert sorted(history.curves[1]) == ["accuracy", "loss", "monitor_loss"]
    assert np.array_equal(history.curves[1]["loss"], curves_of(records[1])["loss"])
    assert history.ended[0] == history.ended[1] == (tmp_path / "run" / "records" / "0000.json").stat().st_mtime


def test_of_several_fits_of_a_trial_the_first_one_gives_the_curves(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", [])
    first, second = fit(3, 0.8, epochs=4), replace(fit(3, 0.9, epochs=9), fold=1)
    arrays = {f"{each.label}.loss": curves_of(each)["loss"] for each in (first, second)}
    write_bracket_record(run, BracketRecord(0, (second, first), complete=True, arrays=arrays))
    assert len(read_history(run).curves[3]["loss"]) == 4


def test_a_torn_archive_is_named_with_the_remedy(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", [fit(0, 0.8)])
    path = run / "records" / "0000.npz"
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(InputError, match=r"0000\.npz must be an archive .* delete it"):
        read_history(run)


def test_a_space_that_was_edited_is_refused(tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", [fit(0, 0.8)])
    write_json(
        run / "sweep.json", read_json(run / "sweep.json") | {"settings": {"space": {"a": {"low": 2, "high": 1}}}}
    )
    with pytest.raises(InputError, match=r"the space in sweep\.json must be as townsend wrote it"):
        read_history(run)


def test_ties_and_values_otherwise_belong_to_what_is_drawn() -> None:
    space = {
        "a": ["x", "y"],
        "b": Values(values=[1, 2], when={"a": ["x"]}, otherwise=0),
        "c": Tied(same_as="b"),
        "d": Range(low=1, high=3, step=1),
        "e": Range(low=1.0, high=2.0, when={"a": ["x"]}, otherwise=0.0),
    }
    found = drawn_from(space)
    assert list(found) == list(space)
    assert found["b"] == found["c"] == [1, 2, 0]
    assert found["d"] == [1, 2, 3]
    assert isinstance(found["e"], Range)
