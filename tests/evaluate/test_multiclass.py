from __future__ import annotations

import math
from itertools import combinations, permutations

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from townsend.errors import InputError
from townsend.evaluate.classification import auc
from townsend.evaluate.classification_table import classification_table
from townsend.evaluate.multiclass import multiclass_table

NAMES = ("WZ", "ZZ", "ttZ")
SEEDS = st.integers(0, 2**31)


def sample(seed: int, events: int = 40):
    """Softmax outputs with ties, labels of three classes, weights of either sign, groups."""
    rng = np.random.default_rng(seed)
    labels = np.concatenate([[0, 1, 2], rng.choice(3, events - 3, p=[0.6, 0.3, 0.1])])
    outputs = rng.normal(1.5 * np.eye(3)[labels]).round(1)
    outputs = np.exp(outputs) / np.exp(outputs).sum(axis=1, keepdims=True)
    weights = rng.choice([0.5, 1.0, 2.0], events)
    return outputs, labels, weights, weights * rng.choice([1, 1, 1, -1], events), rng.integers(0, events // 3, events)


def scikit_learns(outputs, labels, weights):
    guess = outputs.argmax(axis=1)
    found = {
        "accuracy": metrics.accuracy_score(labels, guess, sample_weight=weights),
        "balanced_accuracy": metrics.balanced_accuracy_score(labels, guess, sample_weight=weights),
        "matthews": metrics.matthews_corrcoef(labels, guess, sample_weight=weights),
        "cohen_kappa": metrics.cohen_kappa_score(labels, guess, sample_weight=weights),
        "log_loss": metrics.log_loss(labels, outputs, sample_weight=weights),
        "precision_macro": metrics.precision_score(
            labels, guess, average="macro", sample_weight=weights, zero_division=0
        ),
    }
    for average in ("macro", "weighted"):
        f1 = metrics.f1_score(labels, guess, average=average, sample_weight=weights, zero_division=0)
        area = metrics.roc_auc_score(labels, outputs, multi_class="ovr", average=average, sample_weight=weights)
        found |= {f"f1_{average}": f1, f"auc_ovr_{average}": area}
    single = metrics.precision_recall_fscore_support(labels, guess, sample_weight=weights, zero_division=0)
    for name, values in zip(("precision", "recall", "f1"), single, strict=False):
        found |= {f"{name}:{label}": value for label, value in zip(NAMES, values, strict=True)}
    return found


@settings(max_examples=15)
@given(SEEDS)
def test_values_with_positive_weights_are_scikit_learns(seed):
    outputs, labels, weights, _, _ = sample(seed)
    table = multiclass_table(outputs, labels, NAMES, weights)
    for name, value in scikit_learns(outputs, labels, weights).items():
        assert table.row(name).value == pytest.approx(value, rel=1e-12, abs=1e-12), name


@settings(max_examples=15)
@given(SEEDS)
def test_one_against_one_without_weights_is_scikit_learns(seed):
    outputs, labels, *_ = sample(seed)
    table = multiclass_table(outputs, labels, NAMES)
    for average in ("macro", "weighted"):
        value = metrics.roc_auc_score(labels, outputs, multi_class="ovo", average=average)
        assert table.row(f"auc_ovo_{average}").value == pytest.approx(value, abs=1e-12)


@settings(max_examples=15)
@given(SEEDS)
def test_areas_with_signed_weights_are_sums_over_pairs_of_events(seed):
    outputs, labels, _, weights, _ = sample(seed)
    total = np.array([weights[labels == k].sum() for k in range(3)])
    assume((np.abs([*total, total.sum()]) > 0.1).all())
    table = multiclass_table(outputs, labels, NAMES, weights)
    versus = {}  # of the output of class i, on events of i and j
    for i, j in permutations(range(3), 2):
        of, against = outputs[labels == i, i], outputs[labels == j, i]
        above = (of[:, None] > against) + 0.5 * (of[:, None] == against)
        versus[i, j] = weights[labels == i] @ above @ weights[labels == j] / (total[i] * total[j])
    pairs = [(versus[i, j] + versus[j, i]) / 2 for i, j in combinations(range(3), 2)]
    shares = [(total[i] + total[j]) / (2 * total.sum()) for i, j in combinations(range(3), 2)]
    rest = [auc(outputs[:, i], labels == i, weights) if abs(total.sum() - total[i]) > 0.1 else None for i in range(3)]
    assert table.row("auc_ovo_macro").value == pytest.approx(np.mean(pairs), rel=1e-9, abs=1e-9)
    assert table.row("auc_ovo_weighted").value == pytest.approx(np.dot(pairs, shares), rel=1e-9, abs=1e-9)
    assert table.row("auc:WZ|ttZ").value == pytest.approx(pairs[1], rel=1e-9, abs=1e-9)
    for label, area in zip(NAMES, rest, strict=True):
        assert area is None or table.row(f"auc:{label}").value == pytest.approx(area, rel=1e-9, abs=1e-9)


def test_errors_are_sums_over_groups_of_exact_derivatives():
    outputs, labels, _, weights, group = sample(3, 60)
    table = multiclass_table(outputs, labels, NAMES, weights, group)
    moved = []
    for one in np.unique(group):
        up, down = (
            multiclass_table(outputs, labels, NAMES, weights * (1 + step * (group == one))) for step in (1e-5, -1e-5)
        )
        moved.append([(high.value - low.value) / 2e-5 for high, low in zip(up.rows, down.rows, strict=True)])
    for row, error in zip(table.rows, np.sqrt(np.sum(np.square(moved), axis=0)), strict=True):
        assert error > 0.01, row.name
        assert row.error == pytest.approx(error, rel=1e-4), row.name


def test_two_classes_are_the_table_of_two_classes():
    rng = np.random.default_rng(6)
    labels = rng.integers(0, 2, 200)
    score = 1 / (1 + np.exp(-rng.normal(labels)))
    many = multiclass_table(np.stack([1 - score, score], axis=1), labels, ("background", "signal"))
    two = classification_table(score, labels, 0.5)
    for name, other in (("accuracy", "accuracy"), ("f1:signal", "f1"), ("log_loss", "log_loss"), ("matthews", "mcc")):
        assert many.row(name).metric == pytest.approx(two.row(other).metric, rel=1e-6), name
    for name in ("auc:signal", "auc:background", "auc_ovo_macro", "auc_ovr_weighted"):
        assert many.row(name).value == pytest.approx(two.row("auc").value), name
        assert many.row(name).error == pytest.approx(two.row("auc").error, rel=0.02), name


def test_outputs_that_are_no_probabilities_have_no_log_loss():
    outputs, labels, *_ = sample(1)
    table = multiclass_table(2 * outputs, labels, NAMES)
    assert math.isnan(table.row("log_loss").value)
    assert "no probabilities" in table.row("log_loss").method
    assert table.row("accuracy").value == multiclass_table(outputs, labels, NAMES).row("accuracy").value
    assert table.to_json()["yields"][0][0] == pytest.approx(np.sum(labels == 0))


def test_classes_that_cancel_have_no_area_against_them():
    outputs = np.array([[0.8, 0.1, 0.1], [0.5, 0.3, 0.2], [0.2, 0.7, 0.1], [0.3, 0.3, 0.4]])
    table = multiclass_table(outputs, [0, 0, 1, 2], NAMES, [1, 1, 1, -1])
    for name in ("auc:WZ", "auc_ovr_macro"):
        assert math.isnan(table.row(name).value)
        assert table.row(name).method == "undefined: sums of signed weights allow no such ratio"
    assert table.row("auc:WZ|ZZ").value == 1
    with pytest.raises(InputError, match="class 0 must not sum to zero"):
        multiclass_table(outputs, [0, 0, 1, 2], NAMES, [1, -1, 1, 1])


@pytest.mark.parametrize(
    ("outputs", "labels", "words"),
    [
        (np.ones((3, 2)), [0, 1, 2], r"one column a class, two or more .got shape \(3, 2\)"),
        (np.ones((4, 3)), [0, 1, 2], "one row an example"),
        (np.ones((3, 3)), [0, 1, 1], "every class .got none of class 2"),
        (np.full((3, 3), np.nan), [0, 1, 2], "9 NaN"),
        (np.ones((3, 3)), [0, 1, 3], "class numbers from 0 to 2"),
    ],
)
def test_what_cannot_be_judged_is_refused(outputs, labels, words):
    with pytest.raises(InputError, match=words):
        multiclass_table(outputs, labels, NAMES)
