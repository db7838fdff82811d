"""Clusters counted in waveform files, in blocks that are whole or absent.

What to use when
----------------
- `reconstruct`: files in, a folder out; goes on after a kill.
- `townsend.experiments.drifttube.reconstruction.output.read_reconstructed`: that folder as arrays.
- `render_summary`: what a terminal shows of it.

Memory does not grow with the files: a process holds one block at a time (and a whole NPZ file, which has no blocks);
the summary of a simulation holds 20 bytes a waveform.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from townsend.config import resolved
from townsend.engines.ledger import JOBS
from townsend.engines.site import Site
from townsend.errors import InputError
from townsend.experiments.drifttube.reconstruction.folder import check_reconstruction
from townsend.experiments.drifttube.reconstruction.inputs import InputFile, ReconstructSettings, expand, open_inputs
from townsend.experiments.drifttube.reconstruction.output import DESCRIPTION, MADE_BY, SUMMARY
from townsend.experiments.drifttube.reconstruction.run import missing_blocks, plan_blocks, run_blocks
from townsend.experiments.drifttube.reconstruction.summary import render_summary, summarise
from townsend.files import read_json, write_json
from townsend.sample.provenance import versions
from townsend.sweep.lease import hold, tidy_leases

__all__ = ["ReconstructSettings", "reconstruct", "render_summary"]

log = logging.getLogger(__name__)

_HALF_WRITTEN = (".clusters-*.root", ".reconstruction.*.json", ".summary.*.json")
_HARMLESS = ("coordinator.lease", "logs", JOBS)


def reconstruct(
    reconstruction: Path,
    files: Sequence[str | Path],
    output: Path,
    settings: ReconstructSettings | None = None,
    *,
    jobs: int | None = None,
    site: Site | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Count the clusters of every waveform of `files`; killed at any moment, the same call goes on.

    What is written for a waveform depends on it, the reconstruction and the settings alone: not on how the work was
    cut into files or blocks, on `jobs` or on kills. (NPZ traces are rounded to 16 bits of the largest of their file.)

    Arguments:
        reconstruction: folder made by `townsend assemble`; nothing else is read but the files.
        files: ROOT or NPZ files, folders of shards, or patterns of such.
        output: folder; new, empty, or of the same call; receives what `reconstructed` describes.
        settings: polarity, scale, time of the track and such.
        jobs: worker processes on this machine, >= 1; one for each usable core when None.
        site: batch system that works instead, see `townsend.engines.site.find_site`.
        progress: called with the numbers of waveforms done and in all.

    Returns the folder. Raises InputError when reconstruction, files or folder cannot be used or do not fit each other,
    BusyError when another process is at work in the folder.
    """
    settings = settings or ReconstructSettings()
    known = check_reconstruction(reconstruction)
    inputs = open_inputs(expand(files), settings, known.peak, known.cluster)
    _make_folder(output)
    with hold(output) as lease:
        tidy_leases(output)
        for pattern in _HALF_WRITTEN:
            for left in output.glob(pattern):
                left.unlink(missing_ok=True)
        _open_folder(output, _description(known.seal, inputs, settings))
        works = plan_blocks(reconstruction, known.seal, inputs, settings, output)
        missing = missing_blocks(works)
        if missing:
            (output / SUMMARY).unlink(missing_ok=True)  # of a folder that was whole and has lost a block
        run_blocks(works, missing, jobs, progress, lease.check, site)
        if not (output / SUMMARY).is_file():
            write_json(output / SUMMARY, summarise(list(works), known, inputs, settings))
    return output


def _description(seal: str, inputs: Sequence[InputFile], settings: ReconstructSettings) -> dict[str, Any]:
    return {
        "made_by": MADE_BY,
        "reconstruction": seal,
        "files": [file.to_json() for file in inputs],
        "settings": resolved(settings),
        "versions": versions(),
    }


def _make_folder(output: Path) -> None:
    """Make the folder, or accept one that is empty or ours; raise InputError when it holds other things."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        names = {path.name for path in output.iterdir()}
    except OSError as error:
        msg = f"{output} must be a folder that can be written ({error.strerror}); choose another"
        raise InputError(msg) from None
    own = {path.name for pattern in _HALF_WRITTEN for path in output.glob(pattern)}
    others = sorted(name for name in names - own - set(_HARMLESS) if not name.startswith(".coordinator."))
    if others and not _is_ours(output / DESCRIPTION):
        msg = f"{output} must be new, empty or of the same `{MADE_BY}` (it holds {others[0]}); choose another folder"
        raise InputError(msg)


def _is_ours(description: Path) -> bool:
    try:
        value = read_json(description)
    except InputError:
        return False
    return isinstance(value, dict) and value.get("made_by") == MADE_BY


def _open_folder(output: Path, wanted: Mapping[str, Any]) -> None:
    """Write what is reconstructed with what, or compare it with what the folder was begun with."""
    path = output / DESCRIPTION
    if not path.is_file():
        write_json(path, wanted)
        return
    found = read_json(path)
    was, now = found["versions"], wanted["versions"]
    differences = [name for name, one, other in _compared(found, wanted) if one != other]
    if differences:
        rule = f"{output} must be continued with what it was begun with"
        msg = f"{rule} (another {' and other '.join(differences)} now); choose a new folder or take the same again"
        raise InputError(msg)
    changed = {name: number for name, number in now.items() if was.get(name) != number}
    if changed:
        log.warning("%s was begun with other versions than %s; figures may differ in the last digits", output, changed)


def _compared(found: Mapping[str, Any], wanted: Mapping[str, Any]) -> list[tuple[str, Any, Any]]:
    """Return name, what was and what is, of all that decides a number; files may have moved."""

    def contents(value: Mapping[str, Any]) -> list[tuple[str, int]]:
        return [(file["sha256"], file["waveforms"]) for file in value["files"]]

    return [
        ("reconstruction", found["reconstruction"], wanted["reconstruction"]),
        ("files", contents(found), contents(wanted)),
        ("settings", found["settings"], wanted["settings"]),
        ("version of townsend", found["versions"]["townsend"], wanted["versions"]["townsend"]),
    ]
