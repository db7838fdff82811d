"""A chosen model applied to files: scores and labels beside the input, same entries, same order.

What to use when
----------------
- `apply`: files in, one file of scores for each out, of the same format.

Nothing is cut away: an entry that fails the cuts with which the model was trained has a score too, and 0 in
`selected`. An entry with a feature that is not finite has the score NaN and the label -1. A file of scores is a friend
of its input: in ROOT, `tree->AddFriend("scores", "data.scores.root")`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from townsend.config import parse
from townsend.errors import ConfigError, InputError
from townsend.experiments.table.analysis_settings import TASK
from townsend.experiments.table.events import ROWS, Reader, open_source
from townsend.experiments.table.settings import Description
from townsend.experiments.table.task_settings import TableFacts, feature_settings
from townsend.files import read_sealed
from townsend.networks.build_file import BuildFile
from townsend.networks.stored import forward
from townsend.sample.column_writer import open_column_writer
from townsend.sweep.chosen import Chosen, open_chosen

__all__ = ["Applied", "apply", "load_model"]

Report = Callable[[int, int], None]


@dataclass(frozen=True)
class Applied:
    """What was written for one input.

    Arguments:
        path: file of scores.
        entries: in it, as many as in the input.
        selected: entries that pass the cuts.
        accepted: of those, entries at or above the threshold.
        without: entries without a score, a feature of which is not finite.
    """

    path: Path
    entries: int
    selected: int
    accepted: int
    without: int


def load_model(model: Path, build: BuildFile | None = None) -> tuple[Chosen, TableFacts]:
    """Return a folder made by `townsend choose` or `townsend train`, and the facts on its card.

    Raises InputError when it is none, is damaged or edited, or was trained for another task.
    """
    chosen = open_chosen(model, TASK, build)
    try:
        facts = parse(TableFacts, chosen.card["facts"])
    except ConfigError as error:
        msg = f"{model}/card.json must be as `townsend choose` wrote it ({error}); make the folder again"
        raise InputError(msg) from None
    return chosen, facts


def apply(
    model: Path,
    files: Sequence[str],
    output: Path,
    *,
    tree: str | None = None,
    threshold: float | None = None,
    build: BuildFile | None = None,
    progress: Report = lambda done, total: None,
) -> list[Applied]:
    """Write the scores of every entry of `files` into the folder `output`.

    Arguments:
        model: folder of a chosen model; all that is needed is in it.
        files: ROOT, Parquet or CSV files, or patterns of such.
        output: folder, made if need be; receives `NAME.scores.SUFFIX` for each input, which replaces an earlier one.
        tree: in place of the one that the model was trained on.
        threshold: in place of the one chosen on validation.
        build: the user's file, for a PyTorch module.
        progress: called with entries done and in all.

    Raises InputError when a file cannot be read or lacks a column, or two inputs have one name.
    """
    chosen, facts = load_model(model, build)
    cut = float(chosen.card["threshold"] if threshold is None else threshold)
    settings = feature_settings(facts)
    reader = Reader(settings)
    _check_friends(model, facts)
    columns = open_source(Description(settings, Path().absolute()), tuple(files), tree or facts.tree)
    targets = _targets(columns.files, output)
    names = frozenset().union(*(e.names for e in (*reader.cuts, *reader.features.values())))
    columns.check(names)
    total, done, found = sum(columns.entries), 0, []
    progress(0, total)
    output.mkdir(parents=True, exist_ok=True)
    for index, target in enumerate(targets):
        counts = np.zeros(3, np.int64)
        with open_column_writer(target, {"model": _mark(model), "threshold": repr(cut)}) as writer:
            for chunk in columns.iterate(names, rows=ROWS, files=[index]):
                made = _scores(chosen.network, reader, chunk, cut)
                writer.extend(made)
                accepted = (made["label"] == 1) & (made["selected"] == 1)
                counts += (made["selected"].sum(), accepted.sum(), (made["label"] < 0).sum())
                done += chunk.rows
                progress(done, total)
        found.append(Applied(target, columns.entries[index], *counts.tolist()))
    return found


def _check_friends(model: Path, facts: TableFacts) -> None:
    """Raise InputError where features come from other files: those joined to the training files fit no others."""
    if any(friend.files for friend in facts.friends):
        rule = f"features of {model} must come from the files that it is applied to (some are from friends in others)"
        msg = f"{rule}; write the trees into one file, name no files for the friend, and train again"
        raise InputError(msg)


def _scores(network: Any, reader: Reader, chunk: Any, threshold: float) -> dict[str, np.ndarray[Any, Any]]:
    values = reader.values(chunk.columns, chunk.rows)
    finite = np.isfinite(values).all(axis=1)
    scores = np.full(chunk.rows, np.nan, np.float32)
    scores[finite] = forward(network, values[finite])
    passed = reader.passed(chunk.columns, chunk.rows) == len(reader.cuts)
    label = np.where(finite, scores >= threshold, -1).astype(np.int32)
    return {"score": scores, "label": label, "selected": passed.astype(np.int32)}


def _mark(model: Path) -> str:
    return str(read_sealed(model / "card.json")["seal"])


def _targets(paths: Sequence[Path], output: Path) -> list[Path]:
    """Return the file of scores of each input."""
    found: dict[Path, Path] = {}
    for path in paths:
        target = output / f"{path.stem}.scores{path.suffix}"
        if target in found:
            msg = f"inputs must have different names (got {found[target]} and {path}); apply it to each by itself"
            raise InputError(msg)
        if target.exists() and target.resolve() == path.resolve():
            msg = f"{target} must not be an input; choose another folder"
            raise InputError(msg)
        found[target] = path
    return list(found)
