"""What figures of one classifier's scores hold; how they look is judged by eye."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from townsend.evaluate.confusion_matrix import confusion_matrix
from townsend.evaluate.thresholds import ThresholdScan, scan_thresholds
from townsend.report import score_figures
from townsend.report.histograms import Bins, weighted_density
from townsend.report.score_figures import (
    confusion_matrices,
    reliability_curve,
    response_overlay,
    threshold_scan_figure,
)

HERE = Path("x.png")
RNG = np.random.default_rng(5)
LABEL = np.arange(2000) % 2
SCORE = 1 / (1 + np.exp(-RNG.normal(2.0 * LABEL - 1)))
EDGES = np.linspace(0, 1, 11)
NASTY = "_a $name$ of\x07 forty letters, and more of them"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(score_figures, "save", lambda canvas, path: found.append(canvas))
    return found


@pytest.fixture(scope="module")
def scan() -> ThresholdScan:
    return scan_thresholds(SCORE, LABEL, points=200)


def of_class(name: int, part: slice) -> Bins:
    chosen = LABEL[part] == name
    return weighted_density(SCORE[part][chosen], np.ones(chosen.sum()), EDGES)


def test_a_scan_shows_both_shares_and_the_least_squared_distance(drawn: list[Figure], scan: ThresholdScan) -> None:
    threshold_scan_figure(scan, 0.4, "run", HERE)
    wide = next(axes for axes in drawn[0].axes if axes.get_ylabel() == "share")
    lines = {str(line.get_label()): line for line in wide.lines}
    assert lines["TPR"].get_ydata().tolist() == scan.tpr.tolist()
    assert lines["FPR"].get_ydata().tolist() == scan.fpr.tolist()
    (least,) = [line for name, line in lines.items() if name.startswith("least d²")]
    best = scan.best["corner_distance"]
    assert least.get_xdata()[0] == best.threshold
    assert least.get_ydata()[0] == pytest.approx(best.value**2)
    assert f"{best.value**2:.4f}" in str(least.get_label())


def test_each_criterion_has_its_curve_its_best_and_the_threshold_chosen(
    drawn: list[Figure], scan: ThresholdScan
) -> None:
    threshold_scan_figure(scan, 0.4, "run", HERE)
    small = [axes for axes in drawn[0].axes if axes.axison and axes.get_ylabel() != "share"]
    assert len(small) == len(scan.curves)
    for axes, (name, curve) in zip(small, scan.curves.items(), strict=True):
        drawn_curve, best, chosen = axes.lines
        assert np.array_equal(drawn_curve.get_ydata(), np.where(np.isfinite(curve), curve, np.nan), equal_nan=True)
        assert best.get_xydata()[0].tolist() == [scan.best[name].threshold, scan.best[name].value]
        assert set(chosen.get_xdata()) == {0.4}
        assert f"{scan.best[name].value:.4g}" in axes.get_title(loc="left")


def test_what_is_defined_nowhere_is_said(drawn: list[Figure], scan: ThresholdScan) -> None:
    none = replace(scan.best["f1"], threshold=np.nan, value=np.nan)
    curves = {"new_one $x$": np.full(len(scan.threshold), np.nan)}
    odd = replace(scan, curves=curves, best={"new_one $x$": none})
    odd.threshold[0] = np.inf
    threshold_scan_figure(odd, np.nan, "run", HERE)
    titles = [axes.get_title(loc="left") for axes in drawn[0].axes]
    assert r"new one \$x\$" + "\nnot defined at any threshold" in titles


def test_responses_are_filled_on_training_events_and_points_on_test_events(drawn: list[Figure]) -> None:
    early, late = slice(0, 1000), slice(1000, 2000)
    classes = {"background": (of_class(0, early), of_class(0, late)), NASTY: (of_class(1, early), of_class(1, late))}
    response_overlay(EDGES, classes, "not overtrained", HERE, threshold=0.6)
    axes, pulls = drawn[0].axes
    filled = [patch.get_data()[0] for patch in axes.patches if patch.get_fill()]
    points = [container.lines[0].get_ydata() for container in axes.containers]
    for index, (train, test) in enumerate(classes.values()):
        assert filled[index].tolist() == train.content.tolist()
        assert points[index].tolist() == test.content[test.content > 0].tolist()
        filled_bins = (train.error > 0) | (test.error > 0)
        difference, error = test.content - train.content, np.hypot(test.error, train.error)
        assert pulls.lines[index].get_ydata() == pytest.approx(difference[filled_bins] / error[filled_bins])
    assert drawn[0].get_suptitle() == "not overtrained"
    assert axes.get_yscale() == "log"
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names[:2] == ["background, training", "background, test"]
    assert names[2].startswith(r"_a \$name\$ of\x07")
    assert names[-1] == "threshold 0.6"
    assert [set(line.get_xdata()) for line in pulls.lines if line.get_linestyle() == ":"] == [{0.6}]


def test_bins_below_zero_are_seen(drawn: list[Figure]) -> None:
    train, test = (Bins(np.array([0.8, -0.1]), np.array([0.1, 0.05])) for _ in range(2))
    response_overlay([0, 1, 2], {"signed": (train, test)}, "run", HERE)
    axes = drawn[0].axes[0]
    assert axes.get_yscale() == "linear"
    assert axes.get_ylim()[0] < -0.1


def test_a_reliability_curve_has_gaps_and_says_so(drawn: list[Figure]) -> None:
    counts, edges = np.histogram(SCORE, EDGES)
    score, share = np.array([0.1, 0.5, 0.9]), np.array([0.2, np.nan, 0.8])
    reliability_curve(score, share, np.array([0.05, 0.1, np.nan]), (edges, counts), "verdict", HERE)
    axes, below = drawn[0].axes
    assert axes.lines[0].get_xydata().tolist() == [[0, 0], [1, 1]]
    observed = axes.containers[0].lines[0].get_ydata()
    assert np.array_equal(observed, share, equal_nan=True)
    assert below.patches[0].get_data()[0].tolist() == counts.tolist()
    assert drawn[0].get_suptitle().endswith("bins without a share, not drawn: 1")


def test_cells_of_a_confusion_matrix_are_shares_of_rows_and_of_columns(drawn: list[Figure]) -> None:
    matrix = confusion_matrix([0, 0, 0, 1, 1], [0, 0, 1, 1, 0], ["b", "s"], [1.0, 1.0, 2.0, 3.0, 1.0])
    confusion_matrices(matrix, "run", HERE)
    of_true, of_predicted = drawn[0].axes
    assert [text.get_text() for text in of_true.texts] == ["50.0 %\n2", "50.0 %\n1", "25.0 %\n1", "75.0 %\n1"]
    assert [text.get_text() for text in of_predicted.texts] == ["66.7 %\n2", "40.0 %\n1", "33.3 %\n1", "60.0 %\n1"]
    assert (of_true.get_xlabel(), of_true.get_ylabel()) == ("predicted class", "true class")
    assert [label.get_text() for label in of_true.get_yticklabels()] == ["b", "s"]


def test_no_text_is_taken_for_a_formula_and_files_are_written(tmp_path: Path, scan: ThresholdScan) -> None:
    one = replace(scan, curves={"$": scan.curves["f1"]}, best={})
    threshold_scan_figure(one, 0.5, "$\\frac$ \x1b", tmp_path / "scan.png")
    nothing = Bins(np.zeros(10), np.zeros(10))
    response_overlay(EDGES, {"$": (nothing, nothing)}, "$", tmp_path / "response.png", np.nan, "$")
    gaps = np.full(3, np.nan)
    reliability_curve(gaps, gaps, gaps, (EDGES, np.zeros(10)), "$", tmp_path / "reliability.png")
    classes = ["$", "a $formula$ in a name that is too long to be written", *(str(i) for i in range(8))]
    confusion_matrices(confusion_matrix([], [], classes), "$", tmp_path / "ten.png")
    for name in ("scan", "response", "reliability", "ten"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
