"""The numbers that figures of scores show; how they look is judged by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from townsend.evaluate.classification import Confusion, roc
from townsend.report import classification_figures
from townsend.report.classification_figures import confusion_figure, density, roc_figure, score_distribution


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(classification_figures, "save", lambda canvas, path: found.append(canvas))
    return found


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
