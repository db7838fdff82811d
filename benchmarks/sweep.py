"""Core-seconds of a whole grid, and until the best AUC is reached: townsend beside Keras on TensorFlow with Optuna.

Run: python benchmarks/sweep.py --tensorflow-python tfenv/bin/python

With `--work FOLDER` each measurement is kept there as one JSON file, and the same command goes on where it stopped.
`sweep_runs.py` makes the measurements, `sweep_worker.py` is one trial of the others.
"""

from __future__ import annotations

import math
import statistics
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

from epoch_contest import INSTALL
from measure import machine, parser, publish, significant, spread, table
from sweep_runs import OWN_THREADS, SINGLE, Runs, Sweep, Trial

TEXT = """\
Core-seconds are user and system time of all processes of a contestant: interpreters, imports and compilation are in.
Contestants take turns, seed by seed.
The grid is {config} ({grid} configurations, {topologies} topologies), at {examples:,} training windows, {monitor:,}
monitoring and {validation:,} validation windows of natural prevalence, at most {epochs} epochs, patience {patience}.
**The slides have 30,000 windows and 100 epochs**: a process of TensorFlow needs {start} core-seconds before its first
epoch, which weighs more in this short training; the last table says what the same costs make of the slides' size.
Median (smallest to largest) of {seeds} sweep seeds, each with its own windows and initial weights.

- **(a)** is one process a trial: Keras `fit` on TensorFlow with early stopping, best weights restored, trials asked of
  and told to Optuna's journal file. {trials} trials were measured (each seed draws {drawn}, as many of
  each topology) and scaled to the grid, stratified by topology; the error is that of the draw. With one thread, two
  processes at a time: {single} core-seconds a grid; with TensorFlow's own threads, one process at a time: {own}.
  The better one stands in the table.
- **(b)** is the same script with Optuna's Hyperband pruner (reduction factor {factor}, least {least} epochs), told the
  monitoring AUC each epoch, with one thread; {studies}.
- **(c)** is `townsend sweep --jobs 2`; it makes the arrays and the errors of all figures too, which (a) and (b) do
  not. Nothing compiled is kept from one sweep to the next. Halving: {halving}.
- **The target** is the best validation AUC of the whole grid minus its statistical error: {target}. The grid's AUCs
  are those of townsend's unpruned sweep of the same seed, as (a) was measured in part; on that part the two differ by
  {difference} (mean of townsend minus Keras, with its error; {differences} pairs). {reaching} of the {grid}
  configurations reach the target.
- **First reach** is what had been spent when a configuration at the target had been trained and judged: of (a) and
  (b) the expectation when the grid is trained in random order, of (c) as it ran, looked at once a second. Nobody knows
  that moment while searching: one who trains the grid stops at its end, which is the last column. The smaller ratio
  is the harder test of townsend.
"""


class Cost(NamedTuple):
    """Core-seconds of a whole grid with its error, and expected until the first configuration at the target."""

    total_s: float
    error_s: float
    failing_s: float
    reaching_s: float

    def first_s(self, reaching: int, grid: int) -> float:
        """Expected in random order: before the first one at the target (grid - reaching) / (reaching + 1) fail."""
        return (grid - reaching) / (reaching + 1) * self.failing_s + self.reaching_s


def stratified(trials: Sequence[Trial], grid: Sequence[Mapping[str, Any]]) -> tuple[float, float]:
    """Sum over a grid and its error, from trials drawn at random within each topology."""
    total = variance = 0.0
    for topology in {row["topology"] for row in grid}:
        size = sum(row["topology"] == topology for row in grid)
        found = [trial.cpu_s for trial in trials if trial.configuration["topology"] == topology]
        total += size * statistics.fmean(found)
        if 1 < len(found) < size:
            variance += size**2 * statistics.variance(found) / len(found) * (1 - len(found) / size)
    return total, variance**0.5


