from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import ks_2samp, kstest

from townsend.errors import InputError
from townsend.evaluate.overtraining import Scored, grouped_ks, overtraining, regression_overtraining
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


def predicted(rng: np.random.Generator, spread: float, bias: float = 0.0) -> Scored:
    truth = rng.poisson(18, 2000).astype(np.float64)
    return Scored(truth + bias + rng.normal(0, spread, 2000), truth, np.arange(2000))


def test_a_regression_that_knows_its_training_set_better_is_overtrained() -> None:
    rng = np.random.default_rng(1)
    verdict = regression_overtraining(predicted(rng, 1.5), predicted(rng, 2.0))
    assert not verdict.ok
    assert verdict.sentence.startswith("overtrained: mean squared error 2.")


def test_equal_regressions_agree_in_99_of_100_cases() -> None:
    rng = np.random.default_rng(1)
    verdicts = [regression_overtraining(predicted(rng, 2.0), predicted(rng, 2.0)).ok for _ in range(100)]
    assert sum(verdicts) >= 97


def test_a_regression_that_is_worse_on_train_is_of_another_population() -> None:
    rng = np.random.default_rng(1)
    verdict = regression_overtraining(predicted(rng, 2.0), predicted(rng, 1.5))
    assert not verdict.ok
    assert verdict.sentence.startswith("train and monitor differ")
