"""The electronics in JAX: waveforms whose derivatives by gain, shaping, baseline and noise level are known.

What to use when
----------------
- `Electronics.from_settings`: what can be tuned.
- `ReadOut.from_settings`: what stays as it is meanwhile: induced current, sampling, converter.
- `place`: charges of given electrons, ready for any electronics.
- `draw_unit_noise`: noise of 1 mV rms, which `Electronics.noise_mV` scales.
- `voltage_mV`: their waveforms at the input of the converter; `jax.grad` and `jax.jit` go through it.
- `counts`: the converter, whose gradient is that of an infinitely fine one.
- `settings_of`: the tuned electronics as settings of the simulation.

The waveforms are those of `simulate.simulate_waveforms` to 1e-5 of the peak in single precision, JAX's usual one, and
to 1e-9 in double precision: the amplifier is computed on the same 32 steps a sample, and an electron between two steps
is shared by both. With a high-pass of 1 ns or more it is 1e-4 in both. Derivatives exist at every damping: ringing,
critical and overdamped. Poor approximations: those of the simulation; a wander of the baseline is left out.

Memory: 33 complex numbers for each sample, 0.27 MB a waveform of 1,024: give some hundred waveforms at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.typing import ArrayLike
from numpy.typing import NDArray
from scipy.fft import next_fast_len

from townsend.config import parse, resolved
from townsend.experiments.drifttube.simulation.digitizer import step_mV
from townsend.experiments.drifttube.simulation.electronics import check_resolution, impulse_response
from townsend.experiments.drifttube.simulation.induction import electron_share, induced_charge
from townsend.experiments.drifttube.simulation.noise import draw_noise, noise_rms_mV, noise_spectrum
from townsend.experiments.drifttube.simulation.settings import DigitizerSettings, DriftTubeSettings
from townsend.experiments.drifttube.simulation.signal import STEPS_PER_SAMPLE

__all__ = ["Electronics", "ReadOut", "counts", "draw_unit_noise", "place", "settings_of", "voltage_mV"]

_NEAR_CRITICAL = 1e-3  # of omega^2, within which the series replaces sine and hyperbolic sine
_DECAYED = 40.0  # decay times after which nothing is left in double precision


@partial(
    jax.tree_util.register_dataclass,
    data_fields=["gain_mV_per_uA", "frequency_MHz", "width_MHz", "coupling_time_ns", "baseline_mV", "noise_mV"],
    meta_fields=[],
)
@dataclass(frozen=True)
class Electronics:
    """What can be tuned; a pytree, so a gradient by it is one of these too.

    Arguments:
        gain_mV_per_uA: `electronics.transimpedance_mV_per_uA`.
        frequency_MHz, width_MHz: of the low-pass, > 0; None with a measured impulse response, whose shape stays.
        coupling_time_ns: of the high-pass, > 0; None without one.
        baseline_mV: `digitizer.offset_mV`.
        noise_mV: rms of the noise.
    """

    gain_mV_per_uA: ArrayLike
    frequency_MHz: ArrayLike | None
    width_MHz: ArrayLike | None
    coupling_time_ns: ArrayLike | None
    baseline_mV: ArrayLike
    noise_mV: ArrayLike

    @classmethod
    def from_settings(cls, settings: DriftTubeSettings) -> Electronics:
        """Return the electronics that the settings describe."""
        electronics = settings.electronics
        measured = electronics.impulse_response is not None
        return cls(
            gain_mV_per_uA=electronics.transimpedance_mV_per_uA,
            frequency_MHz=None if measured else electronics.frequency_MHz,
            width_MHz=None if measured else electronics.width_MHz,
            coupling_time_ns=electronics.coupling_time_ns,
            baseline_mV=settings.digitizer.offset_mV,
            noise_mV=noise_rms_mV(settings.noise, settings.digitizer),
        )


@dataclass(frozen=True)
class ReadOut:
    """What stays as it is while the electronics are tuned.

    Arguments:
        digitizer: sampling and converter.
        electron_share: share of an avalanche's charge that is induced at its arrival.
        ions: (steps,) shares induced by ions in each step after it, `STEPS_PER_SAMPLE` a sample.
        measured: (2, steps + 1) a measured impulse response [1/ns] in the middle of each step and at its end, or None.
    """

    digitizer: DigitizerSettings
    electron_share: float
    ions: NDArray[np.float64]
    measured: NDArray[np.float64] | None

    @classmethod
    def from_settings(cls, settings: DriftTubeSettings) -> ReadOut:
        """Return the read-out that the settings describe.

        Raises InputError when the amplifier's impulse response cannot be used.
        """
        digitizer = settings.digitizer
        edges_ns = _edges_ns(digitizer)
        step_ns = edges_ns[1]
        check_resolution(settings.electronics, step_ns, digitizer.samples / digitizer.sampling_rate_GHz)
        measured = None
        if settings.electronics.impulse_response is not None:
            measured = np.stack([impulse_response(t, settings.electronics) for t in (edges_ns + step_ns / 2, edges_ns)])
        return cls(
            digitizer=digitizer,
            electron_share=electron_share(settings.tube),
            ions=np.diff(induced_charge(edges_ns, settings.tube, settings.signal)),
            measured=measured,
        )


def _edges_ns(digitizer: DigitizerSettings) -> NDArray[np.float64]:
    """Return (steps + 1,) ends of the steps in which responses are computed, one sample past the record."""
    step_ns = 1 / (digitizer.sampling_rate_GHz * STEPS_PER_SAMPLE)
    return step_ns * np.arange((digitizer.samples + 1) * STEPS_PER_SAMPLE + 1, dtype=np.float64)


def settings_of(electronics: Electronics, settings: DriftTubeSettings) -> DriftTubeSettings:
    """Return the settings with tuned electronics in the place of theirs; noise is left out where it was.

    Raises ConfigError when a value is outside what the settings allow.
    """
    found = resolved(settings)
    found["electronics"]["transimpedance_mV_per_uA"] = _number(electronics.gain_mV_per_uA)
    for name in ("frequency_MHz", "width_MHz", "coupling_time_ns"):
        value = getattr(electronics, name)
        if value is not None:
            found["electronics"][name] = _number(value)
    found["digitizer"]["offset_mV"] = _number(electronics.baseline_mV)
    if settings.noise.spectrum != "none":
        found["noise"]["rms_mV"] = _number(electronics.noise_mV)
    return parse(DriftTubeSettings, found)


def _number(value: ArrayLike) -> float:
    return float(np.asarray(value))


def place(read_out: ReadOut, row: ArrayLike, arrival_ns: ArrayLike, charge_fC: ArrayLike, waveforms: int) -> Array:
    """Return the spectrum of the charges on the wire, of all distances to the next sample.

    It is linear in the charges and differentiable by the arrivals too, as straight lines between steps are.

    Arguments:
        row: (electrons,) waveform of each electron, 0 to `waveforms` - 1.
        arrival_ns: (electrons,) arrival on the waveform's clock; what lies outside the record leaves its tail in it.
        charge_fC: (electrons,) charge of its avalanche.

    Returns (waveforms, STEPS_PER_SAMPLE + 1, samples + 1) complex.
    """
    samples, rate_GHz = read_out.digitizer.samples, read_out.digitizer.sampling_rate_GHz
    row, charge = jnp.asarray(row), jnp.asarray(charge_fC, float)
    arrival = jnp.asarray(arrival_ns, float) * rate_GHz
    first = jnp.ceil(arrival)  # the sample after the arrival
    position = (first - arrival) * STEPS_PER_SAMPLE
    step = jnp.clip(position.astype(int), 0, STEPS_PER_SAMPLE - 1)
    upper = (position - step) * charge
    # The grid is twice the record: its first half takes electrons that came before it, and its first slot all that came
    # too early to leave anything. After the record there is no slot.
    slot = jnp.clip(first, -samples, samples).astype(int) + samples
    grid = jnp.zeros((waveforms, STEPS_PER_SAMPLE + 1, 2 * samples), charge.dtype)
    grid = grid.at[row, step, slot].add(charge - upper, mode="drop")
    grid = grid.at[row, step + 1, slot].add(upper, mode="drop")
    return jnp.fft.rfft(grid)


def voltage_mV(
    electronics: Electronics, read_out: ReadOut, placed: Array, unit_noise: ArrayLike | None = None
) -> Array:
    """Return (waveforms, samples) voltages [mV] at the input of the converter.

    Arguments:
        electronics: at which the waveforms are wanted.
        placed: of `place`.
        unit_noise: of `draw_unit_noise`, drawn once: with the same noise the waveforms are a smooth function of the
            electronics. None: no noise.
    """
    samples = read_out.digitizer.samples
    table = _response_mV(electronics, read_out)
    spectrum = jnp.einsum("wsf,sf->wf", placed, jnp.fft.rfft(table, 2 * samples))
    signal = jnp.fft.irfft(spectrum, 2 * samples)[:, samples:]
    voltage = read_out.digitizer.polarity * signal + electronics.baseline_mV
    if unit_noise is not None:
        voltage = voltage + electronics.noise_mV * jnp.asarray(unit_noise, signal.dtype)
    return voltage


def draw_unit_noise(settings: DriftTubeSettings, waveforms: int, random: np.random.Generator) -> NDArray[np.float32]:
    """Return (waveforms, samples) noise of the kind that the settings name, of 1 mV rms; zeros where they name none."""
    spectrum = noise_spectrum(settings.noise, settings.digitizer)
    return draw_noise(spectrum, waveforms, settings.digitizer.samples, random) / (spectrum.rms_mV() or 1.0)


def _response_mV(electronics: Electronics, read_out: ReadOut) -> Array:
    """Return `signal.Response.table_mV` of these electronics."""
    edges_ns = _edges_ns(read_out.digitizer)
    step_ns = float(edges_ns[1])
    if read_out.measured is not None:
        middle, end = jnp.asarray(read_out.measured)
    else:
        middle, end = (_low_pass(jnp.asarray(t), electronics) for t in (edges_ns + step_ns / 2, edges_ns))
    # As in `signal.single_electron_response`: the charge of a step is in its middle.
    output = read_out.electron_share * end + _convolved(jnp.asarray(np.append(0.0, read_out.ions)), middle)
    if electronics.coupling_time_ns is not None:
        output = _coupled(output, step_ns / jnp.asarray(electronics.coupling_time_ns))
    rows = (electronics.gain_mV_per_uA * output)[:-1].reshape(-1, STEPS_PER_SAMPLE).T
    return jnp.vstack([rows[:, :-1], rows[:1, 1:]])


def _low_pass(time_ns: Array, electronics: Electronics) -> Array:
    """Return `electronics.low_pass` for times of 0 or later: real, and smooth through critical damping.

    The inverse transform of omega^2 / (s^2 + 2 decay s + omega^2) holds sin(x)/x with x^2 = (omega^2 - decay^2) t^2,
    which is a power series in x^2 of either sign; away from x = 0 sine or exponentials are used.
    """
    omega = 2e-3 * np.pi * jnp.asarray(electronics.frequency_MHz)
    decay = 1e-3 * np.pi * jnp.asarray(electronics.width_MHz)
    square = omega**2 - decay**2
    rings, creeps = square > _NEAR_CRITICAL * omega**2, square < -_NEAR_CRITICAL * omega**2
    # A branch that is not taken gets a harmless argument: its derivative counts, times 0, and must be finite.
    ringing = jnp.sqrt(jnp.where(rings, square, 1.0))
    creeping = jnp.sqrt(jnp.where(creeps, -square, 1.0))
    x = jnp.where(rings | creeps, 0.0, square) * jnp.minimum(time_ns, _DECAYED / decay) ** 2
    ringing_wave = jnp.sin(ringing * time_ns) / ringing
    critical_wave = time_ns * (1 - x / 6 * (1 - x / 20 * (1 - x / 42 * (1 - x / 72))))
    slower = jnp.exp(-(omega**2) / (decay + creeping) * time_ns)  # decay - creeping, without loss of digits
    creeping_wave = slower * -jnp.expm1(-2 * creeping * time_ns) / (2 * creeping)
    damped = jnp.exp(-decay * time_ns) * jnp.where(rings, ringing_wave, critical_wave)
    return omega**2 * jnp.where(creeps, creeping_wave, damped)


def _coupled(output: Array, share: Array) -> Array:
    """Return what a high-pass lets through of straight lines between steps; `share` is a step over its time constant.

    Each slope dies away as exp(-t/tau); `electronics` has a closed form instead.
    """
    left = jnp.exp(-share * jnp.arange(len(output))) * -jnp.expm1(-share) / share
    return _convolved(jnp.diff(output, prepend=0.0), left)


def _convolved(one: Array, other: Array) -> Array:
    """Return the convolution of two arrays of one length, cut to it."""
    length = next_fast_len(2 * len(one), real=True)
    return jnp.fft.irfft(jnp.fft.rfft(one, length) * jnp.fft.rfft(other, length), length)[: len(one)]


@jax.custom_jvp
def _rounded(value: Array) -> Array:
    return jnp.rint(value)


_rounded.defjvps(lambda tangent, answer, value: tangent)


def counts(voltage_mV: ArrayLike, read_out: ReadOut) -> Array:
    """Return what `digitizer.digitize` makes of a voltage that has its baseline in it, as floating-point numbers.

    The gradient is that without rounding ("straight through"): 1/step inside the range, and 0 where the converter
    saturates, because there the count says no more about the voltage.
    """
    limit = 2 ** (read_out.digitizer.bits - 1)
    return _rounded(jnp.clip(jnp.asarray(voltage_mV) / step_mV(read_out.digitizer), -limit, limit - 1))