def cost_of_all(
    trials: Sequence[Trial], grid: Sequence[Mapping[str, Any]], reaching: Sequence[Mapping[str, Any]]
) -> Cost:
    """Costs of (a): those of a configuration are the mean of its topology."""
    total, error = stratified(trials, grid)

    def mean(rows: Sequence[Mapping[str, Any]]) -> float:
        return stratified(trials, rows)[0] / len(rows) if rows else 0.0

    failing = [row for row in grid if row not in reaching]
    return Cost(total, error, mean(failing), mean(reaching))


def cost_of_study(trials: Sequence[Trial], grid: int, target: float) -> tuple[Cost, int]:
    """Costs of (b), scaled to the grid where the study was cut, and how many of the grid would reach the target."""
    reached = [trial.cpu_s for trial in trials if (trial.auc or 0.0) >= target]
    failed = [trial.cpu_s for trial in trials if (trial.auc or 0.0) < target]
    total = sum(trial.cpu_s for trial in trials) * grid / len(trials)
    means = (statistics.fmean(costs) if costs else 0.0 for costs in (failed, reached))
    return Cost(total, 0.0, *means), round(len(reached) * grid / len(trials))


def measured(runs: Runs, options: Any) -> list[str]:
    """Take turns, seed by seed, and return the lines of the result."""
    seeds = range(1, options.repeats + 1)
    whole, halved, studies = [], [], []
    keras: dict[str, list[Trial]] = {SINGLE: [], OWN_THREADS: []}
    pairs: list[float] = []
    for seed in seeds:
        whole.append(runs.townsend(seed, halving=False))
        for threads, trials in keras.items():
            trials += runs.keras(seed, threads)
        pairs += differences(whole[-1], runs.keras(seed, SINGLE))
        if not options.no_halving:
            halved.append(runs.townsend(seed, halving=True))
        if seed <= options.studies:
            studies.append(runs.study(seed))
    totals = {threads: stratified(trials, runs.grid) for threads, trials in keras.items()}
    better = min(totals, key=lambda threads: totals[threads][0])
    targets = [sweep.best()["auc"] - sweep.best()["error"] for sweep in whole]
    reaching = [sweep.reaching(target) for sweep, target in zip(whole, targets, strict=True)]
    costs = [cost_of_all(keras[better], runs.grid, rows) for rows in reaching]
    numbers = [len(rows) for rows in reaching]
    rows = table_rows(costs, whole, halved, studies, targets, reaching, len(runs.grid))
    example = keras[better]
    arrays = runs.arrays(1)
    text = TEXT.format(
        config=f"`{options.config}`",
        grid=len(runs.grid),
        topologies=len({row["topology"] for row in runs.grid}),
        examples=options.examples,
        monitor=windows(arrays, "monitor"),
        validation=windows(arrays, "validation"),
        epochs=options.epochs,
        patience=options.patience,
        start=spread([trial.start_s for trial in example], 2),
        seeds=len(seeds),
        trials=len(example),
        drawn=options.trials,
        single=with_error(*totals[SINGLE]),
        own=with_error(*totals[OWN_THREADS]),
        factor=options.factor,
        least=options.least,
        studies=said_of_studies(studies, len(runs.grid)),
        halving=f"{options.kind}, least {options.least} epochs, factor {options.factor}" if halved else "not run",
        target=spread(targets, 4),
        difference=with_error(statistics.fmean(pairs), statistics.stdev(pairs) / len(pairs) ** 0.5),
        differences=len(pairs),
        reaching=f"{statistics.median(numbers):g} ({min(numbers)} to {max(numbers)})",
    )
    header = [
        "contestant",
        "core-seconds of all",
        "(a) / this",
        "first reach [core-s]",
        "(a) first / this",
        "(a) all / this",
    ]
    return [
        "",
        *table(header, rows),
        "",
        text,
        "Where townsend's core-seconds go:",
        "",
        *table(["share", "whole grid", *(["with halving"] if halved else [])], shares(whole, halved)),
        "",
        "The same costs at the slides' size, 30,000 windows and 100 epochs, in core-hours (extrapolated: training and",
        f"monitoring grow {significant(growth(options), 3)} times, all else stays; as many of the epochs are trained):",
        "",
        *table(
            ["contestant", "core-hours of all", "(a) / this"],
            at_slides_size(options, example, runs.grid, whole, halved),
        ),
    ]


