"""Reading the reference: whole, in a folder of the user's, and damaged."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.validation.reference_files import WAVEFORM_FILES, Reference

TRACKS = "truth_mu10GeV_45deg_10000trk.npz"


def test_the_shipped_files_have_the_known_numbers(reference):
    tracks = Reference().tracks()
    assert len(tracks.impact_cm) == 10_000
    assert len(tracks.time_ns) == 203_554
    with np.load(reference / TRACKS) as archive:  # three clusters lost their electrons to the wall
        assert len(np.unique(tracks.cluster)) == np.count_nonzero(archive["cl_n_electrons"]) == 146_397
    for name, events in zip(WAVEFORM_FILES, (250, 2200), strict=True):
        waveforms = Reference().waveforms(name)
        assert waveforms.current_uA.shape == (events, 1024)
        assert waveforms.current_uA.min() >= 0.0
        assert len(waveforms.electrons.charge_fC) == len(waveforms.electrons.track)


def test_bins_of_the_pulse_join_without_a_gap():
    pulse = Reference().single_pulse()
    np.testing.assert_allclose(pulse.end_ns[:3], [0.1, 0.2, 0.3])
    np.testing.assert_allclose(pulse.end_ns[-3:], [1022, 1023, 1024])
    assert pulse.electrons_fC.sum() / pulse.avalanche_fC == pytest.approx(0.0408, abs=1e-4)


def test_tables_of_the_simulation_are_found_where_the_folder_has_none(tmp_path, tables):
    theirs = Reference(tmp_path).sizes("he90_iso10")
    assert theirs.electrons[0] == 1
    text = (tables / "clustersize_mu10GeV_he90_iso10.csv").read_text().splitlines()
    (tmp_path / "clustersize_mu10GeV_he90_iso10.csv").write_text("\n".join(text[:5]) + "\n")
    assert len(Reference(tmp_path).sizes("he90_iso10").electrons) == 4


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(InputError, match=rf"must hold {TRACKS}"):
        Reference(tmp_path).tracks()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "header and rows"),
        ("r_cm,mc_n\n", "header and rows"),
        ("r_cm,mc_n\n0.1\n", "numbers in the columns"),
        ("r_cm\n0.1\n", "numbers in the columns"),
        ("r_cm,mc_n\n0.1,many\n", "numbers in the columns"),
        ("r_cm,mc_n\n0.1,nan\n", "finite"),
    ],
)
def test_a_damaged_table_is_refused(tmp_path, text, sentence):
    (tmp_path / "xt.csv").write_text(text)
    with pytest.raises(InputError, match=sentence):
        Reference(tmp_path).numbers("xt.csv", "r_cm", "mc_n")


def test_a_damaged_archive_is_refused(tmp_path, reference):
    whole = (reference / TRACKS).read_bytes()
    path = tmp_path / TRACKS
    for contents in (b"", b"text", whole[:1000], whole[:-1000]):
        path.write_bytes(contents)
        with pytest.raises(InputError, match="whole archive"):
            Reference(tmp_path).tracks()
    np.savez(path, impact_cm=np.zeros(3))
    with pytest.raises(InputError, match="whole archive"):
        Reference(tmp_path).tracks()
    np.savez(
        path,
        **{name: np.full(1, np.nan) for name in ("impact_cm", "n_clusters", "el_event", "el_cluster", "el_arrival_ns")},
    )
    with pytest.raises(InputError, match="finite"):
        Reference(tmp_path).tracks()
