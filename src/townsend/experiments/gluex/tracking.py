"""What the drift chambers make of a track: radiation before them, momentum, direction, hits.

What to use when
----------------
- `after_radiation`: electrons lose energy in the target and the start counter; their chambers see the rest.
- `momentum_resolution`: sigma(p)/p; `measured`: momentum and angles with errors.
- `straw_hits`: hits in the central drift chamber (CDC), by geometry.

Momentum resolution is that of pions in NIM A 987 (2021) 164807, read off its figures at 1 and 5 GeV/c; between them and
beyond, sigma2 = a2 + (b p)2, multiple scattering and measurement, with a2 and b2 linear in theta.

Poor approximations: for all geometry tracks are straight lines from the middle of the target, though that is 30 cm long
and the solenoid bends tracks below 1 GeV visibly; below 2 and above 60 degrees the resolution is that of 2 and 60
degrees; errors are Gaussian in all three quantities, and those of electrons are those of pions.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import TrackSettings

__all__ = ["MOST_HITS", "after_radiation", "measured", "momentum_resolution", "straw_hits", "turned"]

Floats = NDArray[np.float64]

MOST_HITS = 28
"""Layers of the CDC."""

_THETA_DEG = np.array([2.0, 4.0, 6.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0])
_AT_1_GEV = np.array([4.8, 2.7, 1.9, 1.1, 1.4, 2.9, 2.7, 1.6, 1.3]) * 1e-2
_AT_5_GEV = np.array([8.4, 4.4, 2.7, 1.9, 3.2, 3.7, 2.9, 2.0, 2.0]) * 1e-2
_MEASUREMENT2 = (_AT_5_GEV**2 - _AT_1_GEV**2) / (5.0**2 - 1.0**2)
_SCATTERING2 = _AT_1_GEV**2 - _MEASUREMENT2

_INNER_CM, _OUTER_CM = 10.7, 54.0
_DOWNSTREAM_CM, _UPSTREAM_CM = 102.0, 48.0
"""First and last straws, ends of the straws from the target's centre (HDDS)."""


def after_radiation(particles: Particles, settings: TrackSettings, random: np.random.Generator) -> Particles:
    """Return the particles behind the material; electrons keep a share z, -ln z gamma distributed with shape t / ln 2.

    H. Bethe, W. Heitler, Proc. Roy. Soc. A 146 (1934) 83, for t radiation lengths. The photon is lost: the solenoid
    parts it from the electron before the calorimeter.
    """
    shape = settings.material_X0 / np.log(2)
    if shape == 0:
        return particles
    kept = np.exp(-random.standard_gamma(shape, len(particles.theta)))
    return particles.with_momentum(particles.momentum_GeV * np.where(particles.electron, kept, 1.0))


def momentum_resolution(momentum_GeV: Floats, theta: Floats) -> Floats:
    """Return sigma(p)/p of momenta [GeV] at polar angles [rad]."""
    degrees = np.rad2deg(theta)
    scattering2 = np.interp(degrees, _THETA_DEG, _SCATTERING2)
    return np.sqrt(scattering2 + np.interp(degrees, _THETA_DEG, _MEASUREMENT2) * momentum_GeV**2)


def measured(
    particles: Particles, settings: TrackSettings, random: np.random.Generator
) -> tuple[Floats, Floats, Floats]:
    """Return measured momentum [GeV], > 0, theta and phi [rad]."""
    relative = momentum_resolution(particles.momentum_GeV, particles.theta)
    shift = relative * random.standard_normal(len(relative))
    # sigma(p)/p is at most some 12 %: the floor, seven of them away, keeps momenta positive by rule.
    momentum_GeV = particles.momentum_GeV * np.maximum(1.0 + shift, 0.1)
    theta, phi = turned(particles.theta, particles.phi, settings.direction_mrad * 1e-3, random)
    return momentum_GeV, theta, phi


def turned(theta: Floats, phi: Floats, error: Floats | float, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Return angles of directions that are turned by Gaussian errors [rad] along theta and across it."""
    along, across = (error * random.standard_normal(len(theta)) for _ in range(2))
    outwards = np.sin(theta) + along * np.cos(theta)  # away from the beam, in the plane of beam and track
    beam = np.cos(theta) - along * np.sin(theta)
    azimuth = phi + np.arctan2(across, outwards)
    return np.arctan2(np.hypot(outwards, across), beam), (azimuth + np.pi) % (2 * np.pi) - np.pi


def straw_hits(theta: Floats) -> NDArray[np.int64]:
    """Return the layers of the CDC that straight tracks cross before its end: 0 to `MOST_HITS`."""
    length_cm = np.where(theta < np.pi / 2, _DOWNSTREAM_CM, _UPSTREAM_CM)
    radius_cm = length_cm * np.abs(np.tan(theta))
    share = np.clip((radius_cm - _INNER_CM) / (_OUTER_CM - _INNER_CM), 0.0, 1.0)
    return np.rint(MOST_HITS * share).astype(np.int64)
