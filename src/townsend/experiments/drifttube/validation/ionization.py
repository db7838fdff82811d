"""Primary clusters: their density, how their number fluctuates, and how many electrons they have, against Heed.

The reference's delta electrons stay in its box, so ours are drawn without their range. The density is Heed's analytic
one; sizes and fluctuations are of clusters that Heed drew, 20,000 cm a particle and momentum, up to 1,000,000 cm a
mixture. The constants of the simulation come from the muons in 90/10 and from the muon of 10 GeV/c in the other
mixtures; every other particle is validation, and so is the size distribution away from 10 GeV/c.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from townsend.config import parse
from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.gas import load_gas
from townsend.experiments.drifttube.simulation.ionization import clusters_at, clusters_per_cm
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.drifttube.simulation.streams import stream
from townsend.experiments.drifttube.validation.reference_files import Reference, SizeTable
from townsend.experiments.drifttube.validation.verdicts import Label, Row, point_row, worst_row

__all__ = [
    "GROUP",
    "SETTINGS",
    "densities",
    "density_rows",
    "draw_counts",
    "ionization_rows",
    "number_rows",
    "size_rows",
    "with_beam",
]

Floats = NDArray[np.float64]

GROUP = "ionization"
DENSITY_LIMIT_PERCENT = 0.5
FLUCTUATION_LIMIT_PERCENT = 2.0
SHARE_LIMIT_PERCENT, SHARE_LIMIT_SIGMAS = 3.0, 3.0
SIZE_LIMIT_PERCENT = 2.0
SETTINGS = DriftTubeSettings.model_validate({"ionization": {"delta_range": False}})

_SIZES = range(1, 21)
_LARGEST = 100
_SCAN_CM = 20_000  # length of the reference's tracks at each particle and momentum
_NAMES = {"muon": "muon", "pi": "pion", "kaon": "kaon", "proton": "proton", "electron": "electron"}
_CHUNK = 50_000  # tracks drawn at a time
_TIMES_OF_TABLE = 4  # for the rare large sizes
_LEAST_TRACKS = 100_000  # with fewer, ours would fail rows by its own statistics


@dataclass(frozen=True)
class Drawn:
    """Clusters that were drawn.

    Arguments:
        tracks, path_cm: number and length of the tracks, all alike.
        number, squares: sums over the tracks of the clusters and of their squares.
        sizes: (largest + 1,) how many clusters have as many electrons.
    """

    tracks: int
    path_cm: float
    number: float
    squares: float
    sizes: Floats

    @property
    def density(self) -> tuple[float, float]:
        """Clusters per cm with their Poisson error."""
        length_cm = self.tracks * self.path_cm
        return self.number / length_cm, float(np.sqrt(self.number)) / length_cm

    @property
    def fluctuation(self) -> tuple[float, float]:
        """Variance over mean of the clusters of a track, with the error for Poisson numbers."""
        mean = self.number / self.tracks
        variance = (self.squares - self.tracks * mean**2) / (self.tracks - 1)
        return variance / mean, float(np.sqrt((2 + 1 / mean) / self.tracks))


def ionization_rows(reference: Reference, tracks: int, seed: int, settings: DriftTubeSettings = SETTINGS) -> list[Row]:
    """Return the rows of this group.

    Arguments:
        reference: the files.
        tracks: of ours, 100,000 at least; four times as many for the distributions at 10 GeV/c, a fifth for each point
            of the scan.
        seed: of ours.
        settings: of ours; particle, momentum, gas and W are set to those of the reference.
    """
    tracks = max(tracks, _LEAST_TRACKS)
    rows = density_rows(reference)
    for mixture in ("he90_iso10", "he85_iso15", "he80_iso20"):
        drawn = draw_counts(with_beam(settings, mixture), _TIMES_OF_TABLE * tracks, seed, f"validate {mixture}")
        rows += number_rows(reference, mixture, drawn)
        rows += size_rows(reference.sizes(mixture), drawn, f"10 GeV/c muons, {_name(mixture)}")
    lower_W = draw_counts(with_beam(settings, "he90_iso10", W_eV=30.0), _TIMES_OF_TABLE * tracks, seed, "validate W")
    rows += size_rows(reference.sizes("he90_iso10_W30"), lower_W, "10 GeV/c muons, 90/10, W = 30 eV")
    return rows + _scan_rows(reference, tracks // 5, seed, settings)


def _name(mixture: str) -> str:
    return f"{mixture[2:4]}/{mixture[-2:]}"


def with_beam(
    settings: DriftTubeSettings,
    mixture: str,
    particle: str = "muon",
    momentum_GeV: float = 10.0,
    W_eV: float | None = None,
) -> DriftTubeSettings:
    """Return settings with the gas and the beam of a reference run; the W of the mixture where none is given."""
    values = settings.model_dump()
    values["tube"] |= {"gas": mixture}
    values["track"] |= {"particle": particle, "momentum_GeV": momentum_GeV}
    values["ionization"] |= {} if W_eV is None else {"W_eV": W_eV}
    return parse(DriftTubeSettings, values)


def draw_counts(settings: DriftTubeSettings, tracks: int, seed: int, name: str) -> Drawn:
    """Draw the clusters of tracks through the wire; `seed` and `name` name the random streams."""
    number = squares = 0.0
    sizes = np.zeros(0)
    path_cm = 0.0
    for chunk, start in enumerate(range(0, tracks, _CHUNK)):
        through_wire = np.zeros(min(_CHUNK, tracks - start))
        clusters = clusters_at(through_wire, settings, stream(seed, name, chunk))
        path_cm = float(clusters.path_cm[0])
        of_track = np.bincount(clusters.track, minlength=len(through_wire)).astype(np.float64)
        number += of_track.sum()
        squares += (of_track**2).sum()
        sizes = _added(sizes, np.bincount(clusters.size).astype(np.float64))
    return Drawn(tracks, path_cm, number, squares, sizes)


def _added(one: Floats, other: Floats) -> Floats:
    total = np.zeros(max(len(one), len(other)))
    total[: len(one)] += one
    total[: len(other)] += other
    return total


def densities(reference: Reference) -> list[tuple[str, float, float, float, float]]:
    """Return particle, momentum [GeV/c], beta*gamma, Heed's and our clusters per cm of every point of the scan.

    Ours is NaN where the simulation refuses the point.
    """
    scan = "heed_scan_he90_iso10.csv"
    names = reference.table(scan)["particle"]
    columns = reference.numbers(scan, "p_GeV", "beta_gamma", "GetClusterDensity_per_cm")
    found = []
    for name, momentum, beta_gamma, theirs in zip(names, *columns, strict=True):
        particle = _NAMES.get(str(name), str(name))
        try:
            ours = clusters_per_cm(load_gas("he90_iso10"), particle, float(momentum))
        except (InputError, KeyError):
            ours = float("nan")
        found.append((particle, float(momentum), float(beta_gamma), float(theirs), ours))
    return found


def density_rows(reference: Reference) -> list[Row]:
    """Return the rows of Heed's analytic density: muons, and all others."""
    muons: list[Row] = []
    others: list[Row] = []
    for particle, momentum, beta_gamma, theirs, ours in densities(reference):
        at = f"{particle} of {momentum:g} GeV/c (beta gamma {beta_gamma:.3g})"
        label = Label(GROUP, "analytic clusters per cm", at, "1/cm")
        row = point_row(label, (theirs, 0.0), (ours, 0.0), DENSITY_LIMIT_PERCENT)
        (muons if particle == "muon" else others).append(row)
    rows = []
    for points, name, note in (
        (muons, "muons", "source of the constants"),
        (others, "pions, kaons, protons, electrons", "validation"),
    ):
        if points:
            label = Label(GROUP, "analytic clusters per cm", f"90/10, {len(points)} points, {name}", "1/cm")
            rows.append(worst_row(label, points, note=note))
    return rows


