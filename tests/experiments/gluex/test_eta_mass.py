"""Selections that disturb a shape are told from those that do not."""

from __future__ import annotations

import json

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from townsend.errors import InputError
from townsend.experiments.gluex.eta_mass import signal_shape
from townsend.experiments.gluex.reference_cuts import passes_cuts


def gaussian(number, seed, mean=0.547, width=0.025):
    return np.random.default_rng(seed).normal(mean, width, number)


def all_signal(mass, selected, **options):
    return signal_shape(mass, np.ones(len(mass), np.bool_), selected, **options)


def test_a_blind_selection_is_undisturbed_and_seldom_significant():
    """p values of 200 blind selections are uniform; one in a hundred may be called disturbed, by the limit on p."""
    p_values, disturbed = [], 0
    for seed in range(200):
        mass = gaussian(2000, seed)
        found = all_signal(mass, np.random.default_rng(seed + 1000).random(2000) < 0.8, resamples=20)
        p_values.append(found.p_value)
        disturbed += "disturbs" in found.verdict.sentence
    assert kstest(p_values, "uniform").pvalue > 0.01
    assert disturbed <= 5


def test_selected_against_all_would_be_the_wrong_p_value():
    """Selected decays are a part of all: compared with them, p values pile up at one."""
    p_values = []
    for seed in range(200):
        mass = gaussian(2000, seed)
        kept = np.random.default_rng(seed + 1000).random(2000) < 0.8
        p_values.append(ks_2samp(mass[kept], mass, method="asymp").pvalue)
    assert np.mean(np.array(p_values) > 0.9) > 0.5


def test_the_distance_is_that_to_all_signal():
    mass = gaussian(3000, 1)
    kept = mass > 0.53
    found = all_signal(mass, kept, resamples=2)
    brute = max(abs(np.mean(mass[kept] <= m) - np.mean(mass <= m)) for m in mass)
    assert found.distance == pytest.approx(brute, abs=1e-12)


@pytest.mark.parametrize(
    "select",
    [
        lambda mass, random: mass > 0.53,
        lambda mass, random: np.abs(mass - 0.547) < 0.04,
        lambda mass, random: random.random(len(mass)) < np.where(mass > 0.547, 0.9, 0.75),
    ],
    ids=["one side", "the middle", "more of the upper half"],
)
def test_selections_by_mass_are_flagged(select):
    mass = gaussian(20_000, 2)
    found = all_signal(mass, select(mass, np.random.default_rng(3)), resamples=50)
    assert not found.verdict.ok
    assert "disturbs" in found.verdict.sentence


def test_an_absolute_cut_on_calorimeter_energy_disturbs_the_eta_and_the_reference_cuts_do_not(decays):
    whole = decays["reconstructed"] == 1
    mass, signal = decays["m_eegamma"][whole], decays["label"][whole] == 1
    absolute = (decays["dE_FCAL_plus"] > 1.5) & (decays["dE_FCAL_minus"] > 1.5)
    found = signal_shape(mass, signal, absolute[whole])
    assert not found.verdict.ok
    assert "disturbs" in found.verdict.sentence
    cuts = passes_cuts(decays, "_plus") & passes_cuts(decays, "_minus")
    found = signal_shape(mass, signal, cuts[whole])
    assert found.verdict.ok, found.verdict.sentence
    assert found.efficiency.value == pytest.approx(0.81, abs=0.02)
    assert found.background_efficiency.value == pytest.approx(0.0085, abs=0.002)


def test_few_decays_are_undecided_and_fewer_refused():
    mass = gaussian(200, 4)
    kept = np.random.default_rng(5).random(200) < 0.5
    found = all_signal(mass, kept)
    assert not found.verdict.ok
    assert found.verdict.sentence.startswith("undecided")
    with pytest.raises(InputError, match="at least 20 selected"):
        all_signal(mass, mass > np.sort(mass)[-20])


def test_everything_selected_is_undisturbed_exactly():
    mass = gaussian(5000, 6)
    found = all_signal(mass, np.ones(5000, np.bool_), resamples=20)
    assert found.verdict.ok
    assert (found.distance, found.p_value, found.shift_GeV, found.width_ratio) == (0.0, 1.0, (0.0, 0.0), (1.0, 0.0))
    assert found.background_efficiency is None
    assert found.ratio is None


def test_figures_are_those_of_counts_and_quantiles():
    mass = np.concatenate([gaussian(4000, 7), gaussian(6000, 8, 0.42, 0.05)])
    signal = np.arange(10_000) < 4000
    selected = (np.arange(10_000) % 4 != 0) & (signal | (np.arange(10_000) % 25 == 1))
    found = signal_shape(mass, signal, selected, window_GeV=(0.5, 0.6), resamples=200)
    inside = (mass > 0.5) & (mass < 0.6)
    for ratio, chosen in (
        (found.ratio, np.ones(10_000, np.bool_)),
        (found.ratio_selected, selected),
        (found.ratio_window, inside),
        (found.ratio_window_selected, inside & selected),
    ):
        s, b = (signal & chosen).sum(), (~signal & chosen).sum()
        assert ratio.value == pytest.approx(s / b)
        assert ratio.error == pytest.approx(s / b * np.sqrt(1 / s + 1 / b))
    assert (found.signal, found.signal_selected) == (4000, 3000)
    assert found.efficiency.value == 0.75
    assert found.width_GeV == pytest.approx(0.025, rel=0.05)
    assert found.median_GeV == pytest.approx(0.547, abs=0.002)
    # Selected are three quarters of all: the median's error is that of the quarter that differs.
    expected = 1.2533 * 0.025 * np.sqrt(1 / 3000 - 1 / 4000)
    assert found.shift_GeV.error == pytest.approx(expected, rel=0.2)
    assert json.loads(json.dumps(found.to_json()))["efficiency"][0] == 0.75


def test_lengths_and_masses_are_checked():
    mass = gaussian(100, 9)
    with pytest.raises(InputError, match="one length"):
        signal_shape(mass, np.ones(99, np.bool_), np.ones(100, np.bool_))
    mass[3] = np.nan
    with pytest.raises(InputError, match="1 that are not"):
        all_signal(mass, np.ones(100, np.bool_))
