"""Both decays of the eta against their formulas, and against wrong ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.interpolate import PchipInterpolator
from scipy.stats import kstest

from townsend.experiments.gluex.eta_decay import _transverse, decay, kroll_wada, pion_pair_spectrum
from townsend.experiments.gluex.kinematics import ELECTRON_GEV, ETA_GEV, PION_GEV, boosted, invariant_mass

NUMBER = 100_000
FORM_FACTOR, ALPHA = 0.731, 1.32


@pytest.fixture(scope="module")
def electrons():
    return decay("electrons", NUMBER, FORM_FACTOR, np.random.default_rng(21))


@pytest.fixture(scope="module")
def pions():
    return decay("pions", NUMBER, ALPHA, np.random.default_rng(22))


def distribution(density, light_GeV):
    """Cumulative distribution of the pair's mass by another road than the generator's table: quadrature in the mass."""
    mass = np.concatenate(
        [2 * light_GeV * (1 + np.geomspace(1e-6, 1, 200)), np.linspace(4 * light_GeV, ETA_GEV, 300)[1:]]
    )
    mass = np.unique(np.clip(np.append(mass, 2 * light_GeV), None, ETA_GEV))

    nodes, weights = np.polynomial.legendre.leggauss(12)
    width = np.diff(mass)[:, None] / 2
    points = mass[:-1, None] + width * (1 + nodes)
    pieces = np.sum(density(points**2) * 2 * points * width * weights, axis=1)
    share = np.concatenate([[0.0], np.cumsum(pieces)])
    return PchipInterpolator(mass, share / share[-1])


def of_electrons(form_factor_GeV):
    return distribution(lambda m2: kroll_wada(m2, form_factor_GeV), ELECTRON_GEV)


def pair_mass(decays):
    return invariant_mass(decays.plus + decays.minus)


def test_electron_pairs_follow_kroll_and_wada(electrons):
    assert kstest(pair_mass(electrons), of_electrons(FORM_FACTOR)).pvalue > 0.01


@pytest.mark.parametrize("wrong", [np.inf, 0.60], ids=["point-like", "a form factor too steep"])
def test_a_wrong_form_factor_is_noticed(electrons, wrong):
    assert kstest(pair_mass(electrons), of_electrons(wrong)).pvalue < 1e-6


def test_the_spectrum_gives_the_branching_ratio():
    """Gamma(e+ e- gamma) / Gamma(gamma gamma) = 2 alpha / (3 pi) integral: times 0.394 it is 6.6e-3 (PDG 6.9(4)e-3)."""
    found, _ = quad(
        lambda x: float(kroll_wada(np.exp(np.array(x)), FORM_FACTOR)) * np.exp(x),
        np.log(4 * ELECTRON_GEV**2),
        np.log(ETA_GEV**2),
        limit=200,
    )
    assert 2 / (3 * np.pi * 137.036) * found == pytest.approx(0.01675, rel=0.005)


def test_pion_pairs_follow_their_spectrum_and_not_phase_space(pions):
    expected = distribution(lambda s: pion_pair_spectrum(s, ALPHA), PION_GEV)
    assert kstest(pair_mass(pions), expected).pvalue > 0.01

    def phase_space(s):
        return (ETA_GEV**2 - s) * np.sqrt(np.maximum(1 - 4 * PION_GEV**2 / s, 0))

    assert kstest(pair_mass(pions), distribution(phase_space, PION_GEV)).pvalue < 1e-6


def test_the_slope_of_the_pion_pairs_is_noticed(pions):
    assert kstest(pair_mass(pions), distribution(lambda s: pion_pair_spectrum(s, 0.0), PION_GEV)).pvalue < 1e-6
    assert pair_mass(pions).mean() == pytest.approx(0.409, abs=0.001)


@pytest.mark.parametrize("channel", ["electrons", "pions"])
def test_energy_and_momentum_are_conserved_on_the_mass_shells(channel, electrons, pions):
    decays = {"electrons": electrons, "pions": pions}[channel]
    np.testing.assert_allclose(decays.plus + decays.minus + decays.photon, np.tile([ETA_GEV, 0, 0, 0], (NUMBER, 1)),
                               atol=1e-10)  # fmt: skip
    light = ELECTRON_GEV if channel == "electrons" else PION_GEV
    for vectors, mass in ((decays.plus, light), (decays.minus, light), (decays.photon, 0.0)):
        square = vectors[:, 0] ** 2 - np.sum(vectors[:, 1:] ** 2, axis=1)
        np.testing.assert_allclose(square, mass**2, atol=1e-14)


def cosines(decays):
    """Of the positive particle to the flight of the pair, in the pair's rest frame."""
    pair = decays.plus + decays.minus
    back = pair * [1, -1, -1, -1]
    own = boosted(decays.plus, back, invariant_mass(pair))[:, 1:]
    flight = pair[:, 1:] / np.linalg.norm(pair[:, 1:], axis=1, keepdims=True)
    return np.sum(own * flight, axis=1) / np.linalg.norm(own, axis=1)


def test_electrons_have_the_angles_of_a_transverse_photon(electrons):
    """<cos2> is 2/5 without the electron's mass and 1/3 at threshold: 0.3938 over the spectrum.

    Pythia 8.317 gives 0.3935(6) for 300,000 decays, and 0.3996(6) for pairs above 10 MeV.
    """
    found, mass = cosines(electrons), pair_mass(electrons)

    def mean_square(ratio):
        a = (1 - ratio) / (1 + ratio)
        return (1 / 3 + a / 5) / (1 + a / 3)

    expected = np.mean(mean_square(4 * ELECTRON_GEV**2 / mass**2))
    assert expected == pytest.approx(0.3938, abs=0.0005)
    assert np.mean(found**2) == pytest.approx(expected, abs=3 * 0.31 / np.sqrt(NUMBER))
    heavy = mass > 0.01
    assert np.mean(found[heavy] ** 2) == pytest.approx(0.3996, abs=3 * 0.31 / np.sqrt(heavy.sum()))
    assert kstest(found[heavy], lambda c: 0.5 + (3 * c + c**3) / 8).pvalue > 0.01
    assert kstest(found[mass < 0.003], lambda c: 0.5 + (3 * c + c**3) / 8).pvalue < 1e-6
    assert np.mean(found) == pytest.approx(0.0, abs=3 * 0.63 / np.sqrt(NUMBER))


def test_pions_have_the_angles_of_sin2(pions):
    assert kstest(cosines(pions), lambda c: 0.5 + (3 * c - c**3) / 4).pvalue > 0.01


@given(st.floats(0, 1), st.floats(0, 1))
def test_angles_invert_their_distribution_for_every_mass_of_the_pair(draw, ratio):
    cosine = _transverse(np.array([draw]), np.array([ratio]))[0]
    a = (1 - ratio) / (1 + ratio)
    assert -1 - 1e-9 <= cosine <= 1 + 1e-9
    assert 0.5 + (cosine + a * cosine**3 / 3) / (2 * (1 + a / 3)) == pytest.approx(draw, abs=1e-9)


def test_the_photon_flies_anywhere_and_the_charges_are_alike(electrons):
    directions = electrons.photon[:, 1:] / electrons.photon[:, [0]]
    np.testing.assert_allclose(directions.mean(axis=0), 0.0, atol=4 / np.sqrt(3 * NUMBER))
    assert electrons.plus[:, 0].mean() == pytest.approx(electrons.minus[:, 0].mean(), rel=0.01)
