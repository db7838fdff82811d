"""Both sweeps of a report: boards, figures, what the chosen networks are worth, and what all of it cost.

What to use when
----------------
- `sweep_section`: one sweep with its chosen network.
- `resource_section`: time and memory of both.
- `metric_of`: a figure on a card, with its error.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from statistics import median

from townsend.engines.usage import duration
from townsend.experiments.drifttube.report.links import Line, Parts
from townsend.experiments.drifttube.report.parts import CLUSTERS, ModelPart, SweepPart
from townsend.experiments.drifttube.report.slides import SLIDES, Cost
from townsend.report.distribution_figures import cost_figure
from townsend.report.embed import drawn
from townsend.report.figures import Drawing, board_figures, model_figures
from townsend.report.markup import Content, Markup, data_table, details, join, paragraph, picture, tag, verdict_list
from townsend.report.regression_figures import comparison_figure
from townsend.report.resources import sweep_part
from townsend.report.sweep_figures import search_figures
from townsend.sweep.board import Board
from townsend.sweep.board_verdicts import shown, shown_value
from townsend.sweep.history import read_history
from townsend.sweep.importance import importance
from townsend.tasks.base import CEILING, Metric
from townsend.training.records import FitRecord

__all__ = ["metric_of", "resource_section", "sweep_section"]

_DRAWN = {CLUSTERS: ("mse", "mae")}
_DRAWN_OF_PEAKS = ("auc_all", "resolvable.f1")
_COLUMNS = {CLUSTERS: ("mse", "mae", "bias", "r2")}
_COLUMNS_OF_PEAKS = ("auc_all", "auc_drift", "resolvable.f1")
_TOP = 10
_MOST_UNUSABLE = 12
_REFERENCES = {
    "path": "path length alone",
    "deriv_raw": "derivative threshold, as it counts",
    "deriv": "derivative threshold, calibrated",
    "peaks": "linear in the number of found peaks",
    "": "this network",
    "boosted_found": "boosted trees on found times",
    "boosted_resolvable": "boosted trees on resolvable times",
    "boosted_perfect": "boosted trees on perfect times (ceiling)",
}
_FEW_POINTS = frozenset({"training-curves", "confusion"})
_CAPTIONS: Mapping[str, tuple[str, str]] = {
    "training-curves": (
        "Loss of each epoch on training and monitoring examples",
        "Training of the chosen network; the dotted line is the epoch whose weights were kept.",
    ),
    "roc": (
        "ROC curve with linear and with logarithmic background axis",
        "Single candidates, natural prevalence. The logarithmic axis shows small background.",
    ),
    "confusion": (
        "Confusion matrix at natural prevalence and balanced",
        "Candidates accepted and rejected at the chosen threshold.",
    ),
    "scores": (
        "Distribution of the scores of signal and background",
        "Scores of training (filled) and monitoring windows (points): they agree where nothing was learnt by heart.",
    ),
    "predicted-against-true": (
        "Predicted against true number of clusters",
        "Test set, before calibration. Red: mean and spread of the prediction for each true number.",
    ),
    "residuals": (
        "Distribution of predicted minus true number of clusters",
        "Test set, before calibration, with the Gaussian fitted to it.",
    ),
    "parallel-coordinates": (
        "All configurations as lines through the values of their hyperparameters to their figure, the best in red",
        "Each line is a configuration, its colour its figure on validation; grey ones were stopped or not usable.",
    ),
    "metric-against": (
        "Figure of every configuration with its error over each hyperparameter, medians in black, the best in red",
        "One panel a hyperparameter, on validation. Where the medians do not move, it hardly matters by itself.",
    ),
    "importance": (
        "Bars of the share that each hyperparameter has in the variance of the figure, with errors",
        "Functional ANOVA. What does not stand above the grey band, a random number's share, is not told from nothing.",
    ),
    "learning-curves": (
        "Monitored loss by epoch of the leading configurations, others in grey, rungs as dotted lines",
        "Epoch by epoch. At a dotted line configurations were stopped because others of their bracket were better.",
    ),
    "pareto-front": (
        "Both objectives of every configuration; a red line joins those that no other betters in both",
        "Two objectives. The red line is the best that can be had of one for each value of the other.",
    ),
}


def metric_of(model: ModelPart, name: str, where: str = "test") -> Metric:
    """Return a figure on the card of a chosen network, NaN where there is none."""
    pair = model.card[where]["metrics"].get(name, (None, None))
    return Metric(*(math.nan if part is None else float(part) for part in pair))


def sweep_section(line: Line, task: str) -> Markup:
    """Return the board of a sweep, figures of its best, what the chosen network is worth and what all of it took."""
    content: list[Markup] = []
    if line.model is not None:
        content.append(_chosen(line.model))
    figures: dict[str, Drawing] = {}
    if line.sweep is not None:
        drawn_ones = _DRAWN.get(task, _DRAWN_OF_PEAKS) if len(line.sweep.board.rows) > 1 else ()
        wanted = [name for name in drawn_ones if name in line.sweep.board.metrics]
        figures |= board_figures(line.sweep.path, line.sweep.board, wanted)
        content += [_board_table(line.sweep.board, _COLUMNS.get(task, _COLUMNS_OF_PEAKS)), *_search(line.sweep)]
    if line.model is not None and (line.model.path / "test.npz").is_file():
        figures |= model_figures(line.model.path)
    content += [_figure(name, draw) for name, draw in figures.items()]
    if line.model is not None and task == CLUSTERS:
        content += _references(line.model)
    if line.model is not None:
        content.append(_all_figures(line.model))
    if line.sweep is not None:
        content.append(sweep_part(line.sweep.path, line.sweep.board))
    return join(*content)


def _search(sweep: SweepPart) -> list[Markup]:
    """Return what was searched and which hyperparameters matter, verdicts first; nothing of a single configuration."""
    history = read_history(sweep.path)
    told = importance(history.board, history.space)
    drawings = search_figures(history, told)
    if not drawings:
        return []
    return [verdict_list(told.verdicts), *(_figure(name, draw) for name, draw in drawings.items())]


def _chosen(model: ModelPart) -> Markup:
    card = model.card
    hyperparameters = ", ".join(f"{name} {shown_value(value)}" for name, value in card["hyperparameters"].items())
    compared, metric = card["sweep"]["configurations_compared"], card["objective"]["metric"]
    among = f"the best of {compared} configurations" if compared > 1 else "the only configuration"
    choice = card.get("choice", {})
    if choice.get("by") == "reader":
        among = f"the reader's choice, number {choice['rank']} of {compared} configurations"
    return paragraph(
        f"Chosen on validation: {card['network']}, {hyperparameters}; {card['parameters']:,} parameters, kept "
        f"at epoch {card['best_epoch']} of {card['epochs']}, {among}. On test: ",
        tag("b", f"{metric} {shown(metric_of(model, metric))}"),
        ".",
    )


def _figure(name: str, draw: Drawing) -> Markup:
    if name.startswith("configurations-"):
        metric = name.removeprefix("configurations-")
        alternative = f"{metric} of every configuration, the best in red"
        caption = "Every configuration, on validation; red: the chosen one, open grey circles: not usable."
    else:
        alternative, caption = _CAPTIONS.get(name, (name, name))
    return picture(drawn(draw, "svg" if name in _FEW_POINTS else "png"), alternative, caption)


def _board_table(board: Board, wanted: Sequence[str]) -> Markup:
    metrics = [name for name in wanted if name in board.metrics]
    varying = [name for name in board.hyperparameters if len(board.values_of(name)) > 1]
    usable = [row for row in board.rows if board.rankable(row)][:_TOP]
    others = [row for row in board.rows if not board.rankable(row)][:_MOST_UNUSABLE]
    rows = [_row(row, varying, metrics) for row in (*usable, *others)]
    header = ("trial", "outcome", *varying, *metrics, "parameters", "wall [s]")
    left = board.ranked[_TOP:]
    rest = f"; `townsend board` shows {len(left)} more usable ones" if left else ""
    caption = f"{board.source}: best of {len(board.rows)} configurations, figures on {board.measured_on}{rest}"
    return data_table(
        [name.replace("_", " ") for name in header],
        rows,
        caption,
        text_columns=range(2 + len(varying)),
        marked=[0] if board.best is not None else (),
        faint=range(len(usable), len(rows)),
    )


def _row(row: FitRecord, varying: Sequence[str], metrics: Sequence[str]) -> list[Content]:
    nothing = Metric(math.nan, math.nan)
    return [
        str(row.trial),
        row.outcome.value,
        *[shown_value(row.hyperparameters.get(name)) for name in varying],
        *[shown(row.metrics.get(name, nothing)) for name in metrics],
        f"{row.parameters:,}" if row.parameters else "-",
        f"{row.wall_s:.0f}" if row.wall_s else "-",
    ]


def _references(model: ModelPart) -> list[Markup]:
    """Return the network beside the references, over all impact parameters and at fixed path."""
    found: list[Markup] = []
    for prefix, where in (("", "all impact parameters"), ("fixed.", "fixed path, tracks near the wire")):
        figures = {
            label: {
                "MSE": metric_of(model, f"{prefix}{name}.mse" if name else f"{prefix}mse"),
                "R²": metric_of(model, f"{prefix}{name}.r2" if name else f"{prefix}r2"),
            }
            for name, label in _REFERENCES.items()
        }
        present = {label: pair for label, pair in figures.items() if math.isfinite(pair["MSE"].value)}
        if len(present) > 1:
            draw = partial(comparison_figure, present, ("MSE", "R²"), _REFERENCES[""], f"test: {where}")
            caption = (
                f"Mean squared error and share of the variance explained, {where}. The ceiling knows every arrival; "
                "the path length alone knows nothing of the waveform."
            )
            found.append(picture(drawn(draw), f"MSE and R² of the network beside references, {where}", caption))
    return found


def _all_figures(model: ModelPart) -> Markup:
    names = [name for name in model.card["test"]["metrics"] if not name.endswith(CEILING)]
    rows = [
        (
            name,
            shown(metric_of(model, name)),
            shown(metric_of(model, name + CEILING)),
            shown(metric_of(model, name, "validation")),
        )
        for name in names
    ]
    table = data_table(("figure", "test", "ceiling", "validation"), rows, "Errors of one standard deviation")
    return details(f"All {len(rows)} figures of the chosen network", table)


def resource_section(parts: Parts) -> Markup:
    """Return what the trainings took, beside the jobs of the slides."""
    rows: list[tuple[str, ...]] = []
    figures: list[Markup] = []
    jobs = ((parts.finder, SLIDES.finder_job, "LSTM"), (parts.clusteriser, SLIDES.clusteriser_job, "CNN"))
    for line, job, network in jobs:
        if line.sweep is None or not any(row.wall_s for row in line.sweep.board.rows):
            continue
        rows += _cost_rows(line.sweep, job, network)
        if len(line.sweep.board.rows) > 1:
            alternative = f"Run time and memory of every configuration of {line.sweep.path.name}"
            caption = (
                "Each point is one configuration, all its fits together; its time includes compiling where it was the "
                "first of its shape."
            )
            figures.append(picture(drawn(partial(cost_figure, line.sweep.board)), alternative, caption))
    header = ("", "configurations", "CPUs", "memory [MB]", "run time", "all of them, core-hours")
    caption = (
        "Of one configuration, all its fits together: median and, in brackets, largest. "
        "The slides' jobs trained one configuration each"
    )
    return join(data_table(header, rows, caption), *figures)


def _cost_rows(sweep: SweepPart, job: Cost, network: str) -> list[tuple[str, ...]]:
    rows = [row for row in sweep.board.rows if row.wall_s > 0]
    cpus = [row.cpu_s / row.wall_s for row in rows]
    memory, wall = [row.peak_memory_mb for row in rows], [row.wall_s for row in rows]
    hours = sum(row.cpu_s for row in rows) / 3600
    return [
        (
            sweep.path.name,
            str(len(rows)),
            f"{median(cpus):.2f} ({max(cpus):.2f})",
            f"{median(memory):.0f} ({max(memory):.0f})",
            f"{duration(median(wall))} ({duration(max(wall))})",
            f"{hours:.2f}",
        ),
        (f"slides, best {network} job", "1", f"{job.cpus:g}", f"{job.memory_MB:g}", duration(job.wall_s), "-"),
    ]
