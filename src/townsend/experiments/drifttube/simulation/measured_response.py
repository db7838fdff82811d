"""An amplifier's impulse response as the user measured it, from a CSV file.

What to use when
----------------
- `read_impulse_response`: the response, checked and scaled.
- `MeasuredResponse`: its value at any time.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import cumulative_trapezoid

from townsend.errors import InputError, printable

__all__ = ["MeasuredResponse", "read_impulse_response"]

_COLUMNS = ("time_ns", "response")
_MAXIMUM_BYTES = 1 << 24
_BEFORE = 0.02  # of the largest value, allowed before time 0: what averaging leaves of an oscilloscope's noise
_LEFT = 0.1  # of the largest value, allowed in the last row
_COARSE = 0.05  # error of the straight lines between rows, as a share of the response, both rms
_SEEN = 0.1  # of the largest value, where rows are compared with those lines
_COUPLED = 0.5  # no low-pass of second order steps to more than twice where it settles


@dataclass(frozen=True)
class MeasuredResponse:
    """A measured impulse response, straight lines between its rows and 0 outside them.

    Arguments:
        time_ns: (rows,) ascending from 0 or later.
        per_ns: (rows,) response [1/ns], scaled as `read_impulse_response` says.
    """

    time_ns: NDArray[np.float64]
    per_ns: NDArray[np.float64]

    def __call__(self, time_ns: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the response [1/ns] at each time [ns]."""
        return np.interp(time_ns, self.time_ns, self.per_ns, left=0.0, right=0.0)


def read_impulse_response(path: Path) -> MeasuredResponse:
    """Read a measured response: CSV with a header and the columns `time_ns` and `response`, in any unit and sign.

    It is divided by its area, so that `transimpedance_mV_per_uA` stays the gain for slow signals. Where it swings back
    (AC coupling, tail cancellation), so that its area is less than half of what its running integral reaches, it is
    divided by that largest running integral: the gain is then that for a current which lasts as long as the first
    lobe. Other columns and lines that begin with # are ignored.

    Raises InputError when the file cannot be read as such, or the response is empty, all zero, not finite, not in
    order of time, begins before time 0, has not died away at its end or is too coarse for straight lines between rows.
    """
    time_ns, response = _columns(path)
    response = response / np.abs(response).max()
    before = np.abs(response[time_ns < 0]).max(initial=0.0)
    if before > _BEFORE:
        rule = f"{path} must be 0 before time 0, when the charge arrives"
        msg = f"{rule} (got {before:.0%} of its largest value there); shift its times, or cut what lies before"
        raise InputError(msg)
    left = abs(response[-1])
    if left > _LEFT:
        rule = f"{path} must have died away at its end"
        msg = f"{rule} (its last row has {left:.0%} of the largest value); record it longer or subtract the baseline"
        raise InputError(msg)
    coarse = _interpolation_error(time_ns, response)
    if coarse > _COARSE:
        rule = f"{path} must have enough rows for straight lines between them, wrong by {_COARSE:.0%} at most"
        msg = f"{rule} (got about {coarse:.0%} with {len(response)} rows); sample it more finely"
        raise InputError(msg)
    if time_ns[0] < 0:
        at_zero = np.interp(0.0, time_ns, response)
        after = time_ns > 0
        time_ns, response = np.append(0.0, time_ns[after]), np.append(at_zero, response[after])
    return MeasuredResponse(time_ns, response / _gain(time_ns, response))


def _columns(path: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return times and values of at least three rows, finite, in order of time and not all 0."""
    lines = _text(path).splitlines()
    # Empty lines in place of comments keep the reader's line numbers those of the file.
    reader = csv.reader(("" if line.lstrip().startswith("#") else line for line in lines), skipinitialspace=True)
    try:
        rows = [(reader.line_num, row) for row in reader if row]
    except csv.Error as error:
        msg = f"{path} must be CSV (line {reader.line_num}: {error}); write it anew"
        raise InputError(msg) from None
    header = [name.strip() for name in rows[0][1]] if rows else []
    if not set(_COLUMNS) <= set(header):
        found = printable(",".join(header))[:60]
        msg = f'{path} must begin with a header that names time_ns and response (got "{found}"); add it as first line'
        raise InputError(msg)
    places = [header.index(name) for name in _COLUMNS]
    values = np.array([_numbers(path, line, row, places) for line, row in rows[1:]]).reshape(-1, 2)
    if len(values) < 3:
        msg = f"{path} must have at least three rows below its header (got {len(values)}); sample the response finely"
        raise InputError(msg)
    time_ns, response = values[:, 0], values[:, 1]
    if not np.all(np.diff(time_ns) > 0):
        row = int(np.argmin(np.diff(time_ns) > 0)) + 1
        rule = f"{path} must have ascending times"
        msg = f"{rule} (got {time_ns[row]:g} ns after {time_ns[row - 1]:g} ns, line {rows[row + 1][0]}); sort it"
        raise InputError(msg)
    if not response.any():
        msg = f"{path} must have a response that is not 0 everywhere (got {len(values)} zeros); record it again"
        raise InputError(msg)
    return time_ns, response


def _text(path: Path) -> str:
    try:
        with path.open("rb") as stream:
            content = stream.read(_MAXIMUM_BYTES + 1)
    except OSError as error:
        msg = f"{path} must be a readable impulse response ({error.strerror}); mend electronics.impulse_response"
        raise InputError(msg) from None
    if len(content) > _MAXIMUM_BYTES:
        msg = f"{path} must be at most {_MAXIMUM_BYTES} bytes to be an impulse response; average or shorten it"
        raise InputError(msg)
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        msg = f"{path} must be UTF-8 text (byte {error.start} is not); save it as CSV"
        raise InputError(msg) from None


def _numbers(path: Path, line: int, row: list[str], places: list[int]) -> list[float]:
    try:
        numbers = [float(row[place]) for place in places]
    except (ValueError, IndexError):
        numbers = [np.nan]
    if not np.isfinite(numbers).all():
        found = printable(",".join(row))[:60]
        msg = f'{path} must have two finite numbers in each row (line {line}: got "{found}"); mend or remove that line'
        raise InputError(msg)
    return numbers


def _interpolation_error(time_ns: NDArray[np.float64], response: NDArray[np.float64]) -> float:
    """Return how far straight lines between rows are from a response of largest value 1, both rms.

    Each row is compared with the line between its neighbours, which is four times as far off as the lines in use.
    Rows where there is next to nothing are left out: a long record has more noise there than error in its pulse.
    """
    share = (time_ns[1:-1] - time_ns[:-2]) / (time_ns[2:] - time_ns[:-2])
    line = response[:-2] + share * (response[2:] - response[:-2])
    weight = np.gradient(time_ns)  # rows may be denser where the response bends
    seen = np.maximum(np.abs(line), np.abs(response[1:-1])) > _SEEN
    wrong = np.sum((weight[1:-1] * (response[1:-1] - line) ** 2)[seen]) / np.sum(weight * response**2)
    return float(np.sqrt(wrong) / 4)


def _gain(time_ns: NDArray[np.float64], response: NDArray[np.float64]) -> float:
    """Return what a measured response is divided by."""
    collected = cumulative_trapezoid(response, time_ns)
    largest = collected[np.argmax(np.abs(collected))]
    return float(collected[-1] if abs(collected[-1]) >= _COUPLED * abs(largest) else largest)
