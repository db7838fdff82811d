"""Stored scikit-learn estimators: open a `.skops` file that may come from anybody, and apply an estimator.

What to use when
----------------
- `Estimator`: a fitted estimator with the shape of its inputs; `scores` are the same bits for an example whatever its
  neighbours.
- `estimator_bytes`, `estimator_of`: an estimator as the bytes of a `.skops` file, and back.
- `save_estimator`, `load_estimator`: the same with a file, which opens in skops without townsend too.

skops keeps attributes and arrays, and no pickle anywhere: arrays are `.npy` files, trees are arrays of nodes that go
through the class's own `__setstate__`. What only training needs (moments of the optimizer, random numbers) is left out.
Equal estimators have equal bytes.
"""

from __future__ import annotations

import copy
import io
import json
import logging
import math
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from townsend.errors import InputError
from townsend.files import atomic_path
from townsend.networks.stock_estimator import TRUSTED, check_estimator

__all__ = ["Estimator", "estimator_bytes", "estimator_of", "load_estimator", "save_estimator"]

log = logging.getLogger(__name__)

_BATCH = 4096  # examples a call, always as many for a matrix product: its bits depend on the number of rows
_BATCH_OF_PROCESS = 256  # of a Gaussian process, which compares each with all that it was trained on
_LARGEST_FILE = 2 << 30  # bytes
_TRAINING_ONLY = (
    *("_optimizer", "_random_state", "_best_coefs", "_best_intercepts", "_feature_subsample_rng"),
    *("_rng", "rng"),
)
_ERRORS_ONLY = ("L_", "y_train_")  # of a GaussianProcessRegressor: megabytes, of which its predictions need none
_SCHEMA = "schema.json"
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Estimator:
    """A fitted scikit-learn estimator.

    Arguments:
        model: classifier of the classes 0, 1, ..., or regressor; or a pipeline that ends in one.
        shape: of one example, without the batch axis; scikit-learn sees it flat.
    """

    model: Any
    shape: tuple[int, ...]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Return the shape of its inputs as Keras writes it: (None, ...)."""
        return (None, *self.shape)

    def scores(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return the (n,) probabilities of class 1, or predictions of a regressor, for (n, ...) inputs.

        Of a classifier of K > 2 classes, (n, K) probabilities. An input that is not finite has the score NaN.
        """
        classes = len(getattr(self.model, "classes_", ()))
        numbers = classes if classes > 2 else 1
        found = np.empty((len(x), numbers), np.float32)
        last = self.model.steps[-1][1] if hasattr(self.model, "steps") else self.model
        trees = hasattr(last, "estimators_") or hasattr(last, "_predictors")
        size = _BATCH_OF_PROCESS if hasattr(last, "kernel") else _BATCH
        with threadpool_limits(limits=1):
            for start in range(0, len(x), size):
                rows = np.asarray(x[start : start + size], np.float32).reshape(-1, math.prod(self.shape))
                finite = np.asarray(np.isfinite(rows).all(axis=1))
                filled = np.zeros((len(rows) if trees else size, rows.shape[1]), np.float32)
                filled[: len(rows)][finite] = rows[finite]
                predicted = self._predict(filled)[: len(rows)].reshape(len(rows), numbers)
                found[start : start + size] = np.where(finite[:, None], predicted, np.nan)
        return found[:, 0] if numbers == 1 else found

    def _predict(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        classes = getattr(self.model, "classes_", None)
        if classes is None:
            return np.asarray(self.model.predict(rows))
        probability = self.model.predict_proba(rows)
        if len(classes) > 2:
            return np.asarray(probability)
        return np.asarray(probability[:, list(classes).index(1)] if 1 in classes else np.zeros(len(rows)))


def estimator_bytes(model: Any) -> bytes:
    """Return a fitted estimator as the bytes of a `.skops` file."""
    import skops.io

    return _canonical(skops.io.dumps(_lean(model)))


def _lean(model: Any) -> Any:
    """Return a copy without what only training, or an error of a prediction, needs."""
    lean = copy.copy(model)
    for name in (*_TRAINING_ONLY, *(_ERRORS_ONLY if hasattr(model, "normalize_y") else ())):
        vars(lean).pop(name, None)
    if hasattr(lean, "steps"):
        lean.steps = [(name, _lean(step)) for name, step in lean.steps]
    if hasattr(lean, "base_estimator_"):
        lean.base_estimator_ = _lean(lean.base_estimator_)
    return lean


def estimator_of(
    stored: bytes, shape: tuple[int, ...], path: object = "the stored estimator", numbers: int = 1
) -> Estimator:
    """Return the estimator in the bytes of a `.skops` file; nothing in it is run.

    Arguments:
        stored: as `estimator_bytes` returns it, or anything.
        shape: of one example, without the batch axis.
        path: of the file, for messages.
        numbers: that it must give an example.

    Raises InputError when it is damaged, holds a type that is not on the closed list or a tree that leads astray, or
    takes or gives another number of numbers.
    """
    import skops.io

    try:
        with zipfile.ZipFile(io.BytesIO(stored)) as archive:
            check_estimator(archive, math.prod(shape), path)
        with warnings.catch_warnings(record=True) as heard:
            warnings.simplefilter("always")
            model = skops.io.loads(stored, trusted=TRUSTED)
        for warning in heard:
            log.warning("%s: %s", path, warning.message)
        estimator = Estimator(model, tuple(shape))
        found = estimator.scores(np.zeros((1, *shape), np.float32)).size
        if found != numbers:
            msg = f"{path} must give {numbers} numbers an example (gives {found}); take another estimator"
            raise InputError(msg)
    except InputError:
        raise
    except Exception as error:  # a damaged file surfaces as almost any exception
        problem = f"{type(error).__name__}: {str(error)[:200]}".replace("\n", " ")
        msg = f"{path} must be a whole estimator for {shape} numbers ({problem}); make it again or take another copy"
        raise InputError(msg) from error
    return estimator


def save_estimator(path: Path, model: Any) -> None:
    """Write a fitted estimator to a `.skops` file, whole or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(estimator_bytes(model))


def load_estimator(path: Path, shape: tuple[int, ...], numbers: int = 1) -> Estimator:
    """Return the estimator in a `.skops` file that takes examples of `shape` and gives each so many numbers.

    Raises InputError when the file does not exist, is too large, or for what `estimator_of` refuses.
    """
    if not path.is_file():
        msg = f"{path} must exist and be an estimator stored by skops; name the folder that `townsend choose` made"
        raise InputError(msg)
    if path.stat().st_size > _LARGEST_FILE:
        msg = f"{path} must be of a sensible size (it has {path.stat().st_size:,} bytes); take another file"
        raise InputError(msg)
    return estimator_of(path.read_bytes(), shape, path, numbers)


def _canonical(stored: bytes) -> bytes:
    """Return a skops archive whose bytes do not depend on addresses in memory or on the time."""
    files: dict[str, str] = {}

    def renamed(value: Any) -> Any:
        if isinstance(value, dict):
            kept = {name: renamed(inner) for name, inner in value.items() if name != "__id__"}
            if "file" in kept and "__loader__" in kept:
                kept["file"] = files.setdefault(kept["file"], f"{len(files)}.npy")
            return kept
        return [renamed(inner) for inner in value] if isinstance(value, list) else value

    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(stored)) as before, zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as after:
        schema = json.dumps(renamed(json.loads(before.read(_SCHEMA))), separators=(",", ":"))
        for old, new in files.items():
            after.writestr(zipfile.ZipInfo(new, _EPOCH), before.read(old), zipfile.ZIP_DEFLATED)
        after.writestr(zipfile.ZipInfo(_SCHEMA, _EPOCH), schema, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()
