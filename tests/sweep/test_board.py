from __future__ import annotations

import csv
import io
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from townsend.errors import InputError, printable
from townsend.files import write_json
from townsend.sweep.board import Board, board, by_rank, comparable, render, write_csv
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import Metric, Objective
from townsend.training.record_file import BracketRecord, write_bracket_record
from townsend.training.records import FitRecord, Outcome

AUC = Objective("auc", maximise=True)


GOLDEN = """\
run: figures on validation; 0.971(12) is 0.971 ± 0.012

                                                                                            wall
 trial  optimizer  dropout         auc          f1  ceiling  threshold  parameters  epochs     s   MB  outcome
 ───────────────────────────────────────────────────────────────────────────────────────────────────────────────────
     1  adam       0.1      0.9712(11)  0.8712(20)   0.8800      0.530       50177  61/100  12.3  812  stopped early
     3  adam       0        0.9705(11)  0.8705(20)   0.8800      0.530       50177  63/100  12.3  812  finished
     0  sgd        0        0.9400(11)  0.8400(20)   0.8800      0.530       50177  60/100  12.3  812  finished
     2  sgd        0.2      0.9999(11)  0.8999(20)   0.8800      0.530       50177  62/100  12.3  812  degenerate

1 more rows in the CSV
the same in all rows: topology 8 16 1
further columns in the CSV: cpu_s"""


def row(trial: int, auc: float, outcome: Outcome = Outcome.FINISHED, **given_: object) -> FitRecord:
    values: dict[str, object] = {
        "hyperparameters": {
            "optimizer": "adam" if trial % 2 else "sgd",
            "dropout": 0.1 * (trial % 3),
            "topology": "8 16 1",
        },
        "parameters": 50177,
        "epochs": 100,
        "best_epoch": 60 + trial,
        "metrics": {"auc": Metric(auc, 0.0011), "f1": Metric(auc - 0.1, 0.002), "ceiling": Metric(0.88, 0.0)},
        "threshold": 0.53,
        "wall_s": 12.34,
        "cpu_s": 11.0,
        "compile_s": 2.0,
        "peak_memory_mb": 812.4,
        "host": "node7",
    }
    return FitRecord(**{"trial": trial, "seed": 100 + trial, "outcome": outcome, **values, **given_})  # type: ignore[arg-type]


ROWS = (
    row(0, 0.9400),
    row(1, 0.9712, Outcome.STOPPED_EARLY),
    row(2, 0.9999, Outcome.DEGENERATE, detail="all called signal"),
    row(3, 0.9705),
    row(4, 0.9, Outcome.DIVERGED, metrics={}, detail="loss is NaN", threshold=0.5),
)


def small(rows: tuple[FitRecord, ...] = ROWS, planned: int = 5, objective: Objective = AUC) -> Board:
    return by_rank(Board(rows, objective, planned, "run"))


def sentences(table: Board) -> list[str]:
    return [("ok " if verdict.ok else "no ") + verdict.sentence for verdict in table.verdicts]


def printed(table: Board, width: int = 120, **options: object) -> str:
    stream = io.StringIO()
    Console(file=stream, width=width, color_system=None).print(render(table, **options))  # type: ignore[arg-type]
    return "\n".join(line.rstrip() for line in stream.getvalue().splitlines())


def test_best_comes_first_and_unusable_last() -> None:
    assert [r.trial for r in small().rows] == [1, 3, 0, 2, 4]
    assert small().best is ROWS[1]


def test_an_error_is_ranked_from_low_to_high() -> None:
    assert [r.trial for r in small(objective=Objective("auc", maximise=False)).rows] == [0, 3, 1, 2, 4]


def test_equal_figures_are_ranked_by_trial_whatever_the_order_read() -> None:
    rows = (row(7, 0.9), row(2, 0.9), row(5, 0.9))
    assert [r.trial for r in small(rows, 3).rows] == [2, 5, 7]


def test_a_row_without_the_objective_is_never_the_best() -> None:
    rows = (row(0, math.nan), row(1, 0.9), row(2, 0.0, metrics={}))
    assert [r.trial for r in small(rows, 3).rows] == [1, 0, 2]


def test_other_orders_keep_unusable_rows_last() -> None:
    table = small()
    assert [r.trial for r in table.sorted_by("trial").rows] == [0, 1, 3, 2, 4]
    assert [r.trial for r in table.sorted_by("f1").rows] == [1, 3, 0, 2, 4]
    assert [r.trial for r in table.sorted_by("dropout").rows] == [0, 3, 1, 4, 2]
    assert [r.trial for r in table.sorted_by("best_epoch", descending=True).rows] == [3, 1, 0, 4, 2]
    assert [r.trial for r in small(objective=Objective("f1", maximise=False)).sorted_by("f1").rows][:3] == [0, 3, 1]


