"""The card of a Reconstruction: what it is, whether to believe it, how to apply it, how to do without townsend.

What to use when
----------------
- `calibration_json`: the part of `card.json` on the calibration.
- `card_text`: the card for people, `README.md`.
- `render_reconstruction`: the same for a terminal, from a folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Any

from townsend.errors import printable
from townsend.experiments.drifttube.reconstruction.calibration import PARAMETERS, Calibration
from townsend.experiments.drifttube.reconstruction.calibration_check import CalibrationCheck, percent
from townsend.experiments.drifttube.reconstruction.first_arrival import EARLIEST_NS
from townsend.experiments.drifttube.reconstruction.folder import PARTS, check_reconstruction
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import Metric

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["calibration_json", "card_text", "render_reconstruction"]

_MOST_LETTERS = 90  # of a note of a part in a terminal
_RULE = "number = offset + slope * prediction + per_100ns * u + per_100ns_squared * u²"


def calibration_json(calibration: Calibration, errors: Mapping[str, float], check: CalibrationCheck) -> dict[str, Any]:
    """Return the JSON-like calibration; figures are [value, error], null where not finite."""
    return {
        **calibration.to_json(),
        "errors": dict(errors),
        "bias_before": _pair(check.bias["before"]),
        "bias_after": _pair(check.bias["after"]),
        "relative_bias_before": _pair(check.relative["before"]),
        "relative_bias_after": _pair(check.relative["after"]),
        "thirds": [
            {
                "impact_cm": list(third["impact_cm"]),
                "waveforms": third["waveforms"],
                "relative_bias_before": _pair(third["before"]),
                "relative_bias_after": _pair(third["after"]),
            }
            for third in check.thirds
        ],
        "pull_mean": _pair(check.pull_mean),
        "pull_width": _pair(check.pull_width),
        "judged_on": "every other waveform, by a calibration of the rest; errors by bootstrap over waveforms",
    }


def _pair(metric: Metric) -> list[float | None]:
    return [float(part) if math.isfinite(part) else None for part in metric]


def card_text(value: Mapping[str, Any]) -> str:
    """Return the human card, Markdown, of the JSON-like one."""
    return "\n".join(printable(line) for line in _lines(value)) + "\n"


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    facts, fit, finder = value["facts"], value["calibration"], value["finder"]
    yield "# Reconstruction: clusters counted in drift-tube waveforms"
    yield ""
    yield "A peak finder, a clusteriser that counts primary clusters in the finder's peaks, and a calibration of that"
    yield f"number on {fit['waveforms']} simulated waveforms (seed {fit['sample_seed']}) that neither has seen."
    yield from ("", "## Whether to believe it", "")
    yield from (f"- {'ok' if v['ok'] else '**note**'}: {v['sentence']}" for v in value["verdicts"])
    yield from ("", "## Calibration", "", "| | before | after |", "|---|---|---|")
    yield from (f"| {' | '.join(row)} |" for row in _bias_rows(fit))
    yield ""
    yield f"Judged on {fit['judged_on']}. Mean truth {fit['mean_true_clusters']:.2f} clusters."
    yield from ("", f"- {_RULE}, not below 0, and 0 where no peak was found")
    yield f"- u = first arrival since the passage of the track / 100 ns, clipped to {_range(fit)}: it tells the"
    yield "  distance from the wire, on which the bias of a straight line depends"
    yield "- error = sqrt(variance_floor + variance_per_cluster * number), one standard deviation"
    yield from (f"- `{name}`: {text}" for name, text in _parameters(fit))
    yield ""
    yield "The mean is right at every *predicted* number, not at every *true* one, and for tracks like those of the"
    yield "calibration sample: the same gas, voltage, electronics, noise and spread of impact parameters. What depends"
    yield "on the first arrival holds for that drift velocity, and needs the passage of the track to a few ns. Another"
    yield "density of clusters along the track, of another gas or particle, is followed by the slope alone."
    yield from ("", "## Notes of the parts", "")
    yield from (f"- {part}: {sentence}" for part, sentence in _notes(value))
    if not _notes(value):
        yield "None."
    yield from ("", "## How to apply it", "", "```", "townsend reconstruct THIS_FOLDER FILES... -o out", "```", "")
    yield f"Files must have {facts['sampling_rate_ghz']:g} GS/s (or `resample: true`), signals going up after their"
    yield f"polarity, and record at least {facts['max_drift_ns']:.0f} ns after the passage of the track, whose time in"
    yield "the record must be known. Keep the folder as it is: a part that was edited or exchanged is refused."
    yield from ("", "## How to use the networks without townsend", "", *_recipe(value))
    yield from ("", "## Facts", "")
    yield from (f"- `{name}`: {json.dumps(fact)}" for name, fact in facts.items())
    yield ""
    yield f"- finder: SHA-256 {finder['sha256']}, sweep {finder['sweep']}, threshold {finder['threshold']!r}"
    yield f"- clusteriser: SHA-256 {value['clusteriser']['sha256']}, sweep {value['clusteriser']['sweep']}"
    yield f"- calibration sample: SHA-256 {fit['sample']}"
    yield f"- {', '.join(f'{name} {number}' for name, number in value['versions'].items())}"
    yield ""
    yield "Times in ns, voltages in mV, rates in samples per ns (GS/s), lengths in cm. Hashes cover name and contents."


def _recipe(value: Mapping[str, Any]) -> Iterator[str]:
    facts, fit = value["facts"], value["calibration"]
    before, after, rate = facts["window_before"], facts["window_after"], facts["sampling_rate_ghz"]
    window, peaks = (", ".join(map(str, (1, *value[part]["input_shape"]))) for part in ("finder", "clusteriser"))
    yield from (
        "```python",
        "import keras  # on JAX, TensorFlow or PyTorch: set KERAS_BACKEND",
        "import numpy as np",
        "",
    )
    yield 'finder = keras.models.load_model("finder/model.keras")'
    yield f'windows = np.zeros(({window}), "float32")  # one a candidate, see 1.'
    yield f"is_peak = finder.predict(windows)[:, 0] >= {value['finder']['threshold']!r}"
    yield ""
    yield 'clusteriser = keras.models.load_model("clusteriser/model.keras")'
    yield f'peaks = np.zeros(({peaks}), "float32")  # one list a waveform, see 2.'
    yield "predicted = clusteriser.predict(peaks)[:, 0]"
    yield "first_ns = 0.0  # one a waveform, see 3."
    yield f"u = np.clip(first_ns, {fit['first_from_ns']!r}, {fit['first_to_ns']!r}) / 100"
    yield f"number = {fit['offset']!r} + {fit['slope']!r} * predicted"
    yield f"number += {fit['per_100ns']!r} * u + {fit['per_100ns_squared']!r} * u**2"
    yield "number = np.maximum(0, number)  # and 0 where no peak was found"
    yield f"error = np.sqrt({fit['variance_floor']!r} + {fit['variance_per_cluster']!r} * number)"
    yield from ("```", "")
    yield "1. A candidate is a sample with negative second difference. Its window: the"
    yield f"   {before} samples before it, itself and the {after} after it, in mV with signals going up, minus"
    yield f"   their mean, divided by {facts['scale_mV']!r}. Of accepted candidates closer than"
    yield f"   {facts['double_pulse_ns']:g} ns the one with the highest score is kept."
    yield f"2. Arrival = sample / {rate:g} GS/s - {facts['delay_ns']:g} ns. The list is 0, and 1 in bin"
    yield f"   floor((arrival - t0 + {facts['t0_ns']:g} ns) * {rate:g} GS/s + 0.5), t0 the passage of the track;"
    yield f"   peaks outside of its {facts['bins']} bins are left out."
    yield f"3. The least of all arrival - t0 that are {EARLIEST_NS:g} ns or more, clipped to 0 and"
    yield f"   {facts['max_drift_ns']!r} ns, the longest drift time, which also stands where all are less."


def _metric(pair: Sequence[float | None]) -> Metric:
    value, error = (math.nan if part is None else part for part in pair)
    return Metric(value, error)


def _bias_rows(fit: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Return what, before and after calibration."""

    def row(name: str, figure: str, of: Mapping[str, Any], show: Callable[[Metric], str]) -> tuple[str, str, str]:
        before, after = (show(_metric(of[f"{figure}_{when}"])) for when in ("before", "after"))
        return name, before, after

    rows = [row("bias, clusters", "bias", fit, shown), row("bias, of the truth", "relative_bias", fit, percent)]
    for third in fit["thirds"]:
        low, high = third["impact_cm"]
        rows.append(row(f"bias, {low:.3f} to {high:.3f} cm from the wire", "relative_bias", third, percent))
    return rows


