"""The forward calorimeter (FCAL): who reaches it, and what electrons and pions leave in it.

What to use when
----------------
- `reaches_fcal`: between the beam hole and the shadow of the barrel calorimeter.
- `fcal_energy`: measured energies of tracks that reach it.

Electrons leave 0.935 of their momentum, with the resolution that the eta mass has shown, and 15 % of them lose an
exponential more. Pions leave a MIP's light up to where they interact, and from there a visible share of their momentum.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.calorimeter import smeared, visible_share
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import FcalSettings, GluexSettings
from townsend.experiments.gluex.streams import Streams

__all__ = ["fcal_energy", "reaches_fcal"]

Floats = NDArray[np.float64]


def reaches_fcal(theta: Floats, settings: FcalSettings) -> NDArray[np.bool_]:
    """Return which polar angles [rad] lead into the FCAL."""
    degrees = np.rad2deg(theta)
    return (degrees > settings.theta_low_deg) & (degrees < settings.theta_high_deg)


def fcal_energy(particles: Particles, settings: GluexSettings, streams: Streams) -> Floats:
    """Return measured energies [GeV] of tracks, 0 for those that miss the FCAL or stay below its threshold."""
    electrons = _electrons(particles.momentum_GeV, settings.fcal, streams("fcal electrons"))
    pions = _pions(particles, settings, streams("fcal pions"))
    reached = reaches_fcal(particles.theta, settings.fcal)
    return np.where(reached, np.where(particles.electron, electrons, pions), 0.0)


def _electrons(momentum_GeV: Floats, settings: FcalSettings, random: np.random.Generator) -> Floats:
    number = len(momentum_GeV)
    measured = smeared(settings.electron_share * momentum_GeV, settings, 0.0, random)
    lost = random.standard_exponential(number) * settings.tail_mean
    tail = random.random(number) < settings.tail_fraction
    left = measured - np.where(tail, lost, 0.0) * momentum_GeV
    return np.where(left > settings.threshold_GeV, left, 0.0)


def _pions(particles: Particles, settings: GluexSettings, random: np.random.Generator) -> Floats:
    fcal = settings.fcal
    number = len(particles.theta)
    depth_cm = random.standard_exponential(number) * fcal.interaction_cm
    share, _ = visible_share(number, settings.hadrons, random)
    # Cherenkov light, 1 - 1 / (beta n)2, relative to that of a particle with beta = 1.
    beta2 = 1 / (1 + (particles.mass_GeV / particles.momentum_GeV) ** 2)
    light = np.maximum(1 - 1 / (beta2 * fcal.refractive_index**2), 0.0) / (1 - fcal.refractive_index**-2)
    passage_GeV = fcal.mip_GeV * light * np.minimum(depth_cm / fcal.depth_cm, 1.0)
    energy_GeV = passage_GeV + np.where(depth_cm < fcal.depth_cm, share * particles.momentum_GeV, 0.0)
    return smeared(energy_GeV, fcal, fcal.threshold_GeV, random)
