"""What `townsend reconstruct` says at its end: verdicts first, then figures with errors.

What to use when
----------------
- `summarise`: the JSON-like summary of finished blocks, read one after the other.
- `render_summary`: the same for a terminal, from a folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.bootstrap import bootstrap_figures
from townsend.evaluate.regression import REGRESSION_FIGURES, regression_sums
from townsend.evaluate.verdict import Verdict
from townsend.experiments.drifttube.reconstruction.calibration_check import (
    BIAS_LIMIT,
    bias_verdict,
    percent,
    pull_figures,
    pull_verdict,
    thirds,
    thirds_verdict,
)
from townsend.experiments.drifttube.reconstruction.folder import ReconstructionCard
from townsend.experiments.drifttube.reconstruction.inputs import InputFile, ReconstructSettings
from townsend.experiments.drifttube.reconstruction.output import MADE_BY, SUMMARY, shard_columns, shard_counts
from townsend.files import read_json
from townsend.sample.provenance import versions
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import Metric

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["render_summary", "summarise"]

_MEANS = {
    "mean_clusters": "n_clusters",
    "mean_clusters_uncalibrated": "n_clusters_uncalibrated",
    "mean_deriv_clusters": "deriv_clusters",
    "mean_peaks": "n_peaks",
    "mean_true_clusters": "true_clusters",
}
_COMPARED = {"before": "n_clusters_uncalibrated", "after": "n_clusters", "deriv": "deriv_clusters"}
_HEADINGS = ("before\ncalibration", "after\ncalibration", "derivative\n(plain reference)")  # as _COMPARED
_KEPT = (*_COMPARED.values(), "n_clusters_error", "true_clusters", "impact_cm")
_GROUPS = 1000  # for the bootstrap: so many runs of neighbours at most; tells an error to 2 %
_FEWEST = 20  # waveforms of which figures against the truth are quoted
_DRIFT_TOLERANCE = 0.05
_MOST_NAMED = 20
_UNIT = 1 << 20

Floats = NDArray[np.float64]


def _whole(values: Floats) -> int:
    """Return the sum in units of 1 / `_UNIT`: a sum of whole numbers does not depend on how blocks are cut."""
    return int(np.rint(values * _UNIT).astype(np.int64).sum())


@dataclass
class _Sums:
    """What is added up while the blocks pass by."""

    waveforms: int = 0
    without_peaks: int = 0
    hit: int = 0
    down: int = 0
    saturated: int = 0
    named: list[dict[str, int]] = field(default_factory=list)
    runs: set[int] = field(default_factory=set)
    first: dict[str, int] = field(default_factory=dict)
    second: dict[str, int] = field(default_factory=dict)
    kept: dict[str, list[NDArray[np.float32]]] = field(default_factory=dict)

    def add(self, columns: Mapping[str, NDArray[Any]], counts: Mapping[str, Any]) -> None:
        self.waveforms += len(columns["row"])
        self.runs |= {int(run) for run in np.unique(columns["run"])}
        self.without_peaks += int(np.count_nonzero(columns["n_peaks"] == 0))
        self.hit += counts["hit"]
        self.down += counts["down"]
        self.saturated += counts["saturated"]
        for row in counts["saturated_rows"][: _MOST_NAMED - len(self.named)]:
            self.named.append({"file": int(columns["file"][0]), "row": row})
        for name, column in _MEANS.items():
            if column in columns:
                values = columns[column].astype(np.float64)
                self.first[name] = self.first.get(name, 0) + _whole(values)
                self.second[name] = self.second.get(name, 0) + _whole(values**2)
        if "true_clusters" in columns:
            for name in _KEPT:
                self.kept.setdefault(name, []).append(columns[name].astype(np.float32))

    def means(self) -> dict[str, Metric]:
        n = self.waveforms
        share = self.without_peaks / n
        found = {}
        for name, whole in self.first.items():
            total, squares = whole / _UNIT, self.second[name] / _UNIT
            spread = max(squares - total**2 / n, 0.0) / max(n - 1, 1)
            found[name] = Metric(total / n, math.sqrt(spread / n))
        return {**found, "share_without_peaks": Metric(share, math.sqrt(share * (1 - share) / n))}


def summarise(
    shards: Sequence[Path], known: ReconstructionCard, inputs: Sequence[InputFile], settings: ReconstructSettings
) -> dict[str, Any]:
    """Return the summary of all blocks, in order.

    Means have the error of a mean of independent waveforms; figures against the truth one by bootstrap over them.
    """
    sums = _Sums()
    for path in shards:
        sums.add(shard_columns(path), shard_counts(path))
    figures: dict[str, Metric] = sums.means()
    of_thirds: list[dict[str, Any]] = []
    verdicts: list[Verdict] = []
    separate = None
    if sums.kept:
        verdicts.append(_separate(sums.runs, known))
        separate = verdicts[0].ok
    if sums.kept and sums.waveforms >= _FEWEST:
        columns = {name: np.concatenate(parts) for name, parts in sums.kept.items()}
        against = _against_truth(columns)
        figures |= against
        of_thirds = list(_thirds(columns))
        verdicts += _truth_verdicts(columns, against, of_thirds)
    verdicts += _data_verdicts(sums, known, inputs, settings)
    return {
        "made_by": MADE_BY,
        "waveforms": sums.waveforms,
        "figures": _json(figures),
        "separate": separate,
        "thirds": [{**each, "figures": _json(each["figures"])} for each in of_thirds],
        "saturated": {"waveforms": sums.saturated, "first": sums.named},
        "verdicts": [verdict.to_json() for verdict in verdicts],
        "versions": versions(),
    }


def _separate(runs: set[int], known: ReconstructionCard) -> Verdict:
    """Return whether simulated waveforms are of other seeds than what trained or calibrated the reconstruction."""
    used = {
        "trained the finder": known.peak.sample_seed,
        "trained the clusteriser": known.cluster.sample_seed,
        "calibrated": known.card["calibration"].get("sample_seed"),
    }
    seen = [f"those of seed {seed} {what}" for what, seed in used.items() if seed in runs]
    if seen:
        rule = "figures against the truth flatter: not all waveforms are new to the reconstruction"
        return Verdict(False, f"{rule} ({' and '.join(seen)}); simulate with another --seed")
    if min(runs) < 0 and None in used.values():
        what = " and ".join(what for what, seed in used.items() if seed is None)
        rule = "figures against the truth may flatter: files of another program have no seed"
        return Verdict(False, f"{rule}, so whether these {what} is not known; see to it that they did not")
    seeds = ", ".join("none" if run < 0 else str(run) for run in sorted(runs))
    others = ", ".join(f"{what}: {seed}" for what, seed in used.items())
    return Verdict(True, f"the waveforms (seed {seeds}) are new to the reconstruction ({others})")


# ---- against the truth


def _against_truth(columns: Mapping[str, NDArray[np.float32]]) -> dict[str, Metric]:
    """Return `before.bias`, `after.bias`, `deriv.bias` and so on, all from the same resampled waveforms."""
    truth = columns["true_clusters"]
    group = np.arange(len(truth)) // math.ceil(len(truth) / _GROUPS)
    sums = np.concatenate([regression_sums(columns[column], truth, group) for column in _COMPARED.values()], axis=1)

    def of(place: int, figure: str) -> Callable[[Floats], Floats]:
        return lambda table: REGRESSION_FIGURES[figure](table[..., 6 * place : 6 * place + 6])

    wanted = {f"{name}.{figure}": of(i, figure) for i, name in enumerate(_COMPARED) for figure in REGRESSION_FIGURES}
    return bootstrap_figures(sums, wanted)


def _thirds(columns: Mapping[str, NDArray[np.float32]]) -> Iterator[dict[str, Any]]:
    limits, number = thirds(columns["impact_cm"])
    for index, (low, high) in enumerate(limits):
        inside = number == index
        if np.count_nonzero(inside) >= _FEWEST:
            figures = _against_truth({name: column[inside] for name, column in columns.items()})
            yield {"impact_cm": [low, high], "waveforms": int(np.count_nonzero(inside)), "figures": figures}


def _truth_verdicts(
    columns: Mapping[str, NDArray[np.float32]], figures: Mapping[str, Metric], of_thirds: Sequence[Mapping[str, Any]]
) -> Iterator[Verdict]:
    before, after = "before.relative_bias", "after.relative_bias"
    yield bias_verdict("all waveforms", figures[before], figures[after], BIAS_LIMIT)
    yield from thirds_verdict([(t["impact_cm"], t["figures"][before], t["figures"][after]) for t in of_thirds])
    off = (columns["n_clusters"] - columns["true_clusters"]).astype(np.float64)
    yield pull_verdict(*pull_figures(off / columns["n_clusters_error"]))


# ---- about the data


def _data_verdicts(
    sums: _Sums, known: ReconstructionCard, inputs: Sequence[InputFile], settings: ReconstructSettings
) -> Iterator[Verdict]:
    if not sums.kept:
        for verdict in known.card["verdicts"]:
            yield Verdict(verdict["ok"], f"no truth here; on the calibration sample: {verdict['sentence']}")
    if settings.threshold not in (None, known.card["finder"]["threshold"]):
        said = f"the threshold is {settings.threshold:g}, the calibration was made at"
        yield Verdict(False, f"{said} {known.card['finder']['threshold']:g}: it does not hold for these numbers")
    if sums.saturated:
        first = sums.named[0]
        where = f"first waveform {first['row']} of file {first['file']}"
        yield Verdict(False, f"{sums.saturated} of {sums.waveforms} waveforms are saturated ({where})")
    if sums.down:
        down = f"{sums.down} of {sums.hit} waveforms with a hit go down rather than up"
        yield Verdict(sums.down < 0.1 * sums.hit, f"{down}: cross-talk, or a channel of another polarity")
    drift_ns = known.cluster.max_drift_ns
    other = {file.max_drift_ns for file in inputs if abs(file.max_drift_ns / drift_ns - 1) > _DRIFT_TOLERANCE}
    if other:
        said = f"the longest drift time is {min(other):.0f} ns in these files"
        yield Verdict(False, f"{said}, {drift_ns:.0f} ns in the simulation the networks know: another gas or voltage")
    none = f"{sums.without_peaks} of {sums.waveforms} waveforms have no peak and count 0 clusters"
    yield Verdict(sums.without_peaks < 0.5 * sums.waveforms, none)


def _json(figures: Mapping[str, Metric]) -> dict[str, list[float | None]]:
    return {name: [float(part) if math.isfinite(part) else None for part in pair] for name, pair in figures.items()}


# ---- for a terminal


def render_summary(output: Path) -> Group:
    """Return what a terminal shows of a finished folder: verdicts, then the figures that matter most.

    Raises InputError when the folder is not one of a finished `townsend reconstruct`.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from townsend.sweep.board_table import verdict_line

    value = read_json(output / SUMMARY)
    if not isinstance(value, dict) or value.get("made_by") != MADE_BY:
        msg = f"{output} must be a folder made by `{MADE_BY}`; name such a folder"
        raise InputError(msg)
    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    grid.add_column(Text(""), overflow="fold")
    for name in _HEADINGS:
        grid.add_column(Text(name), justify="right", no_wrap=True, vertical="bottom")
    for row in _rows(value):
        grid.add_row(*map(Text, row))
    verdicts = [verdict_line(v["ok"], v["sentence"]) for v in value["verdicts"]]
    return Group(*verdicts, Text(_headline(value)), grid)


