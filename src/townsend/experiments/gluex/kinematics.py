"""Four-vectors as arrays (n, 4) of energy, x, y, z [GeV], z along the beam.

What to use when
----------------
- `four_vectors`: from momentum and direction; `momentum_theta_phi`: back again.
- `boosted`: from the rest frame of a particle into the frame in which it moves.
- `invariant_mass`: of each vector of an array; sum vectors first for a system.
- `unit_vectors`, `isotropic`, `around`: directions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

__all__ = [
    "ELECTRON_GEV",
    "ETA_GEV",
    "PION_GEV",
    "PROTON_GEV",
    "around",
    "boosted",
    "four_vectors",
    "invariant_mass",
    "isotropic",
    "momentum_theta_phi",
    "unit_vectors",
]

Floats = NDArray[np.float64]

ELECTRON_GEV, PION_GEV, PROTON_GEV, ETA_GEV = 0.51099895e-3, 0.13957039, 0.938272088, 0.547862
"""Masses: Particle Data Group, Review of Particle Physics (2024)."""


def unit_vectors(theta: Floats, phi: Floats) -> Floats:
    """Return (n, 3) directions of polar and azimuthal angles [rad]."""
    across = np.sin(theta)
    return np.stack([across * np.cos(phi), across * np.sin(phi), np.cos(theta)], axis=-1)


def four_vectors(momentum_GeV: Floats, directions: Floats, mass_GeV: ArrayLike) -> Floats:
    """Return (n, 4) vectors of particles on their mass shells.

    Arguments:
        momentum_GeV: (n,) momenta.
        directions: (n, 3) unit vectors.
        mass_GeV: (n,) masses or one for all.
    """
    energy = np.hypot(momentum_GeV, mass_GeV)
    return np.concatenate([energy[:, None], momentum_GeV[:, None] * directions], axis=1)


def momentum_theta_phi(vectors: Floats) -> tuple[Floats, Floats, Floats]:
    """Return momentum [GeV], polar angle and azimuth in (-pi, pi] [rad] of (n, 4) vectors."""
    across = np.hypot(vectors[:, 1], vectors[:, 2])
    along = vectors[:, 3]
    return np.hypot(across, along), np.arctan2(across, along), np.arctan2(vectors[:, 2], vectors[:, 1])


def invariant_mass(vectors: Floats) -> Floats:
    """Return the mass [GeV] of (n, 4) vectors; 0 where rounding makes its square negative."""
    square = vectors[:, 0] ** 2 - np.sum(vectors[:, 1:] ** 2, axis=1)
    return np.asarray(np.sqrt(np.maximum(square, 0.0)))


def boosted(vectors: Floats, frame: Floats, mass_GeV: Floats) -> Floats:
    """Return vectors, given in the rest frame of a particle, in the frame where that particle has the vector `frame`.

    Arguments:
        vectors: (n, 4) in the rest frame.
        frame: (n, 4) of the particle, one each.
        mass_GeV: (n,) its mass, which `frame` alone tells only with the rounding of a difference.
    """
    energy: Floats = np.sum(frame * vectors, axis=1) / mass_GeV
    along = (energy + vectors[:, 0]) / (frame[:, 0] + mass_GeV)
    return np.concatenate([energy[:, None], vectors[:, 1:] + along[:, None] * frame[:, 1:]], axis=1)


def isotropic(number: int, random: np.random.Generator) -> Floats:
    """Return (number, 3) unit vectors, uniform over the sphere."""
    cosine = random.uniform(-1.0, 1.0, number)
    return unit_vectors(np.arccos(cosine), random.uniform(-np.pi, np.pi, number))


def around(axis: Floats, cosine: Floats, phi: Floats) -> Floats:
    """Return (n, 3) unit vectors at given cosines to the unit vectors `axis`, turned about them by `phi` [rad].

    Azimuth zero is any direction across the axis: use it with azimuths that are uniform.
    """
    # Across the axis: crossed with the coordinate axis that it has least of, so that no cross product vanishes.
    least = np.eye(3)[np.argmin(np.abs(axis), axis=1)]
    first = np.cross(axis, least)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(axis, first)
    sine = np.sqrt(np.maximum(1.0 - cosine**2, 0.0))
    across = np.cos(phi)[:, None] * first + np.sin(phi)[:, None] * second
    return np.asarray(cosine[:, None] * axis + sine[:, None] * across)
