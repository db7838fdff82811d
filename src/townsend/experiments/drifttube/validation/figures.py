"""Figures of the comparison with Garfield++: one function a figure.

What to use when
----------------
- `draw_validation`: all of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from townsend.experiments.drifttube.simulation.drift import drift_relation
from townsend.experiments.drifttube.simulation.gas import load_gas
from townsend.experiments.drifttube.simulation.ionization import MASS_GEV, clusters_per_cm
from townsend.experiments.drifttube.simulation.settings import TubeSettings
from townsend.experiments.drifttube.validation.arrivals import SETTINGS
from townsend.experiments.drifttube.validation.currents import current_table
from townsend.experiments.drifttube.validation.ionization import densities
from townsend.experiments.drifttube.validation.reference_files import WAVEFORM_FILES, XT_FILES, Reference
from townsend.experiments.drifttube.validation.signal import mean_waveforms, pulse_bins
from townsend.experiments.drifttube.validation.verdicts import Judgement, Row
from townsend.report.style import COLOURS, panels, plain, save, styled

__all__ = ["density_figure", "draw_validation", "drift_figure", "ratio_figure", "waveform_figure"]

_JUDGED = {Judgement.OK: "usable", Judgement.UNDECIDED: "unusable", Judgement.FAIL: "best"}
_MARKERS = ("o", "s", "^", "D", "v")


def draw_validation(reference: Reference, rows: Sequence[Row], folder: Path) -> list[str]:
    """Draw all figures into a folder and return their names."""
    density_figure(reference, folder / "clusters-per-cm.png")
    drift_figure(reference, folder / "drift-time-and-spread.png")
    ratio_figure(rows, folder / "arrivals-and-signals.png")
    waveform_figure(reference, folder / "mean-waveform.png")
    return ["clusters-per-cm.png", "drift-time-and-spread.png", "arrivals-and-signals.png", "mean-waveform.png"]


@styled
def density_figure(reference: Reference, path: Path) -> None:
    """Draw clusters per cm over beta*gamma, Heed's and ours, and their differences."""
    points = densities(reference)
    canvas, (values, differences) = panels(2, 1, 6.4, 5.6, sharex=True, height_ratios=(2, 1))
    for marker, particle in zip(_MARKERS, dict.fromkeys(point[0] for point in points), strict=False):
        bg, theirs, ours = np.array([point[2:] for point in points if point[0] == particle]).T
        label = f"Heed, {particle}" + (" (constants)" if particle == "muon" else "")
        values.plot(bg, theirs, marker, markersize=4, markerfacecolor="none", label=label)
        differences.plot(bg, 100 * (ours / theirs - 1), marker, markersize=4, markerfacecolor="none")
    bg = np.geomspace(min(point[2] for point in points), max(point[2] for point in points), 200)
    gas = load_gas("he90_iso10")
    line = [clusters_per_cm(gas, "proton", MASS_GEV["proton"] * float(at)) for at in bg]
    values.plot(bg, line, "-", color=COLOURS["guide"], zorder=0, label="townsend")
    values.set_xscale("log")
    values.set_ylabel("primary clusters per cm")
    values.legend(ncols=2)
    differences.axhspan(-0.5, 0.5, color=COLOURS["guide"], alpha=0.15)
    differences.set_ylabel("townsend / Heed - 1 [%]")
    differences.set_xlabel(plain("beta gamma"))
    save(canvas, path)


