from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.inspection import permutation_importance as of_scikit_learn
from sklearn.metrics import make_scorer, roc_auc_score

from townsend.errors import InputError
from townsend.evaluate.classification import auc
from townsend.evaluate.importance import (
    FeatureRanking,
    correlated_groups,
    drop_and_retrain,
    permutation_importance,
)

NAMES = ("first", "second", "third", "fourth")
SHIFTS = np.array([1.2, 0.6, 0.0, 0.0])


def sample(rng: np.random.Generator, examples: int = 1500) -> tuple[np.ndarray, np.ndarray]:
    labels = (rng.random(examples) < 0.4).astype(int)
    return rng.normal(size=(examples, 4)) + SHIFTS * labels[:, None], labels


def signed(rng: np.random.Generator, examples: int) -> np.ndarray:
    return rng.choice([-0.5, 1.0, 1.5], examples, p=[0.2, 0.5, 0.3])


def linear(x: np.ndarray) -> np.ndarray:
    return x @ SHIFTS


def drops(ranking: FeatureRanking) -> dict[str, tuple[float, float]]:
    return {" ".join(row.features): row.drop for row in ranking.single}


def best_auc(columns: list[int]) -> float:
    """AUC of the best separation by independent Gaussians."""
    return float(ndtr(np.sqrt(np.sum(SHIFTS[columns] ** 2) / 2)))


@pytest.mark.parametrize("weighted", [False, True])
def test_what_the_network_does_not_look_at_is_worth_nothing_at_all(weighted: bool) -> None:
    rng = np.random.default_rng(1)
    x, labels = sample(rng)
    found = permutation_importance(linear, x, labels, signed(rng, 1500) if weighted else None, None, NAMES, 3)
    assert drops(found)["third"] == drops(found)["fourth"] == (0.0, 0.0)
    assert [row.features[0] for row in found.single[:2]] == ["first", "second"]
    assert "not told from nothing: third, fourth" in found.verdicts[1].sentence


def test_the_only_feature_is_worth_all_above_one_half() -> None:
    rng = np.random.default_rng(2)
    x, labels = sample(rng)
    found = permutation_importance(lambda inputs: inputs[:, 0], x[:, :1], labels, None, None, ["first"])
    (row,) = found.single
    assert abs(row.drop.value - (auc(x[:, 0], labels) - 0.5)) < 3 * row.scatter
    assert row.over_next is None
    assert found.together == found.single


def test_a_feature_that_only_adds_noise_is_within_errors_of_nothing() -> None:
    rng = np.random.default_rng(3)
    pulls = []
    for seed in range(40):
        x, labels = sample(rng, 300)
        found = permutation_importance(
            lambda inputs: inputs @ np.array([1.0, 0.5, 0.5, 0.0]), x, labels, signed(rng, 300), None, NAMES, 3, seed
        )
        value, error = drops(found)["third"]
        pulls.append(value / error)
    assert abs(np.mean(pulls)) < 0.5
    assert 0.6 < np.std(pulls) < 1.3


def test_errors_hold_the_scatter_over_samples_and_are_paired() -> None:
    rng = np.random.default_rng(4)
    found, unpaired = [], []
    for seed in range(60):
        x, labels = sample(rng, 500)
        ranking = permutation_importance(linear, x, labels, None, None, NAMES, 4, seed)
        found.append(drops(ranking))
        unpaired.append(np.sqrt(2) * ranking.auc.error)  # at least: the AUC of shuffled examples has the larger error
    for name in ("first", "second"):
        values, errors = np.array([one[name] for one in found]).T
        assert 0.8 < errors.mean() / values.std() < 1.4
    assert errors.mean() < 0.7 * np.mean(unpaired)


class Given(ClassifierMixin, BaseEstimator):
    """The network of these tests as scikit-learn wants it."""

    classes_ = np.array([0, 1])

    def fit(self, x: np.ndarray, y: np.ndarray) -> Given:
        return self

    def decision_function(self, x: np.ndarray) -> np.ndarray:
        return linear(x)


