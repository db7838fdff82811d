"""Which features a network lives on: what its AUC loses without each, with errors.

What to use when
----------------
- `permutation_importance`: of one trained network, from its scores when a feature is shuffled. It says what *this*
  network uses, not what the feature is worth: of two alike it may use either.
- `drop_and_retrain`: of a feature for networks of a kind, from trainings without it. It says whether the feature may
  be left out, and costs a training a feature and repeat.
- `correlated_groups`: which features carry much the same; both of the above treat them together, too, because one of
  two alike is never missed alone.

Drops are differences of AUCs of the same examples, so their error is a paired one: how much each group of examples
moves the one AUC less how much it moves the other (`townsend.evaluate.bootstrap.auc_by_group`), far smaller than the
errors of both in quadrature. The scatter of the repeats comes on top. Weights of either sign enter the AUC by pairs.
scikit-learn's `permutation_importance` cannot be used: its AUC breaks off at weights of both signs, its error is the
scatter of the repeats alone, and it shuffles feature by feature.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from townsend.errors import InputError
from townsend.evaluate.bootstrap import AucByGroup, auc_by_group, numbered
from townsend.evaluate.classification import checked
from townsend.evaluate.verdict import Verdict
from townsend.evaluate.weights import checked_weights
from townsend.tasks.base import Metric

__all__ = [
    "CORRELATED",
    "FeatureDrop",
    "FeatureRanking",
    "correlated_groups",
    "drop_and_retrain",
    "permutation_importance",
]

Floats = NDArray[np.float64]

CORRELATED = 0.7
"""|Spearman's rho| from which features are taken to carry much the same."""
_SURE = 2.0  # standard deviations that tell a drop from nothing, or a feature from the next
_STREAM = 11  # keeps these random numbers apart from every other use of a seed


@dataclass(frozen=True)
class FeatureDrop:
    """What the AUC loses without one or more features.

    Arguments:
        features: shuffled or left out together.
        drop: AUC with them less AUC without, and its whole error.
        sampling: error by the examples alone; scatter: error by the repeats alone.
        over_next: how much larger than the drop of the next in the ranking, with its error; None for the last.
    """

    features: tuple[str, ...]
    drop: Metric
    sampling: float
    scatter: float
    over_next: Metric | None


@dataclass(frozen=True)
class FeatureRanking:
    """Features by what the AUC loses without them, the largest loss first.

    Arguments:
        verdicts: whether there is anything to lose, and which neighbours cannot be told apart; read them first.
        auc: with all features.
        single: feature by feature; together: correlated features as one, equal to `single` where none are.
        correlated: |Spearman's rho| from which features are taken together.
        repeats: shuffles or trainings a row.
    """

    verdicts: tuple[Verdict, ...]
    auc: Metric
    single: tuple[FeatureDrop, ...]
    together: tuple[FeatureDrop, ...]
    correlated: float
    repeats: int


def permutation_importance(
    score: Callable[[NDArray[Any]], ArrayLike],
    x: NDArray[Any],
    labels: ArrayLike,
    weights: ArrayLike | None,
    group: ArrayLike | None,
    names: Sequence[str],
    repeats: int = 10,
    seed: int = 0,
    correlated: float = CORRELATED,
) -> FeatureRanking:
    """Return what the AUC of a network loses when a feature is shuffled among the examples.

    L. Breiman, Machine Learning 45 (2001) 5, doi:10.1023/A:1010933404324. Judge on examples that were not trained on:
    on the training set a network seems to need what it has only learnt by heart. Shuffled features make examples that
    do not exist; where features are correlated the network is asked about places that it never saw, and the drop is
    too large. Values are dealt among all examples alike, whatever their weights, which enter the AUC.

    Arguments:
        score: network; takes (n, k) inputs and returns (n,) scores, each from its own row alone.
        x: (n, k) inputs, not changed.
        labels: (n,) 1 for signal, 0 for background; weights: (n,) of either sign, None for one each.
        group: (n,) labels of dependent examples, None for none.
        names: (k,) of the features, all different.
        repeats: shuffles of each feature, at least 2; seed: of the shuffles.
        correlated: as `correlated_groups`.

    Errors were found 3 to 18 % too large on toys of 200 and 1,000 examples, weights of both signs included. Memory: 16
    bytes a feature and group.

    Raises InputError when a rule is broken, or as `townsend.evaluate.bootstrap.clustered_auc`.
    """
    inputs = np.array(x)  # a copy, whose columns are shuffled in place
    _check_names(names, inputs)
    judge = _Judge(labels, weights, group)
    if repeats < 2:
        msg = f"repeats must be at least 2 (got {repeats}), else there is no scatter; raise it"
        raise InputError(msg)
    base = judge.auc(score(inputs))
    kept: dict[tuple[int, ...], _Drop] = {}

    def drop_of(columns: tuple[int, ...]) -> _Drop:
        if columns not in kept:
            random = np.random.default_rng([seed, _STREAM, *columns])
            original = inputs[:, columns].copy()
            found = []
            for _ in range(repeats):
                # One deal for all columns: what they say of each other stays.
                inputs[:, columns] = original[random.permutation(len(inputs))]
                found.append(base.minus(judge.auc(score(inputs))))
            inputs[:, columns] = original
            kept[columns] = _Drop.of(found)
        return kept[columns]

    single = [(column,) for column in range(len(names))]
    return _ranking(base, single, _groups(inputs, correlated), names, drop_of, correlated, repeats)


