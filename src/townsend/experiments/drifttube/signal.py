"""From electrons at the wire to volts at the digitiser: avalanche, induced current, amplifier.

What to use when
----------------
- `draw_avalanches`: charge of each electron's avalanche (Polya).
- `single_electron_response`: the waveform of one unit of charge, in steps well below a sample.
- `superpose`: waveforms of many electrons, each starting anywhere between two samples.

The induced charge follows Ramo's theorem in a coaxial tube. Electrons make `electron_fraction` of it at once; the
ions start where that share ends and drift with mobility mu / (1 + E/E_s), which has a closed form. Mobility and E_s
were fitted to one avalanche of Garfield++ (He+ in helium): the collected charge agrees to 1 % of the total from 0.3
to 1,000 ns. Poor approximations: every avalanche has the same shape; space charge is left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.signal import fftconvolve

from townsend.experiments.drifttube.settings import (
    AvalancheSettings,
    DriftTubeSettings,
    ElectronicsSettings,
    SignalSettings,
    TubeSettings,
)

__all__ = ["Response", "draw_avalanches", "induced_charge", "low_pass", "single_electron_response", "superpose"]

ELEMENTARY_CHARGE_FC = 1.602176634e-4
_STEPS_PER_SAMPLE = 32


@dataclass(frozen=True)
class Response:
    """Waveform of 1 fC collected at time 0.

    Arguments:
        table_mV: (steps + 1, samples) value at (sample + step / steps) sampling periods after the arrival; the last
            row repeats the first one sample later, so that every arrival lies between two rows.
        delay_ns: time from the arrival to the maximum, which a found peak must be corrected for.
    """

    table_mV: NDArray[np.float64]
    delay_ns: float


def draw_avalanches(settings: AvalancheSettings, electrons: int, random: np.random.Generator) -> NDArray[np.float64]:
    """Return the charge [fC] of each avalanche: Polya, a gamma distribution of shape 1 + theta."""
    shape = 1 + settings.polya_theta
    return random.gamma(shape, settings.mean_gain / shape, electrons) * ELEMENTARY_CHARGE_FC


def induced_charge(time_ns: NDArray[np.float64], tube: TubeSettings, signal: SignalSettings) -> NDArray[np.float64]:
    """Return the share of an avalanche's charge induced by ions up to each time (0 before the arrival).

    With E = k/r the velocity is mu k / (r + k/E_s), so r^2/2 + (k/E_s) r grows linearly with time.
    """
    log_ratio = np.log(tube.inner_radius_cm / tube.wire_radius_cm)
    k = tube.voltage_V / log_ratio
    start = tube.wire_radius_cm * np.exp(signal.electron_fraction * log_ratio)
    shift = k / signal.ion_saturation_V_per_cm
    grown = start**2 / 2 + shift * start + signal.ion_mobility_cm2_per_Vs * k * 1e-9 * np.maximum(time_ns, 0.0)
    radius = np.minimum(np.sqrt(shift**2 + 2 * grown) - shift, tube.inner_radius_cm)
    return np.asarray(np.log(radius / start) / log_ratio)


def low_pass(time_ns: NDArray[np.float64], electronics: ElectronicsSettings) -> NDArray[np.float64]:
    """Return the impulse response [1/ns] of the amplifier, of unit area."""
    omega = 2 * np.pi * 1e-3 * electronics.frequency_MHz
    decay = np.pi * 1e-3 * electronics.width_MHz
    ringing = np.sqrt(complex(omega**2 - decay**2))
    if abs(ringing) < 1e-6 * omega:  # critical damping: the limit of the formula below
        ringing = complex(1e-6 * omega)
    t = np.maximum(time_ns, 0.0)
    wave = (np.exp((-decay + 1j * ringing) * t) - np.exp((-decay - 1j * ringing) * t)) / (2j * ringing)
    return np.asarray(np.where(time_ns > 0, omega**2 * wave.real, 0.0))


def single_electron_response(settings: DriftTubeSettings) -> Response:
    """Return the amplifier's answer to 1 fC for every arrival between two samples."""
    digitizer = settings.digitizer
    step_ns = 1 / (digitizer.sampling_rate_GHz * _STEPS_PER_SAMPLE)
    edges_ns = step_ns * np.arange((digitizer.samples + 1) * _STEPS_PER_SAMPLE + 1, dtype=np.float64)
    ions = np.diff(induced_charge(edges_ns, settings.tube, settings.signal))
    # The charge of a step is put in its middle, half a step before the time at which the output is wanted.
    from_ions = fftconvolve(ions, low_pass(edges_ns[:-1] + step_ns / 2, settings.electronics))[: len(ions)]
    from_electrons = settings.signal.electron_fraction * low_pass(edges_ns, settings.electronics)
    output = settings.electronics.transimpedance_mV_per_uA * (np.append(0.0, from_ions) + from_electrons)
    rows = output[:-1].reshape(digitizer.samples + 1, _STEPS_PER_SAMPLE).T
    table = np.vstack([rows[:, :-1], rows[:1, 1:]])
    return Response(np.ascontiguousarray(table), float(edges_ns[np.argmax(output)]))


@njit(cache=True)
def superpose(
    row: NDArray[np.int64],
    arrival: NDArray[np.float64],
    charge_fC: NDArray[np.float64],
    table_mV: NDArray[np.float64],
    out_mV: NDArray[np.float64],
) -> None:
    """Add every electron's response to its waveform.

    Arguments:
        row: (electrons,) waveform of each electron.
        arrival: (electrons,) arrival in sampling periods after the first sample; what lies outside is cut.
        charge_fC: (electrons,) charge of its avalanche.
        table_mV: `Response.table_mV`.
        out_mV: (waveforms, samples), added to in place.
    """
    steps = table_mV.shape[0] - 1
    samples = out_mV.shape[1]
    for i in range(len(row)):
        first = int(np.ceil(arrival[i]))
        if first >= samples:
            continue
        position = (first - arrival[i]) * steps
        step = min(int(position), steps - 1)
        upper = (position - step) * charge_fC[i]
        lower = charge_fC[i] - upper
        skipped = max(-first, 0)  # an electron before the record still leaves its tail in it
        first = max(first, 0)
        for j in range(samples - max(first, skipped)):
            value = lower * table_mV[step, j + skipped] + upper * table_mV[step + 1, j + skipped]
            out_mV[row[i], first + j] += value