def number_rows(reference: Reference, mixture: str, drawn: Drawn) -> list[Row]:
    """Return the rows of the number of clusters of a track: its mean and its variance."""
    columns = "p_GeV", "he", "tracks", "length_cm", "GetClusterDensity_per_cm", "sim_clusters_per_cm", "var_over_mean"
    momentum, helium, tracks, length_cm, analytic, simulated, fluctuation = reference.numbers("heed_runs.csv", *columns)
    alike = (momentum == 10) & (helium == int(mixture[2:4]))
    if not alike.any():
        msg = f"heed_runs.csv must have a run of {_name(mixture)} at 10 GeV/c (it has none); take the shipped file"
        raise InputError(msg)
    weight = tracks[alike] / (2 + 1 / (length_cm * simulated)[alike])  # 1 / variance of var / mean, Poisson
    theirs = float(np.average(fluctuation[alike], weights=weight)), float(1 / np.sqrt(weight.sum()))
    population = f"10 GeV/c muons, {_name(mixture)}"
    return [
        point_row(
            Label(GROUP, "clusters per cm, drawn", population, "1/cm"),
            (float(analytic[alike][0]), 0.0),
            drawn.density,
            DENSITY_LIMIT_PERCENT,
            note="source of the constants",
        ),
        point_row(
            Label(GROUP, "variance / mean of the clusters of a track", population, ""),
            theirs,
            drawn.fluctuation,
            FLUCTUATION_LIMIT_PERCENT,
        ),
    ]


