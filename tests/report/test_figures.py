"""The numbers that figures show; how they look is judged by eye."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from townsend.errors import InputError
from townsend.evaluate.classification import confusion, roc
from townsend.files import write_json
from townsend.report import classification_figures, figures
from townsend.report.figures import (
    draw_board,
    draw_model,
    metric_per_configuration,
    training_curves,
)
from townsend.report.style import COLOURS, figure, plain, save, styled
from townsend.sweep.board import Board, by_rank
from townsend.tasks.base import Metric, Objective
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    for module in (figures, classification_figures):
        monkeypatch.setattr(module, "save", lambda canvas, path: found.append(canvas))
    return found


def row(trial: int, auc: float, outcome: Outcome = Outcome.FINISHED) -> FitRecord:
    metrics = {"auc": Metric(auc, 0.01), "ceiling": Metric(0.9, 0.0)}
    return FitRecord(trial, trial, {"a": trial}, outcome, best_epoch=2, epochs=3, metrics=metrics, threshold=0.4)


ROWS = (
    row(0, 0.8),
    row(1, 0.95),
    row(2, 0.5, Outcome.DEGENERATE),
    row(3, 0.94),
    FitRecord(4, 4, {"a": 4}, Outcome.LOST),
)


def small_run(run: Path, rows: tuple[FitRecord, ...]) -> Path:
    info = {"fingerprint": "f", "versions": {}, "sample": "s", "trials": 5, "settings": {}}
    write_json(run / "sweep.json", {**info, "objective": {"metric": "auc", "maximise": True}})
    curves = {"loss": np.array([3.0, 2, 1]), "monitor_loss": np.array([3.0, 2, 2.5])}
    evaluated = {
        "roc.fpr": np.array([0, 0.2, 1]),
        "roc.tpr": np.array([0, 0.9, 1]),
        "confusion": np.array([9, 2, 1, 8]),
    }
    record = BracketRecord(0)
    for each in rows:
        arrays = {**curves, **{f"curve.{name}": values for name, values in evaluated.items()}}
        record = record.with_fits([(each, arrays if each.outcome.usable else {})])
    write_bracket_record(run, record)
    return run


def test_configurations_by_trial_with_the_best_in_red(drawn: list[Figure], tmp_path: Path) -> None:
    metric_per_configuration(by_rank(Board(ROWS, Objective("auc", maximise=True), 5, "run")), "auc", tmp_path / "x.png")
    near, whole = drawn[0].axes
    shown = {c.get_label(): c.lines[0] for c in whole.containers}
    points = {label: sorted(zip(*line.get_data(), strict=True)) for label, line in shown.items()}
    assert points == {
        "unusable: degenerate": [(2, 0.5)],
        "usable": [(0, 0.8), (3, 0.94)],
        "best auc: trial 1": [(1, 0.95)],
    }
    assert shown["best auc: trial 1"].get_color() == COLOURS["best"]
    assert shown["unusable: degenerate"].get_markerfacecolor() == "none"
    low, high = near.get_ylim()
    assert 0.9 < low < 0.93  # the better half, with errors
    assert 0.96 < high < 0.97
    assert near.get_title(loc="left").endswith("not drawn, having no such figure: 1")


def test_configurations_without_a_best_one_are_drawn(drawn: list[Figure], tmp_path: Path) -> None:
    table = by_rank(Board(ROWS[2:3], Objective("auc", maximise=True), 1, "run"))
    metric_per_configuration(table, "auc", tmp_path / "x.png")
    assert len(drawn[0].axes[1].containers) == 1


def error(trial: int, mse: float) -> FitRecord:
    metrics = {"mse": Metric(mse, 0.1), "mae": Metric(mse**0.5, 0.05)}
    return FitRecord(trial, trial, {"a": trial}, Outcome.FINISHED, best_epoch=2, epochs=3, metrics=metrics)


def test_where_smaller_is_better_the_smallest_is_red_and_the_better_half_is_below(
    drawn: list[Figure], tmp_path: Path
) -> None:
    rows = tuple(error(trial, mse) for trial, mse in enumerate((5.0, 3.0, 3.5, 9.0, 4.0)))
    table = by_rank(Board(rows, Objective("mse", maximise=False), 5, "run"))
    for metric in ("mse", "mae"):
        metric_per_configuration(table, metric, tmp_path / "x.png")
    for canvas, best, half in zip(drawn, (3.0, 3.0**0.5), (4.0, 4.0**0.5), strict=True):
        near, whole = canvas.axes
        shown = {c.get_label(): c.lines[0] for c in whole.containers}
        assert shown["best mse: trial 1"].get_xydata().tolist() == [[1, best]]
        low, high = near.get_ylim()
        assert low < best < half < high < half + 0.5
        assert whole.get_yscale() == "linear"


def test_a_network_that_ran_away_does_not_hide_the_others(drawn: list[Figure], tmp_path: Path) -> None:
    table = by_rank(Board((error(0, 3.0), error(1, 1e5)), Objective("mse", maximise=False), 2, "run"))
    metric_per_configuration(table, "mse", tmp_path / "x.png")
    assert drawn[0].axes[1].get_yscale() == "log"


def test_names_with_dollars_are_drawn_as_they_are(tmp_path: Path) -> None:
    table = by_rank(Board(ROWS, Objective("auc", maximise=True), 5, r"$\\frac{$"))
    metric_per_configuration(table, "auc", tmp_path / "x.png")
    assert (tmp_path / "x.png").read_bytes().startswith(PNG)
    assert plain("$a$\x1b") == r"\$a\$\x1b"


def test_training_curves_count_epochs_from_one(drawn: list[Figure], tmp_path: Path) -> None:
    curves = {
        "loss": np.array([3.0, 2, 1]),
        "monitor_loss": np.array([3.0, 2, 2.5]),
        "accuracy": np.array([0.5, 0.6, 0.7]),
    }
    training_curves(curves, 2, "run", tmp_path / "x.png")
    loss, accuracy = drawn[0].axes
    lines = {line.get_label(): line for line in loss.lines}
    assert lines["train"].get_xydata().tolist() == [[1, 3], [2, 2], [3, 1]]
    assert lines["monitor"].get_ydata().tolist() == [3, 2, 2.5]
    assert lines["kept: epoch 2"].get_xdata() == [2, 2]
    assert [line.get_label() for line in accuracy.lines] == ["train", "kept: epoch 2"]
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("loss", "accuracy")


def test_style_ends_with_the_picture(tmp_path: Path) -> None:
    before = dict(mpl.rcParams)

    @styled
    def draw() -> object:
        return mpl.rcParams["xtick.direction"]

    assert draw() == "in"
    canvas, axes = figure()
    axes.plot([1, 2], [3, 4])
    save(canvas, tmp_path / "sub" / "x.png")
    assert (tmp_path / "sub" / "x.png").read_bytes().startswith(PNG)
    assert dict(mpl.rcParams) == before
    assert "matplotlib.pyplot" not in str(type(canvas.canvas))


def test_all_figures_of_a_sweep(tmp_path: Path) -> None:
    run = small_run(tmp_path / "run", ROWS)
    folder = draw_board(run, run / "figures")
    assert folder == run / "figures"
    assert sorted(path.name for path in folder.iterdir()) == [
        "configurations-auc.png",
        "configurations-ceiling.png",
        "confusion.png",
        "roc.png",
        "training-curves.png",
    ]
    assert all(path.read_bytes().startswith(PNG) for path in folder.iterdir())


def test_a_sweep_without_a_usable_row_is_drawn_and_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = small_run(tmp_path / "run", ROWS[2:3])
    with caplog.at_level(logging.INFO, logger="townsend"):
        folder = draw_board(run, tmp_path / "figures", ["auc"])
    assert [path.name for path in folder.iterdir()] == ["configurations-auc.png"]
    assert "no configuration" in caplog.text


@pytest.fixture
def model(tmp_path: Path) -> Path:
    rng = np.random.default_rng(1)
    y = np.arange(400) % 2
    scores = rng.normal(y)
    curve = roc(scores, y)
    card = {
        "trial": 3,
        "threshold": 0.5,
        "best_epoch": 2,
        "objective": {"metric": "auc", "maximise": True},
        "test": {"metrics": {"auc": [0.76, 0.02]}},
        "sweep": {"name": "run"},
    }
    write_json(tmp_path / "card.json", card)
    np.savez(tmp_path / "test.npz", scores=scores, y=y, **{"curve.roc.fpr": curve.fpr, "curve.roc.tpr": curve.tpr})
    sets = {
        f"{name}.{part}": values for name in ("train", "monitor") for part, values in (("scores", scores), ("y", y))
    }
    np.savez(tmp_path / "training.npz", loss=np.array([2.0, 1.0]), monitor_loss=np.array([2.0, 1.5]), **sets)
    return tmp_path


def test_all_figures_of_a_model(model: Path) -> None:
    folder = draw_model(model)
    assert sorted(path.name for path in folder.iterdir()) == [
        "confusion.png",
        "roc.png",
        "scores.png",
        "training-curves.png",
    ]


def test_figures_of_a_model_show_its_test_set(model: Path, drawn: list[Figure]) -> None:
    draw_model(model)
    with np.load(model / "test.npz") as test:
        table = confusion(test["scores"], test["y"], 0.5)
    cells = drawn[1].axes[0].texts
    assert [f"({count:.0f})" for count in (table.tp, table.fn, table.fp, table.tn)] == [
        cell.get_text().split("\n")[1] for cell in cells
    ]
    roc_axes = drawn[3].axes[0]
    assert roc_axes.lines[1].get_xydata().tolist() == [[table.fp / 200, table.recall]]


def test_a_regression_has_its_own_figures(model: Path) -> None:
    card = json.loads((model / "card.json").read_text())
    write_json(model / "card.json", {**card, "threshold": None})
    folder = draw_model(model)
    assert sorted(path.name for path in folder.iterdir()) == [
        "predicted-against-true.png",
        "residuals.png",
        "training-curves.png",
    ]


def test_a_sweep_of_regressions_is_drawn_without_a_confusion_matrix(tmp_path: Path) -> None:
    info = {"fingerprint": "f", "versions": {}, "sample": "s", "trials": 2, "settings": {}}
    write_json(tmp_path / "sweep.json", {**info, "objective": {"metric": "mse", "maximise": False}})
    record = BracketRecord(0)
    for each in (error(0, 3.0), error(1, 4.0)):
        record = record.with_fits([(each, {"loss": np.array([3.0, 2.0])})])
    write_bracket_record(tmp_path, record)
    names = sorted(path.name for path in draw_board(tmp_path, tmp_path / "figures").iterdir())
    assert names == ["configurations-mae.png", "configurations-mse.png", "training-curves.png"]


def test_a_damaged_model_is_named(model: Path) -> None:
    (model / "test.npz").write_bytes((model / "test.npz").read_bytes()[:100])
    with pytest.raises(InputError, match=r"test\.npz must be an archive"):
        draw_model(model)
    assert json.loads((model / "card.json").read_text())["trial"] == 3
