"""Primary clusters along a track and the electrons in each, as Heed makes them (I. B. Smirnov, NIM A 554 (2005) 474).

What to use when
----------------
- `beta_gamma`, `clusters_per_cm`: density of primary clusters of a particle.
- `size_distribution`: electrons in a cluster of a particle.
- `draw_clusters`: positions and sizes for a block of tracks; `clusters_at` for given impact parameters.
- `draw_electrons`: where the electrons of clusters lie.

Density. In units of 1/cm, with L = ln(beta gamma)^2 - beta^2 and R. M. Sternheimer's density effect
(Phys. Rev. 88 (1952) 851) delta, beta^2 N = A + B (L - delta). Sizes: the rate of clusters of 2 to 5 electrons and that
of 6 to 30 rises with L - ln(1 + (beta gamma / g)^2) (W. W. M. Allison, J. H. Cobb, Ann. Rev. Nucl. Part. Sci. 30
(1980) 253), that of larger ones, collisions with free electrons, does not rise. All constants were fitted to Heed's
nine muons in 90/10; other particles are validation.

Poor approximations: outside 90/10 the dependence on beta gamma is assumed to be that of 90/10, and the shapes of sizes
between tabulated mixtures and W are interpolated linearly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.deltas import STEP_UM, follow_deltas
from townsend.experiments.drifttube.simulation.gas import Gas, load_gas
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings, IonizationSettings
from townsend.experiments.drifttube.simulation.tables import cluster_size_table, density_at_10_GeV

__all__ = [
    "MASS_GEV",
    "Clusters",
    "beta_gamma",
    "clusters_at",
    "clusters_per_cm",
    "draw_clusters",
    "draw_electrons",
    "size_distribution",
]

MASS_GEV = {
    "electron": 0.51099895e-3,
    "muon": 0.1056583755,
    "pion": 0.13957039,
    "kaon": 0.493677,
    "proton": 0.938272088,
}
"""Particle Data Group, Review of Particle Physics (2024)."""

LOWEST_BETA_GAMMA = 0.5
DENSITY_A, DENSITY_B = 9.8988, 0.82973
DELTA_C, DELTA_START, DELTA_END, DELTA_POWER = 9.5448, 4.0064, 10.2267, 8.1210
"""Sternheimer's C; natural logarithms of beta gamma where the density effect sets in and is complete; exponent."""
SIZE_SLOPE = 0.058
SIZE_CLASSES = ((2, 5, 208.0), (6, 30, 1250.0))
"""Smallest and largest size, beta gamma at which its rise ends."""

_REFERENCE_BETA_GAMMA = 10.0 / MASS_GEV["muon"]
_W_OF_TABLE, _LOWER_W = 39.51, 30


@dataclass(frozen=True)
class Clusters:
    """Primary clusters of a block of tracks, flat; `track` counts from 0 within the block.

    Arguments:
        impact_cm, path_cm: (tracks,) signed impact parameter and length inside the tube.
        track: (clusters,) track of each cluster, ascending.
        along_cm: (clusters,) place across the wire, from the point of closest approach.
        size: (clusters,) electrons that a delta electron would make before it stops.
    """

    impact_cm: NDArray[np.float64]
    path_cm: NDArray[np.float64]
    track: NDArray[np.int64]
    along_cm: NDArray[np.float64]
    size: NDArray[np.int64]

    @property
    def radius_cm(self) -> NDArray[np.float64]:
        """Distance of each cluster from the wire."""
        return np.hypot(self.impact_cm[self.track], self.along_cm)


def beta_gamma(particle: str, momentum_GeV: float) -> float:
    """Return beta*gamma = p / m."""
    return momentum_GeV / MASS_GEV[particle]


def clusters_per_cm(gas: Gas, particle: str, momentum_GeV: float) -> float:
    """Return the mean number of primary clusters per cm.

    Raises InputError below beta*gamma = 0.5, where nothing was validated. There is no upper end: the density is level.
    """
    given = _checked_beta_gamma(particle, momentum_GeV)
    isobutane, density, _ = density_at_10_GeV()
    order = np.argsort(isobutane)
    mixture = float(np.interp(100 * gas.isobutane, isobutane[order], density[order]))
    rise = _density_90_10(given) / _density_90_10(_REFERENCE_BETA_GAMMA)
    return gas.relative_density * mixture * rise


def _checked_beta_gamma(particle: str, momentum_GeV: float) -> float:
    given = beta_gamma(particle, momentum_GeV)
    if given < LOWEST_BETA_GAMMA:
        lowest = LOWEST_BETA_GAMMA * MASS_GEV[particle]
        msg = (
            f"momentum_GeV must be at least {lowest:.3g} for a {particle} (got {momentum_GeV:g}): clusters are known "
            f"from beta*gamma = {LOWEST_BETA_GAMMA} on; raise the momentum or take a lighter particle"
        )
        raise InputError(msg)
    return given


def _density_90_10(bg: float) -> float:
    beta2 = bg**2 / (1 + bg**2)
    return (DENSITY_A + DENSITY_B * (math.log(bg**2) - beta2 - _density_effect(bg))) / beta2


def _density_effect(bg: float) -> float:
    x = math.log(bg)
    if x < DELTA_START:
        return 0.0
    level = 2 * x - DELTA_C
    if x > DELTA_END:
        return level
    share = (DELTA_END - x) / (DELTA_END - DELTA_START)
    return level + (DELTA_C - 2 * DELTA_START) * math.pow(share, DELTA_POWER)


