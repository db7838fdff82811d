"""From electrons at the wire to volts at the digitiser: avalanche, induced current, amplifier.

What to use when
----------------
- `draw_avalanches`: charge of each electron's avalanche (Polya).
- `single_electron_response`: the waveform of one unit of charge, in steps well below a sample.
- `superpose`: waveforms of many electrons, each starting anywhere between two samples.

Poor approximation: every avalanche has the same shape; only its charge differs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from townsend.experiments.drifttube.simulation.electronics import check_resolution, impulse_response
from townsend.experiments.drifttube.simulation.induction import electron_share, induced_charge
from townsend.experiments.drifttube.simulation.settings import AvalancheSettings, DriftTubeSettings

__all__ = ["Response", "draw_avalanches", "single_electron_response", "superpose"]

ELEMENTARY_CHARGE_FC = 1.602176634e-4
STEPS_PER_SAMPLE = 32


@dataclass(frozen=True)
class Response:
    """Waveform of 1 fC collected at time 0.

    Arguments:
        table_mV: (steps + 1, samples) value at (sample + step / steps) sampling periods after the arrival; the last
            row repeats the first one sample later, so that every arrival lies between two rows.
        delay_ns: time from the arrival to the maximum, which a found peak must be corrected for.
    """

    table_mV: NDArray[Any]
    delay_ns: float


def draw_avalanches(settings: AvalancheSettings, electrons: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the charge [fC] of each avalanche: Polya, a gamma distribution of shape 1 + theta."""
    shape = 1 + settings.polya_theta
    return random.gamma(shape, settings.mean_gain / shape, electrons) * ELEMENTARY_CHARGE_FC


def single_electron_response(settings: DriftTubeSettings) -> Response:
    """Return the amplifier's answer to 1 fC for every arrival between two samples.

    Raises InputError when the amplifier's impulse response cannot be used.
    """
    digitizer = settings.digitizer
    step_ns = 1 / (digitizer.sampling_rate_GHz * STEPS_PER_SAMPLE)
    check_resolution(settings.electronics, step_ns, digitizer.samples / digitizer.sampling_rate_GHz)
    edges_ns = step_ns * np.arange((digitizer.samples + 1) * STEPS_PER_SAMPLE + 1, dtype=np.float64)
    ions = np.diff(induced_charge(edges_ns, settings.tube, settings.signal))
    # The charge of a step is put in its middle, half a step before the time at which the output is wanted.
    from_ions = fftconvolve(ions, impulse_response(edges_ns[:-1] + step_ns / 2, settings.electronics))[: len(ions)]
    from_electrons = electron_share(settings.tube) * impulse_response(edges_ns, settings.electronics)
    output = settings.electronics.transimpedance_mV_per_uA * (np.append(0.0, from_ions) + from_electrons)
    rows = output[:-1].reshape(digitizer.samples + 1, STEPS_PER_SAMPLE).T
    table = np.vstack([rows[:, :-1], rows[:1, 1:]])
    return Response(np.ascontiguousarray(table), float(edges_ns[np.argmax(output)]))


@njit(cache=True)
def superpose(
    row: NDArray[np.int64],
    arrival: NDArray[np.float64],
    charge_fC: NDArray[np.float64],
    table_mV: NDArray[Any],
    out_mV: NDArray[Any],
) -> None:
    """Add every electron's response to its waveform.

    Arguments:
        row: (electrons,) waveform of each electron.
        arrival: (electrons,) arrival in sampling periods after the first sample; what lies outside is cut.
        charge_fC: (electrons,) charge of its avalanche.
        table_mV: `Response.table_mV`.
        out_mV: (waveforms, samples), added to in place; of the type of `table_mV`.
    """
    steps = table_mV.shape[0] - 1
    samples = out_mV.shape[1]
    number = table_mV.dtype.type
    for i in range(len(row)):
        first = int(np.ceil(arrival[i]))
        if first >= samples:
            continue
        position = (first - arrival[i]) * steps
        step = min(int(position), steps - 1)
        upper = number((position - step) * charge_fC[i])
        lower = number(charge_fC[i]) - upper
        skipped = max(-first, 0)  # an electron before the record still leaves its tail in it
        # Slices of their own, which the compiler can see to be in order and take several samples at a time.
        target = out_mV[row[i], max(first, 0) :]
        before, after = table_mV[step, skipped:], table_mV[step + 1, skipped:]
        for j in range(min(len(target), len(before))):
            target[j] += lower * before[j] + upper * after[j]
