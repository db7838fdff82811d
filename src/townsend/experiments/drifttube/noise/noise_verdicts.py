"""Whether to believe a measurement of noise.

What to use when
----------------
- `judge`: all verdicts, each one sentence with its figures.
- `Redrawn`, `redraw`: noise drawn from a preset, seen as the traces were, for a verdict and a picture.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from townsend.experiments.drifttube.noise.quiet_traces import QuietTraces
from townsend.experiments.drifttube.noise.welch import SHORTEST, octave_edges, octave_powers, segment_spectra
from townsend.experiments.drifttube.simulation.noise import draw_noise, ornstein_uhlenbeck, preset_spectrum
from townsend.experiments.drifttube.simulation.noise_preset import Judgement, Preset
from townsend.experiments.drifttube.simulation.streams import stream

__all__ = ["Redrawn", "judge", "redraw"]

_DRAWN = 400  # waveforms
_SIGNIFICANT = 3.0
_LARGEST_ERROR = 0.05  # of the rms
_LARGEST_OCTAVE = 0.10  # that a redrawn octave may be off
_LARGEST_EXCESS = 0.05  # of the rms, that hits may add and be called harmless
_FEWEST = 3  # waveforms of a kind that are compared with another kind ...
_SHARE = 0.1  # ... and of their number
_LOPSIDED = 0.3  # rms, by which the highest and the lowest sample of a waveform may differ


@dataclass(frozen=True)
class Redrawn:
    """Noise drawn from a preset.

    Arguments:
        density_mV2_per_GHz: (bins,) its spectrum, by the same method and on the same bins as the measured one.
        edges_GHz: (octaves + 1,) of octaves; ratio: (octaves,) power drawn over power measured.
    """

    density_mV2_per_GHz: NDArray[np.float64]
    edges_GHz: NDArray[np.float64]
    ratio: NDArray[np.float64]


def redraw(preset: Preset, samples: int) -> Redrawn:
    """Return noise of the preset, drawn at its own rate and measured again; always the same draw.

    Arguments:
        preset: as measured.
        samples: of the segment it was measured with.
    """
    rate_ghz, wander = preset.facts.sampling_rate_GHz, preset.facts.wander
    spectrum = preset_spectrum(preset, samples, rate_ghz)
    drawn = draw_noise(spectrum, _DRAWN, samples, stream(0, "noise check", 0)).astype(np.float64)
    if wander.time_ns is not None:
        slow = stream(0, "wander check", 0)
        drawn += ornstein_uhlenbeck((_DRAWN, samples), wander.rms_mV, wander.time_ns * rate_ghz, slow)
    spectra, _ = segment_spectra(list(drawn), samples, rate_ghz)
    density = spectra.mean(axis=0)
    step_GHz = rate_ghz / samples
    edges = octave_edges(rate_ghz / 2, step_GHz)
    measured = octave_powers(preset.total_mV2_per_GHz, step_GHz, edges)
    powers = octave_powers(density, step_GHz, edges)
    return Redrawn(density, edges, np.divide(powers, measured, out=np.ones_like(powers), where=measured > 0))


def judge(quiet: QuietTraces, preset: Preset, redrawn: Redrawn) -> tuple[Judgement, ...]:
    """Return the verdicts, the most important first."""
    found = (_enough(quiet, preset), _untouched(quiet), _symmetric(quiet), _resolved(preset), _same_again(redrawn))
    return tuple(verdict for verdict in found if verdict is not None)


def _enough(quiet: QuietTraces, preset: Preset) -> Judgement:
    facts = preset.facts
    rms, error = facts.rms_mV or 0.0, facts.rms_error_mV or 0.0
    sentence = (
        f"{len(quiet.stretches)} of {quiet.waveforms} waveforms have quiet time, {facts.source.quiet_us:.4g} us; "
        f"{quiet.with_hit} have a hit, {quiet.cut_fraction:.0%} of the samples are cut; the rms is known to "
        f"{error / rms:.1%}"
    )
    return Judgement(ok=bool(0 < error <= _LARGEST_ERROR * rms), sentence=sentence)


def _untouched(quiet: QuietTraces) -> Judgement:
    """Compare where hits could have left something with where they could not."""
    if not quiet.hit.any():
        return Judgement(ok=True, sentence="no waveform has a hit: nothing had to be cut")
    before = [stretch for stretch, hit in zip(quiet.stretches, quiet.hit, strict=True) if hit]
    without = len(quiet.stretches) - len(before)
    if without < max(_FEWEST, _SHARE * len(before)):
        halves = [np.array_split(stretch, 2) for stretch in before]
        one, other = [late for _, late in halves], [early for early, _ in halves]
        names = ("just before a hit", "well before it")
    else:
        one, other = before, [stretch for stretch, hit in zip(quiet.stretches, quiet.hit, strict=True) if not hit]
        names = ("before a hit", "in waveforms without one")
    size = max(int(np.median([len(stretch) for stretch in one])), SHORTEST // 2)
    first, second = _variances(one, size), _variances(other, size)
    if min(len(first), len(second)) < _FEWEST:
        return Judgement(ok=False, sentence=f"too few stretches {names[0]} or {names[1]} to tell whether hits leak in")
    ratio = float(np.sqrt(first.mean() / second.mean()))
    relative = [v.var(ddof=1) / len(v) / v.mean() ** 2 for v in (first, second)]
    error = ratio / 2 * float(np.sqrt(sum(relative)))
    sentence = f"noise {names[0]} is {ratio:.3f} +- {error:.3f} times that {names[1]}"
    clean = abs(ratio - 1) <= max(_SIGNIFICANT * error, _LARGEST_EXCESS)
    more = "no sign of hits in it" if clean else "hits leak in, or channels with hits differ: raise guard_ns"
    return Judgement(ok=clean, sentence=f"{sentence}: {more}")


def _variances(stretches: list[NDArray[np.float64]], size: int) -> NDArray[np.float64]:
    """Return the mean variance within pieces of `size` samples, one value a stretch that has any."""
    cut = [stretch[: len(stretch) // size * size].reshape(-1, size) for stretch in stretches if len(stretch) >= size]
    return np.array([pieces.var(axis=1, ddof=1).mean() for pieces in cut])


def _symmetric(quiet: QuietTraces) -> Judgement:
    sizes = []
    for stretch in quiet.stretches:
        about = quiet.polarity * (stretch - stretch.mean())
        sizes.append((about.max() + about.min()) / max(float(about.std()), 1e-12))
    excess, error = float(np.mean(sizes)), float(np.std(sizes, ddof=1) / np.sqrt(len(sizes)))
    even = abs(excess) <= max(_SIGNIFICANT * error, _LOPSIDED)
    said = "as noise does" if even else "as small pulses or cross-talk do: look at the traces, lower hit_sigma"
    way = "both ways alike" if even else ("further up" if excess > 0 else "further down")
    sentence = f"quiet samples go {way}, {said} (highest + lowest {excess:+.2f} +- {error:.2f} rms)"
    return Judgement(ok=even, sentence=sentence)


def _resolved(preset: Preset) -> Judgement | None:
    spacing, rms = preset.facts.level_spacing_uV, preset.facts.rms_mV
    if spacing is None or rms is None or 1e-3 * spacing <= rms:
        return None
    rule = "the digitiser is too coarse to see the noise between its levels"
    return Judgement(ok=False, sentence=f"{rule}: they are {1e-3 * spacing:.3g} mV apart, the rms is {rms:.3g} mV")


def _same_again(redrawn: Redrawn) -> Judgement:
    off = redrawn.ratio - 1
    worst = int(np.argmax(np.abs(off)))
    low, high = 1e3 * redrawn.edges_GHz[worst : worst + 2]
    sentence = (
        f"noise drawn from this preset has the power measured within {abs(off[worst]):.1%} in each of {len(off)} "
        f"octaves (worst: {low:.3g} to {high:.4g} MHz)"
    )
    return Judgement(ok=bool(abs(off[worst]) <= _LARGEST_OCTAVE), sentence=sentence)
