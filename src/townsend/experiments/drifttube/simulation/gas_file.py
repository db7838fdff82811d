"""Gas tables of Garfield++: files `*.gas`, version 12, as `MediumGas::WriteGasFile` writes them.

What to use when
----------------
- `read_gas_file`: a user's own Magboltz tables of helium and isobutane.

The format, as far as it is read: fields as E/p in V/(cm Torr); then for each field one record of numbers, drift
velocity in cm/us, diffusion coefficients times sqrt(p), logarithms of the Townsend and attachment coefficients over p.
In a one-dimensional table (`Dimension : F`) every number but one is followed by a spare one. Pressure and temperature
stand in the footer. Read by Garfield++ in `MediumGas::LoadGasFile`, which is its only specification.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError

__all__ = ["GasFile", "read_gas_file"]

_HELIUM, _ISOBUTANE = "He", "iC4H10"
# fmt: off
_GASES = (
    "CF4", "Ar", "He", "He-3", "Ne", "Kr", "Xe", "CH4", "C2H6", "C3H8", "iC4H10", "CO2", "neoC5H12", "H2O", "O2",
    "N2", "NO", "N2O", "C2H4", "C2H2", "H2", "D2", "CO", "Methylal", "DME", "Reid-Step", "Maxwell-Model", "Reid-Ramp",
    "C2F6", "SF6", "NH3", "C3H6", "cC3H6", "CH3OH", "C2H5OH", "C3H7OH", "Cs", "F2", "CS2", "COS", "CD4", "BF3",
    "C2H2F4", "TMA", "gas 45", "gas 46", "gas 47", "gas 48", "gas 49", "CHF3", "CF3Br", "C3F8", "O3", "Hg", "H2S",
    "nC4H10", "nC5H12", "gas 58", "GeH4", "SiH4",
)
# fmt: on
"""Garfield's gases in the order of the 60 percentages in a file; those with a number are older cross sections."""

_NEEDED = {0: "drift velocity", 2: "longitudinal diffusion", 7: "transverse diffusion"}
_TOWNSEND, _ATTACHMENT = 3, 5  # places of their letters in the GASOK bits
_NOTHING = -20.0  # a logarithm of a coefficient in 1/cm below this means none, as in Garfield++
_NUMBER = re.compile(r"[-+]?(?:nan|inf(?:inity)?|(?:\d+\.?\d*|\.\d+)(?:E[-+]?\d+)?)", re.IGNORECASE)
_REMEDY = "write it again with Garfield++'s MediumMagboltz::WriteGasFile"

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class GasFile:
    """Transport of electrons in helium and isobutane at one pressure and temperature, no magnetic field.

    Arguments:
        field_V_per_cm: (fields,) electric field, ascending.
        velocity_cm_per_ns: (fields,) drift velocity.
        sigma_l, sigma_t: (fields,) standard deviation [cm] along and across the drift after 1 cm of it, sqrt(2 D / v);
            after x cm it is sigma sqrt(x), so the unit is sqrt(cm).
        townsend_per_cm, attachment_per_cm: (fields,) coefficients, 0 where there is none or the file does not say.
        helium, isobutane: fractions of the molecules; their sum is 1.
        temperature_K, pressure_Torr: of the table.
    """

    field_V_per_cm: Floats
    velocity_cm_per_ns: Floats
    sigma_l: Floats
    sigma_t: Floats
    townsend_per_cm: Floats
    attachment_per_cm: Floats
    helium: float
    isobutane: float
    temperature_K: float
    pressure_Torr: float


@dataclass(frozen=True)
class _Dimension:
    """Shape of the tables: their fields, and what follows the first ten quantities of a record."""

    with_angles: bool
    fields: int
    angles: int
    magnetic_fields: int
    levels: int

    @property
    def columns(self) -> Mapping[str, int]:
        """Return where the quantities that are used stand in a record."""
        if self.with_angles:
            return {"velocity": 0, "sigma_l": 3, "sigma_t": 4, "townsend": 5, "attachment": 7}
        return {"velocity": 0, "sigma_l": 6, "sigma_t": 8, "townsend": 10, "attachment": 13}

    @property
    def record(self) -> int:
        """Return the numbers of a record: 17 quantities and the levels, one of them without a spare number."""
        quantities = 17 + self.levels
        return quantities if self.with_angles else 2 * quantities - 1


