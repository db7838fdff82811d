"""Electrons and pions in GlueX: cuts against the slides' network in three frameworks, beside the slides' figures.

Five samples of each setting of the simulation, and eta decays selected with what was trained on the first of each. All
is done in this process, so that Keras is imported once; without PyTorch its rows are left out.
Run: python benchmarks/gluex.py
"""

from __future__ import annotations

import math
import os
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from measure import HERE, machine, parser, progress, publish, table
from numpy.typing import NDArray

Scores = NDArray[np.float32]
Setting = Literal["nominal", "tuned"]
Figures = dict[str, float]
Selection = Callable[[NDArray[np.float32]], NDArray[np.bool_]]

EXAMPLE = HERE.parent / "examples" / "gluex"
SETTINGS: tuple[Setting, ...] = ("nominal", "tuned")
COLUMNS = {
    "recall": "TPR",
    "false_positive_rate": "FPR",
    "corner_distance_squared": "squared distance",
    "threshold": "threshold",
    "accuracy": "accuracy",
    "auc": "AUC",
}
SLIDES = [
    ["slides, cuts", "0.85", "0.11", "", "", "0.87", ""],
    ["slides, scikit MLP", "0.92", "0.06", "0.0094", "0.47", "0.93", ""],
    ["slides, Keras MLP", "0.92", "0.06", "0.0094", "0.43", "0.93", ""],
    ["slides, random search", "0.93", "0.06", "0.0092", "0.44", "0.933", ""],
]
GAIN = (0.04, 0.08)  # in accuracy, of the network over the cuts
SLIDES_ACCURACY, WITHIN = {"cuts": 0.87, "network": 0.93}, 0.015
ALARM = 0.01  # chance that any of the differences between frameworks is called one, were there none

TEXT = """\
{tracks:,} simulated tracks a sample, half electrons; {train:,} train, {monitor:,} stop and choose the threshold,
{test:,} are judged. Mean over {seeds} samples, its error, and in brackets the standard deviation between samples; the
finite number of judged tracks alone makes {noise:.4f} of that of a network's accuracy. The squared distance is
(1 - TPR)² + FPR² at a threshold that made it smallest on other tracks; the slides print the smallest one as d(t). All
networks: 6-8-5-1, {parameters} parameters, ReLU and sigmoid, `examples/gluex/torch.yaml`.
"""
DIFFERENCES = """\
Frameworks are compared by differences that are paired by sample, both settings together, with Student's test. The
chance that any of these lines says **no** of frameworks that do not differ is at most {alarm:.0f} %.
"""
ETA = """\
{decays:,} decays, one in seven to electrons, selected where both tracks are called electrons, by the networks of the
first sample. S/B over all masses. "Width ×" is that of the selected over that of all signal; p is the chance of a
distance (Kolmogorov-Smirnov) as large between selected and rejected signal, were the selection blind to the mass.
"""


def one_sample(
    setting: Setting, seed: int, options: Any, folder: Path
) -> tuple[dict[str, Figures], dict[str, Selection]]:
    """Return the figures of the cuts and of each network on one sample, and what each calls electrons."""
    from townsend.api import simulate_gluex
    from townsend.experiments.gluex.reference_cuts import passes_cuts
    from townsend.experiments.gluex.response import INPUTS
    from townsend.experiments.gluex.settings import GluexSettings
    from townsend.experiments.table.analysis_settings import load_analysis
    from townsend.experiments.table.task import task

    sample = simulate_gluex(options.tracks, folder, GluexSettings(seed=seed, setting=setting))
    analysis, _ = load_analysis(EXAMPLE / "torch.yaml", sample)
    arrays = task.prepare(sample, task.settings(analysis.task_settings), seed)
    scorers: dict[str, Callable[[Any], Scores]] = {
        "cuts": lambda x: passes_cuts(dict(zip(INPUTS, x.T, strict=True))).astype(np.float32)
    }
    figures: dict[str, Figures] = {"cuts": {}}
    for name, model in analysis.models.items():
        if model["network"] == "torch" and find_spec("skorch") is None:
            progress('no skorch: the PyTorch network is left out; pip install "townsend[torch]"')
            continue
        scorers[name], figures[name] = trained(model, arrays, seed)
    selections: dict[str, Selection] = {}
    for name, scores in scorers.items():
        chosen = task.evaluate(arrays, "validation", scores(arrays.splits["validation"].x), None).threshold
        threshold = 0.5 if chosen is None else chosen  # 1 for the cuts, whose scores are 0 and 1
        found = task.evaluate(arrays, "test", scores(arrays.splits["test"].x), threshold).metrics
        figures[name] |= {figure: found[figure].value for figure in COLUMNS if figure in found}
        figures[name] |= {"threshold": threshold, "accuracy_error": found["accuracy"].error}
        figures[name] |= {split: len(arrays.splits[split]) for split in ("train", "monitor", "test")}
        selections[name] = lambda x, scores=scores, threshold=threshold: scores(x) >= threshold  # type: ignore[misc]
        progress(f"{setting}, seed {seed}, {name}: accuracy {figures[name]['accuracy']:.4f}")
    return figures, selections


