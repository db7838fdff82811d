"""The card of a chosen model: what it is, where it comes from, what it is worth, how to use it.

What to use when
----------------
- `card`: the JSON-like card of `card.json`, which programs read.
- `card_text`: the same for people, `README.md`.
- `render_card`: the same for a terminal, from a folder.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from townsend.errors import InputError, printable
from townsend.evaluate.verdict import Verdict
from townsend.files import read_sealed
from townsend.networks.estimators import ESTIMATORS
from townsend.sample.provenance import versions
from townsend.sweep.board_verdicts import shown, shown_value
from townsend.tasks.base import CEILING, Evaluation, Metric
from townsend.training.models import CUTS, TORCH
from townsend.training.records import Outcome

if TYPE_CHECKING:
    from rich.console import Group

    from townsend.sweep.board import Board
    from townsend.sweep.records import RunInfo
    from townsend.sweep.taken import Taken

__all__ = ["MADE_BY", "card", "card_text", "render_card"]

_MOST_ROWS = 20  # in a terminal
MADE_BY = "townsend choose"
"""Mark by which a folder is known as one that `choose` may replace."""


def card(
    info: RunInfo,
    ranking: Board,
    taken: Taken,
    test: Evaluation,
    verdicts: Sequence[Verdict],
    *,
    by_reader: bool,
    outputs: int = 1,
) -> dict[str, Any]:
    """Return the JSON-like card of the chosen model; figures are [value, error], null where not finite.

    Arguments:
        info, ranking: of the sweep.
        taken: the network.
        test: what it is worth on the test set; verdicts: on the network.
        by_reader: whether its configuration was named by the reader, and not taken for leading.
        outputs: numbers that it gives an example.
    """
    best, arrays = taken.record, taken.arrays
    of_sweep = [verdict for verdict in ranking.verdicts if not verdict.ok]
    return {
        "made_by": MADE_BY,
        "card_version": 1,
        "task": info.settings["task"],
        "task_settings": info.settings.get("task_settings", {}),
        "network": info.settings["network"],
        "build_sha256": info.build,
        "hyperparameters": dict(best.hyperparameters),
        "parameters": best.parameters,
        "trial": best.trial,
        "choice": {
            "by": "reader" if by_reader else "validation",
            "rank": 1 + [row.trial for row in ranking.ranked].index(best.trial),
            "fold": best.fold,
            "repeat": best.repeat,
            "trained_on": "all but test" if taken.anew else "train",
        },
        "seed": best.seed,
        "epochs": best.epochs,
        "best_epoch": best.best_epoch,
        "input_shape": list(arrays.splits["test"].x.shape[1:]),
        **({"outputs": outputs} if outputs > 1 else {}),
        "facts": dict(arrays.facts),
        "threshold": best.threshold,
        "objective": {"metric": ranking.objective.metric, "maximise": ranking.objective.maximise},
        "validation": {"selection_biased": len(ranking.ranked) > 1, "metrics": _figures(best.metrics)},
        "test": {"selection_biased": False, "examples": len(arrays.splits["test"]), "metrics": _figures(test.metrics)},
        "verdicts": [verdict.to_json() for verdict in (*verdicts, *of_sweep)],
        "sweep": {
            "name": ranking.source,
            "fingerprint": info.fingerprint,
            "configurations_planned": ranking.planned,
            "configurations_ended": len(ranking.rows),
            "configurations_compared": len(ranking.ranked) + sum(row.outcome is Outcome.PRUNED for row in ranking.rows),
            "settings": dict(info.settings),
            "versions": dict(info.versions),
        },
        "sample": info.sample,
        "versions": versions(),
    }


def _figures(metrics: Mapping[str, Metric]) -> dict[str, list[float | None]]:
    return {name: [part if math.isfinite(part) else None for part in metric] for name, metric in metrics.items()}


def _metric(pair: Sequence[float | None]) -> Metric:
    value, error = (math.nan if part is None else float(part) for part in pair)
    return Metric(value, error)


def card_text(value: Mapping[str, Any]) -> str:
    """Return the human card, Markdown, of the JSON-like one."""
    return "\n".join(printable(line) for line in _lines(value)) + "\n"


def _lines(value: Mapping[str, Any]) -> Iterator[str]:
    sweep, metric = value["sweep"], value["objective"]["metric"]
    test, validation = value["test"]["metrics"], value["validation"]["metrics"]
    yield f"# {value['task']}: {value['network']} network, trial {value['trial']}"
    yield ""
    yield (
        f"{metric} {shown(_metric(test[metric]))} on test ({value['test']['examples']} examples, read once); "
        f"{_place(value)} on validation, {value['parameters']} parameters."
    )
    yield from ("", "## Whether to believe it", "")
    yield from (f"- {'ok' if v['ok'] else '**note**'}: {v['sentence']}" for v in value["verdicts"])
    yield from ("", "## Figures", "")
    if value["threshold"] is not None:
        yield from (f"At threshold {value['threshold']:.6g}, chosen on validation.", "")
    biased = " (selection-biased)" if value["validation"]["selection_biased"] else ""
    yield from (f"| figure | test | its ceiling on test | validation{biased} |", "|---|---|---|---|")
    yield from (f"| {' | '.join(row)} |" for row in _figure_rows(test, validation))
    yield from ("", "Errors are one standard deviation, from whole waveforms or events.")
    yield from ("", "## How to use it without townsend", "", *_recipe(value), "")
    yield f"Input: {_shape(value['input_shape'])} float32 numbers an example, prepared as the facts below say."
    numbers = f"{value['outputs']} numbers an example, one a class" if "outputs" in value else "one number an example"
    yield f"Output: {value['facts'].get('output', numbers)}."
    yield "The commands of townsend do the preparation themselves."
    yield from ("", "## Facts the input must agree with", "")
    yield from (f"- `{name}`: {_fact(name, fact)}" for name, fact in value["facts"].items())
    yield from ("", "## Where it comes from", "")
    yield from (f"- `{name}`: {shown_value(given)}" for name, given in value["hyperparameters"].items())
    trained = f"trained on {value['choice']['trained_on']}"
    yield f"- {trained}, best epoch {value['best_epoch']} of {value['epochs']}, seed {value['seed']}"
    yield f"- sweep {sweep['name']}, fingerprint {sweep['fingerprint']}; sample SHA-256 {value['sample']}"
    yield f"- {', '.join(f'{name} {number}' for name, number in sweep['versions'].items())}"
    yield from (
        "",
        "## Limits",
        "",
        "- Trained on one simulated or recorded sample: the figures hold for its detector,",
    )
    yield "  noise and prevalence, not for data that differ from it."
    if value["threshold"] is not None:
        yield "- The score is not a calibrated probability."
    yield "- `card.json` holds all settings; `test.npz` the scores behind the figures."


def _place(value: Mapping[str, Any]) -> str:
    """Return who chose the network, and from how many."""
    choice, compared = value["choice"], value["sweep"]["configurations_compared"]
    if choice["by"] == "reader":
        return f"the reader's choice, number {choice['rank']} of {compared} configurations"
    return f"the best of {compared} configurations"


def _recipe(value: Mapping[str, Any]) -> Iterator[str]:
    if value["network"] in ESTIMATORS:
        yield from _estimator_recipe(value)
        return
    if value["network"] == CUTS:
        yield "`model.cuts.json` holds the selection and its thresholds; an event that passes scores 1, any other 0."
        return
    if value["network"] == TORCH:
        yield "`model.npz` holds the state of a PyTorch module; its code is your file, of SHA-256"
        yield f"{value['build_sha256']}. In Python:"
        yield "`open_chosen(folder, task, load_build(file)).network.scores(x)`."
        return
    yield from (
        "```python",
        "import keras  # on JAX, TensorFlow or PyTorch: set KERAS_BACKEND",
        "import numpy as np",
        "",
    )
    yield 'model = keras.models.load_model("model.keras")'
    zeros = ", ".join(map(str, (1, *value["input_shape"])))
    yield f'x = np.zeros(({zeros}), "float32")  # your examples'
    cut = "" if value["threshold"] is None else f" >= {value['threshold']!r}"
    yield f"print(model.predict(x){'' if 'outputs' in value else '[:, 0]'}{cut})"
    yield "```"


def _estimator_recipe(value: Mapping[str, Any]) -> Iterator[str]:
    features = math.prod(value["input_shape"])
    numbers = "outputs" not in value and (value["threshold"] is None or value["network"] == "linear")
    outputs = "predict(x)" if numbers else f"predict_proba(x){'' if 'outputs' in value else '[:, 1]'}"
    cut = "" if value["threshold"] is None else f" >= {value['threshold']!r}"
    yield from ("```python", "import numpy as np", "import skops.io", "")
    yield 'unknown = skops.io.get_untrusted_types(file="model.skops")  # trees and kernels; trust them in your own file'
    yield 'model = skops.io.load("model.skops", trusted=unknown)'
    yield f'x = np.zeros((1, {features}), "float32")  # your examples, flat'
    yield f"print(model.{outputs}{cut})"
    yield "```"


def _shape(shape: Sequence[int]) -> str:
    return " x ".join(map(str, shape))


def _fact(name: str, fact: Any) -> str:
    told = fact if isinstance(fact, str) else json.dumps(fact)
    return f"{told} (the model does this itself: give it the numbers as they are)" if name == "scaling" else told


def render_card(model: Path) -> Group:
    """Return what a terminal shows of a folder made by `choose`: verdicts, then figures on test and validation.

    Raises InputError when the folder was not made by `choose`.
    """
    from rich import box
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    from townsend.sweep.board_table import verdict_line

    value = read_sealed(model / "card.json")
    if value.get("made_by") != MADE_BY:
        msg = f"{model} must be a folder made by `townsend choose`; make it again"
        raise InputError(msg)
    test, validation = value["test"]["metrics"], value["validation"]["metrics"]
    threshold = value["threshold"]
    title = f"trial {value['trial']}" + ("" if threshold is None else f" at threshold {threshold:.3f}")
    grid = Table(title=Text(title), title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    biased = "validation\n(selection-biased)" if value["validation"]["selection_biased"] else "validation"
    grid.add_column(Text("figure"), overflow="fold", vertical="bottom")  # gives way on a narrow terminal
    for name in ("test", "ceiling", biased):
        grid.add_column(Text(name), justify="right", no_wrap=True, vertical="bottom")
    rows = _figure_rows(test, validation)
    for row in rows[:_MOST_ROWS]:
        grid.add_row(*[Text(printable(cell)) for cell in row])
    more = [Text(f"{len(rows) - _MOST_ROWS} more figures on the card")] if len(rows) > _MOST_ROWS else []
    return Group(*[verdict_line(v["ok"], v["sentence"]) for v in value["verdicts"]], grid, *more)


def _figure_rows(test: Mapping[str, Any], validation: Mapping[str, Any]) -> list[tuple[str, str, str, str]]:
    """Return name, figure on test, its ceiling there and figure on validation; ceilings have no row of their own."""

    def cell(figures: Mapping[str, Any], name: str) -> str:
        return shown(_metric(figures[name])) if name in figures else "-"

    names = [name for name in test if not name.endswith(CEILING)]
    return [(name, cell(test, name), cell(test, name + CEILING), cell(validation, name)) for name in names]
