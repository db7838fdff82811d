"""Electrons of a cluster along a delta electron: counts, lengths, the wall."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.drifttube.simulation.deltas import STEP_POWER, follow_deltas

STEP_CM, W_EV, TUBE_CM = 0.68e-4, 39.51, 0.4


def follow(sizes, x_cm=0.05, y_cm=0.1, tube_cm=TUBE_CM, step_cm=STEP_CM, seed=1):
    size = np.asarray(sizes, np.int64)
    uniform = np.random.default_rng(seed).random(2 * int(size[size > 1].sum()))
    x, y = np.full(len(size), x_cm), np.full(len(size), y_cm)
    return follow_deltas(x, y, size, np.sqrt(0.5), step_cm, W_EV, tube_cm, uniform)


@given(st.lists(st.integers(1, 60), max_size=20))
def test_far_from_the_wall_no_electron_is_lost(sizes):
    cluster, radius_cm = follow(sizes)
    np.testing.assert_array_equal(np.bincount(cluster, minlength=len(sizes)), sizes)
    assert np.all(np.diff(cluster) >= 0)
    assert np.all(radius_cm > 0)


def test_a_single_electron_starts_at_its_cluster():
    _, radius_cm = follow([1, 1])
    np.testing.assert_allclose(radius_cm, np.hypot(0.05, 0.1), rtol=1e-12)


@given(st.integers(2, 300), st.integers(0, 99))
def test_no_electron_is_farther_than_the_path_is_long(size, seed):
    _, radius_cm = follow([size], seed=seed, tube_cm=10.0)
    longest = STEP_CM * np.sum(np.arange(1, size + 1) ** STEP_POWER)
    assert np.abs(radius_cm - np.hypot(0.05, 0.1)).max() <= longest * (1 + 1e-9)


def test_a_delta_electron_of_12_keV_leaves_the_tube_more_often_than_not():
    cluster, _ = follow(np.full(200, 300), x_cm=0.3, y_cm=0.2)
    assert np.mean(np.bincount(cluster, minlength=200) < 300) > 0.5


def test_a_delta_electron_of_1_keV_stays():
    cluster, _ = follow(np.full(200, 25))
    assert len(cluster) == 200 * 25


def test_the_first_electron_of_a_large_cluster_lies_across_the_track():
    """At right angles to (0, sin, cos), on average half of its step along x."""
    _, radius_cm = follow(np.full(4000, 50), x_cm=20.0, y_cm=0.0, step_cm=1e-3, tube_cm=50.0)
    across = (radius_cm[::50] - 20.0) / (1e-3 * 50**STEP_POWER)
    assert np.abs(across).max() <= 1.001
    assert np.mean(across**2) == pytest.approx(0.5, abs=0.06)


def test_twice_the_density_halves_the_range():
    """The extent of clusters, with the same random numbers; not exactly, since the radius is not linear in place."""
    size = np.full(300, 100)
    wide, narrow = (follow(size, x_cm=0.2, y_cm=0.0, tube_cm=50.0, step_cm=s)[1] for s in (STEP_CM, STEP_CM / 2))
    assert np.std(narrow - 0.2) == pytest.approx(np.std(wide - 0.2) / 2, rel=0.05)