def _parameters(fit: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return names and values; terms that the sample did not tell have no error."""
    return [(name, shown(Metric(fit[name], fit["errors"][name])) if fit[name] else "0") for name in PARAMETERS]


def _range(fit: Mapping[str, Any]) -> str:
    return f"{fit['first_from_ns'] / 100:.2f} to {fit['first_to_ns'] / 100:.2f}"


def _notes(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return part and note, of what the cards of the parts say one should mind."""
    return [(part, sentence) for part in PARTS for sentence in card["notes_of_parts"][part]]


def render_reconstruction(path: Path) -> Group:
    """Return what a terminal shows of a reconstruction: verdicts, bias, parameters, then notes of the parts, shortened.

    Raises InputError when the folder is none or was edited.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from townsend.sweep.board_table import verdict_line

    card = check_reconstruction(path).card
    fit = card["calibration"]
    title = Text(f"calibrated on {fit['waveforms']} waveforms; bias on waveforms that a fit did not see:")
    bias = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    bias.add_column(Text("figure"), overflow="fold")
    for name in ("before", "after"):
        bias.add_column(Text(name), justify="right", no_wrap=True)
    for row in _bias_rows(fit):
        bias.add_row(*map(Text, row))
    rule = Text(f"{_RULE}, u = first arrival / 100 ns, {_range(fit)}")
    fitted = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
    fitted.add_column(overflow="fold")
    fitted.add_column(justify="right", no_wrap=True)
    for name, text in _parameters(fit):
        fitted.add_row(Text(name), Text(text))
    notes = [
        Text(printable(shorten(f"{part}: {said}", _MOST_LETTERS, placeholder=" ..."))) for part, said in _notes(card)
    ]
    head = [Text("notes of the parts, in full in README.md:")] if notes else []
    verdicts = [verdict_line(v["ok"], v["sentence"]) for v in card["verdicts"]]
    return Group(*verdicts, title, bias, rule, fitted, *head, *notes)
