"""The drift relation against closed forms and Garfield++."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.drift import drift_relation
from townsend.experiments.drifttube.settings import TubeSettings
from townsend.experiments.drifttube.tables import gas_table

GASES = {"he90_iso10": "xt_tube_r4mm_1460V.csv", "he80_iso20": "xt_tube_r4mm_1460V_he80_iso20.csv"}


@pytest.mark.parametrize(("gas", "file"), GASES.items())
def test_times_agree_with_garfield(reference, gas, file):
    """AvalancheMC of Garfield++ within 0.3 ns or 1.2 %: both interpolate the same Magboltz points, each its own way."""
    table = np.genfromtxt(reference / file, delimiter=",", names=True)
    ours = drift_relation(TubeSettings(gas=gas)).time(table["r_cm"])
    far = np.abs(ours - table["mc_mean_ns"]) > np.maximum(0.3, 0.012 * table["mc_mean_ns"])
    assert not far.any(), table["r_cm"][far]


@pytest.mark.parametrize(("gas", "file"), GASES.items())
def test_spread_agrees_with_garfield(reference, gas, file):
    """Within 12 %: 1,000 to 4,000 electrons a radius leave 1-2 %, Magboltz' own sigma_L 1-8 %."""
    table = np.genfromtxt(reference / file, delimiter=",", names=True)
    ours = drift_relation(TubeSettings(gas=gas)).spread(table["r_cm"])
    assert np.abs(ours / table["mc_std_ns"] - 1).max() < 0.12
    assert abs(np.mean(ours / table["mc_std_ns"]) - 1) < 0.03


def test_time_is_the_integral_of_inverse_velocity_where_transverse_diffusion_is_small():
    tube = TubeSettings()
    relation = drift_relation(tube)
    field, velocity, _, _ = gas_table(tube.gas)
    inner, outer = 0.30, 0.301
    at = tube.voltage_V / (0.3005 * np.log(tube.inner_radius_cm / tube.wire_radius_cm))
    expected = (outer - inner) / np.exp(np.interp(np.log(at), np.log(field), np.log(velocity)))
    step = relation.time(np.array([outer]))[0] - relation.time(np.array([inner]))[0]
    assert step == pytest.approx(expected, rel=3e-3)


def test_drawn_times_have_the_mean_and_spread_of_the_relation():
    relation = drift_relation(TubeSettings())
    drawn = relation.draw(np.full(40_000, 0.2), np.random.default_rng(1))
    mean, spread = relation.time(np.array([0.2]))[0], relation.spread(np.array([0.2]))[0]
    assert abs(drawn.mean() - mean) < 5 * spread / 200  # 5 standard errors of 40,000 draws
    assert drawn.std() == pytest.approx(spread, rel=0.02)


def test_electrons_at_the_wire_are_not_early():
    relation = drift_relation(TubeSettings())
    assert relation.draw(np.full(1000, 0.0011), np.random.default_rng(2)).min() >= 0.0


def test_a_field_outside_the_table_is_refused():
    with pytest.raises(InputError, match=r"inside the gas table.*got \d+ at the wall"):
        drift_relation(TubeSettings(voltage_V=200.0))
