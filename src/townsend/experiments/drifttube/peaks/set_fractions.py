"""How both tasks share a sample out to disjoint sets; one definition, since one task must know the other's test set."""

from __future__ import annotations

from typing import Self

from pydantic import Field, model_validator

from townsend.config import Closed

__all__ = ["SetFractions"]


class SetFractions(Closed):
    """Shares of the waveforms of a sample; what training and validation leave is the test set."""

    train_fraction: float = Field(0.5, gt=0, lt=1, description="share of the waveforms for training")
    validation_fraction: float = Field(0.2, gt=0, lt=1, description="share of the waveforms that select")

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
