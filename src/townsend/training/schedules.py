"""The learning rate of each epoch.

What to use when
----------------
- `rate`: of one epoch, by the schedule of a fit.
- `default_rate`: where no rate is given.

Constant: nothing to tune; the slides'. Decay: the rate times `schedule_decay` after each epoch; choose it so that
little is left after the epochs you allow. Cosine: half a cosine from the rate to 0 over the epochs at most; the usual
choice where all of them are trained, a poor one where patience ends most fits early, since their rate has hardly
fallen. Plateau: the rate times `schedule_decay` whenever the monitored loss has not become lower for
`schedule_patience` epochs; has an effect only when that is shorter than the patience that ends the fit.

A rate is a function of the settings and of the monitored losses before it: a fit that goes on from a rung needs nothing
else.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from townsend.training.hyperparameters import TrainingHyperparameters

__all__ = ["default_rate", "rate"]

_DECAY = 0.95
_STEP_DOWN = 0.5


def default_rate(optimizer: str) -> float:
    """Return the learning rate that Keras gives an optimizer."""
    return 0.01 if optimizer in ("sgd", "momentum", "nesterov") else 0.001


def rate(training: TrainingHyperparameters, epoch: int, epochs: int, monitor_losses: Sequence[float]) -> float:
    """Return the learning rate of one epoch.

    Arguments:
        training: with learning_rate, schedule, schedule_decay and schedule_patience.
        epoch: from 1 to `epochs`.
        epochs: passes at most.
        monitor_losses: of the epochs before this one, at least; later ones are not looked at.

    Cosine as Loshchilov & Hutter (2017), eq. 5, without restarts, a step an epoch. Plateau as Keras'
    ReduceLROnPlateau with `min_delta` and `cooldown` 0.
    """
    first = training.learning_rate or default_rate(training.optimizer)
    if training.schedule == "decay":
        return float(first * (training.schedule_decay or _DECAY) ** (epoch - 1))
    if training.schedule == "cosine":
        return first * math.cos(math.pi / 2 * (epoch - 1) / epochs) ** 2  # (1 + cos 2x) / 2 without cancellation
    if training.schedule == "plateau":
        steps = _steps_down(monitor_losses[: epoch - 1], training.schedule_patience)
        return float(first * (training.schedule_decay or _STEP_DOWN) ** steps)
    return first


def _steps_down(losses: Sequence[float], patience: int) -> int:
    """Return how often the loss has not become lower for `patience` epochs; after each, counting begins anew."""
    steps, waited, lowest = 0, 0, math.inf
    for loss in losses:
        waited = 0 if loss < lowest else waited + 1
        lowest = min(lowest, loss)
        if waited == patience:
            steps, waited = steps + 1, 0
    return steps