def table_rows(
    costs: Sequence[Cost],
    whole: Sequence[Sweep],
    halved: Sequence[Sweep],
    studies: Sequence[Sequence[Trial]],
    targets: Sequence[float],
    reaching: Sequence[Any],
    grid: int,
) -> list[list[str]]:
    """A row a contestant; ratios are those of one sweep seed."""
    all_s = [cost.total_s for cost in costs]
    first_s = [cost.first_s(len(rows), grid) for cost, rows in zip(costs, reaching, strict=True)]
    rows = [["(a) Keras, Optuna, all trained", with_error(all_s[0], costs[0].error_s), "", spread(first_s), "", ""]]

    def row(name: str, totals: Sequence[float], firsts: Sequence[float | None]) -> list[str]:
        reached = [(one, all_s[i], first_s[i]) for i, one in enumerate(firsts) if one is not None]
        missed = f"; not in {len(firsts) - len(reached)} of {len(firsts)}" if len(reached) < len(firsts) else ""
        return [
            name,
            spread(totals),
            spread([every / one for every, one in zip(all_s, totals, strict=False)], 2),
            (spread([one for one, _, _ in reached]) if reached else "never") + missed,
            spread([first / one for one, _, first in reached], 2) if reached else "",
            spread([every / one for one, every, _ in reached], 2) if reached else "",
        ]

    found = [cost_of_study(trials, grid, target) for trials, target in zip(studies, targets, strict=False)]
    if found:
        firsts = [cost.first_s(number, grid) if number else None for cost, number in found]
        rows.append(row("(b) Keras, Optuna, Hyperband", [cost.total_s for cost, _ in found], firsts))
    for name, sweeps in (("(c) townsend, all trained", whole), ("(c) townsend, halving", halved)):
        if sweeps:
            firsts = [sweep.first_s(target) for sweep, target in zip(sweeps, targets, strict=True)]
            rows.append(row(name, [sweep.cpu_s for sweep in sweeps], firsts))
    return rows


def against_hyperband(
    studies: Sequence[Sequence[Trial]], sweeps: Sequence[Sweep], targets: Sequence[float], grid: int
) -> str:
    """One sentence on (b) beside the quickest (c) of the same seeds."""
    if not studies:
        return ""
    found = [cost_of_study(trials, grid, target) for trials, target in zip(studies, targets, strict=False)]
    totals = [cost.total_s / sweep.cpu_s for (cost, _), sweep in zip(found, sweeps, strict=False)]
    firsts = [
        cost.first_s(number, grid) / reached
        for (cost, number), sweep, target in zip(found, sweeps, targets, strict=False)
        if number and (reached := sweep.first_s(target)) is not None
    ]
    first = f"{spread(firsts, 2)} times until first reach" if firsts else "one of them did not reach the target"
    return f"- **Against (b)**: it takes {spread(totals, 2)} times the core-seconds of the last row in all, {first}.\n"


def differences(sweep: Sweep, trials: Sequence[Trial]) -> list[float]:
    """AUC of townsend minus that of Keras, of the same configurations."""
    ours = {tuple(sorted(fit["configuration"].items())): fit["auc"] for fit in sweep.fits}
    pairs = [(ours[tuple(sorted(trial.configuration.items()))], trial.auc) for trial in trials]
    return [one - other for one, other in pairs if one is not None and other is not None]


def shares(whole: Sequence[Sweep], halved: Sequence[Sweep]) -> list[list[str]]:
    """Percent of a sweep's CPU time, by what its records say."""

    def percent(sweeps: Sequence[Sweep], part: Callable[[Sweep], float]) -> str:
        return spread([100 * part(sweep) / sweep.cpu_s for sweep in sweeps], 2)

    parts: dict[str, Callable[[Sweep], float]] = {
        "start: interpreters, imports, arrays, until the first fit [%]": lambda sweep: sweep.begun_s,
        "compiling [%]": lambda sweep: sweep.compile_s,
        "training and monitoring [%]": lambda sweep: sweep.steps_s,
        "the rest: validation with errors, records, coordinator [%]": lambda sweep: sweep.rest_s,
    }
    return [[name, *(percent(sweeps, part) for sweeps in (whole, halved) if sweeps)] for name, part in parts.items()]