def size_rows(table: SizeTable, drawn: Drawn, population: str) -> list[Row]:
    """Return the rows of the size distribution: the shares of 1 to 20 electrons, and the mean of at most 100."""
    theirs = np.bincount(table.electrons, table.clusters, minlength=_SIZES[-1] + 1).astype(np.float64)
    ours = _added(drawn.sizes, np.zeros(_SIZES[-1] + 1))
    points = [
        _share_row(f"P({size})", (theirs[size], theirs.sum()), (ours[size], ours.sum()))
        for size in _SIZES
        if theirs[size] > 0
    ]
    label = Label(GROUP, f"P(1) to P({_SIZES[-1]}) of the electrons of a cluster", population, "")
    mean = point_row(
        Label(GROUP, f"mean electrons of a cluster, {_LARGEST} at most", population, ""),
        _clipped(theirs),
        _clipped(ours),
        SIZE_LIMIT_PERCENT,
    )
    return [worst_row(label, points, note="limit 3 % or 3 s.d."), mean]


def _share_row(name: str, theirs: tuple[float, float], ours: tuple[float, float]) -> Row:
    """Return the row of a share, from how many of how many on either side."""
    (their, their_error), (our, our_error) = _share(*theirs), _share(*ours)
    in_percent = 100 * float(np.hypot(their_error, our_error)) / their
    limit = max(SHARE_LIMIT_PERCENT, SHARE_LIMIT_SIGMAS * in_percent)
    label = Label(GROUP, "share of clusters", name, "")
    return point_row(label, (their, their_error), (our, our_error), limit, errors_in_limit=True)


def _share(some: float, all_of_them: float) -> tuple[float, float]:
    share = float(some / all_of_them)
    # One more of each, so that the error of none seen is not zero.
    pulled = (some + 1) / (all_of_them + 2)
    return share, float(np.sqrt(pulled * (1 - pulled) / all_of_them))


def _clipped(counts: Floats) -> tuple[float, float]:
    """Return the mean size, larger clusters counted as `_LARGEST`, and its error."""
    size = np.minimum(np.arange(len(counts)), _LARGEST)
    mean = float(np.average(size, weights=counts))
    variance = float(np.average((size - mean) ** 2, weights=counts))
    return mean, float(np.sqrt(variance / counts.sum()))


def _scan_rows(reference: Reference, tracks: int, seed: int, settings: DriftTubeSettings) -> list[Row]:
    scan = "heed_scan_he90_iso10.csv"
    clipped, single = reference.numbers(scan, "mean_size_clip100", "frac_size1")
    means: dict[bool, list[Row]] = {True: [], False: []}
    shares: dict[bool, list[Row]] = {True: [], False: []}
    for i, (particle, momentum, _, density, ours) in enumerate(densities(reference)):
        if not np.isfinite(ours):
            continue  # said by the row of the densities
        at = f"{particle} of {momentum:g} GeV/c"
        drawn = draw_counts(with_beam(settings, "he90_iso10", particle, momentum), tracks, seed, f"validate {at}")
        number = _SCAN_CM * density
        mean, error = _clipped(drawn.sizes)
        # Heed's own spread of the clipped size is not in the table; ours stands for it.
        their_error = error * float(np.sqrt(drawn.sizes.sum() / number))
        label = Label(GROUP, "mean electrons of a cluster", at, "")
        of_muon = particle == "muon"
        means[of_muon].append(point_row(label, (float(clipped[i]), their_error), (mean, error), SIZE_LIMIT_PERCENT))
        counted = float(drawn.sizes[1]), float(drawn.sizes.sum())
        shares[of_muon].append(_share_row(at, (float(single[i]) * number, number), counted))
    rows = []
    for of_muon, name, note in (
        (True, "muons", "source of the constants"),
        (False, "pions, kaons, protons, electrons", "validation"),
    ):
        population = f"90/10, {len(means[of_muon])} points, {name}"
        rows += _summaries(
            (f"mean electrons of a cluster, {_LARGEST} at most", means[of_muon], note),
            ("P(1) of the electrons of a cluster", shares[of_muon], f"{note}; limit 3 % or 3 s.d."),
            population=population,
        )
    return rows


def _summaries(*quantities: tuple[str, Sequence[Row], str], population: str) -> list[Row]:
    return [
        worst_row(Label(GROUP, quantity, population, ""), points, note=note)
        for quantity, points, note in quantities
        if points
    ]
