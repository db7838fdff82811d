"""Whether a selection of eta -> e+ e- gamma leaves the shape of its mass alone, and what it does to background.

What to use when
----------------
- `signal_shape`: the verdict, with efficiency, width, shift and signal to background before and after.

The question needs the true channel, so it is asked of simulated decays. A selection that looks at momenta and energies
is never quite independent of the mass, so "undisturbed" means by no more than the tolerances below, which are choices:
`WIDTH_TOLERANCE` and `SHIFT_TOLERANCE` of the width, `DISTANCE_TOLERANCE` between the cumulative distributions. Too few
decays to see as much are called undecided, never undisturbed.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import ks_2samp, norm

from townsend.errors import InputError
from townsend.evaluate.bootstrap import BOOTSTRAP_SEED
from townsend.evaluate.verdict import Verdict
from townsend.tasks.base import Metric

__all__ = ["DISTANCE_TOLERANCE", "SHIFT_TOLERANCE", "WIDTH_TOLERANCE", "WINDOW_GEV", "SignalShape", "signal_shape"]

Floats = NDArray[np.float64]

WIDTH_TOLERANCE = 0.05
"""Largest relative change of the width."""
SHIFT_TOLERANCE = 0.05
"""Largest shift of the median, in widths."""
DISTANCE_TOLERANCE = 0.02
"""Largest distance between the cumulative distributions; a normal one that shifts by 0.05 widths moves by as much."""

WINDOW_GEV = (0.5, 0.6)
"""About the eta, some two widths on either side."""
_ERRORS = 2.0  # standard deviations by which a tolerance must be exceeded
_LARGEST_P = 0.01  # and p value below which the distributions differ at all
_LEAST = 20  # decays on either side, below which a width means nothing
_LOW, _HIGH = norm.cdf([-1.0, 1.0])


@dataclass(frozen=True)
class SignalShape:
    """What a selection does to the mass spectrum.

    Arguments:
        verdict: whether the signal's shape is undisturbed.
        signal, background: decays before the selection; signal_selected, background_selected: behind it.
        efficiency, background_efficiency: shares that are selected.
        median_GeV, width_GeV: of all signal; the width is half of the central 68.27 %.
        width_ratio: width of the selected over that of all signal.
        shift_GeV: median of the selected minus that of all signal.
        distance: of Kolmogorov and Smirnov, between selected and all signal.
        p_value: of a distance as large between selected and rejected signal, which share no decay, were the selection
            blind to the mass.
        ratio, ratio_selected: signal to background over all masses before and behind, None without background.
        window_GeV: masses for the same ratios, ratio_window and ratio_window_selected.
    """

    verdict: Verdict
    signal: int
    signal_selected: int
    background: int
    background_selected: int
    efficiency: Metric
    background_efficiency: Metric | None
    median_GeV: float
    width_GeV: float
    width_ratio: Metric
    shift_GeV: Metric
    distance: float
    p_value: float
    ratio: Metric | None
    ratio_selected: Metric | None
    window_GeV: tuple[float, float]
    ratio_window: Metric | None
    ratio_window_selected: Metric | None

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-like copy, figures as [value, error]."""
        return asdict(self)


def signal_shape(
    mass_GeV: ArrayLike,
    signal: ArrayLike,
    selected: ArrayLike,
    *,
    window_GeV: tuple[float, float] = WINDOW_GEV,
    resamples: int = 300,
    seed: int = BOOTSTRAP_SEED,
) -> SignalShape:
    """Compare the signal behind a selection with all signal.

    Arguments:
        mass_GeV: (n,) reconstructed masses, finite: give the decays that are reconstructed.
        signal: (n,) True for eta -> e+ e- gamma.
        selected: (n,) True for decays that pass, for example when both tracks are called electrons.
        window_GeV: masses for a second signal to background.
        resamples: of the signal, for the errors of width and shift, at least 2; seed: of the draws.

    Selected and all signal share decays: the p value compares selected with rejected. Errors of width ratio and shift
    are those of resampled decays, both widths from the same ones; those of ratios are of Poisson counts.
    Raises InputError for unequal lengths, masses that are not finite, or fewer than 20 selected signal decays.
    """
    mass, true, passed = np.asarray(mass_GeV, np.float64), np.asarray(signal, np.bool_), np.asarray(selected, np.bool_)
    if not len(mass) == len(true) == len(passed):
        lengths = f"{len(mass)}, {len(true)}, {len(passed)}"
        msg = f"masses, signal and selected must be of one length (got {lengths}); take them from the same decays"
        raise InputError(msg)
    unknown = int((~np.isfinite(mass)).sum())
    if unknown:
        msg = f"masses must be finite (got {unknown} that are not); leave out decays that are not reconstructed"
        raise InputError(msg)
    inside = (mass > window_GeV[0]) & (mass < window_GeV[1])
    own, kept = mass[true], passed[true]
    if kept.sum() < _LEAST:
        msg = f"a shape needs at least {_LEAST} selected signal decays (got {int(kept.sum())}); give more decays"
        raise InputError(msg)
    changes = _changes(own, kept, resamples, seed)
    ratios = [_ratio(true & cut, ~true & cut) for cut in (np.ones_like(true), passed, inside, inside & passed)]
    return SignalShape(
        verdict=_verdict(changes),
        signal=len(own),
        signal_selected=int(kept.sum()),
        background=int((~true).sum()),
        background_selected=int(passed[~true].sum()),
        efficiency=_share(kept),
        background_efficiency=_share(passed[~true]) if not true.all() else None,
        median_GeV=changes.median_GeV,
        width_GeV=changes.width_GeV,
        width_ratio=changes.width_ratio,
        shift_GeV=changes.shift_GeV,
        distance=changes.distance,
        p_value=changes.p_value,
        ratio=ratios[0],
        ratio_selected=ratios[1],
        window_GeV=window_GeV,
        ratio_window=ratios[2],
        ratio_window_selected=ratios[3],
    )


