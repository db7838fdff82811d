"""A board made of a user's own folders `ModelN/model_metrics.txt`.

What is read
------------
- Every folder directly inside the one given whose name is `Model` and a number; nothing deeper.
- Lines `name: value`, `name = value` or `name value`, with or without `± error`. Names are compared without case,
  blanks and punctuation: "F1 Score", "f1_score" and "F1-score" are one; see `NAMES`.
- Other lines `key: text` are kept as hyperparameters. What is left is reported, with file and line, on the board.

A row is degenerate when its network calls everything signal (recall 1, so that efficiency x purity equals
precision, at the lowest precision of all rows: the prevalence) or everything background (recall 0).
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from townsend.errors import InputError, printable
from townsend.evaluate.verdict import Verdict
from townsend.sweep.board import Board, by_rank
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

__all__ = ["NAMES", "import_metrics"]

NAMES: Mapping[str, str] = {
    "auc": "auc",
    "aucscore": "auc",
    "rocauc": "auc",
    "rocaucscore": "auc",
    "f1": "f1",
    "f1score": "f1",
    "efficiencypurity": "efficiency_x_purity",
    "efficiencyxpurity": "efficiency_x_purity",
    "efficiencytimespurity": "efficiency_x_purity",
    "recall": "recall",
    "recallscore": "recall",
    "efficiency": "recall",
    "precision": "precision",
    "precisionscore": "precision",
    "purity": "precision",
    "accuracy": "accuracy",
    "accuracyscore": "accuracy",
}
"""Name in the file, letters and digits only -> metric of the board; all lie in [0, 1]."""

_FOLDER = re.compile(r"model(\d{1,9})", re.IGNORECASE)
_FILE = "model_metrics.txt"
_LARGEST_FILE = 65_536
_MOST_FOLDERS = 100_000
_MOST_KEYS = 64
_MOST_REPORTED = 3
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_MEASURED = re.compile(
    rf"(?P<name>.*?[^\s:=,;])[\s:=,;]+(?P<value>{_NUMBER})(?:\s*(?:±|\+/?-)\s*(?P<error>{_NUMBER}))?[,;]?"
)
_NOTED = re.compile(r"(?P<key>[^:=]{1,64}?)\s*[:=]\s*(?P<text>.{1,256})")
_RULE = re.compile(r"[-=*_#~\s]*")


@dataclass
class _Found:
    """What one file holds."""

    metrics: dict[str, Metric] = field(default_factory=dict)
    notes: dict[str, Any] = field(default_factory=dict)
    unread: list[str] = field(default_factory=list)


def import_metrics(folder: Path) -> Board:
    """Return the board of the folders `ModelN` in `folder`, ranked by AUC.

    The files state no errors unless `± error` follows a value, and not on which set they were measured; the board
    says so.

    Raises InputError when the folder holds no such folders, when a file is too large or no text, when two folders have
    one number, or when no file states an AUC.
    """
    rows, unread = [], []
    for number, path in _files(folder):
        found = _read(path)
        unread += [f"{path.parent.name}/{_FILE} {what}" for what in found.unread]
        rows.append(_record(number, found))
    if not any("auc" in row.metrics for row in rows):
        msg = f'one {_FILE} at least must state the AUC (got none in {len(rows)} files); write a line "AUC Score: 0.97"'
        raise InputError(msg)
    objective = Objective("auc", maximise=True)
    judged = tuple(_judged(rows))
    return by_rank(Board(judged, objective, len(rows), printable(folder.name), _verdicts(unread), "an unnamed set"))


def _files(folder: Path) -> Iterator[tuple[int, Path]]:
    """Yield number and file of each `ModelN`, by number; looks one level deep, so that no link can lead in circles."""
    if not folder.is_dir():
        msg = f"{folder} must be a folder that holds Model1, Model2 ...; check its name"
        raise InputError(msg)
    numbers: dict[int, Path] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            match = _FOLDER.fullmatch(entry.name)
            path = folder / entry.name / _FILE
            if match is None or not path.is_file():
                continue
            number = int(match[1])
            if number in numbers:
                names = sorted([numbers[number].parent.name, entry.name])
                msg = f"each model must have its own number (got {names[0]} and {names[1]}); rename one folder"
                raise InputError(msg)
            numbers[number] = path
            if len(numbers) > _MOST_FOLDERS:
                msg = f"{folder} must hold at most {_MOST_FOLDERS} models; split it"
                raise InputError(msg)
    if not numbers:
        msg = (
            f"{folder} must hold folders Model1, Model2 ... with a {_FILE} each (got none); name the folder above them"
        )
        raise InputError(msg)
    yield from sorted(numbers.items())


def _read(path: Path) -> _Found:
    size = path.stat().st_size
    if size > _LARGEST_FILE:
        msg = f"{path} must be at most {_LARGEST_FILE} bytes (got {size}); it holds something other than metrics"
        raise InputError(msg)
    try:
        text = path.read_bytes()[:_LARGEST_FILE].decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path} must be UTF-8 text (byte {error.start} is not); save it as plain text"
        raise InputError(msg) from None
    found = _Found()
    for number, line in enumerate(text.splitlines(), start=1):
        stripped = line.strip()
        if not _RULE.fullmatch(stripped):
            _read_line(stripped, number, found)
    return found


def _read_line(line: str, number: int, found: _Found) -> None:
    measured = _MEASURED.fullmatch(line)
    metric = NAMES.get(_plain(measured["name"])) if measured else None
    if measured and metric:
        value, error = float(measured["value"]), float(measured["error"] or "nan")
        if not 0 <= value <= 1:
            found.unread.append(f"line {number}: {metric} must lie in [0, 1] (got {value:g})")
        elif found.metrics.setdefault(metric, Metric(value, error)).value != value:
            found.unread.append(f"line {number}: {metric} is given twice; the first was taken")
        return
    noted = _NOTED.fullmatch(line)
    if noted is None or _plain(noted["key"]) in NAMES or len(found.notes) >= _MOST_KEYS:
        found.unread.append(f"line {number}: {printable(line[:40])!r}")
        return
    found.notes.setdefault(printable(noted["key"].strip()), _value(noted["text"].strip()))


def _plain(name: str) -> str:
    return "".join(c for c in name.lower() if c.isalnum())


def _value(text: str) -> str | int | float:
    if re.fullmatch(r"[-+]?\d{1,15}", text):
        return int(text)
    if re.fullmatch(_NUMBER, text) and math.isfinite(float(text)):
        return float(text)
    return printable(text)


def _record(number: int, found: _Found) -> FitRecord:
    without = "" if "auc" in found.metrics else "its file states no AUC"
    outcome = Outcome.FAILED if without else Outcome.FINISHED
    return FitRecord(number, 0, found.notes, outcome, without, metrics=found.metrics)


def _judged(rows: list[FitRecord]) -> Iterator[FitRecord]:
    """Yield the rows, degenerate ones named as such."""
    precisions = [row.metrics["precision"].value for row in rows if _value_of(row, "precision") > 0]
    lowest = min(precisions, default=math.nan)
    for row in rows:
        recall, precision = _value_of(row, "recall"), _value_of(row, "precision")
        product = row.metrics.get("efficiency_x_purity", Metric(precision, math.nan)).value
        if (
            recall == 1
            and precision < 1
            and precision <= lowest * 1.001
            and math.isclose(product, precision, abs_tol=1e-6)
        ):
            detail = f"everything is called signal: recall 1, precision {precision:.4f} is the prevalence"
            yield replace(row, outcome=Outcome.DEGENERATE, detail=detail)
        elif recall == 0:
            yield replace(row, outcome=Outcome.DEGENERATE, detail="everything is called background: recall 0")
        else:
            yield row


def _value_of(row: FitRecord, metric: str) -> float:
    return row.metrics[metric].value if metric in row.metrics else math.nan


def _verdicts(unread: list[str]) -> tuple[Verdict, ...]:
    found = [Verdict(False, "imported figures: taken as written, the set they were measured on is not stated")]
    if unread:
        named = "; ".join(unread[:_MOST_REPORTED])
        more = f"; and {len(unread) - _MOST_REPORTED} more" if len(unread) > _MOST_REPORTED else ""
        lines = "1 line was" if len(unread) == 1 else f"{len(unread)} lines were"
        found.append(Verdict(False, f"{lines} not used: {named}{more}"))
    return tuple(found)
