"""Every group of rows: a wrong simulation fails in the row that it is about, and by the amount that it is wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from townsend.experiments.drifttube.simulation.drift import drift_relation
from townsend.experiments.drifttube.simulation.settings import (
    AvalancheSettings,
    DriftTubeSettings,
    SignalSettings,
    TrackSettings,
)
from townsend.experiments.drifttube.validation import arrivals, drift, electrons, ionization, signal
from townsend.experiments.drifttube.validation.currents import collected, currents
from townsend.experiments.drifttube.validation.mean_pulse import BINS, KNOTS_NS, mean_pulse
from townsend.experiments.drifttube.validation.reference_files import WAVEFORM_FILES, Reference
from townsend.experiments.drifttube.validation.verdicts import Judgement

UNIFORM = DriftTubeSettings(track=TrackSettings(impact="uniform"))
OK, UNDECIDED, FAIL = Judgement


class Part(Reference):
    """The reference with some of its tracks only, so that a test is quick."""

    def tracks(self):
        whole, tracks = super().tracks(), 1500
        kept = whole.track < tracks
        columns = {name: getattr(whole, name)[kept] for name in ("track", "cluster", "time_ns")}
        return replace(whole, impact_cm=whole.impact_cm[:tracks], **columns)


def slow(factor):
    """The drift relation of a gas whose electrons drift slower by a factor."""

    def relation(tube):
        right = drift_relation(tube)
        return replace(right, time_ns=factor * right.time_ns, spread_ns=factor * right.spread_ns)

    return relation


def of(rows, quantity, population=""):
    found = [row for row in rows if row.quantity.startswith(quantity) and population in row.population]
    assert found, f"no row {quantity}"
    return found


def test_the_drift_relation_is_judged_at_every_radius():
    rows = drift.drift_rows(Reference())
    assert [len(row.points) for row in rows] == [41] * 4
    assert all(np.isfinite(point.difference) for row in rows for point in row.points)


def test_velocities_five_per_cent_off_fail(monkeypatch):
    monkeypatch.setattr(drift, "drift_relation", slow(1.05))
    for row in of(drift.drift_rows(Reference()), "drift time"):
        assert row.judgement is FAIL
        assert row.difference > 3.0


def test_a_spread_fifteen_per_cent_off_fails(monkeypatch):
    def wide(tube):
        right = drift_relation(tube)
        return replace(right, spread_ns=1.15 * right.spread_ns)

    monkeypatch.setattr(drift, "drift_relation", wide)
    rows = drift.drift_rows(Reference())
    assert {row.judgement for row in of(rows, "spread")} == {FAIL}


def test_arrivals_that_are_five_per_cent_late_fail(monkeypatch):
    monkeypatch.setattr(electrons, "drift_relation", slow(1.05))
    rows = arrivals.arrival_rows(Part(), 1, 1)
    for quantity in ("arrival of an electron, 90 %", "last arrival of a track, mean", "first arrival of a track, mean"):
        (row,) = of(rows, quantity)
        assert row.judgement is FAIL
        assert row.difference == pytest.approx(5.0, abs=1.5)


def test_clusters_too_large_by_ten_per_cent_fail():
    """The size of clusters at W = 30 eV, where the reference has 39.51 eV."""
    lower_W = ionization.with_beam(ionization.SETTINGS, "he90_iso10", W_eV=30.0)
    drawn = ionization.draw_counts(lower_W, 20_000, 1, "test")
    shares, mean = ionization.size_rows(Reference().sizes("he90_iso10"), drawn, "W = 30 eV")
    assert (shares.judgement, mean.judgement) == (FAIL, FAIL)
    assert mean.difference == pytest.approx(10.4, abs=1.5)


def test_sizes_of_the_right_W_do_not_fail():
    drawn = ionization.draw_counts(ionization.SETTINGS, 50_000, 1, "test")
    shares, mean = ionization.size_rows(Reference().sizes("he90_iso10"), drawn, "W = 39.51 eV")
    assert (shares.judgement, mean.judgement) == (OK, OK)
    assert len(shares.points) == 20


def test_a_density_one_per_cent_off_fails(monkeypatch):
    right = ionization.clusters_per_cm
    monkeypatch.setattr(ionization, "clusters_per_cm", lambda *where: 1.01 * right(*where))
    rows = ionization.density_rows(Reference())
    assert [row.judgement for row in rows] == [FAIL, FAIL]
    assert [len(row.points) for row in rows] == [9, 36]


def test_a_point_that_the_simulation_refuses_fails(monkeypatch):
    def refuse(gas, particle, momentum_GeV):
        from townsend.errors import InputError

        if particle == "proton":
            msg = "too slow"
            raise InputError(msg)
        return right(gas, particle, momentum_GeV)

    right = ionization.clusters_per_cm
    monkeypatch.setattr(ionization, "clusters_per_cm", refuse)
    others = ionization.density_rows(Reference())[1]
    assert others.judgement is FAIL
    assert "9 FAIL" in others.note


def test_numbers_of_clusters_that_fluctuate_too_much_fail():
    """Half of the tracks with 10 % more clusters, half with fewer: variance over mean 1 + 0.01 x 18."""
    drawn = ionization.draw_counts(ionization.SETTINGS, 20_000, 1, "test")
    wide = replace(drawn, squares=drawn.squares + 0.01 * drawn.number**2 / drawn.tracks)
    (row,) = of(ionization.number_rows(Reference(), "he90_iso10", wide), "variance")
    assert row.judgement is FAIL


def test_a_pulse_of_another_mobility_fails():
    settings = UNIFORM.model_copy(update={"signal": SignalSettings(ion_mobility_cm2_per_Vs=10.0)})
    given = Reference().waveforms(WAVEFORM_FILES[0])
    row = signal.mean_pulse_row(given, mean_pulse(given), settings)
    assert row.judgement is FAIL
    assert len(row.points) == BINS


def test_one_avalanche_is_compared_from_its_own_arrival_on():
    """From 100 um, whose drift takes 0.381 ns in the x-t file, to the bin from 0.3 to 0.4 ns with the electrons."""
    pulse = Reference().single_pulse()
    assert signal.arrival_of(pulse) == pytest.approx(0.363, abs=0.001)
    row = signal.pulse_row(pulse, mean_pulse(Reference().waveforms(WAVEFORM_FILES[0])), UNIFORM)
    assert row.judgement is not FAIL
    assert len(row.points) == 1024


def test_a_mean_pulse_is_found_again_in_waveforms_made_of_it():
    """Least squares on our own currents from the reference's electrons; the last knot also bears what comes later."""
    given = Reference().waveforms(WAVEFORM_FILES[0])
    table = signal.current_table(UNIFORM, given.current_uA.shape[1])
    made = given._replace(current_uA=currents(given.electrons, table))
    expected = collected(KNOTS_NS + 1e-9, UNIFORM)
    np.testing.assert_allclose(mean_pulse(made)[:-1], expected[:-1], atol=0.003)


def test_a_gain_fifteen_per_cent_low_fails_in_charge_and_peak():
    low = UNIFORM.model_copy(update={"avalanche": AvalancheSettings(mean_gain=1.7e5)})
    rows = signal.signal_rows(Reference(), 1, 1, low)
    assert {row.judgement for row in of(rows, "charge of a track within 1,024 ns, 50 %")} == {FAIL}
    assert of(rows, "charge of a track within 1,024 ns, mean")[0].difference == pytest.approx(-15, abs=4)
    # The reference's own avalanches are used there, so those rows do not know of the gain.
    assert {row.judgement for row in of(rows, "mean |difference| of an event")} == {OK}


def test_waveforms_are_compared_on_both_files():
    rows = signal.waveform_rows(Reference().waveforms(WAVEFORM_FILES[0]), signal.current_table(UNIFORM, 1024))
    assert [row.population for row in rows] == ["250 events, the reference's electrons"] * 2
    assert len(rows[0].points) == 1024
