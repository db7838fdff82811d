"""What tags mean, the clusters they give, and the refusal of files that contradict what was said."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record
from townsend.experiments.drifttube.reading.tags import MEANINGS, Tagged, Tally, find_meaning, truth_of

FIRST, SECOND = "primary-secondary-noise", "noise-primary-secondary"


def tagged(index, tag, clusters=None):
    lists = [ak.values_astype(ak.Array(index), np.float64), ak.values_astype(ak.Array(tag), np.int64)]
    return Tagged(*lists, None if clusters is None else np.array(clusters))


def test_the_two_public_meanings_are_opposite():
    first, second = MEANINGS[FIRST], MEANINGS[SECOND]
    assert (first.primary, first.secondary, first.noise) == (0, 1, 2)
    assert (second.noise, second.primary, second.secondary) == (0, 1, 2)


def test_no_meaning_is_guessed():
    with pytest.raises(
        InputError, match=r"must be said \(got nothing\).*--tags primary-secondary-noise or --tags noise"
    ):
        find_meaning(None)
    with pytest.raises(InputError, match='did you mean "noise-primary-secondary"'):
        find_meaning("noise-primary-secundary")


def test_a_secondary_belongs_to_the_primary_before_it_and_the_first_ones_to_the_first():
    #          time  2  5  6  9  9  12; at 9 the primary comes first
    truth = truth_of(tagged([[9, 5, 12, 2, 6, 9, 30]], [[1, 0, 1, 1, 1, 0, 2]]), MEANINGS[FIRST], 2.0)
    assert truth.electron_time_ns.to_list() == [[1.0, 2.5, 3.0, 4.5, 4.5, 6.0]]
    assert truth.electron_cluster.to_list() == [[0, 0, 0, 1, 1, 1]]
    assert truth.cluster_size.to_list() == [[3, 3]]


def test_the_other_meaning_gives_other_electrons():
    given = tagged([[3, 4, 5]], [[0, 1, 2]])
    assert truth_of(given, MEANINGS[FIRST], 1.0).electron_time_ns.to_list() == [[3.0, 4.0]]
    assert truth_of(given, MEANINGS[SECOND], 1.0).electron_time_ns.to_list() == [[4.0, 5.0]]


def test_what_the_file_does_not_say_is_unknown():
    truth = truth_of(tagged([[3, 4], []], [[0, 1], []]), MEANINGS[FIRST], 1.0)
    assert np.isnan(truth.impact_cm).all()
    assert np.isnan(truth.path_cm).all()
    assert np.isnan(ak.to_numpy(ak.flatten(truth.electron_charge_fC))).all()
    assert np.isnan(ak.to_numpy(ak.flatten(truth.cluster_radius_cm))).all()
    assert ak.num(truth.cluster_radius_cm).to_list() == [1, 0]


@given(st.lists(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 2)), max_size=12), min_size=1, max_size=6))
def test_clusters_are_as_many_as_primaries_and_hold_every_electron(rows):
    given = tagged([[t for t, _ in row] for row in rows], [[k for _, k in row] for row in rows])
    truth = truth_of(given, MEANINGS[FIRST], 1.0)
    for i, row in enumerate(rows):
        kinds = [kind for _, kind in row]
        electrons, primaries = sum(kind < 2 for kind in kinds), kinds.count(0)
        assert len(truth.cluster_size[i]) == max(primaries, min(electrons, 1))
        assert sum(truth.cluster_size[i]) == len(truth.electron_time_ns[i]) == electrons
        assert truth.electron_time_ns[i].to_list() == sorted(t for t, kind in row if kind < 2)
        counted = np.bincount(ak.to_numpy(truth.electron_cluster[i]), minlength=len(truth.cluster_size[i]))
        assert counted.tolist() == truth.cluster_size[i].to_list()
    assert clusters_in_record(truth, 31.0).tolist() == ak.num(truth.cluster_size).to_list()


# ---- contradictions


def tallied(*given):
    tally = Tally.empty()
    for number, each in enumerate(given):
        tally.add(each, "file.root", 10 * number)
    return tally


def test_a_right_meaning_passes():
    public = tagged([[1, 2, 3, 4, 5, 6]], [[0, 1, 2, 2, 2, 2]], [1])
    tallied(public).check(MEANINGS[FIRST], "ncls")


def test_a_number_of_clusters_that_no_meaning_gives_names_the_first_waveform():
    good, bad = tagged([[1, 2]], [[1, 0]], [1]), tagged([[1, 2], [1, 2]], [[1, 0], [1, 1]], [1, 3])
    rule = r'"ncls" must be .* \(2 entries of tag 1 for 3 clusters in entry 11 of file\.root; 2 of 3 waveforms agree\)'
    with pytest.raises(InputError, match=rule) as refusal:
        tallied(good, bad).check(MEANINGS[SECOND], "ncls")
    assert "check_tags: false" in str(refusal.value)


def test_a_number_of_clusters_that_the_other_meaning_gives_says_so():
    with pytest.raises(InputError, match="say --tags noise-primary-secondary, with which all of them agree"):
        tallied(tagged([[1, 2, 3]], [[0, 0, 1]], [1])).check(MEANINGS[FIRST], "ncls")


@pytest.mark.parametrize(
    ("tags", "said", "rule"),
    [
        ([0] * 15 + [1] * 6 + [2] * 480, SECOND, "at most 2 secondaries to a primary"),
        ([0] * 480 + [1] * 15 + [2] * 6, FIRST, "where noise is listed at all it must outnumber the electrons"),
        ([1] * 15 + [2] * 6, FIRST, "at most 2 secondaries to a primary"),
        ([0] * 600 + [1] * 240, SECOND, "some clusters must have secondaries"),
    ],
    ids=["littlepi as sciencedb", "sciencedb as littlepi", "no noise, none primary", "no noise, no secondary"],
)
def test_each_public_file_read_with_the_other_meaning_is_refused(tags, said, rule):
    tally = tallied(tagged([list(range(len(tags)))], [tags]))
    with pytest.raises(InputError, match=rule) as refusal:
        tally.check(MEANINGS[said], None)
    (other,) = MEANINGS.keys() - {said}
    assert f"say --tags {other}" in str(refusal.value)
    tally.check(MEANINGS[other], None)
