"""The shipped tables of Heed and Magboltz; `tables/PROVENANCE.md` says where each comes from."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["cluster_size_table", "density_at_10_GeV", "gas_table"]


@cache
def _columns(name: str) -> Mapping[str, NDArray[np.str_]]:
    with (files(__package__) / "tables" / name).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    return {column: np.array([row[column] for row in rows]) for column in rows[0]}


def _numbers(name: str, *columns: str) -> tuple[NDArray[np.float64], ...]:
    table = _columns(name)
    return tuple(table[column].astype(np.float64) for column in columns)


def gas_table(gas: str) -> tuple[NDArray[np.float64], ...]:
    """Return Magboltz' field [V/cm], velocity [cm/ns], sigma_L, sigma_T [sqrt(cm)], Townsend, attachment [1/cm]."""
    field, velocity, sigma_l, sigma_t, townsend, attachment = _numbers(
        f"gas_{gas}.csv",
        "E_V_per_cm",
        "v_cm_per_us",
        "sigmaL_um_per_sqrtcm",
        "sigmaT_um_per_sqrtcm",
        "alpha_per_cm",
        "eta_per_cm",
    )
    return field, velocity * 1e-3, sigma_l * 1e-4, sigma_t * 1e-4, townsend, attachment


def cluster_size_table(isobutane_percent: int, W_eV: int | None = None) -> NDArray[np.float64]:
    """Return the probability of each cluster size from 0 on, Heed's muons of 10 GeV/c.

    Arguments:
        isobutane_percent: 10, 15 or 20.
        W_eV: 30 (90/10 only), or None for the W of the mixture: 39.51, 38.62, 37.72 eV.
    """
    energy = "" if W_eV is None else f"_W{W_eV}"
    name = f"clustersize_mu10GeV_he{100 - isobutane_percent}_iso{isobutane_percent}{energy}.csv"
    size, count = _numbers(name, "n_electrons", "count")
    return np.asarray(np.bincount(size.astype(np.int64), count) / count.sum())


def density_at_10_GeV() -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return isobutane [%], Heed's clusters per cm of a muon of 10 GeV/c, and W [eV], for mixtures of both gases."""
    iso, density, energy, momentum = _numbers("heed_runs.csv", "iso", "GetClusterDensity_per_cm", "W_eV", "p_GeV")
    contained = _columns("heed_runs.csv")["seed"].astype(np.int64) <= 103  # one run a mixture, Garfield++'s own W
    chosen = contained & (momentum == 10.0)
    return iso[chosen], density[chosen], energy[chosen]