def said_of_studies(studies: Sequence[Sequence[Trial]], grid: int) -> str:
    if not studies:
        return "not run"
    lengths = (
        "whole studies" if all(len(trials) == grid for trials in studies) else "studies cut and scaled to the grid"
    )
    pruned = spread([100 * sum(trial.pruned for trial in trials) / len(trials) for trials in studies], 2)
    return f"{lengths} of {len(studies)} seeds, {pruned} % of the trials pruned"


def windows(arrays: Path, name: str) -> int:
    import numpy as np

    return len(np.load(arrays / f"{name}.y.npy", mmap_mode="r"))


def with_error(value: float, error: float) -> str:
    """A figure to the second digit of its error."""
    digits = 1 - math.floor(math.log10(error)) if error > 0 else 0
    return f"{round(value, digits):,.{max(digits, 0)}f} ± {round(error, digits):,.{max(digits, 0)}f}"


def growth(options: Any) -> float:
    return float(30_000 / options.examples * 100 / options.epochs)


def at_slides_size(
    options: Any, keras: Sequence[Trial], grid: Any, whole: Sequence[Sweep], halved: Sequence[Sweep]
) -> list[list[str]]:
    """Rows of what the measured costs would be for 30,000 windows and 100 epochs: training grows, all else stays."""
    more = growth(options) - 1
    grown = [trial._replace(cpu_s=trial.cpu_s + more * trial.fit_s) for trial in keras]
    theirs, error = stratified(grown, grid)
    rows = [["(a) Keras, Optuna, all trained", with_error(theirs / 3600, error / 3600), ""]]
    for name, sweeps in (("(c) townsend, all trained", whole), ("(c) townsend, halving", halved)):
        ours = [sweep.cpu_s + more * sweep.steps_s for sweep in sweeps]
        if ours:
            rows.append([name, spread([one / 3600 for one in ours], 2), spread([theirs / one for one in ours], 2)])
    return rows


def main() -> None:
    options = parser("Core-seconds of a sweep, beside Keras on TensorFlow with Optuna.", repeats=5)
    options.add_argument("--tensorflow-python", help="interpreter that has Keras, TensorFlow and Optuna; default: this")
    options.add_argument("--config", default="peaks.yaml", help="a shipped grid (default %(default)s, the slides')")
    options.add_argument("--examples", type=int, default=6_000, help="training windows (default %(default)s)")
    options.add_argument("--epochs", type=int, default=30, help="epochs at most (default %(default)s)")
    options.add_argument("--patience", type=int, default=9, help="epochs without a lower loss (default %(default)s)")
    options.add_argument("--waveforms", type=int, default=60, help="validation waveforms (default %(default)s)")
    options.add_argument("--trials", type=int, default=4, help="trials of (a) a seed (default %(default)s)")
    options.add_argument("--studies", type=int, default=1, help="seeds of which (b) is run (default %(default)s)")
    options.add_argument("--study-trials", type=int, default=144, help="trials of a study (default %(default)s)")
    options.add_argument("--kind", default="successive", help="halving: successive or hyperband (default %(default)s)")
    options.add_argument("--least", type=int, default=3, help="epochs before the first rung (default %(default)s)")
    options.add_argument("--factor", type=int, default=3, help="one of so many goes on (default %(default)s)")
    options.add_argument("--no-halving", action="store_true", help="leave (c) with halving out")
    options.add_argument("--work", type=Path, help="folder for measurements; the same command goes on there")
    given = options.parse_args()
    python = given.tensorflow_python or (sys.executable if find_spec("tensorflow") else None)
    if python is None:
        sys.exit(INSTALL)
    description = machine(("townsend", "keras", "jax", "optuna", "numpy"), of_cpu=True)
    with tempfile.TemporaryDirectory() as name:
        folder = (given.work or Path(name)).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        lines = measured(Runs(folder, python, given), given)
    publish("sweep", [*description, *lines], given.results)


if __name__ == "__main__":
    main()