def drop_and_retrain(
    train: Callable[[tuple[str, ...], int], ArrayLike],
    x: NDArray[Any],
    labels: ArrayLike,
    weights: ArrayLike | None,
    group: ArrayLike | None,
    names: Sequence[str],
    repeats: int = 3,
    seed: int = 0,
    correlated: float = CORRELATED,
) -> FeatureRanking:
    """Return what the AUC loses when networks are trained without a feature.

    Trainings with one seed are compared with each other; their scatter and the paired error of the AUC of the examples
    are added in quadrature. The training set is the same throughout, so that its own scatter is not in the error.

    Arguments:
        train: (names to train on, in the order of `names`; seed) -> (n,) scores of `x`, which was not trained on.
        x: (n, k) inputs, only to find correlated features.
        labels, weights, group, names, correlated: as `permutation_importance`; at least two features.
        repeats: trainings of each kind, at least 2; seed: first of the seeds, which go up by one.

    Raises InputError as `permutation_importance`.
    """
    inputs = np.asarray(x)
    _check_names(names, inputs)
    judge = _Judge(labels, weights, group)
    if repeats < 2 or len(names) < 2:
        msg = f"repeats and features must be at least 2 each (got {repeats} and {len(names)}); raise them"
        raise InputError(msg)
    whole = [judge.auc(train(tuple(names), seed + repeat)) for repeat in range(repeats)]
    kept: dict[tuple[int, ...], _Drop] = {}

    def drop_of(columns: tuple[int, ...]) -> _Drop:
        if columns not in kept:
            left = tuple(name for column, name in enumerate(names) if column not in columns)
            without = [train(left, seed + repeat) for repeat in range(repeats)] if left else []
            # Nothing to train on: any network then gives all examples one score.
            aucs = [judge.auc(scores) for scores in without] or [judge.auc(np.zeros(len(inputs)))] * repeats
            kept[columns] = _Drop.of([one.minus(other) for one, other in zip(whole, aucs, strict=True)])
        return kept[columns]

    single = [(column,) for column in range(len(names))]
    return _ranking(_mean(whole), single, _groups(inputs, correlated), names, drop_of, correlated, repeats)


def correlated_groups(
    x: NDArray[Any], names: Sequence[str], correlated: float = CORRELATED
) -> tuple[tuple[str, ...], ...]:
    """Return the features in groups, so that no two of different groups are correlated.

    Hierarchical clustering with single linkage of 1 - |Spearman's rho|: a feature joins a group when it is correlated
    with one member at least. Rank correlation sees any rising or falling relation, and no other: it misses a parabola,
    and features that only together tell of a third.

    Arguments:
        x: (n, k) finite values, n at least 2; names: (k,) of the features.
        correlated: |rho| in (0, 1] from which two features are taken to be correlated.

    Raises InputError when a rule is broken.
    """
    _check_names(names, np.asarray(x))
    return tuple(tuple(names[column] for column in columns) for columns in _groups(np.asarray(x), correlated))


def _groups(x: NDArray[Any], correlated: float) -> list[tuple[int, ...]]:
    """Return the columns of each group, in the order of their first."""
    if not 0 < correlated <= 1:
        msg = f"correlated must be above 0 and at most 1 (got {correlated}); 0.7 is usual"
        raise InputError(msg)
    if x.shape[1] < 2:
        return [(0,)]
    from scipy.cluster.hierarchy import fcluster, linkage
    from scipy.spatial.distance import squareform

    distance = 1.0 - np.abs(_rank_correlation(x))
    tree = linkage(squareform(distance, checks=False), method="single")
    # A hair beyond the limit: rounding must not part features that are just correlated.
    found = fcluster(tree, 1.0 - correlated + 1e-12, criterion="distance")
    columns = [tuple(int(c) for c in np.flatnonzero(found == label)) for label in np.unique(found)]
    return sorted(columns)


def _rank_correlation(x: NDArray[Any]) -> Floats:
    """Return (k, k) Spearman's rho, zero for a feature that is constant."""
    from scipy.stats import rankdata

    ranks = rankdata(np.asarray(x, np.float64), axis=0)
    ranks -= ranks.mean(axis=0)
    size = np.sqrt(np.sum(ranks**2, axis=0))
    ranks /= np.where(size > 0, size, 1.0)
    rho = np.clip(ranks.T @ ranks, -1.0, 1.0)
    np.fill_diagonal(rho, 1.0)
    return np.asarray(rho, np.float64)


