"""Several models trained on one table and compared: what a user writes in YAML."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, JsonValue, field_validator

from townsend.config import Closed, Document, load_yaml, parse
from townsend.errors import ConfigError, InputError, did_you_mean
from townsend.experiments.table.settings import TABLE_FILE, Description, TableSettings, load_table
from townsend.sweep.settings import SweepSettings

__all__ = ["TASK", "AnalysisSettings", "load_analysis", "sweep_of"]

TASK = "table"
_GIVEN = frozenset({"task", "sample", "task_settings", "seed"})
_OF_A_SWEEP = tuple(name for name in SweepSettings.model_fields if name not in _GIVEN)
DEFAULT_MODELS: Mapping[str, Mapping[str, Any]] = {
    "network": {
        "network": "dense",
        "space": {
            "layers": ["32 16"],
            "activations": ["relu sigmoid"],
            "dropout": [0.0],
            "optimizer": ["adam"],
            "batch_size": [256],
        },
        "epochs": 100,
        "patience": 10,
    },
    "boosting": {"network": "gradient_boosting", "space": {"max_iter": [200], "n_iter_no_change": [10]}},
    "logistic": {"network": "logistic", "space": {"C": [1.0]}},
}
"""What is trained where a table alone is given."""


class AnalysisSettings(Closed):
    """A table, and the models that are trained on it."""

    table: dict[str, JsonValue] | str | None = Field(
        None,
        description="the table itself, or the name of its file or folder; null: the command line names it",
    )
    models: dict[str, dict[str, JsonValue]] = Field(
        min_length=1, description="name -> settings of a sweep: network, space, epochs and such; the best is chosen"
    )
    reference: str | None = Field(None, description="model that the others are compared with; the first when null")
    task_settings: dict[str, JsonValue] = Field(default_factory=dict, description="settings of the table task")
    seed: int = Field(1, ge=0, lt=1 << 63, description="decides sets, configurations, weights and batches")

    @field_validator("models")
    @classmethod
    def _known(cls, value: dict[str, dict[str, JsonValue]]) -> dict[str, dict[str, JsonValue]]:
        for name, model in value.items():
            if not name.replace("-", "").replace("_", "").isalnum() or len(name) > 64:
                msg = f'names of models must be made of letters, digits, "-" and "_" (got "{name[:80]}"); rename it'
                raise ValueError(msg)
            for key in model:
                if key not in _OF_A_SWEEP:
                    hint = did_you_mean(key, _OF_A_SWEEP)
                    msg = f'settings of model "{name}" must be those of a sweep (got "{key}"){hint}'
                    raise ValueError(msg)
        return value


def load_analysis(path: Path, table: Path | None = None) -> tuple[AnalysisSettings, Description]:
    """Return what is trained, and on which table.

    Arguments:
        path: YAML of an analysis; of a table alone, or a folder with one: the models are then `DEFAULT_MODELS`.
        table: in place of the table that the analysis names.

    Raises InputError when a file cannot be read or there is no table, ConfigError on an unknown key or a bad value.
    """
    document = None if path.is_dir() else load_yaml(path)
    if document is None or "models" not in document.data:
        if table is not None:
            msg = f"{path} must be an analysis with `models` where another table is given (it is a table); name one"
            raise InputError(msg)
        return AnalysisSettings(models={name: dict(one) for name, one in DEFAULT_MODELS.items()}), load_table(path)
    settings = parse(AnalysisSettings, document)
    if settings.reference is not None and settings.reference not in settings.models:
        hint = did_you_mean(settings.reference, settings.models)
        msg = f'reference must be one of the models (got "{settings.reference}"){hint}'
        raise ConfigError(msg)
    if table is not None:
        return settings, load_table(table)
    if settings.table is None:
        msg = f"an analysis needs a table ({path} names none); say --table FILE, or a folder that holds {TABLE_FILE}"
        raise InputError(msg)
    folder = path.absolute().parent
    if isinstance(settings.table, str):
        return settings, load_table(folder / settings.table)
    lines = {place[1:]: line for place, line in document.lines.items() if place[:1] == ("table",) and len(place) > 1}
    inner = Document(document.data["table"], document.path, lines)
    return settings, Description(parse(TableSettings, inner), folder)


def sweep_of(settings: AnalysisSettings, name: str, sample: Path) -> SweepSettings:
    """Return the sweep of one model.

    Raises ConfigError on a bad value in its settings, naming the model.
    """
    given = {
        **settings.models[name],
        "task": TASK,
        "sample": str(sample),
        "task_settings": dict(settings.task_settings),
        "seed": settings.seed,
    }
    try:
        return parse(SweepSettings, given)
    except ConfigError as error:
        msg = f"models.{name}.{error}"
        raise ConfigError(msg) from None
