"""One page about models trained on a table, which a colleague can open: verdicts first, then the models side by side.

What to use when
----------------
- `write_table_page`: a folder of `townsend train` in, an HTML file out.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from townsend.config.document import safe_yaml
from townsend.errors import InputError, printable
from townsend.evaluate.verdict import Verdict
from townsend.experiments.table.evaluate import SIDE_BY_SIDE, read_evaluation
from townsend.files import read_json
from townsend.report.embed import Picture, read_png
from townsend.report.markup import (
    Content,
    Markup,
    bullets,
    code_block,
    data_table,
    details,
    join,
    paragraph,
    picture,
    tag,
    verdict_list,
)
from townsend.report.page import Section, check_page, page, write_page
from townsend.report.resources import job_part
from townsend.report.style import DPI
from townsend.sweep.board_verdicts import shown, shown_value
from townsend.tasks.base import Metric

__all__ = ["TRAINED", "write_table_page"]

TRAINED = "train.json"
"""File by which a folder of `townsend train` is known."""

_COMPARED = {
    "roc.png": "ROC curves, background on a linear and a logarithmic axis; markers: thresholds chosen on validation.",
    "precision-recall.png": "Precision against recall, at the weights of the events: their share of signal decides it.",
    "det.png": "Both error rates on normal-deviate axes: a straight line is a Gaussian separation.",
}
_OF_EVENTS = {
    "features": "Each feature, its area normalised to one for each class, with errors sqrt(sum w²).",
    "correlations": "Linear correlation of the features in each class.",
    "components": "The two directions in which the standardised features vary most; a picture, no measure.",
}
_OF_MODEL = {
    "response.png": "Scores of training events (filled) and of those judged (points): alike unless learnt by heart.",
    "thresholds.png": "Shares accepted and every criterion against the threshold; the line is the threshold in use.",
    "confusion.png": "Events by true (rows) and predicted class (columns) at that threshold.",
    "reliability.png": "Observed share of signal against the score: on the diagonal, scores are probabilities.",
    "learning-curve.png": "AUC against the number of training events, with the spread of trainings on different parts.",
    "importance-retrained.png": "AUC lost where a feature, or a group of correlated ones, was not there in training.",
    "importance.png": "AUC lost where a feature is shuffled between events; correlated ones share what they lose.",
}
_CRITERIA = ("corner_distance", "youden", "f1", "efficiency_x_purity", "s_over_sqrt_s_plus_b", "asimov_with_error")


def write_table_page(run: Path, output: Path) -> Path:
    """Write one self-contained HTML page about a folder of `townsend train`, and return its path.

    Arguments:
        run: folder with `evaluation`, finished.
        output: file; new, or a page written before, which is replaced.

    Raises InputError when the folder is not finished, or the output is another file.
    """
    check_page(output)
    if not (run / "evaluation" / "evaluation.json").is_file():
        msg = (
            f"{run} must be finished to be reported (it holds no evaluation); repeat the `townsend train` that began it"
        )
        raise InputError(msg)
    value, begun = read_evaluation(run / "evaluation"), read_json(run / TRAINED)
    sections = [part for part in _sections(run, value, begun) if part.content.text]
    best = _best(value)
    lead = paragraph(
        f"{best} leads with an AUC of {_figure(value['models'][best], 'auc')} on {value['events']}; "
        f"the others are compared with {value['reference']}, on the same events."
    )
    footer = f"Made by townsend {value['versions'].get('townsend', '')} from {printable(run.resolve().name)}. "
    footer += "Errors are one standard deviation. This page loads nothing from anywhere."
    classes = " and ".join(reversed(value["classes"]))
    write_page(output, page(f"Telling {classes} apart", lead, sections, footer))
    return output


def _sections(run: Path, value: Mapping[str, Any], begun: Mapping[str, Any]) -> Iterator[Section]:
    yield Section("verdicts", "Whether to believe it", _verdicts(value))
    yield Section("models", "The models side by side", _side_by_side(value))
    figures = run / "evaluation" / "figures"
    yield Section("curves", "Curves", join(*_pictures(figures, _COMPARED)))
    yield Section("events", "The events", _events(figures, begun))
    for number, (name, one) in enumerate(value["models"].items()):
        yield Section(f"model-{number}", name, _model(figures / f"{number:02d}", name, one))
    yield Section("resources", "What the trainings took", join(*_jobs(run, value)))
    yield Section("repeat", "How to repeat it", _repeat(run, begun))
    yield Section("origin", "Versions", bullets(f"{name} {number}" for name, number in value["versions"].items()))


def _verdicts(value: Mapping[str, Any]) -> Markup:
    groups: list[tuple[str, list[Verdict]]] = []
    if value["verdicts"]:
        groups.append(("The features", [_verdict(v) for v in value["verdicts"]]))
    compared = [_verdict(one["verdict"]) for one in value["comparisons"].values()]
    if compared:
        groups.append((f"Beside {value['reference']}", compared))
    for name, one in value["models"].items():
        found = [_verdict(v) for v in one["verdicts"]]
        found += [_verdict(one["overtraining"]["verdict"])] if one["overtraining"] else []
        found += [_verdict(v) for v in one["model"]["verdicts"]]
        found += [_verdict(v) for v in one["importance"]["verdicts"]]
        groups.append((name, found))
    return join(*[join(tag("h3", title), verdict_list(found)) for title, found in groups])


def _side_by_side(value: Mapping[str, Any]) -> Markup:
    header = ["model", "network", "parameters", "tried", "threshold", *SIDE_BY_SIDE.values()]
    rows = []
    for name, one in value["models"].items():
        model = one["model"]
        cells = [name, str(model["network"]), f"{model['parameters']:,}", f"{model['configurations_compared']:,}"]
        rows.append([*cells, f"{one['threshold']:.4g}", *(_figure(one, figure) for figure in SIDE_BY_SIDE)])
    marked = [list(value["models"]).index(_best(value))]
    caption = (
        f"On {value['events']}. d^2 = (1 - TPR)^2 + FPR^2 is the squared distance to the corner; marked: best AUC."
    )
    return join(data_table(header, rows, caption, text_columns=(0, 1), marked=marked), *_differences(value))


def _differences(value: Mapping[str, Any]) -> Iterator[Markup]:
    rows: list[list[Content]] = []
    for name, one in value["comparisons"].items():
        for row in one["rows"]:
            p = "-" if row["p"] is None else f"{row['p']:.2g}"
            rows.append([name, row["name"], *(shown(_metric(row[key])) for key in ("a", "b", "difference")), p])
    if rows:
        header = ["model", "figure", "its value", f"{value['reference']}", "difference", "p"]
        caption = "Differences on the same events, with paired errors, smaller than those of either alone."
        yield details("Every difference", data_table(header, rows, caption, text_columns=(0, 1)))


def _events(figures: Path, begun: Mapping[str, Any]) -> Markup:
    table = begun["table"]
    found = [paragraph(f"Cuts: {' and '.join(table['cuts'])}.")] if table["cuts"] else []
    for stem, caption in _OF_EVENTS.items():
        found += [picture(_on_page(path), caption, caption) for path in sorted(figures.glob(f"{stem}*.png"))]
    return join(*found)


def _model(folder: Path, name: str, one: Mapping[str, Any]) -> Markup:
    model = one["model"]
    chosen = ", ".join(f"{key} {shown_value(given)}" for key, given in model["hyperparameters"].items())
    rows = [[f["name"], _figure(one, f["name"]), f["words"], f["method"]] for f in one["figures"]]
    table = data_table(
        ["figure", "value", "definition", "error by"], rows, f"All figures of {name}", text_columns=(0, 2, 3)
    )
    best = one["best_thresholds"]
    criteria = [
        [
            key,
            _number(best[key]["threshold"]),
            _number(best[key]["value"]),
            _number(best[key]["tpr"]),
            _number(best[key]["fpr"]),
        ]
        for key in _CRITERIA
    ]
    caption = "The best threshold for each criterion, found on these very events: too good by what a scan finds."
    scan = data_table(["criterion", "threshold", "value", "TPR", "FPR"], criteria, caption)
    intro = paragraph(f"{model['network']}, trial {model['trial']}: {chosen}. {one['weights']['sentence']}.")
    return join(intro, *_pictures(folder, _OF_MODEL), details("All figures", table), details("All criteria", scan))


def _jobs(run: Path, value: Mapping[str, Any]) -> Iterator[Markup]:
    for name in value["models"]:
        if (run / "sweeps" / name).is_dir():
            yield job_part(run / "sweeps" / name)


def _repeat(run: Path, begun: Mapping[str, Any]) -> Markup:
    analysis = (run / "analysis.yaml").read_text(encoding="utf-8")
    table = "\n".join(safe_yaml(begun["described"]))
    command = shlex.join(["townsend", "train", "analysis.yaml", "-o", run.resolve().name])
    return join(code_block(command), code_block(analysis, "analysis.yaml"), code_block(table, "table.yaml"))


def _pictures(folder: Path, captions: Mapping[str, str]) -> Iterator[Markup]:
    for name, caption in captions.items():
        if (folder / name).is_file():
            yield picture(_on_page(folder / name), caption, caption)


def _on_page(path: Path) -> Picture:
    """Return a picture in the size in which it was drawn; a CSS pixel is 1/96 inch."""
    found = read_png(path)
    return replace(found, width=round(found.width * 96 / DPI), height=round(found.height * 96 / DPI))


def _best(value: Mapping[str, Any]) -> str:
    def area(name: str) -> float:
        found = _named(value["models"][name], "auc")["value"]
        return -math.inf if found is None else float(found)

    return str(max(value["models"], key=area))


def _named(one: Mapping[str, Any], figure: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = next(row for row in one["figures"] if row["name"] == figure)
    return found


def _figure(one: Mapping[str, Any], figure: str) -> str:
    row = _named(one, figure)
    return shown(_metric([row["value"], row["error"]]))


def _metric(pair: Any) -> Metric:
    return Metric(*(math.nan if part is None else float(part) for part in pair))


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def _verdict(value: Mapping[str, Any]) -> Verdict:
    return Verdict(bool(value["ok"]), str(value["sentence"]))
