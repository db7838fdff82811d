"""Rows of the two samples as named columns, the same rows however they are cut.

What to use when
----------------
- `gun_tracks`: single tracks to train on, label 1 for electrons.
- `eta_decays`: decays with both tracks and the photon, label 1 for e+ e- gamma; `track_of` gives one of their tracks
  the names of single tracks, so that a network or a cut made for those can judge it.

Numbers are stored in single precision, flags and labels as whole numbers, in memory as on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.gluex.eta_decays import TRACKS, draw_decays, reconstruct
from townsend.experiments.gluex.kinematics import invariant_mass, momentum_theta_phi
from townsend.experiments.gluex.particle_gun import shoot
from townsend.experiments.gluex.response import INPUTS, respond
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.gluex.streams import BLOCK, streams

__all__ = ["Columns", "eta_decays", "gun_tracks", "track_of"]

Columns = dict[str, NDArray[Any]]


def gun_tracks(settings: GluexSettings, start: int, stop: int) -> Columns:
    """Return tracks `start` to `stop` (excluded) of the sample that `settings` names.

    `track` (its number), `label`, the six inputs, and the truth `p_true` [GeV], `theta_true`, `phi_true` [rad].
    Raises InputError when the range is empty.
    """

    def block(number: int) -> Mapping[str, NDArray[Any]]:
        own = streams(settings.seed, "gun", number)
        tracks = shoot(BLOCK, settings, own)
        truth = {"p_true": tracks.momentum_GeV, "theta_true": tracks.theta, "phi_true": tracks.phi}
        return {"label": tracks.electron, **respond(tracks, settings, own), **truth}

    return _rows("track", block, start, stop)


def eta_decays(settings: GluexSettings, start: int, stop: int) -> Columns:
    """Return decays `start` to `stop` (excluded) of the sample that `settings` names.

    `decay` (its number), `label`, the columns of `townsend.experiments.gluex.eta_decays.reconstruct`, and the truth
    `p_true_*`, `theta_true_*`, `phi_true_*` of both tracks, `E_true_photon` and `m_pair_true`, the pair's mass [GeV].
    Raises InputError when the range is empty.
    """

    def block(number: int) -> Mapping[str, NDArray[Any]]:
        own = streams(settings.seed, "eta", number)
        decays = draw_decays(BLOCK, settings.eta, own)
        truth = {"E_true_photon": decays.photon[:, 0], "m_pair_true": invariant_mass(decays.plus + decays.minus)}
        for side, vectors in zip(TRACKS, (decays.plus, decays.minus), strict=True):
            names = (f"p_true_{side}", f"theta_true_{side}", f"phi_true_{side}")
            truth |= zip(names, momentum_theta_phi(vectors), strict=True)
        return {"label": decays.signal, **reconstruct(decays, settings, own), **truth}

    return _rows("decay", block, start, stop)


def track_of(decays: Columns, side: str) -> Columns:
    """Return the six inputs of the track `side` ("plus" or "minus") of decays, under their own names.

    With `decay`, `label` (1: an electron) and `reconstructed` (1: so is the whole decay).
    """
    whole = {name: decays[name] for name in ("decay", "label", "reconstructed")}
    return whole | {name: decays[f"{name}_{side}"] for name in INPUTS}


def _rows(number_of: str, block: Callable[[int], Mapping[str, NDArray[Any]]], start: int, stop: int) -> Columns:
    if not 0 <= start < stop:
        msg = f"start must lie in 0 <= start < stop (got {start} and {stop}); ask for at least one row"
        raise InputError(msg)
    first = start // BLOCK
    blocks = [block(number) for number in range(first, (stop - 1) // BLOCK + 1)]
    rows = slice(start - first * BLOCK, stop - first * BLOCK)
    columns: Columns = {number_of: np.arange(start, stop, dtype=np.int32)}
    for name, values in blocks[0].items():
        whole = np.concatenate([found[name] for found in blocks])[rows]
        columns[name] = whole.astype(np.int32 if values.dtype == np.bool_ else np.float32)
    return columns
