"""Energy loss in the central drift chamber: most probable value and what is measured.

L. D. Landau, P. V. Vavilov, H. Bichsel (Particle Data Group, Review of Particle Physics (2024), equation 34.12):
Delta = xi [ln(2 m b2 g2 / I) + ln(xi / I) + 0.2 - b2 - delta], xi = (K/2) (Z/A) x / b2, for 1 cm of Ar/CO2 50/50, with
R. M. Sternheimer's density effect delta (Atomic Data and Nuclear Data Tables 30 (1984) 261) as the mean of both gases.
The result is scaled to the published 2.0 keV/cm of pions at 1.5 GeV/c.

Poor approximations: one normal distribution of ln(loss) for all tracks, where a truncated mean has a tail; the width
is that of a published histogram with 20 hits or more, while the text of the same paper says 27 %.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.kinematics import ELECTRON_GEV, PION_GEV
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import DedxSettings
from townsend.experiments.gluex.tracking import straw_hits

__all__ = ["measured_loss", "most_probable_loss"]

Floats = NDArray[np.float64]


class _Gas(NamedTuple):
    """Density [g/cm3], Z/A, mean excitation energy [eV], and Sternheimer's C, x0, x1, a, k; gas at 1 atm."""

    density: float
    z_over_a: float
    excitation_eV: float
    c: float
    start: float
    end: float
    a: float
    k: float


_GASES = (
    _Gas(1.662e-3, 18 / 39.948, 188.0, 11.9480, 1.7635, 4.4855, 0.19714, 2.9618),  # argon
    _Gas(1.842e-3, 22 / 44.0095, 85.0, 10.1537, 1.6294, 4.1825, 0.11768, 3.3227),  # carbon dioxide
)
_K = 0.307075  # MeV cm2 / mol
_THICKNESS_CM = 1.0  # of the layer: the logarithm knows it, 2 cm instead changes the rise by 1 %


def most_probable_loss(momentum_GeV: Floats, mass_GeV: Floats, settings: DedxSettings) -> Floats:
    """Return the most probable energy loss [GeV/cm] of particles in the CDC."""
    reference = _relative(np.array([1.5 / PION_GEV]))[0]
    return np.asarray(_relative(momentum_GeV / mass_GeV) / reference * settings.pion_at_1500_MeV_keV_per_cm * 1e-6)


def _relative(beta_gamma: Floats) -> Floats:
    """Return the most probable loss in the mixture, to a factor."""
    electrons = [gas.density * gas.z_over_a / 2 for gas in _GASES]  # by volume half each
    total = sum(electrons)
    log_excitation = sum(n * np.log(gas.excitation_eV) for n, gas in zip(electrons, _GASES, strict=True)) / total
    excitation_GeV = np.exp(log_excitation) * 1e-9
    delta = np.mean([_density_effect(beta_gamma, gas) for gas in _GASES], axis=0)
    beta2 = beta_gamma**2 / (1 + beta_gamma**2)
    xi_GeV = _K / 2 * total * _THICKNESS_CM / beta2 * 1e-3
    logarithms = np.log(2 * ELECTRON_GEV * beta_gamma**2 / excitation_GeV) + np.log(xi_GeV / excitation_GeV)
    return np.asarray(xi_GeV * (logarithms + 0.2 - beta2 - delta))


def _density_effect(beta_gamma: Floats, gas: _Gas) -> Floats:
    x = np.log10(beta_gamma)
    level = 2 * np.log(10) * x - gas.c
    rising = level + gas.a * np.maximum(gas.end - x, 0.0) ** gas.k
    return np.where(x < gas.start, 0.0, np.where(x < gas.end, rising, level))


def measured_loss(particles: Particles, settings: DedxSettings, random: np.random.Generator) -> Floats:
    """Return measured losses [GeV/cm]; 0 for tracks with too few hits in the CDC."""
    hits = straw_hits(particles.theta)
    enough = hits >= settings.least_hits
    width = settings.resolution * np.sqrt(settings.hits_of_resolution / np.maximum(hits, 1))
    factor = np.exp(width * random.standard_normal(len(hits)))
    return np.where(enough, most_probable_loss(particles.momentum_GeV, particles.mass_GeV, settings) * factor, 0.0)
