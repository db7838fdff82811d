"""Fits of scikit-learn estimators behind the protocol that Keras networks are trained by.

What to use when
----------------
- `EstimatorTrainer`: the `Trainer` of the families in `townsend.networks.estimators`.

An estimator trains to its end in one go, so a sweep's epochs and patience mean nothing to it, and a rung in epochs
finds it ended. With rungs in data it trains on a share of the examples and, at the next rung, anew on a larger one
that holds the first; so here halving repeats work, at most as much again as the last rung costs. It cannot rest on its
way either: where a stop is requested, it is trained as far as it was going.
"""

from __future__ import annotations

import time
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from townsend.networks.estimators import is_scaled, make_estimator
from townsend.networks.scaling import Scaling, scaled_estimator, scaling_of, standardised
from townsend.networks.stored_estimator import Estimator, estimator_bytes, estimator_of
from townsend.tasks.base import Arrays, Split
from townsend.training.estimator_fit import Examples, fit_estimator
from townsend.training.figure import rung_figure
from townsend.training.losses import is_classification, outputs_of
from townsend.training.progress import Progress
from townsend.training.records import Fit, Outcome, Rung

__all__ = ["EstimatorTrainer", "part_of"]

_PART_STREAM = 5  # as in `epochs`: at a rung all fits, of whatever kind, see the same examples
_SMALLEST = 1e-7  # probability, in a logarithm; Keras takes the same


class EstimatorTrainer:
    """Trains estimators of one family, one after the other; see `townsend.training.progress.Trainer`.

    Arguments:
        family: name of a family of estimators.
        loss: the task's, name of a Keras loss; tells a classification from a regression.

    What a `Progress` of it holds: `weights`, one array, the bytes of a `.skops` file, with the scaling of the inputs;
    `parameters`, the numbers fitted, or the nodes of all trees; `epochs`, the passes of an mlp, the trees of boosting,
    else 1; `curves`, cross-entropy or mean squared error after each of them (of `linear`, which gives no probability,
    always the latter). Of an mlp, scikit-learn tells `loss` alone (with the penalty; of a regression, half the squared
    error): `monitor_loss` is NaN but for the last pass.
    """

    def __init__(self, family: str, loss: str) -> None:
        self._family = family
        self._loss = loss

    def packs(self, fits: Sequence[Fit], arrays: Sequence[Arrays]) -> list[list[Fit]]:
        """Return each fit by itself."""
        return [[fit] for fit in fits]

    def advance(
        self, pack: Sequence[tuple[Fit, Progress | None]], arrays: Sequence[Arrays], rung: Rung
    ) -> Iterator[tuple[Fit, Progress]]:
        """Yield each fit once it is trained on the rung's share of the examples; it has ended where that is all.

        Raises InputError when a split is missing or empty, and as `fit_estimator`.
        """
        for fit, before in pack:
            progress = self._trained(fit, arrays[fit.fold], rung.fraction)
            yield fit, replace(progress, figures=(*(before.figures if before else ()), progress.figure))

    def scores(
        self, fit: Fit, progress: Progress, x: NDArray[np.float32], arrays: Sequence[Arrays]
    ) -> NDArray[np.float32]:
        """Return the scores that a kept estimator gives to n examples."""
        shape = arrays[fit.fold].splits["train"].x.shape[1:]
        numbers = outputs_of(self._loss, arrays[fit.fold].facts)
        return estimator_of(progress.weights[0].tobytes(), shape, numbers=numbers).scores(x)

    def _trained(self, fit: Fit, arrays: Arrays, fraction: float) -> Progress:
        wall, cpu = time.perf_counter(), time.process_time()
        classes = is_classification(self._loss)
        model = make_estimator(self._family, fit.hyperparameters, classification=classes, seed=fit.seed)
        train, monitor = arrays.filled("train"), arrays.filled("monitor")
        shape = tuple(train.x.shape[1:])
        scaling = scaling_of(arrays.facts, shape) if is_scaled(self._family) else None
        targets = np.int64 if classes else np.float64
        seen, watched = (_examples(split, scaling, targets) for split in (train, monitor))
        part = part_of(len(train), fraction)
        seen = Examples(seen.x[part], seen.y[part], None if seen.weight is None else seen.weight[part])
        with threadpool_limits(limits=1), warnings.catch_warnings():
            warnings.filterwarnings("ignore", category=_convergence_warning())
            try:
                fit_estimator(self._family, fit.hyperparameters, model, seen, watched)
            except ValueError as error:
                if "non-finite" not in str(error):
                    raise
                detail = "scikit-learn ended the training, as its weights were not finite; lower learning_rate_init"
                return Progress(outcome=Outcome.DIVERGED, detail=detail)
            curves = _curves(model, seen, watched)
        stored = scaled_estimator(model, scaling)
        scores = Estimator(stored, shape).scores(monitor.x)
        epochs = len(curves["loss"])
        return Progress(
            outcome=Outcome.FINISHED if fraction >= 1 else None,
            curves=curves,
            weights=[np.frombuffer(estimator_bytes(stored), np.uint8)],
            figure=rung_figure(self._loss, scores, np.asarray(monitor.y, np.float32), watched.weight),
            parameters=_parameters(model),
            epochs=epochs,
            best_epoch=epochs,
            wall_s=time.perf_counter() - wall,
            cpu_s=time.process_time() - cpu,
        )


