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
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from townsend.errors import printable
from townsend.experiments.drifttube.reconstruction.calibration import Calibration
from townsend.experiments.drifttube.reconstruction.calibration_check import CalibrationCheck
from townsend.experiments.drifttube.reconstruction.folder import check_reconstruction
from townsend.sweep.board_verdicts import shown
from townsend.tasks.base import Metric

if TYPE_CHECKING:
    from rich.console import Group

__all__ = ["calibration_json", "card_text", "render_reconstruction"]

_PARAMETERS = ("offset", "slope", "variance_floor", "variance_per_cluster")


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
    yield from ("", "- number = max(0, offset + slope * prediction), and 0 where no peak was found")
    yield "- error = sqrt(variance_floor + variance_per_cluster * number), one standard deviation"
    yield from (f"- `{name}`: {shown(Metric(fit[name], fit['errors'][name]))}" for name in _PARAMETERS)
    yield ""
    yield "The mean is right at every *predicted* number, not at every *true* one, and for tracks like those of the"
    yield "calibration sample: the same gas, voltage, electronics, noise and spread of impact parameters."
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
    yield f"number = np.maximum(0, {fit['offset']!r} + {fit['slope']!r} * predicted)  # 0 where no peak was found"
    yield f"error = np.sqrt({fit['variance_floor']!r} + {fit['variance_per_cluster']!r} * number)"
    yield from ("```", "")
    yield "1. A candidate is a sample with negative second difference. Its window: the"
    yield f"   {before} samples before it, itself and the {after} after it, in mV with signals going up, minus"
    yield f"   their mean, divided by {facts['scale_mV']!r}. Of accepted candidates closer than"
    yield f"   {facts['double_pulse_ns']:g} ns the one with the highest score is kept."
    yield f"2. Arrival = sample / {rate:g} GS/s - {facts['delay_ns']:g} ns. The list is 0, and 1 in bin"
    yield f"   floor((arrival - t0 + {facts['t0_ns']:g} ns) * {rate:g} GS/s + 0.5), t0 the passage of the track;"
    yield f"   peaks outside of its {facts['bins']} bins are left out."


def _bias_rows(fit: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    def percent(pair: Sequence[float | None]) -> str:
        value, error = (math.nan if part is None else 100 * part for part in pair)
        return f"{value:+.2f} ± {error:.2f} %" if math.isfinite(value) else "-"

    def clusters(pair: Sequence[float | None]) -> str:
        return shown(Metric(*(math.nan if part is None else part for part in pair)))

    rows = [
        ("bias, clusters", clusters(fit["bias_before"]), clusters(fit["bias_after"])),
        ("bias, of the truth", percent(fit["relative_bias_before"]), percent(fit["relative_bias_after"])),
    ]
    for third in fit["thirds"]:
        low, high = third["impact_cm"]
        name = f"bias, of the truth, distance from the wire {low:.3f} to {high:.3f} cm"
        rows.append((name, percent(third["relative_bias_before"]), percent(third["relative_bias_after"])))
    return rows


def render_reconstruction(path: Path) -> Group:
    """Return what a terminal shows of a reconstruction: verdicts, then bias before and after, and the parameters.

    Raises InputError when the folder is none or was edited.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from townsend.sweep.board_table import verdict_line

    card = check_reconstruction(path).card
    fit = card["calibration"]
    grid = Table(title=Text(f"calibrated on {fit['waveforms']} waveforms"), title_justify="left", box=box.SIMPLE_HEAD)
    grid.add_column(Text("figure"), overflow="fold")
    for name in ("before", "after"):
        grid.add_column(Text(name), justify="right", no_wrap=True)
    for row in _bias_rows(fit):
        grid.add_row(*map(Text, row))
    for name in _PARAMETERS:
        grid.add_row(Text(name.replace("_", " ")), Text(""), Text(shown(Metric(fit[name], fit["errors"][name]))))
    return Group(*[verdict_line(v["ok"], v["sentence"]) for v in card["verdicts"]], grid)
