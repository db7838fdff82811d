"""The command: what it prints, what it writes, how it ends, what it refuses."""

from __future__ import annotations

import csv
import re
from collections import Counter

import pytest
from rich.console import Console

from townsend.experiments.drifttube.validation import validate
from townsend.experiments.drifttube.validation.table import markdown, render, summary, write_csv
from townsend.experiments.drifttube.validation.verdicts import Judgement, Label, interval_row, point_row, worst_row

OK, UNDECIDED, FAIL = Judgement


def points(*ours, error=0.0):
    return [
        point_row(Label("ionization", "density", f"{i} GeV/c", "1/cm"), (10, error), (our, 0), 0.5)
        for i, our in enumerate(ours)
    ]


GOOD = worst_row(Label("ionization", "density", "90/10, |b| = 0", "1/cm"), points(10.0, 10.01))
OPEN = interval_row(Label("arrivals", "first", "10 tracks", "ns"), (8.0, 0.2), (8.1, 0.01), (-4.0, 6.5), 5.0, 3.0)
BAD = worst_row(Label("ionization", "mass", "90/10", "g"), points(10.0, 10.2))


def shown(rows):
    console = Console(width=160, record=True, file=None, no_color=True)
    with console.capture() as capture:
        console.print(render(rows))
    return capture.get()


def test_the_verdicts_come_first():
    lines = shown([GOOD, OPEN, BAD]).splitlines()
    assert lines[0] == "1 ok, 1 undecided, 1 FAIL"
    assert lines[1].startswith("FAIL: ionization, mass (90/10): +2.00 %, limit ±0.5 %; worst at 1 GeV/c; 1 ok, 1 FAIL")
    assert lines[2].startswith("undecided: arrivals, first (10 tracks): +1.25 [-4.00, +6.50] %, limit ±3 %")
    assert "8.00 ± 0.20 ns" in "\n".join(lines)


def test_the_csv_has_every_row_and_every_point(tmp_path):
    write_csv([GOOD, OPEN, BAD], tmp_path / "v.csv")
    with (tmp_path / "v.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["row"], row["part_of"]) for row in rows] == [
        ("1", ""), ("2", "1"), ("3", "1"), ("4", ""), ("5", ""), ("6", "5"), ("7", "5"),
    ]  # fmt: skip
    assert [row["verdict"] for row in rows] == ["ok", "ok", "ok", "undecided", "FAIL", "ok", "FAIL"]
    assert float(rows[3]["high"]) == 6.5


def test_the_page_has_every_row_and_its_tables_are_tables():
    page = markdown([GOOD, BAD, OPEN], 1000, 7, {"one-figure.png": "somewhere/one-figure.png"})
    assert "**1 ok, 1 undecided, 1 FAIL.**" in page
    assert "about 1,000 tracks of ours a comparison, seed 7" in page
    assert "![one figure](somewhere/one-figure.png)" in page
    rows = [line for line in page.splitlines() if line.startswith("| ")]
    assert len(rows) == 3 + 2  # and a header a group
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {8}


@pytest.fixture
def judged(monkeypatch):
    """Let the groups return given rows at once."""

    def give(*rows):
        monkeypatch.setattr(validate, "ionization_rows", lambda *given: list(rows))
        for name in ("drift_rows", "arrival_rows", "signal_rows"):
            monkeypatch.setattr(validate, name, lambda *given: [])

    return give


@pytest.mark.parametrize(("rows", "status"), [((GOOD,), 0), ((GOOD, OPEN), 0), ((OPEN, BAD), 1)])
def test_the_command_ends_with_one_only_where_a_row_fails(townsend, judged, rows, status):
    judged(*rows)
    ended = townsend("validate", "drifttube")
    assert (ended.status, ended.err) == (status, "")
    assert ended.out.startswith(summary(rows))


def test_refusals(townsend, tmp_path, one_sentence):
    ended = townsend("validate", "drifttube", "--reference", tmp_path / "none")
    assert ended.status == 2
    assert "must be a folder of reference files" in one_sentence(ended.err)
    ended = townsend("validate", "drifttube", "--reference", tmp_path, "--tracks", 1)
    assert ended.status == 2
    assert "must hold xt_tube_r4mm_1460V.csv" in one_sentence(ended.err)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_nothing_fails_in_the_whole_comparison(townsend, tmp_path):
    ended = townsend("validate", "drifttube", "-o", tmp_path / "out", "--tracks", 20_000, "--seed", 1)
    assert ended.err == ""
    with (tmp_path / "out" / "validation.csv").open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    whole = Counter(row["verdict"] for row in rows if not row["part_of"])
    assert ended.out.startswith(", ".join(f"{whole[kind.value]} {kind.value}" for kind in Judgement))
    assert (ended.status, whole["FAIL"]) == (0, 0), ended.out
    assert Counter(row["group"] for row in rows if not row["part_of"]).keys() == {
        "ionization", "drift", "arrivals", "signal",
    }  # fmt: skip
    page = (tmp_path / "out" / "validation.md").read_text()
    figures = re.findall(r"!\[[^]]+\]\(([^)]+)\)", page)
    assert len(figures) == 4
    for figure in figures:
        assert (tmp_path / "out" / figure).read_bytes().startswith(b"\x89PNG")
