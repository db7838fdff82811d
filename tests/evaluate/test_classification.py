from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from townsend.errors import InputError
from townsend.evaluate.classification import (
    FIGURES,
    Confusion,
    auc,
    balanced,
    balanced_counts,
    confusion,
    ratio,
    roc,
)

# Few distinct scores, so that ties are common.
EXAMPLES = st.lists(st.tuples(st.integers(-4, 4), st.booleans(), st.integers(1, 5)), min_size=2, max_size=40).filter(
    lambda rows: len({label for _, label, _ in rows}) == 2
)


def columns(rows: list[tuple[int, bool, int]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    scores, labels, weights = zip(*rows, strict=True)
    return np.array(scores, float), np.array(labels, float), np.array(weights)


def auc_over_pairs(scores: np.ndarray, labels: np.ndarray, weights: np.ndarray) -> float:
    total = found = 0.0
    for i, j in itertools.product(np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)):
        pair = weights[i] * weights[j]
        total += pair
        found += pair * (1.0 if scores[i] > scores[j] else 0.5 if scores[i] == scores[j] else 0.0)
    return found / total


def test_perfect_reversed_and_constant_scores() -> None:
    labels = [0, 0, 1, 1]
    assert auc([1, 2, 3, 4], labels) == 1.0
    assert auc([4, 3, 2, 1], labels) == 0.0
    assert auc([7, 7, 7, 7], labels) == 0.5
    assert auc([-np.inf, 0, 0, np.inf], labels) == 0.875


@given(EXAMPLES)
def test_auc_is_the_sum_over_pairs_and_scikit_learns(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, weights = columns(rows)
    assert auc(scores, labels, weights) == pytest.approx(auc_over_pairs(scores, labels, weights), abs=1e-12)
    assert auc(scores, labels, weights) == pytest.approx(
        roc_auc_score(labels, scores, sample_weight=weights), abs=1e-12
    )


@given(EXAMPLES, st.data())
def test_auc_with_signed_weights_is_the_sum_over_pairs(rows: list[tuple[int, bool, int]], data: st.DataObject) -> None:
    scores, labels, weights = columns(rows)
    signed = weights * data.draw(
        st.lists(st.sampled_from([-1, 1]), min_size=len(rows), max_size=len(rows)).map(np.array)
    )
    assume(signed[labels == 1].sum() != 0)
    assume(signed[labels == 0].sum() != 0)
    assert auc(scores, labels, signed) == pytest.approx(auc_over_pairs(scores, labels, signed), abs=1e-9)


@given(EXAMPLES)
def test_an_integer_weight_is_a_repetition(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, weights = columns(rows)
    repeated = auc(np.repeat(scores, weights), np.repeat(labels, weights))
    assert auc(scores, labels, weights) == pytest.approx(repeated, abs=1e-12)


@given(EXAMPLES)
def test_auc_knows_only_the_order_of_scores(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, _ = columns(rows)
    assert auc(np.exp(scores), labels) == auc(scores, labels)
    assert auc(-scores, labels) == pytest.approx(1 - auc(scores, labels), abs=1e-12)
    assert auc(scores, 1 - labels) == pytest.approx(1 - auc(scores, labels), abs=1e-12)


@given(EXAMPLES)
def test_roc_is_scikit_learns_and_encloses_the_auc(rows: list[tuple[int, bool, int]]) -> None:
    scores, labels, _ = columns(rows)
    curve = roc(scores, labels)
    fpr, tpr, cuts = roc_curve(labels, scores, drop_intermediate=True)
    assert set(zip(curve.fpr, curve.tpr, strict=True)) <= set(zip(fpr, tpr, strict=True))
    assert set(curve.threshold) <= set(cuts)
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(scores, labels), abs=1e-12)
    assert (curve.fpr[0], curve.tpr[0], curve.fpr[-1], curve.tpr[-1]) == (0, 0, 1, 1)
    for x, y, cut in zip(*curve, strict=True):
        assert x == pytest.approx(np.mean(scores[labels == 0] >= cut))
        assert y == pytest.approx(np.mean(scores[labels == 1] >= cut))


def test_a_long_roc_is_thinned_and_keeps_its_area() -> None:
    rng = np.random.default_rng(3)
    labels = rng.integers(0, 2, 100_000)
    scores = rng.normal(labels * 1.5)
    curve = roc(scores, labels)
    assert 1500 < len(curve.fpr) <= 2000
    assert np.trapezoid(curve.tpr, curve.fpr) == pytest.approx(auc(scores, labels), abs=1e-5)


def test_confusion_by_hand() -> None:
    table = confusion([0.9, 0.5, 0.4, 0.6, 0.1], [1, 1, 1, 0, 0], 0.5)
    assert table == Confusion(tp=2, fp=1, fn=1, tn=1)
    assert table.precision == table.purity == pytest.approx(2 / 3)
    assert table.recall == table.efficiency == pytest.approx(2 / 3)
    assert table.f1 == pytest.approx(2 / 3)
    assert table.accuracy == pytest.approx(3 / 5)
    assert table.efficiency_x_purity == pytest.approx(4 / 9)
    assert table.prevalence == pytest.approx(3 / 5)


def test_empty_denominators_give_zero() -> None:
    empty = Confusion(0, 0, 0, 0)
    assert [empty.precision, empty.recall, empty.f1, empty.accuracy, empty.efficiency_x_purity] == [0.0] * 5
    nothing_accepted = Confusion(0, 0, 3, 5)
    assert (nothing_accepted.precision, nothing_accepted.f1) == (0.0, 0.0)
    assert ratio([1.0, 1.0], [0.0, 2.0]).tolist() == [0.0, 0.5]


def test_a_float32_score_is_accepted_at_its_own_value() -> None:
    score = np.float32(0.1)
    assert confusion(np.array([score, 0], np.float32), [1, 0], float(score)).tp == 1


@given(EXAMPLES, st.integers(-5, 5))
def test_weights_of_a_confusion_are_repetitions(rows: list[tuple[int, bool, int]], cut: int) -> None:
    scores, labels, weights = columns(rows)
    repeated = confusion(np.repeat(scores, weights), np.repeat(labels, weights), cut)
    assert confusion(scores, labels, cut, weights) == repeated


@given(st.tuples(*[st.integers(0, 50)] * 4))
def test_balancing_moves_the_prevalence_and_keeps_the_rates(cells: tuple[int, int, int, int]) -> None:
    table = Confusion(*map(float, cells))
    even = balanced(table)
    assert even.recall == pytest.approx(table.recall)
    assert sum(even.counts[[1, 3]]) == pytest.approx(sum(even.counts[[0, 2]])) or 0 in (
        sum(table.counts[[1, 3]]),
        sum(table.counts[[0, 2]]),
    )
    assert balanced_counts([table.counts, table.counts])[1] == pytest.approx(even.counts)


def test_balanced_precision_by_hand() -> None:
    # 9 of 10 signals and 20 of 100 backgrounds accepted: balanced precision 0.9 / (0.9 + 0.2).
    table = Confusion(tp=9, fp=20, fn=1, tn=80)
    assert table.precision == pytest.approx(9 / 29)
    assert balanced(table).precision == pytest.approx(0.9 / 1.1)
    assert balanced(table).accuracy == pytest.approx(0.85)


def test_figures_and_properties_agree() -> None:
    table = Confusion(7, 3, 2, 11)
    assert {name: float(figure(table.counts)) for name, figure in FIGURES.items()} == {
        name: getattr(table, name) for name in FIGURES
    }


@pytest.mark.parametrize(
    ("scores", "labels", "words"),
    [
        ([0.1, 0.2], [1], "one entry an example"),
        ([0.1, np.nan], [1, 0], "1 NaN"),
        ([0.1, 0.2], [1, 2], "0 or 1 .got 2"),
        ([0.1, 0.2], [1, 1], "no background among 2"),
        ([0.1, 0.2], [0, 0], "no signal among 2"),
    ],
)
def test_unusable_examples_are_refused(scores: list[float], labels: list[int], words: str) -> None:
    with pytest.raises(InputError, match=words):
        auc(scores, labels)


def test_weights_that_cancel_are_refused() -> None:
    with pytest.raises(InputError, match="sum to zero"):
        auc([1, 2, 3], [1, 1, 0], [1, -1, 1])
    with pytest.raises(InputError, match="one finite number"):
        auc([1, 2], [1, 0], [np.nan, 1])
