"""Drift time and its spread against the distance from the wire: ours against Garfield++'s AvalancheMC.

The reference drifted 4,000 electrons a radius in 90/10 and 1,000 in 80/20, with steps of at most 5 um: its spread is
known to 1.1 and 2.2 % (one standard deviation), its mean to 0.04 ns or better.
"""

from __future__ import annotations

import numpy as np

from townsend.experiments.drifttube.simulation.drift import drift_relation
from townsend.experiments.drifttube.simulation.settings import TubeSettings
from townsend.experiments.drifttube.validation.reference_files import XT_FILES, Reference
from townsend.experiments.drifttube.validation.verdicts import Label, Row, point_row, worst_row

__all__ = ["GROUP", "drift_rows"]

GROUP = "drift"
TIME_LIMIT_NS, TIME_LIMIT_PERCENT = 0.5, 1.0
SPREAD_LIMIT_PERCENT = 5.0


def drift_rows(reference: Reference, tube: TubeSettings | None = None) -> list[Row]:
    """Return the rows of this group.

    Arguments:
        reference: the files.
        tube: of ours, its gas in the place of both mixtures; None for the default tube with either gas.
    """
    rows = []
    for gas, file in XT_FILES.items():
        rows += _rows_of(reference, gas, file, tube or TubeSettings(gas=gas))
    return rows


def _rows_of(reference: Reference, gas: str, file: str, tube: TubeSettings) -> list[Row]:
    columns = reference.numbers(file, "r_cm", "mc_n", "mc_mean_ns", "mc_mean_err_ns", "mc_std_ns")
    relation = drift_relation(tube)
    mixture = f"{gas[2:4]}/{gas[-2:]}"
    times, spreads = [], []
    for r_cm, number, mean_ns, mean_error_ns, spread_ns in zip(*columns, strict=True):
        at = f"{r_cm:g} cm"
        limit_ns = max(TIME_LIMIT_NS, TIME_LIMIT_PERCENT / 100 * mean_ns)
        our_mean_ns, our_spread_ns = (float(of(np.array([r_cm]))[0]) for of in (relation.time, relation.spread))
        time = (float(mean_ns), float(mean_error_ns)), (our_mean_ns, 0.0)
        times.append(point_row(Label(GROUP, "drift time", at, "ns"), *time, limit_ns, absolute=True))
        spread_error_ns = float(spread_ns / np.sqrt(2 * number))
        spread = (float(spread_ns), spread_error_ns), (our_spread_ns, 0.0)
        spreads.append(point_row(Label(GROUP, "spread of the drift time", at, "ns"), *spread, SPREAD_LIMIT_PERCENT))
    population = f"{mixture}, {len(times)} radii"
    known = f"the reference's spread is known to {100 / np.sqrt(2 * columns[1].min()):.1f} % (1 s.d.)"
    return [
        worst_row(Label(GROUP, "drift time", population, "ns"), times, note="limit 0.5 ns or 1 %"),
        worst_row(Label(GROUP, "spread of the drift time", population, "ns"), spreads, note=known),
    ]
