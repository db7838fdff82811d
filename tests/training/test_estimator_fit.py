"""Event weights of either sign in estimators: the sign counts, or the fit is refused."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import Ridge
from threadpoolctl import threadpool_limits

from townsend.errors import InputError
from townsend.networks.estimators import ESTIMATORS, make_estimator
from townsend.networks.stored_estimator import estimator_of
from townsend.tasks.base import Arrays, Split
from townsend.training.estimator_fit import Examples, check_fit, fit_estimator
from townsend.training.estimator_trainer import EstimatorTrainer
from townsend.training.progress import Progress
from townsend.training.records import Fit, Rung

CLASSES, NUMBERS = "binary_crossentropy", "mse"
SMALL: Mapping[str, dict[str, Any]] = {
    "linear": {},
    "logistic": {"tol": 1e-6},
    "likelihood": {"density": "gauss"},
    "gradient_boosting": {"max_iter": 5, "min_samples_leaf": 1},
    "mlp": {"hidden_layer_sizes": "3", "solver": "lbfgs", "max_iter": 12},
    "random_forest": {"n_estimators": 3},
}
SIGNED = ("linear", "logistic", "likelihood", "gradient_boosting", "mlp")


def table(count: int, seed: int = 1) -> Examples:
    """Few values a feature, so that the edges of bins do not depend on some examples more or less."""
    random = np.random.default_rng(seed)
    x = random.integers(0, 4, size=(count, 3)).astype(np.float32)
    y = (x[:, 0] + 2 * random.normal(size=count) > 1.5).astype(np.int64)
    return Examples(x, y, None)


def scores(family: str, train: Examples, *, classes: bool = True, **changed: Any) -> Any:
    given = {**SMALL[family], **changed}
    model = make_estimator(family, given, classification=classes, seed=3)
    with threadpool_limits(limits=1), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        fit_estimator(family, given, model, train, train)
    rows = table(50, 9).x
    return model.predict_proba(rows)[:, 1] if hasattr(model, "predict_proba") else model.predict(rows)


def weighted(examples: Examples, rows: Any, weight: Any) -> Examples:
    return Examples(examples.x[rows], examples.y[rows], np.float32(weight))


@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("family", SIGNED)
def test_negative_weight_takes_its_twin_away(family: str, classes: bool) -> None:
    if family in ("logistic", "likelihood") and not classes:
        return
    plain = table(130)
    rows = [*range(130), *range(100, 130)]
    both = weighted(plain, rows, [1] * 130 + [-1] * 30)
    alone = weighted(plain, np.arange(100), np.ones(100))
    found, expected = (scores(family, one, classes=classes) for one in (both, alone))
    np.testing.assert_allclose(found, expected, rtol=1e-3 if family == "mlp" else 1e-5, atol=1e-4)
    everything = scores(family, weighted(plain, np.arange(130), np.ones(130)), classes=classes)
    assert not np.allclose(found, everything, atol=1e-3)


@pytest.mark.parametrize("family", SIGNED)
def test_weight_of_two_is_an_example_there_twice(family: str) -> None:
    plain = table(100)
    every = np.arange(100)
    found = scores(family, weighted(plain, every, np.where(every < 30, 2, 1)))
    copies = [*range(30), *every]
    expected = scores(family, Examples(plain.x[copies], plain.y[copies], None))
    np.testing.assert_allclose(found, expected, rtol=1e-3 if family == "mlp" else 1e-5, atol=1e-4)


@pytest.mark.parametrize("alpha", [0.0, 2.5])
def test_least_squares_is_that_of_scikit_learn(alpha: float) -> None:
    random = np.random.default_rng(0)
    x, y = random.normal(size=(60, 4)).astype(np.float32), random.normal(size=60)
    for weight in (None, random.random(60).astype(np.float32)):
        ours, theirs = Ridge(alpha), Ridge(alpha)
        fit_estimator("linear", {}, ours, Examples(x, y, weight), Examples(x, y, None))
        theirs.fit(x.astype(float), y, sample_weight=weight)
        np.testing.assert_allclose(ours.coef_, theirs.coef_, rtol=1e-6, atol=1e-9)
        assert ours.intercept_ == pytest.approx(theirs.intercept_)


def test_least_squares_without_a_lowest_point_is_a_failure() -> None:
    plain = table(60)
    middle = np.abs(plain.x[:, 0] - 1.5) < 1
    with pytest.raises(ValueError, match="weighted spread of the examples above 0 in every direction"):
        scores("linear", Examples(plain.x, plain.y, np.where(middle, 5, -1).astype(np.float32)))


def test_densities_are_weighted_histograms_in_quantiles_of_the_examples() -> None:
    plain = table(400)
    weight = np.where(np.arange(400) % 7, 1, -1).astype(np.float32)
    given = {"density": "bins", "n_bins": 4, "alpha": 0.5}
    found = scores("likelihood", Examples(plain.x, plain.y, weight), **given)
    log_ratio = np.log(weight[plain.y == 1].sum() / weight[plain.y == 0].sum())
    rows = table(50, 9).x
    for feature in range(3):
        for label, sign in ((1, 1), (0, -1)):
            mine = plain.y == label
            sums = np.bincount(plain.x[mine, feature].astype(int), weight[mine], 4) + 0.5
            log_ratio = log_ratio + sign * np.log(sums / sums.sum())[rows[:, feature].astype(int)]
    np.testing.assert_allclose(found, 1 / (1 + np.exp(-log_ratio)), rtol=1e-6)


def test_density_that_is_not_above_nought_is_a_failure() -> None:
    plain = table(60)
    for weight, given in (
        (np.where((plain.x[:, 0] == 0) & (plain.y == 1), -3, 1), {"density": "bins", "alpha": 0.1}),
        (np.where(np.abs(plain.x[:, 0] - 1.5) < 1, 1, -0.6), {"density": "gauss"}),
    ):
        with pytest.raises(ValueError, match="densities of likelihood must be above 0"):
            scores("likelihood", Examples(plain.x, plain.y, weight.astype(np.float32)), **given)


NEGATIVE = np.where(np.arange(300) % 3, 2, -1).astype(np.float32)


@pytest.mark.parametrize(
    ("family", "given", "examples", "weight", "rule"),
    [
        ("gaussian_process", {}, 2001, None, r"at most 2,000 training examples \(got 2,001\)"),
        ("gaussian_process", {}, 300, np.abs(NEGATIVE), "training weights that are all equal"),
        ("gradient_boosting", {}, 200_001, NEGATIVE, r"at most 200,000 training examples .*lower `most_events`"),
        ("random_forest", {}, 300, NEGATIVE, r"weights of at least 0.*got 100 negative ones of 300\); choose .*dense"),
        ("mlp", {}, 300, NEGATIVE, r"must see all 300 examples in each step.*batches of 200\); write `solver: \[lbfgs"),
        ("mlp", {"batch_size": 299, "solver": "sgd"}, 300, NEGATIVE, "must see all 300"),
    ],
)
def test_weights_and_sizes_that_a_family_cannot_take_are_refused(
    family: str, given: dict[str, Any], examples: int, weight: Any, rule: str
) -> None:
    with pytest.raises(InputError, match=rule):
        check_fit(family, given, examples, weight)


def test_weights_and_sizes_that_a_family_can_take() -> None:
    for family in ESTIMATORS:
        check_fit(family, {}, 2000, None)
        check_fit(family, {}, 300, np.ones(300, np.float32))
        if family != "gaussian_process":
            check_fit(family, {}, 300, np.abs(NEGATIVE))
    for given in ({"batch_size": 300}, {"solver": "lbfgs"}):
        check_fit("mlp", given, 300, NEGATIVE)
    for family in ("linear", "logistic", "likelihood", "gradient_boosting"):
        check_fit(family, {}, 300, NEGATIVE)


def test_class_whose_weights_do_not_sum_to_more_than_nought_is_refused() -> None:
    plain = table(60)
    ones = np.flatnonzero(plain.y)
    weight = np.ones(60, np.float32)
    weight[ones] = np.where(np.arange(len(ones)) % 2, 1, -1)
    weight[ones[0]] = -3
    with pytest.raises(InputError, match=r"training weights of class 1 must sum to more than 0 \(got -"):
        scores("logistic", Examples(plain.x, plain.y, weight))


def trained(train: Split, family: str, facts: dict[str, Any], **changed: Any) -> Progress:
    fit = Fit(0, 3, {**SMALL[family], **changed})
    ((_, done),) = EstimatorTrainer(family, CLASSES).advance(
        [(fit, None)], [Arrays({"train": train, "monitor": train}, facts)], Rung(9)
    )
    return done


def split(examples: Examples, weight: Any) -> Split:
    return Split(examples.x, examples.y.astype(np.float32), np.arange(len(examples.y), dtype=np.int32), weight=weight)


@pytest.mark.parametrize("family", SIGNED)
def test_curves_and_figure_are_weighted(family: str) -> None:
    """Contrary examples of weight zero are as good as none, where no penalty depends on the sum of weights."""
    plain = table(100)
    twice = Examples(np.concatenate([plain.x, plain.x]), np.concatenate([plain.y, 1 - plain.y]), None)
    free = {"linear": {"alpha": 0}, "logistic": {"C": 1e9}}.get(family, {})
    ours = trained(split(twice, np.float32([2] * 100 + [0] * 100)), family, {}, **free)
    theirs = trained(split(plain, None), family, {}, **free)
    tolerance = 1e-2 if family == "mlp" else 1e-4  # lbfgs amplifies what the order of a sum changes
    assert ours.figure == pytest.approx(theirs.figure, abs=tolerance)
    if family != "mlp":
        np.testing.assert_allclose(ours.curves["monitor_loss"], theirs.curves["monitor_loss"], rtol=1e-4)


@pytest.mark.parametrize("family", [*SIGNED, "random_forest"])
def test_inputs_are_standardised_for_all_but_trees_and_stored_models_take_raw_ones(family: str) -> None:
    plain, facts = table(100), {"scaling": {"mean": [1000.0, 0.0, -4.0], "scale": [64.0, 1.0, 0.0625]}}
    scale, mean = np.float32(facts["scaling"]["scale"]), np.float32(facts["scaling"]["mean"])
    raw = Examples(plain.x * scale + mean, plain.y, None)
    ours, theirs = trained(split(raw, None), family, facts), trained(split(plain, None), family, {})
    found = estimator_of(ours.weights[0].tobytes(), (3,)).scores(raw.x)
    np.testing.assert_allclose(found, estimator_of(theirs.weights[0].tobytes(), (3,)).scores(plain.x), atol=1e-6)
    assert (b"StandardScaler" in schema(ours)) is (family not in ("gradient_boosting", "random_forest"))


def schema(progress: Progress) -> bytes:
    import io
    import zipfile

    return zipfile.ZipFile(io.BytesIO(progress.weights[0].tobytes())).read("schema.json")