class _Judge:
    """Measures AUCs of one set of examples."""

    def __init__(self, labels: ArrayLike, weights: ArrayLike | None, group: ArrayLike | None) -> None:
        truth = np.asarray(labels).reshape(-1)
        _, self.signal = checked(np.zeros(len(truth)), truth)
        self.labels = truth
        self.number, self.groups = numbered(np.arange(len(truth)) if group is None else group, len(truth))
        self.weight = None if weights is None else checked_weights(weights, len(truth), self.signal)

    def auc(self, scores: ArrayLike) -> AucByGroup:
        values, signal = checked(scores, self.labels)
        return auc_by_group(values, signal, self.number, self.groups, self.weight)


def _mean(found: Sequence[AucByGroup]) -> AucByGroup:
    return found[0]._replace(
        value=float(np.mean([one.value for one in found])),
        positive=np.mean([one.positive for one in found], axis=0),
        negative=np.mean([one.negative for one in found], axis=0),
    )


@dataclass(frozen=True)
class _Drop:
    """Mean difference of AUC over the repeats, and that of each repeat."""

    mean: AucByGroup
    values: Floats

    @staticmethod
    def of(found: Sequence[AucByGroup]) -> _Drop:
        return _Drop(_mean(found), np.array([one.value for one in found]))

    @property
    def scatter(self) -> float:
        return float(np.std(self.values, ddof=1) / np.sqrt(len(self.values)))

    def metric(self) -> Metric:
        return Metric(self.mean.value, float(np.hypot(self.mean.error, self.scatter)))

    def minus(self, other: _Drop) -> Metric:
        """Return the difference to another drop of the same examples."""
        by_examples = self.mean.minus(other.mean)
        return Metric(by_examples.value, float(np.hypot(by_examples.error, np.hypot(self.scatter, other.scatter))))


def _ranking(
    base: AucByGroup,
    single: Sequence[tuple[int, ...]],
    together: Sequence[tuple[int, ...]],
    names: Sequence[str],
    drop_of: Callable[[tuple[int, ...]], _Drop],
    correlated: float,
    repeats: int,
) -> FeatureRanking:
    tables = [_rows({columns: drop_of(columns) for columns in chosen}, names) for chosen in (single, together)]
    auc = Metric(base.value, base.error)
    verdicts = [_worth(auc), _order(tables[0])]
    groups = [row.features for row in tables[1] if len(row.features) > 1]
    if groups:
        named = "; ".join(" and ".join(one) for one in groups)
        verdicts.append(
            Verdict(False, f"correlated features stand in for each other: {named}; judge them by the table together")
        )
    return FeatureRanking(tuple(verdicts), auc, tables[0], tables[1], correlated, repeats)


def _rows(drops: dict[tuple[int, ...], _Drop], names: Sequence[str]) -> tuple[FeatureDrop, ...]:
    order = sorted(drops.items(), key=lambda item: -item[1].mean.value)
    rows = []
    for place, (columns, drop) in enumerate(order):
        over_next = drop.minus(order[place + 1][1]) if place + 1 < len(order) else None
        features = tuple(names[column] for column in columns)
        rows.append(FeatureDrop(features, drop.metric(), drop.mean.error, drop.scatter, over_next))
    return tuple(rows)


def _worth(auc: Metric) -> Verdict:
    if abs(auc.value - 0.5) <= _SURE * auc.error:
        return Verdict(False, f"AUC {auc.value:.4f} ± {auc.error:.4f} is no separation: there is nothing to lose")
    return Verdict(True, f"AUC {auc.value:.4f} ± {auc.error:.4f} with all features")


def _order(rows: Sequence[FeatureDrop]) -> Verdict:
    """Say which neighbours of the ranking are within errors of each other, and what is not told from nothing."""
    tied = [[rows[0].features[0]]]
    for row, following in pairwise(rows):
        apart = row.over_next is not None and row.over_next.value > _SURE * row.over_next.error
        if apart:
            tied.append([])
        tied[-1].append(following.features[0])
    useless = [row.features[0] for row in rows if row.drop.value <= _SURE * row.drop.error]
    found = " > ".join(" ~ ".join(one) for one in tied)
    nothing = f"; not told from nothing: {', '.join(useless)}" if useless else ""
    if len(tied) == len(rows):
        return Verdict(True, f"the order is significant: {found}{nothing}")
    return Verdict(
        False, f"the order is not significant where ~ stands (less than 2 standard deviations): {found}{nothing}"
    )


def _check_names(names: Sequence[str], x: NDArray[Any]) -> None:
    if x.ndim != 2 or len(names) != x.shape[1] or len(set(names)) != len(names) or not len(names):
        msg = f"names must be one a column, all different (got {len(names)} for an array of shape {x.shape}); name all"
        raise InputError(msg)
    if not np.isfinite(x).all():
        bad = next(name for name, column in zip(names, x.T, strict=True) if not np.isfinite(column).all())
        msg = f"features must be finite ({bad} has NaN or infinity); fill or cut such examples first"
        raise InputError(msg)
