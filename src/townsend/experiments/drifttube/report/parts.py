"""What a report is made of: the folders of a run, recognised by what they hold.

What to use when
----------------
- `scan`: every folder of the line below a run.
- `townsend.experiments.drifttube.report.links.find_parts`: those of them that belong together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uproot

from townsend.config import parse
from townsend.errors import ConfigError, InputError
from townsend.experiments.drifttube.clusters.clusteriser import TASK as CLUSTERS
from townsend.experiments.drifttube.reconstruction.inputs import ReconstructSettings
from townsend.experiments.drifttube.reconstruction.output import DESCRIPTION, SUMMARY
from townsend.experiments.drifttube.reconstruction.output import MADE_BY as RECONSTRUCTED
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.files import read_json, read_sealed
from townsend.sample.reader import sample_fingerprint
from townsend.sweep.board import Board, board
from townsend.sweep.card import MADE_BY as CHOSEN
from townsend.sweep.records import RunInfo, run_info
from townsend.sweep.settings import SweepSettings

__all__ = [
    "CLUSTERS",
    "PEAKS",
    "Found",
    "ModelPart",
    "OutputPart",
    "PeaksPart",
    "ReconstructionPart",
    "SamplePart",
    "SweepPart",
    "scan",
]

PEAKS = "drifttube-peaks"
_TREE = "clusters"
_ASSEMBLED = "townsend assemble"
_PEAKS_FOUND = "townsend find-peaks"


@dataclass(frozen=True)
class SamplePart:
    """A simulated sample: folder, settings, number of waveforms, fingerprint of its contents."""

    path: Path
    settings: DriftTubeSettings
    waveforms: int
    fingerprint: str


@dataclass(frozen=True)
class SweepPart:
    """A sweep: folder, what it was made with, its board."""

    path: Path
    info: RunInfo
    board: Board

    @property
    def task(self) -> str:
        """Return the name of its task."""
        return str(self.info.settings["task"])


@dataclass(frozen=True)
class ModelPart:
    """A chosen network: folder and card; a Reconstruction's own copy has no arrays."""

    path: Path
    card: Mapping[str, Any]


@dataclass(frozen=True)
class ReconstructionPart:
    """An assembled reconstruction: folder and card."""

    path: Path
    card: Mapping[str, Any]


@dataclass(frozen=True)
class OutputPart:
    """What a reconstruction found in files: folder, what was done, whether the files had truth, summary if finished."""

    path: Path
    description: Mapping[str, Any]
    truth: bool
    summary: Mapping[str, Any] | None


@dataclass(frozen=True)
class PeaksPart:
    """Peaks found in traces without counting: folder and summary."""

    path: Path
    summary: Mapping[str, Any]


@dataclass(frozen=True)
class Found:
    """Everything recognised below a run, in order of folder name."""

    samples: tuple[SamplePart, ...]
    sweeps: tuple[SweepPart, ...]
    models: tuple[ModelPart, ...]
    reconstructions: tuple[ReconstructionPart, ...]
    outputs: tuple[OutputPart, ...]
    peaks: tuple[PeaksPart, ...]

    def __bool__(self) -> bool:
        """Return whether there is anything."""
        return any(vars(self).values())


def scan(run: Path) -> Found:
    """Return what `run` and its direct subfolders hold; hidden folders and folders of other programs are passed over.

    Raises InputError when `run` is no folder, or a file of ours is damaged or edited.
    """
    if not run.is_dir():
        msg = f"{run} must be a folder that holds the folders of a run; check its name"
        raise InputError(msg)
    try:
        inner = sorted(path for path in run.iterdir() if path.is_dir() and path.name[0] != ".")
        folders = [run, *inner]
        parts = [part for folder in folders for part in _recognised(folder)]
    except OSError as error:
        msg = f"{error.filename or run} must be readable ({error.strerror}); check the rights of the folder"
        raise InputError(msg) from None
    return Found(
        samples=tuple(part for part in parts if isinstance(part, SamplePart)),
        sweeps=tuple(part for part in parts if isinstance(part, SweepPart)),
        models=tuple(part for part in parts if isinstance(part, ModelPart)),
        reconstructions=tuple(part for part in parts if isinstance(part, ReconstructionPart)),
        outputs=tuple(part for part in parts if isinstance(part, OutputPart)),
        peaks=tuple(part for part in parts if isinstance(part, PeaksPart)),
    )


