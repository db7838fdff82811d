"""Noise of your own set-up, measured on its traces, as a preset of the simulation.

What to use when
----------------
- `noise`: files in; preset, spectrum and picture out (`townsend noise`).
- `measure`: the same from quiet stretches in memory.
- `render_noise`: what a preset says, first whether to believe it.

Noise is measured where no pulse has come yet (`quiet_time`): in traces without a hit over the whole record, in the
others before the hit. Everything is in mV as the digitiser stores it; polarity only says which way pulses go.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from townsend.config import resolved
from townsend.errors import InputError
from townsend.experiments.drifttube.noise.baseline_wander import MeasuredWander, measure_wander
from townsend.experiments.drifttube.noise.noise_verdicts import Redrawn, judge, redraw
from townsend.experiments.drifttube.noise.quiet_traces import MeasureNoiseSettings, QuietTraces, read_quiet
from townsend.experiments.drifttube.noise.welch import (
    SHORTEST,
    TAPERS,
    choose_segment,
    segment_spectra,
    separate_lines,
)
from townsend.experiments.drifttube.reconstruction.inputs import expand
from townsend.experiments.drifttube.simulation.noise import ornstein_uhlenbeck
from townsend.experiments.drifttube.simulation.noise_preset import (
    MADE_BY,
    Channel,
    Line,
    NoisePreset,
    Preset,
    Source,
    SpectrumFile,
    Wander,
    is_preset,
    read_preset,
    write_preset,
)
from townsend.experiments.drifttube.simulation.streams import stream
from townsend.report.noise_figures import draw_noise_spectrum
from townsend.sample.provenance import versions

__all__ = ["measure", "noise", "render_noise"]

_NAME = "noise.yaml"
_DIGITS = 5
_SHOWN_LINES = 12
_DRAWN = 400  # waveforms of a wander, whose spectrum is taken off


def noise(files: Sequence[str | Path], output: Path, settings: MeasureNoiseSettings | None = None) -> Path:
    """Measure the noise of traces and write a preset that the simulation can draw from.

    Arguments:
        files: ROOT or NPZ files, folders of shards, patterns.
        output: a folder, which receives `noise.yaml`, `noise.csv` and `noise.png`; or the name of the YAML file, beside
            which the other two get its name. What this command wrote before is replaced, anything else is not.
        settings: how pulses are told from noise.

    Returns the YAML file. Raises InputError when files or output cannot be used, or there is too little quiet time.
    """
    settings = settings or MeasureNoiseSettings()
    target = _target(output)
    quiet = read_quiet(expand(files), settings)
    preset, redrawn = measure(quiet, settings)
    frequency_MHz = 1e3 * preset.frequency_GHz
    # First what may fail for want of space; the YAML, which the simulation reads, comes last.
    draw_noise_spectrum(
        frequency_MHz,
        1e3 * preset.total_mV2_per_GHz,
        1e3 * redrawn.density_mV2_per_GHz,
        1e3 * preset.floor_mV2_per_GHz,
        [line.frequency_MHz for line in preset.facts.lines],
        target.with_suffix(".png"),
    )
    return write_preset(preset, target)


def _target(output: Path) -> Path:
    """Return the YAML file to write; raises InputError where something else is in the way."""
    named = output.suffix in (".yaml", ".yml")
    if not named and output.exists() and not output.is_dir():
        msg = f"{output} must be a folder or a name *.yaml (it is a file); choose another name"
        raise InputError(msg)
    target = output if named else output / _NAME
    own = {target.name, target.with_suffix(".csv").name, target.with_suffix(".png").name}
    present = {path.name for path in target.parent.iterdir()} if target.parent.is_dir() else set()
    others = sorted(present & own if named else present)
    if is_preset(target):
        others = [name for name in others if name not in own]
    others = [name for name in others if not (name.startswith(f".{target.stem}.") and not named)]
    if others:
        msg = f"{target.parent / others[0]} must not be in the way of what `{MADE_BY}` writes; choose another output"
        raise InputError(msg)
    return target


def measure(quiet: QuietTraces, settings: MeasureNoiseSettings) -> tuple[Preset, Redrawn]:
    """Return the preset of quiet stretches, with its verdicts, and noise drawn from it.

    Raises InputError when no stretch is as long as a segment.
    """
    rate_ghz = quiet.rate_ghz
    lengths = np.array([len(stretch) for stretch in quiet.stretches])
    samples = _segment(lengths, settings, rate_ghz)
    long_enough = [stretch for stretch in quiet.stretches if len(stretch) >= samples]
    spectra, owners = segment_spectra(long_enough, samples, rate_ghz)
    averages = TAPERS * sum(map(len, long_enough)) / samples
    step_GHz = rate_ghz / samples
    frequency_GHz = np.asarray(step_GHz * np.arange(samples // 2 + 1), np.float64)
    wander = measure_wander(quiet.stretches, quiet.channel, rate_ghz)
    slow = _seen_wander(wander, samples, rate_ghz)
    floor, lines = separate_lines(
        spectra, owners, slow, averages=averages, step_GHz=step_GHz, false_lines=settings.false_lines
    )
    rms, error = _rms(long_enough, float(spectra.mean(axis=0)[2]), rate_ghz)
    facts = NoisePreset(
        made_by=MADE_BY,
        sampling_rate_GHz=rate_ghz,
        rms_mV=_rounded(rms),
        rms_error_mV=_rounded(error),
        step_uV=_or_none(quiet.step_uV),
        level_spacing_uV=_or_none(quiet.level_spacing_uV),
        spectrum=SpectrumFile(csv=_NAME, resolution_MHz=_rounded(1e3 * step_GHz), averages=_rounded(averages)),
        wander=Wander(
            rms_mV=_rounded(wander.rms_mV),
            rms_error_mV=_or_none(wander.rms_error_mV),
            time_ns=_or_none(wander.time_ns),
        ),
        lines=tuple(
            Line(
                frequency_MHz=_rounded(1e3 * line.frequency_GHz),
                rms_mV=_rounded(line.rms_mV),
                rms_error_mV=_rounded(line.rms_error_mV),
                width_MHz=_rounded(1e3 * line.width_GHz),
            )
            for line in lines
        ),
        channels=tuple(_channels(quiet)),
        source=Source(
            files=quiet.files,
            waveforms=quiet.waveforms,
            with_hit=quiet.with_hit,
            quiet_us=_rounded(1e-3 * lengths.sum() / rate_ghz),
            cut_fraction=_rounded(quiet.cut_fraction),
            settings=resolved(settings),
            versions=versions(),
        ),
    )
    preset = Preset(facts, frequency_GHz, floor, spectra.mean(axis=0))
    redrawn = redraw(preset, samples)
    judged = facts.model_copy(update={"verdicts": judge(quiet, preset, redrawn)})
    return Preset(judged, frequency_GHz, floor, preset.total_mV2_per_GHz), redrawn


def _segment(lengths: NDArray[np.int64], settings: MeasureNoiseSettings, rate_ghz: float) -> int:
    if settings.segment_ns is None:
        return choose_segment(lengths)
    samples = round(settings.segment_ns * rate_ghz) // 2 * 2
    if not SHORTEST <= samples <= lengths.max():
        shortest_ns, longest_ns = SHORTEST / rate_ghz, float(lengths.max()) / rate_ghz
        msg = (
            f"segment_ns must be at least {SHORTEST} samples, {shortest_ns:g} ns, and no longer than the longest quiet "
            f"stretch, {longest_ns:g} ns (got {settings.segment_ns:g}); leave it out to have it chosen"
        )
        raise InputError(msg)
    return samples


def _seen_wander(wander: MeasuredWander, samples: int, rate_ghz: float) -> NDArray[np.float64]:
    """Return the density [mV^2/GHz] that a wander of the baseline makes in each bin, as seen through the tapers."""
    if wander.time_ns is None:  # slower than the records, which is nothing but another baseline for each
        return np.zeros(samples // 2 + 1)
    shape, time = (_DRAWN, samples), wander.time_ns * rate_ghz
    drawn = ornstein_uhlenbeck(shape, wander.rms_mV, time, stream(0, "wander seen", 0))
    return np.asarray(segment_spectra(list(drawn), samples, rate_ghz)[0].mean(axis=0))


def _rms(stretches: Sequence[NDArray[np.float64]], lowest: float, rate_ghz: float) -> tuple[float, float]:
    """Return the standard deviation about each stretch's own baseline, and its error from their scatter.

    Arguments:
        lowest: density [mV^2/GHz] at the lowest frequencies, by which the mean of a stretch itself scatters.
    """
    length = np.array([len(stretch) for stretch in stretches], np.float64)
    variance = np.array([stretch.var() for stretch in stretches]) + lowest * rate_ghz / (2 * length)
    mean = float(np.average(variance, weights=length))
    many = len(stretches)
    scatter = np.sum((length * (variance - mean)) ** 2) / length.sum() ** 2 * many / max(many - 1, 1)
    rms = float(np.sqrt(mean))
    return rms, float(np.sqrt(scatter)) / (2 * rms) if many > 1 else 0.0


def _channels(quiet: QuietTraces) -> list[Channel]:
    found = []
    for number in np.unique(quiet.channel):
        mine = [quiet.stretches[row] for row in np.flatnonzero(quiet.channel == number)]
        means = np.array([stretch.mean() for stretch in mine])
        length = np.array([len(stretch) for stretch in mine], np.float64)
        error = float(means.std(ddof=1) / np.sqrt(len(means))) if len(means) > 1 else None
        found.append(
            Channel(
                channel=int(number),
                waveforms=len(mine),
                rms_mV=_rounded(np.sqrt(np.average([stretch.var() for stretch in mine], weights=length))),
                baseline_mV=_rounded(np.average(means, weights=length)),
                baseline_error_mV=_or_none(error),
            )
        )
    return found


def _rounded(value: float | np.floating) -> float:
    """Return a number with five digits, which is more than any of them means."""
    return float(f"{value:.{_DIGITS}g}")


def _or_none(value: float | None) -> float | None:
    return None if value is None else _rounded(value)


def render_noise(path: Path) -> Group:
    """Return the verdicts, figures and lines of a preset, ready to print.

    Raises InputError or ConfigError when it cannot be read.
    """
    facts = read_preset(path).facts
    verdicts = [Text(f"{'ok  ' if one.ok else 'CARE'} {one.sentence}") for one in facts.verdicts]
    figures = Table(box=None, show_header=False)
    for name, value in _figures(facts):
        figures.add_row(name, value)
    lines = Table(title="strongest lines", title_justify="left", box=None)
    for title in ("frequency [MHz]", "rms [mV]", "width [MHz]"):
        lines.add_column(title, justify="right")
    for line in sorted(facts.lines, key=lambda one: -one.rms_mV)[:_SHOWN_LINES]:
        width = f"{line.width_MHz:.2g}" if line.width_MHz else "narrow"
        error = f" +- {line.rms_error_mV:.2g}" if line.rms_error_mV is not None else ""
        lines.add_row(f"{line.frequency_MHz:.2f}", f"{line.rms_mV:.3g}{error}", width)
    return Group(*verdicts, figures, *([lines] if facts.lines else []))


def _figures(facts: NoisePreset) -> list[tuple[str, str]]:
    channels, wander, source = facts.channels, facts.wander, facts.source
    rms, baseline = [one.rms_mV for one in channels], [one.baseline_mV for one in channels]
    power = sum(line.rms_mV**2 for line in facts.lines)
    drift = "none seen"
    if wander.rms_mV > 0:
        slow = "slower than the records" if wander.time_ns is None else f"correlated over {wander.time_ns:.3g} ns"
        drift = f"{wander.rms_mV:.3g} mV rms, {slow}"
    unknown, nyquist_MHz = "not seen", 500 * facts.sampling_rate_GHz
    step = unknown if facts.step_uV is None else f"{facts.step_uV:.4g} uV"
    spacing = unknown if facts.level_spacing_uV is None else f"{facts.level_spacing_uV:.3g} uV"
    return [
        ("rms", f"{facts.rms_mV or 0:.4g} +- {facts.rms_error_mV or 0:.2g} mV up to {nyquist_MHz:g} MHz"),
        ("of channels", f"{min(rms):.3g} to {max(rms):.3g} mV ({len(channels)} channels)"),
        ("in lines", f"{power / (facts.rms_mV or 1) ** 2:.0%} of the variance, {len(facts.lines)} lines"),
        ("resolution", f"{facts.spectrum.resolution_MHz or 0:.3g} MHz, {facts.spectrum.averages or 0:.0f} averages"),
        ("baselines", f"{min(baseline):.3g} to {max(baseline):.3g} mV; wander {drift}"),
        ("step", f"{step}; levels that occur are {spacing} apart"),
        ("files", ", ".join(f"{name} ({sha256[:12]})" for name, sha256 in source.files.items())),
    ]