def test_sorting_takes_mixed_and_missing_hyperparameters() -> None:
    rows = tuple(
        row(i, 0.9, hyperparameters=h) for i, h in enumerate([{"a": "x"}, {"a": 2}, {}, {"a": 1.5}, {"a": None}])
    )
    assert [r.trial for r in small(rows).sorted_by("a").rows] == [3, 1, 0, 2, 4]
    assert small(rows).values_of("a") == (None, 1.5, 2, "x")


def test_unknown_column_names_the_nearest() -> None:
    with pytest.raises(InputError, match=r'got "optimiser".*did you mean "optimizer"'):
        small().sorted_by("optimiser")


def test_best_row_of_each_value() -> None:
    found = dict(small().best_by("optimizer"))
    assert {value: r.trial if r else None for value, r in found.items()} == {"adam": 1, "sgd": 0}
    only_degenerate = small((row(0, 0.9), row(1, 0.5, Outcome.DEGENERATE)), 2)
    assert dict(only_degenerate.best_by("optimizer"))["adam"] is None


def test_verdicts_of_a_finished_sweep() -> None:
    biased = (
        "no selection-biased: trial 1 was taken as the best of 3 on validation, so its figures there flatter "
        "(auc, f1): were all 3 equally good, chance alone would make the best of them 0.0010 too good in auc, so "
        "expect 0.9702 to 0.9712; `townsend choose` reads the test set once for figures without this bias"
    )
    dropouts = "0 0.9705 ± 0.0011 (trial 3); 0.1 0.9712 ± 0.0011 (trial 1); 0.2 none may be chosen"
    assert sentences(small()) == [
        "ok 5 of 5 configurations: 2 finished, 1 stopped early, 1 degenerate, 1 diverged",
        "no degenerate: trial 2 (the network predicts one class, or one number, only; its figures mean nothing)",
        "no diverged: trial 4 (the loss became NaN or infinite; lower the learning rate)",
        "ok trial 1 leads: auc 0.9712 ± 0.0011 on validation (optimizer adam, dropout 0.1, topology 8 16 1)",
        "no 1 of 2 others lies within one standard deviation of trial 1: trial 3; this sample does not tell them apart",
        biased,
        "ok best auc for each optimizer: adam 0.9712 ± 0.0011 (trial 1); sgd 0.9400 ± 0.0011 (trial 0)",
        f"ok best auc for each dropout: {dropouts}",
    ]


def test_a_running_sweep_says_so() -> None:
    first = sentences(small(planned=144))[0]
    assert first.startswith("no 5 of 144 configurations")
    assert "order may still change" in first


def test_verdicts_without_a_choice() -> None:
    assert sentences(small((), 144)) == ["no no configuration of 144 has ended yet; read the board again later"]
    assert sentences(small(ROWS[2:3], 1))[-1].startswith("no no configuration may be chosen")


def test_a_single_row_has_neither_rivals_nor_bias() -> None:
    found = sentences(small(ROWS[:1], 1))
    assert found[-1] == "ok no other configuration lies within one standard deviation of trial 0"
    assert not any("biased" in sentence for sentence in found)


def test_golden_terminal_table() -> None:
    text = printed(small(), top=4)
    assert text[text.index("run:") :] == GOLDEN


def test_a_row_without_a_threshold_does_not_hide_those_of_others() -> None:
    lost = row(4, 0.9, Outcome.LOST, metrics={}, detail="killed", threshold=None)
    table = printed(small((*ROWS[:4], lost))).partition("run:")[2]
    assert "threshold" in table.partition("───")[0]
    cells = next(line for line in table.splitlines() if line.endswith("lost")).split()
    assert cells == ["4", "sgd", "0.1", "-", "-", "-", "-", "50177", "64/100", "12.3", "812", "lost"]


def test_a_hyperparameter_called_threshold_is_shown_where_rows_have_none() -> None:
    rows = tuple(row(i, 0.9, hyperparameters={"threshold": f"cut{i}"}, threshold=None) for i in range(2))
    header, _, cells = printed(small(rows, 2), width=160).partition("run:")[2].partition("───")
    assert header.count("threshold") == 1
    assert [line.split()[1] for line in cells.splitlines()[1:3]] == ["cut0", "cut1"]


def test_a_narrow_terminal_loses_columns_and_says_which() -> None:
    text = printed(small(), width=70)
    assert "0.9712(11)" in text
    assert "cpu_s" in text
    assert "11.0" not in text
    assert max(map(len, text.splitlines())) <= 70


