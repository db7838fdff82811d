"""Event weights of either sign: checks, yields with their errors, effective size.

What to use when
----------------
- `checked_weights`: first, wherever weights come in; what it refuses cannot be judged.
- `yield_of`, `yields_by_class`: expected events, sum of w, with the error sqrt(sum of w^2).
- `effective_size`: how many events of weight one are worth as much.
- `summary_of`: how many weights are negative, and how much they cost; put it beside every table.

A generator beyond leading order gives weights of both signs. Only their sum means something, so they are summed with
their sign and never clipped, dropped or replaced by their size. Every figure of this package is a function of such
sums: with weights of one sign it is the usual one, with both signs it estimates the same quantity without bias,
scatters more, and may leave the range it has for counts (an efficiency above one, an AUC below zero).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError

__all__ = [
    "WeightSummary",
    "Yield",
    "cancelled",
    "checked_weights",
    "effective_size",
    "summary_of",
    "yield_of",
    "yields_by_class",
]

Floats = NDArray[np.float64]

_CANCELLED = 1e-12
"""A sum below this share of the sum of |w| is a rounding error of zero."""


class Yield(NamedTuple):
    """Expected events: sum of weights, and the statistical error of that sum (one standard deviation)."""

    value: float
    error: float


@dataclass(frozen=True)
class WeightSummary:
    """What the weights of a set are like.

    Arguments:
        kind: "none" (each event counts one), "positive" or "signed" (at least one is negative).
        events: number of events; negative: events of negative weight.
        negative_share: share of the negative weights in the sum of |w|.
        effective_size: as `effective_size`.
    """

    kind: str
    events: int
    negative: int
    negative_share: float
    effective_size: float

    @property
    def sentence(self) -> str:
        """Return the summary in words."""
        if self.kind == "none":
            return f"{self.events:,} events of weight one"
        worth = f"worth {self.effective_size:,.0f} events of weight one"
        if self.kind == "positive":
            return f"{self.events:,} events of positive weight, {worth}"
        share = f"{self.negative:,} of them negative with {100 * self.negative_share:.1f} % of the sum of |w|"
        return f"{self.events:,} events of signed weight, {share}, summed with their sign, {worth}"

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy."""
        return {**asdict(self), "sentence": self.sentence}


def checked_weights(weights: ArrayLike | None, examples: int, classes: ArrayLike | None = None) -> Floats:
    """Return flat float64 weights, ones for None.

    Arguments:
        weights: (examples,) finite, of either sign, or None.
        classes: (examples,) class of each event; given, the weights of each class must not sum to zero.

    Raises InputError when lengths differ, a weight is not finite, all are zero, or those of a class sum to zero (to
    rounding): no share, efficiency or AUC exists then.
    """
    if weights is None:
        return np.ones(examples)
    weight = np.asarray(weights, dtype=np.float64).reshape(-1)
    rule = "weights must be one finite number an example"
    if len(weight) != examples:
        msg = f"{rule} (got {len(weight)} for {examples}); check the column"
        raise InputError(msg)
    if not np.isfinite(weight).all():
        msg = f"{rule} (got {np.count_nonzero(~np.isfinite(weight))} NaN or infinite); check the column"
        raise InputError(msg)
    if not weight.any():
        msg = f"weights must not all be zero (got {examples} zeros); check the column"
        raise InputError(msg)
    if classes is not None:
        _no_class_cancels(weight, np.asarray(classes).reshape(-1))
    return weight


def _no_class_cancels(weight: Floats, classes: NDArray[Any]) -> None:
    for label in np.unique(classes):
        chosen = weight[classes == label]
        if cancelled(chosen):
            rule = f"weights of class {int(label)} must not sum to zero"
            got = f"got {chosen.sum():.3g} from a sum of |w| of {np.abs(chosen).sum():.3g}"
            msg = f"{rule} ({got}); check the signs or give more events"
            raise InputError(msg)


def cancelled(weight: Floats) -> bool:
    """Return whether weights sum to zero, but for rounding."""
    return bool(abs(weight.sum()) <= _CANCELLED * np.abs(weight).sum())


def effective_size(weights: ArrayLike) -> float:
    """Return (sum of w)^2 / (sum of w^2), the number of events of weight one with the same relative error.

    Kish, Survey Sampling (1965). Zero where all weights are zero. With weights of both signs it also counts what the
    signs cancel.
    """
    weight = np.asarray(weights, np.float64).reshape(-1)
    squares = float(weight @ weight)
    return float(weight.sum()) ** 2 / squares if squares > 0 else 0.0


def summary_of(weights: ArrayLike | None, examples: int) -> WeightSummary:
    """Return what the weights are like. Arguments: as `checked_weights`."""
    if weights is None:
        return WeightSummary("none", examples, 0, 0.0, float(examples))
    weight = checked_weights(weights, examples)
    negative = weight < 0
    share = float(-weight[negative].sum() / np.abs(weight).sum())
    kind = "signed" if negative.any() else "positive"
    return WeightSummary(kind, examples, int(negative.sum()), share, effective_size(weight))


def yield_of(weights: ArrayLike, group: ArrayLike | None = None) -> Yield:
    """Return the expected events of a selection.

    Arguments:
        weights: (n,) of the events selected, n may be zero.
        group: (n,) labels of dependent events (an event and its counter-events); their weights are summed first. None
            where events are independent.

    The error sqrt(sum of w^2) is that of a sum over a Poisson number of independent events or groups. It is a poor
    approximation for fewer than about ten effective events, and zero, not "less than something", for none.
    """
    weight = np.asarray(weights, np.float64).reshape(-1)
    if group is not None and len(weight):
        number = np.unique(group, return_inverse=True)[1].reshape(-1)
        weight = np.asarray(np.bincount(number, weights=weight), np.float64)
    return Yield(float(weight.sum()), float(np.sqrt(weight @ weight)))


def yields_by_class(
    weights: ArrayLike,
    labels: ArrayLike,
    classes: int,
    kept: ArrayLike | None = None,
    group: ArrayLike | None = None,
) -> tuple[Yield, ...]:
    """Return the expected events of each class 0 ... classes - 1, absent ones zero.

    Arguments:
        weights: (n,); labels: (n,) class indices.
        kept: (n,) True for events that pass the cuts so far, None for all; call it once a cut for a cut-flow.
        group: as `yield_of`.
    """
    weight, label = np.asarray(weights, np.float64).reshape(-1), np.asarray(labels).reshape(-1)
    passed = np.ones(len(weight), bool) if kept is None else np.asarray(kept, bool).reshape(-1)
    numbers = None if group is None else np.asarray(group).reshape(-1)
    return tuple(
        yield_of(weight[chosen], None if numbers is None else numbers[chosen])
        for chosen in (passed & (label == number) for number in range(classes))
    )
