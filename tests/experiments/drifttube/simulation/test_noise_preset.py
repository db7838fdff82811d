"""Presets of noise on disk: what is written is read, what is wrong is said in one sentence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from townsend.errors import InputError, TownsendError
from townsend.experiments.drifttube.simulation.noise_preset import (
    Line,
    NoisePreset,
    Preset,
    SpectrumFile,
    preset_files,
    read_preset,
    shipped_preset,
    write_preset,
)

ROWS = "frequency_MHz,floor_uV2_per_MHz\n0,10\n100,20\n500,30\n"


def by_hand(folder: Path, rows: str = ROWS, more: str = "") -> Path:
    (folder / "mine.csv").write_text(rows)
    (folder / "mine.yaml").write_text(f"sampling_rate_GHz: 1.0\nspectrum: {{csv: mine.csv}}\n{more}")
    return folder / "mine.yaml"


def test_what_is_written_is_read(tmp_path):
    frequency = np.linspace(0, 0.5, 11)
    floor = np.linspace(0.02, 0.03, 11)
    facts = NoisePreset(
        sampling_rate_GHz=1.0,
        rms_mV=0.5,
        spectrum=SpectrumFile(csv="other.csv", averages=12.0),
        lines=(Line(frequency_MHz=97.5, rms_mV=0.1, rms_error_mV=0.01),),
    )
    path = write_preset(Preset(facts, frequency, floor, 2 * floor), tmp_path / "noise.yaml")
    found = read_preset(path)
    assert found.facts.spectrum.csv == "noise.csv"
    named = facts.model_copy(update={"spectrum": found.facts.spectrum})
    assert found.facts == named
    assert found.frequency_GHz == pytest.approx(frequency, rel=1e-6)
    assert found.floor_mV2_per_GHz == pytest.approx(floor, rel=1e-3)
    assert found.total_mV2_per_GHz == pytest.approx(2 * floor, rel=1e-3)
    assert preset_files(path) == (path, tmp_path / "noise.csv")


def test_one_written_by_hand_needs_little(tmp_path):
    found = read_preset(by_hand(tmp_path))
    assert found.frequency_GHz.tolist() == [0, 0.1, 0.5]
    assert found.floor_mV2_per_GHz == pytest.approx([0.01, 0.02, 0.03])
    assert found.facts.lines == ()


def test_the_shipped_one_says_where_it_comes_from():
    facts = read_preset(shipped_preset()).facts
    assert list(facts.source.files) == ["drift_tube_traces.npz"]
    assert facts.rms_mV == pytest.approx(0.536, abs=0.001)
    assert facts.step_uV == pytest.approx(1e6 / 2**16, rel=1e-3)
    assert all(verdict.ok for verdict in facts.verdicts)


@pytest.mark.parametrize(
    ("rows", "rule"),
    [
        (ROWS.replace("20", "-20"), r"no negative floor_uV2_per_MHz \(got -20 in row 2\)"),
        (ROWS.replace("100,", "600,"), r"ascending; sort the rows"),
        (ROWS.replace("100,", "0,"), r"ascending; sort the rows"),
        (ROWS.replace("\n0,", "\n-5,"), r"not negative and ascending"),
        (ROWS.replace("500,", "501,"), r"must end at half the sampling rate of mine\.yaml, 500 MHz \(got 501 MHz\)"),
        (ROWS.replace("20", "much"), r'finite number as floor_uV2_per_MHz in row 2 \(got "much"\)'),
        (ROWS.replace(",20", ""), r'finite number as floor_uV2_per_MHz in row 2 \(got ""\)'),
        (ROWS.replace("20", "inf"), r'finite number as floor_uV2_per_MHz in row 2 \(got "inf"\)'),
        (ROWS.replace("floor_", "flor_"), r'column "floor_uV2_per_MHz" and rows below it; did you mean "flor_'),
        (ROWS[:32], r'column "frequency_MHz" and rows below it'),
        (ROWS[:37], r"at least two frequency_MHz"),
        ("", r'column "frequency_MHz"'),
        ("\0\n1,2", r"must "),
    ],
)
def test_a_spectrum_that_cannot_be(tmp_path, rows, rule):
    with pytest.raises(InputError, match=rule):
        read_preset(by_hand(tmp_path, rows))


def test_a_spectrum_that_is_not_text(tmp_path):
    path = by_hand(tmp_path)
    (tmp_path / "mine.csv").write_bytes(b"frequency_MHz,floor\xff")
    with pytest.raises(InputError, match=r"must be UTF-8 text \(byte 19 is not\)"):
        read_preset(path)


@pytest.mark.parametrize(
    ("more", "rule"),
    [
        ("rms: 0.5\n", r'rms: unknown key .*mine\.yaml line 3.*did you mean "rms_mV"'),
        ("lines: [{frequency_MHz: 97, rms_mV: -0.1}]\n", r"lines\[0\]\.rms_mV: "),
        ("lines: [{rms_mV: 0.1}]\n", r"lines\[0\]\.frequency_MHz: must be given"),
        ("rms_mV: loud\n", r"rms_mV: must be a number"),
    ],
)
def test_a_yaml_that_breaks_a_rule(tmp_path, more, rule):
    with pytest.raises(TownsendError, match=rule):
        read_preset(by_hand(tmp_path, more=more))


def test_both_files_belong_together(tmp_path):
    facts = NoisePreset(sampling_rate_GHz=1.0, spectrum=SpectrumFile(csv="x.csv"))
    some = np.array([0.0, 0.5])
    path = write_preset(Preset(facts, some, some, some), tmp_path / "noise.yaml")
    table = tmp_path / "noise.csv"
    table.write_text(table.read_text().replace("500", "400"))
    with pytest.raises(InputError, match=r"must be the file that noise\.yaml was written with"):
        read_preset(path)
    table.unlink()
    with pytest.raises(InputError, match=r"noise\.csv must be a readable file, since .*noise\.yaml names it"):
        read_preset(path)


def test_a_spectrum_lies_beside_its_yaml(tmp_path):
    (tmp_path / "mine.yaml").write_text("sampling_rate_GHz: 1.0\nspectrum: {csv: ../mine.csv}\n")
    with pytest.raises(InputError, match="must name a CSV beside itself"):
        read_preset(tmp_path / "mine.yaml")


def test_no_such_preset(tmp_path):
    with pytest.raises(InputError, match=r"must be a readable configuration file"):
        read_preset(tmp_path / "nothing.yaml")


def test_a_simulation_refuses_a_bad_preset_before_it_writes(refused, tmp_path):
    path = by_hand(tmp_path, ROWS.replace("20", "-20"))
    config = tmp_path / "tube.yaml"
    config.write_text(f"noise:\n  spectrum: {path}\n")
    command = ("simulate", "drifttube", "-n", 5, "--config", config, "-o", tmp_path / "mc")
    assert "no negative floor_uV2_per_MHz" in refused(*command)
    path.unlink()
    assert "mine.yaml must be a readable configuration file" in refused(*command)
