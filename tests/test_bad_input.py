"""What a user sees when data or a model cannot be used: one sentence, status 2, and every good file as it was."""

from __future__ import annotations

import re
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot
from hand_made import seal_again

from townsend.files import read_sealed, write_json, write_sealed
from townsend.sample.root_io import read_root, write_root

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Refused = Callable[..., str]


def traces(path: Path, **changes: Any) -> Path:
    """Write three good traces, or what `changes` make of them; a None leaves a key out."""
    volts = np.random.default_rng(1).normal(0, 1e-3, (3, 100))
    keys = {"voltage_V": volts, "event": np.arange(3), "channel": np.arange(3), "sampling_rate_ghz": 1.0}
    np.savez(path, **{name: value for name, value in {**keys, **changes}.items() if value is not None})
    return path


# ---- measured traces


def changed(index: int, value: float) -> np.ndarray:
    volts = np.random.default_rng(1).normal(0, 1e-3, (3, 100))
    volts[1, index : index + 10] = value
    return volts


TIMES = np.arange(100.0)


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"voltage_V": changed(5, np.nan)}, r"finite voltage_V \(got 10 NaN or infinite samples in waveform 1"),
        ({"voltage_V": changed(5, -np.inf)}, r"finite voltage_V \(got 10 NaN or infinite samples in waveform 1"),
        ({"voltage_V": changed(40, 0.9)}, r"must not be saturated \(got 10 samples on end at 0\.9 V"),
        ({"voltage_V": np.array([{"a": 1}])}, r'"voltage_V" as numbers \(got pickled objects'),
        ({"voltage_V": None}, r'must hold "voltage_V"'),
        ({"voltage_V": None, "voltage": TIMES}, r'must hold "voltage_V"; did you mean "voltage"\?'),
        ({"time_ns": TIMES**1.01}, r"sampled uniformly, every 1 ns"),
        ({"sampling_rate_ghz": 0.0}, r"sampling_rate_ghz > 0 \(got 0\.0\)"),
        ({"sampling_rate_ghz": 1.2345}, r"fraction of the present rate"),
        ({"voltage_V": np.zeros((3, 9))}, r"at least 15 samples at the model's 1 GS/s \(got 9\)"),
    ],
    ids=["nan", "infinite", "saturated", "pickled", "no key", "near key", "times", "no rate", "odd rate", "short"],
)
def test_traces(changes: dict[str, Any], rule: str, tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    data = traces(tmp_path / "traces.npz", **changes)
    assert re.search(rule, refused("find-peaks", tiny_model, data, "-o", tmp_path / "peaks"))


def test_saturated_traces_are_taken_by_those_who_say_so(
    tiny_model: Path, tmp_path: Path, townsend: Callable[..., Any]
) -> None:
    config = tmp_path / "find.yaml"
    config.write_text("saturation_run: 11\npictures: 0")
    data = traces(tmp_path / "traces.npz", voltage_V=changed(40, 0.9))
    ended = townsend("find-peaks", tiny_model, data, "--config", config, "-o", tmp_path / "peaks")
    assert (ended.status, ended.err) == (0, "")


def test_good_traces_are_taken(tiny_model: Path, tmp_path: Path, townsend: Callable[..., Any]) -> None:
    ended = townsend("find-peaks", tiny_model, traces(tmp_path / "traces.npz"), "-o", tmp_path / "peaks")
    assert (ended.status, ended.err) == (0, "")


@pytest.mark.parametrize("name", ["none.npz", "none.root", "none"])
def test_missing_data(name: str, tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    sentence = refused("find-peaks", tiny_model, tmp_path / name, "-o", tmp_path / "peaks")
    assert name in sentence
    assert "check its name" in sentence


def test_truncated_npz(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    data = traces(tmp_path / "traces.npz")
    data.write_bytes(data.read_bytes()[:1500])
    assert "must be a whole NPZ file" in refused("find-peaks", tiny_model, data, "-o", tmp_path / "peaks")


def test_npz_header_that_claims_more_than_any_memory(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    data = traces(tmp_path / "traces.npz", voltage_V=None)
    header = str({"descr": "<f8", "fortran_order": False, "shape": (1 << 20, 1 << 20)}).ljust(117) + "\n"
    with zipfile.ZipFile(data, "a") as archive:
        archive.writestr("voltage_V.npy", b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header.encode())
    sentence = refused("find-peaks", tiny_model, data, "-o", tmp_path / "peaks")
    assert "must have at most 268435456 values" in sentence
    assert "1048576, 1048576" in sentence


# ---- ROOT files


def test_truncated_root(tiny_model: Path, tiny_sample: Path, tmp_path: Path, refused: Refused) -> None:
    whole = (tiny_sample / "waveforms-00000.root").read_bytes()
    data = tmp_path / "waveforms-00000.root"
    data.write_bytes(whole[: len(whole) // 2])
    assert "must be a whole ROOT file" in refused("find-peaks", tiny_model, data, "-o", tmp_path / "peaks")


@pytest.mark.parametrize(
    ("tree", "branches", "rule"),
    [
        ("waveform", {"samples": "int16"}, 'must hold a TTree "waveforms"; did you mean "waveform"?'),
        ("waveforms", {"sample": "int16"}, 'must have a branch "samples" in tree "waveforms"; did you mean "sample"?'),
    ],
)
def test_wrong_tree_or_branch(
    tree: str, branches: dict[str, str], rule: str, tiny_model: Path, tmp_path: Path, refused: Refused
) -> None:
    data = tmp_path / "foreign.root"
    with uproot.recreate(data) as file:
        file.mktree(tree, branches).extend({name: np.zeros(5, kind) for name, kind in branches.items()})
    assert rule in refused("find-peaks", tiny_model, data, "-o", tmp_path / "peaks")


# ---- models and output folders


def test_model_folder_that_is_none(tmp_path: Path, refused: Refused) -> None:
    data = traces(tmp_path / "traces.npz")
    sentence = refused("find-peaks", tmp_path / "none", data, "-o", tmp_path / "peaks")
    assert "card.json must exist" in sentence
    write_json(tmp_path / "other" / "card.json", ["no", "card"])
    sentence = refused("find-peaks", tmp_path / "other", data, "-o", tmp_path / "peaks")
    assert "must be a sealed file as townsend writes it" in sentence
    write_sealed(tmp_path / "other" / "card.json", {"made_by": "townsend assemble"})
    sentence = refused("find-peaks", tmp_path / "other", data, "-o", tmp_path / "peaks")
    assert "must be a folder made by `townsend choose`" in sentence


def test_model_of_another_task(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    seal_again(model / "card.json", task="gluex-electrons")
    sentence = refused("find-peaks", model, traces(tmp_path / "traces.npz"), "-o", tmp_path / "peaks")
    assert 'must hold a model of task "drifttube-peaks" (got "gluex-electrons")' in sentence


def test_damaged_network(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    (model / "model.keras").write_bytes((model / "model.keras").read_bytes()[:1000])
    sentence = refused("find-peaks", model, traces(tmp_path / "traces.npz"), "-o", tmp_path / "peaks")
    assert "model.keras must be a whole Keras model" in sentence


def test_outputs_that_hold_something_else(
    tiny_run: Path, tiny_model: Path, tiny_sample: Path, tiny_yaml: Path, tmp_path: Path, refused: Refused
) -> None:
    output = tmp_path / "thesis"
    output.mkdir()
    (output / "thesis.tex").write_text("years of work")
    data = traces(tmp_path / "traces.npz")
    assert "holds thesis.tex" in refused("find-peaks", tiny_model, data, "-o", output)
    assert "holds thesis.tex" in refused("choose", tiny_run, "-o", output)
    assert "holds thesis.tex" in refused("simulate", "drifttube", "-n", 10, "-o", output)
    assert "holds thesis.tex" in refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", output)


def test_card_that_does_not_fit_its_network(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    data, output = traces(tmp_path / "traces.npz"), tmp_path / "peaks"
    facts = read_sealed(model / "card.json")["facts"]
    seal_again(model / "card.json", facts={**facts, "before": 7})
    assert "got 17 samples for (15, 1)" in refused("find-peaks", model, data, "-o", output)
    seal_again(model / "card.json", facts={"before": 5})
    assert "must be as `townsend choose` wrote it" in refused("find-peaks", model, data, "-o", output)


def test_card_that_was_edited(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    data, output = traces(tmp_path / "traces.npz"), tmp_path / "peaks"
    card = (model / "card.json").read_text()
    (model / "card.json").write_text(re.sub(r'"threshold": [0-9.e-]+', '"threshold": 0.01', card))
    assert "its seal does not match: it was edited" in refused("find-peaks", model, data, "-o", output)


def test_file_without_a_waveform(tiny_model: Path, tiny_sample: Path, tmp_path: Path, refused: Refused) -> None:
    write_root(read_root(tiny_sample / "waveforms-00000.root")[:0], tmp_path / "none.root")
    sentence = refused("find-peaks", tiny_model, tmp_path / "none.root", "-o", tmp_path / "peaks")
    assert "must hold at least one waveform (got none)" in sentence


def test_names_in_a_file_cannot_steer_the_terminal(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    data = tmp_path / "traces.npz"
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("\x1b]0;title\x07\x1b[31mred.npy", b"")
    sentence = refused("find-peaks", tiny_model, data, "-o", tmp_path / "peaks")
    assert "\\x1b]0;title\\x07" in sentence
    assert "\x1b" not in sentence


def test_seed_beyond_what_a_run_number_holds(tmp_path: Path, refused: Refused) -> None:
    sentence = refused("simulate", "drifttube", "-n", 5, "--seed", 3_000_000_000, "-o", tmp_path / "mc")
    assert "seed: must be less than 2147483648 (got 3000000000)" in sentence