def _recognised(folder: Path) -> list[Any]:
    found: list[Any] = []
    if (folder / "simulation.json").is_file():
        found.append(_sample(folder))
    if (folder / "sweep.json").is_file():
        sweep = _sweep(folder)
        found += [sweep] if sweep.task in (PEAKS, CLUSTERS) else []
    if (folder / "card.json").is_file():
        found += _card(folder)
    if (folder / DESCRIPTION).is_file():
        found.append(_output(folder))
    elif (folder / SUMMARY).is_file():
        summary = _object(folder / SUMMARY)
        found += [PeaksPart(folder, summary)] if summary.get("made_by") == _PEAKS_FOUND else []
    return found


def _object(path: Path) -> dict[str, Any]:
    value = read_json(path)
    return value if isinstance(value, dict) else {}


def _sample(folder: Path) -> SamplePart:
    value = _object(folder / "simulation.json")
    try:
        settings = parse(DriftTubeSettings, value["settings"])
        waveforms = int(value["waveforms"])
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        msg = f"{folder}/simulation.json must be as `townsend simulate` wrote it ({error}); restore it"
        raise InputError(msg) from None
    return SamplePart(folder, settings, waveforms, sample_fingerprint(folder))


def _sweep(folder: Path) -> SweepPart:
    info = run_info(folder)
    settings: Any = info.settings
    try:
        parse(SweepSettings, settings if isinstance(settings, dict) else {})
    except ConfigError as error:
        msg = f"{folder}/sweep.json must be as `townsend sweep` wrote it ({error}); restore it or start a new folder"
        raise InputError(msg) from None
    return SweepPart(folder, info, board(folder))


def _card(folder: Path) -> list[ModelPart | ReconstructionPart]:
    made_by = _object(folder / "card.json").get("made_by")
    if made_by not in (CHOSEN, _ASSEMBLED):
        return []
    card = read_sealed(folder / "card.json")
    if made_by == _ASSEMBLED:
        return [ReconstructionPart(folder, card)]
    return [ModelPart(folder, card)] if card.get("task") in (PEAKS, CLUSTERS) else []


def _output(folder: Path) -> OutputPart:
    description = _object(folder / DESCRIPTION)
    files: Any = description.get("files")
    try:
        whole = description["made_by"] == RECONSTRUCTED and all(
            {"path", "sha256", "waveforms"} <= f.keys() for f in files
        )
        parse(ReconstructSettings, description["settings"])
        dict(description["versions"])
    except (ConfigError, KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        msg = f"{folder / DESCRIPTION} must be as `{RECONSTRUCTED}` wrote it; reconstruct into a new folder"
        raise InputError(msg)
    path = folder / SUMMARY
    return OutputPart(folder, description, _has_truth(folder), _summary(path) if path.is_file() else None)


def _summary(path: Path) -> dict[str, Any]:
    summary = _object(path)
    try:
        tables = [summary["figures"], *[third["figures"] for third in summary["thirds"]]]
        whole = all(_is_figure(pair) for table in tables for pair in table.values())
        whole &= all(len(third["impact_cm"]) == 2 and int(third["waveforms"]) >= 0 for third in summary["thirds"])
        whole &= all({"ok", "sentence"} <= verdict.keys() for verdict in summary["verdicts"])
    except (KeyError, TypeError, ValueError, AttributeError):
        whole = False
    if not whole:
        msg = f"{path} must be as `{RECONSTRUCTED}` wrote it; delete it and run the same command again"
        raise InputError(msg)
    return summary


def _is_figure(pair: Any) -> bool:
    return (
        isinstance(pair, list)
        and len(pair) == 2
        and all(part is None or isinstance(part, float | int) for part in pair)
    )


def _has_truth(folder: Path) -> bool:
    for path in sorted(folder.glob("clusters-*.root"))[:1]:
        try:
            with uproot.open(path) as file:
                return "true_clusters" in file[_TREE].keys()  # noqa: SIM118 - a tree, no mapping
        except Exception as error:  # a damaged file surfaces as almost any exception
            msg = f"{path} must be as `{RECONSTRUCTED}` wrote it ({type(error).__name__}); delete it and run it again"
            raise InputError(msg) from None
    return False
