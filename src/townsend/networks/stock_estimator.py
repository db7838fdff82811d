"""The closed list of what a stored estimator may be made of, checked before skops builds any of it.

What to use when
----------------
- `check_estimator`: does this `.skops` archive hold one estimator of our families, and no index that leads astray?

A skops file is a zip archive: `schema.json`, a tree of parts that each name a loader and a class, and NumPy arrays
without pickle. skops refuses classes that it was not told to trust, but it cannot know what is in them: scikit-learn
follows the children and columns in the nodes of a tree without looking whether they exist, so that a forged file could
read any memory, or walk in a circle. Hence every part is held against the list, and every tree is read here, as plain
numbers, before scikit-learn sees one. Parts may not refer to each other (`__id__`): what was checked is what is built.

What is not a tree computes in NumPy and SciPy, which look at every shape and index themselves: linear models, naive
Bayes, Gaussian processes with their kernels, and the scaler, bins and pipeline that come before them. None of them
calls what it holds, none changes the number of columns, and a pipeline holds parts of this list alone.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError, printable

__all__ = ["ROOTS", "TRUSTED", "check_estimator"]

_FOREST = "sklearn.ensemble._forest"
_BOOSTING = "sklearn.ensemble._hist_gradient_boosting"
_NETWORK = "sklearn.neural_network._multilayer_perceptron"
_TREE = "sklearn.tree._tree.Tree"
_PREDICTOR = f"{_BOOSTING}.predictor.TreePredictor"
_PROCESS = "sklearn.gaussian_process"
_KERNELS = tuple(f"{_PROCESS}.kernels.{name}" for name in ("Sum", "Product", "ConstantKernel", "RBF", "WhiteKernel"))
_LAPLACE = f"{_PROCESS}._gpc._BinaryGaussianProcessClassifierLaplace"
TRUSTED = (_TREE, _PREDICTOR, _LAPLACE, *_KERNELS)
"""What skops must be told to trust beyond what it does by itself; `check_estimator` has looked into them."""
ROOTS = frozenset(
    {
        *(f"{_NETWORK}.MLP{kind}" for kind in ("Classifier", "Regressor")),
        *(f"{_FOREST}.RandomForest{kind}" for kind in ("Classifier", "Regressor")),
        *(f"{_BOOSTING}.gradient_boosting.HistGradientBoosting{kind}" for kind in ("Classifier", "Regressor")),
        *(f"sklearn.linear_model.{name}" for name in ("_logistic.LogisticRegression", "_ridge.Ridge")),
        *(f"{_PROCESS}.{name}" for name in ("_gpc.GaussianProcessClassifier", "_gpr.GaussianProcessRegressor")),
        "sklearn.naive_bayes.GaussianNB",
        "sklearn.pipeline.Pipeline",
    }
)
"""Estimators that a file may hold."""
_STOCK: Mapping[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "JsonNode": frozenset({"builtins.str"}),
    "TypeNode": frozenset({"builtins.str"}),
    "NdArrayNode": frozenset(
        {"numpy.ndarray", *(f"numpy.{name}" for name in ("float32", "float64", "int32", "int64", "uint64"))}
    ),
    "TreeNode": frozenset({_TREE}),
    "LossNode": frozenset(
        f"sklearn._loss._loss.{name}" for name in ("CyHalfBinomialLoss", "CyHalfMultinomialLoss", "CyHalfSquaredError")
    ),
    "ObjectNode": frozenset(
        {
            *ROOTS,
            *(f"sklearn.tree._classes.DecisionTree{kind}" for kind in ("Classifier", "Regressor")),
            *(f"sklearn.preprocessing._label.Label{kind}" for kind in ("Binarizer", "Encoder")),
            *(f"sklearn._loss.loss.Half{name}" for name in ("BinomialLoss", "MultinomialLoss", "SquaredError")),
            *(f"sklearn._loss.link.{name}" for name in ("Interval", "LogitLink", "MultinomialLogit", "IdentityLink")),
            f"{_BOOSTING}.binning._BinMapper",
            _PREDICTOR,
            "sklearn.preprocessing._data.StandardScaler",
            "sklearn.preprocessing._discretization.KBinsDiscretizer",
            "sklearn.naive_bayes.CategoricalNB",
            _LAPLACE,
            *_KERNELS,
        }
    ),
}
_DEEPEST = 100
_LARGEST_SCHEMA = 1 << 28  # bytes; that of a hundred full-grown trees has 1.5 million
_LARGEST_ARCHIVE = 4 << 30  # bytes, unpacked


def check_estimator(archive: zipfile.ZipFile, features: int, path: object) -> None:
    """Raise InputError unless the archive holds an estimator of our families that reads `features` columns.

    Arguments:
        archive: of a `.skops` file.
        features: numbers of one example.
        path: of the file, for the message.

    Raises whatever reading a damaged archive raises, too.
    """
    if sum(part.file_size for part in archive.infolist()) > _LARGEST_ARCHIVE or (
        archive.getinfo("schema.json").file_size > _LARGEST_SCHEMA
    ):
        msg = f"{path} must be of a sensible size (its parts hold more than any estimator needs); take another file"
        raise InputError(msg)
    schema = json.loads(archive.read("schema.json"))
    if _name(schema) not in ROOTS:
        rule = f"{path} must hold a scikit-learn estimator of a family that townsend trains"
        msg = f"{rule} (got {_shown(_name(schema))}); take one that `townsend choose` wrote"
        raise InputError(msg)
    for part in _parts(schema, path):
        loader, name = part.get("__loader__"), _name(part)
        if not isinstance(loader, str) or name not in _STOCK.get(loader, ()) or "__id__" in part:
            rule = f"{path} must be made of the parts of scikit-learn estimators that hold no code"
            msg = f"{rule} (got {_shown(name)} read by {_shown(loader)}); take one that `townsend choose` wrote"
            raise InputError(msg)
        if not _sound(part, archive, features):
            rule = f"{path} must hold trees whose nodes lead from one to a later one"
            msg = f"{rule} (got one that does not, in {_shown(name)}); make it again or take another copy"
            raise InputError(msg)


def _parts(schema: Any, path: object) -> Iterator[dict[str, Any]]:
    """Yield each part that names a class or a loader; deeper than any estimator is refused."""
    left: list[tuple[Any, int]] = [(schema, 0)]
    while left:
        value, depth = left.pop()
        if depth > _DEEPEST:
            msg = f"{path} must not be nested deeper than {_DEEPEST} levels (got more); take another file"
            raise InputError(msg)
        if isinstance(value, dict):
            if value.keys() & {"__class__", "__module__", "__loader__", "__id__"}:
                yield value
            left += [(inner, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            left += [(inner, depth + 1) for inner in value]


def _sound(part: Mapping[str, Any], archive: zipfile.ZipFile, features: int) -> bool:
    """Whether a part that is a tree may be followed; any other part may."""
    if _name(part) == _TREE:
        columns, classes, outputs = (_plain(value, archive) for value in part["__reduce__"]["args"]["content"])
        content = part["content"]["content"]
        nodes = _plain(content["nodes"], archive)
        one_output = np.shape(classes) == (1,) and type(outputs) is int and outputs == 1
        counted = type(columns) is int and columns == features and _plain(content["node_count"], archive) == len(nodes)
        leaf = _whole(nodes["left_child"]) == -1
        return one_output and counted and _forward(nodes, ("left_child", "right_child", "feature"), leaf, features)
    if _name(part) == _PREDICTOR:
        nodes = _plain(part["content"]["content"]["nodes"], archive)
        numeric = not nodes["is_categorical"].any()
        return numeric and _forward(nodes, ("left", "right", "feature_idx"), nodes["is_leaf"] != 0, features)
    return True


def _forward(nodes: NDArray[Any], names: tuple[str, str, str], leaf: NDArray[np.bool_], features: int) -> bool:
    """Whether each node but the leaves has children behind it and a column that exists."""
    if nodes.ndim != 1 or not len(nodes):
        return False
    inner = np.flatnonzero(~leaf)
    left, right, feature = (_whole(nodes[name])[inner] for name in names)
    behind = (inner < left) & (left < len(nodes)) & (inner < right) & (right < len(nodes))
    return bool(np.all(behind & (feature >= 0) & (feature < features)))


def _whole(values: NDArray[Any]) -> NDArray[np.int64]:
    if values.dtype.kind not in "iu":
        msg = "whole numbers expected"
        raise ValueError(msg)
    return values.astype(np.int64)


def _plain(part: Mapping[str, Any], archive: zipfile.ZipFile) -> Any:
    """Return the value of a part that is a number or an array in a file."""
    if part["__loader__"] == "JsonNode":
        return json.loads(part["content"])
    if part["__loader__"] != "NdArrayNode" or part["type"] != "numpy" or _name(part) != "numpy.ndarray":
        msg = "an array expected"
        raise ValueError(msg)
    return np.load(io.BytesIO(archive.read(part["file"])), allow_pickle=False)


def _name(part: Any) -> str:
    return f"{part.get('__module__')}.{part.get('__class__')}" if isinstance(part, dict) else ""


def _shown(name: Any) -> str:
    return f'"{printable(str(name)[:120])}"'