def _headline(value: Mapping[str, Any]) -> str:
    figures = value["figures"]
    peaks = f"{shown(_metric(figures, 'mean_peaks'))} peaks a waveform"
    true = f", {shown(_metric(figures, 'mean_true_clusters'))} true clusters" if "mean_true_clusters" in figures else ""
    return f"{value['waveforms']} waveforms: {peaks}{true}"


def _rows(value: Mapping[str, Any]) -> Iterator[tuple[str, ...]]:
    """Yield what, and its figure of each of `_HEADINGS`."""
    figures = value["figures"]
    means = ("mean_clusters_uncalibrated", "mean_clusters", "mean_deriv_clusters")
    yield ("clusters", *(shown(_metric(figures, name)) for name in means))

    def row(name: str, figure: str, of: Mapping[str, Any], show: Callable[[Metric], str]) -> tuple[str, ...]:
        return (name, *(show(_metric(of, f"{compared}.{figure}")) for compared in _COMPARED))

    if "after.bias" in figures:
        yield row("bias, clusters", "bias", figures, shown)
        yield row("bias, of the truth", "relative_bias", figures, percent)
        for third in value["thirds"]:
            low, high = third["impact_cm"]
            yield row(f"bias, {low:.3f} to {high:.3f} cm from the wire", "relative_bias", third["figures"], percent)
        yield row("mean squared error", "mse", figures, shown)
        yield row("R²", "r2", figures, shown)


def _metric(figures: Mapping[str, Any], name: str) -> Metric:
    value, error = (math.nan if part is None else part for part in figures[name])
    return Metric(value, error)
