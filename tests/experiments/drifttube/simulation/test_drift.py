"""The drift relation against closed forms and Garfield++."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import skew

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.drift import drift_relation, survive
from townsend.experiments.drifttube.simulation.gas import Gas, load_gas
from townsend.experiments.drifttube.simulation.settings import DriftSettings, TubeSettings

GASES = {"he90_iso10": "xt_tube_r4mm_1460V.csv", "he80_iso20": "xt_tube_r4mm_1460V_he80_iso20.csv"}


@pytest.mark.parametrize(("gas", "file"), GASES.items())
def test_times_agree_with_garfield(reference, gas, file):
    """AvalancheMC of Garfield++ within 0.5 ns or 1 %, the larger; 0.23 ns reached."""
    table = np.genfromtxt(reference / file, delimiter=",", names=True)
    ours = drift_relation(TubeSettings(gas=gas)).time(table["r_cm"])
    far = np.abs(ours - table["mc_mean_ns"]) > np.maximum(0.5, 0.01 * table["mc_mean_ns"])
    assert not far.any(), table["r_cm"][far]


@pytest.mark.parametrize(("gas", "file"), GASES.items())
def test_times_without_diffusion_are_those_of_a_line_in_garfield(monkeypatch, reference, gas, file):
    """A line through the same points of Magboltz, to 0.1 %; one radius of 90/10 lies 0.2 ns off its neighbours."""
    table = np.genfromtxt(reference / file, delimiter=",", names=True)
    nothing = np.full_like(load_gas(gas).field_V_per_cm, 1e-9)
    still = replace(load_gas(gas), sigma_l=nothing, sigma_t=nothing)
    monkeypatch.setattr("townsend.experiments.drifttube.simulation.drift.load_gas", lambda _: still)
    ours = drift_relation(TubeSettings(gas=gas)).time(table["r_cm"])
    away = np.sort(np.abs(ours / table["rkf_time_ns"] - 1)[3:])
    assert away[-2] < 1e-3
    assert away[-1] < 4e-3


@pytest.mark.parametrize(("gas", "file"), GASES.items())
def test_spread_agrees_with_garfield(reference, gas, file):
    """Within 5 %: 1,000 to 4,000 electrons a radius leave 1-2 %; 1.5 % on average."""
    table = np.genfromtxt(reference / file, delimiter=",", names=True)
    ours = drift_relation(TubeSettings(gas=gas)).spread(table["r_cm"])
    assert np.abs(ours / table["mc_std_ns"] - 1).max() < 0.05
    assert abs(np.mean(ours / table["mc_std_ns"]) - 1) < 0.015


def even(velocity_cm_per_ns, sigma_cm, attachment_per_cm=0.0):
    """Return a gas that does not care for the field."""
    field = np.array([1.0, 1e3, 1e6, 1e9])
    level = np.ones(4)
    return Gas(
        0.1,
        1.0,
        field,
        velocity_cm_per_ns * level,
        sigma_cm * level,
        1e-9 * level,
        0 * level,
        attachment_per_cm * level,
    )


def relation_in(gas, monkeypatch):
    monkeypatch.setattr("townsend.experiments.drifttube.simulation.drift.load_gas", lambda _: gas)
    return drift_relation(TubeSettings())


def test_moments_are_those_of_an_inverse_gaussian_where_velocity_and_diffusion_are_level(monkeypatch):
    """First passage of Brownian motion with drift: mean d/v, variance sigma^2 d/v^2, skewness 3 sigma / sqrt(d)."""
    v, sigma = 2.5e-3, 0.015
    relation = relation_in(even(v, sigma), monkeypatch)
    radius = np.array([0.05, 0.2, 0.39])
    distance = radius - 0.001
    np.testing.assert_allclose(relation.time(radius), distance / v, rtol=1e-3)
    np.testing.assert_allclose(relation.spread(radius), sigma * np.sqrt(distance) / v, rtol=2e-3)
    skewness = np.interp(radius, relation.radius_cm, relation.skewness)
    np.testing.assert_allclose(skewness, 3 * sigma / np.sqrt(distance), rtol=5e-3)


def test_attachment_leaves_an_exponential_of_the_way(monkeypatch):
    relation = relation_in(even(2.5e-3, 0.015, attachment_per_cm=2.0), monkeypatch)
    radius = np.full(40_000, 0.301)
    arrives = survive(relation, DriftSettings(), radius, relation.time(radius), np.random.default_rng(3))
    assert arrives.mean() == pytest.approx(np.exp(-2.0 * 0.3), abs=0.0125)  # 5 standard errors


def test_a_lifetime_leaves_an_exponential_of_the_time():
    relation = drift_relation(TubeSettings())
    radius, time_ns = np.full(40_000, 0.2), np.full(40_000, 60.0)
    kept = survive(relation, DriftSettings(electron_lifetime_ns=100.0), radius, time_ns, np.random.default_rng(3))
    assert kept.mean() == pytest.approx(np.exp(-0.6), abs=0.0125)


def test_nobody_is_lost_where_nothing_attaches():
    relation = drift_relation(TubeSettings())
    radius = np.full(100, 0.39)
    assert survive(relation, DriftSettings(), radius, relation.time(radius), np.random.default_rng(3)).all()


def test_drawn_times_have_the_mean_and_spread_of_the_relation():
    relation = drift_relation(TubeSettings())
    drawn = relation.draw(np.full(40_000, 0.2), np.random.default_rng(1))
    mean, spread = relation.time(np.array([0.2]))[0], relation.spread(np.array([0.2]))[0]
    assert abs(drawn.mean() - mean) < 5 * spread / 200  # 5 standard errors of 40,000 draws
    assert drawn.std() == pytest.approx(spread, rel=0.02)
    assert skew(drawn) == pytest.approx(np.interp(0.2, relation.radius_cm, relation.skewness), abs=0.06)


def test_electrons_at_the_wire_are_not_early():
    relation = drift_relation(TubeSettings())
    assert relation.draw(np.full(1000, 0.0011), np.random.default_rng(2)).min() >= 0.0


def test_a_field_outside_the_table_is_refused():
    with pytest.raises(InputError, match=r"inside the gas table.*got \d+ at the wall"):
        drift_relation(TubeSettings(voltage_V=200.0))
