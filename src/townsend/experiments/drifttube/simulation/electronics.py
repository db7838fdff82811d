"""The amplifier: its answer to a charge that arrives at once, from a filter or as the user measured it.

What to use when
----------------
- `impulse_response`: the answer [1/ns] at any times, from settings.
- `low_pass`: the second-order filter alone.
- `check_resolution`: refuses an amplifier that the steps of the simulation cannot follow.
- `warn_of_aliasing`: says when the digitiser is too slow for the pulse.

Time 0 is the moment the charge arrives. The low-pass and the high-pass behind it are closed forms: the high-pass of
time constant tau is s tau / (1 + s tau), so the answer is that of the low-pass less its convolution with
exp(-t/tau) / tau. Poor approximations: the amplifier is linear up to the ends of the digitiser; noise does not pass
through it (its spectrum is measured behind it).
"""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.measured_response import read_impulse_response
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, ElectronicsSettings

__all__ = ["aliased_share", "check_resolution", "impulse_response", "low_pass", "warn_of_aliasing"]

log = logging.getLogger(__name__)

_FINE = 0.5  # radians a step: up to here the area of the sampled filter is right to 1 %
_LEAST_STEPS = 4  # that a measured response must last
_ALIASED = 0.01  # share of the energy: what is folded back has 10 % of the pulse's rms
_FASTEST_GHZ = 5.0  # digitiser that the settings allow


def impulse_response(time_ns: NDArray[np.float64], electronics: ElectronicsSettings) -> NDArray[np.float64]:
    """Return the amplifier's answer [1/ns] to a charge at time 0; times the gain and the charge it is a voltage.

    Its area is 1, or 0 with a high-pass, where the low-pass before it has area 1.

    Raises InputError for a measured response that cannot be used, or one with a high-pass behind it.
    """
    if electronics.impulse_response is not None:
        if electronics.coupling_time_ns is not None:
            rule = "electronics.coupling_time_ns must be null beside a measured impulse_response, which has it"
            msg = f"{rule} (got {electronics.coupling_time_ns:g}); remove one of the two"
            raise InputError(msg)
        return read_impulse_response(Path(electronics.impulse_response))(time_ns)
    if electronics.coupling_time_ns is not None:
        return _coupled(time_ns, electronics, electronics.coupling_time_ns)
    return low_pass(time_ns, electronics)


def _ringing(electronics: ElectronicsSettings) -> tuple[float, float, complex]:
    """Return omega, decay and ringing [1/ns]: the poles are -decay +- i ringing."""
    omega = 2 * np.pi * 1e-3 * electronics.frequency_MHz
    decay = np.pi * 1e-3 * electronics.width_MHz
    ringing = np.sqrt(complex(omega**2 - decay**2))
    if abs(ringing) < 1e-6 * omega:  # critical damping: the limit of the formulas below
        ringing = complex(1e-6 * omega)
    return omega, decay, ringing


def low_pass(time_ns: NDArray[np.float64], electronics: ElectronicsSettings) -> NDArray[np.float64]:
    """Return the impulse response [1/ns] of the second-order filter, of unit area."""
    omega, decay, ringing = _ringing(electronics)
    t = np.maximum(time_ns, 0.0)
    wave = (np.exp((-decay + 1j * ringing) * t) - np.exp((-decay - 1j * ringing) * t)) / (2j * ringing)
    return np.asarray(np.where(time_ns > 0, omega**2 * wave.real, 0.0))


def _coupled(
    time_ns: NDArray[np.float64], electronics: ElectronicsSettings, coupling_time_ns: float
) -> NDArray[np.float64]:
    """Return the impulse response [1/ns] of the filter with a high-pass behind it."""
    omega, decay, ringing = _ringing(electronics)
    poles = (-decay + 1j * ringing, -decay - 1j * ringing)
    if min(abs(1 + pole * coupling_time_ns) for pole in poles) < 1e-5:
        coupling_time_ns *= 1 + 3e-5  # where it is a pole of the amplifier too the formula is 0/0
    t = np.maximum(time_ns, 0.0)
    slow = np.exp(-t / coupling_time_ns)
    first, second = ((np.exp(pole * t) - slow) / (1 + pole * coupling_time_ns) for pole in poles)
    removed = omega**2 * ((first - second) / (2j * ringing)).real
    return low_pass(time_ns, electronics) - np.where(time_ns > 0, removed, 0.0)


