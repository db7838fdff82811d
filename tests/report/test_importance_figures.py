"""What figures of the importance of features hold; how they look is judged by eye."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure

from townsend.report import importance_figures
from townsend.report.importance_figures import grouped_importance, importance_bars
from townsend.tasks.base import Metric

HERE = Path("x.png")
UNKNOWN = Metric(float("nan"), float("nan"))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """Pictures, instead of files."""
    found: list[Figure] = []
    monkeypatch.setattr(importance_figures, "save", lambda canvas, path: found.append(canvas))
    return found


def names(picture: Figure) -> list[str]:
    return [label.get_text() for label in picture.axes[0].get_yticklabels()]


def test_features_are_sorted_with_errors_and_the_unknown_last(drawn: list[Figure]) -> None:
    given = {"low": Metric(-0.01, 0.02), "$x$": UNKNOWN, "high": Metric(0.2, 0.03), "no error": Metric(0.1, np.nan)}
    importance_bars(given, "run", HERE)
    (axes,) = drawn[0].axes
    assert names(drawn[0]) == ["high", "no error", "low", r"\$x\$"]
    assert [patch.get_width() for patch in axes.patches] == [0.2, 0.1, -0.01]
    bars = [c.lines[2][0].get_segments()[0][:, 0].tolist() for c in axes.containers if hasattr(c, "lines")]
    assert bars == [pytest.approx([0.17, 0.23]), pytest.approx([-0.03, 0.01])]
    assert [text.get_text().strip() for text in axes.texts] == ["not known"]
    assert any(set(line.get_xdata()) == {0} for line in axes.lines)
    bottom, top = axes.get_ylim()
    assert bottom > top  # the largest on top


def test_at_most_forty_bars_and_the_others_are_counted(drawn: list[Figure]) -> None:
    importance_bars({f"f{number}": Metric(0.01 * number, 0.0) for number in range(50)}, "run", HERE)
    assert names(drawn[0]) == [f"f{number}" for number in range(49, 9, -1)]
    assert drawn[0].get_suptitle() == "run; the first 40 of 50"
    members = {f"m{number}": Metric(0.01, 0.0) for number in range(25)}
    grouped_importance({"one": (Metric(0.3, 0.0), members), "two": (Metric(0.2, 0.0), members)}, "run", HERE)
    assert len(names(drawn[1])) == 26
    assert drawn[1].get_suptitle() == "run; groups shown: 1 of 2"


def test_members_stand_below_their_group_and_are_thinner(drawn: list[Figure]) -> None:
    groups = {
        "angles": (Metric(0.05, 0.01), {}),
        "momenta": (Metric(0.2, 0.01), {"px": Metric(0.01, 0.01), "py": Metric(0.03, 0.01)}),
    }
    grouped_importance(groups, "run", HERE)
    assert [name.split()[0] for name in names(drawn[0])] == ["momenta", "py", "px", "angles"]
    bars = drawn[0].axes[0].patches
    assert [bar.get_width() for bar in bars] == [0.2, 0.03, 0.01, 0.05]
    assert [bar.get_height() for bar in bars] == pytest.approx([0.7, 0.4, 0.4, 0.7])


def test_no_text_is_taken_for_a_formula_and_files_are_written(tmp_path: Path) -> None:
    importance_bars({"$\\frac$": UNKNOWN, "_a\x1b" * 30: Metric(0.1, 0.1)}, "$", tmp_path / "bars.png", "$")
    grouped_importance({"$": (UNKNOWN, {"$": UNKNOWN})}, "$", tmp_path / "groups.png")
    importance_bars({}, "nothing", tmp_path / "nothing.png")
    for name in ("bars", "groups", "nothing"):
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")
