"""What a user sees when something given cannot be used: one sentence, status 2, and every good file as it was."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uproot

from townsend import files
from townsend.files import write_json
from townsend.sample.root_io import read_root, write_root
from townsend.sweep import lease

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Refused = Callable[..., str]


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below `folder`, but for the lease, in which its holder's heart beats."""
    found = (path for path in folder.rglob("*") if path.is_file() and path.name != "coordinator.lease")
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}


def one_sentence(error: str) -> str:
    """The sentence in what a command wrote to stderr, which holds nothing else."""
    assert error.startswith("townsend: "), error
    assert error.count("\n") == 1, error
    assert "Traceback" not in error
    return error.removeprefix("townsend: ").strip()


@pytest.fixture
def refused(townsend: Callable[..., Any], tmp_path: Path) -> Refused:
    """Run a command that must be refused; return its sentence.

    Nothing below `tmp_path` may have changed, and only below `new` may anything whole have been added.
    """

    def check(*arguments: object, new: Path | None = None) -> str:
        before = contents(tmp_path)
        ended = townsend(*arguments)
        assert ended.status == 2, ended
        sentence = one_sentence(ended.err)
        after = contents(tmp_path)
        assert {name: after.get(name) for name in before} == before, "a good file was changed or removed"
        added = [tmp_path / name for name in after if name not in before]
        assert [path for path in added if new is None or not path.is_relative_to(new)] == [], "left behind"
        assert [path for path in added if path.name.startswith(".")] == [], "half-written"
        return sentence

    return check


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished sweep that a test may spoil."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


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
    assert "townsend choose" in sentence


