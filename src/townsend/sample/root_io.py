"""Waveforms as ROOT: the exchange format between the steps and with other programs.

What to use when
----------------
- `write_root`: one file, whole or absent.
- `read_root`: one file, or the rows `start` to `stop` of it, in memory.
- `count_waveforms`: how many a file holds.
- `iterate_root`: any number of files, a few waveforms at a time.
- `open_root`: a ROOT file of any other layout; damage surfaces as one sentence.

Layout: a TTree `waveforms` with a branch a column (`samples` is `int16[s]`; lists of electrons and clusters are one
level deep) and a TObjString `townsend` with what holds for all of them, as JSON. ROOT, RDataFrame and uproot read it.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import DTypeLike

from townsend.errors import InputError, TownsendError, did_you_mean
from townsend.files import atomic_path
from townsend.sample.provenance import Provenance
from townsend.sample.waveforms import Truth, Waveforms

__all__ = [
    "MAXIMUM_LENGTH",
    "MAXIMUM_SAMPLES",
    "TREE",
    "count_waveforms",
    "iterate_root",
    "open_root",
    "read_root",
    "write_root",
]

TREE = "waveforms"
METADATA = "townsend"
MAXIMUM_LENGTH = 1 << 20  # samples in a waveform
MAXIMUM_SAMPLES = 1 << 31  # samples in one reading: 4 GiB

_IDENTIFIERS = ("event", "channel", "track", "run")
_PER_TRACK = ("impact_cm", "path_cm")
_LISTS: Mapping[str, Mapping[str, str]] = {
    "electron": {"time_ns": "float32", "cluster": "int32", "charge_fC": "float32"},
    "cluster": {"radius_cm": "float32", "size": "int32"},
}
_LIST_BRANCHES = {f"{owner}_{name}": kind for owner, names in _LISTS.items() for name, kind in names.items()}
_TRUTH = (*_PER_TRACK, *_LIST_BRANCHES)
_BASKET_BYTES = 8 << 20  # what a reader must hold to see one waveform


def write_root(waveforms: Waveforms, path: Path) -> None:
    """Write `waveforms` to `path`, whole or not at all.

    Raises InputError when columns differ in length, OSError when the disk is full.
    """
    _check_consistent(waveforms, path)
    length = waveforms.samples.shape[1]
    types: dict[str, Any] = {"samples": ("int16", (length,)), **dict.fromkeys(_IDENTIFIERS, "int32")}
    if waveforms.truth is not None:
        types |= dict.fromkeys(_PER_TRACK, "float32")
        for owner, names in _LISTS.items():
            types[owner] = f"var * {{{', '.join(f'{name}: {kind}' for name, kind in names.items())}}}"
    with atomic_path(path) as temporary, uproot.recreate(temporary, compression=uproot.ZSTD(1)) as file:
        tree = file.mktree(TREE, types, title="digitised waveforms of drift tubes")
        for part in waveforms.chunks(max(1, _BASKET_BYTES // (2 * length))):
            tree.extend(_columns(part))
        file[METADATA] = json.dumps(_metadata(waveforms), allow_nan=False)


def read_root(path: Path, tree: str = TREE, start: int | None = None, stop: int | None = None) -> Waveforms:
    """Return the waveforms of a file that `write_root` wrote.

    Arguments:
        path: the file.
        tree: name of the TTree.
        start, stop: rows as in a slice; all by default.

    Raises InputError when the file is missing, damaged, foreign, inconsistent, or claims more than fits.
    """
    with open_root(path) as file:
        found = _tree(file, path, tree)
        return _rows(found, _read_metadata(file, path), path, slice(start, stop))


def count_waveforms(path: Path) -> int:
    """Return how many waveforms a file holds, without reading them; raises InputError as `read_root` does."""
    with open_root(path) as file:
        return int(_tree(file, path, TREE).num_entries)


def iterate_root(paths: Iterable[Path], step: int = 2048) -> Iterator[Waveforms]:
    """Yield the waveforms of `paths` in order, at most `step` (>= 1) at a time and never across files.

    Raises InputError as `read_root` does, when the file's turn comes.
    """
    if step < 1:
        msg = f"step must be at least 1 waveform (got {step}); raise it"
        raise InputError(msg)
    for path in paths:
        with open_root(path) as file:
            found, facts = _tree(file, path, TREE), _read_metadata(file, path)
            for start in range(0, int(found.num_entries), step):
                yield _rows(found, facts, path, slice(start, start + step))


# ---- writing


def _columns(waveforms: Waveforms) -> dict[str, Any]:
    columns: dict[str, Any] = {"samples": waveforms.samples}
    columns |= {name: getattr(waveforms, name).astype(np.int32) for name in _IDENTIFIERS}
    truth = waveforms.truth
    if truth is not None:
        columns |= {name: np.asarray(getattr(truth, name), np.float32) for name in _PER_TRACK}
        for owner, names in _LISTS.items():
            columns[owner] = ak.zip(
                {name: _ragged(getattr(truth, f"{owner}_{name}"), kind) for name, kind in names.items()}
            )
    return columns


def _ragged(lists: ak.Array, kind: DTypeLike) -> ak.Array:
    """Return `lists` with numbers of type `kind`, also where all of them are empty and have no type of their own."""
    if len(lists) == 0:
        return ak.unflatten(np.empty(0, kind), np.empty(0, np.int64))
    return ak.unflatten(np.asarray(ak.flatten(lists)).astype(kind), np.asarray(ak.num(lists)))


def _metadata(waveforms: Waveforms) -> dict[str, Any]:
    return {
        "volts_per_count": waveforms.volts_per_count,
        "sampling_rate_ghz": waveforms.sampling_rate_ghz,
        "polarity": waveforms.polarity,
        "t0_ns": None if math.isnan(waveforms.t0_ns) else waveforms.t0_ns,
        "max_drift_ns": None if math.isnan(waveforms.max_drift_ns) else waveforms.max_drift_ns,
        "provenance": waveforms.provenance.to_json(),
    }


# ---- reading


@contextmanager
def open_root(path: Path) -> Iterator[Any]:
    """Yield an open ROOT file, an `uproot.ReadOnlyDirectory`; what reading it raises inside becomes InputError."""
    if not path.is_file():
        msg = f"{path} must be a ROOT file that exists; check its name"
        raise InputError(msg)
    with _readable(path), uproot.open(path, handler=uproot.MemmapSource) as file:
        size, expected = path.stat().st_size, file.file.fEND
        if size < expected:
            msg = f"{path} must be a whole ROOT file (got {size} bytes, its header says {expected}); copy it again"
            raise InputError(msg)
        yield file


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Say in one sentence whatever uproot raises: damaged bytes surface as almost any exception."""
    try:
        yield
    except TownsendError:
        raise
    except Exception as error:
        first_line = ascii((str(error).strip().splitlines() or [""])[0][:120])[1:-1]
        msg = f"{path} must be a whole ROOT file ({type(error).__name__}: {first_line}); copy or make it again"
        raise InputError(msg) from error


