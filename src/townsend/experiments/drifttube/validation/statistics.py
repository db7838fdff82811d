"""Means, quantiles and shares of numbers that belong to tracks, with errors by resampling whole tracks.

What to use when
----------------
- `figures_of`: the figures of a sample.
- `Resampling`: their spread when the tracks of the reference are drawn anew; one object serves all quantities.
- `compare`: rows of all figures of a quantity, ours against the reference.

The reference has its own impact parameters, and ours is simulated at the same ones, many times. So what is left to
chance is what happens at a given impact parameter: tracks are drawn anew within strata of neighbours in |b|, n - 1 of
n and weighted up by n / (n - 1), which leaves the variance of a mean without bias (J. N. K. Rao and C. F. J. Wu, J.
Am. Stat. Assoc. 83 (1988) 231, doi:10.1080/01621459.1988.10478591). Our own error is seen from the spread of whole
copies of the reference's tracks. A poor approximation for quantiles among few or tied values.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.validation.verdicts import Label, Row, interval_row

__all__ = ["DECILES", "Figure", "Resampling", "Values", "compare", "figures_of"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RESAMPLES = 400
STRATUM = 25  # tracks whose impact parameters count as one
_CHUNK = 4_000_000  # running sums held at a time


@dataclass(frozen=True)
class Figure:
    """A number that describes a distribution.

    Arguments:
        kind: the mean; the value below which a share `level` lies; the share at or below the value `level`.
    """

    kind: Literal["mean", "quantile", "share"]
    level: float = 0.0

    def name(self, quantity: str, unit: str) -> str:
        """Return how a row calls this figure of a quantity."""
        if self.kind == "mean":
            return f"{quantity}, mean"
        if self.kind == "quantile":
            return f"{quantity}, {100 * self.level:g} % quantile"
        return f"{quantity}, share up to {self.level:g}{' ' if unit else ''}{unit}"


DECILES = (Figure("mean"), Figure("quantile", 0.1), Figure("quantile", 0.5), Figure("quantile", 0.9))


class Values(NamedTuple):
    """(n,) numbers, and (n,) the track of each, counted from 0."""

    value: Floats
    track: Ints


def figures_of(values: Values, figures: Sequence[Figure]) -> Floats:
    """Return (figures,) the figures of a sample; NaN where it is empty."""
    return np.asarray(_weighted(values, np.ones((1, int(values.track.max(initial=0)) + 1)), figures)[0])


def _weighted(values: Values, weights: Floats, figures: Sequence[Figure]) -> Floats:
    """Return (samples, figures) for each row of (samples, tracks) weights."""
    order = np.argsort(values.value)
    value, track = values.value[order], values.track[order]
    tracks = weights.shape[1]
    total = weights @ np.bincount(track, minlength=tracks)
    found = np.full((len(weights), len(figures)), np.nan)
    if not len(value):
        return found
    for column, figure in enumerate(figures):
        if figure.kind != "quantile":
            number = value if figure.kind == "mean" else (value <= figure.level).astype(np.float64)
            found[:, column] = weights @ np.bincount(track, weights=number, minlength=tracks) / total
    quantiles = [column for column, figure in enumerate(figures) if figure.kind == "quantile"]
    rows = max(1, _CHUNK // len(value)) if quantiles else len(weights)
    for start in range(0, len(weights) if quantiles else 0, rows):
        running = np.cumsum(weights[start : start + rows][:, track], axis=1)
        for row, sums in enumerate(running, start):
            wanted = np.array([figures[column].level for column in quantiles]) * sums[-1]
            place = np.minimum(np.searchsorted(sums, wanted), len(value) - 1)
            found[row, quantiles] = value[place]
    return found


class Resampling:
    """Weights of tracks in bootstrap samples, drawn within strata of neighbours in |b|.

    Arguments:
        impact_cm: (tracks,) impact parameters, at least two.
        seed: of the draws.
        resamples: number of samples.
    """

    def __init__(self, impact_cm: Floats, seed: int, resamples: int = RESAMPLES) -> None:
        random = np.random.default_rng(seed)
        near = np.argsort(np.abs(impact_cm), kind="stable")
        self.weights = np.zeros((resamples, len(impact_cm)))
        for members in np.array_split(near, max(1, len(near) // STRATUM)):
            size = len(members)
            drawn = random.integers(0, size, (resamples, size - 1))
            counts = np.zeros((resamples, size))
            np.add.at(counts, (np.arange(resamples)[:, None], drawn), size / (size - 1))
            self.weights[:, members] = counts
        self.normal = random.standard_normal(resamples)

    def figures(self, values: Values, figures: Sequence[Figure]) -> Floats:
        """Return (resamples, figures) the figures in every bootstrap sample."""
        return _weighted(values, self.weights, figures)


def compare(
    label: Label,
    reference: Values,
    ours: Sequence[Values],
    resampling: Resampling,
    figures: Sequence[Figure],
    limit: float,
    notes: Sequence[str] = (),
) -> list[Row]:
    """Return a row for every figure of a quantity.

    Arguments:
        label: its quantity is the name of the distribution.
        reference: of the reference's tracks; ours: of copies of its tracks, at least two.
        resampling: of the reference's tracks.
        figures: what is compared.
        limit: of the whole 95 % interval of the ratio, in per cent.
        notes: one a figure, or none.
    """
    theirs = figures_of(reference, figures)
    drawn = resampling.figures(reference, figures)
    copies = np.array([figures_of(values, figures) for values in ours])
    value, error = copies.mean(axis=0), copies.std(axis=0, ddof=1) / np.sqrt(len(copies))
    rows = []
    for i, figure in enumerate(figures):
        spread = 100 * ((value[i] + error[i] * resampling.normal) / drawn[:, i] - 1)
        alone = 100 * value[i] / drawn[:, i]
        low, high = (float(end) for end in np.quantile(spread, [0.025, 0.975]))
        below, above = np.quantile(alone, [0.025, 0.975])
        rows.append(
            interval_row(
                Label(label.group, figure.name(label.quantity, label.unit), label.population, _unit(figure, label)),
                (float(theirs[i]), float(drawn[:, i].std(ddof=1))),
                (float(value[i]), float(error[i])),
                (low, high),
                float(above - below) / 2,
                limit,
                note=notes[i] if notes else "",
            )
        )
    return rows


def _unit(figure: Figure, label: Label) -> str:
    return "" if figure.kind == "share" else label.unit
