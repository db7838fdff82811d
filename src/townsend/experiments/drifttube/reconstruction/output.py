"""The folder that `townsend reconstruct` writes.

What to use when
----------------
- `read_reconstructed`: numbers of clusters and identifiers of all waveforms, as arrays.
- `Reconstructed.peaks`: times and scores of the peaks of some of them, read when asked for.
- `write_shard`, `held`, `shard_columns`: one file of the folder; for the command itself.

Layout: `reconstruction.json` (what was reconstructed with what), `clusters-00000.root` ... (TTree `clusters`, one entry
a waveform, and a TObjString `townsend` with counts of the block as JSON), `summary.json` (last, when all is done).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from townsend.errors import InputError, TownsendError
from townsend.files import atomic_path, read_json

__all__ = [
    "DESCRIPTION",
    "LISTS",
    "MADE_BY",
    "NUMBERS",
    "SUMMARY",
    "TRUTH",
    "Reconstructed",
    "held",
    "read_reconstructed",
    "shard_columns",
    "shard_counts",
    "shard_path",
    "write_shard",
]

MADE_BY = "townsend reconstruct"
DESCRIPTION, SUMMARY = "reconstruction.json", "summary.json"
NUMBERS: Mapping[str, str] = {
    **dict.fromkeys(("file", "row", "event", "channel", "track", "run", "n_peaks"), "int32"),
    **dict.fromkeys(("n_clusters", "n_clusters_error", "n_clusters_uncalibrated", "first_arrival_ns"), "float32"),
    "deriv_clusters": "int32",
}
TRUTH: Mapping[str, str] = {"true_clusters": "int32", "impact_cm": "float32", "path_cm": "float32"}
LISTS = ("peak_time_ns", "peak_score")

_TREE = "clusters"
_COUNTS = "townsend"
_SHARDS = "clusters-*.root"


@dataclass(frozen=True)
class Reconstructed:
    """Numbers of n waveforms, in order of input file and row.

    Arguments:
        folder: they come from.
        file: (n,) index in `reconstruction.json`; row: in that file.
        event, channel, track, run: (n,) identifiers.
        n_peaks: (n,) found peaks.
        n_clusters, n_clusters_error: (n,) calibrated number of primary clusters and its standard deviation.
        n_clusters_uncalibrated: (n,) what the network said.
        first_arrival_ns: (n,) since the passage of the track, as the calibration took it; NaN where no peak was found.
        deriv_clusters: (n,) threshold on the derivative with association in time: the plain reference.
        true_clusters, impact_cm, path_cm: (n,) simulated truth, None where the input had none.
        summary: as in `summary.json`.
    """

    folder: Path
    file: NDArray[np.int32]
    row: NDArray[np.int32]
    event: NDArray[np.int32]
    channel: NDArray[np.int32]
    track: NDArray[np.int32]
    run: NDArray[np.int32]
    n_peaks: NDArray[np.int32]
    n_clusters: NDArray[np.float32]
    n_clusters_error: NDArray[np.float32]
    n_clusters_uncalibrated: NDArray[np.float32]
    first_arrival_ns: NDArray[np.float32]
    deriv_clusters: NDArray[np.int32]
    true_clusters: NDArray[np.int32] | None
    impact_cm: NDArray[np.float32] | None
    path_cm: NDArray[np.float32] | None
    summary: Mapping[str, Any]

    def __len__(self) -> int:
        """Return the number of waveforms."""
        return len(self.row)

    def peaks(self, start: int = 0, stop: int | None = None) -> tuple[ak.Array, ak.Array]:
        """Return the (ragged) arrivals [ns] and scores of waveforms `start` to `stop` (excluded), all by default."""
        stop = len(self) if stop is None else min(stop, len(self))
        parts: list[list[ak.Array]] = [[], []]
        first = 0
        for path in _shards(self.folder):
            number = held(path)
            rows = slice(max(start - first, 0), min(stop - first, number))
            first += number
            if rows.start >= rows.stop:
                continue
            with _opened(path) as file:
                for part, name in zip(parts, LISTS, strict=True):
                    part.append(file[_TREE][name].array(entry_start=rows.start, entry_stop=rows.stop, library="ak"))
        if not parts[0]:
            empty = ak.unflatten(np.empty(0, np.float32), np.empty(0, np.int64))
            return empty, empty
        return ak.concatenate(parts[0]), ak.concatenate(parts[1])


def read_reconstructed(folder: Path) -> Reconstructed:
    """Return what `townsend reconstruct` wrote, about 60 bytes a waveform; peaks are left on disk.

    Raises InputError when the folder is none, not finished, or damaged.
    """
    description = folder / DESCRIPTION
    if not description.is_file() or read_json(description).get("made_by") != MADE_BY:
        msg = f"{folder} must be a folder made by `{MADE_BY}`; name such a folder"
        raise InputError(msg)
    if not (folder / SUMMARY).is_file():
        msg = f"{folder} must be finished (it has no {SUMMARY}); run the same `{MADE_BY}` again, it goes on"
        raise InputError(msg)
    parts = [shard_columns(path) for path in _shards(folder)]
    columns: dict[str, Any] = {name: np.concatenate([part[name] for part in parts]) for name in NUMBERS}
    for name in TRUTH:
        columns[name] = np.concatenate([part[name] for part in parts]) if name in parts[0] else None
    summary = read_json(folder / SUMMARY)
    if len(columns["row"]) != summary["waveforms"]:
        got = f"got {len(columns['row'])} waveforms of {summary['waveforms']}"
        msg = f"{folder} must hold all of its {_SHARDS} ({got}); run the same `{MADE_BY}` again"
        raise InputError(msg)
    return Reconstructed(folder, **columns, summary=summary)


# ---- one file


def shard_path(folder: Path, number: int) -> Path:
    """Return where block `number`, counted over all files, is written."""
    return folder / f"clusters-{number:05d}.root"


def write_shard(path: Path, columns: Mapping[str, Any], counts: Mapping[str, Any]) -> None:
    """Write one block, whole or not at all.

    Arguments:
        columns: those of `NUMBERS` and `LISTS`, and all or none of `TRUTH`.
        counts: JSON-like, about the block as a whole.
    """
    types = {**NUMBERS, **(TRUTH if "true_clusters" in columns else {})}
    lists = {name: ak.values_astype(columns[name], np.float32) for name in LISTS}
    numbers = {name: np.asarray(columns[name]).astype(kind) for name, kind in types.items()}
    kinds = {**types, **dict.fromkeys(LISTS, "var * float32")}
    with atomic_path(path) as temporary, uproot.recreate(temporary, compression=uproot.ZSTD(1)) as file:
        file.mktree(_TREE, kinds, title="clusters counted in waveforms").extend({**numbers, **lists})
        file[_COUNTS] = json.dumps(dict(counts), allow_nan=False)


def held(path: Path) -> int:
    """Return how many waveforms a block's file holds, 0 where it is missing or damaged."""
    try:
        with _opened(path) as file:
            return int(file[_TREE].num_entries)
    except InputError:
        return 0


