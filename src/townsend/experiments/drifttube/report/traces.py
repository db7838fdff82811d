"""Example waveforms of a report, simulated with their truth or measured.

What to use when
----------------
- `example_section`: simulated waveforms, one in each of some ranges of the impact parameter.
- `real_section`: measured ones, from an output without truth or from pictures drawn before.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import awkward as ak
import numpy as np
import uproot
from numpy.typing import NDArray

from townsend.config import parse
from townsend.errors import InputError
from townsend.experiments.drifttube.peaks.finder import load_finder
from townsend.experiments.drifttube.peaks.task_settings import PeakFacts
from townsend.experiments.drifttube.reconstruction.blocks import Block, read_block
from townsend.experiments.drifttube.reconstruction.output import Reconstructed, read_reconstructed
from townsend.experiments.drifttube.report.links import Parts
from townsend.experiments.drifttube.report.parts import ModelPart, OutputPart, PeaksPart, SamplePart
from townsend.files import sha256_of
from townsend.report.embed import read_png
from townsend.report.markup import Markup, data_table, join, paragraph, picture, tag
from townsend.report.zoom import Trace, trace
from townsend.sample.reader import read_sample, sample_files
from townsend.sample.waveforms import Waveforms

__all__ = ["example_section", "real_section"]

_EXAMPLES = 6
_REAL = 6
_MARGIN_NS = 30.0


@dataclass(frozen=True)
class _Shown:
    """One waveform with the peaks found in it [ns, arrivals], and what to say of it."""

    waveform: Waveforms
    found_ns: NDArray[np.float64]
    says: str


def example_section(parts: Parts) -> Markup | None:
    """Return simulated waveforms with true and found peaks; None where nothing can be shown."""
    finder = parts.finder.model
    if finder is None:
        return None
    shown = list(_of_result(parts) if parts.result else _of_finder(parts, finder))
    if not shown:
        return None
    facts = _facts(finder)
    legend = paragraph(
        tag("span", "▼", class_="key-found"),
        " found peak, ",
        tag("span", "|", class_="key-true"),
        " arrival of an electron, both moved to where the pulse is highest. The first waveform in each of "
        f"{len(shown)} equal ranges of the impact parameter b, not picked by eye. ",
        tag(
            "span",
            "Buttons, drag, pinch, or click and turn the wheel to zoom; keys + − ← → 0.",
            class_="screen",
        ),
    )
    return join(legend, *[_trace(each, facts) for each in shown])


def _facts(finder: ModelPart) -> PeakFacts:
    return parse(PeakFacts, finder.card["facts"])


def _trace(shown: _Shown, facts: PeakFacts) -> Markup:
    waveform, step_ns = shown.waveform, 1 / shown.waveform.sampling_rate_ghz
    truth = waveform.truth
    true_ns = None if truth is None else ak.to_numpy(truth.electron_time_ns[0]).astype(np.float64) + facts.delay_ns
    drift = None
    if np.isfinite(waveform.t0_ns) and np.isfinite(waveform.max_drift_ns):
        end = waveform.t0_ns + waveform.max_drift_ns + facts.delay_ns
        drift = (max(waveform.t0_ns - _MARGIN_NS, 0.0), end + _MARGIN_NS)
    number = len(shown.found_ns)
    name = f"waveform of event {int(waveform.event[0])}, channel {int(waveform.channel[0])}, {number} peaks found"
    made = Trace(name, waveform.millivolts()[0], step_ns, shown.found_ns + facts.delay_ns, true_ns, drift)
    return trace(made, shown.says)


def _first_in_ranges(impact_cm: NDArray[Any]) -> list[int]:
    """Return the first waveform in each of equal ranges of |impact|, in order of |impact|; the first where unknown."""
    distance = np.abs(np.asarray(impact_cm, np.float64))
    if not np.isfinite(distance).all():
        return list(range(min(_EXAMPLES, len(distance))))
    edges = np.linspace(0, float(distance.max(initial=0)) * (1 + 1e-9) + 1e-12, _EXAMPLES + 1)
    number = np.digitize(distance, edges) - 1
    firsts = (np.flatnonzero(number == index)[:1] for index in range(_EXAMPLES))
    return [int(first[0]) for first in firsts if len(first)]


def _at(impact_cm: float) -> str:
    return f", b = {impact_cm:+.3f} cm" if math.isfinite(impact_cm) else ""


def _of_result(parts: Parts) -> Iterator[_Shown]:
    result, finder = parts.result, parts.finder.model
    if result is None or finder is None:
        return
    counted = read_reconstructed(result.path)
    impact_cm, true = counted.impact_cm, counted.true_clusters
    if impact_cm is None or true is None:
        return
    for index in _first_in_ranges(impact_cm):
        waveform = _row(result, counted, index, parts.samples, _facts(finder))
        if waveform is not None:
            found = ak.to_numpy(counted.peaks(index, index + 1)[0][0]).astype(np.float64)
            number, error = counted.n_clusters[index], counted.n_clusters_error[index]
            says = (
                f"Event {int(waveform.event[0])}{_at(impact_cm[index])}: {true[index]} clusters, "
                f"{len(found)} peaks found, {number:.1f} ± {error:.1f} clusters counted."
            )
            yield _Shown(waveform, found, says)


def _row(
    result: OutputPart, counted: Reconstructed, index: int, samples: Sequence[SamplePart], facts: PeakFacts
) -> Waveforms | None:
    """Return one waveform of the files that were reconstructed, None where they are gone or were changed."""
    settings = result.description["settings"]
    path = _found_again(result.description["files"][int(counted.file[index])], samples)
    if path is None:
        return None
    row = int(counted.row[index])
    block = Block(path, row, row + 1, settings["polarity"], settings["saturation_run"], settings["scale"])
    return read_block(block, facts)[0]


def _found_again(file: dict[str, Any], samples: Sequence[SamplePart]) -> Path | None:
    """Return a file of the recorded contents: where it was, or in a sample of the run that was moved with it."""
    was = Path(str(file["path"]))
    shards = (path for sample in samples for path in sample_files(sample.path) if path.name == was.name)
    for path in (was, *shards):
        if path.is_file() and sha256_of([path]) == file["sha256"]:
            return path
    return None


def _of_finder(parts: Parts, finder: ModelPart) -> Iterator[_Shown]:
    """Find peaks in waveforms of the finder's own test set."""
    test = finder.path / "test.npz"
    samples = [sample for sample in parts.samples if sample.fingerprint == finder.card["sample"]]
    if not samples or not test.is_file():
        return
    with np.load(test, allow_pickle=False) as archive:
        rows = np.unique(archive["group"]).astype(np.intp)
    waveforms = read_sample(samples[0].path)[rows]
    if waveforms.truth is None:
        return
    chosen = waveforms[np.array(_first_in_ranges(waveforms.truth.impact_cm), np.intp)]
    times, _ = load_finder(finder.path)(chosen)
    for index, time_ns in enumerate(times):
        waveform, found = chosen[index : index + 1], ak.to_numpy(time_ns).astype(np.float64)
        truth = waveform.truth
        electrons = 0 if truth is None else len(truth.electron_time_ns[0])
        impact = math.nan if truth is None else float(truth.impact_cm[0])
        event, peaks = int(waveform.event[0]), len(found)
        says = f"Event {event}{_at(impact)}: {electrons} electrons arrive, {peaks} peaks found."
        yield _Shown(waveform, found, says)


