"""Rows of the comparison with Garfield++, and the rules by which each gets its verdict.

What to use when
----------------
- `point_row`: one number whose best value must lie within a limit.
- `worst_row`: many such numbers (radii, momenta), shown by the worst of them; all of them go into `Row.points`.
- `interval_row`: a ratio whose whole 95 % interval must lie within the limit.

The rules, which hold for every row. `ok`: what was demanded is so. `FAIL`: it is not so, and the reference is good
enough to say that. `undecided`: it is not so, but the statistics of the reference alone may be the reason.

- A best value beyond its limit fails when the limit lies outside the 95 % interval of the reference about that value.
- An interval that reaches beyond its limit fails when the best value is beyond it too and zero is outside the interval,
  or when the reference alone is known to half the limit or better, for then a perfect simulation would hold it in 19
  cases of 20.

So a perfect simulation fails a row in at most one case in twenty, in most rows practically never; and an error of the
simulation of twice the limit fails wherever the reference can see it. More tracks of ours do not mend an undecided
row.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np

from townsend.errors import InputError

__all__ = ["SIGMAS_95", "Judgement", "Row", "interval_row", "point_row", "worst_row"]

SIGMAS_95 = 1.96
"""Half of a 95 % interval in standard deviations."""


class Judgement(Enum):
    """What a row says, in order of gravity."""

    OK = "ok"
    UNDECIDED = "undecided"
    FAIL = "FAIL"


@dataclass(frozen=True)
class Row:
    """One comparison.

    Arguments:
        group, quantity, population: what is compared, and of which tracks, clusters or electrons.
        reference, reference_error, ours, ours_error: values with one standard deviation, in `unit`; an error of 0
            stands for a number that has none.
        difference: ours against the reference in `of_limit`.
        low, high: ends of the 95 % interval of the difference, both errors in it.
        reference_half: half of the 95 % interval that the reference alone would leave.
        limit: largest difference that holds; unit `of_limit`, "%" or "ns".
        judgement: verdict; note: why, and what should be known beside it.
        points: the rows behind a summary, none for a plain row.
    """

    group: str
    quantity: str
    population: str
    unit: str
    reference: float
    reference_error: float
    ours: float
    ours_error: float
    difference: float
    low: float
    high: float
    reference_half: float
    limit: float
    of_limit: str
    judgement: Judgement
    note: str = ""
    points: tuple[Row, ...] = ()


@dataclass(frozen=True)
class Label:
    """What a row is about: group, quantity, population and the unit of its values."""

    group: str
    quantity: str
    population: str
    unit: str


def point_row(
    label: Label,
    reference: tuple[float, float],
    ours: tuple[float, float],
    limit: float,
    *,
    absolute: bool = False,
    whole: float | None = None,
    errors_in_limit: bool = False,
    note: str = "",
) -> Row:
    """Return the row of a number whose best value must lie within `limit` of the reference.

    Arguments:
        reference, ours: value and standard deviation.
        limit: in per cent of `whole`, or in the unit of the values where `absolute`.
        whole: what counts as 100 %; None for the reference's value.
        errors_in_limit: the limit was widened by the errors already, so nothing is left undecided.
    """
    scale, unit = (1.0, label.unit) if absolute else (100 / abs(whole or reference[0]), "%")
    difference = scale * (ours[0] - reference[0])
    reference_half = SIGMAS_95 * scale * reference[1]
    half = SIGMAS_95 * scale * float(np.hypot(reference[1], ours[1]))
    if not np.isfinite(difference):
        judgement, reason = Judgement.FAIL, "ours is not a number"
    elif abs(difference) <= limit:
        judgement, reason = Judgement.OK, ""
    elif abs(difference) <= limit + reference_half and not errors_in_limit:
        judgement, reason = Judgement.UNDECIDED, _known_to(reference_half, unit)
    else:
        judgement, reason = Judgement.FAIL, ""
    return Row(
        **vars(label),
        reference=reference[0],
        reference_error=reference[1],
        ours=ours[0],
        ours_error=ours[1],
        difference=difference,
        low=difference - half,
        high=difference + half,
        reference_half=reference_half,
        limit=limit,
        of_limit=unit,
        judgement=judgement,
        note=_sentences(reason, note),
    )


def worst_row(label: Label, points: Sequence[Row], *, note: str = "") -> Row:
    """Return the summary of many point rows: the worst of them, named, with the gravest of their verdicts.

    Raises InputError when there is no point.
    """
    if not points:
        msg = f"{label.quantity}, {label.population}: there must be at least one point (got none); check the reference"
        raise InputError(msg)
    gravity = list(Judgement)
    worst = max(points, key=lambda row: (gravity.index(row.judgement), _used(row)))
    counts = [(kind, sum(row.judgement is kind for row in points)) for kind in Judgement]
    said = ", ".join(f"{number} {kind.value}" for kind, number in counts if number)
    fields = vars(worst) | vars(label)
    fields["note"] = _sentences(f"worst at {worst.population}; {said}", worst.note, note)
    fields["points"] = tuple(points)
    return Row(**fields)


def _used(row: Row) -> float:
    """Return the share of its limit that a row uses up."""
    return abs(row.difference) / row.limit if np.isfinite(row.difference) else np.inf


def interval_row(
    label: Label,
    reference: tuple[float, float],
    ours: tuple[float, float],
    interval: tuple[float, float],
    reference_half: float,
    limit: float,
    *,
    note: str = "",
) -> Row:
    """Return the row of a ratio whose 95 % interval must lie within `limit`.

    Arguments:
        reference, ours: value and standard deviation.
        interval: of 100 (ours / reference - 1).
        reference_half: half of the interval that the reference alone would leave, in per cent.
        limit: in per cent.
    """
    low, high = interval
    difference = 100 * (ours[0] / reference[0] - 1)
    if -limit <= low and high <= limit:
        judgement, reason = Judgement.OK, ""
    elif abs(difference) > limit and not low <= 0 <= high:
        judgement, reason = Judgement.FAIL, "the value is beyond the limit"
    elif not reference_half > limit / 2:
        judgement, reason = Judgement.FAIL, "the interval reaches beyond the limit"
    else:
        judgement = Judgement.UNDECIDED
        where = "within" if abs(difference) <= limit else "beyond"
        reason = f"{_known_to(reference_half, '%')}; the value is {where} the limit"
    return Row(
        **vars(label),
        reference=reference[0],
        reference_error=reference[1],
        ours=ours[0],
        ours_error=ours[1],
        difference=difference,
        low=low,
        high=high,
        reference_half=reference_half,
        limit=limit,
        of_limit="%",
        judgement=judgement,
        note=_sentences(reason, note),
    )


def _known_to(half: float, unit: str) -> str:
    return f"the reference itself is known to ±{half:.2g} {unit}"


def _sentences(*parts: str) -> str:
    return "; ".join(part for part in parts if part)
