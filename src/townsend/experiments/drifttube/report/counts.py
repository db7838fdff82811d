"""Final distributions of a report: true, detected and predicted numbers, bias before and after calibration.

What to use when
----------------
- `count_section`: distributions, fits and bias; `headline`: the figures of the whole line in one table.
- `result_sentence`: what the run found, in a few sentences.
- `way_verdict`: how far the clusteriser comes from path length alone to perfect times.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.gaussian import GaussianFit, fit_gaussian, mixed_poisson, poisson_comparison, unit_edges
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.clusters.cluster_task import CEILING_REFERENCE
from townsend.experiments.drifttube.reconstruction.output import Reconstructed
from townsend.experiments.drifttube.report.links import Parts
from townsend.experiments.drifttube.report.slides import SLIDES
from townsend.experiments.drifttube.report.sweeps import metric_of
from townsend.report.embed import drawn
from townsend.report.markup import Content, Markup, data_table, join, paragraph, picture, tag
from townsend.report.regression_figures import Numbers, by_position_figure, number_figure
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import CEILING, Metric

__all__ = ["count_section", "headline", "result_sentence", "way_verdict"]

_FIXED_CM = 0.08  # where no clusteriser says what it took
_LEAST_OF_THE_WAY = 0.85
_IMPACT_BINS = 10
_FEWEST = 50
_TAIL = 0.001


def _new(summary: Mapping[str, Any]) -> str:
    return " that nothing was trained or calibrated on" if summary.get("separate") else ""


def result_sentence(parts: Parts, counted: Reconstructed | None) -> Markup:
    """Return what the run found; what it does not hold is passed over."""
    said: list[Content] = []
    if counted is not None:
        figures = _figures(counted.summary)
        true, after = figures("mean_true_clusters"), figures("mean_clusters")
        said += [
            f"On {len(counted):,} simulated waveforms{_new(counted.summary)}, the reconstruction counts ",
            tag("b", f"{shown(after)} clusters"),
            f" a waveform where {shown(true)} are true. Its bias is ",
            tag("b", _percent(figures("after.relative_bias"))),
            f" after calibration and {_percent(figures('before.relative_bias'))} before. ",
        ]
    if parts.clusteriser.model is not None:
        model = parts.clusteriser.model
        said.append(
            f"The clusteriser explains R² = {shown(metric_of(model, 'r2'))} of the spread of the number of clusters; "
            f"the path length alone explains {shown(metric_of(model, 'path.r2'))}, perfect arrival times would "
            f"{shown(metric_of(model, f'{CEILING_REFERENCE}.r2'))}. "
        )
    if parts.finder.model is not None:
        model = parts.finder.model
        said.append(
            f"The peak finder has an AUC of {shown(metric_of(model, 'auc_all'))} on candidates and F1 = "
            f"{shown(metric_of(model, 'resolvable.f1'))} on resolvable arrivals at natural prevalence. "
        )
    return paragraph(*said, class_="lead") if said else paragraph("Nothing was trained yet.", class_="lead")


def _figures(summary: Mapping[str, Any]) -> Any:
    """Return a function name -> figure of the summary of a reconstruction."""

    def figure(name: str) -> Metric:
        pair = summary.get("figures", {}).get(name, (None, None))
        return Metric(*(math.nan if part is None else float(part) for part in pair))

    return figure


def _percent(metric: Metric) -> str:
    if not math.isfinite(metric.value):
        return "-"
    return f"({100 * metric.value:+.2f} ± {100 * metric.error:.2f}) %"


def way_verdict(parts: Parts) -> tuple[Verdict, ...]:
    """Return how far the clusteriser comes on the way from path length alone to the ceiling, in R2."""
    model = parts.clusteriser.model
    found = metric_of(model, "of_the_way") if model else Metric(math.nan, math.nan)
    if model is None or not math.isfinite(found.value):
        return ()
    low, high = metric_of(model, "path.r2"), metric_of(model, f"{CEILING_REFERENCE}.r2")
    way = (
        f"the clusteriser goes {100 * found.value:.1f} ± {100 * found.error:.1f} % of the way in R² from path length "
        f"alone ({low.value:.3f}) to perfect arrival times ({high.value:.3f})"
    )
    found_ceiling = metric_of(model, "boosted_resolvable.r2")
    limit = f"; resolvable times would reach R² {found_ceiling.value:.3f}" if math.isfinite(found_ceiling.value) else ""
    return (Verdict(found.value >= _LEAST_OF_THE_WAY, way + limit),)


def headline(parts: Parts, counted: Reconstructed | None) -> Markup:
    """Return the figures of the line in one table: value, what it could be at best, the slides."""
    rows: list[tuple[Content, ...]] = []
    groups: dict[int, str] = {}
    for title, found in (
        ("numbers of a waveform, by the reconstruction", _result_rows(counted) if counted is not None else []),
        ("clusteriser", _clusteriser_rows(parts)),
        ("peak finder", _finder_rows(parts)),
    ):
        if found:
            groups[len(rows)] = title
            rows += found
    if not rows:
        return join()
    header = ("", "found", "at best", "without a network", "slides")
    caption = (
        "Figures on test sets, with errors of one standard deviation. At best: what truth alone allows. Without a "
        "network: a threshold on the derivative (numbers), the path length alone (clusteriser). The slides' MSE is of "
        "another label, their AUC of a balanced set"
    )
    return data_table(header, rows, caption, groups=groups)


def _finder_rows(parts: Parts) -> list[tuple[Content, ...]]:
    model = parts.finder.model
    if model is None:
        return []

    def row(label: str, name: str, slides: str = "-") -> tuple[Content, ...]:
        return (label, shown(metric_of(model, name)), shown(metric_of(model, name + CEILING)), "-", slides)

    return [
        row("AUC, all candidates", "auc_all", f"{SLIDES.auc:.4f}"),
        row("AUC, candidates in the drift interval", "auc_drift"),
        row("F1, resolvable arrivals", "resolvable.f1"),
        row("efficiency, resolvable arrivals", "resolvable.efficiency"),
        row("purity, resolvable arrivals", "resolvable.purity"),
        row("F1, all visible electrons", "all.f1"),
    ]


def _clusteriser_rows(parts: Parts) -> list[tuple[Content, ...]]:
    model = parts.clusteriser.model
    if model is None:
        return []

    def row(label: str, name: str, slides: str = "-") -> tuple[Content, ...]:
        prefix, _, figure = name.rpartition(".")
        base = f"{prefix}.path.{figure}" if prefix else f"path.{figure}"
        cells = (shown(metric_of(model, key)) for key in (name, name + CEILING, base))
        return (label, *cells, slides)

    near = f"|b| < {fixed_cm(parts):g} cm"
    return [
        row("MSE, all b", "mse", f"{SLIDES.mse:.2f}"),
        row("MAE, all b", "mae"),
        row("R², all b", "r2"),
        row("MSE / mean, all b", "mse_per_mean"),
        row(f"MSE, {near}", "fixed.mse"),
        row(f"R², {near}", "fixed.r2"),
    ]


def _result_rows(counted: Reconstructed) -> list[tuple[Content, ...]]:
    figures = _figures(counted.summary)

    def row(label: str, name: str, plain: str, slides: str) -> tuple[Content, ...]:
        show = _percent if name.endswith("relative_bias") else shown
        return (label, show(figures(name)), "-", show(figures(plain)) if plain else "-", slides)

    of_slides = f"{100 * SLIDES.relative_bias:+.1f} %"
    return [
        row("true clusters", "mean_true_clusters", "", f"{SLIDES.true_clusters:g}"),
        row("detected peaks", "mean_peaks", "", f"{SLIDES.detected_peaks:g}"),
        row("counted clusters", "mean_clusters", "mean_deriv_clusters", f"{SLIDES.predicted_clusters:g}"),
        row("bias before calibration", "before.relative_bias", "deriv.relative_bias", of_slides),
        row("bias after calibration", "after.relative_bias", "", "-"),
        row("MSE after calibration", "after.mse", "deriv.mse", "-"),
    ]


# ---- distributions


def fixed_cm(parts: Parts) -> float:
    """Return the distance from the wire within which tracks count as of one path length."""
    model = parts.clusteriser.model
    return float(model.card["facts"]["fixed_impact_cm"]) if model else _FIXED_CM


def count_section(parts: Parts, counted: Reconstructed) -> Markup:
    """Return distributions over all impact parameters and at fixed path, then the bias along the impact parameter."""
    true, impact, path = counted.true_clusters, counted.impact_cm, counted.path_cm
    if true is None or impact is None or path is None:
        msg = f"{counted.folder} must hold truth to be compared with; reconstruct a simulated sample"
        raise InputError(msg)
    near = fixed_cm(parts)
    fixed = np.abs(impact) < near
    places: list[tuple[str, NDArray[np.bool_]]] = [("all impact parameters", np.ones(len(true), bool))]
    if _FEWEST <= np.count_nonzero(fixed) < len(fixed):
        places.append((f"|b| < {near:g} cm: one path length", fixed))
    shown_places = [_distributions(counted, name, inside) for name, inside in reversed(places)]
    return join(*shown_places, _slides_beside(counted), _thirds(counted), _by_impact(counted))


def _columns(counted: Reconstructed, inside: NDArray[np.bool_]) -> list[Numbers]:
    true, path = counted.true_clusters, counted.path_cm
    assert true is not None  # noqa: S101 - asked for by `count_section`
    assert path is not None  # noqa: S101
    return [
        Numbers("true clusters", true[inside], "truth"),
        Numbers("detected peaks", counted.n_peaks[inside], "detected"),
        Numbers("predicted, before calibration", counted.n_clusters_uncalibrated[inside], "before"),
        Numbers("predicted, after calibration", counted.n_clusters[inside], "after"),
    ]


def _distributions(counted: Reconstructed, name: str, inside: NDArray[np.bool_]) -> Markup:
    columns, path = _columns(counted, inside), counted.path_cm
    edges = _edges(columns)
    outside = max(int(np.count_nonzero(column.values > edges[-1])) for column in columns)
    assert path is not None  # noqa: S101
    expected = path[inside].astype(np.float64)
    known = bool(np.isfinite(expected).all())
    expected = expected if known else np.ones(len(expected))
    means = columns[0].values.sum() / expected.sum() * expected
    columns[0] = Numbers(columns[0].name, columns[0].values, columns[0].role, mixed_poisson(means, edges))
    draw = partial(number_figure, columns, edges, f"{name}: {np.count_nonzero(inside):,} waveforms")
    image = drawn(lambda place: draw(place, "number of a waveform"))
    caption = (
        "Grey outline: the truth again. Points: a Poisson distribution for each waveform, "
        f"{'its mean in proportion to the path in the tube' if known else 'all of one mean, paths are unknown'}. "
        "Curves: Gaussian fits"
    )
    caption += f"; at most {outside} waveforms of a panel lie beyond its axis." if outside else "."
    spread = poisson_comparison(columns[0].values, means)
    return join(
        tag("h3", name),
        picture(image, f"True, detected and predicted numbers with Gaussian fits, {name}", caption),
        _fit_table(columns, edges, name),
        paragraph(f"Truth around {'its own path' if known else 'its mean'}: {spread.verdict.sentence}.", class_="soft"),
    )


def _edges(columns: list[Numbers]) -> NDArray[np.float64]:
    """Return bins for all but the outermost of each thousand: a delta electron must not squeeze all others together."""
    kept = [np.quantile(column.values, [_TAIL, 1 - _TAIL]) for column in columns]
    return unit_edges(*kept)


def _fit_table(columns: list[Numbers], edges: NDArray[np.float64], name: str) -> Markup:
    rows = []
    for column in columns:
        values = np.asarray(column.values, np.float64)
        average = Metric(float(values.mean()), float(values.std(ddof=1) / math.sqrt(len(values))))
        dispersion = poisson_comparison(values).dispersion if values.mean() > 0 else Metric(math.nan, math.nan)
        rows.append((column.name, shown(average), *_fit_cells(values, edges), shown(dispersion)))
    header = ("", "mean", "Gaussian mean", "Gaussian sigma", "χ² / ndf", "p", "variance / mean")
    return data_table(header, rows, f"{name}; variance / mean is 1 for Poisson counts of one mean")


def _fit_cells(values: NDArray[np.float64], edges: NDArray[np.float64]) -> tuple[str, str, str, str]:
    try:
        fit: GaussianFit = fit_gaussian(values, edges)
    except InputError:
        return ("-", "-", "-", "-")
    doubt = "" if fit.valid else " (not valid)"
    quality = f"{fit.chi2:.0f} / {fit.ndf}" if fit.ndf else "-"
    return (shown(fit.mean) + doubt, shown(fit.sigma), quality, f"{fit.p:.2g}" if fit.ndf else "-")


def _slides_beside(counted: Reconstructed) -> Markup:
    figures = _figures(counted.summary)
    return paragraph(
        f"The slides' prediction, {SLIDES.predicted_clusters:g} clusters, lies {-100 * SLIDES.relative_bias:.0f} % "
        f"under their truth of {SLIDES.true_clusters:g}. Here the same difference is "
        f"{_percent(figures('before.relative_bias'))} before and {_percent(figures('after.relative_bias'))} after a "
        "calibration fitted on a separate simulation."
    )


def _thirds(counted: Reconstructed) -> Markup:
    rows = []
    for third in counted.summary.get("thirds", []):
        figures, (low, high) = _figures(third), third["impact_cm"]
        rows.append(
            (
                f"{low:.3f} to {high:.3f} cm",
                f"{third['waveforms']:,}",
                shown(figures("before.mse")),
                shown(figures("after.mse")),
                _percent(figures("before.relative_bias")),
                _percent(figures("after.relative_bias")),
            )
        )
    caption = "Thirds of the impact parameter; bias as a share of the true mean"
    header = ("|b|", "waveforms", "MSE before", "MSE after", "bias before", "bias after")
    return data_table(header, rows, caption) if rows else join()


def _by_impact(counted: Reconstructed) -> Markup:
    true, impact = counted.true_clusters, counted.impact_cm
    assert true is not None  # noqa: S101
    assert impact is not None  # noqa: S101
    distance = np.abs(impact).astype(np.float64)
    if not np.isfinite(distance).all():
        return join()
    edges = np.linspace(0, float(distance.max()) * (1 + 1e-9) + 1e-12, _IMPACT_BINS + 1)
    predicted = {"before": counted.n_clusters_uncalibrated, "after": counted.n_clusters}
    title = f"before and after calibration: {len(true):,} waveforms"
    draw = partial(by_position_figure, distance, true, predicted, edges, title)
    caption = (
        "Mean and spread of predicted minus true, in clusters, along the distance of the track from the wire. Dotted "
        "in the lower panel: the square root of the true mean, the spread of Poisson counts."
    )
    image = drawn(lambda place: draw(place, "|impact parameter| [cm]"))
    return picture(image, "Bias and resolution along the impact parameter, before and after calibration", caption)
