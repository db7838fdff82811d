"""The closed list of what a stored network may be made of, checked before Keras builds any of it.

What to use when
----------------
- `check_stock`: is this `config.json` of a `.keras` file made of stock layers alone?

A `.keras` file from elsewhere can name any class or function that Python can import, and a Lambda layer carries code.
Keras' safe mode refuses the latter; this list refuses both, and says which layer it was.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from townsend.errors import InputError, printable

__all__ = ["check_stock"]

_MODELS = ("Functional", "Model", "Sequential")
_LAYERS = (
    *("InputLayer", "Dense", "Activation", "ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax", "Identity"),
    *("LSTM", "GRU", "SimpleRNN", "Bidirectional", "TimeDistributed", "Masking"),
    *("Conv1D", "Conv2D", "SeparableConv1D", "DepthwiseConv1D", "ZeroPadding1D", "Cropping1D", "UpSampling1D"),
    *("MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"),
    *("GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
    *("Flatten", "Reshape", "Permute", "RepeatVector"),
    *("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
    *("Dropout", "SpatialDropout1D", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
    *("BatchNormalization", "LayerNormalization", "GroupNormalization", "UnitNormalization", "Normalization"),
    *("Rescaling", "ActivityRegularization"),
)
_INITIALIZERS = (
    *("Zeros", "Ones", "Constant", "Identity", "Orthogonal", "VarianceScaling"),
    *("GlorotUniform", "GlorotNormal", "HeUniform", "HeNormal", "LecunUniform", "LecunNormal"),
    *("RandomUniform", "RandomNormal", "TruncatedNormal"),
)
_STOCK = {
    "keras": (*_MODELS, "DTypePolicy"),
    "keras.models": _MODELS,
    "keras.src.models.functional": ("Functional",),
    "keras.src.models.sequential": ("Sequential",),
    "keras.layers": _LAYERS,
    "keras.initializers": _INITIALIZERS,
    "keras.regularizers": ("L1", "L2", "L1L2"),
    "keras.constraints": ("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
    "keras.dtype_policies": ("DTypePolicy",),
}
_PLAIN = ("__keras_tensor__", "__tuple__")  # values, no classes
_DEEPEST = 200


def check_stock(config: Any, path: object) -> None:
    """Raise InputError unless everything that `config` would have Keras build is on the list.

    Arguments:
        config: content of the file's `config.json`.
        path: of the file, for the message.
    """
    if not isinstance(config, dict) or config.get("class_name") not in _MODELS:
        msg = f"{path} must hold a Keras model (its config.json does not); save one with Keras' model.save"
        raise InputError(msg)
    # Loaded uncompiled, so that optimizer and loss are not looked at.
    top = {name: value for name, value in config.items() if name != "compile_config"}
    for value, layer in _objects(top, path):
        class_name, module = value.get("class_name"), value.get("module")
        if "module" not in value and class_name in _PLAIN:
            continue
        stock = isinstance(module, str) and class_name in _STOCK.get(module, ())
        if not stock or value.get("registered_name") not in (None, class_name):
            rule = f"{path} must be made of stock Keras layers that hold no code"
            found = f"{_shown(class_name)} of module {_shown(module)} in layer {_shown(layer)}"
            msg = f"{rule} (got {found}); save the network with such layers alone"
            raise InputError(msg)


def _objects(config: dict[str, Any], path: object) -> Iterator[tuple[dict[str, Any], str]]:
    """Yield each part that names a class, and the name of the layer that it is in; deeper than any model is refused."""
    left: list[tuple[Any, str, int]] = [(config, "", 0)]
    while left:
        value, layer, depth = left.pop()
        if depth > _DEEPEST:
            msg = f"{path} must not be nested deeper than {_DEEPEST} levels (got more); take another network"
            raise InputError(msg)
        if isinstance(value, dict):
            if value.keys() & {"class_name", "module", "registered_name"}:
                layer = _name(value) or layer
                yield value, layer
            left += [(inner, layer, depth + 1) for inner in value.values()]
        elif isinstance(value, list):
            left += [(inner, layer, depth + 1) for inner in value]


def _name(value: dict[str, Any]) -> str:
    """Return the name of a layer or model, "" for anything else."""
    config = value.get("config")
    own = config.get("name") if isinstance(config, dict) and value.get("class_name") != "DTypePolicy" else None
    return own if isinstance(own, str) else ""


def _shown(name: Any) -> str:
    return f'"{printable(str(name)[:80])}"'
