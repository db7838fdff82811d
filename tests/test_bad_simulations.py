"""Simulations that cannot be: each is refused by the command line in one sentence, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

Refused = Callable[..., str]

SETTINGS = {
    "unknown gas": ("tube: {gas: he91_iso9}", r'must be a shipped mixture or a file *.gas; did you mean "he90_iso10"?'),
    "gas file that is not there": ("tube: {gas: mine.gas}", "mine.gas"),
    "wire larger than the tube": ("tube: {wire_radius_cm: 0.5}", "wire_radius_cm must be smaller than inner_radius_cm"),
    "wire that does not multiply": ("tube: {voltage_V: 400.0, wire_radius_cm: 0.02}", "must multiply electrons"),
    "field outside the gas table": ("tube: {voltage_V: 200.0}", "the field must stay inside the gas table"),
    "magnetic field": ("tube: {magnetic_field_T: 2.0}", "drift at an angle to the electric field is not simulated"),
    "another cell": ("tube: {shape: square}", "must be round, other cells need a field map"),
    "momentum below the tables": (
        "track: {particle: proton, momentum_GeV: 0.3}",
        "momentum_GeV must be at least 0.469 for a proton (got 0.3)",
    ),
    "W of another mixture": (
        "{ionization: {W_eV: 35.0}, tube: {gas: he80_iso20}}",
        "W_eV must be null outside 90/10 (got 35)",
    ),
    "W outside the tables": ("ionization: {W_eV: 25.0}", "ionization.W_eV"),
    "window shorter than the drift": ("digitizer: {samples: 256}", "the record must reach past the longest drift time"),
    "jitter larger than the pre-trigger": ("digitizer: {trigger_jitter_ns: 100.0}", "trigger_jitter_ns"),
    "sampling outside what is simulated": ("digitizer: {sampling_rate_GHz: 20.0}", "digitizer.sampling_rate_GHz"),
    "impulse response that is not there": ("electronics: {impulse_response: amp.csv}", "amp.csv"),
    "unknown spectrum": ("noise: {spectrum: pink}", "must be a shipped spectrum or a file *.yaml"),
    "noise preset that is not there": ("noise: {spectrum: mine.yaml}", "mine.yaml"),
}


@pytest.mark.parametrize(("text", "said"), SETTINGS.values(), ids=SETTINGS)
def test_a_simulation_that_cannot_be_is_refused(
    text: str, said: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tube.yaml").write_text(text)
    assert said in refused("simulate", "drifttube", "-n", 5, "--config", "tube.yaml", "-o", "mc")


RESPONSES = {
    "empty": ("time_ns,response\n", "amp.csv"),
    "all zero": ("time_ns,response\n0,0\n1,0\n2,0\n", "amp.csv"),
    "before the charge arrives": ("time_ns,response\n-3,0\n-2,0.5\n-1,1\n0,0.5\n1,0\n", "amp.csv"),
    "not ascending": ("time_ns,response\n0,0\n2,1\n1,0\n", "amp.csv"),
    "not a number": ("time_ns,response\n0,0\n1,much\n2,0\n", "amp.csv"),
    "other columns": ("t,v\n0,0\n1,1\n2,0\n", "amp.csv"),
}


@pytest.mark.parametrize(("text", "said"), RESPONSES.values(), ids=RESPONSES)
def test_an_impulse_response_that_cannot_be_is_refused(
    text: str, said: str, refused: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "amp.csv").write_text(text)
    (tmp_path / "tube.yaml").write_text("electronics: {impulse_response: amp.csv}")
    assert said in refused("simulate", "drifttube", "-n", 5, "--config", "tube.yaml", "-o", "mc")


GAS_FILES = {
    "another version": (lambda text: text.replace("Version   : 12", "Version   : 11"), "version 12"),
    "another gas": (
        lambda text: text.replace(" 1.00000000E+01 0.00000000E+00 0", " 0.00000000E+00 1.00000000E+01 0"),
        "",
    ),
    "torn": (lambda text: text[: len(text) // 2], ""),
    "no gas file at all": (lambda text: "hello\n", ""),
}


@pytest.mark.parametrize(("spoil", "said"), GAS_FILES.values(), ids=GAS_FILES)
def test_a_gas_file_that_cannot_be_used_is_refused(
    spoil: Callable[[str], str], said: str, refused: Refused, reference: Path, tmp_path: Path
) -> None:
    text = (reference / "he_90_ic4h10_10_293K_1atm.gas").read_text()
    assert spoil(text) != text
    gas = tmp_path / "mine.gas"
    gas.write_text(spoil(text))
    (tmp_path / "tube.yaml").write_text(f"tube: {{gas: {gas}}}")
    sentence = refused("simulate", "drifttube", "-n", 5, "--config", tmp_path / "tube.yaml", "-o", tmp_path / "mc")
    assert "mine.gas" in sentence
    assert said in sentence


def test_a_digitiser_that_is_too_slow_for_the_pulse_is_said_with_numbers(
    townsend: Callable[..., object], tmp_path: Path
) -> None:
    (tmp_path / "slow.yaml").write_text(
        "{electronics: {frequency_MHz: 200.0, width_MHz: 200.0}, digitizer: {sampling_rate_GHz: 0.5, samples: 512}}"
    )
    ended = townsend(
        "simulate", "drifttube", "-n", 5, "--config", tmp_path / "slow.yaml", "-o", tmp_path / "mc", "--jobs", 1
    )
    assert ended.status == 0, ended
    assert "2.5 % of the energy" in ended.err
    assert "sample at 0.62 GS/s or more" in ended.err


def test_a_sample_is_not_continued_with_another_gas_file(
    refused: Refused, reference: Path, townsend, tmp_path: Path
) -> None:
    """Under the same name, but with other contents: half of the sample would be of another gas."""
    gas = tmp_path / "mine.gas"
    gas.write_bytes((reference / "he_90_ic4h10_10_293K_1atm.gas").read_bytes())
    (tmp_path / "tube.yaml").write_text(f"tube: {{gas: {gas}}}")
    command = ("simulate", "drifttube", "--config", tmp_path / "tube.yaml", "-o", tmp_path / "mc", "--jobs", 1)
    assert townsend(*command, "-n", 5).status == 0
    gas.write_text(gas.read_text() + "\n")
    assert "must be empty or hold the same simulation" in refused(*command, "-n", 10)
