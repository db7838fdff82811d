"""A chosen peak finder applied to waveforms, simulated or measured.

What to use when
----------------
- `find_peaks`: files in; times, scores and a picture of each trace out.
- `Finder`: the same in memory, for other steps of the line.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray
from pydantic import Field

from townsend.config import Closed, resolved
from townsend.errors import InputError
from townsend.experiments.drifttube.candidates import cut_windows, find_candidates, select_peaks
from townsend.files import atomic_path, read_json, write_json
from townsend.networks.backend import any_keras
from townsend.report.waveform_figures import draw_trace
from townsend.sample.provenance import versions
from townsend.sample.reader import read_waveforms
from townsend.sample.resample import resample
from townsend.sample.waveforms import Waveforms

__all__ = ["FindPeaksSettings", "Finder", "PeakList", "find_peaks", "load_finder"]

_CHUNK = 200  # waveforms a piece: about 100,000 windows, 6 MB


class FindPeaksSettings(Closed):
    """How measured waveforms are brought to what the network was trained on."""

    polarity: int = Field(1, description="+1 where signals go up in the file, -1 where they go down")
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


@dataclass(frozen=True)
class Finder:
    """A network with all it needs to be applied.

    Arguments:
        network: Keras model, (n, window, 1) -> (n, 1).
        facts: as the task wrote them into the card.
        threshold: score of a peak.
    """

    network: Any
    facts: Mapping[str, Any]
    threshold: float

    def __call__(self, waveforms: Waveforms, scale: float = 1.0) -> tuple[ak.Array, ak.Array]:
        """Return times [ns] and scores of the peaks of each waveform.

        Raises InputError when the sampling rate is not the model's.
        """
        rate = self.facts["sampling_rate_ghz"]
        if waveforms.sampling_rate_ghz != rate:
            msg = (
                f"waveforms must have the model's sampling rate, {rate:g} GS/s "
                f"(got {waveforms.sampling_rate_ghz:g}); resample them first"
            )
            raise InputError(msg)
        pieces = [self._piece(part.millivolts() * np.float32(scale)) for part in waveforms.chunks(_CHUNK)]
        return ak.concatenate([times for times, _ in pieces]), ak.concatenate([scores for _, scores in pieces])

    def _piece(self, millivolts: NDArray[np.float32]) -> tuple[ak.Array, ak.Array]:
        facts = self.facts
        row, sample = find_candidates(millivolts, facts["before"], facts["after"])
        windows = cut_windows(millivolts, row, sample, facts["before"], facts["after"]) / np.float32(facts["scale_mV"])
        scores = np.zeros(0, np.float32)
        if len(windows):
            scores = self.network.predict(windows[..., None], batch_size=2048, verbose=0).reshape(-1)
        separation = round(facts["double_pulse_ns"] * facts["sampling_rate_ghz"])
        kept = select_peaks(row, sample, scores, self.threshold, separation)
        number = np.bincount(row[kept], minlength=len(millivolts))
        time_ns = sample[kept] / facts["sampling_rate_ghz"] - facts["delay_ns"]
        return ak.unflatten(time_ns, number), ak.unflatten(scores[kept], number)


def load_finder(model: Path, threshold: float | None = None) -> Finder:
    """Open a folder made by `townsend choose`.

    Raises InputError when it is none, is damaged, or was trained for another task.
    """
    card = read_json(model / "card.json")
    if not isinstance(card, dict) or not {"task", "facts", "threshold"} <= card.keys():
        msg = f"{model} must be a folder made by `townsend choose` (its card.json is another's); name such a folder"
        raise InputError(msg)
    if card["task"] != "drifttube-peaks":
        rule = f'{model} must hold a model of task "drifttube-peaks"'
        msg = f'{rule} (got "{card["task"]}"); choose one from such a sweep'
        raise InputError(msg)
    if not (model / "model.keras").is_file():
        msg = f"{model}/model.keras must exist; make the folder again with `townsend choose`"
        raise InputError(msg)
    keras = any_keras()
    try:
        network = keras.saving.load_model(model / "model.keras", compile=False, safe_mode=True)
    except Exception as error:  # a damaged file surfaces as almost any exception
        msg = f"{model}/model.keras must be a whole Keras model ({type(error).__name__}); make the folder again"
        raise InputError(msg) from error
    return Finder(network, card["facts"], card["threshold"] if threshold is None else threshold)


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
        output: new or empty folder; receives `peaks.root` (tree `peaks`: one entry a waveform), `summary.json` and
            `figures/`, one picture a trace.
        settings: polarity, scale and threshold.
        progress: called with pictures drawn and their number.

    Returns the peaks. Raises InputError when model, data or output cannot be used.
    """
    settings = settings or FindPeaksSettings()
    if output.exists() and (not output.is_dir() or any(output.iterdir())):
        msg = f"{output} must be a new or empty folder; choose another or remove it"
        raise InputError(msg)
    finder = load_finder(model, settings.threshold)
    waveforms = resample(
        read_waveforms(data, settings.polarity, settings.saturation_run), finder.facts["sampling_rate_ghz"]
    )
    time_ns, score = finder(waveforms, settings.scale)
    millivolts = waveforms.millivolts() * np.float32(settings.scale)
    window = finder.facts["before"] + finder.facts["after"]
    span_us = (millivolts.shape[1] - window) / waveforms.sampling_rate_ghz * 1e-3
    peaks = PeakList(time_ns, score, _is_hit(millivolts, settings.hit_sigma), span_us)
    _write_root(output / "peaks.root", waveforms, peaks)
    write_json(output / "summary.json", _summary(model, data, settings, peaks))
    pictures = _Pictures(output / "figures", finder.facts["delay_ns"], settings.pictures)
    pictures.draw(waveforms, millivolts, peaks, progress)
    return peaks


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
            title = f"event {event}, channel {channel}: {len(arrivals_ns)} peaks"
            name = f"trace-{index:04d}-event{event}-channel{channel}.png"
            truth = waveforms.truth
            true_ns = None if truth is None else ak.to_numpy(truth.electron_time_ns[index]) + self.delay_ns
            draw_trace(clock_ns, millivolts[index], arrivals_ns + self.delay_ns, title, self.folder / name, true_ns)
            progress(index + 1, total)
