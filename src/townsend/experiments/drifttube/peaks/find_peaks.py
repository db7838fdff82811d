"""A chosen peak finder applied to waveforms, simulated or measured.

What to use when
----------------
- `find_peaks`: files in; times, scores and a picture of each trace out.
- `townsend.experiments.drifttube.peaks.finder.Finder`: the same in memory.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray
from pydantic import Field

from townsend.config import Closed, resolved
from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.finder import load_finder
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.files import atomic_path, write_json
from townsend.folders import check_replaceable, folder_as_a_whole
from townsend.report.waveform_figures import draw_trace
from townsend.sample.provenance import versions
from townsend.sample.reader import read_waveforms
from townsend.sample.resample import resample
from townsend.sample.waveforms import Waveforms

__all__ = ["FindPeaksSettings", "PeakList", "find_peaks"]

_MADE_BY = "townsend find-peaks"
_OWN = frozenset({"figures", "peaks.root", "summary.json"})


class FindPeaksSettings(Closed):
    """How measured waveforms are brought to what the network was trained on."""

    polarity: Literal[1, -1] = Field(1, description="+1 where signals go up in the file, -1 where they go down")
    scale: float = Field(1.0, gt=0, description="factor on the voltage: gain of the simulation / gain of the set-up")
    threshold: float | None = Field(None, description="score of a peak; null takes the model's own")
    saturation_run: int = Field(8, ge=2, description="samples on end at a flat top that make a trace saturated")
    hit_sigma: float = Field(
        10.0, gt=0, description="a waveform with a sample this many noise rms above its median is hit"
    )
    pictures: int = Field(48, ge=0, description="traces drawn at most")


@dataclass(frozen=True)
class PeakList:
    """Peaks found in n waveforms.

    Arguments:
        time_ns: (n, ragged) arrival on the waveform's clock, the response's delay taken off, ascending.
        score: (n, ragged) the network's output for each.
        hit: (n,) whether the waveform holds a signal at all, by its largest sample.
        span_us: length of a waveform in which peaks can be found.
    """

    time_ns: ak.Array
    score: ak.Array
    hit: NDArray[np.bool_]
    span_us: float

    def rate_per_us(self, hit: bool) -> float:
        """Return peaks per microsecond in waveforms with or without a hit; NaN when there are none."""
        number = ak.to_numpy(ak.num(self.time_ns))[self.hit == hit]
        return float(number.mean() / self.span_us) if len(number) else float("nan")


def find_peaks(
    model: Path,
    data: Path,
    output: Path,
    settings: FindPeaksSettings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> PeakList:
    """Find the peaks of every waveform of a file and write them.

    Arguments:
        model: folder made by `townsend choose`.
        data: NPZ traces, a ROOT file or a folder of shards; resampled to the model's rate behind an anti-alias filter.
        output: folder, new, empty or made by this command before; receives `peaks.root` (tree `peaks`: one entry a
            waveform), `summary.json` and `figures/`, one picture a trace.
        settings: polarity, scale and threshold.
        progress: called with pictures drawn and their number.

    Returns the peaks. Raises InputError when model, data or output cannot be used.
    """
    settings = settings or FindPeaksSettings()
    check_replaceable(output, "summary.json", _MADE_BY, _OWN)
    finder = load_finder(model, settings.threshold)
    waveforms = _read(data, settings, finder.facts)
    time_ns, score = finder(waveforms, settings.scale)
    millivolts = waveforms.millivolts() * np.float32(settings.scale)
    span_us = (millivolts.shape[1] - finder.facts.width + 1) / waveforms.sampling_rate_ghz * 1e-3
    peaks = PeakList(time_ns, score, _is_hit(millivolts, settings.hit_sigma), span_us)
    with folder_as_a_whole(output) as folder:
        _write_root(folder / "peaks.root", waveforms, peaks)
        write_json(folder / "summary.json", _summary(model, data, settings, peaks))
        pictures = _Pictures(folder / "figures", finder.facts.delay_ns, settings.pictures)
        pictures.draw(waveforms, millivolts, peaks, progress)
    return peaks


def _read(data: Path, settings: FindPeaksSettings, facts: PeakFacts) -> Waveforms:
    """Return the waveforms at the model's sampling rate, each at least as long as its window."""
    given = read_waveforms(data, settings.polarity, settings.saturation_run)
    rate, width = facts.sampling_rate_ghz, facts.width
    if len(given) == 0:
        msg = f"{data} must hold at least one waveform (got none); record or simulate some"
        raise InputError(msg)
    try:
        waveforms = resample(given, rate)
    except InputError as error:
        msg = f"{data} must be brought to the model's sampling rate, {rate:g} GS/s, and cannot be: {error}"
        raise InputError(msg) from None
    if waveforms.samples.shape[1] < width:
        rule = f"{data} must hold waveforms of at least {width} samples at the model's {rate:g} GS/s"
        msg = f"{rule} (got {waveforms.samples.shape[1]}); record longer ones or choose a model with a shorter window"
        raise InputError(msg)
    return waveforms


