"""Clusters along a track: Heed's densities and sizes, straight-line geometry, Poisson numbers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import chisquare

from townsend.errors import InputError
from townsend.experiments.drifttube.ionization import MASS_GEV, clusters_per_cm, draw_clusters
from townsend.experiments.drifttube.settings import DriftTubeSettings, IonizationSettings, TrackSettings

TRACKS = 4000


@pytest.fixture(scope="module")
def drawn():
    return draw_clusters(DriftTubeSettings(), TRACKS, np.random.default_rng(3))


def test_density_agrees_with_heed_for_particles_not_in_the_constants(reference):
    """The constants come from muons; pi, K, p and e at the table's beta*gamma are checks, to 1 % (coarse grid)."""
    scan = np.genfromtxt(
        reference / "heed_scan_he90_iso10.csv", delimiter=",", names=True, dtype=None, encoding="utf-8"
    )
    names = {"pi": "pion", "kaon": "kaon", "proton": "proton", "electron": "electron"}
    checked = 0
    for row in scan:
        if row["particle"] in names and row["beta_gamma"] > 4.75:
            ours = clusters_per_cm("he90_iso10", names[row["particle"]], float(row["p_GeV"]))
            assert ours == pytest.approx(row["GetClusterDensity_per_cm"], rel=0.01), row
            checked += 1
    assert checked > 20


def test_other_mixture_has_its_own_density_at_10_GeV():
    assert clusters_per_cm("he80_iso20", "muon", 10.0) == pytest.approx(27.55676, rel=1e-3)


def test_a_momentum_below_the_table_is_refused_with_the_lowest_one():
    with pytest.raises(InputError, match=r"at least 0\.5 for a muon \(got 0\.1\)"):
        clusters_per_cm("he90_iso10", "muon", 0.1)


def test_masses_order_as_nature_has_them():
    assert MASS_GEV["electron"] < MASS_GEV["muon"] < MASS_GEV["pion"] < MASS_GEV["kaon"] < MASS_GEV["proton"]


def test_number_of_clusters_is_poisson_with_the_density_of_the_path(drawn):
    number = np.bincount(drawn.track, minlength=TRACKS)
    expected = clusters_per_cm("he90_iso10", "muon", 10.0) * drawn.path_cm
    assert abs(number.sum() - expected.sum()) < 5 * np.sqrt(expected.sum())
    assert np.mean((number - expected) ** 2 / expected) == pytest.approx(1.0, abs=5 * np.sqrt(2 / TRACKS))


def test_path_is_the_chord_over_the_sine_of_the_angle(drawn):
    expected = 2 * np.sqrt(0.4**2 - drawn.impact_cm**2) / np.sin(np.pi / 4)
    np.testing.assert_allclose(drawn.path_cm, expected, rtol=1e-12)
    assert np.abs(drawn.impact_cm).max() <= 0.08


def test_clusters_lie_between_the_impact_parameter_and_the_wall(drawn):
    assert np.all(drawn.radius_cm >= np.abs(drawn.impact_cm[drawn.track]) - 1e-12)
    assert drawn.radius_cm.max() <= 0.4 + 1e-12


def test_sizes_follow_heed(drawn, reference):
    table = np.genfromtxt(reference / "clustersize_mu10GeV_he90_iso10.csv", delimiter=",", names=True)
    probability = np.append(table["probability"][:10], table["probability"][10:].sum())
    counts = np.bincount(np.minimum(drawn.size, 11), minlength=12)[1:]
    assert chisquare(counts, probability / probability.sum() * counts.sum()).pvalue > 1e-4


def test_a_size_too_large_by_five_percent_would_be_caught(drawn, reference):
    table = np.genfromtxt(reference / "clustersize_mu10GeV_he90_iso10.csv", delimiter=",", names=True)
    probability = np.append(table["probability"][:10], table["probability"][10:].sum())
    probability[1:] *= 1.05 * 1.2  # a tenth of the clusters has more than one electron: shift their share
    probability[0] = 1 - probability[1:].sum()
    counts = np.bincount(np.minimum(drawn.size, 11), minlength=12)[1:]
    assert chisquare(counts, probability * counts.sum()).pvalue < 1e-4


def test_mean_size_is_that_of_heed_with_delta_transport_in_the_tube(drawn, reference):
    """1.391 on 146,400 reference clusters; 2 % covers the error of either side (0.010 on ours)."""
    sizes = np.load(reference / "truth_mu10GeV_45deg_10000trk.npz")["cl_n_electrons"]
    assert drawn.size.mean() == pytest.approx(sizes.mean(), rel=0.02)


def test_the_long_tail_can_be_kept():
    settings = DriftTubeSettings(ionization=IonizationSettings(max_cluster_size=None))
    assert draw_clusters(settings, TRACKS, np.random.default_rng(3)).size.max() > 300


def test_the_long_tail_can_be_cut():
    settings = DriftTubeSettings(ionization=IonizationSettings(max_cluster_size=3))
    assert draw_clusters(settings, 500, np.random.default_rng(4)).size.max() <= 3


def test_uniform_beam_fills_the_tube():
    settings = DriftTubeSettings(track=TrackSettings(impact="uniform"))
    impact_cm = draw_clusters(settings, 2000, np.random.default_rng(5)).impact_cm
    assert impact_cm.min() < -0.39
    assert impact_cm.max() > 0.39
