"""From a table to compared models, in one go.

What to use when
----------------
- `train`: sweep each model, choose its best, judge all of them on the same test set.

The folder holds `table.yaml` (with whole file names), `analysis.yaml`, `sweeps/NAME`, `models/NAME`,
`evaluation` and `report.html`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from townsend.config import dump_yaml, parse, resolved
from townsend.engines.site import Site
from townsend.errors import InputError
from townsend.experiments.table.analysis_settings import AnalysisSettings, sweep_of
from townsend.experiments.table.evaluate import evaluate, read_evaluation
from townsend.experiments.table.page import TRAINED, write_table_page
from townsend.experiments.table.settings import TABLE_FILE, Description, Files, TableSettings
from townsend.files import read_json, write_json
from townsend.networks.build_file import BuildFile
from townsend.report.figures import draw_model
from townsend.sweep.choose import choose
from townsend.sweep.coordinator import sweep
from townsend.sweep.records import read_records, run_info
from townsend.sweep.settings import SweepSettings

__all__ = ["EVALUATION", "MODELS", "SWEEPS", "train"]

SWEEPS, MODELS, EVALUATION = "sweeps", "models", "evaluation"
_MADE_BY = "townsend train"

Report = Callable[[str, int, int], None]


def train(
    settings: AnalysisSettings,
    description: Description,
    output: Path,
    *,
    jobs: int | None = None,
    site: Site | None = None,
    build: BuildFile | None = None,
    progress: Report = lambda what, done, total: None,
) -> Path:
    """Train all models of an analysis, choose the best configuration of each, and compare them on the test set.

    Killed at any moment, the same call goes on: trainings that have ended are not repeated.

    Arguments:
        settings: models and seed.
        description: of the table.
        output: folder; new, empty, or of the same call.
        jobs: worker processes on this machine, >= 1; one for each usable core when None.
        site: batch system that trains instead.
        build: the user's file, for the networks `build` and `torch`.
        progress: called with what is trained, and the fits done and planned.

    Returns the folder. Raises what `sweep`, `choose` and `evaluate` raise; InputError when the folder is another's.
    """
    sweeps = {name: sweep_of(settings, name, output / TABLE_FILE) for name in settings.models}
    _open(output, settings, description)
    for name, one in sweeps.items():
        sweep(
            one,
            output / SWEEPS / name,
            jobs=jobs,
            site=site,
            build=build if _needs(one) else None,
            progress=lambda done, total, name=name: progress(name, done, total),  # type: ignore[misc]
        )
    models = {}
    for name, one in sweeps.items():
        models[name] = _chosen(output / SWEEPS / name, output / MODELS / name, build if _needs(one) else None)
    first = settings.reference or next(iter(settings.models))
    if not _is_evaluated(output / EVALUATION, models, first):
        evaluate(models, output / EVALUATION, reference=first, build=build, progress=progress)
        write_table_page(output, output / "report.html")
    return output


def _is_evaluated(folder: Path, models: Mapping[str, Path], reference: str) -> bool:
    """Whether these very models have been judged, and the page that shows it was written."""
    if not (folder / "evaluation.json").is_file() or not (folder.parent / "report.html").is_file():
        return False
    value = read_evaluation(folder)
    seals = {name: read_json(model / "card.json").get("seal") for name, model in models.items()}
    judged = {name: one["model"]["seal"] for name, one in value["models"].items()}
    return value["reference"] == reference and judged == seals


def _needs(settings: SweepSettings) -> bool:
    return settings.network in ("build", "torch")


def _chosen(run: Path, model: Path, build: BuildFile | None) -> Path:
    """Return the chosen model, which is made anew only where it is not of this sweep."""
    card = model / "card.json"
    if card.is_file():
        before = read_json(card).get("sweep", {})
        same = before.get("fingerprint") == run_info(run).fingerprint
        if same and before.get("configurations_ended") == len({one.trial for one in read_records(run)}):
            return model
    choose(run, model, build=build)
    draw_model(model)
    return model


def _open(output: Path, settings: AnalysisSettings, description: Description) -> None:
    """Write what is trained on what, or compare it with what the folder was begun with."""
    try:
        output.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in output.iterdir() if path.name[0] != ".")
    except OSError as error:
        msg = f"{output} must be a folder that can be written ({error.strerror}); choose another"
        raise InputError(msg) from None
    if others and not (output / TRAINED).is_file():
        msg = f"{output} must be new, empty or of the same `{_MADE_BY}` (it holds {others[0]}); choose another folder"
        raise InputError(msg)
    placed = _placed(description)
    wanted = {"made_by": _MADE_BY, "models": settings.models, "seed": settings.seed, "table": resolved(placed)}
    wanted["described"] = resolved(description.settings)  # without anybody's folders, for the page
    if (output / TRAINED).is_file() and any(output.glob(f"{SWEEPS}/*/records/*.json")):
        found = read_json(output / TRAINED)
        different = [name for name in ("models", "seed", "table") if found.get(name) != wanted[name]]
        if different:
            rule = f"{output} must be continued with what it was begun with"
            msg = f"{rule} (another {' and '.join(different)} now); restore it or choose a new folder"
            raise InputError(msg)
        return
    dump_yaml(placed, output / TABLE_FILE)
    dump_yaml(settings.model_copy(update={"table": TABLE_FILE}), output / "analysis.yaml")
    write_json(output / TRAINED, wanted)


def _placed(description: Description) -> TableSettings:
    """Return the settings with the whole names of files, so that they mean the same in any folder."""
    values = resolved(description.settings)

    def whole(files: Files | None) -> list[str] | None:
        if not files:
            return None if files is None else []
        names = (files,) if isinstance(files, str) else files
        return [str(description.folder / Path(name).expanduser()) for name in names]

    values["files"] = whole(description.settings.files)
    for value, friend in zip(values["friends"], description.settings.friends, strict=True):
        value["files"] = whole(friend.files)
    for name, one in description.settings.classes.items():
        values["classes"][name]["files"] = whole(one.files)
    return parse(TableSettings, values)
