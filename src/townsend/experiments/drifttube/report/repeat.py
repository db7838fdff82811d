"""How to repeat a run: commands, settings, seeds, versions, hashes, and what to cite.

What to use when
----------------
- `repeat_section`: commands and settings; `origin_section`: seeds, versions and hashes.
- `commands`: the lines alone, for a shell.
- `used`: what a run used, for `townsend.experiments.drifttube.report.citations`.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from townsend.config import resolved
from townsend.config.document import safe_yaml
from townsend.errors import TownsendError
from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings
from townsend.experiments.drifttube.reconstruction.inputs import ReconstructSettings
from townsend.experiments.drifttube.report.citations import Used, bibtex, citations
from townsend.experiments.drifttube.report.links import Line, Parts
from townsend.experiments.drifttube.report.parts import OutputPart, PeaksPart, SamplePart, SweepPart
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.shipped import shipped_configs
from townsend.report.markup import Markup, code_block, data_table, details, join, paragraph
from townsend.sweep.settings import load_sweep
from townsend.tasks.registry import find_task

__all__ = ["citation_section", "commands", "origin_section", "repeat_section", "used"]

_PLACES = ("sample", "seed", "trials", "epochs")
_TASK_PLACES = ("finder", "windows")


@dataclass(frozen=True)
class _Command:
    """A line for a shell, and the settings file it needs, if any."""

    words: tuple[str, ...]
    file: str = ""
    settings: Mapping[str, Any] | None = None

    @property
    def line(self) -> str:
        """Return the words, quoted for a shell; a name that begins with a dash is given with its folder."""
        return shlex.join(self.words)


def commands(parts: Parts) -> list[str]:
    """Return the command lines that make the run again, in their order."""
    return [command.line for command in _commands(parts)]


def _commands(parts: Parts) -> list[_Command]:
    found = [_simulate(sample) for sample in parts.samples]
    for line, name in ((parts.finder, "finder"), (parts.clusteriser, "clusteriser")):
        if line.sweep is not None:
            found.append(_sweep(parts, line.sweep))
            if line.model is not None:
                found.append(_choose(line, _model_name(parts, line, name)))
    if parts.reconstruction is not None:
        calibration = parts.sample_for("calibration")
        place = _name(calibration) if calibration else "mc-calibration"
        models = (_model_name(parts, parts.finder, "finder"), _model_name(parts, parts.clusteriser, "clusteriser"))
        output = _name(parts.reconstruction)
        found.append(_Command(("townsend", "assemble", *models, "--calibrate", place, "-o", output)))
    outputs = [part for part in (parts.result, *parts.real) if isinstance(part, OutputPart)]
    found += [_reconstruct(parts, part) for part in outputs]
    found += [_find_peaks(parts, part) for part in parts.real if isinstance(part, PeaksPart)]
    return [*found, _Command(("townsend", "report", ".", "-o", "report.html"))]


def _choose(line: Line, output: str) -> _Command:
    """Return how the model was chosen, where it was not the best without training anew."""
    card = line.model.card if line.model is not None else {}
    choice, words = card.get("choice", {}), ["townsend", "choose", _name(line.sweep), "-o", output]
    words += ["--trial", str(card["trial"])] if choice.get("by") == "reader" else []
    folds = int(card.get("sweep", {}).get("settings", {}).get("folds", 1))
    anew = choice.get("trained_on", "train") != "train"
    if anew != (folds > 1):
        words.append("--retrain" if anew else "--no-retrain")
    return _Command(tuple(words))


def _name(part: Any) -> str:
    """Return the name of a part's folder as an argument that no command takes for an option."""
    name = str(part.path.resolve().name)
    return f"./{name}" if name.startswith("-") else name


def _model_name(parts: Parts, line: Line, name: str) -> str:
    """Return the folder of a chosen model, a plain name where only the reconstruction's copy is left."""
    if line.model is None:
        return name
    inside = parts.reconstruction is not None and line.model.path.parent == parts.reconstruction.path
    return name if inside else _name(line.model)


