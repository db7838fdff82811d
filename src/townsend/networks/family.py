"""Network families: a name and hyperparameters -> a Keras model.

What to use when
----------------
- `check_network`: is this configuration one the family can build? Needs no Keras, so it is asked before work begins.
- `build_network`: the model itself, with weights that are a function of the seed alone.
- `shape_names`: the hyperparameters that decide the shapes of a family's arrays.
- `network_names`: all hyperparameters of a family.
- `parameters`: how many parameters a model has, without building it.
- `shortest_input`: does that number depend on the length of the input, and how short may it be?
- `cost_hint`: which of two configurations takes longer to train?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from townsend.errors import ConfigError, did_you_mean
from townsend.networks import cnn, lstm

if TYPE_CHECKING:
    import keras

__all__ = [
    "FAMILIES",
    "build_network",
    "check_network",
    "cost_hint",
    "network_names",
    "parameters",
    "shape_names",
    "shortest_input",
]


@dataclass(frozen=True)
class Family:
    """One kind of network.

    Arguments:
        names: its hyperparameters, all of which must be given.
        shape_names: those of them that decide the shapes of its arrays.
        check: raises ConfigError on a bad value.
        build: (hyperparameters, input shape, seed) -> model.
        cost: hyperparameters -> time to train, in any unit; only compared.
        parameters: (hyperparameters, input shape) -> trainable parameters.
        shortest: length of the shortest input; None where the number of parameters does not depend on the length.
    """

    names: tuple[str, ...]
    shape_names: tuple[str, ...]
    check: Callable[[Mapping[str, Any]], None]
    build: Callable[[Mapping[str, Any], tuple[int, ...], int], keras.Model]
    cost: Callable[[Mapping[str, Any]], float]
    parameters: Callable[[Mapping[str, Any], tuple[int, ...]], int]
    shortest: int | None


FAMILIES: Mapping[str, Family] = {
    "cnn": Family(cnn.NAMES, cnn.SHAPE_NAMES, cnn.check, cnn.build, cnn.cost, cnn.parameters, cnn.SHORTEST_INPUT),
    "lstm": Family(lstm.NAMES, lstm.SHAPE_NAMES, lstm.check, lstm.build, lstm.cost, lstm.parameters, None),
}


def build_network(
    family: str, hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...], seed: int
) -> keras.Model:
    """Return an untrained Keras model on the backend that is loaded.

    Arguments:
        family: name of a family.
        hyperparameters: all and only those of the family.
        input_shape: of one example, without the batch axis.
        seed: decides the initial weights and the dropout, whatever the process did before.

    Raises ConfigError on an unknown family, an unknown, missing or bad hyperparameter, or an input it cannot take.
    """
    check_network(family, hyperparameters)
    return FAMILIES[family].build(hyperparameters, input_shape, seed)


def check_network(family: str, hyperparameters: Mapping[str, Any]) -> None:
    """Raise ConfigError unless the family is known and the hyperparameters are all and only its own."""
    names = _family(family).names
    for name in hyperparameters:
        if name not in names:
            msg = f'hyperparameter of network "{family}" must be a known one (got "{name}"){did_you_mean(name, names)}'
            raise ConfigError(msg)
    for name in names:
        if name not in hyperparameters:
            msg = f'network "{family}" needs the hyperparameter "{name}"; add it to the space'
            raise ConfigError(msg)
    _family(family).check(hyperparameters)


def shape_names(family: str) -> tuple[str, ...]:
    """Return the hyperparameters that decide the shapes of the family's arrays."""
    return _family(family).shape_names


def network_names(family: str) -> tuple[str, ...]:
    """Return all hyperparameters of the family."""
    return _family(family).names


def shortest_input(family: str) -> int | None:
    """Return the length of the family's shortest input; None where its parameters do not depend on the length."""
    return _family(family).shortest


def parameters(family: str, hyperparameters: Mapping[str, Any], input_shape: tuple[int, ...]) -> int:
    """Return how many trainable parameters the model has that `build_network` would build."""
    return _family(family).parameters(hyperparameters, input_shape)


def cost_hint(family: str, hyperparameters: Mapping[str, Any]) -> float:
    """Return about how long a configuration takes to train, in a unit of the family's own."""
    return _family(family).cost(hyperparameters)


def _family(name: str) -> Family:
    if name not in FAMILIES:
        msg = f'network must be a known family (got "{name}"){did_you_mean(name, FAMILIES)}'
        raise ConfigError(msg)
    return FAMILIES[name]
