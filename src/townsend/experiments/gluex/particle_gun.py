"""Single electrons and pions to train on, equal in number, like the ten rows that the slides print.

A pion of 5.83 GeV at 40.7 degrees, as among those rows, cannot come from an eta of 8.5 GeV: the slides' training data
are single tracks too. The shape of their population is not public; ours is a choice.
"""

from __future__ import annotations

import numpy as np

from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.gluex.streams import Streams

__all__ = ["shoot"]


def shoot(number: int, settings: GluexSettings, streams: Streams) -> Particles:
    """Return tracks: odd rows are electrons, even ones pions, so that any even number is balanced."""
    gun, random = settings.gun, streams("gun")
    momentum_GeV = random.uniform(gun.momentum_low_GeV, gun.momentum_high_GeV, number)
    forward = random.random(number) < gun.forward_fraction
    low = np.where(forward, gun.theta_low_deg, gun.theta_middle_deg)
    high = np.where(forward, gun.theta_middle_deg, gun.theta_high_deg)
    theta = np.deg2rad(random.uniform(low, high))
    phi = random.uniform(-np.pi, np.pi, number)
    return Particles(np.arange(number) % 2 == 1, momentum_GeV, theta, phi)