def shard_columns(path: Path) -> dict[str, NDArray[Any]]:
    """Return the numbers of a block, without its lists of peaks; raises InputError when it is damaged."""
    with _opened(path) as file:
        tree = file[_TREE]
        wanted = {**NUMBERS, **(TRUTH if "true_clusters" in tree else {})}
        return {name: np.asarray(tree[name].array(library="np")).astype(kind) for name, kind in wanted.items()}


def shard_counts(path: Path) -> dict[str, Any]:
    """Return what `write_shard` was told about the block as a whole; raises InputError when it is damaged."""
    with _opened(path) as file:
        counts: dict[str, Any] = json.loads(str(file[_COUNTS]))
        return counts


def _shards(folder: Path) -> list[Path]:
    return sorted(folder.glob(_SHARDS), key=lambda path: int(path.stem.rpartition("-")[2]))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """Open a block; whatever uproot raises of damaged bytes is said in one sentence."""
    try:
        with uproot.open(path, handler=uproot.MemmapSource) as file:
            if path.stat().st_size < file.file.fEND:
                msg = f"{path} must be whole (it ends early); delete it and run the same `{MADE_BY}` again"
                raise InputError(msg)
            yield file
    except TownsendError:
        raise
    except Exception as error:  # damaged bytes surface as almost any exception
        msg = f"{path} must be as townsend wrote it ({type(error).__name__}); delete it and run `{MADE_BY}` again"
        raise InputError(msg) from error
