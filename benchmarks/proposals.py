"""What a proposal costs beside training: one ask and one tell of each sampler, in memory, at growing lengths.

Run: python benchmarks/proposals.py
"""

from __future__ import annotations

import resource
import time
from collections.abc import Mapping
from functools import partial

from measure import in_turns, machine, parser, publish, spread, table

from townsend.sweep.conditions import Drawn
from townsend.sweep.proposals import Proposals
from townsend.sweep.settings import Range
from townsend.tasks.base import Metric, Objective
from townsend.training.records import FitRecord, Outcome

SPACE: Mapping[str, Drawn] = {
    "topology": ["8 16 1", "4 8 1"],
    "activations": ["relu sigmoid", "tanh sigmoid"],
    "dropout": Range(low=0.0, high=0.5),
    "optimizer": ["adam", "sgd"],
    "batch_size": Range(low=10, high=300, log=True),
    "learning_rate": Range(low=1e-4, high=0.1, log=True),
}
LENGTHS = {"random": (100, 1_000, 10_000), "walk": (100, 1_000, 10_000), "tpe": (100, 1_000)}
LAG = 8


def trial_ms(sampler: str, trials: int) -> float:
    """Mean over the last tenth of the trials: what a trial costs at that length."""
    proposals = Proposals(SPACE, sampler, 1, Objective("auc", maximise=True), LAG, trials)
    last = trials - trials // 10
    began = 0.0
    for number in range(trials):
        if number == last:
            began = time.perf_counter()
        while proposals.can_ask:
            configuration = proposals.ask()
        value = 0.8 + float(configuration["learning_rate"]) - 0.1 * float(configuration["dropout"])
        record = FitRecord(number, 0, {}, Outcome.FINISHED, metrics={"auc": Metric(value, 0.01)})
        proposals.tell(record)
    return 1e3 * (time.perf_counter() - began) / (trials - last)


def main() -> None:
    options = parser("Cost of a proposal.", repeats=3).parse_args()
    description = machine(("townsend", "optuna"))
    contests = [(sampler, trials) for sampler, lengths in LENGTHS.items() for trials in lengths]
    found = in_turns({f"{s}, {n:,}": partial(trial_ms, s, n) for s, n in contests}, options.repeats)
    rows = [[name, spread(values)] for name, values in found.items()]
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    lines = [
        *description,
        "",
        *table(["sampler, trials", "a trial [ms]"], rows),
        "",
        f"Median (smallest to largest) of {options.repeats} turns; a trial is one ask and one tell, the mean over the",
        f"last tenth; {len(SPACE)} hyperparameters, results {LAG} trials behind.",
        f"Peak memory of the process: {peak_mb:.0f} MB.",
    ]
    publish("proposals", lines, options.results)


if __name__ == "__main__":
    main()