class _Changes(NamedTuple):
    median_GeV: float
    width_GeV: float
    width_ratio: Metric
    shift_GeV: Metric
    distance: float
    noise: float
    p_value: float


def _changes(mass: Floats, kept: NDArray[np.bool_], resamples: int, seed: int) -> _Changes:
    """Return how the selected decays differ from all, with errors."""
    order = np.argsort(mass, kind="stable")
    mass, kept = mass[order], kept[order]
    random = np.random.default_rng(seed)
    once = np.ones(len(mass), np.int64)
    median, width, ratio, shift = _shape(mass, kept, once)
    drawn = np.array(
        [
            _shape(mass, kept, np.bincount(random.integers(0, len(mass), len(mass)), minlength=len(mass)))
            for _ in range(resamples)
        ]
    )
    errors = drawn.std(axis=0, ddof=1)
    rejected = int((~kept).sum())
    distance, noise, p_value = 0.0, 0.0, 1.0
    if rejected:
        found = ks_2samp(mass[kept], mass[~kept], method="asymp")
        share = rejected / len(mass)  # selected - all = share of rejected x (selected - rejected)
        distance, p_value = share * float(found.statistic), float(found.pvalue)
        noise = share * float(np.sqrt(1 / kept.sum() + 1 / rejected))
    return _Changes(
        median, width, Metric(ratio, float(errors[2])), Metric(shift, float(errors[3])), distance, noise, p_value
    )


def _shape(mass: Floats, kept: NDArray[np.bool_], times: NDArray[np.int64]) -> tuple[float, ...]:
    """Return median and width of all, ratio of widths and shift of the selected; ascending, each counted `times`."""
    (low, median, high), (low_kept, median_kept, high_kept) = (
        _quantiles(mass, counted) for counted in (times, times * kept)
    )
    found = (median, (high - low) / 2, (high_kept - low_kept) / (high - low), median_kept - median)
    return tuple(float(figure) for figure in found)


def _quantiles(ascending: Floats, times: NDArray[np.int64]) -> Floats:
    """Return the lower edge, the median and the upper edge of the central 68.27 %."""
    below = np.cumsum(times)
    return np.asarray(ascending[np.searchsorted(below, np.array([_LOW, 0.5, _HIGH]) * below[-1])])


def _verdict(changes: _Changes) -> Verdict:
    ratio, shift = changes.width_ratio, changes.shift_GeV
    in_widths = Metric(shift.value / changes.width_GeV, shift.error / changes.width_GeV)
    figures = (
        f"width x {ratio.value:.3f} +- {ratio.error:.3f}, median {in_widths.value:+.3f} +- {in_widths.error:.3f} "
        f"widths, distance {changes.distance:.3f} (p {changes.p_value:.2g})"
    )
    disturbed = (
        _beyond(Metric(ratio.value - 1, ratio.error), WIDTH_TOLERANCE)
        or _beyond(in_widths, SHIFT_TOLERANCE)
        or (changes.distance > DISTANCE_TOLERANCE and changes.p_value < _LARGEST_P)
    )
    if disturbed:
        return Verdict(False, f"the selection disturbs the signal's shape: {figures}; look at what it depends on")
    blind = ratio.error > WIDTH_TOLERANCE or in_widths.error > SHIFT_TOLERANCE or changes.noise > DISTANCE_TOLERANCE
    if blind:
        return Verdict(False, f"undecided, the decays are too few: {figures}; give more")
    return Verdict(True, f"the signal's shape is undisturbed: {figures}")


def _beyond(change: Metric, tolerance: float) -> bool:
    return abs(change.value) - _ERRORS * change.error > tolerance


def _share(passed: NDArray[np.bool_]) -> Metric:
    value = float(passed.mean())
    return Metric(value, float(np.sqrt(value * (1 - value) / len(passed))))


def _ratio(signal: NDArray[np.bool_], background: NDArray[np.bool_]) -> Metric | None:
    s, b = int(signal.sum()), int(background.sum())
    if s == 0 or b == 0:
        return None
    return Metric(s / b, s / b * float(np.sqrt(1 / s + 1 / b)))
