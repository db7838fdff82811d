"""Stored estimators: what may be opened, and what is refused before anything of it is built."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestRegressor
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from threadpoolctl import threadpool_limits

from townsend.errors import InputError
from townsend.networks import stock_estimator
from townsend.networks import stored_estimator as room
from townsend.networks.estimators import ESTIMATORS, make_estimator
from townsend.networks.scaling import Scaling, scaled_estimator, standardised
from townsend.networks.stored_estimator import (
    Estimator,
    estimator_bytes,
    estimator_of,
    load_estimator,
    save_estimator,
)

SHAPE = (3, 2)
RANDOM = np.random.default_rng(0)
X = RANDOM.normal(size=(150, *SHAPE)).astype(np.float32)
ROWS = X.reshape(150, -1)
Y = (ROWS[:, 0] + ROWS[:, 3] > 0).astype(int)
Spoil = Callable[[dict[str, Any], dict[str, Any]], Any]


def fitted(family: str, **hyperparameters: Any) -> Any:
    given = {
        "mlp": {"max_iter": 300, "tol": 0.1},
        "random_forest": {"n_estimators": 5},
        "gradient_boosting": {"max_iter": 5},
    }.get(family, {})
    return make_estimator(family, {**given, **hyperparameters}, classification=True, seed=3).fit(ROWS, Y)


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    with threadpool_limits(limits=1):  # several wait for each other on a busy machine
        yield


@pytest.fixture(scope="module")
def forest() -> bytes:
    return estimator_bytes(fitted("random_forest", n_estimators=2, max_depth=3))


@pytest.fixture(scope="module")
def boosted() -> bytes:
    return estimator_bytes(fitted("gradient_boosting", max_iter=2, min_samples_leaf=10))


def refusal(path: Path, shape: tuple[int, ...] = SHAPE) -> str:
    """The sentence with which a file is refused."""
    with pytest.raises(InputError) as error:
        load_estimator(path, shape)
    sentence = str(error.value)
    assert str(path) in sentence
    assert "\n" not in sentence
    assert len(sentence) < 600
    return sentence


def parts(schema: Any, name: str) -> list[Any]:
    """Every part of a class, in the order of the file."""
    found = [schema] if isinstance(schema, dict) and schema.get("__class__") == name else []
    inner = schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ()
    return found + [part for value in inner for part in parts(value, name)]


def forged(path: Path, stored: bytes, spoil: Spoil) -> Path:
    """Write a file whose schema and arrays `spoil` has changed."""
    with zipfile.ZipFile(io.BytesIO(stored)) as archive:
        schema = json.loads(archive.read("schema.json"))
        arrays = {n: np.load(io.BytesIO(archive.read(n))) for n in archive.namelist() if n != "schema.json"}
    spoil(schema, arrays)
    with zipfile.ZipFile(path, "w") as archive:
        for name, array in arrays.items():
            buffer = io.BytesIO()
            np.save(buffer, array, allow_pickle=array.dtype == object)
            archive.writestr(name, buffer.getvalue())
        archive.writestr("schema.json", json.dumps(schema))
    return path


def predicted(model: Any) -> Any:
    return model.predict_proba(ROWS)[:, 1] if hasattr(model, "predict_proba") else model.predict(ROWS)


FITTED = [*((family, {}) for family in ESTIMATORS), ("likelihood", {"density": "gauss"})]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize(("family", "hyperparameters"), FITTED)
def test_estimator_comes_back_and_opens_in_skops_alone(
    family: str, hyperparameters: dict[str, Any], tmp_path: Path
) -> None:
    model = fitted(family, **hyperparameters)
    path = tmp_path / "model.skops"
    save_estimator(path, model)
    again = load_estimator(path, SHAPE)
    expected = predicted(model)
    np.testing.assert_allclose(again.scores(X), expected, rtol=2e-6, atol=1e-7)
    np.testing.assert_array_equal(again.scores(X), Estimator(model, SHAPE).scores(X))
    unknown = set(skops.io.get_untrusted_types(file=path))
    assert unknown <= set(stock_estimator.TRUSTED)
    bare = skops.io.load(path, trusted=sorted(unknown))
    np.testing.assert_allclose(predicted(bare), expected, rtol=2e-6, atol=1e-7)
    assert hasattr(model, "_random_state") is (family == "mlp"), "saving changed the estimator"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("family", ESTIMATORS)
def test_regressor_or_classifier_behind_a_scaling_comes_back(family: str) -> None:
    scaling = Scaling(np.full(6, 3, np.float32), np.full(6, 2, np.float32))
    again = estimator_of(estimator_bytes(scaled_estimator(fitted(family), scaling)), (6,))
    raw = ROWS * 2 + 3
    expected = Estimator(fitted(family), (6,)).scores(standardised(raw, scaling))
    np.testing.assert_array_equal(again.scores(raw), expected)


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_gaussian_process_of_numbers_is_stored_without_what_only_its_errors_need() -> None:
    made = make_estimator("gaussian_process", {}, classification=False, seed=3).fit(ROWS, ROWS[:, 0])
    stored = estimator_bytes(made)
    assert len(stored) < 150 * 150 * 4
    np.testing.assert_allclose(estimator_of(stored, SHAPE).scores(X), made.predict(ROWS), rtol=1e-6)
    assert made.predict(ROWS[:2], return_std=True)[1].shape == (2,), "saving changed the estimator"


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("family", ESTIMATORS)
def test_equal_estimators_have_equal_bytes(family: str) -> None:
    assert estimator_bytes(fitted(family)) == estimator_bytes(fitted(family))


def test_categories_are_refused(tmp_path: Path) -> None:
    model = HistGradientBoostingClassifier(max_iter=1, categorical_features=[0])
    save_estimator(tmp_path / "model.skops", model.fit(np.abs(ROWS).round(), Y))
    refusal(tmp_path / "model.skops")


def test_another_estimator_is_refused_by_name(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    save_estimator(path, LinearRegression().fit(ROWS, Y))
    assert 'got "sklearn.linear_model._base.LinearRegression"' in refusal(path)


def test_foreign_function_in_a_pipeline_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    pipeline = make_pipeline(FunctionTransformer(np.abs), LogisticRegression()).fit(ROWS, Y)
    save_estimator(path, pipeline)
    assert "FunctionTransformer" in refusal(path)


def test_forged_tree_in_a_pipeline_is_refused(forest: bytes, tmp_path: Path) -> None:
    scaling = Scaling(np.zeros(6, np.float32), np.ones(6, np.float32))
    stored = estimator_bytes(scaled_estimator(fitted("random_forest", n_estimators=2, max_depth=3), scaling))
    forged(tmp_path / "model.skops", stored, lambda schema, arrays: None)
    load_estimator(tmp_path / "model.skops", (6,))
    path = forged(tmp_path / "model.skops", stored, put("feature", 0, 6))
    assert "must hold trees whose nodes lead from one to a later one" in refusal(path, (6,))


def deepened(name: str, attribute: str, value: Any) -> Spoil:
    """Put an array in the place of an attribute of a part."""

    def spoil(schema: dict[str, Any], arrays: dict[str, Any]) -> None:
        part = parts(schema, name)[0]["content"]["content"][attribute]
        while "file" not in part:
            part = part["content"][0] if isinstance(part["content"], list) else part["content"]
        arrays[part["file"]] = value

    return spoil


@pytest.mark.parametrize(
    ("family", "spoil"),
    [
        ("likelihood", deepened("KBinsDiscretizer", "bin_edges_", np.linspace(-9, -8, 10**5))),
        ("likelihood", deepened("CategoricalNB", "feature_log_prob_", np.zeros((2, 1)))),
        ("logistic", deepened("LogisticRegression", "coef_", np.zeros((1, 10**6)))),
        ("linear", deepened("Ridge", "coef_", np.zeros(7))),
        ("gaussian_process", deepened("_BinaryGaussianProcessClassifierLaplace", "X_train_", np.zeros((150, 7)))),
        ("gaussian_process", deepened("_BinaryGaussianProcessClassifierLaplace", "L_", np.zeros((3, 3)))),
    ],
)
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_arrays_of_other_shapes_in_what_is_no_tree_are_refused(family: str, spoil: Spoil, tmp_path: Path) -> None:
    """None of them is read by code that does not look where it reads."""
    path = forged(tmp_path / "model.skops", estimator_bytes(fitted(family)), spoil)
    assert "must be a whole estimator" in refusal(path)


def foreign(loader: str, module: str, name: str) -> Spoil:
    def spoil(schema: dict[str, Any], arrays: dict[str, Any]) -> None:
        schema["content"]["content"]["n_jobs"] = {
            "__loader__": loader,
            "__module__": module,
            "__class__": name,
            "content": {"__loader__": "JsonNode", "__module__": "builtins", "__class__": "str", "content": "[]"},
        }

    return spoil


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (foreign("ObjectNode", "os", "system"), '"os.system" read by "ObjectNode"'),
        (foreign("FunctionNode", "numpy", "abs"), '"numpy.abs" read by "FunctionNode"'),
        (foreign("TypeNode", "builtins", "int"), '"builtins.int" read by "TypeNode"'),
        (foreign("ObjectNode", "sklearn.tree._tree", "Tree"), 'read by "ObjectNode"'),
        (foreign("ObjectNode", "sklearn.linear_model._base", "LinearRegression"), "LinearRegression"),
        (foreign("NdArrayNode", "builtins", "exec"), '"builtins.exec" read by "NdArrayNode"'),
        (foreign("MethodNode", "builtins", "dict"), 'read by "MethodNode"'),
        (lambda schema, arrays: schema["content"].update(__id__=3), '"builtins.dict" read by "DictNode"'),
        (lambda schema, arrays: schema["content"].pop("__loader__"), 'read by "None"'),
        (lambda schema, arrays: schema["content"].update(__loader__=["DictNode"]), "read by"),
        (lambda schema, arrays: schema.update(__class__="\x1b[31m"), r"\x1b[31m"),
    ],
)
def test_foreign_parts_are_refused_before_skops_sees_the_file(
    forest: bytes, tmp_path: Path, spoil: Spoil, named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = forged(tmp_path / "model.skops", forest, spoil)
    monkeypatch.setattr(skops.io, "loads", lambda *given, **options: pytest.fail("skops was asked"))
    assert named in refusal(path)


def tree(change: Callable[[Any, dict[str, Any], dict[str, Any]], Any]) -> Spoil:
    """Change the last tree: (its nodes, its part, all arrays)."""

    def spoil(schema: dict[str, Any], arrays: dict[str, Any]) -> None:
        part = (parts(schema, "Tree") or parts(schema, "TreePredictor"))[-1]
        change(arrays[part["content"]["content"]["nodes"]["file"]], part, arrays)

    return spoil


def put(field: str, place: int, value: int) -> Spoil:
    return tree(lambda nodes, part, arrays: nodes[field].__setitem__(place, value))


def plain(name: str, text: str) -> Spoil:
    return tree(lambda nodes, part, arrays: part["content"]["content"][name].update(content=text))


def argument(place: int, text: str) -> Spoil:
    return tree(lambda nodes, part, arrays: part["__reduce__"]["args"]["content"][place].update(content=text))


@pytest.mark.parametrize(
    "spoil",
    [
        put("left_child", 0, 10**9),
        put("left_child", 0, -2),
        put("right_child", 0, 0),
        put("right_child", 1, 1),
        put("feature", 0, 6),
        put("feature", 0, -1),
        plain("node_count", "1000000"),
        plain("node_count", "true"),
        argument(0, "7"),
        argument(2, "1000000"),
    ],
)
def test_forged_tree_of_a_forest_is_refused(forest: bytes, tmp_path: Path, spoil: Spoil) -> None:
    assert "must hold trees whose nodes lead from one to a later one" in refusal(
        forged(tmp_path / "model.skops", forest, spoil)
    )


@pytest.mark.parametrize(
    "spoil",
    [
        put("left", 0, 10**9),
        put("left", 0, 0),
        put("right", 0, 0),
        put("feature_idx", 0, 6),
        put("feature_idx", 0, -1),
        put("is_categorical", 0, 1),
    ],
)
def test_forged_tree_of_boosting_is_refused(boosted: bytes, tmp_path: Path, spoil: Spoil) -> None:
    assert "must hold trees whose nodes lead from one to a later one" in refusal(
        forged(tmp_path / "model.skops", boosted, spoil)
    )


def no_nodes(nodes: Any, part: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays[part["content"]["content"]["nodes"]["file"]] = nodes[:0]


def pickled(nodes: Any, part: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays[part["content"]["content"]["nodes"]["file"]] = np.array([print], object)


def other_fields(nodes: Any, part: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays[part["content"]["content"]["nodes"]["file"]] = nodes["threshold"]


def short_values(nodes: Any, part: dict[str, Any], arrays: dict[str, Any]) -> None:
    file = part["content"]["content"]["values"]["file"]
    arrays[file] = arrays[file][:1]


def two_classes(nodes: Any, part: dict[str, Any], arrays: dict[str, Any]) -> None:
    arrays[part["__reduce__"]["args"]["content"][1]["file"]] = np.array([10**6])


@pytest.mark.parametrize("change", [no_nodes, pickled, other_fields, short_values, two_classes])
def test_tree_of_damaged_arrays_is_refused(forest: bytes, tmp_path: Path, change: Any) -> None:
    sentence = refusal(forged(tmp_path / "model.skops", forest, tree(change)))
    assert "must be a whole estimator" in sentence or "must hold trees" in sentence


def test_an_honest_copy_is_opened(forest: bytes, boosted: bytes, tmp_path: Path) -> None:
    for stored in (forest, boosted):
        forged(tmp_path / "model.skops", stored, lambda schema, arrays: None)
        load_estimator(tmp_path / "model.skops", SHAPE)


def test_file_for_other_inputs_is_refused(forest: bytes, boosted: bytes, tmp_path: Path) -> None:
    path = tmp_path / "model.skops"
    for stored in (forest, boosted, estimator_bytes(fitted("mlp"))):
        path.write_bytes(stored)
        refusal(path, (5,))
        refusal(path, (7,))
        load_estimator(path, (6,))


def test_missing_cut_or_oversized_file_is_refused(
    forest: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "model.skops"
    assert "must exist and be an estimator stored by skops" in refusal(path)
    path.write_bytes(forest[:-40])
    assert "must be a whole estimator" in refusal(path)
    path.write_bytes(b"")
    assert "must be a whole estimator" in refusal(path)
    path.write_bytes(forest)
    monkeypatch.setattr(stock_estimator, "_LARGEST_ARCHIVE", 1000)
    assert "must be of a sensible size" in refusal(path)
    monkeypatch.setattr(room, "_LARGEST_FILE", 1000)
    assert "must be of a sensible size" in refusal(path)


def test_deep_nesting_is_refused(forest: bytes, tmp_path: Path) -> None:
    def deep(schema: dict[str, Any], arrays: dict[str, Any]) -> None:
        inner: Any = {}
        for _ in range(200):
            inner = [inner]
        schema["extra"] = inner

    assert "nested deeper" in refusal(forged(tmp_path / "model.skops", forest, deep))


def test_other_version_of_scikit_learn_is_heard_of(
    forest: bytes, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def older(schema: dict[str, Any], arrays: dict[str, Any]) -> None:
        schema["content"]["content"]["_sklearn_version"]["content"] = '"1.0"'

    load_estimator(forged(tmp_path / "model.skops", forest, older), SHAPE)
    assert "1.0" in caplog.text


def test_importing_the_room_loads_no_scikit_learn() -> None:
    program = (
        "import sys, townsend.networks.stored_estimator, townsend.networks.estimators; print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_regressor_predicts_numbers() -> None:
    model = RandomForestRegressor(3, random_state=1).fit(ROWS, ROWS[:, 0] * 10)
    np.testing.assert_allclose(Estimator(model, SHAPE).scores(X), model.predict(ROWS), rtol=1e-6)
