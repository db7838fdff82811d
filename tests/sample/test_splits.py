from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.sample.splits import split_groups

NAMES = ("train", "validation", "test", "monitor")
THIRDS = {"train": 0.5, "validation": 0.25, "test": 0.25}


@st.composite
def fractions(draw):
    weights = draw(st.lists(st.integers(1, 10), min_size=1, max_size=4))
    whole = sum(weights) + draw(st.integers(0, 10))
    return {name: weight / whole for name, weight in zip(NAMES, weights, strict=False)}


@given(st.integers(60, 400), fractions(), st.integers(0, 2**32))
def test_sets_are_disjoint_and_as_large_as_asked(number, shares, seed):
    sets = split_groups(number, shares, seed)
    assert list(sets) == list(shares)
    members = np.concatenate(list(sets.values()))
    assert len(np.unique(members)) == len(members)
    assert members.min() >= 0
    assert members.max() < number
    for name, share in shares.items():
        assert abs(len(sets[name]) - share * number) <= 1
        assert np.all(np.diff(sets[name]) > 0)


@given(st.integers(60, 400), st.integers(0, 2**32), st.lists(st.integers(1, 10), min_size=1, max_size=4))
def test_fractions_that_add_up_to_one_use_every_waveform(number, seed, weights):
    shares = {name: weight / sum(weights) for name, weight in zip(NAMES, weights, strict=False)}
    members = np.concatenate(list(split_groups(number, shares, seed).values()))
    assert np.sort(members).tolist() == list(range(number))


@given(fractions(), st.integers(0, 100), st.randoms(use_true_random=False))
def test_no_order_matters(shares, seed, random):
    ids = [7 * i - 30 for i in range(100)]
    expected = split_groups(ids, shares, seed)
    shuffled_ids, shuffled_names = ids + ids[:5], list(shares)
    random.shuffle(shuffled_ids)
    random.shuffle(shuffled_names)
    found = split_groups(shuffled_ids, {name: shares[name] for name in shuffled_names}, seed)
    assert list(found) == shuffled_names
    for name in shares:
        np.testing.assert_array_equal(found[name], expected[name])


def test_a_number_means_that_many_identifiers():
    counted, named = split_groups(50, THIRDS, 1), split_groups(np.arange(50), THIRDS, 1)
    for name in THIRDS:
        np.testing.assert_array_equal(counted[name], named[name])


@given(st.integers(0, 1000), st.integers(0, 1000))
def test_the_seed_decides(first, second):
    assume(first != second)
    one, other = split_groups(400, THIRDS, first), split_groups(400, THIRDS, second)
    assert one["train"].tolist() == split_groups(400, THIRDS, first)["train"].tolist()
    assert one["train"].tolist() != other["train"].tolist()


def test_every_waveform_is_as_likely_in_a_set():
    seeds = 2000
    hits = sum(np.isin(np.arange(20), split_groups(20, {"test": 0.25}, seed)["test"]) for seed in range(seeds))
    # Binomial with mean 500 and standard deviation 19.4: 5 deviations over 20 places, one false alarm in 90,000.
    assert np.abs(hits - 500).max() < 5 * math.sqrt(seeds * 0.25 * 0.75)


@pytest.mark.parametrize(
    ("groups", "shares", "seed", "sentence"),
    [
        (10, {}, 1, "at least one set"),
        (10, {"train": 0.0}, 1, r"> 0 and at most 1 \(got 0.0 for train\)"),
        (10, {"train": -0.5}, 1, "> 0 and at most 1"),
        (10, {"train": math.nan}, 1, "> 0 and at most 1"),
        (10, {"train": 1.5}, 1, "> 0 and at most 1"),
        (10, {"train": 0.8, "test": 0.3}, 1, r"add up to at most 1 \(got 1.1 for train, test\)"),
        (10, {"train": 0.5}, -1, "seed must be at least 0"),
        (3, {"train": 0.9, "test": 0.1}, 1, "at least one waveform .got 3 waveforms, test 0.1"),
        (0, {"train": 1.0}, 1, "at least one waveform"),
    ],
)
def test_fractions_that_break_a_rule_are_named(groups, shares, seed, sentence):
    with pytest.raises(InputError, match=sentence):
        split_groups(groups, shares, seed)
