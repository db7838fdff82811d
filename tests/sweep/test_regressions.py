"""A sweep of a regression, from its settings to the figures of the network chosen: no threshold anywhere."""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from townsend.config import parse
from townsend.errors import InputError
from townsend.evaluate.regression import regression_figures
from townsend.files import read_sealed, write_json
from townsend.report.figures import draw_board, draw_model
from townsend.sweep.board import board, render, write_csv
from townsend.sweep.choose import choose, render_card
from townsend.sweep.coordinator import sweep
from townsend.sweep.records import read_curves, read_records, run_info
from townsend.sweep.settings import SweepSettings
from townsend.training.records import Outcome

# Keras 3.15 saves its variables through np.array(variable), for which NumPy 2 has announced a change.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation doesn't accept a copy:DeprecationWarning")

SPACE = {
    "filters": ["4 4"],
    "activations": ["relu relu"],
    "dropout": [0.0],
    "optimizer": ["adam"],
    "learning_rate": [0.01, 0.03],
    "batch_size": [50],
}


def settings(place: Path, **changes: Any) -> SweepSettings:
    given = {
        "task": "spikes",
        "sample": str(place / "sample"),
        "task_settings": {"reader": str(place / "reader")},
        "network": "cnn",
        "space": SPACE,
        "epochs": 20,
        "bracket_size": 1,
    }
    return parse(SweepSettings, {**given, **changes})


def printed(renderable: Any) -> str:
    stream = io.StringIO()
    Console(file=stream, width=160, color_system=None).print(renderable)
    return stream.getvalue()