def trained(model: Mapping[str, Any], arrays: Any, seed: int) -> tuple[Callable[[Any], Scores], Figures]:
    """Train one model of the analysis as a sweep of one configuration would; return its scores and size."""
    from townsend.networks.build_file import load_build
    from townsend.tasks.registry import find_task
    from townsend.training.bracket import BracketWork, open_trainer
    from townsend.training.keras_trainer import TrainSettings
    from townsend.training.records import Bracket, Fit, Rung

    task = find_task("table")
    build = load_build(EXAMPLE / "torch_mlp.py") if model["network"] == "torch" else None
    fit = Fit(0, seed, {name: values[0] for name, values in model["space"].items()})
    settings = TrainSettings(model.get("epochs", 1), model.get("patience", 1))  # scikit-learn's are in its space
    work = BracketWork(
        Bracket(0, (fit,), ()), task.name, model["network"], settings, build=build.sha256 if build else ""
    )
    trainer = open_trainer(work, task, build)
    ((_, done),) = trainer.advance([(fit, None)], [arrays], Rung(1 << 62))
    return lambda x: trainer.scores(fit, done, x, [arrays]), {"parameters": done.parameters}


def eta_rows(setting: Setting, selections: Mapping[str, Selection], decays: int) -> list[list[str]]:
    """Return a row a selection of eta decays, and one before any."""
    from townsend.experiments.gluex.columns import eta_decays, track_of
    from townsend.experiments.gluex.eta_decays import TRACKS
    from townsend.experiments.gluex.eta_mass import signal_shape
    from townsend.experiments.gluex.response import INPUTS
    from townsend.experiments.gluex.settings import GluexSettings

    found = eta_decays(GluexSettings(seed=1, setting=setting), 0, decays)
    whole = found["reconstructed"] == 1
    sides = [track_of(found, side) for side in TRACKS]
    inputs = [np.column_stack([one[name] for name in INPUTS]).astype(np.float32)[whole] for one in sides]
    rows: list[list[str]] = []
    for name, electrons in selections.items():
        passed = np.logical_and(*(electrons(x) for x in inputs))
        shape = signal_shape(found["m_eegamma"][whole], found["label"][whole] == 1, passed)
        if not rows:
            rows.append([f"{setting}, before", "1", "1", of(shape.ratio, 3), "", "", ""])
        kept = [of(shape.efficiency, 3), of(shape.background_efficiency, 4), of(shape.ratio_selected, 1)]
        verdict = "undisturbed" if shape.verdict.ok else shape.verdict.sentence
        rows.append([f"{setting}, {name}", *kept, of(shape.width_ratio, 3), f"{shape.p_value:.2g}", verdict])
    return rows


def of(metric: Any, digits: int) -> str:
    return "" if metric is None else f"{metric.value:.{digits}f} ± {metric.error:.{digits}f}"


def mean_error(values: Sequence[float]) -> tuple[float, float]:
    deviation = np.std(values, ddof=1) if len(values) > 1 else math.nan
    return float(np.mean(values)), float(deviation / math.sqrt(len(values)))


def cell(values: Sequence[float], digits: int) -> str:
    mean, error = mean_error(values)
    return f"{mean:.{digits}f} ± {error:.{digits}f} ({error * math.sqrt(len(values)):.{digits}f})"


def row(setting: str, name: str, samples: Sequence[Figures]) -> list[str]:
    def shown(figure: str) -> str:
        if name == "cuts" and figure in ("threshold", "auc"):
            return ""
        return cell([one[figure] for one in samples], 5 if figure == "corner_distance_squared" else 4)

    return [f"{setting}, {name}", *(shown(figure) for figure in COLUMNS)]