@lru_cache(maxsize=32)
def size_distribution(
    isobutane: float, particle: str, momentum_GeV: float, settings: IonizationSettings
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return cluster sizes and their probabilities in a gas with a fraction of isobutane.

    Raises InputError where they are not tabulated.
    """
    at_10_GeV = _sizes_at_10_GeV(isobutane, settings.W_eV)
    given = _checked_beta_gamma(particle, momentum_GeV)
    rate = at_10_GeV * _size_rates(np.arange(len(at_10_GeV)), given)
    single = _density_90_10(given) / _density_90_10(_REFERENCE_BETA_GAMMA) - rate[2:].sum()
    rate[1] = single
    if settings.max_cluster_size is not None:
        rate = rate[: settings.max_cluster_size + 1]
    size = np.flatnonzero(rate)
    return size, rate[size] / rate[size].sum()


def _sizes_at_10_GeV(isobutane: float, W_eV: float | None) -> NDArray[np.float64]:
    """Return the probability of each size from 0 on, interpolated between the tables."""
    percent = round(100 * isobutane, 6)
    if W_eV is not None:
        if percent != 10:
            rule = f"W_eV must be null outside 90/10 (got {W_eV:g}), where sizes were tabulated for one W only"
            msg = f"{rule}; leave ionization.W_eV out"
            raise InputError(msg)
        share = (_W_OF_TABLE - W_eV) / (_W_OF_TABLE - _LOWER_W)
        return _blend(cluster_size_table(10), cluster_size_table(10, _LOWER_W), share)
    lower = 10 if percent < 15 else 15
    return _blend(cluster_size_table(lower), cluster_size_table(lower + 5), (percent - lower) / 5)


def _blend(first: NDArray[np.float64], second: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    blended = np.zeros(max(len(first), len(second)))
    blended[: len(first)] += (1 - share) * first
    blended[: len(second)] += share * second
    return blended


def _size_rates(size: NDArray[np.int64], bg: float) -> NDArray[np.float64]:
    """Return the rate of clusters of each size per cm, relative to that of a muon of 10 GeV/c; not for size 1."""

    def beta2(at: float) -> float:
        return at**2 / (1 + at**2)

    def rise(at: float, end: float) -> float:
        return 1 + SIZE_SLOPE * (math.log(at**2) - beta2(at) - math.log1p((at / end) ** 2))

    rates = np.full(len(size), beta2(_REFERENCE_BETA_GAMMA) / beta2(bg))
    for smallest, largest, end in SIZE_CLASSES:
        inside = (size >= smallest) & (size <= largest)
        rates[inside] *= rise(bg, end) / rise(_REFERENCE_BETA_GAMMA, end)
    return rates


def draw_clusters(settings: DriftTubeSettings, tracks: int, random: np.random.Generator) -> Clusters:
    """Draw the clusters of `tracks` straight tracks, with impact parameters as the settings say."""
    radius = settings.tube.inner_radius_cm
    largest = min(settings.track.impact_max_cm, radius) if settings.track.impact == "central" else radius
    return clusters_at(random.uniform(-largest, largest, tracks), settings, random)


def clusters_at(impact_cm: NDArray[np.float64], settings: DriftTubeSettings, random: np.random.Generator) -> Clusters:
    """Draw the clusters of straight tracks: Poisson number, uniform positions, sizes from the table.

    Arguments:
        impact_cm: (tracks,) signed distance of each track from the wire, |b| < inner radius.
        settings: the simulation.
        random: generator of this step.
    """
    track = settings.track
    half_chord_cm = np.sqrt(settings.tube.inner_radius_cm**2 - impact_cm**2)
    path_cm = 2 * half_chord_cm / np.sin(np.deg2rad(track.angle_to_wire_deg))
    gas = load_gas(settings.tube.gas)
    density = clusters_per_cm(gas, track.particle, track.momentum_GeV)
    number = random.poisson(density * path_cm)
    of_track = np.repeat(np.arange(len(impact_cm)), number)
    along_cm = random.uniform(-1, 1, len(of_track)) * half_chord_cm[of_track]

    size, probability = size_distribution(gas.isobutane, track.particle, track.momentum_GeV, settings.ionization)
    cumulative = np.cumsum(probability)
    drawn = np.searchsorted(cumulative, random.uniform(0, cumulative[-1], len(of_track)), side="right")
    return Clusters(impact_cm, path_cm, of_track, along_cm, size[np.minimum(drawn, len(size) - 1)])


def draw_electrons(
    clusters: Clusters, settings: DriftTubeSettings, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return cluster and distance from the wire [cm] of every electron inside the tube, in order of cluster."""
    if not settings.ionization.delta_range:
        cluster = np.repeat(np.arange(len(clusters.size)), clusters.size)
        return cluster, clusters.radius_cm[cluster]
    gas = load_gas(settings.tube.gas)
    W_eV = settings.ionization.W_eV or _W_of_mixture(gas.isobutane)
    uniform = random.random(2 * int(clusters.size[clusters.size > 1].sum()))
    return follow_deltas(
        clusters.impact_cm[clusters.track],
        clusters.along_cm,
        clusters.size,
        float(np.sin(np.deg2rad(settings.track.angle_to_wire_deg))),
        STEP_UM * 1e-4 / gas.relative_mass,
        W_eV,
        settings.tube.inner_radius_cm,
        uniform,
    )


def _W_of_mixture(isobutane: float) -> float:
    percent, _, W_eV = density_at_10_GeV()
    order = np.argsort(percent)
    return float(np.interp(100 * isobutane, percent[order], W_eV[order]))
