"""Rows of the samples: the same however they are cut, balanced, in their ranges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.config import parse
from townsend.errors import ConfigError, InputError
from townsend.experiments.gluex.columns import eta_decays, gun_tracks, track_of
from townsend.experiments.gluex.response import INPUTS
from townsend.experiments.gluex.settings import BcalSettings, DedxSettings, GluexSettings
from townsend.experiments.gluex.streams import BLOCK

ROWS = 2 * BLOCK + 100
WHOLE = {"tracks": gun_tracks(GluexSettings(), 0, ROWS), "decays": eta_decays(GluexSettings(), 0, ROWS)}
MAKE = {"tracks": gun_tracks, "decays": eta_decays}


@settings(max_examples=12)
@given(st.sampled_from(["tracks", "decays"]), st.integers(0, ROWS - 1), st.integers(1, ROWS))
def test_a_part_of_a_sample_is_the_part_of_the_whole(sample, start, length):
    stop = min(start + length, ROWS)
    part = MAKE[sample](GluexSettings(), start, stop)
    assert part.keys() == WHOLE[sample].keys()
    for name, values in part.items():
        np.testing.assert_array_equal(values, WHOLE[sample][name][start:stop])


@pytest.mark.parametrize("make", [gun_tracks, eta_decays])
@pytest.mark.parametrize("rows", [(5, 5), (-1, 3), (4, 2)])
def test_an_empty_range_is_refused(make, rows):
    with pytest.raises(InputError, match="0 <= start < stop"):
        make(GluexSettings(), *rows)


def test_seeds_and_blocks_are_different_samples():
    other = gun_tracks(GluexSettings(seed=2), 0, 10)
    assert not np.any(other["p"] == WHOLE["tracks"]["p"][:10])
    first, second = WHOLE["tracks"]["p"][:BLOCK], WHOLE["tracks"]["p"][BLOCK : 2 * BLOCK]
    assert abs(np.corrcoef(first, second)[0, 1]) < 4 / np.sqrt(BLOCK)


def test_a_change_of_one_part_of_the_detector_leaves_the_others_alone():
    changed = GluexSettings(bcal=BcalSettings(preshower_cm=2.6), dedx=DedxSettings(resolution=0.3))
    found = gun_tracks(changed, 0, ROWS)
    for name, values in found.items():
        same = np.array_equal(values, WHOLE["tracks"][name])
        assert same is (name not in ("dE_BCAL_preshower", "ddEdx_CDC")), name


def test_the_tuned_setting_is_nominal_with_two_other_constants():
    tuned = GluexSettings(setting="tuned")
    assert (tuned.preshower_cm, tuned.matching) == (2.6, 0.99)
    assert (GluexSettings().preshower_cm, GluexSettings().matching) == (2.1, 0.97)
    given = parse(GluexSettings, {"setting": "tuned", "tracks": {"matching": 0.5}, "bcal": {"preshower_cm": 2.0}})
    assert (given.preshower_cm, given.matching) == (2.0, 0.5)
    spelt = parse(GluexSettings, {"tracks": {"matching": 0.99}, "bcal": {"preshower_cm": 2.6}})
    for name, values in gun_tracks(tuned, 0, 500).items():
        np.testing.assert_array_equal(values, gun_tracks(spelt, 0, 500)[name])


def test_the_gun_shoots_as_many_electrons_as_pions_over_its_ranges(nominal):
    assert nominal["label"].mean() == 0.5
    momentum, theta = nominal["p_true"], np.rad2deg(nominal["theta_true"])
    assert 0.3 <= momentum.min() < momentum.max() <= 6.5
    assert momentum.mean() == pytest.approx(3.4, abs=4 * 1.8 / np.sqrt(len(momentum)))
    assert 1.2 <= theta.min() < theta.max() <= 45.0
    assert np.mean(theta < 12.5) == pytest.approx(0.7, abs=0.005)
    forward = theta[theta < 12.5]
    assert forward.mean() == pytest.approx(6.85, abs=4 * 3.3 / np.sqrt(len(forward)))
    assert np.all(np.abs(nominal["phi"]) <= np.float32(np.pi))


def test_three_of_a_hundred_tracks_have_no_shower(nominal):
    inside = (nominal["label"] == 1) & (np.rad2deg(nominal["theta_true"]) < 9) & (nominal["p_true"] > 1)
    lost = np.mean(nominal["dE_FCAL"][inside] == 0)
    assert lost == pytest.approx(0.03, abs=0.004)


def test_a_track_of_a_decay_has_the_names_of_single_tracks(decays):
    found = track_of(decays, "minus")
    assert set(found) == {"decay", "label", "reconstructed", *INPUTS}
    for name in INPUTS:
        np.testing.assert_array_equal(found[name], decays[f"{name}_minus"])
    assert not np.array_equal(found["p"], track_of(decays, "plus")["p"])


@pytest.mark.parametrize(
    ("given", "sentence"),
    [
        ({"gun": {"theta_low_deg": 20.0}}, "must ascend"),
        ({"gun": {"momentum_low_GeV": 7.0}}, "must be larger than momentum_low_GeV"),
        ({"eta": {"photon_high_GeV": 8.0}}, "must not be below photon_low_GeV"),
        ({"bcal": {"preshower": 2.0}}, 'did you mean "preshower_cm"'),
        ({"setting": "tune"}, "tuned"),
    ],
)
def test_bad_settings_are_refused_in_one_sentence(given, sentence):
    with pytest.raises(ConfigError, match=sentence):
        parse(GluexSettings, given)
