"""Photons of the eta in the two calorimeters: which are found, with what energy and direction."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.bcal import path_in_bcal
from townsend.experiments.gluex.calorimeter import electromagnetic_share, smeared
from townsend.experiments.gluex.fcal import reaches_fcal
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.gluex.streams import Streams
from townsend.experiments.gluex.tracking import turned

__all__ = ["Photons", "measured_photons"]

Floats = NDArray[np.float64]


class Photons(NamedTuple):
    """Measured energy [GeV], 0 for photons that are not found, and polar angle and azimuth [rad]; (n,) each."""

    energy_GeV: Floats
    theta: Floats
    phi: Floats


def measured_photons(
    energy_GeV: Floats, theta: Floats, phi: Floats, settings: GluexSettings, streams: Streams
) -> Photons:
    """Return what the calorimeters make of photons from the target.

    Arguments:
        energy_GeV, theta, phi: (n,) truth.
        settings: the detector; what leaks out of the end of the BCAL is lost.
        streams: of this block.

    Poor approximation: none converts into a pair before the calorimeters.
    """
    forward = reaches_fcal(theta, settings.fcal)
    depth_X0 = path_in_bcal(theta, settings.bcal) / settings.bcal.radiation_length_cm
    contained = energy_GeV * electromagnetic_share(energy_GeV, depth_X0, settings.bcal.critical_energy_GeV)
    in_fcal = smeared(energy_GeV, settings.fcal, settings.fcal.threshold_GeV, streams("photon fcal"))
    in_bcal = smeared(contained, settings.bcal, settings.photons.bcal_threshold_GeV, streams("photon bcal"))
    found_GeV = np.where(forward, in_fcal, in_bcal)
    error = settings.photons.direction_mrad * 1e-3 / np.sqrt(np.maximum(energy_GeV, 1e-3))
    return Photons(found_GeV, *turned(theta, phi, error, streams("photon direction")))
