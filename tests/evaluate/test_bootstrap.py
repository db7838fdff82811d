from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from townsend.errors import InputError
from townsend.evaluate import bootstrap
from townsend.evaluate.bootstrap import (
    BOOTSTRAP_SEED,
    auc_by_group,
    bootstrap_auc,
    bootstrap_figures,
    clustered_auc,
    confusion_by_group,
    numbered,
)
from townsend.evaluate.classification import FIGURES, auc, confusion
from townsend.tasks.base import Metric

SHIFT, WITHIN, BETWEEN = 1.0, 1.0, 0.7


def drawn(groups: int, resamples: int, seed: int = BOOTSTRAP_SEED) -> np.ndarray:
    """How often each group is drawn in each resample."""
    return np.concatenate(list(bootstrap._weight_chunks(groups, resamples, seed)))


def efficiency(counts: np.ndarray) -> Metric:
    """Found / true of counts (groups, 2)."""
    return bootstrap_figures(counts, {"efficiency": lambda sums: sums[..., 0] / sums[..., 1]})["efficiency"]


def clustered_sample(rng: np.random.Generator, groups: int = 150) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups of about 10 examples, 30 % signal, that share one shift of their scores."""
    group = np.repeat(np.arange(groups), rng.poisson(10, groups))
    labels = (rng.random(len(group)) < 0.3).astype(float)
    shared = rng.normal(0, BETWEEN, groups)[group]
    # Signal feels the shared shift twice: within-class correlation that does not cancel.
    return shared * (1 + labels) + rng.normal(SHIFT * labels, WITHIN), labels, group


def test_auc_of_a_known_population() -> None:
    labels = np.repeat([0, 1], 50_000)
    scores = np.random.default_rng(1).normal(labels * 1.2)
    metric = clustered_auc(scores, labels, np.arange(100_000))
    assert metric.value == auc(scores, labels)
    assert abs(metric.value - norm.cdf(1.2 / np.sqrt(2))) < 4 * metric.error


def test_one_example_a_group_gives_delong_by_hand() -> None:
    scores, labels = np.array([3.0, 1.0, 2.0, 0.0, 1.0]), np.array([1, 1, 1, 0, 0])
    of_signal = np.array([1.0, 0.75, 1.0])  # shares of the two backgrounds below each signal
    of_background = np.array([1.0, 2.5 / 3])
    variance = of_signal.var(ddof=1) / 3 + of_background.var(ddof=1) / 2
    metric = clustered_auc(scores, labels, np.arange(5))
    assert metric.value == pytest.approx(of_signal.mean())
    assert metric.error == pytest.approx(np.sqrt(variance))


def test_analytic_error_is_the_spread_of_repeated_experiments() -> None:
    rng = np.random.default_rng(7)
    metrics = [clustered_auc(*clustered_sample(rng)) for _ in range(400)]
    spread = np.std([metric.value for metric in metrics], ddof=1)
    mean_error = np.sqrt(np.mean([metric.error**2 for metric in metrics]))
    # The spread of 400 is known to 3.5 %.
    assert mean_error == pytest.approx(spread, rel=0.14)


def test_ignoring_the_groups_would_be_caught() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(7), 600)
    grouped = clustered_auc(scores, labels, group).error
    assert clustered_auc(scores, labels, np.arange(len(scores))).error < 0.85 * grouped


@pytest.mark.parametrize("decimals", [0, 8])
def test_analytic_and_resampled_errors_agree(decimals: int) -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(11), 300)
    scores = scores.round(decimals)  # 0 decimals: nearly all are ties
    analytic, resampled = clustered_auc(scores, labels, group), bootstrap_auc(scores, labels, group)
    assert resampled.value == pytest.approx(analytic.value, abs=1e-12)
    assert resampled.error == pytest.approx(analytic.error, rel=0.1)


def test_a_resample_is_the_auc_of_repeated_groups() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(5), 12)
    scores = scores.round(1)
    labels_of_groups, number = np.unique(group, return_inverse=True)
    weights = drawn(len(labels_of_groups), 50)
    direct = [auc(scores, labels, row[number]) for row in weights]
    assert bootstrap_auc(scores, labels, group, 50).error == pytest.approx(np.std(direct, ddof=1), rel=1e-9)


def test_draws_are_multinomial_and_do_not_depend_on_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = drawn(3, 4000)
    assert weights.shape == (4000, 3)
    assert (weights.sum(axis=1) == 3).all()
    assert weights.mean(axis=0) == pytest.approx(np.ones(3), abs=0.06)
    assert weights.var(axis=0) == pytest.approx(np.full(3, 2 / 3), abs=0.08)  # n p (1 - p), n = 3
    monkeypatch.setattr(bootstrap, "_CHUNK_ENTRIES", 100)
    np.testing.assert_array_equal(drawn(3, 4000), weights)
    assert not np.array_equal(drawn(3, 4000, seed=2), weights)


def test_error_of_an_efficiency_is_binomial_for_single_examples() -> None:
    found = np.random.default_rng(2).random(2000) < 0.8
    metric = efficiency(np.stack([found, np.ones(2000)], axis=1))
    assert metric.value == found.mean()
    assert metric.error == pytest.approx(np.sqrt(0.8 * 0.2 / 2000), rel=0.1)


def test_error_of_an_efficiency_grows_with_the_size_of_groups() -> None:
    found = np.random.default_rng(2).random(400) < 0.8  # of five examples each, all found or none
    metric = efficiency(np.stack([5 * found, np.full(400, 5)], axis=1))
    assert metric.error == pytest.approx(np.sqrt(0.8 * 0.2 / 400), rel=0.1)


def test_counts_of_groups_add_up_to_the_confusion() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(3), 20)
    counts = confusion_by_group(scores, labels, group, 0.4)
    table = confusion(scores, labels, 0.4)
    assert counts.sum(axis=0).tolist() == table.counts.tolist()
    one = group == np.unique(group)[3]
    assert counts[3].tolist() == confusion(scores[one], labels[one], 0.4).counts.tolist()
    metrics = bootstrap_figures(counts, FIGURES, 200)
    assert metrics["f1"].value == pytest.approx(table.f1)
    resampled = drawn(len(counts), 200) @ counts
    assert metrics["accuracy"].error == pytest.approx(np.std(FIGURES["accuracy"](resampled), ddof=1))


def test_weights_of_one_change_nothing_and_whole_weights_are_repetitions() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(9), 40)
    scores = scores.round(1)
    plain = clustered_auc(scores, labels, group)
    assert clustered_auc(scores, labels, group, np.ones(len(scores))) == pytest.approx(plain, abs=1e-12)
    assert clustered_auc(scores, labels, group, np.full(len(scores), -0.3)) == pytest.approx(plain, abs=1e-12)
    times = np.random.default_rng(1).integers(1, 4, len(scores))
    repeated = clustered_auc(*(np.repeat(column, times) for column in (scores, labels, group)))
    assert clustered_auc(scores, labels, group, times) == pytest.approx(repeated, abs=1e-12)


def test_signed_weights_scatter_as_the_bootstrap_says() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(12), 300)
    weights = np.random.default_rng(13).choice([1.0, 0.3, -0.5], len(scores), p=[0.6, 0.3, 0.1])
    analytic, resampled = (
        clustered_auc(scores, labels, group, weights),
        bootstrap_auc(scores, labels, group, 600, weights=weights),
    )
    assert analytic.value == pytest.approx(auc(scores, labels, weights), abs=1e-12)
    assert resampled.value == pytest.approx(analytic.value, abs=1e-12)
    assert resampled.error == pytest.approx(analytic.error, rel=0.1)
    assert analytic.error > 1.05 * clustered_auc(scores, labels, group).error


def test_weighted_counts_of_groups_add_up_to_the_weighted_confusion() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(3), 20)
    weights = np.random.default_rng(4).normal(0.5, 1, len(scores))
    counts = confusion_by_group(scores, labels, group, 0.4, weights)
    assert counts.sum(axis=0) == pytest.approx(confusion(scores, labels, 0.4, weights).counts)
    one = group == np.unique(group)[3]
    assert counts[3] == pytest.approx(confusion(scores[one], labels[one], 0.4, weights[one]).counts)


def test_an_auc_minus_itself_is_zero_and_sure() -> None:
    scores, labels, group = clustered_sample(np.random.default_rng(2), 20)
    number, groups = numbered(group)
    one = auc_by_group(scores, labels == 1, number, groups)
    assert (one.minus(one).value, one.minus(one).error) == (0, 0)
    assert np.isnan(auc_by_group(scores[:2], np.array([True, False]), number[:2], groups).error)


def test_perfect_separation_has_no_error() -> None:
    assert clustered_auc([0, 0, 1, 1], [0, 0, 1, 1], [0, 1, 0, 1]) == (1.0, 0.0)


def test_too_few_groups_are_refused() -> None:
    with pytest.raises(InputError, match=r"at least 2 groups \(got 1\)"):
        clustered_auc([0, 1], [0, 1], [4, 4])
    with pytest.raises(InputError, match=r"got 1"):
        clustered_auc([0, 0, 1], [0, 0, 1], [4, 5, 5])
    with pytest.raises(InputError, match="at least 2 groups"):
        bootstrap_figures([[1, 1]], {})
    with pytest.raises(InputError, match="one entry an example"):
        clustered_auc([0, 1, 1], [0, 1, 1], [1, 2])
