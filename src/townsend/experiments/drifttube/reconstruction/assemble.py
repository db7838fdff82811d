"""Two chosen networks joined to a Reconstruction, calibrated on a simulation that neither has seen.

What to use when
----------------
- `assemble`: make the folder.
- `load_reconstruction`: open it again and call it with waveforms.
- `render_reconstruction`: what a terminal shows of it.
- `townsend.experiments.drifttube.reconstruction.reconstruct.reconstruct`: apply it to files.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterFacts
from townsend.experiments.drifttube.clusters.clusteriser import load_clusteriser
from townsend.experiments.drifttube.peaks.finder import load_finder
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.reconstruction.calibration import Calibration, calibration_errors, fit_calibration
from townsend.experiments.drifttube.reconstruction.calibration_check import check_calibration, slope_verdict
from townsend.experiments.drifttube.reconstruction.card import calibration_json, card_text, render_reconstruction
from townsend.experiments.drifttube.reconstruction.folder import (
    CARD_VERSION,
    MADE_BY,
    PARTS,
    Reconstruction,
    check_parts,
    check_reconstruction,
    load_reconstruction,
)
from townsend.experiments.drifttube.reconstruction.inputs import InputFile, ReconstructSettings, open_inputs
from townsend.experiments.drifttube.reconstruction.output import shard_columns
from townsend.experiments.drifttube.reconstruction.run import missing_blocks, plan_blocks, run_blocks
from townsend.files import atomic_path, read_sealed, sha256_of, write_sealed, write_text
from townsend.folders import check_replaceable, folder_as_a_whole
from townsend.sample.provenance import versions
from townsend.sample.reader import sample_files, sample_fingerprint
from townsend.sample.root_io import read_root
from townsend.sweep.chosen import model_file
from townsend.tasks.base import Metric

__all__ = ["Reconstruction", "assemble", "load_reconstruction", "render_reconstruction"]

_OWN = frozenset({"README.md", "calibration.npz", "card.json", *PARTS})
_COPIED = ("card.json", "README.md")
_NONE = Calibration(
    0.0, 1.0, 0.0, 0.0, first_from_ns=0.0, first_to_ns=0.0, variance_floor=0.0, variance_per_cluster=0.0
)
_WORK = "work"  # inside the new folder, gone before it is whole


@dataclass(frozen=True)
class _Parts:
    """Both chosen networks, without the networks: their cards, hashes and facts."""

    cards: Mapping[str, Mapping[str, Any]]
    sha256: Mapping[str, str]
    threshold: float
    peak: PeakFacts
    cluster: ClusterFacts


@dataclass(frozen=True)
class _Sample:
    """The calibration sample: its shards, seed and fingerprint."""

    inputs: Sequence[InputFile]
    seed: int | None
    fingerprint: str


def assemble(
    finder: Path,
    clusteriser: Path,
    calibration: Path,
    output: Path,
    *,
    jobs: int | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Path:
    """Join two chosen networks and calibrate the number of clusters; the folder appears as a whole or not at all.

    Arguments:
        finder, clusteriser: folders made by `townsend choose`; the clusteriser trained behind this finder.
        calibration: folder of a simulated sample with truth, of another seed than the samples of both trainings.
        output: new, empty, or a folder made by `assemble` before, which is replaced.
        jobs: worker processes, >= 1; one for each usable core when None.
        progress: called with the numbers of calibration waveforms done and in all.

    Returns the folder. Raises InputError when a part is damaged or edited, the parts do not fit each other or the
    sample, the sample has no truth, is not separate or has fewer than 100 waveforms, or nothing can be fitted to it.
    """
    check_replaceable(output, "card.json", MADE_BY, _OWN)
    parts = _parts(finder, clusteriser)
    sample = _sample(calibration, parts)
    card = _card(parts)
    with folder_as_a_whole(output) as folder:
        for part, source in zip(PARTS, (finder, clusteriser), strict=True):
            (folder / part).mkdir()
            for name in (model_file(source).name, *_COPIED):
                shutil.copyfile(source / name, folder / part / name)
        # The networks run as they will in `reconstruct`, so that not a bit is different there.
        write_sealed(folder / "card.json", {**card, "calibration": _NONE.to_json()})
        columns = _counted(folder, sample.inputs, jobs, progress)
        given = columns["predicted"], columns["truth"], columns["first_ns"]
        fitted, errors = fit_calibration(*given), calibration_errors(*given)
        check = check_calibration(*given, columns["impact_cm"])
        with atomic_path(folder / "calibration.npz") as temporary:
            np.savez(temporary, allow_pickle=False, **columns)
        slope = slope_verdict(Metric(fitted.slope, errors["slope"]))
        value = {
            **card,
            "calibration": {
                **calibration_json(fitted, errors, check),
                "sample": sample.fingerprint,
                "sample_seed": sample.seed,
                "waveforms": len(columns["truth"]),
                "mean_true_clusters": float(columns["truth"].mean()),
            },
            "verdicts": [verdict.to_json() for verdict in (*check.verdicts(), slope)],
        }
        write_sealed(folder / "card.json", value)
        write_text(folder / "README.md", card_text(value))
    return output


def _parts(finder: Path, clusteriser: Path) -> _Parts:
    """Return what is known of both networks; raise InputError when one cannot be used or they do not fit each other."""
    first, second = load_finder(finder), load_clusteriser(clusteriser)
    folders = dict(zip(PARTS, (finder, clusteriser), strict=True))
    hashes = {part: sha256_of([model_file(folder)]) for part, folder in folders.items()}
    check_parts(clusteriser, first.facts, second.facts, hashes["finder"], first.threshold)
    cards = {part: read_sealed(folder / "card.json") for part, folder in folders.items()}
    for folder in folders.values():
        if not (folder / "README.md").is_file():
            msg = f"{folder} must hold README.md, as `townsend choose` wrote it; make the folder again"
            raise InputError(msg)
    return _Parts(cards, hashes, first.threshold, first.facts, second.facts)


def _card(parts: _Parts) -> dict[str, Any]:
    """Return the card without what the calibration adds."""
    peak, cluster = parts.peak, parts.cluster
    known = {
        part: {
            "sha256": parts.sha256[part],
            "card_seal": card["seal"],
            "sweep": card["sweep"]["fingerprint"],
            "sample": card["sample"],
            "network": card["network"],
            "parameters": card["parameters"],
            "input_shape": card["input_shape"],
        }
        for part, card in parts.cards.items()
    }
    return {
        "made_by": MADE_BY,
        "card_version": CARD_VERSION,
        "finder": {**known["finder"], "threshold": parts.threshold},
        "clusteriser": known["clusteriser"],
        "facts": {
            "sampling_rate_ghz": cluster.sampling_rate_ghz,
            "bins": cluster.bins,
            "t0_ns": cluster.t0_ns,
            "max_drift_ns": cluster.max_drift_ns,
            "delay_ns": peak.delay_ns,
            "window_before": peak.before,
            "window_after": peak.after,
            "scale_mV": peak.scale_mV,
            "double_pulse_ns": peak.double_pulse_ns,
            "finder_sample_seed": peak.sample_seed,
            "clusteriser_sample_seed": cluster.sample_seed,
        },
        "verdicts": [],
        "notes_of_parts": {part: _notes(card) for part, card in parts.cards.items()},
        "versions": versions(),
    }


def _notes(card: Mapping[str, Any]) -> list[str]:
    """Return what the card of a part says one should mind."""
    return [verdict["sentence"] for verdict in card["verdicts"] if not verdict["ok"]]


def _sample(calibration: Path, parts: _Parts) -> _Sample:
    """Return the calibration sample; raise InputError unless it fits and neither network has seen its tracks."""
    files = sample_files(calibration)
    head = read_root(files[0], stop=1)
    if head.truth is None:
        msg = f"{calibration} must hold simulated truth to calibrate with (it holds none); use `townsend simulate`"
        raise InputError(msg)
    inputs = open_inputs(files, ReconstructSettings(), parts.peak, parts.cluster)
    seed, fingerprint = head.provenance.seed, sample_fingerprint(calibration)
    seen = {
        "the finder": (parts.peak.sample_seed, parts.cards["finder"]["sample"]),
        "the clusteriser": (parts.cluster.sample_seed, parts.cards["clusteriser"]["sample"]),
        "the finder behind the clusteriser": (parts.cluster.finder_sample_seed, ""),
    }
    for who, (its_seed, its_sample) in seen.items():
        if (seed is not None and seed == its_seed) or fingerprint == its_sample:
            rule = f"{calibration} must be separate from what {who} was trained on"
            msg = f"{rule} (both are of seed {seed}, they share tracks); simulate with another --seed"
            raise InputError(msg)
    return _Sample(inputs, seed, fingerprint)


def _counted(
    folder: Path, inputs: Sequence[InputFile], jobs: int | None, progress: Callable[[int, int], None]
) -> dict[str, NDArray[np.float32]]:
    """Return predicted and true numbers, first arrivals and impact parameters of the calibration sample."""
    work = folder / _WORK
    work.mkdir()
    known = check_reconstruction(folder)
    works = plan_blocks(folder, known.seal, inputs, ReconstructSettings(), work)
    run_blocks(works, missing_blocks(works), jobs, progress)
    names = {
        "predicted": "n_clusters_uncalibrated",
        "truth": "true_clusters",
        "first_ns": "first_arrival_ns",
        "impact_cm": "impact_cm",
    }
    parts = [shard_columns(path) for path in works]
    shutil.rmtree(work)
    return {name: np.concatenate([part[column] for part in parts]).astype(np.float32) for name, column in names.items()}
