from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import ndtr, ndtri
from scipy.stats import chi2_contingency, ks_2samp, kstest

from townsend.errors import InputError
from townsend.evaluate.homogeneity import Binned, homogeneity
from townsend.evaluate.learning_curve import loss_divergence
from townsend.evaluate.overtraining import (
    MAX_GAP_PULL,
    MAX_PULL,
    Scored,
    grouped_ks,
    overtraining,
    overtraining_report,
    regression_overtraining,
)
from townsend.evaluate.verdict import Verdict


def scored(rng: np.random.Generator, shift: float, groups: int = 200) -> Scored:
    group = np.repeat(np.arange(groups), 10)
    labels = (rng.random(len(group)) < 0.4).astype(np.float32)
    return Scored(rng.normal(shift * labels + rng.normal(0, 0.5, groups)[group]), labels, group)


def test_equal_populations_agree() -> None:
    rng = np.random.default_rng(1)
    verdict = overtraining(scored(rng, 1.5), scored(rng, 1.5))
    assert verdict.ok
    assert verdict.sentence.startswith("not overtrained: AUC 0.8")


def test_better_on_train_is_overtrained() -> None:
    rng = np.random.default_rng(1)
    verdict = overtraining(scored(rng, 3.0), scored(rng, 1.5))
    assert not verdict.ok
    assert verdict.sentence.startswith("overtrained")


def test_worse_on_train_is_another_population() -> None:
    rng = np.random.default_rng(1)
    verdict = overtraining(scored(rng, 1.5), scored(rng, 3.0))
    assert not verdict.ok
    assert verdict.sentence.startswith("train and monitor differ")


def test_the_same_order_with_other_scores_is_noticed() -> None:
    rng = np.random.default_rng(1)
    train, monitor = scored(rng, 1.5), scored(rng, 1.5)
    verdict = overtraining(train._replace(scores=train.scores + 1.0), monitor)
    assert not verdict.ok
    assert "p 0.002 for signal, 0.002 for background" in verdict.sentence


def test_perfect_scores_on_both_sets_agree() -> None:
    labels = np.array([0, 0, 1, 1] * 5)
    perfect = Scored(labels.astype(float), labels, np.arange(20))
    assert overtraining(perfect, perfect).ok


def test_single_examples_give_the_textbook_p_value() -> None:
    rng = np.random.default_rng(4)
    a, b = rng.normal(size=80), rng.normal(0.1, 1, size=60)
    expected = ks_2samp(a, b).pvalue
    assert 0.02 < expected < 0.9
    assert grouped_ks(a, np.arange(80), b, np.arange(60), 4000) == pytest.approx(expected, abs=0.04)


def test_p_values_of_equal_grouped_populations_are_uniform() -> None:
    rng = np.random.default_rng(8)

    def sample() -> tuple[np.ndarray, np.ndarray]:
        group = np.repeat(np.arange(20), 5)
        return rng.normal(rng.normal(0, 1, 20)[group], 0.3), group

    grouped, plain = [], []
    for _ in range(150):
        (a, group_a), (b, group_b) = sample(), sample()
        grouped.append(grouped_ks(a, group_a, b, group_b, 99))
        plain.append(ks_2samp(a, b).pvalue)
    assert kstest(grouped, "uniform").pvalue > 1e-3
    assert kstest(plain, "uniform").pvalue < 1e-6  # what ignoring the groups would do


def test_a_set_without_signal_is_refused() -> None:
    rng = np.random.default_rng(1)
    train = scored(rng, 1.5)
    with pytest.raises(InputError, match="no signal"):
        overtraining(train, train._replace(labels=np.zeros(2000)))


def test_a_verdict_as_json() -> None:
    assert Verdict(False, "no").to_json() == {"ok": False, "sentence": "no"}


def predicted(rng: np.random.Generator, spread: float, examples: int = 2000) -> Scored:
    truth = rng.poisson(18, examples).astype(np.float64)
    return Scored(truth + rng.normal(0, spread, examples), truth, np.arange(examples))


