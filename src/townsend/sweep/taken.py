"""Which network of a chosen configuration is taken: one that a fit left, or one trained anew on all but test.

What to use when
----------------
- `take_fit`: the network of the fit in the middle, where fits differ by their seeds.
- `train_anew`: a last training on everything but the test set, where each fit went without a part of it (folds).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median_low
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.build_file import BuildFile
from townsend.sweep.board_verdicts import shown
from townsend.sweep.records import RunInfo, read_arrays, read_curves, read_weights
from townsend.tasks.base import Arrays, Fold, Objective, Task
from townsend.training.bracket import BracketWork, open_trainer
from townsend.training.keras_trainer import TrainSettings
from townsend.training.records import Bracket, Fit, FitRecord, Outcome, Rung

__all__ = ["Taken", "retrain_seed", "take_fit", "train_anew"]

_RETRAIN_STREAM = 8  # keeps the last training's seed apart from every other use of a sweep's seed


@dataclass(frozen=True)
class Taken:
    """A trained network, not yet built.

    Arguments:
        record: of its training; where it was trained anew, with the figures of its configuration's fits.
        arrays: that it was trained on.
        weights: in the order of Keras `get_weights`.
        curves: of its training.
        how: a sentence on which network it is, "" for a configuration's only one.
        anew: whether it was trained on all but test; its `monitor` is then a part of its training examples.
    """

    record: FitRecord
    arrays: Arrays
    weights: Sequence[NDArray[Any]]
    curves: Mapping[str, NDArray[Any]]
    how: str = ""
    anew: bool = False


def take_fit(run: Path, fits: Sequence[FitRecord], objective: Objective) -> Taken:
    """Return the network of the fit with the median objective, of two in the middle the worse; never the luckiest.

    Arguments:
        run: folder of the sweep.
        fits: all of one configuration, each usable.
        objective: metric that ranks.
    """
    sign = 1 if objective.maximise else -1
    in_order = sorted(fits, key=lambda fit: sign * fit.metrics[objective.metric].value)
    middle = in_order[(len(fits) - 1) // 2]
    how = ""
    if len(fits) > 1:
        worst, best = (shown(fit.metrics[objective.metric]) for fit in (in_order[0], in_order[-1]))
        how = (
            f"of {len(fits)} fits of this configuration, {objective.metric} {worst} to {best}, the one in the middle "
            f"was taken (fold {middle.fold}, repeat {middle.repeat}), not the luckiest"
        )
    label = middle.trial, middle.fold, middle.repeat
    return Taken(middle, read_arrays(run, middle.fold), read_weights(run, *label), read_curves(run, *label), how)


def train_anew(
    info: RunInfo, row: FitRecord, fits: Sequence[FitRecord], task: Task, build: BuildFile | None = None
) -> Taken:
    """Return a network trained on all but test, for the median best epoch of the fits, without early stopping.

    The threshold stays the one chosen on validation, the mean of the fits'. An epoch is longer by what validation adds
    to the training examples. Of the epochs, the one with the lowest loss on `monitor` is kept, as in every training;
    here that is a loss on training examples.

    Arguments:
        info: of the sweep.
        row: the configuration's row on the board; fits: its fits.
        task: of the sweep.
        build: the user's file, where the network needs one.

    Raises InputError when the sample is not the one of the sweep, or training diverges.
    """
    settings = info.settings
    sample, given = Path(str(settings["sample"])), dict(settings["task_settings"])
    if task.fingerprint(sample, given) != info.sample:
        msg = (
            f"training anew needs the sample of the sweep ({sample}, or what its task reads beside it, has other "
            "contents); restore it, or choose without `--retrain`"
        )
        raise InputError(msg)
    arrays = task.prepare(sample, given, int(settings["seed"]), fold=Fold(None, 1))
    epochs = max(1, median_low([fit.best_epoch for fit in fits]))
    patience = {"patience": epochs} if "patience" in row.hyperparameters else {}
    fit = Fit(row.trial, retrain_seed(int(settings["seed"]), row.trial), {**row.hyperparameters, **patience})
    # Schedules run over the epochs of the sweep, so they stay as they were, and training stops on its way.
    train = TrainSettings(int(settings["epochs"]), patience=epochs)
    work = BracketWork(Bracket(0, (fit,)), str(settings["task"]), str(settings["network"]), train, build=info.build)
    [(_, progress)] = open_trainer(work, task, build).advance([(fit, None)], [arrays], Rung(epochs))
    if not progress.weights or progress.outcome is Outcome.DIVERGED:
        remedy = "choose another with `--trial`, or choose without `--retrain`"
        msg = f"the last training of trial {row.trial} must not diverge ({progress.detail}); {remedy}"
        raise InputError(msg)
    record = replace(
        row,
        seed=fit.seed,
        parameters=progress.parameters,
        epochs=progress.epochs,
        best_epoch=progress.best_epoch,
    )
    examples = len(arrays.splits["train"])
    how = (
        f"trained anew on all but test ({examples:,} examples) for {epochs} epochs, the median best epoch of "
        f"{_counted(len(fits), 'fit')} of this configuration; its figures on validation are those of the fits"
    )
    return Taken(record, arrays, progress.weights, progress.curves, how, anew=True)


def retrain_seed(seed: int, trial: int) -> int:
    """Return the seed of a trial's last training: a function of the sweep's seed and the trial's number; 53 bits."""
    return int(np.random.SeedSequence((seed, _RETRAIN_STREAM, trial)).generate_state(1, np.uint64)[0] >> np.uint64(11))


def _counted(number: int, name: str) -> str:
    return f"{number} {name}{'' if number == 1 else 's'}"