def verdicts(found: Mapping[Setting, Sequence[Mapping[str, Figures]]]) -> list[str]:
    """Return a line a question; `found` holds setting -> sample -> model -> figures."""
    networks = [name for name in found["nominal"][0] if name != "cuts"]

    def accuracies(setting: Setting, name: str, figure: str = "accuracy") -> NDArray[np.float64]:
        return np.array([sample[name][figure] for sample in found[setting]])

    lines = []
    for name in networks:
        gain, error = mean_error(list(accuracies("nominal", name) - accuracies("nominal", "cuts")))
        words = f"nominal: {name} is {gain:.4f} ± {error:.4f} above the cuts in accuracy"
        lines.append(verdict(GAIN[0] <= gain <= GAIN[1], f"{words} (asked for: {GAIN[0]} to {GAIN[1]})"))
    for name in ("cuts", *networks):
        mean, error = mean_error(list(accuracies("tuned", name)))
        slides = SLIDES_ACCURACY["cuts" if name == "cuts" else "network"]
        words = f"tuned: {name} has an accuracy of {mean:.4f} ± {error:.4f}, the slides {slides}"
        lines.append(verdict(abs(mean - slides) <= WITHIN, f"{words} (asked for: within {WITHIN})"))
    pairs = list(combinations(networks, 2))
    for figure in ("accuracy", "auc"):
        for one, other in pairs:
            apart = np.concatenate([accuracies(s, one, figure) - accuracies(s, other, figure) for s in SETTINGS])
            lines.append(agreement(f"{one} and {other}", figure, list(apart), ALARM / (2 * len(pairs))))
    return lines


def agreement(names: str, figure: str, apart: Sequence[float], alarm: float) -> str:
    """Return what Student's test says of paired differences."""
    from scipy.stats import t

    mean, error = mean_error(apart)
    degrees = len(apart) - 1
    p, needed = 2 * t.sf(abs(mean / error), degrees), error * t.isf(alarm / 2, degrees)
    words = f"{names} differ by {mean:+.4f} ± {error:.4f} in {COLUMNS[figure]} over {len(apart)} samples, p {p:.2g}"
    return verdict(p >= alarm, f"{words}; beyond ± {needed:.4f} it would have been called a difference")


def verdict(ok: bool, words: str) -> str:
    return f"- {'ok' if ok else '**no**'}: {words}"


def main() -> None:
    options = parser("Cuts and networks on GlueX's electrons and pions.", repeats=5)
    options.add_argument("--tracks", type=int, default=60_000, help="of each sample (default %(default)s)")
    options.add_argument("--decays", type=int, default=100_000, help="of the eta, a setting (default %(default)s)")
    given = options.parse_args()
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    packages = ("townsend", "scikit-learn", "keras", "jax", "torch", "skorch", "numpy", "scipy")
    where, versions = machine(packages)
    found: dict[Setting, list[dict[str, Figures]]] = {setting: [] for setting in SETTINGS}
    etas: list[list[str]] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, setting in enumerate(SETTINGS):
            for repeat in range(given.repeats):
                seed = 1 + repeat + number * given.repeats  # no two samples share a seed, so that all are independent
                figures, selections = one_sample(setting, seed, given, Path(folder) / f"{setting}-{seed}")
                found[setting].append(figures)
                if repeat == 0:
                    etas += eta_rows(setting, selections, given.decays)
    names = list(found["nominal"][0])
    of_network = found["nominal"][0][names[-1]]
    numbers = {split: int(of_network[split]) for split in ("train", "monitor", "test")}
    text = TEXT.format(
        tracks=given.tracks,
        seeds=given.repeats,
        noise=of_network["accuracy_error"],
        parameters=" or ".join(sorted({f"{found['nominal'][0][name]['parameters']:.0f}" for name in names[1:]})),
        **numbers,
    )
    rows = [row(setting, name, [one[name] for one in found[setting]]) for setting in SETTINGS for name in names]
    header = ["decays", "signal kept", "background kept", "S/B", "width ×", "p", "shape"]
    lines = [
        f"{where.partition(';')[0]}; no times are measured, so its load does not matter.",
        versions,
        "",
        *table(["tracks", *COLUMNS.values()], [*rows, *SLIDES]),
        "",
        *text.splitlines(),
        "",
        *verdicts(found),
        "",
        *DIFFERENCES.format(alarm=100 * ALARM).splitlines(),
        "",
        *table(header, etas),
        "",
        *ETA.format(decays=given.decays).splitlines(),
        "",
        f"All of it took {time.process_time() / 60:.1f} minutes of CPU time.",
    ]
    publish("gluex", lines, given.results)


if __name__ == "__main__":
    main()
