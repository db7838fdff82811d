"""Event weights of either sign in the training of networks: what each example counts, in every number that is told."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import log_loss, roc_auc_score

from townsend.errors import InputError
from townsend.networks.family import build_network
from townsend.tasks.base import Arrays, Split
from townsend.training.epochs import epoch_order
from townsend.training.figure import rung_figure
from townsend.training.keras_trainer import KerasTrainer, TrainSettings
from townsend.training.progress import Progress
from townsend.training.records import Fit, Rung

# Keras 3.15 copies its variables in a way that NumPy 2 warns of.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")

LOSS = "binary_crossentropy"
GIVEN: dict[str, Any] = {"optimizer": "nesterov", "batch_size": "all", "learning_rate": 0.3}
NORMALIZED: dict[str, Any] = {"layers": "4", "activations": "tanh sigmoid", "dropout": 0.0, "batch_norm": True}


def one_layer(hyperparameters: Any, shape: tuple[int, ...], seed: int, outputs: int) -> Any:
    network = keras.Sequential(
        [keras.Input(shape, name="x"), keras.layers.Dense(1, "sigmoid", name="only")], name="one"
    )
    network.set_weights([np.linspace(-0.5, 0.5, shape[0]).astype(np.float32)[:, None], np.float32([0.1])])
    return network


def table(count: int, seed: int = 1, weight: Any = None) -> Split:
    random = np.random.default_rng(seed)
    x = random.normal(size=(count, 3)).astype(np.float32)
    y = (x[:, 0] + random.normal(size=count) > 0).astype(np.float32)
    return Split(x, y, np.arange(count, dtype=np.int32), weight=None if weight is None else np.float32(weight))


def mean_one(weight: Any) -> Any:
    return np.float32(weight / np.mean(weight))


def of(split: Split, rows: Any, weight: Any) -> Split:
    """Return some rows of a split, with other weights."""
    return Split(split.x[rows], split.y[rows], split.group[rows], weight=mean_one(np.asarray(weight, float)))


def trained(train: Split, monitor: Split, epochs: int = 4, make: Any = one_layer, **changed: Any) -> Progress:
    trainer = KerasTrainer(make, LOSS, TrainSettings(epochs, epochs))
    arrays = [Arrays({"train": train, "monitor": monitor}, {})]
    ((_, done),) = trainer.advance([(Fit(0, 5, {**GIVEN, **changed}), None)], arrays, Rung(1000))
    return done


def close(one: Progress, two: Progress) -> None:
    for a, b in zip(one.weights, two.weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=2e-5, atol=2e-6)


def test_an_epoch_of_gradient_descent_is_that_of_numpy() -> None:
    """Batches of 4, 4 and 2, one of which has a negative sum of weights: it is divided by 4, and keeps its sign."""
    order, filled, _ = epoch_order(10, 4, 5, 1)
    weight = np.full(10, 2.0)
    weight[order[0]] = [-3, 1, 0.5, -1]
    weight = mean_one(weight)
    split = table(10, weight=weight)
    ours = trained(split, split, 1, optimizer="sgd", batch_size=4)
    slope, intercept = (part.astype(float) for part in one_layer({}, (3,), 0, 1).get_weights())
    loss = 0.0
    for rows in (row[full > 0] for row, full in zip(order, filled, strict=True)):
        x, y, w = split.x[rows].astype(float), split.y[rows, None], weight[rows, None].astype(float)
        p = 1 / (1 + np.exp(-(x @ slope + intercept)))
        loss -= float((w * np.log(np.where(y > 0.5, p, 1 - p))).sum())
        at_z = w * (p - y) / len(rows)
        slope, intercept = slope - 0.3 * x.T @ at_z, intercept - 0.3 * at_z.sum(axis=0)
    np.testing.assert_allclose(ours.weights[0], slope, rtol=1e-5)
    np.testing.assert_allclose(ours.weights[1], intercept, rtol=1e-5)
    assert ours.curves["loss"][0] == pytest.approx(loss / weight.sum(), rel=1e-5)
    p = 1 / (1 + np.exp(-(split.x @ slope + intercept)))[:, 0]
    monitored = -np.sum(weight * np.log(np.where(split.y > 0.5, p, 1 - p))) / weight.sum()
    assert ours.curves["monitor_loss"][0] == pytest.approx(monitored, rel=1e-5)
    hits = np.sum(weight * ((p > 0.5) == (split.y > 0.5))) / weight.sum()
    assert ours.curves["monitor_accuracy"][0] == pytest.approx(hits, rel=1e-5)


def test_weight_is_a_number_of_copies_of_either_sign() -> None:
    """In one batch: 2 is to be there twice, 0 not at all, -1 takes a twin away."""
    plain, every = table(30), np.arange(24)
    alone = trained(of(plain, every, np.ones(24)), plain)
    twice = trained(of(plain, every, np.where(every < 6, 2, 1)), plain)
    close(twice, trained(of(plain, [*range(6), *every], np.ones(30)), plain))
    assert not np.allclose(twice.weights[0], alone.weights[0], rtol=1e-3)
    close(alone, trained(of(plain, np.arange(30), np.arange(30) < 24), plain))
    close(alone, trained(of(plain, [*every, 24, 25, 26, 24, 25, 26], [1] * 27 + [-1] * 3), plain))


def test_early_stopping_and_figure_follow_the_weights_of_monitor() -> None:
    """Contrary examples of weight zero are as good as none."""
    plain = table(40, 2)
    both = [*range(40), *range(40)]
    weight = np.float32([2] * 40 + [0] * 40)
    contrary = Split(plain.x[both], np.concatenate([plain.y, 1 - plain.y]), plain.group[both], weight=weight)
    seen = table(24, weight=np.ones(24))
    ours, theirs = trained(seen, contrary), trained(seen, plain)
    for name in ("monitor_loss", "monitor_accuracy"):
        np.testing.assert_allclose(ours.curves[name], theirs.curves[name], rtol=1e-5)
    assert ours.figure == pytest.approx(theirs.figure, rel=1e-6)
    assert trained(seen, replace(contrary, weight=None)).figure == pytest.approx(0.5)


def test_batch_normalization_does_not_heed_weights_but_leaves_out_what_fills_a_batch() -> None:
    split = table(10, weight=mean_one(np.array([1, -2, 0.5, 3, -1, 2, 0, 1.5, -0.5, 4.0])))
    given = {**NORMALIZED, "batch_size": 7, "learning_rate": 1e-30}  # which moves nothing but the statistics
    done = trained(split, split, 1, partial(build_network, "dense"), **given)
    kernel, bias, _, _, mean, variance, *_ = done.weights
    order, filled, _ = epoch_order(10, 7, 5, 1)
    expected = [np.zeros(4), np.ones(4)]
    for rows in (row[full > 0] for row, full in zip(order, filled, strict=True)):
        hidden = split.x[rows] @ kernel + bias
        now = hidden.mean(axis=0), hidden.var(axis=0)
        expected = [0.99 * old + 0.01 * new for old, new in zip(expected, now, strict=True)]
    np.testing.assert_allclose([mean, variance], expected, rtol=1e-5, atol=1e-7)


@pytest.mark.slow
def test_weighted_members_side_by_side_train_like_those_alone() -> None:
    weight = mean_one(np.where(np.arange(24) % 5, 1.0, -1.0))
    arrays = [Arrays({"train": table(24, weight=weight), "monitor": table(24, 2, weight)}, {})]
    fits = [Fit(trial, 5, {**GIVEN, "learning_rate": rate}) for trial, rate in enumerate((0.1, 0.3))]
    together = KerasTrainer(one_layer, LOSS, TrainSettings(3, 3), side_by_side=True)
    for fit, progress in together.advance([(fit, None) for fit in fits], arrays, Rung(1000)):
        alone = trained(*arrays[0].splits.values(), 3, **fit.hyperparameters)
        np.testing.assert_allclose(progress.curves["loss"], alone.curves["loss"], rtol=1e-4)
        assert progress.figure == pytest.approx(alone.figure)


SCORED = st.lists(
    st.tuples(st.sampled_from([0.1, 0.2, 0.5, 0.7]), st.booleans(), st.integers(-3, 4)), min_size=2, max_size=12
)


@settings(max_examples=60)
@given(SCORED)
def test_figure_of_signed_weights_is_the_sum_over_all_pairs(rows: list[tuple[float, bool, int]]) -> None:
    scores, y, weight = (np.float32([row[i] for row in rows]) for i in range(3))
    signal, background = y > 0.5, y <= 0.5
    pairs = weight[signal].sum() * weight[background].sum()
    found = rung_figure(LOSS, scores, y, weight)
    if pairs == 0:
        assert np.isnan(found)
        return
    in_order = (scores[signal, None] > scores[background]) + (scores[signal, None] == scores[background]) / 2
    assert found == pytest.approx(weight[signal] @ in_order @ weight[background] / pairs, rel=1e-6, abs=1e-12)


def test_figure_of_whole_weights_is_that_of_as_many_copies() -> None:
    random = np.random.default_rng(0)
    scores, y = random.random(50).astype(np.float32).round(1), (np.arange(50) % 2).astype(np.float32)
    weight = random.integers(0, 4, 50).astype(np.float32)
    copies = np.repeat(np.arange(50), weight.astype(int))
    for loss in (LOSS, "mse"):
        assert rung_figure(loss, scores, y, weight) == pytest.approx(rung_figure(loss, scores[copies], y[copies]))
    assert rung_figure(LOSS, scores, y, weight) == pytest.approx(roc_auc_score(y, scores, sample_weight=weight))
    assert rung_figure(LOSS, np.full(50, np.nan, np.float32), y, weight) != 0


def test_scaling_is_as_if_the_inputs_had_been_standardised_before() -> None:
    plain, watched = table(24, weight=np.ones(24)), table(40, 2)
    facts = {"scaling": {"mean": [2, -100, 0.5], "scale": [4, 1000, 0.125]}}

    def raw(split: Split) -> Split:
        return replace(split, x=split.x * np.float32([4, 1000, 0.125]) + np.float32([2, -100, 0.5]))

    fit, trainer = Fit(0, 5, GIVEN), KerasTrainer(one_layer, LOSS, TrainSettings(3, 3))
    arrays = [Arrays({"train": raw(plain), "monitor": raw(watched)}, facts)]
    ((_, done),) = trainer.advance([(fit, None)], arrays, Rung(1000))
    close(done, trained(plain, watched, 3))
    scores = trainer.scores(fit, done, raw(watched).x, arrays)
    expected = log_loss(watched.y, scores.astype(float))
    assert expected == pytest.approx(done.curves["monitor_loss"][done.best_epoch - 1], rel=1e-5)


def test_weights_are_stored_and_come_back(tmp_path: Path) -> None:
    weighted, plain = table(10, weight=np.float32([-1, 3] * 5)), table(10)
    Arrays({"train": weighted, "monitor": plain}, {}).save(tmp_path)
    again = Arrays.load(tmp_path)
    np.testing.assert_array_equal(again.filled("train").weight, weighted.weight)
    assert again.filled("train").weight.dtype == np.float32
    assert again.filled("monitor").weight is None
    assert again.splits["train"].extra == {}


@pytest.mark.parametrize("weight", [np.ones(9), np.full(10, 2.0), np.r_[np.nan, np.ones(9)], [1.0, -1.0] * 5])
def test_weights_of_another_mean_are_refused(weight: Any) -> None:
    arrays = Arrays({"train": table(10, weight=weight)}, {})
    with pytest.raises(InputError, match='weights of the split "train" must be one number an example, with the mean 1'):
        arrays.filled("train")
