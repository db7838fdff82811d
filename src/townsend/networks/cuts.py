"""Rectangular cuts as a model: a condition on features, with thresholds that a sweep moves.

What to use when
----------------
- `check_cuts`: are a selection and its thresholds ones that can be written down? Asked before any work begins.
- `make_cuts`: the cuts for a table with known features; nothing is fitted.
- `Cuts`: scores 1.0 for events that pass and 0.0 for the others; an analysis to compare other models with.
- `cuts_bytes`, `cuts_of`: cuts as the JSON of a small file, and back. Only the language of expressions is ever run.

Hyperparameters: `selection`, a condition in the language of `townsend.sample.expression`, such as
"(E/p > low) & (E/p < high)"; names in it that are no features are thresholds, each of them a hyperparameter of that
name, a number: `low: {low: 0.5, high: 0.9}`. A threshold that only some selections use needs a condition (`when`).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import ConfigError, InputError, did_you_mean, printable

if TYPE_CHECKING:
    from townsend.sample.expression import Expression

__all__ = ["SELECTION", "Cuts", "check_cuts", "cuts_bytes", "cuts_of", "make_cuts"]

SELECTION = "selection"
"""Name of the hyperparameter that is no threshold."""
_BATCH = 1 << 16


@dataclass(frozen=True)
class Cuts:
    """A selection with its thresholds, for a table with these features.

    Arguments:
        selection: a condition on features and thresholds.
        thresholds: name -> finite number.
        features: names of the columns of x.
    """

    selection: str
    thresholds: Mapping[str, float]
    features: tuple[str, ...]

    @property
    def input_shape(self) -> tuple[int | None, ...]:
        """Return the shape of its inputs as Keras writes it: (None, k)."""
        return (None, len(self.features))

    def scores(self, x: NDArray[Any]) -> NDArray[np.float32]:
        """Return (n,) scores, 1.0 where the (n, k) inputs pass and else 0.0; comparisons with NaN are false.

        Raises InputError when the selection gives no condition.
        """
        from townsend.sample.expression import mask

        passed = np.empty(len(x), np.float32)
        for start in range(0, len(x), _BATCH):
            rows = np.asarray(x[start : start + _BATCH], np.float64)
            columns = dict(zip(self.features, rows.T, strict=True))
            passed[start : start + len(rows)] = mask(self._expression, {**columns, **self.thresholds}, len(rows))
        return passed

    @cached_property
    def _expression(self) -> Expression:
        from townsend.sample.expression import parse_expression

        return parse_expression(self.selection)


def check_cuts(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError unless a selection can be read and uses every other hyperparameter, each a finite number.

    Whether its other names are features is known only to `make_cuts`.
    """
    selection = hyperparameters.get(SELECTION)
    if not isinstance(selection, str):
        rule = f"{SELECTION} of cuts must be a condition in one text"
        msg = f'{rule} (got {selection!r}); write one such as "(pt > low) & (pt < high)"'
        raise ConfigError(msg)
    names = Cuts(selection, {}, ())._expression.names
    for name, value in _thresholds(hyperparameters).items():
        if name not in names:
            rule = f"every hyperparameter of cuts must be a threshold in the selection `{selection}`"
            remedy = "leave it out, or bind it by `when` to the selections that use it"
            msg = f'{rule} (got "{name}"{did_you_mean(name, names)}); {remedy}'
            raise ConfigError(msg)
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            msg = f"threshold {name} of cuts must be a finite number (got {value!r}); list numbers or give a range"
            raise ConfigError(msg)


def make_cuts(hyperparameters: Mapping[str, Any], features: Sequence[str] | None, shape: Sequence[int]) -> Cuts:
    """Return the cuts of a configuration.

    Arguments:
        hyperparameters: `selection`, and its thresholds.
        features: names of the columns of x, as in the facts of arrays; None where they have none.
        shape: of one example.

    Raises ConfigError as `check_cuts`, and on a name that is neither feature nor threshold, or both; InputError when
    the examples have no named features, or the selection is no condition.
    """
    check_cuts(hyperparameters)
    if features is None or tuple(shape) != (len(features),):
        rule = "cuts need a table whose columns have names"
        msg = f"{rule} (got inputs of shape {tuple(shape)}, names {features}); choose a task of tables, or a network"
        raise InputError(msg)
    thresholds = {name: float(value) for name, value in _thresholds(hyperparameters).items()}
    made = Cuts(hyperparameters[SELECTION], thresholds, tuple(features))
    for name in sorted(made._expression.names):
        rule = f"names in the selection `{made.selection}` must be features or thresholds"
        if name in features and name in thresholds:
            msg = f"{rule} (`{name}` is both); rename the threshold"
            raise ConfigError(msg)
        if name not in features and name not in thresholds:
            meant = did_you_mean(name, [*features, *thresholds])
            msg = f"{rule} (`{name}` is neither{meant}); name a feature, or give the threshold values in the space"
            raise ConfigError(msg)
    made.scores(np.zeros((1, len(features)), np.float32))
    return made


def cuts_bytes(cuts: Cuts) -> bytes:
    """Return cuts as JSON."""
    value = {"selection": cuts.selection, "thresholds": dict(cuts.thresholds), "features": list(cuts.features)}
    return (json.dumps(value, indent=1, allow_nan=False) + "\n").encode()


def cuts_of(stored: bytes, path: object = "the stored cuts") -> Cuts:
    """Return the cuts that `cuts_bytes` wrote.

    Arguments:
        stored: the bytes, or anything; path: of the file, for messages.

    Raises InputError when they are damaged, or no cuts.
    """
    try:
        value = json.loads(stored)
        features = [str(name) for name in value["features"]]
        return make_cuts({**value["thresholds"], SELECTION: value["selection"]}, features, (len(features),))
    except Exception as error:  # a damaged file surfaces as almost any exception
        rule = f"{path} must hold cuts as `townsend choose` wrote them"
        problem = printable(f"{type(error).__name__}: {' '.join(str(error).split())[:300]}")
        msg = f"{rule} ({problem}); take another copy"
        raise InputError(msg) from error


def _thresholds(hyperparameters: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in hyperparameters.items() if name != SELECTION and value is not None}
