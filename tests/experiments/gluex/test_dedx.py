"""Energy loss in the straws."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.experiments.gluex.dedx import measured_loss, most_probable_loss
from townsend.experiments.gluex.kinematics import ELECTRON_GEV, PION_GEV
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import DedxSettings

NUMBER = 50_000


def keV_per_cm(momentum_GeV, mass_GeV):
    momentum = np.array([float(momentum_GeV)])
    return most_probable_loss(momentum, np.array([mass_GeV]), DedxSettings())[0] * 1e6


@pytest.mark.parametrize(
    ("momentum_GeV", "loss"), [(0.3, 1.88), (0.5, 1.80), (1.0, 1.90), (1.5, 2.00), (3.0, 2.20)]
)  # of a prototype written before this one
def test_pions_lose_least_at_half_a_GeV_and_rise_from_there(momentum_GeV, loss):
    assert keV_per_cm(momentum_GeV, PION_GEV) == pytest.approx(loss, abs=0.006)


@pytest.mark.parametrize(
    ("momentum_GeV", "published"), [(0.3, 1.98), (0.5, 1.93), (1.5, 2.18), (2.0, 2.02)]
)  # modes of the histogram in NIM A 987 (2021) 164807, figure macros
def test_pions_lie_within_a_tenth_of_the_published_histogram(momentum_GeV, published):
    """Found 5, 7, 8 % below and 3 % above: its modes are themselves no smooth curve."""
    assert keV_per_cm(momentum_GeV, PION_GEV) == pytest.approx(published, rel=0.1)


def test_electrons_are_on_the_plateau():
    assert keV_per_cm(0.3, ELECTRON_GEV) == pytest.approx(2.83, abs=0.01)
    assert keV_per_cm(6.5, ELECTRON_GEV) == pytest.approx(2.93, abs=0.01)
    assert keV_per_cm(1000, ELECTRON_GEV) == pytest.approx(keV_per_cm(100, ELECTRON_GEV), rel=1e-6)


def test_the_most_probable_loss_has_no_steps_where_the_density_effect_begins_and_ends():
    momentum = np.geomspace(0.1, 3000, 4000)
    loss = most_probable_loss(momentum, np.full(4000, PION_GEV), DedxSettings())
    assert np.max(np.abs(np.diff(np.log(loss)))) < 0.01


def tracks(theta_deg):
    theta = np.full(NUMBER, np.deg2rad(theta_deg))
    return Particles(np.zeros(NUMBER, np.bool_), np.full(NUMBER, 1.5), theta, np.zeros(NUMBER))


@pytest.mark.parametrize(("theta_deg", "hits"), [(9.5, 4), (17.6, 14), (40.0, 28)])
def test_the_width_falls_with_the_number_of_hits(theta_deg, hits):
    loss = measured_loss(tracks(theta_deg), DedxSettings(), np.random.default_rng(3))
    width = np.std(np.log(loss))
    assert width == pytest.approx(0.11 * np.sqrt(25 / hits), rel=4 / np.sqrt(2 * NUMBER))
    assert np.median(loss) == pytest.approx(2.0e-6, rel=5 * width / np.sqrt(NUMBER))


def test_tracks_with_few_hits_have_no_loss():
    assert np.all(measured_loss(tracks(8.0), DedxSettings(), np.random.default_rng(3)) == 0)
