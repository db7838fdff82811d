"""The numbers that figures of a search show; how they look is judged by eye."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.collections import LineCollection
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from written_sweep import fit, write_sweep

from townsend.report import hyperparameter_figures, sweep_figures
from townsend.report.hyperparameter_figures import metric_against, parallel_coordinates
from townsend.report.scales import Scale, scales
from townsend.report.style import COLOURS
from townsend.report.sweep_figures import front, learning_curves, pareto_front, search_figures
from townsend.sweep.history import History, read_history
from townsend.sweep.importance import Importance
from townsend.tasks.base import Metric, Objective
from townsend.training.records import Outcome

RECORDS = [
    *(fit(trial, 0.8 + 0.001 * (trial * 7 % 40)) for trial in range(40)),
    *(fit(trial, 0.0, Outcome.PRUNED, epochs=3 if trial < 44 else 9, figures=(0.6,)) for trial in range(40, 46)),
    fit(46, 0.0, Outcome.DIVERGED, epochs=1),
]
NOTHING = Importance((), {}, Metric(0.0, 0.0), "auc", 0)
TOLD = Importance((), {"rate": Metric(0.6, 0.05), "units": Metric(0.1, 0.02)}, Metric(0.05, 0.01), "auc", 40)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    found: list[Figure] = []
    for module in (hyperparameter_figures, sweep_figures):
        monkeypatch.setattr(module, "save", lambda canvas, path: found.append(canvas))
    return found


@pytest.fixture
def history(tmp_path: Path) -> History:
    return read_history(write_sweep(tmp_path / "run", RECORDS))


def test_scales_are_as_the_space_says(history: History) -> None:
    found = {scale.name: scale for scale in scales(history.board, history.space)}
    assert list(found) == ["optimizer", "rate", "momentum", "dropout", "units", "norm", "same"]
    assert found["rate"].log
    assert not found["units"].log
    assert (found["rate"].low, found["rate"].high) == (1e-4, 1e-1)
    assert found["rate"].at(10**-2.5) == pytest.approx(0.5)
    assert [text for _, text in found["rate"].ticks()] == ["0.0001", "0.001", "0.01", "0.1"]
    assert found["optimizer"].values == ("sgd", "adam")
    assert found["dropout"].values == (0.0, 0.1)
    assert [found["momentum"].absent, found["dropout"].absent] == [True, False]
    assert found["momentum"].ticks()[-1][1] == "left out"
    assert found["momentum"].place(RECORDS[1]) == pytest.approx(0.94)
    assert max(found["momentum"].place(row) for row in RECORDS if "momentum" in row.hyperparameters) < 0.88


@given(st.lists(st.floats(0.01, 1e6), min_size=2, unique=True), st.booleans(), st.booleans())
def test_places_keep_the_order_of_numbers(numbers: list[float], log: bool, absent: bool) -> None:
    scale = Scale("x", (), min(numbers), max(numbers), log, absent)
    places = [scale.at(number) for number in sorted(numbers)]
    assert places == sorted(places)
    assert (places[0], places[-1]) == (0.0, pytest.approx(0.88 if absent else 1.0))
    assert all(scale.low <= float(text) * 1.00001 for _, text in scale.ticks() if text != "left out")


def test_each_configuration_is_a_line_and_those_without_a_figure_are_grey(
    drawn: list[Figure], history: History, tmp_path: Path
) -> None:
    parallel_coordinates(history.board, history.space, tmp_path / "x.png")
    axes = drawn[0].axes[0]
    grey, coloured, best = (each for each in axes.collections if isinstance(each, LineCollection))
    assert [len(each.get_segments()) for each in (grey, coloured, best)] == [7, 40, 1]
    assert best.get_colors().tolist() == [list(to_rgba(COLOURS["best"]))]
    figures = coloured.get_array()
    assert figures is not None
    assert np.all(np.diff(figures) >= 0)  # the better, the later drawn
    assert {len(line) for line in coloured.get_segments()} == {8}
    assert {len(line) for line in grey.get_segments()} == {7}  # no figure, no end
    assert [label.get_text() for label in axes.get_xticklabels()][-1] == "auc"
    ends = np.array([line[-1][1] for line in coloured.get_segments()])
    assert ends.min() == 0.0
    assert ends.max() == 1.0


def test_the_objective_over_each_hyperparameter_with_errors_and_medians(
    drawn: list[Figure], history: History, tmp_path: Path
) -> None:
    metric_against(history.board, history.space, tmp_path / "x.png")
    shown = [axes for axes in drawn[0].axes if axes.get_visible()]
    assert [axes.get_title(loc="left") for axes in shown] == [
        scale.name for scale in scales(history.board, history.space)
    ]
    optimizer = shown[0]
    assert [label.get_text() for label in optimizer.get_xticklabels()] == ["sgd", "adam"]
    points = [container.lines[0].get_xydata() for container in optimizer.containers]
    assert [len(each) for each in points] == [39, 1]
    assert points[1][0][1] == history.board.figure(history.board.ranked[0]).value
    medians = [line.get_ydata()[0] for line in optimizer.lines if len(line.get_xdata()) == 2]
    expected = [
        np.median([row.metrics["auc"].value for row in history.board.ranked if row.trial % 2 == part])
        for part in (0, 1)
    ]
    assert medians == pytest.approx(expected)
    sgd = points[0][points[0][:, 0] < 0.5]
    assert len(set(sgd[:, 0])) == len(sgd)  # no two on top of each other


def test_rungs_are_where_configurations_were_stopped(drawn: list[Figure], history: History, tmp_path: Path) -> None:
    learning_curves(history.board, history.curves, tmp_path / "x.png")
    axes = drawn[0].axes[0]
    rungs = [line.get_xdata()[0] for line in axes.lines if line.get_linestyle() == ":"]
    assert rungs == [3, 9]
    assert [text.get_text() for text in axes.texts] == ["4 stopped", "2 stopped"]
    labels = [line.get_label() for line in axes.lines if str(line.get_label()).startswith("trial")]
    best = history.board.ranked[0].trial
    assert len(labels) == 6
    assert str(labels[-1]).startswith(f"trial {best}:")  # drawn last, on top


def test_the_front_is_what_no_other_betters() -> None:
    points = [(1.0, 0.5), (2.0, 0.9), (3.0, 0.8), (4.0, 0.95), (1.0, 0.6)]
    assert front(points, (False, True)) == [4, 1, 3]
    assert front([(-x, y) for x, y in points], (True, True)) == [3, 1, 4]
    assert front([(x, -y) for x, y in points], (False, False)) == [4, 1, 3]
    assert front([], (False, True)) == []


POINTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=20)


@given(POINTS, st.tuples(st.booleans(), st.booleans()))
def test_every_point_is_on_the_front_or_bettered_or_equalled_by_it(
    points: list[tuple[int, int]], maximise: tuple[bool, bool]
) -> None:
    signs = [1 if up else -1 for up in maximise]

    def as_good(one: tuple[int, int], other: tuple[int, int]) -> bool:
        return all(sign * a >= sign * b for sign, a, b in zip(signs, one, other, strict=True))

    best = [points[index] for index in front(points, maximise)]
    assert all(any(as_good(one, point) for one in best) for point in points)
    assert not any(one != other and as_good(one, other) for one in best for other in best)


def test_two_objectives_have_a_front(drawn: list[Figure], tmp_path: Path) -> None:
    run = write_sweep(tmp_path / "run", RECORDS, objectives=["auc", "parameters"])
    history = read_history(run)
    assert history.board.objectives == (Objective("auc", True), Objective("parameters", False))
    pareto_front(history.board, history.board.objectives, tmp_path / "x.png")
    axes = drawn[0].axes[0]
    (stairs,) = [line for line in axes.lines if "steps" in str(line.get_drawstyle())]
    x, y = stairs.get_data()
    assert x[0] == 100
    assert y[-1] == history.board.figure(history.board.ranked[0]).value
    assert axes.get_xlabel() == "parameters (less is better)"


def test_figures_of_a_search_are_those_that_can_be_drawn(history: History, tmp_path: Path) -> None:
    names = ["parallel-coordinates", "metric-against", "importance", "learning-curves"]
    assert list(search_figures(history, TOLD)) == names
    assert "importance" not in search_figures(history, NOTHING)
    for name, draw in search_figures(history, TOLD).items():
        draw(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    one = replace(history, board=replace(history.board, rows=history.board.rows[:1]))
    assert search_figures(one, NOTHING) == {}


def test_a_sweep_without_a_usable_row_has_no_figures_of_a_search(tmp_path: Path) -> None:
    history = read_history(write_sweep(tmp_path / "run", RECORDS[40:]))
    assert search_figures(history, NOTHING) == {}
    parallel_coordinates(history.board, history.space, tmp_path / "x.png")  # all grey
    metric_against(history.board, history.space, tmp_path / "y.png")