def part_of(examples: int, fraction: float) -> NDArray[np.intp]:
    """Return the places, in order, of a share of n examples; a larger share holds them all, and 1 is all of them."""
    taken = max(1, round(examples * fraction))
    key = np.random.SeedSequence((0, _PART_STREAM, 0)).generate_state(2, np.uint64)
    order = np.random.Generator(np.random.Philox(key=key)).permutation(examples)
    return np.sort(order[:taken])


def _examples(split: Split, scaling: Scaling | None, targets: type[np.generic]) -> Examples:
    weight = None if split.weight is None else np.asarray(split.weight, np.float32)
    rows = np.asarray(standardised(split.x, scaling), np.float32).reshape(len(split), -1)
    return Examples(rows, np.asarray(split.y).astype(targets), weight)


def _parameters(model: Any) -> int:
    """Return the numbers that a model has fitted, or the nodes of all trees: cuts and leaves."""
    last = model.steps[-1][1] if hasattr(model, "steps") else model
    if hasattr(last, "estimators_"):
        return sum(int(tree.tree_.node_count) for tree in last.estimators_)
    if hasattr(last, "_predictors"):
        return sum(len(tree.nodes) for trees in last._predictors for tree in trees)
    if hasattr(last, "kernel"):
        return len(last.kernel_.theta)
    names = ("coefs_", "intercepts_", "coef_", "intercept_", "theta_", "var_", "feature_log_prob_", "class_prior_")
    fitted = (getattr(last, name) for name in (*names, "class_log_prior_") if hasattr(last, name))
    return sum(sum(np.size(part) for part in parts) if isinstance(parts, list) else np.size(parts) for parts in fitted)


def _curves(model: Any, train: Examples, monitor: Examples) -> dict[str, NDArray[np.float32]]:
    """Return the mean loss on both sets after each pass or tree."""
    if hasattr(model, "staged_predict"):
        return {"loss": _staged(model, train), "monitor_loss": _staged(model, monitor)}
    passes = list(getattr(model, "loss_curve_", ()))
    found = np.full((2, max(1, len(passes))), np.nan, np.float32)
    found[0] = passes or _mean_loss(_outputs(model, train.x), train)
    found[1, -1] = _mean_loss(_outputs(model, monitor.x), monitor)
    return {"loss": found[0], "monitor_loss": found[1]}


def _staged(model: Any, examples: Examples) -> NDArray[np.float32]:
    staged = (model.staged_predict_proba if hasattr(model, "classes_") else model.staged_predict)(examples.x)
    return np.array([_mean_loss(outputs, examples) for outputs in staged], np.float32)


def _outputs(model: Any, x: NDArray[np.float32]) -> NDArray[Any]:
    return np.asarray(model.predict_proba(x) if hasattr(model, "classes_") else model.predict(x))


def _mean_loss(outputs: NDArray[Any], examples: Examples) -> float:
    """Return the mean cross-entropy of (n, classes) probabilities, or the mean squared error of (n,) predictions."""
    if outputs.ndim == 1:
        return float(np.average((outputs - examples.y) ** 2, weights=examples.weight))
    if outputs.shape[1] == 1:  # one class only was in the training examples
        return float("nan")
    right = np.take_along_axis(outputs, examples.y[:, None], axis=1)[:, 0]
    return float(-np.average(np.log(np.clip(right, _SMALLEST, 1)), weights=examples.weight))


def _convergence_warning() -> type[Warning]:
    from sklearn.exceptions import ConvergenceWarning

    found: type[Warning] = ConvergenceWarning
    return found