def read_gas_file(path: Path) -> GasFile:
    """Read a gas file.

    Arguments:
        path: file of Garfield++, version 12, He and iC4H10 only, one table without magnetic field.

    Raises InputError when the file is missing, torn, of another version or format, of other gases, at more than one
    angle or magnetic field or any but 0 T, lacks velocity or diffusion, or holds numbers that no gas has.
    """
    head, body, foot = _parts(path)
    version = _said(path, head, r"Version\s*:\s*(\d+)", "a version")[0]
    if version != "12":
        msg = f"{path} must be a gas file of version 12 (got {version}); {_REMEDY}"
        raise InputError(msg)
    dimension = _dimension(path, head)
    bits = _said(path, head, r"GASOK bits\s*:\s*([TF]{20})", "the 20 letters of its GASOK bits")[0]
    missing = [name for place, name in _NEEDED.items() if bits[place] == "F"]
    if missing:
        msg = f"{path} must have velocity and diffusion (it has no {' and no '.join(missing)}); {_REMEDY}"
        raise InputError(msg)
    helium, isobutane = _mixture(path, head)
    scaled_field = _listed(path, head, "E fields", dimension.fields)
    if _listed(path, head, "B fields", dimension.magnetic_fields)[0] != 0:
        msg = f"{path} must be without magnetic field (it has one); make a table at B = 0"
        raise InputError(msg)
    pressure, temperature = (
        float(_said(path, foot, rf"{name}\s*=\s*({_NUMBER.pattern})", name)[0]) for name in ("PGAS", "TGAS")
    )
    if not (np.isfinite(pressure) and pressure > 0):
        msg = f"{path} must have a positive pressure (got {pressure:g} Torr); {_REMEDY}"
        raise InputError(msg)
    _said(path, foot, r"SRIM initialisation done\s*:\s*([TF])", "its last line")
    table = _table(path, body, dimension)
    column = {name: table[:, place] for name, place in dimension.columns.items()}
    nothing = np.zeros(dimension.fields)
    found = GasFile(
        field_V_per_cm=scaled_field * pressure,
        velocity_cm_per_ns=1e-3 * column["velocity"],
        sigma_l=column["sigma_l"] / np.sqrt(pressure),
        sigma_t=column["sigma_t"] / np.sqrt(pressure),
        townsend_per_cm=_coefficient(column["townsend"], pressure) if bits[_TOWNSEND] == "T" else nothing,
        attachment_per_cm=_coefficient(column["attachment"], pressure) if bits[_ATTACHMENT] == "T" else nothing,
        helium=helium,
        isobutane=isobutane,
        temperature_K=temperature,
        pressure_Torr=pressure,
    )
    _check(path, found)
    return found


def _parts(path: Path) -> tuple[str, str, str]:
    """Return header, tables and footer."""
    try:
        text = path.read_text(encoding="latin-1")  # names in it may be in any encoding
    except OSError as error:
        msg = f"{path} must be a gas file that can be read ({error.strerror}); check its name and permissions"
        raise InputError(msg) from None
    head, follows, rest = text.partition("The gas tables follow:")
    body, extrapolation, foot = rest.partition("H Extr")
    if not follows or not extrapolation:
        lacks = "tables" if not follows else "footer"
        msg = f"{path} must be a whole gas file of Garfield++ (it has no {lacks}); {_REMEDY}"
        raise InputError(msg)
    return head, body, foot


def _said(path: Path, text: str, pattern: str, what: str) -> tuple[str, ...]:
    found = re.search(pattern, text, re.IGNORECASE)
    if found is None:
        msg = f"{path} must be a whole gas file of Garfield++ (it does not say {what}); {_REMEDY}"
        raise InputError(msg)
    return found.groups()


