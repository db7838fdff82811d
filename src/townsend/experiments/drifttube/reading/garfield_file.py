"""Induced currents of Garfield++ with the truth behind them, as `examples/garfield/drifttube.py` writes them.

What to use when
----------------
- `read_garfield`: a file, every array checked against the others.
- `townsend.experiments.drifttube.reading.garfield_signals`: those currents behind our amplifier, noise and digitiser.

An NPZ archive. One entry an event: `impact_cm`, `path_cm`, `n_clusters`, `n_electrons`, `total_fC_per_ns` (events,
bins), the current induced on the wire in fC/ns (= uA), negative, in bins of `bin_ns` from `t0_ns` on; the track passes
at 0 ns. One entry a cluster: `cl_event`, `cl_n_electrons`, and where known its place, `cl_xyz_cm` (the wire is the z
axis) or `cl_r_cm`. One entry an electron: `el_event`, `el_cluster` (index of the cluster within the event),
`el_arrival_ns`, `el_avalanche` (electrons in its avalanche), and its place, `el_xyz_cm` or `el_r_cm`.
`electron_fC_per_ns` (the electrons' share of the current) is optional. Floats may be of 16 to 64 bits; other keys are
left unread.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.sample.npz_io import read_arrays

__all__ = ["ELEMENTARY_CHARGE_FC", "GarfieldEvents", "read_garfield"]

ELEMENTARY_CHARGE_FC = 1.602176634e-4

_SCALARS = ("bin_ns", "t0_ns")
_EVENTS = ("impact_cm", "path_cm", "n_clusters", "n_electrons", "total_fC_per_ns")
_CLUSTERS = ("cl_event", "cl_n_electrons")
_ELECTRONS = ("el_event", "el_cluster", "el_arrival_ns", "el_avalanche")
_OPTIONAL = ("cl_xyz_cm", "cl_r_cm", "el_xyz_cm", "el_r_cm", "electron_fC_per_ns")
_MOST_INDUCED = 1.02  # of the charge of all avalanches; float16 currents may round up

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]


@dataclass(frozen=True)
class GarfieldEvents:
    """n events; clusters and electrons are flat, in order of their events.

    Arguments:
        current_uA: (n, bins) float32, mean current in each bin, positive.
        electron_current_uA: (n, bins) the electrons' share of it, None where the file has only the sum.
        bin_ns: > 0; start_ns: left edge of the first bin, on the clock on which the track passes at 0.
        impact_cm, path_cm: (n,) signed distance from the wire, length inside the tube.
        clusters: (n,) how many clusters each event has; electrons: (n,) how many electrons.
        cluster_size: (clusters,) electrons of each; cluster_radius_cm: its distance from the wire. Where the file has
            no place of clusters, that of the electron of each which is nearest to the median; NaN without electrons.
        electron_event, electron_cluster: (electrons,) event, and index of the cluster within it.
        electron_time_ns: (electrons,) arrival at the wire since the track's passage.
        electron_avalanche: (electrons,) size of its avalanche, > 0.
        electron_radius_cm: (electrons,) distance from the wire where it was freed, NaN where unknown.
    """

    current_uA: NDArray[np.float32]
    electron_current_uA: NDArray[np.float32] | None
    bin_ns: float
    start_ns: float
    impact_cm: Floats
    path_cm: Floats
    clusters: Integers
    electrons: Integers
    cluster_size: Integers
    cluster_radius_cm: Floats
    electron_event: Integers
    electron_cluster: Integers
    electron_time_ns: Floats
    electron_avalanche: Floats
    electron_radius_cm: Floats

    def __len__(self) -> int:
        """Return the number of events."""
        return len(self.impact_cm)

    @property
    def end_ns(self) -> float:
        """Return the right edge of the last bin."""
        return float(self.start_ns + self.bin_ns * self.current_uA.shape[1])

    @property
    def electron_charge_fC(self) -> Floats:
        """Return (electrons,) the charge of each avalanche."""
        return self.electron_avalanche * ELEMENTARY_CHARGE_FC


def read_garfield(path: Path) -> GarfieldEvents:
    """Return the events of a file.

    Raises InputError when it is missing, damaged or pickled, lacks a key, or its arrays contradict each other.
    """
    found = read_arrays(path, (*_SCALARS, *_EVENTS, *_CLUSTERS, *_ELECTRONS), _OPTIONAL)
    return _Checked(path, found).events()


@dataclass(frozen=True)
class _Checked:
    """The arrays of a file, judged as they are asked for."""

    path: Path
    found: dict[str, NDArray[Any]]

    def events(self) -> GarfieldEvents:
        count = len(np.atleast_1d(self.found["impact_cm"]))
        bin_ns, start_ns = self.scalar("bin_ns"), self.scalar("t0_ns")
        self.refuse_unless(bin_ns > 0, f"bin_ns > 0 (got {bin_ns:g})")
        path_cm = self.floats("path_cm", count)
        self.refuse_unless(bool((path_cm >= 0).all()), f"path_cm >= 0 (got {path_cm.min(initial=0):g})")
        clusters = self.integers("n_clusters", count, 0)
        of_cluster = self.owners("cl_event", clusters, "n_clusters")
        electrons = self.integers("n_electrons", count, 0)
        of_electron = self.owners("el_event", electrons, "n_electrons")
        cluster = self.integers("el_cluster", len(of_electron), 0)
        outside = cluster >= clusters[of_electron]
        if outside.any():
            i = int(np.argmax(outside))
            got = f"got {cluster[i]} in event {of_electron[i]}, which has {clusters[of_electron[i]]}"
            self.refuse_unless(False, f"el_cluster below the number of clusters of its event ({got})")
        sizes = self.sizes(of_electron, cluster, clusters)
        radius_cm = self.radius("el", len(of_electron))
        avalanche = self.floats("el_avalanche", len(of_electron))
        self.refuse_unless(bool((avalanche > 0).all()), f"el_avalanche > 0 (got {avalanche.min(initial=1):g})")
        times = self.floats("el_arrival_ns", len(of_electron))
        self.refuse_unless(
            bool((times >= 0).all()),
            f"el_arrival_ns >= 0 (got {times.min(initial=0):g}); leave lost electrons out",
        )
        whole = GarfieldEvents(
            current_uA=self.current("total_fC_per_ns", count),
            electron_current_uA=self.current("electron_fC_per_ns", count)
            if "electron_fC_per_ns" in self.found
            else None,
            bin_ns=bin_ns,
            start_ns=start_ns,
            impact_cm=self.floats("impact_cm", count),
            path_cm=path_cm,
            clusters=clusters,
            electrons=electrons,
            cluster_size=sizes,
            cluster_radius_cm=self.cluster_radius(of_cluster, of_electron, cluster, clusters, radius_cm),
            electron_event=of_electron,
            electron_cluster=cluster,
            electron_time_ns=times,
            electron_avalanche=avalanche,
            electron_radius_cm=radius_cm,
        )
        self.check_charge(whole)
        return whole

    def refuse_unless(self, good: bool, rule: str) -> None:
        if not good:
            first, _, remedy = rule.partition("; ")
            msg = f"{self.path} must have {first}; {remedy or 'write it as examples/garfield/drifttube.py does'}"
            raise InputError(msg)

    def scalar(self, name: str) -> float:
        value = self.found[name]
        good = value.size == 1 and value.dtype.kind in "fiu" and bool(np.isfinite(value).all())
        self.refuse_unless(good, f"one finite number {name} (got {value.dtype} {value.shape})")
        return float(value.item())

    def floats(self, name: str, count: int, *sides: int) -> Floats:
        """Return finite numbers of shape (count, *sides)."""
        value = self.found[name]
        good = value.dtype.kind in "fiu" and value.shape == (count, *sides)
        self.refuse_unless(good, f"numbers {name} of shape {(count, *sides)} (got {value.dtype} {value.shape})")
        bad = int(np.count_nonzero(~np.isfinite(value)))
        self.refuse_unless(bad == 0, f"finite {name} (got {bad} NaN or infinite values)")
        return value.astype(np.float64)

    def integers(self, name: str, count: int, least: int) -> Integers:
        value = self.found[name]
        good = value.dtype.kind in "iu" and value.shape == (count,)
        self.refuse_unless(good, f"integers {name} of shape {(count,)} (got {value.dtype} {value.shape})")
        smallest = int(value.min(initial=least))
        self.refuse_unless(smallest >= least, f"{name} >= {least} (got {smallest})")
        return value.astype(np.int64)

    def owners(self, name: str, counts: Integers, count_name: str) -> Integers:
        """Return the event of each cluster or electron; they come in order and are as many as the counts say."""
        value = self.integers(name, len(np.atleast_1d(self.found[name])), 0)
        largest = int(value.max(initial=0))
        self.refuse_unless(largest < max(len(counts), 1), f"{name} below {len(counts)}, the events (got {largest})")
        self.refuse_unless(bool((np.diff(value) >= 0).all()), f"{name} in ascending order (got a later one before)")
        wrong = np.flatnonzero(np.bincount(value, minlength=len(counts)) != counts)
        if len(wrong):
            i = int(wrong[0])
            got = f"got {np.count_nonzero(value == i)} for {count_name} {counts[i]} of event {i}"
            self.refuse_unless(False, f"as many entries of {name} as {count_name} says ({got})")
        return value

    def sizes(self, of_electron: Integers, cluster: Integers, clusters: Integers) -> Integers:
        first = np.cumsum(clusters) - clusters
        sizes = np.bincount(first[of_electron] + cluster, minlength=int(clusters.sum())).astype(np.int64)
        given = self.integers("cl_n_electrons", len(sizes), 0)
        wrong = np.flatnonzero(sizes != given)
        if len(wrong):
            got = f"got {given[wrong[0]]} for {sizes[wrong[0]]} electrons of cluster {wrong[0]}"
            self.refuse_unless(False, f"cl_n_electrons as many as the electrons that name the cluster ({got})")
        return sizes

    def radius(self, kind: str, count: int) -> Floats:
        """Return the distance from the z axis of clusters ("cl") or electrons ("el"), NaN where no key tells."""
        if f"{kind}_xyz_cm" in self.found:
            place = self.floats(f"{kind}_xyz_cm", count, 3)
            return np.hypot(place[:, 0], place[:, 1])
        if f"{kind}_r_cm" in self.found:
            radius = self.floats(f"{kind}_r_cm", count)
            self.refuse_unless(bool((radius >= 0).all()), f"{kind}_r_cm >= 0 (got {radius.min(initial=0):g})")
            return radius
        return np.full(count, np.nan)

    def cluster_radius(
        self, of_cluster: Integers, of_electron: Integers, cluster: Integers, clusters: Integers, radius_cm: Floats
    ) -> Floats:
        given = self.radius("cl", len(of_cluster))
        if not np.isnan(given).all() or len(of_electron) == 0:
            return given
        # Delta electrons carry some far away; the median is where most of them were freed.
        owner = (np.cumsum(clusters) - clusters)[of_electron] + cluster
        order = np.lexsort((radius_cm, owner))
        number = np.bincount(owner, minlength=len(of_cluster))
        middle = np.cumsum(number) - number + (number - 1) // 2
        held = number > 0
        found = np.full(len(of_cluster), np.nan)
        found[held] = radius_cm[order][middle[held]]
        return found

    def current(self, name: str, count: int) -> NDArray[np.float32]:
        shape = self.found[name].shape
        bins = shape[1] if len(shape) == 2 else 0
        self.refuse_unless(bins > 0, f"{name} of shape (events, bins) (got {shape})")
        return np.negative(self.floats(name, count, bins)).astype(np.float32)

    def check_charge(self, events: GarfieldEvents) -> None:
        """Refuse currents of the other sign or of another unit: no more charge can be induced than there is."""
        induced = float(events.current_uA.sum(dtype=np.float64)) * events.bin_ns
        there = float(events.electron_charge_fC.sum())
        mean = -induced / max(len(events), 1)
        self.refuse_unless(induced >= 0, f"currents negative on the wire (got a mean charge of {mean:+.3g} fC)")
        self.refuse_unless(
            induced <= _MOST_INDUCED * there,
            f"at most the charge of its avalanches, {there:.4g} fC, in total_fC_per_ns (got {induced:.4g} fC)",
        )
