"""Scaling of inputs, kept inside of stored models, so that they take the numbers a table holds.

What to use when
----------------
- `scaling_of`: the scaling that the facts of some arrays, or of a card, ask for.
- `standardised`: inputs as training sees them.
- `scaled_network`, `scaled_estimator`: a trained model that standardises its inputs by itself.

Means and scales are rounded to float32 first and inputs are standardised in float32, so that a trainer, Keras' stock
layer and scikit-learn's stock scaler compute the same numbers, to a rounding of the last digit.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from townsend.errors import InputError
from townsend.networks.backend import any_keras

if TYPE_CHECKING:
    import keras

__all__ = ["Scaling", "scaled_estimator", "scaled_network", "scaling_of", "standardised"]

_FACT = "scaling"
_SCALES = 1e-6, 1e6  # scales whose squares Keras' layer can hold; it takes those below 1e-7 for 1e-7


@dataclass(frozen=True)
class Scaling:
    """What x becomes in training: (x - mean) / scale.

    Arguments:
        mean, scale: (k,), one number a feature; scales are above zero.
    """

    mean: NDArray[np.float32]
    scale: NDArray[np.float32]


def scaling_of(facts: Mapping[str, Any], shape: tuple[int, ...]) -> Scaling | None:
    """Return the scaling in the facts of arrays or of a card; None where inputs are taken as they are.

    Arguments:
        facts: {"scaling": {"mean": [...], "scale": [...]}}, or without it.
        shape: of one example.

    Raises InputError when it does not hold one finite mean and one scale above zero for each feature.
    """
    if facts.get(_FACT) is None:
        return None
    found: list[NDArray[np.float32]] = []
    for name in ("mean", "scale"):
        try:
            with np.errstate(over="ignore"):
                found.append(np.asarray(facts[_FACT][name], np.float64).astype(np.float32))
        except (KeyError, TypeError, ValueError):
            found.append(np.empty(0, np.float32))
    mean, scale = found
    finite = all(np.isfinite(values).all() for values in found)
    if len(shape) != 1 or mean.shape != shape or scale.shape != shape or not finite or not (scale > 0).all():
        rule = "scaling must hold one finite mean and one scale above zero for each feature of a table"
        msg = f"{rule} (got {mean.size} and {scale.size} for inputs of shape {tuple(shape)}); make the arrays again"
        raise InputError(msg)
    return Scaling(mean, scale)


def standardised(x: NDArray[Any], scaling: Scaling | None) -> NDArray[Any]:
    """Return (n, k) inputs as training sees them, float32; `x` itself without a scaling."""
    return x if scaling is None else (np.asarray(x, np.float32) - scaling.mean) / scaling.scale


def scaled_network(network: keras.Model, scaling: Scaling | None) -> keras.Model:
    """Return a Keras model of stock layers that standardises its inputs and then does what `network` does.

    It has the variables of `network`, and no more; without a scaling it is `network`.
    """
    if scaling is None:
        return network
    loaded = any_keras()
    mean, scale = scaling.mean.astype(float), scaling.scale.astype(float)
    values = x = loaded.Input(mean.shape, name="raw_values")
    small, large = _SCALES
    unit = np.where((scale < small) | (scale > large), np.exp2(np.rint(np.log2(scale))), 1)
    if (unit != 1).any():  # powers of two, so that nothing is rounded
        x = loaded.layers.Rescaling((1 / unit).tolist(), name="other_units")(x)
    mean, variance = mean / unit, (scale / unit) ** 2
    x = loaded.layers.Normalization(mean=mean.tolist(), variance=variance.tolist(), name="standardised")(x)
    return loaded.Model(values, network(x), name="scaled_network")


def scaled_estimator(model: Any, scaling: Scaling | None) -> Any:
    """Return a scikit-learn pipeline that standardises its inputs and then does what the fitted `model` does.

    Without a scaling it is `model`.
    """
    if scaling is None:
        return model
    from sklearn.pipeline import Pipeline
    from sklearn.preprocessing import StandardScaler

    scaler = StandardScaler()
    scaler.mean_, scaler.scale_ = scaling.mean.astype(float), scaling.scale.astype(float)
    scaler.var_ = scaler.scale_**2
    scaler.n_features_in_, scaler.n_samples_seen_ = len(scaling.mean), 1  # the latter only says that it is fitted
    return Pipeline([("standardised", scaler), *(model.steps if isinstance(model, Pipeline) else [("model", model)])])
