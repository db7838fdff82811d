"""Whether a network does as well on examples it was not trained on.

What to use when
----------------
- `overtraining`: the verdict on a classifier, from its scores on the training set and on a set it never trained on.
- `overtraining_report`: the same for a table of events, with event weights of either sign: a more sensitive rule, and
  all that a figure of train beside monitor shows.
- `regression_overtraining`: the verdict on a regression.
- `grouped_ks`: whether two samples of grouped scores come from one distribution.
- `townsend.evaluate.homogeneity`: whether two weighted histograms do.
- `townsend.evaluate.learning_curve.loss_divergence`: whether training went on for too long.

The rule of `overtraining_report`. A network is called overtrained when its AUC on train is better than on monitor by
`MAX_GAP_PULL` of their common error and by `TOLERATED_GAP` of the pairs that it orders wrongly; train and monitor are
said to differ when the Kolmogorov-Smirnov p value of a class is below `MIN_P_VALUE` and the distance at least
`TOLERATED_DISTANCE`, or the AUC on train is worse by `MAX_PULL`. Each half of the rule raises a false alarm in about
1 % of fits without a gap. The tolerances keep a gap that nobody would mind from being an alarm only because the sample
is large. `overtraining` asks for three standard deviations instead, and on tables of some thousand events that misses
networks which lose much of their power (`benchmarks/overtraining.py` compares the two).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.bootstrap import clustered_auc
from townsend.evaluate.classification import checked
from townsend.evaluate.homogeneity import Binned, Homogeneity, binned, homogeneity
from townsend.evaluate.learning_curve import LossDivergence
from townsend.evaluate.regression import regression_figures
from townsend.evaluate.verdict import Verdict
from townsend.evaluate.weights import checked_weights
from townsend.tasks.base import Metric

__all__ = [
    "MAX_GAP_PULL",
    "MAX_PULL",
    "MIN_P_VALUE",
    "PERMUTATION_SEED",
    "TOLERATED_DISTANCE",
    "TOLERATED_GAP",
    "ClassOverlay",
    "OvertrainingReport",
    "Scored",
    "grouped_ks",
    "overtraining",
    "overtraining_report",
    "regression_overtraining",
]

Floats = NDArray[np.float64]

MAX_PULL = 3.0
"""Difference of AUC, in standard deviations, above which train and monitor disagree."""
MIN_P_VALUE = 0.005
"""p value of either class below which its score distributions disagree."""
MAX_GAP_PULL = 2.33
"""The same as `MAX_PULL` for a table of events, one-sided: exceeded by chance in 1 % of fits."""
TOLERATED_GAP = 0.02
"""Gap of AUC over 1 - AUC on monitor up to which a network is not called overtrained, however significant the gap."""
TOLERATED_DISTANCE = 0.01
"""Kolmogorov-Smirnov distance up to which two distributions of scores are not said to differ."""
PERMUTATION_SEED = 1947
_PERMUTATIONS = 499
_ONE_SIDED_95 = 1.645
_BINS = 40


class Scored(NamedTuple):
    """Scores of one set: (n,) scores, labels (0 or 1, or true numbers), the group of each example, and its weight.

    Weights are finite and of either sign; None counts each example as one.
    """

    scores: NDArray[Any]
    labels: NDArray[Any]
    group: NDArray[Any]
    weights: NDArray[Any] | None = None


def overtraining(train: Scored, monitor: Scored) -> Verdict:
    """Return whether the AUC and the score distributions of the two sets agree.

    They agree when the AUCs differ by less than `MAX_PULL` of their common error and the Kolmogorov-Smirnov
    p values of signal and of background both exceed `MIN_P_VALUE`: a network that is not overtrained is called
    so in about 1 % of cases by chance. Classes are compared one by one, so the sets may differ in prevalence.

    Raises InputError when a set lacks a class or has too few groups for an error.
    """
    seen, unseen = clustered_auc(*train), clustered_auc(*monitor)
    pull = _pull(seen, unseen)
    p_values = [_class_ks(train, monitor, label)[1] for label in (1, 0)]
    figures = (
        f"AUC {seen.value:.4f} on train and {unseen.value:.4f} on monitor, {pull:+.1f} standard deviations apart; "
        f"Kolmogorov-Smirnov p {p_values[0]:.3f} for signal, {p_values[1]:.3f} for background"
    )
    if pull >= MAX_PULL:
        return Verdict(False, f"overtrained: {figures}; believe the figures on test only")
    if abs(pull) < MAX_PULL and min(p_values) > MIN_P_VALUE:
        return Verdict(True, f"not overtrained: {figures}")
    return Verdict(False, f"train and monitor differ: {figures}; overtrained or not of one population")


def regression_overtraining(train: Scored, monitor: Scored) -> Verdict:
    """Return whether the mean squared errors of the two sets agree within `MAX_PULL` of their common error.

    Arguments:
        train, monitor: predictions as `scores`, true numbers as `labels`, without weights.

    Raises InputError when a set has weights, or too few groups for an error.
    """
    if train.weights is not None or monitor.weights is not None:
        msg = "regressions are compared without weights (got some); leave them out"
        raise InputError(msg)
    seen, unseen = (regression_figures(one.scores, one.labels, one.group)["mse"] for one in (train, monitor))
    difference, error = unseen.value - seen.value, float(np.hypot(seen.error, unseen.error))
    pull = difference / error if error > 0 else 0.0
    figures = (
        f"mean squared error {seen.value:.4g} on train and {unseen.value:.4g} on monitor, "
        f"{pull:+.1f} standard deviations apart"
    )
    if pull >= MAX_PULL:
        return Verdict(False, f"overtrained: {figures}; believe the figures on test only")
    if pull <= -MAX_PULL:
        return Verdict(False, f"train and monitor differ: {figures}; they are not of one population")
    return Verdict(True, f"not overtrained: {figures}")


def _pull(seen: Metric, unseen: Metric) -> float:
    difference, error = seen.value - unseen.value, float(np.hypot(seen.error, unseen.error))
    return difference / error if error > 0 else (0.0 if difference == 0 else float(np.inf) * np.sign(difference))


def _of_class(scored: Scored, label: int) -> tuple[Floats, NDArray[Any], Floats]:
    """Return scores, groups and weights of one class; weights have mean square one: the sets may differ in scale.

    The mean of weights of both signs is too uncertain to be a scale.
    """
    chosen = np.asarray(scored.labels).reshape(-1) == label
    scores, group = np.asarray(scored.scores, np.float64).reshape(-1)[chosen], np.asarray(scored.group)[chosen]
    if scored.weights is None:
        return scores, group, np.ones(len(scores))
    weight = checked_weights(
        np.asarray(scored.weights, np.float64).reshape(-1)[chosen], len(scores), np.ones(len(scores))
    )
    return scores, group, weight * np.sqrt(len(weight) / (weight @ weight))


def _class_ks(
    train: Scored, monitor: Scored, label: int, permutations: int = _PERMUTATIONS, seed: int = PERMUTATION_SEED
) -> tuple[float, float]:
    (scores_a, group_a, weights_a), (scores_b, group_b, weights_b) = (_of_class(one, label) for one in (train, monitor))
    return _permuted_ks(scores_a, group_a, weights_a, scores_b, group_b, weights_b, permutations, seed)


def grouped_ks(
    scores_a: ArrayLike,
    group_a: ArrayLike,
    scores_b: ArrayLike,
    group_b: ArrayLike,
    permutations: int = _PERMUTATIONS,
    seed: int = PERMUTATION_SEED,
    weights_a: ArrayLike | None = None,
    weights_b: ArrayLike | None = None,
) -> float:
    """Return the p value of the two-sample Kolmogorov-Smirnov distance when whole groups are exchanged.

    The textbook p value takes examples for independent and is too small where a group shares a waveform. Here
    the groups are dealt anew to the two samples `permutations` times; the p value is the share of deals, the
    true one among them, with at least the distance seen. Its smallest value is 1 / (permutations + 1).

    With weights, the distance is that of the weighted cumulative distributions, each over its own sum of weights. For
    weights of both signs these may leave [0, 1] and need not rise, so the textbook p value does not exist; that of the
    deals is right for any weights, because weights are exchanged with their examples.

    Arguments:
        scores_a, scores_b: (n,), (m,) scores, at least one each.
        group_a, group_b: labels of their groups; equal labels in the two samples are different groups.
        permutations: deals; seed: of the deals.
        weights_a, weights_b: (n,), (m,) finite, of either sign, on one scale; None for one each.

    Raises InputError when weights cannot be used or those of a sample sum to zero.
    """
    a, b = (np.asarray(scores, np.float64).reshape(-1) for scores in (scores_a, scores_b))
    weight_a, weight_b = (
        checked_weights(weights, len(scores), None if weights is None else np.ones(len(scores)))
        for weights, scores in ((weights_a, a), (weights_b, b))
    )
    return _permuted_ks(a, group_a, weight_a, b, group_b, weight_b, permutations, seed)[1]


def _permuted_ks(
    scores_a: Floats,
    group_a: ArrayLike,
    weights_a: Floats,
    scores_b: Floats,
    group_b: ArrayLike,
    weights_b: Floats,
    permutations: int,
    seed: int,
) -> tuple[float, float]:
    """Return distance and p value."""
    first, second = np.unique(group_a, return_inverse=True), np.unique(group_b, return_inverse=True)
    number = np.concatenate([first[1].reshape(-1), second[1].reshape(-1) + len(first[0])])
    scores, weight = np.concatenate([scores_a, scores_b]), np.concatenate([weights_a, weights_b])
    order = np.argsort(scores, kind="stable")
    number, weight = number[order], weight[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    of_all = np.cumsum(weight)[last_of_tie]
    in_first = np.arange(len(first[0]) + len(second[0])) < len(first[0])
    seen = _distance(in_first[number], weight, of_all, last_of_tie)
    rng = np.random.default_rng(seed)
    at_least = sum(
        _distance(rng.permutation(in_first)[number], weight, of_all, last_of_tie) >= seen - 1e-12
        for _ in range(permutations)
    )
    return seen, (at_least + 1) / (permutations + 1)


def _distance(in_first: NDArray[np.bool_], weight: Floats, of_all: Floats, last_of_tie: NDArray[np.intp]) -> float:
    """Return the largest distance between the two cumulative distributions, infinite when the weights of one cancel."""
    accepted = np.cumsum(in_first * weight)[last_of_tie]
    others = of_all - accepted
    if accepted[-1] == 0 or others[-1] == 0:
        return float("inf")
    return float(np.max(np.abs(accepted / accepted[-1] - others / others[-1])))


@dataclass(frozen=True)
class ClassOverlay:
    """Scores of one class on both sets.

    Arguments:
        label: 1 for signal, 0 for background.
        edges: (bins + 1,), the same for both classes; train, monitor: histograms.
        chi2: of the histograms, entries taken for independent.
        distance: Kolmogorov-Smirnov's; p: its value when whole groups are exchanged.
    """

    label: int
    edges: Floats
    train: Binned
    monitor: Binned
    chi2: Homogeneity
    distance: float
    p: float


@dataclass(frozen=True)
class OvertrainingReport:
    """Train beside monitor.

    Arguments:
        verdict: whether the network does as well on monitor, by the rule at the head of this module.
        train, monitor: AUCs with errors; gap: train - monitor with error; pull: gap over its error.
        signal, background: overlays of the scores.
        losses: from the curves of training, None where none were given. They have their own verdict.
    """

    verdict: Verdict
    train: Metric
    monitor: Metric
    gap: Metric
    pull: float
    signal: ClassOverlay
    background: ClassOverlay
    losses: LossDivergence | None


def overtraining_report(
    train: Scored,
    monitor: Scored,
    losses: LossDivergence | None = None,
    edges: ArrayLike | None = None,
    permutations: int = _PERMUTATIONS,
    seed: int = PERMUTATION_SEED,
    second: str = "monitor",
) -> OvertrainingReport:
    """Return the scores of a classifier on train beside those on a set it never trained on.

    Weights of either sign enter everything: the AUC by pairs, the histograms and their errors, both tests. Classes are
    compared one by one and normalised each, so the sets may differ in size, prevalence and scale of the weights. For
    more than two classes give the score of one class and label 1 where it is the true one.

    A poor approximation for fewer than about 20 groups of a class. Where monitor chose the epoch that is kept, its AUC
    is a little flattered and the gap a little small.

    Arguments:
        train, monitor: scores, labels 0 and 1, groups, weights.
        losses: as `loss_divergence` returns them; a network whose losses part is not called ok.
        edges: (bins + 1,) ascending; None for 40 equal bins from the smallest to the largest score. Scores outside go
            to the outermost bins.
        permutations, seed: as `grouped_ks`.
        second: what the second set is called in the verdict.

    Raises InputError when a set lacks a class, has weights of a class that sum to zero, or too few groups for an error.
    """
    seen, unseen = clustered_auc(*train), clustered_auc(*monitor)
    gap = Metric(seen.value - unseen.value, float(np.hypot(seen.error, unseen.error)))
    borders = _edges(train, monitor) if edges is None else np.asarray(edges, np.float64).reshape(-1)
    if len(borders) < 2 or not (np.diff(borders) > 0).all():
        msg = f"edges must be at least two ascending numbers (got {borders[:4]} ...); sort them"
        raise InputError(msg)
    overlays = [_overlay(train, monitor, label, borders, permutations, seed) for label in (1, 0)]
    pull = _pull(seen, unseen)
    verdict = _verdict(seen, unseen, pull, overlays, losses, second)
    return OvertrainingReport(verdict, seen, unseen, gap, pull, overlays[0], overlays[1], losses)


def _edges(train: Scored, monitor: Scored) -> Floats:
    scores = np.concatenate([checked(one.scores, one.labels)[0] for one in (train, monitor)])
    finite = scores[np.isfinite(scores)]
    low, high = (float(finite.min()), float(finite.max())) if len(finite) else (0.0, 0.0)
    if low == high:
        low, high = low - 0.5, high + 0.5
    return np.linspace(low, high, _BINS + 1)


def _overlay(train: Scored, monitor: Scored, label: int, edges: Floats, permutations: int, seed: int) -> ClassOverlay:
    histograms = []
    for one in (train, monitor):
        chosen = np.asarray(one.labels).reshape(-1) == label
        weight = checked_weights(one.weights, len(chosen))
        histograms.append(binned(np.asarray(one.scores, np.float64).reshape(-1)[chosen], weight[chosen], edges))
    distance, p = _class_ks(train, monitor, label, permutations, seed)
    return ClassOverlay(label, edges, histograms[0], histograms[1], homogeneity(*histograms), distance, p)


def _verdict(
    seen: Metric,
    unseen: Metric,
    pull: float,
    overlays: Sequence[ClassOverlay],
    losses: LossDivergence | None,
    second: str,
) -> Verdict:
    signal, background = overlays
    figures = (
        f"AUC {seen.value:.4f} on train and {unseen.value:.4f} on {second}, {pull:+.1f} standard deviations apart; "
        f"Kolmogorov-Smirnov p {signal.p:.3f} for signal, {background.p:.3f} for background"
    )
    tolerated = TOLERATED_GAP * max(1 - unseen.value, 0.0)
    if pull >= MAX_GAP_PULL and seen.value - unseen.value > tolerated:
        return Verdict(False, f"overtrained: {figures}; believe the figures on test only")
    differ = any(one.p <= MIN_P_VALUE and one.distance >= TOLERATED_DISTANCE for one in overlays)
    if differ or pull <= -MAX_PULL:
        return Verdict(False, f"train and {second} differ: {figures}; overtrained or not of one population")
    if losses is not None and not losses.verdict.ok:
        return Verdict(False, f"trained too long: {losses.verdict.sentence}; {figures}")
    limit = max(seen.value - unseen.value + _ONE_SIDED_95 * float(np.hypot(seen.error, unseen.error)), 0.0)
    return Verdict(True, f"not overtrained: {figures}; a true gap above {limit:.4f} is excluded at 95 %")
