"""What was simulated, beside what Heed's tables say: clusters along the tracks and electrons in the clusters.

What to use when
----------------
- `simulation_section`: the part of the page; `simulation_verdicts`: whether to believe the sample.
- `read_ionization`: the true clusters of a sample, without its waveforms.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.gaussian import mixed_poisson, poisson_comparison, unit_edges
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.report.links import Parts
from townsend.experiments.drifttube.report.parts import SamplePart
from townsend.experiments.drifttube.report.slides import SLIDES
from townsend.experiments.drifttube.simulation.gas import load_gas
from townsend.experiments.drifttube.simulation.ionization import clusters_per_cm, size_distribution
from townsend.report.distribution_figures import count_figure, share_figure
from townsend.report.embed import drawn
from townsend.report.markup import Markup, data_table, join, paragraph, picture
from townsend.sample.reader import sample_files
from townsend.sample.root_io import TREE
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import Metric

__all__ = ["Ionization", "read_ionization", "simulation_section", "simulation_verdicts"]

_STANDARD_DEVIATIONS = 3.0
_LEAST_P = 1e-3
_LEAST_EXPECTED = 5.0
_LARGEST = 5  # sizes fall up to here; from 7 on there is a bump of the carbon K shell


@dataclass(frozen=True)
class Ionization:
    """True clusters of a sample beside what its settings say.

    Arguments:
        clusters, path_cm, impact_cm: (tracks,) number of clusters, length in the tube, distance from the wire.
        sizes, size_counts, size_table: (n,) electrons, clusters with as many, and their probability by the table.
        density_per_cm: clusters per cm expected.
    """

    clusters: NDArray[np.int64]
    path_cm: NDArray[np.float64]
    impact_cm: NDArray[np.float64]
    sizes: NDArray[np.int64]
    size_counts: NDArray[np.int64]
    size_table: NDArray[np.float64]
    density_per_cm: float

    @property
    def density(self) -> Metric:
        """Return clusters per cm as simulated, with the Poisson error of their number."""
        length = float(self.path_cm.sum())
        return Metric(float(self.clusters.sum()) / length, float(np.sqrt(self.clusters.sum())) / length)

    @property
    def mean_size(self) -> Metric:
        """Return electrons per cluster as simulated."""
        number = float(self.size_counts.sum())
        mean = float(self.sizes @ self.size_counts) / number
        variance = float((self.sizes - mean) ** 2 @ self.size_counts) / max(number - 1, 1)
        return Metric(mean, float(np.sqrt(variance / number)))

    @property
    def expected_size(self) -> float:
        """Return electrons per cluster by the table, which knows no wall that a delta electron could reach."""
        return float(self.sizes @ self.size_table)

    @property
    def mean_clusters(self) -> Metric:
        """Return clusters per track."""
        return Metric(float(self.clusters.mean()), float(self.clusters.std() / np.sqrt(len(self.clusters))))

    def size_p(self) -> float:
        """Return the chance of a larger chi2 of the sizes against the table; sizes above `_LARGEST` are taken together.

        Larger clusters reach further than the tube is wide, which the table does not know.
        """
        from scipy.stats import chisquare

        expected = self.size_table * self.size_counts.sum()
        common = int(np.searchsorted(-expected[:_LARGEST], -_LEAST_EXPECTED))  # sizes with enough clusters, from 1 on
        if common == 0:
            return float("nan")
        observed = np.append(self.size_counts[:common], self.size_counts[common:].sum()).astype(np.float64)
        awaited = np.append(expected[:common], expected[common:].sum())
        kept = awaited > 0
        return float(chisquare(observed[kept], awaited[kept] * observed[kept].sum() / awaited[kept].sum()).pvalue)


def read_ionization(sample: SamplePart) -> Ionization:
    """Return the true clusters of a sample.

    Raises InputError when a file cannot be read or has no truth.
    """
    columns: dict[str, list[NDArray[np.float64]]] = {"ncluster": [], "path_cm": [], "impact_cm": []}
    counts = np.zeros(0, np.int64)
    for path in sample_files(sample.path):
        arrays = _columns(path, [*columns, "cluster_size"])
        for name, parts in columns.items():
            parts.append(ak.to_numpy(arrays[name]).astype(np.float64))
        counts = _added(counts, np.bincount(ak.to_numpy(ak.flatten(arrays["cluster_size"])).astype(np.int64)))
    settings = sample.settings
    track = settings.track
    gas = load_gas(settings.tube.gas)
    sizes, probability = size_distribution(gas.isobutane, track.particle, track.momentum_GeV, settings.ionization)
    table = np.zeros(max(len(counts), int(sizes.max()) + 1))
    table[sizes] = probability
    counts = _added(counts, np.zeros(len(table), np.int64))
    return Ionization(
        clusters=np.concatenate(columns["ncluster"]).astype(np.int64),
        path_cm=np.concatenate(columns["path_cm"]),
        impact_cm=np.concatenate(columns["impact_cm"]),
        sizes=np.arange(1, len(table)),
        size_counts=counts[1:],
        size_table=table[1:],
        density_per_cm=clusters_per_cm(gas, track.particle, track.momentum_GeV),
    )


def _columns(path: Path, names: list[str]) -> ak.Array:
    try:
        with uproot.open(path) as file:
            return file[TREE].arrays(names)
    except Exception as error:  # a damaged file surfaces as almost any exception
        msg = f"{path} must be a whole file of `townsend simulate` ({type(error).__name__}); simulate it again"
        raise InputError(msg) from None


def _added(one: NDArray[np.int64], other: NDArray[np.int64]) -> NDArray[np.int64]:
    total = np.zeros(max(len(one), len(other)), np.int64)
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def simulation_verdicts(seen: Ionization) -> tuple[Verdict, ...]:
    """Return whether density, spread and sizes of the clusters are those that the settings ask for."""
    density, expected = seen.density, seen.density_per_cm
    away = (density.value - expected) / density.error
    spread = poisson_comparison(seen.clusters, expected * seen.path_cm)
    p = seen.size_p()
    return (
        Verdict(
            abs(away) <= _STANDARD_DEVIATIONS,
            f"cluster density {shown(density)} per cm, Heed's is {expected:.4f}: {away:+.1f} standard deviations",
        ),
        Verdict(
            spread.verdict.ok,
            f"clusters of a track around density x path: {spread.verdict.sentence}",
        ),
        Verdict(
            not p < _LEAST_P,
            f"electrons per cluster in the tube {shown(seen.mean_size)}; chi2 of sizes 1 to {_LARGEST} and more "
            f"against Heed's table has p = {p:.2g}",
        ),
    )


def simulation_section(parts: Parts, sample: SamplePart, seen: Ionization) -> Markup:
    """Return what was simulated: all samples, then the distributions of one of them."""
    track, tube = sample.settings.track, sample.settings.tube
    where = "all over the tube" if track.impact == "uniform" else f"within |b| ≤ {track.impact_max_cm:g} cm"
    said = (
        f"{track.particle.capitalize()}s of {track.momentum_GeV:g} GeV/c through a round tube of "
        f"{20 * tube.inner_radius_cm:g} mm, {_mixture(tube.gas)}, at {track.angle_to_wire_deg:g} degrees to the wire, "
        f"{where}; {tube.voltage_V:g} V. The figures below are of {sample.path.name}."
    )
    return join(paragraph(said), _samples(parts), _figures(seen, sample), _numbers(seen), _caution(parts))


def _mixture(gas: str) -> str:
    isobutane = 100 * load_gas(gas).isobutane
    return f"He/iC4H10 {100 - isobutane:g}/{isobutane:g}"


def _samples(parts: Parts) -> Markup:
    rows = [
        (
            sample.path.name,
            ", ".join(parts.roles[sample.path]) or "not used by another part",
            f"{sample.waveforms:,}",
            str(sample.settings.seed),
            sample.settings.track.impact,
            sample.fingerprint[:12],
        )
        for sample in parts.samples
    ]
    header = ("sample", "used for", "waveforms", "seed", "impact parameter", "SHA-256")
    return data_table(header, rows, "Simulated samples", text_columns=(0, 1, 4, 5))


def _figures(seen: Ionization, sample: SamplePart) -> Markup:
    edges = unit_edges(seen.clusters)
    expected = mixed_poisson(seen.density_per_cm * seen.path_cm, edges)
    last = int(np.max(np.nonzero(seen.size_counts)[0], initial=0)) + 1
    clusters = drawn(
        partial(
            count_figure,
            seen.clusters,
            edges,
            expected,
            ("primary clusters of a track", "simulated", "Poisson, Heed's density x path"),
            f"{sample.path.name}: mean {seen.clusters.mean():.2f}",
        ),
        "svg",
    )
    labels = ("electrons in a cluster", "simulated", "Heed's table")
    sizes = drawn(
        partial(
            share_figure,
            seen.sizes[:last],
            seen.size_counts[:last],
            seen.size_table[:last],
            labels,
            f"{sample.path.name}: mean {seen.mean_size.value:.3f}",
        )
    )
    return join(
        picture(
            clusters,
            "Histogram of the number of primary clusters of a track with the Poisson expectation",
            "Primary clusters of a track. Points: one Poisson distribution for each track, with Heed's density times "
            "its own path in the tube.",
        ),
        picture(
            sizes,
            "Share of clusters with one, two, three and more electrons beside Heed's table",
            "Electrons in a cluster. Line: Heed's table, cut where the settings say; "
            "some electrons of a large cluster leave the tube.",
        ),
    )


def _numbers(seen: Ionization) -> Markup:
    rows = [
        ("primary clusters per track", shown(seen.mean_clusters), "-", f"{SLIDES.true_clusters:g}"),
        ("primary clusters per cm", shown(seen.density), f"{seen.density_per_cm:.4f}", "-"),
        (
            "electrons per cluster (Heed: with its delta electrons wherever they end)",
            shown(seen.mean_size),
            f"{seen.expected_size:.4f}",
            f"{SLIDES.electrons_per_cluster:g}",
        ),
    ]
    return data_table(("", "simulated", "Heed", "slides"), rows, "Means, with errors of one standard deviation")


def _caution(parts: Parts) -> Markup:
    """Say why the slides' means may differ: their tracks cross the middle of the tube."""
    uniform = any(sample.settings.track.impact == "uniform" for sample in parts.samples)
    about_b = "The slides' number fits tracks through the middle of the tube; those all over it are shorter. "
    sizes = "Their electrons per cluster are not what Heed gives for this gas."
    return paragraph(f"{about_b if uniform else ''}{sizes}", class_="soft")
