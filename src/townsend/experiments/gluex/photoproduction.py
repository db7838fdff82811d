"""Production of eta mesons by photons on protons at rest: gamma p -> eta p.

dsigma/dt ~ -t' exp(b t') with t' = t - t_min: exchange of rho and omega flips the proton's helicity, so that the cross
section vanishes forwards (GlueX, Phys. Rev. C 100 (2019) 052201: natural-parity exchange dominates at 8.2 to 8.8 GeV).
The slope b is a choice, the beam's spectrum between its ends is taken as flat.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import gammainc, gammaincinv

from townsend.experiments.gluex.kinematics import ETA_GEV, PROTON_GEV, unit_vectors
from townsend.experiments.gluex.settings import EtaSettings

__all__ = ["draw_etas"]

Floats = NDArray[np.float64]


def draw_etas(number: int, settings: EtaSettings, random: np.random.Generator) -> Floats:
    """Return (number, 4) vectors of eta mesons in the laboratory [GeV]."""
    photon_GeV = random.uniform(settings.photon_low_GeV, settings.photon_high_GeV, number)
    s = PROTON_GEV**2 + 2 * PROTON_GEV * photon_GeV
    root_s = np.sqrt(s)
    incoming = (s - PROTON_GEV**2) / (2 * root_s)
    energy = (s + ETA_GEV**2 - PROTON_GEV**2) / (2 * root_s)
    outgoing = np.sqrt(energy**2 - ETA_GEV**2)
    # -t' follows a gamma distribution of shape 2, cut where the eta goes backwards.
    slope = settings.slope_per_GeV2
    largest = 4 * incoming * outgoing
    transfer = gammaincinv(2, random.random(number) * gammainc(2, slope * largest)) / slope
    cosine = np.clip(1 - transfer / (2 * incoming * outgoing), -1, 1)
    direction = unit_vectors(np.arccos(cosine), random.uniform(-np.pi, np.pi, number))
    along = outgoing * cosine
    gamma, beta_gamma = (photon_GeV + PROTON_GEV) / root_s, photon_GeV / root_s
    across = outgoing[:, None] * direction[:, :2]
    return np.column_stack([gamma * energy + beta_gamma * along, across, gamma * along + beta_gamma * energy])
