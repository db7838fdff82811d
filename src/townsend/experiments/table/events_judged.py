"""The events on which chosen models are judged: their common test set, or all of another table.

What to use when
----------------
- `open_models`: the folders, checked to be comparable.
- `judged_events`: the events and, where it is their own table, the training events beside them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from townsend.errors import InputError
from townsend.experiments.table.apply import load_model
from townsend.experiments.table.arrays import judged_split
from townsend.experiments.table.read_table import read_table
from townsend.experiments.table.settings import TABLE_FILE, load_table
from townsend.experiments.table.task import task
from townsend.experiments.table.task_settings import TableFacts
from townsend.networks.build_file import BuildFile
from townsend.sweep.chosen import Chosen
from townsend.tasks.base import Arrays, Fold, Split

__all__ = ["JudgedEvents", "Model", "judged_events", "open_models"]


@dataclass(frozen=True)
class Model:
    """A chosen model, open: its folder, what `open_chosen` returns, and the facts on its card."""

    folder: Path
    chosen: Chosen
    facts: TableFacts

    @property
    def threshold(self) -> float:
        """Return the score at which it calls an event signal."""
        return float(self.chosen.card["threshold"])


@dataclass(frozen=True)
class JudgedEvents:
    """What models are judged on.

    Arguments:
        events: the set; where: a sentence on what it is.
        arrays: that the models were trained on, None for another table.
    """

    events: Split
    where: str
    arrays: Arrays | None = None


def open_models(folders: Mapping[str, Path], build: BuildFile | None = None) -> dict[str, Model]:
    """Return name -> model.

    Raises InputError when a folder holds no model of the table task, or two were trained on other classes or features.
    """
    found: dict[str, Model] = {}
    for name, folder in folders.items():
        found[name] = Model(folder, *load_model(folder, build if (folder / "model.npz").is_file() else None))
    first, *others = found
    for other in others:
        one, two = found[first].facts, found[other].facts
        for what in ("classes", "expressions"):
            if getattr(one, what) != getattr(two, what):
                rule = f"models must have the same {'features' if what == 'expressions' else what} to be compared"
                msg = f"{rule} ({folders[first]} and {folders[other]} differ); evaluate them one by one"
                raise InputError(msg)
    return found


def judged_events(models: Mapping[str, Model], table: Path | None = None) -> JudgedEvents:
    """Return the events to judge models on.

    Arguments:
        models: of `open_models`.
        table: another table, all of whose events are taken; None: the test set that the models have in common.

    Raises InputError when models have no common test set, its table has changed, or the other table has other classes
    or features.
    """
    first = next(iter(models.values()))
    if table is not None:
        description = load_table(table)
        same = tuple(description.settings.classes) == first.facts.classes
        if not same or tuple(description.settings.expressions) != first.facts.features:
            rule = f"{table} must have the classes and features of the models"
            msg = (
                f"{rule} (they have {', '.join(first.facts.classes)}; {', '.join(first.facts.features)}); mend its YAML"
            )
            raise InputError(msg)
        read = read_table(description)
        return JudgedEvents(judged_split(read), f"all {len(read.table):,} events of {table}")
    own = {name: _origin(model) for name, model in models.items()}
    different = [name for name, origin in own.items() if origin[1:] != next(iter(own.values()))[1:]]
    if different:
        rule = "models must have one test set to be compared: the same table, settings of the task and seed"
        msg = f"{rule} ({different[0]} has others); say --table, or evaluate them one by one"
        raise InputError(msg)
    sample, contents, settings, seed = next(iter(own.values()))
    if task.fingerprint(sample, settings) != contents:
        msg = f"{sample} must be the table that the models were trained on (its contents differ); restore it"
        raise InputError(msg)
    anew = any(model.chosen.card["choice"]["trained_on"] != "train" for model in models.values())
    arrays = task.prepare(sample, settings, seed, Fold(None, 1) if anew else None)
    test = arrays.splits["test"]
    where = f"the {len(test):,} events of the test set, which no training and no choice saw"
    return JudgedEvents(test, where, arrays)


def _origin(model: Model) -> tuple[Path, str, dict[str, Any], int]:
    card = model.chosen.card
    settings = card["sweep"]["settings"]
    parsed = dict(task.settings(settings["task_settings"]))
    sample = Path(settings["sample"])
    if not sample.exists():  # as given to a command that ran elsewhere; `townsend train` keeps it beside its models
        sample = model.folder.absolute().parent.parent / TABLE_FILE
    return sample, str(card["sample"]), parsed, int(settings["seed"])
