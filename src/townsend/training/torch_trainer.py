"""Fits of PyTorch modules, which a user's `build(hp)` returns, trained by skorch.

What to use when
----------------
- `TorchTrainer`: the `Trainer` of `network: torch` with `--build file.py`.
- `check_torch`: are the training hyperparameters ones that it knows?

A module trains anew to each rung, through the same epochs as before and on, or on a larger share of the examples; so
halving repeats work, at most as much again as the last rung costs. Where a stop is requested, a module ends after its
epoch and later begins anew. For a classification it ends in a probability, so with a Sigmoid.
Examples count as much as their weights say: the loss of a batch is sum(w loss) / number of its examples. Inputs are
standardised where the facts of the arrays hold a scaling.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import ConfigError
from townsend.networks.build_file import BuildFile
from townsend.networks.scaling import Scaling, scaling_of, standardised
from townsend.networks.torch_module import TorchNetwork, arrays_of, one_thread, put_arrays, torch_and_skorch
from townsend.tasks.base import Arrays, Split
from townsend.training.estimator_trainer import part_of
from townsend.training.figure import rung_figure
from townsend.training.hyperparameters import TrainingHyperparameters, batch_of, split
from townsend.training.interruption import Interrupted, stop_requested
from townsend.training.keras_trainer import TrainSettings
from townsend.training.losses import is_classification
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

__all__ = ["TorchTrainer", "check_torch"]

_KNOWN = ("optimizer", "batch_size", "learning_rate", "momentum", "weight_decay", "epochs", "patience")
_OWN_RATE = {"sgd": 0.01, "momentum": 0.01, "nesterov": 0.01}  # as for Keras networks; the others 0.001


class TorchTrainer:
    """Trains modules one after the other; see `townsend.training.progress.Trainer`.

    Arguments:
        build: the user's file.
        loss: the task's, name of a Keras loss; a classification is trained with the cross-entropy, a regression with
            the mean squared error.
        settings: epochs and patience, where the hyperparameters do not say so.

    What a `Progress` of it holds: `weights`, the names of the module's state and one array each.
    """

    def __init__(self, build: BuildFile, loss: str, settings: TrainSettings) -> None:
        self._build = build
        self._loss = loss
        self._settings = settings

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        """Return each fit by itself."""
        return [[fit] for fit in fits]

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        """Yield each fit once it is trained to the rung's epochs, on its share of the examples, or has ended.

        Raises InputError when skorch is missing or a split is empty, Interrupted after an epoch when a stop is
        requested, and whatever the module raises.
        """
        for fit, before in pack:
            progress = self._trained(fit, arrays[fit.fold], rung)
            yield fit, replace(progress, figures=(*(before.figures if before else ()), progress.figure))

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that the kept weights of a fit give to n examples."""
        shape = arrays[fit.fold].splits["train"].x.shape[1:]
        module = self._module(fit, shape)
        put_arrays(module, progress.weights)
        return TorchNetwork(module, shape, scaling_of(arrays[fit.fold].facts, shape)).scores(x)

    def _module(self, fit: Fit, shape: tuple[int, ...]) -> Any:
        _, of_network = split(fit.hyperparameters)
        return self._build.make(of_network, shape, fit.seed)

    def _trained(self, fit: Fit, arrays: Arrays, rung: Rung) -> Progress:
        wall, cpu = time.perf_counter(), time.process_time()
        torch, _ = torch_and_skorch()
        check_torch(fit.hyperparameters)
        training, _ = split(fit.hyperparameters)
        splits = [arrays.filled(name) for name in ("train", "monitor")]
        weighted = any(found.weight is not None for found in splits)
        scaling = scaling_of(arrays.facts, splits[0].x.shape[1:])
        (x, y), watched = (_columns(found, scaling, weighted=weighted) for found in splits)
        part = part_of(len(x), rung.fraction)
        epochs, patience = training.epochs or self._settings.epochs, training.patience or self._settings.patience
        with one_thread():
            torch.manual_seed(int(np.random.SeedSequence(fit.seed).generate_state(1)[0]))
            module = self._module(fit, x.shape[1:])
            net = _net(
                module, training, batch_of(training, len(part)), min(epochs, rung.epochs), patience, watched, self._loss
            )
            net.fit(x[part], y[part])
        losses, monitored = (np.array(net.history[:, name], np.float32) for name in ("train_loss", "valid_loss"))
        if weighted:
            losses /= y[part, 1].mean(dtype=np.float64)
        curves = {"loss": losses, "monitor_loss": monitored}
        ended = Outcome.FINISHED if len(losses) == epochs else Outcome.STOPPED_EARLY
        rests = rung.fraction < 1 or (len(losses) == rung.epochs < epochs)
        rest = Progress(
            outcome=None if rests else ended,
            curves=curves,
            parameters=sum(math.prod(one.shape) for one in module.parameters() if one.requires_grad),
            epochs=len(losses),
            wall_s=time.perf_counter() - wall,
            cpu_s=time.process_time() - cpu,
        )
        bad = np.flatnonzero(~(np.isfinite(losses) & np.isfinite(monitored)))
        if len(bad):
            detail = f"the loss was not finite in epoch {bad[0] + 1}, with {training.optimizer}"
            return replace(rest, outcome=Outcome.DIVERGED, detail=detail)
        scores = TorchNetwork(module, x.shape[1:]).scores(watched[0])
        figure = rung_figure(self._loss, scores, watched[1][:, 0], splits[1].weight)
        return replace(rest, weights=arrays_of(module), figure=figure, best_epoch=int(np.argmin(monitored)) + 1)


