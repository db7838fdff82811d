"""Primary clusters along a track and the electrons in each: Heed's tables (I. B. Smirnov, NIM A 554 (2005) 474).

What to use when
----------------
- `beta_gamma`, `clusters_per_cm`: density of primary clusters of a particle.
- `draw_clusters`: positions and sizes for a block of tracks.

Poor approximations: all electrons of a cluster start at its position (real delta electrons travel); the size
distribution is that of 10 GeV/c muons for all momenta; outside 90/10 the dependence of the density on beta*gamma is
assumed to be that of 90/10.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.settings import DriftTubeSettings, IonizationSettings
from townsend.experiments.drifttube.tables import cluster_size_table, density_table, mixture_density

__all__ = ["MASS_GEV", "Clusters", "beta_gamma", "clusters_per_cm", "draw_clusters", "size_distribution"]

MASS_GEV = {
    "electron": 0.51099895e-3,
    "muon": 0.1056583755,
    "pion": 0.13957039,
    "kaon": 0.493677,
    "proton": 0.938272088,
}
"""Particle Data Group, Review of Particle Physics (2024)."""


@dataclass(frozen=True)
class Clusters:
    """Primary clusters of a block of tracks, flat; `track` counts from 0 within the block.

    Arguments:
        impact_cm, path_cm: (tracks,) signed impact parameter and length inside the tube.
        track: (clusters,) track of each cluster, ascending.
        radius_cm: (clusters,) distance from the wire.
        size: (clusters,) electrons.
    """

    impact_cm: NDArray[np.float64]
    path_cm: NDArray[np.float64]
    track: NDArray[np.int64]
    radius_cm: NDArray[np.float64]
    size: NDArray[np.int64]


def beta_gamma(particle: str, momentum_GeV: float) -> float:
    """Return beta*gamma = p / m."""
    return momentum_GeV / MASS_GEV[particle]


def clusters_per_cm(gas: str, particle: str, momentum_GeV: float) -> float:
    """Return the mean number of primary clusters per cm, interpolated in log(beta*gamma).

    Raises InputError outside the table, 4.73 <= beta*gamma <= 1704, except on the plateau above it.
    """
    table_bg, table_density = density_table()
    given = beta_gamma(particle, momentum_GeV)
    if given < table_bg[0]:
        lowest = table_bg[0] * MASS_GEV[particle]
        msg = (
            f"momentum_GeV must be at least {lowest:.3g} for a {particle} (got {momentum_GeV:g}): the table of cluster "
            f"densities starts at beta*gamma = {table_bg[0]:.3g}; raise the momentum or take a lighter particle"
        )
        raise InputError(msg)
    density = float(np.interp(np.log(given), np.log(table_bg), table_density))
    at_10_GeV = float(np.interp(np.log(beta_gamma("muon", 10.0)), np.log(table_bg), table_density))
    return density * mixture_density(gas) / at_10_GeV


def size_distribution(gas: str, settings: IonizationSettings) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return cluster sizes and their cumulative probability."""
    size, probability = cluster_size_table(gas)
    if settings.max_cluster_size is not None:
        keep = size <= settings.max_cluster_size
        size, probability = size[keep], probability[keep] / probability[keep].sum()
    return size, np.cumsum(probability)


def draw_clusters(settings: DriftTubeSettings, tracks: int, random: np.random.Generator) -> Clusters:
    """Draw the clusters of `tracks` straight tracks: Poisson number, uniform positions, sizes from the table."""
    radius = settings.tube.inner_radius_cm
    largest = min(settings.track.impact_max_cm, radius) if settings.track.impact == "central" else radius
    sine = np.sin(np.deg2rad(settings.track.angle_to_wire_deg))
    impact_cm = random.uniform(-largest, largest, tracks)
    half_chord_cm = np.sqrt(radius**2 - impact_cm**2)
    path_cm = 2 * half_chord_cm / sine

    density = clusters_per_cm(settings.tube.gas, settings.track.particle, settings.track.momentum_GeV)
    number = random.poisson(density * path_cm)
    track = np.repeat(np.arange(tracks), number)
    along_cm = random.uniform(-1, 1, len(track)) * half_chord_cm[track]
    radius_cm = np.hypot(impact_cm[track], along_cm)

    size, cumulative = size_distribution(settings.tube.gas, settings.ionization)
    drawn = np.searchsorted(cumulative, random.uniform(0, cumulative[-1], len(track)), side="right")
    return Clusters(impact_cm, path_cm, track, radius_cm, size[np.minimum(drawn, len(size) - 1)])
