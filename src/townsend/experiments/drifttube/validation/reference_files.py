"""The reference of Garfield++ and Heed: shipped files, or files of the same names and columns in a folder of the user.

What to use when
----------------
- `Reference`: everything the comparison reads; `Reference()` is the shipped one.

`reference/PROVENANCE.md` says what each file is. Tables that the simulation reads too are taken from `tables/` where
the folder does not have them.
"""

from __future__ import annotations

import csv
import zipfile
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.simulation.signal import ELEMENTARY_CHARGE_FC
from townsend.experiments.drifttube.validation.electrons import TrackElectrons

__all__ = ["WAVEFORM_FILES", "XT_FILES", "Reference", "SinglePulse", "SizeTable", "Waveforms"]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_SHIPPED = Path(str(files("townsend"))) / "experiments" / "drifttube"
WAVEFORM_FILES = ("waveforms_mu10GeV_45deg_250ev.npz", "waveforms_mu10GeV_45deg_2200ev.npz")
XT_FILES = {"he90_iso10": "xt_tube_r4mm_1460V.csv", "he80_iso20": "xt_tube_r4mm_1460V_he80_iso20.csv"}
_TRACKS, _PULSE = "truth_mu10GeV_45deg_10000trk.npz", "single_electron_pulse_gain2e5.csv"


class SizeTable(NamedTuple):
    """(sizes,) electrons of a cluster and how many such clusters there were."""

    electrons: Ints
    clusters: Floats


class SinglePulse(NamedTuple):
    """(bins,) ends of the bins [ns], charge in them by electrons and ions [fC], and the avalanche [fC]."""

    end_ns: Floats
    electrons_fC: Floats
    ions_fC: Floats
    avalanche_fC: float


class Waveforms(NamedTuple):
    """Induced currents, positive [uA = fC/ns], (events, bins) of 1 ns, and the electrons that made them."""

    current_uA: Floats
    electrons: TrackElectrons


@dataclass(frozen=True)
class Reference:
    """A folder of reference files.

    Arguments:
        folder: the user's, or the shipped one.
    """

    folder: Path = _SHIPPED / "reference"

    def check(self) -> None:
        """Raise InputError, naming the first, when the folder lacks files that are not tables of the simulation."""
        if not self.folder.is_dir():
            msg = (
                f"{self.folder} must be a folder of reference files (it is none); leave --reference out for the shipped"
            )
            raise InputError(msg)
        for name in (*XT_FILES.values(), _TRACKS, _PULSE, *WAVEFORM_FILES):
            self._path(name)

    def table(self, name: str) -> dict[str, NDArray[np.str_]]:
        """Return the columns of a CSV file as they are written."""
        path = self._path(name)
        try:
            with path.open(encoding="utf-8", newline="") as stream:
                rows = list(csv.DictReader(stream, strict=True))
            return {column: np.array([row[column] for row in rows], np.str_) for column in rows[0]}
        except (OSError, UnicodeDecodeError, csv.Error, IndexError) as error:
            msg = f"{path} must be a CSV table with a header and rows ({type(error).__name__}); take the shipped file"
            raise InputError(msg) from None

    def numbers(self, name: str, *columns: str) -> tuple[Floats, ...]:
        """Return columns of a CSV file as finite numbers."""
        table = self.table(name)
        try:
            found = tuple(table[column].astype(np.float64) for column in columns)
        except (KeyError, ValueError) as error:
            msg = (
                f"{self._path(name)} must have numbers in the columns {', '.join(columns)} ({error}); see PROVENANCE.md"
            )
            raise InputError(msg) from None
        if not all(np.isfinite(values).all() for values in found):
            msg = f"{self._path(name)} must hold finite numbers only (it has others); take the shipped file"
            raise InputError(msg)
        return found

    def sizes(self, mixture: str) -> SizeTable:
        """Return the cluster sizes of a 10 GeV/c muon in a mixture, for example `he90_iso10` or `he90_iso10_W30`."""
        size, count = self.numbers(f"clustersize_mu10GeV_{mixture}.csv", "n_electrons", "count")
        return SizeTable(size.astype(np.int64), count)

    def single_pulse(self) -> SinglePulse:
        """Return the current of one avalanche of 200,000 electrons."""
        middle_ns, electrons, ions = self.numbers(_PULSE, "t_ns", "electron_fC_per_ns", "ion_fC_per_ns")
        ends_ns = np.empty_like(middle_ns)
        start = 0.0
        for i, middle in enumerate(middle_ns):
            start = ends_ns[i] = 2 * middle - start
        width_ns = np.diff(ends_ns, prepend=0.0)
        return SinglePulse(ends_ns, -electrons * width_ns, -ions * width_ns, 2e5 * ELEMENTARY_CHARGE_FC)

    def tracks(self) -> TrackElectrons:
        """Return the electrons of the 10,000 tracks without signals."""
        arrays = self._archive(_TRACKS, *_ELECTRONS)
        return _electrons(arrays, np.zeros(0))

    def waveforms(self, name: str) -> Waveforms:
        """Return the events of one of `WAVEFORM_FILES`."""
        arrays = self._archive(name, *_ELECTRONS, "el_avalanche", "total_fC_per_ns", "bin_ns")
        if arrays["bin_ns"] != 1.0:
            msg = f"{self._path(name)} must have bins of 1 ns (got {float(arrays['bin_ns']):g}); make it anew"
            raise InputError(msg)
        charge_fC = arrays["el_avalanche"].astype(np.float64) * ELEMENTARY_CHARGE_FC
        return Waveforms(-arrays["total_fC_per_ns"].astype(np.float64), _electrons(arrays, charge_fC))

    def _path(self, name: str) -> Path:
        for place in (self.folder / name, _SHIPPED / "simulation" / "tables" / name):
            if place.is_file():
                return place
        msg = f"{self.folder} must hold {name} (it does not); leave --reference out to take the shipped files"
        raise InputError(msg)

    def _archive(self, name: str, *keys: str) -> dict[str, NDArray[np.generic]]:
        path = self._path(name)
        try:
            with path.open("rb") as stream, np.load(stream, allow_pickle=False) as archive:
                arrays = {key: archive[key] for key in keys}
        except (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile) as error:
            msg = f"{path} must be a whole archive with {', '.join(keys)} ({error}); see PROVENANCE.md"
            raise InputError(msg) from None
        if not all(np.isfinite(values).all() for values in arrays.values()):
            msg = f"{path} must hold finite numbers only (it has others); take the shipped file"
            raise InputError(msg)
        return arrays


_ELECTRONS = ("impact_cm", "n_clusters", "el_event", "el_cluster", "el_arrival_ns")


def _electrons(arrays: dict[str, NDArray[np.generic]], charge_fC: Floats) -> TrackElectrons:
    track = arrays["el_event"].astype(np.int64)
    clusters = arrays["n_clusters"].astype(np.int64)
    first = np.cumsum(clusters) - clusters
    return TrackElectrons(
        arrays["impact_cm"].astype(np.float64),
        track,
        first[track] + arrays["el_cluster"].astype(np.int64),
        arrays["el_arrival_ns"].astype(np.float64),
        charge_fC,
    )
