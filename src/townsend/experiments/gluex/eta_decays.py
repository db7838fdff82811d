"""Eta mesons made by the beam and decayed in flight, and what GlueX reconstructs of them.

What to use when
----------------
- `draw_decays`: four-vectors in the laboratory, one decay to electrons for six to pions.
- `reconstruct`: the six inputs of both tracks, the photon, and m(e+ e- gamma) as if both tracks were electrons.

Pions taken for electrons carry too little mass: eta -> pi+ pi- gamma piles up near 0.42 GeV, below the eta.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.gluex.eta_decay import Decays, decay
from townsend.experiments.gluex.kinematics import (
    ELECTRON_GEV,
    ETA_GEV,
    boosted,
    four_vectors,
    invariant_mass,
    momentum_theta_phi,
    unit_vectors,
)
from townsend.experiments.gluex.particles import Particles
from townsend.experiments.gluex.photons import measured_photons
from townsend.experiments.gluex.photoproduction import draw_etas
from townsend.experiments.gluex.response import respond
from townsend.experiments.gluex.settings import EtaSettings, GluexSettings
from townsend.experiments.gluex.streams import Streams

__all__ = ["TRACKS", "EtaDecays", "draw_decays", "reconstruct"]

Floats = NDArray[np.float64]
Columns = dict[str, NDArray[Any]]

TRACKS = ("plus", "minus")
"""Endings of the columns that belong to the positive and to the negative track."""

_LEAST_THETA, _LARGEST_THETA = np.deg2rad([1.0, 126.0])  # where a calorimeter may lie behind a track


@dataclass(frozen=True, eq=False)
class EtaDecays:
    """Decays in the laboratory.

    Arguments:
        signal: (n,) True for e+ e- gamma, False for pi+ pi- gamma.
        eta, plus, minus, photon: (n, 4) energy, x, y, z [GeV].
    """

    signal: NDArray[np.bool_]
    eta: Floats
    plus: Floats
    minus: Floats
    photon: Floats


def draw_decays(number: int, settings: EtaSettings, streams: Streams) -> EtaDecays:
    """Return decays of etas from gamma p -> eta p, the channels mixed by chance in their ratio."""
    share = 1 / (1 + settings.pions_per_electron_pair)
    signal = streams("channel").random(number) < share
    eta = draw_etas(number, settings, streams("production"))
    electrons = decay("electrons", int(signal.sum()), settings.form_factor_GeV, streams("electrons"))
    pions = decay("pions", int((~signal).sum()), settings.alpha_per_GeV2, streams("pions"))
    at_rest = np.empty((3, number, 4))
    at_rest[:, signal], at_rest[:, ~signal] = electrons, pions
    mass_GeV = np.full(number, ETA_GEV)
    return EtaDecays(signal, eta, *Decays(*(boosted(vectors, eta, mass_GeV) for vectors in at_rest)))


def _of_side(streams: Streams, side: str) -> Streams:
    """Return streams of one track's own."""
    return lambda step: streams(f"{side} {step}")


def reconstruct(decays: EtaDecays, settings: GluexSettings, streams: Streams) -> Columns:
    """Return name -> (n,) of what is measured of decays.

    The six inputs of `townsend.experiments.gluex.response` for either track, as `p_plus` ... `dE_FCAL_minus`;
    `E_photon` [GeV], `theta_photon`, `phi_photon` [rad]; `found_plus`, `found_minus`, `found_photon` and, for all
    three, `reconstructed`; `m_eegamma` [GeV], NaN where not all are found.
    """
    columns: Columns = {}
    total = np.zeros((len(decays.signal), 4))
    for side, vectors in zip(TRACKS, (decays.plus, decays.minus), strict=True):
        momentum_GeV, theta, phi = momentum_theta_phi(vectors)
        inputs = respond(Particles(decays.signal, momentum_GeV, theta, phi), settings, _of_side(streams, side))
        columns |= {f"{name}_{side}": values for name, values in inputs.items()}
        inside = (theta > _LEAST_THETA) & (theta < _LARGEST_THETA)
        columns[f"found_{side}"] = inside & (inputs["p"] > settings.eta.least_momentum_GeV)
        total += four_vectors(inputs["p"], unit_vectors(inputs["theta"], inputs["phi"]), ELECTRON_GEV)
    photon = measured_photons(*momentum_theta_phi(decays.photon), settings, streams)
    total += four_vectors(photon.energy_GeV, unit_vectors(photon.theta, photon.phi), 0.0)
    columns |= {"E_photon": photon.energy_GeV, "theta_photon": photon.theta, "phi_photon": photon.phi}
    columns["found_photon"] = photon.energy_GeV > 0
    whole = np.logical_and.reduce([columns[f"found_{name}"] for name in (*TRACKS, "photon")])
    columns["reconstructed"] = whole
    columns["m_eegamma"] = np.where(whole, invariant_mass(total), np.nan)
    return columns
