"""Chosen models on the same events: every figure with its error, which model is better, and whether to believe it.

What to use when
----------------
- `evaluate`: folders of models in, a folder out.
- `render_evaluation`: what a terminal shows of it: verdicts, then the models side by side.
- `model_names`: names for folders.

The folder holds `evaluation.json` (everything), `models.csv` (side by side), `metrics.csv`, `comparison.csv`,
`thresholds.csv`, `importance.csv`, `curves.npz`, `scores.npz` and `figures/`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from townsend.errors import InputError, did_you_mean
from townsend.evaluate.importance import FeatureRanking
from townsend.evaluate.learning_curve import LearningCurve
from townsend.evaluate.paired import Comparison, compare_models, difference_verdict
from townsend.evaluate.verdict import Verdict
from townsend.experiments.table.checks import suspicious
from townsend.experiments.table.draw import PROJECTIONS, draw_evaluation, draw_retrained
from townsend.experiments.table.events_judged import JudgedEvents, Model, judged_events, open_models
from townsend.experiments.table.generalise import Generalised, generalise, rank_features
from townsend.experiments.table.judge import Judged, dependent_groups, judge, own_weights
from townsend.experiments.table.retrain import check_retrainable, learning_curve_of, ranking_without
from townsend.files import atomic_path, read_json, write_json
from townsend.folders import check_replaceable, folder_as_a_whole
from townsend.networks.build_file import BuildFile
from townsend.networks.stored import forward
from townsend.sample.provenance import versions

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["MADE_BY", "SIDE_BY_SIDE", "evaluate", "model_names", "read_evaluation", "render_evaluation"]

MADE_BY = "townsend evaluate"
_MARK = "evaluation.json"
_TABLES = ("models.csv", "metrics.csv", "comparison.csv", "thresholds.csv", "importance.csv")
_OWN = frozenset({_MARK, *_TABLES, "curves.npz", "scores.npz", "figures"})
SIDE_BY_SIDE = {
    "auc": "AUC",
    "recall": "TPR",
    "false_positive_rate": "FPR",
    "corner_distance_squared": "d^2",
    "accuracy": "accuracy",
}
"""Figure -> heading, where models are set side by side."""

_SCORES_OF_A_SELECTION = 2

Report = Callable[[str, int, int], None]


def evaluate(
    models: Mapping[str, Path],
    output: Path,
    *,
    reference: str | None = None,
    table: Path | None = None,
    retrain: bool = False,
    projections: Sequence[str] = (),
    build: BuildFile | None = None,
    progress: Report = lambda what, done, total: None,
) -> Path:
    """Judge models on the same events and write the folder `output`, which appears as a whole or not at all.

    Arguments:
        models: name -> folder of a chosen model of the table task.
        output: new, empty, or a folder made before, which is replaced.
        reference: name of the one that the others are compared with; the first when None.
        table: another table, YAML or folder, all of whose events are judged; None: the models' common test set.
        retrain: train each configuration again, for its learning curve and without each feature; on the models' own
            table only.
        projections: further pictures of the features: tsne, umap.
        build: the user's file, for PyTorch modules.
        progress: called with what is being done, how much is done and of how much.

    Raises InputError when the folders hold no comparable models, or the table is not theirs.
    """
    check_replaceable(output, _MARK, MADE_BY, _OWN)
    opened = open_models(models, build)
    first = reference or next(iter(opened))
    progress("reading", 0, len(opened))
    events = judged_events(opened, table)
    _check_retrain(opened, events, retrain)
    _check_projections(projections)
    judged: dict[str, Judged] = {}
    general: dict[str, Generalised] = {}
    for number, (name, model) in enumerate(opened.items()):
        progress(f"judging {name}", number, len(opened))
        scores = forward(model.chosen.network, events.events.x)
        judged[name] = judge(scores, model.threshold, events.events, model.facts)
        general[name] = generalise(model, models[name], scores, events)
    comparisons = {name: _compared(judged, name, first, events) for name in judged if name != first}
    progress("ranking features", len(opened), len(opened))
    ranked = {name: rank_features(model.chosen.network, events.events, model.facts) for name, model in opened.items()}
    again = _trained_again(opened, events, build, progress) if retrain else {}
    with folder_as_a_whole(output) as folder:
        _write_tables(folder, opened, judged, comparisons, ranked)
        _write_arrays(folder, judged, events)
        draw_evaluation(folder / "figures", opened, judged, general, ranked, events, projections)
        for number, found in enumerate(again.values()):
            draw_retrained(folder / "figures" / f"{number:02d}", *found)
        value = {
            "made_by": MADE_BY,
            "reference": first,
            "events": events.where,
            "verdicts": [verdict.to_json() for verdict in _on_features(opened[first], events)],
            "classes": list(opened[first].facts.classes),
            "features": list(opened[first].facts.features),
            "models": {
                name: {
                    **one.to_json(),
                    **general[name].to_json(),
                    "model": _described(opened[name]),
                    "importance": ranked[name].to_json(),
                    "trained_again": _retrained_json(*again[name]) if name in again else None,
                }
                for name, one in judged.items()
            },
            "comparisons": {name: one.to_json() for name, one in comparisons.items()},
            "versions": versions(),
        }
        write_json(folder / _MARK, value)
    return output


def _on_features(model: Model, events: JudgedEvents) -> list[Verdict]:
    values, label = np.asarray(events.events.x), np.asarray(events.events.y).astype(np.intp)
    return suspicious(values, label, model.facts.features, model.facts.classes)


def _check_retrain(models: Mapping[str, Model], events: JudgedEvents, retrain: bool) -> None:
    if not retrain:
        return
    if events.arrays is None:
        msg = "models can be trained again on their own table only (got another); leave out --table or --retrain"
        raise InputError(msg)
    for name, model in models.items():
        check_retrainable(model, name)


def _check_projections(projections: Sequence[str]) -> None:
    for name in projections:
        if name not in PROJECTIONS:
            msg = f'projections must be known ones (got "{name}"){did_you_mean(name, PROJECTIONS)}'
            raise InputError(msg)


def _trained_again(
    models: Mapping[str, Model], events: JudgedEvents, build: BuildFile | None, progress: Report
) -> dict[str, tuple[LearningCurve, FeatureRanking]]:
    found = {}
    for number, (name, model) in enumerate(models.items()):
        progress(f"training {name} again", number, len(models))
        if events.arrays is not None:
            found[name] = (
                learning_curve_of(model, events.arrays, build),
                ranking_without(model, events.arrays, build),
            )
    return found


def _retrained_json(curve: LearningCurve, ranking: FeatureRanking) -> dict[str, Any]:
    points = [[point.examples, list(point.train), list(point.validation)] for point in curve.points]
    lost = {" + ".join(one.features): list(one.drop) for one in (*ranking.single, *ranking.together)}
    verdicts = [curve.verdict.to_json(), *(verdict.to_json() for verdict in ranking.verdicts)]
    return {"verdicts": verdicts, "learning_curve": points, "auc_lost_without": lost}


def model_names(folders: Sequence[Path]) -> dict[str, Path]:
    """Return name -> folder, named by the last part that tells all apart.

    Raises InputError when a folder is given twice.
    """
    found: dict[str, Path] = {}
    for folder in folders:
        parts = folder.absolute().parts
        name = next((n for n in ("/".join(parts[-i:]) for i in range(1, len(parts))) if n not in found), None)
        if name is None or folder.absolute() in (known.absolute() for known in found.values()):
            msg = f"each model must be named once (got {folder} twice); leave one out"
            raise InputError(msg)
        found[name] = folder
    return found


def read_evaluation(folder: Path) -> dict[str, Any]:
    """Return what `evaluation.json` holds.

    Raises InputError when the folder was not made by `evaluate`.
    """
    value = read_json(folder / _MARK)
    if not isinstance(value, dict) or value.get("made_by") != MADE_BY:
        msg = f"{folder} must be a folder made by `{MADE_BY}`; make it again"
        raise InputError(msg)
    return value


def _compared(judged: Mapping[str, Judged], name: str, first: str, events: JudgedEvents) -> Comparison:
    one, other = judged[name], judged[first]
    found = compare_models(
        one.scores,
        other.scores,
        np.asarray(events.events.y),
        dependent_groups(events.events),
        own_weights(events.events),
        one.threshold,
        other.threshold,
        (name, first),
    )
    if min(len(np.unique(scores)) for scores in (one.scores, other.scores)) > _SCORES_OF_A_SELECTION:
        return found
    # A selection ranks nothing: its AUC is that of one working point, and any network would seem far better.
    row = next(row for row in found.rows if row.name == "balanced_accuracy")
    return replace(found, verdict=difference_verdict(row, (name, first), "balanced accuracy at the thresholds"))


def _described(model: Model) -> dict[str, Any]:
    card = model.chosen.card
    names = ("network", "hyperparameters", "parameters", "trial", "seed", "epochs", "best_epoch", "seal")
    compared = card["sweep"]["configurations_compared"]
    verdicts = card["verdicts"]
    return {**{name: card[name] for name in names}, "configurations_compared": compared, "verdicts": verdicts}


def _write_tables(
    folder: Path,
    models: Mapping[str, Model],
    judged: Mapping[str, Judged],
    comparisons: Mapping[str, Comparison],
    ranked: Mapping[str, Any],
) -> None:
    header = ["model", "network", "parameters", "threshold"]
    header += [column for figure in SIDE_BY_SIDE for column in (figure, f"{figure}_error")]
    rows = []
    for name, one in judged.items():
        card = models[name].chosen.card
        figures = [number for figure in SIDE_BY_SIDE for number in one.table.row(figure).metric]
        rows.append([name, card["network"], card["parameters"], one.threshold, *figures])
    _write_csv(folder / "models.csv", header, rows)
    _write_csv(
        folder / "metrics.csv",
        ["model", "figure", "value", "error", "method", "weights", "definition"],
        (
            [name, r.name, r.value, r.error, r.method, r.weights, r.words]
            for name, one in judged.items()
            for r in one.table.rows
        ),
    )
    _write_csv(
        folder / "comparison.csv",
        ["model", "reference_value", "figure", "value", "difference", "difference_error", "p"],
        (
            [name, r.b.value, r.name, r.a.value, *r.difference, r.p]
            for name, one in comparisons.items()
            for r in one.rows
        ),
    )
    _write_csv(
        folder / "thresholds.csv",
        ["model", "criterion", "threshold", "value", "tpr", "fpr", "signal", "background", "undefined"],
        (
            [name, b.criterion, b.threshold, b.value, b.tpr, b.fpr, b.signal.value, b.background.value, b.undefined]
            for name, one in judged.items()
            for b in one.scan.best.values()
        ),
    )
    _write_csv(
        folder / "importance.csv",
        ["model", "features", "auc_loss", "error"],
        ([name, *row] for name, one in ranked.items() for row in one.rows()),
    )


def _write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)


def _write_arrays(folder: Path, judged: Mapping[str, Judged], events: JudgedEvents) -> None:
    curves = {f"{name}.{curve}": values for name, one in judged.items() for curve, values in one.curves().items()}
    weights = own_weights(events.events)
    scores: dict[str, Any] = {f"{name}.scores": one.scores for name, one in judged.items()}
    scores |= {"label": np.asarray(events.events.y), "group": np.asarray(events.events.group)}
    scores |= {} if weights is None else {"weight": weights}
    for file, arrays in (("curves.npz", curves), ("scores.npz", scores)):
        with atomic_path(folder / file) as temporary:
            np.savez(temporary, allow_pickle=False, **arrays)


def render_evaluation(folder: Path) -> Group:
    """Return what a terminal shows of a folder made by `evaluate`: verdicts, then the models side by side."""
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from townsend.errors import printable
    from townsend.sweep.board_table import verdict_line
    from townsend.sweep.board_verdicts import shown
    from townsend.tasks.base import Metric

    value = read_evaluation(folder)
    lines = [verdict_line(v["ok"], v["sentence"]) for v in value["verdicts"]]
    for name, one in value["models"].items():
        lines += [verdict_line(v["ok"], f"{name}: {v['sentence']}") for v in one["verdicts"]]
    lines += [verdict_line(one["verdict"]["ok"], one["verdict"]["sentence"]) for one in value["comparisons"].values()]
    grid = Table(title=Text(f"on {value['events']}"), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column(Text("model"))
    for heading in ("network", "parameters", "threshold", *SIDE_BY_SIDE.values()):
        grid.add_column(Text(heading), justify="left" if heading == "network" else "right", no_wrap=True)
    for name, one in value["models"].items():
        figures = {figure["name"]: figure for figure in one["figures"]}
        cells = [name, str(one["model"]["network"]), f"{one['model']['parameters']:,}", f"{one['threshold']:.4g}"]
        for figure in SIDE_BY_SIDE:
            pair = (figures[figure]["value"], figures[figure]["error"])
            cells.append(shown(Metric(*(float("nan") if part is None else part for part in pair))))
        grid.add_row(*[Text(printable(cell)) for cell in cells])
    return Group(*lines, grid)
