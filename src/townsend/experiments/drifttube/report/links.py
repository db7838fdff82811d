"""Which folders of a run belong together, by the hashes in their cards; and which are missing.

What to use when
----------------
- `find_parts`: all that a report shows.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from townsend.errors import InputError
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.report.parts import (
    CLUSTERS,
    PEAKS,
    Found,
    ModelPart,
    OutputPart,
    PeaksPart,
    ReconstructionPart,
    SamplePart,
    SweepPart,
    scan,
)
from townsend.files import read_json, read_sealed, sha256_of
from townsend.sample.reader import sample_files
from townsend.sweep.chosen import model_file

__all__ = ["Line", "Missing", "Parts", "find_parts"]

Part = TypeVar("Part", SamplePart, SweepPart, ModelPart, ReconstructionPart, OutputPart)


@dataclass(frozen=True)
class Missing:
    """A part that the run does not hold, and the command that makes it."""

    what: str
    command: str


@dataclass(frozen=True)
class Line:
    """A sweep and the network chosen from it."""

    sweep: SweepPart | None
    model: ModelPart | None


@dataclass(frozen=True)
class Parts:
    """What a report shows.

    Arguments:
        run: the folder; samples: all; roles: folder of a sample -> what it was used for.
        finder, clusteriser: sweeps and networks; reconstruction: of both.
        result: the reconstruction of files with truth; real: of files without, and traces in which peaks were found.
        missing: what there is not; notes: what does not belong together.
    """

    run: Path
    samples: tuple[SamplePart, ...]
    roles: dict[Path, tuple[str, ...]]
    finder: Line
    clusteriser: Line
    reconstruction: ReconstructionPart | None
    result: OutputPart | None
    real: tuple[OutputPart | PeaksPart, ...]
    missing: tuple[Missing, ...]
    notes: tuple[Verdict, ...]

    def sample_for(self, *roles: str) -> SamplePart | None:
        """Return the sample of the first of these roles that there is; any sample when there is none."""
        for role in roles:
            for sample in self.samples:
                if role in self.roles.get(sample.path, ()):
                    return sample
        return self.samples[0] if self.samples else None


def find_parts(run: Path) -> Parts:
    """Return the parts of the run in folder `run` that belong together.

    Raises InputError when the folder holds none, a file is damaged, or several folders could be meant.
    """
    found = scan(run)
    if not found:
        msg = f"{run} must hold parts of a run (it and its folders hold none); name the folder that holds them"
        raise InputError(msg)
    notes: list[Verdict] = []
    reconstruction = _reconstruction(found)
    outputs = _of_this(found.outputs, reconstruction, notes)
    unfinished = [part for part in outputs if part.summary is None]
    notes += [Verdict(False, f"{part.path.name} is unfinished and not shown") for part in unfinished]
    ended = [part for part in outputs if part.summary is not None]
    result = _only([part for part in ended if part.truth], "outputs of `townsend reconstruct` with truth")
    clusteriser = _line(found, CLUSTERS, "clusteriser", reconstruction, None, notes)
    finder = _line(found, PEAKS, "finder", reconstruction, clusteriser.model, notes)
    real: tuple[OutputPart | PeaksPart, ...] = (*(part for part in ended if not part.truth), *found.peaks)
    roles = _roles(found.samples, finder, clusteriser, reconstruction, result)
    samples = tuple(sorted(found.samples, key=lambda sample: _place_in_line(roles[sample.path])))
    missing = _missing(samples, finder, clusteriser, reconstruction, result)
    return Parts(run, samples, roles, finder, clusteriser, reconstruction, result, real, missing, tuple(notes))


def _only(parts: Sequence[Part], what: str) -> Part | None:
    """Return the one part there is, None where there is none; raise where several could be meant."""
    if len(parts) > 1:
        names = ", ".join(str(part.path) for part in parts)
        msg = f"a report needs to know which of several {what} is meant (got {names}); keep one in the folder"
        raise InputError(msg)
    return parts[0] if parts else None


def _reconstruction(found: Found) -> ReconstructionPart | None:
    """Return the reconstruction; of several the one that an output with truth was made by."""
    if len(found.reconstructions) > 1:
        seals = {part.description.get("reconstruction") for part in found.outputs if part.truth}
        named = [part for part in found.reconstructions if part.card["seal"] in seals]
        return _only(named if len(named) == 1 else found.reconstructions, "reconstructions")
    return found.reconstructions[0] if found.reconstructions else None


def _of_this(
    outputs: Sequence[OutputPart], reconstruction: ReconstructionPart | None, notes: list[Verdict]
) -> list[OutputPart]:
    if reconstruction is None:
        return list(outputs)
    seal = reconstruction.card["seal"]
    others = [part for part in outputs if part.description.get("reconstruction") != seal]
    notes += [Verdict(False, f"{part.path.name} was made by another Reconstruction: not shown") for part in others]
    return [part for part in outputs if part not in others]


def _line(
    found: Found,
    task: str,
    name: str,
    reconstruction: ReconstructionPart | None,
    behind: ModelPart | None,
    notes: list[Verdict],
) -> Line:
    """Return sweep and network of one task.

    Arguments:
        name: of the network within the reconstruction; behind: the clusteriser that was trained behind it, or None.
    """
    models = [part for part in found.models if part.card["task"] == task]
    model = _model(models, name, reconstruction, behind, notes)
    sweeps = [part for part in found.sweeps if part.task == task]
    if model is None:
        return Line(_only(sweeps, f"sweeps of {task}"), None)
    made_by = model.card["sweep"]["fingerprint"], model.card["sample"]
    fitting = [sweep for sweep in sweeps if (sweep.info.fingerprint, sweep.info.sample) == made_by]
    others = [sweep.path.name for sweep in sweeps if sweep not in fitting]
    notes += [Verdict(False, f"{other} is not the sweep that the {name} comes from: not shown") for other in others]
    return Line(_only(fitting, f"sweeps that made the {name}"), model)


def _model(
    models: Sequence[ModelPart],
    name: str,
    reconstruction: ReconstructionPart | None,
    behind: ModelPart | None,
    notes: list[Verdict],
) -> ModelPart | None:
    if reconstruction is not None:
        seal = reconstruction.card[name]["card_seal"]
        fitting = [model for model in models if model.card["seal"] == seal]
        place, others = reconstruction.path.name, [model.path.name for model in models if model not in fitting]
        notes += [Verdict(False, f"{other} is not the {name} of {place}: not shown") for other in others]
        if fitting:
            return fitting[0]  # of the same seal, they are the same
        own = reconstruction.path / name
        return ModelPart(own, read_sealed(own / "card.json"))
    if behind is not None and len(models) > 1:
        wanted = behind.card["facts"]["finder_sha256"]
        models = [m for m in models if model_file(m.path).is_file()]
        models = [m for m in models if sha256_of([model_file(m.path)]) == wanted] or models
    return _only(models, f"chosen models ({name})")


def _roles(
    samples: Sequence[SamplePart],
    finder: Line,
    clusteriser: Line,
    reconstruction: ReconstructionPart | None,
    result: OutputPart | None,
) -> dict[Path, tuple[str, ...]]:
    """Return what each sample was used for; the clusteriser's is known by its seed, all others by their contents."""
    of_finder = {finder.model.card["sample"]} if finder.model else set()
    of_finder |= {finder.sweep.info.sample} if finder.sweep else set()
    facts = _facts(clusteriser)
    calibration = reconstruction.card["calibration"].get("sample") if reconstruction else None
    tested = {file["sha256"] for file in result.description["files"]} if result else set()
    roles: dict[Path, tuple[str, ...]] = {}
    for sample in samples:
        uses = (
            ("finder", sample.fingerprint in of_finder),
            ("clusteriser", facts.get("sample_seed") == sample.settings.seed),
            ("calibration", calibration == sample.fingerprint),
            ("test", bool(tested) and any(sha256_of([path]) in tested for path in sample_files(sample.path))),
        )
        roles[sample.path] = tuple(name for name, used in uses if used)
    return roles


