"""Tables that cannot be used, through the command line: one clear sentence, status 2, and no traceback."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import uproot

from townsend.files import write_text

EVENTS = 300


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with `events.root`: tree `events` with jagged lists, tree `short` with fewer entries, and CSV files."""
    random = np.random.default_rng(3)
    label = (np.arange(EVENTS) % 2).astype(np.int32)
    with uproot.recreate(tmp_path / "events.root") as file:
        file["events"] = {
            "label": label,
            "x": random.normal(size=EVENTS) + label,
            "y": random.normal(size=EVENTS),
            "w": random.normal(size=EVENTS) + 1.0,
            "nan": np.full(EVENTS, np.nan),
            "one": np.ones(EVENTS),
        }
        file["short"] = {"z": np.zeros(EVENTS - 1)}
    (tmp_path / "cut.root").write_bytes((tmp_path / "events.root").read_bytes()[:700])
    write_text(tmp_path / "headless.csv", "".join(f"{i},{i % 2}\n" for i in range(EVENTS)))
    write_text(tmp_path / "torn.csv", "x,label\n1,0\n2\n")
    write_text(tmp_path / "words.csv", "x,label\n1,0\nmany,1\n")
    return tmp_path


def write_table(folder: Path, **changes: str | None) -> Path:
    lines: dict[str, str | None] = {
        "files": "events.root",
        "tree": "events",
        "features": "[x, y]",
        "classes": "{background: label == 0, signal: label == 1}",
        **changes,
    }
    path = folder / "table.yaml"
    write_text(path, "".join(f"{key}: {value}\n" for key, value in lines.items() if value is not None))
    return path


CASES: dict[str, tuple[dict[str, str | None], str]] = {
    "no such file": ({"files": "event.root"}, "files must exist (got none for"),
    "damaged file": ({"files": "cut.root"}, "cut.root must"),
    "several trees": ({"tree": None}, "short"),
    "another tree": ({"tree": "event"}, 'did you mean "events"?'),
    "unknown column": ({"features": "[x, yy]"}, 'column "yy"; did you mean "y"?'),
    "unknown function": ({"features": "{a: sqr(x)}"}, 'did you mean "sqrt"?'),
    "a call of Python": ({"cuts": "[\"__import__('os').system('true') > 0\"]"}, "__import__"),
    "an attribute": ({"cuts": '["x.__class__ > 0"]'}, "x.__class__"),
    "no condition": ({"cuts": "[x + 1]"}, "x + 1"),
    "class missing": ({"classes": "{a: label == 0, b: label == 5}"}, 'class "b" must have events'),
    "one class only": ({"classes": "{a: label == 0}"}, "must hold at least 2"),
    "constant": ({"features": "[x, one]"}, 'feature "one" must differ between events'),
    "no number": ({"features": "[x, nan]"}, 'feature "nan" must be a number (it is none in all 300 events)'),
    "the label": ({"features": "[x, label]"}, 'feature "label" must not be the label itself'),
    "no weights": ({"weight": "0 * w"}, 'weights of class "background" must'),
    "weights of no number": ({"weight": "nan"}, "weight must be a finite number"),
    "friend of another length": ({"friends": "[{files: events.root, tree: short}]", "features": "[x, z]"}, "299"),
    "CSV without header": (
        {"files": "headless.csv", "tree": None, "classes": "{a: b == 0, b: b == 1}"},
        "must begin with a header line",
    ),
    "CSV of uneven lines": ({"files": "torn.csv", "tree": None, "features": "[x]"}, "torn.csv"),
    "CSV with words": ({"files": "words.csv", "tree": None, "features": "[x]"}, "words.csv"),
    "too few events": ({"cuts": "[y > 2.2]"}, "events"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_tables_end_in_one_sentence(case: str, folder: Path, townsend: Callable) -> None:
    changes, said = CASES[case]
    ended = townsend("train", write_table(folder, **changes), "-o", folder / "run", "--jobs", 1)
    assert ended.status == 2
    assert said in ended.err
    assert ended.err.startswith("townsend: ")
    assert ended.err.count("\n") == 1
    assert "Traceback" not in ended.err


def test_a_table_that_was_mended_is_trained_by_the_same_command(
    folder: Path, townsend: Callable, engine_here: None
) -> None:
    analysis = folder / "analysis.yaml"
    write_text(analysis, "table: table.yaml\nmodels: {a: {network: cuts, space: {selection: [x > t], t: [0.5]}}}\n")
    write_table(folder, cuts="[y > 100]")
    assert townsend("train", analysis, "-o", folder / "run").status == 2
    write_table(folder, cuts="[y > -100]")
    assert townsend("train", analysis, "-o", folder / "run").status == 0
    write_table(folder, cuts="[y > -99]")
    ended = townsend("train", analysis, "-o", folder / "run")
    assert "must be continued with what it was begun with (another table now)" in ended.err


def test_scores_of_another_table_and_models_of_another_task_are_refused(folder: Path, townsend: Callable) -> None:
    for command in (("apply", folder, "events.root", "-o", folder / "s"), ("evaluate", folder, "-o", folder / "e")):
        ended = townsend(*command)
        assert ended.status == 2
        assert "card.json" in ended.err
        assert "Traceback" not in ended.err


def test_a_weight_setting_that_no_model_can_take_is_told_before_training(folder: Path, townsend: Callable) -> None:
    analysis = folder / "analysis.yaml"
    write_table(folder, weight="w")
    write_text(analysis, "table: table.yaml\nmodels: {a: {network: random_forrest, space: {n_estimators: [3]}}}\n")
    ended = townsend("train", analysis, "-o", folder / "run", "--jobs", 1)
    assert ended.status == 2
    assert 'did you mean "random_forest"?' in ended.err
