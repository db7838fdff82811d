"""What the table task can be told, and what a model trained by it must carry to be applied."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from townsend.config import Closed
from townsend.experiments.table.settings import Description, FriendSettings, TableSettings

__all__ = ["Criterion", "TableFacts", "TableTaskSettings", "facts_of", "feature_settings"]

Criterion = Literal[
    "corner_distance",
    "youden",
    "accuracy",
    "f1",
    "efficiency_x_purity",
    "s_over_sqrt_s_plus_b",
    "s_over_sqrt_b",
    "asimov",
    "asimov_with_error",
]
"""Names of `townsend.evaluate.thresholds.CRITERIA`."""


class TableTaskSettings(Closed):
    """Sets, weights in training and working point of the table task."""

    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the events, or groups, for training")
    validation_fraction: float = Field(0.25, gt=0, lt=1, description="share that selects; the rest is the test set")
    balance: bool | None = Field(
        None, description="give all classes the same summed weight in training; null: where the table has weights"
    )
    threshold: Criterion | float = Field(
        "corner_distance", description="how the working point is chosen on validation, or a score in its place"
    )
    background_uncertainty: float = Field(
        0.1, ge=0, description="relative uncertainty of the background, for threshold: asimov_with_error"
    )

    @model_validator(mode="after")
    def _a_test_set_remains(self) -> Self:
        taken = self.train_fraction + self.validation_fraction
        if taken >= 1:
            msg = f"train_fraction + validation_fraction must stay below 1 (got {taken:g}); the rest is the test set"
            raise ValueError(msg)
        return self

    @property
    def fractions(self) -> dict[str, float]:
        """Return set -> share, for `townsend.sample.splits.split_groups`."""
        train, validation = self.train_fraction, self.validation_fraction
        return {"train": train, "validation": validation, "test": 1 - train - validation}


class Scaling(Closed):
    """Mean and spread of each feature in training, by which a network's inputs are shifted and divided."""

    mean: tuple[float, ...]
    scale: tuple[float, ...]


class TableFacts(Closed):
    """What a model must know to be applied to other files; written into the arrays and the model card."""

    features: tuple[str, ...]
    expressions: dict[str, str]
    units: dict[str, str]
    aliases: dict[str, str]
    cuts: tuple[str, ...]
    columns: tuple[str, ...] | None
    tree: str | None
    friends: tuple[FriendSettings, ...]
    classes: tuple[str, ...]
    weighted: bool
    balanced: bool
    luminosity_per_fb: float | None
    events: dict[str, int]
    yields: dict[str, tuple[float, float]]
    scaling: Scaling
    threshold: Criterion | float
    background_uncertainty: float
    input: str = "the features, in their order and units; shifting and scaling are part of the model"
    output: str = "a score for each event, larger for the last class"


def feature_settings(facts: TableFacts) -> TableSettings:
    """Return the settings that read the same features and cuts from other files, whose events have no class."""
    return TableSettings.model_construct(
        files=(),
        tree=facts.tree,
        friends=facts.friends,
        columns=facts.columns,
        aliases=facts.aliases,
        cuts=facts.cuts,
        features=facts.expressions,
        units=facts.units,
        weight=None,
        group=None,
        luminosity_per_fb=None,
        classes={},
        most_events=0,
    )


def facts_of(description: Description) -> dict[str, object]:
    """Return what of a table's settings becomes facts."""
    settings = description.settings
    return {
        "features": tuple(settings.expressions),
        "expressions": settings.expressions,
        "units": settings.units,
        "aliases": settings.aliases,
        "cuts": settings.cuts,
        "columns": settings.columns,
        "tree": settings.tree,
        "friends": settings.friends,
        "classes": tuple(settings.classes),
        "weighted": settings.weighted,
        "luminosity_per_fb": settings.luminosity_per_fb,
    }