def _facts(line: Line) -> dict[str, Any]:
    """Return what the arrays of a line's networks say of themselves."""
    if line.model is not None:
        return dict(line.model.card["facts"])
    arrays = line.sweep.path / "arrays" / "arrays.json" if line.sweep is not None else None
    return dict(read_json(arrays)["facts"]) if arrays is not None and arrays.is_file() else {}


def _place_in_line(uses: Sequence[str]) -> int:
    """Return where in the line a sample is first used; those without a use come last."""
    order = ("finder", "clusteriser", "calibration", "test")
    return min((order.index(use) for use in uses), default=len(order))


def _missing(
    samples: Sequence[SamplePart],
    finder: Line,
    clusteriser: Line,
    reconstruction: ReconstructionPart | None,
    result: OutputPart | None,
) -> tuple[Missing, ...]:
    first = _named(samples[0] if samples else None, "mc")
    run, model = _named(finder.sweep, "peaks-run"), _named(finder.model, "finder")
    second_run, second = _named(clusteriser.sweep, "clusters-run"), _named(clusteriser.model, "clusteriser")
    sweep = f"townsend sweep clusters.yaml --sample mc-clusters --finder {model} -o clusters-run"
    join = f"townsend assemble {model} {second} --calibrate mc-calibration -o reco"
    wanted: tuple[tuple[object, str, str], ...] = (
        (samples, "a simulated sample", "townsend simulate drifttube -n 20000 -o mc"),
        (finder.sweep, "the sweep of peak finders", f"townsend sweep peaks.yaml --sample {first} -o peaks-run"),
        (finder.model, "a chosen peak finder", f"townsend choose {run} -o finder"),
        (clusteriser.sweep, "the sweep of clusterisers", sweep),
        (clusteriser.model, "a chosen clusteriser", f"townsend choose {second_run} -o clusteriser"),
        (reconstruction, "a Reconstruction", join),
        (
            result,
            "its test on a separate simulation",
            f"townsend reconstruct {_named(reconstruction, 'reco')} mc-test -o out",
        ),
    )
    return tuple(Missing(what, command) for part, what, command in wanted if not part)


def _named(part: SamplePart | SweepPart | ModelPart | ReconstructionPart | None, otherwise: str) -> str:
    return otherwise if part is None else shlex.quote(part.path.resolve().name)