def _is_hit(millivolts: NDArray[np.float32], sigma: float) -> NDArray[np.bool_]:
    """Return which waveforms rise `sigma` noise rms above their median, the rms taken from the median deviation."""
    above = millivolts - np.median(millivolts, axis=1, keepdims=True)
    rms = 1.4826 * np.median(np.abs(above), axis=1)
    return np.asarray(above.max(axis=1) > sigma * rms)


def _write_root(path: Path, waveforms: Waveforms, peaks: PeakList) -> None:
    number = {"event": waveforms.event, "channel": waveforms.channel, "run": waveforms.run}
    lists = {
        "time_ns": ak.values_astype(peaks.time_ns, np.float32),
        "score": ak.values_astype(peaks.score, np.float32),
    }
    types = dict.fromkeys(number, "int32") | {"hit": "bool"} | dict.fromkeys(lists, "var * float32")
    with atomic_path(path) as temporary, uproot.recreate(temporary) as file:
        file.mktree("peaks", types).extend({**number, "hit": peaks.hit, **lists})


def _summary(model: Path, data: Path, settings: FindPeaksSettings, peaks: PeakList) -> dict[str, Any]:
    def finite(value: float) -> float | None:
        return value if np.isfinite(value) else None

    return {
        "made_by": _MADE_BY,
        "model": str(model),
        "data": str(data),
        "settings": resolved(settings),
        "waveforms": len(peaks.hit),
        "waveforms_with_hit": int(peaks.hit.sum()),
        "peaks_per_us_with_hit": finite(peaks.rate_per_us(hit=True)),
        "peaks_per_us_without_hit": finite(peaks.rate_per_us(hit=False)),
        "versions": versions(),
    }


@dataclass(frozen=True)
class _Pictures:
    """Where pictures go, how much later than its arrival a pulse is highest, and how many are drawn."""

    folder: Path
    delay_ns: float
    most: int

    def draw(
        self,
        waveforms: Waveforms,
        millivolts: NDArray[np.float32],
        peaks: PeakList,
        progress: Callable[[int, int], None],
    ) -> None:
        total = min(self.most, len(waveforms))
        clock_ns = np.arange(millivolts.shape[1]) / waveforms.sampling_rate_ghz
        for index in range(total):
            event, channel = int(waveforms.event[index]), int(waveforms.channel[index])
            arrivals_ns = ak.to_numpy(peaks.time_ns[index])
            number = len(arrivals_ns)
            title = f"event {event}, channel {channel}: {number} peak{'' if number == 1 else 's'}"
            name = f"trace-{index:04d}-event{event}-channel{channel}.png"
            truth = waveforms.truth
            true_ns = None if truth is None else ak.to_numpy(truth.electron_time_ns[index]) + self.delay_ns
            draw_trace(clock_ns, millivolts[index], arrivals_ns + self.delay_ns, title, self.folder / name, true_ns)
            progress(index + 1, total)
