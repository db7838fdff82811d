"""Each step of the line as a Python function of the same name as its command.

What to use when
----------------
- `simulate_drifttube`: make waveforms of a drift tube with full truth (`townsend simulate drifttube`).
- `read`: files of another program as a sample (`townsend read`).
- `validate_drifttube`: compare the simulation with Garfield++ (`townsend validate drifttube`).
- `noise`: measure the noise of traces, as a preset of the simulation (`townsend noise`).
- `space`: what a sweep would search, counted (`townsend space`).
- `sweep`: train all configurations of a grid on a sample (`townsend sweep`).
- `board`: rank what a sweep has found (`townsend board`).
- `dashboard`: show a sweep in Optuna's dashboard (`townsend dashboard`).
- `export_journal`, `export_tensorboard`: a sweep for Optuna or TensorBoard (`townsend export`).
- `refine`: a finer sweep around the best configurations of one (`townsend refine`).
- `choose`: take the best network out of a sweep (`townsend choose`).
- `find_peaks`: apply a chosen network to measured traces (`townsend find-peaks`).
- `assemble`: join a finder and a clusteriser, calibrated (`townsend assemble`).
- `reconstruct`: count clusters in waveform files (`townsend reconstruct`).
- `simulate_gluex`, `simulate_eta`: tracks and decays in GlueX (`townsend simulate gluex`, `townsend simulate eta`).
- `skim`: cuts over files of events, and the cut-flow (`townsend skim`).
- `train`: models trained on a table of events and compared (`townsend train`).
- `evaluate`: chosen models judged on the same events (`townsend evaluate`).
- `apply`: scores of every entry of files (`townsend apply`).
- `select_eta`: eta decays selected with what was trained on tracks (`townsend select-eta`).
- `report`: one page about all of it (`townsend report`).
- `status`, `cancel`: the jobs of a run in a batch system (`townsend status`, `townsend cancel`).
- `check_engine`: whether a batch system can do the work (`townsend engines check`).

A function is loaded, with the libraries it needs, when its name is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from townsend.engines.check import check_engine
    from townsend.engines.status import cancel, status
    from townsend.experiments.drifttube.noise.measure_noise import noise
    from townsend.experiments.drifttube.peaks.find_peaks import find_peaks
    from townsend.experiments.drifttube.reading.read import read
    from townsend.experiments.drifttube.reconstruction.assemble import assemble
    from townsend.experiments.drifttube.reconstruction.reconstruct import reconstruct
    from townsend.experiments.drifttube.simulation.simulate import simulate_drifttube
    from townsend.experiments.drifttube.validation.validate import validate_drifttube
    from townsend.experiments.gluex.select_eta import select_eta
    from townsend.experiments.gluex.simulate import simulate_eta, simulate_gluex
    from townsend.experiments.report import report
    from townsend.experiments.table.apply import apply
    from townsend.experiments.table.evaluate import evaluate
    from townsend.experiments.table.skim import skim
    from townsend.experiments.table.train import train
    from townsend.sweep.board import board
    from townsend.sweep.choose import choose
    from townsend.sweep.coordinator import sweep
    from townsend.sweep.dashboard import dashboard
    from townsend.sweep.describe_space import space
    from townsend.sweep.export_journal import export_journal
    from townsend.sweep.export_tensorboard import export_tensorboard
    from townsend.sweep.refine import refine

__all__ = [
    "apply",
    "assemble",
    "board",
    "cancel",
    "check_engine",
    "choose",
    "dashboard",
    "evaluate",
    "export_journal",
    "export_tensorboard",
    "find_peaks",
    "noise",
    "read",
    "reconstruct",
    "refine",
    "report",
    "select_eta",
    "simulate_drifttube",
    "simulate_eta",
    "simulate_gluex",
    "skim",
    "space",
    "status",
    "sweep",
    "train",
    "validate_drifttube",
]

_HOMES = {
    "apply": "townsend.experiments.table.apply",
    "assemble": "townsend.experiments.drifttube.reconstruction.assemble",
    "board": "townsend.sweep.board",
    "cancel": "townsend.engines.status",
    "check_engine": "townsend.engines.check",
    "choose": "townsend.sweep.choose",
    "dashboard": "townsend.sweep.dashboard",
    "evaluate": "townsend.experiments.table.evaluate",
    "export_journal": "townsend.sweep.export_journal",
    "export_tensorboard": "townsend.sweep.export_tensorboard",
    "find_peaks": "townsend.experiments.drifttube.peaks.find_peaks",
    "noise": "townsend.experiments.drifttube.noise.measure_noise",
    "read": "townsend.experiments.drifttube.reading.read",
    "reconstruct": "townsend.experiments.drifttube.reconstruction.reconstruct",
    "refine": "townsend.sweep.refine",
    "report": "townsend.experiments.report",
    "select_eta": "townsend.experiments.gluex.select_eta",
    "simulate_drifttube": "townsend.experiments.drifttube.simulation.simulate",
    "simulate_eta": "townsend.experiments.gluex.simulate",
    "simulate_gluex": "townsend.experiments.gluex.simulate",
    "skim": "townsend.experiments.table.skim",
    "space": "townsend.sweep.describe_space",
    "status": "townsend.engines.status",
    "sweep": "townsend.sweep.coordinator",
    "train": "townsend.experiments.table.train",
    "validate_drifttube": "townsend.experiments.drifttube.validation.validate",
}


def __getattr__(name: str) -> object:
    """Return the function `name` from its home (PEP 562)."""
    if name not in _HOMES:
        msg = f"module 'townsend.api' has no attribute '{name}'"
        raise AttributeError(msg)
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return sorted(__all__)
