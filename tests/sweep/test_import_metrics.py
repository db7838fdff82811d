from __future__ import annotations

import os
from pathlib import Path

import pytest

from townsend.errors import InputError
from townsend.sweep.board import Board
from townsend.sweep.import_metrics import import_metrics
from townsend.training.records import Outcome

# The rows of the slides' table (Anwar, Bari-Lecce meeting, 5 July 2024), in three ways to write them.
SLIDES = {
    128: "F1 Score: 0.6681235829212993\nEfficiency*Purity: 0.5016408236934942\nAUC Score: 0.39\nRecall: 1.0\n"
    "Precision: 0.5016408236934942\n",
    529: "F1 Score = 0.9373194296306269\nEfficiency*Purity = 0.8787180207026415\nAUC Score = 0.98\n"
    "Recall = 0.9252187423337968\nPrecision = 0.9497408347847984\n",
    99: "f1_score 0.9412132192165926\nefficiency purity\t0.8861901537795372\nauc-score 0.98\n"
    "RECALL 0.9239921498078338\nprecision 0.959088401307134\n",
    606: "F1 Score: 0.6681235829212993\nEfficiency*Purity: 0.5016408236934942\nAUC Score: 0.53\nRecall: 1.0\n"
    "Precision: 0.5016408236934942\n",
}


def folders(parent: Path, files: dict[int, str]) -> Path:
    for number, text in files.items():
        (parent / f"Model{number}").mkdir()
        (parent / f"Model{number}" / "model_metrics.txt").write_text(text, encoding="utf-8")
    return parent


def imported(parent: Path, text: str) -> Board:
    return import_metrics(folders(parent, {1: text}))


def test_the_table_of_the_slides(tmp_path: Path) -> None:
    table = import_metrics(folders(tmp_path, SLIDES))
    assert [row.trial for row in table.rows] == [99, 529, 128, 606]
    assert [row.outcome for row in table.rows] == [Outcome.FINISHED] * 2 + [Outcome.DEGENERATE] * 2
    best = table.rows[0].metrics
    assert {name: metric.value for name, metric in best.items()} == {
        "f1": 0.9412132192165926,
        "efficiency_x_purity": 0.8861901537795372,
        "auc": 0.98,
        "recall": 0.9239921498078338,
        "precision": 0.959088401307134,
    }
    words = " ".join(verdict.sentence for verdict in table.verdicts)
    assert "degenerate: trials 128, 606" in words
    assert "set they were measured on is not stated" in words
    assert "has no error" in words


@pytest.mark.parametrize(
    "line",
    ["AUC Score: 0.97", "auc=0.97", "AUC\t0.97", "ROC AUC : 9.7e-1", "\ufeffauc_score 0.97", "  AUC, 0.97,", "AUC .97"],
)
def test_ways_to_write_a_metric(tmp_path: Path, line: str) -> None:
    assert imported(tmp_path, line).rows[0].metrics["auc"].value == 0.97


@pytest.mark.parametrize("sign", ["±", "+-", "+/-"])
def test_an_error_is_taken_where_written(tmp_path: Path, sign: str) -> None:
    assert imported(tmp_path, f"AUC: 0.97 {sign} 0.01").rows[0].metrics["auc"] == (0.97, 0.01)


def test_other_keys_are_hyperparameters(tmp_path: Path) -> None:
    text = "AUC: 0.9\n=====\n\noptimizer: adam\nbatch_size = 150\nlearning rate: 1e-3\nlayers: 96 128 1\n"
    assert dict(imported(tmp_path, text).rows[0].hyperparameters) == {
        "optimizer": "adam",
        "batch_size": 150,
        "learning rate": 0.001,
        "layers": "96 128 1",
    }