# ---- measured


def real_section(parts: Parts) -> Markup | None:
    """Return measured traces with the peaks found; None where the run holds none."""
    if not parts.real:
        return None
    blocks = [_peaks(part) if isinstance(part, PeaksPart) else _output(part, parts) for part in parts.real]
    return join(
        paragraph("Measured traces have no truth: what is found in them can be looked at, not judged."), *blocks
    )


def _output(part: OutputPart, parts: Parts) -> Markup:
    counted = read_reconstructed(part.path)
    most = np.argsort(-counted.n_peaks, kind="stable")[:_REAL]
    finder = parts.finder.model
    shown: list[Markup] = []
    if finder is not None:
        for index in sorted(int(i) for i in most):
            waveform = _row(part, counted, index, parts.samples, _facts(finder))
            if waveform is not None:
                found = ak.to_numpy(counted.peaks(index, index + 1)[0][0]).astype(np.float64)
                number, error = counted.n_clusters[index], counted.n_clusters_error[index]
                says = (
                    f"Event {int(waveform.event[0])}, channel {int(waveform.channel[0])}: {len(found)} peaks found, "
                    f"{number:.1f} ± {error:.1f} clusters counted."
                )
                shown.append(_trace(_Shown(waveform, found, says), _facts(finder)))
    rows = [
        (
            f"{counted.event[i]}, channel {counted.channel[i]}",
            str(counted.n_peaks[i]),
            f"{counted.n_clusters[i]:.1f} ± {counted.n_clusters_error[i]:.1f}",
            str(counted.deriv_clusters[i]),
        )
        for i in sorted(int(i) for i in np.argsort(-counted.n_peaks, kind="stable")[: _EXAMPLES * 2])
    ]
    header = ("event", "peaks found", "clusters counted", "threshold on the derivative")
    named = f"{part.path.name}: the waveforms with most peaks, of {len(counted)}"
    return join(tag("h3", part.path.name), data_table(header, rows, named), *shown)


def _peaks(part: PeaksPart) -> Markup:
    summary = part.summary
    hits = _count(summary, "waveforms_with_hit")
    total = _count(summary, "waveforms")
    rows = [
        ("with a hit", hits, _rate(summary.get("peaks_per_us_with_hit"))),
        ("without", str(int(total) - int(hits)), _rate(summary.get("peaks_per_us_without_hit"))),
    ]
    table = data_table(("traces", "number", "peaks per microsecond"), rows, f"{part.path.name}: {total} traces")
    return join(tag("h3", part.path.name), table, *_pictures(part))


def _count(summary: Any, name: str) -> str:
    value = summary.get(name)
    return str(value) if isinstance(value, int) else "0"


def _rate(value: Any) -> str:
    return f"{value:.2f}" if isinstance(value, int | float) else "-"


def _pictures(part: PeaksPart) -> Iterator[Markup]:
    """Return the pictures of the traces with most peaks."""
    path = part.path / "peaks.root"
    try:
        with uproot.open(path) as file:
            number = ak.to_numpy(ak.num(file["peaks"]["time_ns"].array()))
    except Exception as error:  # a damaged file surfaces as almost any exception
        msg = f"{path} must be as `townsend find-peaks` wrote it ({type(error).__name__}); find the peaks again"
        raise InputError(msg) from None
    drawn: dict[int, tuple[Path, str]] = {}
    for picture_file in sorted((part.path / "figures").glob("trace-*.png")):
        named = re.fullmatch(r"trace-(\d+)-event(-?\d+)-channel(-?\d+)\.png", picture_file.name)
        if named is not None:
            drawn[int(named[1])] = picture_file, f"Event {named[2]}, channel {named[3]}"
    most = [int(i) for i in np.argsort(-number, kind="stable") if int(i) in drawn][:_REAL]
    for index in sorted(most):
        file, named_so = drawn[index]
        caption = f"{named_so}: {number[index]} peaks found."
        yield picture(read_png(file), f"A measured trace with {number[index]} found peaks", caption)
