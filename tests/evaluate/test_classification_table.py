from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from sklearn import metrics

from townsend.errors import InputError
from townsend.evaluate.bootstrap import bootstrap_auc, bootstrap_figures, clustered_auc, confusion_by_group
from townsend.evaluate.classification import confusion
from townsend.evaluate.classification_table import classification_table
from townsend.evaluate.threshold_figures import OTHER_NAMES, THRESHOLD_FIGURES

EVENTS = st.lists(
    st.tuples(
        st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.7, 0.875, 1.0]),
        st.booleans(),
        st.floats(0.125, 8, width=16),
        st.sampled_from([1, 1, -1]),
    ),
    min_size=2,
    max_size=25,
).filter(lambda rows: len({row[1] for row in rows}) == 2)


def columns(rows):
    scores, labels, sizes, signs = (np.array(column, float) for column in zip(*rows, strict=True))
    return scores, labels.astype(int), sizes, sizes * signs


def scikit_learns(scores, labels, cut, weights):
    """Every figure that scikit-learn has."""
    guess = (scores >= cut).astype(int)
    of_labels = {
        "accuracy": metrics.accuracy_score,
        "balanced_accuracy": metrics.balanced_accuracy_score,
        "zero_one_loss": metrics.zero_one_loss,
        "matthews": metrics.matthews_corrcoef,
        "cohen_kappa": metrics.cohen_kappa_score,
    }
    of_signal = {
        "precision": metrics.precision_score,
        "recall": metrics.recall_score,
        "f1": metrics.f1_score,
        "jaccard": metrics.jaccard_score,
    }
    found = {name: figure(labels, guess, sample_weight=weights) for name, figure in of_labels.items()}
    found |= {n: figure(labels, guess, sample_weight=weights, zero_division=0) for n, figure in of_signal.items()}
    for name, beta in (("f0.5", 0.5), ("f2", 2.0)):
        found[name] = metrics.fbeta_score(labels, guess, beta=beta, sample_weight=weights, zero_division=0)
    for name, figure in (("negative_predictive_value", metrics.precision_score), ("specificity", metrics.recall_score)):
        found[name] = figure(labels, guess, pos_label=0, sample_weight=weights, zero_division=0)
    found["auc"] = metrics.roc_auc_score(labels, scores, sample_weight=weights)
    found["average_precision"] = metrics.average_precision_score(labels, scores, sample_weight=weights)
    found["brier"] = metrics.brier_score_loss(labels, scores, sample_weight=weights)
    found["log_loss"] = metrics.log_loss(labels, scores, sample_weight=weights, labels=[0, 1])
    return found