def _tree(file: Any, path: Path, name: str) -> Any:
    trees = {key for key, kind in file.classnames(cycle=False, recursive=True).items() if kind == "TTree"}
    if name not in trees:
        msg = f'{path} must hold a TTree "{name}"{_nearest(name, trees) or "; it holds none"}'
        raise InputError(msg)
    tree = file[name]
    branches = set(tree.keys(recursive=False))
    wanted = ["samples", *_IDENTIFIERS, *(_TRUTH if branches.intersection(_TRUTH) else ())]
    for branch in wanted:
        if branch not in branches:
            msg = f'{path} must have a branch "{branch}" in tree "{name}"{_nearest(branch, branches)}'
            raise InputError(msg)
        if tree[branch].num_entries != tree.num_entries:
            entries = f"got {tree[branch].num_entries}, the tree has {tree.num_entries}"
            msg = f'{path} must have an entry of branch "{branch}" for each waveform ({entries}); make the file again'
            raise InputError(msg)
    for branch, kind in _kinds(branches).items():
        found = _kind(tree[branch])
        if found != kind and not (branch == "samples" and found.startswith("int16[")):
            msg = f'{path} must store branch "{branch}" as {kind} (got {found}); make the file again'
            raise InputError(msg)
    return tree


def _nearest(name: str, known: Iterable[str]) -> str:
    return did_you_mean(name, [ascii(word)[1:-1] for word in known])  # names of a damaged file may not be text


def _kinds(branches: set[str]) -> dict[str, str]:
    kinds = {"samples": "int16[samples]", **dict.fromkeys(_IDENTIFIERS, "int32")}
    if branches.intersection(_TRUTH):
        kinds |= dict.fromkeys(_PER_TRACK, "float32") | {
            name: f"list of {kind}" for name, kind in _LIST_BRANCHES.items()
        }
    return kinds


def _kind(branch: Any) -> str:
    interpretation = branch.interpretation
    if isinstance(interpretation, uproot.AsJagged) and isinstance(interpretation.content, uproot.AsDtype):
        return f"list of {interpretation.content.to_dtype}"
    if not isinstance(interpretation, uproot.AsDtype):
        return str(branch.typename)
    kind = interpretation.to_dtype
    return f"{kind.base}{list(kind.shape) if kind.shape else ''}"


