"""Four-vectors: boosts, masses, directions."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.gluex.kinematics import (
    around,
    boosted,
    four_vectors,
    invariant_mass,
    isotropic,
    momentum_theta_phi,
    unit_vectors,
)


@given(st.integers(0, 1 << 30), st.floats(1e-3, 10.0), st.floats(1e-3, 10.0))
def test_a_boost_keeps_masses_products_and_gives_the_rest_frame_its_vector(seed, light, heavy):
    random = np.random.default_rng(seed)
    frame = four_vectors(random.uniform(0, 10, 20), isotropic(20, random), heavy)
    first, second = (four_vectors(random.uniform(0, 5, 20), isotropic(20, random), light) for _ in range(2))
    mass = np.full(20, heavy)
    metric = np.array([1, -1, -1, -1])
    moved = boosted(first, frame, mass)
    before, after = (
        np.sum(first * second * metric, axis=1),
        np.sum(moved * boosted(second, frame, mass) * metric, axis=1),
    )
    scale = (first[:, 0] * second[:, 0]) * (frame[:, 0] / heavy) ** 2
    assert np.all(np.abs(after - before) < 1e-12 * scale)
    at_rest = np.zeros((20, 4))
    at_rest[:, 0] = heavy
    np.testing.assert_allclose(boosted(at_rest, frame, mass), frame, rtol=1e-12, atol=1e-12)


def test_boosts_along_the_beam_are_the_textbook_ones():
    frame = np.array([[5.0, 0.0, 0.0, 4.0]])  # gamma 5/3, beta 4/5
    found = boosted(np.array([[2.0, 1.0, 0.0, -1.0]]), frame, np.array([3.0]))
    np.testing.assert_allclose(found, [[5 / 3 * (2 - 0.8), 1.0, 0.0, 5 / 3 * (-1 + 1.6)]], atol=1e-14)


@given(st.integers(0, 1 << 30))
def test_momentum_and_angles_give_the_vector_back(seed):
    random = np.random.default_rng(seed)
    vectors = four_vectors(random.uniform(0.1, 9, 50), isotropic(50, random), 0.14)
    momentum, theta, phi = momentum_theta_phi(vectors)
    np.testing.assert_allclose(four_vectors(momentum, unit_vectors(theta, phi), 0.14), vectors, atol=1e-12)
    np.testing.assert_allclose(invariant_mass(vectors), 0.14, rtol=1e-9)


@given(st.integers(0, 1 << 30))
def test_directions_around_an_axis_have_the_cosine_asked_for(seed):
    random = np.random.default_rng(seed)
    axis = np.concatenate([isotropic(40, random), np.eye(3), -np.eye(3)])
    cosine, phi = random.uniform(-1, 1, 46), random.uniform(-np.pi, np.pi, 46)
    found = around(axis, cosine, phi)
    np.testing.assert_allclose(np.sum(found**2, axis=1), 1.0, rtol=1e-12)
    np.testing.assert_allclose(np.sum(found * axis, axis=1), cosine, atol=1e-12)


def test_isotropic_directions_have_the_moments_of_a_sphere():
    found = isotropic(100_000, np.random.default_rng(2))
    np.testing.assert_allclose(found.mean(axis=0), 0.0, atol=5 / np.sqrt(3 * 100_000))
    np.testing.assert_allclose(found.T @ found / 100_000, np.eye(3) / 3, atol=5 * 0.3 / np.sqrt(100_000))