def test_metrics_can_be_chosen_and_unknown_ones_are_refused() -> None:
    assert "0.8712(20)" not in printed(small(), metrics=["auc"])
    with pytest.raises(InputError, match='did you mean "auc"'):
        render(small(), metrics=["aux"])


def test_markup_and_control_characters_do_not_reach_the_terminal() -> None:
    rows = tuple(row(i, 0.9, hyperparameters={"a": f"[red]\x1b[31m{i}"}) for i in range(2))
    text = printed(small(rows, 2), width=160)
    assert "\x1b" not in text
    assert "[red]\\x1b[31m0" in text


def test_figures_are_shown_to_two_digits_of_their_error() -> None:
    assert shown(Metric(0.97123, 0.00108)) == "0.9712 ± 0.0011"
    assert shown(Metric(12.34, 1.6)) == "12.3 ± 1.6"
    assert shown(Metric(1234.5, 57.0)) == "1234 ± 57"
    assert shown(Metric(0.5, 0.0)) == "0.5000"
    assert shown(Metric(0.5, math.nan)) == "0.5000"
    assert shown(Metric(math.nan, 0.1)) == "-"
    assert printable("a\x07\n±") == "a\\x07\\n±"


def test_csv_holds_every_row_and_column(tmp_path: Path) -> None:
    write_csv(small(), tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(encoding="utf-8", newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [int(r["trial"]) for r in rows] == [1, 3, 0, 2, 4]
    assert float(rows[0]["auc"]) == 0.9712
    assert float(rows[0]["auc.error"]) == 0.0011
    assert (rows[0]["optimizer"], rows[0]["wall_s"], rows[0]["host"]) == ("adam", "12.34", "node7")
    assert (rows[4]["auc"], rows[4]["outcome"], rows[4]["detail"]) == ("", "diverged", "loss is NaN")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", "\r=1", "\n=1"])
def test_no_cell_is_a_formula(tmp_path: Path, text: str) -> None:
    rows = (row(0, -0.5, hyperparameters={"a": text, text: -3, "list": [1, 2]}, detail=text, host=text),)
    write_csv(small(rows, 1), tmp_path / "board.csv")
    with (tmp_path / "board.csv").open(encoding="utf-8", newline="") as stream:
        header, cells = csv.reader(stream)
    named = dict(zip(header, cells, strict=True))
    safe = f"'{printable(text)}"
    assert named["a"] == named["detail"] == named["host"] == safe
    assert named[safe] == "-3"  # a number stays a number
    assert named["auc"] == "-0.5"
    assert named["list"] == "[1, 2]"


@given(st.text(max_size=20))
def test_text_cells_never_begin_like_a_formula(text: str) -> None:
    from townsend.sweep.board_table import _safe

    assert not str(_safe(text)).startswith(("=", "+", "-", "@", "\t", "\r"))
    assert str(_safe(text)).removeprefix("'") == printable(text).removeprefix("'")


def test_a_hyperparameter_named_like_a_column_keeps_both(tmp_path: Path) -> None:
    write_csv(small((row(0, 0.9, hyperparameters={"epochs": 7}),), 1), tmp_path / "board.csv")
    header, cells = list(csv.reader((tmp_path / "board.csv").read_text().splitlines()))
    assert len(set(header)) == len(header)
    assert cells[header.index("hyperparameter epochs")] == "7"
    assert cells[header.index("epochs")] == "100"


def test_repeated_sweeps_compare_equal_but_for_costs() -> None:
    costs = {"wall_s": 99.0, "cpu_s": 98.0, "compile_s": 97.0, "peak_memory_mb": 1.0, "host": "other", "attempts": 2}
    again = tuple(FitRecord(**{**vars(r), **costs}) for r in reversed(ROWS))
    assert comparable(small(again)) == comparable(small())
    moved = tuple(FitRecord(**{**vars(r), "best_epoch": 61}) for r in ROWS)
    assert comparable(small(moved)) != comparable(small())


def test_board_reads_a_sweep_folder(tmp_path: Path) -> None:
    run = tmp_path / "peaks"
    info = {"fingerprint": "f", "versions": {}, "sample": "s", "trials": 144, "settings": {}}
    write_json(run / "sweep.json", {**info, "objective": {"metric": "auc", "maximise": True}})
    write_bracket_record(run, BracketRecord(0, ROWS[:2], complete=True))
    write_bracket_record(run, BracketRecord(1, ROWS[2:]))
    table = board(run)
    assert comparable(table) == comparable(small())
    assert (table.planned, table.source) == (144, "peaks")


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="must be the folder of a sweep"):
        board(tmp_path)


def pruned(trial: int, *figures: float) -> FitRecord:
    return row(trial, 0.0, Outcome.PRUNED, metrics={}, threshold=None, epochs=3 ** len(figures), figures=figures)


HALVED = (
    row(0, 0.94, figures=(0.9, 0.92)),
    pruned(1, 0.85),
    pruned(2, 0.86),
    pruned(3, 0.8, 0.81),
    row(4, 0.95, figures=(0.91, 0.93)),
    row(5, 0.0, Outcome.DIVERGED, metrics={}, threshold=None),
    pruned(6, math.nan),
)


def test_rows_stopped_at_a_rung_stand_behind_the_ranked_ones_and_are_no_fault() -> None:
    table = small(HALVED, 7)
    assert [r.trial for r in table.rows] == [4, 0, 3, 2, 1, 6, 5]
    smaller = by_rank(Board(HALVED, AUC, 7, "run", figures_maximise=False))
    assert [r.trial for r in smaller.rows] == [4, 0, 3, 1, 2, 6, 5]
    found = sentences(table)
    stopped = "ok 4 of 7 stopped at a rung (3 at rung 1, 1 at rung 2), where others of their bracket were better"
    assert found[1] == stopped
    assert not any(sentence.startswith("no pruned") for sentence in found)
    biased = next(sentence for sentence in found if "biased" in sentence)
    assert "best of 6 on validation (4 of them stopped before by their figure on monitor), so" in biased
    assert "were all 6 equally good, chance alone would make the best of them 0.0014 too good in auc" in biased
    assert "so expect 0.9486 to 0.9500;" in biased


def test_table_shows_rungs_where_there_are_any(tmp_path: Path) -> None:
    text = printed(small(HALVED, 7), width=200)
    cells = next(line.split()[-6:] for line in text.splitlines() if line.endswith("pruned"))
    assert cells == ["2", "0.8100", "12.3", "11.0", "812", "pruned"]
    assert "rung" not in printed(small()).partition("run:")[2]
    write_csv(small(HALVED, 7), tmp_path / "board.csv")
    rows = list(csv.DictReader((tmp_path / "board.csv").read_text().splitlines()))
    assert [(r["rungs"], r["rung_figure"]) for r in rows] == [
        ("2", "0.93"),
        ("2", "0.92"),
        ("2", "0.81"),
        ("1", "0.86"),
        ("1", "0.85"),
        ("1", ""),
        ("0", ""),
    ]
    assert [r.trial for r in small(HALVED, 7).sorted_by("rung_figure", descending=True).rows][:4] == [4, 0, 2, 1]


PARAMETERS = Objective("parameters", maximise=False)
TWO = (
    row(7, 0.981, parameters=50_177),
    row(3, 0.9805, parameters=12_000),
    row(5, 0.97, parameters=900),
    row(2, 0.979, parameters=12_000),
    row(1, 0.99, Outcome.DEGENERATE, parameters=10),
)


def two_objectives() -> Board:
    return by_rank(Board(TWO, AUC, 5, "run", further=(PARAMETERS,)))


def test_front_of_two_objectives_is_named_with_what_the_error_does_not_tell_apart() -> None:
    table = two_objectives()
    assert [r.trial for r in table.front] == [7, 3, 5]
    assert next(sentence for sentence in sentences(table) if "Pareto" in sentence) == (
        "no Pareto front of auc and parameters: trial 7 (0.9810 ± 0.0011, 50,177), trial 3 (0.9805 ± 0.0011, 12,000), "
        "trial 5 (0.9700 ± 0.0011, 900); within one standard deviation in auc: trials 7 and 3"
    )
    clear = by_rank(Board((TWO[0], TWO[2]), AUC, 2, "run", further=(PARAMETERS,)))
    assert any(sentence.startswith("ok Pareto front") and "within" not in sentence for sentence in sentences(clear))


def test_front_is_a_column_where_there_are_two_objectives(tmp_path: Path) -> None:
    write_csv(two_objectives(), tmp_path / "board.csv")
    rows = list(csv.DictReader((tmp_path / "board.csv").read_text().splitlines()))
    assert {r["trial"]: r["pareto"] for r in rows} == {
        "7": "True",
        "3": "True",
        "5": "True",
        "2": "False",
        "1": "False",
    }
    assert all("pareto" not in r for r in comparable(small()))
    text = printed(two_objectives(), width=80)
    assert "* on the Pareto front" in text
    marked = [line.split()[1] for line in text.splitlines() if line.lstrip().startswith("* ")]
    assert marked == ["7", "3", "5", "on"]  # the last explains the mark
    assert "50177" in text  # an objective is not left out, however narrow the terminal


def test_one_objective_has_no_front() -> None:
    assert small().front == ()
    assert by_rank(Board((), AUC, 0, "run", further=(PARAMETERS,))).front == ()
