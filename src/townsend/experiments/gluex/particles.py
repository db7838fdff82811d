"""Electrons and pions as they leave the target: what every part of the detector responds to."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.kinematics import ELECTRON_GEV, PION_GEV

__all__ = ["Particles"]

Floats = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Particles:
    """Charged tracks from the centre of the target, truth.

    Arguments:
        electron: (n,) True for electrons and positrons, False for pions.
        momentum_GeV: (n,) at the vertex, > 0.
        theta, phi: (n,) polar angle and azimuth [rad].
    """

    electron: NDArray[np.bool_]
    momentum_GeV: Floats
    theta: Floats
    phi: Floats

    @property
    def mass_GeV(self) -> Floats:
        """Mass of each particle."""
        return np.where(self.electron, ELECTRON_GEV, PION_GEV)

    def with_momentum(self, momentum_GeV: Floats) -> Particles:
        """Return the same particles after a loss of momentum."""
        return replace(self, momentum_GeV=momentum_GeV)
