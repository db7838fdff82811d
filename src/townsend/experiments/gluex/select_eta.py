"""The eta mass behind each selection: what a network for single tracks is worth for eta -> e+ e- gamma.

What to use when
----------------
- `select_eta`: chosen models and a folder of simulated decays in; yields, signal shape and figures out.
- `render_selections`: what a terminal shows of it.

A decay is selected when both of its tracks are called electrons. The folder holds `eta.json`, `eta.csv` and `figures/`.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.experiments.gluex.descriptions import DECAYS
from townsend.experiments.gluex.eta_decays import TRACKS
from townsend.experiments.gluex.eta_mass import WINDOW_GEV, SignalShape, signal_shape
from townsend.experiments.table.events import ROWS, Reader
from townsend.experiments.table.events_judged import Model, open_models
from townsend.experiments.table.task_settings import feature_settings
from townsend.files import atomic_path, read_json, write_json
from townsend.folders import check_replaceable, folder_as_a_whole
from townsend.networks.build_file import BuildFile
from townsend.networks.stored import forward
from townsend.report.histograms import Bins, weighted_bins
from townsend.report.selection_figures import mass_figure, shape_figure
from townsend.sample.columns import open_columns

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["MADE_BY", "read_selections", "render_selections", "select_eta"]

MADE_BY = "townsend select-eta"
_MARK = "eta.json"
_OWN = frozenset({_MARK, "eta.csv", "figures"})
_COLUMNS = ("label", "reconstructed", "m_eegamma")
_EDGES = np.linspace(0.2, 0.75, 111)  # GeV, 5 MeV a bin
_MASS = "mass of e+ e- gamma [GeV]"
_HEADER = ("model", "quantity", "value", "error")

Report = Callable[[str, int, int], None]


def select_eta(
    models: Mapping[str, Path],
    decays: Path,
    output: Path,
    *,
    build: BuildFile | None = None,
    progress: Report = lambda what, done, total: None,
) -> dict[str, SignalShape]:
    """Select decays with each model and write what it does to signal, background and the shape of the mass.

    Arguments:
        models: name -> folder of a model trained on single tracks.
        decays: folder made by `townsend simulate eta`.
        output: folder; new, empty, or made before.
        build: the user's file, for PyTorch modules.
        progress: called with what is being done, how much is done and of how much.

    Returns model -> what its selection does. Raises InputError when models or decays cannot be used.
    """
    check_replaceable(output, _MARK, MADE_BY, _OWN)
    opened = open_models(models, build)
    files = sorted(decays.glob(f"{DECAYS}-*.root"))
    if not files:
        msg = f"{decays} must hold {DECAYS}-*.root (got none); make them with `townsend simulate eta`"
        raise InputError(msg)
    truth = _read(files)
    whole = truth["reconstructed"] > 0
    mass, signal = truth["m_eegamma"][whole].astype(np.float64), truth["label"][whole] == 1
    found, selected = dict[str, SignalShape](), dict[str, NDArray[np.bool_]]()
    for number, (name, model) in enumerate(opened.items()):
        progress(f"selecting with {name}", number, len(opened))
        both = np.logical_and.reduce([_electrons(model, files, side) for side in TRACKS])
        selected[name] = both[whole]
        found[name] = signal_shape(mass, signal, selected[name])
    with folder_as_a_whole(output) as folder:
        (folder / "figures").mkdir()
        _draw(mass, signal, selected, folder / "figures")
        value = {
            "made_by": MADE_BY,
            "decays": len(whole),
            "reconstructed": int(whole.sum()),
            "models": {name: one.to_json() for name, one in found.items()},
        }
        _write_csv(folder / "eta.csv", found)
        write_json(folder / _MARK, value)
    return found


def _read(files: list[Path]) -> dict[str, NDArray[Any]]:
    columns = open_columns(files, DECAYS)
    pieces = [chunk.columns for chunk in columns.iterate(_COLUMNS, rows=ROWS)]
    return {name: np.concatenate([piece[name] for piece in pieces]) for name in _COLUMNS}


def _electrons(model: Model, files: list[Path], side: str) -> NDArray[np.bool_]:
    """Return which tracks of one side the model calls electrons."""
    reader = Reader(feature_settings(model.facts))
    columns = open_columns(files, side)
    names = frozenset().union(*(expression.names for expression in reader.features.values()))
    found = [
        forward(model.chosen.network, reader.values(chunk.columns, chunk.rows)) >= model.threshold
        for chunk in columns.iterate(names, rows=ROWS)
    ]
    return np.concatenate(found)


def _draw(
    mass: NDArray[np.float64], signal: NDArray[np.bool_], selected: Mapping[str, NDArray[np.bool_]], folder: Path
) -> None:
    classes = {"pi+ pi- gamma": ~signal, "e+ e- gamma": signal}
    stages = {
        stage: {name: _counted(mass[mine & kept]) for name, mine in classes.items()}
        for stage, kept in {"before any selection": np.ones_like(signal), **selected}.items()
    }
    every = stages["before any selection"]["e+ e- gamma"]
    mass_figure(_EDGES, stages, _MASS, "Simulated eta decays", folder / "eta-mass.png", WINDOW_GEV)
    kept = {name: stages[name]["e+ e- gamma"] for name in selected}
    shape_figure(_EDGES, every, kept, _MASS, "Simulated eta -> e+ e- gamma", folder / "eta-shape.png")


def _counted(mass: NDArray[np.float64]) -> Bins:
    return weighted_bins(mass, np.ones(len(mass)), _EDGES)


def _write_csv(path: Path, found: Mapping[str, SignalShape]) -> None:
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(_HEADER)
        for name, one in found.items():
            for quantity, value in one.to_json().items():
                if quantity in ("verdict", "window_GeV"):
                    continue
                pair = value if isinstance(value, list | tuple) else (value, "")
                writer.writerow([name, quantity, *("" if part is None else part for part in pair)])


def read_selections(folder: Path) -> dict[str, Any]:
    """Return what `eta.json` of a folder holds.

    Raises InputError when it was not made by `select_eta`.
    """
    value = read_json(folder / _MARK)
    if not isinstance(value, dict) or value.get("made_by") != MADE_BY:
        msg = f"{folder} must be a folder made by `{MADE_BY}`; make it again"
        raise InputError(msg)
    return value


def render_selections(found: Mapping[str, SignalShape]) -> Table:
    """Return what a terminal shows: efficiencies, signal to background and the width of the mass, a row a model."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    from townsend.errors import printable
    from townsend.sweep.board_verdicts import shown
    from townsend.tasks.base import Metric

    grid = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(
        ("model", "signal kept", "background kept", "S/B", "width ratio", "shift [MeV]", "shape")
    ):
        grid.add_column(Text(heading), justify="left" if number in (0, 6) else "right", no_wrap=number != 6)
    for name, one in found.items():
        shift = Metric(1e3 * one.shift_GeV.value, 1e3 * one.shift_GeV.error)
        cells = [
            name,
            shown(one.efficiency),
            shown(one.background_efficiency) if one.background_efficiency else "-",
            shown(one.ratio_selected) if one.ratio_selected else "-",
            shown(one.width_ratio),
            shown(shift),
            "undisturbed" if one.verdict.ok else one.verdict.sentence.partition(":")[0],
        ]
        grid.add_row(*[Text(printable(cell)) for cell in cells])
    return grid
