"""Measured impulse responses: the filter written to a file and read back, its scale, and files that are refused."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.config import parse, resolved
from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.electronics import impulse_response, low_pass
from townsend.experiments.drifttube.simulation.measured_response import read_impulse_response
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, ElectronicsSettings
from townsend.experiments.drifttube.simulation.signal import single_electron_response
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms

FILTER = ElectronicsSettings()
EVEN = 0.25 * np.arange(400)


def write(path, time_ns, response, header="time_ns,response"):
    rows = "".join(f"{t!r},{r!r}\n" for t, r in zip(map(float, time_ns), map(float, response), strict=True))
    path.write_text(f"{header}\n{rows}")
    return path


@pytest.fixture
def csv(tmp_path):
    return tmp_path / "amplifier.csv"


def measured(path):
    return DriftTubeSettings(electronics=ElectronicsSettings(impulse_response=str(path)))


def test_the_filter_measured_is_the_filter(csv):
    """Straight lines between rows 0.25 ns apart: 0.3 % of the peak."""
    settings = measured(write(csv, EVEN, 17.0 * low_pass(EVEN, FILTER)))
    theirs, ours = single_electron_response(settings), single_electron_response(DriftTubeSettings())
    np.testing.assert_allclose(theirs.table_mV, ours.table_mV, atol=3e-3 * ours.table_mV.max())
    assert theirs.delay_ns == pytest.approx(ours.delay_ns, abs=0.1)


def test_rows_need_not_be_evenly_spaced(csv):
    time_ns = np.concatenate([np.arange(0, 20, 0.1), np.arange(20, 100, 2.0)])
    uneven = read_impulse_response(write(csv, time_ns, low_pass(time_ns, FILTER)))
    np.testing.assert_allclose(uneven(EVEN), low_pass(EVEN, FILTER), atol=2e-3 * low_pass(EVEN, FILTER).max())


@given(factor=st.floats(1e-200, 1e200), negative=st.booleans())
def test_unit_and_sign_do_not_matter(tmp_path_factory, factor, negative):
    path = tmp_path_factory.mktemp("scale") / "amplifier.csv"
    scaled = read_impulse_response(write(path, EVEN, (-factor if negative else factor) * low_pass(EVEN, FILTER)))
    assert np.trapezoid(scaled.per_ns, scaled.time_ns) == pytest.approx(1.0, abs=1e-9)


def test_what_lies_outside_the_rows_is_0(csv):
    late = read_impulse_response(write(csv, 50 + EVEN, low_pass(EVEN + 1.0, FILTER)))
    assert late(np.array([-1.0, 0.0, 49.9, 150.0])).tolist() == [0.0] * 4
    assert late(np.array([50.0]))[0] > 0


def test_a_little_noise_before_time_0_is_cut(csv):
    time_ns = np.arange(-10, 100, 0.25)
    response = low_pass(time_ns, FILTER) + 0.01 * low_pass(EVEN, FILTER).max() * np.cos(50 * time_ns)
    found = read_impulse_response(write(csv, time_ns, response))
    assert found.time_ns[0] == 0
    assert not found(np.linspace(-10, -1e-9, 50)).any()


@pytest.mark.parametrize("coupling_time_ns", [20.0, 60.0])
def test_a_response_that_swings_back_keeps_the_gain_of_its_first_lobe(csv, coupling_time_ns):
    """Divided by the largest value of its running integral, which the area of the low-pass is not far from."""
    time_ns = np.arange(0, 400, 0.1)
    coupled = impulse_response(time_ns, ElectronicsSettings(coupling_time_ns=coupling_time_ns))
    found = read_impulse_response(write(csv, time_ns, 5 * coupled))
    running = np.cumsum(found.per_ns) * 0.1
    assert running.max() == pytest.approx(1.0, abs=1e-2)
    assert abs(running[-1]) < 1e-2
    np.testing.assert_allclose(found.per_ns.max(), coupled.max(), rtol=0.2)


def test_a_ringing_low_pass_keeps_the_gain_for_slow_signals(csv):
    time_ns = np.arange(0, 600, 0.2)
    ringing = low_pass(time_ns, ElectronicsSettings(width_MHz=7.2))
    found = read_impulse_response(write(csv, time_ns, ringing))
    np.testing.assert_allclose(found.per_ns, ringing, atol=2e-3 * ringing.max())


def test_comments_spaces_other_columns_and_a_byte_order_mark_are_read_over(csv):
    rows = "".join(f"1, {t}, {r}\n\n# next\n" for t, r in enumerate([0, 1, 3, 5, 6, 5, 3, 1, 0]))
    csv.write_text(f"\ufeff# pulser, 3 Feb\nchannel, time_ns, response\n{rows}", encoding="utf-8")
    found = read_impulse_response(csv)
    assert found.time_ns.tolist() == list(range(9))
    np.testing.assert_allclose(found.per_ns, np.array([0, 1, 3, 5, 6, 5, 3, 1, 0]) / 24)


HEAD = "time_ns,response\n"
PULSE = "0,0\n1,.9\n2,1\n3,.6\n4,0\n"


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", r"must begin with a header that names time_ns and response \(got \"\"\); add it"),
        ("0,0\n1,1\n2,0\n", r"must begin with a header .* \(got \"0,0\"\)"),
        ("time,response\n" + PULSE, r"must begin with a header .* \(got \"time,response\"\)"),
        ("time_ns;response\n0;1\n", r"must begin with a header .* \(got \"time_ns;response\"\)"),
        (HEAD, r"must have at least three rows below its header \(got 0\)"),
        (HEAD + "0,0\n1,1\n", r"at least three rows .* \(got 2\)"),
        (HEAD + "0,0\n1,0\n2,0\n", r"a response that is not 0 everywhere \(got 3 zeros\)"),
        (HEAD + "0,0\n1,nan\n2,0\n", r'two finite numbers in each row \(line 3: got "1,nan"\)'),
        (HEAD + "# volts\n0,0\n1,1\ninf,0\n", r'two finite numbers in each row \(line 5: got "inf,0"\)'),
        (HEAD + "0,0\n1\n2,0\n", r'two finite numbers in each row \(line 3: got "1"\)'),
        (HEAD + "0,0\n1,one\n2,0\n", r'two finite numbers in each row \(line 3: got "1,one"\)'),
        (HEAD + "0,0\n2,1\n1,1\n3,0\n", r"ascending times \(got 1 ns after 2 ns, line 4\)"),
        (HEAD + "0,0\n1,1\n1,1\n3,0\n", r"ascending times \(got 1 ns after 1 ns, line 4\)"),
        (HEAD + "-3,.5\n-2,1\n" + PULSE, r"must be 0 before time 0, .* \(got 100% of its largest value there\); shift"),
        (HEAD + "-1,.05\n" + PULSE, r"must be 0 before time 0, .* \(got 5% of"),
        (HEAD + "0,0\n1,.9\n2,1\n3,.6\n4,.2\n", r"died away at its end \(its last row has 20% of the largest value\)"),
        (HEAD + "0,0\n10,1\n20,0\n", r"enough rows for straight lines .* \(got about \d+% with 3 rows\)"),
        (HEAD + "0,0\n1,1\n2,-1\n3,1\n4,-1\n5,0\n", r"enough rows for straight lines"),
    ],
)
def test_files_that_cannot_be_used_are_refused(csv, text, sentence):
    csv.write_text(text)
    with pytest.raises(InputError, match=sentence) as refused:
        read_impulse_response(csv)
    assert str(refused.value).startswith(str(csv))
    assert "\n" not in str(refused.value)


def test_what_is_no_readable_text_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"must be a readable impulse response \(No such file"):
        read_impulse_response(tmp_path / "none.csv")
    with pytest.raises(InputError, match=r"must be a readable impulse response \(Is a directory\)"):
        read_impulse_response(tmp_path)
    (tmp_path / "binary.csv").write_bytes(HEAD.encode() + b"\x00\xff")
    with pytest.raises(InputError, match="must be UTF-8 text"):
        read_impulse_response(tmp_path / "binary.csv")
    (tmp_path / "field.csv").write_text(HEAD + "0," + "1" * 200_000)
    with pytest.raises(InputError, match=r"must be CSV \(line 2: field larger than"):
        read_impulse_response(tmp_path / "field.csv")
    with (tmp_path / "large.csv").open("wb") as stream:
        stream.truncate((1 << 24) + 1)
    with pytest.raises(InputError, match="must be at most 16777216 bytes"):
        read_impulse_response(tmp_path / "large.csv")


@pytest.mark.parametrize("spacing_ns", [1.5, 2.0, 5.0])
def test_the_filter_is_refused_where_its_rows_are_too_coarse(csv, spacing_ns):
    time_ns = np.arange(0, 100, spacing_ns)
    with pytest.raises(InputError, match="sample it more finely"):
        read_impulse_response(write(csv, time_ns, low_pass(time_ns, FILTER)))
    fine_ns = np.arange(0, 100, 1.0)
    read_impulse_response(write(csv, fine_ns, low_pass(fine_ns, FILTER)))


def test_noise_of_a_long_record_is_not_taken_for_coarseness(csv):
    time_ns = np.arange(0, 2000, 0.1)
    pulse = low_pass(time_ns, FILTER)
    noise = 0.01 * pulse.max() * np.random.default_rng(1).standard_normal(len(pulse))
    read_impulse_response(write(csv, time_ns, pulse + noise))


@pytest.mark.parametrize(("unit", "peak"), [(1e-9, "2.75e-09"), (1e3, "2750")])
def test_times_in_another_unit_are_refused(csv, unit, peak):
    settings = measured(write(csv, unit * EVEN, low_pass(EVEN, FILTER)))
    with pytest.raises(InputError, match=rf"its peak {peak} ns after the charge.*; write its times in ns"):
        single_electron_response(settings)


def test_a_high_pass_beside_a_measured_response_is_refused(csv):
    write(csv, EVEN, low_pass(EVEN, FILTER))
    both = ElectronicsSettings(impulse_response=str(csv), coupling_time_ns=10.0)
    with pytest.raises(InputError, match=r"coupling_time_ns must be null .* \(got 10\); remove one of the two"):
        impulse_response(EVEN, both)


def test_a_simulation_with_a_measured_response_runs_and_keeps_its_name(csv):
    settings = measured(write(csv, EVEN, low_pass(EVEN, FILTER)))
    ours, filtered = simulate_waveforms(settings, 0, 3), simulate_waveforms(DriftTubeSettings(), 0, 3)
    np.testing.assert_allclose(ours.millivolts(), filtered.millivolts(), atol=0.01 * filtered.millivolts().max())
    assert parse(DriftTubeSettings, ours.provenance.settings) == settings
    assert resolved(settings)["electronics"]["impulse_response"] == str(csv)