@settings(max_examples=25)
@given(EVENTS, st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_values_with_positive_weights_are_scikit_learns(rows, cut):
    scores, labels, weights, _ = columns(rows)
    table = classification_table(scores, labels, cut, weights)
    for name, value in scikit_learns(scores, labels, cut, weights).items():
        assert table.row(name).value == pytest.approx(value, rel=1e-12, abs=1e-12), name


@settings(max_examples=40)
@given(EVENTS, st.sampled_from([0.0, 0.3, 0.5, 0.9]))
def test_values_with_signed_weights_are_their_definitions(rows, cut):
    scores, labels, _, weights = columns(rows)
    assume(all(abs(weights[labels == label].sum()) > 0.01 for label in (0, 1)))
    table = classification_table(scores, labels, cut, weights)
    kept, signal = scores >= cut, labels == 1
    tp, fp, fn, tn = (weights[a & b].sum() for b in (kept, ~kept) for a in (signal, ~signal))
    tpr, fpr, total = tp / (tp + fn), fp / (fp + tn), weights.sum()

    def share(top, bottom):
        return top / bottom if bottom else 0.0

    purity = share(tp, tp + fp)
    kappa_base = ((tp + fp) * (tp + fn) + (fn + tn) * (fp + tn)) / total if total else 0.0
    truth_probability = np.where(signal, scores, 1 - scores)
    expected = {
        "accuracy": share(tp + tn, total),
        "balanced_accuracy": (tpr + tn / (fp + tn)) / 2,
        "zero_one_loss": share(fp + fn, total),
        "purity": purity,
        "efficiency": tpr,
        "fpr": fpr,
        "specificity": 1 - fpr,
        "npv": share(tn, fn + tn),
        "f1": share(2 * tp, 2 * tp + fp + fn),
        "f0.5": share(1.25 * tp, 1.25 * tp + 0.25 * fn + fp),
        "f2": share(5 * tp, 5 * tp + 4 * fn + fp),
        "efficiency_x_purity": tpr * purity,
        "jaccard": share(tp, tp + fp + fn),
        "youden": tpr - fpr,
        "d": math.hypot(1 - tpr, fpr),
        "d^2": (1 - tpr) ** 2 + fpr**2,
        "brier": share(np.sum(weights * (labels - scores) ** 2), total),
        "log_loss": share(-np.sum(weights * np.log(np.clip(truth_probability, 2**-52, 1 - 2**-52))), total),
    }
    if total and abs(total - kappa_base) > 1e-3:
        expected["cohen_kappa"] = (tp + tn - kappa_base) / (total - kappa_base)
    product = (tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)
    expected["mcc"] = share(tp * tn - fp * fn, math.sqrt(product)) if product >= 0 else math.nan
    if fp:
        expected |= {"background_rejection": 1 / fpr, "positive_likelihood_ratio": tpr / fpr}
    if tn:
        expected["negative_likelihood_ratio"] = (1 - tpr) / (1 - fpr)
    for name, value in expected.items():
        assert table.row(name).value == pytest.approx(value, rel=1e-9, abs=1e-9, nan_ok=True), name


def clustered_events(rng: np.random.Generator, groups: int = 500):
    """Groups that share a shift of their scores, with weights of both signs."""
    group = np.repeat(np.arange(groups), rng.poisson(6, groups))
    signal = rng.random(len(group)) < 0.4
    x = rng.normal(1.5 * signal + 0.8 * rng.normal(size=groups)[group], 1)
    weights = rng.gamma(3, 1 / 3, len(group)) * rng.choice([1, -1], len(group), p=[0.9, 0.1])
    return 1 / (1 + np.exp(0.75 - x)), signal.astype(int), weights, group


def test_errors_are_those_of_the_bootstrap_by_group():
    scores, labels, weights, group = clustered_events(np.random.default_rng(1))
    table = classification_table(scores, labels, 0.6, weights, group)
    counts = confusion_by_group(scores, labels, group, 0.6, weights)
    figures = {name: figure.function for name, figure in THRESHOLD_FIGURES.items()}
    for name, metric in bootstrap_figures(counts, figures, 1500).items():
        row = table.row(name)
        assert row.value == pytest.approx(metric.value, rel=1e-12), name
        assert row.error == pytest.approx(metric.error, rel=0.1), name
    resampled = bootstrap_auc(scores, labels, group, 500, weights=weights)
    assert table.row("auc").value == pytest.approx(resampled.value, abs=1e-12)
    assert table.row("auc").error == pytest.approx(resampled.error, rel=0.12)
    assert table.row("auc").metric == pytest.approx(clustered_auc(scores, labels, group, weights))
    right = np.where(labels == 1, scores, 1 - scores)
    sums = np.stack(
        [np.bincount(group, weights * one) for one in (np.ones(len(group)), (1 - right) ** 2, -np.log(right))]
    )
    losses = {"brier": lambda s: s[..., 1] / s[..., 0], "log_loss": lambda s: s[..., 2] / s[..., 0]}
    for name, metric in bootstrap_figures(sums.T, losses, 1500).items():
        assert table.row(name).metric == (pytest.approx(metric.value), pytest.approx(metric.error, rel=0.1)), name


def test_the_table_tells_yields_matrix_and_weights():
    scores, labels, weights, group = clustered_events(np.random.default_rng(2), 50)
    table = classification_table(scores, labels, 0.5, weights, group, ("pion", "electron"))
    cells = confusion(scores, labels, 0.5, weights)
    assert table.confusion.sums.reshape(-1) == pytest.approx([cells.tn, cells.fp, cells.fn, cells.tp])
    assert table.confusion.classes == ("pion", "electron")
    assert [one.value for one in table.accepted] == pytest.approx([cells.fp, cells.tp])
    assert table.yields[1].value == pytest.approx(weights[labels == 1].sum())
    of_groups = np.bincount(group, weights * (labels == 1))
    assert table.yields[1].error == pytest.approx(np.sqrt(of_groups @ of_groups))
    assert {row.weights for row in table.rows} == {"signed"}
    assert table.row("recall").method == f"linearised over {len(np.unique(group))} groups"
    assert table.row("auc").method == "analytic, Obuchowski over groups"
    said = table.to_json()
    assert said["weights"]["kind"] == "signed"
    assert len(said["figures"]) == len(table.rows) == len(THRESHOLD_FIGURES) + 4
    assert set(OTHER_NAMES.values()) <= {row.name for row in table.rows}


def test_slides_print_the_squared_distance():
    # Slides of an e/pi separation: TPR 0.92, FPR 0.06 and "d(t)" 0.0094, which is about 0.08^2 + 0.06^2 = 0.01.
    labels = np.repeat([1, 0], 100)
    scores = np.concatenate([np.repeat([1, 0], [92, 8]), np.repeat([1, 0], [6, 94])]).astype(float)
    table = classification_table(scores, labels, 0.5)
    assert table.row("d").value == pytest.approx(0.1)
    assert table.row("d^2").value == pytest.approx(0.01)
    assert table.row("background_rejection").value == pytest.approx(1 / 0.06)


def test_figures_that_do_not_exist_say_why():
    table = classification_table([2.0, 1.0, -1.0, 0.5], [1, 1, 0, 0], 0.9)
    reasons = {"brier": "2 scores lie outside [0, 1]", "background_rejection": "no background accepted"}
    for name, reason in reasons.items():
        row = table.row(name)
        assert not math.isfinite(row.value)
        assert math.isnan(row.error)
        assert row.method.startswith(f"undefined: {reason}")
        assert row.to_json()["value"] is None
    clipped = classification_table([0.0, 0.2, 0.9], [1, 0, 1], 0.5).row("log_loss")
    assert "1 probabilities of zero taken as 2.2e-16" in clipped.method
    signed = classification_table([0.9, 0.8, 0.2, 0.1], [1, 0, 1, 0], 0.5, [1, -3, 1, 4]).row("mcc")
    assert math.isnan(signed.value)
    assert "signed weights" in signed.method


def test_without_weights_is_with_weights_of_one():
    scores, labels, _, group = clustered_events(np.random.default_rng(3), 40)
    plain, ones = (classification_table(scores, labels, 0.5, weights, group) for weights in (None, np.ones(len(group))))
    for one, other in zip(plain.rows, ones.rows, strict=True):
        assert one.metric == pytest.approx(other.metric, rel=1e-9)
        assert (one.weights, other.weights) == ("none", "positive")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (([0.1, 0.2], [1, 1], 0.5), "both classes .got no background"),
        (([0.1, 0.2], [1, 0], 0.5, [0, 0]), "must not all be zero"),
        (([0.1, 0.2, 0.3], [1, 1, 0], 0.5, [1, -1, 1]), "class 1 must not sum to zero"),
        (([0.1, np.nan], [1, 0], 0.5), "1 NaN"),
        (([0.1, 0.2], [1], 0.5), "one entry an example"),
        (([0.1, 0.2], [1, 0], 0.5, [1]), "one finite number an example"),
        (([0.1, 0.2], [1, 0], 0.5, None, [1, 1]), "at least 2 groups"),
    ],
)
def test_what_cannot_be_judged_is_refused_in_one_sentence(arguments, words):
    with pytest.raises(InputError, match=words):
        classification_table(*arguments)


def test_an_unknown_figure_is_refused():
    with pytest.raises(InputError, match='did you mean "specificity"'):
        classification_table([0.1, 0.2], [0, 1], 0.5).row("specifity")
