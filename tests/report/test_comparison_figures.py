"""What figures that compare models hold; how they look is judged by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from scipy.special import ndtri

from townsend.evaluate.classification import roc
from townsend.evaluate.curves import det, precision_recall
from townsend.report import comparison_figures
from townsend.report.comparison_figures import (
    Curve,
    det_comparison,
    learning_curve_figure,
    precision_recall_comparison,
    roc_comparison,
)
from townsend.report.legible import looks
from townsend.tasks.base import Metric

HERE = Path("x.png")
RNG = np.random.default_rng(5)
LABEL = np.arange(600) % 2
SCORES = {
    "network": RNG.normal(1.5 * LABEL),
    "_a $name$ of forty letters,\x07 and more of them": RNG.normal(LABEL),
    "cuts": (RNG.normal(1.2 * LABEL) > 0.5).astype(float),
}
AUC = Metric(0.9123, 0.0045)


def curves() -> dict[str, Curve]:
    found = {name: roc(scores, LABEL) for name, scores in SCORES.items()}
    return {name: (curve.fpr, curve.tpr, AUC) for name, curve in found.items()}


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(comparison_figures, "save", lambda canvas, path: found.append(canvas))
    return found


def legend(picture: Figure) -> list[str]:
    return [text.get_text() for text in picture.legends[0].get_texts()]


def test_all_models_are_in_the_legend_with_their_auc_and_cuts_with_their_point(drawn: list[Figure]) -> None:
    roc_comparison(curves(), {"network": (0.1, 0.7)}, "run", HERE)
    first, second, third, *others = legend(drawn[0])
    assert first == "network: AUC 0.9123 ± 0.0045"
    assert second.startswith(r"_a \$name\$ of forty")
    assert second.endswith("AUC 0.9123 ± 0.0045")
    cut = SCORES["cuts"] == 1
    assert third == f"cuts: TPR {np.mean(cut[LABEL == 1]):.3f}, FPR {np.mean(cut[LABEL == 0]):.3g}"
    assert others == ["no separation", "marker: at the threshold chosen"]


def test_curves_are_lines_and_working_points_and_cuts_are_markers_on_both_axes(drawn: list[Figure]) -> None:
    roc_comparison(curves(), {"network": (0.1, 0.7)}, "run", HERE)
    linear, logarithmic = drawn[0].axes
    assert (linear.get_xscale(), logarithmic.get_xscale()) == ("linear", "log")
    for axes in (linear, logarithmic):
        of_network = [line for line in axes.lines if line.get_label() == "network"]
        assert of_network[0].get_xydata().tolist() == np.transpose(curves()["network"][:2]).tolist()
        assert of_network[1].get_xydata().tolist() == [[0.1, 0.7]]
        (cuts,) = [line for line in axes.lines if line.get_label() == "cuts"]
        assert len(cuts.get_xydata()) == 1
        assert cuts.get_marker() == looks(SCORES)["cuts"].marker
    colours = {line.get_label(): line.get_color() for line in linear.lines}
    assert len({colours[name] for name in SCORES}) == 3


def test_a_point_without_background_is_shown_at_the_edge_of_the_logarithmic_axis(drawn: list[Figure]) -> None:
    roc_comparison(curves(), {"network": (0.0, 0.2)}, "run", HERE)
    logarithmic = drawn[0].axes[1]
    point = [line for line in logarithmic.lines if line.get_label() == "network"][1]
    assert point.get_xdata()[0] == logarithmic.get_xlim()[0] > 0
    assert point.get_marker() == "<"


def test_curves_of_signed_weights_are_not_cut_off(drawn: list[Figure]) -> None:
    x, y = np.array([0, -0.05, 0.3, 1]), np.array([0, 0.5, 1.1, 1])
    roc_comparison({"signed": (x, y, Metric(0.9, np.nan))}, {}, "run", HERE)
    axes = drawn[0].axes[0]
    assert axes.get_xlim()[0] == -0.05
    assert axes.get_ylim()[1] == 1.1
    assert legend(drawn[0])[0] == "signed: AUC 0.9000"  # an error that is not known is not written


def test_precision_and_recall_with_the_share_of_signal(drawn: list[Figure]) -> None:
    found = {name: precision_recall(scores, LABEL) for name, scores in SCORES.items()}
    given: dict[str, Curve] = {name: (one.recall, one.precision, AUC) for name, one in found.items()}
    precision_recall_comparison(given, {"network": (0.7, 0.8)}, 0.5, "run", HERE)
    (axes,) = drawn[0].axes
    lines = [line for line in axes.lines if line.get_label() == "network"]
    assert lines[0].get_xydata().tolist() == np.transpose(given["network"][:2]).tolist()
    assert lines[1].get_xydata().tolist() == [[0.7, 0.8]]
    assert [name.split(":")[0] for name in legend(drawn[0])][2:4] == ["cuts", "all accepted"]
    wild = (np.array([0, 0.1, 0.2, 1]), np.array([1, 900.0, -40.0, 0.5]), AUC)
    precision_recall_comparison({"cancelled": wild}, {}, 0.5, "run", HERE)
    assert drawn[1].axes[0].get_ylim() == (-0.5, 1.5)


def test_errors_are_drawn_on_normal_deviates_and_what_has_no_place_is_counted(drawn: list[Figure]) -> None:
    separated = np.concatenate([np.linspace(0, 1, 10), np.linspace(2, 3, 10)])
    found = det(separated, np.repeat([0, 1], 10))
    det_comparison({"perfect": (found.fpr, found.fnr)}, {}, "run", HERE)
    assert drawn[0].get_suptitle() == "run; 19 points at 0 or 100 % lie beyond the axes"
    overlapping = det(SCORES["network"], LABEL)
    det_comparison({"network": (overlapping.fpr, overlapping.fnr)}, {"network": (0.1, 0.3)}, "run", HERE)
    (axes,) = drawn[1].axes
    line, point = axes.lines[:2]
    inside = (overlapping.fpr > 0) & (overlapping.fnr > 0) & (overlapping.fpr < 1) & (overlapping.fnr < 1)
    assert line.get_xdata() == pytest.approx(ndtri(overlapping.fpr[inside]))
    assert line.get_ydata() == pytest.approx(ndtri(overlapping.fnr[inside]))
    assert point.get_xydata()[0] == pytest.approx(ndtri([0.1, 0.3]))
    ticks = dict(zip((label.get_text() for label in axes.get_xticklabels()), axes.get_xticks(), strict=True))
    assert ticks["50"] == pytest.approx(0)
    assert ticks["5"] == pytest.approx(-1.645, abs=1e-3)


def test_a_learning_curve_has_both_sets_with_their_spread(drawn: list[Figure]) -> None:
    spread = [0.01, np.nan]
    learning_curve_figure([100, 1000], ([0.99, 0.95], spread), ([0.8, 0.9], spread), "AUC", "run", HERE)
    (axes,) = drawn[0].axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[0.99, 0.95], [0.8, 0.9]]
    assert legend(drawn[0])[:2] == ["on training events", "on events not trained on"]
    band = np.asarray(axes.collections[1].get_paths()[0].vertices)[:, 1]
    assert (band.min(), band.max()) == pytest.approx((0.79, 0.9))  # a spread that is not known is none


def test_no_text_is_taken_for_a_formula_and_files_are_written(tmp_path: Path) -> None:
    nothing: Curve = ([], [], Metric(np.nan, np.nan))
    gaps: Curve = ([0, np.nan, 0.5, 1], [0, 0.5, np.nan, 1], Metric(np.nan, np.nan))
    odd: dict[str, Curve] = {"$\\frac$": nothing, "$": gaps, **curves()}
    roc_comparison(odd, {"new\n$x$": (np.nan, 0.5)}, "a $title$ \x1b", tmp_path / "roc.png")
    precision_recall_comparison(odd, {}, np.nan, "$", tmp_path / "pr.png")
    det_comparison({name: (x, y) for name, (x, y, _) in odd.items()}, {"$": (0.0, 1.0)}, "$", tmp_path / "det.png")
    learning_curve_figure([], ([], []), ([], []), "$", "$", tmp_path / "learning.png")
    for name in ("roc", "pr", "det", "learning"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_nothing_to_compare_is_an_empty_picture(drawn: list[Figure]) -> None:
    roc_comparison({}, {}, "$x$ \x07", HERE)
    precision_recall_comparison({}, {}, 0.1, "run", HERE)
    det_comparison({}, {}, "run", HERE)
    assert drawn[0].get_suptitle() == r"\$x\$ \x07"
    assert legend(drawn[1]) == ["all accepted: precision 0.1"]
    assert drawn[2].legends == []