@styled
def drift_figure(reference: Reference, path: Path) -> None:
    """Draw the mean drift time's difference and the spread over the distance from the wire."""
    canvas, (times, spreads) = panels(2, 1, 6.4, 5.6, sharex=True)
    for (gas, file), role in zip(XT_FILES.items(), ("usable", "signal"), strict=True):
        r_cm, number, mean_ns, error_ns, spread_ns = reference.numbers(
            file, "r_cm", "mc_n", "mc_mean_ns", "mc_mean_err_ns", "mc_std_ns"
        )
        relation, label = drift_relation(TubeSettings(gas=gas)), f"{gas[2:4]}/{gas[-2:]}"
        look: dict[str, Any] = {"color": COLOURS[role], "markersize": 3.5, "elinewidth": 1.0}
        times.errorbar(r_cm, relation.time(r_cm) - mean_ns, error_ns, fmt="o", label=label, **look)
        spreads.errorbar(
            r_cm, spread_ns, spread_ns / np.sqrt(2 * number), fmt="o", label=f"{label}, Garfield++", **look
        )
        spreads.plot(r_cm, relation.spread(r_cm), "-", color=COLOURS[role], label=f"{label}, townsend")
    far = np.linspace(0, 0.4, 100)
    allowed = np.maximum(0.5, 0.01 * drift_relation(TubeSettings()).time(np.maximum(far, 0.001)))
    times.fill_between(far, -allowed, allowed, color=COLOURS["guide"], alpha=0.15, linewidth=0)
    times.set_ylabel("townsend - Garfield++ [ns]")
    times.set_title("mean drift time")
    times.legend()
    spreads.set_ylabel("spread [ns]")
    spreads.set_xlabel("distance from the wire [cm]")
    spreads.legend()
    save(canvas, path)


@styled
def ratio_figure(rows: Sequence[Row], path: Path) -> None:
    """Draw the differences of arrivals and signals with their intervals and limits; colour tells the verdict."""
    drawn = [row for row in rows if row.group in ("arrivals", "signal") and not row.points and row.unit != "%"][::-1]
    canvas, (axes,) = panels(1, 1, 8.4, 0.8 + 0.24 * max(len(drawn), 4))
    place = np.arange(len(drawn))
    limits = np.array([row.limit for row in drawn])
    axes.barh(place, 2 * limits, left=-limits, height=1.0, color=COLOURS["guide"], alpha=0.15)
    for kind, role in _JUDGED.items():
        chosen = [i for i, row in enumerate(drawn) if row.judgement is kind]
        low, value, high = (
            np.array([(drawn[i].low, drawn[i].difference, drawn[i].high) for i in chosen]).reshape(-1, 3).T
        )
        error = np.array([np.maximum(value - low, 0), np.maximum(high - value, 0)])
        look: dict[str, Any] = {"color": COLOURS[role], "markersize": 4, "elinewidth": 1.2, "label": kind.value}
        axes.errorbar(value, chosen, xerr=error, fmt="o", **look)
    axes.axvline(0, color=COLOURS["guide"], linewidth=0.8)
    axes.set_yticks(place, [plain(row.quantity) for row in drawn], fontsize=8)
    axes.tick_params(axis="y", which="minor", left=False, right=False)
    axes.set_ylim(-0.6, len(drawn) - 0.4)
    axes.set_xlabel("townsend / Garfield++ - 1 [%], 95 % intervals")
    axes.legend(loc="upper right")
    save(canvas, path)


@styled
def waveform_figure(reference: Reference, path: Path) -> None:
    """Draw a single pulse and the mean waveform, Garfield++'s and ours from its electrons, and their difference."""
    ends_ns, single, our_single = pulse_bins(reference.single_pulse(), SETTINGS)
    given = reference.waveforms(WAVEFORM_FILES[-1])
    theirs, ours, _ = mean_waveforms(given, current_table(SETTINGS, given.current_uA.shape[1]))
    canvas, (pulse, mean, difference) = panels(3, 1, 6.8, 7.6)
    pulse.stairs(single[:40], np.append(0, ends_ns[:40]), color=COLOURS["truth"], label="one avalanche, Garfield++")
    pulse.stairs(our_single[:40], np.append(0, ends_ns[:40]), color=COLOURS["signal"], label="townsend")
    time_ns = np.arange(len(theirs)) + 0.5
    mean.plot(time_ns, theirs, color=COLOURS["truth"], label=f"mean of {len(given.current_uA):,} events, Garfield++")
    mean.plot(time_ns, ours, "--", color=COLOURS["signal"], label="townsend, from the same electrons")
    difference.plot(time_ns, 100 * (ours - theirs) / theirs.max(), color=COLOURS["signal"])
    difference.axhspan(-2, 2, color=COLOURS["guide"], alpha=0.15)
    for axes in (pulse, mean):
        axes.set_ylabel("current [uA]")
        axes.legend()
    mean.set_xlim(0, 600)
    difference.set_xlim(0, 600)
    difference.set_ylabel("difference [% of peak]")
    difference.set_xlabel("time after the track [ns]")
    save(canvas, path)
