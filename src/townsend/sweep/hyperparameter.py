"""What a space may say of one hyperparameter, closed: a list, a range, a condition, a tie.

What to use when
----------------
- `Range`: numbers between two ends; with a step it is a list written short.
- `Values`: a list that holds under a condition.
- `Tied`: always the value of another hyperparameter.
- `listed`: the values of a list, however it is written.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Annotated, Any

from pydantic import Discriminator, Field, Tag, model_validator

from townsend.config import Closed

__all__ = ["Choice", "Hyperparameter", "Range", "Space", "Tied", "Values", "listed"]

Choice = str | bool | int | float
Condition = dict[str, Annotated[list[Choice], Field(min_length=1)]]

_MOST_STEPS = 10_000
_WHEN = "other hyperparameter -> list of its values; all must hold, else this one is left out or is `otherwise`"
_OTHERWISE = "value when the condition does not hold; left out when null"


class _Conditional(Closed):
    """May be bound to a condition."""

    when: Annotated[Condition, Field(min_length=1)] | None = Field(None, description=_WHEN)
    otherwise: Choice | None = Field(None, description=_OTHERWISE)

    @model_validator(mode="after")
    def _otherwise_needs_a_condition(self) -> _Conditional:
        if self.otherwise is not None and self.when is None:
            msg = f"otherwise needs a condition (got {self.otherwise!r} without `when`); add `when` or leave it out"
            raise ValueError(msg)
        return self


class Range(_Conditional):
    """An interval of numbers, for every sampler but grid; with a step it is a list, for grid too."""

    low: float | int = Field(description="smallest value")
    high: float | int = Field(description="largest value")
    log: bool = Field(False, description="draw evenly in the logarithm")
    step: float | int | None = Field(None, gt=0, description="take low, low + step, ... up to high, as a list would")

    @model_validator(mode="after")
    def _ordered(self) -> Range:
        if not self.low < self.high:
            msg = f"low must be below high (got {self.low} and {self.high}); swap them, or list one value"
            raise ValueError(msg)
        if self.log and self.low <= 0:
            msg = f"low must be above 0 when log is true (got {self.low}); raise it, or leave log out"
            raise ValueError(msg)
        if self.log and self.step is not None:
            msg = f"step must be left out when log is true (got {self.step}); list the values instead"
            raise ValueError(msg)
        if self.step is not None and not 1 <= (self.high - self.low) / self.step < _MOST_STEPS:
            msg = f"step must give 2 to {_MOST_STEPS} values from low to high (got {self.step}); change it"
            raise ValueError(msg)
        return self


class Values(_Conditional):
    """A list of values that may be bound to a condition."""

    values: list[Choice] = Field(min_length=1, description="as in a list without a condition")


class Tied(Closed):
    """A hyperparameter that always has the value of another one, and is left out where that one is."""

    same_as: str = Field(description="name of the other hyperparameter")


def _kind(value: Any) -> str:
    """Return which of the forms a value is meant to be, so that a fault in it is reported in its own terms."""
    if isinstance(value, Tied | Values | Range):
        return type(value).__name__
    if not isinstance(value, Mapping):
        return "list"
    return "Tied" if "same_as" in value else "Values" if "values" in value else "Range"


Hyperparameter = Annotated[
    Annotated[list[Choice], Field(min_length=1), Tag("list")]
    | Annotated[Range, Tag("Range")]
    | Annotated[Values, Tag("Values")]
    | Annotated[Tied, Tag("Tied")],
    Discriminator(_kind),
]

Space = Mapping[str, Sequence[Choice] | Range | Values | Tied]


def listed(form: Sequence[Choice] | Range | Values) -> Sequence[Choice] | None:
    """Return the values of a list, of `Values` or of a range with a step; None of a range without one."""
    if isinstance(form, Values):
        return form.values
    if not isinstance(form, Range):
        return form
    if form.step is None:
        return None
    low, high, step = (Decimal(str(number)) for number in (form.low, form.high, form.step))
    number = type(form.low + form.step)
    return [number(low + index * step) for index in range(int((high - low) / step) + 1)]
