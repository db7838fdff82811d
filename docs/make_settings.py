"""Write docs/reference/settings.md from the classes that read the settings, so that the page cannot be out of date.

Run: python docs/make_settings.py
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from townsend.engines.request import Size
from townsend.engines.site import Site
from townsend.experiments.drifttube.clusters.cluster_task_settings import ClusterSettings
from townsend.experiments.drifttube.noise.quiet_traces import MeasureNoiseSettings
from townsend.experiments.drifttube.peaks.find_peaks import FindPeaksSettings
from townsend.experiments.drifttube.peaks.task_settings import PeakSettings
from townsend.experiments.drifttube.reading.layouts import ReadSettings
from townsend.experiments.drifttube.reconstruction.reconstruct import ReconstructSettings
from townsend.experiments.drifttube.simulation.settings import DriftTubeSettings
from townsend.experiments.gluex.settings import GluexSettings
from townsend.experiments.table.analysis_settings import AnalysisSettings
from townsend.experiments.table.settings import ClassSettings, FriendSettings, TableSettings
from townsend.experiments.table.task_settings import TableTaskSettings
from townsend.networks.blocks import INITIALIZERS
from townsend.networks.values import ACTIVATIONS
from townsend.sweep.hyperparameter import Range, Tied, Values
from townsend.sweep.settings import Halving, SweepSettings
from townsend.training.hyperparameters import ALL, OPTIMIZERS, SCHEDULES
from townsend.training.losses import CLASSIFICATION, REGRESSION

PAGE = Path(__file__).parent / "reference" / "settings.md"

INTRODUCTION = """\
# Settings

