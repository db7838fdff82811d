"""The numbers that figures of predicted numbers show; how they look is judged by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from townsend.report import distribution_figures, regression_figures
from townsend.report.distribution_figures import cost_figure, count_figure, share_figure
from townsend.report.regression_figures import (
    Numbers,
    by_position_figure,
    comparison_figure,
    number_figure,
    predicted_against_true,
    profile,
    residual_figure,
)
from townsend.report.style import COLOURS
from townsend.sweep.board import Board
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

HERE = Path("x.png")


@pytest.fixture
def pictures(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    found: list[Figure] = []
    for module in (regression_figures, distribution_figures):
        monkeypatch.setattr(module, "save", lambda canvas, path: found.append(canvas))
    return found


RNG = np.random.default_rng(3)
TRUTH = RNG.poisson(14.0, 4000)
PREDICTED = 2 + 0.8 * TRUTH + RNG.normal(0, 1.2, len(TRUTH))


def test_profile_is_mean_and_spread_of_each_bin() -> None:
    found = profile([0.5, 0.5, 1.5, 1.5, 2.5], [1.0, 3.0, 4.0, 4.0, 9.0], [0, 1, 2, 3])
    assert found.centre.tolist() == [0.5, 1.5]  # the third has one entry
    assert found.mean.tolist() == [2, 4]
    assert found.spread == pytest.approx([np.sqrt(2), 0])
    assert found.mean_error == pytest.approx([1, 0])


def test_a_wild_prediction_does_not_squeeze_the_others(pictures: list[Figure]) -> None:
    predicted_against_true(np.append(PREDICTED, 1e7), np.append(TRUTH, 3), "run", HERE)
    low, high = pictures[0].axes[0].get_xlim()
    assert 20 < high - low < 60


def test_predicted_against_true_has_every_example_but_the_outermost(pictures: list[Figure]) -> None:
    predicted_against_true(PREDICTED, TRUTH, "run", HERE)
    axes = pictures[0].axes[0]
    mesh = axes.collections[0]
    assert 0.99 * len(TRUTH) < np.ma.sum(mesh.get_array()) <= len(TRUTH)
    means = axes.containers[0].lines[0]
    x, y = means.get_data()
    assert y == pytest.approx([PREDICTED[np.rint(x).item(i) == TRUTH].mean() for i in range(len(x))])
    assert axes.get_xlabel() == "true number"


def test_residuals_are_predicted_minus_true_with_their_gaussian(pictures: list[Figure]) -> None:
    residual_figure(PREDICTED, TRUTH, "run", HERE)
    (axes,) = pictures[0].axes
    counts, edges, _ = axes.patches[0].get_data()
    centres = 0.5 * (edges[1:] + edges[:-1])
    assert (counts @ centres) / counts.sum() == pytest.approx((PREDICTED - TRUTH).mean(), abs=0.02)
    words = axes.texts[0].get_text()
    assert float(words.split()[1]) == pytest.approx((PREDICTED - TRUTH).mean(), abs=0.02)
    curve = next(line for line in axes.lines if line.get_label() == "Gaussian fit")
    assert float(np.max(curve.get_ydata())) == pytest.approx(counts.max(), rel=0.1)


def test_each_distribution_has_its_own_panel_and_the_truth_behind(pictures: list[Figure]) -> None:
    edges = np.arange(-1, 40) + 0.5
    expected = np.full(40, 3.0)
    columns = [Numbers("true", TRUTH, "truth", expected), Numbers("predicted", PREDICTED, "before")]
    number_figure(columns, edges, "run", HERE, "clusters")
    first, second = pictures[0].axes
    assert first.patches[0].get_data()[0].sum() == len(TRUTH)
    points = next(line for line in first.lines if line.get_label() == "Poisson expectation")
    assert points.get_ydata().tolist() == [3.0] * 40
    filled, outline = (patch.get_data()[0] for patch in second.patches)
    assert filled.tolist() == np.histogram(PREDICTED, edges)[0].tolist()
    assert outline.tolist() == np.histogram(TRUTH, edges)[0].tolist()


def test_bias_and_resolution_along_a_position(pictures: list[Figure]) -> None:
    position = np.linspace(0, 1, len(TRUTH))
    by_position_figure(
        position, TRUTH, {"before": TRUTH + 2.0, "after": TRUTH + position}, [0, 0.5, 1.01], "t", HERE, "b"
    )
    bias, width = pictures[0].axes
    before, after = (container.lines[0].get_ydata() for container in bias.containers)
    assert before == pytest.approx([2, 2])
    assert after == pytest.approx([0.25, 0.75], abs=1e-3)
    assert [c.lines[0].get_color() for c in bias.containers] == [COLOURS["before"], COLOURS["after"]]
    assert width.containers[0].lines[0].get_ydata() == pytest.approx([0, 0], abs=1e-9)


def test_methods_are_compared_with_errors_and_the_network_stands_out(pictures: list[Figure]) -> None:
    figures = {
        "path": {"MSE": Metric(9, 0.2), "R2": Metric(0.5, 0.01)},
        "net": {"MSE": Metric(4, 0.1), "R2": Metric(0.8, 0.01)},
        "odd": {"MSE": Metric(float("nan"), float("nan"))},
    }
    comparison_figure(figures, ("MSE", "R2"), "net", "t", HERE)
    mse, r2 = pictures[0].axes
    assert [bar.get_width() for bar in mse.patches] == [9, 4]
    assert [bar.get_width() for bar in r2.patches] == [0.5, 0.8]
    red = mse.patches[1].get_facecolor()[:3]
    assert red != mse.patches[0].get_facecolor()[:3]
    assert [label.get_text() for label in mse.get_yticklabels()] == ["path", "net", "odd"]


def test_counts_beside_what_was_expected(pictures: list[Figure]) -> None:
    edges = np.arange(-1, 40) + 0.5
    count_figure(TRUTH, edges, np.full(40, 7.0), ("clusters", "seen", "expected"), "t", HERE)
    (axes,) = pictures[0].axes
    assert axes.patches[0].get_data()[0].sum() == len(TRUTH)
    assert axes.lines[0].get_ydata().tolist() == [7.0] * 40


def test_shares_have_poisson_errors_and_leave_out_what_was_not_seen(pictures: list[Figure]) -> None:
    share_figure(np.array([1, 2, 3]), np.array([90, 10, 0]), np.array([0.9, 0.08, 0.02]), ("n", "a", "b"), "t", HERE)
    (axes,) = pictures[0].axes
    assert axes.containers[0].lines[0].get_xydata().tolist() == [[1, 0.9], [2, 0.1]]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")


def test_costs_are_those_of_trainings_that_ran(pictures: list[Figure]) -> None:
    ran = FitRecord(0, 0, {}, Outcome.FINISHED, parameters=900, wall_s=5.0, cpu_s=9.0, peak_memory_mb=300.0)
    rows = (ran, FitRecord(1, 1, {}, Outcome.LOST))
    cost_figure(Board(rows, Objective("mse", maximise=False), 2, "run"), HERE)
    time, memory = pictures[0].axes
    assert [line.get_xydata().tolist() for line in time.lines] == [[[900, 5]], [[900, 9]]]
    assert memory.lines[0].get_xydata().tolist() == [[900, 300]]
