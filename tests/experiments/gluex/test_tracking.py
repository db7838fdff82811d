"""Resolution, radiation and hits of tracks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.gluex.kinematics import unit_vectors
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import TrackSettings
from townsend.experiments.gluex.tracking import (
    MOST_HITS,
    after_radiation,
    measured,
    momentum_resolution,
    straw_hits,
    turned,
)

NUMBER = 100_000


def beam(electron, momentum_GeV=2.0, theta_deg=20.0, number=NUMBER):
    theta = np.full(number, np.deg2rad(theta_deg))
    return Particles(np.full(number, electron), np.full(number, momentum_GeV), theta, np.full(number, 0.3))


@pytest.mark.parametrize(
    ("momentum_GeV", "theta_deg", "percent"),
    [(1, 2, 4.8), (1, 10, 1.1), (1, 15, 2.9), (1, 60, 1.3), (5, 2, 8.4), (5, 10, 1.9), (5, 15, 3.7), (5, 60, 2.0)],
)
def test_momentum_resolution_is_the_published_one(momentum_GeV, theta_deg, percent):
    found = momentum_resolution(np.array([float(momentum_GeV)]), np.deg2rad([theta_deg]))
    assert found[0] == pytest.approx(percent / 100, rel=1e-6)


@given(st.floats(0.1, 12.0), st.floats(0.0, 3.1))
def test_momentum_resolution_rises_with_momentum_and_stays_finite(momentum_GeV, theta):
    slow, fast = momentum_resolution(np.array([momentum_GeV, momentum_GeV * 1.5]), np.full(2, theta))
    assert 0.005 < slow <= fast < 0.4


def test_measured_momenta_and_directions_scatter_as_told():
    particles = beam(False)
    momentum_GeV, theta, phi = measured(particles, TrackSettings(), np.random.default_rng(1))
    expected = momentum_resolution(np.array([2.0]), np.deg2rad([20.0]))[0]
    assert np.std(momentum_GeV / 2) == pytest.approx(expected, rel=4 / np.sqrt(2 * NUMBER))
    assert np.std(theta) == pytest.approx(1.5e-3, rel=4 / np.sqrt(2 * NUMBER))
    assert np.std(phi) * np.sin(np.deg2rad(20)) == pytest.approx(1.5e-3, rel=4 / np.sqrt(2 * NUMBER))


@given(st.floats(0.0, np.pi), st.floats(-np.pi, np.pi), st.integers(0, 1 << 30))
def test_a_turn_is_of_the_angle_drawn_also_on_the_beam_axis(theta, phi, seed):
    error = 1e-3
    tilted, azimuth = turned(np.array([theta]), np.array([phi]), error, np.random.default_rng(seed))
    drawn = np.random.default_rng(seed).standard_normal(2) * error
    between = unit_vectors(np.array([theta]), np.array([phi])) - unit_vectors(tilted, azimuth)
    assert np.linalg.norm(between) == pytest.approx(np.hypot(*drawn), rel=1e-4)
    assert 0 <= tilted[0] <= np.pi
    assert -np.pi <= azimuth[0] <= np.pi


def test_electrons_radiate_and_pions_do_not():
    """Bethe and Heitler: the mean energy falls as exp(-t)."""
    kept = after_radiation(beam(True), TrackSettings(), np.random.default_rng(2)).momentum_GeV / 2
    assert kept.mean() == pytest.approx(np.exp(-0.04), abs=4 * kept.std() / np.sqrt(NUMBER))
    assert np.all(kept <= 1)
    assert np.all(after_radiation(beam(False), TrackSettings(), np.random.default_rng(2)).momentum_GeV == 2.0)
    clear = after_radiation(beam(True), TrackSettings(material_X0=0), np.random.default_rng(2))
    assert np.all(clear.momentum_GeV == 2.0)


def test_hits_rise_from_six_to_twenty_eight_degrees():
    degrees = np.array([1.0, 5.9, 8.9, 9.1, 17.6, 28.0, 90.0, 131.0, 179.0])
    hits = straw_hits(np.deg2rad(degrees))
    np.testing.assert_array_equal(hits[[0, 1, -1]], 0)
    np.testing.assert_array_equal(hits[[5, 6]], MOST_HITS)
    assert hits[2] < 4 <= hits[3]
    assert hits[4] == MOST_HITS // 2
    assert np.all(np.diff(hits[:7]) >= 0)
    assert hits[7] == MOST_HITS  # backwards the straws end at 48 cm: 131 degrees is the outermost layer
