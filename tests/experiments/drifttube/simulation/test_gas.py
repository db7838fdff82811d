"""Transport tables between their points, shipped mixtures and files of the user."""

from __future__ import annotations

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.gas import load_gas


@pytest.mark.parametrize("name", ["he90_iso10", "he85_iso15", "he80_iso20"])
def test_every_shipped_mixture_passes_through_its_points(name):
    gas = load_gas(name)
    np.testing.assert_allclose(gas.smooth(gas.sigma_l, gas.field_V_per_cm), gas.sigma_l, rtol=1e-9)
    some = gas.townsend_per_cm > 0
    found = gas.coefficient(gas.townsend_per_cm, gas.field_V_per_cm)
    np.testing.assert_allclose(found[some], gas.townsend_per_cm[some], rtol=1e-9)
    assert not found[~some].any()


def test_a_parabola_is_followed_exactly():
    gas = load_gas("he90_iso10")
    x = gas.field_V_per_cm * 1e-3
    between = np.geomspace(0.1, 250.0, 57)
    np.testing.assert_allclose(gas.smooth(3 - x + 0.2 * x**2, between * 1e3), 3 - between + 0.2 * between**2, rtol=1e-9)


def test_a_gas_file_is_the_same_gas_as_the_shipped_table(reference):
    """Garfield++ wrote both from one run of Magboltz."""
    file, shipped = load_gas(str(reference / "he_90_ic4h10_10_293K_1atm.gas")), load_gas("he90_iso10")
    assert file.isobutane == pytest.approx(0.1)
    assert file.relative_density == pytest.approx(1.0, rel=1e-4)
    field = np.geomspace(600, 2.4e5, 50)
    for name in ("velocity_cm_per_ns", "sigma_l", "sigma_t"):
        ours, theirs = (gas.smooth(getattr(gas, name), field) for gas in (shipped, file))
        np.testing.assert_allclose(ours, theirs, rtol=2e-3, err_msg=name)


def test_the_mixture_without_a_table_lies_between_its_neighbours():
    field = np.geomspace(600, 2.4e5, 50)
    lean, middle, rich = (load_gas(name) for name in ("he90_iso10", "he85_iso15", "he80_iso20"))
    for name in ("velocity_cm_per_ns", "sigma_l", "sigma_t"):
        low, mean, high = (gas.smooth(getattr(gas, name), field) for gas in (lean, middle, rich))
        assert np.all(mean >= 0.97 * np.minimum(low, high)), name
        assert np.all(mean <= 1.03 * np.maximum(low, high)), name
    assert middle.isobutane == pytest.approx(0.15)


def test_a_mixture_without_clusters_is_refused(monkeypatch, reference):
    from dataclasses import replace

    from townsend.experiments.drifttube.simulation import gas as room

    path = reference / "he_90_ic4h10_10_293K_1atm.gas"
    lean = replace(room.read_gas_file(path), helium=0.95, isobutane=0.05)
    monkeypatch.setattr(room, "read_gas_file", lambda _: lean)
    with pytest.raises(InputError, match=r"10 to 20 % isobutane \(got 5 %\)"):
        room._load.__wrapped__(str(path), None)


def test_a_changed_file_is_read_again(reference, tmp_path):
    path = tmp_path / "mine.gas"
    text = (reference / "he_90_ic4h10_10_293K_1atm.gas").read_text()
    path.write_text(text)
    assert load_gas(str(path)).isobutane == pytest.approx(0.1)
    path.write_text("torn")
    with pytest.raises(InputError, match="whole gas file"):
        load_gas(str(path))
