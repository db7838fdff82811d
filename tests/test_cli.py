"""The command line of somebody who makes no mistake: helps, names, tables, messages."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from townsend.config import load_yaml, parse
from townsend.experiments.drifttube.peaks.task_settings import PeakSettings
from townsend.experiments.shipped import shipped_configs
from townsend.sample.reader import read_sample
from townsend.sweep.settings import SweepSettings, load_sweep
from townsend.sweep.space import grid_size
from townsend.tasks.registry import find_task

# Keras asks NumPy for arrays in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

Run = Callable[..., Any]

COMMANDS = [
    "simulate",
    "read",
    "noise",
    "validate",
    "skim",
    "train",
    "space",
    "sweep",
    "board",
    "dashboard",
    "export",
    "refine",
    "choose",
    "evaluate",
    "apply",
    "select-eta",
    "find-peaks",
    "assemble",
    "reconstruct",
    "report",
    "engines",
    "status",
    "cancel",
]
FARM = ["--engine", "--request ", "--request-cpus", "--request-memory", "--max-hours", "--max-jobs"]
OPTIONS = {
    "simulate drifttube": ["-n", "--seed", "--config", "--impact", "--jobs", "-o", *FARM],
    "simulate gluex": ["-n", "--seed", "--setting", "--config", "--jobs", "-o", *FARM],
    "simulate eta": ["-n", "--seed", "--setting", "--config", "--jobs", "-o", *FARM],
    "validate drifttube": ["-o", "--reference", "--tracks", "--seed"],
    "skim": ["-o", "--keep", "--format", "--jobs", *FARM],
    "train": ["-o", "--table", "--build", "--jobs", *FARM],
    "evaluate": ["-o", "--table", "--retrain", "--projection", "--build"],
    "apply": ["-o", "--tree", "--threshold", "--build"],
    "select-eta": ["-o", "--decays", "--build"],
    "space": ["--trials", "--length"],
    "sweep": ["-o", "--sample", "--seed", "--trials", "--epochs", "--halving", "--folds", "--build", "--jobs", *FARM],
    "board": ["--import", "--sort", "--metric", "--top", "--csv"],
    "dashboard": ["--port"],
    "export": ["--journal", "--tensorboard"],
    "refine": ["-o", "--top"],
    "choose": ["-o", "--trial", "--retrain", "--build"],
    "find-peaks": ["-o", "--config"],
    "assemble": ["--calibrate", "-o", "--jobs"],
    "reconstruct": ["-o", "--config", "--jobs", *FARM],
    "report": ["-o"],
    "engines check": ["--folder", "--minutes"],
    "status": ["--watch"],
    "cancel": [],
}


@pytest.fixture
def run(tiny_run: Path, tmp_path: Path) -> Path:
    """A finished sweep to which boards and figures may be added."""
    return Path(shutil.copytree(tiny_run, tmp_path / "run"))


# ---- help


def test_help_lists_the_commands_in_the_order_of_use_each_with_a_whole_sentence(townsend: Run) -> None:
    ended = townsend("--help")
    assert ended.status == 0
    listed = re.findall(r"^  ([a-z-]+)  +(\S.*)$", ended.out.partition("Commands:")[2], re.MULTILINE)
    assert [name for name, _ in listed] == COMMANDS
    assert all(sentence.endswith(".") and not sentence.endswith("...") for _, sentence in listed)


@pytest.mark.parametrize("command", OPTIONS)
def test_help_of_a_command_describes_every_option(command: str, townsend: Run) -> None:
    ended = townsend(*command.split(), "--help")
    assert (ended.status, ended.err) == (0, "")
    for option in OPTIONS[command]:
        line = next(line for line in ended.out.splitlines() if line.lstrip().startswith(option))
        assert re.search(r"(>|--[\w-]+)  +[A-Z]\w+", line), line
    assert max(map(len, ended.out.splitlines())) <= 80


@pytest.mark.parametrize("arguments", [(), ("simulate",), ("validate",), ("engines",)])
def test_no_arguments_show_the_help(arguments: tuple[str, ...], townsend: Run) -> None:
    ended = townsend(*arguments)
    assert "Commands:" in ended.out + ended.err
    assert ended.status == 2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("swep",), "Did you mean 'sweep'?"),
        (("sweep", "peaks.yaml"), "Missing option"),
        (("sweep", "peaks.yaml", "-o", "x", "--epoch", "3"), "--epochs"),
        (("sweep", "peaks.yaml", "-o", "x", "--jobs", "0"), "--jobs"),
        (("simulate", "drifttube", "-o", "x", "-n", "0"), "-n"),
        (("simulate", "drifttube", "-o", "x", "-n", "many"), "-n"),
        (("choose", "run"), "Missing option"),
        (("assemble", "finder", "clusteriser", "-o", "x"), "--calibrate"),
        (("assemble", "finder", "--calibrate", "mc", "-o", "x"), "Missing argument"),
        (("reconstruct", "reco", "-o", "x"), "Missing argument"),
        (("report", "run"), "Missing option"),
    ],
)
def test_wrong_usage_is_explained_and_has_status_2(arguments: tuple[str, ...], said: str, townsend: Run) -> None:
    ended = townsend(*arguments)
    assert ended.status == 2
    assert said in ended.err
    assert "Traceback" not in ended.err


def test_version(townsend: Run) -> None:
    from importlib.metadata import version

    ended = townsend("--version")
    assert (ended.status, ended.out) == (0, f"townsend {version('townsend')}\n")


# ---- shipped configurations


def test_names_of_the_shipped_configurations() -> None:
    assert set(shipped_configs()) == {"peaks.yaml", "peaks-demo.yaml", "clusters.yaml", "clusters-demo.yaml"}


@pytest.mark.parametrize(
    ("name", "task", "network", "given"),
    [
        ("peaks.yaml", "drifttube-peaks", "lstm", {}),
        ("peaks-demo.yaml", "drifttube-peaks", "lstm", {}),
        ("clusters.yaml", "drifttube-clusters", "cnn", {"finder": "finder"}),
        ("clusters-demo.yaml", "drifttube-clusters", "cnn", {"finder": "finder"}),
    ],
)
def test_shipped_configurations_are_taken_by_their_task(
    name: str, task: str, network: str, given: dict[str, str]
) -> None:
    settings = load_sweep(shipped_configs()[name], {"sample": "mc", "task_settings": given})
    assert (settings.task, settings.network, settings.sampler, settings.seed) == (task, network, "grid", 1)
    find_task(task).settings(settings.task_settings)


def test_second_full_grid_is_that_of_the_slides() -> None:
    settings = load_sweep(shipped_configs()["clusters.yaml"], {"sample": "mc"})
    assert settings.space == {
        "optimizer": ["rmsprop", "sgd", "adam"],
        "activations": ["relu selu", "selu selu", "relu relu"],
        "filters": ["32 16", "16 32", "32 64", "8 16"],
        "batch_size": [150],
        "dropout": [0.1, 0.0],
    }
    assert grid_size(settings.space) == 72
    assert (settings.epochs, settings.patience, settings.trials) == (50, 30, None)


def test_full_grid_is_that_of_the_slides() -> None:
    settings = load_sweep(shipped_configs()["peaks.yaml"], {"sample": "mc"})
    assert settings.space == {
        "optimizer": ["sgd", "rmsprop", "adam"],
        "activations": ["relu selu", "relu sigmoid", "selu sigmoid"],
        "topology": ["96 128 1", "32 64 1", "16 32 1", "8 16 1"],
        "batch_size": [150, 250],
        "dropout": [0.1, 0.0],
    }
    assert grid_size(settings.space) == 144
    assert (settings.epochs, settings.patience, settings.trials) == (100, 30, None)
    assert parse(PeakSettings, settings.task_settings).windows == 30000


@pytest.mark.parametrize("kind", ["peaks", "clusters"])
def test_grid_of_the_demo_is_part_of_the_full_grid_and_has_every_optimizer(kind: str) -> None:
    names = (f"{kind}.yaml", f"{kind}-demo.yaml")
    full, demo = (load_yaml(shipped_configs()[name]).data["space"] for name in names)
    assert all(set(demo[name]) <= set(full[name]) for name in full)
    assert set(demo["optimizer"]) == set(full["optimizer"])


def test_unknown_configuration_names_the_nearest_shipped_one(townsend: Run, tmp_path: Path) -> None:
    ended = townsend("sweep", "peaks-dmo.yaml", "-o", tmp_path / "run")
    assert ended.status == 2
    assert 'did you mean "peaks-demo.yaml"?' in ended.err


# ---- simulate


def test_impact_takes_the_place_of_a_setting_and_of_nothing_else(townsend: Run, tmp_path: Path) -> None:
    config = tmp_path / "tube.yaml"
    config.write_text("seed: 8\ntrack: {momentum_GeV: 9.0}\n")
    command = ("simulate", "drifttube", "-n", 30, "--jobs", 1, "--config", config)
    largest_cm = {}
    for impact in ("central", "uniform"):
        out = tmp_path / impact
        ended = townsend(*command, "--impact", impact, "-o", out)
        assert (ended.status, ended.err) == (0, "")
        settings = load_yaml(out / "simulation.yaml").data
        assert (settings["seed"], settings["track"]["momentum_GeV"]) == (8, 9.0)
        assert settings["track"]["impact"] == impact
        truth = read_sample(out).truth
        assert truth is not None
        largest_cm[impact] = float(np.abs(truth.impact_cm).max())
    assert largest_cm["central"] <= 0.08 < 0.3 < largest_cm["uniform"] <= 0.4


# ---- sweep


def test_sweep_without_a_sample_says_how_to_name_one(townsend: Run, tmp_path: Path) -> None:
    ended = townsend("sweep", "peaks.yaml", "-o", tmp_path / "run")
    assert ended.status == 2
    assert ended.err == (
        "townsend: a sweep needs a sample (peaks.yaml names none); say --sample FOLDER, `townsend simulate` makes one\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_options_of_sweep_take_the_place_of_settings(
    townsend: Run, tiny_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[SweepSettings, Path, int | None]] = []

    def sweep(
        settings: SweepSettings, run: Path, *, jobs: int | None, site: object, progress: object, build: object
    ) -> None:
        seen.append((settings, run, jobs))

    monkeypatch.setattr("townsend.sweep.coordinator.sweep", sweep)
    options = ["--trials", 1, "--epochs", 7, "--windows", 300, "--seed", 9, "--jobs", 2, "--sample", "mc"]
    assert townsend("sweep", tiny_yaml, "-o", tmp_path / "run", *options).status == 0
    settings, run, jobs = seen[0]
    assert (settings.trials, settings.epochs, settings.seed, settings.sample) == (1, 7, 9, "mc")
    assert settings.task_settings == {"windows": 300, "validation_waveforms": 20, "test_waveforms": 20}
    assert (run, jobs) == (tmp_path / "run", 2)


def test_file_of_ones_own_goes_before_a_shipped_one(
    townsend: Run, tiny_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[SweepSettings] = []
    monkeypatch.setattr("townsend.sweep.coordinator.sweep", lambda settings, *given, **named: seen.append(settings))
    monkeypatch.chdir(tmp_path)
    tiny_yaml.rename("peaks.yaml")
    assert townsend("sweep", "peaks.yaml", "--sample", "mc", "-o", "run").status == 0
    assert seen[0].epochs == 2


def test_finished_sweep_says_what_comes_next(townsend: Run, run: Path, tiny_yaml: Path, tiny_sample: Path) -> None:
    ended = townsend("sweep", tiny_yaml, "--sample", tiny_sample, "-o", run)
    assert (ended.status, ended.err) == (0, "")
    assert ended.out == f"records in {run}; now: townsend board {run}\n"


# ---- what is shown


def plain(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)


def test_board_prints_verdicts_before_numbers_and_writes_csv_and_figures(townsend: Run, run: Path) -> None:
    ended = townsend("board", run)
    assert (ended.status, ended.err) == (0, "")
    lines = ended.out.splitlines()
    assert lines[0].startswith("ok   2 of 2 configurations: ")
    assert ended.out.index("selection-biased") < ended.out.index("run: figures on validation")
    assert max(map(len, lines[:-2])) <= 160
    assert f"all columns: {run / 'board.csv'}" in lines
    with (run / "board.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert sorted(row["trial"] for row in rows) == ["0", "1"]
    assert {"auc_all", "auc_drift", "resolvable.f1", "balanced.f1", "natural.f1", "cpu_s"} <= rows[0].keys()
    assert (run / "figures" / "roc.png").is_file()


@pytest.mark.parametrize("width", [80, 160])
def test_board_and_card_fit_the_terminal(
    width: int, townsend: Run, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("townsend.report.figures.draw_board", lambda run, folder: "figures")
    monkeypatch.setattr("townsend.report.figures.draw_model", lambda model: "figures")
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", str(width))
    for command in (("board", run), ("choose", run, "-o", tmp_path / "model")):
        ended = townsend(*command)
        assert ended.status == 0
        shown = [line for line in plain(ended.out).splitlines() if str(tmp_path) not in line]
        assert max(len(line.rstrip()) for line in shown) <= width
        assert "…" not in ended.out
        assert "auc" in ended.out
        assert "outcome" in ended.out or command[0] == "choose"


def test_board_in_another_order_with_other_metrics(townsend: Run, run: Path) -> None:
    ended = townsend(
        "board", run, "--sort", "learning_rate", "--metric", "natural.f1", "--top", 1, "--csv", run / "a.csv"
    )
    assert ended.status == 0
    assert "1 more rows in the CSV" in ended.out
    table = ended.out.partition("figures on validation")[2]
    assert "natural" in table.partition("further columns")[0]
    with (run / "a.csv").open(newline="") as stream:
        assert [float(row["learning_rate"]) for row in csv.DictReader(stream)] == [0.03, 0.05]
    assert not (run / "board.csv").exists()


def test_board_of_a_sweep_that_has_only_begun(townsend: Run, run: Path) -> None:
    shutil.rmtree(run / "records")
    ended = townsend("board", run)
    assert (ended.status, ended.err) == (0, "")
    assert "no configuration of 2 has ended yet" in ended.out


def test_board_of_ones_own_folders(townsend: Run, tmp_path: Path) -> None:
    for number, auc in ((1, 0.91), (2, 0.97)):
        folder = tmp_path / f"Model{number}"
        folder.mkdir()
        (folder / "model_metrics.txt").write_text(f"AUC Score: {auc}\nF1 Score: 0.9\nRecall: 0.8\nPrecision: 0.7\n")
    ended = townsend("board", "--import", tmp_path, "--csv", tmp_path / "mine.csv")
    assert (ended.status, ended.err) == (0, "")
    assert "trial 2 leads: auc 0.9700" in ended.out
    with (tmp_path / "mine.csv").open(newline="") as stream:
        assert [row["auc"] for row in csv.DictReader(stream)] == ["0.97", "0.91"]


def test_find_peaks_says_how_many_peaks_a_microsecond_with_and_without_a_hit(
    townsend: Run, tiny_model: Path, tiny_sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "find.yaml").write_text("pictures: 2")
    command = ("find-peaks", tiny_model, tiny_sample, "--config", tmp_path / "find.yaml")
    ended = townsend(*command, "-o", tmp_path / "peaks")
    assert (ended.status, ended.err) == (0, "")
    assert re.search(r"^120 waveforms with a hit: \d+\.\d\d peaks per us$", ended.out, re.MULTILINE)
    assert re.search(r"^0 waveforms without a hit$", ended.out, re.MULTILINE)
    assert len(list((tmp_path / "peaks" / "figures").glob("trace-*.png"))) == 2
    (tmp_path / "find.yaml").write_text("pictures: 1")
    assert townsend(*command, "-o", tmp_path / "peaks").status == 0  # what the command made, it replaces
    assert len(list((tmp_path / "peaks" / "figures").glob("trace-*.png"))) == 1


# ---- bars and signals


def test_progress_is_shown_to_terminals_only(townsend: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = ("simulate", "drifttube", "-n", 20, "--jobs", 1, "-o")
    quiet = townsend(*command, tmp_path / "a")
    assert (quiet.status, quiet.err) == (0, "")
    assert quiet.out.startswith("20 waveforms of seed 1 in ")
    monkeypatch.setenv("FORCE_COLOR", "1")
    shown = townsend(*command, tmp_path / "b")
    assert "20/20" in plain(shown.err)
    assert shown.out.count("\n") == 1


def test_interrupted_command_says_that_it_can_go_on(
    townsend: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(*given: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("townsend.experiments.drifttube.simulation.simulate.simulate_drifttube", stopped)
    ended = townsend("simulate", "drifttube", "-o", tmp_path / "mc")
    assert ended.status == 130
    assert ended.err == "townsend: stopped; what is finished is kept, the same command goes on\n"


def test_reader_that_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "townsend", "--help"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
