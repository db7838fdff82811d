"""The decays eta -> e+ e- gamma and eta -> pi+ pi- gamma, in the rest frame of the eta.

What to use when
----------------
- `decay`: four-vectors of many decays of one channel.
- `kroll_wada`, `pion_pair_spectrum`: the spectra of the pair's squared mass behind them, not normalised.

**e+ e- gamma**: N. M. Kroll, W. Wada, Phys. Rev. 98 (1955) 1355, for a meson with a form factor,
dGamma/dm2 ~ 1/m2 sqrt(1 - 4 me2/m2) (1 + 2 me2/m2) (1 - m2/M2)^3 |F|^2, F = 1 / (1 - m2/L2), with L = 0.731(13) GeV
(Particle Data Group 2026, average; 1/L2 = 1.87 GeV^-2). The virtual photon is transverse: in its rest frame the
electron lies at c = cos theta to its flight with 1 + c2 + (4 me2/m2) (1 - c2).

**pi+ pi- gamma**: dGamma/ds ~ |(1 + alpha s) F(s)|^2 (M2 - s)^3 s sigma^3, sigma = sqrt(1 - 4 mpi2/s), with
alpha = 1.32 GeV^-2 (KLOE, Phys. Lett. B 718 (2013) 910: +-0.08 +0.10-0.09 +-0.02), and sin2 theta.

Poor approximations: no radiative corrections; F of the pion pair is the pole of the rho at its real mass. KLOE defines
alpha with the measured pion form factor, which rises a little faster.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.kinematics import (
    ELECTRON_GEV,
    ETA_GEV,
    PION_GEV,
    around,
    boosted,
    four_vectors,
    isotropic,
)

__all__ = ["Decays", "decay", "kroll_wada", "pion_pair_spectrum"]

Floats = NDArray[np.float64]
Channel = Literal["electrons", "pions"]

_RHO_GEV = 0.77526  # Particle Data Group (2024), neutral, e+ e-
_NODES = 20_001  # of the tables that are inverted: a piece holds at most 1e-4 of the decays, and is taken as flat


class Decays(NamedTuple):
    """Four-vectors (n, 4) [GeV] of the positive particle, the negative one and the photon."""

    plus: Floats
    minus: Floats
    photon: Floats


def kroll_wada(mass2: Floats, form_factor_GeV: float) -> Floats:
    """Return dGamma/dm2 of eta -> e+ e- gamma, not normalised.

    Arguments:
        mass2: squared mass of the electron pair [GeV2], from 4 me2 to M2; 0 outside.
        form_factor_GeV: L of the form factor, > 0.548; infinite for a point-like meson.
    """
    inside = (mass2 > 4 * ELECTRON_GEV**2) & (mass2 < ETA_GEV**2)
    m2 = np.where(inside, mass2, ETA_GEV**2)
    ratio = ELECTRON_GEV**2 / m2
    form = 1.0 / (1.0 - m2 / form_factor_GeV**2)
    found = np.sqrt(1 - 4 * ratio) * (1 + 2 * ratio) * (1 - m2 / ETA_GEV**2) ** 3 * form**2 / m2
    return np.where(inside, found, 0.0)


def pion_pair_spectrum(mass2: Floats, alpha_per_GeV2: float) -> Floats:
    """Return dGamma/ds of eta -> pi+ pi- gamma, not normalised.

    Arguments:
        mass2: squared mass s of the pion pair [GeV2], from 4 mpi2 to M2; 0 outside.
        alpha_per_GeV2: slope of the amplitude beside the pion form factor.
    """
    inside = (mass2 > 4 * PION_GEV**2) & (mass2 < ETA_GEV**2)
    s = np.where(inside, mass2, ETA_GEV**2)
    amplitude = (1 + alpha_per_GeV2 * s) / (1 - s / _RHO_GEV**2)
    found = amplitude**2 * (ETA_GEV**2 - s) ** 3 * s * (1 - 4 * PION_GEV**2 / s) ** 1.5
    return np.where(inside, found, 0.0)


def decay(channel: Channel, number: int, parameter: float, random: np.random.Generator) -> Decays:
    """Return decays of an eta at rest.

    Arguments:
        channel: "electrons" or "pions".
        number: of decays.
        parameter: `form_factor_GeV` of `kroll_wada`, or `alpha_per_GeV2` of `pion_pair_spectrum`.
        random: draws six numbers a decay.
    """
    light = ELECTRON_GEV if channel == "electrons" else PION_GEV
    log_mass2, cumulative = _table(channel, parameter)
    mass2 = np.exp(np.interp(random.random(number), cumulative, log_mass2))
    ratio = 4 * light**2 / mass2
    draw = random.random(number)
    cosine = _transverse(draw, ratio) if channel == "electrons" else 2 * np.sin(np.arcsin(2 * draw - 1) / 3)

    photon_direction = isotropic(number, random)
    photon_GeV = (ETA_GEV**2 - mass2) / (2 * ETA_GEV)
    mass = np.sqrt(mass2)
    pair = four_vectors(photon_GeV, -photon_direction, mass)
    direction = around(-photon_direction, cosine, random.uniform(-np.pi, np.pi, number))
    own_GeV = mass / 2 * np.sqrt(np.maximum(1 - ratio, 0.0))
    plus = boosted(four_vectors(own_GeV, direction, light), pair, mass)
    minus = boosted(four_vectors(own_GeV, -direction, light), pair, mass)
    return Decays(plus, minus, four_vectors(photon_GeV, photon_direction, 0.0))


def _transverse(draw: Floats, ratio: Floats) -> Floats:
    """Return cosines c of density 1 + A c2, A = (1 - ratio) / (1 + ratio), from uniform draws, by Cardano's formula."""
    root = np.sqrt(np.maximum((1 - ratio) / (1 + ratio), 1e-12))
    level = (2 * draw - 1) * (1 + root**2 / 3)
    return 2 / root * np.sinh(np.arcsinh(1.5 * level * root) / 3)


@lru_cache(maxsize=8)
def _table(channel: Channel, parameter: float) -> tuple[Floats, Floats]:
    """Return logarithms of the pair's squared mass, and the share of decays below each."""
    density: Callable[[Floats, float], Floats] = kroll_wada if channel == "electrons" else pion_pair_spectrum
    light = ELECTRON_GEV if channel == "electrons" else PION_GEV
    log_mass2 = np.linspace(np.log(4 * light**2), np.log(ETA_GEV**2), _NODES)
    mass2 = np.exp(log_mass2)
    per_logarithm = density(mass2, parameter) * mass2
    pieces = (per_logarithm[1:] + per_logarithm[:-1]) / 2
    cumulative = np.concatenate([[0.0], np.cumsum(pieces)])
    return log_mass2, cumulative / cumulative[-1]
