"""What a proposal costs beside training, in memory, at growing lengths; beside Optuna's own loop with its sampler.

Run: python benchmarks/proposals.py            (TPE to 10,000 trials takes an hour or two a turn)
     python benchmarks/proposals.py --most 1000
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from measure import in_turns, machine, parser, publish, ratios, significant, spread, table

from townsend.sweep.hyperparameter import Range, Space
from townsend.sweep.proposals import Proposals
from townsend.sweep.space import grid_configurations, random_configurations
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

if TYPE_CHECKING:
    from optuna import Trial

LISTS: Space = {
    "topology": ["8 16 1", "4 8 1"],
    "activations": ["relu sigmoid", "tanh sigmoid"],
    "optimizer": ["adam", "sgd"],
}
NUMBERS: Space = {
    "dropout": Range(low=0.0, high=0.5),
    "batch_size": Range(low=10, high=300, log=True),
    "learning_rate": Range(low=1e-4, high=0.1, log=True),
}
GRID: Space = {**LISTS, **{f"{name}": list(range(24)) for name in NUMBERS}}  # 110,592 configurations
SPACES = {"grid": GRID, "cmaes": NUMBERS}
LENGTHS = {
    "grid": (100, 1_000, 10_000, 100_000),
    "random": (100, 1_000, 10_000, 100_000),
    "walk": (100, 1_000, 10_000),
    "cmaes": (100, 1_000, 10_000),
    "tpe": (100, 1_000, 10_000),
    "gp": (100,),
}
COMPARED = ("tpe", "gp", "cmaes")


def space_of(sampler: str) -> Space:
    return SPACES.get(sampler, {**LISTS, **NUMBERS})


def result(configuration: dict[str, Any]) -> float:
    return 0.8 + float(configuration["learning_rate"]) - 0.1 * float(configuration["dropout"])


def ours_ms(sampler: str, trials: int) -> float:
    """Milliseconds of CPU a trial, the mean over all; a trial is one ask and one tell."""
    space = space_of(sampler)
    began = time.process_time()
    if sampler in ("grid", "random"):
        make = grid_configurations if sampler == "grid" else random_configurations
        make(space, 1, trials)
    else:
        proposals = Proposals(space, sampler, 1, (Objective("auc", maximise=True),), lag=1, trials=trials)
        for number in range(trials):
            metrics = {"auc": Metric(result(proposals.ask()), 0.01)}
            proposals.tell(FitRecord(number, 0, {}, Outcome.FINISHED, metrics=metrics))
    return 1e3 * (time.process_time() - began) / trials


def optunas_ms(sampler: str, trials: int) -> float:
    """The same of `study.optimize` in memory, one trial after the other."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    kinds = {"tpe": optuna.samplers.TPESampler, "gp": optuna.samplers.GPSampler, "cmaes": optuna.samplers.CmaEsSampler}

    def objective(trial: Trial) -> float:
        lists = {} if sampler == "cmaes" else {k: trial.suggest_categorical(k, v) for k, v in LISTS.items()}
        numbers = {
            "dropout": trial.suggest_float("dropout", 0.0, 0.5),
            "batch_size": trial.suggest_int("batch_size", 10, 300, log=True),
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 0.1, log=True),
        }
        return result({**lists, **numbers})

    began = time.process_time()
    study = optuna.create_study(direction="maximize", sampler=kinds[sampler](seed=1))
    study.optimize(objective, n_trials=trials)
    return 1e3 * (time.process_time() - began) / trials


def peak_mb(sampler: str, trials: int) -> float:
    """Peak memory of a process that makes so many proposals and nothing else."""
    command = [sys.executable, __file__, "--alone", sampler, str(trials)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main() -> None:
    options = parser("Cost of a proposal.", repeats=3)
    options.add_argument("--most", type=int, default=100_000, help="longest sweep, in trials (default %(default)s)")
    options.add_argument("--alone", nargs=2, metavar=("SAMPLER", "TRIALS"), help="print the peak memory of one [MB]")
    chosen = options.parse_args()
    if chosen.alone:
        ours_ms(chosen.alone[0], int(chosen.alone[1]))
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    description = machine(("townsend", "optuna", "cmaes", "torch"), of_cpu=True)
    contests = [(sampler, n) for sampler, lengths in LENGTHS.items() for n in lengths if n <= chosen.most]
    contestants: dict[str, Callable[[], float]] = {}
    for sampler, trials in contests:
        contestants[f"{sampler}, {trials:,}"] = partial(ours_ms, sampler, trials)
        if sampler in COMPARED:
            contestants[f"Optuna's {sampler}, {trials:,}"] = partial(optunas_ms, sampler, trials)
    for sampler in LENGTHS:
        ours_ms(sampler, 12)  # what is imported late is imported now
    found = in_turns(contestants, chosen.repeats)
    rows = []
    for sampler, trials in contests:
        name = f"{sampler}, {trials:,}"
        theirs = found.get(f"Optuna's {name}")
        ratio = spread(ratios(found[name], theirs)) if theirs else ""
        memory = significant(peak_mb(sampler, trials)) if trials <= 1_000 or theirs is None else "not measured"
        rows.append([name, spread(found[name]), spread(theirs) if theirs else "", ratio, memory])
    lines = [
        *description,
        "",
        *table(["sampler, trials", "a trial [CPU ms]", "Optuna [CPU ms]", "ratio", "peak memory [MB]"], rows),
        "",
        f"Median (smallest to largest) of {chosen.repeats} turns. A trial is one ask and one tell, each result known",
        "before the next ask; the mean over all trials. CPU time of all threads, which other programs hardly",
        "change: what a proposal takes from the workers beside it.",
        "Optuna: `study.optimize` in memory with the same",
        f"sampler of the same settings. {len(LISTS)} lists and {len(NUMBERS)} ranges; cmaes the ranges alone; the grid",
        "lists of 24 for these. Peak memory of a process that does nothing else, libraries included.",
    ]
    publish("proposals", lines, chosen.results)


if __name__ == "__main__":
    main()