def test_lines_not_understood_are_reported_with_their_place(tmp_path: Path) -> None:
    text = "AUC: 0.9\nhello\nRecall: n/a\nPrecision: 1.5\nAUC: 0.8\n"
    table = imported(tmp_path, text)
    sentence = table.verdicts[1].sentence
    assert sentence == (
        "4 lines were not used: Model1/model_metrics.txt line 2: 'hello'; Model1/model_metrics.txt line 3: "
        "'Recall: n/a'; Model1/model_metrics.txt line 4: precision must lie in [0, 1] (got 1.5); and 1 more"
    )
    assert table.rows[0].metrics["auc"].value == 0.9
    assert "precision" not in table.rows[0].metrics


def test_control_characters_of_a_file_stay_data(tmp_path: Path) -> None:
    table = imported(tmp_path, "AUC: 0.9\nname: \x1b[31mred\n\x1b[2J\n")
    assert table.rows[0].hyperparameters["name"] == "\\x1b[31mred"
    assert "\x1b" not in table.verdicts[1].sentence


def test_a_good_network_that_finds_everything_is_not_degenerate(tmp_path: Path) -> None:
    files = {**SLIDES, 7: "AUC: 1.0\nRecall: 1.0\nPrecision: 0.93\n", 8: "AUC: 1\nRecall: 1\nPrecision: 1\n"}
    table = import_metrics(folders(tmp_path, files))
    assert [row.trial for row in table.ranked] == [7, 8, 99, 529]


def test_calling_everything_background_is_degenerate(tmp_path: Path) -> None:
    table = imported(tmp_path, "AUC: 0.5\nRecall: 0\nPrecision: 0\n")
    assert table.rows[0].outcome is Outcome.DEGENERATE


def test_a_model_without_auc_fails_alone(tmp_path: Path) -> None:
    table = import_metrics(folders(tmp_path, {1: "AUC: 0.9", 2: "Recall: 0.5"}))
    assert [(row.trial, row.outcome) for row in table.rows] == [(1, Outcome.FINISHED), (2, Outcome.FAILED)]
    assert table.rows[1].detail == "its file states no AUC"


def test_foreign_folders_and_links_in_circles_are_passed_by(tmp_path: Path) -> None:
    folders(tmp_path, {3: "AUC: 0.9"})
    (tmp_path / "Model4").symlink_to(tmp_path)
    (tmp_path / "Model5").symlink_to("Model5")
    (tmp_path / "Model6").mkdir()
    os.mkfifo(tmp_path / "Model6" / "model_metrics.txt")
    (tmp_path / "Modelle7").mkdir()
    assert [row.trial for row in import_metrics(tmp_path).rows] == [3]


def test_two_folders_of_one_number_are_refused(tmp_path: Path) -> None:
    folders(tmp_path, {1: "AUC: 0.9"})
    (tmp_path / "Model01").mkdir()
    (tmp_path / "Model01" / "model_metrics.txt").write_text("AUC: 0.8")
    with pytest.raises(InputError, match="got Model01 and Model1"):
        import_metrics(tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"Recall: 0.5", "must state the AUC .got none in 1 files"),
        (b"", "must state the AUC"),
        (b"a" * 70_000, "at most 65536 bytes .got 70000"),
        (b"AUC: 0.9 \xff", "UTF-8 text .byte 9"),
    ],
)
def test_unusable_files_are_refused(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "Model1").mkdir()
    (tmp_path / "Model1" / "model_metrics.txt").write_bytes(content)
    with pytest.raises(InputError, match=words):
        import_metrics(tmp_path)


def test_a_folder_without_models_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must hold folders Model1, Model2"):
        import_metrics(tmp_path)
    with pytest.raises(InputError, match="must be a folder"):
        import_metrics(tmp_path / "nowhere")


def test_hostile_lines_are_read_in_linear_time(tmp_path: Path) -> None:
    text = "AUC: 0.9\n" + "a " * 10_000 + "\n" + ":" * 10_000 + "\n" + "x = " * 5_000 + "\n" + "1" * 10_000
    assert imported(tmp_path, text).rows[0].metrics["auc"].value == 0.9
