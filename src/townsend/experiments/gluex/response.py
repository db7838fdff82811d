"""The six inputs of the slides, from particles: what a network, or a cut, may look at.

`INPUTS` are named as in the table that the slides print: measured momentum and angles, energy loss in the central drift
chamber, energy in the first layer of the barrel calorimeter, energy in the forward calorimeter. The whole energy in the
barrel is not among them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.bcal import preshower_energy
from townsend.experiments.gluex.dedx import measured_loss
from townsend.experiments.gluex.fcal import fcal_energy
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.gluex.streams import Streams
from townsend.experiments.gluex.tracking import after_radiation, measured

__all__ = ["INPUTS", "UNITS", "respond"]

Floats = NDArray[np.float64]

INPUTS = ("p", "theta", "phi", "ddEdx_CDC", "dE_BCAL_preshower", "dE_FCAL")
UNITS: Mapping[str, str] = dict(zip(INPUTS, ("GeV", "rad", "rad", "GeV/cm", "GeV", "GeV"), strict=True))


def respond(particles: Particles, settings: GluexSettings, streams: Streams) -> dict[str, Floats]:
    """Return the six inputs of each track, in the units of `UNITS`.

    Every track is reconstructed; one without a matched shower has no energy in either calorimeter.
    """
    seen = after_radiation(particles, settings.tracks, streams("radiation"))
    momentum_GeV, theta, phi = measured(seen, settings.tracks, streams("tracking"))
    loss = measured_loss(seen, settings.dedx, streams("dedx"))
    matched = streams("matching").random(len(theta)) < settings.matching
    preshower, forward = (
        np.where(matched, energy(seen, settings, streams), 0.0) for energy in (preshower_energy, fcal_energy)
    )
    return dict(zip(INPUTS, (momentum_GeV, theta, phi, loss, preshower, forward), strict=True))