def _read_metadata(file: Any, path: Path) -> dict[str, Any]:
    """Return the fields of `Waveforms` that hold for the whole file."""
    if METADATA not in file.keys(cycle=False):
        msg = f'{path} must hold "{METADATA}" with scale and sampling rate; give a file that townsend wrote'
        raise InputError(msg)
    try:
        found = json.loads(str(file[METADATA]))
        unknown = {name: math.nan if found[name] is None else float(found[name]) for name in ("t0_ns", "max_drift_ns")}
        facts: dict[str, Any] = {
            "volts_per_count": float(found["volts_per_count"]),
            "sampling_rate_ghz": float(found["sampling_rate_ghz"]),
            "polarity": int(found["polarity"]),
            "provenance": Provenance.from_json(found["provenance"]),
            **unknown,
        }
    except (ValueError, KeyError, TypeError) as error:
        msg = f'{path} must hold "{METADATA}" as townsend writes it ({type(error).__name__}: {error}); make it again'
        raise InputError(msg) from None
    for name in ("volts_per_count", "sampling_rate_ghz"):
        if not 0 < facts[name] < math.inf:
            msg = f"{path} must have {name} > 0 (got {facts[name]}); make the file again"
            raise InputError(msg)
    if facts["polarity"] not in (-1, 1):
        msg = f"{path} must have polarity +1 or -1 (got {facts['polarity']}); make the file again"
        raise InputError(msg)
    return facts


def _rows(tree: Any, facts: Mapping[str, Any], path: Path, rows: slice) -> Waveforms:
    start, stop, _ = rows.indices(int(tree.num_entries))
    (length,) = tree["samples"].interpretation.to_dtype.shape
    _check_size(path, max(stop - start, 0), length)

    def column(name: str) -> Any:
        return np.asarray(tree[name].array(entry_start=start, entry_stop=max(start, stop), library="np"))

    def ragged(name: str, kind: str) -> ak.Array:
        return _ragged(tree[name].array(entry_start=start, entry_stop=max(start, stop), library="ak"), kind)

    truth = None
    if _PER_TRACK[0] in tree:
        lists = {name: ragged(name, kind) for name, kind in _LIST_BRANCHES.items()}
        truth = Truth(**lists, **{name: column(name) for name in _PER_TRACK})
    waveforms = Waveforms(column("samples"), **{name: column(name) for name in _IDENTIFIERS}, **facts, truth=truth)
    _check_consistent(waveforms, path)
    return waveforms


def _check_size(path: Path, count: int, length: int) -> None:
    if length > MAXIMUM_LENGTH:
        msg = f"{path} must have at most {MAXIMUM_LENGTH} samples a waveform (got {length}); cut the waveforms"
        raise InputError(msg)
    if count * length > MAXIMUM_SAMPLES:
        size = f"got {count} waveforms of {length}"
        msg = f"{path} must have at most {MAXIMUM_SAMPLES} samples in one reading ({size}); read it in pieces"
        raise InputError(msg)


def _check_consistent(waveforms: Waveforms, path: Path) -> None:
    """Refuse columns of different lengths and electrons of clusters that are not there."""
    samples, truth = waveforms.samples, waveforms.truth
    if samples.ndim != 2 or samples.dtype != np.int16 or not 1 <= samples.shape[1] <= MAXIMUM_LENGTH:
        shape = f"got {samples.dtype} {samples.shape}"
        msg = f"{path} must hold int16 samples of shape (waveforms, 1 to {MAXIMUM_LENGTH} samples) ({shape})"
        raise InputError(msg)
    columns = {name: len(getattr(waveforms, name)) for name in _IDENTIFIERS}
    if truth is not None:
        columns |= {name: len(getattr(truth, name)) for name in _TRUTH}
    for name, length in columns.items():
        if length != len(samples):
            msg = f"{path} must have one {name} a waveform (got {length} for {len(samples)} waveforms); make it again"
            raise InputError(msg)
    if truth is None or len(samples) == 0:
        return
    for owner, names in _LISTS.items():
        first, *others = (ak.num(getattr(truth, f"{owner}_{name}")) for name in names)
        if any(ak.any(other != first) for other in others):
            msg = f"{path} must have lists {owner}_* of equal lengths in each waveform; make the file again"
            raise InputError(msg)
    clusters = ak.num(truth.cluster_radius_cm)
    if ak.any((truth.electron_cluster < 0) | (truth.electron_cluster >= clusters)):
        msg = f"{path} must have electron_cluster below the number of clusters of its waveform; make the file again"
        raise InputError(msg)
