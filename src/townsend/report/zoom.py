"""Waveforms on a page: a picture for all, which a short script makes zoomable.

What to use when
----------------
- `trace`: one waveform with its found and, where known, true peaks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.report.markup import Content, Markup, join, tag

__all__ = ["Trace", "trace"]

_WIDTH, _HEIGHT = 720, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 46, 10, 16, 34
_MOST_POINTS = 1400  # of the picture; the zoomed view has all samples

_BUTTONS = (
    ("in", "+", "zoom in"),
    ("out", "−", "zoom out"),
    ("left", "◀", "earlier"),
    ("right", "▶", "later"),
    ("drift", "signal", "the interval in which electrons can arrive"),
    ("whole", "all", "the whole waveform"),
)


@dataclass(frozen=True)
class Trace:
    """A waveform to be shown.

    Arguments:
        name: for those who do not see it.
        millivolts: (samples,) signals going up; step_ns: time between samples.
        found_ns, true_ns: where marks stand; true_ns is None for measured data.
        drift_ns: interval shown first, None for the whole waveform.
    """

    name: str
    millivolts: NDArray[np.float32]
    step_ns: float
    found_ns: NDArray[np.float64]
    true_ns: NDArray[np.float64] | None = None
    drift_ns: tuple[float, float] | None = None


def trace(shown: Trace, caption: Content) -> Markup:
    """Return a waveform with marks above found and below true peaks, and what one needs to move about in it.

    Samples are kept as whole numbers of a unit that is a thousandth of the largest one, or finer.
    """
    unit = max(float(np.abs(shown.millivolts).max(initial=0)) / 2000, 1e-3)
    counts = np.rint(shown.millivolts / unit).astype(np.int64)
    drift = None if shown.drift_ns is None else _numbers(shown.drift_ns)
    frame = tag(
        "div",
        _picture(shown),
        class_="trace-frame",
        tabindex=0,
        role="group",
        aria_label=f"{shown.name}; keys: + and - zoom, arrows move, 0 shows all",
        data_name=shown.name,
        data_samples=" ".join(map(str, counts)),
        data_unit=f"{unit:.6g}",
        data_step=f"{shown.step_ns:.6g}",
        data_found=_hundredths(shown.found_ns),
        data_true=None if shown.true_ns is None else _hundredths(shown.true_ns),
        data_drift=drift,
    )
    buttons = [tag("button", text, type="button", data_action=key, aria_label=says) for key, text, says in _BUTTONS]
    controls = tag("div", *buttons, class_="trace-controls")
    return tag("figure", frame, controls, tag("figcaption", caption), class_="trace")


def _numbers(values: ArrayLike) -> str:
    return " ".join(f"{value:.6g}" for value in np.asarray(values, np.float64))


def _hundredths(values: ArrayLike) -> str:
    return " ".join(str(round(100 * float(value))) for value in np.asarray(values, np.float64))


def _picture(shown: Trace) -> Markup:
    """Return the whole waveform as a picture that needs no script."""
    samples = np.asarray(shown.millivolts, np.float64)
    low, high = float(samples.min()), float(samples.max())
    reach = max(high - low, 1e-6)
    bottom, top = low - 0.2 * reach, high + 0.15 * reach
    end = max((len(samples) - 1) * shown.step_ns, 1e-9)
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT

    def x(time_ns: float) -> float:
        return _LEFT + time_ns / end * (right - _LEFT)

    def y(millivolts: float) -> float:
        return floor - (millivolts - bottom) / (top - bottom) * (floor - _TOP)

    stride = max(1, len(samples) // _MOST_POINTS)
    places = range(0, len(samples), stride)
    points = " ".join(f"{x(i * shown.step_ns):.1f},{y(samples[i]):.1f}" for i in places)
    parts = [tag("path", class_="axis", d=f"M{_LEFT} {_TOP}V{floor}H{right}")]
    parts += [_label(x(t), floor + 17, f"{t:g}", "middle") for t in _ticks(0, end, 6)]
    parts += [_label(_LEFT - 7, y(v) + 4, f"{v:g}", "end") for v in _ticks(bottom, top, 4)]
    parts += [_label(_WIDTH / 2, _HEIGHT - 3, "time [ns]", "middle"), _label(4, 11, "mV", "start")]
    for t in () if shown.true_ns is None else shown.true_ns:
        parts.append(tag("path", class_="true", d=f"M{x(t):.1f} {floor - 1}v-{0.09 * (floor - _TOP):.1f}"))
    parts.append(tag("polyline", class_="wave", points=points))
    for t in shown.found_ns:
        index = min(max(round(float(t) / shown.step_ns), 0), len(samples) - 1)
        parts.append(tag("path", class_="found", d=f"M{x(t):.1f} {y(samples[index]) - 5:.1f}l-4 -7h8z"))
    return tag("svg", join(*parts), viewBox=f"0 0 {_WIDTH} {_HEIGHT}", role="img", aria_label=shown.name)


def _label(x: float, y: float, text: str, anchor: str) -> Markup:
    return tag("text", text, class_="label", x=f"{x:.1f}", y=f"{y:.1f}", text_anchor=anchor)


def _ticks(low: float, high: float, most: int) -> list[float]:
    rough = (high - low) / most
    power = 10.0 ** np.floor(np.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough)
    return [float(i * step) for i in range(int(np.ceil(low / step)), int(np.floor(high / step)) + 1)]