def test_a_regression_that_knows_its_training_set_better_is_overtrained() -> None:
    rng = np.random.default_rng(1)
    verdict = regression_overtraining(predicted(rng, 1.5), predicted(rng, 2.0))
    assert not verdict.ok
    assert verdict.sentence.startswith("overtrained: mean squared error 2.")


def test_equal_regressions_agree_in_99_of_100_cases() -> None:
    rng = np.random.default_rng(1)
    verdicts = [regression_overtraining(predicted(rng, 2.0, 300), predicted(rng, 2.0, 300)).ok for _ in range(40)]
    assert sum(verdicts) >= 38


def test_a_regression_that_is_worse_on_train_is_of_another_population() -> None:
    rng = np.random.default_rng(1)
    verdict = regression_overtraining(predicted(rng, 2.0), predicted(rng, 1.5))
    assert not verdict.ok
    assert verdict.sentence.startswith("train and monitor differ")


def test_a_regression_with_weights_is_refused() -> None:
    one = predicted(np.random.default_rng(1), 2.0)
    with pytest.raises(InputError, match="without weights"):
        regression_overtraining(one, one._replace(weights=np.ones(2000)))


def signed(rng: np.random.Generator, scores: np.ndarray) -> np.ndarray:
    """Weights of mean 0.7 that are negative more often for large scores."""
    often = 0.3 / (1 + np.exp(-scores))
    return np.where(rng.random(len(scores)) < often, -1.0, 1.0) * rng.uniform(0.5, 1.5, len(scores))


def drawn(rng: np.random.Generator, examples: int, weighted: bool, shift: float = 1.5) -> Scored:
    labels = (rng.random(examples) < 0.4).astype(float)
    scores = rng.normal(shift * labels)
    return Scored(scores, labels, np.arange(examples), signed(rng, scores) if weighted else None)


def test_weights_of_one_change_no_bit() -> None:
    rng = np.random.default_rng(2)
    train, monitor = scored(rng, 1.5, 50), scored(rng, 1.5, 50)
    ones = [one._replace(weights=np.ones(len(one.scores))) for one in (train, monitor)]
    assert overtraining(*ones) == overtraining(train, monitor)
    arguments = (train.scores, train.group, monitor.scores, monitor.group, 49)
    weights = {"weights_a": np.ones(500), "weights_b": np.ones(500)}
    assert grouped_ks(*arguments, **weights) == grouped_ks(*arguments)


def test_weight_two_counts_as_two_examples_of_the_group() -> None:
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=40), rng.normal(0.3, 1, size=30)
    twice = rng.integers(1, 3, 40)
    group = np.arange(40)
    repeated = grouped_ks(np.repeat(a, twice), np.repeat(group, twice), b, np.arange(30), 99)
    assert grouped_ks(a, group, b, np.arange(30), 99, weights_a=twice) == repeated


