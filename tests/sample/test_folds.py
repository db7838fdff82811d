from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import StratifiedGroupKFold

from townsend.errors import InputError
from townsend.sample.folds import fold_sets, stratified_folds
from townsend.sample.splits import split_groups

values = st.lists(st.integers(0, 30), min_size=10, max_size=200)
folds = st.integers(2, 10)
seeds = st.integers(0, 2**32)
SHARES = {"train": 0.5, "validation": 0.2, "test": 0.3}


@given(values, folds, seeds)
def test_folds_hold_the_same_distribution(strata, of, seed):
    found = stratified_folds(strata, of, seed)
    assert found.shape == (len(strata),)
    for value in {*strata, max(strata)}:
        up_to = np.bincount(found[np.array(strata) <= value], minlength=of)
        assert up_to.max() - up_to.min() <= 1


@given(values, folds, seeds)
def test_the_same_seed_deals_the_same(strata, of, seed):
    assert np.array_equal(stratified_folds(strata, of, seed), stratified_folds(np.array(strata), of, seed))


def test_another_seed_deals_otherwise():
    assert not np.array_equal(stratified_folds(np.arange(40), 5, 1), stratified_folds(np.arange(40), 5, 2))


@given(st.lists(st.sampled_from(["electron", "muon", "pion"]), min_size=10, max_size=100), folds, seeds)
def test_each_label_is_dealt_to_all_folds_alike(strata, of, seed):
    labels = np.array(strata)
    found = stratified_folds(labels, of, seed)
    for label in np.unique(labels):
        counts = np.bincount(found[labels == label], minlength=of)
        assert counts.max() - counts.min() <= 2  # one at either end of the label's run of neighbours


def test_groups_of_many_examples_are_balanced_as_well_as_by_scikit_learn():
    """Waveforms of Poisson many arrivals: over many samples, the share of signal varies no more between folds."""
    spreads = []
    for seed in range(30):
        random = np.random.default_rng(seed)
        signal = random.poisson(20, 200)
        group = np.repeat(np.arange(200), 100)
        label = (np.arange(len(group)) % 100 < signal[group]).astype(int)
        ours = stratified_folds(signal, 5, seed)
        split = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(group, label, group)
        shares = [[label[ours[group] == fold].mean() for fold in range(5)], [label[part].mean() for _, part in split]]
        spreads.append([np.std(share) for share in shares])
    ours_spread, theirs = np.mean(spreads, axis=0)
    assert ours_spread < 1.2 * theirs
    unstratified = np.sqrt(20 / 40) / 100  # a fold of 40 Poisson numbers of mean 20, in 100 examples each
    assert ours_spread < 0.3 * unstratified


def test_every_group_is_as_likely_in_a_fold():
    hits = sum(stratified_folds(np.arange(11), 3, seed) == 0 for seed in range(2000))
    # Binomial with mean 667 and standard deviation 21: 5 deviations over 11 places, one false alarm in 150,000.
    # The last two neighbours are an incomplete block, each in a given fold with 1/3 as well.
    assert np.abs(hits - 2000 / 3).max() < 5 * np.sqrt(2000 * 2 / 9)


@given(st.integers(60, 200), st.integers(2, 7), seeds)
def test_folds_share_test_and_cover_all_else_once(number, of, seed):
    sets = split_groups(number, SHARES, seed)
    found = [fold_sets(sets, lambda rows: rows % 4, index, of, seed) for index in range(of)]
    outside = np.setdiff1d(np.arange(number), sets["test"])
    for fold in found:
        assert fold["test"] is sets["test"]
        assert np.array_equal(np.union1d(fold["train"], fold["validation"]), outside)
        assert not np.intersect1d(fold["train"], fold["validation"]).size
        assert np.all(np.diff(fold["train"]) > 0)
    assert np.array_equal(np.sort(np.concatenate([fold["validation"] for fold in found])), outside)


def test_the_last_training_takes_all_but_test():
    sets = split_groups(100, SHARES, 1)
    last = fold_sets(sets, lambda rows: rows, None, 1, 1)
    assert np.array_equal(np.sort(np.concatenate([last["train"], last["test"]])), np.arange(100))
    assert np.array_equal(last["validation"], sets["validation"])


@pytest.mark.parametrize("of", [1, 8])
def test_more_folds_than_waveforms_are_refused(of):
    rule = rf"folds must be 2 at least and at most the 7 waveforms that are not test \(got {of}\); lower `folds`"
    with pytest.raises(InputError, match=rule):
        stratified_folds(np.zeros(7), of, 1)
