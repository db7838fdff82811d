"""Charge that one avalanche induces on the wire of a coaxial tube.

What to use when
----------------
- `electron_share`: the part induced at once, by the electrons of the avalanche.
- `induced_charge`: the part that the ions have induced after a time.
- `gas_gain`: what the table of the gas says; a setting of the simulation overrules it.

By Ramo's theorem a charge that moves from r1 to r2 induces ln(r2 / r1) / ln(R / a) of itself. Ions are made where the
Townsend coefficient of the gas has multiplied the electrons. They drift outwards with mu E / sqrt(1 + E / E_s)
(L. S. Frost, Phys. Rev. 105 (1957) 354), at most with a highest velocity. The three constants were fitted to the mean
pulse of 4,928 avalanches in 250 Garfield++ events (He+ in helium), which they follow within 2.3 % of its highest bin of
1 ns. Those ions move in steps, which no velocity that rises with the field follows much better.

Poor approximations: every avalanche has the same shape; space charge is left out; real ions are mostly iC4H10+.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.drift import field_V_per_cm
from townsend.experiments.drifttube.simulation.gas import load_gas
from townsend.experiments.drifttube.simulation.settings import SignalSettings, TubeSettings

__all__ = ["electron_share", "gas_gain", "induced_charge"]

Floats = NDArray[np.float64]

_POINTS = 4000
_STARTS = 16  # radii that stand for all ions; with 64 the current changes by less than 0.2 % of its peak


def electron_share(tube: TubeSettings) -> float:
    """Return the share of the charge that the electrons of the avalanche induce, within 0.1 ns."""
    return float(np.mean(np.log(_ion_starts_cm(tube) / tube.wire_radius_cm)) / _log_ratio(tube))


def induced_charge(time_ns: Floats, tube: TubeSettings, signal: SignalSettings) -> Floats:
    """Return the share of an avalanche's charge induced by ions up to each time [ns] (0 before the arrival)."""
    radius = np.geomspace(tube.wire_radius_cm, tube.inner_radius_cm, _POINTS)
    field = field_V_per_cm(radius, tube)
    velocity_cm_per_s = signal.ion_mobility_cm2_per_Vs * field / np.sqrt(1 + field / signal.ion_saturation_V_per_cm)
    velocity_cm_per_s = np.minimum(velocity_cm_per_s, 1e6 * signal.ion_velocity_cm_per_us)
    on_the_way_ns = cumulative_trapezoid(1e9 / velocity_cm_per_s, radius, initial=0)
    induced = np.zeros_like(time_ns)
    for start in _ion_starts_cm(tube):
        left_ns = np.interp(start, radius, on_the_way_ns)
        reached = np.interp(left_ns + np.maximum(time_ns, 0.0), on_the_way_ns, radius)
        induced += np.log(np.maximum(reached / start, 1.0)) / _log_ratio(tube)
    return induced / _STARTS


def gas_gain(tube: TubeSettings) -> float:
    """Return the mean gain that the Townsend coefficient of the gas table gives, without Penning transfers."""
    _, multiplied = _multiplication(tube)
    return float(np.exp(multiplied[0]))


def _log_ratio(tube: TubeSettings) -> float:
    return float(np.log(tube.inner_radius_cm / tube.wire_radius_cm))


def _multiplication(tube: TubeSettings) -> tuple[Floats, Floats]:
    """Return radii and the logarithm of the number of electrons that one from the wall has become there."""
    gas = load_gas(tube.gas)
    radius = np.geomspace(tube.wire_radius_cm, tube.inner_radius_cm, _POINTS)
    townsend = gas.coefficient(gas.townsend_per_cm, field_V_per_cm(radius, tube))
    from_wire = cumulative_trapezoid(townsend, radius, initial=0)
    return radius, from_wire[-1] - from_wire


def _ion_starts_cm(tube: TubeSettings) -> Floats:
    """Return radii at which equal shares of the ions are made.

    Raises InputError when the field at the wire does not multiply electrons.
    """
    radius, multiplied = _multiplication(tube)
    if multiplied[0] < 1:
        msg = (
            f"the wire must multiply electrons (got a gain of {np.exp(multiplied[0]):.2g} from the gas table at "
            f"{tube.voltage_V:g} V); raise tube.voltage_V or take a thinner wire"
        )
        raise InputError(msg)
    made = np.expm1(multiplied) / np.expm1(multiplied[0])  # beyond each radius
    shares = (np.arange(_STARTS) + 0.5) / _STARTS
    return np.interp(shares, made[::-1], radius[::-1])[::-1]
