"""The gas of a tube: transport of electrons against field, from Magboltz or from the user's `.gas` file.

What to use when
----------------
- `load_gas`: a shipped mixture or a `.gas` file of Garfield++.
- `Gas.velocity`, `Gas.sigma_l`, ...: transport at given fields.

Between the points of a table runs the mean of the two parabolas through its neighbours, as in Garfield++; Townsend and
attachment coefficients are interpolated in logarithms. 85/15 has no table of its own: it is the geometric mean of those
of 90/10 and 80/20 at the same field, an assumption.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.gas_file import read_gas_file
from townsend.experiments.drifttube.simulation.tables import gas_table

__all__ = ["Gas", "load_gas"]

Floats = NDArray[np.float64]

_STANDARD_K, _STANDARD_TORR = 293.15, 760.0
_MOLAR_MASS = {"helium": 4.0026, "isobutane": 58.122}


@dataclass(frozen=True, eq=False)
class Gas:
    """Helium and isobutane with their transport tables; no magnetic field.

    Arguments:
        isobutane: fraction of the molecules, the rest is helium.
        relative_density: molecules in a volume, relative to 293.15 K and 1 atm.
        field_V_per_cm: (points,) ascending.
        velocity_cm_per_ns, sigma_l, sigma_t: (points,) drift velocity; diffusion [sqrt(cm)] along and across.
        townsend_per_cm, attachment_per_cm: (points,) 0 where there is none.
    """

    isobutane: float
    relative_density: float
    field_V_per_cm: Floats
    velocity_cm_per_ns: Floats
    sigma_l: Floats
    sigma_t: Floats
    townsend_per_cm: Floats
    attachment_per_cm: Floats

    @property
    def relative_mass(self) -> float:
        """Mass in a volume, relative to 90/10 at 293.15 K and 1 atm."""
        return self.relative_density * _molar_mass(self.isobutane) / _molar_mass(0.1)

    def smooth(self, values: Floats, field_V_per_cm: Floats) -> Floats:
        """Return one of the tables at the given fields, by parabolas."""
        return _parabolas(self.field_V_per_cm, values, field_V_per_cm)

    def coefficient(self, values: Floats, field_V_per_cm: Floats) -> Floats:
        """Return the Townsend or attachment coefficient [1/cm] at the given fields; 0 below its first value."""
        some = values > 0
        if not some.any():
            return np.zeros_like(field_V_per_cm)
        logarithm = np.interp(np.log(field_V_per_cm), np.log(self.field_V_per_cm[some]), np.log(values[some]))
        return np.where(field_V_per_cm >= self.field_V_per_cm[some][0], np.exp(logarithm), 0.0)


def _molar_mass(isobutane: float) -> float:
    return (1 - isobutane) * _MOLAR_MASS["helium"] + isobutane * _MOLAR_MASS["isobutane"]


def load_gas(name: str) -> Gas:
    """Return a shipped mixture (he90_iso10, he85_iso15, he80_iso20) or the gas of a `.gas` file.

    Raises InputError when the file cannot be used, or its mixture lies outside 10 to 20 % isobutane.
    """
    return _load(name, _state(Path(name)) if name.endswith(".gas") else None)


def _state(path: Path) -> tuple[int, int] | None:
    """Return what changes with a file, None where there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


@lru_cache(maxsize=8)
def _load(name: str, state: tuple[int, int] | None) -> Gas:
    if name == "he85_iso15":
        return _between(load_gas("he90_iso10"), load_gas("he80_iso20"))
    if not name.endswith(".gas"):
        return Gas(int(name.removeprefix("he").split("_iso")[1]) / 100, 1.0, *gas_table(name))
    file = read_gas_file(Path(name))
    if not 0.1 - 1e-6 <= file.isobutane <= 0.2 + 1e-6:
        msg = (
            f"{name} must hold helium with 10 to 20 % isobutane (got {100 * file.isobutane:g} %): clusters were "
            "tabulated for 90/10, 85/15 and 80/20 only; take a file of such a mixture"
        )
        raise InputError(msg)
    return Gas(
        file.isobutane,
        file.pressure_Torr / _STANDARD_TORR * _STANDARD_K / file.temperature_K,
        file.field_V_per_cm,
        file.velocity_cm_per_ns,
        file.sigma_l,
        file.sigma_t,
        file.townsend_per_cm,
        file.attachment_per_cm,
    )


def _between(first: Gas, second: Gas) -> Gas:
    """Return the geometric mean of two gases at the fields of the second."""
    field = second.field_V_per_cm

    def mean(name: str) -> Floats:
        return np.asarray(np.sqrt(first.smooth(getattr(first, name), field) * getattr(second, name)))

    return Gas(
        (first.isobutane + second.isobutane) / 2,
        1.0,
        field,
        mean("velocity_cm_per_ns"),
        mean("sigma_l"),
        mean("sigma_t"),
        np.sqrt(first.coefficient(first.townsend_per_cm, field) * second.townsend_per_cm),
        np.zeros_like(field),
    )


def _parabolas(x: Floats, y: Floats, at: Floats) -> Floats:
    """Return the mean of the parabolas through the three points on either side; at an end, the one there is."""
    interval = np.clip(np.searchsorted(x, at, side="right") - 1, 0, len(x) - 2)
    left = np.clip(interval - 1, 0, len(x) - 3)
    right = np.clip(interval, 0, len(x) - 3)
    return (_parabola(x, y, left, at) + _parabola(x, y, right, at)) / 2


def _parabola(x: Floats, y: Floats, first: NDArray[np.intp], at: Floats) -> Floats:
    """Return Lagrange's parabola through the points `first`, `first` + 1 and `first` + 2 of each place."""
    a, b, c = (x[first + k] for k in range(3))
    p, q, r = (y[first + k] for k in range(3))
    return np.asarray(
        p * (at - b) * (at - c) / ((a - b) * (a - c))
        + q * (at - a) * (at - c) / ((b - a) * (b - c))
        + r * (at - a) * (at - b) / ((c - a) * (c - b))
    )
