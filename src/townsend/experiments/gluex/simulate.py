"""Samples of GlueX on disk, in shards that are whole or absent; they go on after a kill.

What to use when
----------------
- `simulate_gluex`: single electrons and pions to train on (`townsend simulate gluex`).
- `simulate_eta`: eta decays to apply a network to (`townsend simulate eta`).
- `simulate_gluex_shard`: one shard of either, what a job of a batch system does.
- `townsend.experiments.gluex.columns`: the same rows in memory.

Beside the shards lie `table.yaml`, with which `townsend train` reads them, and `simulation.yaml`, all settings.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

from townsend.config import dump_yaml, resolved
from townsend.engines.base import News, WorkUnit
from townsend.engines.engine import open_engine
from townsend.engines.site import Site
from townsend.errors import InputError, did_you_mean
from townsend.experiments.gluex.columns import Columns, eta_decays, gun_tracks, track_of
from townsend.experiments.gluex.descriptions import DECAY_TABLES, DECAYS, TRACK_TABLES, TRACKS_TREE
from townsend.experiments.gluex.eta_decays import TRACKS
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.gluex.shard_folder import claim, missing_shards, write_shard
from townsend.files import write_text
from townsend.sample.provenance import Provenance

__all__ = ["simulate_eta", "simulate_gluex", "simulate_gluex_shard"]

Progress = Callable[[int], None]


class _Sample(NamedTuple):
    """Its command, its rows as trees of one file, and the tables beside the files."""

    command: str
    trees: Callable[[GluexSettings, int, int], Mapping[str, Columns]]
    tables: Mapping[str, str]


def _track_trees(settings: GluexSettings, start: int, stop: int) -> dict[str, Columns]:
    return {TRACKS_TREE: gun_tracks(settings, start, stop)}


def _decay_trees(settings: GluexSettings, start: int, stop: int) -> dict[str, Columns]:
    """Return the decays, and each of their tracks as a tree of its own for `townsend apply`."""
    decays = eta_decays(settings, start, stop)
    return {DECAYS: decays, **{side: track_of(decays, side) for side in TRACKS}}


_SAMPLES: Mapping[str, _Sample] = {
    TRACKS_TREE: _Sample("simulate gluex", _track_trees, TRACK_TABLES),
    DECAYS: _Sample("simulate eta", _decay_trees, DECAY_TABLES),
}
"""Name of the first tree -> what is in a file."""


def simulate_gluex(
    tracks: int,
    output: Path,
    settings: GluexSettings,
    *,
    jobs: int = 1,
    site: Site | None = None,
    progress: Progress = lambda made: None,
) -> Path:
    """Simulate single electrons and pions, in equal numbers, into a folder of shards.

    Arguments:
        tracks: their number, > 0; a larger number than before adds to the folder.
        output: folder; empty, absent, or made by the same settings.
        settings: the simulation.
        jobs: processes on this machine, > 0.
        site: batch system that simulates instead, see `townsend.engines.site.find_site`.
        progress: called with the number of tracks after each shard.

    Returns the folder. Raises InputError when it holds something else.
    """
    return _simulate(TRACKS_TREE, tracks, output, settings, jobs, site, progress)


def simulate_eta(
    decays: int,
    output: Path,
    settings: GluexSettings,
    *,
    jobs: int = 1,
    site: Site | None = None,
    progress: Progress = lambda made: None,
) -> Path:
    """Simulate eta decays, to electrons and to pions, into a folder of shards.

    Arguments: as `simulate_gluex`; decays: their number, > 0.
    """
    return _simulate(DECAYS, decays, output, settings, jobs, site, progress)


def simulate_gluex_shard(settings: GluexSettings, tree: str, start: int, stop: int, path: Path) -> None:
    """Write rows `start` to `stop` of a sample to a ROOT file, whole or not at all.

    Arguments:
        settings: the simulation.
        tree: "tracks" or "decays", which sample.
        start, stop: rows, 0 <= start < stop.
        path: of the ROOT file.
    """
    if tree not in _SAMPLES:
        msg = f'tree must name a sample (got "{tree}"){did_you_mean(tree, _SAMPLES)}'
        raise InputError(msg)
    sample = _SAMPLES[tree]
    provenance = Provenance(sample.command, resolved(settings), settings.seed)
    write_shard(path, sample.trees(settings, start, stop), provenance)


def _simulate(
    tree: str, rows: int, output: Path, settings: GluexSettings, jobs: int, site: Site | None, progress: Progress
) -> Path:
    if rows < 1:
        msg = f"number of {tree} must be at least 1 (got {rows}); raise it"
        raise InputError(msg)
    claim(output, tree, rows, resolved(settings))
    dump_yaml(settings, output / "simulation.yaml")
    for name, text in _SAMPLES[tree].tables.items():
        write_text(output / name, text)
    missing = missing_shards(output, tree, rows)
    progress(rows - sum(stop - start for start, stop in missing.values()))
    if not missing:
        return output
    if site is None and (jobs == 1 or len(missing) == 1):
        for path, (start, stop) in missing.items():
            simulate_gluex_shard(settings, tree, start, stop, path)
            progress(stop - start)
        return output
    with open_engine(site, output.absolute(), min(jobs, len(missing))) as engine:
        for path, (start, stop) in missing.items():
            engine.submit(_unit(settings, tree, start, stop, path))
        while engine.outstanding:
            for message in engine.poll(1.0):
                if message.news is not News.DONE:
                    rule = f"{output / message.unit} could not be made ({message.detail})"
                    msg = f"{rule}; see the logs in {output}, mend and repeat"
                    raise InputError(msg)
                start, stop = missing[output / message.unit]
                progress(stop - start)
    return output


def _unit(settings: GluexSettings, tree: str, start: int, stop: int, path: Path) -> WorkUnit:
    """Return the work behind one file."""
    arguments = {"settings": resolved(settings), "tree": tree, "start": start, "stop": stop, "file": path.name}
    folder = path.parent.absolute()
    return WorkUnit(path.name, "simulate_gluex_shard", arguments, folder, outputs=(path.name,))
