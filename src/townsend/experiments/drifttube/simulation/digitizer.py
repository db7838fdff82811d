"""The digitiser: when it starts, and what it makes of a voltage.

What to use when
----------------
- `digitize`: counts of a voltage.
- `step_mV`: one count.
- `draw_jitter`: how late each waveform's track is on its own clock.
- `check_window`: refuses a record that does not hold the drift.

Poor approximations: the converter is linear to its last bit; a waveform's clock starts late or early as a whole, its
samples are evenly spaced.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings

__all__ = ["check_window", "digitize", "draw_jitter", "step_mV"]

_SPREADS = 5  # of the jitter that the record must hold: one waveform in two million has more


def step_mV(digitizer: DigitizerSettings) -> float:
    """Return the width of one count [mV]."""
    return float(1e3 * digitizer.full_scale_V / 2**digitizer.bits)


def digitize(voltage_mV: NDArray[Any], digitizer: DigitizerSettings) -> NDArray[np.int16]:
    """Return counts of an ADC centred on 0 V; what lies beyond its range saturates."""
    counts = np.empty(voltage_mV.shape, np.int16)
    _convert(voltage_mV.ravel(), digitizer.offset_mV, step_mV(digitizer), 2 ** (digitizer.bits - 1), counts.ravel())
    return counts


@njit(cache=True)
def _convert(voltage_mV: NDArray[Any], offset_mV: float, step_mV: float, limit: int, counts: NDArray[np.int16]) -> None:
    for i in range(len(counts)):
        counts[i] = min(max(np.rint((voltage_mV[i] + offset_mV) / step_mV), -limit), limit - 1)


def draw_jitter(digitizer: DigitizerSettings, waveforms: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return (waveforms,) how much later than `pretrigger_ns` each track passes [ns]: Gaussian; no draws without."""
    if digitizer.trigger_jitter_ns == 0:
        return np.zeros(waveforms)
    return digitizer.trigger_jitter_ns * random.standard_normal(waveforms)


def check_window(digitizer: DigitizerSettings, longest_drift_ns: float) -> None:
    """Raise InputError unless the record holds the track and the longest drift, at 5 sigma of the jitter."""
    margin_ns = _SPREADS * digitizer.trigger_jitter_ns
    if margin_ns > digitizer.pretrigger_ns:
        rule = f"digitizer.pretrigger_ns must be at least {_SPREADS} times trigger_jitter_ns, here {margin_ns:g} ns"
        msg = f"{rule} (got {digitizer.pretrigger_ns:g}); raise digitizer.pretrigger_ns or lower trigger_jitter_ns"
        raise InputError(msg)
    window_ns = digitizer.samples / digitizer.sampling_rate_GHz - digitizer.pretrigger_ns
    if window_ns < longest_drift_ns + margin_ns:
        jitter = f" and {_SPREADS} times the trigger jitter {margin_ns:.0f} ns" if margin_ns else ""
        msg = (
            f"the record must reach past the longest drift time (got {window_ns:.0f} ns after the track, "
            f"the drift takes {longest_drift_ns:.0f} ns{jitter}); "
            "raise digitizer.samples or lower digitizer.pretrigger_ns"
        )
        raise InputError(msg)
