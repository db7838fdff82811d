from __future__ import annotations

import io
import logging
import tracemalloc
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample.npz_io import read_npz


def noise(count: int = 4, length: int = 200) -> np.ndarray:
    return np.random.default_rng(3).normal(0, 5e-4, (count, length)).astype(np.float32)


@pytest.fixture
def save(tmp_path):
    """Write a valid file with some keys changed; None takes a key away."""

    def saved(**changes):
        arrays = {
            "voltage_V": noise(),
            "event": np.array([1, 1, 2, 2]),
            "channel": np.array([0, 1, 0, 1]),
            "sampling_rate_ghz": 2.5,
        } | changes
        path = tmp_path / "traces.npz"
        np.savez_compressed(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    return saved


def test_voltages_rate_and_identifiers_come_back(save):
    path = save()
    found = read_npz(path, polarity=-1)
    np.testing.assert_allclose(found.samples * found.volts_per_count, noise(), atol=0.51 * found.volts_per_count)
    assert found.samples.dtype == np.int16
    assert np.abs(found.samples.astype(int)).max() == 32767
    assert found.sampling_rate_ghz == 2.5
    assert found.polarity == -1
    assert found.event.tolist() == [1, 1, 2, 2]
    assert found.channel.tolist() == [0, 1, 0, 1]
    assert found.track.tolist() == found.run.tolist() == [-1] * 4
    assert np.isnan([found.t0_ns, found.max_drift_ns]).all()
    assert found.truth is None
    assert set(found.provenance.sources) == {"traces.npz"}


@given(st.floats(-300, 300), st.booleans())
def test_the_scale_follows_the_largest_voltage(tmp_path_factory, exponent, upside_down):
    volts = noise(1, 50).astype(np.float64) * 10**exponent * (-1 if upside_down else 1)
    path = tmp_path_factory.getbasetemp() / "scale.npz"
    np.savez(path, voltage_V=volts, event=[0], channel=[0], sampling_rate_ghz=1.0)
    found = read_npz(path)
    assert found.volts_per_count == pytest.approx(np.abs(volts).max() / 32767)
    np.testing.assert_allclose(found.samples * found.volts_per_count, volts, atol=0.51 * found.volts_per_count)


def test_silence_has_a_scale_too(save):
    found = read_npz(save(voltage_V=np.zeros((4, 50))))
    assert not found.samples.any()
    assert found.volts_per_count > 0


def test_missing_truncated_and_foreign_files_are_one_sentence(tmp_path, save):
    with pytest.raises(InputError, match=r"none\.npz must be an NPZ file that exists"):
        read_npz(tmp_path / "none.npz")
    path = save()
    content = path.read_bytes()
    for length in np.linspace(0, len(content) - 1, 40).astype(int):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"traces\.npz must be a whole NPZ file"):
            read_npz(path)


def test_a_flipped_bit_is_noticed_by_the_checksum(tmp_path):
    path = tmp_path / "flipped.npz"
    np.savez(path, voltage_V=noise(), event=range(4), channel=range(4), sampling_rate_ghz=1.0)
    content = bytearray(path.read_bytes())
    content[content.index(noise().tobytes()) + 1000] ^= 1
    path.write_bytes(content)
    with pytest.raises(InputError, match="must be a whole NPZ file"):
        read_npz(path)


def test_damaged_bytes_give_waveforms_or_one_sentence(save):
    path = save()
    content = np.frombuffer(path.read_bytes(), np.uint8)
    random = np.random.default_rng(5)
    outcomes = set()
    for _ in range(60):
        damaged = content.copy()
        damaged[random.integers(len(content), size=3)] = random.integers(256, size=3)
        path.write_bytes(damaged.tobytes())
        try:
            read_npz(path)
            outcomes.add("read")
        except InputError as error:
            str(error).encode()
            outcomes.add("refused")
    assert "refused" in outcomes


def test_the_nearest_key_is_named(save):
    path = save(voltage_V=None, voltage_mV=noise())
    with pytest.raises(InputError, match='must hold "voltage_V"; did you mean "voltage_mV"'):
        read_npz(path)


def test_pickled_objects_are_refused_unopened(save):
    for path in (save(event=np.array([1, "a", None, {}], object)), save(voltage_V=np.array([[None] * 3] * 4))):
        with pytest.raises(InputError, match="got pickled objects"):
            read_npz(path)


