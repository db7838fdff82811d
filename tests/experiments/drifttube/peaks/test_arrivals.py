"""Flat lists of true arrivals, from truth made by hand and from a simulation."""

from __future__ import annotations

import awkward as ak
import numpy as np

from townsend.experiments.drifttube.peaks.arrivals import clusters_in_record, electrons, visible_electrons
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.simulate import simulate_waveforms
from townsend.sample.waveforms import Truth


def truth() -> Truth:
    """Three tracks: two clusters, one of two electrons; no electron; one cluster that arrives after 1,000 ns."""
    return Truth(
        electron_time_ns=ak.Array([[10.0, 20.0, 30.0], [], [1500.0]]),
        electron_cluster=ak.Array([[1, 0, 1], [], [0]]),
        electron_charge_fC=ak.Array([[1.0, 5.0, 3.0], [], [9.0]]),
        cluster_radius_cm=ak.Array([[0.1, 0.2], [], [0.3]]),
        cluster_size=ak.Array([[1, 2], [], [1]]),
        impact_cm=np.zeros(3, np.float32),
        path_cm=np.ones(3, np.float32),
    )


def test_electrons_are_flat_and_those_outside_the_record_are_left_out():
    found = electrons(truth(), 1000.0)
    assert found.row.tolist() == [0, 0, 0]
    assert found.time_ns.tolist() == [10, 20, 30]
    assert found.cluster.tolist() == [1, 0, 1]
    assert electrons(truth()).row.tolist() == [0, 0, 0, 2]


def test_small_avalanches_are_not_visible():
    assert visible_electrons(truth(), 2.0).time_ns.tolist() == [20, 30, 1500]


def test_a_cluster_counts_once_and_only_in_the_record():
    assert clusters_in_record(truth(), 1000.0).tolist() == [2, 0, 0]
    assert clusters_in_record(truth(), 2000.0).tolist() == [2, 0, 1]


def test_waveforms_without_any_electron_have_no_clusters():
    assert clusters_in_record(truth()[1:2], 1000.0).tolist() == [0]


def test_every_simulated_cluster_arrives_in_the_default_record():
    waveforms = simulate_waveforms(DriftTubeSettings(seed=3), 0, 50)
    found = clusters_in_record(waveforms.truth, waveforms.samples.shape[1] / waveforms.sampling_rate_ghz)
    assert found.tolist() == ak.num(waveforms.truth.cluster_size).tolist()
