"""Compiled programs kept within a process, so that equal networks are compiled once.

What to use when
----------------
- `architecture`: what a program depends on of a network.
- `keep`: the program kept under a key, else a new one, with the seconds that making it took.
"""

from __future__ import annotations

import json
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any, TypeVar

from townsend.networks.traced import dropout_layers, moved_activations, switchable_layers

if TYPE_CHECKING:
    import keras

__all__ = ["architecture", "keep"]

_LARGEST_NUMBER = 48  # of kept programs: a long sweep must not fill the memory with those of past fits
_SEEDS = ("seed", "build_config")
_programs: OrderedDict[Hashable, Any] = OrderedDict()

Program = TypeVar("Program")


def keep(key: Hashable, make: Callable[[], Program]) -> tuple[Program, float]:
    """Return the program kept under `key`, made now if there is none, and the seconds spent on making it."""
    if key in _programs:
        _programs.move_to_end(key)
        program: Program = _programs[key]
        return program, 0.0
    began = time.perf_counter()
    program = make()
    _programs[key] = program
    if len(_programs) > _LARGEST_NUMBER:
        _programs.popitem(last=False)
    return program, time.perf_counter() - began


def architecture(network: keras.Model) -> str:
    """Return a text that is equal for networks that can share a program, on the JAX backend.

    Left out are seeds, weights and how they begin, and the activations and dropout rates that are traced. Whether an
    activation moves behind a pooling stays in.
    """
    config = network.get_config()
    moved = moved_activations(network)
    traced = {layer.name: {"rate": "traced"} for layer in dropout_layers(network)}
    for layer in switchable_layers(network):
        traced[layer.name] = {"activation": "traced, moved" if layer.name in moved else "traced"}
    for layer in config["layers"]:
        layer["config"] = {**layer["config"], **traced.get(layer["config"]["name"], {})}
    return json.dumps(_startless(config), sort_keys=True, default=str)


def _startless(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _startless(inner) for name, inner in value.items() if not _decides_start(name)}
    if isinstance(value, list | tuple):
        return [_startless(inner) for inner in value]
    return value


def _decides_start(name: str) -> bool:
    return name in _SEEDS or name.endswith("_initializer")
