"""The list of bins that a clusteriser sees, and the rule for waveforms without a peak."""

from __future__ import annotations

import awkward as ak
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from townsend.experiments.drifttube.clusters import clusteriser as room
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.clusters.clusteriser import Clusteriser, encode

FACTS = ClusterFacts(
    sampling_rate_ghz=1.0,
    bins=64,
    t0_ns=20.0,
    max_drift_ns=30.0,
    mean_clusters=3.0,
    fixed_impact_cm=0.08,
    sample_seed=2,
    finder_sample_seed=1,
    finder_sha256="",
    finder_threshold=0.9,
    unseen_by_the_finder="",
)


def ones(encoded):
    return [np.flatnonzero(row[:, 0]).tolist() for row in encoded]


def test_a_peak_is_one_bin():
    encoded = encode(ak.Array([[1.0, 5.2, 5.6], [], [63.0]]), 0.0, 1.0, 64)
    assert encoded.shape == (3, 64, 1)
    assert encoded.dtype == np.float32
    assert ones(encoded) == [[1, 5, 6], [], [63]]


def test_peaks_outside_the_list_are_dropped_and_two_of_one_bin_count_once():
    assert ones(encode(ak.Array([[-0.6, -0.5, 7.1, 7.2, 7.5]]), 0.0, 1.0, 8)) == [[0, 7]]


def test_the_rate_stretches_the_list():
    assert ones(encode(ak.Array([[1.0, 2.5]]), 0.0, 2.0, 8)) == [[2, 5]]


@given(st.lists(st.integers(0, 40), max_size=10), st.integers(0, 20), st.sampled_from([0.0, 0.25, 4.47, 4.5]))
def test_an_earlier_trigger_shifts_nothing(samples, shift, delay_ns):
    """Peaks on a clock that starts `shift` ns later give the same list: rounding does not depend on the place."""
    times = np.sort(np.array(samples, np.float64)) - delay_ns
    here = encode(ak.Array([times]), 10.0, 1.0, 128)
    there = encode(ak.Array([times + shift]), 10.0 - shift, 1.0, 128)
    assert np.array_equal(here, there)


def test_no_peak_is_no_cluster_whatever_the_network_says(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "forward", lambda network, x: 7 + x.sum(axis=(1, 2)))
    counted = Clusteriser(None, FACTS)(ak.Array([[21.0, 25.0], [], [30.0]]), 20.0)
    assert counted.tolist() == [9, 0, 8]


def test_the_passage_of_the_track_is_brought_to_where_the_network_knows_it(monkeypatch: pytest.MonkeyPatch):
    seen = []
    monkeypatch.setattr(room, "forward", lambda network, x: (seen.append(x), np.zeros(len(x)))[1])
    Clusteriser(None, FACTS)(ak.Array([[105.0]]), 100.0)
    assert ones(seen[0]) == [[25]]


def test_pieces_give_what_one_call_gives(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(room, "forward", lambda network, x: x[:, :, 0] @ np.arange(64, dtype=np.float32))
    times = ak.Array([[20.0 + i % 40] for i in range(25)])
    whole = Clusteriser(None, FACTS)(times, 20.0)
    monkeypatch.setattr(room, "_CHUNK", 7)
    assert np.array_equal(Clusteriser(None, FACTS)(times, 20.0), whole)