def check_resolution(electronics: ElectronicsSettings, step_ns: float, record_ns: float) -> None:
    """Raise InputError when steps of `step_ns` do not follow the amplifier, or a record does not reach its pulse.

    Arguments:
        step_ns: of the grid on which the response is computed, well below a sampling period.
        record_ns: length of a waveform.
    """
    if electronics.impulse_response is None:
        highest_MHz = 1e3 * _FINE / (2 * np.pi * step_ns)
        if electronics.frequency_MHz > highest_MHz:
            rule = f"electronics.frequency_MHz must be at most {highest_MHz:.0f} for steps of {step_ns:g} ns"
            msg = f"{rule} (got {electronics.frequency_MHz:g}); lower it or raise digitizer.sampling_rate_GHz"
            raise InputError(msg)
        return
    path = Path(electronics.impulse_response)
    response = read_impulse_response(path)
    lasts_ns = response.time_ns[-1] - response.time_ns[0]
    peak_ns = response.time_ns[np.argmax(np.abs(response.per_ns))]
    if lasts_ns < _LEAST_STEPS * step_ns or peak_ns >= record_ns:
        rule = f"{path} must last {_LEAST_STEPS * step_ns:g} ns or more and have its peak inside the record"
        got = f"got {lasts_ns:g} ns, its peak {peak_ns:g} ns after the charge, a record of {record_ns:g} ns"
        msg = f"{rule} ({got}); write its times in ns"
        raise InputError(msg)


def aliased_share(pulse: NDArray[np.float64], step_ns: float, rate_GHz: float) -> tuple[float, float]:
    """Return the share of a pulse's energy above half a sampling rate, and the rate [GHz] at which 1 % would be.

    Arguments:
        pulse: (steps,) values, `step_ns` apart, well below a sampling period.
    """
    energy = np.abs(np.fft.rfft(pulse, 2 * len(pulse))) ** 2
    frequency_GHz = np.fft.rfftfreq(2 * len(pulse), step_ns)
    above = energy[::-1].cumsum()[::-1] / energy.sum()  # at or above each frequency
    share = float(above[np.searchsorted(frequency_GHz, rate_GHz / 2)])
    return share, float(2 * frequency_GHz[np.argmax(above <= _ALIASED)])


def warn_of_aliasing(
    table_mV: NDArray[np.float64], electronics: ElectronicsSettings, digitizer: DigitizerSettings
) -> bool:
    """Log a warning when the digitiser folds more than 1 % of a single electron's energy back into its band.

    Arguments:
        table_mV: `Response.table_mV` of these settings.

    Returns whether it did.
    """
    steps, rate_GHz = table_mV.shape[0] - 1, digitizer.sampling_rate_GHz
    share, enough_GHz = aliased_share(table_mV[:-1].T.ravel(), 1 / (rate_GHz * steps), rate_GHz)
    if share <= _ALIASED:
        return False
    step_ns = 1 / (rate_GHz * steps)
    band_MHz = _bandwidth_MHz(impulse_response(step_ns * np.arange(table_mV.shape[1] * steps), electronics), step_ns)
    rather = f"sample at {enough_GHz:.2g} GS/s or more" if enough_GHz <= _FASTEST_GHZ else "lower the bandwidth"
    log.warning(
        "%.2g %% of the energy of a single electron's pulse lies above %g MHz, half of digitizer.sampling_rate_GHz = "
        "%g, and is folded back (the amplifier has -3 dB at %.0f MHz); %s for 1 %%",
        100 * share,
        500 * rate_GHz,
        rate_GHz,
        band_MHz,
        rather,
    )
    return True


def _bandwidth_MHz(response: NDArray[np.float64], step_ns: float) -> float:
    """Return the highest frequency at which a response has 1/sqrt(2) of its largest amplitude."""
    amplitude = np.abs(np.fft.rfft(response, 2 * len(response)))
    passed = np.flatnonzero(amplitude >= amplitude.max() / np.sqrt(2))
    return float(1e3 * np.fft.rfftfreq(2 * len(response), step_ns)[passed[-1]])