@pytest.fixture(scope="module")
def line(toy_tasks: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder with `sample`, `reader`, the sweep `run` and the `model` chosen; not to be changed."""
    from engine_here import open_engine_here

    place = tmp_path_factory.mktemp("spikes")
    write_json(place / "sample" / "spikes.json", {"share": 0.4})
    write_json(place / "reader" / "reader.json", {"seen": 0.9})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("townsend.sweep.coordinator.open_engine", open_engine_here)
        run = sweep(settings(place), place / "run")
    choose(run, place / "model")
    return place


def test_records_have_no_threshold_and_curves_no_accuracy(line: Path) -> None:
    records = read_records(line / "run")
    assert [record.outcome for record in records] == [Outcome.FINISHED, Outcome.FINISHED]
    assert [record.threshold for record in records] == [None, None]
    assert set(read_curves(line / "run", 0)) == {"loss", "monitor_loss", "learning_rate"}


def test_board_ranks_from_the_smallest_error_and_has_no_column_of_thresholds(line: Path, tmp_path: Path) -> None:
    table = board(line / "run")
    errors = [row.metrics["mse"].value for row in table.rows]
    assert errors == sorted(errors)
    text = printed(render(table))
    assert "threshold" not in text
    assert "mae" in text
    write_csv(table, tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(newline="") as stream:
        assert [row["threshold"] for row in csv.DictReader(stream)] == ["", ""]


def test_card_of_a_regression_has_no_threshold_and_judges_overtraining_by_the_error(line: Path) -> None:
    card = read_sealed(line / "model" / "card.json")
    assert card["threshold"] is None
    assert card["objective"] == {"metric": "mse", "maximise": False}
    found = [verdict["sentence"] for verdict in card["verdicts"]]
    for start in ("the rebuilt network repeats mse", "not overtrained: mean squared error", "test agrees"):
        assert any(sentence.startswith(start) for sentence in found), (start, found)
    assert not any("AUC" in sentence for sentence in found)
    text = printed(render_card(line / "model"))
    assert "not overtrained" in text
    assert "threshold" not in text


def test_figures_on_the_card_are_those_of_the_kept_scores(line: Path) -> None:
    card = read_sealed(line / "model" / "card.json")
    with np.load(line / "model" / "test.npz", allow_pickle=False) as test:
        again = regression_figures(test["scores"], test["y"], test["group"])
        spread = float(np.var(test["y"]))
    assert card["test"]["metrics"] == {name: list(metric) for name, metric in again.items()}
    # A network that says one number leaves all of the spread; these few epochs leave about a half.
    assert again["mse"].value < 0.8 * spread


def test_readme_tells_how_to_get_the_number_and_cuts_nothing(line: Path) -> None:
    text = (line / "model" / "README.md").read_text()
    recipe = text.split("```python\n")[1].split("```")[0]
    assert recipe.splitlines()[-1] == "print(model.predict(x)[:, 0])"
    assert "np.zeros((1, 16, 1)" in recipe
    for word in (">=", "threshold", "probability"):
        assert word not in text
    assert "mean squared error" in text


def test_figures_of_sweep_and_network_are_those_of_numbers(line: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(line / "model", tmp_path / "model"))
    pictures = sorted(path.name for path in draw_model(model).iterdir())
    assert pictures == ["predicted-against-true.png", "residuals.png", "training-curves.png"]
    drawn = {path.name for path in draw_board(line / "run", tmp_path / "figures").iterdir()}
    assert {"configurations-mse.png", "configurations-mae.png", "training-curves.png"} <= drawn
    assert not {"roc.png", "confusion.png"} & drawn


def test_edited_card_is_not_shown(line: Path, tmp_path: Path) -> None:
    model = Path(shutil.copytree(line / "model", tmp_path / "model"))
    card = json.loads((model / "card.json").read_text())
    write_json(model / "card.json", {**card, "threshold": 0.5})
    with pytest.raises(InputError, match="it was edited"):
        render_card(model)


# ---- what the task reads beside the sample


@pytest.fixture
def place(line: Path, tmp_path: Path) -> Path:
    """A copy of all, which a test may change and move."""
    return Path(shutil.copytree(line, tmp_path / "place"))


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a sweep fail that would train."""

    def train(*given: object) -> None:
        msg = "a finished sweep is trained again"
        raise AssertionError(msg)

    monkeypatch.setattr("townsend.engines.local.LocalEngine.submit", train)


@pytest.mark.usefixtures("no_training")
def test_what_stands_beside_the_sample_may_move(place: Path) -> None:
    (place / "reader").rename(place / "moved")
    before = {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()}
    assert sweep(settings(place, task_settings={"reader": str(place / "moved")}), place / "run") == place / "run"
    assert {path: path.read_bytes() for path in (place / "run").rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("no_training")
@pytest.mark.parametrize(
    ("change", "rule"),
    [
        (lambda place: write_json(place / "reader" / "reader.json", {"seen": 0.8}), "what its task reads beside it"),
        (lambda place: write_json(place / "sample" / "spikes.json", {"share": 0.3}), "on the sample it was made with"),
    ],
    ids=["reader", "sample"],
)
def test_other_contents_at_the_same_place_are_refused(change: Callable[[Path], None], rule: str, place: Path) -> None:
    change(place)
    with pytest.raises(InputError, match=rf"{rule}.*has other contents\); restore it or choose a new folder"):
        sweep(settings(place), place / "run")


@pytest.mark.usefixtures("no_training")
def test_a_setting_that_is_no_place_is_compared(place: Path) -> None:
    given = {"reader": str(place / "reader"), "examples": 160}
    with pytest.raises(InputError, match=r"task_settings\.examples: was 150, now 160"):
        sweep(settings(place, task_settings=given), place / "run")


@pytest.mark.usefixtures("engine_here")
def test_fingerprint_of_a_sweep_knows_no_places(line: Path, place: Path) -> None:
    shutil.rmtree(place / "run")
    one = {name: values[:1] for name, values in SPACE.items()}
    first, second = (
        run_info(sweep(settings(where, space=one, epochs=1), place / run))
        for where, run in ((line, "first"), (place, "second"))
    )
    assert first.settings["task_settings"]["reader"] != second.settings["task_settings"]["reader"]
    assert (first.fingerprint, first.sample) == (second.fingerprint, second.sample)
