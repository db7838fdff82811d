"""Both calorimeters: acceptance, electrons against published E/p, pions against closed forms."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, kstest

from townsend.experiments.gluex.bcal import path_in_bcal, preshower_energy
from townsend.experiments.gluex.calorimeter import electromagnetic_share, smeared, visible_share
from townsend.experiments.gluex.fcal import fcal_energy
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.photons import measured_photons
from townsend.experiments.gluex.reference_data import published_histogram
from townsend.experiments.gluex.settings import BcalSettings, FcalSettings, GluexSettings, HadronSettings
from townsend.experiments.gluex.streams import streams

NUMBER = 50_000
SETTINGS = GluexSettings()
EXACT_BCAL = BcalSettings(stochastic=0, constant=0)
EXACT_FCAL = FcalSettings(stochastic=0, constant=0)


def beam(electron, momentum_GeV, theta_deg, number=NUMBER):
    theta = np.full(number, np.deg2rad(theta_deg))
    return Particles(np.full(number, electron), np.full(number, momentum_GeV), theta, np.zeros(number))


def own():
    return streams(41, "test", 0)


def ep_shape(edges, counts):
    """Peak, FWHM / 2.355, shares above 0.7 and from 0.4 to 0.7; the peak is that of a parabola through seven bins."""
    centre = (edges[1:] + edges[:-1]) / 2
    top = counts.argmax()
    near = slice(top - 3, top + 4)
    a, b, c = np.polyfit(centre[near], counts[near], 2)
    half = (c - b**2 / (4 * a)) / 2
    above = np.flatnonzero(counts > half)
    low = np.interp(half, counts[above[0] - 1 : above[0] + 1], centre[above[0] - 1 : above[0] + 1])
    high = np.interp(-half, -counts[above[-1] : above[-1] + 2], centre[above[-1] : above[-1] + 2])
    total = counts.sum()
    tail = counts[(centre > 0.4) & (centre < 0.7)].sum() / total
    return -b / (2 * a), (high - low) / 2.355, counts[centre > 0.7].sum() / total, tail


def test_electrons_in_the_fcal_have_nearly_the_published_energy_over_momentum(nominal):
    """Peak 0.932 (published 0.924), width 0.070 (0.067), above 0.7 0.967 (0.921), from 0.4 to 0.7 0.029 (0.042).

    Part of what is missing below 0.7 is not electrons: 3 % of the published sample lie below 0.3, pions left in.
    """
    edges, counts = published_histogram("fcal_ep")
    chosen = (nominal["label"] == 1) & (nominal["dE_FCAL"] > 0)
    simulated = np.histogram(nominal["dE_FCAL"][chosen] / nominal["p"][chosen], edges)[0].astype(np.float64)
    found, published = ep_shape(edges, simulated), ep_shape(edges, counts)
    np.testing.assert_allclose(published, [0.924, 0.067, 0.921, 0.042], atol=0.001)
    np.testing.assert_allclose(np.subtract(found, published), [0.008, 0.003, 0.046, -0.012], atol=0.004)


def test_a_shift_of_the_electrons_share_would_be_noticed():
    edges, counts = published_histogram("fcal_ep")
    particles = beam(True, 3.0, 6.0, 200_000)
    shifted = SETTINGS.model_copy(update={"fcal": FcalSettings(electron_share=0.90)})
    energy = fcal_energy(particles, shifted, own())
    found = ep_shape(edges, np.histogram(energy / 3.0, edges)[0].astype(np.float64))
    assert abs(found[0] - ep_shape(edges, counts)[0]) > 0.015


def test_resolution_and_threshold_are_those_asked_for():
    energy = np.full(NUMBER, 2.0)
    found = smeared(energy, SETTINGS.fcal, 0.1, np.random.default_rng(4))
    assert np.std(found) / 2 == pytest.approx(np.hypot(0.0617 / np.sqrt(2), 0.0467), rel=4 / np.sqrt(2 * NUMBER))
    low = smeared(np.full(NUMBER, 0.1), SETTINGS.fcal, 0.1, np.random.default_rng(4))
    assert np.mean(low == 0) == pytest.approx(0.5, abs=0.01)
    assert low[low > 0].min() > 0.1


@pytest.mark.parametrize(
    ("theta_deg", "fcal", "bcal"),
    [(0.9, False, False), (2, True, False), (9.7, True, False), (10.3, False, False), (12, False, True),
     (90, False, True), (125, False, True), (130, False, False)],
)  # fmt: skip
def test_each_angle_leads_into_one_calorimeter_or_a_gap(theta_deg, fcal, bcal):
    particles = beam(True, 2.0, theta_deg, 200)
    for energy, reached in ((fcal_energy, fcal), (preshower_energy, bcal)):
        share = np.mean(energy(particles, SETTINGS, own()) > 0)
        assert share > 0.8 if reached else share == 0


def test_the_path_in_the_barrel_is_that_of_a_straight_line():
    settings = BcalSettings()
    angles = np.deg2rad([10.0, 10.9, 14.0, 45.0, 125.0, 128.0])
    found = path_in_bcal(angles, settings)
    np.testing.assert_array_equal(found[[0, 5]], 0.0)
    end = settings.inner_radius_cm + found[1:4] * np.sin(angles[1:4])  # radius where it leaves
    np.testing.assert_allclose(end / np.tan(angles[1:4]), 342.0, rtol=1e-12)
    assert 0 < found[4] < 30


def test_an_electron_showers_wholly_and_with_its_largest_loss_where_the_profile_says():
    energy = np.array([3.0])
    assert electromagnetic_share(energy, [60.0], 0.011)[0] == pytest.approx(1.0, abs=1e-6)
    depth = np.linspace(0.01, 20, 4000)
    per_depth = np.gradient(electromagnetic_share(np.full(4000, 3.0), depth, 0.011), depth)
    assert depth[per_depth.argmax()] == pytest.approx(np.log(3.0 / 0.011) - 0.5, abs=0.02)


@given(st.floats(0.05, 10), st.floats(0, 30), st.floats(0, 30))
def test_a_deeper_look_sees_more_of_a_shower(energy_GeV, first, second):
    low, high = sorted((first, second))
    shares = electromagnetic_share(np.full(2, energy_GeV), np.array([low, high]), 0.011)
    assert 0 <= shares[0] <= shares[1] <= 1


def test_an_electron_without_fluctuation_leaves_its_profile_in_the_first_layer():
    settings = SETTINGS.model_copy(update={"bcal": BcalSettings(start_X0=0, stochastic=0, constant=0)})
    found = preshower_energy(beam(True, 3.0, 30.0, 5), settings, own())
    depth = 2.1 / np.sin(np.deg2rad(30.0)) / 1.45
    np.testing.assert_allclose(found, 3.0 * electromagnetic_share(np.array([3.0]), [depth], 0.011)[0], rtol=1e-12)


def test_a_thicker_first_layer_sees_more():
    nominal = preshower_energy(beam(True, 3.0, 30.0), SETTINGS, own())
    tuned = preshower_energy(beam(True, 3.0, 30.0), GluexSettings(setting="tuned"), own())
    assert tuned.mean() > 1.3 * nominal.mean()


def test_a_pion_that_does_not_interact_leaves_a_mip():
    never = {"interaction_cm": 1e12}
    bcal = SETTINGS.model_copy(update={"bcal": BcalSettings(stochastic=0, constant=0, **never)})
    np.testing.assert_allclose(
        preshower_energy(beam(False, 2.0, 30.0, 5), bcal, own()), 0.0086 * 2.1 / np.sin(np.deg2rad(30)), rtol=1e-9
    )
    fcal = SETTINGS.model_copy(update={"fcal": FcalSettings(stochastic=0, constant=0, **never)})
    np.testing.assert_allclose(fcal_energy(beam(False, 50.0, 5.0, 5), fcal, own()), 0.30, rtol=1e-4)


def test_a_slow_pion_gives_no_cherenkov_light():
    """Threshold: beta n = 1, that is p = m / sqrt(n2 - 1) = 0.1095 GeV."""
    settings = SETTINGS.model_copy(
        update={"fcal": FcalSettings(stochastic=0, constant=0, threshold_GeV=0, interaction_cm=1e12)}
    )
    found = [fcal_energy(beam(False, p, 5.0, 1), settings, own())[0] for p in (0.109, 0.110, 0.2, 1.0)]
    assert found[0] == 0.0
    assert 0 < found[1] < found[2] < found[3] < 0.30


def test_pions_interact_as_often_as_their_interaction_length_says():
    passing = SETTINGS.model_copy(update={"fcal": EXACT_FCAL})
    energy = fcal_energy(beam(False, 40.0, 5.0), passing, own())  # fast: a MIP is far below any shower
    expected = np.exp(-45 / 40)
    share = np.mean(np.isclose(energy, 0.30, rtol=1e-3))
    assert share == pytest.approx(expected, abs=4 * np.sqrt(expected * (1 - expected) / NUMBER))
    barrel = SETTINGS.model_copy(update={"bcal": EXACT_BCAL})
    layer_cm = 2.1 / np.sin(np.deg2rad(20))
    mip = np.isclose(preshower_energy(beam(False, 3.0, 20.0), barrel, own()), 0.0086 * layer_cm, rtol=1e-9)
    assert mip.mean() == pytest.approx(np.exp(-layer_cm / 34), abs=4 * 0.4 / np.sqrt(NUMBER))


def test_visible_shares_follow_their_two_distributions():
    share, exchange = visible_share(NUMBER, HadronSettings(), np.random.default_rng(5))
    assert exchange.mean() == pytest.approx(0.06, abs=4 * np.sqrt(0.06 * 0.94 / NUMBER))
    assert kstest(share[exchange], beta(6.0, 1.8).cdf).pvalue > 0.01
    assert kstest(share[~exchange], beta(1.3, 2.6).cdf).pvalue > 0.01


def test_photons_are_lost_in_the_gap_and_measured_elsewhere():
    degrees = np.array([0.5, 5.0, 10.3, 11.0, 30.0])
    number = 2000
    theta = np.repeat(np.deg2rad(degrees), number)
    found = measured_photons(np.full(len(theta), 1.0), theta, np.zeros(len(theta)), SETTINGS, own())
    energy = found.energy_GeV.reshape(len(degrees), number)
    assert np.all(energy[[0, 2]] == 0)
    assert 0.02 < np.median(energy[3]) < 0.8  # leaks out of the end
    assert np.median(energy[[1, 4]], axis=1) == pytest.approx([1.0, 1.0], abs=0.01)
    assert np.std(energy[4]) == pytest.approx(np.hypot(0.0502, 0.0442), rel=0.1)