def test_model_of_another_task(tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    card = json.loads((model / "card.json").read_text())
    write_json(model / "card.json", {**card, "task": "gluex-electrons"})
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
    card = json.loads((model / "card.json").read_text())
    write_json(model / "card.json", {**card, "facts": {**card["facts"], "before": 7}})
    assert "got 17 samples for (15, 1)" in refused("find-peaks", model, data, "-o", output)
    write_json(model / "card.json", {**card, "facts": {"before": 5}})
    assert "must be as `townsend choose` wrote it" in refused("find-peaks", model, data, "-o", output)


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


# ---- samples that cannot be trained on


def test_sample_that_is_none(tiny_yaml: Path, tmp_path: Path, refused: Refused) -> None:
    sentence = refused("sweep", tiny_yaml, "--sample", tmp_path / "none", "-o", tmp_path / "run")
    assert "none must be a folder that exists" in sentence
    (tmp_path / "empty").mkdir()
    sentence = refused("sweep", tiny_yaml, "--sample", tmp_path / "empty", "-o", tmp_path / "run")
    assert "must hold files waveforms-*.root (got none)" in sentence


def test_sample_without_labels_or_with_a_damaged_shard(
    tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    run, sample = tmp_path / "run", tmp_path / "mc"
    good = tiny_sample / "waveforms-00000.root"
    write_root(replace(read_root(good), truth=None), sample / good.name)
    command = ("sweep", tiny_yaml, "--sample", sample, "-o", run)
    assert "must hold simulated truth to train on (it holds none)" in refused(*command, new=run)
    (sample / "waveforms-00001.root").write_bytes(good.read_bytes()[:5000])
    assert "waveforms-00001.root must be a whole ROOT file" in refused(*command, new=run)


def test_sample_smaller_than_asked_for(tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused) -> None:
    run = tmp_path / "run"
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "--windows", 50000, "-o", run, new=run)
    assert re.search(
        r"25000 signal and .* for 50000 windows \(its 60 waveforms .* hold \d+ and \d+\); simulate more", sentence
    )


# ---- configurations


@pytest.mark.parametrize(
    ("old", "new", "rule"),
    [
        ("epochs: 2", "epoch: 2", r'epoch: unknown key \(.*tiny\.yaml line 2\); did you mean "epochs"\?'),
        (
            "windows: 200",
            "window: 200",
            r'yaml line 5: task_settings\.window: unknown key; did you mean "windows"',
        ),
        ("windows: 200", "tolerance_ns: -1", r"line 5: task_settings\.tolerance_ns: must be greater than 0 \(got -1\)"),
        ("windows: 200", "train_fraction: 0.9", r"line 5: task_settings: train_fraction \+ .* below 1 \(got 1\.1\)"),
        ("windows: 200", "before: 2000", r"window must fit the waveform \(got 2010 samples, waveform has 1024\)"),
        ("drifttube-peaks", "drifttube-peak", r'got "drifttube-peak"\); did you mean "drifttube-peaks"\?'),
        ("adam", "adma", r'optimizer must be a known one \(got "adma"\); did you mean "adam"\?'),
        ("[0.0]", "[1.0]", r"dropout must be a number in \[0, 1\) \(got 1\.0\)"),
        ("epochs: 2", "epochs: 0", r"epochs: must be greater than or equal to 1 \(got 0, .*tiny\.yaml line 2\)"),
        ("space:", "space:\n\tx: 1", r"tiny\.yaml line \d+: must be YAML"),
    ],
)
def test_sweep_configuration(
    old: str, new: str, rule: str, tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    run = tmp_path / "run"
    tiny_yaml.write_text(tiny_yaml.read_text().replace(old, new))
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run, new=run)
    assert re.search(rule, sentence), sentence


def test_yaml_aliases_that_explode(tmp_path: Path, refused: Refused) -> None:
    bomb = ["a0: &a0 [lol, lol]", *(f"a{n}: &a{n} [*a{n - 1}, *a{n - 1}]" for n in range(1, 99))]
    path = tmp_path / "bomb.yaml"
    path.write_text("\n".join(bomb))
    for command in (("sweep", path), ("simulate", "drifttube", "--config", path)):
        assert "bomb.yaml line 1: must not use anchors or aliases" in refused(*command, "-o", tmp_path / "out")


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ("tube: {radius_cm: 0.4}", r'tube\.radius_cm: unknown key \(.* line 1\); did you mean "\w+_radius_cm"\?'),
        ("noise: {rms_mV: .nan}", r"noise\.rms_mV: must be a finite number"),
        ("digitizer: {samples: 100}", r"the record must reach past the longest drift time"),
    ],
)
def test_simulation_configuration(text: str, rule: str, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "tube.yaml"
    path.write_text(text)
    sentence = refused("simulate", "drifttube", "-n", 10, "--config", path, "-o", tmp_path / "mc")
    assert re.search(rule, sentence), sentence


@pytest.mark.parametrize("text", ["scale: -1", "polarity: 2", "thresold: 0.5"])
def test_find_peaks_configuration(text: str, tiny_model: Path, tmp_path: Path, refused: Refused) -> None:
    path = tmp_path / "find.yaml"
    path.write_text(text)
    data = traces(tmp_path / "traces.npz")
    sentence = refused("find-peaks", tiny_model, data, "--config", path, "-o", tmp_path / "peaks")
    assert text.partition(":")[0] in sentence


# ---- sweep folders


def test_folder_made_with_other_settings(
    run: Path, tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused
) -> None:
    command = ("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert "(epochs: was 2, now 3)" in refused(*command, "--epochs", 3)
    assert "(task_settings.windows: was 200, now 300)" in refused(*command, "--windows", 300)
    other = Path(shutil.copytree(tiny_sample, tmp_path / "other"))
    shard = other / "waveforms-00000.root"
    write_root(read_root(shard)[:50], shard)
    sentence = refused("sweep", tiny_yaml, "--sample", other, "-o", run)
    assert "must be continued on the sample it was made with" in sentence


def test_folder_made_by_another_townsend(run: Path, tiny_yaml: Path, tiny_sample: Path, refused: Refused) -> None:
    made = json.loads((run / "sweep.json").read_text())
    write_json(run / "sweep.json", {**made, "versions": {**made["versions"], "townsend": "0.0.9"}})
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert "made by 0.0.9, this is" in sentence
    assert "install 0.0.9 or choose a new folder" in sentence


def test_second_coordinator_on_this_machine(run: Path, tiny_yaml: Path, tiny_sample: Path, refused: Refused) -> None:
    with lease.hold(run):
        sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert f"must have one coordinator (process {os.getpid()} on" in sentence


def test_second_coordinator_from_another_machine(
    run: Path, tiny_yaml: Path, tiny_sample: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setattr(lease, "BEAT_S", 0.2)
    path, stop = run / "coordinator.lease", threading.Event()
    holder = lease.Holder("node17", "another boot", 4242, 99, "a" * 32)

    def live() -> None:
        beat = 0
        while not stop.wait(0.05):
            beat += 1
            path.write_bytes(json.dumps(asdict(replace(holder, beat=beat))).encode().ljust(1024))

    path.write_bytes(json.dumps(asdict(holder)).encode().ljust(1024))
    heart = threading.Thread(target=live)
    heart.start()
    try:
        sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    finally:
        stop.set()
        heart.join()
    assert "must have one coordinator" in sentence
    assert "is at work in it" in sentence
    assert json.loads(path.read_bytes())["host"] == "node17"


@pytest.mark.usefixtures("engine_here")
def test_every_configuration_unusable(
    tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, refused: Refused, townsend: Callable[..., Any]
) -> None:
    run = tmp_path / "run"
    tiny_yaml.write_text(tiny_yaml.read_text().replace("[0.01, 0.02]", "[1.0e+38, 1000.0]"))
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run, new=run)
    assert re.search(r"no usable configuration: .*1 diverged.*change the space or the sample", sentence), sentence
    assert "1 degenerate" in sentence
    assert "must be usable" in refused("choose", run, "-o", tmp_path / "model")
    ended = townsend("board", run)
    assert (ended.status, ended.err) == (0, "")
    assert "no configuration may be chosen" in ended.out


def test_choose_from_a_sweep_that_has_not_trained_yet(run: Path, tmp_path: Path, refused: Refused) -> None:
    shutil.rmtree(run / "records")
    sentence = refused("choose", run, "-o", tmp_path / "model")
    assert "must be usable (no configuration of 2 has ended yet" in sentence


def test_damaged_record_names_itself(run: Path, tmp_path: Path, refused: Refused) -> None:
    (run / "records" / "0001.json").write_text('{"bracket": 1, "fi')
    for command in (("board", run), ("choose", run, "-o", tmp_path / "model")):
        assert "0001.json must be JSON" in refused(*command)


# ---- boards


def test_board_of_a_folder_that_is_none(tmp_path: Path, refused: Refused) -> None:
    assert "must be the folder of a sweep" in refused("board", tmp_path)
    assert "must be the folder of a sweep" in refused("board", tmp_path / "none")
    assert "must be the folder of a sweep" in refused("choose", tmp_path / "none", "-o", tmp_path / "model")
    assert "must hold folders Model1, Model2" in refused("board", "--import", tmp_path)
    assert "must be a folder" in refused("board", "--import", tmp_path / "none")
    assert "either the folder of a sweep or --import DIR" in refused("board")
    assert "either the folder of a sweep or --import DIR" in refused("board", tmp_path, "--import", tmp_path)


def test_board_sorted_by_a_column_that_is_none(run: Path, refused: Refused) -> None:
    assert 'got "auc_al"); did you mean "auc_all"?' in refused("board", run, "--sort", "auc_al")


# ---- the machine


def test_keras_backend_that_the_user_chose_is_respected(
    tiny_yaml: Path, tiny_sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: Refused
) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    sentence = refused("sweep", tiny_yaml, "--sample", tiny_sample, "-o", tmp_path / "run")
    assert sentence.startswith('training needs Keras on JAX (got the backend "tensorflow"); unset KERAS_BACKEND')


@pytest.fixture
def full_disk(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let the disk be full when a file whose path matches is flushed; an empty pattern makes room again."""
    flush = files._flush_to_disk

    def fill(pattern: str) -> None:
        def full(path: Path) -> None:
            if pattern and re.search(pattern, str(path)):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            flush(path)

        monkeypatch.setattr(files, "_flush_to_disk", full)

    return fill


@pytest.mark.usefixtures("engine_here")
def test_full_disk_in_the_middle_of_a_sweep(
    run: Path,
    tiny_yaml: Path,
    tiny_sample: Path,
    full_disk: Callable[[str], None],
    refused: Refused,
    townsend: Callable[..., Any],
) -> None:
    lost = [*(run / "records").glob("0001.*"), run / "brackets" / "0001.json"]
    assert len(lost) == 3
    for path in lost:
        path.unlink()
    command = ("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    full_disk(r"records/.*\.npz")
    sentence = refused(*command, new=run)
    assert re.search(r"the disk of .*run must have room for records \(it is full\)", sentence)
    full_disk("")
    ended = townsend(*command)
    assert (ended.status, ended.err) == (0, "")
    assert all(path.is_file() for path in lost)


def test_full_disk_in_every_other_command(
    run: Path, tiny_model: Path, tmp_path: Path, full_disk: Callable[[str], None], refused: Refused
) -> None:
    (run / "board.csv").write_text("the board of yesterday\n")
    model = Path(shutil.copytree(tiny_model, tmp_path / "model"))
    data = traces(tmp_path / "traces.npz")
    full_disk(".")
    for command in (
        ("board", run),
        ("choose", run, "-o", model),
        ("find-peaks", model, data, "-o", tmp_path / "peaks"),
        ("simulate", "drifttube", "-n", 10, "-o", tmp_path / "mc"),
    ):
        sentence = refused(*command)
        assert "No space left on device" in sentence
        assert "free space" in sentence


def test_disk_that_is_really_full(tmp_path: Path) -> None:
    """A file system of 64 kB in a name space of our own, which needs no rights where the kernel allows it."""
    place = tmp_path / "small"
    place.mkdir()
    mount = f"mount -t tmpfs -o size=64k tmpfs {place} && exec "
    if (
        shutil.which("unshare") is None
        or subprocess.run(["unshare", "-Urm", "sh", "-c", mount + "true"], capture_output=True, check=False).returncode
    ):
        pytest.skip("a full disk: this system does not let a user mount a small one (unshare -Urm)")
    command = (
        f"{sys.executable} -m townsend simulate drifttube -n 250 --jobs 1 -o {place}/mc; status=$?; ls -A {place}/mc"
    )
    ended = subprocess.run(
        ["unshare", "-Urm", "sh", "-c", f"mount -t tmpfs -o size=64k tmpfs {place}; {command}; exit $status"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 2, ended
    assert "No space left on device" in one_sentence(ended.stderr)
    assert sorted(ended.stdout.split()) == ["simulation.json", "simulation.yaml"]


def test_program_itself_ends_as_its_functions_do(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "townsend", "find-peaks", "model", "none.npz", "-o", "peaks"]
    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert one_sentence(ended.stderr).startswith("model/card.json must exist")
    assert list(tmp_path.iterdir()) == []
