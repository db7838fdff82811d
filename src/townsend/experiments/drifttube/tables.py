"""The shipped tables of Heed, Magboltz and the measured noise; `tables/PROVENANCE.md` says where each comes from."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

__all__ = ["cluster_size_table", "density_table", "gas_table", "mixture_density", "noise_table"]


@cache
def _columns(name: str) -> Mapping[str, NDArray[np.str_]]:
    with (files(__package__) / "tables" / name).open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(line for line in stream if not line.startswith("#")))
    return {column: np.array([row[column] for row in rows]) for column in rows[0]}


def _numbers(name: str, *columns: str) -> tuple[NDArray[np.float64], ...]:
    table = _columns(name)
    return tuple(table[column].astype(np.float64) for column in columns)


def gas_table(gas: str) -> tuple[NDArray[np.float64], ...]:
    """Return Magboltz' field [V/cm], drift velocity [cm/ns], sigma_L and sigma_T [sqrt(cm)]."""
    field, velocity, sigma_l, sigma_t = _numbers(
        f"gas_{gas}.csv", "E_V_per_cm", "v_cm_per_us", "sigmaL_um_per_sqrtcm", "sigmaT_um_per_sqrtcm"
    )
    return field, velocity * 1e-3, sigma_l * 1e-4, sigma_t * 1e-4


def cluster_size_table(gas: str) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return Heed's cluster sizes (electrons) and their probabilities, muons of 10 GeV/c."""
    size, probability = _numbers(f"clustersize_mu10GeV_{gas}.csv", "n_electrons", "probability")
    return size.astype(np.int64), probability / probability.sum()


def density_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return beta*gamma and clusters per cm of Heed's muons in 90/10."""
    scan = "heed_scan_he90_iso10.csv"
    muon = _columns(scan)["particle"] == "muon"
    beta_gamma, density = _numbers(scan, "beta_gamma", "GetClusterDensity_per_cm")
    return beta_gamma[muon], density[muon]


def mixture_density(gas: str) -> float:
    """Return Heed's clusters per cm of a 10 GeV/c muon in a mixture."""
    helium = int(gas[2:4])
    table = _columns("heed_runs.csv")
    chosen = (table["particle"] == "muon") & (table["p_GeV"] == "10") & (table["he"].astype(float) == helium)
    return float(table["GetClusterDensity_per_cm"][chosen][0])


def noise_table() -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return frequency [GHz] and measured power density [mV^2/GHz]."""
    frequency, density = _numbers("noise_testbeam2023.csv", "frequency_MHz", "density_uV2_per_MHz")
    return frequency * 1e-3, density * 1e-3
