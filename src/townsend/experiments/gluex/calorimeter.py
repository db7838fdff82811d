"""What the two calorimeters share: resolution, and how much of itself a pion leaves when it interacts.

What to use when
----------------
- `smeared`: energies with the resolution of a calorimeter; showers below a threshold are not found.
- `visible_share`: of the momentum of pions that interact; `electromagnetic_share`: of a shower, up to a depth.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import gammainc

from townsend.experiments.gluex.settings import HadronSettings

__all__ = ["Resolution", "electromagnetic_share", "smeared", "visible_share"]

Floats = NDArray[np.float64]


class Resolution(Protocol):
    """sigma/E = stochastic / sqrt(E/GeV), and constant in quadrature."""

    @property
    def stochastic(self) -> float:
        """Factor of 1/sqrt(E/GeV)."""
        ...

    @property
    def constant(self) -> float:
        """What is left at high energy."""
        ...


def smeared(energy_GeV: Floats, resolution: Resolution, threshold_GeV: float, random: np.random.Generator) -> Floats:
    """Return measured energies [GeV], 0 where nothing above the threshold is measured."""
    variance = resolution.stochastic**2 * energy_GeV + (resolution.constant * energy_GeV) ** 2
    found = energy_GeV + np.sqrt(variance) * random.standard_normal(len(energy_GeV))
    return np.where(found > threshold_GeV, found, 0.0)


def visible_share(
    number: int, settings: HadronSettings, random: np.random.Generator
) -> tuple[Floats, NDArray[np.bool_]]:
    """Return the visible share of the momentum of pions that interact, and whether a pi0 took it (charge exchange)."""
    ordinary = random.beta(settings.visible_a, settings.visible_b, number)
    exchanged = random.beta(settings.exchange_a, settings.exchange_b, number)
    exchange = random.random(number) < settings.exchange_fraction
    return np.where(exchange, exchanged, ordinary), exchange


def electromagnetic_share(energy_GeV: Floats, depth_X0: ArrayLike, critical_energy_GeV: float) -> Floats:
    """Return the share of an electron's shower up to a depth in radiation lengths, 0 for depths below 0.

    E. Longo, I. Sestili, NIM 128 (1975) 283: a gamma distribution of b t with b = 0.5, whose largest value lies at
    ln(E / E_c) - 0.5 (Particle Data Group).
    """
    b = 0.5
    maximum = np.log(np.maximum(energy_GeV / critical_energy_GeV, 1e-9)) - 0.5
    shape = 1 + b * np.maximum(maximum, 0.0)
    return np.asarray(gammainc(shape, b * np.maximum(depth_X0, 0.0)))
