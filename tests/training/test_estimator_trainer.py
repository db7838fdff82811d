"""scikit-learn estimators as fits: what scikit-learn itself would have fitted, and what a bracket needs of them."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.gaussian_process import GaussianProcessClassifier, GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.naive_bayes import CategoricalNB
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer
from threadpoolctl import threadpool_limits

from townsend.errors import ConfigError, InputError
from townsend.networks.estimators import (
    ESTIMATORS,
    check_estimator_hyperparameters,
    estimator_cost,
    estimator_names,
    make_estimator,
)
from townsend.networks.stored_estimator import estimator_of
from townsend.tasks.base import Arrays, Split
from townsend.training.estimator_trainer import EstimatorTrainer, part_of
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

CLASSES, NUMBERS = "binary_crossentropy", "mse"
OF_NUMBERS = ("linear", "gaussian_process", "mlp", "random_forest", "gradient_boosting")
ALL = Rung(1_000_000)
SMALL: Mapping[str, dict[str, Any]] = {
    "linear": {"alpha": 0.5},
    "logistic": {"C": 0.3},
    "likelihood": {"n_bins": 6, "alpha": 0.7},
    "gaussian_process": {"noise_level": 0.3},
    "mlp": {"hidden_layer_sizes": "8 4", "max_iter": 15, "learning_rate_init": 0.01},
    "random_forest": {"n_estimators": 5, "max_depth": 4},
    "gradient_boosting": {"max_iter": 6, "max_leaf_nodes": 6, "min_samples_leaf": 5},
}


def split(seed: int, count: int = 200) -> Split:
    random = np.random.default_rng(seed)
    y = (np.arange(count) % 2).astype(np.float32)
    x = random.normal(size=(count, 5, 1)).astype(np.float32)
    x[:, 2, 0] += 2 * y
    return Split(x, y, np.arange(count, dtype=np.int32))


@pytest.fixture(scope="module")
def arrays() -> Arrays:
    return Arrays({"train": split(1), "monitor": split(2, 120)}, {})


def fit(family: str, seed: int = 7, **changed: Any) -> Fit:
    return Fit(0, seed, {**SMALL[family], **changed})


def trained(fitted: Fit, arrays: Arrays, family: str, loss: str = CLASSES, rung: Rung = ALL) -> Progress:
    ((same, progress),) = EstimatorTrainer(family, loss).advance([(fitted, None)], [arrays], rung)
    assert same is fitted
    return progress


def scores(fitted: Fit, progress: Progress, arrays: Arrays, family: str, loss: str = CLASSES) -> Any:
    return EstimatorTrainer(family, loss).scores(fitted, progress, arrays.splits["monitor"].x, [arrays])


def direct(family: str, loss: str, seed: int) -> Any:
    state = int(np.random.SeedSequence(seed).generate_state(1)[0])
    if family == "linear":
        return Ridge(0.5)
    if family == "logistic":
        return LogisticRegression(C=0.3)
    if family == "likelihood":
        bins = KBinsDiscretizer(6, encode="ordinal", quantile_method="averaged_inverted_cdf")
        return make_pipeline(bins, CategoricalNB(alpha=0.7, min_categories=6))
    if family == "gaussian_process":
        kernel = ConstantKernel() * RBF() + WhiteKernel(0.3)
        if loss == CLASSES:
            return GaussianProcessClassifier(kernel)
        return GaussianProcessRegressor(kernel, normalize_y=True)
    if family == "mlp":
        kind = MLPClassifier if loss == CLASSES else MLPRegressor
        return kind(hidden_layer_sizes=(8, 4), max_iter=15, learning_rate_init=0.01, random_state=state)
    if family == "random_forest":
        kind = RandomForestClassifier if loss == CLASSES else RandomForestRegressor
        return kind(5, max_depth=4, random_state=state)
    kind = HistGradientBoostingClassifier if loss == CLASSES else HistGradientBoostingRegressor
    return kind(max_iter=6, max_leaf_nodes=6, min_samples_leaf=5, early_stopping=False, random_state=state)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(
    ("family", "loss"),
    [*((family, CLASSES) for family in ESTIMATORS), *((family, NUMBERS) for family in OF_NUMBERS)],
)
def test_estimator_is_the_one_that_scikit_learn_fits(family: str, loss: str, arrays: Arrays) -> None:
    fitted = fit(family)
    progress = trained(fitted, arrays, family, loss)
    train, monitor = arrays.splits["train"], arrays.splits["monitor"]
    model = direct(family, loss, fitted.seed)
    with threadpool_limits(limits=1):  # several wait for each other on a busy machine
        x = train.x[:, :, 0].astype(float) if family == "logistic" else train.x[:, :, 0]
        model.fit(x, train.y.astype(int) if loss == CLASSES else train.y.astype(float))
    rows = monitor.x[:, :, 0]
    probability = hasattr(model, "predict_proba")
    expected = model.predict_proba(rows)[:, 1] if probability else model.predict(rows)
    found = scores(fitted, progress, arrays, family, loss)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=2e-6, atol=1e-7)
    figure = roc_auc_score(monitor.y, found) if loss == CLASSES else np.mean((found - monitor.y) ** 2)
    assert progress.figure == pytest.approx(figure)
    assert progress.outcome is Outcome.FINISHED
    assert progress.epochs == progress.best_epoch == len(progress.curves["loss"])
    assert progress.curves["loss"].shape == progress.curves["monitor_loss"].shape
    squared = np.mean((expected - monitor.y) ** 2)
    last = log_loss(monitor.y, np.clip(expected, 1e-7, 1 - 1e-7)) if probability else squared
    assert progress.curves["monitor_loss"][-1] == pytest.approx(last, rel=1e-4)


def test_parameters_count_weights_and_biases_or_nodes(arrays: Arrays) -> None:
    assert trained(fit("mlp"), arrays, "mlp").parameters == 5 * 8 + 8 + 8 * 4 + 4 + 4 + 1
    one_cut = fit("random_forest", n_estimators=3, max_depth=1)
    assert trained(one_cut, arrays, "random_forest").parameters == 3 * 3
    stumps = fit("gradient_boosting", max_iter=4, max_depth=1)
    assert trained(stumps, arrays, "gradient_boosting").parameters == 4 * 3
    assert trained(fit("linear"), arrays, "linear").parameters == 5 + 1
    assert trained(fit("logistic"), arrays, "logistic").parameters == 5 + 1
    assert trained(fit("gaussian_process"), arrays, "gaussian_process").parameters == 3
    assert trained(fit("likelihood"), arrays, "likelihood").parameters == 2 * (5 * 6 + 1)
    assert trained(fit("likelihood", density="gauss"), arrays, "likelihood").parameters == 2 * (5 + 5 + 1)


@pytest.mark.parametrize("family", ESTIMATORS)
def test_same_fit_has_the_same_bits_and_another_seed_others(family: str, arrays: Arrays) -> None:
    one, two = trained(fit(family), arrays, family), trained(fit(family), arrays, family)
    assert one.weights[0].tobytes() == two.weights[0].tobytes()
    assert one.figure == two.figure
    if family in ("mlp", "random_forest"):  # the others draw nothing
        assert trained(fit(family, seed=8), arrays, family).weights[0].tobytes() != one.weights[0].tobytes()


@pytest.mark.parametrize("family", ESTIMATORS)
def test_a_rung_in_data_trains_on_a_share_and_the_last_on_all(family: str, arrays: Arrays) -> None:
    fitted = fit(family)
    half = trained(fitted, arrays, family, rung=Rung(3, 1, 0.5))
    assert half.outcome is None
    train, part = arrays.splits["train"], part_of(200, 0.5)
    smaller = Arrays({**arrays.splits, "train": Split(train.x[part], train.y[part], train.group[part])}, {})
    assert trained(fitted, smaller, family).weights[0].tobytes() == half.weights[0].tobytes()
    ((_, whole),) = EstimatorTrainer(family, CLASSES).advance([(fitted, half)], [arrays], ALL)
    assert whole.outcome is Outcome.FINISHED
    assert whole.weights[0].tobytes() == trained(fitted, arrays, family).weights[0].tobytes()


def test_a_larger_share_holds_the_smaller_one() -> None:
    parts = [part_of(1000, fraction) for fraction in (0.01, 0.1, 0.5, 1.0)]
    assert [len(part) for part in parts] == [10, 100, 500, 1000]
    for small, large in pairwise(parts):
        assert set(small) <= set(large)
    np.testing.assert_array_equal(parts[-1], np.arange(1000))


def test_score_depends_on_its_example_alone_bit_for_bit(arrays: Arrays) -> None:
    many = split(5, 5000).x
    for family in ESTIMATORS:
        estimator = estimator_of(trained(fit(family), arrays, family).weights[0].tobytes(), (5, 1))
        found = estimator.scores(many)
        assert estimator.input_shape == (None, 5, 1)
        for start, stop in ((0, 1), (4095, 4098), (4999, 5000), (17, 117)):
            np.testing.assert_array_equal(estimator.scores(many[start:stop]), found[start:stop])
        order = np.random.default_rng(0).permutation(len(many))
        np.testing.assert_array_equal(estimator.scores(many[order]), found[order])
        wild = many.copy()
        wild[::2, 1] = np.inf
        after = estimator.scores(wild)
        assert np.isnan(after[::2]).all()
        np.testing.assert_array_equal(after[1::2], found[1::2])
        assert estimator.scores(many[:0]).shape == (0,)


def test_boosting_stops_by_the_loss_on_monitor(arrays: Arrays) -> None:
    noise = Arrays({**arrays.splits, "monitor": split(2)}, {})
    noise.splits["monitor"].y[:] = np.roll(noise.splits["monitor"].y, 1)  # nothing to be learned for these
    patient = fit("gradient_boosting", max_iter=100, n_iter_no_change=3)
    assert trained(patient, noise, "gradient_boosting").epochs < 10
    assert trained(patient, arrays, "gradient_boosting").epochs > 10


def test_one_class_in_training_scores_the_other_zero(arrays: Arrays) -> None:
    train = arrays.splits["train"]
    background = Split(train.x, np.zeros_like(train.y), train.group)
    one_sided = Arrays({**arrays.splits, "train": background}, {})
    fitted = fit("random_forest")
    progress = trained(fitted, one_sided, "random_forest")
    assert not scores(fitted, progress, one_sided, "random_forest").any()
    assert progress.figure == 0.5


@pytest.mark.filterwarnings("ignore:overflow:RuntimeWarning", "ignore:invalid value:RuntimeWarning")
def test_weights_that_explode_are_a_divergence(arrays: Arrays) -> None:
    wild = fit("mlp", solver="sgd", learning_rate_init=1e30, activation="identity")
    progress = trained(wild, arrays, "mlp", NUMBERS)
    assert progress.outcome is Outcome.DIVERGED
    assert not progress.weights


def test_split_without_examples_is_refused(arrays: Arrays) -> None:
    empty = split(1, 0)
    with pytest.raises(InputError, match='at least one example in the split "monitor"'):
        trained(fit("random_forest"), Arrays({**arrays.splits, "monitor": empty}, {}), "random_forest")


def test_every_hyperparameter_is_one_of_scikit_learn() -> None:
    for family in ("linear", "logistic", "mlp", "random_forest", "gradient_boosting"):
        for classification in (True, False) if family in OF_NUMBERS else (True,):
            made = make_estimator(family, {}, classification=classification, seed=1)
            assert set(estimator_names(family)) <= set(made.get_params())
            plain = type(made)(random_state=made.random_state)
            assert (made.random_state is None) is (family == "linear")
            ours = {name for name, value in made.get_params().items() if value != plain.get_params()[name]}
            assert ours <= {"n_jobs", "early_stopping"}


@pytest.mark.parametrize(
    ("family", "name", "value", "rule"),
    [
        ("mlp", "hidden_layer_sizes", "64 x", "1 to 20 numbers from 1 to 65536"),
        ("mlp", "hidden_layer_sizes", "0", "1 to 20 numbers"),
        ("mlp", "alpha", -1.0, "must be a number of at least 0"),
        ("mlp", "solver", "adamw", 'did you mean "adam"'),
        ("random_forest", "n_estimators", 1.5, "must be a whole number from 1 to 100000"),
        ("random_forest", "n_estimators", True, "must be a whole number"),
        ("random_forest", "max_features", 2, r"must be a number in \(0, 1\]"),
        ("random_forest", "max_features", "root", "must be a known one"),
        ("random_forest", "n_estimator", 5, 'did you mean "n_estimators"'),
        ("gradient_boosting", "learning_rate", 0, "must be a number above 0"),
        ("gradient_boosting", "max_bins", 256, "from 2 to 255"),
        ("gradient_boosting", "optimizer", "adam", "must be a known one"),
        ("linear", "alpha", -1.0, "alpha must be a number of at least 0"),
        ("logistic", "C", 0, "C must be a number above 0"),
        ("logistic", "l1_ratio", 1.5, r"l1_ratio must be a number in \[0, 1\]"),
        ("logistic", "penalty", "l1", "must be a known one"),
        ("likelihood", "density", "kernel", "must be a known one"),
        ("likelihood", "n_bins", 1, "from 2 to 1000"),
        ("gaussian_process", "length_scale", 0, "from 1e-5 to 1e5"),
    ],
)
def test_bad_hyperparameter_is_refused_with_its_rule(family: str, name: str, value: Any, rule: str) -> None:
    with pytest.raises(ConfigError, match=rule):
        check_estimator_hyperparameters(family, {name: value})


def test_more_trees_and_wider_layers_cost_more() -> None:
    assert estimator_cost("random_forest", {"n_estimators": 200}) > estimator_cost("random_forest", {})
    assert estimator_cost("mlp", {"hidden_layer_sizes": "200 200"}) > estimator_cost("mlp", {})
    assert estimator_cost("gradient_boosting", {"max_iter": None}) == estimator_cost("gradient_boosting", {})


def test_hyperparameter_that_is_none_has_its_default() -> None:
    made = make_estimator("random_forest", {"max_depth": None, "max_features": "log2"}, classification=True, seed=1)
    assert made.max_depth is None
    assert made.max_features == "log2"
