"""Network families: a name and hyperparameters -> a Keras model.

What to use when
----------------
- `check_network`: is this configuration one the family can build? Needs no Keras, so it is asked before work begins.
- `build_network`: the model itself, with weights that are a function of the seed alone.
- `shape_names`: the hyperparameters that decide the shapes of a family's arrays.
- `network_names`: the hyperparameters that a family needs; `optional_names`: those that may be left out.
- `parameters`: how many parameters a model has, without building it.
- `shortest_input`: does that number depend on the length of the input, and how short may it be?
- `cost_hint`: which of two configurations takes longer to train?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from townsend.errors import ConfigError, did_you_mean
from townsend.networks import cnn, dense, lstm

if TYPE_CHECKING:
    import keras

__all__ = [
    "FAMILIES",
    "build_network",
    "check_network",
    "cost_hint",
    "network_names",
    "optional_names",
    "parameters",
    "shape_names",
    "shortest_input",
]


@dataclass(frozen=True)
class Family:
    """One kind of network.

    Arguments:
        names: its hyperparameters that must be given.
        optional: those that may be left out.
        shape_names: those that decide the shapes of its arrays, but for the slopes of PReLU.
        check: raises ConfigError on a bad value.
        build: (hyperparameters, input shape, seed) -> model; of a family for `classes`, (..., outputs) too.
        cost: hyperparameters -> time to train, in any unit; only compared.
        parameters: (hyperparameters, input shape) -> trainable parameters.
        shortest: length of the shortest input; None where the number of parameters does not depend on the length.
        classes: whether it can give one number a class, for more than two of them.
    """

    names: tuple[str, ...]
    optional: tuple[str, ...]
    shape_names: tuple[str, ...]
    check: Callable[[Mapping[str, Any]], None]
    build: Callable[..., keras.Model]
    cost: Callable[[Mapping[str, Any]], float]
    parameters: Callable[[Mapping[str, Any], tuple[int, ...]], int]
    shortest: int | None
    classes: bool = False


FAMILIES: Mapping[str, Family] = {
    "cnn": Family(
        *(cnn.NAMES, cnn.OPTIONAL, cnn.SHAPE_NAMES, cnn.check, cnn.build),
        *(cnn.cost, cnn.parameters, cnn.SHORTEST_INPUT),
    ),
    "dense": Family(
        *(dense.NAMES, dense.OPTIONAL, dense.SHAPE_NAMES, dense.check, dense.build),
        *(dense.cost, dense.parameters, dense.SHORTEST_INPUT),
        classes=True,
    ),
    "lstm": Family(
        *(lstm.NAMES, lstm.OPTIONAL, lstm.SHAPE_NAMES, lstm.check, lstm.build, lstm.cost, lstm.parameters, None)
    ),
}


def build_network(
    family: str, hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int, outputs: int = 1
) -> keras.Model:
    """Return an untrained Keras model on the backend that is loaded.

    Arguments:
        family: name of a family.
        hyperparameters: all that the family needs, and any of its optional ones.
        input_shape: of one example, without the batch axis.
        seed: decides the initial weights and the dropout, whatever the process did before.
        outputs: numbers that it gives an example: one a class where there are more than two.

    Raises ConfigError on an unknown family, an unknown, missing or bad hyperparameter, or an input or output that the
    family does not have.
    """
    check_network(family, hyperparameters, classes=outputs > 1)
    return FAMILIES[family].build(hyperparameters, input_shape, seed, *([outputs] if outputs > 1 else []))


def check_network(family: str, hyperparameters: Mapping[str, Any], *, classes: bool = False) -> None:
    """Raise ConfigError unless the family is known, nothing it needs is missing and nothing else is given.

    Arguments:
        family: its name.
        hyperparameters: of the network.
        classes: whether it is to tell more than two classes apart.
    """
    names, known = network_names(family), network_names(family) + optional_names(family)
    for name in hyperparameters:
        if name not in known:
            msg = f'hyperparameter of network "{family}" must be a known one (got "{name}"){did_you_mean(name, known)}'
            raise ConfigError(msg)
    for name in names:
        if name not in hyperparameters:
            msg = f'network "{family}" needs the hyperparameter "{name}"; add it to the space'
            raise ConfigError(msg)
    _family(family).check(hyperparameters)
    if classes and not _family(family).classes:
        others = ", ".join(name for name, other in FAMILIES.items() if other.classes)
        msg = f'network "{family}" must not be asked for more than two classes (it gives one number); choose {others}'
        raise ConfigError(msg)
    softmax = str(hyperparameters["activations"]).endswith("softmax")
    if softmax is not classes:
        rule = "activations must end in softmax for more than two classes, and only then"
        msg = f'{rule} (got {hyperparameters["activations"]!r}); write "relu {"softmax" if classes else "sigmoid"}"'
        raise ConfigError(msg)


def shape_names(family: str) -> tuple[str, ...]:
    """Return the hyperparameters that decide the shapes of the family's arrays."""
    return _family(family).shape_names


def network_names(family: str) -> tuple[str, ...]:
    """Return the hyperparameters that the family needs."""
    return _family(family).names


def optional_names(family: str) -> tuple[str, ...]:
    """Return the hyperparameters of the family that may be left out."""
    return _family(family).optional


def shortest_input(family: str) -> int | None:
    """Return the length of the family's shortest input; None where its parameters do not depend on the length."""
    return _family(family).shortest


def parameters(family: str, hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...]) -> int:
    """Return how many trainable parameters the model has that `build_network` would build.

    The hyperparameters in `shape_names` suffice; without `activations`, the slopes of PReLU are not counted.
    """
    return _family(family).parameters(hyperparameters, input_shape)


def cost_hint(family: str, hyperparameters: Mapping[str, Any]) -> float:
    """Return about how long a configuration takes to train, in a unit of the family's own."""
    return _family(family).cost(hyperparameters)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        msg = f'network must be a known family (got "{name}"){did_you_mean(name, FAMILIES)}'
        raise ConfigError(msg)
    return FAMILIES[name]