def test_means_are_those_of_scikit_learn() -> None:
    x, labels = sample(np.random.default_rng(5))
    ours = permutation_importance(linear, x, labels, None, None, NAMES, 20)
    scorer = make_scorer(roc_auc_score, response_method="decision_function")
    theirs = of_scikit_learn(Given(), x, labels, scoring=scorer, n_repeats=20, random_state=1)
    for column, name in enumerate(NAMES):
        scatter = np.sqrt(2) * theirs.importances_std[column] / np.sqrt(20)
        assert abs(drops(ours)[name][0] - theirs.importances_mean[column]) <= 4 * scatter


@given(st.integers(0, 2**32 - 1))
@settings(max_examples=10)
def test_only_the_order_of_the_scores_counts_and_the_inputs_stay(seed: int) -> None:
    rng = np.random.default_rng(seed)
    x, labels = sample(rng, 60)
    labels[:2] = [0, 1]
    before, weights, group = x.copy(), rng.uniform(0.5, 2, 60), rng.integers(0, 20, 60)
    once = permutation_importance(linear, x, labels, weights, group, NAMES, 2)
    other = permutation_importance(lambda inputs: np.tanh(linear(inputs) / 9), x, labels, 3 * weights, group, NAMES, 2)
    assert np.array_equal(x, before)
    for a, b in zip(once.single, other.single, strict=True):
        assert a.features == b.features
        assert a.drop == pytest.approx(b.drop)


def test_groups_of_equal_examples_have_the_error_of_one_example_each() -> None:
    x, labels = sample(np.random.default_rng(6), 300)
    once = permutation_importance(linear, x, labels, None, None, NAMES, 10)
    five = np.repeat(np.arange(300), 5)
    repeated = permutation_importance(linear, x[five], labels[five], None, five, NAMES, 10)
    loose = permutation_importance(linear, x[five], labels[five], None, None, NAMES, 10)
    assert repeated.auc == pytest.approx(once.auc)
    assert loose.auc.error == pytest.approx(once.auc.error / np.sqrt(5), rel=0.01)
    # Shuffled examples of a group are no longer equal, so that a part of the error shrinks.
    assert loose.single[0].sampling < repeated.single[0].sampling < once.single[0].sampling


def test_two_alike_are_worth_little_alone_and_much_together() -> None:
    rng = np.random.default_rng(7)
    x, labels = sample(rng, 2000)
    x[:, 2] = x[:, 0] + 0.05 * rng.normal(size=2000)
    found = permutation_importance(lambda inputs: inputs @ np.array([0.6, 0.6, 0.6, 0.0]), x, labels, None, None, NAMES)
    together = {row.features: row.drop.value for row in found.together}
    assert set(together) == {("first", "third"), ("second",), ("fourth",)}
    assert together["first", "third"] > 1.5 * max(drops(found)["first"][0], drops(found)["third"][0])
    assert "first and third" in found.verdicts[-1].sentence
    assert not found.verdicts[1].ok  # first and third are within errors of each other
    assert "first ~ third" in found.verdicts[1].sentence or "third ~ first" in found.verdicts[1].sentence


def test_an_order_that_is_significant_is_called_so() -> None:
    x, labels = sample(np.random.default_rng(8), 3000)
    found = permutation_importance(lambda x: x @ SHIFTS[:3], x[:, :3], labels, None, None, NAMES[:3], 3)
    assert found.verdicts[1].ok
    assert found.verdicts[1].sentence.startswith("the order is significant: first > second > third")


def test_a_network_that_separates_nothing_has_nothing_to_lose() -> None:
    rng = np.random.default_rng(9)
    x, labels = sample(rng, 300)
    found = permutation_importance(lambda inputs: inputs[:, 3], x, labels, None, None, NAMES, 2)
    assert not found.verdicts[0].ok
    assert "no separation" in found.verdicts[0].sentence


