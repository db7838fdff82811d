"""The reader of Garfield++ currents: all variants of the reference files, one sentence for anything inconsistent."""

from __future__ import annotations

import re

import numpy as np
import pytest

from townsend.errors import InputError
from townsend.experiments.drifttube.reading.garfield_file import ELEMENTARY_CHARGE_FC, read_garfield


@pytest.fixture(scope="module")
def small(reference):
    return read_garfield(reference / "waveforms_mu10GeV_45deg_250ev.npz")


def test_counts_and_units_are_those_of_the_file(small, reference):
    with np.load(reference / "waveforms_mu10GeV_45deg_250ev.npz") as file:
        assert len(small) == len(file["impact_cm"]) == 250
        assert np.array_equal(small.current_uA, -file["total_fC_per_ns"])
        assert np.array_equal(small.electron_current_uA, -file["electron_fC_per_ns"])
        assert small.clusters.tolist() == file["n_clusters"].tolist()
        assert small.cluster_size.tolist() == file["cl_n_electrons"].tolist()
        charge = file["el_avalanche"].astype(float) * ELEMENTARY_CHARGE_FC
        assert small.electron_charge_fC == pytest.approx(charge)
    assert (small.bin_ns, small.start_ns, small.end_ns) == (1.0, 0.0, 1024.0)


def test_radii_are_distances_from_the_wire(small):
    """The track passes at |impact|, so no cluster lies nearer; delta electrons may."""
    nearest = np.repeat(np.abs(small.impact_cm), small.clusters)
    assert (small.cluster_radius_cm >= nearest - 1e-5).all()
    assert small.cluster_radius_cm.max() <= 0.4


def test_a_file_without_places_of_clusters_takes_those_of_its_electrons(reference):
    large = read_garfield(reference / "waveforms_mu10GeV_45deg_2200ev.npz")
    assert len(large) == 2200
    assert large.electron_current_uA is None
    assert np.isnan(large.cluster_radius_cm).tolist() == (large.cluster_size == 0).tolist()
    lone = large.cluster_size == 1
    nearest = np.repeat(np.abs(large.impact_cm), large.clusters)
    assert (large.cluster_radius_cm[lone] >= nearest[lone] - 2e-3).all()  # one electron ranges by micrometres


def test_places_of_electrons_stand_for_places_of_clusters(small, reference, tmp_path):
    """The same file with and without them: the median differs by the range of delta electrons."""
    with np.load(reference / "waveforms_mu10GeV_45deg_250ev.npz") as file:
        arrays = {name: file[name] for name in file.files if name != "cl_xyz_cm"}
    np.savez(tmp_path / "events.npz", **arrays)
    found = read_garfield(tmp_path / "events.npz").cluster_radius_cm
    off_cm = np.abs(found - small.cluster_radius_cm)
    assert np.median(off_cm) < 1e-3
    assert np.quantile(off_cm, 0.99) < 0.02


# ---- made by hand


@pytest.fixture
def save(tmp_path):
    """Two events, three clusters, four electrons; changes replace keys, None takes one away."""

    def saved(**changes):
        current = np.zeros((2, 30), np.float32)
        current[0, 4:8], current[1, 9:12] = -1.0, -2.0
        arrays = {
            "total_fC_per_ns": current,
            "bin_ns": 1.0,
            "t0_ns": 0.0,
            "impact_cm": np.array([0.1, -0.2]),
            "path_cm": np.array([1.0, 0.9]),
            "n_clusters": np.array([2, 1]),
            "n_electrons": np.array([3, 1]),
            "cl_event": np.array([0, 0, 1]),
            "cl_n_electrons": np.array([2, 1, 1]),
            "cl_r_cm": np.array([0.1, 0.3, 0.2]),
            "el_event": np.array([0, 0, 0, 1]),
            "el_cluster": np.array([1, 0, 0, 0]),
            "el_arrival_ns": np.array([4.0, 5.0, 6.0, 9.5]),
            "el_avalanche": np.full(4, 2e5),
        } | changes
        path = tmp_path / "events.npz"
        np.savez(path, **{name: value for name, value in arrays.items() if value is not None})
        return path

    return saved


def test_a_file_made_by_hand_is_read(save):
    found = read_garfield(save())
    assert found.cluster_size.tolist() == [2, 1, 1]
    assert found.electron_cluster.tolist() == [1, 0, 0, 0]
    assert np.isnan(found.electron_radius_cm).all()


