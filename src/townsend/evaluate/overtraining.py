"""Whether a network does as well on examples it was not trained on.

What to use when
----------------
- `overtraining`: the verdict on a classifier, from its scores on the training set and on a set it never trained on.
- `regression_overtraining`: the same for a regression.
- `grouped_ks`: whether two samples of grouped scores come from one distribution.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.evaluate.bootstrap import clustered_auc
from townsend.evaluate.regression import regression_figures
from townsend.evaluate.verdict import Verdict

__all__ = [
    "MAX_PULL",
    "MIN_P_VALUE",
    "PERMUTATION_SEED",
    "Scored",
    "grouped_ks",
    "overtraining",
    "regression_overtraining",
]

MAX_PULL = 3.0
"""Difference of AUC, in standard deviations, above which train and monitor disagree."""
MIN_P_VALUE = 0.005
"""p value of either class below which its score distributions disagree."""
PERMUTATION_SEED = 1947
_PERMUTATIONS = 499


class Scored(NamedTuple):
    """Scores of one set: (n,) scores, labels (0 or 1, or true numbers), and the group of each example."""

    scores: NDArray[Any]
    labels: NDArray[Any]
    group: NDArray[Any]


def overtraining(train: Scored, monitor: Scored) -> Verdict:
    """Return whether the AUC and the score distributions of the two sets agree.

    They agree when the AUCs differ by less than `MAX_PULL` of their common error and the Kolmogorov-Smirnov
    p values of signal and of background both exceed `MIN_P_VALUE`: a network that is not overtrained is called
    so in about 1 % of cases by chance. Classes are compared one by one, so the sets may differ in prevalence.

    Raises InputError when a set lacks a class or has too few groups for an error.
    """
    seen, unseen = clustered_auc(*train), clustered_auc(*monitor)
    difference, error = seen.value - unseen.value, float(np.hypot(seen.error, unseen.error))
    pull = difference / error if error > 0 else (0.0 if difference == 0 else float(np.inf) * np.sign(difference))
    p_values = [_class_ks(train, monitor, label) for label in (1, 0)]
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
        train, monitor: predictions as `scores`, true numbers as `labels`.

    Raises InputError when a set has too few groups for an error.
    """
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


def _class_ks(train: Scored, monitor: Scored, label: int) -> float:
    first, second = train.labels == label, monitor.labels == label
    return grouped_ks(train.scores[first], train.group[first], monitor.scores[second], monitor.group[second])


def grouped_ks(
    scores_a: ArrayLike,
    group_a: ArrayLike,
    scores_b: ArrayLike,
    group_b: ArrayLike,
    permutations: int = _PERMUTATIONS,
    seed: int = PERMUTATION_SEED,
) -> float:
    """Return the p value of the two-sample Kolmogorov-Smirnov distance when whole groups are exchanged.

    The textbook p value takes examples for independent and is too small where a group shares a waveform. Here
    the groups are dealt anew to the two samples `permutations` times; the p value is the share of deals, the
    true one among them, with at least the distance seen. Its smallest value is 1 / (permutations + 1).

    Arguments:
        scores_a, scores_b: (n,), (m,) scores, at least one each.
        group_a, group_b: labels of their groups; equal labels in the two samples are different groups.
        permutations: deals; seed: of the deals.
    """
    first, second = np.unique(group_a, return_inverse=True), np.unique(group_b, return_inverse=True)
    number = np.concatenate([first[1].reshape(-1), second[1].reshape(-1) + len(first[0])])
    scores = np.concatenate([np.asarray(scores_a, np.float64), np.asarray(scores_b, np.float64)])
    order = np.argsort(scores, kind="stable")
    number = number[order]
    last_of_tie = np.append(np.flatnonzero(np.diff(scores[order])), len(scores) - 1)
    in_first = np.arange(len(first[0]) + len(second[0])) < len(first[0])
    seen = _distance(in_first[number], last_of_tie)
    rng = np.random.default_rng(seed)
    at_least = sum(
        _distance(rng.permutation(in_first)[number], last_of_tie) >= seen - 1e-12 for _ in range(permutations)
    )
    return (at_least + 1) / (permutations + 1)


def _distance(in_first: NDArray[np.bool_], last_of_tie: NDArray[np.intp]) -> float:
    """Return the largest distance between the two cumulative distributions, 1 when either is empty."""
    accepted = np.cumsum(in_first)[last_of_tie]
    others = last_of_tie + 1 - accepted
    if accepted[-1] == 0 or others[-1] == 0:
        return 1.0
    return float(np.max(np.abs(accepted / accepted[-1] - others / others[-1])))
