"""The electronics in JAX: the waveforms of the simulation, and gradients that finite differences confirm."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from townsend.errors import ConfigError
from townsend.experiments.drifttube.peaks.arrivals import electrons
from townsend.experiments.drifttube.simulation.differentiable import (
    Electronics,
    ReadOut,
    counts,
    draw_unit_noise,
    place,
    settings_of,
    voltage_mV,
)
from townsend.experiments.drifttube.simulation.digitizer import digitize
from townsend.experiments.drifttube.simulation.electronics import low_pass
from townsend.experiments.drifttube.simulation.noise import draw_noise, noise_spectrum
from townsend.experiments.drifttube.simulation.settings import (
    DigitizerSettings,
    DriftTubeSettings,
    ElectronicsSettings,
    NoiseSettings,
)
from townsend.experiments.drifttube.simulation.signal import single_electron_response, superpose
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms

WAVEFORMS, SAMPLES = 3, 128
RANDOM = np.random.default_rng(7)
ROW = RANDOM.integers(0, WAVEFORMS, 40)
ARRIVAL_NS = np.append(RANDOM.uniform(-60, 140, 36), [10.0, -128.0, -1e6, 1e6])  # before, on a sample, after the record
CHARGE_FC = RANDOM.gamma(1.5, 20, 40)


def with_electronics(rate_GHz=1.0, **electronics):
    digitizer = DigitizerSettings(sampling_rate_GHz=rate_GHz, samples=SAMPLES, offset_mV=3.0, polarity=-1)
    return DriftTubeSettings(electronics=ElectronicsSettings(**electronics), digitizer=digitizer)


def of_the_simulation(settings):
    out = np.zeros((WAVEFORMS, SAMPLES))
    arrival = ARRIVAL_NS * settings.digitizer.sampling_rate_GHz
    superpose(ROW, arrival, CHARGE_FC, single_electron_response(settings).table_mV, out)
    return settings.digitizer.polarity * out + settings.digitizer.offset_mV


@cache
def compiled(rate_GHz, x64):
    """Waveforms of any filter at one sampling rate, compiled once."""
    read_out = ReadOut.from_settings(with_electronics(rate_GHz))
    placed = place(read_out, ROW, ARRIVAL_NS, CHARGE_FC, WAVEFORMS)
    return jax.jit(lambda electronics: voltage_mV(electronics, read_out, placed))


def assert_close(settings, tolerance, *, x64=False):
    expected = of_the_simulation(settings)
    with jax.enable_x64(x64):
        found = compiled(settings.digitizer.sampling_rate_GHz, x64)(Electronics.from_settings(settings))
    assert found.dtype == (np.float64 if x64 else np.float32)
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * np.abs(expected - 3.0).max())


DAMPINGS = {"ringing": 10.0, "Q 1": 72.0, "critical": 144.0, "nearly": 144.02, "series": 144.06, "overdamped": 500.0}


@pytest.mark.parametrize("width_MHz", DAMPINGS.values(), ids=DAMPINGS)
def test_waveforms_are_those_of_the_simulation_at_every_damping(width_MHz):
    settings = with_electronics(width_MHz=width_MHz)
    assert_close(settings, 1e-5)
    assert_close(settings, 1e-9, x64=True)


@pytest.mark.parametrize("rate_GHz", [0.5, 1.2, 5.0])
def test_waveforms_are_those_of_the_simulation_at_every_rate(rate_GHz):
    assert_close(with_electronics(rate_GHz, frequency_MHz=150.0), 1e-5)


@pytest.mark.parametrize("coupling_time_ns", [1.0, 2.2, 30.0, 1e5])
def test_a_high_pass_is_that_of_the_simulation(coupling_time_ns):
    assert_close(with_electronics(coupling_time_ns=coupling_time_ns), 1e-4)


def test_a_measured_response_is_that_of_the_simulation(tmp_path):
    time_ns = np.arange(0, 60, 0.5)
    shape = low_pass(time_ns, ElectronicsSettings(width_MHz=100.0))
    rows = "".join(f"{t},{r}\n" for t, r in zip(time_ns, shape, strict=True))
    (tmp_path / "amplifier.csv").write_text(f"time_ns,response\n{rows}")
    settings = with_electronics(impulse_response=str(tmp_path / "amplifier.csv"))
    read_out, electronics = ReadOut.from_settings(settings), Electronics.from_settings(settings)
    placed = place(read_out, ROW, ARRIVAL_NS, CHARGE_FC, WAVEFORMS)
    expected = of_the_simulation(settings)
    found = voltage_mV(electronics, read_out, placed)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-5 * np.abs(expected - 3.0).max())
    assert electronics.frequency_MHz is None


def test_noise_is_that_of_the_simulation_and_scales_with_its_level():
    settings = DriftTubeSettings()
    noise = draw_unit_noise(settings, WAVEFORMS, np.random.default_rng(3))
    theirs = draw_noise(noise_spectrum(settings.noise, settings.digitizer), WAVEFORMS, 1024, np.random.default_rng(3))
    read_out, electronics = ReadOut.from_settings(settings), Electronics.from_settings(settings)
    nothing = place(read_out, ROW[:0], ARRIVAL_NS[:0], CHARGE_FC[:0], WAVEFORMS)
    found = voltage_mV(electronics, read_out, nothing, noise)
    np.testing.assert_allclose(found, theirs, atol=1e-5)
    twice = voltage_mV(replace(electronics, noise_mV=2 * electronics.noise_mV), read_out, nothing, noise)
    np.testing.assert_allclose(twice, 2 * theirs, atol=2e-5)


def test_without_noise_in_the_settings_there_is_none():
    settings = DriftTubeSettings(noise=NoiseSettings(spectrum="none"))
    assert not draw_unit_noise(settings, 2, np.random.default_rng(3)).any()
    assert Electronics.from_settings(settings).noise_mV == 0


@pytest.mark.parametrize("polarity", [1, -1])
def test_counts_are_those_of_simulated_waveforms_to_one(polarity):
    """One count for samples that single precision puts on the other side of a half."""
    digitizer = DigitizerSettings(polarity=polarity, offset_mV=-20.0, bits=12, full_scale_V=0.1)
    settings = DriftTubeSettings(noise=NoiseSettings(spectrum="none"), digitizer=digitizer)
    simulated = simulate_waveforms(settings, 0, 30)
    row, time_ns, charge_fC, _ = electrons(simulated.truth)
    read_out = ReadOut.from_settings(settings)
    placed = place(read_out, row, time_ns, charge_fC, 30)
    found = counts(voltage_mV(Electronics.from_settings(settings), read_out, placed), read_out)
    assert np.abs(np.asarray(found) - simulated.samples).max() <= 1
    assert np.mean(np.asarray(found) != simulated.samples) < 1e-3


@pytest.mark.parametrize("bits", [4, 11, 16])
def test_the_converter_rounds_and_saturates_as_the_digitiser_does(bits):
    settings = DriftTubeSettings(digitizer=DigitizerSettings(bits=bits))
    read_out = ReadOut.from_settings(settings)
    voltage = np.concatenate([np.linspace(-600, 600, 999), [-1e30, 1e30]]).astype(np.float32)
    exact = digitize(voltage.astype(float), settings.digitizer)
    assert np.array_equal(counts(voltage, read_out), exact)


@pytest.fixture(scope="module")
def loss():
    """Mean squared distance of noisy waveforms from others, in double precision."""
    settings = with_electronics()
    noise = draw_unit_noise(settings, WAVEFORMS, np.random.default_rng(3))
    other = of_the_simulation(with_electronics(frequency_MHz=90.0, transimpedance_mV_per_uA=4.0)) + 1.0
    with jax.enable_x64(True):
        read_out = ReadOut.from_settings(settings)
        placed = place(read_out, ROW, ARRIVAL_NS, CHARGE_FC, WAVEFORMS)
    return jax.jit(
        jax.value_and_grad(
            lambda electronics: jnp.mean((voltage_mV(electronics, read_out, placed, noise) - other) ** 2)
        )
    )


@pytest.mark.parametrize("width_MHz", [10.0, 72.0, 144.0, 144.05, 500.0])
@pytest.mark.parametrize("coupling_time_ns", [None, 2.2, 30.0])
def test_gradients_agree_with_finite_differences(loss, width_MHz, coupling_time_ns):
    """Central differences of 1e-5 of each value."""
    electronics = Electronics.from_settings(with_electronics(width_MHz=width_MHz, coupling_time_ns=coupling_time_ns))
    with jax.enable_x64(True):
        _, gradient = loss(electronics)
        for name, value in vars(electronics).items():
            if value is None:
                assert getattr(gradient, name) is None
                continue
            step = 1e-5 * value
            high, low = (loss(replace(electronics, **{name: value + sign * step}))[0] for sign in (1, -1))
            found = float(getattr(gradient, name))
            assert found == pytest.approx(float(high - low) / (2 * step), rel=1e-5, abs=1e-8), name
            assert abs(found) > 1e-6, name


def test_gradients_by_arrival_and_charge_agree_with_finite_differences():
    """Arrivals in the middle of a step: responses are straight lines between steps."""
    settings = with_electronics()
    arrival_ns, charge_fC, row = np.array([20.3, 22.11, 60.7]), np.array([10.0, 30.0, 20.0]), np.array([0, 0, 2])
    arrival_ns = (np.floor(arrival_ns * 32) + 0.5) / 32
    with jax.enable_x64(True):
        electronics, read_out = Electronics.from_settings(settings), ReadOut.from_settings(settings)

        @jax.jit
        def loss(arrival_ns, charge_fC):
            placed = place(read_out, row, arrival_ns, charge_fC, WAVEFORMS)
            return jnp.mean(voltage_mV(electronics, read_out, placed) ** 3)

        found = jax.grad(loss, argnums=(0, 1))(arrival_ns, charge_fC)
        for i in range(3):
            unit = np.eye(3)[i] * 1e-4
            by_time = (loss(arrival_ns + unit, charge_fC) - loss(arrival_ns - unit, charge_fC)) / 2e-4
            by_charge = (loss(arrival_ns, charge_fC + unit) - loss(arrival_ns, charge_fC - unit)) / 2e-4
            assert float(found[0][i]) == pytest.approx(float(by_time), rel=1e-5)
            assert float(found[1][i]) == pytest.approx(float(by_charge), rel=1e-5)


def test_the_gradient_through_the_converter_is_that_without_rounding():
    """A converter of 12 counts over the signal: rounding moves the loss, not the gradient of a sum."""
    settings = with_electronics()
    coarse = settings.model_copy(update={"digitizer": settings.digitizer.model_copy(update={"bits": 6})})
    read_out = ReadOut.from_settings(coarse)
    placed = place(read_out, ROW, ARRIVAL_NS, CHARGE_FC, WAVEFORMS)
    electronics, step_mV = Electronics.from_settings(coarse), 1000 / 2**6
    weight = np.random.default_rng(1).standard_normal((WAVEFORMS, SAMPLES))

    def through(electronics):
        return jnp.sum(weight * counts(voltage_mV(electronics, read_out, placed), read_out))

    def without(electronics):
        return jnp.sum(weight * voltage_mV(electronics, read_out, placed) / step_mV)

    assert abs(float(through(electronics)) - float(without(electronics))) > 1e-3
    for one, other in zip(
        *(jax.tree.leaves(jax.jit(jax.grad(f))(electronics)) for f in (through, without)), strict=True
    ):
        assert float(one) == pytest.approx(float(other), rel=1e-4, abs=1e-5)


def test_a_saturated_sample_has_no_gradient():
    read_out = ReadOut.from_settings(DriftTubeSettings())
    slope = jax.grad(lambda voltage: counts(voltage, read_out).sum())(jnp.array([-501.0, -499.0, 0.2, 499.0, 501.0]))
    step_mV = 1000 / 2**16
    np.testing.assert_allclose(slope, [0, 1 / step_mV, 1 / step_mV, 1 / step_mV, 0], rtol=1e-6)


def test_tuned_electronics_become_settings():
    settings = with_electronics(coupling_time_ns=50.0)
    electronics = replace(
        Electronics.from_settings(settings), gain_mV_per_uA=jnp.float32(5.0), noise_mV=jnp.float32(0.25)
    )
    tuned = settings_of(electronics, settings)
    assert tuned.electronics.transimpedance_mV_per_uA == 5.0
    assert tuned.noise.rms_mV == 0.25
    assert tuned.electronics.coupling_time_ns == 50.0
    assert tuned.digitizer == settings.digitizer
    assert Electronics.from_settings(tuned) == electronics


def test_tuned_electronics_that_cannot_be_are_refused():
    settings = DriftTubeSettings()
    with pytest.raises(ConfigError, match=r"electronics\.width_MHz: must be greater than 0"):
        settings_of(replace(Electronics.from_settings(settings), width_MHz=-1.0), settings)


def test_noise_that_is_switched_off_stays_so():
    settings = DriftTubeSettings(noise=NoiseSettings(spectrum="none"))
    assert settings_of(Electronics.from_settings(settings), settings) == settings


def test_the_simulation_does_not_load_jax():
    code = "import sys, townsend.experiments.drifttube.simulation.simulate; sys.exit('jax' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