@given(st.integers(0, 2**32 - 1), st.sampled_from([0.3, 0.5, 0.7]))
@settings(max_examples=30)
def test_correlated_groups_are_connected_by_correlations(seed: int, limit: float) -> None:
    from scipy.stats import spearmanr

    rng = np.random.default_rng(seed)
    x = rng.normal(size=(40, 3)) @ rng.normal(size=(3, 6)) + 0.3 * rng.normal(size=(40, 6))
    names = list("abcdef")
    linked = np.abs(spearmanr(x).statistic) >= limit
    reach = np.linalg.matrix_power(linked.astype(int), 6) > 0
    expected = sorted({tuple(names[i] for i in np.flatnonzero(row)) for row in reach})
    assert sorted(correlated_groups(np.exp(x), names, limit)) == expected  # ranks see no exponential


def test_constant_and_opposite_features() -> None:
    a = np.arange(20.0)
    x = np.column_stack([a, np.ones(20), -(a**3), np.tile([0.0, 1.0], 10)])
    assert correlated_groups(x, NAMES) == (("first", "third"), ("second",), ("fourth",))


def trained(x: np.ndarray, shifts: np.ndarray) -> object:
    """Training that finds the best weights but for some noise of the seed."""

    def train(names: tuple[str, ...], seed: int) -> np.ndarray:
        columns = [NAMES.index(name) for name in names]
        noise = np.random.default_rng([seed, *columns]).normal(0, 0.03, len(columns))
        return x[:, columns] @ (shifts[columns] + noise)

    return train


@pytest.mark.parametrize("weighted", [False, True])
def test_retraining_without_a_feature_loses_what_gaussians_say(weighted: bool) -> None:
    rng = np.random.default_rng(10)
    x, labels = sample(rng, 4000)
    weights = signed(rng, 4000) if weighted else None
    found = drop_and_retrain(trained(x, SHIFTS), x, labels, weights, None, NAMES, 3)
    whole = best_auc([0, 1, 2, 3])
    assert abs(found.auc.value - whole) < 4 * found.auc.error
    for column, name in enumerate(NAMES):
        value, error = drops(found)[name]
        left = best_auc([other for other in range(4) if other != column])
        assert abs(value - (whole - left)) < 4 * error + 1e-3  # the noise of a training costs a little
        assert error < 0.012
    assert found.single[0].features == ("first",)


def test_nothing_left_to_train_on_is_one_half() -> None:
    rng = np.random.default_rng(11)
    x, labels = sample(rng, 500)
    x = np.column_stack([x[:, 0], 2 * x[:, 0]])
    found = drop_and_retrain(lambda names, seed: x[:, 0], x, labels, None, None, ["a", "b"], 2)
    assert [row.features for row in found.together] == [("a", "b")]
    assert found.together[0].drop.value == pytest.approx(auc(x[:, 0], labels) - 0.5)
    assert all(row.drop == (0.0, 0.0) for row in found.single)


def test_what_breaks_a_rule_is_refused() -> None:
    x, labels = sample(np.random.default_rng(12), 30)
    with pytest.raises(InputError, match="one a column, all different"):
        permutation_importance(linear, x, labels, None, None, ["a", "a", "b", "c"])
    with pytest.raises(InputError, match="repeats"):
        permutation_importance(linear, x, labels, None, None, NAMES, 1)
    with pytest.raises(InputError, match="correlated"):
        permutation_importance(linear, x, labels, None, None, NAMES, 2, correlated=0.0)
    with pytest.raises(InputError, match="third has NaN"):
        permutation_importance(linear, np.where(np.arange(4) == 2, np.nan, x), labels, None, None, NAMES)
    with pytest.raises(InputError, match="at least 2 each"):
        drop_and_retrain(lambda names, seed: x[:, 0], x[:, :1], labels, None, None, NAMES[:1])
