"""All figures of an evaluation.

What to use when
----------------
- `draw_evaluation`: those that compare models, those of the events, and those of each model.
- `draw_retrained`: what training a model again has shown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from townsend.evaluate.importance import FeatureRanking
from townsend.evaluate.learning_curve import LearningCurve
from townsend.evaluate.overtraining import OvertrainingReport
from townsend.evaluate.projection import Projection, pca, tsne, umap
from townsend.experiments.table.events_judged import JudgedEvents, Model
from townsend.experiments.table.generalise import Generalised, Ranked
from townsend.experiments.table.judge import Judged, own_weights
from townsend.report.comparison_figures import (
    det_comparison,
    learning_curve_figure,
    precision_recall_comparison,
    roc_comparison,
)
from townsend.report.event_figures import correlation_matrices, feature_distributions, projection_figure
from townsend.report.histograms import Bins
from townsend.report.importance_figures import importance_bars
from townsend.report.score_figures import confusion_matrices, reliability_curve, response_overlay, threshold_scan_figure
from townsend.tasks.base import Metric

__all__ = ["PROJECTIONS", "draw_evaluation", "draw_retrained"]

PROJECTIONS: Mapping[str, Callable[..., Projection]] = {"tsne": tsne, "umap": umap}
"""Name -> picture of features, beside the principal components that are always drawn."""

_MOST_DRAWN = 200_000  # events in the figures of features


def draw_evaluation(
    folder: Path,
    models: Mapping[str, Model],
    judged: Mapping[str, Judged],
    general: Mapping[str, Generalised],
    ranked: Mapping[str, Ranked],
    events: JudgedEvents,
    projections: Sequence[str] = (),
) -> None:
    """Write all figures as PNG: of all models and of the events into `folder`, of each model into a folder below.

    Arguments:
        folder: made here.
        models, judged, general, ranked: name -> what is known of the model.
        events: that they are judged on.
        projections: further pictures of the features, of `PROJECTIONS`.
    """
    folder.mkdir()
    _draw_comparison(folder, judged, events)
    first = next(iter(models.values()))
    _draw_events(folder, first, events)
    for name in projections:
        found = PROJECTIONS[name](np.asarray(events.events.x), np.asarray(events.events.y).astype(int))
        _draw_projection(found, first, f"{found.method}; {found.caution}", folder / f"{name}.png")
    for number, (name, one) in enumerate(judged.items()):
        own = folder / f"{number:02d}"  # names of models may be anything
        own.mkdir()
        _draw_model(own, name, one, models[name], general[name].report)
        importance = {feature: Metric(value, error) for feature, value, error in ranked[name].rows()}
        importance_bars(importance, f"{name}: what features are worth", own / "importance.png")


def draw_retrained(folder: Path, curve: LearningCurve, ranking: FeatureRanking) -> None:
    """Write what training again has shown of one model into its folder of figures."""
    sizes = [point.examples for point in curve.points]
    train, test = (
        ([getattr(p, name).value for p in curve.points], [getattr(p, name).error for p in curve.points])
        for name in ("train", "validation")
    )
    learning_curve_figure(sizes, train, test, "AUC", curve.verdict.sentence, folder / "learning-curve.png")
    lost = {" + ".join(one.features): one.drop for one in (*ranking.single, *ranking.together)}
    title = "Trained without a feature, or a group of correlated ones"
    importance_bars(lost, title, folder / "importance-retrained.png", "AUC lost without")


def _draw_projection(found: Projection, model: Model, title: str, path: Path) -> None:
    labels = ("first coordinate", "second coordinate")
    projection_figure(found.coordinates, found.labels, model.facts.classes, title, path, labels)


def _draw_comparison(folder: Path, judged: Mapping[str, Judged], events: JudgedEvents) -> None:
    at = {name: one.table for name, one in judged.items()}
    rates = {n: (t.row("false_positive_rate").value, t.row("recall").value) for n, t in at.items()}
    roc_comparison(
        {name: (one.roc.fpr, one.roc.tpr, one.table.row("auc").metric) for name, one in judged.items()},
        rates,
        "ROC curves",
        folder / "roc.png",
    )
    weights = own_weights(events.events)
    weight = np.ones(len(events.events)) if weights is None else weights
    share = float(weight[np.asarray(events.events.y) == 1].sum() / weight.sum())
    precision_recall_comparison(
        {
            name: (
                one.precision_recall.recall,
                one.precision_recall.precision,
                one.table.row("average_precision").metric,
            )
            for name, one in judged.items()
        },
        {name: (table.row("recall").value, table.row("precision").value) for name, table in at.items()},
        share,
        "Precision and recall, at the weights of the events",
        folder / "precision-recall.png",
    )
    det_comparison(
        {name: (one.det.fpr, one.det.fnr) for name, one in judged.items()},
        {name: (fpr, 1 - tpr) for name, (fpr, tpr) in rates.items()},
        "Detection error trade-off",
        folder / "det.png",
    )


def _draw_events(folder: Path, model: Model, events: JudgedEvents) -> None:
    rows = slice(None, None, max(1, -(-len(events.events) // _MOST_DRAWN)))
    weights = own_weights(events.events)
    of = np.ones(len(events.events)) if weights is None else weights
    values, label, weight = np.asarray(events.events.x)[rows], np.asarray(events.events.y)[rows].astype(int), of[rows]
    names, classes = model.facts.features, model.facts.classes
    units = [model.facts.units.get(name, "") for name in names]
    feature_distributions(values, label, weight, names, classes, "Features", folder / "features.png", units)
    correlation_matrices(values, label, weight, names, classes, "Correlations", folder / "correlations.png")
    if len(names) > 1:
        found = pca(values, label, names)
        shares = [
            f"{axis} principal component: {100 * share.value:.0f} % of the variance"
            for axis, share in zip(("first", "second"), found.explained, strict=False)
        ]
        picture, title = found.picture, f"Principal components; {found.picture.caution}"
        projection_figure(
            picture.coordinates, picture.labels, classes, title, folder / "components.png", (shares[0], shares[1])
        )


def _draw_model(folder: Path, name: str, one: Judged, model: Model, report: OvertrainingReport | None) -> None:
    threshold_scan_figure(one.scan, one.threshold, f"{name}: thresholds", folder / "thresholds.png")
    confusion_matrices(one.table.confusion, f"{name}: at threshold {one.threshold:.4g}", folder / "confusion.png")
    if one.reliability is not None:
        counts, edges = np.histogram(one.scores, bins=40, range=(0, 1))
        reliability_curve(
            one.reliability.mean_score,
            one.reliability.observed,
            one.reliability.error,
            (edges, counts),
            f"{name}: {one.verdicts[0].sentence}",
            folder / "reliability.png",
        )
    if report is not None:
        background, signal = model.facts.classes
        edges = report.signal.edges
        pairs = {background: report.background, signal: report.signal}
        overlays = {of: (Bins(*o.train.density(edges)), Bins(*o.monitor.density(edges))) for of, o in pairs.items()}
        response_overlay(edges, overlays, f"{name}: {report.verdict.sentence}", folder / "response.png", one.threshold)