@given(st.integers(0, 2**32 - 1), st.integers(2, 12), st.integers(2, 12))
@settings(max_examples=40)
def test_distance_of_signed_weights_is_that_of_the_definition(seed: int, n: int, m: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = rng.integers(0, 6, n).astype(float), rng.integers(0, 6, m).astype(float)  # with ties
    of_a, of_b = rng.choice([-1.0, 2.0, 3.5], n), rng.choice([-1.0, 2.0, 3.5], m)
    if abs(of_a.sum()) < 0.1 or abs(of_b.sum()) < 0.1:
        return
    every = np.unique(np.concatenate([a, b]))
    below = [[weight[x <= cut].sum() / weight.sum() for cut in every] for x, weight in ((a, of_a), (b, of_b))]
    labels = np.concatenate([np.ones(n), [0.0]])  # a background is needed, and the same in both
    train = Scored(np.append(a, -1.0), labels, np.arange(n + 1), np.append(of_a, 1.0))
    monitor = Scored(np.append(b, -1.0), np.concatenate([np.ones(m), [0.0]]), np.arange(m + 1), np.append(of_b, 1.0))
    more = [
        one._replace(
            scores=np.append(one.scores, -1.0),
            labels=np.append(one.labels, 0.0),
            group=np.append(one.group, len(one.group)),
            weights=np.append(one.weights, 1.0),
        )
        for one in (train, monitor)
    ]
    report = overtraining_report(*more, permutations=1)
    assert report.signal.distance == pytest.approx(np.max(np.abs(np.subtract(*below))), abs=1e-12)
    assert report.background.distance == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize("weighted", [False, True])
def test_exchangeable_sets_raise_few_alarms_and_their_p_values_are_uniform(weighted: bool) -> None:
    rng = np.random.default_rng(7)
    reports = [
        overtraining_report(drawn(rng, 200, weighted), drawn(rng, 100, weighted), permutations=199) for _ in range(120)
    ]
    assert sum(not report.verdict.ok for report in reports) <= 6  # 5 %; by chance 2.1 % are expected
    assert kstest([report.pull for report in reports], "norm").pvalue > 1e-3
    for name in ("signal", "background"):
        assert kstest([getattr(report, name).p for report in reports], "uniform").pvalue > 1e-3


@pytest.mark.parametrize("weighted", [False, True])
def test_chi_squared_of_equal_populations_is_distributed_as_such(weighted: bool) -> None:
    rng = np.random.default_rng(20)
    edges = np.linspace(-4, 4, 33)
    values = []
    for _ in range(800):
        histograms = []
        for examples in (300, 120):
            scores = rng.normal(size=examples)
            weights = signed(rng, scores) if weighted else np.ones(examples)
            sums, squares = (np.histogram(scores, edges, weights=power)[0] for power in (weights, weights**2))
            histograms.append(Binned(sums, np.sqrt(squares), np.histogram(scores, edges)[0]))
        values.append(homogeneity(*histograms).p)
    assert kstest(values, "uniform").pvalue > 1e-3


def quantiles(shift: float, half: int) -> Scored:
    """Scores without chance: quantiles of two Gaussians."""
    grid = ndtri((np.arange(half) + 0.5) / half)
    return Scored(np.concatenate([grid, grid + shift]), np.repeat([0, 1], half), np.arange(2 * half))


def test_a_gap_of_a_few_errors_is_an_alarm_of_the_report_only() -> None:
    train, monitor = quantiles(1.72, 700), quantiles(1.5, 700)
    report = overtraining_report(train, monitor)
    assert MAX_GAP_PULL < report.pull < MAX_PULL
    assert report.gap.value == pytest.approx(ndtr(1.72 / np.sqrt(2)) - ndtr(1.5 / np.sqrt(2)), abs=1e-3)
    assert report.verdict.sentence.startswith("overtrained: AUC 0.88")
    assert overtraining(train, monitor).ok


def test_a_gap_that_nobody_minds_is_no_alarm_in_a_large_sample() -> None:
    monitor = quantiles(0.020, 60_000)
    tiny, larger = (overtraining_report(quantiles(shift, 60_000), monitor, permutations=1) for shift in (0.045, 0.06))
    assert tiny.pull > MAX_GAP_PULL
    assert tiny.gap.value < 0.02 * (1 - tiny.monitor.value)
    assert tiny.verdict.ok
    assert "is excluded at 95 %" in tiny.verdict.sentence
    assert not larger.verdict.ok


def test_the_scale_of_the_weights_does_not_matter() -> None:
    rng = np.random.default_rng(9)
    train, monitor = drawn(rng, 300, True), drawn(rng, 200, True)
    once = overtraining_report(train, monitor, permutations=49)
    scaled = overtraining_report(train._replace(weights=1e3 * train.weights), monitor, permutations=49)
    assert scaled.verdict == once.verdict
    assert scaled.signal.chi2.chi2 == pytest.approx(once.signal.chi2.chi2)
    assert scaled.signal.p == once.signal.p


def test_overlays_hold_every_example_with_its_weight() -> None:
    rng = np.random.default_rng(10)
    train, monitor = drawn(rng, 300, True), drawn(rng, 200, True)
    report = overtraining_report(train, monitor, edges=[-0.5, 0.0, 0.5], permutations=1)
    chosen = (train.labels == 1) & (train.scores < 0.0)
    assert report.signal.train.sums[0] == pytest.approx(train.weights[chosen].sum())
    assert report.signal.train.errors[0] == pytest.approx(np.sqrt(np.sum(train.weights[chosen] ** 2)))
    assert report.signal.train.entries.sum() == np.count_nonzero(train.labels == 1)
    whole = overtraining_report(train, monitor, permutations=1)
    density, error = whole.background.monitor.density(whole.background.edges)
    assert np.sum(density * np.diff(whole.background.edges)) == pytest.approx(1.0)
    assert np.all(error[whole.background.monitor.entries > 0] > 0)


def test_train_and_monitor_of_other_distributions_but_one_order_differ() -> None:
    rng = np.random.default_rng(1)
    train, monitor = drawn(rng, 600, False), drawn(rng, 300, False)
    report = overtraining_report(train._replace(scores=3 * train.scores), monitor)
    assert report.verdict.sentence.startswith("train and monitor differ")
    worse = overtraining_report(drawn(rng, 600, False, 0.5), monitor, permutations=1)
    assert worse.pull < -MAX_PULL
    assert worse.verdict.sentence.startswith("train and monitor differ")


def test_losses_that_part_are_named() -> None:
    rng = np.random.default_rng(1)
    sets = drawn(rng, 300, False), drawn(rng, 300, False)
    parted = loss_divergence([0.7, 0.5, 0.4, 0.3, 0.2], [0.7, 0.5, 0.51, 0.55, 0.6])
    assert overtraining_report(*sets, permutations=1).verdict.ok
    judged = overtraining_report(*sets, losses=parted, permutations=1).verdict
    assert not judged.ok
    assert judged.sentence.startswith("trained too long: the losses part")


def counted(counts: list[int]) -> Binned:
    entries = np.array(counts)
    return Binned(entries.astype(float), np.sqrt(entries), entries)


def test_counts_give_pearsons_chi_squared() -> None:
    a, b = [30, 50, 20, 15], [60, 55, 70, 33]
    expected = chi2_contingency([a, b], correction=False)
    found = homogeneity(counted(a), counted(b))
    assert found.chi2 == pytest.approx(expected.statistic)
    assert found.ndf == 3
    assert found.p == pytest.approx(expected.pvalue)


def test_equal_sums_and_entries_give_gagunashvilis_formula() -> None:
    entries = np.array([40, 30, 30])
    a = Binned(np.array([20.0, 50.0, -10.0]), np.array([5.0, 6.0, 4.0]), entries)
    b = Binned(np.array([30.0, 35.0, -5.0]), np.array([6.0, 4.0, 5.0]), entries)
    by_hand = 10**2 / (5**2 + 6**2) + 15**2 / (6**2 + 4**2) + 5**2 / (4**2 + 5**2)
    assert homogeneity(a, b).chi2 == pytest.approx(by_hand)


def test_bins_of_few_entries_are_merged() -> None:
    a, b = counted([9, 9, 30, 12, 3]), counted([21, 9, 25, 8, 2])  # of 63 and 65
    found, by_hand = homogeneity(a, b), homogeneity(counted([9, 39, 15]), counted([21, 34, 10]))
    assert found.chi2 == pytest.approx(by_hand.chi2)
    assert found.ndf == by_hand.ndf == 2
    nothing = homogeneity(counted([3, 2]), counted([4, 4]))
    assert nothing.ndf == 0
    assert np.isnan(nothing.p)


def test_weights_that_cancel_and_unsorted_edges_are_refused() -> None:
    rng = np.random.default_rng(1)
    train = drawn(rng, 100, True)
    signal = np.flatnonzero(train.labels == 1)
    weights = np.ones(100)
    weights[signal] = np.where(np.arange(len(signal)) % 2 == 0, 1.0, -1.0)
    weights[signal[-1]] -= weights[signal].sum()
    with pytest.raises(InputError, match="must not sum to zero"):
        overtraining_report(train._replace(weights=weights), train)
    with pytest.raises(InputError, match="ascending"):
        overtraining_report(train, train, edges=[0.0, 1.0, 0.5])
    none = Binned(np.array([1.0, -1.0]), np.ones(2), np.array([20, 20]))
    with pytest.raises(InputError, match="sum to zero"):
        homogeneity(none, none)
