"""What figures of the features of events hold; how they look is judged by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from townsend.report import event_figures
from townsend.report.event_figures import (
    correlation_matrices,
    feature_distributions,
    projection_figure,
    weighted_correlation,
)

HERE = Path("x.png")
RNG = np.random.default_rng(5)
LABEL = np.arange(2000) % 2
WEIGHT = RNG.normal(1.0, 0.6, 2000)
VALUES = RNG.normal(LABEL[:, None], [1, 2, 3], (2000, 3))
NAMES = ["pt", "_a $name$ of\x07 forty letters, and more of them", "eta"]
CLASSES = ["background", "signal"]


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(event_figures, "save", lambda canvas, path: found.append(canvas))
    return found


def test_features_are_drawn_by_class_with_area_one_by_weight(drawn: list[Figure]) -> None:
    values = VALUES.copy()
    values[0, 0], values[1, 0] = np.nan, 1e9
    assert feature_distributions(values, LABEL, WEIGHT, NAMES, CLASSES, "run", HERE, ["GeV", "", ""]) == [HERE]
    axes = drawn[0].axes[0]
    assert axes.get_xlabel() == "pt [GeV]"
    assert axes.get_title(loc="right").endswith("% outside, 1 not finite")
    for index, patch in enumerate(axes.patches):
        content, edges, _ = patch.get_data()
        of_class = np.equal(LABEL, index)
        mine = of_class & (values[:, 0] >= edges[0]) & (values[:, 0] <= edges[-1])
        assert content @ np.diff(edges) == pytest.approx(WEIGHT[mine].sum() / WEIGHT[of_class].sum())
        assert edges[-1] < 10
        first = mine & (values[:, 0] < edges[1])
        low, high = axes.containers[index].lines[2][0].get_segments()[0][:, 1]
        expected = 2 * np.sqrt(np.sum(WEIGHT[first] ** 2)) / (WEIGHT[of_class].sum() * (edges[1] - edges[0]))
        assert high - low == pytest.approx(expected)
    assert [text.get_text() for text in drawn[0].legends[0].get_texts()] == CLASSES
    assert drawn[0].axes[1].get_xlabel().startswith(r"_a \$name\$ of\x07")


def test_a_picture_holds_twelve_features_and_the_others_follow(drawn: list[Figure]) -> None:
    many = RNG.normal(0, 1, (50, 14))
    names = [f"f{number}" for number in range(14)]
    written = feature_distributions(many, np.zeros(50), np.ones(50), names, ["all"], "run", Path("a/features.png"))
    assert written == [Path("a/features.png"), Path("a/features-2.png")]
    shown = [[axes.get_xlabel() for axes in picture.axes if axes.axison] for picture in drawn]
    assert shown == [names[:12], names[12:]]
    assert drawn[1].get_suptitle() == "run, features 13 to 14 of 14"


@given(st.integers(0, 200))
def test_correlations_are_those_of_events_repeated_as_often_as_they_weigh(seed: int) -> None:
    rng = np.random.default_rng(seed)
    values, times = rng.normal(0, 1, (20, 3)) @ rng.normal(0, 1, (3, 3)), rng.integers(1, 4, 20)
    expected = np.corrcoef(np.repeat(values, times, axis=0), rowvar=False)
    assert weighted_correlation(1e3 + values, times) == pytest.approx(expected, abs=1e-8)
    assert weighted_correlation(values, -times) == pytest.approx(expected, abs=1e-8)


def test_what_does_not_vary_or_is_empty_has_no_correlation() -> None:
    values = np.column_stack([np.arange(5.0), np.full(5, 0.1), -np.arange(5.0)])
    found = weighted_correlation(values, np.ones(5))
    assert np.isnan(found[1]).all()
    assert found[0, 2] == pytest.approx(-1)
    assert np.isnan(weighted_correlation(np.empty((0, 2)), [])).all()
    assert np.isnan(weighted_correlation(values, [1, -1, 1, -1, 0])).all()


def test_correlations_of_each_class_are_written_into_their_cells(drawn: list[Figure]) -> None:
    values = VALUES.copy()
    values[:, 2] = values[:, 0] * (2 * LABEL - 1)
    values[3, 1] = np.inf
    correlation_matrices(values, LABEL, WEIGHT, NAMES, CLASSES, "run", HERE)
    background, signal = drawn[0].axes[:2]
    assert background.texts[2].get_text() == "-1.00"
    assert signal.texts[2].get_text() == "1.00"
    assert signal.get_title(loc="left") == "signal\nleft out, not finite: 1"
    mine = (LABEL == 1) & np.isfinite(values).all(axis=1)
    assert signal.texts[1].get_text() == f"{weighted_correlation(values[mine], WEIGHT[mine])[0, 1]:.2f}"
    assert background.get_yticklabels()[1].get_text().startswith(r"_a \$name\$ of\x07")


def test_large_matrices_have_no_numbers(drawn: list[Figure]) -> None:
    values = RNG.normal(0, 1, (40, 13))
    correlation_matrices(values, np.zeros(40), np.ones(40), [str(i) for i in range(13)], ["all"], "run", HERE)
    assert len(drawn[0].axes[0].texts) == 0
    assert drawn[0].axes[0].images[0].get_array().shape == (13, 13)


def test_a_projection_has_points_of_every_class_and_one_wild_event_does_not_squeeze_them(drawn: list[Figure]) -> None:
    places = RNG.normal(0, 1, (12000, 2))
    label = (np.arange(12000) % 4 == 0).astype(int)
    places[0], places[5], places[-1] = (1e6, 0), (np.nan, 0), (-1e6, 0)
    projection_figure(places, label, ["background", "$signal$"], "PCA", HERE, ("first [41 %]", "second"))
    (axes,) = drawn[0].axes
    points = axes.collections[0]
    assert len(points.get_offsets()) == 4000 + 3000
    assert len(np.unique(points.get_facecolor(), axis=0)) == 2
    names = [text.get_text() for text in drawn[0].legends[0].get_texts()]
    assert names == ["background: 4,000 of 9,000", r"\$signal\$: 3,000 of 3,000"]
    low, high = axes.get_xlim()
    assert -6 < low < high < 6
    shown = np.asarray(points.get_offsets())
    beyond = np.count_nonzero((shown[:, 0] < low) | (shown[:, 0] > high))
    assert beyond >= 2
    assert drawn[0].get_suptitle().startswith("PCA; 1 not finite; ")
    assert axes.get_xlabel() == "first [41 %]"


def test_no_text_is_taken_for_a_formula_and_files_are_written(tmp_path: Path) -> None:
    values = np.column_stack([np.full(4, np.nan), [1e30, 0, 0, -1e30], np.full(4, 2.0)])
    label, names, classes = np.array([0, 0, 1, 1]), ["$", "$\\frac$", "c\x1b"], ["$", "b", "absent"]
    written = feature_distributions(values, label, np.ones(4), names, classes, "$", tmp_path / "f.png", ["$", "", ""])
    correlation_matrices(values, label, np.ones(4), names, classes, "$", tmp_path / "correlation.png")
    projection_figure(values[:, :2], label, classes, "$", tmp_path / "nothing.png", ("$", "$"))
    for path in [*written, *(tmp_path / f"{name}.png" for name in ("correlation", "nothing"))]:
        assert path.read_bytes().startswith(b"\x89PNG")
    assert feature_distributions(np.empty((0, 0)), [], [], [], classes, "no features", tmp_path / "g.png") == []


def test_no_events_and_equal_events_can_be_drawn(drawn: list[Figure]) -> None:
    correlation_matrices(np.empty((0, 1)), [], [], ["x"], ["a"], "no events", HERE)
    feature_distributions(np.empty((0, 1)), [], [], ["x"], ["a", "b"], "no events", HERE)
    projection_figure(np.ones((4, 2)), np.zeros(4), ["a"], "one place", HERE)
    assert len(drawn) == 3
    assert len(drawn[2].axes[0].collections[0].get_offsets()) == 4