def check_torch(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError on a training hyperparameter that is for Keras networks only, or a bad value."""
    _, others = split(hyperparameters)
    for name, value in hyperparameters.items():
        if name not in _KNOWN and name not in others and value is not None:
            rule = "training hyperparameters of a torch module must be optimizer, learning rate, batch and time"
            msg = f'{rule} (got "{name}"); leave it out, or let build(hp) read one of another name'
            raise ConfigError(msg)


def _net(
    module: Any,
    training: TrainingHyperparameters,
    batch: int,
    epochs: int,
    patience: int,
    watched: tuple[NDArray[np.float32], NDArray[np.float32]],
    loss: str,
) -> Any:
    torch, skorch = torch_and_skorch()
    from skorch.callbacks import Callback, EarlyStopping
    from skorch.dataset import Dataset
    from skorch.helper import predefined_split

    leaving = type("Leaving", (Callback,), {"on_epoch_end": _leave_if_asked})()
    kinds = {"adam": torch.optim.Adam, "adamw": torch.optim.AdamW, "rmsprop": torch.optim.RMSprop}
    options: dict[str, Any] = {}
    if training.optimizer in ("momentum", "nesterov"):
        options |= {"optimizer__momentum": training.momentum, "optimizer__nesterov": training.optimizer == "nesterov"}
    if training.weight_decay is not None:
        options["optimizer__weight_decay"] = training.weight_decay
    criterion = torch.nn.BCELoss if is_classification(loss) else torch.nn.MSELoss
    return skorch.NeuralNet(
        module,
        criterion=criterion if watched[1].shape[1] == 1 else _weighted(criterion),
        optimizer=kinds.get(training.optimizer, torch.optim.SGD),
        lr=training.learning_rate or _OWN_RATE.get(training.optimizer, 0.001),
        max_epochs=epochs,
        batch_size=batch,
        iterator_train__shuffle=True,
        train_split=predefined_split(Dataset(*watched)),
        callbacks=[EarlyStopping(patience=patience, threshold=0, load_best=True, sink=lambda text: None), leaving],
        verbose=0,
        device="cpu",
        **options,
    )


def _weighted(criterion: Any) -> Any:
    """Return the class of a criterion sum(w loss) / n of targets that stand in one column, and weights in the next."""

    def forward(self: Any, scores: Any, target: Any) -> Any:
        return (criterion(reduction="none")(scores, target[:, :1]) * target[:, 1:]).sum() / len(target)

    return type("Weighted", (torch_and_skorch()[0].nn.Module,), {"forward": forward})


def _leave_if_asked(callback: Any, net: Any, **told: Any) -> None:
    """Raise Interrupted after an epoch that is not the last: a process killed later would have lost no less."""
    if stop_requested() and len(net.history) < net.max_epochs:
        msg = f"training was asked to stop (in epoch {len(net.history)} of {net.max_epochs}); repeat the command"
        raise Interrupted(msg)


def _columns(
    found: Split, scaling: Scaling | None, *, weighted: bool
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return (n, ...) inputs and (n, 1) targets of a split, in memory; where weighted, (n, 2) with the weights."""
    weight = np.ones(len(found), np.float32) if found.weight is None else found.weight
    columns = [found.y, weight] if weighted else [found.y]
    return np.array(standardised(found.x, scaling), np.float32), np.stack(columns, axis=1).astype(np.float32)
