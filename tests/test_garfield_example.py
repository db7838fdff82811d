"""The Garfield++ program that users run, as far as it needs no Garfield++: its options, its tracks and its file."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from townsend.experiments.drifttube.reading.garfield_file import read_garfield
from townsend.experiments.drifttube.reading.garfield_signals import garfield_waveforms
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, NoiseSettings

PROGRAM = Path(__file__).parent.parent / "examples" / "garfield" / "drifttube.py"


@pytest.fixture(scope="module")
def program() -> ModuleType:
    place = importlib.util.spec_from_file_location("garfield_drifttube", PROGRAM)
    assert place is not None
    assert place.loader is not None
    module = importlib.util.module_from_spec(place)
    sys.modules["garfield_drifttube"] = module  # dataclasses look for it there
    place.loader.exec_module(module)
    return module


@pytest.fixture
def gas(tmp_path: Path) -> Path:
    path = tmp_path / "mixture.gas"
    path.write_text("a gas table")
    return path


def test_it_is_loaded_without_garfield(program: ModuleType) -> None:
    assert "ROOT" not in vars(program)


def test_tracks_are_chords_at_the_angle(program: ModuleType, gas: Path) -> None:
    options = program.parsed(["--gas-file", str(gas), "-o", "x.npz", "--events", "400", "--angle-deg", "30"])
    tracks = list(program.tracks(options))
    impact = np.array([track.impact_cm for track in tracks])
    assert np.abs(impact).max() < 0.399
    assert impact.std() == pytest.approx(0.399 / np.sqrt(3), rel=0.08)  # uniform; 3 sigma of 400 tracks
    for track in tracks[:20]:
        start, step = np.array(track.start_cm), np.array(track.direction)
        end = start + track.path_cm * step
        assert np.linalg.norm(step) == pytest.approx(1)
        assert step[2] == pytest.approx(np.cos(np.deg2rad(30)))
        assert np.hypot(*start[:2]) == pytest.approx(0.4)
        assert np.hypot(*end[:2]) == pytest.approx(0.4)
        assert (start[0], end[0]) == (track.impact_cm, track.impact_cm)
    again = list(program.tracks(options))
    assert again == tracks


def test_the_default_is_the_tube_of_the_reference(program: ModuleType, gas: Path) -> None:
    options = program.parsed(["--gas-file", str(gas), "-o", "x.npz"])
    assert (options.tube_radius_cm, options.wire_radius_cm, options.voltage_V) == (0.4, 0.001, 1460.0)
    assert (options.particle, options.momentum_GeV, options.angle_deg) == ("muon", 10.0, 45.0)
    assert (options.gain, options.theta, options.bins, options.bin_ns) == (2e5, 0.5, 1024, 1.0)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        (["--angle-deg", "0"], "--angle-deg must lie in 0 < angle <= 90 (got 0)"),
        (["--events", "0"], "--events must be above 0 (got 0)"),
        (["--wire-radius-cm", "0.05"], "--tube-radius-cm must exceed 10 wire radii (got 0.4)"),
        (["--impact-max-cm", "0.4"], "--impact-max-cm must be smaller than the tube's radius (got 0.4)"),
        (["--particle", "quark"], "invalid choice: 'quark'"),
    ],
)
def test_options_that_cannot_work_are_named(
    given: list[str], rule: str, program: ModuleType, gas: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        program.parsed(["--gas-file", str(gas), "-o", "x.npz", *given])
    assert rule in capsys.readouterr().err


def test_a_missing_gas_file_is_named(program: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        program.parsed(["--gas-file", "none.gas", "-o", "x.npz"])
    assert "--gas-file must be a file that exists (got none.gas)" in capsys.readouterr().err


def test_its_file_is_the_one_that_is_read(program: ModuleType, tmp_path: Path) -> None:
    """Two clusters, one of which lost all its electrons, then an event without any."""
    first, second = (program.Electron((0.1, 0.2, 0.0), time, size) for time, size in ((30.0, 2e5), (28.5, 1e5)))
    clusters = [
        program.Cluster((0.1, 0.2, 0.0), 35.0, [first, second]),
        program.Cluster((0.1, -0.1, 0.3), 17.0, []),
    ]
    total, electron = np.zeros(1024), np.zeros(1024)
    total[28:60], electron[28:32] = -0.5, -0.2
    events = program.Events(bin_ns=1.0)
    events.add(0.1, 1.1, clusters, total, electron)
    events.add(-0.39, 0.2, [], np.zeros(1024), np.zeros(1024))
    events.save(tmp_path / "out" / "events.npz")

    found = read_garfield(tmp_path / "out" / "events.npz")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["events.npz"]
    assert found.clusters.tolist() == [2, 0]
    assert found.electrons.tolist() == [2, 0]
    assert found.cluster_size.tolist() == [2, 0]
    assert found.cluster_radius_cm == pytest.approx([np.hypot(0.1, 0.2), np.hypot(0.1, 0.1)])
    assert found.electron_time_ns == pytest.approx([30.0, 28.5])
    assert found.electron_avalanche == pytest.approx([2e5, 1e5])
    assert found.current_uA.sum() == pytest.approx(16.0)
    waveforms = garfield_waveforms(found, DriftTubeSettings(noise=NoiseSettings(spectrum="none")))
    assert waveforms.truth is not None
    assert waveforms.truth.electron_time_ns[0].to_list() == [252.5, 254.0]
    assert waveforms.samples[0].max() > 0 == np.abs(waveforms.samples[1]).max()


def test_its_keys_are_those_of_the_reference(program: ModuleType, reference: Path) -> None:
    with np.load(reference / "waveforms_mu10GeV_45deg_250ev.npz") as file:
        assert set(program.Events(bin_ns=1.0).columns()) == set(file.files)
