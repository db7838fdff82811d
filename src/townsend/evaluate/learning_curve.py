"""Figures against the number of training examples, and losses against the number of epochs.

What to use when
----------------
- `learning_curve`: would more data help? A network trained on growing parts of a sample.
- `loss_divergence`: did training go on for too long? From the curves of one training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.evaluate.verdict import Verdict
from townsend.tasks.base import Metric

__all__ = ["LearningCurve", "LearningPoint", "LossDivergence", "learning_curve", "loss_divergence"]

Floats = NDArray[np.float64]

_CONFIDENCE = 0.977  # one-sided, of a gain: that of two standard deviations
_LOST = 0.1  # share of what the monitored loss had gained
_SCATTERS = 3.0


@dataclass(frozen=True)
class LearningPoint:
    """Figures of one size of the training set.

    Arguments:
        examples: trained on.
        train, validation: means over the repeats, with the error of the mean.
        train_spread, validation_spread: standard deviations over the repeats: what one training may differ by.
    """

    examples: int
    train: Metric
    validation: Metric
    train_spread: float
    validation_spread: float


@dataclass(frozen=True)
class LearningCurve:
    """A figure against the number of training examples.

    Arguments:
        verdict: not ok where more data would help.
        points: in order of size.
        per_doubling: gain of the validation figure by the last doubling, positive where more data is better.
        gap: how much better the training figure is at the largest size.
        repeats: trainings a point.
    """

    verdict: Verdict
    points: tuple[LearningPoint, ...]
    per_doubling: Metric
    gap: Metric
    repeats: int


def learning_curve(
    train_on: Callable[[int, int], tuple[float, float]],
    sizes: Sequence[int],
    repeats: int = 5,
    seed: int = 0,
    maximise: bool = True,
) -> LearningCurve:
    """Train on growing parts of a sample and return how the figures change.

    What the last doubling gained is about a bound for the next one, because learning curves flatten; the training
    figure is a bound too, because both curves end between the two. No law is fitted: an extrapolation over more than a
    doubling is worth little. Errors are of the repeats. What the validation set itself happens to be like is in all
    points alike; it moves the curve up or down and hardly its slope.

    Arguments:
        train_on: (examples, seed) -> (training figure, validation figure). The seed must decide which examples are
            taken as well as how the network starts, else the spread is too small; near the whole sample, parts
            overlap and it is too small in any case.
        sizes: at least two, ascending, positive.
        repeats: of each size, at least 2; seed: first of the seeds, which go up by one and are the same for all sizes.
        maximise: whether larger figures are better.

    Raises InputError when a rule is broken or a figure is not finite.
    """
    if len(sizes) < 2 or sizes[0] < 1 or any(b <= a for a, b in pairwise(sizes)):
        msg = f"sizes must be at least two positive numbers that ascend (got {list(sizes)}); sort them"
        raise InputError(msg)
    if repeats < 2:
        msg = f"repeats must be at least 2 (got {repeats}), else there is no error; raise it"
        raise InputError(msg)
    figures = np.array(
        [[train_on(int(size), seed + repeat) for repeat in range(repeats)] for size in sizes], np.float64
    )
    if not np.isfinite(figures).all():
        at = sizes[int(np.argwhere(~np.isfinite(figures))[0, 0])]
        msg = f"figures must be finite (got one that is not with {at} examples); leave that size out"
        raise InputError(msg)
    means, spreads = figures.mean(axis=1), figures.std(axis=1, ddof=1)
    errors = spreads / np.sqrt(repeats)
    points = tuple(
        LearningPoint(
            int(size),
            Metric(float(mean[0]), float(error[0])),
            Metric(float(mean[1]), float(error[1])),
            float(spread[0]),
            float(spread[1]),
        )
        for size, mean, error, spread in zip(sizes, means, errors, spreads, strict=True)
    )
    better = 1.0 if maximise else -1.0
    doublings = float(np.log2(sizes[-1] / sizes[-2]))
    # Repeat r of both sizes has the same seed, and may share examples: the error is that of their differences.
    gains = better * (figures[-1, :, 1] - figures[-2, :, 1]) / doublings
    gaps = better * (figures[-1, :, 0] - figures[-1, :, 1])
    per_doubling, gap = (Metric(float(x.mean()), float(x.std(ddof=1) / np.sqrt(repeats))) for x in (gains, gaps))
    return LearningCurve(_verdict(points, per_doubling, gap, repeats), points, per_doubling, gap, repeats)


def _verdict(points: tuple[LearningPoint, ...], gain: Metric, gap: Metric, repeats: int) -> Verdict:
    from scipy.special import stdtrit

    last = points[-1]
    figures = (
        f"validation {last.validation.value:.4f} ± {last.validation.error:.4f} with {last.examples:,} examples, train "
        f"better by {gap.value:.4f} ± {gap.error:.4f}"
    )
    # Few repeats know their own spread badly: Student's quantile, not the normal one.
    reach = float(stdtrit(repeats - 1, _CONFIDENCE)) * gain.error
    if gain.value > reach:
        found = f"the last doubling gained {gain.value:.4f} ± {gain.error:.4f}"
        return Verdict(False, f"more data would help: {found}, the next gains less, as curves flatten; {figures}")
    most = max(gain.value, 0.0) + reach
    return Verdict(True, f"more data would help by less than {most:.4f} a doubling, if at all; {figures}")


@dataclass(frozen=True)
class LossDivergence:
    """How the losses moved after the best epoch.

    Arguments:
        best_epoch: of the smallest monitored loss, and kept_epoch: that of the network judged, from 1.
        rise: of the monitored loss from the best to the kept epoch; fall: of the training loss between the same.
        lost: rise over what the monitored loss had gained from the first epoch to the best; NaN where that is nothing.
        verdict: not ok where the losses part.
    """

    best_epoch: int
    kept_epoch: int
    rise: float
    fall: float
    lost: float
    verdict: Verdict


def loss_divergence(
    train_loss: Sequence[float] | Floats, monitor_loss: Sequence[float] | Floats, kept_epoch: int | None = None
) -> LossDivergence:
    """Return whether training went on after the monitored loss had begun to rise.

    The losses part when, at the kept epoch, the monitored loss has lost a tenth of what it had gained, this is more
    than three times its scatter from epoch to epoch, and the training loss fell meanwhile. A network whose best epoch
    is kept has lost nothing, and may be overtrained nevertheless.

    Arguments:
        train_loss, monitor_loss: (epochs,) finite, the same number, at least one.
        kept_epoch: whose weights the network has, from 1; None for the last.

    Raises InputError when a rule is broken.
    """
    seen, unseen = (np.asarray(loss, np.float64).reshape(-1) for loss in (train_loss, monitor_loss))
    epochs = len(seen)
    kept = epochs if kept_epoch is None else kept_epoch
    if epochs == 0 or len(unseen) != epochs or not (np.isfinite(seen).all() and np.isfinite(unseen).all()):
        msg = f"losses must be finite and of the same epochs (got {epochs} and {len(unseen)}); check the curves"
        raise InputError(msg)
    if not 1 <= kept <= epochs:
        msg = f"kept_epoch must be from 1 to {epochs} (got {kept}); check the record"
        raise InputError(msg)
    best = int(np.argmin(unseen[:kept]))
    rise, fall = float(unseen[kept - 1] - unseen[best]), float(seen[best] - seen[kept - 1])
    gained = float(unseen[0] - unseen[best])
    lost = rise / gained if gained > 0 else float("nan")
    # Second differences of a smooth curve are its scatter alone; their spread is sqrt(6) times it.
    scatter = float(np.median(np.abs(np.diff(unseen[:kept], 2)))) / (0.6745 * np.sqrt(6)) if kept > 2 else 0.0
    figures = (
        f"monitored loss {unseen[best]:.4g} at its best epoch {best + 1} and {unseen[kept - 1]:.4g} at the kept epoch "
        f"{kept}, training loss {seen[best]:.4g} and {seen[kept - 1]:.4g}"
    )
    parted = rise > max(_LOST * gained, _SCATTERS * scatter) and fall > 0
    if parted:
        verdict = Verdict(False, f"the losses part: {figures}; stop earlier or keep the best epoch")
    else:
        verdict = Verdict(True, f"the losses do not part: {figures}")
    return LossDivergence(best + 1, kept, rise, fall, lost, verdict)