@pytest.mark.parametrize(
    ("shape", "sentence"),
    [
        ((10**6, 10**6), "its header claims"),
        ((10**9, 10**9), "its header claims"),
        ((1 << 14, 1 << 14), "as many bytes"),
        ((-4, -50), "its header claims"),
        ((4, 2), "as many bytes"),
    ],
)
def test_headers_that_claim_what_is_not_there_allocate_nothing(tmp_path, save, shape, sentence):
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": shape})
    path = tmp_path / "liar.npz"
    with zipfile.ZipFile(save()) as good, zipfile.ZipFile(path, "w") as archive:
        for name in good.namelist():
            archive.writestr(name, header.getvalue() + b"\0" * 80 if name == "voltage_V.npy" else good.read(name))
    tracemalloc.start()
    with pytest.raises(InputError, match=sentence):
        read_npz(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 10e6


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"voltage_V": noise()[0]}, r"float voltage_V of shape \(waveforms, .*got float32 \(200,\)"),
        ({"voltage_V": np.zeros((4, 9), np.int16)}, "float voltage_V .*got int16"),
        ({"voltage_V": np.zeros((0, 9))}, "float voltage_V"),
        ({"voltage_V": np.zeros((1, (1 << 20) + 1), np.float16), "event": [0], "channel": [0]}, "1048576 samples"),
        ({"event": [1, 2]}, r"one integer event a waveform \(got int64 \(2,\) for 4 waveforms\)"),
        ({"channel": [0.0, 1, 2, 3]}, "one integer channel a waveform"),
        ({"event": [1, 2, 3, 1 << 40]}, "event within 32 bits"),
        ({"sampling_rate_ghz": 0.0}, r"one sampling_rate_ghz > 0 \(got 0.0\)"),
        ({"sampling_rate_ghz": -2.5}, r"sampling_rate_ghz > 0 \(got -2.5\)"),
        ({"sampling_rate_ghz": np.nan}, r"sampling_rate_ghz > 0 \(got nan\)"),
        ({"sampling_rate_ghz": np.inf}, r"sampling_rate_ghz > 0 \(got inf\)"),
        ({"sampling_rate_ghz": [1.0, 2.0]}, r"an array of shape \(2,\)"),
        ({"sampling_rate_ghz": "fast"}, "sampling_rate_ghz > 0"),
    ],
)
def test_values_that_break_a_rule_are_named(save, changes, sentence):
    with pytest.raises(InputError, match=sentence):
        read_npz(save(**changes))


def test_arguments_that_break_a_rule_are_named(save):
    with pytest.raises(InputError, match=r"polarity must be \+1 or -1 \(got 0\)"):
        read_npz(save(), polarity=0)
    with pytest.raises(InputError, match="saturation_run must be at least 2"):
        read_npz(save(), saturation_run=1)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite_are_counted_and_placed(save, value):
    volts = noise()
    volts[2, 5:8] = value
    volts[3, 0] = value
    with pytest.raises(InputError, match="got 3 NaN or infinite samples in waveform 2, 2 such waveforms"):
        read_npz(save(voltage_V=volts))


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 4])
def test_uniform_times_are_accepted_whatever_their_start(save, kind, rows):
    time_ns = (np.arange(200) / 2.5 - 1000.0).astype(kind)
    read_npz(save(time_ns=time_ns if rows == 1 else np.tile(time_ns, (rows, 1))))


def test_times_that_are_not_uniform_are_refused_with_the_figure(save):
    time_ns = np.tile(np.arange(200) / 2.5, (4, 1))
    time_ns[3, 100:] += 0.1
    with pytest.raises(InputError, match=r"every 0\.4 ns \(got 0\.4 to 0\.5 ns, mean 0\.4005\d* ns, in waveform 3\)"):
        read_npz(save(time_ns=time_ns))
    with pytest.raises(InputError, match=r"every 0\.4 ns \(got 0\.402 to 0\.402 ns"):
        read_npz(save(time_ns=np.arange(200) * 0.402))
    with pytest.raises(InputError, match="time_ns of shape"):
        read_npz(save(time_ns=np.arange(7.0)))
    with pytest.raises(InputError, match="finite time_ns"):
        read_npz(save(time_ns=np.full(200, np.nan)))


def pulse(height: float, length: int = 200) -> np.ndarray:
    time = np.arange(length) - 80.0
    return height * np.exp(-(time**2) / 200)


@pytest.mark.parametrize("sign", [1, -1])
def test_a_flat_top_is_saturation(save, sign):
    volts = noise().astype(np.float64)
    volts[1] += pulse(0.05)
    read_npz(save(voltage_V=sign * volts))
    volts[1] = np.minimum(volts[1], 0.03)
    end = "top" if sign > 0 else "bottom"
    with pytest.raises(
        InputError, match=rf"saturated \(got \d+ samples on end at -?0\.03 V, a flat {end}, in waveform 1\)"
    ):
        read_npz(save(voltage_V=sign * volts))
    read_npz(save(voltage_V=sign * volts), saturation_run=100)


def test_a_flat_top_below_other_waveforms_is_kept_with_a_warning(save, caplog):
    volts = noise().astype(np.float64)
    volts[1] += np.minimum(pulse(0.05), 0.03)
    volts[1] = np.minimum(volts[1], 0.02)
    volts[2] += pulse(0.05)
    with caplog.at_level(logging.WARNING):
        assert len(read_npz(save(voltage_V=volts))) == 4
    assert "a flat top, in waveform 1: its channel was saturated" in caplog.text


def test_a_flat_baseline_and_a_coarse_digitiser_are_not_saturation(save):
    read_npz(save(voltage_V=np.tile(pulse(0.05), (4, 1)) * (pulse(1.0) > 1e-3)))  # zeros outside the pulse
    read_npz(save(voltage_V=np.full((4, 200), -2e-3)))
    counts = np.rint(noise().astype(np.float64) / 2e-3 + np.repeat([0, -0.6, 0], [60, 80, 60]))
    read_npz(save(voltage_V=counts * 2e-3))  # one count below zero for long


def test_real_traces_are_read(real_traces):
    found = read_npz(real_traces)
    assert found.samples.shape == (24, 2496)
    assert found.sampling_rate_ghz == 2.5
    assert np.abs(found.millivolts()).max() == pytest.approx(45.21, abs=0.01)
