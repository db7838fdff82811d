"""The first layer of the barrel calorimeter (BCAL), its "preshower": who reaches it, and what is left in it.

What to use when
----------------
- `path_in_bcal`: centimetres that a straight line has inside the fibres before it leaves at an end.
- `preshower_energy`: measured energies of tracks in the first layer.

An electron's shower has the gamma-distributed profile of E. Longo and I. Sestili about a start that fluctuates
exponentially, with the profile's own start as its mean. Tracks that enter near the downstream end leave through it
before they have showered: that, and the shadow on the forward calorimeter, is the gap near 11 degrees. A pion leaves a
MIP's energy up to where it interacts; from there the rest of the layer sees the beginning of its shower, which is an
exponential in interaction lengths, and after a charge exchange that of an electron.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.calorimeter import electromagnetic_share, smeared, visible_share
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.settings import BcalSettings, GluexSettings
from townsend.experiments.gluex.streams import Streams

__all__ = ["path_in_bcal", "preshower_energy"]

Floats = NDArray[np.float64]


def path_in_bcal(theta: Floats, settings: BcalSettings) -> Floats:
    """Return the path [cm] at polar angles [rad] from the inner face to an end of the fibres, 0 for those that miss it.

    It takes no notice of the outer radius, which is at least 15 radiation lengths away.
    """
    entry_cm = settings.inner_radius_cm / np.tan(np.clip(theta, 1e-6, np.pi - 1e-6))
    cosine = np.cos(theta)
    beyond_cm = np.where(cosine > 0, settings.downstream_cm - entry_cm, entry_cm + settings.upstream_cm)
    return np.maximum(beyond_cm, 0.0) / np.maximum(np.abs(cosine), 1e-6)


def preshower_energy(particles: Particles, settings: GluexSettings, streams: Streams) -> Floats:
    """Return measured energies [GeV] in the first layer, 0 for tracks that miss it."""
    path_cm = path_in_bcal(particles.theta, settings.bcal)
    layer_cm = np.minimum(settings.preshower_cm / np.maximum(np.sin(particles.theta), 1e-6), path_cm)
    electrons = _electrons(particles.momentum_GeV, layer_cm, settings.bcal, streams("bcal electrons"))
    pions = _pions(particles.momentum_GeV, layer_cm, settings, streams("bcal pions"))
    energy_GeV = np.where(particles.electron, electrons, pions)
    return smeared(energy_GeV, settings.bcal, 0.0, streams("bcal resolution"))


def _electrons(momentum_GeV: Floats, layer_cm: Floats, settings: BcalSettings, random: np.random.Generator) -> Floats:
    late_X0 = (random.standard_exponential(len(layer_cm)) - 1.0) * settings.start_X0
    depth_X0 = layer_cm / settings.radiation_length_cm - late_X0
    share = electromagnetic_share(momentum_GeV, depth_X0, settings.critical_energy_GeV)
    return np.where(layer_cm > 0, momentum_GeV * share, 0.0)


def _pions(momentum_GeV: Floats, layer_cm: Floats, settings: GluexSettings, random: np.random.Generator) -> Floats:
    bcal = settings.bcal
    number = len(layer_cm)
    interaction_cm = random.standard_exponential(number) * bcal.interaction_cm
    share, exchange = visible_share(number, settings.hadrons, random)
    visible_GeV = share * momentum_GeV
    rest_cm = np.maximum(layer_cm - interaction_cm, 0.0)  # 0 where nothing happens in the layer
    as_electron = electromagnetic_share(visible_GeV, rest_cm / bcal.radiation_length_cm, bcal.critical_energy_GeV)
    begun = np.where(exchange, as_electron, 1 - np.exp(-rest_cm / bcal.interaction_cm))
    return bcal.mip_GeV_per_cm * np.minimum(interaction_cm, layer_cm) + visible_GeV * begun