def _simulate(sample: SamplePart) -> _Command:
    name, settings = _name(sample), sample.settings
    words = ["townsend", "simulate", "drifttube", "-n", str(sample.waveforms), "--seed", str(settings.seed)]
    plain = resolved(DriftTubeSettings(seed=settings.seed))
    plain["track"]["impact"] = settings.track.impact
    if resolved(settings) == plain:
        beam = [] if settings.track.impact == DriftTubeSettings().track.impact else ["--impact", settings.track.impact]
        return _Command((*words, *beam, "-o", name))
    file = f"{name}.yaml"
    return _Command((*words, "--config", file, "-o", name), file, resolved(settings))


def _sweep(parts: Parts, sweep: SweepPart) -> _Command:
    settings, name = sweep.info.settings, _name(sweep)
    of_task = settings.get("task_settings", {})
    sample = _sample_of(parts, sweep)
    shipped = _shipped(settings)
    words = ["townsend", "sweep", shipped[0] if shipped else f"{name}.yaml", "--sample", sample]
    if "finder" in of_task:
        words += ["--finder", _model_name(parts, parts.finder, "finder")]
    if shipped is None:
        own = {key: value for key, value in settings.items() if key != "sample"}
        own["task_settings"] = {key: value for key, value in of_task.items() if key != "finder"}
        return _Command((*words, "-o", name), f"{name}.yaml", own)
    for option, was in (
        ("seed", shipped[1]["seed"]),
        ("trials", shipped[1]["trials"]),
        ("epochs", shipped[1]["epochs"]),
    ):
        if settings[option] != was:
            words += [f"--{option}", str(settings[option])]
    if of_task.get("windows") != shipped[1]["task_settings"].get("windows"):
        words += ["--windows", str(of_task["windows"])]
    return _Command((*words, "-o", name))


def _sample_of(parts: Parts, sweep: SweepPart) -> str:
    role = "finder" if sweep is parts.finder.sweep else "clusteriser"
    for sample in parts.samples:
        if role in parts.roles[sample.path]:
            return _name(sample)
    return str(sweep.info.settings["sample"])


def _shipped(settings: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]] | None:
    """Return name and settings of the shipped sweep that these settings are, but for what an option can change."""
    for name, path in shipped_configs().items():
        task_settings = {key: v for key, v in settings.get("task_settings", {}).items() if key == "finder"}
        try:
            loaded = load_sweep(path, {"sample": "sample", "task_settings": task_settings})
            if loaded.task != settings["task"]:
                continue
            values = resolved(loaded) | {"task_settings": find_task(loaded.task).settings(loaded.task_settings)}
        except TownsendError:
            continue
        if _compared(values) == _compared(settings):
            return name, values
    return None


def _compared(values: Mapping[str, Any]) -> dict[str, Any]:
    of_task = {key: value for key, value in values.get("task_settings", {}).items() if key not in _TASK_PLACES}
    return {key: value for key, value in values.items() if key not in _PLACES} | {"task_settings": of_task}


def _reconstruct(parts: Parts, part: OutputPart) -> _Command:
    name = _name(part)
    place = _name(parts.reconstruction) if parts.reconstruction else "reco"
    words = ["townsend", "reconstruct", place, *_inputs(parts, part), "-o", name]
    settings = part.description.get("settings", {})
    if settings == resolved(ReconstructSettings()):
        return _Command(tuple(words))
    file = f"{name}.yaml"
    return _Command((*words, "--config", file), file, settings)


def _inputs(parts: Parts, part: OutputPart) -> list[str]:
    """Return what was reconstructed: the sample of the run where that is it, else the files."""
    test = parts.sample_for("test") if part is parts.result else None
    if test is not None and "test" in parts.roles[test.path]:
        return [_name(test)]
    return [str(file["path"]) for file in part.description["files"]]


def _find_peaks(parts: Parts, part: PeaksPart) -> _Command:
    name, summary = _name(part), part.summary
    model = _model_name(parts, parts.finder, "finder")
    words = ("townsend", "find-peaks", model, str(summary.get("data", "traces")), "-o", name)
    settings = summary.get("settings")
    if not isinstance(settings, dict) or settings == resolved(FindPeaksSettings()):
        return _Command(words)
    return _Command((*words, "--config", f"{name}.yaml"), f"{name}.yaml", settings)


def repeat_section(parts: Parts) -> Markup:
    """Return the commands, and the settings that they need or that they stand for."""
    made = _commands(parts)
    needed = [command for command in made if command.settings is not None]
    holding = " that holds the settings below under their names" if needed else ""
    said = f"In an empty folder{holding}, with the same version of townsend:"
    files = [code_block("\n".join(safe_yaml(dict(c.settings or {}))), c.file) for c in needed]
    return join(paragraph(said), code_block("\n".join(command.line for command in made)), *files, _settings(parts))


