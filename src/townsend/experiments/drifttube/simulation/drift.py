"""Drift of electrons to the wire of a round tube: how long it takes, how much that spreads, who is lost on the way.

The field is E(r) = V / (r ln(R/a)). An electron moves inwards with the drift velocity v and diffuses; diffusion across
the field, D_T, adds D_T / r outwards (a two-dimensional Bessel process). Mean, variance and third moment of the time
to the wire then follow from the backward Kolmogorov equations of that process (C. W. Gardiner, Handbook of Stochastic
Methods, 5.2), each of the form D_L y' = (v - D_T / r) y - g for the derivative y of a moment along r.

Poor approximations: beyond its third moment the distribution of times is not followed; no electron diffuses to the
wall.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.gas import Gas, load_gas
from townsend.experiments.drifttube.simulation.settings import DriftSettings, TubeSettings

__all__ = ["DriftRelation", "drift_relation", "field_V_per_cm", "survive"]

Floats = NDArray[np.float64]

_POINTS = 4000


@dataclass(frozen=True)
class DriftRelation:
    """Distribution of the drift time on a grid of radii.

    Arguments:
        radius_cm: (points,) ascending from the wire's surface to the wall.
        time_ns, spread_ns: (points,) mean and standard deviation.
        skewness: (points,) third central moment over the cube of the standard deviation.
        attached: (points,) mean number of attachments on the way, which an electron survives with exp(-attached).
    """

    radius_cm: Floats
    time_ns: Floats
    spread_ns: Floats
    skewness: Floats
    attached: Floats

    def time(self, radius_cm: Floats) -> Floats:
        """Return the mean drift time [ns] from each radius [cm]."""
        return np.interp(radius_cm, self.radius_cm, self.time_ns)

    def spread(self, radius_cm: Floats) -> Floats:
        """Return the standard deviation [ns] of the drift time from each radius [cm]."""
        return np.interp(radius_cm, self.radius_cm, self.spread_ns)

    def draw(self, radius_cm: Floats, random: np.random.Generator) -> Floats:
        """Return one drift time [ns], not negative, for an electron at each radius [cm].

        A normal number z is skewed to z + skewness (z^2 - 1) / 6 (E. A. Cornish, R. A. Fisher 1937, first order).
        """
        z = random.standard_normal(len(radius_cm))
        return _skewed(z, radius_cm, self.radius_cm, self.time_ns, self.spread_ns, self.skewness)


@njit(cache=True)
def _skewed(z: Floats, at: Floats, radius: Floats, time: Floats, spread: Floats, skewness: Floats) -> Floats:
    """Return times of normal numbers; three interpolations that look up the radius once."""
    drawn = np.empty_like(z)
    for i in range(len(z)):
        right = min(max(np.searchsorted(radius, at[i]), 1), len(radius) - 1)
        share = min(max((at[i] - radius[right - 1]) / (radius[right] - radius[right - 1]), 0.0), 1.0)
        mean = (1 - share) * time[right - 1] + share * time[right]
        width = (1 - share) * spread[right - 1] + share * spread[right]
        skew = (1 - share) * skewness[right - 1] + share * skewness[right]
        drawn[i] = max(mean + width * (z[i] + skew * (z[i] ** 2 - 1) / 6), 0.0)
    return drawn


def field_V_per_cm(radius_cm: Floats, tube: TubeSettings) -> Floats:
    """Return the field at each radius of a coaxial tube."""
    return np.asarray(tube.voltage_V / (radius_cm * np.log(tube.inner_radius_cm / tube.wire_radius_cm)))


def drift_relation(tube: TubeSettings) -> DriftRelation:
    """Integrate the drift relation of a tube.

    Raises InputError when the field leaves the gas table.
    """
    gas = load_gas(tube.gas)
    radius = np.geomspace(tube.wire_radius_cm, tube.inner_radius_cm, _POINTS)
    field = field_V_per_cm(radius, tube)
    _check_field(field, gas)
    v = gas.smooth(gas.velocity_cm_per_ns, field)
    along = gas.smooth(gas.sigma_l, field) ** 2 * v / 2
    inwards = v - gas.smooth(gas.sigma_t, field) ** 2 * v / (2 * radius)

    def moment(source: Floats) -> Floats:
        return np.asarray(_slope(radius, along, inwards, source))

    mean = moment(np.ones(_POINTS))
    variance = moment(2 * along * mean**2)
    third = moment(6 * along * mean * variance)
    time, spread, third = (cumulative_trapezoid(slope, radius, initial=0) for slope in (mean, variance, third))
    attached = cumulative_trapezoid(gas.coefficient(gas.attachment_per_cm, field), radius, initial=0)
    with np.errstate(invalid="ignore"):  # 0 / 0 on the wire
        skewness = np.nan_to_num(third / spread**1.5)
    return DriftRelation(radius, time, np.sqrt(spread), skewness, attached)


def _check_field(field: Floats, gas: Gas) -> None:
    lowest, highest = gas.field_V_per_cm[0], gas.field_V_per_cm[-1]
    if field[-1] < lowest or field[0] > highest:
        msg = (
            f"the field must stay inside the gas table, {lowest:g} to {highest:g} V/cm (got {field[-1]:.0f} at the "
            f"wall and {field[0]:.0f} at the wire); change voltage_V or the radii"
        )
        raise InputError(msg)


@njit(cache=True)
def _slope(radius: Floats, diffusion: Floats, inwards: Floats, source: Floats) -> Floats:
    """Solve diffusion y' = inwards y - source from the wall inwards, by implicit steps.

    Outwards, rounding would grow as exp(v r / D); inwards every start falls onto the one smooth solution.
    """
    y = np.empty_like(radius)
    y[-1] = source[-1] / inwards[-1]
    for i in range(len(radius) - 2, -1, -1):
        step = (radius[i + 1] - radius[i]) / diffusion[i]
        y[i] = (y[i + 1] + step * source[i]) / (1 + step * inwards[i])
    return y


def survive(
    relation: DriftRelation, drift: DriftSettings, radius_cm: Floats, time_ns: Floats, random: np.random.Generator
) -> NDArray[np.bool_]:
    """Return for each electron whether it reaches the wire: neither attached nor lost in its lifetime."""
    if relation.attached[-1] == 0 and drift.electron_lifetime_ns is None:
        return np.ones(len(radius_cm), np.bool_)
    losses = np.interp(radius_cm, relation.radius_cm, relation.attached)
    if drift.electron_lifetime_ns is not None:
        losses = losses + time_ns / drift.electron_lifetime_ns
    return random.random(len(radius_cm)) < np.exp(-losses)
