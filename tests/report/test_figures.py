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
from townsend.evaluate.classification import Confusion, confusion, roc
from townsend.files import write_json
from townsend.report import figures
from townsend.report.figures import (
    confusion_figure,
    density,
    draw_board,
    draw_model,
    metric_per_configuration,
    roc_figure,
    score_distribution,
    training_curves,
)
from townsend.report.style import COLOURS, figure, save, styled
from townsend.sweep.board import Board, by_rank
from townsend.tasks.base import Metric, Objective
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(figures, "save", lambda canvas, path: found.append(canvas))
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
        record = record.with_fit(each, arrays if each.outcome.usable else {}, complete=True)
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


def test_roc_is_drawn_on_both_axes_with_the_working_point(drawn: list[Figure], tmp_path: Path) -> None:
    curve = roc([0.1, 0.4, 0.35, 0.8], [0, 0, 1, 1])
    roc_figure(curve.fpr, curve.tpr, "run", tmp_path / "x.png", (0.5, 1.0))
    for axes in drawn[0].axes:
        assert axes.lines[0].get_xydata().tolist() == [[0, 0], [0, 0.5], [0.5, 0.5], [0.5, 1], [1, 1]]
        assert axes.lines[1].get_xydata().tolist() == [[0.5, 1.0]]
    assert [axes.get_xscale() for axes in drawn[0].axes] == ["linear", "log"]
    assert "false positive rate" in drawn[0].axes[0].get_xlabel()


def test_a_perfect_roc_can_be_drawn(drawn: list[Figure], tmp_path: Path) -> None:
    roc_figure(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]), "run", tmp_path / "x.png")
    assert drawn[0].axes[1].get_xlim() == (0.1, 1)


def test_confusion_cells_are_shares_of_all_examples(drawn: list[Figure], tmp_path: Path) -> None:
    confusion_figure(Confusion(tp=9, fp=20, fn=1, tn=70), "run", tmp_path / "x.png")
    natural, balanced = drawn[0].axes
    assert [text.get_text() for text in natural.texts] == [
        "9.00 %\n(9)",
        "1.00 %\n(1)",
        "20.00 %\n(20)",
        "70.00 %\n(70)",
    ]
    assert [text.get_text() for text in balanced.texts] == ["45.00 %", "5.00 %", "11.11 %", "38.89 %"]
    assert natural.get_title(loc="left").startswith("natural prevalence, 10.0 % signal\nprecision 0.310, recall 0.900")


def test_density_has_area_one_and_poisson_errors() -> None:
    edges = np.linspace(0, 1, 5)
    found = density(np.array([0.1, 0.1, 0.3, 0.9]), edges)
    assert found.density.tolist() == [2, 1, 0, 1]
    assert found.error == pytest.approx([np.sqrt(2), 1, 0, 1])
    assert density(np.array([]), edges).density.tolist() == [0] * 4


def test_score_distribution_shows_each_class_of_each_set(drawn: list[Figure], tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    labels = np.arange(1000) % 2
    scores = rng.normal(labels)
    score_distribution((scores, labels), (scores[:500], labels[:500]), 0.3, "run", tmp_path / "x.png")
    (axes,) = drawn[0].axes
    for patch in axes.patches:
        values, edges, _ = patch.get_data()
        assert np.sum(values * np.diff(edges)) == pytest.approx(1)
        assert (edges[0], edges[-1]) == (scores.min(), scores.max())
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names == ["background, train", "signal, train", "background, monitor", "signal, monitor", "threshold 0.300"]


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


def test_a_damaged_model_is_named(model: Path) -> None:
    (model / "test.npz").write_bytes((model / "test.npz").read_bytes()[:100])
    with pytest.raises(InputError, match=r"test\.npz must be an archive"):
        draw_model(model)
    assert json.loads((model / "card.json").read_text())["trial"] == 3
