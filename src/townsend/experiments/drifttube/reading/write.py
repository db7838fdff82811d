"""Our waveforms in the layouts of the public samples, for the public codes and for tests of the reader.

What to use when
----------------
- `write_littlepi`: tree `signal`, tags 0 primary, 1 secondary, 2 noise.
- `write_sciencedb`: tree `sim` with `ncls` and `mom`, tags 0 noise, 1 primary, 2 secondary.

Samples go up, in volts. Of each cluster the electron that arrives first is its primary, the others are secondaries; an
index is that of the sample nearest to the arrival. Noise entries are all bumps (samples with negative second
difference) that are no electron's sample, as in the public files.

Lists are written as arrays with a counter (`nwf_i`), which uproot and ROOT's RDataFrame read as they read
`vector<double>`; C++ that asks for a `vector<double>*` with `SetBranchAddress` does not, and docs/how-to/
read-public-samples.md says how ROOT itself turns one into the other.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.arrivals import Electrons, electrons
from townsend.experiments.drifttube.peaks.candidates import find_candidates
from townsend.experiments.drifttube.reading.layouts import INDEX, LAYOUTS, MOMENTUM, RATE, TAG, WAVE, Layout
from townsend.experiments.drifttube.reading.tags import MEANINGS, Meaning
from townsend.files import atomic_path
from townsend.sample.waveforms import Truth, Waveforms

__all__ = ["write_littlepi", "write_sciencedb"]

_STEP_BYTES = 8 << 20  # of samples in one basket


class _Listed(NamedTuple):
    """(n, ragged) index and tag of each entry, in order of the index; (n,) primaries."""

    index: ak.Array
    tag: ak.Array
    primaries: NDArray[np.int64]


def write_littlepi(waveforms: Waveforms, path: Path, *, tags: str = "primary-secondary-noise") -> None:
    """Write waveforms with truth as in the littlepi sample, whole or not at all.

    Arguments:
        waveforms: with truth; path: ROOT file.
        tags: what 0, 1 and 2 mean.

    Raises InputError without truth or waveforms.
    """
    _write(waveforms, path, LAYOUTS["littlepi"], MEANINGS[tags], {})


def write_sciencedb(
    waveforms: Waveforms, path: Path, *, momentum_GeV: float, tags: str = "noise-primary-secondary"
) -> None:
    """Write waveforms with truth as in the ScienceDB sample, whole or not at all.

    Arguments:
        waveforms: with truth; path: ROOT file; momentum_GeV: of the particle, > 0.
        tags: what 0, 1 and 2 mean.

    Raises InputError without truth or waveforms.
    """
    _write(waveforms, path, LAYOUTS["sciencedb"], MEANINGS[tags], {MOMENTUM: momentum_GeV})


def _write(waveforms: Waveforms, path: Path, layout: Layout, meaning: Meaning, constants: dict[str, float]) -> None:
    if waveforms.truth is None or len(waveforms) == 0:
        got = "no truth" if waveforms.truth is None else "no waveforms"
        msg = f"{path} must be given simulated waveforms with truth (got {got}); use `townsend simulate`"
        raise InputError(msg)
    kinds: dict[str, Any] = {WAVE: "var * float64", INDEX: "var * float64", TAG: f"var * {layout.tag_type}"}
    kinds |= dict.fromkeys((RATE, *constants), "float64")
    if layout.clusters is not None:
        kinds[layout.clusters] = "int32"
    step = max(1, _STEP_BYTES // (8 * waveforms.samples.shape[1]))
    with atomic_path(path) as temporary, uproot.recreate(temporary) as file:
        tree = file.mktree(layout.tree, kinds, title=layout.title)
        for part in waveforms.chunks(step):
            tree.extend(_columns(part, layout, meaning, constants))


def _columns(part: Waveforms, layout: Layout, meaning: Meaning, constants: dict[str, float]) -> dict[str, Any]:
    assert part.truth is not None  # noqa: S101 - checked by `_write`
    listed = _listed(part, part.truth, meaning)
    volts = part.samples.astype(np.float64) * (part.polarity * part.volts_per_count)
    columns: dict[str, Any] = {
        WAVE: ak.from_regular(ak.Array(volts)),
        INDEX: ak.values_astype(listed.index, np.float64),
        TAG: ak.values_astype(listed.tag, layout.tag_type),
        RATE: np.full(len(part), part.sampling_rate_ghz),
    }
    columns |= {name: np.full(len(part), value) for name, value in constants.items()}
    if layout.clusters is not None:
        columns[layout.clusters] = listed.primaries.astype(np.int32)
    return columns


def _listed(part: Waveforms, truth: Truth, meaning: Meaning) -> _Listed:
    count, length = part.samples.shape
    found = electrons(truth, length / part.sampling_rate_ghz)
    sample = np.minimum(np.rint(found.time_ns * part.sampling_rate_ghz).astype(np.int64), length - 1)
    tag = np.where(_first_of_cluster(found), meaning.primary, meaning.secondary)
    row, bump = find_candidates(part.millivolts(), 1, 1)
    noise = ~np.isin(row * length + bump, found.row * length + sample)
    rows = np.concatenate([found.row, row[noise]])
    index = np.concatenate([sample, bump[noise]])
    tags = np.concatenate([tag, np.full(np.count_nonzero(noise), meaning.noise)])
    order = np.lexsort((index, rows))
    number = np.bincount(rows, minlength=count)
    primaries = np.bincount(found.row[tag == meaning.primary], minlength=count)
    return _Listed(ak.unflatten(index[order], number), ak.unflatten(tags[order], number), primaries)


def _first_of_cluster(found: Electrons) -> NDArray[np.bool_]:
    """Return which electrons are the first of their cluster to arrive."""
    order = np.lexsort((found.time_ns, found.cluster, found.row))
    row, cluster = found.row[order], found.cluster[order]
    first = np.ones(len(row), bool)
    first[1:] = (row[1:] != row[:-1]) | (cluster[1:] != cluster[:-1])
    marked = np.zeros(len(row), bool)
    marked[order] = first
    return marked