Made by `python docs/make_settings.py` from the classes that read them; a test compares. Files are YAML: an unknown key
is refused with its line and the nearest known one, a missing key takes its default. Anchors, aliases and tags are
refused. The settings that were used, all defaults filled in, lie beside every result (`simulation.yaml`, `sweep.yaml`,
`card.json`, `summary.json`, `jobs/site.yaml`)."""

SECTIONS = (
    (DriftTubeSettings, "townsend simulate drifttube --config FILE"),
    (GluexSettings, "townsend simulate gluex --config FILE, townsend simulate eta --config FILE"),
    (TableSettings, "townsend skim FILE, townsend train FILE, `sample` of a sweep with `task: table`"),
    (ClassSettings, "a class of a table"),
    (FriendSettings, "a friend of a table"),
    (AnalysisSettings, "townsend train FILE"),
    (TableTaskSettings, "`task_settings` of an analysis, and of a sweep with `task: table`"),
    (ReadSettings, "townsend read ... --format littlepi --config FILE"),
    (MeasureNoiseSettings, "townsend noise ... --config FILE"),
    (SweepSettings, "townsend sweep FILE"),
    (Halving, "`halving` of a sweep"),
    (Range, "a hyperparameter in the `space` of a sweep"),
    (Values, "a hyperparameter in the `space` of a sweep"),
    (Tied, "a hyperparameter in the `space` of a sweep"),
    (PeakSettings, "`task_settings` of a sweep with `task: drifttube-peaks`"),
    (ClusterSettings, "`task_settings` of a sweep with `task: drifttube-clusters`"),
    (FindPeaksSettings, "townsend find-peaks ... --config FILE"),
    (ReconstructSettings, "townsend reconstruct ... --config FILE"),
    (Site, "`--engine FILE.yaml` of `sweep`, `simulate drifttube` and `reconstruct`"),
)
UNITS = {
    "_keV_per_cm": "keV/cm",
    "_GeV_per_cm": "GeV/cm",
    "momentum_high_GeV": "GeV/c",
    "momentum_low_GeV": "GeV/c",
    "momentum_GeV": "GeV/c",
    "_cm2_per_Vs": "cm²/(V s)",
    "_mV_per_uA": "mV/µA",
    "_V_per_cm": "V/cm",
    "_cm_per_us": "cm/µs",
    "_per_GeV2": "GeV⁻²",
    "_per_fb": "fb⁻¹",
    "_mrad": "mrad",
    "_GeV": "GeV",
    "_X0": "X₀",
    "_pb": "pb",
    "_hours": "h",
    "_minutes": "min",
    "_seconds": "s",
    "_deg": "degrees",
    "_GHz": "GS/s",
    "_MHz": "MHz",
    "_cm": "cm",
    "_mV": "mV",
    "_ns": "ns",
    "_V": "V",
}
"""Ending of a name -> unit; the longest comes first."""
BOUNDS = {"gt": "> {}", "ge": "≥ {}", "lt": "< {}", "le": "≤ {}"}
GIVEN = "must be given"
SPACE = "mapping of a hyperparameter to a list of values, a `Range`, `Values` or `Tied`, as below"


def _names(names: Iterable[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


OF_TRAINING = (
    ("optimizer", _names(OPTIMIZERS), GIVEN),
    ("batch_size", f"whole number, 1 to 1,048,576, or `{ALL}`: one step an epoch", GIVEN),
    ("learning_rate", "number, > 0", "0.001 for `rmsprop`, `adam`, `adamw`, else 0.01"),
    ("momentum", "number, ≥ 0, < 1, of `momentum` and `nesterov`", "0.9"),
    (
        "weight_decay",
        "number, ≥ 0, share of every variable, times the rate, that a step takes away",
        "0.004 for `adamw`, else 0",
    ),
    ("l1", "number, ≥ 0, factor of Σ\\|w\\| over the kernels", "0"),
    ("l2", "number, ≥ 0, factor of Σw² over the kernels", "0"),
    ("schedule", _names(SCHEDULES), "`constant`"),
    ("schedule_decay", "number, > 0, < 1, factor an epoch (`decay`) or a step down (`plateau`)", "0.95; 0.5"),
    ("schedule_patience", "whole number, ≥ 1, epochs before `plateau` steps down", "5"),
    ("loss", f"of a classification {_names(CLASSIFICATION)}; of a regression {_names(REGRESSION)}", "the task's"),
    ("epochs", "whole number, ≥ 1", "the sweep's"),
    ("patience", "whole number, ≥ 1", "the sweep's"),
)
OF_NETWORKS = {
    "lstm": (
        "one LSTM, a hidden layer, an output",
        (
            ("topology", 'three layer sizes in one text, `"96 128 1"`: LSTM, hidden layer, output (1)', GIVEN),
            ("activations", 'two names in one text, `"relu sigmoid"`: hidden layer, output', GIVEN),
            ("dropout", "number, ≥ 0, < 1, of the hidden layer", GIVEN),
        ),
    ),
    "cnn": (
        "two convolutions 4 bins long, each with pooling by 2, a dense layer of 32 with ReLU, a linear output",
        (
            ("filters", 'two numbers in one text, `"32 64"`: of the first and of the second convolution', GIVEN),
            ("activations", 'two names in one text, `"relu selu"`: first and second convolution', GIVEN),
            ("dropout", "number, ≥ 0, < 1, of the dense layer", GIVEN),
        ),
    ),
    "dense": (
        "dense layers on the input as one row of numbers, one output",
        (
            ("layers", 'one to eight layer sizes in one text, `"64 32"`: the hidden layers', GIVEN),
            ("activations", 'two names in one text, `"relu sigmoid"`: hidden layers, output', GIVEN),
            ("dropout", "number, ≥ 0, < 1, of every hidden layer", GIVEN),
        ),
    ),
}
OF_EVERY_NETWORK = (
    ("initializer", f"{_names(INITIALIZERS)}: how dense and convolutional kernels begin", "`glorot_uniform`"),
    ("batch_norm", "`true`, `false`: batch normalization between each hidden layer and its activation", "`false`"),
)


def page() -> str:
    """Return the whole page."""
    lines = [INTRODUCTION]
    for model, where in SECTIONS:
        shown = where if where.startswith(("`", "a ")) else f"`{where}`"
        lines += ["", f"## {model.__name__}", "", f"{_summary(model)} For {shown}.", *_tables(model, "")]
    lines += ["", "## Hyperparameters of a sweep's space", "", *_hyperparameters()]
    return "\n".join(lines) + "\n"


def _summary(model: type[BaseModel]) -> str:
    return (model.__doc__ or "").strip().splitlines()[0]


def _tables(model: type[BaseModel], above: str) -> Iterator[str]:
    """Yield a table of the plain settings of a class, then one for each group of settings in it."""
    plain = {name: field for name, field in model.model_fields.items() if not _is_group(field.annotation)}
    if plain:
        yield from ("", "| key | value | unit | default | meaning |", "|---|---|---|---|---|")
        for name, field in plain.items():
            meaning = (field.description or "").replace("|", "\\|")
            cells = (f"`{above}{name}`", _values(field), _unit(name), _default(field), meaning)
            yield f"| {' | '.join(cells)} |"
    for name, field in model.model_fields.items():
        group = field.annotation
        if _is_group(group) and isinstance(group, type):
            yield from ("", f"### {above}{name}", "", _summary(group), *_tables(group, f"{above}{name}."))


def _is_group(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _values(field: FieldInfo) -> str:
    """Return what a setting may be, with its bounds."""
    bounds = [
        BOUNDS[kind].format(_number(getattr(rule, kind)))
        for rule in field.metadata
        for kind in BOUNDS
        if getattr(rule, kind, None) is not None
    ]
    size = any(rule in get_args(Size) for rule in field.metadata)
    return ", ".join(["number with MB or GB" if size else _kind(field.annotation), *bounds])


def _number(value: float) -> str:
    return "2^63" if value == 1 << 63 else f"{value:,}"


def _kind(annotation: Any) -> str:
    plain = {int: "whole number", float: "number", str: "text", bool: "true or false", type(None): "null"}
    if annotation in plain:
        return plain[annotation]
    if _is_group(annotation):
        return f"a [`{annotation.__name__}`](#{annotation.__name__.lower()})"
    arguments = get_args(annotation)
    if get_origin(annotation) is Literal:
        return ", ".join(f"`{value}`" for value in arguments)
    if get_origin(annotation) is dict:
        return SPACE if "Range" in str(annotation) else "mapping"
    if get_origin(annotation) is list:
        return f"list of {_kind(arguments[0])}"
    if get_origin(annotation) is Annotated:
        return _kind(arguments[0])
    return " or ".join(_kind(argument) for argument in arguments)


def _unit(name: str) -> str:
    return next((unit for ending, unit in UNITS.items() if name.endswith(ending)), "")


def _default(field: FieldInfo) -> str:
    value = field.get_default(call_default_factory=True)
    return "must be given" if value is PydanticUndefined else f"`{json.dumps(value)}`"


def _hyperparameters() -> Iterator[str]:
    yield from _table("Of the training, whatever the network:", OF_TRAINING)
    for family, (what, rows) in OF_NETWORKS.items():
        yield ""
        yield from _table(f"Of `network: {family}`, {what}:", rows)
    yield ""
    yield from _table("Of every network:", OF_EVERY_NETWORK)
    yield from ("", f"Activations: {_names(ACTIVATIONS)}.")


def _table(title: str, rows: Iterable[tuple[str, str, str]]) -> Iterator[str]:
    yield from (title, "", "| name | value | when left out |", "|---|---|---|")
    yield from (f"| `{name}` | {values} | {without} |" for name, values, without in rows)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