def _dimension(path: Path, head: str) -> _Dimension:
    kind, *numbers = _said(path, head, r"Dimension\s*:\s*([TF])" + 5 * r"\s+(\d{1,6})", "its dimension")
    fields, angles, magnetic_fields, excitations, ionisations = map(int, numbers)
    if fields < 2:
        msg = f"{path} must have at least two electric fields (got {fields}); make a table over a range of fields"
        raise InputError(msg)
    if (angles, magnetic_fields) != (1, 1):
        msg = (
            f"{path} must have one magnetic field, 0, and one angle (got {magnetic_fields} fields and {angles} "
            "angles); make a table at B = 0"
        )
        raise InputError(msg)
    return _Dimension(kind == "T", fields, angles, magnetic_fields, excitations + ionisations)


def _numbers(text: str) -> Floats | None:
    """Return all numbers of a text in which there is nothing else, or None; they may touch one another."""
    if _NUMBER.sub("", text).strip():
        return None
    return np.array([float(word) for word in _NUMBER.findall(text)])


def _listed(path: Path, head: str, name: str, number: int) -> Floats:
    """Return the numbers that stand below a name in the header."""
    _, _, below = head.partition(f"\n {name}")
    lines = []
    for line in below.split("\n")[1:]:
        if _numbers(line) is None:
            break
        lines.append(line)
    values = _numbers("\n".join(lines))
    if values is None or len(values) != number:
        msg = (
            f"{path} must have {number} numbers below '{name}' (got {0 if values is None else len(values)}); {_REMEDY}"
        )
        raise InputError(msg)
    return values


def _mixture(path: Path, head: str) -> tuple[float, float]:
    percent = _listed(path, head, "Mixture", len(_GASES))
    present = {_GASES[i] for i in np.flatnonzero(percent)}
    others = sorted(present - {_HELIUM, _ISOBUTANE})
    if others or _HELIUM not in present:
        got = f"it has {', '.join(others)}" if others else "it has no helium"
        msg = f"{path} must be of helium and isobutane only ({got}); cluster tables exist for no other gas"
        raise InputError(msg)
    total = float(percent.sum())
    if not (np.all(percent >= 0) and abs(total - 100) < 0.1):
        msg = f"{path} must have percentages that add up to 100 (got {total:g}); {_REMEDY}"
        raise InputError(msg)
    isobutane = float(percent[_GASES.index(_ISOBUTANE)]) / total
    return 1 - isobutane, isobutane


def _table(path: Path, body: str, dimension: _Dimension) -> Floats:
    values = _numbers(body)
    expected = dimension.fields * dimension.record
    if values is None or len(values) != expected:
        got = "other text" if values is None else f"{len(values)}"
        msg = f"{path} must have {expected} numbers in its tables (got {got}); the file is torn, {_REMEDY}"
        raise InputError(msg)
    return values.reshape(dimension.fields, dimension.record)


def _coefficient(logarithm: Floats, pressure: float) -> Floats:
    """Return a coefficient [1/cm] from its logarithm over the pressure."""
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        value = logarithm + np.log(pressure)
        return np.asarray(np.where(value < _NOTHING, 0.0, np.exp(value)))


def _check(path: Path, gas: GasFile) -> None:
    columns = (gas.field_V_per_cm, gas.velocity_cm_per_ns, gas.sigma_l, gas.sigma_t)
    finite = all(np.isfinite(values).all() for values in vars(gas).values())
    positive = all(np.all(values > 0) for values in (*columns, np.array([gas.temperature_K])))
    if not (finite and positive and np.all(np.diff(gas.field_V_per_cm) > 0)):
        what = "a number that is not finite" if not finite else "zero, a negative number or fields out of order"
        msg = f"{path} must have ascending fields and positive velocities and diffusion (it has {what}); {_REMEDY}"
        raise InputError(msg)
