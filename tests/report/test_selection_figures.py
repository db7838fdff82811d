"""What figures of selections hold; how they look is judged by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from townsend.report import selection_figures
from townsend.report.histograms import Bins, shape_ratio, unit_area
from townsend.report.selection_figures import mass_figure, shape_figure, yields_after_cuts

HERE = Path("x.png")
EDGES = np.array([0.0, 1.0, 2.0, 4.0])
BACKGROUND = Bins(np.array([100.0, 50.0, 20.0]), np.sqrt([100.0, 50.0, 20.0]))
SIGNAL = Bins(np.array([5.0, 40.0, 2.0]), np.sqrt([5.0, 40.0, 2.0]))
NASTY = "_a $name$ of\x07 forty letters, and more of them"


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(selection_figures, "save", lambda canvas, path: found.append(canvas))
    return found


def legend(picture: Figure) -> list[str]:
    return [text.get_text() for text in picture.legends[0].get_texts()]


def test_a_cut_flow_has_every_yield_with_its_error_and_negative_ones_in_words(drawn: list[Figure]) -> None:
    yields = {
        "background": Bins(np.array([1000.0, 30.0, -2.5]), np.array([30.0, 6.0, 4.0])),
        NASTY: Bins(np.array([20.0, 15.0, 12.0]), np.array([1.0, 0.9, 0.8])),
    }
    yields_after_cuts(["pt > 20", "a $cut$ of sixty letters that has to be written in two lines"], yields, "run", HERE)
    (axes,) = drawn[0].axes
    assert axes.get_xscale() == "log"
    points = [container.lines[0].get_xdata().tolist() for container in axes.containers]
    assert points == [[1000, 30], [20, 15, 12]]
    bars = axes.containers[0].lines[2][0].get_segments()
    assert [bar[:, 0].tolist() for bar in bars] == [[970, 1030], [24, 36]]
    assert [text.get_text().strip() for text in axes.texts] == ["-2.5"]
    assert axes.patches[1].get_data()[0].tolist() == [20, 15, 12]
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert labels[:2] == ["all", "pt > 20"]
    assert labels[2].startswith(r"a \$cut\$ of")
    assert axes.get_ylim() == (2.5, -0.5)  # from the top
    assert legend(drawn[0])[0] == "background"


def test_masses_are_stacked_with_the_error_of_the_sum(drawn: list[Figure]) -> None:
    kept = Bins(SIGNAL.content * 0.8, SIGNAL.error * 0.9)
    stages = {"before": {"pion": BACKGROUND, "electron": SIGNAL}, NASTY: {"electron": kept}}
    mass_figure(EDGES, stages, "m [GeV]", "run", HERE, window=(1.0, 4.0))
    before, after = drawn[0].axes
    lower, upper, error = (patch.get_data() for patch in before.patches)
    assert lower.values.tolist() == BACKGROUND.content.tolist()
    assert upper.baseline.tolist() == lower.values.tolist()
    assert upper.values.tolist() == (BACKGROUND.content + SIGNAL.content).tolist()
    assert error.values - upper.values == pytest.approx(np.sqrt([105, 90, 22]))
    assert after.patches[0].get_data().values.tolist() == kept.content.tolist()
    assert after.patches[0].get_facecolor() == before.patches[1].get_facecolor()
    title = before.get_title(loc="left")
    assert title == "before\nin the window: pion 70.0 ± 8.4, electron 42.0 ± 6.5"
    assert after.get_title(loc="left").startswith(r"_a \$name\$ of\x07")
    assert legend(drawn[0]) == ["pion", "electron", "error of the sum"]
    assert [line.get_xdata()[0] for line in before.lines] == [1, 4]


def test_yields_of_many_classes_break_between_classes_only(drawn: list[Figure]) -> None:
    classes = {f"class {number} with a name of thirty": SIGNAL for number in range(4)}
    mass_figure(EDGES, {"before": classes}, "m", "run", HERE)
    lines = drawn[0].axes[0].get_title(loc="left").split("\n")[1:]
    assert len(lines) == 4
    assert all(line.startswith("class") and "47.0 ± 6.9" in line for line in lines)


def test_shapes_have_area_one_and_a_ratio_to_the_shape_before(drawn: list[Figure]) -> None:
    half = Bins(BACKGROUND.content / 2, BACKGROUND.error / np.sqrt(2))
    one_sided = Bins(np.array([90.0, 25.0, 1.0]), np.sqrt([90.0, 25.0, 1.0]))
    shape_figure(EDGES, BACKGROUND, {"half": half, NASTY: one_sided}, "m [GeV]", "run", HERE)
    axes, ratios = drawn[0].axes
    assert axes.patches[0].get_data().values @ np.diff(EDGES) == pytest.approx(1)
    for container, selected in zip(axes.containers, (half, one_sided), strict=True):
        assert container.lines[0].get_ydata() == pytest.approx(unit_area(selected, EDGES).content)
    found = [container.lines[0].get_ydata() for container in ratios.containers if len(container.lines[0].get_xdata())]
    assert found[0] == pytest.approx([1, 1, 1])
    assert found[1] == pytest.approx(shape_ratio(one_sided, BACKGROUND).content)
    assert legend(drawn[0])[:2] == ["before selection", "half"]
    low, high = ratios.get_ylim()
    assert low < min(found[1])
    assert high > max(found[1])


def test_ratios_of_few_events_are_hollow_and_do_not_set_the_scale(drawn: list[Figure]) -> None:
    every = Bins(np.array([10000.0, 10000.0, 3.0]), np.sqrt([10000.0, 10000.0, 3.0]))
    selected = Bins(np.array([5000.0, 5000.0, 0.0]), np.sqrt([5000.0, 5000.0, 0.0]))
    shape_figure(EDGES, every, {"cuts": selected}, "m", "run", HERE)
    ratios = drawn[0].axes[1]
    filled, hollow = (container.lines[0] for container in ratios.containers)
    assert len(filled.get_xdata()) == 2
    assert hollow.get_ydata().tolist() == [0]
    assert hollow.get_markerfacecolor() == "white"
    assert ratios.get_ylim()[0] > 0.9
    assert legend(drawn[0])[-1] == "fewer than 10 events before, 1 beyond the axis"


def test_no_text_is_taken_for_a_formula_and_files_are_written(tmp_path: Path) -> None:
    nothing = Bins(np.zeros(3), np.zeros(3))
    gaps = Bins(np.array([np.nan, 1.0, 2.0]), np.array([np.nan, 1.0, 1.0]))
    yields_after_cuts(["$", "\x1b"], {"$\\frac$": nothing, "$": gaps}, "$", tmp_path / "cuts.png")
    yields_after_cuts([], {}, "no classes", tmp_path / "none.png")
    mass_figure(EDGES, {"$": {"$": nothing}, "b": {"c": gaps}, "c": {}}, "$", "$", tmp_path / "mass.png")
    shape_figure(EDGES, nothing, {"$": nothing}, "$", "$", tmp_path / "shape.png")
    shape_figure(EDGES, gaps, {"$": gaps}, "$", "$", tmp_path / "gaps.png")
    for name in ("cuts", "none", "mass", "shape", "gaps"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
