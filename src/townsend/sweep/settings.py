"""The settings of a sweep, closed: what a user writes in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, JsonValue, model_validator

from townsend.config import Closed, Document, load_yaml, parse
from townsend.errors import ConfigError
from townsend.sweep.conditions import in_order
from townsend.sweep.hyperparameter import Choice, Hyperparameter, Range
from townsend.tasks.registry import find_task

__all__ = ["Choice", "Range", "SweepSettings", "check_task_settings", "load_sweep"]


class Halving(Closed):
    """Stop the worse configurations of a bracket early; the better go on from where they stand."""

    kind: Literal["successive", "hyperband"] = Field(
        "successive", description="equal brackets, or brackets that start ever fewer configurations ever further"
    )
    resource: Literal["epochs", "data"] = Field(
        "epochs", description="what grows from rung to rung: epochs trained, or the share of the training examples"
    )
    least: int = Field(3, ge=1, description="epochs before the first comparison; with data, epochs on each share of it")
    factor: int = Field(
        3, ge=2, le=100, description="one of so many goes on at a rung, with so many times the resource"
    )


class SweepSettings(Closed):
    """What is swept, on which sample, and how."""

    task: str = Field(description="name of an installed task")
    sample: str = Field(description="folder of the sample, from the current folder")
    task_settings: dict[str, JsonValue] = Field(default_factory=dict, description="settings of the task")
    network: str = Field("lstm", description="network family")
    space: dict[str, Hyperparameter] = Field(
        min_length=1, description="hyperparameter -> list of values, range, values under a condition, or tie"
    )
    sampler: Literal["grid", "random", "tpe", "walk", "gp", "cmaes", "nsga2"] = Field(
        "grid", description="how configurations are proposed"
    )
    objectives: list[str] | None = Field(
        None,
        min_length=1,
        max_length=2,
        description="one or two metrics to be bettered together, such as auc_all and parameters; the task's when null",
    )
    halving: Halving | None = Field(None, description="stop the worse configurations early; all are trained when null")
    folds: int = Field(1, ge=1, le=100, description="train each configuration on so many folds; 1: one fixed split")
    repeats: int = Field(1, ge=1, le=100, description="train each configuration so often, with other seeds")
    stop_at_gain: float | None = Field(
        None,
        gt=0,
        description="stop when doubling the trials promises less than so many errors of the best figure; null: never",
    )
    trials: int | None = Field(None, ge=1, le=1_000_000, description="configurations to train; all of a grid when null")
    epochs: int = Field(100, ge=1, description="passes through the training examples, at most")
    patience: int = Field(30, ge=1, description="epochs without a lower monitored loss before training stops")
    seed: int = Field(1, ge=0, lt=1 << 63, description="decides arrays, configurations, weights and batches")
    bracket_size: int | None = Field(
        None,
        ge=1,
        le=1000,
        description="configurations in one work unit; null: 4, or with halving what ends in one survivor; "
        "samplers that learn: 1 without halving",
    )
    side_by_side: bool = Field(
        False, description="train configurations of equal shapes as one program; pays on a GPU, not on a processor"
    )
    lag: int = Field(
        8,
        ge=1,
        le=1000,
        description="samplers that learn: trial n knows the results of trials up to n - lag; "
        "with halving at least two brackets",
    )

    @model_validator(mode="after")
    def _samplable(self) -> SweepSettings:
        try:
            in_order(self.space)
        except ConfigError as error:
            raise ValueError(str(error)) from None
        ranges = [name for name, form in self.space.items() if isinstance(form, Range) and form.step is None]
        if self.sampler == "grid" and ranges:
            msg = f"a grid needs lists (got a range for {ranges[0]}); list its values, or choose random or tpe"
            raise ValueError(msg)
        if self.halving and self.objectives and len(self.objectives) > 1:
            names = " and ".join(self.objectives)
            msg = f"halving compares one figure (got the objectives {names}); leave it out, or name one"
            raise ValueError(msg)
        if self.halving and self.halving.kind == "hyperband" and self.bracket_size is not None:
            msg = f"bracket_size follows from hyperband (got {self.bracket_size}); leave it out, or choose successive"
            raise ValueError(msg)
        if self.sampler != "grid" and self.trials is None:
            msg = f"the sampler {self.sampler} needs the number of trials; give `trials`"
            raise ValueError(msg)
        return self


def load_sweep(path: Path, overrides: Mapping[str, Any] | None = None) -> SweepSettings:
    """Return the settings in a YAML file.

    Arguments:
        path: file.
        overrides: values that take the place of those in the file, mappings merged key by key.

    Raises InputError when the file cannot be read, ConfigError on an unknown key or a bad value.
    """
    document = load_yaml(path)
    merged = Document(_merged(document.data, overrides or {}), document.path, document.lines)
    return parse(SweepSettings, merged)


def check_task_settings(settings: SweepSettings, document: Document) -> None:
    """Ask the task whether it takes its settings, before any work begins.

    Arguments:
        settings: of the sweep.
        document: the file they come from, which knows the lines.

    Raises InputError when no such task is installed, ConfigError, with the line, on a bad setting of it.
    """
    try:
        find_task(settings.task).settings(settings.task_settings)
    except ConfigError as error:
        sentence = str(error).removeprefix("settings: ")
        name = sentence.partition(":")[0]
        own = name in settings.task_settings
        written = document.data.get("task_settings") or {}
        line = document.lines.get(("task_settings", name) if own else ("task_settings",))
        overridden = own and settings.task_settings[name] != written.get(name)
        where = "" if line is None or overridden else f"{document.path} line {line}: "
        msg = f"{where}task_settings{'.' if name.isidentifier() else ': '}{sentence}"  # of one setting, or of several
        raise ConfigError(msg) from None


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    found = dict(below)
    for name, value in above.items():
        inner = found.get(name)
        if isinstance(value, Mapping) and isinstance(inner, Mapping):
            found[name] = _merged(inner, value)
        else:
            found[name] = value
    return found