def test_a_cluster_without_a_place_lies_where_most_of_its_electrons_were_freed(save):
    electrons = {
        "n_electrons": np.array([5, 1]),
        "cl_n_electrons": np.array([5, 0, 1]),
        "el_event": np.array([0, 0, 0, 0, 0, 1]),
        "el_cluster": np.zeros(6, np.int64),
        "el_arrival_ns": np.arange(6.0),
        "el_avalanche": np.full(6, 2e5),
        "el_r_cm": np.array([0.21, 0.2, 0.39, 0.22, 0.01, 0.3]),  # two of them carried off by a delta electron
    }
    found = read_garfield(save(cl_r_cm=None, **electrons)).cluster_radius_cm
    assert found.tolist() == pytest.approx([0.21, np.nan, 0.3], nan_ok=True)


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_floats_of_any_width(save, kind):
    assert read_garfield(save(total_fC_per_ns=-np.ones((2, 30), kind))).current_uA.dtype == np.float32


@pytest.mark.parametrize(
    ("changes", "rule"),
    [
        ({"el_avalanche": None}, 'must hold "el_avalanche"; did you mean'),
        ({"el_arrival_ns": np.array([4.0, np.nan, 6.0, 9.5])}, r"finite el_arrival_ns \(got 1 NaN"),
        (
            {"el_arrival_ns": np.array([4.0, -1.0, 6.0, 9.5])},
            r"el_arrival_ns >= 0 \(got -1\); leave lost electrons out",
        ),
        ({"el_avalanche": np.array([1, 0, 1, 1])}, r"el_avalanche > 0 \(got 0\)"),
        (
            {"el_event": np.array([0, 0, 1, 1])},
            r"as many entries of el_event as n_electrons says \(got 2 for .* 3 of event 0",
        ),
        ({"el_event": np.array([0, 0, 0, 2])}, r"el_event below 2, the events \(got 2\)"),
        ({"el_event": np.array([0, 1, 0, 0])}, r"el_event in ascending order"),
        ({"el_event": np.array([0, 0, 0, -1])}, r"el_event >= 0 \(got -1\)"),
        ({"el_cluster": np.array([1, 0, 0, 1])}, r"el_cluster below the number .* \(got 1 in event 1, which has 1\)"),
        ({"cl_n_electrons": np.array([1, 2, 1])}, r"cl_n_electrons as many .* \(got 1 for 2 electrons of cluster 0\)"),
        ({"n_clusters": np.array([1, 2])}, r"as many entries of cl_event as n_clusters says"),
        ({"bin_ns": 0.0}, r"bin_ns > 0 \(got 0\)"),
        ({"bin_ns": np.nan}, r"one finite number bin_ns"),
        ({"t0_ns": np.zeros(2)}, r"one finite number t0_ns \(got float64 \(2,\)\)"),
        ({"impact_cm": np.zeros((2, 2))}, r"numbers impact_cm of shape \(2,\) \(got float64 \(2, 2\)\)"),
        ({"path_cm": np.array([1.0, -1.0])}, r"path_cm >= 0 \(got -1\)"),
        ({"cl_r_cm": np.array([0.1, -0.3, 0.2])}, r"cl_r_cm >= 0 \(got -0\.3\)"),
        ({"cl_xyz_cm": np.zeros((3, 2))}, r"numbers cl_xyz_cm of shape \(3, 3\)"),
        ({"n_clusters": np.array([2.0, 1.0])}, r"integers n_clusters of shape \(2,\) \(got float64"),
        ({"total_fC_per_ns": np.zeros(30)}, r"total_fC_per_ns of shape \(events, bins\) \(got \(30,\)\)"),
        ({"total_fC_per_ns": np.zeros((3, 30))}, r"numbers total_fC_per_ns of shape \(2, 30\)"),
        ({"total_fC_per_ns": np.full((2, 30), -np.inf)}, r"finite total_fC_per_ns \(got 60 NaN"),
        ({"total_fC_per_ns": np.full((2, 30), 1.0)}, r"currents negative on the wire \(got a mean charge of \+30 fC\)"),
        (
            {"total_fC_per_ns": np.full((2, 30), -9.0)},
            r"at most the charge of its avalanches, 128\.2 fC, .* \(got 540 fC\)",
        ),
        ({"el_event": np.array([{"a": 1}] * 4)}, r'"el_event" as numbers \(got pickled objects'),
    ],
)
def test_anything_missing_or_inconsistent_is_one_sentence(save, changes, rule):
    with pytest.raises(InputError) as refusal:
        read_garfield(save(**changes))
    assert re.search(rule, str(refusal.value)), refusal.value


def test_missing_and_torn_files(tmp_path, save):
    with pytest.raises(InputError, match="must be an NPZ file that exists"):
        read_garfield(tmp_path / "none.npz")
    path = save()
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(InputError, match="must be a whole NPZ file"):
        read_garfield(path)