def _settings(parts: Parts) -> Markup:
    """Return the resolved settings of every part, folded away."""
    blocks = [(f"{s.path.name}: simulation", resolved(s.settings)) for s in parts.samples]
    sweeps = [line.sweep for line in (parts.finder, parts.clusteriser) if line.sweep is not None]
    outputs = [part for part in (parts.result, *parts.real) if isinstance(part, OutputPart)]
    blocks += [(f"{sweep.path.name}: sweep", dict(sweep.info.settings)) for sweep in sweeps]
    blocks += [(f"{part.path.name}: reconstruction", dict(part.description.get("settings", {}))) for part in outputs]
    return join(
        *[details(f"All settings of {name}", code_block("\n".join(safe_yaml(value)))) for name, value in blocks]
    )


def origin_section(parts: Parts) -> Markup:
    """Return seeds, hashes and versions of every part."""
    rows = [(s.path.name, "simulated sample", str(s.settings.seed), s.fingerprint) for s in parts.samples]
    versions: dict[str, Mapping[str, str]] = {}
    for line in (parts.finder, parts.clusteriser):
        if line.sweep is not None:
            info = line.sweep.info
            rows.append((line.sweep.path.name, "sweep", str(info.settings["seed"]), info.fingerprint))
            versions[line.sweep.path.name] = info.versions
        if line.model is not None:
            rows.append((line.model.path.name, "chosen network", str(line.model.card["seed"]), line.model.card["seal"]))
    if parts.reconstruction is not None:
        card = parts.reconstruction.card
        rows.append((parts.reconstruction.path.name, "Reconstruction", "-", card["seal"]))
        versions[parts.reconstruction.path.name] = card["versions"]
    for part in (parts.result, *parts.real):
        if isinstance(part, OutputPart):
            rows += [
                (part.path.name, f"of {_short(file['path'])}", "-", str(file["sha256"]))
                for file in part.description["files"]
            ]
            versions[part.path.name] = part.description.get("versions", {})
    origin = data_table(("folder", "what", "seed", "fingerprint"), rows, "Seeds and hashes", text_columns=(0, 1, 3))
    return join(origin, _versions(versions))


def _short(path: Any) -> str:
    return str(path).rpartition("/")[2]


def _versions(versions: Mapping[str, Mapping[str, str]]) -> Markup:
    names = list(dict.fromkeys(name for found in versions.values() for name in found))
    rows = [(name, *[str(found.get(name, "-")) for found in versions.values()]) for name in names]
    columns = range(len(versions) + 1)
    return data_table(("package", *versions), rows, "Versions", text_columns=columns) if rows else join()


def used(parts: Parts) -> Used:
    """Return what the run used, as far as its settings say."""
    sweeps = [line.sweep for line in (parts.finder, parts.clusteriser) if line.sweep is not None]
    models = [line.model.card for line in (parts.finder, parts.clusteriser) if line.model is not None]
    given = [row.hyperparameters for sweep in sweeps for row in sweep.board.rows]
    given += [card["hyperparameters"] for card in models]

    def values(name: str) -> list[Any]:
        return [hyperparameters[name] for hyperparameters in given if hyperparameters.get(name) is not None]

    settings = [sweep.info.settings for sweep in sweeps] + [card["sweep"]["settings"] for card in models]
    return Used(
        simulated=bool(parts.samples),
        networks=frozenset(str(each["network"]) for each in settings),
        samplers=frozenset(str(each.get("sampler", "grid")) for each in settings),
        optimizers=frozenset(str(value).lower() for value in values("optimizer")),
        activations=frozenset(word for value in values("activations") for word in str(value).lower().split()),
        dropout=any(isinstance(value, int | float) and value > 0 for value in values("dropout")),
        references=parts.clusteriser.sweep is not None or parts.clusteriser.model is not None,
        fitted=parts.result is not None or parts.clusteriser.model is not None,
    )


def citation_section(parts: Parts) -> Markup:
    """Return the BibTeX of what the run used."""
    return join(paragraph("Of what this run used, by its settings."), code_block(bibtex(citations(used(parts)))))
