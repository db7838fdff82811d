"""Parts that all families are made of, and their optional hyperparameters.

Optional hyperparameters
------------------------
- `initializer`: how the kernels of Dense and Conv1D layers begin, "glorot_uniform" unless given; biases begin at zero,
  an LSTM as in Keras.
- `batch_norm`: true puts BatchNormalization between each hidden Dense or Conv1D layer and its activation, with Keras'
  momentum of 0.99; never before the output, nor inside an LSTM. The layer in front keeps its bias.

What to use when
----------------
- `check_optional`: are their values known ones?
- `initializer`: the initializer of a layer.
- `hidden`: layer, batch normalization where asked for, activation.
- `activation_parameters`, `hidden_parameters`: trainable parameters that these add to a layer's own.
- `dropout_layer`: dropout whose rate may change without a change of variables.

PReLU (He et al. 2015) has a slope of its own for each unit or filter, which begins at zero, as in Keras.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from townsend.errors import ConfigError, did_you_mean
from townsend.networks.backend import any_keras

__all__ = [
    "INITIALIZERS",
    "OPTIONAL",
    "PLAIN",
    "activated",
    "activation_parameters",
    "check_optional",
    "dropout_layer",
    "hidden",
    "hidden_parameters",
    "initializer",
]

OPTIONAL = ("initializer", "batch_norm")
INITIALIZERS: Mapping[str, str] = {
    "glorot_uniform": "GlorotUniform",
    "glorot_normal": "GlorotNormal",
    "he_uniform": "HeUniform",
    "he_normal": "HeNormal",
    "lecun_uniform": "LecunUniform",
    "lecun_normal": "LecunNormal",
    "orthogonal": "Orthogonal",
}
PLAIN = "linear linear"  # activations without parameters of their own
_PRELU = "prelu"


def check_optional(hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError on a bad value of an optional hyperparameter."""
    name = hyperparameters.get("initializer", "glorot_uniform")
    if not isinstance(name, str) or name not in INITIALIZERS:
        msg = f"initializer must be a known one (got {name!r}){did_you_mean(str(name), INITIALIZERS)}"
        raise ConfigError(msg)
    asked = hyperparameters.get("batch_norm", False)
    if not isinstance(asked, bool):
        msg = f"batch_norm must be true or false (got {asked!r}); write it without quotation marks"
        raise ConfigError(msg)


def initializer(hyperparameters: Mapping[str, Any], seed: int) -> Any:
    """Return the initializer of a kernel."""
    name = INITIALIZERS[hyperparameters.get("initializer", "glorot_uniform")]
    return getattr(any_keras().initializers, name)(seed=seed)


def activated(x: Any, make: Callable[[str], Any], activation: str, suffix: str, *, batch_norm: bool = False) -> Any:
    """Return the output of a layer with its activation, in layers of their own where there must be several.

    Arguments:
        x: input of the layer.
        make: name of a Keras activation -> layer.
        activation: one of `values.ACTIVATIONS`.
        suffix: of the names of further layers.
        batch_norm: whether batch normalization comes before the activation.
    """
    layers = any_keras().layers
    if not batch_norm and activation != _PRELU:
        return make(activation)(x)
    x = make("linear")(x)
    if batch_norm:
        x = layers.BatchNormalization(name=f"batch_normalization{suffix}")(x)
    if activation != _PRELU:
        return layers.Activation(activation, name=f"activation{suffix}")(x)
    bins = [1] if len(x.shape) == 3 else None
    return layers.PReLU(shared_axes=bins, name=f"p_re_lu{suffix}")(x)


def hidden(x: Any, make: Callable[[str], Any], activation: str, suffix: str, hyperparameters: Mapping[str, Any]) -> Any:
    """Return the output of a hidden layer; see `activated`."""
    return activated(x, make, activation, suffix, batch_norm=hyperparameters.get("batch_norm", False))


def activation_parameters(units: int, activation: str) -> int:
    """Return the trainable parameters of an activation of so many units or filters."""
    return units if activation == _PRELU else 0


def hidden_parameters(units: int, activation: str, hyperparameters: Mapping[str, Any]) -> int:
    """Return the trainable parameters that a hidden layer has besides kernel and bias."""
    normalised = 2 * units if hyperparameters.get("batch_norm", False) else 0
    return activation_parameters(units, activation) + normalised


def dropout_layer(rate: float, seed: int, name: str) -> Any:
    """Return a Dropout layer that has its seed at a rate of zero too, where Keras leaves it out.

    So networks with and without dropout have the same variables and can be trained by one program.
    """
    layer = any_keras().layers.Dropout(rate or 0.5, seed=seed, name=name)
    layer.rate = rate
    return layer
