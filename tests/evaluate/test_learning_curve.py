from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from townsend.errors import InputError
from townsend.evaluate.learning_curve import learning_curve, loss_divergence


def noisy(scatter: float, slope: float = 0.3) -> object:
    """AUCs that approach 0.9 from both sides as 1 / size^slope, with noise of the seed."""

    def train_on(examples: int, seed: int) -> tuple[float, float]:
        noise = np.random.default_rng([examples, seed]).normal(0, scatter, 2)
        away = examples**-slope
        return 0.9 + 0.5 * away + noise[0], 0.9 - away + noise[1]

    return train_on


def test_without_noise_the_curve_is_that_of_the_law() -> None:
    curve = learning_curve(noisy(0.0), [100, 200, 800], repeats=2)
    gain = (200**-0.3 - 800**-0.3) / 2  # two doublings
    assert [point.examples for point in curve.points] == [100, 200, 800]
    assert curve.points[1].validation == pytest.approx((0.9 - 200**-0.3, 0.0))
    assert curve.points[1].train == pytest.approx((0.9 + 0.5 * 200**-0.3, 0.0))
    assert curve.per_doubling == pytest.approx((gain, 0.0))
    assert curve.gap == pytest.approx((1.5 * 800**-0.3, 0.0))
    assert not curve.verdict.ok
    assert curve.verdict.sentence.startswith(f"more data would help: the last doubling gained {gain:.4f}")


def test_the_law_bounds_the_next_doubling() -> None:
    train_on = noisy(0.0)
    curve = learning_curve(train_on, [100, 200, 400], repeats=2)
    next_gain = train_on(800, 0)[1] - train_on(400, 0)[1]
    assert 0 < next_gain < curve.per_doubling.value


def test_errors_are_those_of_means() -> None:
    curves = [learning_curve(noisy(0.01), [1000, 2000], repeats=4, seed=100 * run) for run in range(300)]
    pulls = np.array([(c.points[0].validation.value - (0.9 - 1000**-0.3)) / 0.005 for c in curves])
    assert 0.85 < pulls.std() < 1.15
    assert np.mean([c.points[0].validation.error ** 2 for c in curves]) == pytest.approx(0.005**2, rel=0.15)
    assert np.mean([c.points[0].validation_spread ** 2 for c in curves]) == pytest.approx(0.01**2, rel=0.15)


def test_a_flat_curve_is_called_growing_in_one_of_forty_cases() -> None:
    curves = [learning_curve(noisy(0.01, 9.0), [1000, 2000], repeats=3, seed=100 * run) for run in range(400)]
    wrong = sum(not curve.verdict.ok for curve in curves)
    assert 2 <= wrong <= 20  # 2.3 % are expected, 9 +- 3
    assert "more data would help by less than" in next(c for c in curves if c.verdict.ok).verdict.sentence


def test_small_is_better_turns_the_sign() -> None:
    def loss(examples: int, seed: int) -> tuple[float, float]:
        return -1 / examples, 1 / examples

    curve = learning_curve(loss, [10, 20], repeats=2, maximise=False)
    assert curve.per_doubling.value == pytest.approx(1 / 20)
    assert curve.gap.value == pytest.approx(2 / 20)
    assert not curve.verdict.ok


def test_every_size_sees_the_same_seeds() -> None:
    seen = []

    def train_on(examples: int, seed: int) -> tuple[float, float]:
        seen.append((examples, seed))
        return 1.0, 0.5

    learning_curve(train_on, [5, 6], repeats=2, seed=7)
    assert seen == [(5, 7), (5, 8), (6, 7), (6, 8)]


@pytest.mark.parametrize(
    ("sizes", "repeats", "says"),
    [([10], 3, "ascend"), ([20, 10], 3, "ascend"), ([0, 10], 3, "ascend"), ([10, 20], 1, "repeats")],
)
def test_sizes_and_repeats_that_break_a_rule_are_refused(sizes: list[int], repeats: int, says: str) -> None:
    with pytest.raises(InputError, match=says):
        learning_curve(noisy(0.0), sizes, repeats=repeats)


def test_a_figure_that_is_not_finite_is_named_by_its_size() -> None:
    with pytest.raises(InputError, match="one that is not with 20 examples"):
        learning_curve(lambda examples, seed: (0.9, 0.8 if examples < 20 else np.nan), [10, 20])


FALLING = [0.7, 0.5, 0.4, 0.3, 0.2]
TURNING = [0.7, 0.5, 0.51, 0.55, 0.6]


def test_losses_that_part_are_told_with_their_numbers() -> None:
    found = loss_divergence(FALLING, TURNING)
    assert (found.best_epoch, found.kept_epoch) == (2, 5)
    assert (found.rise, found.fall, found.lost) == pytest.approx((0.1, 0.3, 0.5))
    assert not found.verdict.ok
    assert found.verdict.sentence.startswith("the losses part: monitored loss 0.5 at its best epoch 2 and 0.6")


def test_the_best_epoch_kept_has_lost_nothing() -> None:
    found = loss_divergence(FALLING, TURNING, kept_epoch=2)
    assert (found.best_epoch, found.rise, found.fall) == (2, 0.0, 0.0)
    assert found.verdict.ok


def test_losses_that_rise_together_do_not_part() -> None:
    assert loss_divergence(TURNING, TURNING).verdict.ok


def test_a_small_rise_is_within_what_was_gained() -> None:
    assert loss_divergence(FALLING, [0.7, 0.5, 0.505, 0.51, 0.515]).verdict.ok
    assert not loss_divergence(FALLING, [0.7, 0.5, 0.515, 0.53, 0.545]).verdict.ok


def test_scatter_from_epoch_to_epoch_is_no_rise() -> None:
    rng = np.random.default_rng(3)
    epochs = np.arange(40)
    flat = [0.69 - 0.002 * (1 - np.exp(-epochs / 5)) + rng.normal(0, 0.002, 40) for _ in range(200)]
    alarms = sum(not loss_divergence(np.linspace(0.7, 0.6, 40), loss).verdict.ok for loss in flat)
    assert alarms <= 40  # the smallest of forty values lies about 2.2 deviations low, the last one 0 +- 1
    rising = [loss + 0.0005 * np.maximum(epochs - 15, 0) for loss in flat]
    assert sum(not loss_divergence(np.linspace(0.7, 0.6, 40), loss).verdict.ok for loss in rising) >= 190


@given(st.lists(st.floats(0.01, 5), min_size=1, max_size=12), st.floats(0.1, 100), st.floats(-3, 3))
@settings(max_examples=40)
def test_units_of_the_loss_do_not_matter(loss: list[float], scale: float, offset: float) -> None:
    falling = np.linspace(1, 0, len(loss))
    once, other = loss_divergence(falling, loss), loss_divergence(falling, scale * np.array(loss) + offset)
    assert other.rise == pytest.approx(scale * once.rise, abs=1e-9 * scale)
    assert other.rise >= 0


@pytest.mark.parametrize(
    ("train", "monitor", "kept"),
    [([], [], None), ([1.0], [1.0, 2.0], None), ([1.0], [np.nan], None), ([1.0], [1.0], 2)],
)
def test_losses_that_break_a_rule_are_refused(train: list[float], monitor: list[float], kept: int | None) -> None:
    with pytest.raises(InputError):
        loss_divergence(train, monitor, kept)
